//! Where a server is reached, and the byte stream to it.

use std::{fmt, path::PathBuf, sync::Arc};

use moorline_core::error::Outcome;
use moorline_net::dial::{Alpn, Dialer, Stream, Target};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// At a port of a host.
    Host(String, u16),
    /// At the Unix socket of this port in a directory.
    Directory(PathBuf, u16),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) => f.write_str(&Target::new(host, *port, false).authority()),
            Self::Directory(directory, port) => write!(f, "{}:{port}", directory.display()),
        }
    }
}

impl Address {
    /// Opens a byte stream to it, before TLS.
    pub(super) async fn dial(&self, dialer: &Arc<Dialer>) -> Outcome<Stream> {
        match self {
            Self::Host(host, port) => {
                let target = Target::new(host, *port, false);
                dialer.dial(&target, Alpn::NONE).await
            }
            Self::Directory(directory, port) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                dialer.dial_path(&path).await
            }
        }
    }
}
