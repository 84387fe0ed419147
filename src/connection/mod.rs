//! The options of connections of every protocol, read once each.

mod call;
pub(crate) mod metrics;
pub(crate) mod policy;

use moorline_core::{
    connection::{
        config::ConnectionConfig,
        defaults,
        security::SecurityLevel,
        transport::{Transport, check_custom},
        variables::configured,
    },
    health::Status,
    options::{OptionError, Options, PlainValue, Read},
    secret,
};
use moorline_net::dial::DialConfig;
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;

pub(crate) use self::call::{AdmittedCall, CallContext};
use crate::bridge::{Handle, OrThrow, RawArgument, to_js_error};

/// The options of one connection, as they are in force.
pub struct ResolvedConnectionConfig {
    config: ConnectionConfig,
    /// `name`, else the type of the connection.
    name: String,
    /// Whether its transport checks certificates.
    checks_certificates: bool,
}

/// Reads the options of a connection of type `connection_type`; `variables` are environment variables. Descriptions,
/// policies and transports are made from what it returns.
#[napi(catch_unwind, ts_return_type = "Handle<ResolvedConnectionConfig>")]
pub fn connection_read_options(
    env: Env,
    options: RawArgument,
    variables: RawArgument,
    connection_type: RawArgument,
) -> Result<Handle<ResolvedConnectionConfig>> {
    let read = |type_name| ConnectionConfig::read(&options.0, &variables.0, type_name);
    let config = match &connection_type.0 {
        PlainValue::Text(type_name) => read(Some(type_name)),
        PlainValue::Undefined => read(None),
        // An invalid value is refused when the option is read.
        other => read(None).and(Err(OptionError::wrong_type("type", "a string", other))),
    };
    let resolve = || -> Read<ResolvedConnectionConfig> {
        let config = config?;
        let dial = config.dial_options();
        let dial = Options::new("options", &dial)?;
        let dial = DialConfig::read(&dial)?.with_tunnel(&dial)?;
        let type_name = connection_type.text().unwrap_or_default();
        Ok(ResolvedConnectionConfig {
            name: config.name.clone().unwrap_or_else(|| type_name.to_owned()),
            config,
            checks_certificates: dial.tls.reject_unauthorized,
        })
    };
    resolve().map(Handle::new).or_throw(&env)
}

/// The options in force, as JSON.
#[napi(catch_unwind)]
pub fn connection_encode_options(options: Handle<ResolvedConnectionConfig>) -> String {
    options.config.describe().to_string()
}

/// Whether certificates are checked.
#[napi(catch_unwind)]
pub fn connection_checks_certificates(options: Handle<ResolvedConnectionConfig>) -> bool {
    options.checks_certificates
}

/// The options of a transport: those `given`, and those of its connection, where it has one.
pub(crate) fn transport_options(
    transport: Transport,
    given: RawArgument,
    connection: Option<&Handle<ResolvedConnectionConfig>>,
) -> PlainValue {
    match connection {
        Some(connection) => connection.config.transport_options(transport, given.0),
        None => given.0,
    }
}

/// The defaults of what runs in JavaScript, as JSON.
#[napi(catch_unwind)]
pub fn connection_defaults() -> String {
    defaults::defaults().to_string()
}

/// The overall health of several connections by the number in each status; `null` where none was checked yet.
#[napi(catch_unwind)]
pub fn connection_overall_health(
    healthy: u32,
    degraded: u32,
    unhealthy: u32,
) -> Option<&'static str> {
    Status::of_counts(healthy, degraded, unhealthy).map(Status::as_str)
}

/// The types of connections that environment variables configure.
#[napi(catch_unwind)]
pub fn connection_configured_types(variables: RawArgument) -> Vec<&'static str> {
    configured(&variables.0)
}

/// Refuses keys of the `customOptions` of a connection of type `connection_type` that it does not read; `outer` are the
/// options beside them.
#[napi(catch_unwind)]
pub fn connection_check_custom_options(
    env: Env,
    keys: Vec<String>,
    connection_type: String,
    outer: Vec<String>,
) -> Result<()> {
    check_custom(&keys, &connection_type, &outer).map_err(|error| to_js_error(&env, error))
}

/// A URL without user info, query and fragment.
#[napi(catch_unwind)]
pub fn redact_url(url: String) -> String {
    secret::redact_url(&url)
}

/// Whether a header of that name can be shown, and go to another origin.
#[napi(catch_unwind)]
pub fn is_harmless_header(name: String) -> bool {
    secret::is_harmless_header(&name)
}

/// The rules of a security level, as JSON.
#[napi(catch_unwind)]
pub fn connection_security(env: Env, options: RawArgument) -> Result<String> {
    let read = || {
        let options = Options::new("", &options.0)?;
        let level = options.choice("level", SecurityLevel::default(), &SecurityLevel::CHOICES)?;
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
