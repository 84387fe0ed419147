//! A stream of the Hrana protocol over HTTP, version 3 (<https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_3_SPEC.md>).
//!
//! A stream is the server's connection. The baton of each answer continues it; the server drops it after
//! about ten seconds without a request. Outside a transaction nothing is lost with it, so the request is sent
//! once more on a new stream; inside one the transaction is gone, and the caller is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use libsql_hrana::proto::{
    CloseStreamReq, Error as ServerError, GetAutocommitStreamReq, PipelineReqBody,
    PipelineRespBody, StreamRequest, StreamResponse, StreamResult,
};
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    secret::Secret,
};
use reqwest::{Method, Request, StatusCode, header};
use url::Url;

use super::error::SERVICE_ERROR_CODE;
use crate::http::{HttpClient, off_runtime};

/// The server forgets a stream after 10 s; one idle for longer than this is not continued.
const STREAM_IDLE: Duration = Duration::from_secs(8);
/// An answer larger than this is refused, not collected.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;
/// How long telling the server that a stream is over may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const STREAM_EXPIRED: &str = "STREAM_EXPIRED";

/// Where the server is and who we are.
#[derive(Clone)]
pub struct RemoteTarget {
    /// The server's base URL, `https://` or `http://`.
    pub base: Url,
    /// The token sent as `Authorization: Bearer`.
    pub auth_token: Option<Secret>,
    /// The transport.
    pub http: Arc<HttpClient>,
}

/// One stream, continued from request to request.
pub struct Stream {
    target: RemoteTarget,
    baton: Option<String>,
    base: Option<Url>,
    autocommit: bool,
    used: Instant,
}

/// How a request went wrong.
enum Refusal {
    /// The server no longer knows the stream, and has executed nothing.
    StreamLost,
    /// Anything else.
    Failed(Failure),
}

impl Stream {
    /// A stream that begins with its first request.
    pub fn new(target: RemoteTarget) -> Self {
        Self {
            target,
            baton: None,
            base: None,
            autocommit: true,
            used: Instant::now(),
        }
    }

    /// Whether a transaction is open on it.
    pub fn in_transaction(&self) -> bool {
        !self.autocommit
    }

