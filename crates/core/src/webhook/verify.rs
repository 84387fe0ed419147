//! The verifier: format, then time, then signature, for one scheme or for whichever a request carries.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    confusion,
    content::{Facts, Request},
    header::Headers,
    key::{IndexedKey, Keyring},
    mac::{self, ExternalMac},
    matching::{self, Tags},
    member::member_of,
    scheme::{Part, Scheme, Timestamp},
    signed_url,
    stamp::{self, Bounds},
    table,
    verification::{Reason, Verification},
};
use crate::{limit::Limit, secret::Secret};

/// The largest body that is hashed. GitHub's limit, the highest known, is 25 MB.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// How long a request without a signed timestamp is remembered at least: the longest retry of the usual providers.
const UNSTAMPED_REPLAY: Duration = Duration::from_hours(24);
/// The shortest time that is of use to a store: the bounds of a window are inside of it.
const SHORTEST_REPLAY: Duration = Duration::from_millis(1);

/// Verifies and signs under a list of secrets, newest first.
pub struct Verifier {
    pub(super) rows: Arc<[Arc<Scheme>]>,
    pub(super) keys: Keyring,
    pub(super) url: Option<String>,
    pub(super) detects: bool,
    pub(super) bounds: Bounds,
}

/// What a [`Verifier`] is made of; [`super::config`] reads it from options.
#[derive(Debug)]
pub struct VerifierConfig {
    /// The secrets, newest first; at least one, none empty.
    pub secrets: Vec<Secret>,
    /// The rows that may sign a request; `None` detects the scheme by the request's headers.
    pub rows: Option<Vec<Arc<Scheme>>>,
    /// How far a timestamp may be from now.
    pub bounds: Bounds,
    /// The endpoint's public URL, for schemes that sign it.
    pub url: Option<String>,
}

/// A request as it came in.
#[derive(Clone, Copy)]
pub struct Incoming<'a> {
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
    /// Who may take over the hashing of a large body.
    pub large: Option<&'a dyn ExternalMac>,
    /// Whether it will be remembered when it is genuine; only then its content gets a name.
    pub remembered: bool,
}

impl Verifier {
    /// A verifier with its keys yet to be expanded; that happens once, at first use.
    pub fn new(config: VerifierConfig) -> Self {
        Self {
            detects: config.rows.is_none(),
            rows: config.rows.map_or_else(|| table::rows().into(), Into::into),
            keys: Keyring::new(config.secrets),
            bounds: config.bounds,
            url: config.url,
        }
    }

    /// The same verifier under other secrets.
    #[must_use]
    pub fn under(&self, secrets: Vec<Secret>) -> Self {
        Self {
            rows: Arc::clone(&self.rows),
            keys: Keyring::new(secrets),
            url: self.url.clone(),
            detects: self.detects,
            bounds: self.bounds,
        }
    }

