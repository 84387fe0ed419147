//! Statements as they are sent, and what collects their answers.

use std::io;

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
    session_state::{StatementTrace, contains},
    statement_cache::{Parsing, Plan},
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
    /// Whether it is parsed once for all times that it runs on a connection.
    pub is_prepared: bool,
}

impl<'a> Statement<'a> {
    /// A text that is sent alone; it may be several statements.
    pub const fn of(text: &'a str) -> Self {
        Self {
            text,
            values: None,
            is_prepared: false,
        }
    }

    /// Whether its messages are those of the extended protocol, which takes one statement.
    pub(super) const fn is_extended(&self) -> bool {
        self.values.is_some() || self.is_prepared
    }

    /// Whether the server may ask for data while it runs: then it takes whatever follows for these.
    pub(super) fn may_copy_in(&self) -> bool {
        contains(self.text.as_bytes(), b"stdin")
    }

    /// The messages to send, in one round trip.
    ///
    /// # Errors
    /// A text with NUL, too many values, and what is too long for a message.
    pub(super) fn encode(&self, plan: &Plan) -> Outcome<BytesMut> {
        let mut bytes = BytesMut::with_capacity(self.text.len() + 64);
        if !self.is_extended() {
            frontend::query(self.text, &mut bytes).map_err(|error| unsendable(&error))?;
            return Ok(bytes);
        }
        let values = self.values.unwrap_or_default();
        if values.len() > MAX_VALUES {
            let message = format!(
                "A statement takes {MAX_VALUES} values at most, got {}",
                values.len()
            );
            return Err(refused(message));
        }
        let name = match plan {
            Plan::Unnamed => "",
            Plan::Prepare { name, .. } | Plan::Execute { name } => name,
        };
        self.encode_extended(plan, name, &mut bytes)
            .map_err(|error| unsendable(&error))?;
        bind(name, values, &mut bytes)?;
        frontend::describe(b'P', "", &mut bytes).map_err(|error| unsendable(&error))?;
        frontend::execute("", 0, &mut bytes).map_err(|error| unsendable(&error))?;
        frontend::sync(&mut bytes);
        Ok(bytes)
    }

    /// Encodes the messages before the values.
    fn encode_extended(&self, plan: &Plan, name: &str, bytes: &mut BytesMut) -> io::Result<()> {
        match plan {
            Plan::Execute { .. } => return Ok(()),
            Plan::Unnamed => {}
            Plan::Prepare { closed, .. } => {
                for closed in closed {
                    frontend::close(b'S', closed, bytes)?;
                }
            }
        }
        frontend::parse(name, self.text, [], bytes)
    }
}

/// Binds `values` to the statement of this name.
fn bind(name: &str, values: &[Value<'_>], bytes: &mut BytesMut) -> Outcome<()> {
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
    frontend::bind("", name, formats, values, write, [TEXT], bytes).map_err(|error| match error {
        frontend::BindError::Conversion(error) => refused(error.to_string()),
        frontend::BindError::Serialization(error) => unsendable(&error),
    })
}

fn unsendable(error: &io::Error) -> Failure {
    refused(format!("The statement cannot be sent: {error}"))
}

pub(super) fn refused(message: String) -> Failure {
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
    is_extended: bool,
    /// Its statement is parsed for the first time.
    parsing: Option<Parsing>,
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
            is_extended: false,
            parsing: None,
            writer: None,
            results: Vec::new(),
            failure: None,
            reply,
        }
    }

    /// The same for a statement of the extended protocol, which may be parsed for the first time.
    pub(super) fn of_extended(self, parsing: Option<Parsing>) -> Self {
        Self {
            is_extended: true,
            parsing,
            ..self
        }
    }

    /// A COPY, whose data nobody gives or takes.
    fn refuse_copy(&mut self, what: &str) {
        let message = format!("{what} cannot be run as a statement: its data have no way");
        let failure = Failure::new(Kind::Rejected, message)
            .with_code("ERR_POSTGRES_COPY")
            .with_delivery(Delivery::Answered)
            .with_attempts(1);
        self.failure.get_or_insert(failure);
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
            PARSE_COMPLETE_TAG => {
                if let Some(parsing) = &self.parsing {
                    parsing.confirm();
                }
            }
            COPY_OUT_RESPONSE_TAG => self.refuse_copy("COPY … TO STDOUT"),
            BIND_COMPLETE_TAG
            | CLOSE_COMPLETE_TAG
            | NO_DATA_TAG
            | PARAMETER_DESCRIPTION_TAG
            | PORTAL_SUSPENDED_TAG
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

    fn on_copy_in(&mut self) -> Outcome<BytesMut> {
        self.refuse_copy("COPY … FROM STDIN");
        let mut reply = BytesMut::new();
        frontend::copy_fail("no data are sent", &mut reply).map_err(|error| unsendable(&error))?;
        if self.is_extended {
            // The server has passed over the one before.
            frontend::sync(&mut reply);
        }
        Ok(reply)
    }

    fn on_error(&mut self, failure: Failure) {
        self.writer = None;
        self.failure.get_or_insert(failure);
    }

    fn on_ready(self: Box<Self>, status: TransactionStatus) {
        if let Some(parsing) = &self.parsing {
            parsing.end();
        }
        let outcome = self.failure.map_or(Ok(self.results), Err);
        (self.reply)((outcome, Some(status)));
    }

    fn on_lost(self: Box<Self>, failure: Failure) {
        match &self.parsing {
            Some(parsing) if failure.delivery == Delivery::None => parsing.take_back(),
            Some(parsing) => parsing.end(),
            None => {}
        }
        (self.reply)((Err(failure), None));
    }
}
