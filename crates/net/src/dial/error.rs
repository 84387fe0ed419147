//! Failures of dialling, by the types of the errors; no message is ever parsed.

use std::{error::Error as StdError, io, iter, time::Duration};

use moorline_core::error::{Delivery, Failure, Kind};
use rustls::{AlertDescription, CertificateError};

use super::target::Target;

/// The phase in which dialling failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The name was being resolved.
    Dns,
    /// TCP was being connected.
    Connect,
    /// The proxy was asked to connect.
    Proxy,
    /// The tunnel was asked for a stream.
    Tunnel,
    /// The TLS handshake was under way.
    Tls,
}

impl Phase {
    /// The word in `error.detail.phase`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tunnel => "tunnel",
            Self::Tls => "tls",
        }
    }
}

type Source = dyn StdError + 'static;

/// The kind of a failure, and the code Node gives for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureClass {
    /// The kind.
    pub kind: Kind,
    /// The code that Node.js uses.
    pub code: &'static str,
}

impl FailureClass {
    /// A kind, by a code of its own.
    pub const fn new(kind: Kind, code: &'static str) -> Self {
        Self { kind, code }
    }

    /// A kind, by its usual code.
    pub const fn of(kind: Kind) -> Self {
        Self::new(kind, kind.default_code())
    }

    /// The same while a connection is being made: one that was cut keeps its code, but it never was one.
    #[must_use]
    pub fn while_connecting(self) -> Self {
        match self.kind {
            Kind::Tls | Kind::Auth => self,
            Kind::Connect | Kind::Disconnected => Self::new(Kind::Connect, self.code),
            Kind::Timeout => Self::new(Kind::Connect, "ETIMEDOUT"),
            _ => Self::of(Kind::Connect),
        }
    }
}

/// The failure of a phase; nothing was sent.
pub(super) fn phase_failure(phase: Phase, target: &Target, error: &io::Error) -> Failure {
    let class = match phase {
        // The system tells no more than that it found nothing.
        Phase::Dns => FailureClass::new(Kind::Connect, "ENOTFOUND"),
        _ => chain(error)
            .find_map(classify)
            .unwrap_or(FailureClass::of(match phase {
                Phase::Tls => Kind::Tls,
                _ => Kind::Connect,
            }))
            .while_connecting(),
    };
    let root = chain(error).last().map(ToString::to_string);
    failure(class, phase, target).with_cause(root.unwrap_or_default(), None)
}

/// The failure of a tunnel to give a stream. Its own phase, where it has one, becomes `tunnelPhase`.
pub(super) fn tunnel_failure(failure: Failure, target: &Target) -> Failure {
    let failure = match failure.detail.get("phase").cloned() {
        Some(phase) => failure.with_detail("tunnelPhase", phase),
        None => failure,
    };
    with_phase(failure, Phase::Tunnel, target)
}

/// The failure of a connection that took too long.
pub(super) fn timeout_failure(
    phase: Phase,
    target: &Target,
    after: Duration,
    option: &str,
) -> Failure {
    let message = format!(
        "could not connect to {} within {} ms in phase '{}'",
        target.authority(),
        after.as_millis(),
        phase.as_str()
    );
    let failure = Failure::timed_out(Kind::Connect, message, option).with_code("ETIMEDOUT");
    with_phase(failure, phase, target)
}

pub(super) fn failure(class: FailureClass, phase: Phase, target: &Target) -> Failure {
    let FailureClass { kind, code } = class;
    let peer = target.authority();
    let message = match (kind, phase) {
        (Kind::Auth, _) => format!("{peer} rejected the client certificate ({code})"),
        (Kind::Tls, _) => format!("TLS with {peer} failed ({code})"),
        (_, Phase::Dns) => format!("{} has no address ({code})", target.host),
        (_, Phase::Proxy) => format!("the proxy could not connect to {peer} ({code})"),
        _ => format!("could not connect to {peer} ({code})"),
    };
    with_phase(Failure::new(kind, message).with_code(code), phase, target)
}

fn with_phase(failure: Failure, phase: Phase, target: &Target) -> Failure {
    failure
        .with_delivery(Delivery::None)
        .with_detail("phase", phase.as_str())
        .with_detail("host", target.host.as_str())
        .with_detail("port", target.port)
}

/// An error and the errors below it. `io::Error::source` passes over the error it wraps; this does not.
pub fn chain<'e>(error: &'e Source) -> impl Iterator<Item = &'e Source> {
    iter::successors(Some(error), |&error: &&'e Source| {
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &Source),
            None => error.source(),
        }
    })
}

/// The class of one error of the chain by its type; `None` when a deeper one knows more.
pub fn classify(error: &Source) -> Option<FailureClass> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls_class(tls));
    }
    let io = error.downcast_ref::<io::Error>()?;
    IO_CLASSES
        .iter()
        .find(|(kind, _)| *kind == io.kind())
        .map(|(_, class)| *class)
}

/// `io::ErrorKind` is the typed form of the system's error number; the codes are libuv's names for it.
const IO_CLASSES: [(io::ErrorKind, FailureClass); 12] = {
    use io::ErrorKind as Io;
    const fn connect(code: &'static str) -> FailureClass {
        FailureClass::new(Kind::Connect, code)
    }
    const fn disconnect(code: &'static str) -> FailureClass {
        FailureClass::new(Kind::Disconnected, code)
    }
    [
        (Io::ConnectionRefused, connect("ECONNREFUSED")),
        (Io::HostUnreachable, connect("EHOSTUNREACH")),
        (Io::NetworkUnreachable, connect("ENETUNREACH")),
        (Io::AddrNotAvailable, connect("EADDRNOTAVAIL")),
        (Io::TimedOut, FailureClass::of(Kind::Timeout)),
        (Io::ConnectionReset, disconnect("ECONNRESET")),
        (Io::ConnectionAborted, disconnect("ECONNABORTED")),
        (Io::BrokenPipe, disconnect("EPIPE")),
        (Io::NotConnected, disconnect("ENOTCONN")),
        (Io::UnexpectedEof, disconnect("ECONNRESET")),
        (Io::PermissionDenied, connect("EACCES")),
        // Of a Unix socket.
        (Io::NotFound, connect("ENOENT")),
    ]
};

