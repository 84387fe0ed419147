//! The head of an answer as it crosses: three digits of status, seven of the length of its headers, the headers as
//! lines. A textual body follows in the same string; `lib/` looks into it only where it is asked to.

use std::fmt::Write;

use http::{HeaderMap, header};

/// Whether the body is text that JavaScript will want as a string.
pub(crate) fn is_utf8_text(headers: &HeaderMap) -> bool {
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
pub(crate) fn head_of(
    status: u16,
    url: Option<http::Uri>,
    headers: &HeaderMap,
    room: usize,
) -> String {
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
