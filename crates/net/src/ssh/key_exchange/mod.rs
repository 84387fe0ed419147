//! Key exchange (RFC 4253, sections 7 to 9; RFC 5656): from KEXINIT to NEWKEYS, the first time and again.

mod derive;
mod host_key;
mod method;
mod negotiation;
mod signature;
mod verdict;

use aws_lc_rs::error::Unspecified;
use moorline_core::{error::Failure, secret::Secret};

pub use self::method::KeyExchangeMethod;
use self::{
    derive::{Direction, ExchangeTranscript, KeyMaterial},
    method::EphemeralKey,
    negotiation::{Negotiated, Offer, ServerOffer},
};
use super::{
    config::SessionConfig,
    error::SessionError,
    message::{KEX_ECDH_INIT, KEX_ECDH_REPLY, NEWKEYS},
    transport::PacketCipher,
    wire::{Reader, put_string},
};

/// The versions that both sides have sent, without line ends (RFC 4253, section 4.2).
#[derive(Clone, Debug)]
pub(crate) struct Versions {
    pub(crate) client: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

/// What stays from the first key exchange of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionIdentity {
    /// The exchange hash of the first key exchange.
    pub(crate) id: Vec<u8>,
    /// The host's key or certificate, which was trusted.
    host_key: Vec<u8>,
    pub(crate) is_strict: bool,
}

/// The keys of one exchange.
pub(crate) struct NewKeys {
    pub(crate) outbound: PacketCipher,
    pub(crate) inbound: PacketCipher,
    pub(crate) identity: SessionIdentity,
}

/// A key exchange that is under way.
pub(crate) struct KeyExchange {
    offer: Offer,
    client_kexinit: Vec<u8>,
    state: State,
}

enum State {
    /// The server's KEXINIT is awaited.
    Offered,
    /// The server's reply to our ephemeral key is awaited.
    Agreeing(Box<Agreement>),
    /// The server's NEWKEYS is awaited.
    Agreed(PacketCipher),
}

struct Agreement {
    negotiated: Negotiated,
    server_kexinit: Vec<u8>,
    key: EphemeralKey,
    skips_next: bool,
}

/// What of the session goes into an exchange.
struct ExchangeContext<'a> {
    config: &'a SessionConfig,
    versions: &'a Versions,
    client_kexinit: &'a [u8],
}

impl Agreement {
    fn read_reply(
        &self,
        context: &ExchangeContext,
        payload: &[u8],
        identity: Option<&SessionIdentity>,
    ) -> Result<NewKeys, SessionError> {
        let mut reader = Reader::new(payload);
        if reader.byte()? != KEX_ECDH_REPLY {
            return Err(unexpected("a message of another key exchange method"));
        }
        let host_key = reader.string()?;
        let reply = reader.string()?;
        let signature = reader.string()?;
        let secret = self
            .key
            .agree(reply)
            .map(Secret::new)
            .map_err(|_| SessionError::violation("its ephemeral key is invalid"))?;
        let exchange_hash = ExchangeTranscript {
            client_version: &context.versions.client,
            server_version: &context.versions.server,
            client_kexinit: context.client_kexinit,
            server_kexinit: &self.server_kexinit,
            host_key,
            client_public: &self.key.public,
            server_public: reply,
            secret: secret.expose(),
        }
        .hash(self.negotiated.method.hash());
        let algorithm = self.negotiated.host_key;
        host_key::verify(
            context.config,
            algorithm,
            host_key,
            signature,
            &exchange_hash,
        )?;
        if identity.is_some_and(|identity| identity.host_key != host_key) {
            return Err(SessionError::violation(
                "it presented another host key in a later key exchange",
            ));
        }
        let identity = identity.cloned().unwrap_or_else(|| SessionIdentity {
            id: exchange_hash.clone(),
            host_key: host_key.to_vec(),
            is_strict: self.negotiated.is_strict,
        });
        self.derive_keys(secret.expose(), &exchange_hash, identity)
            .map_err(|_| SessionError::Refused(Failure::defect()))
    }

