//! The call that every request makes, written by hand.

use std::ffi::CStr;

use bytes::Bytes;
use moorline_core::options::Read;
use moorline_net::http::{
    CallConfig, Engine as HttpEngine, Request as HttpRequest, RequestBody, unsendable,
};
use napi::Result;

use super::{body::HttpBodyQueue, encode::encode};
use crate::bridge::{Call, Cancel, Exports, Function, Handle, ReturnValue, promise};

/// Adds the hand-written function.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Request>()
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

fn body_of(call: &Call) -> RequestBody {
    if let Some(queue) = call.handle::<HttpBodyQueue>(2) {
        return queue.take_body().unwrap_or(RequestBody::Empty);
    }
    call.with_bytes(2, Bytes::copy_from_slice)
        .map_or(RequestBody::Empty, RequestBody::Full)
}

fn read_request(head: &str, body: RequestBody) -> Read<HttpRequest> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let (method, url) = line.split_once(' ').unwrap_or((line, ""));
    HttpRequest::new(method, url, headers, body)
}
