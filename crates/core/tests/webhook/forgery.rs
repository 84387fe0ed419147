//! Forgeries: a genuine request is refused after any change.

use std::time::{Duration, Instant};

use moorline_core::{
    options::PlainValue,
    webhook::{Headers, IncomingRequest, Reason, encoding::Encoding, table},
};

use crate::support::{
    NOW_MS, Sample, incoming_request, samples, secret_for, signed, text, verifier,
};

/// Every text that differs from `text` in one byte: a flipped bit, the other case, or the byte removed.
fn mutations(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..text.len()).flat_map(move |at| {
        let mut flipped = text.to_vec();
        flipped[at] ^= 1;
        let mut upper = text.to_vec();
        upper[at] ^= 0x20;
        let mut removed = text.to_vec();
        removed.remove(at);
        [flipped, upper, removed]
    })
}

/// Twilio signs names and values one after the other and decoded, so neither another escape of the same
/// text nor the place of `=` between a name and its value is covered.
fn twilio_content(body: &[u8]) -> String {
    String::from_utf8_lossy(body)
        .replace("%2b", "%2B")
        .replace('=', "")
}

#[test]
fn no_byte_of_the_body_can_change() {
    for sample in samples() {
        let verifier = verifier(&sample.options());
        for body in mutations(&sample.body) {
            let forged = Sample {
                body,
                ..sample.clone()
            };
            let same = sample.scheme == "twilio"
                && twilio_content(&forged.body) == twilio_content(&sample.body);
            assert_eq!(forged.verify_by(&verifier).is_valid(), same, "{forged:?}");
        }
        for suffix in [" ", "\n", "\0", "&a=b"] {
            let body = [&sample.body, suffix.as_bytes()].concat();
            let forged = Sample {
                body,
                ..sample.clone()
            };
            assert!(!forged.verify_by(&verifier).is_valid(), "{forged:?}");
        }
    }
}

#[test]
fn no_byte_of_a_signature_a_timestamp_or_a_signed_id_can_change() {
    for sample in samples() {
        let verifier = verifier(&sample.options());
        for header in 0..sample.headers.len() {
            let (name, value) = &sample.headers[header];
            if name.ends_with("-version")
                || (name.ends_with("-id") && name != "webhook-id")
                || name.ends_with("-delivery")
            {
                continue;
            }
            for changed in mutations(value.as_bytes()).chain([
                [b" ", value.as_bytes()].concat(),
                [value.as_bytes(), b" "].concat(),
            ]) {
                let Ok(changed) = String::from_utf8(changed) else {
                    continue;
                };
                let mut forged = sample.clone();
                forged.headers[header].1 = changed;
                assert!(!forged.verify_by(&verifier).is_valid(), "{forged:?}");
            }
        }
    }
}

#[test]
fn no_byte_of_the_secret_can_change() {
    for sample in samples() {
        for secret in mutations(sample.secret.as_bytes()) {
            let Ok(secret) = String::from_utf8(secret) else {
                continue;
            };
            let forged = Sample {
                secret,
                ..sample.clone()
            };
            // Hex digits of either case and a base64 secret with or without its prefix are the same secret.
            let same =
                forged.secret.eq_ignore_ascii_case(&sample.secret) && sample.secret.len() == 128;
            assert_eq!(
                forged.verify().is_valid(),
                same,
                "{} {}",
                forged.scheme,
                forged.secret
            );
        }
    }
}

#[test]
fn other_spellings_of_a_genuine_signature_are_refused_as_a_bad_format() {
    for sample in samples() {
        let value = sample.signature();
        for spelling in [
            format!(" {value}"),
            format!("{value} "),
            format!("{value}\n"),
            format!("\t{value}"),
        ] {
            let mut forged = sample.clone();
            forged.headers[0].1 = spelling;
            assert_eq!(
                forged.verify().refusal,
                Some(Reason::InvalidFormat),
                "{forged:?}"
            );
        }
        let upper = value.to_uppercase();
        if upper != value {
            let mut forged = sample.clone();
            forged.headers[0].1 = upper;
            assert!(!forged.verify().is_valid(), "{forged:?}");
        }
    }
}

#[test]
fn timestamps_are_checked_on_both_sides_and_before_the_signature() {
    for sample in samples() {
        let scheme = table::schemes()
            .iter()
            .find(|scheme| scheme.name == sample.scheme)
            .unwrap();
        if !scheme.has_timestamp() {
            continue;
        }
        let mut forged = sample.clone();
        let mut body_changed = sample.clone();
        body_changed.body.extend(b" ");
        for days in [-1, 1] {
            forged.now_ms = NOW_MS + days * 86_400_000;
            body_changed.now_ms = forged.now_ms;
            for sample in [&forged, &body_changed] {
                let reason = sample.verify().refusal.unwrap();
                let right = if days > 0 {
                    matches!(reason, Reason::TooOld { .. })
                } else {
                    reason == Reason::Future
                };
                assert!(right, "{}: {reason}", scheme.name);
            }
        }
    }
}

/// A captured request of a scheme with a timestamp: the signed content, and the signature in hex or base64.
fn capture(scheme: &str, secret: &str) -> (Vec<u8>, String) {
    let sample = signed(scheme, secret);
    let body = String::from_utf8(sample.body.clone()).unwrap();
    let timestamp = NOW_MS / 1000;
    let content = match scheme {
        "stripe" | "generic" => format!("{timestamp}.{body}"),
        "paddle" => format!("{timestamp}:{body}"),
        "slack" | "zoom" => format!("v0:{timestamp}:{body}"),
        "hubspot-v3" => format!("POST{}{body}{NOW_MS}", sample.url.as_ref().unwrap()),
        _ => body,
    };
    let value = sample.signature();
    let at = ["v0=", "v1=", "h1="]
        .iter()
        .find_map(|name| Some(value.find(name)? + 3));
    (content.into_bytes(), value[at.unwrap_or(0)..].to_owned())
}

