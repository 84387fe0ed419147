//! A session: connected over any stream, it opens channels until it is closed or lost.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use moorline_core::error::{Failure, Outcome};
use tokio::{sync::oneshot, time::Instant};

use super::{
    authentication::Credential,
    channel::{Channel, ChannelTarget},
    config::SessionConfig,
    connect::connect,
    driver::{OpenRequest, SessionShared},
};
use crate::dial::ByteStream;

/// What a session has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// The channels that are open.
    pub open_channels: usize,
    /// The channels that the server has been asked for, and has not answered about.
    pub opening_channels: usize,
    /// The bytes received, with all that the protocol adds.
    pub received_bytes: u64,
    /// The bytes sent, with all that the protocol adds.
    pub sent_bytes: u64,
    /// The key exchanges, of which the first is part of connecting.
    pub key_exchanges: u64,
    /// The last keep-alive's round trip.
    pub round_trip: Option<Duration>,
}

/// A connected session. Dropping it ends the session once its channels are closed.
pub struct Session {
    shared: Arc<SessionShared>,
    banner: String,
}

impl Session {
    /// Connects over a stream to a server: exchanges versions and keys, verifies the host, authenticates the user. A stream
    /// may be a channel of another session. Dropping the future closes the stream.
    pub async fn connect(
        stream: impl ByteStream + 'static,
        config: SessionConfig,
        credentials: &[Credential],
        deadline: Instant,
    ) -> Outcome<Self> {
        let shared = SessionShared::new();
        let banner = connect(stream, config, credentials, deadline, &shared).await?;
        Ok(Self { shared, banner })
    }

    /// Opens a channel. The caller sets the time limit; when the future is dropped, a late channel is closed.
    pub async fn open(&self, target: impl Into<ChannelTarget>) -> Outcome<Channel> {
        let target = target.into();
        let (sender, receiver) = oneshot::channel();
        let request = OpenRequest { target, sender };
        self.shared.command(|commands| commands.opens.push(request));
        match receiver.await {
            Ok(opened) => opened,
            Err(_) => Err(super::driver::lost_before_open(&self.closed().await)),
        }
    }

    /// Measures a round trip to the server.
    pub async fn ping(&self) -> Outcome<Duration> {
        let (sender, receiver) = oneshot::channel();
        self.shared.command(|commands| commands.pings.push(sender));
        match receiver.await {
            Ok(round_trip) => Ok(round_trip),
            Err(_) => Err(self.closed().await),
        }
    }

    /// Whether the session is open.
    pub fn is_open(&self) -> bool {
        self.shared.failure().is_none()
    }

    /// Waits until the session is over; says why. It is of kind `closed` after [`Session::disconnect`].
    pub fn closed(&self) -> impl Future<Output = Failure> + Send + use<> {
        let mut closed = self.shared.subscribe();
        async move {
            match closed.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(failure)) => failure.clone(),
                _ => Failure::defect(),
            }
        }
    }

    /// Ends the session and its channels.
    pub async fn disconnect(&self) {
        self.shared.command(|commands| commands.disconnect = true);
        self.closed().await;
    }

    /// What the session has done.
    pub fn stats(&self) -> SessionStats {
        let counters = &self.shared.counters;
        SessionStats {
            open_channels: counters.open_channels.load(Ordering::Relaxed),
            opening_channels: counters.opening_channels.load(Ordering::Relaxed),
            received_bytes: counters.received_bytes.load(Ordering::Relaxed),
            sent_bytes: counters.sent_bytes.load(Ordering::Relaxed),
            key_exchanges: counters.key_exchanges.load(Ordering::Relaxed),
            round_trip: counters.round_trip(),
        }
    }

    /// What the server said before it authenticated the user (RFC 4252, section 5.4); empty when it said nothing.
    pub fn banner(&self) -> &str {
        &self.banner
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.command(|commands| commands.abandon = true);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
