//! Negotiation of permessage-deflate (RFC 7692, section 7.1).

use std::fmt;

use super::config::Compression;

const NAME: &str = "permessage-deflate";
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// The agreed parameters of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Whether the server resets its compressor before each message.
    pub server_no_context_takeover: bool,
    /// Whether the client does.
    pub client_no_context_takeover: bool,
    /// The server's window, as a power of two.
    pub server_window_bits: u8,
    /// The client's window.
    pub client_window_bits: u8,
}

impl fmt::Display for Agreement {
    /// The parameters as in the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if self.server_window_bits < *WINDOW_BITS.end() {
            write!(f, "; server_max_window_bits={}", self.server_window_bits)?;
        }
        if self.client_window_bits < *WINDOW_BITS.end() {
            write!(f, "; client_max_window_bits={}", self.client_window_bits)?;
        }
        Ok(())
    }
}

/// The value of `Sec-WebSocket-Extensions` in the request. A `client_max_window_bits` without a value lets the server
/// choose the client's window.
pub(super) fn offer(wanted: &Compression) -> String {
    let most = *WINDOW_BITS.end();
    let offer = Agreement {
        server_no_context_takeover: wanted.server_no_context_takeover,
        client_no_context_takeover: wanted.client_no_context_takeover,
        server_window_bits: wanted.server_max_window_bits.unwrap_or(most),
        client_window_bits: wanted.client_max_window_bits.unwrap_or(most),
    };
    if offer.client_window_bits < most {
        return offer.to_string();
    }
    format!("{offer}; client_max_window_bits")
}

/// The agreement by the server's response to the offer: the value of its header, nothing when it has none. The error
/// is the reason why it does not fit the offer.
pub(super) fn agree(
    wanted: Option<&Compression>,
    response: Option<&str>,
) -> Result<Option<Agreement>, String> {
    let Some(response) = response
        .map(str::trim)
        .filter(|response| !response.is_empty())
    else {
        return Ok(None);
    };
    let wanted = wanted.ok_or("the server uses an extension that was not offered")?;
    if response.contains(',') {
        return Err("the server responded with more than one extension".to_owned());
    }
    let mut parts = response.split(';').map(str::trim);
    if parts.next() != Some(NAME) {
        return Err("the server uses an extension that was not offered".to_owned());
    }
    let mut read = ResponseParameters::default();
    for part in parts {
        read.parameter(part)?;
    }
    read.agreement(wanted).map(Some)
}

#[derive(Default)]
struct ResponseParameters {
    server_no_context_takeover: Option<()>,
    client_no_context_takeover: Option<()>,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl ResponseParameters {
    fn parameter(&mut self, part: &str) -> Result<(), String> {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (part, None),
        };
        let bad = || format!("the server responded with an invalid extension parameter ({name})");
        let twice = match name {
            "server_no_context_takeover" | "client_no_context_takeover" if value.is_some() => {
                return Err(bad());
            }
            "server_no_context_takeover" => self.server_no_context_takeover.replace(()).is_some(),
            "client_no_context_takeover" => self.client_no_context_takeover.replace(()).is_some(),
            "server_max_window_bits" => {
                let bits = window_bits(value).ok_or_else(bad)?;
                self.server_max_window_bits.replace(bits).is_some()
            }
            "client_max_window_bits" => {
                let bits = window_bits(value).ok_or_else(bad)?;
                self.client_max_window_bits.replace(bits).is_some()
            }
            _ => return Err(bad()),
        };
        if twice { Err(bad()) } else { Ok(()) }
    }

    fn agreement(self, wanted: &Compression) -> Result<Agreement, String> {
        let most = *WINDOW_BITS.end();
        let server_window_bits = self.server_max_window_bits.unwrap_or(most);
        let refused = |what: &str| Err(format!("the server did not accept the parameter {what}"));
        if wanted.server_no_context_takeover && self.server_no_context_takeover.is_none() {
            return refused("server_no_context_takeover");
        }
        if server_window_bits > wanted.server_max_window_bits.unwrap_or(most) {
            return refused("server_max_window_bits");
        }
        let ours = wanted.client_max_window_bits.unwrap_or(most);
        Ok(Agreement {
            server_no_context_takeover: self.server_no_context_takeover.is_some(),
            client_no_context_takeover: wanted.client_no_context_takeover
                || self.client_no_context_takeover.is_some(),
            server_window_bits,
            client_window_bits: self.client_max_window_bits.unwrap_or(most).min(ours),
        })
    }
}

/// A decimal number without leading zeros, in range.
fn window_bits(value: Option<&str>) -> Option<u8> {
    value
        .filter(|text| !text.starts_with(['0', '+']))
        .and_then(|text| text.parse().ok())
        .filter(|bits| WINDOW_BITS.contains(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree_to(response: &str) -> Result<Option<Agreement>, String> {
        agree(Some(&Compression::default()), Some(response))
    }

    #[test]
    fn defaults_are_the_largest_window_with_context_takeover() {
        let plain = agree_to("permessage-deflate").unwrap().unwrap();
        assert_eq!(
            plain,
            Agreement {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                server_window_bits: 15,
                client_window_bits: 15,
            }
        );
        assert_eq!(agree_to(""), Ok(None));
        assert_eq!(agree(Some(&Compression::default()), None), Ok(None));
    }

    #[test]
    fn a_server_may_restrict_the_client_beyond_the_offer() {
        let bound = agree_to(
            "permessage-deflate; client_no_context_takeover; client_max_window_bits=\"9\"; server_max_window_bits=10",
        );
        let bound = bound.unwrap().unwrap();
        assert!(bound.client_no_context_takeover && !bound.server_no_context_takeover);
        assert_eq!(
            (bound.client_window_bits, bound.server_window_bits),
            (9, 10)
        );
    }

    #[test]
    fn an_invalid_response_is_refused() {
        for wrong in [
            "x-webkit-deflate-frame",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits=09",
        ] {
            assert!(agree_to(wrong).is_err(), "{wrong}");
        }
        assert!(agree(None, Some("permessage-deflate")).is_err());
    }

    #[test]
    fn the_server_must_grant_the_restrictions_asked_of_it() {
        let wanted = Compression {
            server_no_context_takeover: true,
            server_max_window_bits: Some(10),
            ..Compression::default()
        };
        for short in [
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        ] {
            assert!(agree(Some(&wanted), Some(short)).is_err(), "{short}");
        }
        assert!(offer(&wanted).contains("server_no_context_takeover; server_max_window_bits=10"));
    }
}