/// Every form in which a scheme without a timestamp could take the signature.
fn signature_forms(signature: &str) -> Vec<String> {
    let mut signature_forms = vec![signature.to_owned(), format!("sha256={signature}")];
    let hex = Encoding::Hex.decode(signature, 32);
    if let Some(tag) = hex.or(Encoding::Base64.decode(signature, 32)) {
        signature_forms.extend([Encoding::Hex, Encoding::Base64].map(|e| e.encode(tag.as_bytes())));
    }
    signature_forms
}

const TIMESTAMPED: [&str; 7] = [
    "stripe",
    "slack",
    "zoom",
    "paddle",
    "hubspot-v3",
    "linear",
    "generic",
];

#[test]
fn a_captured_signature_with_a_timestamp_does_not_replay_as_one_without() {
    let secret = "one secret for everything";
    let detecting = verifier(&[("secret", text(secret))]);
    let day_later = NOW_MS + 86_400_000;
    for stamped in TIMESTAMPED {
        let (content, signature) = capture(stamped, secret);
        for spelling in signature_forms(&signature) {
            let request = incoming_request(&content, day_later);
            let found = detecting.verify(&spelling, &request);
            assert!(!found.is_valid(), "{stamped} as {spelling}: {found:?}");
            for scheme in table::schemes()
                .iter()
                .filter(|scheme| !scheme.has_timestamp())
            {
                let headers = [(scheme.header.split(' ').next().unwrap(), spelling.as_str())];
                let request = IncomingRequest {
                    headers: Headers(&headers),
                    ..request
                };
                let found = detecting.verify_request(&request);
                assert!(!found.is_valid(), "{stamped} as {}: {found:?}", scheme.name);
            }
        }
    }
}

#[test]
fn a_body_that_begins_like_signed_content_is_a_mismatch_at_any_age() {
    let secret = "one secret for everything";
    let detecting = verifier(&[("secret", text(secret))]);
    let generic = verifier(&[("secret", text(secret)), ("scheme", text("generic"))]);
    for stamped in ["stripe", "slack", "zoom", "paddle", "generic"] {
        let (content, signature) = capture(stamped, secret);
        let request = incoming_request(&content, NOW_MS);
        // The signature is right for these bytes; only the form it came in is not.
        let alone = verifier(&[("secret", text(secret)), ("scheme", text("github"))]);
        assert!(
            alone
                .verify(&format!("sha256={signature}"), &request)
                .is_valid()
        );
        for spelling in [signature.clone(), format!("sha256={signature}")] {
            for verifier in [&detecting, &generic] {
                let found = verifier.verify(&spelling, &request);
                assert_eq!(found.refusal, Some(Reason::Mismatch), "{stamped}");
            }
        }
    }
}

#[test]
fn a_fresh_body_with_its_own_timestamp_is_accepted_by_a_scheme_without_one() {
    let sample = signed("github", secret_for("github"));
    let detecting = verifier(&[("secret", text(&sample.secret))]);
    assert!(sample.verify_by(&detecting).is_valid());
    let day_later = Sample {
        now_ms: NOW_MS + 86_400_000,
        ..sample
    };
    assert!(!day_later.verify_by(&detecting).is_valid());
    // With the scheme given by name there is no ambiguity.
    assert!(day_later.verify().is_valid());
}

/// A header value of random text and of the parts that signatures consist of.
fn random_value(random: &mut fastrand::Rng) -> String {
    const PIECES: [&str; 16] = [
        "t=",
        "v1=",
        "ts=",
        ";h1=",
        "sha256=",
        "v0=",
        ",",
        ";",
        "=",
        "v1,",
        "v1a,",
        " ",
        "1700000000",
        "1700000000123",
        "é\u{0}",
        "\u{fffd}",
    ];
    let mut value = String::new();
    for _ in 0..random.usize(0..8) {
        match random.u8(0..4) {
            0 => value.extend((0..random.usize(0..70)).map(|_| random.digit(16))),
            1 => value.extend((0..random.usize(0..90)).map(|_| random.alphanumeric())),
            2 => value.push(random.char(..)),
            _ => value.push_str(PIECES[random.usize(0..PIECES.len())]),
        }
    }
    value
}

#[test]
fn a_hundred_thousand_random_headers_are_refused_quickly() {
    let names: Vec<&str> = table::schemes()
        .iter()
        .flat_map(|scheme| scheme.header.split(' ').chain(scheme.id.split_whitespace()))
        .chain([
            "x-slack-request-timestamp",
            "webhook-timestamp",
            "x-signature-timestamp",
        ])
        .collect();
    let secrets = [
        secret_for("github"),
        secret_for("standard"),
        secret_for("discord"),
    ];
    let detecting = verifier(&[("secret", PlainValue::List(secrets.map(text).to_vec()))]);
    let mut random = fastrand::Rng::with_seed(7);
    let started = Instant::now();
    for _ in 0..33_334 {
        let values: [String; 3] = std::array::from_fn(|_| random_value(&mut random));
        let headers = values
            .each_ref()
            .map(|value| (names[random.usize(0..names.len())], value.as_str()));
        let request = IncomingRequest {
            headers: Headers(&headers),
            method: Some("PUT"),
            url: Some("https://h/%"),
            ..incoming_request(b"{}", NOW_MS)
        };
        assert!(
            !detecting.verify_request(&request).is_valid(),
            "{headers:?}"
        );
        for value in &values {
            assert!(!detecting.verify(value, &request).is_valid(), "{value:?}");
        }
    }
    assert!(started.elapsed() < Duration::from_mins(1));
}
