//! The compression of outgoing messages before they are framed.

use super::{
    deflate::{COMPRESS_STEP, Deflater},
    permessage_deflate::Agreement,
    send_queue::Message,
    shared::Shared,
};

/// Compresses the queued messages in order, in steps of limited size, and queues them as frames.
pub(super) struct Compressor {
    deflater: Option<Deflater>,
    threshold: usize,
    current: Option<(Message, usize)>,
    output: Vec<u8>,
}

impl Compressor {
    pub(super) fn new(agreement: &Agreement, threshold: usize) -> Self {
        Self {
            deflater: Deflater::new(agreement),
            threshold,
            current: None,
            output: Vec::new(),
        }
    }

    /// Compresses one step; false when there was no message.
    pub(super) fn step(&mut self, shared: &Shared) -> bool {
        let mut done = 0;
        while done < COMPRESS_STEP {
            let Some((message, at)) = self
                .current
                .take()
                .or_else(|| Some((shared.send_state().queue.next_uncompressed()?, 0)))
            else {
                return done > 0;
            };
            let size = message.bytes.len();
            // An empty message has nothing to compress.
            let small = size < self.threshold.max(1);
            let Some(deflater) = self.deflater.as_mut().filter(|_| !small) else {
                shared.send_state().queue.push_compressed(
                    &message.bytes,
                    message.is_text,
                    false,
                    size,
                );
                done += size + 1;
                continue;
            };
            let end = size.min(at + COMPRESS_STEP);
            deflater.feed(&message.bytes[at..end], &mut self.output, end == size);
            done += end - at;
            if end < size {
                self.current = Some((message, end));
            } else {
                shared.send_state().queue.push_compressed(
                    &self.output,
                    message.is_text,
                    true,
                    size,
                );
                self.output.clear();
            }
        }
        true
    }
}
