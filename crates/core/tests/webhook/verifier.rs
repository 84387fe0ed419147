//! Several secrets, several signatures, described schemes, challenges.

use std::{cell::Cell, time::Duration};

use moorline_core::{
    options::PlainValue,
    webhook::{
        ExternalMac, Headers, IncomingRequest, MemoryReplayStore, OutgoingRequest, Reason,
        ReplayStore, Tag, mac,
    },
};

use crate::support::{
    self, ED25519_HEX, NOW_MS, Sample, outgoing_request, samples, signed, text, verifier,
};

fn list(items: &[&str]) -> PlainValue {
    PlainValue::List(items.iter().map(|item| text(item)).collect())
}

fn incoming_request(body: &[u8]) -> IncomingRequest<'_> {
    support::incoming_request(body, NOW_MS)
}

#[test]
fn any_of_several_secrets_may_match_and_the_answer_says_which() {
    for sample in samples() {
        let secrets = list(&["new secret", &sample.secret, "oldest"]);
        let rotating = verifier(&[("secret", secrets), ("scheme", text(&sample.scheme))]);
        let found = sample.verify_by(&rotating);
        assert_eq!(
            (found.refusal, found.secret_index),
            (None, Some(1)),
            "{}",
            sample.scheme
        );
    }
}

#[test]
fn any_of_several_signatures_may_match_in_any_position() {
    let wrong = "0".repeat(64);
    for (scheme, join) in [("stripe", ",v1="), ("generic", ",v1="), ("paddle", ";h1=")] {
        let sample = signed(scheme, "s3cret");
        let (timestamp, right) = sample.signature().split_once(join).unwrap();
        for value in [
            format!("{timestamp}{join}{wrong}{join}{right}"),
            format!("{timestamp}{join}{right}{join}{wrong}"),
        ] {
            let mut sample = sample.clone();
            sample.headers[0].1 = value;
            assert!(sample.verify().is_valid(), "{sample:?}");
        }
    }
    let mut sample = signed("standard", support::secret_for("standard"));
    let right = sample.signature().to_owned();
    let other = format!("v1,{}=", "A".repeat(43));
    for value in [
        format!("{other} {right}"),
        format!("{right} {other}"),
        format!("v1a,x {right}"),
    ] {
        sample.headers[0].1 = value;
        assert!(sample.verify().is_valid(), "{sample:?}");
    }
}

#[test]
fn a_body_that_is_not_utf8_is_judged_by_its_bytes() {
    let body = [0xff, 0xfe, 0x00, 0x80];
    let verifier = verifier(&[("secret", text("s"))]);
    let signed = verifier.sign(&outgoing_request(&body)).unwrap();
    assert!(
        verifier
            .verify(&signed.signature, &incoming_request(&body))
            .is_valid()
    );
    let lossy = String::from_utf8_lossy(&body).into_owned();
    let found = verifier.verify(&signed.signature, &incoming_request(lossy.as_bytes()));
    assert_eq!(found.refusal, Some(Reason::Mismatch));
}

#[test]
fn a_missing_header_or_option_is_named() {
    let text_of = |options: &[(&str, PlainValue)], signature: &str| {
        let found = verifier(options).verify(signature, &incoming_request(b"{}"));
        found.refusal.unwrap().to_string()
    };
    let slack = [("secret", text("s")), ("scheme", text("slack"))];
    let signature = format!("v0={}", "0".repeat(64));
    assert_eq!(
        text_of(&slack, &signature),
        "Verification error: the header x-slack-request-timestamp is missing"
    );
    let square = [("secret", text("s")), ("scheme", text("square"))];
    let signature = format!("{}=", "A".repeat(43));
    assert!(text_of(&square, &signature).contains("'url' is required"));
    let linear = [("secret", text("s")), ("scheme", text("linear"))];
    assert!(text_of(&linear, &"0".repeat(64)).contains("no webhookTimestamp"));
    assert_eq!(
        text_of(&[("secret", text("s"))], "nonsense"),
        "Invalid signature format"
    );
    let found = verifier(&slack).verify_request(&incoming_request(b"{}"));
    assert!(
        found
            .refusal
            .unwrap()
            .to_string()
            .contains("x-slack-signature is missing")
    );
    let found = verifier(&[("secret", text("s"))]).verify_request(&incoming_request(b"{}"));
    assert!(
        found
            .refusal
            .unwrap()
            .to_string()
            .contains("no signature header")
    );
}

