//! Arguments that are copied completely, within limits.

use std::ptr;

use moorline_core::options::{CopyBudget, Excess, NativeObject, PlainValue};
use napi::{
    Error, Result, ValueType,
    bindgen_prelude::{FromNapiValue, TypeName, ValidateNapiValue},
    check_status, sys,
};

use super::{
    handle::Handle,
    view::{copy_bytes, read_text, view_bytes},
};

/// The most elements that memory is allocated for in advance, since a length alone proves nothing.
const EXPECTED_ELEMENTS: usize = 1024;
/// The number of elements that share a handle scope.
const SCOPE_ELEMENTS: u32 = 1024;

/// An argument, copied completely as a [`PlainValue`].
pub(crate) struct RawArgument(pub(crate) PlainValue);

impl RawArgument {
    /// The text of a string; `None` for any other value.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.0 {
            PlainValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl TypeName for RawArgument {
    fn type_name() -> &'static str {
        "unknown"
    }
    fn value_type() -> ValueType {
        ValueType::Unknown
    }
}

impl ValidateNapiValue for RawArgument {}

impl FromNapiValue for RawArgument {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut reader = Reader {
            env,
            budget: CopyBudget::default(),
        };
        // SAFETY: napi passes the running call's environment and one of its arguments.
        match unsafe { reader.read(value, 0) } {
            Ok(plain) => Ok(Self(plain)),
            Err(Stop::Excess(excess)) => Ok(Self(PlainValue::Excess(Box::new(excess)))),
            Err(Stop::Error(error)) => Err(error),
        }
    }
}

/// The reason why reading ends early.
enum Stop {
    /// The value is too large. The reader of the options names the argument.
    Excess(Excess),
    /// A getter or a proxy threw, or Node-API refused.
    Error(Error),
}

