//! The one crossing between JavaScript and Rust.
//!
//! A binding function hands a future to [`promise`]; it runs on the process's one runtime, and its outcome
//! goes into the queue of the JavaScript environment that asked. One wake-up settles everything that has
//! collected there, because a wake-up costs ten times what a settlement does. The queue keeps the process
//! alive only while something is in flight, and closes with its environment: what comes later is dropped.
//!
//! - [`queue`]: the queue and its wake-ups.
//! - [`environment`]: the state of an environment, and the settling of its promises. The order of Node-API calls is there.
//! - [`promise`]: promises, and how a future's outcome becomes theirs.
//! - [`argument`]: single values as arguments.
//! - [`spin_wait`]: waiting in place for what takes less time than falling asleep.
//! - [`callback`]: JavaScript functions that native code calls later, through the same queue.
//! - [`cancel`]: the cancellation of a running future by an `AbortSignal`.
//! - [`lib_functions`]: the functions of `lib/` that the bridge calls.
//! - [`failure`]: failures and programmer's mistakes as records, of which `lib/` makes errors.
//! - [`raw_argument`]: arguments that are taken over whole, within bounds.
//! - [`handle`]: native objects held by JavaScript.
//! - [`function`]: hand-written functions for the calls that must cost a tenth of a microsecond.
//! - [`notifier`]: wakes JavaScript for what a queue has received.
//! - [`packed`]: arrays of many small values.
//! - [`value`]: values on their way to JavaScript.
//! - [`view`]: the bytes of views and the text of strings, on their way from it.
//!
//! `unsafe` is allowed here and nowhere else in the addon.

mod argument;
mod array;
mod callback;
mod cancel;
mod environment;
mod failure;
mod function;
mod handle;
mod lib_functions;
mod notifier;
mod packed;
mod promise;
mod queue;
mod raw_argument;
mod runtime;
mod spin_wait;
mod value;
mod view;

pub(crate) use argument::Argument;
pub(crate) use callback::Callback;
pub(crate) use cancel::Cancel;
pub(crate) use failure::{OrThrow, failure_json, to_js_error};
pub(crate) use function::{Call, Exports, Function, ReturnValue};
#[cfg(feature = "test-hooks")]
pub(crate) use handle::Foreign;
pub(crate) use handle::Handle;
pub(crate) use notifier::{Received, notifier};
pub(crate) use packed::{Element, Packed};
pub(crate) use promise::{PromiseValue, Reply, deferred, environment_closed, promise, spawn};
pub(crate) use raw_argument::RawArgument;
pub(crate) use runtime::{runtime, silence_panic_hook, try_runtime};
pub(crate) use spin_wait::spin_for_completion;
pub(crate) use value::Value;
