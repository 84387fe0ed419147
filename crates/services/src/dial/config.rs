//! What a user says about reaching a host. One reader for every service.

use std::time::Duration;

use moorline_core::options::{OptionError, Options, Read};
use url::Url;

use super::{guard::AddressGuard, tls::TlsOptions};

/// How long connecting may take, name resolution, proxy and TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether connections go through a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// Never (default).
    #[default]
    None,
    /// As `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    Environment,
    /// Through this one: `http:`, `https:`, `socks5:` (we resolve the name) or `socks5h:` (it does).
    Url(Url),
}

/// What distinguishes one dialer from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialOptions {
    /// `connectTimeoutMs`: how long connecting may take (default 10 s).
    pub connect_timeout: Duration,
    /// `tls`: TLS settings.
    pub tls: TlsOptions,
    /// `proxy`: the proxy (default: none).
    pub proxy: Proxy,
    /// Which addresses are refused (default: none); not read here, since it is a service's policy.
    pub guard: AddressGuard,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            tls: TlsOptions::default(),
            proxy: Proxy::default(),
            guard: AddressGuard::default(),
        }
    }
}

impl DialOptions {
    /// Reads `connectTimeoutMs`, `tls` and `proxy`.
    pub fn read(options: &Options<'_>) -> Read<Self> {
        Ok(Self {
            connect_timeout: options.ms("connectTimeoutMs", CONNECT_TIMEOUT, 1.0)?,
            tls: options
                .nested("tls")?
                .map(TlsOptions::from_options)
                .transpose()?
                .unwrap_or_default(),
            proxy: read_proxy(options)?,
            guard: AddressGuard::default(),
        })
    }
}

fn read_proxy(options: &Options<'_>) -> Read<Proxy> {
    let url = match options.text("proxy")? {
        None => return Ok(Proxy::None),
        Some("environment") => return Ok(Proxy::Environment),
        Some(url) => url,
    };
    Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h"))
        .filter(Url::has_host)
        .map(Proxy::Url)
        .ok_or_else(|| {
            // Not shown: it may hold a password.
            OptionError::bad_value(
                &options.path_of("proxy"),
                "must be 'environment' or an http://, https://, socks5:// or socks5h:// URL",
            )
        })
}

#[cfg(test)]
mod tests {
    use moorline_core::options::Plain;

    use super::*;

    fn read(key: &str, value: Plain) -> Read<DialOptions> {
        let map = Plain::Map(vec![(key.to_owned(), value)]);
        let options = Options::new("options", &map)?;
        let read = DialOptions::read(&options)?;
        options.finish()?;
        Ok(read)
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        let read = DialOptions::read(&Options::new("options", &Plain::Undefined).unwrap());
        assert_eq!(read.unwrap(), DialOptions::default());
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_showing_its_password() {
        for bad in ["ftp://me:hunter2@proxy", "hunter2", "socks4://proxy"] {
            let error = read("proxy", Plain::Text(bad.to_owned())).unwrap_err();
            assert!(error.message.starts_with("options.proxy "), "{error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
        for good in ["http://p:1", "https://p", "socks5://p", "socks5h://p"] {
            let read = read("proxy", Plain::Text(good.to_owned())).unwrap();
            assert!(matches!(read.proxy, Proxy::Url(_)));
        }
        let environment = read("proxy", Plain::Text("environment".to_owned())).unwrap();
        assert_eq!(environment.proxy, Proxy::Environment);
    }

    #[test]
    fn a_time_limit_of_nothing_is_refused() {
        assert!(read("connectTimeoutMs", Plain::Number(0.0)).is_err());
    }
}
