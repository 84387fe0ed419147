//! Statements and limits as `lib/postgres` gives them.

use moorline_core::options::{OptionError, Options, PlainValue, Read};
use moorline_services::postgres::{
    result::ValueTypes,
    service::{CallLimits, OwnedStatement, OwnedValue},
};

use crate::bridge::{Cancel, Handle, RawArgument};

pub(super) fn read_limits(
    timeout_ms: &RawArgument,
    cancel: Option<&Handle<Cancel>>,
) -> Read<CallLimits> {
    Ok(CallLimits {
        timeout: Options::call_timeout(&timeout_ms.0)?,
        cancel: Cancel::token(cancel),
    })
}

pub(super) fn read_set_up(given: PlainValue) -> Read<Vec<OwnedStatement>> {
    let PlainValue::List(statements) = given else {
        return Err(OptionError::wrong_type("statements", "an array", &given));
    };
    let read = statements.into_iter().map(read_statement);
    read.map(|read| read.map(|(statement, _)| statement))
        .collect()
}

pub(super) fn read_statement(given: PlainValue) -> Read<(OwnedStatement, ValueTypes)> {
    let mut parts = match given {
        PlainValue::List(parts) => parts.into_iter(),
        other => return Err(OptionError::wrong_type("statement", "an array", &other)),
    };
    let mut next = || parts.next().unwrap_or(PlainValue::Undefined);
    let text = match next() {
        PlainValue::Text(text) => text,
        other => return Err(OptionError::wrong_type("text", "a string", &other)),
    };
    let values = read_values(next())?;
    let types = match next() {
        PlainValue::Bool(true) => ValueTypes::Text,
        _ => ValueTypes::Known,
    };
    let name = match next() {
        PlainValue::Text(name) if !name.is_empty() => Some(name),
        PlainValue::Undefined | PlainValue::Null | PlainValue::Text(_) => None,
        other => return Err(OptionError::wrong_type("query.name", "a string", &other)),
    };
    Ok((OwnedStatement { text, values, name }, types))
}

fn read_values(given: PlainValue) -> Read<Option<Vec<OwnedValue>>> {
    let items = match given {
        PlainValue::Undefined => return Ok(None),
        PlainValue::List(items) => items,
        other => return Err(OptionError::wrong_type("values", "an array", &other)),
    };
    let read = |(at, item)| {
        Ok(match item {
            PlainValue::Null => OwnedValue::Null,
            PlainValue::Text(text) => OwnedValue::Text(text),
            PlainValue::Bytes(bytes) => OwnedValue::Bytes(bytes),
            other => {
                let path = format!("values[{at}]");
                return Err(OptionError::wrong_type(&path, "a value", &other));
            }
        })
    };
    let values: Read<Vec<_>> = items.into_iter().enumerate().map(read).collect();
    values.map(Some)
}
