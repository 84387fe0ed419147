//! What the driver of a connection and those who use it share.

use std::{collections::VecDeque, sync::MutexGuard};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use moorline_core::{
    error::{Delivery, Failure, Kind},
    sync::lock,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Request, Response};

/// The state of the transaction, as the server tells it whenever it is ready for the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    /// In none.
    #[default]
    Idle,
    /// In one.
    Active,
    /// In one that failed and has to be rolled back.
    Failed,
}

impl TransactionStatus {
    /// The letter of it in the protocol.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::Active),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The letter that stands for it in the protocol.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Active => b'T',
            Self::Failed => b'E',
        }
    }
}

/// The number of a request on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) struct RequestId(u64);

/// The outcome of taking back a request.
pub(in crate::postgres) enum Withdrawal {
    /// Nothing of it was sent: it is gone.
    Unsent(Box<dyn Response>),
    /// It was sent, and nothing after it: it can be cancelled once the server has come to it. Nothing more is sent until
    /// [`super::Link::release`].
    Held,
    /// Others were sent after it, which a cancellation could hit.
    Followed,
    /// It was answered.
    Answered,
}

/// A request that was handed over and is not answered yet.
pub(super) struct Exchange {
    id: RequestId,
    /// Where its bytes begin among all that were handed over, and how many they are.
    begin: u64,
    length: u64,
    given_up: Option<CancellationToken>,
    pub(super) response: Box<dyn Response>,
}

#[derive(Default)]
pub(super) struct State {
    /// Handed over, and not taken by the driver yet.
    pub(super) outgoing: BytesMut,
    /// The number of bytes that were handed over.
    submitted: u64,
    /// Those of them that the connection below has taken.
    written: u64,
    pub(super) exchanges: VecDeque<Exchange>,
    /// The request whose answer the driver reads.
    answering: Option<RequestId>,
    answering_given_up: Option<CancellationToken>,
    last_id: u64,
    /// Nothing is sent at the moment.
    pub(super) is_held: bool,
    pub(super) status: TransactionStatus,
    /// The server has refused to write.
    pub(super) was_refused_writing: bool,
    /// It is to end once everything is answered.
    pub(super) is_closing: bool,
    /// It is to end at once.
    pub(super) is_cut: bool,
    /// Why it is over.
    end: Option<Failure>,
}

/// The part of a connection that its users and its driver share.
#[derive(Default)]
pub(super) struct Shared {
    state: std::sync::Mutex<State>,
    pub(super) waker: AtomicWaker,
    /// Told of each answer while nothing is sent, and of the end.
    answers: Notify,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Hands a request over. Its response hears of a connection that is over at once.
    pub(super) fn submit(&self, request: Request) -> RequestId {
        let mut state = self.state();
        state.last_id += 1;
        let id = RequestId(state.last_id);
        if let Some(failure) = state.refusal() {
            drop(state);
            request.response.on_lost(failure);
            return id;
        }
        let (begin, length) = (state.submitted, request.bytes.len() as u64);
        state.submitted += length;
        if state.outgoing.is_empty() {
            state.outgoing = request.bytes;
        } else {
            state.outgoing.extend_from_slice(&request.bytes);
        }
        state.exchanges.push_back(Exchange {
            id,
            begin,
            length,
            given_up: None,
            response: request.response,
        });
        drop(state);
        self.waker.wake();
        id
    }

    /// Takes back a request, or keeps what comes after it until it was cancelled.
    pub(super) fn withdraw(&self, id: RequestId) -> Withdrawal {
        let mut state = self.state();
        let place = state
            .exchanges
            .iter()
            .position(|exchange| exchange.id == id);
        let Some(place) = place else {
            if state.answering != Some(id) {
                return Withdrawal::Answered;
            }
            return state.hold(0);
        };
        let unsent_from = state.submitted - state.outgoing.len() as u64;
        if state.exchanges[place].begin < unsent_from {
            return state.hold(place + 1);
        }
        let removed = state.remove(place, unsent_from);
        drop(state);
        self.waker.wake();
        removed
    }

    /// Ready when the server has come to a request that is [`Withdrawal::Held`], or the connection is over.
    pub(super) async fn reached(&self, id: RequestId) {
        self.until(|state| state.is_next(id) || !state.is_waiting(id))
            .await;
    }

