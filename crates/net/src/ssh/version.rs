//! Versions (RFC 4253, section 4.2): ours sent, the server's read, with what may come before it.

use std::future::poll_fn;

use moorline_core::error::{Delivery, Failure, Kind};

use super::{error::SessionError, key_exchange::Versions, transport::Transport, wire::printable};
use crate::dial::ByteStream;

/// Ours.
const CLIENT_VERSION: &str = concat!("SSH-2.0-moorline_", env!("CARGO_PKG_VERSION"));
/// The longest line, and the most bytes and lines before the version. RFC 4253 has no limit; OpenSSH has these for lines.
const MAX_LINE_BYTES: usize = 8192;
const MAX_BYTES: usize = 64 * 1024;
const MAX_LINES: usize = 1024;
/// The most of what came instead that an error shows.
const MAX_SHOWN: usize = 120;

/// Sends our version and reads the server's.
pub(crate) async fn exchange_versions<S: ByteStream>(
    transport: &mut Transport<S>,
) -> Result<Versions, SessionError> {
    transport.writer.put_raw(CLIENT_VERSION.as_bytes());
    transport.writer.put_raw(b"\r\n");
    let mut reader = VersionReader::default();
    loop {
        if let Some(server) = reader.read(transport)? {
            return Ok(Versions {
                client: CLIENT_VERSION.as_bytes().to_vec(),
                server,
            });
        }
        let filled = poll_fn(|context| {
            // It may be written while we read, or not at all: the server's comes without it.
            let _ = transport.poll_send(context);
            transport.poll_fill(context)
        });
        filled.await.map_err(|error| reader.explain(error))?;
    }
}

/// The lines until the version.
#[derive(Default)]
struct VersionReader {
    bytes: usize,
    lines: usize,
    /// The last line that was no version.
    last: Vec<u8>,
}

impl VersionReader {
    /// The version, once its line is whole.
    fn read<S: ByteStream>(
        &mut self,
        transport: &mut Transport<S>,
    ) -> Result<Option<Vec<u8>>, SessionError> {
        loop {
            let unread = transport.reader.unread();
            let Some(end) = unread.iter().position(|byte| *byte == b'\n') else {
                if unread.len() > MAX_LINE_BYTES || self.bytes + unread.len() > MAX_BYTES {
                    return Err(refusal(unread, "a line that is too long"));
                }
                // Nothing of binary data need be a line.
                return if is_binary(unread) {
                    Err(refusal(unread, "binary data"))
                } else {
                    Ok(None)
                };
            };
            let line = unread.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            transport.reader.consume(end + 1);
            self.bytes += end + 1;
            self.lines += 1;
            if line.starts_with(b"SSH-") {
                return checked(line).map(Some);
            }
            if line.starts_with(b"HTTP/") {
                return Err(refusal(&line, "an HTTP response"));
            }
            if is_binary(&line) {
                return Err(refusal(&line, "binary data"));
            }
            if self.bytes > MAX_BYTES || self.lines > MAX_LINES || line.len() > MAX_LINE_BYTES {
                return Err(refusal(&line, "too much text"));
            }
            self.last = line;
        }
    }

    /// What a server said before it closed, as sshd with too many connections does.
    fn explain(&self, error: SessionError) -> SessionError {
        let said = printable(&self.last, MAX_SHOWN);
        match error {
            SessionError::Lost(_) if !said.is_empty() => SessionError::Refused(
                Failure::new(
                    Kind::Connect,
                    format!("the SSH server closed the connection: {said}"),
                )
                .with_code("ECONNRESET"),
            ),
            other => other,
        }
    }
}

fn checked(line: Vec<u8>) -> Result<Vec<u8>, SessionError> {
    if line.len() > MAX_LINE_BYTES || is_binary(&line) {
        return Err(refusal(&line, "a version that cannot be read"));
    }
    // 1.99 is a server that speaks 1.5, too (RFC 4253, section 5.1).
    if line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-") {
        Ok(line)
    } else {
        Err(refusal(&line, "a version that is not 2.0"))
    }
}

fn is_binary(bytes: &[u8]) -> bool {
    // Bells, tabs, line ends and escapes are text.
    let is_text = |byte: &u8| matches!(byte, 0x07..=0x0d | 0x1b | 0x20..=0x7e | 0x80..);
    !bytes.iter().all(is_text)
}

fn refusal(received: &[u8], what: &str) -> SessionError {
    let shown = received.get(..MAX_SHOWN).unwrap_or(received);
    let shown = shown.escape_ascii().to_string();
    let message = format!("the server is no SSH server that we know: it sent {what}");
    let failure = Failure::new(Kind::Protocol, message)
        .with_code("ERR_SSH_VERSION")
        .with_delivery(Delivery::None)
        .with_detail("received", shown);
    SessionError::Refused(failure)
}
