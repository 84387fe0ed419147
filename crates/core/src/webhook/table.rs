//! The table of schemes, used to verify, to detect and to sign.
//!
//! Sources: each provider's own documentation of its signature; published examples are vectors in
//! `tests/webhook_vectors.rs`. Salesforce's Outbound Messages have no row: they carry no signature.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::{
    encoding::Encoding,
    mac::Function,
    scheme::{Algorithm, Grammar, KeyForm, Scheme, Timestamp, UrlForm, Window},
};

/// The scheme a verifier signs with, and the one a bare signature is taken for.
pub const GENERIC: &str = "generic";

/// Every row, in the order of detection: where one header carries two schemes the stronger stands first.
pub fn schemes() -> &'static [Arc<Scheme>] {
    static ROWS: LazyLock<Vec<Arc<Scheme>>> =
        LazyLock::new(|| build_schemes().into_iter().map(Arc::new).collect());
    &ROWS
}

/// The names a user may give, each once, in the order of the table.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = schemes()
        .iter()
        .map(|scheme| scheme.name.as_ref())
        .collect();
    names.dedup();
    names
}

fn build_schemes() -> Vec<Scheme> {
    let mut schemes = vec![
        Scheme::new("stripe", "stripe-signature", "{timestamp}.{body}").fields(',', "t", "v1"),
        Scheme::new("github", "x-hub-signature-256", "{body}")
            .prefix("sha256=")
            .id("x-github-delivery"),
        Scheme::new("github-sha1", "x-hub-signature", "{body}")
            .prefix("sha1=")
            .function(Function::HmacSha1)
            .id("x-github-delivery"),
    ];
    schemes.extend(standard_webhooks());
    schemes.extend([
        Scheme::new("slack", "x-slack-signature", "v0:{timestamp}:{body}")
            .prefix("v0=")
            .timestamp_header("x-slack-request-timestamp"),
        Scheme::new(
            "shopify",
            "x-shopify-hmac-sha256 shopify-hmac-sha256",
            "{body}",
        )
        .base64()
        .id("x-shopify-webhook-id shopify-webhook-id x-shopify-event-id shopify-event-id"),
    ]);
    schemes.extend(hubspot());
    schemes.extend(twilio());
    schemes.extend([
        Scheme::new("linear", "linear-signature", "{body}")
            .timestamp(Timestamp::Body("webhookTimestamp"))
            .timestamp_in_ms()
            .window(Duration::from_mins(1))
            .id("linear-delivery"),
        Scheme::new("paddle", "paddle-signature", "{timestamp}:{body}")
            .fields(';', "ts", "h1")
            .window(Duration::from_secs(5)),
        Scheme::new("zoom", "x-zm-signature", "v0:{timestamp}:{body}")
            .prefix("v0=")
            .timestamp_header("x-zm-request-timestamp"),
        Scheme::new("square", "x-square-hmacsha256-signature", "{url}{body}").base64(),
        Scheme::new("discord", "x-signature-ed25519", "{timestamp}{body}")
            .ed25519()
            .timestamp_header("x-signature-timestamp"),
        Scheme::new("salesforce-data-cloud", "x-signature", "{body}").base64(),
        Scheme::new("salesforce-ens", "x-sfmc-ens-signature", "{body}").base64(),
        Scheme::new(GENERIC, "x-webhook-signature", "{timestamp}.{body}").fields(',', "t", "v1"),
        Scheme::new(GENERIC, "x-webhook-signature", "{body}").prefix("sha256="),
        Scheme::new(GENERIC, "x-webhook-signature", "{body}"),
    ]);
    schemes
}

/// Standard Webhooks 1.0 and Svix, where it comes from, with their symmetric and asymmetric versions.
fn standard_webhooks() -> [Scheme; 2] {
    let scheme = |name: &'static str, version: &'static str| {
        Scheme::new(
            name,
            "webhook-signature svix-signature",
            "{id}.{timestamp}.{body}",
        )
        .list(version)
        .base64()
        .timestamp_header("webhook-timestamp svix-timestamp")
        .id("webhook-id svix-id")
    };
    [
        scheme("standard", "v1").key(KeyForm::Base64),
        scheme("standard-ed25519", "v1a").ed25519().base64(),
    ]
}

