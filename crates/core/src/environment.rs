//! Environment variables as option values, read strictly.
//!
//! A bad value is an error that names its variable.

use crate::options::{Fallback, OptionError, PlainValue, Read};

/// The form in which a variable's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Text, taken as it is.
    Text,
    /// A word of a closed set, in any case.
    Word,
    /// A decimal number, or `Infinity`.
    Number,
    /// `true`, `false`, `1` or `0`.
    Flag,
}

impl Form {
    /// The value of the variable `name`; nothing when it is empty.
    pub fn read(self, name: &str, text: &str) -> Read<Option<PlainValue>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let bad =
            |expected| OptionError::bad_value(name, format!("must be {expected}, got '{text}'"));
        Ok(Some(match self {
            Self::Text => PlainValue::Text(text.to_owned()),
            Self::Word => PlainValue::Text(text.to_ascii_lowercase()),
            Self::Number => PlainValue::Number(number(text).ok_or_else(|| bad("a number"))?),
            Self::Flag => PlainValue::Bool(flag(text).ok_or_else(|| bad("true or false"))?),
        }))
    }

    /// The variable `name`, where `lookup` has it, as the fallback of the option `key`.
    pub fn fallback<'v>(
        self,
        key: &'static str,
        name: String,
        lookup: impl FnOnce(&str) -> Option<&'v str>,
    ) -> Read<Option<Fallback>> {
        let Some(text) = lookup(&name) else {
            return Ok(None);
        };
        let value = self.read(&name, text)?;
        Ok(value.map(|value| Fallback { key, name, value }))
    }
}

/// Whether the variables say that this is production: `ENVIRONMENT`, and where that is not set `NODE_ENV`.
pub fn is_production(variables: &PlainValue) -> bool {
    let PlainValue::Map(entries) = variables else {
        return false;
    };
    let lookup = |name| entries.iter().find(|(key, _)| key == name);
    let environment = lookup("ENVIRONMENT").or_else(|| lookup("NODE_ENV"));
    matches!(environment, Some((_, PlainValue::Text(text))) if text == "production")
}

/// Rust would read `nan` and `inf` as well, which are no numbers here.
fn number(text: &str) -> Option<f64> {
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    match text {
        "Infinity" => Some(f64::INFINITY),
        _ if text.chars().all(decimal) => text.parse().ok(),
        _ => None,
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_is_an_error_that_names_the_variable() {
        for (form, text) in [
            (Form::Number, "5s"),
            (Form::Number, "nan"),
            (Form::Number, "inf"),
            (Form::Flag, "maybe"),
        ] {
            let error = form.read("VITE_X", text).unwrap_err();
            assert!(error.message.starts_with("VITE_X must be "), "{error}");
            assert!(error.message.ends_with(&format!("got '{text}'")), "{error}");
        }
    }

    #[test]
    fn environment_comes_before_node_env() {
        let text =
            |(name, value): (&str, &str)| (name.to_owned(), PlainValue::Text(value.to_owned()));
        let is_production = |variables: &[_]| {
            let entries = variables.iter().copied().map(text).collect();
            is_production(&PlainValue::Map(entries))
        };
        let node = ("NODE_ENV", "production");
        assert!(is_production(&[node]) && is_production(&[("ENVIRONMENT", "production")]));
        assert!(!is_production(&[("ENVIRONMENT", "staging"), node]));
        assert!(!is_production(&[]) && !super::is_production(&PlainValue::Undefined));
    }

    #[test]
    fn an_empty_variable_is_absent() {
        for form in [Form::Text, Form::Word, Form::Number, Form::Flag] {
            assert_eq!(form.read("VITE_X", " "), Ok(None));
        }
    }

    #[test]
    fn numbers_flags_and_words_are_read_as_such() {
        let read = |form: Form, text| form.read("X", text).unwrap().unwrap();
        assert_eq!(read(Form::Number, " 1.5 "), PlainValue::Number(1.5));
        assert_eq!(
            read(Form::Number, "Infinity"),
            PlainValue::Number(f64::INFINITY)
        );
        assert_eq!(read(Form::Flag, "TRUE"), PlainValue::Bool(true));
        assert_eq!(read(Form::Flag, "0"), PlainValue::Bool(false));
        assert_eq!(
            read(Form::Word, "MAXIMUM"),
            PlainValue::Text("maximum".into())
        );
    }
}
