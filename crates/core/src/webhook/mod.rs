//! Webhook signatures: the sender of a request and its time.
//!
//! [`table`] describes every scheme once, as data. [`Verifier`] reads a request by such a row: the form of
//! the signature, then the timestamp, then the signature itself over the raw bytes, under each secret. The
//! same rows sign. [`replay`] remembers what was accepted, [`challenge`] answers a provider that checks who
//! owns an endpoint. Time comes in as milliseconds since the epoch; nothing here fails or panics.

pub mod challenge;
mod config;
mod confusion;
pub mod content;
pub mod encoding;
mod form;
pub mod header;
pub mod key;
pub mod mac;
mod matching;
mod member;
pub mod replay;
pub mod scheme;
pub mod sign;
mod signed_url;
pub mod table;
pub mod timestamp;
pub mod verification;
pub mod verify;

pub use config::{VerifierConfig, read_secrets};
pub use header::{Headers, ParsedSignature, parse_signature};
pub use mac::{ExternalMac, Mac, Tag};
pub use replay::{MemoryReplayStore, ReplayStore, read_ttl, receive_defaults};
pub use sign::{OutgoingRequest, SignedHeaders};
pub use verification::{Reason, Verification};
pub use verify::{IncomingRequest, Verifier};
