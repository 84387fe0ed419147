//! What a verdict holds for the message about it, and the order of algorithms.

use moorline_core::ssh::{
    CertificateRefusal, Fingerprint, HostKeyPolicy, HostName, KnownHosts, PresentedKey, SkipReason,
    Trust, Verdict,
};

use crate::support::{
    CASES, key, key_text, known_hosts, now_s, texts, verify, verify_presented, with_keys,
};

#[test]
fn an_unknown_host_comes_with_its_fingerprint_and_the_line_that_makes_it_known() {
    for (host, port) in [
        ("DB.test", 22),
        ("db.test", 2222),
        ("2001:DB8:0::5", 22),
        ("::1", 2222),
    ] {
        let Verdict::Unknown {
            key: found,
            line_to_add: Some(line),
        } = verify(&known_hosts(""), host, port, "rsa1")
        else {
            panic!("{host}");
        };
        assert_eq!(found.key_type, "ssh-rsa");
        assert_eq!(found.fingerprint, Fingerprint::of(&key("rsa1")));
        assert_eq!(found.certificate, None);
        assert!(line.ends_with(key_text("rsa1")));
        assert!(
            verify(&known_hosts(&line), host, port, "rsa1").is_trusted(),
            "{line}"
        );
        assert!(
            !verify(&known_hosts(&line), host, port + 1, "rsa2").is_trusted(),
            "{line}"
        );
    }
}

#[test]
fn a_host_whose_name_would_mean_more_in_a_file_gets_no_line() {
    for name in [
        "*", "db?", "!db", "a,b", "a b", "a\nb", "#a", "@revoked", "|1|a", "[a]", "",
    ] {
        let verdict = verify(&known_hosts(""), name, 22, "ed1");
        assert!(
            matches!(
                verdict,
                Verdict::Unknown {
                    line_to_add: None,
                    ..
                }
            ),
            "{name:?}: {verdict:?}"
        );
    }
}

#[test]
fn a_changed_key_comes_with_every_line_that_has_another() {
    let policy = known_hosts("db {ed2}\nweb {ed3}\n# c\nd* {rsa1}\n@cert-authority db {caed}\n");
    let Verdict::Changed { key: found, known } = verify(&policy, "db", 22, "ed1") else {
        panic!();
    };
    assert_eq!(found.fingerprint, Fingerprint::of(&key("ed1")));
    let lines: Vec<String> = known
        .iter()
        .map(|key| format!("{} {}", key.line, key.key_type))
        .collect();
    assert_eq!(lines, ["f:1 ssh-ed25519", "f:4 ssh-rsa"]);
    assert_eq!(known[1].fingerprint, Fingerprint::of(&key("rsa1")));
}

#[test]
fn a_revoked_key_comes_with_the_line_that_revokes_it() {
    let policy = known_hosts("db {ed1}\n@revoked * {ed1}\n");
    let Verdict::Revoked { line, .. } = verify(&policy, "db", 22, "ed1") else {
        panic!();
    };
    assert_eq!((line.to_string(), line.number), ("f:2".to_owned(), 2));
}

#[test]
fn a_certificate_that_is_not_accepted_says_why() {
    let refusals = [
        ("c-other-ca", CertificateRefusal::UnknownAuthority),
        ("c-user", CertificateRefusal::NotForHost),
        ("c-future", CertificateRefusal::NotYetValid),
        ("c-expired", CertificateRefusal::Expired),
        ("c-none", CertificateRefusal::NoPrincipals),
        ("c-wrong", CertificateRefusal::OtherPrincipals),
        ("c-critical", CertificateRefusal::CriticalOptions),
        ("c-sha1", CertificateRefusal::SignatureAlgorithm),
    ];
    let policy = known_hosts("@cert-authority * {caed}\n@cert-authority * {carsa}\n");
    for port in [22, 2222] {
        let host = HostName::new("db.example.com", port);
        for (server, refusal) in refusals {
            let presented = &CASES["servers"][server]["ssh-ed25519-cert-v01@openssh.com"];
            let Verdict::Unknown { key, .. } = verify_presented(&policy, &host, presented) else {
                panic!("{server}");
            };
            assert_eq!(key.certificate.unwrap().refusal, Some(refusal), "{server}");
        }
    }
}

