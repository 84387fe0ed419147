//! Challenges: requests by which a provider checks who owns an endpoint.

use serde_json::{Value, json};

use super::{
    encoding::encode_hex,
    mac::{self, Function},
    verification::Verification,
    verify::Verifier,
};

/// The longest token that is answered; Zoom sends about 22 characters, Slack about 50.
const MAX_TOKEN_BYTES: usize = 256;

/// The largest body that is looked at. Zoom and Slack send some hundred bytes, Discord a few thousand.
const MAX_CHECK_BYTES: usize = 64 * 1024;

impl Verifier {
    /// The JSON body to answer with status 200, where a genuine request is a check of the endpoint: Zoom's
    /// `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. `None` for every other request
    /// and for one that did not verify.
    ///
    /// A token is answered only when it is one word of letters, digits, `_`, `-`, `.`, `+`, `/` and `=`:
    /// Zoom's answer is an HMAC under the endpoint's secret, and a token of the form `v0:<seconds>:<body>`
    /// would turn it into a signature for a forged request.
    pub fn challenge(&self, verification: &Verification, body: &[u8]) -> Option<Value> {
        let secret_index = verification
            .secret_index
            .filter(|_| verification.is_valid())?;
        let scheme = verification.scheme.as_deref()?;
        // Checks are small; what is not one need not be read.
        if !matches!(scheme, "zoom" | "slack" | "discord") || body.len() > MAX_CHECK_BYTES {
            return None;
        }
        let document: Value = serde_json::from_slice(body).ok()?;
        match scheme {
            "zoom" => {
                let plain = (document.get("event")? == "endpoint.url_validation")
                    .then(|| token(document.pointer("/payload/plainToken")))??;
                let secret = self.keys.secret(secret_index)?;
                let tag =
                    mac::fastest(Function::HmacSha256, secret.expose())?.tag(&[plain.as_bytes()]);
                Some(json!({ "plainToken": plain, "encryptedToken": encode_hex(tag.as_bytes()) }))
            }
            "slack" => {
                let challenge = (document.get("type")? == "url_verification")
                    .then(|| token(document.get("challenge")))??;
                Some(json!({ "challenge": challenge }))
            }
            "discord" => (document.get("type")? == 1).then(|| json!({ "type": 1 })),
            _ => None,
        }
    }
}

fn token(value: Option<&Value>) -> Option<&str> {
    let text = value?.as_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+/=".contains(&byte);
    (text.len() <= MAX_TOKEN_BYTES && text.bytes().all(plain)).then_some(text)
}
