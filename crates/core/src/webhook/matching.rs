//! The match of a signature with a secret, and the bounds of the work for it.
//!
//! Until a signature has matched, the headers and the body are anybody's. What they cost is bounded by the
//! verifier's own secrets: every content is hashed once for each secret that it may be signed with, a list of
//! signatures that each take a hashing of their own is short, and so is the list of providers that are tried.

use super::{
    content::{Request, SignedParts},
    key::{IndexedKey, Key, slot},
    mac::{self, Function, Mac, Tag},
    scheme::{Algorithm, KeyForm, Part, Scheme},
    verification::Reason,
    verify::{IncomingRequest, Verifier},
};

/// Ed25519 hashes the body anew for each signature. A sender that changes its keys sends two.
pub(super) const MAX_ED25519_SIGNATURES: usize = 5;

/// The providers whose signatures one request may carry, where the scheme is detected: the sender, and those
/// that pass its requests on.
pub(super) const MAX_PROVIDERS: usize = 4;

/// A smaller body is hashed again sooner than its tag is remembered.
const MIN_CACHED_BODY_BYTES: usize = 4 * 1024;

/// Refuses a request that would be judged by more schemes than any genuine one.
pub(super) fn check_providers<'r>(schemes: impl Iterator<Item = &'r Scheme>) -> Result<(), Reason> {
    let mut providers: Vec<&str> = schemes
        .map(|scheme| scheme.name.split('-').next().unwrap_or_default())
        .collect();
    providers.sort_unstable();
    providers.dedup();
    if providers.len() <= MAX_PROVIDERS {
        return Ok(());
    }
    Err(Reason::error(format!(
        "the request has signatures of more than {MAX_PROVIDERS} providers: set the option 'scheme' of the verifier"
    )))
}

/// The tags of one request: schemes that sign the same in the same way share them.
#[derive(Default)]
pub(super) struct Tags(Vec<CachedTag>);

/// A tag, and what it was computed over: the key, and what stands before and after the body.
struct CachedTag {
    slot: usize,
    secret_index: usize,
    surrounding: (Vec<u8>, Vec<u8>),
    tag: Tag,
}

impl Tags {
    /// The tag of `content` under one key; computed externally for a large body, or here.
    fn tag(
        &mut self,
        scheme: &Scheme,
        (secret_index, mac): (usize, &dyn Mac),
        content: &[&[u8]],
        incoming: &IncomingRequest<'_>,
    ) -> Tag {
        if incoming.body.len() < MIN_CACHED_BODY_BYTES {
            return mac.tag(content);
        }
        let Some(surrounding) = surrounding_body(scheme, content) else {
            return mac.tag(content);
        };
        let slot = slot(scheme);
        let same = |cached: &&CachedTag| {
            (cached.slot, cached.secret_index) == (slot, secret_index)
                && cached.surrounding == surrounding
        };
        if let Some(cached) = self.0.iter().find(same) {
            return cached.tag;
        }
        let external = incoming
            .external
            .filter(|_| is_external(scheme, incoming.body));
        let tag = external
            .and_then(|external| external.hmac_sha256(secret_index, &surrounding.0, &surrounding.1))
            .unwrap_or_else(|| mac.tag(content));
        self.0.push(CachedTag {
            slot,
            secret_index,
            surrounding,
            tag,
        });
        tag
    }
}

/// The bytes before and after the body in the content of a scheme that signs the body as it is, once.
fn surrounding_body(scheme: &Scheme, content: &[&[u8]]) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = scheme.content.iter().position(|part| *part == Part::Body)?;
    let (before, after) = (content.get(..at)?, content.get(at + 1..)?);
    let again = scheme.content.get(at + 1..)?.contains(&Part::Body);
    (!again).then(|| (before.concat(), after.concat()))
}

/// Whether the tag of a body may be computed externally.
fn is_external(scheme: &Scheme, body: &[u8]) -> bool {
    body.len() >= mac::LARGE_BODY_BYTES
        && scheme.algorithm == Algorithm::Keyed(Function::HmacSha256)
        && scheme.key == KeyForm::Text
}

impl Verifier {
    /// The secret that matches, and the variant of the content. Every secret is tried against every signature, whatever
    /// matched before, so that the time tells nothing about which one is in use.
    pub(super) fn matching(
        &self,
        scheme: &Scheme,
        (request, signed_parts): (&Request<'_>, &SignedParts<'_>),
        signatures: &[Tag],
        incoming: &IncomingRequest<'_>,
        tags: &mut Tags,
    ) -> Result<(usize, usize), Reason> {
        let keys = self.usable_keys(scheme)?;
        if scheme.algorithm == Algorithm::Ed25519 && signatures.len() > MAX_ED25519_SIGNATURES {
            return Err(Reason::Mismatch);
        }
        let mut matched = None;
        for variant in 0..signed_parts.contents() {
            let content = signed_parts.content(scheme, request, variant);
            let mut message: Option<Vec<u8>> = None;
            for IndexedKey { index, key } in keys {
                let right = match key {
                    Key::Mac(mac) => {
                        let tag = tags.tag(scheme, (*index, mac.as_ref()), &content, incoming);
                        signatures
                            .iter()
                            .fold(false, |right, s| right | s.matches(&tag))
                    }
                    Key::Ed25519(key) => {
                        let message = message.get_or_insert_with(|| content.concat());
                        signatures.iter().any(|s| key.verifies(message, s))
                    }
                };
                matched = matched.or(right.then_some((*index, variant)));
            }
        }
        matched.ok_or(Reason::Mismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table, *};

    fn schemes_by_name(names: &[&str]) -> Result<(), Reason> {
        let schemes = table::schemes().iter().map(AsRef::as_ref);
        check_providers(schemes.filter(|scheme: &&Scheme| names.contains(&scheme.name.as_ref())))
    }

    #[test]
    fn versions_of_one_provider_count_once() {
        let versions = [
            "github",
            "github-sha1",
            "standard",
            "standard-ed25519",
            "hubspot-v1",
            "hubspot-v3",
            "generic",
        ];
        assert_eq!(schemes_by_name(&versions), Ok(()));
        assert!(
            schemes_by_name(&["github", "standard", "hubspot-v1", "generic", "stripe"]).is_err()
        );
    }

    #[test]
    fn a_content_with_the_body_twice_is_not_taken_for_one_with_it_once() {
        let scheme = Scheme::new("own", "x-own", "{body}.{body}");
        assert_eq!(surrounding_body(&scheme, &[b"a", b".", b"a"]), None);
        let scheme = Scheme::new("own", "x-own", "{id}.{body}");
        let surrounding = surrounding_body(&scheme, &[b"i", b".", b"a"]);
        assert_eq!(surrounding, Some((b"i.".to_vec(), Vec::new())));
    }
}
