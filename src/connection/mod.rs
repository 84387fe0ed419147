//! What connections of every protocol share: their options.

pub(crate) mod figures;
pub(crate) mod policy;

use moorline_core::{
    connection::{
        config::ConnectionConfig, security::SecurityLevel, transport::check_custom,
        variables::configured,
    },
    options::{OptionError, Options, Plain},
    secret,
};
use moorline_net::dial::DialConfig;
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;

use crate::bridge::{RawArgument, to_js_error};

/// The complete options of a connection of type `kind` as JSON; `variables` are environment variables.
#[napi(catch_unwind)]
pub fn connection_config(
    env: Env,
    options: RawArgument,
    variables: RawArgument,
    kind: RawArgument,
) -> Result<String> {
    let read = |kind| ConnectionConfig::read(&options.0, &variables.0, kind);
    let config = match &kind.0 {
        Plain::Text(kind) => read(Some(kind)),
        Plain::Undefined => read(None),
        // Where it is the option's own value, reading the option says so.
        other => read(None).and(Err(OptionError::wrong_type("type", "a string", other))),
    };
    config
        .map(|config| config.describe().to_string())
        .map_err(|error| to_js_error(&env, error))
}

/// The protocols that environment variables say something of.
#[napi(catch_unwind)]
pub fn connection_configured(variables: RawArgument) -> Vec<&'static str> {
    configured(&variables.0)
}

/// Refuses `tls` and `proxy` of a connection that could not be used, or are weaker than its security level; gives
/// whether certificates are checked.
#[napi(catch_unwind)]
pub fn connection_reach(env: Env, options: RawArgument) -> Result<bool> {
    let read = || {
        let options = Options::new("options", &options.0)?;
        let dial = DialConfig::read(&options)?;
        options.finish().map(|()| dial.tls.reject_unauthorized)
    };
    read().map_err(|error| to_js_error(&env, error))
}

/// Refuses keys of the `customOptions` of a connection of type `kind` that it does not read; `outer` are the options beside
/// them.
#[napi(catch_unwind)]
pub fn connection_custom_options(
    env: Env,
    keys: Vec<String>,
    kind: String,
    outer: Vec<String>,
) -> Result<()> {
    check_custom(&keys, &kind, &outer).map_err(|error| to_js_error(&env, error))
}

/// A URL as it may be shown: without user info, query and fragment.
#[napi(catch_unwind)]
pub fn redact_url(url: String) -> String {
    secret::redact_url(&url)
}

/// Whether a header of that name can be shown, and go to another origin.
#[napi(catch_unwind)]
pub fn is_harmless_header(name: String) -> bool {
    secret::is_harmless_header(&name)
}

/// What a security level means, as JSON.
#[napi(catch_unwind)]
pub fn connection_security(env: Env, options: RawArgument) -> Result<String> {
    let read = || {
        let options = Options::new("", &options.0)?;
        let level = options.choice("level", SecurityLevel::default(), &SecurityLevel::NAMED)?;
        options.finish().map(|()| level.requirements())
    };
    let requirements = read().map_err(|error| to_js_error(&env, error))?;
    let described = json!({
        "securityLevel": requirements.level.as_str(),
        "certificateValidation": requirements.certificates,
        "plainText": requirements.plain_text.as_str(),
        "minTlsVersion": requirements.tls.as_str(),
        "httpsOnlyRedirects": requirements.https_stays,
        "publicAddressesOnly": requirements.public_only,
    });
    Ok(described.to_string())
}
