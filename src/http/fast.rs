//! The call that every request makes, written by hand.

use std::{ffi::CStr, sync::Arc};

use bytes::Bytes;
use moorline_core::{error::Outcome, options::Read};
use moorline_net::http::{
    CallConfig, Engine as HttpEngine, Request as HttpRequest, RequestBody, Response, unsendable,
};
use napi::Result;
use tokio_util::sync::CancellationToken;

use super::{PolicyEngine, body::HttpBodyWriter, encode::encode};
use crate::{
    bridge::{Call, Cancel, Exports, Function, Handle, ReturnValue, Value, failure_json, promise},
    connection::AdmittedCall,
};

/// The lowest status that may count as a failure.
const FIRST_ERROR: u16 = 400;

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Request>()?;
    exports.add::<PolicyRequest>()
}

/// `httpRequest(engine, head, body?, options?, cancel?, streamed?)`: makes a request. The head is text: `METHOD URL`, then a
/// line `name:value` for each header.
struct Request;

impl Function for Request {
    const NAME: &'static CStr = c"httpRequest";
    fn run(call: &Call) -> ReturnValue {
        let (Some(engine), Some(head)) = (
            call.handle::<HttpEngine>(0).cloned(),
            call.with_bytes(1, |head| String::from_utf8_lossy(head).into_owned()),
        ) else {
            return ReturnValue::Undefined;
        };
        let body = body_of(call);
        let options = call.handle::<CallConfig>(3).map(|options| **options);
        let cancel = call.handle::<Cancel>(4).cloned().map(Handle);
        let cancel = Cancel::token(cancel.as_ref());
        let streamed = call.flag(5) == Some(true);
        let work = async move {
            let options = options.unwrap_or(engine.config().call);
            let request = read_request(&head, body).map_err(|error| unsendable(&error))?;
            let request = request.with_config(options);
            let request = if streamed {
                request.streamed()
            } else {
                request
            };
            engine.request(request, &cancel).await.map(encode)
        };
        promise(&call.env(), work).map_or(ReturnValue::Undefined, ReturnValue::Promise)
    }
}

/// `httpPolicyRequest(engine, head, body?)`: makes the first attempt of a call of a connection, and counts the call where
/// it is successful. Undefined where it is not admitted at once; `policyNotAdmitted` says why.
///
/// Resolves as `httpRequest` does; a call that goes on in JavaScript is `[id, answer, failure]`, with an answer or the
/// record of a failure.
struct PolicyRequest;

impl Function for PolicyRequest {
    const NAME: &'static CStr = c"httpPolicyRequest";
    fn run(call: &Call) -> ReturnValue {
        let (Some(policy_engine), Some(head)) = (
            call.handle::<PolicyEngine>(0),
            call.with_bytes(1, |head| String::from_utf8_lossy(head).into_owned()),
        ) else {
            return ReturnValue::Undefined;
        };
        let body = body_of(call);
        let Some(admitted) = AdmittedCall::begin(&policy_engine.context) else {
            return ReturnValue::Undefined;
        };
        let engine = Arc::clone(&policy_engine.engine);
        let work = async move {
            let outcome = match read_request(&head, body) {
                Ok(request) => {
                    let request = request.with_config(engine.config().call);
                    engine.request(request, &CancellationToken::new()).await
                }
                Err(error) => Err(unsendable(&error)),
            };
            Ok(end(admitted, outcome))
        };
        promise(&call.env(), work).map_or(ReturnValue::Undefined, ReturnValue::Promise)
    }
}

/// Ends a call that was successful; any other is the caller's to end.
fn end(admitted: AdmittedCall, outcome: Outcome<Response>) -> Value {
    let (answer, failure) = match outcome {
        Ok(response) => {
            let status = response.status.as_u16();
            let answer = encode(response);
            if status < FIRST_ERROR {
                admitted.succeed(status);
                return answer;
            }
            (answer, Value::Undefined)
        }
        Err(failure) => (Value::Undefined, Value::Text(failure_json(failure))),
    };
    let id = Value::Number(admitted.hand_over().into());
    Value::List(vec![id, answer, failure])
}

fn body_of(call: &Call) -> RequestBody {
    if let Some(writer) = call.handle::<HttpBodyWriter>(2) {
        return writer.take_body().unwrap_or(RequestBody::Empty);
    }
    call.with_bytes(2, Bytes::copy_from_slice)
        .map_or(RequestBody::Empty, RequestBody::Full)
}

fn read_request(head: &str, body: RequestBody) -> Read<HttpRequest> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let (method, url) = line.split_once(' ').unwrap_or((line, ""));
    HttpRequest::new(method, url, headers, body)
}
