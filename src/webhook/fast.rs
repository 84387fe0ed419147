//! The calls that verify a request, written by hand.
//!
//! They run on the calling thread, because a signature over a kilobyte costs less than crossing with objects would.

use std::{
    cell::{Cell, RefCell},
    ffi::CStr,
};

use moorline_core::webhook::{
    ExternalMac, Headers, IncomingRequest, Tag, Verification, Verifier as WebhookVerifier,
};
use napi::Result;

use super::encode::verification_json;
use crate::bridge::{Call, Exports, Function, ReturnValue};

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Verify>()?;
    exports.add::<VerifyRequest>()
}

/// The head of a request as `lib/` joins it: method, URL, then names and values of headers.
pub(super) struct RequestHead<'a> {
    pub(super) method: Option<&'a str>,
    pub(super) url: Option<&'a str>,
    pub(super) headers: Vec<(&'a str, &'a str)>,
}

impl<'a> RequestHead<'a> {
    /// No method, URL or header contains a NUL; `lib/` refuses one that does.
    pub(super) fn read(text: &'a str) -> Self {
        let mut fields = text.split('\0');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        let (method, url) = (next(), next());
        let rest: Vec<&str> = fields.collect();
        let pairs = rest.as_chunks::<2>().0;
        Self {
            method,
            url,
            headers: pairs.iter().map(|[name, value]| (*name, *value)).collect(),
        }
    }
}

/// Lends the text of an argument.
fn with_text<R>(call: &Call, index: usize, read: impl FnOnce(&str) -> R) -> Option<R> {
    call.with_bytes(index, |bytes| std::str::from_utf8(bytes).ok().map(read))?
}

/// The HMACs of a large body, which node:crypto computes.
///
/// First `tags` is empty and what is wanted is written down; then the answer is that, each HMAC as three
/// texts (the number of the secret, what stands before the body, what stands after it) with a NUL before
/// each. A second call brings the tags in the same order.
struct NodeCryptoMac {
    tags: Vec<u8>,
    handed_out: Cell<usize>,
    asked: RefCell<String>,
}

impl NodeCryptoMac {
    fn read(call: &Call, index: usize) -> Option<Self> {
        call.with_bytes(index, |tags| Self {
            tags: tags.to_vec(),
            handed_out: Cell::new(0),
            asked: RefCell::default(),
        })
    }

    /// The HMACs that were asked for, if any.
    fn asked(this: Option<Self>) -> Option<String> {
        this.map(|this| this.asked.into_inner())
            .filter(|asked| !asked.is_empty())
    }
}

impl ExternalMac for NodeCryptoMac {
    fn hmac_sha256(&self, secret_index: usize, before: &[u8], after: &[u8]) -> Option<Tag> {
        if self.tags.is_empty() {
            let (before, after) = (str::from_utf8(before).ok()?, str::from_utf8(after).ok()?);
            if before.contains('\0') || after.contains('\0') {
                return None;
            }
            let wanted = format!("\0{secret_index}\0{before}\0{after}");
            self.asked.borrow_mut().push_str(&wanted);
            return Tag::new(&[]);
        }
        let tag = self.tags.as_chunks::<32>().0.get(self.handed_out.get())?;
        self.handed_out.update(|count| count + 1);
        Tag::new(tag)
    }
}

/// `webhookVerify(verifier, payload, signature, nowMs, externalMacs?)`: the timestamp of a genuine payload, `true`
/// where it has none, the reason of a refusal, what [`NodeCryptoMac`] asks for; `undefined` for a payload that
/// is neither text nor bytes.
struct Verify;

impl Function for Verify {
    const NAME: &'static CStr = c"webhookVerify";
    fn run(call: &Call) -> ReturnValue {
        let (Some(verifier), Some(now_ms)) = (call.handle::<WebhookVerifier>(0), call.number(3))
        else {
            return ReturnValue::Undefined;
        };
        let external = NodeCryptoMac::read(call, 4);
        let found = call.with_bytes(1, |body| {
            with_text(call, 2, |signature| {
                let incoming = IncomingRequest {
                    external: external.as_ref().map(|mac| mac as &dyn ExternalMac),
                    ..body_only(body, now_ms as i64)
                };
                verifier.verify(signature, &incoming)
            })
        });
        if let Some(asked) = NodeCryptoMac::asked(external) {
            return ReturnValue::Text(asked);
        }
        match found.flatten() {
            None => ReturnValue::Undefined,
            Some(Verification {
                refusal: Some(reason),
                ..
            }) => ReturnValue::Text(reason.to_string()),
            Some(Verification {
                timestamp: Some(seconds),
                ..
            }) => ReturnValue::Number(seconds as f64),
            Some(_) => ReturnValue::Bool(true),
        }
    }
}

/// A body without a request around it.
pub(super) fn body_only(body: &[u8], now_ms: i64) -> IncomingRequest<'_> {
    IncomingRequest {
        headers: Headers(&[]),
        body,
        method: None,
        url: None,
        now_ms,
        external: None,
        checks_replay: false,
    }
}

/// `webhookVerifyRequest(verifier, payload, signature | undefined, head, nowMs, externalMacs?, checksReplay?)`: the whole answer as JSON,
/// with a `replayKey` when it is to be remembered, or what [`NodeCryptoMac`] asks for; `undefined` for a payload that is neither text nor bytes.
struct VerifyRequest;

impl Function for VerifyRequest {
    const NAME: &'static CStr = c"webhookVerifyRequest";
    fn run(call: &Call) -> ReturnValue {
        let (Some(verifier), Some(now_ms)) = (call.handle::<WebhookVerifier>(0), call.number(4))
        else {
            return ReturnValue::Undefined;
        };
        let external = NodeCryptoMac::read(call, 5);
        let checks_replay = call.flag(6).unwrap_or(false);
        let found = call.with_bytes(1, |body| {
            with_text(call, 3, |head| {
                let head = RequestHead::read(head);
                let incoming = IncomingRequest {
                    headers: Headers(&head.headers),
                    method: head.method,
                    url: head.url,
                    external: external.as_ref().map(|mac| mac as &dyn ExternalMac),
                    checks_replay,
                    ..body_only(body, now_ms as i64)
                };
                with_text(call, 2, |signature| verifier.verify(signature, &incoming))
                    .unwrap_or_else(|| verifier.verify_request(&incoming))
            })
        });
        match (NodeCryptoMac::asked(external), found.flatten()) {
            (Some(asked), _) => ReturnValue::Text(asked),
            (None, Some(verification)) => {
                ReturnValue::Text(verification_json(&verification).to_string())
            }
            (None, None) => ReturnValue::Undefined,
        }
    }
}