impl From<Excess> for Stop {
    fn from(excess: Excess) -> Self {
        Self::Excess(excess)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Stop {
    fn within(self, step: impl std::fmt::Display) -> Self {
        match self {
            Self::Excess(excess) => Self::Excess(excess.within(step)),
            error @ Self::Error(_) => error,
        }
    }
}

struct Reader {
    env: sys::napi_env,
    budget: CopyBudget,
}

impl Reader {
    /// # Safety
    /// `value` belongs to the running call, as for all that follows.
    unsafe fn read(
        &mut self,
        value: sys::napi_value,
        depth: usize,
    ) -> std::result::Result<PlainValue, Stop> {
        self.budget.take_value(depth)?;
        let (env, mut kind) = (self.env, 0);
        // SAFETY: all pointers are to locals that outlive their calls.
        unsafe {
            check_status!(sys::napi_typeof(env, value, &raw mut kind))?;
            Ok(match kind {
                sys::ValueType::napi_undefined => PlainValue::Undefined,
                sys::ValueType::napi_null => PlainValue::Null,
                sys::ValueType::napi_boolean => {
                    PlainValue::Bool(bool::from_napi_value(env, value)?)
                }
                sys::ValueType::napi_number => {
                    PlainValue::Number(f64::from_napi_value(env, value)?)
                }
                sys::ValueType::napi_string => PlainValue::Text(self.text(value)?),
                sys::ValueType::napi_bigint => self.bigint(value)?,
                sys::ValueType::napi_object => self.object(value, depth)?,
                sys::ValueType::napi_function => PlainValue::Other("a function"),
                sys::ValueType::napi_symbol => PlainValue::Other("a symbol"),
                _ => match Handle::<NativeObject>::borrow(env, value) {
                    Some(object) => PlainValue::Native(NativeObject::clone(object)),
                    None => PlainValue::Other("an external value"),
                },
            })
        }
    }

    unsafe fn text(&mut self, value: sys::napi_value) -> std::result::Result<String, Stop> {
        // SAFETY: `value` is a string.
        Ok(unsafe { read_text(self.env, value, &mut self.budget) }??)
    }

    unsafe fn bigint(&mut self, value: sys::napi_value) -> std::result::Result<PlainValue, Stop> {
        let (mut integer, mut lossless, mut words) = (0_i64, false, 0);
        // SAFETY: out pointers to locals; `value` is a bigint.
        unsafe {
            check_status!(sys::napi_get_value_bigint_int64(
                self.env,
                value,
                &raw mut integer,
                &raw mut lossless
            ))?;
            if lossless {
                return Ok(PlainValue::Integer(integer));
            }
            // The conversion to decimal takes V8 quadratic time.
            check_status!(sys::napi_get_value_bigint_words(
                self.env,
                value,
                ptr::null_mut(),
                &raw mut words,
                ptr::null_mut()
            ))?;
            if words > SHOWN_WORDS {
                return Ok(PlainValue::BigInteger(format!(
                    "one of {} bits",
                    words * 64
                )));
            }
            let mut text = ptr::null_mut();
            check_status!(sys::napi_coerce_to_string(self.env, value, &raw mut text))?;
            Ok(PlainValue::BigInteger(self.text(text)?))
        }
    }

    unsafe fn object(
        &mut self,
        value: sys::napi_value,
        depth: usize,
    ) -> std::result::Result<PlainValue, Stop> {
        // SAFETY: `value` is an object, which every probe below accepts.
        unsafe {
            let (env, mut is) = (self.env, false);
            check_status!(sys::napi_is_array(env, value, &raw mut is))?;
            if is {
                return self.list(value, depth);
            }
            check_status!(sys::napi_is_date(env, value, &raw mut is))?;
            if is {
                let mut ms = 0.0;
                check_status!(sys::napi_get_date_value(env, value, &raw mut ms))?;
                return Ok(PlainValue::Date(ms));
            }
            if let Some(bytes) = view_bytes(env, value)? {
                return Ok(PlainValue::Bytes(copy_bytes(bytes, &mut self.budget)?));
            }
            check_status!(sys::napi_is_typedarray(env, value, &raw mut is))?;
            if is {
                return Ok(PlainValue::Other("a typed array of an unknown kind"));
            }
            self.map(value, depth)
        }
    }

    unsafe fn list(
        &mut self,
        value: sys::napi_value,
        depth: usize,
    ) -> std::result::Result<PlainValue, Stop> {
        let mut length = 0;
        // SAFETY: `value` is an array.
        unsafe {
            check_status!(sys::napi_get_array_length(self.env, value, &raw mut length))?;
        }
        self.budget.check_list(length)?;
        let mut items = Vec::with_capacity(EXPECTED_ELEMENTS.min(length as usize));
        // SAFETY: as above.
        unsafe {
            self.each(length, |reader, index| {
                let mut item = ptr::null_mut();
                check_status!(sys::napi_get_element(
                    reader.env,
                    value,
                    index,
                    &raw mut item
                ))?;
                let item = reader.read(item, depth + 1);
                items.push(item.map_err(|stop| stop.within(format_args!("[{index}]")))?);
                Ok(())
            })?;
        }
        Ok(PlainValue::List(items))
    }

    unsafe fn map(
        &mut self,
        value: sys::napi_value,
        depth: usize,
    ) -> std::result::Result<PlainValue, Stop> {
        let (mut keys, mut length) = (ptr::null_mut(), 0);
        // SAFETY: `value` is an object.
        unsafe {
            check_status!(sys::napi_get_all_property_names(
                self.env,
                value,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &raw mut keys
            ))?;
            check_status!(sys::napi_get_array_length(self.env, keys, &raw mut length))?;
        }
        self.budget.check_map(length)?;
        let mut entries = Vec::with_capacity(EXPECTED_ELEMENTS.min(length as usize));
        // SAFETY: as above.
        unsafe {
            self.each(length, |reader, index| {
                let (mut key, mut member) = (ptr::null_mut(), ptr::null_mut());
                check_status!(sys::napi_get_element(reader.env, keys, index, &raw mut key))?;
                check_status!(sys::napi_get_property(
                    reader.env,
                    value,
                    key,
                    &raw mut member
                ))?;
                let key = reader.text(key)?;
                let member = reader.read(member, depth + 1);
                let member = member.map_err(|stop| stop.within(format_args!(".{key}")))?;
                if member != PlainValue::Undefined {
                    entries.push((key, member));
                }
                Ok(())
            })?;
        }
        Ok(PlainValue::Map(entries))
    }

    /// Visits each index within handle scopes, so that a long list does not keep a handle for each element.
    unsafe fn each(
        &mut self,
        length: u32,
        mut visit: impl FnMut(&mut Self, u32) -> std::result::Result<(), Stop>,
    ) -> std::result::Result<(), Stop> {
        if length <= SCOPE_ELEMENTS {
            return (0..length).try_for_each(|index| visit(self, index));
        }
        for start in (0..length).step_by(SCOPE_ELEMENTS as usize) {
            let mut scope = ptr::null_mut();
            // SAFETY: what is visited in the scope is read to its end there.
            unsafe {
                check_status!(sys::napi_open_handle_scope(self.env, &raw mut scope))?;
                let end = length.min(start + SCOPE_ELEMENTS);
                let visited = (start..end).try_for_each(|index| visit(self, index));
                sys::napi_close_handle_scope(self.env, scope);
                visited?;
            }
        }
        Ok(())
    }
}

/// A bigint of more words is described by its size.
const SHOWN_WORDS: usize = 16;
