//! Errors of reqwest and hyper as failures, by the types in their chain of sources.
//!
//! No message is ever parsed.

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use moorline_core::{
    error::{Delivery, Failure, Kind},
    options::OptionError,
};

use crate::dial::{self, FailureClass, chain};

type Source = dyn StdError + 'static;

/// The code of a response above its limit.
pub(super) const TOO_LARGE: &str = "ERR_MOORLINE_RESPONSE_TOO_LARGE";

/// The phase in which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the response had begun.
    Request,
    /// While the body of the response was read.
    Response,
}

/// The failure of a request with an invalid option that is found only while the call runs. Nothing was sent; the code
/// is that of the option's error.
pub fn unsendable(error: &OptionError) -> Failure {
    Failure::new(Kind::Internal, error.message.as_str())
        .with_code(error.code())
        .with_delivery(Delivery::None)
        .during("http", "request")
}

/// The failure for an error of reqwest's; `peer` is host and port.
pub fn failure(error: reqwest::Error, phase: Phase, peer: &str) -> Failure {
    // The URL may carry a secret in its query.
    let error = error.without_url();
    let connecting = phase == Phase::Request && error.is_connect();
    if connecting && error.is_timeout() && !is_from_system(&error) {
        let message = format!("could not connect to {peer} in time");
        return Failure::timed_out(Kind::Connect, message, "connectTimeoutMs")
            .with_code("ETIMEDOUT");
    }
    let class = if error.is_builder() {
        FailureClass::of(Kind::Internal)
    } else if error.is_dns() {
        FailureClass::new(Kind::Connect, "ENOTFOUND")
    } else if connecting && error.is_timeout() {
        FailureClass::new(Kind::Connect, "ETIMEDOUT")
    } else {
        let found = chain(&error).find_map(classify);
        let found = found.unwrap_or(FailureClass::of(Kind::Protocol));
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

/// Whether the system reported it: a timeout of the system is not ours.
fn is_from_system(error: &Source) -> bool {
    let io_error = chain(error).find_map(|it| it.downcast_ref::<io::Error>());
    io_error.is_some_and(|error| error.raw_os_error().is_some())
}

/// The stage of a call of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Waiting for one of the connections.
    Queue,
    /// The request was not sent yet, or not all of it.
    Write,
    /// The request was sent, and no response had come.
    Headers,
    /// The head of the answer was there.
    Body,
}

/// The facts known about a call when it fails.
#[derive(Clone, Debug)]
pub(super) struct CallContext {
    pub(super) peer: Arc<str>,
    /// Whether the connection had carried a request before.
    pub(super) reused: bool,
    /// Whether a repeat does no harm.
    pub(super) idempotent: bool,
}

/// The bytes written and read, where they are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) written: Option<u64>,
    pub(super) read: u64,
}

/// Whether an HTTP/2 server states that it has not processed the request: by GOAWAY with an earlier last stream, or by
/// REFUSED_STREAM.
pub(super) fn is_unprocessed(error: &Source) -> bool {
    let reported = chain(error).find_map(|it| it.downcast_ref::<h2::Error>());
    reported
        .filter(|error| error.is_remote())
        .is_some_and(|error| {
            let (gone, refused) = (error.is_go_away(), error.is_reset());
            (gone && error.reason() == Some(h2::Reason::NO_ERROR))
                || (refused && error.reason() == Some(h2::Reason::REFUSED_STREAM))
        })
}

/// Whether this side reset an HTTP/2 request because its response is invalid.
fn is_invalid_response(error: &Source) -> bool {
    let reported = chain(error).find_map(|it| it.downcast_ref::<h2::Error>());
    reported.is_some_and(|error| error.is_library() && error.is_reset())
}

impl CallContext {
    /// The failure for an error of hyper's on a connection.
    pub(super) fn connection_failure(
        &self,
        error: &Source,
        stage: Stage,
        traffic: Traffic,
    ) -> Failure {
        // A failure of the request body is the cause: the caller ended the upload.
        if let Some(body_failure) = chain(error).find_map(|it| it.downcast_ref::<Failure>()) {
            return self.annotate(body_failure.clone(), stage, traffic);
        }
        // A request whose response has begun was processed.
        let unprocessed = stage != Stage::Body && is_unprocessed(error);
        let class = if unprocessed {
            FailureClass::new(Kind::Disconnected, "ECONNRESET")
        } else {
            chain(error)
                .find_map(classify)
                .unwrap_or(FailureClass::of(Kind::Protocol))
        };
        let phase = match stage {
            Stage::Body => Phase::Response,
            _ => Phase::Request,
        };
        let root = chain(error).last().map(ToString::to_string);
        let failure = Failure::new(class.kind, sentence(class, phase, &self.peer))
            .with_code(class.code)
            .with_cause(root.unwrap_or_default(), None);
        let failure = self.annotate(failure, stage, traffic);
        if unprocessed {
            return failure.with_delivery(Delivery::None).with_retryable(true);
        }
        if is_invalid_response(error) {
            return failure.with_delivery(Delivery::Answered);
        }
        failure
    }

    /// The failure of a body that ended before all of it had come.
    pub(super) fn truncated(&self) -> Failure {
        let class = FailureClass::new(Kind::Disconnected, "ECONNRESET");
        let message = sentence(class, Phase::Response, &self.peer);
        let failure = Failure::new(class.kind, message).with_code(class.code);
        self.annotate(failure, Stage::Body, Traffic::default())
    }

