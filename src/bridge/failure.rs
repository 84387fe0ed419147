//! Failures and programmer's mistakes as JavaScript receives them.

use moorline_core::{
    error::{Failure, Fields, Kind},
    options::{OptionError, OptionErrorClass},
};
use napi::{Env, Error, Result, Status, sys};
use napi_derive::napi;
use serde_json::{Map, Value as Json, json};

use super::value::create_string;

/// The beginning of a record: a user's own code may throw texts, too.
const MARK: &str = "moorline:";

/// The record of a failure as JSON text: one string crosses instead of a dozen properties, and `lib/`
/// dresses it as a `MoorlineError` where the caller's stack is.
pub(crate) fn failure_json(failure: Failure) -> String {
    let Fields {
        kind,
        code,
        message,
        service,
        operation,
        delivery,
        retryable,
        attempts,
        retry_after,
        detail,
        cause,
    } = failure.into_fields();
    let mut record = Map::new();
    record.insert("kind".to_owned(), kind.as_str().into());
    record.insert("code".to_owned(), code.into());
    record.insert("message".to_owned(), message.into());
    record.insert("service".to_owned(), service.into());
    record.insert("operation".to_owned(), operation.into());
    record.insert("delivery".to_owned(), delivery.as_str().into());
    record.insert("retryable".to_owned(), retryable.into());
    record.insert("attempts".to_owned(), attempts.into());
    if let Some(after) = retry_after {
        record.insert("retryAfterMs".to_owned(), json!(after.as_millis() as u64));
    }
    if !detail.is_empty() {
        record.insert("detail".to_owned(), Json::Object(detail));
    }
    if let Some(cause) = cause {
        let cause = json!({ "message": cause.message, "code": cause.code });
        record.insert("cause".to_owned(), cause);
    }
    marked(&Json::Object(record))
}

fn marked(record: &Json) -> String {
    format!("{MARK}{record}")
}

/// The fields of a failure of each kind that says nothing else, as JSON by kind; `transient` is whether the reason may
/// pass. `lib/` makes the failures that it finds itself by them.
#[napi(catch_unwind)]
pub fn failure_defaults() -> String {
    let row = |kind: Kind| {
        let failure = Failure::new(kind, "");
        let fields = json!({
            "code": failure.code,
            "delivery": failure.delivery.as_str(),
            "retryable": failure.retryable,
            "attempts": failure.attempts,
            "transient": kind.is_transient(),
        });
        (kind.as_str().to_owned(), fields)
    };
    Json::Object(Kind::ALL.into_iter().map(row).collect()).to_string()
}

/// The code of a value that could not be made. V8's limit of a string is the one thing that a value can exceed.
pub(super) fn code(error: &Error) -> &'static str {
    if error.status == Status::StringExpected {
        "ERR_STRING_TOO_LONG"
    } else {
        Kind::Internal.default_code()
    }
}

/// An error that a binding function throws.
pub(crate) trait JsError {
    /// Its record as JSON text, of which `lib/` makes the error.
    fn into_record(self) -> String;
}

impl JsError for Failure {
    fn into_record(self) -> String {
        failure_json(self)
    }
}

/// A programmer's mistake becomes what Node throws: a `TypeError` or a `RangeError` with its code.
impl JsError for OptionError {
    fn into_record(self) -> String {
        let class = match self.class {
            OptionErrorClass::Range => "RangeError",
            OptionErrorClass::Type | OptionErrorClass::Value => "TypeError",
        };
        marked(&json!({ "class": class, "code": self.code(), "message": self.message }))
    }
}

/// Throws `error` into the running call.
pub(crate) fn to_js_error(env: &Env, error: impl JsError) -> Error {
    throw_record(env, &error.into_record())
}

/// Results whose errors a binding function throws.
pub(crate) trait OrThrow<T> {
    /// The value; an error is thrown into the running call.
    fn or_throw(self, env: &Env) -> Result<T>;
}

impl<T, E: JsError> OrThrow<T> for std::result::Result<T, E> {
    fn or_throw(self, env: &Env) -> Result<T> {
        self.map_err(|error| to_js_error(env, error))
    }
}

/// An error that is made here is of the realm that loaded the addon; the caller's may be another (a `vm` context, as in
/// Jest). So a record is thrown, and `lib/` makes the error.
fn throw_record(env: &Env, record: &str) -> Error {
    let mut thrown = std::ptr::null_mut();
    // SAFETY: `env` is the environment of the running call.
    unsafe {
        if create_string(env.raw(), record, &raw mut thrown) != sys::Status::napi_ok {
            return Error::from_reason("the error is too long to be reported");
        }
        sys::napi_throw(env.raw(), thrown);
    }
    Error::new(Status::PendingException, String::new())
}