    /// Ready when a request that is [`Withdrawal::Held`] was answered, or the connection is over.
    pub(super) async fn answered(&self, id: RequestId) {
        self.until(|state| !state.is_waiting(id)).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let answer = self.answers.notified();
            if holds(&self.state()) {
                return;
            }
            answer.await;
        }
    }

    /// From when `given_up` fires, nothing is sent after this request until it is answered, so that it can be cancelled.
    pub(super) fn give_up_by(&self, id: RequestId, given_up: &CancellationToken) {
        let mut state = self.state();
        let mut waiting = state.exchanges.iter_mut();
        if let Some(exchange) = waiting.find(|exchange| exchange.id == id) {
            exchange.given_up = Some(given_up.clone());
        } else if state.answering == Some(id) {
            state.answering_given_up = Some(given_up.clone());
        }
    }

    /// An answer is complete.
    pub(super) fn end_answer(&self, mut state: MutexGuard<'_, State>, status: TransactionStatus) {
        state.end_answer(status);
        let is_held = state.is_held;
        drop(state);
        if is_held {
            self.answers.notify_waiters();
        }
    }

    /// Sends again what is handed over.
    pub(super) fn release(&self) {
        self.state().is_held = false;
        self.waker.wake();
    }

    /// Ends it: what was not answered fails, and so does what is handed over from now on.
    pub(super) fn end(&self, answering: Option<Box<dyn Response>>, failure: &Failure) {
        let mut state = self.state();
        state.end.get_or_insert_with(|| failure.clone());
        let written = state.written;
        let exchanges = std::mem::take(&mut state.exchanges);
        drop(state);
        self.answers.notify_waiters();
        if let Some(response) = answering {
            response.on_lost(failure.clone().with_delivery(Delivery::Unknown));
        }
        for Exchange {
            begin, response, ..
        } in exchanges
        {
            let delivery = if begin < written {
                Delivery::Unknown
            } else {
                Delivery::None
            };
            response.on_lost(failure.clone().with_delivery(delivery));
        }
    }
}

impl State {
    /// The failure of a request that is handed over when it is over, or about to be.
    fn refusal(&self) -> Option<Failure> {
        let refused = |failure: Failure| failure.with_delivery(Delivery::None).with_attempts(0);
        if let Some(end) = &self.end {
            return Some(refused(end.clone()));
        }
        self.is_closing
            .then(|| refused(Failure::new(Kind::Closed, "The connection was closed")))
    }

    pub(super) fn is_over(&self) -> bool {
        self.end.is_some() || self.is_closing || self.is_cut
    }

    /// Whether nothing is to be answered.
    pub(super) fn is_idle(&self) -> bool {
        self.exchanges.is_empty() && self.answering.is_none() && !self.is_held
    }

    /// Whether a request is not answered yet.
    fn is_waiting(&self, id: RequestId) -> bool {
        let is_sent = self.exchanges.iter().any(|exchange| exchange.id == id);
        self.end.is_none() && (is_sent || self.answering == Some(id))
    }

    /// The next request whose answer comes.
    pub(super) fn next_answer(&mut self) -> Option<Box<dyn Response>> {
        let next = self.exchanges.pop_front()?;
        self.answering = Some(next.id);
        self.answering_given_up = next.given_up;
        Some(next.response)
    }

    /// The answer that was read is complete.
    fn end_answer(&mut self, status: TransactionStatus) {
        self.answering = None;
        self.answering_given_up = None;
        self.status = status;
    }

    /// Whether the server works on a request, or is about to.
    fn is_next(&self, id: RequestId) -> bool {
        let first = self.exchanges.front().map(|exchange| exchange.id);
        self.answering.or(first) == Some(id)
    }

    /// Moves what may be sent to `to`, which is empty: nothing while a request is cancelled, nothing after one that was sent and is
    /// given up, and nothing from one on that is given up before it was sent.
    pub(super) fn take_outgoing(&mut self, to: &mut BytesMut) {
        if self.is_held || self.outgoing.is_empty() {
            return;
        }
        let is_given_up = |given_up: &Option<CancellationToken>| {
            given_up
                .as_ref()
                .is_some_and(CancellationToken::is_cancelled)
        };
        let unsent_from = self.submitted - self.outgoing.len() as u64;
        let first = self
            .exchanges
            .partition_point(|exchange| exchange.begin < unsent_from);
        let last_sent = first
            .checked_sub(1)
            .map_or(&self.answering_given_up, |at| &self.exchanges[at].given_up);
        if is_given_up(last_sent) {
            return;
        }
        let mut unsent = self.exchanges.iter().skip(first);
        match unsent.find(|exchange| is_given_up(&exchange.given_up)) {
            None => std::mem::swap(to, &mut self.outgoing),
            Some(exchange) => {
                let length = usize::try_from(exchange.begin - unsent_from).unwrap_or(usize::MAX);
                *to = self.outgoing.split_to(length.min(self.outgoing.len()));
            }
        }
    }

    /// Sends nothing more, if nothing was sent after the first `until` of those that wait.
    fn hold(&mut self, until: usize) -> Withdrawal {
        let unsent_from = self.submitted - self.outgoing.len() as u64;
        let mut after = self.exchanges.iter().skip(until);
        if after.any(|exchange| exchange.begin < unsent_from) {
            return Withdrawal::Followed;
        }
        self.is_held = true;
        Withdrawal::Held
    }

    /// Takes an unsent request out of what is to be sent.
    fn remove(&mut self, place: usize, unsent_from: u64) -> Withdrawal {
        let Some(exchange) = self.exchanges.remove(place) else {
            return Withdrawal::Answered;
        };
        let (begin, length) = (exchange.begin - unsent_from, exchange.length);
        let [begin, end] =
            [begin, begin + length].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        let after = self.outgoing.split_off(end.min(self.outgoing.len()));
        self.outgoing.truncate(begin);
        self.outgoing.extend_from_slice(&after);
        self.submitted -= length;
        for later in self.exchanges.iter_mut().skip(place) {
            later.begin -= length;
        }
        Withdrawal::Unsent(exchange.response)
    }

    pub(super) fn count_written(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }
}
