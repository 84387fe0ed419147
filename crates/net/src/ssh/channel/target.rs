//! What a channel is opened to, and why a server refuses that.

use moorline_core::error::{Delivery, Failure, Kind};

use super::MAX_DATA_BYTES;
use crate::{
    dial::Target,
    ssh::{
        message::CHANNEL_OPEN,
        wire::{Malformed, Reader, printable, put_string},
    },
};

/// The longest text of the server's in an error.
const MAX_TEXT: usize = 300;
/// RFC 4254, section 5.1.
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const UNKNOWN_CHANNEL_TYPE: u32 = 3;
const RESOURCE_SHORTAGE: u32 = 4;

/// A target as it is seen from the SSH server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ChannelTarget {
    /// A TCP port of a host, whose name the SSH server resolves.
    Tcp {
        /// Its name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// The path of a Unix socket.
    UnixSocket(String),
}

impl From<&Target> for ChannelTarget {
    fn from(target: &Target) -> Self {
        Self::Tcp {
            host: target.host.clone(),
            port: target.port,
        }
    }
}

impl ChannelTarget {
    /// The target in a message.
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } => Target::new(host.as_str(), *port, false).authority(),
            Self::UnixSocket(path) => path.clone(),
        }
    }

    /// The message that opens a channel.
    pub(crate) fn encode_open(&self, id: u32, window: u32) -> Vec<u8> {
        let mut out = vec![CHANNEL_OPEN];
        let kind: &[u8] = match self {
            Self::Tcp { .. } => b"direct-tcpip",
            Self::UnixSocket(_) => b"direct-streamlocal@openssh.com",
        };
        put_string(&mut out, kind);
        for number in [id, window, MAX_DATA_BYTES] {
            out.extend(number.to_be_bytes());
        }
        match self {
            // RFC 4254, section 7.2; there is no originator.
            Self::Tcp { host, port } => {
                put_string(&mut out, host.as_bytes());
                out.extend(u32::from(*port).to_be_bytes());
                put_string(&mut out, b"127.0.0.1");
            }
            // OpenSSH's PROTOCOL, section 2.4: a reserved string and number follow.
            Self::UnixSocket(path) => {
                put_string(&mut out, path.as_bytes());
                put_string(&mut out, b"");
            }
        }
        out.extend([0; 4]);
        out
    }

    /// The failure of a server's CHANNEL_OPEN_FAILURE, of which the recipient was read.
    pub(crate) fn refusal(&self, reader: &mut Reader<'_>) -> Result<Failure, Malformed> {
        let reason = reader.uint32()?;
        let text = printable(reader.string().unwrap_or_default(), MAX_TEXT);
        let (kind, code, why) = match reason {
            ADMINISTRATIVELY_PROHIBITED => (
                Kind::Rejected,
                "ERR_SSH_OPEN_PROHIBITED",
                "the SSH server does not allow connections to",
            ),
            CONNECT_FAILED => (
                Kind::Connect,
                "ECONNREFUSED",
                "the SSH server could not connect to",
            ),
            UNKNOWN_CHANNEL_TYPE => (
                Kind::Rejected,
                "ERR_SSH_OPEN_UNSUPPORTED",
                "the SSH server has no such connections as that to",
            ),
            RESOURCE_SHORTAGE => (
                Kind::Connect,
                "ERR_SSH_OPEN_RESOURCES",
                "the SSH server has no resources for a connection to",
            ),
            _ => (
                Kind::Rejected,
                "ERR_SSH_OPEN_REFUSED",
                "the SSH server refused a connection to",
            ),
        };
        let message = format!("{why} {} ({code}): {text}", self.authority());
        Ok(Failure::new(kind, message)
            .with_code(code)
            .with_delivery(Delivery::None)
            .with_detail("reason", reason))
    }
}
