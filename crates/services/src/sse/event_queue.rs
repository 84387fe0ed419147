//! The queue of parsed events for JavaScript, generic over the form they take there.

use std::collections::VecDeque;

use moorline_net::receive_queue::Buffer;

use super::parser::Sink;

/// The size at which a batch is complete; with one that grows without end, a string cut out of it would keep all of it in
/// memory.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// The events of one take, encoded for their reader as they are parsed.
pub trait EventBatch: Sink + Default + Send + 'static {
    /// The size of its encoded events.
    fn bytes(&self) -> usize;

    /// Appends the events of a batch that was parsed later.
    fn append(&mut self, later: Self);
}

/// The batches that wait for JavaScript, which takes one at a time: each holds hundreds of events, and each of those
/// becomes an object.
#[derive(Debug)]
pub struct EventQueue<B> {
    batches: VecDeque<B>,
    bytes: usize,
}

impl<B> Default for EventQueue<B> {
    fn default() -> Self {
        Self {
            batches: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<B: EventBatch> EventQueue<B> {
    pub(super) fn push(&mut self, batch: B) {
        self.bytes += batch.bytes();
        match self.batches.back_mut() {
            Some(last) if last.bytes() + batch.bytes() <= BATCH_BYTES => last.append(batch),
            _ => self.batches.push_back(batch),
        }
    }
}

impl<B: EventBatch> Buffer for EventQueue<B> {
    type Batch = B;
    fn take(&mut self) -> B {
        let batch = self.batches.pop_front().unwrap_or_default();
        self.bytes -= batch.bytes();
        batch
    }
    fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
    fn cost(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::parser::{Event, FieldUpdate};

    #[derive(Default)]
    struct BatchOfSize(usize);

    impl Sink for BatchOfSize {
        fn on_event(&mut self, _: Event<'_>) {}
        fn on_update(&mut self, _: FieldUpdate<'_>) {}
    }

    impl EventBatch for BatchOfSize {
        fn bytes(&self) -> usize {
            self.0
        }
        fn append(&mut self, later: Self) {
            self.0 += later.0;
        }
    }

    #[test]
    fn a_batch_stays_small() {
        let mut queue = EventQueue::default();
        for bytes in [BATCH_BYTES / 2; 3].into_iter().chain([BATCH_BYTES * 2]) {
            queue.push(BatchOfSize(bytes));
        }
        assert_eq!(queue.cost(), BATCH_BYTES * 7 / 2);
        let sizes = [(); 3].map(|()| queue.take().0);
        assert_eq!(
            sizes,
            [BATCH_BYTES, BATCH_BYTES / 2, BATCH_BYTES * 2],
            "one that is larger by itself stands alone"
        );
        assert_eq!((queue.is_empty(), queue.cost()), (true, 0));
    }
}
