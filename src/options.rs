//! The error of an unknown key, for the options that are read in JavaScript.

use moorline_core::options::OptionError;
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::to_js_error;

/// Throws the error of the key at `path` that is none of the `known` ones.
#[napi(catch_unwind)]
pub fn reject_unknown_option(
    env: Env,
    path: String,
    key: String,
    known: Vec<String>,
) -> Result<()> {
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    Err(to_js_error(&env, OptionError::unknown(&path, &key, &known)))
}
