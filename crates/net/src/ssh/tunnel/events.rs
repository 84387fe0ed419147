//! Events of a tunnel and the listener for them.

use std::time::Duration;

use moorline_core::error::Failure;

/// An event of a tunnel.
#[derive(Clone, Debug, PartialEq)]
pub enum TunnelEvent {
    /// `open`: a session is open, after none was, and none was lost.
    Open,
    /// `close`: the user has disconnected the tunnel.
    Close,
    /// A session was lost. With the last one the tunnel is, which is an outage.
    Lost {
        /// Why.
        failure: Failure,
        /// The sessions that are still open.
        open_sessions: usize,
    },
    /// `retry`: an attempt to connect again is made.
    Reconnecting {
        /// The number of the attempt in this outage, from 1.
        attempt: u32,
        /// The delay before it; zero for one that is made at once.
        delay: Duration,
    },
    /// An outage is over.
    Reconnected {
        /// The attempts that it took.
        attempts: u32,
        /// How long the tunnel was down.
        after: Duration,
    },
    /// `maxRetriesExceeded`: so many attempts have failed, and no more are made until somebody needs the tunnel.
    RetriesExceeded {
        /// The number of attempts.
        attempts: u32,
        /// The last one's failure.
        failure: Failure,
    },
    /// The host, or the user, was refused while connecting again; no more attempts are made until the user connects.
    Refused(Failure),
    /// A further session could not be opened; who waits for a channel waits on.
    SessionFailed(Failure),
    /// The local port could not be opened again; it is tried at each check.
    LocalPortFailed(Failure),
    /// Something that the user should know.
    Warning(TunnelWarning),
    /// What a server said before it authenticated the user, when it is not what it said before.
    Banner {
        /// The server.
        host: String,
        /// Its text, of several lines perhaps.
        text: String,
    },
}

/// A warning, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelWarning {
    /// The host's key is not verified, as the user wanted it.
    InsecureHostKey {
        /// The host.
        host: String,
    },
    /// A line of a file of known hosts was skipped, since its marker is none that is known: what it was meant to revoke is
    /// not.
    UnknownMarker {
        /// The file and the number of the line.
        line: String,
    },
}

/// A listener for the events of a tunnel. Called on the thread where the event happens, with no lock held; it must return at
/// once, and may call the tunnel.
pub trait TunnelListener: Send + Sync + 'static {
    /// Called once per event.
    fn on_event(&self, event: TunnelEvent);
}
