//! Idempotency of HTTP requests, and statuses that are transient.

/// Whether a repeat of the method changes nothing more (RFC 9110, section 9.2.2).
pub fn is_idempotent(method: &str) -> bool {
    let known = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
    known.iter().any(|one| one.eq_ignore_ascii_case(method))
}

/// Whether a repeat of a request changes nothing more: by its method, or by a key with which the server tells a repeat
/// from another request.
pub fn is_idempotent_request<'n>(
    method: &str,
    header_names: impl IntoIterator<Item = &'n str>,
) -> bool {
    let mut names = header_names.into_iter();
    is_idempotent(method) || names.any(|name| name.eq_ignore_ascii_case("idempotency-key"))
}

/// Whether a status says that the server failed.
pub const fn is_server_error(status: u64) -> bool {
    status >= 500
}

/// Whether the same request may be answered otherwise a little later.
pub const fn is_transient_status(status: u64) -> bool {
    match status {
        408 | 425 | 429 => true,
        // Not implemented, and not that version of HTTP: nor will they be.
        501 | 505 => false,
        _ => is_server_error(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_repeated_and_what_passes() {
        assert!(is_idempotent("GET") && is_idempotent("put") && !is_idempotent("POST"));
        assert!(!is_idempotent("PATCH") && !is_idempotent(""));
        let keyed = ["accept", "Idempotency-Key"];
        assert!(is_idempotent_request("PATCH", keyed) && is_idempotent_request("GET", []));
        assert!(!is_idempotent_request("POST", ["accept"]));
        assert!(is_server_error(500) && !is_server_error(499));
        let passing = [408, 425, 429, 500, 502, 503, 504, 507, 529];
        assert!(passing.into_iter().all(is_transient_status));
        let staying = [200, 301, 400, 401, 404, 409, 422, 501, 505];
        assert!(!staying.into_iter().any(is_transient_status));
    }
}
