//! A statement and its arguments, as the `@libsql/client` API takes them.

use moorline_core::{
    error::Outcome,
    options::{OptionError, PlainValue, Read},
};
use moorline_sqlite::{Connection, StatementId, Value, ValueRef};

use crate::libsql::error::{engine_failure, too_many_arguments, unknown_parameter};

/// The limits of SQLite, local or remote.
const MAX_ARGUMENTS: usize = 32_766;

/// One SQL statement with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The SQL text.
    pub sql: String,
    /// Its arguments.
    pub args: Args,
}

/// Arguments by position (`?`, `?1`) or by name (`:name`, `@name`, `$name`).
#[derive(Clone, Debug, PartialEq)]
pub enum Args {
    /// By position.
    Positional(Vec<Value>),
    /// By name, without the prefix character.
    Named(Vec<(String, Value)>),
}

/// In which mode a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionMode {
    /// `BEGIN IMMEDIATE`: waits for the write lock at once.
    Write,
    /// `BEGIN TRANSACTION READONLY`.
    Read,
    /// `BEGIN DEFERRED`: takes the write lock at the first write.
    Deferred,
}

impl TransactionMode {
    /// The words of the client API.
    pub const CHOICES: [(&'static str, Self); 3] = [
        ("write", Self::Write),
        ("read", Self::Read),
        ("deferred", Self::Deferred),
    ];

    /// Reads the mode; `undefined` is `default`.
    pub fn read(value: &PlainValue, default: Self) -> Read<Self> {
        let PlainValue::Text(word) = value else {
            return match value {
                PlainValue::Undefined => Ok(default),
                other => Err(OptionError::wrong_type("mode", "a string", other)),
            };
        };
        let found = Self::CHOICES.iter().find(|(name, _)| name == word);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            let reason = format!("must be 'write' or 'read' or 'deferred', got '{word}'");
            OptionError::bad_value("mode", reason)
        })
    }

    /// The statement that begins such a transaction.
    pub const fn begin_sql(self) -> &'static str {
        match self {
            Self::Write => "BEGIN IMMEDIATE",
            Self::Read => "BEGIN TRANSACTION READONLY",
            Self::Deferred => "BEGIN DEFERRED",
        }
    }
}

impl Statement {
    /// A statement without arguments.
    pub fn without_args(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            args: Args::Positional(Vec::new()),
        }
    }

    /// The statement in `value`: SQL text, `{ sql, args }` or `[sql, args]`; `path` names it in messages.
    pub fn read(path: &str, value: PlainValue) -> Read<Self> {
        match value {
            PlainValue::Text(sql) => Self::with_args(path, sql, PlainValue::Undefined),
            PlainValue::Map(mut members) => {
                let mut take = |key: &str| {
                    members
                        .iter()
                        .position(|(name, _)| name == key)
                        .map_or(PlainValue::Undefined, |at| members.swap_remove(at).1)
                };
                let (sql, args) = (take("sql"), take("args"));
                let unknown = members.iter().find(|(_, it)| *it != PlainValue::Undefined);
                if let Some((name, _)) = unknown {
                    let path = format!("{path}.{name}");
                    return Err(OptionError::unknown(&path, name, &["sql", "args"]));
                }
                Self::from_parts(path, sql, args)
            }
            PlainValue::List(items) if (1..=2).contains(&items.len()) => {
                let mut items = items.into_iter();
                let sql = items.next().unwrap_or(PlainValue::Undefined);
                Self::from_parts(path, sql, items.next().unwrap_or(PlainValue::Undefined))
            }
            other => {
                let expected = "SQL text, { sql, args } or [sql, args]";
                Err(OptionError::wrong_type(path, expected, &other))
            }
        }
    }

    /// SQL text and its arguments, given apart.
    pub fn from_parts(path: &str, sql: PlainValue, args: PlainValue) -> Read<Self> {
        match sql {
            PlainValue::Text(sql) => Self::with_args(path, sql, args),
            other => Err(OptionError::wrong_type(
                &format!("{path}.sql"),
                "a string",
                &other,
            )),
        }
    }

    fn with_args(path: &str, sql: String, args: PlainValue) -> Read<Self> {
        if sql.contains('\0') {
            return Err(OptionError::bad_value(
                &format!("{path}.sql"),
                "must not contain the character U+0000",
            ));
        }
        let args = match args {
            PlainValue::Undefined | PlainValue::Null => Args::Positional(Vec::new()),
            PlainValue::List(items) => {
                check_count(path, items.len())?;
                let read = |(index, item)| read_argument(item, || format!("{path}.args[{index}]"));
                Args::Positional(
                    items
                        .into_iter()
                        .enumerate()
                        .map(read)
                        .collect::<Read<_>>()?,
                )
            }
            PlainValue::Map(members) => {
                check_count(path, members.len())?;
                let read = |(name, member): (String, PlainValue)| {
                    let value = read_argument(member, || format!("{path}.args.{name}"))?;
                    let bare = name.strip_prefix([':', '@', '$']).unwrap_or(&name);
                    Ok((bare.to_owned(), value))
                };
                Args::Named(members.into_iter().map(read).collect::<Read<_>>()?)
            }
            other => {
                let path = format!("{path}.args");
                return Err(OptionError::wrong_type(
                    &path,
                    "an array or an object",
                    &other,
                ));
            }
        };
        Ok(Self { sql, args })
    }
}

fn check_count(path: &str, count: usize) -> Read<()> {
    if count <= MAX_ARGUMENTS {
        return Ok(());
    }
    let expected = format!("at most {MAX_ARGUMENTS} arguments");
    Err(OptionError::out_of_range(
        &format!("{path}.args"),
        expected,
        count,
    ))
}