    fn derive_keys(
        &self,
        secret: &[u8],
        exchange_hash: &[u8],
        identity: SessionIdentity,
    ) -> Result<NewKeys, Unspecified> {
        let Negotiated {
            method,
            client_to_server,
            server_to_client,
            ..
        } = self.negotiated;
        let material = KeyMaterial {
            algorithm: method.hash(),
            secret,
            exchange_hash,
            session_id: &identity.id,
        };
        Ok(NewKeys {
            outbound: material.cipher(Direction::ClientToServer, client_to_server)?,
            inbound: material.cipher(Direction::ServerToClient, server_to_client)?,
            identity,
        })
    }
}

impl KeyExchange {
    /// An exchange, and our KEXINIT that begins it.
    pub(crate) fn begin(config: &SessionConfig, is_first: bool) -> Result<Self, SessionError> {
        let offer = Offer::new(config);
        let client_kexinit = offer.encode(is_first)?;
        Ok(Self {
            offer,
            client_kexinit,
            state: State::Offered,
        })
    }

    /// Our KEXINIT.
    pub(crate) fn kexinit(&self) -> &[u8] {
        &self.client_kexinit
    }

    /// Whether the server's KEXINIT is still to come, so that what it sent before may, too.
    pub(crate) const fn is_offered(&self) -> bool {
        matches!(self.state, State::Offered)
    }

    /// The server has strict key exchange, as its KEXINIT says.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(&self.state, State::Agreeing(agreement) if agreement.negotiated.is_strict)
    }

    /// Reads the server's KEXINIT; the answer is our ephemeral key.
    pub(crate) fn on_kexinit(&mut self, payload: Vec<u8>) -> Result<Vec<u8>, SessionError> {
        if !self.is_offered() {
            return Err(unexpected("a second KEXINIT"));
        }
        let negotiated = self.offer.choose(&ServerOffer::parse(&payload)?)?;
        let key = EphemeralKey::generate(negotiated.method)
            .map_err(|_| SessionError::Refused(Failure::defect()))?;
        let mut answer = vec![KEX_ECDH_INIT];
        put_string(&mut answer, &key.public);
        self.state = State::Agreeing(Box::new(Agreement {
            negotiated,
            server_kexinit: payload,
            key,
            skips_next: negotiated.skips_guess,
        }));
        Ok(answer)
    }

    /// Reads a message of the method: verifies the host and derives the keys. `None` for a guess that is to be ignored.
    pub(crate) fn on_method_message(
        &mut self,
        config: &SessionConfig,
        versions: &Versions,
        payload: &[u8],
        identity: Option<&SessionIdentity>,
    ) -> Result<Option<NewKeys>, SessionError> {
        let State::Agreeing(agreement) = &mut self.state else {
            return Err(unexpected("a message of a key exchange method"));
        };
        if agreement.skips_next {
            agreement.skips_next = false;
            return Ok(None);
        }
        let context = ExchangeContext {
            config,
            versions,
            client_kexinit: &self.client_kexinit,
        };
        agreement.read_reply(&context, payload, identity).map(Some)
    }

    /// Keeps the key for the server's packets until its NEWKEYS.
    pub(crate) fn await_newkeys(&mut self, inbound: PacketCipher) {
        self.state = State::Agreed(inbound);
    }

    /// Reads the server's NEWKEYS: the key for its packets from then on.
    pub(crate) fn on_newkeys(self, payload: &[u8]) -> Result<PacketCipher, SessionError> {
        match self.state {
            State::Agreed(cipher) if payload == [NEWKEYS] => Ok(cipher),
            _ => Err(unexpected("NEWKEYS")),
        }
    }
}

fn unexpected(what: &str) -> SessionError {
    SessionError::violation(format!("it sent {what} that was not expected"))
}
