//! Received data that their reader has not taken yet.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

/// Less data than this are put together, so that many small packets take no more memory than they hold.
const SMALL_BYTES: usize = 4096;

/// Bytes in the chunks in which they came.
#[derive(Default)]
pub(super) struct ReceiveBuffer {
    chunks: VecDeque<Vec<u8>>,
    /// What was read of the first chunk.
    read: usize,
}

impl ReceiveBuffer {
    /// Takes over a payload whose data begin at `start`.
    pub(super) fn push(&mut self, payload: Vec<u8>, start: usize) {
        let Some(data) = payload.get(start..).filter(|data| !data.is_empty()) else {
            return;
        };
        let Some(last) = self.chunks.back_mut() else {
            self.read = start;
            self.chunks.push_back(payload);
            return;
        };
        if data.len() <= last.capacity() - last.len() {
            last.extend_from_slice(data);
            return;
        }
        let mut chunk = Vec::with_capacity(data.len().max(SMALL_BYTES));
        chunk.extend_from_slice(data);
        self.chunks.push_back(chunk);
    }

    /// Moves as much as fits into `out`; returns the count.
    pub(super) fn read(&mut self, out: &mut ReadBuf<'_>) -> usize {
        let before = out.remaining();
        while let Some(chunk) = self.chunks.front() {
            let data = chunk.get(self.read..).unwrap_or_default();
            let count = data.len().min(out.remaining());
            out.put_slice(data.get(..count).unwrap_or_default());
            if count < data.len() {
                self.read += count;
                break;
            }
            self.chunks.pop_front();
            self.read = 0;
        }
        before - out.remaining()
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    fn capacity(&self) -> usize {
        self.chunks.iter().map(Vec::capacity).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(pieces: Vec<Vec<u8>>, reads in prop::collection::vec(1usize..50, 1..50)) {
            let mut buffer = ReceiveBuffer::default();
            let mut expected = Vec::new();
            let mut received = Vec::new();
            let mut reads = reads.into_iter().cycle();
            for piece in pieces {
                expected.extend_from_slice(&piece);
                let payload = [&[9; 9], piece.as_slice()].concat();
                buffer.push(payload, 9);
                let mut out = vec![0; reads.next().unwrap()];
                let mut out = ReadBuf::new(&mut out);
                let count = buffer.read(&mut out);
                prop_assert_eq!(count, out.filled().len());
                received.extend_from_slice(out.filled());
            }
            let mut out = vec![0; expected.len() + 1];
            let mut out = ReadBuf::new(&mut out);
            buffer.read(&mut out);
            received.extend_from_slice(out.filled());
            prop_assert_eq!(received, expected);
            prop_assert_eq!(buffer.capacity(), 0);
        }
    }

    #[test]
    fn many_small_packets_take_little_more_than_they_hold() {
        let mut buffer = ReceiveBuffer::default();
        for _ in 0..1_000_000 {
            buffer.push(vec![0; 10], 9);
        }
        assert!(buffer.capacity() < 1_100_000, "{}", buffer.capacity());
    }
}
