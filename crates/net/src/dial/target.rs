//! The target of a dial: host, port and scheme.

use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use url::{Host, Url};

/// A host, a port, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// A name or an IP address; an IPv6 address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the connection is TLS.
    pub secure: bool,
}

impl Target {
    /// A target by its parts.
    pub fn new(host: impl Into<String>, port: u16, secure: bool) -> Self {
        Self {
            host: host.into(),
            port,
            secure,
        }
    }

    /// The target of a URL: TLS for `https:` and `wss:`, plain for `http:` and `ws:`. Anything else fails.
    pub fn of(url: &Url) -> Outcome<Self> {
        let secure = match url.scheme() {
            "https" | "wss" => Some(true),
            "http" | "ws" => Some(false),
            _ => None,
        };
        secure
            .zip(url.host())
            .map(|(secure, host)| Self {
                host: match host {
                    Host::Domain(name) => name.to_owned(),
                    Host::Ipv4(address) => address.to_string(),
                    Host::Ipv6(address) => address.to_string(),
                },
                port: url.port().unwrap_or(if secure { 443 } else { 80 }),
                secure,
            })
            .ok_or_else(|| {
                Failure::new(Kind::Rejected, "the URL has no valid host")
                    .with_code("ERR_INVALID_URL")
                    .with_delivery(Delivery::None)
            })
    }

    /// Host and port as a URL shows them, which is all that a message says about a target.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Outcome<Target> {
        Target::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_scheme_decides_about_port_and_tls() {
        let table = [
            ("http://example.com/x?key=secret", "example.com:80", false),
            ("wss://me:pw@example.com", "example.com:443", true),
            ("https://[::1]:8443", "[::1]:8443", true),
            ("ws://127.0.0.1:81", "127.0.0.1:81", false),
        ];
        for (url, authority, secure) in table {
            let target = target(url).unwrap();
            assert_eq!(
                (target.authority().as_str(), target.secure),
                (authority, secure)
            );
        }
        assert!(target("file:///etc/passwd").is_err());
    }
}
