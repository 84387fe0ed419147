//! `application/x-www-form-urlencoded` over bytes: a form need not be UTF-8.

/// The pairs of such a text, decoded, in their order; one without a `=` has an empty value.
pub(super) fn pairs(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = pair.split_at(at.unwrap_or(pair.len()));
            (decode(name), decode(value.get(1..).unwrap_or_default()))
        })
        .collect()
}

/// The bytes that a text with percent escapes stands for.
pub(super) fn decode_text(text: &str) -> Vec<u8> {
    decode(text.as_bytes())
}

/// A URL whose query has everything escaped but letters, digits and `! ' ( ) * - . _ ~`, as form encoders of
/// JavaScript write it.
pub(super) fn with_encoded_query(url: &str) -> String {
    let Some((before, query)) = url.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return url.to_owned();
    };
    let pairs: Vec<String> = pairs(query.as_bytes())
        .into_iter()
        .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
        .collect();
    format!("{before}?{}", pairs.join("&"))
}

fn encode(bytes: &[u8]) -> String {
    let one = |byte: &u8| {
        if byte.is_ascii_alphanumeric() || b"!'()*-._~".contains(byte) {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    bytes.iter().map(one).collect()
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escape(after)) {
            (b'+', _) => decoded.push(b' '),
            (b'%', Some(value)) => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

fn escape(after_percent: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(after_percent.get(..2)?).ok()?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok())?
}
