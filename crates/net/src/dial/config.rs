//! The configuration of dialling, read the same way for every service.

use std::time::Duration;

use moorline_core::{
    connection::security::{SecurityRequirements, TlsFloor},
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    resolve::Resolve,
};
use url::Url;

use super::{
    address_policy::AddressPolicy,
    resolve::SystemNames,
    shared::Shared,
    tls::{TlsConfig, TlsVersion},
    tunnel::Tunnel,
};

/// The time limit of connecting, name resolution, proxy and TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `Infinity`, where an API takes only a finite time: a year, longer than any call.
pub(crate) const NO_TIMEOUT: Duration = Duration::from_hours(24 * 365);

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

/// Keep-alives of a TCP connection: the system asks a silent peer whether it is still there, so that a firewall does not forget the
/// connection and a dead peer is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Whether there are any.
    pub is_on: bool,
    /// The time of silence before the first question; `None`: as the system has it.
    pub idle: Option<Duration>,
    /// The time between two; `None`: as the system has it.
    pub interval: Option<Duration>,
    /// The questions without an answer after which the connection is lost; `None`: as the system has it.
    pub count: Option<u32>,
    /// How long what was sent may go without an acknowledgement, on Linux; `None`: as the system has it.
    pub user_timeout: Option<Duration>,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self {
            is_on: true,
            idle: Some(Duration::from_mins(1)),
            interval: Some(Duration::from_secs(15)),
            count: None,
            user_timeout: None,
        }
    }
}

/// The configuration of a dialer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialConfig {
    /// `connectTimeoutMs`: how long connecting may take (default 10 s); `Infinity`: as long as the system tries.
    pub connect_timeout: Duration,
    /// The name of that option for its user.
    pub connect_option: &'static str,
    /// `tls`: TLS settings.
    pub tls: TlsConfig,
    /// `proxy`: the proxy (default: none).
    pub proxy: Proxy,
    /// The addresses that are refused (default: none).
    pub address_policy: AddressPolicy,
    /// `httpsOnlyRedirects`: whether a redirect from https to http is refused (default: no).
    pub https_stays: bool,
    /// What resolves names (default: the system).
    pub resolver: Shared<dyn Resolve>,
    /// How a peer that has gone is noticed.
    pub keep_alive: KeepAlive,
    /// `tunnel`: the tunnel through which all targets are reached (default: none). It resolves their names.
    pub tunnel: Option<Shared<dyn Tunnel>>,
}

const CONNECT_OPTION: &str = "connectTimeoutMs";

impl Default for DialConfig {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            connect_option: CONNECT_OPTION,
            tls: TlsConfig::default(),
            proxy: Proxy::default(),
            address_policy: AddressPolicy::default(),
            https_stays: false,
            resolver: SystemNames::shared(),
            keep_alive: KeepAlive::default(),
            tunnel: None,
        }
    }
}

impl DialConfig {
    /// These options, where `connectTimeoutMs` is called something else.
    #[must_use]
    pub fn with_connect_option(self, connect_option: &'static str) -> Self {
        Self {
            connect_option,
            ..self
        }
    }

    /// Reads `connectTimeoutMs`, `tls`, `proxy`, `publicAddressesOnly`, `httpsOnlyRedirects` and `allowedHosts`.
    ///
    /// A `securityLevel`, with `encryption`, changes the defaults, and refuses what is weaker.
    pub fn read(options: &Options<'_>) -> Read<Self> {
        let requirements = SecurityRequirements::read(options)?;
        let public_only = requirements.is_some_and(|requirements| requirements.public_only);
        let https_stays = requirements.is_some_and(|requirements| requirements.https_stays);
        Ok(Self {
            connect_option: CONNECT_OPTION,
            connect_timeout: options
                .ms_limit(CONNECT_OPTION, Limit::At(CONNECT_TIMEOUT), 1.0)?
                .get()
                .unwrap_or(NO_TIMEOUT),
            tls: read_tls(options, requirements)?,
            proxy: read_proxy(options)?,
            address_policy: AddressPolicy::read(
                options,
                options.flag("publicAddressesOnly", public_only)?,
                requirements
                    .map(|requirements| requirements.plain_text)
                    .unwrap_or_default(),
            )?,
            https_stays: options.flag("httpsOnlyRedirects", https_stays)?,
            ..Self::default()
        })
    }

    /// The same through the option `tunnel`, which excludes `proxy`.
    pub fn with_tunnel(self, options: &Options<'_>) -> Read<Self> {
        let Some(given) = options.value("tunnel") else {
            return Ok(self);
        };
        let path = options.path_of("tunnel");
        let tunnel = match given {
            PlainValue::Native(object) => object.get::<Shared<dyn Tunnel>>(),
            _ => None,
        };
        if tunnel.is_none() {
            return Err(OptionError::wrong_type(&path, "an SSHTunnel", given));
        }
        if self.proxy != Proxy::None {
            return Err(OptionError::bad_value(&path, "cannot be given with proxy"));
        }
        Ok(Self {
            tunnel: tunnel.cloned(),
            ..self
        })
    }
}

/// The `tls` object, no weaker than the `requirements`.
fn read_tls(options: &Options<'_>, requirements: Option<SecurityRequirements>) -> Read<TlsConfig> {
    let defaults = requirements.map_or_else(TlsConfig::default, |requirements| TlsConfig {
        min_version: floor(requirements.tls),
        reject_unauthorized: requirements.certificates,
        ..TlsConfig::default()
    });
    let Some(given) = options.nested("tls")? else {
        return Ok(defaults);
    };
    let (version, check) = (
        given.path_of("minVersion"),
        given.path_of("rejectUnauthorized"),
    );
    let tls = TlsConfig::read_over(&defaults, given)?;
    let Some(requirements) = requirements else {
        return Ok(tls);
    };
    let weaker = |path: &str, needs: &str| {
        let level = requirements.level.as_str();
        let reason = format!("is too weak for securityLevel '{level}', which requires {needs}");
        Err(OptionError::bad_value(path, reason))
    };
    if requirements.tls == TlsFloor::V1_3 && tls.min_version == TlsVersion::V1_2 {
        return weaker(&version, "TLSv1.3");
    }
    if requirements.certificates && !tls.reject_unauthorized {
        return weaker(&check, "certificates to be checked");
    }
    Ok(tls)
}

