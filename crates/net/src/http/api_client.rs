//! A lazily built HTTP client and the two steps of a call: sending, and reading the body.

use std::{
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use reqwest::{Client, Request, Response, redirect};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use url::Url;

use super::error::{Phase, failure};
use crate::{
    blocking::run_blocking,
    dial::{DialConfig, EnvironmentProxies, Proxy, SystemNames, Target, TlsConfig},
};

/// An idle connection is closed after this time: sooner than the 60 s after which usual load balancers do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// More idle connections to one server are closed at once. A call that is given up while its connection is being made
/// leaves that connection behind, so without a bound there would be one for each.
const MAX_IDLE_PER_HOST: usize = 64;
const USER_AGENT: &str = concat!("moorline/", env!("CARGO_PKG_VERSION"));

/// An HTTP client with its pool of connections. Nothing is built and no certificate is read before the first call.
#[derive(Debug, Default)]
pub struct ApiClient {
    config: DialConfig,
    plain: OnceLock<Client>,
    secure: OnceCell<Client>,
}

impl ApiClient {
    /// The client for these options: the shared one where they are the defaults.
    pub fn with(config: DialConfig) -> Arc<Self> {
        static SHARED: LazyLock<Arc<ApiClient>> = LazyLock::new(Arc::default);
        if config == SHARED.config {
            return Arc::clone(&SHARED);
        }
        Arc::new(Self {
            config,
            ..Self::default()
        })
    }

    /// Sends a request and waits for the head of its answer, whatever the status. It waits as long as the
    /// server does: the deadline is the caller's.
    pub async fn send(&self, request: Request) -> Outcome<Response> {
        let client = match request.url().scheme() {
            "https" => self.secure.get_or_try_init(|| self.build_secure()).await?,
            _ => self.plain()?,
        };
        let peer = peer_of(request.url());
        client
            .execute(request)
            .await
            .map_err(|error| failure(error, Phase::Request, &peer))
    }

    /// The whole body of an answer, decompressed; more than `max_bytes` is a protocol failure.
    pub async fn read_body(mut response: Response, max_bytes: usize) -> Outcome<Bytes> {
        let peer = peer_of(response.url());
        let mut body = BytesMut::new();
        loop {
            let chunk = response.chunk().await;
            let Some(chunk) = chunk.map_err(|error| failure(error, Phase::Response, &peer))? else {
                return Ok(body.freeze());
            };
            if body.len() + chunk.len() > max_bytes {
                let message = format!("the response of {peer} is longer than {max_bytes} bytes");
                return Err(Failure::new(Kind::Protocol, message).with_delivery(Delivery::Answered));
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn plain(&self) -> Outcome<&Client> {
        if let Some(client) = self.plain.get() {
            return Ok(client);
        }
        // Never used for TLS, so nothing is trusted and no root is loaded.
        let unused = TlsConfig {
            reject_unauthorized: false,
            ..TlsConfig::default()
        };
        let client = self.build(unused.client_config()?)?;
        Ok(self.plain.get_or_init(|| client))
    }

    async fn build_secure(&self) -> Outcome<Client> {
        let tls = self.config.tls.clone();
        // Loading the roots reads files and parses some 140 certificates.
        let config = run_blocking(move || tls.client_config()).await??;
        self.build(config)
    }

    fn build(&self, mut tls: ClientConfig) -> Outcome<Client> {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(self.config.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .redirect(redirect::Policy::none())
            .dns_resolver(SystemNames)
            .user_agent(USER_AGENT);
        let builder = match &self.config.proxy {
            Proxy::None => Ok(builder.no_proxy()),
            Proxy::Environment => {
                let proxies = EnvironmentProxies::read();
                let find = move |url: &Url| {
                    let target = Target::of(url).ok()?;
                    proxies.for_target(&target).cloned()
                };
                Ok(builder.no_proxy().proxy(reqwest::Proxy::custom(find)))
            }
            Proxy::Url(url) => {
                reqwest::Proxy::all(url.clone()).map(|proxy| builder.no_proxy().proxy(proxy))
            }
        };
        builder
            .and_then(reqwest::ClientBuilder::build)
            .map_err(|error| failure(error, Phase::Request, "the HTTP client"))
    }
}

/// Host and port, which is all that a message says about a URL.
fn peer_of(url: &Url) -> String {
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => "the server".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_the_defaults_shares_one_client() {
        let shared = ApiClient::with(DialConfig::default());
        assert!(Arc::ptr_eq(
            &shared,
            &ApiClient::with(DialConfig::default())
        ));
        let own = ApiClient::with(DialConfig {
            proxy: Proxy::Environment,
            ..DialConfig::default()
        });
        assert!(!Arc::ptr_eq(&shared, &own));
    }

    #[test]
    fn a_message_names_host_and_port_of_a_url_and_nothing_else() {
        let url = Url::parse("https://me:pw@api.example.com/v1?key=secret").unwrap();
        assert_eq!(peer_of(&url), "api.example.com:443");
    }
}
