//! The answer to "is this request genuine", and the closed set of reasons why not.

use std::{borrow::Cow, fmt, time::Duration};

use super::encoding::encode_hex;

/// Why a request was refused. The texts are part of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The header does not have the scheme's form, or not in its one canonical variant.
    InvalidFormat,
    /// The timestamp lies further back than the window allows.
    TooOld {
        /// Its age in whole seconds.
        age_s: i64,
        /// The greatest age allowed, in milliseconds.
        max_ms: u128,
    },
    /// The timestamp lies further ahead than the window allows.
    Future,
    /// Under no secret is any of the signatures the right one.
    Mismatch,
    /// Something that is needed is missing or cannot be used; says what, and never shows a secret.
    Error(Cow<'static, str>),
}

impl Reason {
    /// Whether it was judged, and not only unreadable.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::TooOld { .. } | Self::Future | Self::Mismatch)
    }

    /// A [`Reason::Error`] with this text.
    pub fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidFormat => f.write_str("Invalid signature format"),
            Self::TooOld { age_s, max_ms } => write!(
                f,
                "Webhook too old ({age_s}s, max {}s)",
                *max_ms as f64 / 1000.0
            ),
            Self::Future => f.write_str("Webhook timestamp is in the future"),
            Self::Mismatch => f.write_str("Signature mismatch"),
            Self::Error(text) => write!(f, "Verification error: {text}"),
        }
    }
}

/// The result of verifying one request.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// `None` when the request is genuine, else the reason of the refusal.
    pub refusal: Option<Reason>,
    /// The scheme it was judged by, where one was found.
    pub scheme: Option<Cow<'static, str>>,
    /// The signed timestamp in whole seconds, where the scheme has one.
    pub timestamp: Option<i64>,
    /// The delivery's id, where the scheme has one. Only Standard Webhooks signs it.
    pub id: Option<String>,
    /// Which of the secrets matched, so that an old one can be retired.
    pub secret_index: Option<usize>,
    /// The digest of what is signed, where the request is to be remembered.
    pub content: Option<[u8; 32]>,
    /// The time for which the request could be replayed.
    pub replayable_for: Duration,
}

impl Verification {
    /// A refusal for `reason`, nothing else known.
    pub fn refuse(reason: Reason) -> Self {
        Self {
            refusal: Some(reason),
            ..Self::default()
        }
    }

    /// Whether the request is genuine.
    pub fn is_valid(&self) -> bool {
        self.refusal.is_none()
    }

    /// The key under which a genuine request is remembered for [`Verification::replayable_for`], so that it is not
    /// accepted twice. It names what is signed and neither the signature nor the scheme: a request carries several
    /// signatures of the same, by other functions or older secrets, and each of them alone would be accepted. A
    /// sender's retry with a new timestamp is another request.
    pub fn replay_key(&self) -> Option<String> {
        self.content.map(|content| encode_hex(&content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_contract() {
        let old = Reason::TooOld {
            age_s: 600,
            max_ms: 300_000,
        };
        assert_eq!(old.to_string(), "Webhook too old (600s, max 300s)");
        let soon = Reason::TooOld {
            age_s: 1,
            max_ms: 500,
        };
        assert_eq!(soon.to_string(), "Webhook too old (1s, max 0.5s)");
        assert_eq!(
            Reason::InvalidFormat.to_string(),
            "Invalid signature format"
        );
        assert_eq!(
            Reason::Future.to_string(),
            "Webhook timestamp is in the future"
        );
        assert_eq!(Reason::Mismatch.to_string(), "Signature mismatch");
        assert_eq!(
            Reason::error("no header").to_string(),
            "Verification error: no header"
        );
    }
}
