//! JSON that is written by hand, where a result is written value by value.

use std::fmt::Write;

/// Characters of a JavaScript string at most: UTF-16 units, of which a text has no more than bytes.
pub const MAX_STRING_LENGTH: usize = (1 << 29) - 24;

/// Appends `text` as a JSON string. Most text needs no escape and is copied in one piece.
pub fn quote(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        json.push_str(&rest[..at]);
        let _ = match rest.as_bytes()[at] {
            b'\n' => write!(json, "\\n"),
            byte @ (b'"' | b'\\') => write!(json, "\\{}", char::from(byte)),
            byte => write!(json, "\\u{byte:04x}"),
        };
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_survives(text in ".*") {
            let mut json = String::new();
            quote(&mut json, &text);
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
