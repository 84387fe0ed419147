//! Hand-written functions, for the calls that must cost a tenth of a microsecond.
//!
//! A `#[napi]` function spends most of its time converting; taking a free slot or asking a breaker is
//! cheaper than that. Such a call implements [`Function`] and reads its arguments from a [`Call`].

use std::{
    cell::RefCell,
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use napi::{Env, JsValue, Result, bindgen_prelude::Object, check_status, sys};

use super::{
    Handle, PromiseValue, lib_functions::throw_defect, promise::keep_alive, value::create_string,
    view::view_bytes,
};

/// No hand-written function takes more arguments.
const MAX_ARGUMENTS: usize = 7;
/// A reused buffer that grew beyond this is given back after the call.
const KEPT_TEXT_BYTES: usize = 64 * 1024;

thread_local! {
    static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One exported function.
pub(crate) trait Function {
    /// Its name in JavaScript. Its type stands in `fast.d.ts` beside it, under the same name.
    const NAME: &'static CStr;
    /// The work. It runs on the JavaScript thread and must not wait.
    fn run(call: &Call) -> ReturnValue;
}

/// The return value of a hand-written function.
pub(crate) enum ReturnValue {
    Undefined,
    Bool(bool),
    Integer(i32),
    Number(f64),
    Text(String),
    Promise(PromiseValue),
}

/// The arguments of a running call.
pub(crate) struct Call {
    env: sys::napi_env,
    arguments: [sys::napi_value; MAX_ARGUMENTS],
    count: usize,
}

impl Call {
    /// The environment of the running call, to make a promise in.
    pub(crate) fn env(&self) -> Env {
        Env::from_raw(self.env)
    }

    fn argument(&self, index: usize) -> Option<sys::napi_value> {
        (index < self.count).then(|| self.arguments[index])
    }

    /// A native object.
    pub(crate) fn handle<T: 'static>(&self, index: usize) -> Option<&Arc<T>> {
        // SAFETY: an argument of the running call.
        self.argument(index)
            .and_then(|value| unsafe { Handle::borrow(self.env, value) })
    }

    /// A number; `None` when it is something else.
    pub(crate) fn number(&self, index: usize) -> Option<f64> {
        let mut number = 0.0;
        let value = self.argument(index)?;
        // SAFETY: an argument of the running call.
        let status = unsafe { sys::napi_get_value_double(self.env, value, &raw mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// A small whole number; `None` when it is something else.
    pub(crate) fn index(&self, index: usize) -> Option<u32> {
        let mut number = 0;
        let value = self.argument(index)?;
        // SAFETY: an argument of the running call.
        let status = unsafe { sys::napi_get_value_uint32(self.env, value, &raw mut number) };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// A boolean; `None` when it is something else.
    pub(crate) fn flag(&self, index: usize) -> Option<bool> {
        let mut flag = false;
        let value = self.argument(index)?;
        // SAFETY: an argument of the running call.
        let status = unsafe { sys::napi_get_value_bool(self.env, value, &raw mut flag) };
        (status == sys::Status::napi_ok).then_some(flag)
    }

    /// Keeps the process alive until it is called with `false`.
    pub(crate) fn keep_alive(&self, keep: bool) {
        // SAFETY: a running call is on its environment's thread.
        unsafe { keep_alive(self.env, keep) }
    }

    /// Lends the bytes of a string (as UTF-8), a typed array, a `Buffer` or an `ArrayBuffer`; `None` when
    /// it is something else. `read` must not call JavaScript.
    pub(crate) fn with_bytes<R>(&self, index: usize, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let value = self.argument(index)?;
        let mut kind = 0;
        // SAFETY: arguments of the running call; the view is used within it.
        unsafe {
            sys::napi_typeof(self.env, value, &raw mut kind);
            match kind {
                sys::ValueType::napi_string => self.with_text(value, read),
                sys::ValueType::napi_object => view_bytes(self.env, value).ok().flatten().map(read),
                _ => None,
            }
        }
    }

    unsafe fn with_text<R>(
        &self,
        value: sys::napi_value,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Option<R> {
        // Received out while in use, so that a nested call finds an empty one and not a locked one.
        let mut buffer = TEXT.with(RefCell::take);
        let mut length = 0;
        // SAFETY: the first call asks for the length, the second writes within the capacity.
        unsafe {
            if !self.write_text(value, &mut buffer, &mut length) {
                return None;
            }
            buffer.set_len(length);
        }
        let result = read(&buffer);
        buffer.clear();
        if buffer.capacity() <= KEPT_TEXT_BYTES {
            TEXT.with(|kept| kept.replace(buffer));
        }
        Some(result)
    }

    /// Writes the string into `buffer`, growing it only when it may not fit.
    unsafe fn write_text(
        &self,
        value: sys::napi_value,
        buffer: &mut Vec<u8>,
        length: &mut usize,
    ) -> bool {
        // SAFETY: Node writes at most `capacity` bytes, the closing NUL included.
        unsafe {
            let room = buffer.capacity();
            let status = sys::napi_get_value_string_utf8(
                self.env,
                value,
                buffer.as_mut_ptr().cast(),
                room,
                length,
            );
            // A result that nearly fills the room may have been cut: a character takes up to four bytes.
            if room > 8 && status == sys::Status::napi_ok && *length + 8 < room {
                return true;
            }
            if sys::napi_get_value_string_utf8(self.env, value, ptr::null_mut(), 0, length)
                != sys::Status::napi_ok
            {
                return false;
            }
            buffer.reserve(*length + 16);
            let room = buffer.capacity();
            sys::napi_get_value_string_utf8(
                self.env,
                value,
                buffer.as_mut_ptr().cast(),
                room,
                length,
            ) == sys::Status::napi_ok
        }
    }
}

/// The exports of the addon while it loads.
pub(crate) struct Exports<'a> {
    env: Env,
    object: Object<'a>,
}

impl<'a> Exports<'a> {
    pub(crate) fn new(env: Env, object: Object<'a>) -> Self {
        Self { env, object }
    }

    /// Adds one hand-written function. It throws nothing but defects, and is not enumerable: so `lib/` leaves it as it is,
    /// where it puts what makes errors around the others.
    pub(crate) fn add<F: Function>(&self) -> Result<()> {
        let (env, mut function) = (self.env.raw(), ptr::null_mut());
        // SAFETY: the name is NUL-terminated and static.
        unsafe {
            check_status!(sys::napi_create_function(
                env,
                F::NAME.as_ptr(),
                F::NAME.count_bytes() as isize,
                Some(trampoline::<F>),
                ptr::null_mut(),
                &raw mut function
            ))?;
            let property = sys::napi_property_descriptor {
                utf8name: F::NAME.as_ptr(),
                name: ptr::null_mut(),
                method: None,
                getter: None,
                setter: None,
                value: function,
                attributes: sys::PropertyAttributes::default,
                data: ptr::null_mut(),
            };
            let object = self.object.raw();
            check_status!(sys::napi_define_properties(
                env,
                object,
                1,
                &raw const property
            ))
        }
    }
}

unsafe extern "C" fn trampoline<F: Function>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    let mut arguments = [ptr::null_mut(); MAX_ARGUMENTS];
    let mut count = MAX_ARGUMENTS;
    // SAFETY: Node fills at most `count` arguments.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
        );
    }
    let call = Call {
        env,
        arguments,
        count: count.min(MAX_ARGUMENTS),
    };
    let answer = catch_unwind(AssertUnwindSafe(|| F::run(&call)));
    // SAFETY: in the running call.
    unsafe { give(env, answer.ok()) }
}

unsafe fn give(env: sys::napi_env, answer: Option<ReturnValue>) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the caller vouches for `env`; strings outlive their calls.
    unsafe {
        match answer {
            Some(ReturnValue::Undefined) => sys::napi_get_undefined(env, &raw mut value),
            Some(ReturnValue::Bool(flag)) => sys::napi_get_boolean(env, flag, &raw mut value),
            Some(ReturnValue::Integer(number)) => {
                sys::napi_create_int32(env, number, &raw mut value)
            }
            Some(ReturnValue::Number(number)) => {
                sys::napi_create_double(env, number, &raw mut value)
            }
            Some(ReturnValue::Text(text)) => create_string(env, &text, &raw mut value),
            Some(ReturnValue::Promise(promise)) => return promise.value(),
            None => {
                throw_defect(env);
                return ptr::null_mut();
            }
        };
    }
    value
}
