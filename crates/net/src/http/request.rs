//! A request: read from text, and turned into what hyper sends.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version,
    header::{self, Entry},
    uri::Authority,
};
use http_body::Body as _;
use moorline_core::{
    options::Read, resilience::idempotency::is_idempotent_request, secret::is_harmless_header,
};

use super::{
    body::RequestBody,
    config::{CallConfig, bad_value},
    redirect::read_url,
};
use crate::header::header_value;

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("moorline/", env!("CARGO_PKG_VERSION")));
const ANY: HeaderValue = HeaderValue::from_static("*/*");
const ENCODINGS: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");
const ZERO: HeaderValue = HeaderValue::from_static("0");

/// One request.
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: RequestBody,
    pub(super) config: CallConfig,
    /// Whether the answer is handed over with its body still to come.
    pub(super) streamed: bool,
    /// Whether the body of the answer is read without hyper, over HTTP/1.
    pub(super) detached: bool,
}

impl Request {
    /// A request. `headers` is a line `name:value` for each.
    pub fn new(method: &str, url: &str, headers: &str, body: RequestBody) -> Read<Self> {
        let method = read_method(method)?;
        let (url, login) = read_url(url)?;
        let mut request = Self {
            method,
            url,
            headers: Vec::with_capacity(8),
            body,
            config: CallConfig::default(),
            streamed: false,
            detached: false,
        };
        for line in headers.lines() {
            request.add_header(line)?;
        }
        // HTTP/1 has no other way to say where the body of these ends.
        if request.body.has_unknown_length() && matches!(request.method, Method::GET | Method::HEAD)
        {
            let reason = "requires a content-length header when it is streamed with GET or HEAD";
            return Err(bad_value("request.body", reason));
        }
        if let Some(login) = login.filter(|_| !request.has(&header::AUTHORIZATION)) {
            request.headers.push((header::AUTHORIZATION, login));
        }
        Ok(request)
    }

    /// Sets what this call says otherwise than its engine.
    #[must_use]
    pub fn with_config(mut self, config: CallConfig) -> Self {
        self.config = config;
        self
    }

    /// Hands the answer over as soon as its head is there.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.streamed = true;
        self
    }

    /// The same for a body that stays open for long: without hyper, it takes no buffer while it is silent. Its connection
    /// carries no further request.
    #[must_use]
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self.streamed()
    }

    fn add_header(&mut self, line: &str) -> Read<()> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let path = || format!("request.headers.{name}");
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| bad_value(&path(), "is not a valid header name"))?;
        let mut value = header_value(value).map_err(|reason| bad_value(&path(), reason))?;
        match header {
            header::TRANSFER_ENCODING | header::UPGRADE => {
                return Err(bad_value(&path(), "cannot be set by the caller"));
            }
            header::CONTENT_LENGTH => {
                let length = value.to_str().ok().and_then(|text| text.parse().ok());
                let length = length.ok_or_else(|| bad_value(&path(), "is not a number"))?;
                // Of bytes that are there the length is known better.
                self.body.set_length(length);
            }
            _ => {
                // HTTP/2 keeps it out of its compression tables.
                value.set_sensitive(header == header::AUTHORIZATION);
                self.headers.push((header, value));
            }
        }
        Ok(())
    }

    fn has(&self, name: &HeaderName) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }

    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    /// Whether a repeat does no harm.
    pub(super) fn is_idempotent(&self) -> bool {
        let names = self.headers.iter().map(|(name, _)| name.as_str());
        is_idempotent_request(self.method.as_str(), names)
    }

    /// Points the request at another URL after a redirect, without the body when the method loses it.
    pub(super) fn retarget(&mut self, url: Uri, method: Method, body: RequestBody) {
        let same_origin =
            self.url.scheme() == url.scheme() && self.url.authority() == url.authority();
        let bodiless = matches!(body, RequestBody::Empty);
        self.headers.retain(|(name, _)| {
            let about_body = [header::CONTENT_TYPE, header::CONTENT_ENCODING];
            *name != header::HOST
                && (same_origin || is_harmless_header(name.as_str()))
                && !(bodiless && about_body.contains(name))
        });
        self.url = url;
        self.method = method;
        self.body = body;
    }

    /// The message as it is sent; the body goes with it.
    pub(super) fn message(&mut self, http2: bool) -> http::Request<RequestBody> {
        let body = std::mem::replace(&mut self.body, RequestBody::Empty);
        let headers = self.header_map(http2, &body);
        let mut message = http::Request::new(body);
        *message.method_mut() = self.method.clone();
        *message.headers_mut() = headers;
        *message.uri_mut() = if http2 {
            *message.version_mut() = Version::HTTP_2;
            self.url_with_host_header()
        } else {
            let path = self.url.path_and_query().cloned();
            path.map_or_else(|| Uri::from_static("/"), Uri::from)
        };
        message
    }

    /// The URL with the host that the caller names, which HTTP/2 has nowhere else.
    fn url_with_host_header(&self) -> Uri {
        let host = self.headers.iter().find(|(name, _)| name == header::HOST);
        let named = host.and_then(|(_, host)| {
            let mut parts = self.url.clone().into_parts();
            parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
            Uri::from_parts(parts).ok()
        });
        named.unwrap_or_else(|| self.url.clone())
    }

    fn header_map(&self, http2: bool, body: &RequestBody) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(self.headers.len() + 6);
        if !http2 && !self.has(&header::HOST) {
            let host = self.url.authority().map_or("", |it| it.as_str());
            // An authority has no character that a header cannot have.
            map.extend(HeaderValue::from_str(host).map(|host| (header::HOST, host)));
        }
        for (name, value) in &self.headers {
            if !(http2 && is_connection_header(name)) {
                map.append(name, value.clone());
            }
        }
        let mut default = |name, value| {
            if let Entry::Vacant(vacant) = map.entry(name) {
                vacant.insert(value);
            }
        };
        default(header::USER_AGENT, USER_AGENT);
        default(header::ACCEPT, ANY);
        if self.config.decompress {
            default(header::ACCEPT_ENCODING, ENCODINGS);
        }
        // A server may wait for a body where one is usual.
        let usual = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        if usual && body.is_end_stream() {
            default(header::CONTENT_LENGTH, ZERO);
        }
        map
    }
}

