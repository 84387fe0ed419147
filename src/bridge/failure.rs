//! Failures as JavaScript receives them.

use std::ffi::CString;

use moorline_core::{
    error::{Failure, Fields, Kind},
    options::{OptionError, OptionErrorClass},
};
use napi::{Env, Error, Status, sys};
use serde_json::{Map, Value as Json, json};

/// The record of a failure as JSON text: one string crosses instead of a dozen properties, and `lib/`
/// dresses it as a `MoorlineError` where the caller's stack is.
pub(crate) fn record(failure: Failure) -> String {
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
    Json::Object(record).to_string()
}

/// The code of a value that could not be made. V8's limit of a string is the one thing that a value can exceed.
pub(super) fn code(error: &Error) -> &'static str {
    if error.status == Status::StringExpected {
        "ERR_STRING_TOO_LONG"
    } else {
        Kind::Internal.default_code()
    }
}

/// Throws a programmer's mistake as Node does: `TypeError` or `RangeError` with Node's own code.
pub(crate) fn throw(env: &Env, error: &OptionError) -> Error {
    let code = CString::new(error.code()).unwrap_or_default();
    let message = CString::new(error.message.replace('\0', "\\0")).unwrap_or_default();
    let throw = match error.class {
        OptionErrorClass::Range => sys::napi_throw_range_error,
        OptionErrorClass::Type | OptionErrorClass::Value => sys::napi_throw_type_error,
    };
    // SAFETY: `env` is the environment of the running call; both strings end with NUL and outlive it.
    unsafe { throw(env.raw(), code.as_ptr(), message.as_ptr()) };
    Error::new(Status::PendingException, String::new())
}
