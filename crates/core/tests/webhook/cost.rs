//! The cost of a request before it is verified: bounded, whatever its headers hold.

use std::cell::RefCell;

use moorline_core::{
    options::PlainValue,
    webhook::{ExternalMac, Headers, IncomingRequest, Reason, Tag, Verification, Verifier, mac},
};

use crate::support::{ED25519_HEX, NOW_MS, incoming_request, signed, text, verifier};

const SECOND: i64 = NOW_MS / 1000;

/// A secret's number, and what stands before and after the body.
type Asked = (usize, Vec<u8>, Vec<u8>);

/// Writes down what is to be hashed, and has it done by the verifier.
#[derive(Default)]
struct Counted(RefCell<Vec<Asked>>);

impl ExternalMac for Counted {
    fn hmac_sha256(&self, secret_index: usize, before: &[u8], after: &[u8]) -> Option<Tag> {
        let asked = (secret_index, before.to_vec(), after.to_vec());
        self.0.borrow_mut().push(asked);
        None
    }
}

fn refuse(by: &Verifier, headers: &[(&str, &str)], counted: &Counted) -> Verification {
    let body = vec![b'x'; mac::LARGE_BODY_BYTES];
    let found = by.verify_request(&IncomingRequest {
        headers: Headers(headers),
        external: Some(counted),
        url: Some("https://example.com/"),
        ..incoming_request(&body, NOW_MS)
    });
    assert!(!found.is_valid());
    found
}

#[test]
fn what_several_schemes_sign_alike_is_hashed_once_for_each_secret() {
    let secrets = PlainValue::List(vec![text("new"), text("old")]);
    let list = [
        "github",
        "shopify",
        "salesforce-data-cloud",
        "salesforce-ens",
        "generic",
        "slack",
        "zoom",
    ];
    let scheme = PlainValue::List(list.map(text).to_vec());
    let verifier = verifier(&[("secret", secrets), ("scheme", scheme)]);
    let (hex, base64) = ("ab".repeat(32), format!("{}=", "A".repeat(43)));
    let (bare, versioned) = (format!("sha256={hex}"), format!("v0={hex}"));
    let now = SECOND.to_string();
    let counted = Counted::default();
    refuse(
        &verifier,
        &[
            ("x-hub-signature-256", &bare),
            ("x-shopify-hmac-sha256", &base64),
            ("x-signature", &base64),
            ("x-sfmc-ens-signature", &base64),
            ("x-webhook-signature", &hex),
            ("x-slack-signature", &versioned),
            ("x-slack-request-timestamp", &now),
            ("x-zm-signature", &versioned),
            ("x-zm-request-timestamp", &now),
        ],
        &counted,
    );
    let stamped = format!("v0:{now}:").into_bytes();
    let expected: Vec<_> = [Vec::new(), stamped]
        .into_iter()
        .flat_map(|before| (0..2).map(move |secret| (secret, before.clone(), Vec::new())))
        .collect();
    let mut asked = counted.0.into_inner();
    asked.sort_by_key(|(_, before, _)| before.len());
    assert_eq!(asked, expected);
}

#[test]
fn a_request_with_signatures_of_more_providers_than_can_be_is_not_hashed() {
    let verifier = verifier(&[("secret", text("s3cret"))]);
    let (hex, base64) = ("ab".repeat(32), format!("{}=", "A".repeat(43)));
    let (hub, stripe) = (format!("sha256={hex}"), format!("t={SECOND},v1={hex}"));
    let headers = [
        ("x-hub-signature-256", hub.as_str()),
        ("x-shopify-hmac-sha256", &base64),
        ("x-webhook-signature", &hex),
        ("stripe-signature", &stripe),
        ("linear-signature", &hex),
    ];
    let counted = Counted::default();
    let found = refuse(&verifier, &headers, &counted);
    assert_eq!(
        found.refusal.map(|reason| reason.to_string()).as_deref(),
        Some(
            "Verification error: the request has signatures of more than 4 providers: set the option 'scheme' of the verifier"
        )
    );
    assert_eq!(counted.0.borrow().len(), 0);
    let found = refuse(&verifier, &headers[..4], &counted);
    assert_eq!(found.refusal, Some(Reason::Mismatch));
    assert_eq!(counted.0.borrow().len(), 2);
}

#[test]
fn a_list_of_ed25519_signatures_is_tried_as_far_as_a_sender_may_need_it() {
    let mut sample = signed("standard-ed25519", ED25519_HEX);
    let genuine = sample.headers[0].1.clone();
    // Below the order of the curve, so that nothing but the hash tells that it is forged.
    let forged = format!("v1a,{}AA==", "A".repeat(84));
    for (before, expected) in [(0, None), (4, None), (5, Some(Reason::Mismatch))] {
        let list = [vec![forged.as_str(); before], vec![genuine.as_str()]].concat();
        sample.headers[0].1 = list.join(" ");
        assert_eq!(sample.verify().refusal, expected, "{before}");
    }
    // Those of another version are not tried, and do not count.
    sample.headers[0].1 = format!("{}{genuine}", "v1,AAAA ".repeat(50));
    assert_eq!(sample.verify().refusal, None);
}