fn tls_class(error: &rustls::Error) -> FailureClass {
    match error {
        rustls::Error::InvalidCertificate(reason) => {
            FailureClass::new(Kind::Tls, certificate_code(reason))
        }
        rustls::Error::AlertReceived(alert) => alert_class(*alert),
        _ => FailureClass::of(Kind::Tls),
    }
}

/// Node's codes for refused certificates.
fn certificate_code(reason: &CertificateError) -> &'static str {
    use CertificateError as Bad;
    match reason {
        Bad::Expired | Bad::ExpiredContext { .. } => "CERT_HAS_EXPIRED",
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => "CERT_NOT_YET_VALID",
        Bad::Revoked => "CERT_REVOKED",
        Bad::UnknownIssuer => "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        Bad::BadSignature => "CERT_SIGNATURE_FAILURE",
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "ERR_TLS_CERT_ALTNAME_INVALID",
        _ => Kind::Tls.default_code(),
    }
}

/// Node's codes for what the server says of us. An alert about a certificate is about ours: a server that does
/// not want it refuses our credentials.
fn alert_class(alert: AlertDescription) -> FailureClass {
    use AlertDescription as Alert;
    let (kind, code) = match alert {
        Alert::CertificateRequired => (Kind::Auth, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"),
        Alert::BadCertificate => (Kind::Auth, "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"),
        Alert::UnsupportedCertificate => {
            (Kind::Auth, "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE")
        }
        Alert::CertificateRevoked => (Kind::Auth, "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED"),
        Alert::CertificateExpired => (Kind::Auth, "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        Alert::CertificateUnknown => (Kind::Auth, "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN"),
        Alert::UnknownCA => (Kind::Auth, "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"),
        Alert::AccessDenied => (Kind::Auth, "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED"),
        Alert::HandshakeFailure => (Kind::Tls, "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE"),
        Alert::ProtocolVersion => (Kind::Tls, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION"),
        Alert::UnrecognisedName => (Kind::Tls, "ERR_SSL_TLSV1_UNRECOGNIZED_NAME"),
        Alert::NoApplicationProtocol => (Kind::Tls, "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL"),
        _ => (Kind::Tls, Kind::Tls.default_code()),
    };
    FailureClass::new(kind, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(error: &io::Error) -> Option<FailureClass> {
        chain(error).find_map(classify)
    }

    #[test]
    fn system_errors_keep_their_usual_code() {
        for (kind, class) in IO_CLASSES {
            assert_eq!(classified(&io::Error::from(kind)), Some(class), "{kind:?}");
            let wrapped = io::Error::other(io::Error::from(kind));
            assert_eq!(classified(&wrapped), Some(class), "wrapped {kind:?}");
        }
    }

    #[test]
    fn refused_certificates_have_the_codes_of_node() {
        let table = [
            (CertificateError::Expired, "CERT_HAS_EXPIRED"),
            (CertificateError::NotValidYet, "CERT_NOT_YET_VALID"),
            (CertificateError::Revoked, "CERT_REVOKED"),
            (
                CertificateError::UnknownIssuer,
                "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            ),
            (CertificateError::BadSignature, "CERT_SIGNATURE_FAILURE"),
            (
                CertificateError::NotValidForName,
                "ERR_TLS_CERT_ALTNAME_INVALID",
            ),
            (CertificateError::BadEncoding, "ERR_MOORLINE_TLS"),
        ];
        for (reason, code) in table {
            // tokio-rustls hides rustls' error in an io::Error of kind InvalidData.
            let error = rustls::Error::InvalidCertificate(reason);
            let error = io::Error::new(io::ErrorKind::InvalidData, error);
            assert_eq!(classified(&error), Some(FailureClass::new(Kind::Tls, code)));
        }
    }

    #[test]
    fn an_alert_about_our_certificate_is_a_refusal_of_our_credentials() {
        let of = |alert| {
            let error = rustls::Error::AlertReceived(alert);
            classified(&io::Error::new(io::ErrorKind::InvalidData, error)).unwrap()
        };
        assert_eq!(of(AlertDescription::CertificateRequired).kind, Kind::Auth);
        assert_eq!(of(AlertDescription::UnknownCA).kind, Kind::Auth);
        assert_eq!(of(AlertDescription::ProtocolVersion).kind, Kind::Tls);
    }

    #[test]
    fn a_connection_that_is_cut_while_it_is_made_never_was_one() {
        let target = Target {
            host: "h".to_owned(),
            port: 1,
            secure: true,
        };
        let error = io::Error::from(io::ErrorKind::ConnectionReset);
        let failure = phase_failure(Phase::Tls, &target, &error);
        assert_eq!(
            (failure.kind, failure.code.as_ref(), failure.delivery),
            (Kind::Connect, "ECONNRESET", Delivery::None)
        );
        assert_eq!(failure.detail["phase"], "tls");
    }

    #[test]
    fn an_error_that_says_nothing_by_its_type_is_left_to_the_default() {
        let error = io::Error::other("connection refused, or so it says");
        assert_eq!(classified(&error), None);
    }
}