#[test]
fn a_path_is_joined_to_the_origin_of_the_configured_url() {
    let url = "https://example.com/webhook?a=b%2Fc";
    for scheme in ["square", "twilio", "hubspot-v2", "hubspot-v3"] {
        let sample = signed(scheme, "s3cret");
        let mut options = sample.options();
        options.push(("url", text("https://example.com/elsewhere")));
        let behind_a_proxy = Sample {
            url: Some("/webhook?a=b%2Fc".to_owned()),
            ..sample.clone()
        };
        assert!(
            behind_a_proxy.verify_by(&verifier(&options)).is_valid(),
            "{scheme}"
        );
        options.pop();
        options.push(("url", text(url)));
        let without = Sample {
            url: None,
            ..sample.clone()
        };
        assert!(
            without.verify_by(&verifier(&options)).is_valid(),
            "{scheme}"
        );
        let other = Sample {
            url: Some("https://evil.example/".to_owned()),
            ..sample
        };
        assert!(!other.verify_by(&verifier(&options)).is_valid(), "{scheme}");
    }
}

#[test]
fn a_described_scheme_verifies_and_signs_like_one_of_the_table() {
    let fields = PlainValue::Map(vec![
        ("separator".to_owned(), text("&")),
        ("signature".to_owned(), text("sig")),
    ]);
    let scheme = PlainValue::Map(vec![
        ("name".to_owned(), text("own")),
        ("header".to_owned(), text("X-Own")),
        (
            "content".to_owned(),
            text("{method} {url}\n{timestamp}\n{body}"),
        ),
        ("fields".to_owned(), fields),
        ("encoding".to_owned(), text("base64")),
        ("keyEncoding".to_owned(), text("hex")),
        ("timestampUnit".to_owned(), text("ms")),
    ]);
    let own = verifier(&[
        ("secret", text("00ff00ff")),
        ("scheme", scheme),
        ("url", text("https://h/p")),
    ]);
    let outgoing = OutgoingRequest {
        method: Some("PUT"),
        ..outgoing_request(b"{}")
    };
    let signed = own.sign(&outgoing).unwrap();
    assert!(
        signed.signature.starts_with(&format!("t={NOW_MS}&sig=")),
        "{}",
        signed.signature
    );
    let headers = [("X-OWN", signed.signature.as_str())];
    let mut request = incoming_request(b"{}");
    request.headers = Headers(&headers);
    assert_eq!(
        own.verify_request(&request).refusal,
        Some(Reason::Mismatch),
        "the method is signed"
    );
    request.method = Some("PUT");
    let found = own.verify_request(&request);
    assert_eq!(
        (found.refusal, found.scheme.as_deref()),
        (None, Some("own"))
    );
}

#[test]
fn a_twilio_json_body_is_checked_against_the_digest_in_its_url() {
    let body = b"{\"a\":1}";
    let digest = moorline_core::webhook::encoding::encode_hex(&mac::sha256(body));
    let url = format!("https://h/p?bodySHA256={digest}");
    let twilio = verifier(&[
        ("secret", text("12345")),
        ("scheme", text("twilio")),
        ("url", text(&url)),
    ]);
    let outgoing = OutgoingRequest {
        body,
        at_ms: NOW_MS,
        id: None,
        method: None,
        url: None,
    };
    let signature = twilio.sign(&outgoing).unwrap().signature;
    assert!(
        twilio
            .verify(&signature, &incoming_request(body))
            .is_valid()
    );
    let found = twilio.verify(&signature, &incoming_request(b"{\"a\":2}"));
    assert_eq!(found.refusal, Some(Reason::Mismatch));
}

#[test]
fn challenges_are_answered_after_verification_only() {
    let challenge_answer = |scheme, body: &str| {
        let secret = if scheme == "discord" {
            ED25519_HEX
        } else {
            "s3cret"
        };
        let verifier = verifier(&[("secret", text(secret)), ("scheme", text(scheme))]);
        let outgoing = outgoing_request(body.as_bytes());
        let headers = verifier.sign(&outgoing).unwrap().headers;
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut request = incoming_request(body.as_bytes());
        request.headers = Headers(&headers);
        let found = verifier.verify_request(&request);
        assert!(found.is_valid());
        let mut refused = found.clone();
        refused.refusal = Some(Reason::Mismatch);
        assert_eq!(verifier.challenge(&refused, body.as_bytes()), None);
        verifier
            .challenge(&found, body.as_bytes())
            .map(|answer| answer.to_string())
    };
    let zoom = |token: &str| {
        let body = format!(
            "{{\"event\":\"endpoint.url_validation\",\"payload\":{{\"plainToken\":\"{token}\"}}}}"
        );
        challenge_answer("zoom", &body)
    };
    let tag = mac::fastest(mac::Function::HmacSha256, b"s3cret")
        .unwrap()
        .tag(&[b"qgg8vlvZRS6UYooatFL8Aw"]);
    let digits = moorline_core::webhook::encoding::encode_hex(tag.as_bytes());
    assert!(zoom("qgg8vlvZRS6UYooatFL8Aw").unwrap().contains(&digits));
    assert_eq!(
        zoom("v0:1700000000:{}"),
        None,
        "it would be a signature for a forged request"
    );
    assert_eq!(
        challenge_answer("zoom", "{\"event\":\"meeting.started\"}"),
        None
    );
    let slack = "{\"type\":\"url_verification\",\"challenge\":\"3eZbrw1aB\"}";
    assert_eq!(
        challenge_answer("slack", slack).unwrap(),
        "{\"challenge\":\"3eZbrw1aB\"}"
    );
    assert_eq!(
        challenge_answer("discord", "{\"type\":1}").unwrap(),
        "{\"type\":1}"
    );
    assert_eq!(challenge_answer("discord", "{\"type\":2}"), None);
}

