//! The request of the handshake: URL, headers, sub-protocols.

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::{
    options::{OptionError, Options, PlainValue, Read},
    secret::Secret,
};
use moorline_net::header::header_value;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

/// The URL as it is asked for, and the credentials it carried.
pub(super) fn read_url(options: &Options<'_>) -> Read<(Url, Option<HeaderValue>)> {
    // Not shown in a message: it may hold a password.
    let refuse = |reason| OptionError::bad_value(&options.path_of("url"), reason);
    let mut url = Url::parse(options.required_text("url")?)
        .map_err(|error| refuse(format!("is not a URL: {error}")))?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        other => {
            return Err(refuse(format!(
                "must begin with ws://, wss://, http:// or https://, not {other}:"
            )));
        }
    };
    if url.fragment().is_some() {
        return Err(refuse("must have no fragment".to_owned()));
    }
    if !url.has_host() || url.set_scheme(scheme).is_err() {
        return Err(refuse("must have a host".to_owned()));
    }
    let authorization = credentials(&url);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url, authorization))
}

fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain = percent_decode(url.username());
    plain.push(b':');
    plain.extend(percent_decode(url.password().unwrap_or("")));
    let plain = Secret::new(plain);
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain.expose()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let hex = |at: usize| {
        bytes
            .get(at)
            .and_then(|digit| char::from(*digit).to_digit(16))
    };
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

pub(super) fn read_headers(options: &Options<'_>) -> Read<HeaderMap> {
    let mut headers = HeaderMap::new();
    let entries = match options.value("headers") {
        None => return Ok(headers),
        Some(PlainValue::Map(entries)) => entries,
        Some(other) => {
            let path = options.path_of("headers");
            return Err(OptionError::wrong_type(&path, "an object", other));
        }
    };
    for (name, value) in entries {
        let path = format!("{}.{name}", options.path_of("headers"));
        let values = match value {
            PlainValue::Undefined => continue,
            PlainValue::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let lower = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| OptionError::bad_value(&path, "is not a valid header name"))?;
        if is_ours(&lower) {
            return Err(OptionError::bad_value(
                &path,
                "is set by the handshake and cannot be given",
            ));
        }
        for value in values {
            let PlainValue::Text(text) = value else {
                return Err(OptionError::wrong_type(&path, "a string", value));
            };
            let value =
                header_value(text).map_err(|reason| OptionError::bad_value(&path, reason))?;
            headers.append(lower.clone(), value);
        }
    }
    Ok(headers)
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("sec-websocket-")
        || [
            header::CONNECTION,
            header::UPGRADE,
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
        ]
        .contains(name)
}

pub(super) fn read_protocols(options: &Options<'_>) -> Read<Vec<String>> {
    let path = options.path_of("protocols");
    let given = match options.value("protocols") {
        None => &[],
        Some(PlainValue::List(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut protocols = Vec::with_capacity(given.len());
    for item in given {
        let PlainValue::Text(name) = item else {
            return Err(OptionError::wrong_type(
                &path,
                "a string or an array of strings",
                item,
            ));
        };
        // A token of HTTP has the same characters as the name of a header.
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(OptionError::bad_value(
                &path,
                "contains an invalid sub-protocol name",
            ));
        }
        if protocols.contains(name) {
            return Err(OptionError::bad_value(
                &path,
                "contains a sub-protocol twice",
            ));
        }
        protocols.push(name.clone());
    }
    Ok(protocols)
}