    /// Sends `request` and gives its response. Unless `keep`, the stream ends with it.
    pub async fn send(&mut self, request: StreamRequest, keep: bool) -> Outcome<StreamResponse> {
        if self.autocommit && self.used.elapsed() > STREAM_IDLE {
            self.forget();
        }
        let body = self.body(request, keep);
        match self.pipeline(&body).await {
            Err(Refusal::StreamLost) if self.autocommit => {
                self.forget();
                // A new stream has no baton: the same requests without it.
                let body = body.without_baton();
                self.pipeline(&body).await.map_err(Refusal::into_failure)
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

    /// Whether a server that can be reached would not go on with the transaction.
    fn was_refused(&self, failure: &Failure) -> bool {
        self.in_transaction() && failure.detail.contains_key("status")
    }

    fn body(&self, request: StreamRequest, keep: bool) -> Body {
        let mut requests = vec![
            request,
            StreamRequest::GetAutocommit(GetAutocommitStreamReq {}),
        ];
        if !keep && self.autocommit {
            requests.push(StreamRequest::Close(CloseStreamReq {}));
        }
        Body(PipelineReqBody {
            baton: self.baton.clone(),
            requests,
        })
    }

    /// One round trip: the outer result is the transport's, the inner one the request's own.
    async fn pipeline(&mut self, body: &Body) -> Result<Outcome<StreamResponse>, Refusal> {
        let json = body.json().map_err(Refusal::Failed)?;
        let had_baton = body.0.baton.is_some();
        let request = self.request(json).map_err(Refusal::Failed)?;
        let response = self
            .target
            .http
            .send(request)
            .await
            .map_err(Refusal::Failed)?;
        let status = response.status();
        let bytes = HttpClient::read_body(response, MAX_ANSWER_BYTES)
            .await
            .map_err(Refusal::Failed)?;
        let length = bytes.len();
        if status != StatusCode::OK {
            return Err(refused(status, &bytes, had_baton));
        }
        let read = move || {
            serde_json::from_slice::<PipelineRespBody>(&bytes).map_err(|error| unreadable(&error))
        };
        let answer = off_runtime(length, read).await.map_err(Refusal::Failed)?;
        self.used = Instant::now();
        self.baton = answer.baton;
        if let Some(base) = answer.base_url {
            self.base = Url::parse(&base).ok();
        }
        let mut results = answer.results.into_iter();
        let first = results.next().map_or_else(
            || Err(missing_result()),
            |result| match result {
                StreamResult::Ok { response } => Ok(response),
                StreamResult::Error { error } => Err(server_failure(&error)),
                StreamResult::None => Err(missing_result()),
            },
        );
        if let Some(StreamResult::Ok {
            response: StreamResponse::GetAutocommit(state),
        }) = results.next()
        {
            self.autocommit = state.is_autocommit;
        }
        Ok(first)
    }

    fn request(&self, json: Vec<u8>) -> Outcome<Request> {
        let base = self.base.as_ref().unwrap_or(&self.target.base);
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v3", "pipeline"]);
        }
        let mut request = Request::new(Method::POST, url);
        *request.body_mut() = Some(json.into());
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static("application/json"),
        );
        if let Some(token) = &self.target.auth_token {
            let bearer = [b"Bearer ", token.expose()].concat();
            let mut value = header::HeaderValue::from_bytes(&bearer).map_err(|_| {
                Failure::new(
                    Kind::Auth,
                    "the auth token has characters no header can carry",
                )
                .with_delivery(Delivery::None)
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn forget(&mut self) {
        self.baton = None;
        self.base = None;
        self.autocommit = true;
    }

    /// Tells the server that the stream is over, which rolls an open transaction back. It would find out
    /// by itself in ten seconds, so a failure does not matter.
    pub async fn close(&mut self) {
        let Some(baton) = self.baton.take() else {
            return;
        };
        let body = Body(PipelineReqBody {
            baton: Some(baton),
            requests: vec![StreamRequest::Close(CloseStreamReq {})],
        });
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.pipeline(&body)).await;
        self.forget();
    }
}

/// The requests of one round trip.
struct Body(PipelineReqBody);

impl Body {
    fn json(&self) -> Outcome<Vec<u8>> {
        serde_json::to_vec(&self.0).map_err(|error| {
            Failure::new(Kind::Internal, "a request could not be written")
                .with_cause(error.to_string(), None)
        })
    }

    fn without_baton(self) -> Self {
        Self(PipelineReqBody {
            baton: None,
            ..self.0
        })
    }
}

impl Refusal {
    fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            // Everything the transaction did is undone, so nothing of it was delivered.
            Self::StreamLost => Failure::new(
                Kind::Disconnected,
                "the server ended the transaction: its stream expired or the server restarted",
            )
            .with_code("ERR_MOORLINE_TRANSACTION_LOST")
            .with_delivery(Delivery::None)
            .with_retryable(false),
        }
    }
}

/// An answer other than 200. With a baton, a 400 or 404 that is no error of the SQL means that the server
/// does not know the stream (expired, or the server was restarted): it has executed nothing.
fn refused(status: StatusCode, body: &[u8], had_baton: bool) -> Refusal {
    let error: Option<ServerError> = serde_json::from_slice(body).ok();
    let gone = matches!(
        status,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE
    );
    let code = error.as_ref().map(|error| error.code.as_str());
    if had_baton && gone && code.is_none_or(|code| code == STREAM_EXPIRED) {
        return Refusal::StreamLost;
    }
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Kind::Auth,
        StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited,
        _ => Kind::Rejected,
    };
    // A gateway answers in the server's place: whether that has acted, nobody knows.
    let delivery = match status {
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Delivery::Unknown,
        _ => Delivery::Answered,
    };
    let message = error.as_ref().map_or("", |error| error.message.as_str());
    let code = code
        .filter(|code| !code.is_empty())
        .unwrap_or(SERVICE_ERROR_CODE);
    Refusal::Failed(
        Failure::new(
            kind,
            format!("{code}: the server answered {status}: {message}"),
        )
        .with_code(code.to_owned())
        .with_delivery(delivery)
        .with_detail("status", status.as_u16()),
    )
}

/// An SQL error of the server.
pub(super) fn server_failure(error: &ServerError) -> Failure {
    let kind = match error.code.as_str() {
        "SQLITE_BUSY" | "SQLITE_LOCKED" => Kind::Overloaded,
        _ => Kind::Rejected,
    };
    let code = if error.code.is_empty() {
        SERVICE_ERROR_CODE
    } else {
        &error.code
    };
    Failure::new(kind, format!("{code}: {}", error.message))
        .with_code(code.to_owned())
        .with_delivery(Delivery::Answered)
        .with_retryable(kind == Kind::Overloaded)
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(Kind::Protocol, "the server's answer cannot be read")
        .with_code("HRANA_PROTO_ERROR")
        .with_delivery(Delivery::Answered)
        .with_cause(error.to_string(), None)
}

pub(super) fn missing_result() -> Failure {
    Failure::new(Kind::Protocol, "the server's answer lacks the result")
        .with_code("HRANA_PROTO_ERROR")
        .with_delivery(Delivery::Answered)
}
