//! Signing, by the same schemes as verifying.

use super::{
    content::{Request, SignedParts},
    header::Headers,
    key::{IndexedKey, Key},
    member::member_of,
    scheme::{Scheme, Timestamp},
    signed_url, table,
    verification::Reason,
    verify::Verifier,
};

/// A request to sign.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRequest<'a> {
    /// The raw body.
    pub body: &'a [u8],
    /// The time of signing in milliseconds since the epoch.
    pub at_ms: i64,
    /// The delivery's id, where the scheme signs one.
    pub id: Option<&'a str>,
    /// The HTTP method; `None` means `POST`.
    pub method: Option<&'a str>,
    /// The URL it will be sent to; `None` means the verifier's.
    pub url: Option<&'a str>,
}

/// A signature ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// The value of the signature's header.
    pub signature: String,
    /// All headers of the scheme with their names, the signature's first.
    pub headers: Vec<(String, String)>,
}

impl Verifier {
    /// Signs with the first secret under the first scheme given, the generic one where it is detected.
    pub fn sign(&self, outgoing: &OutgoingRequest<'_>) -> Result<SignedHeaders, Reason> {
        let scheme = if self.detects {
            self.schemes
                .iter()
                .find(|scheme| scheme.name == table::GENERIC)
        } else {
            self.schemes.first()
        };
        let scheme = scheme.ok_or_else(|| Reason::error("no scheme is configured to sign with"))?;
        self.sign_as(scheme, outgoing)
    }

    fn sign_as(
        &self,
        scheme: &Scheme,
        outgoing: &OutgoingRequest<'_>,
    ) -> Result<SignedHeaders, Reason> {
        let timestamp = match &scheme.timestamp {
            Timestamp::None => None,
            Timestamp::InSignature | Timestamp::Header(_) => {
                Some(scheme.timestamp_text(outgoing.at_ms))
            }
            Timestamp::Body(member) => Some(member_of(outgoing.body, member)?),
        };
        let id_header = scheme.id.split(' ').next().unwrap_or_default();
        let id_pair = outgoing.id.map(|id| (id_header, id));
        let urls = signed_url::candidates(self.url.as_deref(), outgoing.url);
        let request = Request {
            headers: Headers(id_pair.as_slice()),
            body: outgoing.body,
            method: outgoing.method.unwrap_or("POST"),
            urls: &urls,
        };
        let mut signed_parts = SignedParts::read(scheme, &request)?;
        signed_parts.timestamp = timestamp.as_deref();
        let content = signed_parts.content(scheme, &request, 0);
        let tag = match self.usable_keys(scheme)?.first() {
            Some(IndexedKey {
                key: Key::Mac(mac), ..
            }) => Some(mac.tag(&content)),
            Some(IndexedKey {
                key: Key::Ed25519(key),
                ..
            }) => key.sign(&content.concat()),
            None => None,
        };
        let tag = tag.ok_or_else(|| {
            Reason::error(format!(
                "{} requires the secret key to sign, got the public key",
                scheme.name
            ))
        })?;
        let signature = scheme.write(timestamp.as_deref(), &tag);
        let name = scheme.header.split(' ').next().unwrap_or_default();
        let mut headers = vec![(name.to_owned(), signature.clone())];
        if let (Timestamp::Header(names), Some(timestamp)) = (&scheme.timestamp, timestamp) {
            let name = names.split(' ').next().unwrap_or_default();
            headers.push((name.to_owned(), timestamp));
        }
        if let Some((name, value)) = scheme.marker_header {
            headers.push((name.to_owned(), value.to_owned()));
        }
        if let Some((name, id)) = id_pair.filter(|(name, _)| !name.is_empty()) {
            headers.push((name.to_owned(), id.to_owned()));
        }
        Ok(SignedHeaders { signature, headers })
    }
}