#[test]
fn skipped_lines_are_counted_each_with_its_reason() {
    let file = "db\n@other db {ed1}\n@revoked\tdb {ed1}\n|1|x|y {ed1}\ndb ssh-dss AAAA\ndb ssh-rsa AAAA\n\n# c\r\n\r\n db {ed1}\n";
    let known = KnownHosts::parse(&[("f", with_keys(file).as_bytes())]);
    let reasons: Vec<_> = known
        .skipped_lines()
        .iter()
        .map(|skipped| skipped.reason)
        .collect();
    let expected = [
        SkipReason::Truncated,
        SkipReason::Marker,
        SkipReason::Marker,
        SkipReason::HashedName,
        SkipReason::KeyType,
        SkipReason::Key,
    ];
    assert_eq!(reasons, expected);
    assert_eq!(known.skipped_lines()[5].line.to_string(), "f:6");
}

#[test]
fn fingerprints_are_written_and_read_as_by_ssh_keygen() {
    // By `ssh-keygen -lf`.
    let printed = "SHA256:AcFrN3wODvo/C9I9lk51MQNmcBSMAhl+O2q5tI1L/ME";
    let fingerprint = Fingerprint::of(&key("ed1"));
    assert_eq!(fingerprint.to_string(), printed);
    assert_eq!(Fingerprint::parse(printed), Some(fingerprint));
    let others = [
        format!("{printed}="),
        printed.replace("SHA256:", ""),
        printed.replace("SHA256", "sha256"),
        printed[..printed.len() - 1].to_owned(),
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48".to_owned(),
    ];
    for other in others {
        assert_eq!(Fingerprint::parse(&other), None, "{other}");
    }
}

#[test]
fn given_fingerprints_are_of_plain_and_certified_keys_alike() {
    let expected: Vec<_> = ["ed2", "ed1"]
        .map(|name| Fingerprint::of(&key(name)))
        .to_vec();
    let policy = HostKeyPolicy::Fingerprints(expected.clone());
    let trusted = Verdict::Trusted(Trust::Fingerprint);
    assert_eq!(verify(&policy, "db", 22, "ed1"), trusted);
    let certified = &CASES["servers"]["c-expired"]["ssh-ed25519-cert-v01@openssh.com"];
    assert_eq!(
        verify_presented(&policy, &HostName::new("db", 22), certified),
        trusted
    );
    let Verdict::OtherFingerprint {
        key: found,
        expected: given,
    } = verify(&policy, "db", 22, "ed3")
    else {
        panic!();
    };
    assert_eq!(
        (found.fingerprint, given),
        (Fingerprint::of(&key("ed3")), expected)
    );
}

#[test]
fn what_is_no_key_is_refused_even_where_every_host_is_trusted() {
    let host = HostName::new("db", 22);
    let mut broken = key("ed1");
    broken.push(0);
    assert_eq!(
        verify(&HostKeyPolicy::Insecure, "db", 22, "ed1"),
        Verdict::Trusted(Trust::Insecure)
    );
    for blob in [broken, Vec::new(), key("c-ok")] {
        let verdict = HostKeyPolicy::Insecure.verify(&host, &PresentedKey::Plain(&blob), now_s());
        assert_eq!(verdict, Verdict::Unusable);
    }
}

#[test]
fn algorithms_keep_their_order_unless_others_are_known_for_the_host() {
    let supported = texts(&CASES["algorithms"]);
    let first = |policy: &HostKeyPolicy, port| {
        policy.order_algorithms(&HostName::new("db", port), &supported)[0].to_owned()
    };
    let plain = known_hosts("db {rsa1}\n");
    assert_eq!(first(&plain, 22), "rsa-sha2-512-cert-v01@openssh.com");
    // As OpenSSH, which looks for the order under the name with the port alone.
    assert_eq!(first(&plain, 2222), supported[0]);
    assert_eq!(
        plain
            .order_algorithms(&HostName::new("db", 22), &supported)
            .len(),
        supported.len()
    );
    for policy in [
        known_hosts("db {rsa1}\ndb {ed1}"),
        HostKeyPolicy::Insecure,
        HostKeyPolicy::Fingerprints(Vec::new()),
    ] {
        assert_eq!(
            policy.order_algorithms(&HostName::new("db", 22), &supported),
            supported
        );
    }
    let of_plain_ones = ["ssh-ed25519", "no-such-algorithm", "rsa-sha2-256"];
    let ordered = plain.order_algorithms(&HostName::new("db", 22), &of_plain_ones);
    assert_eq!(
        ordered,
        ["rsa-sha2-256", "ssh-ed25519", "no-such-algorithm"]
    );
}
