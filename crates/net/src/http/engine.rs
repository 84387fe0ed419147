//! The HTTP engine: connections, redirects and timeouts of a call.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{HeaderMap, Method, StatusCode, Uri, header};
use hyper::body::Incoming;
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    pool::Stats,
    sync::lock,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    body::{RequestBody, UploadProgress},
    config::HttpConfig,
    decode::{Decoder, content_encodings},
    error::{CallContext, Stage, Traffic, is_unprocessed},
    origin::{Checkout, Origin},
    raw_body::RawBody,
    redirect::resolve_location,
    request::Request,
    response::{Response, ResponseBody, Streaming},
    timeouts::{CallDeadline, PhaseTimeouts},
};
use crate::dial::{Dialer, Target};

const SERVICE: &str = "http";
const OPERATION: &str = "request";
/// A request that a closing connection gave back unsent goes to another one, so often at most.
const MAX_UNSENT: usize = 8;
/// With more origins than this, those without a connection are forgotten.
const MAX_ORIGINS: usize = 64;

/// Sends requests over connections that it keeps. When it is dropped, or closed, they are closed; an answer that is being
/// read goes on after a drop.
pub struct Engine {
    config: HttpConfig,
    dialer: Arc<Dialer>,
    /// By authority: `http:` and `https:`.
    origins: Mutex<[HashMap<Box<str>, Arc<Origin>>; 2]>,
    runtime: Handle,
    closed: CancellationToken,
    /// Fires when answers that are still being read end as well. An engine that is dropped leaves them to their readers.
    ended: CancellationToken,
    /// The name of its connections in the metrics of the process, if they are shown there.
    name: Option<String>,
}

impl Engine {
    /// An engine. It connects to nothing before the first request.
    pub fn new(config: HttpConfig, runtime: Handle) -> Self {
        Self {
            dialer: Dialer::new(config.dial.clone()),
            config,
            origins: Mutex::default(),
            runtime,
            closed: CancellationToken::new(),
            ended: CancellationToken::new(),
            name: None,
        }
    }

    /// The same, whose connections are shown in the metrics of the process under that name.
    #[must_use]
    pub fn with_metrics(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Its options.
    pub fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Makes a request and gives the answer, whatever its status. Dropping the future breaks the call off.
    pub async fn request(&self, request: Request, cancel: &CancellationToken) -> Outcome<Response> {
        if self.closed.is_cancelled() {
            let failure = Failure::new(Kind::Closed, "the transport is closed");
            return Err(failure.during(SERVICE, OPERATION));
        }
        let deadline = CallDeadline::new(&request.config);
        let outcome = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(closed_failure(Delivery::Unknown)),
            () = cancel.cancelled() => Err(Failure::aborted()),
            outcome = self.follow(request, &deadline) => outcome,
        };
        outcome.map_err(|failure| failure.during(SERVICE, OPERATION))
    }

    /// Ends every call and closes every connection; an answer that is still being read fails.
    pub fn close(&self) {
        self.ended.cancel();
        self.disconnect();
    }

    fn disconnect(&self) {
        self.closed.cancel();
        for (_, origin) in self.origins().iter_mut().flat_map(HashMap::drain) {
            self.runtime.spawn(async move { origin.close().await });
        }
    }

