//! The cost of large files.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use moorline_core::ssh::{HostKeyPolicy, KnownHosts, Verdict};

use crate::support::{key_text, verify};

const LINES: usize = 10_000;

#[test]
fn ten_thousand_hashed_names_are_judged_in_one_pass() {
    let mut file = String::new();
    for line in 0..LINES {
        let mut salt = [0; 20];
        salt[..8].copy_from_slice(&line.to_be_bytes());
        let (salt, hash) = (STANDARD.encode(salt), STANDARD.encode([7; 20]));
        writeln!(file, "|1|{salt}|{hash} {}", key_text("ed2")).unwrap();
    }
    writeln!(file, "db {}", key_text("ed1")).unwrap();
    let known = KnownHosts::parse(&[("f", file.as_bytes())]);
    assert!(known.skipped_lines().is_empty());
    let policy = HostKeyPolicy::KnownHosts(known);
    let start = Instant::now();
    assert!(verify(&policy, "db", 22, "ed1").is_trusted());
    // A few milliseconds in a release build; this one is not optimised, on a busy machine.
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn patterns_of_many_wildcards_end() {
    let pattern = "*a".repeat(500);
    let line = format!("{pattern} {}\n", key_text("ed1"));
    let file = line.repeat(100);
    let policy = HostKeyPolicy::KnownHosts(KnownHosts::parse(&[("f", file.as_bytes())]));
    let host = "a".repeat(250);
    let start = Instant::now();
    assert!(matches!(
        verify(&policy, &host, 22, "ed1"),
        Verdict::Unknown { .. }
    ));
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
}
