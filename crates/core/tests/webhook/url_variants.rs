//! Several notations of one thing: lists of signatures, secrets, and the signed URL.

use moorline_core::webhook::{
    Headers, IncomingRequest, OutgoingRequest, Reason,
    encoding::{Encoding, encode_hex},
    mac,
};

use crate::support::{self, NOW_MS, Sample, outgoing_request, signed, text, verifier};

fn incoming_request(body: &[u8]) -> IncomingRequest<'_> {
    support::incoming_request(body, NOW_MS)
}

#[test]
fn what_is_no_signature_of_the_scheme_is_passed_over_beside_one_that_is() {
    let standard =
        |value: &str| ["v1,abc ", "junk ", "v1 ", " ", ", "].map(|one| one.to_owned() + value);
    let fields = |value: &str| {
        let (timestamp, rest) = value.split_once([',', ';']).unwrap();
        let separator = &value[timestamp.len()..=timestamp.len()];
        let name = rest.split('=').next().unwrap();
        ["potato", "ABCD"]
            .map(|other| format!("{timestamp}{separator}{name}={other}{separator}{rest}"))
            .into_iter()
            .chain([
                format!("{value}{separator}"),
                format!("{value}{separator}junk"),
            ])
            .collect::<Vec<_>>()
    };
    for scheme in [
        "stripe",
        "generic",
        "paddle",
        "standard",
        "standard-ed25519",
    ] {
        let sample = signed(scheme, support::secret_for(scheme));
        let value = sample.signature();
        let values = if scheme.starts_with("standard") {
            let mut values: Vec<_> = standard("")
                .iter()
                .map(|one| format!("{value} {one}x"))
                .collect();
            values.extend(
                standard(value)
                    .into_iter()
                    .filter(|one| !one.starts_with(' ')),
            );
            values.push(format!("{value}  {value}"));
            values
        } else {
            fields(value)
        };
        for value in values {
            let mut sample = sample.clone();
            sample.headers[0].1 = value;
            assert!(sample.verify().is_valid(), "{sample:?}");
            sample.body.push(b' ');
            assert_eq!(
                sample.verify().refusal,
                Some(Reason::Mismatch),
                "{sample:?}"
            );
        }
    }
}

#[test]
fn a_secret_may_have_bits_that_belong_to_no_byte() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYr";
    let sample = signed("standard", secret);
    let clean = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
    let same = Sample {
        secret: clean.to_owned(),
        ..sample
    };
    assert!(same.verify().is_valid());
}

#[test]
fn the_configured_url_is_tried_where_a_proxy_changes_what_the_server_sees() {
    for scheme in ["square", "twilio", "hubspot-v2", "hubspot-v3"] {
        for (public, seen, valid) in [
            ("https://h/prod/hook", "/hook", true),
            ("https://h/prod/hook", "/in/prod/hook", false),
            ("https://h/prod/hook?a=1", "/hook", true),
            ("https://h/hook?n=O'Neil", "/hook?n=O%27Neil", true),
            ("https://h/hook?n=a b", "/hook?n=a%20b", true),
            ("https://h/hook?n=é", "/hook?n=%C3%A9", true),
            ("https://h/hook?tenant=a", "/hook?tenant=b", false),
            ("https://h/hooks/paid", "/hooks/refund", false),
        ] {
            let mut options = vec![("secret", text("s3cret")), ("scheme", text(scheme))];
            options.push(("url", text(public)));
            let verifier = verifier(&options);
            let mut sample = signed(scheme, "s3cret");
            sample.headers = verifier
                .sign(&outgoing_request(&sample.body))
                .unwrap()
                .headers;
            sample.url = Some(seen.to_owned());
            let found = sample.verify_by(&verifier);
            assert_eq!(found.is_valid(), valid, "{scheme} {public} {seen}");
        }
    }
}

#[test]
fn a_query_that_comes_with_the_request_stands_behind_the_configured_path() {
    let body = b"{\"a\":1}";
    let digest = encode_hex(&mac::sha256(body));
    let public = "https://h/prod/hook";
    let twilio = verifier(&[
        ("secret", text("s")),
        ("scheme", text("twilio")),
        ("url", text(public)),
    ]);
    let signed_url = format!("{public}?bodySHA256={digest}");
    let signature = twilio
        .sign(&OutgoingRequest {
            url: Some(&signed_url),
            ..outgoing_request(body)
        })
        .unwrap()
        .signature;
    let seen = format!("/hook?bodySHA256={digest}");
    let request = IncomingRequest {
        url: Some(&seen),
        ..incoming_request(body)
    };
    assert!(twilio.verify(&signature, &request).is_valid());
    let other = IncomingRequest {
        url: Some(&seen),
        ..incoming_request(b"{\"a\":2}")
    };
    assert_eq!(
        twilio.verify(&signature, &other).refusal,
        Some(Reason::Mismatch)
    );
}

#[test]
fn twilio_signs_with_sha256_where_it_says_so_and_under_a_shared_key() {
    let url = "https://h/p";
    let twilio = verifier(&[
        ("secret", text("key")),
        ("scheme", text("twilio")),
        ("url", text(url)),
    ]);
    let tag = mac::fastest(mac::Function::HmacSha256, b"key")
        .unwrap()
        .tag(&[url.as_bytes(), b"A1"]);
    let sha256 = Encoding::Base64.encode(tag.as_bytes());
    let sha1 = twilio.sign(&outgoing_request(b"A=1")).unwrap().signature;
    for (signature, settings, valid) in [
        (&sha256, Some("key=k,algorithm=HMAC_SHA256"), true),
        (&sha256, Some("algorithm=HMAC_SHA256, key=k"), true),
        (&sha256, Some("key=k,algorithm=HMAC_SHA1"), false),
        (&sha256, None, true),
        (&sha1, None, true),
    ] {
        let mut headers = vec![("X-Twilio-Signature", signature.as_str())];
        headers.extend(settings.map(|value| ("X-Twilio-Webhooks-Signature-Settings", value)));
        let request = IncomingRequest {
            headers: Headers(&headers),
            ..incoming_request(b"A=1")
        };
        assert_eq!(
            twilio.verify_request(&request).is_valid(),
            valid,
            "{headers:?}"
        );
        let forged = IncomingRequest {
            body: b"A=2",
            ..request
        };
        assert!(!twilio.verify_request(&forged).is_valid(), "{headers:?}");
    }
}
