//! What the driver of a connection and those who use it share.

use std::{collections::VecDeque, pin::pin, sync::MutexGuard};

use bytes::BytesMut;
use futures_util::task::AtomicWaker;
use moorline_core::{
    error::{Delivery, Failure, Kind},
    sync::lock,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Request, Response, TransactionStatus,
    withdrawal::{RequestId, Turn, Withdrawal},
};

/// A request that was handed over and is not answered yet.
pub(super) struct Exchange {
    id: RequestId,
    /// Where its bytes begin among all that were handed over, and how many they are.
    begin: u64,
    length: u64,
    /// Nothing is sent after it before it is answered.
    is_exclusive: bool,
    /// Whether its caller has stopped to wait for the answer.
    is_withdrawn: bool,
    /// Fires when that is so.
    given_up: Option<CancellationToken>,
    pub(super) response: Box<dyn Response>,
}

/// The request whose answer is read.
#[derive(Clone, Copy)]
struct Answering {
    id: RequestId,
    is_exclusive: bool,
    is_withdrawn: bool,
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
    answering: Option<Answering>,
    /// Fires when nobody waits for that any more.
    answering_given_up: Option<CancellationToken>,
    last_id: u64,
    /// How many of those that are not answered are exclusive, and how many were withdrawn.
    exclusive: usize,
    withdrawn: usize,
    /// The server is asked to cancel one.
    is_cancelling: bool,
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
    /// Those that were withdrawn may have their turn.
    turns: Notify,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Hands a request over. Its response hears of a connection that is over at once.
    pub(super) fn submit(&self, request: Request) -> RequestId {
        let state = self.state();
        self.submit_in(state, request)
    }

    /// The same, where nothing is to be answered; else nothing is done.
    pub(super) fn submit_if_idle(&self, request: Request) -> Option<RequestId> {
        let state = self.state();
        state.is_idle().then(|| self.submit_in(state, request))
    }

    fn submit_in(&self, mut state: MutexGuard<'_, State>, request: Request) -> RequestId {
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
        state.exclusive += usize::from(request.is_exclusive);
        state.exchanges.push_back(Exchange {
            id,
            begin,
            length,
            is_exclusive: request.is_exclusive,
            is_withdrawn: false,
            given_up: None,
            response: request.response,
        });
        drop(state);
        self.waker.wake();
        id
    }

    /// Takes back a request, or takes note that nobody waits for it any more.
    pub(super) fn withdraw(&self, id: RequestId) -> Withdrawal {
        let withdrawal = self.state().withdraw(id);
        // Those before it may have waited for this, and those after it.
        self.turns.notify_waiters();
        self.waker.wake();
        withdrawal
    }

    /// Takes note of what fires when nobody waits for a request any more, which may be before it is withdrawn.
    pub(super) fn give_up_by(&self, id: RequestId, given_up: &CancellationToken) {
        let mut state = self.state();
        let mut waiting = state.exchanges.iter_mut();
        if let Some(exchange) = waiting.find(|exchange| exchange.id == id) {
            exchange.given_up = Some(given_up.clone());
        } else if state.answering.is_some_and(|answering| answering.id == id) {
            state.answering_given_up = Some(given_up.clone());
        }
    }

    /// Ready when a request that was withdrawn was answered, or the connection is over.
    pub(super) async fn answered(&self, id: RequestId) {
        loop {
            let mut notified = pin!(self.turns.notified());
            notified.as_mut().enable();
            if !self.state().is_waiting(id) {
                return;
            }
            notified.await;
        }
    }

    /// Waits until a request that was withdrawn can be cancelled; false when it was answered before.
    pub(super) async fn turn(&self, id: RequestId) -> bool {
        loop {
            let mut notified = pin!(self.turns.notified());
            notified.as_mut().enable();
            let turn = self.state().turn(id);
            match turn {
                Turn::Now => return true,
                Turn::Over => return false,
                Turn::Later => notified.await,
            }
        }
    }

    /// Whether a request that was withdrawn can be cancelled now.
    #[cfg(test)]
    pub(super) fn turn_now(&self, id: RequestId) -> Turn {
        self.state().turn(id)
    }

    /// The answer that was read is complete.
    pub(super) fn end_answer(&self, mut state: MutexGuard<'_, State>, status: TransactionStatus) {
        let was_withdrawn = state.withdrawn > 0;
        state.end_answer(status);
        drop(state);
        if was_withdrawn {
            self.turns.notify_waiters();
        }
    }

    /// Sends again what is handed over.
    pub(super) fn release(&self) {
        self.state().is_cancelling = false;
        self.waker.wake();
        self.turns.notify_waiters();
    }

    /// Ends it: what was not answered fails, and so does what is handed over from now on.
    pub(super) fn end(&self, answering: Option<Box<dyn Response>>, failure: &Failure) {
        let mut state = self.state();
        state.end.get_or_insert_with(|| failure.clone());
        let written = state.written;
        let exchanges = std::mem::take(&mut state.exchanges);
        state.answering = None;
        drop(state);
        self.turns.notify_waiters();
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
        self.exchanges.is_empty() && self.answering.is_none() && !self.is_cancelling
    }

