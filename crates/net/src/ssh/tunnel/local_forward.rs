//! A port of this machine that leads through the tunnel, each socket by a channel of its own.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use moorline_core::error::{Failure, Kind, Outcome};
use socket2::SockRef;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::inner::TunnelInner;
use crate::{
    dial::{chain, classify},
    ssh::ChannelTarget,
};

/// The pause after a socket could not be accepted: the process may have too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The sockets that wait for a channel at once, as they do when all are taken. Further ones are not accepted: they wait in the
/// queue of the system, which has its own bound.
const MAX_WAITING: usize = 256;

/// Room for the sockets of a local port that wait for a channel, over the losses of the tunnel.
pub(super) fn waiting_room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_WAITING))
}

/// An open port, on 127.0.0.1 alone. Dropping it closes it; the sockets that were accepted stay.
pub(super) struct LocalForward {
    port: u16,
    stopped: CancellationToken,
    /// The port is free again.
    freed: CancellationToken,
}

impl LocalForward {
    /// Opens the port; 0 is any that is free.
    pub(super) async fn open(
        inner: Arc<TunnelInner>,
        port: u16,
        remote: ChannelTarget,
    ) -> Outcome<Self> {
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let bound = bound.and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (port, listener) = bound.map_err(|error| bind_failure(port, &error))?;
        let (stopped, freed) = (CancellationToken::new(), CancellationToken::new());
        let runtime = inner.runtime.clone();
        runtime.spawn(serve(
            inner,
            listener,
            remote,
            stopped.clone(),
            freed.clone(),
        ));
        Ok(Self {
            port,
            stopped,
            freed,
        })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Closes it; the token that is cancelled once another can have the port.
    pub(super) fn close(self) -> CancellationToken {
        self.freed.clone()
    }
}

impl Drop for LocalForward {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

async fn serve(
    inner: Arc<TunnelInner>,
    listener: TcpListener,
    remote: ChannelTarget,
    stopped: CancellationToken,
    freed: CancellationToken,
) {
    // Dropped in the reverse order.
    let _freed = freed.drop_guard();
    let listener = listener;
    let remote = Arc::new(remote);
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped.cancelled() => return,
            accepted = accept(&listener, &inner.waiting_sockets) => accepted,
        };
        match accepted {
            Ok((socket, place)) => {
                tokio::spawn(forward(
                    Arc::clone(&inner),
                    socket,
                    place,
                    Arc::clone(&remote),
                ));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The next socket, once there is a place for it to wait.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(room).acquire_owned().await;
    let (socket, _) = listener.accept().await?;
    Ok((socket, place.map_err(io::Error::other)?))
}

/// Carries the bytes and the ends of both sides. What does not end well is a reset to the client.
async fn forward(
    inner: Arc<TunnelInner>,
    mut socket: TcpStream,
    place: OwnedSemaphorePermit,
    remote: Arc<ChannelTarget>,
) {
    let is_complete = async {
        socket.set_nodelay(true)?;
        let opening = timeout(inner.config.connect_timeout, inner.open(&remote));
        let opened = opening.await.map_err(|_| io::ErrorKind::TimedOut)?;
        let mut channel = opened.map_err(io::Error::other)?;
        drop(place);
        copy_bidirectional(&mut socket, &mut channel).await
    };
    if is_complete.await.is_err() {
        // Best effort: without it the client sees an end.
        let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
    }
}

fn bind_failure(port: u16, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::AddrInUse => "EADDRINUSE",
        _ => chain(error)
            .find_map(classify)
            .map_or(Kind::Connect.default_code(), |class| class.code),
    };
    let message = format!("the local port {port} cannot be opened ({code})");
    Failure::new(Kind::Connect, message)
        .with_code(code)
        .with_detail("port", port)
        .with_cause(error.to_string(), None)
}
