//! Refusals of host keys, as failures that say what to do.

use moorline_core::{
    error::{Delivery, Failure, Kind},
    ssh::{HostName, KeyDescription, Verdict},
};

/// The failure of a verdict; none when the host is trusted.
pub(super) fn refusal(host: &HostName, verdict: &Verdict) -> Option<Failure> {
    let name = host.qualified();
    let (code, message, key) = match verdict {
        Verdict::Trusted(_) => return None,
        Verdict::Unknown { key, line_to_add } => {
            let known = format!("the host key of {name} is not known: {}", describe(key));
            let message = match line_to_add {
                Some(line) => format!("{known}. If it is right, add this line: {line}"),
                None => known,
            };
            ("ERR_SSH_HOST_KEY_UNKNOWN", message, Some(key))
        }
        Verdict::Changed { key, known } => {
            let known: Vec<_> = known
                .iter()
                .map(|known| format!("{} {} ({})", known.key_type, known.fingerprint, known.line))
                .collect();
            let message = format!(
                "the host key of {name} has changed to {}, which may be an attack; known: {}",
                describe(key),
                known.join(", ")
            );
            ("ERR_SSH_HOST_KEY_CHANGED", message, Some(key))
        }
        Verdict::Revoked { key, line } => {
            let message = format!(
                "the host key of {name} is revoked ({line}): {}",
                describe(key)
            );
            ("ERR_SSH_HOST_KEY_REVOKED", message, Some(key))
        }
        Verdict::OtherFingerprint { key, expected } => {
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            let message = format!(
                "the host key of {name} is {}, and not {}",
                describe(key),
                expected.join(" or ")
            );
            ("ERR_SSH_HOST_KEY_MISMATCH", message, Some(key))
        }
        Verdict::Unusable => (
            "ERR_SSH_HOST_KEY_UNUSABLE",
            format!("the host key of {name} is none that may be used"),
            None,
        ),
    };
    let failure = Failure::new(Kind::Auth, message)
        .with_code(code)
        .with_delivery(Delivery::None);
    Some(with_facts(failure, verdict, key))
}

fn with_facts(failure: Failure, verdict: &Verdict, key: Option<&KeyDescription>) -> Failure {
    let failure = match verdict {
        Verdict::Unknown {
            line_to_add: Some(line),
            ..
        } => failure.with_detail("lineToAdd", line.as_str()),
        _ => failure,
    };
    match key {
        Some(key) => failure
            .with_detail("keyType", key.key_type)
            .with_detail("fingerprint", key.fingerprint.to_string()),
        None => failure,
    }
}

fn describe(key: &KeyDescription) -> String {
    let plain = format!("{} {}", key.key_type, key.fingerprint);
    let refusal = key.certificate.and_then(|certificate| {
        let authority = certificate.authority;
        let refusal = certificate.refusal?;
        Some(format!(
            "{plain} (its certificate, by {authority}, was not accepted: {refusal:?})"
        ))
    });
    refusal.unwrap_or(plain)
}
