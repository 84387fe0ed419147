//! The way of a stream's requests to the server: one HTTP engine for all pools that dial alike.

use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use moorline_core::{error::Outcome, limit::Limit, secret::Secret, sync::lock};
use moorline_net::{
    dial::DialConfig,
    http::{CallConfig, Engine, HttpConfig, Request, RequestBody, unsendable},
};
use tokio::runtime::{Handle, Id};
use tokio_util::sync::CancellationToken;
use url::Url;

/// The limit of a response body.
const MAX_RESPONSE_BYTES: usize = 256 * 1024 * 1024;
/// The limit of the body of an error response; the rest is not read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// More connections to one server than this would have no ports: it is the pools that limit them.
const MAX_CONNECTIONS: u32 = u16::MAX as u32;
/// Unused ones that are kept for the pools of a server.
const MAX_IDLE_CONNECTIONS: u32 = 64;

/// The server, the credentials, and the way there.
pub struct RemoteTarget {
    /// The server's base URL, `https://` or `http://`.
    pub base: Url,
    /// The token sent as `Authorization: Bearer`.
    pub auth_token: Option<Secret>,
    /// The options of dialling.
    pub dial: DialConfig,
}

/// A server and the connections to it.
pub struct Transport {
    pub(super) base: Url,
    pub(super) auth_token: Option<Secret>,
    /// The header lines of each request, with the token.
    headers: Secret,
    engine: Arc<Engine>,
    never_cancelled: CancellationToken,
}

impl Transport {
    /// A transport. It connects to nothing before the first request.
    pub fn new(target: RemoteTarget, runtime: &Handle) -> Self {
        let mut headers = b"content-type:application/json".to_vec();
        if let Some(token) = &target.auth_token {
            headers.extend_from_slice(b"\nauthorization:Bearer ");
            headers.extend_from_slice(token.expose());
        }
        Self {
            base: target.base,
            auth_token: target.auth_token,
            headers: Secret::new(headers),
            engine: shared_engine(target.dial, runtime),
            never_cancelled: CancellationToken::new(),
        }
    }

    /// Sends a pipeline to the server at `base` and waits for the response, whatever its status, for as long as the server
    /// takes: the deadline is the caller's. Dropping the future closes the connection.
    pub(super) async fn post(&self, base: &Url, pipeline: Vec<u8>) -> Outcome<Response> {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v3", "pipeline"]);
        }
        let headers = self.headers.expose_text().unwrap_or_default();
        let body = RequestBody::Full(Bytes::from(pipeline));
        let request = Request::new("POST", url.as_str(), headers, body);
        let request = request.map_err(|error| unsendable(&error))?;
        let request = request.with_config(self.engine.config().call).streamed();
        // On the heap, since it is large and would be part of the future of every call, also of one to a file.
        let exchange = Box::pin(async {
            let head = self.engine.request(request, &self.never_cancelled).await?;
            let max_bytes = match head.status {
                StatusCode::OK => MAX_RESPONSE_BYTES,
                _ => MAX_REFUSAL_BYTES,
            };
            Ok(Response {
                status: head.status,
                headers: head.headers,
                body: head.body.read(max_bytes).await,
            })
        });
        exchange.await
    }
}

/// A response of the server.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// The body, or why it could not be read.
    pub(super) body: Outcome<Bytes>,
}

fn http_config(dial: DialConfig) -> HttpConfig {
    HttpConfig {
        dial,
        call: CallConfig {
            timeout: Limit::Off,
            headers_timeout: Limit::Off,
            body_timeout: Limit::Off,
            max_redirects: 0,
            ..CallConfig::default()
        },
        max_connections: MAX_CONNECTIONS,
        max_idle_connections: MAX_IDLE_CONNECTIONS,
        ..HttpConfig::default()
    }
}

/// The engine of all who dial alike on the same runtime. It ends with the last of them.
fn shared_engine(dial: DialConfig, runtime: &Handle) -> Arc<Engine> {
    static ENGINES: Mutex<Vec<(Id, Weak<Engine>)>> = Mutex::new(Vec::new());
    let config = http_config(dial);
    let mut engines = lock(&ENGINES);
    engines.retain(|(_, engine)| engine.strong_count() > 0);
    let mut found = engines
        .iter()
        .filter(|(id, _)| *id == runtime.id())
        .filter_map(|(_, engine)| engine.upgrade());
    if let Some(engine) = found.find(|engine| *engine.config() == config) {
        return engine;
    }
    let engine = Arc::new(Engine::new(config, runtime.clone()));
    engines.push((runtime.id(), Arc::downgrade(&engine)));
    engine
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_dials_alike_shares_one_engine_while_one_of_them_is_there() {
        let dial = |seconds| DialConfig {
            connect_timeout: Duration::from_secs(seconds),
            ..DialConfig::default()
        };
        let runtime = Handle::current();
        let first = shared_engine(dial(71), &runtime);
        assert!(Arc::ptr_eq(&first, &shared_engine(dial(71), &runtime)));
        assert!(!Arc::ptr_eq(&first, &shared_engine(dial(72), &runtime)));
        let other = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let elsewhere = shared_engine(dial(71), other.handle());
        assert!(!Arc::ptr_eq(&first, &elsewhere));
        let gone = Arc::downgrade(&first);
        drop(first);
        assert!(gone.upgrade().is_none());
        drop(elsewhere);
        other.shutdown_background();
    }
}
