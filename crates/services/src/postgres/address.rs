//! Servers, and where they are reached.

use std::{fmt, path::PathBuf};

use moorline_net::dial::Target;

/// The port of a server of which nothing else is said.
pub(super) const DEFAULT_PORT: u16 = 5432;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// At a port of a host.
    Host(String, u16),
    /// At the Unix socket of this port in a directory.
    Directory(PathBuf, u16),
    /// At a Unix socket.
    Socket(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) => f.write_str(&Target::new(host, *port, false).authority()),
            Self::Directory(directory, port) => write!(f, "{}:{port}", directory.display()),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Where it listens.
    pub address: Address,
    /// The IP address that is dialled, in place of the host's own. The host remains the name of the certificate.
    pub numeric: Option<String>,
}

impl Server {
    /// Its host, or its socket's directory.
    pub fn host(&self) -> String {
        match &self.address {
            Address::Host(host, _) => host.clone(),
            Address::Directory(path, _) | Address::Socket(path) => path.display().to_string(),
        }
    }

    /// Whether it listens at a port, and not at a Unix socket.
    pub const fn is_at_host(&self) -> bool {
        matches!(self.address, Address::Host(..))
    }

    /// Its port; for a socket of any name the usual one.
    pub const fn port(&self) -> u16 {
        match self.address {
            Address::Host(_, port) | Address::Directory(_, port) => port,
            Address::Socket(_) => DEFAULT_PORT,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
