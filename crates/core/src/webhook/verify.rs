//! The verifier: format, then time, then signature, for one scheme or by detection.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    config::VerifierConfig,
    confusion,
    content::{Request, SignedParts},
    header::Headers,
    key::{IndexedKey, Keyring},
    mac::{self, ExternalMac},
    matching::{self, Tags},
    member::member_of,
    scheme::{Part, Scheme, Timestamp},
    signed_url, table,
    timestamp::{self, WindowOverride},
    verification::{Reason, Verification},
};
use crate::{limit::Limit, secret::Secret};

/// The largest body that is hashed. GitHub's limit, the highest known, is 25 MB.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// The shortest time for which a request without a signed timestamp is remembered: the longest retry of known
/// providers.
const NO_TIMESTAMP_REPLAY: Duration = Duration::from_hours(24);
/// The shortest time to live in a replay store. Not zero, because the end of the window belongs to it.
const SHORTEST_REPLAY: Duration = Duration::from_millis(1);

/// Verifies and signs under a list of secrets, newest first.
pub struct Verifier {
    pub(super) schemes: Arc<[Arc<Scheme>]>,
    pub(super) keys: Keyring,
    pub(super) url: Option<String>,
    pub(super) detects: bool,
    pub(super) window: WindowOverride,
}

/// A request as it came in.
#[derive(Clone, Copy)]
pub struct IncomingRequest<'a> {
    /// Its headers.
    pub headers: Headers<'a>,
    /// Its raw body.
    pub body: &'a [u8],
    /// Its HTTP method; `None` means `POST`.
    pub method: Option<&'a str>,
    /// Its URL: absolute, or the path and query as a Node server sees them.
    pub url: Option<&'a str>,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// The external implementation for the hash of a large body, if there is one.
    pub external: Option<&'a dyn ExternalMac>,
    /// Whether it will be remembered when it is genuine; only then its content gets a name.
    pub checks_replay: bool,
}

impl Verifier {
    /// A verifier with its keys yet to be expanded; that happens once, at first use.
    pub fn new(config: VerifierConfig) -> Self {
        Self {
            detects: config.schemes.is_none(),
            schemes: config
                .schemes
                .map_or_else(|| table::schemes().into(), Into::into),
            keys: Keyring::new(config.secrets),
            window: config.window,
            url: config.url,
        }
    }

    /// The same verifier under other secrets.
    #[must_use]
    pub fn with_secrets(&self, secrets: Vec<Secret>) -> Self {
        Self {
            schemes: Arc::clone(&self.schemes),
            keys: Keyring::new(secrets),
            url: self.url.clone(),
            detects: self.detects,
            window: self.window,
        }
    }