    /// Whether a request is not answered yet.
    fn is_waiting(&self, id: RequestId) -> bool {
        let is_sent = self.exchanges.iter().any(|exchange| exchange.id == id);
        let is_answered = self.answering.is_some_and(|answering| answering.id == id);
        self.end.is_none() && (is_sent || is_answered)
    }

    /// The next request whose answer comes.
    pub(super) fn next_answer(&mut self) -> Option<Box<dyn Response>> {
        let next = self.exchanges.pop_front()?;
        self.answering = Some(Answering {
            id: next.id,
            is_exclusive: next.is_exclusive,
            is_withdrawn: next.is_withdrawn,
        });
        self.answering_given_up = next.given_up;
        Some(next.response)
    }

    fn end_answer(&mut self, status: TransactionStatus) {
        if let Some(ended) = self.answering.take() {
            self.exclusive -= usize::from(ended.is_exclusive);
            self.withdrawn -= usize::from(ended.is_withdrawn);
        }
        self.answering_given_up = None;
        self.status = status;
    }

    /// Where the bytes begin that the driver has not taken.
    fn unsent_from(&self) -> u64 {
        self.submitted - self.outgoing.len() as u64
    }

    /// Those behind the one that is answered of which something was sent.
    fn sent(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        let unsent_from = self.unsent_from();
        let count = self
            .exchanges
            .partition_point(|exchange| exchange.begin < unsent_from);
        self.exchanges.range(..count)
    }

    /// Whether something was sent behind the request that is answered.
    pub(super) fn has_sent_more(&self) -> bool {
        self.sent().next().is_some()
    }

    /// The number of bytes that may be sent now. Nothing is sent behind a request that was withdrawn or is given up, so that it can be
    /// cancelled, nothing of one that is given up before, and nothing behind one that is exclusive.
    pub(super) fn sendable(&self) -> usize {
        let unsent = self.exchanges.iter().skip(self.sent().count());
        let mut given_up = unsent.filter(|exchange| is_fired(exchange.given_up.as_ref()));
        let unsent_from = self.unsent_from();
        let all = given_up.next().map_or(self.outgoing.len(), |exchange| {
            usize::try_from(exchange.begin - unsent_from).unwrap_or(usize::MAX)
        });
        if self.is_cancelling || self.ends_withdrawn() {
            return 0;
        }
        if self.exclusive == 0 {
            return all;
        }
        if self
            .answering
            .is_some_and(|answering| answering.is_exclusive)
        {
            return 0;
        }
        let mut exclusive = self
            .exchanges
            .iter()
            .filter(|exchange| exchange.is_exclusive);
        let until = exclusive
            .next()
            .map(|exchange| exchange.begin + exchange.length);
        until.map_or(all, |until| {
            let until = usize::try_from(until.saturating_sub(unsent_from)).unwrap_or(all);
            until.min(all)
        })
    }

    /// Whether the last request that was sent was withdrawn, or is about to be.
    fn ends_withdrawn(&self) -> bool {
        match self.sent().next_back() {
            Some(last) => last.is_withdrawn || is_fired(last.given_up.as_ref()),
            None => self.answering.is_some_and(|answering| {
                answering.is_withdrawn || is_fired(self.answering_given_up.as_ref())
            }),
        }
    }

    fn turn(&mut self, id: RequestId) -> Turn {
        let (is_current, behind) = match self.answering {
            Some(answering) => (answering.id == id, 0),
            None => (self.exchanges.front().is_some_and(|next| next.id == id), 1),
        };
        if !is_current {
            let waits = self.exchanges.iter().any(|exchange| exchange.id == id);
            return if waits { Turn::Later } else { Turn::Over };
        }
        if self.is_cancelling || self.sent().skip(behind).any(|later| !later.is_withdrawn) {
            return Turn::Later;
        }
        self.is_cancelling = true;
        Turn::Now
    }

    fn withdraw(&mut self, id: RequestId) -> Withdrawal {
        if let Some(answering) = self.answering.as_mut().filter(|one| one.id == id) {
            self.withdrawn += usize::from(!answering.is_withdrawn);
            answering.is_withdrawn = true;
            return Withdrawal::Sent;
        }
        let unsent_from = self.unsent_from();
        let place = self.exchanges.iter().position(|exchange| exchange.id == id);
        let Some((place, exchange)) = place.and_then(|at| Some((at, self.exchanges.get_mut(at)?)))
        else {
            return Withdrawal::Answered;
        };
        if exchange.begin >= unsent_from {
            return self.remove(place, unsent_from);
        }
        self.withdrawn += usize::from(!exchange.is_withdrawn);
        exchange.is_withdrawn = true;
        Withdrawal::Sent
    }

    /// Takes an unsent request out of what is to be sent.
    fn remove(&mut self, place: usize, unsent_from: u64) -> Withdrawal {
        let Some(exchange) = self.exchanges.remove(place) else {
            return Withdrawal::Answered;
        };
        self.exclusive -= usize::from(exchange.is_exclusive);
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

fn is_fired(given_up: Option<&CancellationToken>) -> bool {
    given_up.is_some_and(CancellationToken::is_cancelled)
}
