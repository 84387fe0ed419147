//! Responses as `lib/http/response.ts` reads them.
//!
//! A head is text: three digits of status, seven of the length of the headers, the headers as lines. A textual body
//! follows in the same string; `lib/` looks into it only where it is asked to.

use std::fmt::Write;

use http::{HeaderMap, header};
use moorline_net::http::{Response, ResponseBody};

use super::body::HttpBodyReader;
use crate::bridge::{Handle, Value};

/// A text longer than this crosses as bytes, without a copy, and becomes a string when it is asked for.
const MAX_TEXT_BYTES: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An answer as text, or as the text of its head with its body.
pub(super) fn encode(answer: Response) -> Value {
    let is_text = is_utf8_text(&answer.headers);
    match answer.body {
        ResponseBody::Full(body) => {
            let text =
                (is_text && body.len() <= MAX_TEXT_BYTES && !body.starts_with(BYTE_ORDER_MARK))
                    .then(|| std::str::from_utf8(&body).ok())
                    .flatten();
            let mut head = encode_head(
                answer.status.as_u16(),
                answer.url,
                &answer.headers,
                body.len(),
            );
            if let Some(text) = text {
                head.push_str(text);
                return Value::Text(head);
            }
            Value::List(vec![Value::Text(head), Value::Bytes(body.into())])
        }
        ResponseBody::Streaming(streaming) => {
            let head = encode_head(answer.status.as_u16(), answer.url, &answer.headers, 0);
            let body = Handle::new(HttpBodyReader::new(streaming));
            Value::List(vec![Value::Text(head), body.into()])
        }
    }
}

/// Returns whether the body is text that JavaScript will want as a string.
fn is_utf8_text(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let kind = kind.as_bytes().to_ascii_lowercase();
    let (essence, parameters) = match kind.iter().position(|byte| *byte == b';') {
        Some(end) => kind.split_at(end),
        None => (kind.as_slice(), &[][..]),
    };
    let has = |text: &[u8], part: &[u8]| text.windows(part.len()).any(|window| window == part);
    let textual = essence.starts_with(b"text/") || has(essence, b"json") || has(essence, b"xml");
    textual && (!has(parameters, b"charset") || has(parameters, b"utf-8"))
}

/// The head as text, with room for a body after it.
fn encode_head(status: u16, url: Option<http::Uri>, headers: &HeaderMap, room: usize) -> String {
    let mut lines = String::with_capacity(512 + room);
    // The length comes first and is known last.
    lines.push_str("0000000000");
    if let Some(url) = url {
        let _ = writeln!(lines, ":url:{url}");
    }
    for (name, value) in headers {
        lines.push_str(name.as_str());
        lines.push(':');
        match value.to_str() {
            Ok(text) => lines.push_str(text),
            // A header is Latin-1.
            Err(_) => lines.extend(value.as_bytes().iter().copied().map(char::from)),
        }
        lines.push('\n');
    }
    let length = lines.chars().count() - 10;
    lines.replace_range(..10, &format!("{status:03}{length:07}"));
    lines
}
