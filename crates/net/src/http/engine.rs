//! A call from its request to its answer: connection, redirects, and every wait bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    pool::Stats,
    sync::lock,
};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{
    body::RequestBody,
    config::HttpOptions,
    decode::{Decoder, content_encodings},
    error::{Facts, Stage, Traffic, is_unprocessed},
    origin::{Checkout, Origin},
    redirect::resolve_location,
    request::Request,
    response::{Answer, RawBody, ResponseBody, Streaming},
    timeouts::{Bounds, Watch},
};
use crate::dial::{Dialer, Target};

const SERVICE: &str = "http";
const OPERATION: &str = "request";
/// A request that a closing connection gave back unsent goes to another one, so often at most.
const MAX_UNSENT: usize = 8;
/// With more origins than this, those without a connection are forgotten.
const KEPT_ORIGINS: usize = 64;

/// Sends requests over connections that it keeps. When it is dropped, or closed, they are closed; an answer that is being
/// read goes on after a drop.
pub struct Engine {
    options: HttpOptions,
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
    pub fn new(options: HttpOptions, runtime: Handle) -> Self {
        Self {
            dialer: Dialer::new(options.dial.clone()),
            options,
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
    pub fn options(&self) -> &HttpOptions {
        &self.options
    }

    /// Makes a request and gives the answer, whatever its status. Dropping the future breaks the call off.
    pub async fn request(&self, request: Request, cancel: &CancellationToken) -> Outcome<Answer> {
        if self.closed.is_cancelled() {
            let failure = Failure::new(Kind::Closed, "the transport is closed");
            return Err(failure.during(SERVICE, OPERATION));
        }
        let bounds = Bounds::new(&request.options);
        let outcome = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(closed_failure(Delivery::Unknown)),
            () = cancel.cancelled() => Err(Failure::aborted()),
            outcome = self.follow(request, &bounds) => outcome,
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
            let (stats, shared) = (origin.stats(), u32::from(origin.is_shared()));
            sum.total += stats.total + shared;
            sum.in_use += stats.in_use;
            sum.available += stats.available + shared;
            sum.closing += stats.closing;
            sum.waiting += stats.waiting;
        }
        sum
    }

    async fn follow(&self, mut request: Request, bounds: &Bounds) -> Outcome<Answer> {
        let mut hops = 0;
        loop {
            let again = request.body.again();
            let (response, checkout, facts) = self.exchange(&mut request, bounds).await?;
            let status = response.status();
            let location = response.headers().get(header::LOCATION);
            let Some(location) = location.filter(|_| is_redirect(status)) else {
                return self
                    .finish(response, checkout, facts, request, hops, bounds)
                    .await;
            };
            let limit = request.options.max_redirects;
            if limit == 0 {
                return self
                    .finish(response, checkout, facts, request, hops, bounds)
                    .await;
            }
            if hops == limit {
                let failure =
                    redirect_failure(&facts, "redirects too often", "ERR_TOO_MANY_REDIRECTS");
                return Err(failure.with_detail("redirects", hops));
            }
            hops += 1;
            let url = resolve_location(&request.url, location);
            self.turn(&mut request, status, url, again, &facts)?;
            // Its body is not for anybody; a short one leaves the connection usable.
            drop(RawBody::new(
                response.into_body(),
                checkout,
                request.options.response_bytes(false),
                facts,
            ));
        }
    }

    /// Points the request where a redirect says.
    fn turn(
        &self,
        request: &mut Request,
        status: StatusCode,
        url: Option<Uri>,
        again: Option<RequestBody>,
        facts: &Facts,
    ) -> Outcome<()> {
        let refuse = |what, code| Err(redirect_failure(facts, what, code));
        let Some(url) = url else {
            return refuse(
                "redirects to something that is no URL",
                "ERR_INVALID_REDIRECT",
            );
        };
        let downgrade = request.is_secure() && url.scheme_str() == Some("http");
        if downgrade && self.options.dial.https_stays {
            return refuse("redirects from https to http", "ERR_INSECURE_REDIRECT");
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => !matches!(request.method, Method::GET | Method::HEAD),
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => request.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            request.moved(url, Method::GET, RequestBody::Empty);
            return Ok(());
        }
        let Some(body) = again else {
            return refuse(
                "redirects a body that was streamed and is gone",
                "ERR_BODY_NOT_REPLAYABLE",
            );
        };
        let method = request.method.clone();
        request.moved(url, method, body);
        Ok(())
    }

    /// Sends the request and waits for the head of the answer.
    async fn exchange(
        &self,
        request: &mut Request,
        bounds: &Bounds,
    ) -> Outcome<(Response<Incoming>, Checkout, Arc<Facts>)> {
        let origin = self.origin(&request.url);
        let mut facts = Facts {
            peer: Arc::clone(&origin.peer),
            reused: false,
            idempotent: request.is_idempotent(),
        };
        for _ in 0..MAX_UNSENT {
            let mut checkout = bounds.checkout(&origin, &facts).await?;
            let (http2, heard) = (checkout.is_shared(), checkout.heard());
            facts.reused = checkout.is_reused();
            if http2 {
                request.body.divide();
            }
            let (outgoing, again) = (request.body.outgoing(), request.body.again());
            let message = request.message(http2);
            let watch = Watch {
                meter: checkout.meter(),
                outgoing,
                facts: &facts,
            };
            let sent = watch.bounded(checkout.send(message), request, bounds).await;
            match sent {
                Ok(Ok(response)) => return Ok((response, checkout, Arc::new(facts))),
                Ok(Err(mut error)) => {
                    if let Checkout::H2 { h2, .. } = &checkout
                        && !h2.is_open()
                    {
                        origin.forget(h2);
                    }
                    let unsent = error.take_message().map(http::Request::into_body);
                    let body = unsent.or(again.filter(|_| is_unprocessed(error.error())));
                    let Some(body) = body else {
                        return Err(watch.broken(&error));
                    };
                    request.body = body;
                }
                Err(failure) => {
                    // A shared connection on which nothing is said to anybody is not given to the next one.
                    if let Checkout::H2 { h2, .. } = &checkout
                        && h2.heard() == heard
                    {
                        origin.forget(h2);
                    }
                    return Err(failure);
                }
            }
        }
        let message = format!(
            "{} closed every connection before it took the request",
            facts.peer
        );
        let failure = Failure::new(Kind::Disconnected, message).with_code("ECONNRESET");
        Err(facts.at(failure, Stage::Queue, Traffic::default()))
    }

    /// The answer, with its body read unless it is streamed.
    async fn finish(
        &self,
        response: Response<Incoming>,
        checkout: Checkout,
        facts: Arc<Facts>,
        request: Request,
        hops: u32,
        bounds: &Bounds,
    ) -> Outcome<Answer> {
        let (head, incoming) = response.into_parts();
        let mut headers = head.headers;
        let options = &request.options;
        let max = options.response_bytes(request.streamed);
        let arriving = RawBody::new(incoming, checkout, max, Arc::clone(&facts));
        if arriving.is_too_long() {
            return Err(arriving.too_long());
        }
        let content_encodings = options
            .decompress
            .then(|| content_encodings(&headers))
            .flatten();
        let bodiless = request.method == Method::HEAD
            || matches!(
                head.status,
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let coming = match content_encodings.filter(|_| !bodiless) {
            None => Streaming::raw(arriving, options.body_timeout),
            Some(content_encodings) => {
                decoded(&mut headers);
                let limit = options.decompressed_bytes(request.streamed);
                let unpacker = Decoder::new(arriving, content_encodings, limit, Arc::clone(&facts));
                Streaming::encoded(unpacker, options.body_timeout, Arc::clone(&facts))
            }
        };
        let body = if request.streamed {
            ResponseBody::Streaming(coming.until(self.ended.clone()))
        } else {
            let whole = coming.collect(bounds.until).await;
            ResponseBody::Whole(whole.map_err(|failure| bounds.judged(failure, &facts))?)
        };
        Ok(Answer {
            status: head.status,
            headers,
            url: (hops > 0).then_some(request.url),
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
        if origins.iter().map(HashMap::len).sum::<usize>() >= KEPT_ORIGINS {
            for map in origins.iter_mut() {
                map.retain(|_, origin| origin.stats().total > 0 || origin.is_shared());
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
            &self.options,
            self.runtime.clone(),
            self.closed.clone(),
        ));
        if let Some(name) = &self.name {
            origin.enlist(name);
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
/// is nobody's.
const fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// What is true of a encoded body only.
fn decoded(headers: &mut HeaderMap) {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
}

/// The failure of what was going on when the transport was closed.
pub(super) fn closed_failure(delivery: Delivery) -> Failure {
    Failure::new(Kind::Closed, "the transport was closed").with_delivery(delivery)
}

fn redirect_failure(facts: &Facts, what: &str, code: &'static str) -> Failure {
    let message = format!("{} {what}", facts.peer);
    let failure = Failure::new(Kind::Protocol, message).with_code(code);
    facts.at(failure, Stage::Body, Traffic::default())
}