/// HubSpot's three versions, the newest first.
fn hubspot() -> [Scheme; 3] {
    let header = "x-hubspot-signature";
    let marker_header = "x-hubspot-signature-version";
    [
        Scheme::new(
            "hubspot-v3",
            "x-hubspot-signature-v3",
            "{method}{url}{body}{timestamp}",
        )
        .base64()
        .url(UrlForm::PercentDecoded)
        .timestamp_header("x-hubspot-request-timestamp")
        .timestamp_in_ms(),
        Scheme::new("hubspot-v2", header, "{method}{url}{body}")
            .marker_header(marker_header, "v2")
            .function(Function::Sha256),
        Scheme::new("hubspot-v1", header, "{body}")
            .marker_header(marker_header, "v1")
            .function(Function::Sha256),
    ]
}

/// Twilio's two functions: the account's token signs with SHA-1, a shared key with SHA-256, and then a header says so.
fn twilio() -> [Scheme; 2] {
    let scheme = || {
        Scheme::new("twilio", "x-twilio-signature", "{url}{parameters}")
            .url(UrlForm::AnyVariant)
            .base64()
    };
    [
        scheme().function(Function::HmacSha1),
        scheme().marker_header(
            "x-twilio-webhooks-signature-settings",
            "algorithm=HMAC_SHA256",
        ),
    ]
}

/// The words the table is written in.
impl Scheme {
    fn prefix(mut self, prefix: &'static str) -> Self {
        self.grammar = Grammar::Bare(prefix.into());
        self
    }

    fn fields(mut self, separator: char, timestamp: &'static str, signature: &'static str) -> Self {
        self.grammar = Grammar::Fields {
            separator,
            timestamp: timestamp.into(),
            signature: signature.into(),
        };
        self.timestamp(Timestamp::InSignature)
    }

    fn list(mut self, version: &'static str) -> Self {
        self.grammar = Grammar::List(version.into());
        self
    }

    fn marker_header(mut self, header: &'static str, value: &'static str) -> Self {
        self.marker_header = Some((header, value));
        self
    }

    fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = timestamp;
        self
    }

    fn timestamp_header(self, names: &'static str) -> Self {
        self.timestamp(Timestamp::Header(names.into()))
    }

    fn timestamp_in_ms(mut self) -> Self {
        self.timestamp_in_ms = true;
        self
    }

    fn window(mut self, distance: Duration) -> Self {
        self.window = Window::both_ways(distance);
        self
    }

    fn id(mut self, names: &'static str) -> Self {
        self.id = names.into();
        self
    }

    fn url(mut self, form: UrlForm) -> Self {
        self.url = form;
        self
    }

    fn function(mut self, function: Function) -> Self {
        self.algorithm = Algorithm::Keyed(function);
        self
    }

    fn ed25519(mut self) -> Self {
        self.algorithm = Algorithm::Ed25519;
        self.key(KeyForm::Ed25519)
    }

    fn key(mut self, key: KeyForm) -> Self {
        self.key = key;
        self
    }

    fn base64(mut self) -> Self {
        self.encoding = Encoding::Base64;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{super::scheme::Part, *};

    #[test]
    fn every_documented_name_has_a_row() {
        let documented = "stripe github github-sha1 standard standard-ed25519 slack shopify hubspot-v3 \
                          hubspot-v2 hubspot-v1 twilio linear paddle zoom square discord \
                          salesforce-data-cloud salesforce-ens generic";
        assert_eq!(names(), documented.split_whitespace().collect::<Vec<_>>());
    }

    #[test]
    fn every_row_covers_the_body_and_signs_the_timestamp_it_checks() {
        for scheme in schemes() {
            assert!(
                scheme.signs(&Part::Body) || scheme.signs(&Part::Parameters),
                "{}",
                scheme.name
            );
            let in_content = matches!(
                scheme.timestamp,
                Timestamp::Header(_) | Timestamp::InSignature
            );
            assert_eq!(
                in_content,
                scheme.signs(&Part::Timestamp),
                "{}",
                scheme.name
            );
            assert_eq!(
                scheme.header,
                scheme.header.to_lowercase(),
                "{}",
                scheme.name
            );
        }
    }
}