fn is_connection_header(name: &HeaderName) -> bool {
    [header::HOST, header::CONNECTION].contains(name)
        || ["keep-alive", "proxy-connection"].contains(&name.as_str())
}

fn read_method(method: &str) -> Read<Method> {
    Method::from_bytes(method.as_bytes())
        .ok()
        .filter(|method| *method != Method::CONNECT)
        .ok_or_else(|| bad_value("request.method", "is not a supported method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str, headers: &str) -> Read<Request> {
        Request::new("GET", url, headers, RequestBody::Empty)
    }

    #[test]
    fn a_host_of_the_callers_is_the_authority_of_http2() {
        let mut own = request("https://h/path?q", "host:other.example:8").unwrap();
        assert_eq!(
            own.message(true).uri().to_string(),
            "https://other.example:8/path?q"
        );
        assert_eq!(own.message(false).headers()["host"], "other.example:8");
        let mut odd = request("https://h/", "host:no host").unwrap();
        assert_eq!(odd.message(true).uri().to_string(), "https://h/");
    }

    #[test]
    fn user_info_becomes_a_header_and_is_not_sent_in_the_url() {
        let mut asked = request("http://me:p%40@h/", "").unwrap();
        assert_eq!(asked.url.to_string(), "http://h/");
        let sent = asked.message(false);
        assert_eq!(sent.headers()["authorization"], "Basic bWU6cEA=");
        let mut own = request("http://me:pw@h/", "authorization:Bearer x").unwrap();
        let sent = own.message(false);
        let authorization = &sent.headers()["authorization"];
        assert_eq!(authorization, "Bearer x");
        assert!(authorization.is_sensitive());
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_by_name() {
        for (line, path) in [
            ("a b:c", "request.headers.a b "),
            ("x:\u{1}", "request.headers.x "),
            ("x:\u{20ac}", "request.headers.x "),
            (
                "transfer-encoding:chunked",
                "request.headers.transfer-encoding ",
            ),
        ] {
            let error = request("http://h/", line).err().unwrap();
            assert!(error.message.starts_with(path), "{error}");
        }
        let mut latin = request("http://h/", "x:\u{e9}").unwrap();
        assert_eq!(latin.message(false).headers()["x"].as_bytes(), [0xe9]);
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let headers = "authorization:x\ncookie:y\nx-jwt:z\ncontent-type:a\nrange:b";
        let mut other = request("https://a/", headers).unwrap();
        other.retarget(
            "https://b/".parse().unwrap(),
            Method::GET,
            RequestBody::Empty,
        );
        let sent = other.message(false);
        assert_eq!(sent.headers()["host"], "b");
        assert!(!sent.headers().contains_key("authorization"));
        assert!(!sent.headers().contains_key("cookie"));
        assert!(!sent.headers().contains_key("x-jwt"));
        assert!(!sent.headers().contains_key("content-type"));
        assert_eq!(sent.headers()["range"], "b");
        let mut same = request("https://a/", headers).unwrap();
        same.retarget(
            "https://a/2".parse().unwrap(),
            Method::GET,
            RequestBody::Empty,
        );
        assert!(same.message(true).headers().contains_key("authorization"));
    }
}
