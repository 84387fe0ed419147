//! Verifications as the JSON texts that `lib/webhook/verifier.ts` reads.

use moorline_core::webhook::Verification;
use serde_json::{Map, Value as Json};

/// The result as users see it, and what a replay store needs.
pub(super) fn verification_json(verification: &Verification) -> Json {
    let mut shown = Map::new();
    shown.insert("valid".to_owned(), verification.is_valid().into());
    let mut add = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            shown.insert(name.to_owned(), value);
        }
    };
    let reason = verification.refusal.as_ref().map(ToString::to_string);
    add("reason", reason.map(Json::from));
    add("scheme", verification.scheme.as_deref().map(Json::from));
    add("timestamp", verification.timestamp.map(Json::from));
    add("id", verification.id.as_deref().map(Json::from));
    add("secretIndex", verification.secret_index.map(Json::from));
    if let Some(key) = verification.replay_key() {
        add("replayKey", Some(key.into()));
        let ttl_ms = verification.replayable_for.as_millis() as u64;
        add("replayableForMs", Some(ttl_ms.into()));
    }
    shown.into()
}
