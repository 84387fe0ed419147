//! One genuine request for every row of the table, to verify and to damage.

use moorline_core::{
    options::PlainValue,
    webhook::{
        Headers, IncomingRequest, OutgoingRequest, Verification, Verifier, VerifierConfig, table,
    },
};

pub(crate) const NOW_MS: i64 = 1_700_000_000_123;

/// RFC 8032, test 1: seed and public key.
pub(crate) const ED25519_HEX: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\
                                      d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

pub(crate) fn text(text: &str) -> PlainValue {
    PlainValue::Text(text.to_owned())
}

pub(crate) fn verifier(options: &[(&str, PlainValue)]) -> Verifier {
    let options = options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    Verifier::new(VerifierConfig::read(&PlainValue::Map(options)).unwrap())
}

pub(crate) fn incoming_request(body: &[u8], now_ms: i64) -> IncomingRequest<'_> {
    IncomingRequest {
        headers: Headers(&[]),
        body,
        method: None,
        url: None,
        now_ms,
        external: None,
        checks_replay: true,
    }
}

pub(crate) fn outgoing_request(body: &[u8]) -> OutgoingRequest<'_> {
    OutgoingRequest {
        body,
        at_ms: NOW_MS,
        id: None,
        method: None,
        url: None,
    }
}

/// A request, kept as owned text so that a test can change any byte of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) scheme: String,
    pub(crate) secret: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) url: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) now_ms: i64,
}

impl Sample {
    pub(crate) fn options(&self) -> Vec<(&'static str, PlainValue)> {
        vec![
            ("secret", text(&self.secret)),
            ("scheme", text(&self.scheme)),
        ]
    }

    pub(crate) fn verify_by(&self, verifier: &Verifier) -> Verification {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        verifier.verify_request(&IncomingRequest {
            headers: Headers(&headers),
            body: &self.body,
            method: self.method.as_deref(),
            url: self.url.as_deref(),
            now_ms: self.now_ms,
            external: None,
            checks_replay: true,
        })
    }

    pub(crate) fn verify(&self) -> Verification {
        self.verify_by(&verifier(&self.options()))
    }

    /// The value of the signature's header; it stands first.
    pub(crate) fn signature(&self) -> &str {
        &self.headers[0].1
    }
}

pub(crate) fn secret_for(scheme: &str) -> &'static str {
    match scheme {
        "standard" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "standard-ed25519" | "discord" => ED25519_HEX,
        _ => "It's a Secret to Everybody",
    }
}

/// A request signed by our own signer for each name of the table.
pub(crate) fn samples() -> Vec<Sample> {
    table::names()
        .into_iter()
        .map(|scheme| signed(scheme, secret_for(scheme)))
        .collect()
}

pub(crate) fn signed(scheme: &str, secret: &str) -> Sample {
    let body = match scheme {
        "twilio" => "CallSid=CA1&Caller=%2B14158675309&Digits=1234".to_owned(),
        _ => format!("{{\"id\":7,\"webhookTimestamp\":{NOW_MS},\"name\":\"é\"}}"),
    };
    let url = "https://example.com/webhook?a=b%2Fc";
    let verifier = verifier(&[("secret", text(secret)), ("scheme", text(scheme))]);
    let signed = verifier
        .sign(&OutgoingRequest {
            body: body.as_bytes(),
            at_ms: NOW_MS,
            id: Some("msg_1"),
            method: None,
            url: Some(url),
        })
        .unwrap();
    Sample {
        scheme: scheme.to_owned(),
        secret: secret.to_owned(),
        headers: signed.headers,
        body: body.into_bytes(),
        url: Some(url.to_owned()),
        method: None,
        now_ms: NOW_MS,
    }
}
