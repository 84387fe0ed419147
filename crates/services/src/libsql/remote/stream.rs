//! A stream of the Hrana protocol over HTTP, version 3.
//!
//! Specification: <https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>.
//!
//! A stream is the server's connection. The baton of each answer continues it; the server drops it after
//! about ten seconds without a request. Outside a transaction nothing is lost with it, so the request is sent
//! once more on a new stream; inside one the transaction is lost, and the call fails.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use moorline_core::error::{Failure, Kind, Outcome};
use url::{Host, Url};

use crate::libsql::{
    remote::pipeline::{PipelineResponse, StreamResponse, StreamResult},
    remote::refusal::{
        Refusal, foreign_continuation, missing_result, refusal_failure, server_failure, unreadable,
    },
    remote::request::{Pipeline, Request},
    remote::transport::Transport,
};
use moorline_net::http::offload;

/// The longest idle time after which a stream is continued; the server drops it after 10 s.
const STREAM_IDLE: Duration = Duration::from_secs(8);
/// The time limit of the request that closes a stream.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One stream, continued from request to request.
pub struct Stream {
    transport: Arc<Transport>,
    baton: Option<String>,
    base: Option<Url>,
    autocommit: bool,
    last_used: Instant,
}

impl Stream {
    /// A stream that begins with its first request.
    pub fn new(transport: Arc<Transport>) -> Self {
        Self {
            transport,
            baton: None,
            base: None,
            autocommit: true,
            last_used: Instant::now(),
        }
    }

    /// Whether a transaction is open on it.
    pub fn in_transaction(&self) -> bool {
        !self.autocommit
    }

    /// Sends `request` and returns its response. Unless `keep_stream`, the stream ends with it.
    pub(in crate::libsql) async fn send(
        &mut self,
        request: Request<'_>,
        keep_stream: bool,
    ) -> Outcome<StreamResponse> {
        if self.autocommit && self.last_used.elapsed() > STREAM_IDLE {
            self.forget();
        }
        let mut body = self.body(request, keep_stream);
        match self.send_pipeline(&body).await {
            Err(Refusal::StreamLost) if self.autocommit => {
                self.forget();
                // A new stream has no baton: the same requests without it.
                body.baton = None;
                self.send_pipeline(&body)
                    .await
                    .map_err(Refusal::into_failure)
            }
            Err(Refusal::Failed(failure)) if self.was_refused(&failure) => {
                // Otherwise the server would hold its locks until the stream expires.
                self.close().await;
                Err(failure.with_retryable(false))
            }
            Err(refusal) => {
                self.forget();
                Err(refusal.into_failure())
            }
            Ok(response) => Ok(response),
        }
        .and_then(|response| response)
    }

    /// Whether the server answered, and refused to continue the transaction.
    fn was_refused(&self, failure: &Failure) -> bool {
        self.in_transaction() && failure.detail.contains_key("status")
    }

