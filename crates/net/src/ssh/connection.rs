//! A connection with the transport protocol (RFC 4253): packets in and out, keys exchanged below them.
//!
//! What the transport protocol handles by itself never comes up: ignored and debug messages, extensions, key exchanges.
//! While keys are exchanged, our messages of the protocols above are held back (RFC 4253, section 7.1).

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::time::Instant;

use super::{
    config::SessionConfig,
    error::SessionError,
    key_exchange::{KeyExchange, SessionIdentity, Versions},
    message::{
        DEBUG, DISCONNECT, Disconnect, EXT_INFO, IGNORE, KEX_ECDH_INIT, KEXINIT, NEWKEYS,
        UNIMPLEMENTED, server_sig_algs, unimplemented,
    },
    transport::{Packet, Transport},
};
use crate::dial::ByteStream;

/// The last number of the messages of key exchange methods.
const LAST_METHOD_MESSAGE: u8 = 49;
/// What may be held back for a server that asks much and does not finish a key exchange.
const MAX_HELD_BYTES: usize = 1 << 20;
/// Keys are exchanged anew before sequence numbers repeat (RFC 4344, section 3.1).
const MAX_PACKETS: u32 = 1 << 31;

/// The transport protocol over a stream.
pub(crate) struct Connection<S> {
    pub(crate) transport: Transport<S>,
    pub(crate) config: Arc<SessionConfig>,
    versions: Versions,
    exchange: Option<KeyExchange>,
    identity: Option<SessionIdentity>,
    /// Whether our KEXINIT was sent, and our NEWKEYS was not.
    is_holding: bool,
    held: Vec<Vec<u8>>,
    held_bytes: usize,
    /// When the keys came into use, and the bytes until then.
    keyed_at: Instant,
    keyed_bytes: u64,
    pub(crate) server_sig_algs: Option<Vec<String>>,
    pub(crate) rekeys: u64,
}

impl<S: ByteStream> Connection<S> {
    /// A connection on which the versions have been exchanged.
    pub(crate) fn new(
        transport: Transport<S>,
        config: Arc<SessionConfig>,
        versions: Versions,
    ) -> Self {
        Self {
            transport,
            config,
            versions,
            exchange: None,
            identity: None,
            is_holding: false,
            held: Vec::new(),
            held_bytes: 0,
            keyed_at: Instant::now(),
            keyed_bytes: 0,
            server_sig_algs: None,
            rekeys: 0,
        }
    }

