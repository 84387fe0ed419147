//! The frame reader: assembles messages and checks the protocol, without a socket.

use super::{
    batch::Batch,
    deflate::Inflater,
    frame::{FrameKind, Header},
    protocol_error::{ProtocolError, close_code_is_allowed},
};
use moorline_net::receive_queue::Buffer;

/// The step of decompression: this many bytes decompress to a megabyte at most.
const INFLATE_STEP: usize = 1024;
/// The bytes of messages after which the reader yields.
const YIELD_BYTES: usize = 512 * 1024;
/// The most memory that is allocated for a message by its announced length.
const MAX_PREALLOCATED_BYTES: u64 = 1 << 20;

/// A received control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason; no code when the frame was empty.
    Close(Option<u16>, String),
}

/// The messages and control frames that were read.
#[derive(Debug, Default)]
pub(super) struct ReceivedFrames {
    pub(super) batch: Batch,
    pub(super) controls: Vec<Control>,
}

/// The result of [`Receiver::feed`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FeedResult {
    /// The number of bytes consumed; the rest must be fed again, with the bytes after it.
    pub(super) consumed: usize,
    /// Whether the rest can be parsed without further bytes.
    pub(super) can_parse_more: bool,
}

/// Reads frames, assembles messages, and refuses violations of the protocol as early as possible.
pub(super) struct Receiver {
    max_message: usize,
    inflater: Option<Inflater>,
    /// The data frame that is being read.
    frame: Option<OpenFrame>,
    /// The message it belongs to.
    message: Option<PartialMessage>,
    closed: bool,
}

#[derive(Clone, Copy)]
struct OpenFrame {
    remaining: u64,
    last: bool,
}

struct PartialMessage {
    is_text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    /// The number of bytes that are valid UTF-8.
    valid_up_to: usize,
}

impl Receiver {
    pub(super) fn new(max_message: usize, inflater: Option<Inflater>) -> Self {
        Self {
            max_message,
            inflater,
            frame: None,
            message: None,
            closed: false,
        }
    }