#[test]
fn a_repeated_signature_is_a_replay_in_any_header() {
    let sample = signed("github", "s3cret");
    let generic = Sample {
        scheme: "generic".to_owned(),
        headers: vec![(
            "x-webhook-signature".to_owned(),
            sample.signature().to_owned(),
        )],
        ..sample.clone()
    };
    let mut store = MemoryReplayStore::default();
    let (first, second) = (sample.verify(), generic.verify());
    assert!(first.replayable_for >= Duration::from_hours(24));
    assert!(store.remember(&first.replay_key().unwrap(), first.replayable_for, NOW_MS));
    assert!(!store.remember(&second.replay_key().unwrap(), second.replayable_for, NOW_MS));
    let mut sha1 = signed("github-sha1", "s3cret");
    sha1.body.clone_from(&sample.body);
    let third = sha1.verify();
    assert!(third.is_valid(), "{third:?}");
    assert!(!store.remember(&third.replay_key().unwrap(), third.replayable_for, NOW_MS));
    let stamped = signed("stripe", "s3cret").verify();
    assert_eq!(stamped.replayable_for, Duration::from_mins(6));
    let mut forged = sample;
    forged.body.push(b' ');
    assert_eq!(forged.verify().replay_key(), None);
}

#[test]
fn each_of_several_signatures_of_a_request_is_the_same_request() {
    let signature = |secret: &str| signed("stripe", secret).signature().to_owned();
    let (new, old) = (signature("new"), signature("old"));
    let (timestamp, second) = old.split_once(",v1=").unwrap();
    let key = |signature: &str| {
        let secrets = list(&["new", "old"]);
        let verifier = verifier(&[("secret", secrets), ("scheme", text("stripe"))]);
        let sample = signed("stripe", "new");
        let found = verifier.verify(signature, &incoming_request(&sample.body));
        assert!(found.is_valid(), "{signature}: {found:?}");
        found.replay_key().unwrap()
    };
    let both = key(&format!("{new},v1={second}"));
    assert_eq!(both, key(&new));
    assert_eq!(both, key(&format!("{timestamp},v1={second}")));
}

#[test]
fn a_newer_version_that_is_refused_is_not_undone_by_an_older_one() {
    let secret = "s3cret";
    // Of the same body, as a request of HubSpot's has it.
    let mut both = signed("hubspot-v3", secret);
    both.headers.extend(signed("hubspot-v1", secret).headers);
    let detecting = verifier(&[("secret", text(secret))]);
    assert_eq!(both.verify_by(&detecting).scheme.unwrap(), "hubspot-v3");
    both.now_ms += 365 * 86_400_000;
    let found = both.verify_by(&detecting);
    assert!(
        matches!(found.refusal, Some(Reason::TooOld { .. })),
        "{found:?}"
    );
}

#[test]
fn the_mac_of_a_large_body_comes_from_the_external_backend_or_is_computed_here() {
    struct RecordingMac {
        body: Vec<u8>,
        answers: bool,
        calls: Cell<u32>,
    }
    impl ExternalMac for RecordingMac {
        fn hmac_sha256(&self, secret_index: usize, before: &[u8], after: &[u8]) -> Option<Tag> {
            self.calls.set(self.calls.get() + 1);
            assert_eq!(secret_index, 0);
            let mac = mac::aws_lc(mac::Function::HmacSha256, b"s3cret");
            self.answers.then(|| mac.tag(&[before, &self.body, after]))
        }
    }
    let signer = verifier(&[("secret", text("s3cret"))]);
    for (len, answers, expected) in [
        (mac::LARGE_BODY_BYTES, true, 1),
        (mac::LARGE_BODY_BYTES, false, 1),
        (mac::LARGE_BODY_BYTES - 1, true, 0),
    ] {
        let external = RecordingMac {
            body: vec![b'x'; len],
            answers,
            calls: Cell::new(0),
        };
        let outgoing = outgoing_request(&external.body);
        let signature = signer.sign(&outgoing).unwrap().signature;
        let mut request = incoming_request(&external.body);
        request.external = Some(&external);
        assert!(signer.verify(&signature, &request).is_valid());
        assert_eq!(external.calls.get(), expected);
        let forged = signature.replace("v1=", "v1=00");
        assert!(!signer.verify(&forged, &request).is_valid());
    }
}
