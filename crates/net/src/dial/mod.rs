//! Dialling for every service: name, address, proxy or tunnel, byte stream, TLS.
//!
//! A [`Dialer`] is made once from a user's options and opens connections with them: it resolves the name on a
//! thread of its own, races the addresses (RFC 8305), goes through a proxy when asked, and speaks TLS with the
//! one configuration of the addon. All of it together ends within `connectTimeoutMs`. Nothing is read or built
//! before the first connection.
//!
//! Every failure is of kind `connect`, `tls` or `auth`, has `delivery: none`, the code that Node gives, and
//! tells in its detail how far it came (`phase`: `dns`, `connect`, `proxy`, `tunnel` or `tls`).

mod address_policy;
mod certificate;
mod config;
mod dialer;
mod environment;
mod error;
mod happy_eyeballs;
mod proxy;
mod proxy_handshake;
mod public_key;
mod resolve;
mod server_end_point;
mod shared;
mod stream;
mod target;
mod tls;
mod tls_cache;
mod transport;
mod tunnel;

pub use address_policy::AddressPolicy;
pub use certificate::NameCheck;
pub(crate) use config::NO_TIMEOUT;
pub use config::{DialConfig, KeepAlive, Proxy};
pub use dialer::Dialer;
pub(crate) use environment::EnvironmentProxies;
pub use error::Phase;
pub use error::{FailureClass, chain, classify};
pub use resolve::SystemNames;
pub use shared::Shared;
pub use stream::Stream;
pub use target::Target;
pub use tls::{PemSource, TlsConfig, TlsVersion};
pub use tls_cache::Alpn;
pub use transport::{ByteStream, Peer};
pub use tunnel::{CrowdedFuture, Tunnel, TunnelAddress, TunnelEnd, TunnelFuture};
