//! Answers to a request to authenticate (RFC 4252, section 5.1).

use crate::ssh::{
    error::SessionError,
    wire::{Malformed, Reader},
};

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Success,
    Failure {
        /// The methods that can go on.
        methods: Vec<String>,
        /// Whether the request was accepted, and more is wanted.
        is_partial: bool,
    },
    /// A message of the method, whole.
    Method(Vec<u8>),
}

impl Reply {
    pub(super) fn parse_failure(payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        reader.byte()?;
        Ok(Self::Failure {
            methods: reader.name_list()?,
            is_partial: reader.boolean()?,
        })
    }
}

pub(super) fn unexpected() -> SessionError {
    SessionError::violation("it sent a message of another method to authenticate")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Reply::parse_failure(&bytes);
        }
    }
}
