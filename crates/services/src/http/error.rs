//! reqwest's errors as failures, by the types in their chain of sources; no message is ever parsed.

use std::error::Error as StdError;

use moorline_core::error::{Delivery, Failure, Kind};

use crate::dial::{self, Class, chain};

type Source = dyn StdError + 'static;

/// How far a call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No answer had begun.
    Request,
    /// The head of the answer was there; its body was being read.
    Response,
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
        if connecting {
            found.while_connecting()
        } else {
            found
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

/// What one error of the chain says by its type; `None` when a deeper one knows more.
fn classify(error: &Source) -> Option<Class> {
    let Some(hyper) = error.downcast_ref::<hyper::Error>() else {
        return dial::classify(error);
    };
    if hyper.is_parse() {
        Some(Class::of(Kind::Protocol))
    } else if hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled() {
        // Node's "socket hang up".
        Some(Class::new(Kind::Disconnected, "ECONNRESET"))
    } else if hyper.is_timeout() {
        Some(Class::of(Kind::Timeout))
    } else {
        None
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