fn floor(tls: TlsFloor) -> TlsVersion {
    match tls {
        TlsFloor::V1_2 => TlsVersion::V1_2,
        TlsFloor::V1_3 => TlsVersion::V1_3,
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
    use std::sync::Arc;

    use moorline_core::options::NativeObject;

    use super::*;
    use crate::dial::{Target, TunnelFuture};

    fn read(key: &str, value: PlainValue) -> Read<DialConfig> {
        let map = PlainValue::Map(vec![(key.to_owned(), value)]);
        let options = Options::new("options", &map)?;
        let read = DialConfig::read(&options)?;
        options.finish()?;
        Ok(read)
    }

    #[test]
    fn nothing_given_is_the_defaults() {
        let read = DialConfig::read(&Options::new("options", &PlainValue::Undefined).unwrap());
        assert_eq!(read.unwrap(), DialConfig::default());
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_showing_its_password() {
        for bad in ["ftp://me:hunter2@proxy", "hunter2", "socks4://proxy"] {
            let error = read("proxy", PlainValue::Text(bad.to_owned())).unwrap_err();
            assert!(error.message.starts_with("options.proxy "), "{error}");
            assert!(!error.message.contains("hunter2"), "{error}");
        }
        for good in ["http://p:1", "https://p", "socks5://p", "socks5h://p"] {
            let read = read("proxy", PlainValue::Text(good.to_owned())).unwrap();
            assert!(matches!(read.proxy, Proxy::Url(_)));
        }
        let environment = read("proxy", PlainValue::Text("environment".to_owned())).unwrap();
        assert_eq!(environment.proxy, Proxy::Environment);
    }

    struct AnyTunnel;

    impl Tunnel for AnyTunnel {
        fn open<'a>(&'a self, _: &'a Target) -> TunnelFuture<'a> {
            Box::pin(std::future::pending())
        }
    }

    #[test]
    fn a_tunnel_is_one_and_excludes_a_proxy() {
        let read = |entries: Vec<(&str, PlainValue)>| {
            let entries = entries.into_iter();
            let entries = entries.map(|(key, value)| (key.to_owned(), value));
            let map = PlainValue::Map(entries.collect());
            let options = Options::new("options", &map).unwrap();
            let read = DialConfig::read(&options).unwrap().with_tunnel(&options)?;
            options.finish().map(|()| read)
        };
        let shared: Shared<dyn Tunnel> = Shared(Arc::new(AnyTunnel));
        let tunnel = (
            "tunnel",
            PlainValue::Native(NativeObject::new(shared.clone())),
        );
        let proxy = ("proxy", PlainValue::Text("http://p:1".to_owned()));
        assert_eq!(read(vec![tunnel.clone()]).unwrap().tunnel, Some(shared));
        assert_eq!(read(Vec::new()).unwrap().tunnel, None);
        let error = read(vec![proxy, tunnel]).unwrap_err();
        assert_eq!(error.message, "options.tunnel cannot be given with proxy");
        for other in [
            PlainValue::Map(Vec::new()),
            PlainValue::Native(NativeObject::new(7)),
        ] {
            let error = read(vec![("tunnel", other)]).unwrap_err();
            assert!(error.message.contains("must be an SSHTunnel"), "{error}");
        }
    }

    #[test]
    fn what_is_weaker_than_the_security_level_is_refused() {
        let read = |level: &str, key: &str, value: PlainValue| {
            let tls = PlainValue::Map(vec![(key.to_owned(), value)]);
            let map = PlainValue::Map(vec![
                (
                    "securityLevel".to_owned(),
                    PlainValue::Text(level.to_owned()),
                ),
                ("tls".to_owned(), tls),
            ]);
            DialConfig::read(&Options::new("options", &map).unwrap())
        };
        let old = || PlainValue::Text("TLSv1.2".to_owned());
        for level in ["basic", "enhanced", "maximum"] {
            let error = read(level, "rejectUnauthorized", PlainValue::Bool(false)).unwrap_err();
            assert!(
                error
                    .message
                    .starts_with("options.tls.rejectUnauthorized is too weak"),
                "{error}"
            );
        }
        assert!(read("maximum", "minVersion", old()).is_err());
        assert!(read("enhanced", "minVersion", old()).is_ok());
        let unchecked = read("none", "serverName", PlainValue::Text("a".to_owned())).unwrap();
        assert!(!unchecked.tls.reject_unauthorized);
        let checked = read("none", "rejectUnauthorized", PlainValue::Bool(true)).unwrap();
        assert!(checked.tls.reject_unauthorized);
        let newest = read("maximum", "serverName", PlainValue::Text("a".to_owned())).unwrap();
        assert_eq!(newest.tls.min_version, TlsVersion::V1_3);
        assert!(newest.https_stays);
    }

    #[test]
    fn a_time_limit_of_nothing_is_refused_and_one_of_infinity_is_none() {
        assert!(read("connectTimeoutMs", PlainValue::Number(0.0)).is_err());
        let off = read("connectTimeoutMs", PlainValue::Number(f64::INFINITY)).unwrap();
        assert_eq!(off.connect_timeout, NO_TIMEOUT);
    }
}