    /// The failure of a wait that was too long; `limit` is the option that ended it.
    pub(super) fn timeout_failure(
        &self,
        limit: &str,
        after: Duration,
        stage: Stage,
        traffic: Traffic,
    ) -> Failure {
        let doing = match stage {
            Stage::Queue => "had no free connection",
            Stage::Write => "did not accept the request",
            Stage::Headers => "did not respond",
            Stage::Body => "did not finish its response",
        };
        let ms = after.as_millis();
        let message = format!("{} {doing} within {ms} ms", self.peer);
        let failure = Failure::timed_out(Kind::Timeout, message, limit);
        self.annotate(failure, stage, traffic)
    }

    /// A failure with its stage, its bytes, and the delivery that they prove.
    pub(super) fn annotate(&self, failure: Failure, stage: Stage, traffic: Traffic) -> Failure {
        let delivery = match stage {
            Stage::Queue => Delivery::None,
            Stage::Body => Delivery::Answered,
            _ if traffic.read > 0 => Delivery::Answered,
            _ if traffic.written == Some(0) => Delivery::None,
            _ => Delivery::Unknown,
        };
        let transient = matches!(failure.kind, Kind::Timeout | Kind::Disconnected);
        let retryable = transient && (self.idempotent || delivery == Delivery::None);
        let failure = failure
            .with_delivery(delivery)
            .with_retryable(retryable)
            .with_detail("phase", stage.as_str())
            .with_detail("peer", self.peer.as_ref())
            .with_detail("reusedSocket", self.reused);
        match traffic.written {
            Some(bytes) => failure.with_detail("bytesWritten", bytes),
            None => failure,
        }
    }
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Write => "write",
            Self::Headers => "headers",
            Self::Body => "body",
        }
    }
}

/// The class of one error of the chain by its type; `None` when a deeper one knows more.
fn classify(error: &Source) -> Option<FailureClass> {
    if let Some(http2) = error.downcast_ref::<h2::Error>() {
        return classify_http2(http2);
    }
    let Some(hyper) = error.downcast_ref::<hyper::Error>() else {
        return dial::classify(error);
    };
    if hyper.is_parse() {
        Some(FailureClass::of(Kind::Protocol))
    } else if hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled() {
        // Node's "socket hang up".
        Some(FailureClass::new(Kind::Disconnected, "ECONNRESET"))
    } else if hyper.is_timeout() {
        Some(FailureClass::of(Kind::Timeout))
    } else {
        None
    }
}

/// The class of an HTTP/2 error: the connection was cut, or the server left it, or this request.
fn classify_http2(error: &h2::Error) -> Option<FailureClass> {
    let lost = FailureClass::new(Kind::Disconnected, "ECONNRESET");
    if let Some(io) = error.get_io() {
        return Some(dial::classify(io).unwrap_or(lost));
    }
    let refused = error.is_reset()
        && matches!(
            error.reason(),
            Some(h2::Reason::CANCEL | h2::Reason::REFUSED_STREAM | h2::Reason::NO_ERROR)
        );
    (error.is_remote() && (error.is_go_away() || refused)).then_some(lost)
}

fn sentence(class: FailureClass, phase: Phase, peer: &str) -> String {
    let FailureClass { kind, code } = class;
    match (kind, phase) {
        (Kind::Connect, _) => format!("could not connect to {peer} ({code})"),
        (Kind::Tls, _) => format!("TLS with {peer} failed ({code})"),
        (Kind::Timeout, _) => format!("{peer} did not respond in time"),
        (Kind::Disconnected, Phase::Request) => {
            format!("{peer} closed the connection before it responded ({code})")
        }
        (Kind::Disconnected, Phase::Response) => {
            format!("{peer} closed the connection in the middle of its response ({code})")
        }
        (Kind::Internal, _) => "the request could not be built".to_owned(),
        _ => format!("the response of {peer} cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(idempotent: bool) -> CallContext {
        CallContext {
            peer: "h:80".into(),
            reused: true,
            idempotent,
        }
    }

    #[test]
    fn a_request_that_cannot_be_sent_keeps_the_code_of_the_mistake() {
        let failure = unsendable(&OptionError::bad_value("url", "is no URL"));
        assert_eq!(
            (failure.kind, failure.delivery),
            (Kind::Internal, Delivery::None)
        );
        assert_eq!(failure.code, "ERR_INVALID_ARG_VALUE");
        assert_eq!(failure.message, "url is no URL");
    }

    #[test]
    fn nothing_was_delivered_only_where_nothing_was_written() {
        let written = |bytes| Traffic {
            written: bytes,
            read: 0,
        };
        let timeout_failure = |stage, traffic| {
            context(false).timeout_failure("timeoutMs", Duration::ZERO, stage, traffic)
        };
        let none = timeout_failure(Stage::Write, written(Some(0)));
        assert_eq!((none.delivery, none.retryable), (Delivery::None, true));
        for unsure in [written(Some(1)), written(None)] {
            let unknown = timeout_failure(Stage::Write, unsure);
            assert_eq!(
                (unknown.delivery, unknown.retryable),
                (Delivery::Unknown, false)
            );
        }
        assert!(
            context(true)
                .timeout_failure("x", Duration::ZERO, Stage::Headers, written(Some(9)))
                .retryable
        );
        assert_eq!(
            timeout_failure(Stage::Body, written(Some(9))).delivery,
            Delivery::Answered
        );
    }
}