    /// Exchanges keys for the first time.
    pub(crate) async fn exchange_keys(&mut self) -> Result<(), SessionError> {
        self.begin_exchange()?;
        poll_fn(|context| {
            while self.exchange.is_some() {
                if self.next_packet()?.is_some() {
                    return Poll::Ready(Err(SessionError::violation(
                        "it sent a message before the keys were exchanged",
                    )));
                }
                if self.exchange.is_some() {
                    ready!(self.poll_io(context))?;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Sends a message and waits for the next.
    pub(crate) async fn request(&mut self, message: &[u8]) -> Result<Packet, SessionError> {
        self.send(message)?;
        self.receive().await
    }

    /// Waits for the next message, having sent all.
    pub(crate) async fn receive(&mut self) -> Result<Packet, SessionError> {
        poll_fn(|context| {
            loop {
                if let Some(packet) = self.next_packet()? {
                    return Poll::Ready(Ok(packet));
                }
                ready!(self.poll_io(context))?;
            }
        })
        .await
    }

    fn poll_io(&mut self, context: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        // A server may send while it does not read.
        let _ = self.transport.poll_send(context);
        self.transport.poll_fill(context)
    }

    /// The id of the session: the first exchange hash.
    pub(crate) fn session_id(&self) -> &[u8] {
        self.identity
            .as_ref()
            .map_or(&[], |identity| identity.id.as_slice())
    }

    /// Whether messages of the protocols above are held back.
    pub(crate) const fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Sends a message, later when keys are being exchanged.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        let number = payload.first().copied().unwrap_or_default();
        // DISCONNECT, IGNORE, UNIMPLEMENTED and DEBUG may be sent at any time, services and extensions not.
        if self.is_holding && number > DEBUG {
            self.held_bytes += payload.len();
            if self.held_bytes > MAX_HELD_BYTES {
                return Err(SessionError::violation(
                    "it asks without end, and does not finish a key exchange",
                ));
            }
            self.held.push(payload.to_vec());
            return Ok(());
        }
        self.put(payload)
    }

    fn put(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        self.transport
            .writer
            .put(|out| out.extend_from_slice(payload))
    }

    /// Begins a key exchange, unless one is under way.
    pub(crate) fn begin_exchange(&mut self) -> Result<(), SessionError> {
        if self.exchange.is_some() {
            return Ok(());
        }
        let exchange = KeyExchange::begin(&self.config, self.identity.is_none())?;
        self.put(exchange.kexinit())?;
        self.is_holding = true;
        self.exchange = Some(exchange);
        Ok(())
    }

    /// Whether keys are being exchanged.
    pub(crate) const fn is_exchanging(&self) -> bool {
        self.exchange.is_some()
    }

    /// Whether the keys have been used for as much as they may be.
    pub(crate) fn should_rekey(&self, now: Instant) -> bool {
        let packets = self
            .transport
            .reader
            .packets
            .max(self.transport.writer.packets);
        self.exchange.is_none()
            && (self.bytes() - self.keyed_bytes >= self.config.rekey_bytes
                || packets >= MAX_PACKETS
                || now.duration_since(self.keyed_at) >= self.config.rekey_interval)
    }

    /// The bytes received and sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.transport.reader.bytes + self.transport.writer.bytes
    }

    /// The next of the received messages that the transport protocol does not handle itself.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>, SessionError> {
        while let Some(packet) = self.transport.reader.next_packet()? {
            if let Some(packet) = self.handle(packet)? {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }

    fn handle(&mut self, packet: Packet) -> Result<Option<Packet>, SessionError> {
        let number = packet.payload.first().copied().unwrap_or_default();
        self.check_order(number)?;
        match number {
            DISCONNECT => {
                return Err(SessionError::Disconnected(Disconnect::parse(
                    &packet.payload,
                )?));
            }
            IGNORE | DEBUG => {}
            EXT_INFO => {
                if let Some(names) = server_sig_algs(&packet.payload)? {
                    self.server_sig_algs = Some(names);
                }
            }
            KEXINIT => self.on_kexinit(packet)?,
            KEX_ECDH_INIT..=LAST_METHOD_MESSAGE => self.on_method_message(&packet.payload)?,
            NEWKEYS => self.on_newkeys(&packet.payload)?,
            _ => return Ok(Some(packet)),
        }
        Ok(None)
    }

    /// Refuses what must not come during the first key exchange: with strict key exchange that is everything else
    /// (draft-ietf-sshm-strict-kex, section 3), without it what is not the transport protocol's.
    fn check_order(&self, number: u8) -> Result<(), SessionError> {
        let Some(exchange) = &self.exchange else {
            return Ok(());
        };
        let is_of_exchange = (KEXINIT..=LAST_METHOD_MESSAGE).contains(&number);
        let is_first = self.rekeys == 0;
        if is_of_exchange || number == DISCONNECT || !is_first {
            return Ok(());
        }
        let is_strict = match &self.identity {
            Some(identity) => identity.is_strict,
            None => exchange.is_strict(),
        };
        if is_strict || !matches!(number, IGNORE | DEBUG | UNIMPLEMENTED) {
            return Err(SessionError::violation(
                "it sent another message during the first key exchange",
            ));
        }
        Ok(())
    }

    fn on_kexinit(&mut self, packet: Packet) -> Result<(), SessionError> {
        self.begin_exchange()?;
        let is_first = self.identity.is_none();
        if let Some(exchange) = &mut self.exchange {
            let answer = exchange.on_kexinit(packet.payload)?;
            if is_first && exchange.is_strict() && packet.sequence_number != 0 {
                return Err(SessionError::violation(
                    "its KEXINIT is not its first message, which strict key exchange demands",
                ));
            }
            self.put(&answer)?;
        }
        Ok(())
    }

    fn on_method_message(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        let Some(exchange) = &mut self.exchange else {
            return Err(SessionError::violation(
                "it sent a message of a key exchange that was not begun",
            ));
        };
        let identity = self.identity.as_ref();
        let keys = exchange.on_method_message(&self.config, &self.versions, payload, identity)?;
        let Some(keys) = keys else {
            return Ok(());
        };
        exchange.await_newkeys(keys.inbound);
        self.put(&[NEWKEYS])?;
        let is_strict = keys.identity.is_strict;
        self.transport.writer.rekey(keys.outbound, is_strict);
        self.identity = Some(keys.identity);
        self.is_holding = false;
        self.held_bytes = 0;
        for payload in std::mem::take(&mut self.held) {
            self.put(&payload)?;
        }
        Ok(())
    }

    fn on_newkeys(&mut self, payload: &[u8]) -> Result<(), SessionError> {
        let Some(exchange) = self.exchange.take() else {
            return Err(SessionError::violation(
                "it sent NEWKEYS without a key exchange",
            ));
        };
        let cipher = exchange.on_newkeys(payload)?;
        let is_strict = self
            .identity
            .as_ref()
            .is_some_and(|identity| identity.is_strict);
        self.transport.reader.rekey(cipher, is_strict);
        self.keyed_at = Instant::now();
        self.keyed_bytes = self.bytes();
        self.rekeys += 1;
        Ok(())
    }

    /// Answers a message that is not known.
    pub(crate) fn refuse(&mut self, packet: &Packet) -> Result<(), SessionError> {
        self.send(&unimplemented(packet.sequence_number))
    }
}
