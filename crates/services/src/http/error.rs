//! reqwest's errors as failures, by the types in their chain of sources; no message is ever parsed.

use std::{error::Error as StdError, io, iter};

use moorline_core::error::{Delivery, Failure, Kind};
use rustls::CertificateError;

/// How far a call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No answer had begun.
    Request,
    /// The head of the answer was there; its body was being read.
    Response,
}

type Source = dyn StdError + 'static;

/// What went wrong and the code Node gives for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Class {
    kind: Kind,
    code: &'static str,
}

impl Class {
    const fn new(kind: Kind, code: &'static str) -> Self {
        Self { kind, code }
    }

    const fn of(kind: Kind) -> Self {
        Self::new(kind, kind.default_code())
    }
}

/// The failure for an error of reqwest's; `peer` is host and port.
pub fn failure(error: reqwest::Error, phase: Phase, peer: &str) -> Failure {
    // The URL may carry a secret in its query.
    let error = error.without_url();
    let connecting = phase == Phase::Request && error.is_connect();
    let class = if error.is_builder() {
        Class::of(Kind::Internal)
    } else if error.is_dns() {
        Class::new(Kind::Connect, "ENOTFOUND")
    } else if connecting && error.is_timeout() {
        Class::new(Kind::Connect, "ETIMEDOUT")
    } else {
        let found = chain(&error).find_map(classify);
        let found = found.unwrap_or(Class::of(Kind::Protocol));
        match found.kind {
            // Whatever broke, nothing was connected.
            Kind::Tls => found,
            _ if connecting => Class::new(Kind::Connect, code_while_connecting(found)),
            _ => found,
        }
    };
    let delivery = match phase {
        Phase::Response => Delivery::Answered,
        Phase::Request if connecting || error.is_builder() => Delivery::None,
        Phase::Request => Delivery::Unknown,
    };
    let root = chain(&error).last().map(ToString::to_string);
    Failure::new(class.kind, sentence(class, phase, peer))
        .with_code(class.code)
        .with_delivery(delivery)
        .with_cause(root.unwrap_or_default(), None)
}

/// An error and the errors below it. `io::Error::source` passes over the error it wraps; this does not.
fn chain<'e>(error: &'e Source) -> impl Iterator<Item = &'e Source> {
    iter::successors(Some(error), |&error: &&'e Source| {
        match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &Source),
            None => error.source(),
        }
    })
}

/// What one error of the chain says by its type; `None` when a deeper one knows more.
fn classify(error: &Source) -> Option<Class> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(Class::new(Kind::Tls, tls_code(tls)));
    }
    if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
        return if hyper.is_parse() {
            Some(Class::of(Kind::Protocol))
        } else if hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled() {
            // Node's "socket hang up".
            Some(Class::new(Kind::Disconnected, "ECONNRESET"))
        } else if hyper.is_timeout() {
            Some(Class::of(Kind::Timeout))
        } else {
            None
        };
    }
    let io = error.downcast_ref::<io::Error>()?;
    IO_CLASSES
        .iter()
        .find(|(kind, _)| *kind == io.kind())
        .map(|(_, class)| *class)
}

/// `io::ErrorKind` is the typed form of the system's error number; the codes are libuv's names for it.
const IO_CLASSES: [(io::ErrorKind, Class); 11] = {
    use io::ErrorKind as Io;
    [
        (
            Io::ConnectionRefused,
            Class::new(Kind::Connect, "ECONNREFUSED"),
        ),
        (
            Io::HostUnreachable,
            Class::new(Kind::Connect, "EHOSTUNREACH"),
        ),
        (
            Io::NetworkUnreachable,
            Class::new(Kind::Connect, "ENETUNREACH"),
        ),
        (
            Io::AddrNotAvailable,
            Class::new(Kind::Connect, "EADDRNOTAVAIL"),
        ),
        (Io::TimedOut, Class::of(Kind::Timeout)),
        (
            Io::ConnectionReset,
            Class::new(Kind::Disconnected, "ECONNRESET"),
        ),
        (
            Io::ConnectionAborted,
            Class::new(Kind::Disconnected, "ECONNABORTED"),
        ),
        (Io::BrokenPipe, Class::new(Kind::Disconnected, "EPIPE")),
        (Io::NotConnected, Class::new(Kind::Disconnected, "ENOTCONN")),
        (
            Io::UnexpectedEof,
            Class::new(Kind::Disconnected, "ECONNRESET"),
        ),
        (Io::PermissionDenied, Class::new(Kind::Connect, "EACCES")),
    ]
};

/// A connection that was cut while it was being made keeps its code, but it never was a connection.
fn code_while_connecting(found: Class) -> &'static str {
    match found.kind {
        Kind::Connect | Kind::Disconnected => found.code,
        _ => Kind::Connect.default_code(),
    }
}

/// Node's codes for refused certificates.
fn tls_code(error: &rustls::Error) -> &'static str {
    use CertificateError as Bad;
    let rustls::Error::InvalidCertificate(reason) = error else {
        return Kind::Tls.default_code();
    };
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

fn sentence(class: Class, phase: Phase, peer: &str) -> String {
    let Class { kind, code } = class;
    match (kind, phase) {
        (Kind::Connect, _) => format!("could not connect to {peer} ({code})"),
        (Kind::Tls, _) => format!("TLS with {peer} failed ({code})"),
        (Kind::Timeout, _) => format!("{peer} did not answer in time"),
        (Kind::Disconnected, Phase::Request) => {
            format!("{peer} closed the connection before it answered ({code})")
        }
        (Kind::Disconnected, Phase::Response) => {
            format!("{peer} closed the connection in the middle of its answer ({code})")
        }
        (Kind::Internal, _) => "the request could not be built".to_owned(),
        _ => format!("the answer of {peer} cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(error: &io::Error) -> Option<Class> {
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
            assert_eq!(classified(&error), Some(Class::new(Kind::Tls, code)));
        }
    }

    #[test]
    fn an_error_that_says_nothing_by_its_type_is_left_to_the_default() {
        assert_eq!(
            classified(&io::Error::other("connection refused, or so it says")),
            None
        );
    }
}
