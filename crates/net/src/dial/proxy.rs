//! The choice of the proxy for a connection.

use base64::{Engine, prelude::BASE64_STANDARD};
use moorline_core::secret::Secret;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{config::Proxy, environment::EnvironmentProxies, target::Target};

/// The protocol of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyProtocol {
    /// HTTP `CONNECT`.
    Connect,
    /// SOCKS5. The names are resolved here, or by the proxy.
    Socks {
        /// The proxy resolves the names.
        remote_names: bool,
    },
}

/// A proxy on the way.
#[derive(Clone, Debug)]
pub(super) struct ProxyRoute {
    pub(super) target: Target,
    pub(super) protocol: ProxyProtocol,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<Secret>,
    /// Name and password as SOCKS wants them.
    pub(super) login: Option<(Secret, Secret)>,
}

/// Finds the proxy for a target.
pub(super) enum ProxyRoutes {
    Never,
    Environment(EnvironmentProxies),
    Always(Box<ProxyRoute>),
}

impl ProxyRoutes {
    pub(super) fn new(proxy: &Proxy) -> Self {
        match proxy {
            Proxy::None => Self::Never,
            Proxy::Environment => Self::Environment(EnvironmentProxies::read()),
            Proxy::Url(url) => {
                ProxyRoute::from_url(url).map_or(Self::Never, |route| Self::Always(Box::new(route)))
            }
        }
    }

    pub(super) fn for_target(&self, target: &Target) -> Option<ProxyRoute> {
        match self {
            Self::Never => None,
            Self::Always(route) => Some(route.as_ref().clone()),
            Self::Environment(proxies) => proxies.for_target(target).and_then(ProxyRoute::from_url),
        }
    }
}

impl ProxyRoute {
    fn from_url(url: &Url) -> Option<Self> {
        let decode = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let login = (!url.username().is_empty() || url.password().is_some()).then(|| {
            (
                decode(url.username()),
                decode(url.password().unwrap_or_default()),
            )
        });
        Self::new(url.scheme(), url.host_str()?, url.port(), login)
    }

    fn new(
        scheme: &str,
        host: &str,
        port: Option<u16>,
        login: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Option<Self> {
        let (protocol, usual_port) = match scheme {
            "http" => (ProxyProtocol::Connect, 80),
            "https" => (ProxyProtocol::Connect, 443),
            "socks5" => (
                ProxyProtocol::Socks {
                    remote_names: false,
                },
                1080,
            ),
            "socks5h" => (ProxyProtocol::Socks { remote_names: true }, 1080),
            _ => return None,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let basic = login.as_ref().map(|(name, password)| {
            let pair = [name.as_slice(), b":", password].concat();
            Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair)))
        });
        Some(Self {
            target: Target {
                host: host.to_owned(),
                port: port.unwrap_or(usual_port),
                secure: scheme == "https",
            },
            protocol,
            authorization: basic,
            login: login.map(|(name, password)| (Secret::new(name), Secret::new(password))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(url: &str) -> ProxyRoute {
        ProxyRoute::from_url(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn a_proxys_url_tells_where_it_is_what_it_speaks_and_who_we_are() {
        let plain = route("http://me:p%40ss@proxy.example:3128");
        assert_eq!(plain.target.authority(), "proxy.example:3128");
        let expected = format!("Basic {}", BASE64_STANDARD.encode("me:p@ss"));
        assert_eq!(plain.authorization.unwrap().expose(), expected.as_bytes());
        assert_eq!(route("http://proxy").target.port, 80);
        assert!(route("https://proxy").target.secure);
        let socks = route("socks5h://[::1]");
        assert_eq!(socks.target.authority(), "[::1]:1080");
        assert_eq!(socks.protocol, ProxyProtocol::Socks { remote_names: true });
        assert!(socks.login.is_none());
    }
}
