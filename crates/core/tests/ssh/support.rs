//! The keys and cases of `cases.json`.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::ssh::{
    HostCertificate, HostKeyPolicy, HostName, KnownHosts, PresentedKey, Verdict,
};
use serde_json::Value;

pub(crate) static CASES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("cases.json")).unwrap());

pub(crate) fn now_s() -> u64 {
    CASES["now"].as_u64().unwrap()
}

/// The key of this name as in a line of a file.
pub(crate) fn key_text(name: &str) -> &'static str {
    text(&CASES["keys"][name])
}

/// The encoded key of this name.
pub(crate) fn key(name: &str) -> Vec<u8> {
    STANDARD
        .decode(key_text(name).split(' ').nth(1).unwrap())
        .unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(text).collect()
}

/// The text with the keys for their names.
pub(crate) fn with_keys(text: &str) -> String {
    let keys = CASES["keys"].as_object().unwrap();
    keys.keys().fold(text.to_owned(), |text, name| {
        text.replace(&format!("{{{name}}}"), key_text(name))
    })
}

/// The policy of one file called `f`, in which `{name}` stands for a key.
pub(crate) fn known_hosts(file: &str) -> HostKeyPolicy {
    let file = with_keys(file);
    HostKeyPolicy::KnownHosts(KnownHosts::parse(&[("f", file.as_bytes())]))
}

/// The verdict on a plain key.
pub(crate) fn verify(policy: &HostKeyPolicy, host: &str, port: u16, name: &str) -> Verdict {
    let host = HostName::new(host, port);
    policy.verify(&host, &PresentedKey::Plain(&key(name)), now_s())
}

/// The verdict on what a server of `cases.json` presents for an algorithm.
pub(crate) fn verify_presented(
    policy: &HostKeyPolicy,
    host: &HostName,
    presented: &Value,
) -> Verdict {
    let plain = key(text(&presented["key"]));
    let certificate = &presented["certificate"];
    if certificate.is_null() {
        return policy.verify(host, &PresentedKey::Plain(&plain), now_s());
    }
    let seconds = |field: &str| text(&certificate[field]).parse().unwrap();
    let principals: Vec<String> = texts(&certificate["principals"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    let presented = PresentedKey::Certificate(HostCertificate {
        key: &plain,
        authority: &key(text(&certificate["authority"])),
        signature_algorithm: text(&certificate["signature_algorithm"]),
        is_for_host: certificate["host"].as_bool().unwrap(),
        principals: &principals,
        valid_after_s: seconds("after"),
        valid_before_s: seconds("before"),
        has_critical_options: certificate["critical"].as_bool().unwrap(),
    });
    policy.verify(host, &presented, now_s())
}