    /// The names of all headers it may look at, in lower case.
    pub fn header_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for scheme in self.schemes.iter() {
            let timestamp = match &scheme.timestamp {
                Timestamp::Header(names) => names.as_ref(),
                _ => "",
            };
            let marker_header = scheme.marker_header.map_or("", |(name, _)| name);
            for list in [&scheme.header, timestamp, &scheme.id, marker_header] {
                names.extend(list.split_whitespace().map(str::to_owned));
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Verifies a signature without its request: the generic forms and Paddle's, or the schemes given.
    ///
    /// `incoming.headers` may be empty; a scheme that needs more than the signature says what is missing.
    pub fn verify(&self, signature: &str, incoming: &IncomingRequest<'_>) -> Verification {
        let schemes = self.schemes.iter().filter(|scheme| {
            // In other schemes of the table the same form stands for another function or another content.
            !self.detects || scheme.name == table::GENERIC || scheme.name == "paddle"
        });
        self.first_valid(schemes.map(|scheme| (scheme, signature)), incoming)
            .unwrap_or_else(|| Verification::refuse(Reason::InvalidFormat))
    }

    /// Verifies a whole request. Never fails: a request that cannot be verified is refused with the reason.
    pub fn verify_request(&self, incoming: &IncomingRequest<'_>) -> Verification {
        let mut found = Vec::with_capacity(4);
        for scheme in self.schemes.iter() {
            match signature_header(scheme, incoming.headers) {
                Ok(Some(signature)) => found.push((scheme, signature)),
                Ok(None) => {}
                Err(reason) => return Verification::refuse(reason),
            }
        }
        if self.detects
            && let Err(reason) =
                matching::check_providers(found.iter().map(|(scheme, _)| scheme.as_ref()))
        {
            return Verification::refuse(reason);
        }
        self.first_valid(found.into_iter(), incoming)
            .unwrap_or_else(|| {
                Verification::refuse(match self.schemes.first() {
                    Some(scheme) if !self.detects => {
                        let name = scheme.header.split(' ').next().unwrap_or_default();
                        Reason::error(format!("the header {name} is missing"))
                    }
                    _ => Reason::error("the request has no signature header of any known scheme"),
                })
            })
    }

    /// The first acceptance, else the most specific refusal.
    fn first_valid<'r>(
        &self,
        candidates: impl Iterator<Item = (&'r Arc<Scheme>, &'r str)>,
        incoming: &IncomingRequest<'_>,
    ) -> Option<Verification> {
        let mut refused: Option<Verification> = None;
        let mut stale: Option<&str> = None;
        let mut tags = Tags::default();
        for (scheme, signature) in candidates {
            // A provider's older versions have no timestamp, and must not undo what its newer one has refused.
            if !scheme.has_timestamp() && stale == Some(scheme.provider()) {
                continue;
            }
            let answer = self.verify_scheme(scheme, signature, incoming, &mut tags);
            if scheme.has_timestamp() && answer.refusal.as_ref().is_some_and(Reason::is_final) {
                stale = Some(scheme.provider());
            }
            if answer.is_valid() {
                return Some(answer);
            }
            let more_specific = refused
                .as_ref()
                .is_none_or(|earlier| earlier.refusal == Some(Reason::InvalidFormat));
            if more_specific {
                refused = Some(answer);
            }
        }
        refused
    }

    fn verify_scheme(
        &self,
        scheme: &Scheme,
        signature: &str,
        incoming: &IncomingRequest<'_>,
        tags: &mut Tags,
    ) -> Verification {
        let mut found = Verification {
            scheme: Some(scheme.name.clone()),
            ..Verification::default()
        };
        found.refusal = self
            .check_scheme(scheme, signature, incoming, &mut found, tags)
            .err();
        found
    }

    fn check_scheme(
        &self,
        scheme: &Scheme,
        signature: &str,
        incoming: &IncomingRequest<'_>,
        found: &mut Verification,
        tags: &mut Tags,
    ) -> Result<(), Reason> {
        let signed = scheme.parse(signature)?;
        if incoming.body.len() > MAX_BODY_BYTES {
            return Err(Reason::error("the body is larger than 32 MiB"));
        }
        let timestamp = match &scheme.timestamp {
            Timestamp::None => None,
            Timestamp::InSignature => signed.timestamp.map(Cow::Borrowed),
            Timestamp::Header(names) => Some(incoming.headers.required(names)?.into()),
            Timestamp::Body(member) => Some(member_of(incoming.body, member)?.into()),
        };
        let mut ahead = Duration::ZERO;
        if let Some(timestamp) = &timestamp {
            let timestamp_ms = scheme.timestamp_ms(timestamp)?;
            found.timestamp = Some(timestamp_ms.div_euclid(1000));
            timestamp::check(&self.window, scheme.window, timestamp_ms, incoming.now_ms)?;
            let ahead_ms = timestamp_ms.saturating_sub(incoming.now_ms);
            ahead = Duration::from_millis(ahead_ms.try_into().unwrap_or(0));
        }
        let urls = if scheme.signs(&Part::Url) {
            signed_url::candidates(self.url.as_deref(), incoming.url)
        } else {
            Vec::new()
        };
        let request = Request {
            headers: incoming.headers,
            body: incoming.body,
            method: incoming.method.unwrap_or("POST"),
            urls: &urls,
        };
        let mut signed_parts = SignedParts::read(scheme, &request)?;
        signed_parts.timestamp = timestamp.as_deref();
        found.id = signed_parts.id.map(str::to_owned);
        let ambiguous = !scheme.has_timestamp() && self.is_ambiguous();
        if ambiguous && confusion::begins_like_signed_content(incoming.body) {
            return Err(Reason::Mismatch);
        }
        let (index, variant) = self.matching(
            scheme,
            (&request, &signed_parts),
            &signed.signatures,
            incoming,
            tags,
        )?;
        if ambiguous {
            self.check_timestamp_in_body(incoming)?;
        }
        found.secret_index = Some(index);
        found.content = incoming
            .checks_replay
            .then(|| mac::digest(&signed_parts.content(scheme, &request, variant)));
        found.replayable_for = self.replayable_for(scheme, ahead);
        Ok(())
    }

    /// The time for which a genuine request could be replayed. Without a timestamp it never expires: then the time is
    /// the caller's window, but no less than the time for which providers retry.
    fn replayable_for(&self, scheme: &Scheme, ahead: Duration) -> Duration {
        let span = match self.window.span(scheme.window, ahead) {
            Limit::At(span) => span,
            Limit::Off => Duration::MAX,
        };
        if scheme.has_timestamp() {
            span.max(SHORTEST_REPLAY)
        } else {
            span.max(NO_TIMESTAMP_REPLAY)
        }
    }

    /// The keys for `scheme`, at least one.
    pub(super) fn usable_keys(&self, scheme: &Scheme) -> Result<&[IndexedKey], Reason> {
        let keys = self.keys.keys(scheme);
        if keys.is_empty() {
            let (name, form) = (&scheme.name, scheme.key.expected());
            return Err(Reason::error(format!(
                "no secret is usable for {name}: a secret must be {form}"
            )));
        }
        Ok(keys)
    }
}

/// The signature header of `scheme`, where the request has it and its second header does not say otherwise.
fn signature_header<'a>(scheme: &Scheme, headers: Headers<'a>) -> Result<Option<&'a str>, Reason> {
    let Some(signature) = headers.get(&scheme.header)? else {
        return Ok(None);
    };
    if let Some((header, value)) = scheme.marker_header
        && let Some(given) = headers.get(header)?
        && !given
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case(value))
    {
        return Ok(None);
    }
    Ok(Some(signature))
}
