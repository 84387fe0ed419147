//! Examples that the providers publish, byte for byte.

use moorline_core::webhook::{OutgoingRequest, encoding::Encoding, mac};

use crate::support::{ED25519_HEX, NOW_MS, Sample, outgoing_request, samples, text, verifier};

fn sample(scheme: &str, secret: &str, headers: &[(&str, &str)], body: &str) -> Sample {
    Sample {
        scheme: scheme.to_owned(),
        secret: secret.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
        url: None,
        method: None,
        now_ms: 0,
    }
}

fn assert_genuine(sample: &Sample) {
    let found = sample.verify();
    assert_eq!(found.refusal, None, "{sample:?}");
    assert_eq!(found.scheme.as_deref(), Some(sample.scheme.as_str()));
    assert_eq!(found.secret_index, Some(0));
    // Detected by its headers it is the same scheme.
    let detected = verifier(&[("secret", text(&sample.secret))]);
    let found = sample.verify_by(&detected);
    assert_eq!(found.refusal, None, "detected: {sample:?}");
    assert_eq!(found.scheme.as_deref(), Some(sample.scheme.as_str()));
}

#[test]
fn github_and_the_generic_header_in_the_same_form() {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    for (scheme, header, id) in [
        ("github", "X-Hub-Signature-256", Some("72d3162e")),
        ("generic", "X-Webhook-Signature", None),
    ] {
        let headers = [(header, signature), ("X-GitHub-Delivery", "72d3162e")];
        let sample = sample(
            scheme,
            "It's a Secret to Everybody",
            &headers,
            "Hello, World!",
        );
        assert_genuine(&sample);
        assert_eq!(sample.verify().id.as_deref(), id);
    }
}

#[test]
fn standard_webhooks_under_both_names_of_its_headers() {
    for prefix in ["webhook", "svix"] {
        let names = ["id", "timestamp", "signature"].map(|name| format!("{prefix}-{name}"));
        let headers = [
            (names[0].as_str(), "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            (&names[1], "1614265330"),
            (&names[2], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let body = "{\"test\": 2432232314}";
        for secret in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let mut sample = sample("standard", secret, &headers, body);
            sample.now_ms = 1_614_265_330_000;
            assert_genuine(&sample);
        }
    }
}

#[test]
fn slack() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
                &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
                &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554\
                %2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let headers = [
        ("X-Slack-Signature", signature),
        ("X-Slack-Request-Timestamp", "1531420618"),
    ];
    let mut sample = sample("slack", "8f742231b10e8888abcd99yyyzzz85a5", &headers, body);
    sample.now_ms = 1_531_420_618_000;
    assert_genuine(&sample);
}

const HUBSPOT_SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";
const HUBSPOT_URL: &str = "https://www.example.com/webhook_uri";

#[test]
fn hubspot_v1() {
    let body = "[{\"eventId\":1,\"subscriptionId\":12345,\"portalId\":62515,\"occurredAt\":1564113600000,\
                \"subscriptionType\":\"contact.creation\",\"attemptNumber\":0,\"objectId\":123,\
                \"changeSource\":\"CRM\",\"changeFlag\":\"NEW\",\"appId\":54321}]";
    let signature = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de";
    let headers = [
        ("X-HubSpot-Signature", signature),
        ("X-HubSpot-Signature-Version", "v1"),
    ];
    assert_genuine(&sample("hubspot-v1", HUBSPOT_SECRET, &headers, body));
}

#[test]
fn hubspot_v2_with_and_without_a_body() {
    let cases = [
        (
            "GET",
            "",
            "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
        ),
        (
            "POST",
            "{\"example_field\":\"example_value\"}",
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
        ),
    ];
    for (method, body, signature) in cases {
        let headers = [
            ("X-HubSpot-Signature", signature),
            ("X-HubSpot-Signature-Version", "v2"),
        ];
        let mut sample = sample("hubspot-v2", HUBSPOT_SECRET, &headers, body);
        sample.method = Some(method.to_owned());
        sample.url = Some(HUBSPOT_URL.to_owned());
        assert_genuine(&sample);
    }
}

#[test]
fn hubspot_v3() {
    // The example of HubSpot's own Python client.
    let headers = [
        (
            "X-HubSpot-Signature-v3",
            "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
        ),
        ("X-HubSpot-Request-Timestamp", "1693657560000"),
    ];
    let body = "{'example_field':'example_value'}";
    let mut sample = sample("hubspot-v3", HUBSPOT_SECRET, &headers, body);
    sample.url = Some(HUBSPOT_URL.to_owned());
    sample.now_ms = 1_693_657_560_000;
    assert_genuine(&sample);
    assert_eq!(sample.verify().timestamp, Some(1_693_657_560));
}

#[test]
fn twilio() {
    let cases = [
        ("%2B14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
        ("%2B12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
    ];
    for (caller, signature) in cases {
        let body = format!(
            "CallSid=CA1234567890ABCDE&Caller={caller}&Digits=1234&From={caller}&To=%2B18005551212"
        );
        let headers = [("X-Twilio-Signature", signature)];
        let mut sample = sample("twilio", "12345", &headers, &body);
        for url in [
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            "https://mycompany.com:443/myapp.php?foo=1&bar=2",
        ] {
            sample.url = Some(url.to_owned());
            assert_genuine(&sample);
        }
        let signer = verifier(&[("secret", text("12345")), ("scheme", text("twilio"))]);
        let signing = OutgoingRequest {
            url: Some("https://mycompany.com/myapp.php?foo=1&bar=2"),
            ..outgoing_request(body.as_bytes())
        };
        assert_eq!(signer.sign(&signing).unwrap().signature, signature);
    }
}

#[test]
fn twilio_signs_the_url_as_it_is_configured() {
    let url = "http://localhost:3000/hook";
    let signer = verifier(&[
        ("secret", text("12345")),
        ("scheme", text("twilio")),
        ("url", text(url)),
    ]);
    let tag = mac::fastest(mac::Function::HmacSha1, b"12345")
        .unwrap()
        .tag(&[url.as_bytes(), b"A1"]);
    let signature = signer.sign(&outgoing_request(b"A=1")).unwrap().signature;
    assert_eq!(signature, Encoding::Base64.encode(tag.as_bytes()));
}

#[test]
fn square() {
    let headers = [(
        "X-Square-HmacSha256-Signature",
        "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=",
    )];
    let mut sample = sample("square", "asdf1234", &headers, "{\"hello\":\"world\"}");
    sample.url = Some("https://example.com/webhook".to_owned());
    assert_genuine(&sample);
}

#[test]
fn ed25519_is_deterministic_and_needs_only_the_public_key_to_verify() {
    let pair = verifier(&[("secret", text(ED25519_HEX)), ("scheme", text("discord"))]);
    let outgoing = outgoing_request(b"{\"type\":1}");
    let once = pair.sign(&outgoing).unwrap();
    assert_eq!(once, pair.sign(&outgoing).unwrap());
    let public = &ED25519_HEX[64..];
    let headers: Vec<_> = once
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut sample = sample("discord", public, &headers, "{\"type\":1}");
    sample.now_ms = NOW_MS;
    assert_genuine(&sample);
    let refused =
        verifier(&[("secret", text(public)), ("scheme", text("discord"))]).sign(&outgoing);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("got the public key")
    );
}

#[test]
fn every_scheme_verifies_what_it_signs() {
    for sample in samples() {
        assert_genuine(&sample);
    }
}
