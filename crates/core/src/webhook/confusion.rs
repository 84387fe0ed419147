//! Protection against cross-scheme confusion: a signature presented under another scheme.
//!
//! Where the sender chooses the scheme, by the header it fills, a captured request of a scheme with a
//! timestamp could come back under one without and never grow old. Both checks here concern that only.

use super::{
    member::member_of,
    scheme::Timestamp,
    timestamp,
    verification::Reason,
    verify::{IncomingRequest, Verifier},
};

impl Verifier {
    /// Whether a signature of a stamped scheme could be presented as one of an unstamped scheme: when the
    /// sender chooses among several.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.detects
            || (self.schemes.len() > 1 && self.schemes.iter().any(|scheme| scheme.has_timestamp()))
    }

    /// Holds a body with a scheme's signed timestamp inside to that scheme's window, however it was presented.
    pub(super) fn check_timestamp_in_body(
        &self,
        incoming: &IncomingRequest<'_>,
    ) -> Result<(), Reason> {
        for scheme in self.schemes.iter() {
            let Timestamp::Body(member) = scheme.timestamp else {
                continue;
            };
            let mentioned =
                std::str::from_utf8(incoming.body).is_ok_and(|text| text.contains(member));
            if mentioned
                && let Ok(text) = member_of(incoming.body, member)
                && let Ok(timestamp_ms) = scheme.timestamp_ms(&text)
            {
                timestamp::check(&self.window, scheme.window, timestamp_ms, incoming.now_ms)?;
            }
        }
        Ok(())
    }
}

/// Whether a body begins as the signed content of a stamped scheme does: `<digits>.` (Stripe), `<digits>:`
/// (Paddle), `v0:<digits>:` (Slack, Zoom), `<id>.<seconds>.` (Standard Webhooks) or `<METHOD>http` (HubSpot).
///
/// Such a body, presented with the signature in the header of an unstamped scheme, would otherwise verify
/// for ever: it is what was signed, only the place of the timestamp differs. No JSON object, form or XML
/// document begins so.
pub(super) fn begins_like_signed_content(body: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = body.strip_prefix(b"v0:").unwrap_or(body);
    let count = digits(text);
    if count > 0 && matches!(text.get(count), Some(b'.' | b':')) {
        return true;
    }
    let letters = body
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    if letters > 0
        && body
            .get(letters..)
            .is_some_and(|rest| rest.starts_with(b"http"))
    {
        return true;
    }
    let id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let id_len = body.iter().take_while(|byte| id(byte)).count();
    let rest = body.get(id_len + 1..).unwrap_or_default();
    let count = digits(rest);
    body.get(id_len) == Some(&b'.') && count >= 10 && rest.get(count) == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_content_is_told_from_a_payload_by_its_beginning() {
        for content in [
            "1700000000.{}",
            "1700000000:{}",
            "v0:1700000000:a=b",
            "msg_2b-X.1700000000.{}",
            "POSThttps://h/p{}1700000000000",
        ] {
            assert!(begins_like_signed_content(content.as_bytes()), "{content}");
        }
        for payload in [
            "{\"t\":1.5}",
            "[1]",
            "a.1=b",
            "token=1&x=y",
            "<a/>",
            "",
            "17",
            "v0:",
            "HTTP",
        ] {
            assert!(!begins_like_signed_content(payload.as_bytes()), "{payload}");
        }
    }
}
