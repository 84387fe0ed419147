//! The verdicts that OpenSSH's client gave on the same files against the same servers.

use moorline_core::ssh::{HostKeyPolicy, HostName, KnownHosts, Trust, Verdict};
use serde_json::Value;

use crate::support::{CASES, text, texts, verify_presented, with_keys};

/// What `ssh -v` writes of it.
fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Trusted(Trust::Key(line)) => format!("trusted key {line}"),
        Verdict::Trusted(Trust::Authority(line)) => format!("trusted authority {line}"),
        // It names the last.
        Verdict::Changed { known, .. } => format!("changed {}", known.last().unwrap().line),
        Verdict::Revoked { .. } => "revoked".to_owned(),
        Verdict::Unknown { .. } => "unknown".to_owned(),
        other => format!("{other:?}"),
    }
}

fn policy_of(case: &Value) -> HostKeyPolicy {
    // A character is a byte.
    let files: Vec<(String, Vec<u8>)> = texts(&case["files"])
        .into_iter()
        .enumerate()
        .map(|(index, file)| {
            let file = with_keys(file);
            let bytes = file.chars().map(|c| u8::try_from(c).unwrap());
            (format!("f{index}"), bytes.collect())
        })
        .collect();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(origin, contents)| (origin.as_str(), contents.as_slice()))
        .collect();
    HostKeyPolicy::KnownHosts(KnownHosts::parse(&files))
}

#[test]
fn every_form_of_a_line_is_judged_as_by_openssh() {
    let supported = texts(&CASES["algorithms"]);
    let mut differences = Vec::new();
    for case in CASES["cases"].as_array().unwrap() {
        let policy = policy_of(case);
        let port = u16::try_from(case["port"].as_u64().unwrap()).unwrap();
        let host = HostName::new(text(&case["host"]), port);
        let server = &CASES["servers"][text(&case["server"])];
        // A server takes the first algorithm for which it has a key.
        let algorithm = policy
            .order_algorithms(&host, &supported)
            .into_iter()
            .find(|algorithm| server.get(algorithm).is_some())
            .unwrap();
        let ours = describe(&verify_presented(&policy, &host, &server[algorithm]));
        if (ours.as_str(), algorithm) != (text(&case["verdict"]), text(&case["algorithm"])) {
            differences.push(format!("{ours} by {algorithm}, not {case:#}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
