//! The proxies of the environment, and what goes past them.

use std::{env, net::IpAddr};

use ipnet::IpNet;
use url::Url;

use super::target::Target;

/// `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capital letters or small ones.
pub(crate) struct EnvironmentProxies {
    http: Option<Url>,
    https: Option<Url>,
    direct: Vec<Direct>,
}

/// An entry of `NO_PROXY`.
struct Direct {
    hosts: Hosts,
    port: Option<u16>,
}

enum Hosts {
    All,
    Net(IpNet),
    /// A name in small letters, with those below it.
    Name(String),
}

impl EnvironmentProxies {
    /// Reads the proxy variables of the process as they are now.
    pub(crate) fn read() -> Self {
        Self::from_variables(|name| env::var(name).ok())
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| get(name).or_else(|| get(&name.to_ascii_lowercase()));
        // A server sets `HTTP_PROXY` for a CGI program from the request's `Proxy` header.
        let is_cgi = get("REQUEST_METHOD").is_some();
        let proxy = |name| {
            value(name)
                .filter(|_| !is_cgi)
                .as_deref()
                .and_then(read_url)
        };
        let all = proxy("ALL_PROXY");
        Self {
            http: proxy("HTTP_PROXY").or_else(|| all.clone()),
            https: proxy("HTTPS_PROXY").or(all),
            direct: value("NO_PROXY")
                .unwrap_or_default()
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter_map(Direct::read)
                .collect(),
        }
    }

    /// The proxy for a target, unless it is reached directly.
    pub(crate) fn for_target(&self, target: &Target) -> Option<&Url> {
        let proxy = if target.secure {
            &self.https
        } else {
            &self.http
        };
        proxy
            .as_ref()
            .filter(|_| !self.direct.iter().any(|one| one.covers(target)))
    }
}

/// One without a scheme is an HTTP proxy.
fn read_url(text: &str) -> Option<Url> {
    let whole = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    whole.ok().filter(Url::has_host)
}

impl Direct {
    /// `*`, a network, an address or a name, with a port or without.
    fn read(entry: &str) -> Option<Self> {
        let net = |text: &str| {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            let address = bare.parse::<IpAddr>().map(IpNet::from);
            address.or_else(|_| bare.parse()).ok()
        };
        if let Some(net) = net(entry) {
            return Some(Self {
                hosts: Hosts::Net(net),
                port: None,
            });
        }
        let with_port = entry
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, Some(port.parse().ok()?))));
        let (host, port) = with_port.unwrap_or((entry, None));
        let hosts = match (host, net(host)) {
            ("*", _) => Hosts::All,
            (_, Some(net)) => Hosts::Net(net),
            (name, None) => {
                let name = name.trim_start_matches('*').trim_matches('.');
                Some(name)
                    .filter(|name| !name.is_empty())
                    .map(|name| Hosts::Name(name.to_ascii_lowercase()))?
            }
        };
        Some(Self { hosts, port })
    }

    fn covers(&self, target: &Target) -> bool {
        if self.port.is_some_and(|port| port != target.port) {
            return false;
        }
        match (&self.hosts, target.host.parse::<IpAddr>()) {
            (Hosts::All, _) => true,
            (Hosts::Net(net), Ok(address)) => net.contains(&address.to_canonical()),
            (Hosts::Name(name), Err(_)) => {
                let host = target.host.trim_end_matches('.').to_ascii_lowercase();
                host.strip_suffix(name.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> EnvironmentProxies {
        EnvironmentProxies::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn target(url: &str) -> Target {
        Target::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[test]
    fn what_no_proxy_names_is_reached_directly() {
        let table = [
            ("127.0.0.1", "http://127.0.0.1:8080", true),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("127.0.0.1:81", "http://127.0.0.1:8080", false),
            ("a.test:443", "https://a.test", true),
            ("a.test:443", "http://a.test", false),
            ("x.test 127.0.0.1", "http://127.0.0.1", true),
            ("x.test,\t127.0.0.1", "http://127.0.0.1", true),
            ("*.svc.test", "http://a.svc.test", true),
            (".svc.test", "http://a.b.svc.test", true),
            ("svc.test", "http://a.svc.test", true),
            ("svc.test", "http://asvc.test", false),
            ("SVC.test.", "http://svc.TEST", true),
            ("svc.test", "http://svc.test.", true),
            ("*.svc.test:80", "http://a.svc.test", true),
            ("[::1]", "http://[::1]:9", true),
            ("[::1]:9", "http://[::1]:9", true),
            ("[::1]:8", "http://[::1]:9", false),
            ("::1", "http://[::1]:9", true),
            ("10.0.0.0/8", "http://10.1.2.3", true),
            ("10.0.0.0/8", "http://11.1.2.3", false),
            ("fd00::/8", "http://[fd12::1]", true),
            ("a.test,*", "http://b.test", true),
            ("", "http://a.test", false),
            (" , ", "http://a.test", false),
            ("0.0.1", "http://127.0.0.1", false),
        ];
        for (list, url, direct) in table {
            let proxies = proxies(&[("ALL_PROXY", "http://p:3128"), ("NO_PROXY", list)]);
            let found = proxies.for_target(&target(url));
            assert_eq!(found.is_none(), direct, "{list} {url}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_capitals_come_first() {
        let given = proxies(&[
            ("HTTP_PROXY", "me:pw@upper:1"),
            ("http_proxy", "http://lower:2"),
            ("all_proxy", "socks5h://all:3"),
        ]);
        let http = given.for_target(&target("http://a.test")).unwrap();
        assert_eq!(http.as_str(), "http://me:pw@upper:1/");
        let https = given.for_target(&target("wss://a.test")).unwrap();
        assert_eq!(https.as_str(), "socks5h://all:3");
        assert!(proxies(&[]).for_target(&target("http://a.test")).is_none());
    }

    #[test]
    fn a_cgi_programs_request_names_no_proxy() {
        let cgi = proxies(&[("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET")]);
        assert!(cgi.for_target(&target("http://a.test")).is_none());
    }
}