    /// Connections of all origins.
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for origin in self.origins().iter().flat_map(HashMap::values) {
            let (stats, shared) = (origin.stats(), u32::from(origin.has_open_h2()));
            sum.total += stats.total + shared;
            sum.in_use += stats.in_use;
            sum.available += stats.available + shared;
            sum.closing += stats.closing;
            sum.waiting += stats.waiting;
        }
        sum
    }

    async fn follow(&self, mut request: Request, deadline: &CallDeadline) -> Outcome<Response> {
        let mut redirects = 0;
        loop {
            let replayable = request.body.replay();
            let (response, checkout, context) = self.exchange(&mut request, deadline).await?;
            let status = response.status();
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| is_redirect(status)) else {
                return self
                    .finish(response, checkout, context, request, redirects, deadline)
                    .await;
            };
            let limit = request.config.max_redirects;
            if limit == 0 {
                return self
                    .finish(response, checkout, context, request, redirects, deadline)
                    .await;
            }
            if redirects == limit {
                let failure = redirect_failure(
                    &context,
                    "redirects more often than maxRedirects allows",
                    "ERR_TOO_MANY_REDIRECTS",
                );
                return Err(failure.with_detail("redirects", redirects));
            }
            redirects += 1;
            let url = resolve_location(&request.url, location);
            self.redirect(&mut request, status, url, replayable, &context)?;
            // Its body is not for anybody; a short one leaves the connection usable.
            drop(RawBody::new(
                response.into_body(),
                checkout,
                request.config.response_bytes(false),
                context,
            ));
        }
    }

    /// Points the request where a redirect says.
    fn redirect(
        &self,
        request: &mut Request,
        status: StatusCode,
        url: Option<Uri>,
        replayable: Option<RequestBody>,
        context: &CallContext,
    ) -> Outcome<()> {
        let refuse = |what, code| Err(redirect_failure(context, what, code));
        let Some(url) = url else {
            return refuse("redirects to an invalid URL", "ERR_INVALID_REDIRECT");
        };
        let downgrade = request.is_secure() && url.scheme_str() == Some("http");
        if downgrade && self.config.dial.https_stays {
            return refuse("redirects from https to http", "ERR_INSECURE_REDIRECT");
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => !matches!(request.method, Method::GET | Method::HEAD),
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            request.retarget(url, Method::GET, RequestBody::Empty);
            return Ok(());
        }
        let Some(body) = replayable else {
            return refuse(
                "redirects a request whose streamed body cannot be sent again",
                "ERR_BODY_NOT_REPLAYABLE",
            );
        };
        let method = request.method.clone();
        request.retarget(url, method, body);
        Ok(())
    }

    /// Sends the request and waits for the head of the answer.
    async fn exchange(
        &self,
        request: &mut Request,
        deadline: &CallDeadline,
    ) -> Outcome<(http::Response<Incoming>, Checkout, Arc<CallContext>)> {
        let origin = self.origin(&request.url);
        let mut context = CallContext {
            peer: Arc::clone(&origin.peer),
            reused: false,
            idempotent: request.is_idempotent(),
        };
        for _ in 0..MAX_UNSENT {
            let mut checkout = deadline.checkout(&origin, &context).await?;
            let (http2, bytes_received) = (checkout.is_shared(), checkout.bytes_received());
            context.reused = checkout.is_reused();
            if http2 {
                request.body.split_into_parts();
            }
            let (upload, replayable) = (request.body.upload_progress(), request.body.replay());
            let message = request.message(http2);
            // A body that is still to be written needs hyper for that.
            let hold_body = request.detached && matches!(upload, UploadProgress::Full(_));
            let timeouts = PhaseTimeouts {
                byte_counter: checkout.byte_counter(),
                upload,
                context: &context,
            };
            let sent = timeouts
                .run(checkout.send(message, hold_body), request, deadline)
                .await;
            match sent {
                Ok(Ok(response)) => return Ok((response, checkout, Arc::new(context))),
                Ok(Err(mut error)) => {
                    if let Checkout::H2 { h2, .. } = &checkout
                        && !h2.is_open()
                    {
                        origin.forget(h2);
                    }
                    let unsent = error.take_message().map(http::Request::into_body);
                    let body = unsent.or(replayable.filter(|_| is_unprocessed(error.error())));
                    let Some(body) = body else {
                        return Err(timeouts.connection_failure(&error));
                    };
                    request.body = body;
                }
                Err(failure) => {
                    // A shared connection on which nothing is said to anybody is not given to the next one.
                    if let Checkout::H2 { h2, .. } = &checkout
                        && h2.bytes_received() == bytes_received
                    {
                        origin.forget(h2);
                    }
                    return Err(failure);
                }
            }
        }
        let message = format!(
            "{} closed every connection before it accepted the request",
            context.peer
        );
        let failure = Failure::new(Kind::Disconnected, message).with_code("ECONNRESET");
        Err(context.annotate(failure, Stage::Queue, Traffic::default()))
    }

    /// The answer, with its body read unless it is streamed.
    async fn finish(
        &self,
        response: http::Response<Incoming>,
        checkout: Checkout,
        context: Arc<CallContext>,
        request: Request,
        redirects: u32,
        deadline: &CallDeadline,
    ) -> Outcome<Response> {
        let (head, incoming) = response.into_parts();
        let mut headers = head.headers;
        let config = &request.config;
        let max = config.response_bytes(request.streamed);
        // After a refusal the connection is wanted for the next attempt.
        let raw = if request.detached && head.status.is_success() {
            RawBody::detached(incoming, &headers, checkout, max, Arc::clone(&context))
        } else {
            RawBody::new(incoming, checkout, max, Arc::clone(&context))
        };
        if raw.is_too_long() {
            return Err(raw.too_long());
        }
        let content_encodings = config
            .decompress
            .then(|| content_encodings(&headers))
            .flatten();
        let bodiless = request.method == Method::HEAD
            || matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let body = match content_encodings.filter(|_| !bodiless) {
            None => Streaming::raw(raw, config.body_timeout),
            Some(content_encodings) => {
                strip_encoding_headers(&mut headers);
                let limit = config.decompressed_bytes(request.streamed);
                let decoder = Decoder::new(raw, content_encodings, limit, Arc::clone(&context));
                Streaming::encoded(decoder, config.body_timeout, Arc::clone(&context))
            }
        };
        let body = if request.streamed {
            ResponseBody::Streaming(body.with_end(self.ended.clone()))
        } else {
            let full = body.collect(deadline.until).await;
            ResponseBody::Full(full.map_err(|failure| deadline.as_call_timeout(failure, &context))?)
        };
        Ok(Response {
            status: head.status,
            headers,
            url: (redirects > 0).then_some(request.url),
            body,
        })
    }

    fn origin(&self, url: &Uri) -> Arc<Origin> {
        let secure = url.scheme_str() == Some("https");
        let authority = url.authority().map_or("", |it| it.as_str());
        let mut origins = self.origins();
        if let Some(origin) = origins[usize::from(secure)].get(authority) {
            return Arc::clone(origin);
        }
        if origins.iter().map(HashMap::len).sum::<usize>() >= MAX_ORIGINS {
            for map in origins.iter_mut() {
                map.retain(|_, origin| origin.stats().total > 0 || origin.has_open_h2());
            }
        }
        let host = url.host().unwrap_or_default();
        let target = Target {
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port: url.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            secure,
        };
        let origin = Arc::new(Origin::new(
            target,
            &self.dialer,
            &self.config,
            &self.runtime,
            self.closed.clone(),
        ));
        if let Some(name) = &self.name {
            origin.register_metrics(name);
        }
        origins[usize::from(secure)].insert(authority.into(), Arc::clone(&origin));
        origin
    }

    fn origins(&self) -> MutexGuard<'_, [HashMap<Box<str>, Arc<Origin>>; 2]> {
        lock(&self.origins)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.disconnect();
    }
}

/// Whether a status with a `Location` says where to go instead (RFC 9110, section 15.4). Any other names a resource, or
/// is to be ignored.
const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Removes the headers that are true of an encoded body only.
fn strip_encoding_headers(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
}

/// The failure of what was going on when the transport was closed.
pub(super) fn closed_failure(delivery: Delivery) -> Failure {
    Failure::new(Kind::Closed, "the transport was closed").with_delivery(delivery)
}

fn redirect_failure(context: &CallContext, what: &str, code: &'static str) -> Failure {
    let message = format!("{} {what}", context.peer);
    let failure = Failure::new(Kind::Protocol, message).with_code(code);
    context.annotate(failure, Stage::Body, Traffic::default())
}
