//! Single values as arguments, refused in Node's words where they are of another type.

use moorline_core::options::{CopyBudget, OptionError, PlainValue};
use napi::{
    Env, Result, ValueType,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::{failure::to_js_error, raw_argument::RawArgument, view::read_text};

/// An argument that a user gives, as it is. Its value is had by naming it, and one of another type throws a `TypeError`
/// with that name; what `lib/` itself passes needs none of this.
pub(crate) struct Argument<T> {
    env: sys::napi_env,
    value: std::result::Result<T, PlainValue>,
}

impl<T: ArgumentType> Argument<T> {
    /// The value; `name` is the argument's name for users.
    pub(crate) fn value_or_throw(self, name: &str) -> Result<T> {
        self.value.map_err(|given| {
            let error = OptionError::wrong_type(name, T::EXPECTED, &given);
            to_js_error(&Env::from_raw(self.env), error)
        })
    }
}

/// A type that an [`Argument`] may have.
pub(crate) trait ArgumentType: Sized {
    /// The words for it in messages.
    const EXPECTED: &'static str;

    /// # Safety
    /// `value` belongs to the running call, and is of the type `kind`.
    unsafe fn read(
        env: sys::napi_env,
        value: sys::napi_value,
        kind: sys::napi_valuetype,
    ) -> Result<std::result::Result<Self, PlainValue>>;
}

impl ArgumentType for String {
    const EXPECTED: &'static str = "a string";

    unsafe fn read(
        env: sys::napi_env,
        value: sys::napi_value,
        kind: sys::napi_valuetype,
    ) -> Result<std::result::Result<Self, PlainValue>> {
        // SAFETY: as for this function.
        unsafe {
            if kind == sys::ValueType::napi_string {
                let text = read_text(env, value, &mut CopyBudget::default())?;
                return Ok(text.map_err(|excess| PlainValue::Excess(Box::new(excess))));
            }
            describe_wrong_type(env, value, kind)
        }
    }
}

impl ArgumentType for f64 {
    const EXPECTED: &'static str = "a number";

    unsafe fn read(
        env: sys::napi_env,
        value: sys::napi_value,
        kind: sys::napi_valuetype,
    ) -> Result<std::result::Result<Self, PlainValue>> {
        // SAFETY: as for this function.
        unsafe {
            if kind == sys::ValueType::napi_number {
                return f64::from_napi_value(env, value).map(Ok);
            }
            describe_wrong_type(env, value, kind)
        }
    }
}

impl<T: ArgumentType> ArgumentType for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    unsafe fn read(
        env: sys::napi_env,
        value: sys::napi_value,
        kind: sys::napi_valuetype,
    ) -> Result<std::result::Result<Self, PlainValue>> {
        if kind == sys::ValueType::napi_undefined {
            return Ok(Ok(None));
        }
        // SAFETY: as for this function.
        unsafe { T::read(env, value, kind) }.map(|read| read.map(Some))
    }
}

/// Describes a value of a wrong type. An object is not looked into.
unsafe fn describe_wrong_type<T>(
    env: sys::napi_env,
    value: sys::napi_value,
    kind: sys::napi_valuetype,
) -> Result<std::result::Result<T, PlainValue>> {
    if kind == sys::ValueType::napi_object {
        return Ok(Err(PlainValue::Map(Vec::new())));
    }
    // SAFETY: as for this function.
    unsafe { RawArgument::from_napi_value(env, value) }.map(|given| Err(given.0))
}

impl<T> TypeName for Argument<T> {
    fn type_name() -> &'static str {
        "unknown"
    }
    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl<T> ValidateNapiValue for Argument<T> {}

impl<T: ArgumentType> FromNapiValue for Argument<T> {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut kind = 0;
        // SAFETY: napi passes the running call's environment and one of its arguments.
        unsafe {
            check_status!(sys::napi_typeof(env, value, &raw mut kind))?;
            let value = T::read(env, value, kind)?;
            Ok(Self { env, value })
        }
    }
}
