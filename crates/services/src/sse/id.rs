//! The event ids that a request can carry.

/// Servers refuse requests with longer headers, whose bound is 8 KiB in the usual ones.
const MAX_BYTES: usize = 4096;

/// Whether a request can carry the id in `Last-Event-ID`. One that it cannot would fail each further connect, so it is
/// passed over wherever it comes from, as the standard has it for an id with a NUL.
pub fn is_sendable(id: &[u8]) -> bool {
    let is_fit = |byte: &u8| !byte.is_ascii_control() || *byte == b'\t';
    id.len() <= MAX_BYTES && id.iter().all(is_fit)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_id_is_taken_when_a_header_can_be_made_of_it() {
        for byte in 0..=u8::MAX {
            let id = [b'a', byte, b'b'];
            let is_header = HeaderValue::from_bytes(&id).is_ok();
            assert_eq!(is_sendable(&id), is_header, "{byte:#x}");
        }
        assert!(is_sendable(b"") && is_sendable(&[b'x'; MAX_BYTES]));
        assert!(!is_sendable(&[b'x'; MAX_BYTES + 1]));
    }
}
