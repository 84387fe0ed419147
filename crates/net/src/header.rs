//! Values of headers, as a caller writes them.

use http::HeaderValue;

/// A value as it goes over the wire, one byte for each character: a header is Latin-1, as in Fetch and in Node. The error
/// says why it is none.
pub fn header_value(text: &str) -> Result<HeaderValue, &'static str> {
    let unfit = "contains a character that is not allowed in a header";
    if text.is_ascii() {
        return HeaderValue::from_str(text).map_err(|_| unfit);
    }
    let latin1: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    let bytes = latin1.map_err(|_| "contains a character outside Latin-1")?;
    HeaderValue::from_bytes(&bytes).map_err(|_| unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_a_byte_or_there_is_no_value() {
        assert_eq!(header_value("caf\u{e9}").unwrap().as_bytes(), b"caf\xe9");
        assert_eq!(header_value("a\tb").unwrap(), "a\tb");
        assert!(header_value("\u{65e5}").unwrap_err().ends_with("Latin-1"));
        for unfit in ["a\rb", "a\n", "\0", "\u{7f}", "\u{e9}\n"] {
            assert!(header_value(unfit).is_err(), "{unfit:?}");
        }
    }
}
