//! Webhook signatures: core's verifier as functions over a handle.

mod encode;
mod fast;

use std::sync::Mutex;

use moorline_core::{
    options::{OptionError, PlainValue},
    sync::lock,
    webhook::{
        Headers, IncomingRequest, MemoryReplayStore, OutgoingRequest, Reason, ReplayStore,
        Verifier as WebhookVerifier, VerifierConfig, mac, parse_signature, read_secrets, read_ttl,
        receive_defaults,
    },
};
use napi::{Env, Result};
use napi_derive::napi;
use serde_json::json;

pub(crate) use self::fast::register;
use self::fast::{RequestHead, body_only};
use crate::bridge::{Argument, Handle, OrThrow, RawArgument, to_js_error};

/// A verifier from `{ secret, maxAgeMs, toleranceMs, scheme, url }`; `has_replay_store`: accepted requests are remembered.
#[napi(catch_unwind)]
pub fn webhook_create(
    env: Env,
    options: RawArgument,
    has_replay_store: bool,
) -> Result<Handle<WebhookVerifier>> {
    VerifierConfig::read(&options.0)
        .map(WebhookVerifier::new)
        .and_then(|verifier| {
            verifier.check_secrets()?;
            if has_replay_store {
                verifier.check_replay()?;
            }
            Ok(Handle::new(verifier))
        })
        .or_throw(&env)
}

/// The defaults of receiving, and of a store in memory, as JSON.
#[napi(catch_unwind)]
pub fn webhook_defaults() -> String {
    receive_defaults().to_string()
}

/// The same verifier under another secret or other secrets.
#[napi(catch_unwind)]
pub fn webhook_with_secrets(
    env: Env,
    verifier: Handle<WebhookVerifier>,
    secret: RawArgument,
) -> Result<Handle<WebhookVerifier>> {
    read_secrets("secret", Some(&secret.0))
        .map(|secrets| Handle::new(verifier.with_secrets(secrets)))
        .or_throw(&env)
}

/// The names of the headers a verifier may look at, in lower case.
#[napi(catch_unwind)]
pub fn webhook_header_names(verifier: Handle<WebhookVerifier>) -> Vec<String> {
    verifier.header_names()
}

/// From how many bytes on a body's HMAC is to be computed by node:crypto; infinite where we are as fast.
#[napi(catch_unwind)]
pub fn webhook_external_mac_min_bytes() -> f64 {
    if mac::prefers_external_mac() {
        mac::LARGE_BODY_BYTES as f64
    } else {
        f64::INFINITY
    }
}

/// The headers of a signed request as JSON, the signature's first: `[["stripe-signature", "t=…"], …]`.
#[napi(catch_unwind)]
pub fn webhook_sign(
    env: Env,
    verifier: Handle<WebhookVerifier>,
    payload: RawArgument,
    at_ms: f64,
    id: Argument<Option<String>>,
    method: Argument<Option<String>>,
    url: Argument<Option<String>>,
) -> Result<String> {
    let (id, method, url) = (
        id.value_or_throw("signing.id")?,
        method.value_or_throw("signing.method")?,
        url.value_or_throw("signing.url")?,
    );
    let Some(body) = bytes_of(&payload.0) else {
        let error = OptionError::wrong_type("payload", "a string or bytes", &payload.0);
        return Err(to_js_error(&env, error));
    };
    let outgoing = OutgoingRequest {
        body,
        at_ms: at_ms as i64,
        id: id.as_deref(),
        method: method.as_deref(),
        url: url.as_deref(),
    };
    verifier
        .sign(&outgoing)
        .map(|signed| json!(signed.headers).to_string())
        .map_err(|reason| {
            let text = match reason {
                Reason::Error(text) => text.into_owned(),
                other => other.to_string(),
            };
            to_js_error(&env, OptionError::bad_value("sign():", text))
        })
}

/// The parts of one of the generic forms as JSON; nothing for any other text.
#[napi(catch_unwind)]
pub fn webhook_parse_signature(header: String, now_ms: f64) -> Option<String> {
    let parsed = parse_signature(&header, now_ms as i64)?;
    let mut found = json!({ "timestamp": parsed.timestamp, "signature": parsed.signature });
    if let Some(version) = parsed.version {
        found["version"] = version.into();
    }
    Some(found.to_string())
}

/// The replay store behind a handle.
pub struct WebhookReplayStore(Mutex<MemoryReplayStore>);

/// A store that remembers accepted requests in this process.
#[napi(catch_unwind)]
pub fn webhook_replay_create(capacity: f64) -> Handle<WebhookReplayStore> {
    Handle::new(WebhookReplayStore(Mutex::new(MemoryReplayStore::new(
        capacity as usize,
    ))))
}

/// Remembers `key` for `ttl_ms`, and returns whether it is new.
#[napi(catch_unwind)]
pub fn webhook_replay_remember(
    env: Env,
    store: Handle<WebhookReplayStore>,
    key: Argument<String>,
    ttl_ms: Argument<f64>,
    now_ms: f64,
) -> Result<bool> {
    let (key, ttl_ms) = (key.value_or_throw("key")?, ttl_ms.value_or_throw("ttlMs")?);
    let ttl = read_ttl("ttlMs", ttl_ms).or_throw(&env)?;
    Ok(lock(&store.0.0).remember(&key, ttl, now_ms as i64))
}

/// Returns whether `key` is remembered.
#[napi(catch_unwind)]
pub fn webhook_replay_has(
    store: Handle<WebhookReplayStore>,
    key: Argument<String>,
    now_ms: f64,
) -> Result<bool> {
    Ok(lock(&store.0.0).has(&key.value_or_throw("key")?, now_ms as i64))
}

/// Forgets `key`.
#[napi(catch_unwind)]
pub fn webhook_replay_forget(
    store: Handle<WebhookReplayStore>,
    key: Argument<String>,
) -> Result<()> {
    lock(&store.0.0).forget(&key.value_or_throw("key")?);
    Ok(())
}

/// The answer to a provider that checks the owner of the endpoint, as JSON; nothing for any other request.
#[napi(catch_unwind)]
pub fn webhook_challenge(
    verifier: Handle<WebhookVerifier>,
    payload: RawArgument,
    head: String,
    now_ms: f64,
) -> Option<String> {
    let body = bytes_of(&payload.0)?;
    let head = RequestHead::read(&head);
    let verification = verifier.verify_request(&IncomingRequest {
        headers: Headers(&head.headers),
        method: head.method,
        url: head.url,
        ..body_only(body, now_ms as i64)
    });
    let answer = verifier.challenge(&verification, body)?;
    Some(answer.to_string())
}

fn bytes_of(payload: &PlainValue) -> Option<&[u8]> {
    match payload {
        PlainValue::Text(text) => Some(text.as_bytes()),
        PlainValue::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}