    fn body<'a>(&self, request: Request<'a>, keep_stream: bool) -> Pipeline<'a> {
        let mut requests = vec![request, Request::GetAutocommit];
        if !keep_stream && self.autocommit {
            requests.push(Request::Close);
        }
        Pipeline {
            baton: self.baton.clone(),
            requests,
        }
    }

    /// One round trip: the outer result is the transport's, the inner one the request's own.
    async fn send_pipeline(
        &mut self,
        body: &Pipeline<'_>,
    ) -> Result<Outcome<StreamResponse>, Refusal> {
        let json = serialize(body).map_err(Refusal::Failed)?;
        let had_baton = body.baton.is_some();
        let base = self.base.as_ref().unwrap_or(&self.transport.base);
        let response = self.transport.post(base, json).await;
        let response = response.map_err(Refusal::Failed)?;
        if response.status != StatusCode::OK {
            let body = response.body.unwrap_or_default();
            let token = self.transport.auth_token.as_ref();
            let (status, headers) = (response.status, &response.headers);
            return Err(refusal_failure(status, headers, &body, had_baton, token));
        }
        let bytes = response.body.map_err(Refusal::Failed)?;
        let length = bytes.len();
        let read = move || PipelineResponse::read(&bytes).map_err(unreadable);
        let answer = offload(length, read).await.map_err(Refusal::Failed)?;
        self.last_used = Instant::now();
        // Without a baton there is nothing to continue.
        if let Some(named) = answer.base_url.filter(|_| answer.baton.is_some()) {
            let base = continuation_url(&self.transport.base, &named);
            self.base = Some(base.ok_or_else(|| Refusal::Failed(foreign_continuation(&named)))?);
        }
        self.baton = answer.baton;
        let mut results = answer.results.into_iter();
        let first = match results.next() {
            Some(StreamResult::Done(response)) => Ok(response),
            Some(StreamResult::Failed(error)) => Err(server_failure(&error)),
            None => Err(missing_result()),
        };
        if let Some(StreamResult::Done(StreamResponse::Autocommit(state))) = results.next() {
            self.autocommit = state;
        }
        Ok(first)
    }

    fn forget(&mut self) {
        self.baton = None;
        self.base = None;
        self.autocommit = true;
    }

    /// Closes the stream at the server, which rolls an open transaction back. The server would do so by itself after
    /// ten seconds, so a failure is ignored.
    pub async fn close(&mut self) {
        let Some(baton) = self.baton.take() else {
            return;
        };
        let body = Pipeline {
            baton: Some(baton),
            requests: vec![Request::Close],
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.send_pipeline(&body)).await;
        self.forget();
    }
}

fn serialize(body: &Pipeline<'_>) -> Outcome<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| {
        Failure::new(Kind::Internal, "a request could not be serialized")
            .with_cause(error.to_string(), None)
    })
}

/// The URL at which a stream continues, as the server sets it; `None` where it is not trusted. It gets the token and
/// the statements, so it must be on the caller's host or a subdomain, at the same port, and without TLS only where the
/// caller's URL is.
fn continuation_url(given: &Url, named: &str) -> Option<Url> {
    let url = Url::parse(named).ok()?;
    let scheme_allowed = url.scheme() == given.scheme() || url.scheme() == "https";
    let has_only_path = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let host_allowed = match (url.host()?, given.host()?) {
        (Host::Domain(host), Host::Domain(given)) => host
            .strip_suffix(given)
            .is_some_and(|below| below.is_empty() || below.ends_with('.')),
        (host, given) => host == given,
    };
    (scheme_allowed && has_only_path && host_allowed && url.port() == given.port()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_continues_on_the_callers_host_or_a_subdomain() {
        let table = [
            ("https://db.example.com", "https://db.example.com/path"),
            ("https://db.example.com/v", "https://DB.example.com/"),
            ("https://db.example.com", "https://a.b.db.example.com"),
            ("http://db.example.com", "https://db.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/a"),
            ("http://127.0.0.1:8080", "https://127.0.0.1:8080"),
        ];
        for (given, named) in table {
            let base = continuation_url(&Url::parse(given).unwrap(), named);
            assert_eq!(base, Url::parse(named).ok(), "{given} {named}");
        }
    }

    #[test]
    fn a_stream_continues_nowhere_else() {
        let table = [
            ("https://db.example.com", "http://db.example.com"),
            ("https://db.example.com", "https://db.example.com:8443"),
            ("https://db.example.com", "https://example.com"),
            ("https://db.example.com", "https://other.example.com"),
            ("https://db.example.com", "https://evildb.example.com"),
            ("https://db.example.com", "https://db.example.com.evil.net"),
            ("https://db.example.com", "https://db.example.com@evil.net"),
            ("https://db.example.com", "https://me:pw@db.example.com"),
            ("https://db.example.com", "https://db.example.com/?a=b"),
            ("https://db.example.com", "https://db.example.com/#a"),
            ("https://db.example.com", "file:///etc/passwd"),
            ("https://db.example.com", "data:,x"),
            ("https://db.example.com", "/v3"),
            ("https://db.example.com", ""),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8081"),
            ("http://127.0.0.1", "http://127.0.0.2"),
            ("http://1.2.3.4", "http://[::ffff:1.2.3.4]"),
        ];
        for (given, named) in table {
            let base = continuation_url(&Url::parse(given).unwrap(), named);
            assert_eq!(base, None, "{given} {named}");
        }
    }
}
