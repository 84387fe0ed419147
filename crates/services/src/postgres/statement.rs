//! Statements as they are sent, and what collects their answers.

use bytes::{Bytes, BytesMut};
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use postgres_protocol::{
    IsNull,
    message::{
        backend::{
            BIND_COMPLETE_TAG, CLOSE_COMPLETE_TAG, COMMAND_COMPLETE_TAG, COPY_DATA_TAG,
            COPY_DONE_TAG, COPY_OUT_RESPONSE_TAG, DATA_ROW_TAG, EMPTY_QUERY_RESPONSE_TAG,
            NO_DATA_TAG, PARAMETER_DESCRIPTION_TAG, PARSE_COMPLETE_TAG, PORTAL_SUSPENDED_TAG,
            ROW_DESCRIPTION_TAG,
        },
        frontend,
    },
};

use super::{
    driver::{Response, TransactionStatus},
    error::protocol_failure,
    frame::Fields,
    result::{Field, ResultText, ResultWriter, ValueTypes},
    session_state::StatementTrace,
};

/// The number of values that a statement takes at most: it is counted in two bytes.
const MAX_VALUES: usize = u16::MAX as usize;
const TEXT: i16 = 0;
const BINARY: i16 = 1;

/// A value of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// In the text format of its type, which the server infers.
    Text(&'a str),
    /// In the binary format.
    Bytes(&'a [u8]),
}

/// A statement as a caller gives it.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    /// The text; without values it may be several statements.
    pub text: &'a str,
    /// The values; `None` sends the text alone.
    pub values: Option<&'a [Value<'a>]>,
}

impl Statement<'_> {
    /// The messages to send, in one round trip.
    ///
    /// # Errors
    /// A text with NUL, too many values, and what is too long for a message.
    pub(super) fn encode(&self) -> Outcome<BytesMut> {
        let mut bytes = BytesMut::with_capacity(self.text.len() + 64);
        let Some(values) = self.values else {
            frontend::query(self.text, &mut bytes).map_err(|error| unsendable(&error))?;
            return Ok(bytes);
        };
        if values.len() > MAX_VALUES {
            let message = format!(
                "A statement takes {MAX_VALUES} values at most, got {}",
                values.len()
            );
            return Err(refused(message));
        }
        frontend::parse("", self.text, [], &mut bytes).map_err(|error| unsendable(&error))?;
        bind(values, &mut bytes)?;
        frontend::describe(b'P', "", &mut bytes).map_err(|error| unsendable(&error))?;
        frontend::execute("", 0, &mut bytes).map_err(|error| unsendable(&error))?;
        frontend::sync(&mut bytes);
        Ok(bytes)
    }
}

/// Binds `values` to the unnamed statement.
fn bind(values: &[Value<'_>], bytes: &mut BytesMut) -> Outcome<()> {
    let is_binary = |value: &Value<'_>| matches!(value, Value::Bytes(_));
    let format = |value| if is_binary(value) { BINARY } else { TEXT };
    // None stands for text alone.
    let formats: Vec<_> = if values.iter().any(is_binary) {
        values.iter().map(format).collect()
    } else {
        Vec::new()
    };
    let write = |value: &Value<'_>, bytes: &mut BytesMut| {
        let given = match value {
            Value::Null => return Ok(IsNull::Yes),
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(given) => given,
        };
        bytes.extend_from_slice(given);
        Ok(IsNull::No)
    };
    frontend::bind("", "", formats, values, write, [TEXT], bytes).map_err(|error| match error {
        frontend::BindError::Conversion(error) => refused(error.to_string()),
        frontend::BindError::Serialization(error) => unsendable(&error),
    })
}

fn unsendable(error: &std::io::Error) -> Failure {
    refused(format!("The statement cannot be sent: {error}"))
}

fn refused(message: String) -> Failure {
    Failure::new(Kind::Rejected, message)
        .with_code("ERR_POSTGRES_STATEMENT")
        .with_delivery(Delivery::None)
        .with_attempts(0)
}

/// The outcome of a request: the results of its statements, and the state of the transaction after them where it is known.
pub type Answer = (Outcome<Vec<ResultText>>, Option<TransactionStatus>);

/// Collects the results of a request.
pub(super) struct Collector<F> {
    types: ValueTypes,
    trace: StatementTrace,
    writer: Option<ResultWriter>,
    results: Vec<ResultText>,
    failure: Option<Failure>,
    reply: F,
}

impl<F: FnOnce(Answer) + Send> Collector<F> {
    pub(super) const fn new(types: ValueTypes, trace: StatementTrace, reply: F) -> Self {
        Self {
            types,
            trace,
            writer: None,
            results: Vec::new(),
            failure: None,
            reply,
        }
    }

    fn complete(&mut self, tag: &str) {
        self.trace.on_tag(tag);
        let writer = self.writer.take();
        let writer = writer.unwrap_or_else(|| ResultWriter::new(&[], self.types));
        self.results.push(writer.finish(tag));
    }

    /// A row. A result that is too long fails; the rest of it is read and dropped.
    fn on_row(&mut self, body: &[u8]) -> Outcome<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        let writer = self.writer.as_mut();
        let writer = writer.ok_or_else(|| protocol_failure("The server sent a row undescribed"))?;
        match writer.row(body) {
            Err(failure) if failure.kind == Kind::Rejected => {
                self.writer = None;
                self.failure = Some(failure.with_delivery(Delivery::Answered));
                Ok(())
            }
            outcome => outcome,
        }
    }
}

impl<F: FnOnce(Answer) + Send> Response for Collector<F> {
    fn on_message(&mut self, tag: u8, body: Bytes) -> Outcome<()> {
        match tag {
            DATA_ROW_TAG => return self.on_row(&body),
            ROW_DESCRIPTION_TAG => {
                let fields = Field::parse_all(&body)?;
                self.writer = Some(ResultWriter::new(&fields, self.types));
            }
            COMMAND_COMPLETE_TAG => {
                let mut fields = Fields(&body);
                self.complete(fields.text()?);
                return fields.finish();
            }
            EMPTY_QUERY_RESPONSE_TAG => self.complete(""),
            PARSE_COMPLETE_TAG
            | BIND_COMPLETE_TAG
            | CLOSE_COMPLETE_TAG
            | NO_DATA_TAG
            | PARAMETER_DESCRIPTION_TAG
            | PORTAL_SUSPENDED_TAG
            | COPY_OUT_RESPONSE_TAG
            | COPY_DATA_TAG
            | COPY_DONE_TAG => {}
            other => {
                let message = format!(
                    "The server answered a statement with a message '{}'",
                    char::from(other)
                );
                return Err(protocol_failure(&message));
            }
        }
        Ok(())
    }

    fn on_error(&mut self, failure: Failure) {
        self.writer = None;
        self.failure.get_or_insert(failure);
    }

    fn on_ready(self: Box<Self>, status: TransactionStatus) {
        let outcome = self.failure.map_or(Ok(self.results), Err);
        (self.reply)((outcome, Some(status)));
    }

    fn on_lost(self: Box<Self>, failure: Failure) {
        (self.reply)((Err(failure), None));
    }
}
