//! SSH sessions as a client, and streams through them to what the server can reach.
//!
//! A [`Session`] speaks the protocol over any stream: a socket, or a [`Channel`] of another session, which then is a jump
//! host. It verifies the host by [`moorline_core::ssh`] before anything of the user's is sent, authenticates the user by
//! [`Credential`]s, and opens channels, each a stream of bytes with flow control of its own. One task serves a session.
//! An [`SshTunnel`] keeps sessions open through jump hosts, reconnects, and gives a channel to whoever dials.
//!
//! The protocol is written here ([why](../../../../docs/adr/0015-an-ssh-client-of-our-own.md)) by RFC 4250 to 4254, 4256,
//! 5656, 8308, 8332, 8709, 8731 and OpenSSH's PROTOCOL, over the primitives of `aws-lc-rs`; the formats of private keys are
//! russh's. There are no ciphers with CBC, no SHA-1, no compression, no shells and no forwarding to us.
//!
//! No `service.rs`: a session's operations stand in `session.rs`.

mod authentication;
mod channel;
mod config;
mod connect;
mod connection;
mod driver;
mod error;
mod key_exchange;
mod message;
mod session;
mod transport;
mod tunnel;
mod version;
mod wire;

pub use self::{
    authentication::{
        AnswerFuture, Credential, PrivateKey, PrivateKeyError, Prompt, PromptRequest, Prompter,
    },
    channel::{Channel, ChannelStats, ChannelTarget},
    config::SessionConfig,
    error::SessionPhase,
    key_exchange::KeyExchangeMethod,
    session::{Session, SessionStats},
    transport::{Cipher, Mac},
    tunnel::{
        AskCredential, CertificateSource, CredentialQuestion, CredentialRequest,
        CredentialRequests, CredentialSource, HopConfig, HostKeySource, KeySource, SecretFuture,
        SecretKind, SecretSource, SshTunnel, TunnelConfig, TunnelEvent, TunnelListener,
        TunnelParts, TunnelStats, TunnelStream, TunnelWarning,
    },
};