/// One argument as SQLite stores it. A JavaScript number is a REAL, as with `@libsql/client`: an integer
/// column turns it into an INTEGER by its affinity, and a bigint is one from the start.
fn read_argument(value: PlainValue, path: impl Fn() -> String) -> Read<Value> {
    Ok(match value {
        PlainValue::Null => Value::Null,
        PlainValue::Bool(flag) => Value::Integer(i64::from(flag)),
        PlainValue::Number(number) if number.is_finite() => Value::Real(number),
        PlainValue::Number(number) => {
            return Err(OptionError::out_of_range(
                &path(),
                "a finite number",
                number,
            ));
        }
        PlainValue::Integer(integer) => Value::Integer(integer),
        PlainValue::BigInteger(digits) => {
            return Err(OptionError::out_of_range(
                &path(),
                "a 64-bit signed integer",
                digits,
            ));
        }
        PlainValue::Text(text) => Value::Text(text),
        PlainValue::Bytes(bytes) => Value::Blob(bytes),
        PlainValue::Date(ms) if ms.is_finite() => Value::Real(ms),
        PlainValue::Date(_) => return Err(OptionError::bad_value(&path(), "is an invalid Date")),
        other => {
            let expected =
                "a string, number, bigint, boolean, null, Date, ArrayBuffer or typed array";
            return Err(OptionError::wrong_type(&path(), expected, &other));
        }
    })
}

/// The arguments of a statement by position. A parameter that was not given one is NULL, as with the usual client.
pub(super) fn positional_arguments<'a>(
    connection: &Connection,
    statement: &StatementId,
    args: &'a Args,
) -> Outcome<Vec<ValueRef<'a>>> {
    let count = connection
        .parameter_count(statement)
        .map_err(engine_failure)?;
    let given = match args {
        Args::Positional(given) if given.len() > count => {
            return Err(too_many_arguments(given.len(), count));
        }
        Args::Positional(given) => return Ok(given.iter().map(ValueRef::from).collect()),
        Args::Named(given) => given,
    };
    let mut values = vec![ValueRef::Null; count];
    let mut known = vec![false; given.len()];
    for (index, slot) in values.iter_mut().enumerate() {
        let parameter = connection
            .parameter_name(statement, index)
            .map_err(engine_failure)?;
        let Some(bare) = parameter.as_deref().and_then(|name| name.get(1..)) else {
            continue;
        };
        for ((name, value), known) in given.iter().zip(&mut known) {
            if name == bare {
                (*slot, *known) = (ValueRef::from(value), true);
            }
        }
    }
    match given.iter().zip(known).find(|(_, known)| !known) {
        Some(((name, _), _)) => Err(unknown_parameter(name)),
        None => Ok(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(items: Vec<PlainValue>) -> Read<Statement> {
        Statement::from_parts(
            "statement",
            PlainValue::Text("SELECT ?".into()),
            PlainValue::List(items),
        )
    }

    #[test]
    fn more_arguments_than_sqlite_takes_are_refused() {
        assert!(args(vec![PlainValue::Null; MAX_ARGUMENTS]).is_ok());
        assert_eq!(
            args(vec![PlainValue::Null; MAX_ARGUMENTS + 1])
                .unwrap_err()
                .message,
            "statement.args must be at most 32766 arguments, got 32767"
        );
    }

    #[test]
    fn each_unusable_argument_is_refused_by_its_path() {
        for (value, message) in [
            (
                PlainValue::Number(f64::NAN),
                "statement.args[0] must be a finite number, got NaN",
            ),
            (
                PlainValue::BigInteger("9223372036854775808".into()),
                "statement.args[0] must be a 64-bit signed integer, got 9223372036854775808",
            ),
            (
                PlainValue::Date(f64::NAN),
                "statement.args[0] is an invalid Date",
            ),
        ] {
            assert_eq!(args(vec![value]).unwrap_err().message, message);
        }
        let undefined = args(vec![PlainValue::Null, PlainValue::Undefined]).unwrap_err();
        assert!(
            undefined
                .message
                .starts_with("statement.args[1] must be a string")
        );
        assert!(undefined.message.ends_with("got undefined"));
    }

    #[test]
    fn a_member_that_is_neither_text_nor_arguments_is_refused() {
        let with = |name: &str, value| {
            let sql = ("sql".into(), PlainValue::Text("SELECT ?".into()));
            Statement::read(
                "statement",
                PlainValue::Map(vec![sql, (name.into(), value)]),
            )
        };
        let error = with("params", PlainValue::List(Vec::new())).unwrap_err();
        let message = "statement.params is not a known option; did you mean 'args'?";
        assert_eq!(error.message, message);
        assert!(with("params", PlainValue::Undefined).is_ok());
    }

    #[test]
    fn names_lose_their_prefix_and_a_nul_in_the_sql_is_refused() {
        let named = PlainValue::Map(vec![
            ("$a".into(), PlainValue::Null),
            ("b".into(), PlainValue::Bool(true)),
        ]);
        let statement =
            Statement::from_parts("statement", PlainValue::Text("SELECT 1".into()), named).unwrap();
        let expected = vec![
            ("a".to_owned(), Value::Null),
            ("b".to_owned(), Value::Integer(1)),
        ];
        assert_eq!(statement.args, Args::Named(expected));
        assert!(Statement::read("statement", PlainValue::Text("SELECT '\0'".into())).is_err());
    }
}