    /// The names of all headers it may look at, in lower case.
    pub fn header_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for row in self.rows.iter() {
            let stamp = match &row.stamp {
                Timestamp::Header(names) => names.as_ref(),
                _ => "",
            };
            let version = row.version.map_or("", |(name, _)| name);
            for list in [&row.header, stamp, &row.id, version] {
                names.extend(list.split_whitespace().map(str::to_owned));
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Judges a signature without its request: the generic forms and Paddle's, or the schemes given.
    ///
    /// `incoming.headers` may be empty; a scheme that needs more than the signature says what is missing.
    pub fn verify(&self, signature: &str, incoming: &Incoming<'_>) -> Verification {
        let rows = self.rows.iter().filter(|row| {
            // Elsewhere in the table the same variant means another function or another content.
            !self.detects || row.name == table::GENERIC || row.name == "paddle"
        });
        self.first_valid(rows.map(|row| (row, signature)), incoming)
            .unwrap_or_else(|| Verification::refused(Reason::InvalidFormat))
    }

    /// Judges a whole request. Never fails: what cannot be judged is refused with the reason.
    pub fn verify_request(&self, incoming: &Incoming<'_>) -> Verification {
        let mut found = Vec::with_capacity(4);
        for row in self.rows.iter() {
            match carried(row, incoming.headers) {
                Ok(Some(signature)) => found.push((row, signature)),
                Ok(None) => {}
                Err(reason) => return Verification::refused(reason),
            }
        }
        if self.detects
            && let Err(reason) =
                matching::check_providers(found.iter().map(|(row, _)| row.as_ref()))
        {
            return Verification::refused(reason);
        }
        self.first_valid(found.into_iter(), incoming)
            .unwrap_or_else(|| {
                Verification::refused(match self.rows.first() {
                    Some(row) if !self.detects => {
                        let name = row.header.split(' ').next().unwrap_or_default();
                        Reason::error(format!("the header {name} is missing"))
                    }
                    _ => Reason::error("the request has no signature header of any known scheme"),
                })
            })
    }

    /// The first acceptance, else the refusal that says most.
    fn first_valid<'r>(
        &self,
        candidates: impl Iterator<Item = (&'r Arc<Scheme>, &'r str)>,
        incoming: &Incoming<'_>,
    ) -> Option<Verification> {
        let mut refused: Option<Verification> = None;
        let mut stale: Option<&str> = None;
        let mut tags = Tags::default();
        for (row, signature) in candidates {
            // A provider's older versions have no timestamp, and must not undo what its newer one has refused.
            if !row.is_stamped() && stale == Some(row.provider()) {
                continue;
            }
            let answer = self.judge(row, signature, incoming, &mut tags);
            if row.is_stamped() && answer.refusal.as_ref().is_some_and(Reason::is_final) {
                stale = Some(row.provider());
            }
            if answer.is_valid() {
                return Some(answer);
            }
            let says_more = refused
                .as_ref()
                .is_none_or(|earlier| earlier.refusal == Some(Reason::InvalidFormat));
            if says_more {
                refused = Some(answer);
            }
        }
        refused
    }

    fn judge(
        &self,
        row: &Scheme,
        signature: &str,
        incoming: &Incoming<'_>,
        tags: &mut Tags,
    ) -> Verification {
        let mut found = Verification {
            scheme: Some(row.name.clone()),
            ..Verification::default()
        };
        found.refusal = self
            .try_row(row, signature, incoming, &mut found, tags)
            .err();
        found
    }

    fn try_row(
        &self,
        row: &Scheme,
        signature: &str,
        incoming: &Incoming<'_>,
        found: &mut Verification,
        tags: &mut Tags,
    ) -> Result<(), Reason> {
        let signed = row.parse(signature)?;
        if incoming.body.len() > MAX_BODY_BYTES {
            return Err(Reason::error("the body is larger than 32 MiB"));
        }
        let stamp = match &row.stamp {
            Timestamp::None => None,
            Timestamp::InSignature => signed.stamp.map(Cow::Borrowed),
            Timestamp::Header(names) => Some(incoming.headers.required(names)?.into()),
            Timestamp::Body(member) => Some(member_of(incoming.body, member)?.into()),
        };
        let mut ahead = Duration::ZERO;
        if let Some(stamp) = &stamp {
            let stamp_ms = row.stamp_ms(stamp)?;
            found.timestamp = Some(stamp_ms.div_euclid(1000));
            stamp::check(&self.bounds, row.window, stamp_ms, incoming.now_ms)?;
            let ahead_ms = stamp_ms.saturating_sub(incoming.now_ms);
            ahead = Duration::from_millis(ahead_ms.try_into().unwrap_or(0));
        }
        let urls = if row.signs(&Part::Url) {
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
        let mut facts = Facts::read(row, &request)?;
        facts.stamp = stamp.as_deref();
        found.id = facts.id.map(str::to_owned);
        let guarded = !row.is_stamped() && self.is_ambiguous();
        if guarded && confusion::begins_like_signed_content(incoming.body) {
            return Err(Reason::Mismatch);
        }
        let (index, variant) =
            self.matching(row, (&request, &facts), &signed.signatures, incoming, tags)?;
        if guarded {
            self.check_stamp_in_body(incoming)?;
        }
        found.secret_index = Some(index);
        found.content = incoming
            .remembered
            .then(|| mac::digest(&facts.content(row, &request, variant)));
        found.replayable_for = self.replayable_for(row, ahead);
        Ok(())
    }

    /// How long a genuine request could be sent again with success. Without a timestamp that is for ever: then as long as
    /// the caller lets any request be old, but no less than providers repeat one.
    fn replayable_for(&self, row: &Scheme, ahead: Duration) -> Duration {
        let span = match self.bounds.span(row.window, ahead) {
            Limit::At(span) => span,
            Limit::Off => Duration::MAX,
        };
        if row.is_stamped() {
            span.max(SHORTEST_REPLAY)
        } else {
            span.max(UNSTAMPED_REPLAY)
        }
    }

    /// The keys for `row`, at least one.
    pub(super) fn usable_keys(&self, row: &Scheme) -> Result<&[IndexedKey], Reason> {
        let keys = self.keys.keys(row);
        if keys.is_empty() {
            let (name, form) = (&row.name, row.key.expected());
            return Err(Reason::error(format!(
                "no secret can be used for {name}: it must be {form}"
            )));
        }
        Ok(keys)
    }
}

/// The signature header of `row`, where the request has it and its second header does not say otherwise.
fn carried<'a>(row: &Scheme, headers: Headers<'a>) -> Result<Option<&'a str>, Reason> {
    let Some(signature) = headers.get(&row.header)? else {
        return Ok(None);
    };
    if let Some((header, value)) = row.version
        && let Some(given) = headers.get(header)?
        && !given
            .split(',')
            .any(|one| one.trim().eq_ignore_ascii_case(value))
    {
        return Ok(None);
    }
    Ok(Some(signature))
}