    /// Parses `input` from its start, until it ends or the reader yields.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        into: &mut ReceivedFrames,
    ) -> Result<FeedResult, ProtocolError> {
        let mut at = 0;
        let limit = into.batch.cost() + self.buffered_bytes() + YIELD_BYTES;
        loop {
            let rest = &input[at..];
            if self.closed {
                // Bytes after a close frame are ignored.
                return Ok(consumed_all(input.len()));
            }
            if into.batch.cost() + self.buffered_bytes() >= limit {
                return Ok(FeedResult {
                    consumed: at,
                    // A frame without a payload ends without a byte more.
                    can_parse_more: !rest.is_empty()
                        || self.frame.is_some_and(|open| open.remaining == 0),
                });
            }
            let taken = match self.frame {
                Some(open) => self.continue_frame(open, rest, into)?,
                None => self.begin_frame(rest, into)?,
            };
            match taken {
                Some(taken) => at += taken,
                None => return Ok(consumed_all(at)),
            }
        }
    }

    /// The bytes of the unfinished message.
    fn buffered_bytes(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |message| message.bytes.len())
    }

    fn begin_frame(
        &mut self,
        rest: &[u8],
        into: &mut ReceivedFrames,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(header) = Header::read(rest, self.inflater.is_some())? else {
            return Ok(None);
        };
        let body = &rest[header.length..];
        match header.kind {
            FrameKind::Ping | FrameKind::Pong | FrameKind::Close => {
                let Some(payload) = body.get(..header.payload as usize) else {
                    return Ok(None);
                };
                self.receive_control(header.kind, payload, into)?;
                return Ok(Some(header.length + payload.len()));
            }
            FrameKind::Continuation if self.message.is_none() => {
                return Err(ProtocolError::UNEXPECTED_CONTINUATION);
            }
            FrameKind::Text | FrameKind::Binary if self.message.is_some() => {
                return Err(ProtocolError::EXPECTED_CONTINUATION);
            }
            _ => {}
        }
        self.check_length(&header)?;
        if self.message.is_none() && header.last && !header.compressed {
            // The fast path: a message of one complete frame.
            if let Some(payload) = body.get(..header.payload as usize) {
                if header.kind == FrameKind::Text {
                    let text = str::from_utf8(payload).map_err(|_| ProtocolError::INVALID_UTF8)?;
                    into.batch.push_text(text);
                } else {
                    into.batch.push_binary(payload);
                }
                return Ok(Some(header.length + payload.len()));
            }
        }
        if self.message.is_none() {
            self.message = Some(PartialMessage {
                is_text: header.kind == FrameKind::Text,
                compressed: header.compressed,
                bytes: Vec::with_capacity(header.payload.min(MAX_PREALLOCATED_BYTES) as usize),
                valid_up_to: 0,
            });
        }
        self.frame = Some(OpenFrame {
            remaining: header.payload,
            last: header.last,
        });
        Ok(Some(header.length))
    }

    /// Refuses a message by its announced length. The length of a compressed one is known only as it is decompressed.
    fn check_length(&self, header: &Header) -> Result<(), ProtocolError> {
        let (before, compressed) = self
            .message
            .as_ref()
            .map_or((0, header.compressed), |message| {
                (message.bytes.len(), message.compressed)
            });
        let over = header.payload > (self.max_message - before) as u64;
        if over && !compressed {
            return Err(ProtocolError::MESSAGE_TOO_LARGE);
        }
        Ok(())
    }

    fn continue_frame(
        &mut self,
        open: OpenFrame,
        rest: &[u8],
        into: &mut ReceivedFrames,
    ) -> Result<Option<usize>, ProtocolError> {
        if open.remaining > 0 && rest.is_empty() {
            return Ok(None);
        }
        let compressed = self
            .message
            .as_ref()
            .is_some_and(|message| message.compressed);
        let step = if compressed {
            INFLATE_STEP
        } else {
            YIELD_BYTES
        };
        let taken = rest
            .len()
            .min(step)
            .min(usize::try_from(open.remaining).unwrap_or(usize::MAX));
        self.append_payload(&rest[..taken])?;
        let remaining = open.remaining - taken as u64;
        self.frame = Some(OpenFrame { remaining, ..open });
        if remaining == 0 {
            self.frame = None;
            if open.last {
                self.finish_message(into)?;
            }
        }
        Ok(Some(taken))
    }

    fn append_payload(&mut self, chunk: &[u8]) -> Result<(), ProtocolError> {
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        match &mut self.inflater {
            Some(inflater) if message.compressed => {
                inflater.feed(chunk, &mut message.bytes, self.max_message)?;
            }
            _ => message.bytes.extend_from_slice(chunk),
        }
        message.check_text()
    }

    fn finish_message(&mut self, into: &mut ReceivedFrames) -> Result<(), ProtocolError> {
        let Some(mut message) = self.message.take() else {
            return Ok(());
        };
        if let (true, Some(inflater)) = (message.compressed, &mut self.inflater) {
            inflater.finish(&mut message.bytes, self.max_message)?;
            message.check_text()?;
        }
        if message.is_text && message.valid_up_to < message.bytes.len() {
            return Err(ProtocolError::INVALID_UTF8);
        }
        into.batch.push_message(message.bytes, message.is_text);
        Ok(())
    }

    fn receive_control(
        &mut self,
        kind: FrameKind,
        payload: &[u8],
        into: &mut ReceivedFrames,
    ) -> Result<(), ProtocolError> {
        into.controls.push(match kind {
            FrameKind::Ping => {
                into.batch.push_ping();
                Control::Ping(payload.to_vec())
            }
            FrameKind::Pong => Control::Pong(payload.to_vec()),
            _ => {
                self.closed = true;
                read_close(payload)?
            }
        });
        Ok(())
    }
}

fn consumed_all(consumed: usize) -> FeedResult {
    FeedResult {
        consumed,
        can_parse_more: false,
    }
}

impl PartialMessage {
    /// Checks the bytes since the last call; a character may be incomplete at the end.
    fn check_text(&mut self) -> Result<(), ProtocolError> {
        if !self.is_text {
            return Ok(());
        }
        match str::from_utf8(&self.bytes[self.valid_up_to..]) {
            Ok(_) => self.valid_up_to = self.bytes.len(),
            Err(error) if error.error_len().is_some() => return Err(ProtocolError::INVALID_UTF8),
            Err(error) => self.valid_up_to += error.valid_up_to(),
        }
        Ok(())
    }
}

fn read_close(payload: &[u8]) -> Result<Control, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(Control::Close(None, String::new()))
        } else {
            Err(ProtocolError::INVALID_CONTROL_LENGTH)
        };
    };
    let code = u16::from_be_bytes(*code);
    if !close_code_is_allowed(code) {
        return Err(ProtocolError::INVALID_CLOSE_CODE);
    }
    let reason = str::from_utf8(reason).map_err(|_| ProtocolError::INVALID_UTF8)?;
    Ok(Control::Close(Some(code), reason.to_owned()))
}

#[cfg(test)]
mod tests;
