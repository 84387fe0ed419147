//! The state that a session's driver shares with its owner and with its channels.

use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use moorline_core::{
    error::{Failure, Outcome},
    sync::lock,
};
use tokio::sync::{oneshot, watch};

use crate::ssh::channel::{Channel, ChannelTarget};

/// A channel that is to be opened.
pub(crate) struct OpenRequest {
    pub(crate) target: ChannelTarget,
    pub(crate) sender: oneshot::Sender<Outcome<Channel>>,
}

/// What the driver is asked to do.
#[derive(Default)]
pub(crate) struct Commands {
    pub(crate) opens: Vec<OpenRequest>,
    pub(crate) pings: Vec<oneshot::Sender<Duration>>,
    /// Channels that have something to send.
    pub(crate) ready: Vec<u32>,
    /// End the session now.
    pub(crate) disconnect: bool,
    /// End it when its last channel is closed.
    pub(crate) abandon: bool,
    /// The driver is gone.
    is_ended: bool,
}

/// What all sides share.
pub(crate) struct SessionShared {
    commands: Mutex<Commands>,
    waker: AtomicWaker,
    /// Why the session is over.
    closed: watch::Sender<Option<Failure>>,
    pub(crate) counters: Counters,
}

/// The counters of a session.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) open_channels: AtomicUsize,
    pub(crate) opening_channels: AtomicUsize,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) key_exchanges: AtomicU64,
    /// 0 until the first is known.
    pub(crate) round_trip_ns: AtomicU64,
}

impl Counters {
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        let round_trip = self.round_trip_ns.load(Ordering::Relaxed);
        (round_trip > 0).then(|| Duration::from_nanos(round_trip))
    }
}

impl SessionShared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            commands: Mutex::default(),
            waker: AtomicWaker::new(),
            closed: watch::Sender::new(None),
            counters: Counters::default(),
        })
    }

    /// Adds to the commands; `false` when nobody will carry them out any more.
    pub(crate) fn command(&self, add: impl FnOnce(&mut Commands)) -> bool {
        {
            let mut commands = lock(&self.commands);
            if commands.is_ended {
                return false;
            }
            add(&mut commands);
        }
        self.waker.wake();
        true
    }

    /// Has the driver look at a channel.
    pub(crate) fn queue_channel(&self, id: u32) {
        self.command(|commands| commands.ready.push(id));
    }

    pub(crate) fn take_commands(&self) -> Commands {
        let mut commands = lock(&self.commands);
        let abandon = commands.abandon;
        let taken = mem::take(&mut *commands);
        commands.abandon = abandon;
        taken
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Refuses commands from now on, and tells all who wait for the end.
    pub(crate) fn end(&self, failure: Failure) -> Commands {
        let commands = {
            let mut commands = lock(&self.commands);
            let rest = mem::take(&mut *commands);
            commands.is_ended = true;
            rest
        };
        self.closed.send_replace(Some(failure));
        commands
    }

    pub(crate) fn failure(&self) -> Option<Failure> {
        self.closed.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Failure>> {
        self.closed.subscribe()
    }
}
