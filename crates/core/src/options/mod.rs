//! Reading an options object: the one way from what a user wrote to normalized values.
//!
//! A service's `config.rs` asks an [`Options`] reader for each documented key with its default and range.
//! The reader knows the path (`options.pool.maxSize`), refuses wrong types and ranges with the reason, and
//! in [`Options::finish`] refuses keys that were not read, naming the nearest known one.

mod bounds;
mod nearest;
mod plain_value;
mod seconds;

use std::{cell::RefCell, fmt, ops::RangeInclusive, time::Duration};

pub use self::{
    bounds::{CopyBudget, Excess},
    nearest::{nearest, shown},
    plain_value::{NativeObject, PlainValue},
};
use crate::limit::Limit;

/// Which JavaScript error class a programmer's mistake throws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionErrorClass {
    /// `TypeError` with `ERR_INVALID_ARG_TYPE`: a value of the wrong type.
    Type,
    /// `TypeError` with `ERR_INVALID_ARG_VALUE`: the right type, a wrong or unknown value.
    Value,
    /// `RangeError` with `ERR_OUT_OF_RANGE`: a number outside its range.
    Range,
}

impl OptionErrorClass {
    /// Node's own code for this class.
    const fn code(self) -> &'static str {
        match self {
            Self::Type => "ERR_INVALID_ARG_TYPE",
            Self::Value => "ERR_INVALID_ARG_VALUE",
            Self::Range => "ERR_OUT_OF_RANGE",
        }
    }
}

/// A programmer's mistake, found before anything was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The class of the error that is thrown.
    pub class: OptionErrorClass,
    /// The whole message; it begins with the path.
    pub message: String,
    code: Option<&'static str>,
}

impl OptionError {
    /// A value of the wrong type: `path` must be `expected`, got … One that is too large is wrong for every reader, so
    /// it is told here for all of them.
    pub fn wrong_type(path: &str, expected: &str, got: &PlainValue) -> Self {
        if let PlainValue::Excess(excess) = got {
            let path = format!("{path}{}", excess.path());
            return Self::out_of_range(&path, excess.expected(), excess.got());
        }
        Self {
            class: OptionErrorClass::Type,
            message: format!("{path} must be {expected}, got {}", got.type_name()),
            code: None,
        }
    }

    /// A value that cannot be accepted, with the reason.
    pub fn bad_value(path: &str, reason: impl fmt::Display) -> Self {
        Self {
            class: OptionErrorClass::Value,
            message: format!("{path} {reason}"),
            code: None,
        }
    }

    /// A value of the right type that cannot be taken; `message` says which, and why.
    pub const fn unusable(message: String) -> Self {
        Self {
            class: OptionErrorClass::Value,
            message,
            code: None,
        }
    }

    /// A number outside its range.
    pub fn out_of_range(path: &str, expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        let got = match got.to_string().as_str() {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            got => got.to_owned(),
        };
        Self {
            class: OptionErrorClass::Range,
            message: format!("{path} must be {expected}, got {got}"),
            code: None,
        }
    }

    /// The code the usual client of the service gives for this mistake, in place of Node's own.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The error's code: Node's own for its class, unless the usual client has another.
    pub fn code(&self) -> &'static str {
        self.code.unwrap_or(self.class.code())
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OptionError {}

/// The result of reading an option.
pub type Read<T> = Result<T, OptionError>;

/// A value for a key that is not given: an environment variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// The key it stands for.
    pub key: &'static str,
    /// The name of the value in messages.
    pub name: String,
    /// Its value.
    pub value: PlainValue,
}

/// A reader over one options object.
pub struct Options<'a> {
    path: String,
    entries: &'a [(String, PlainValue)],
    fallbacks: &'a [Fallback],
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Options<'a> {
    /// A reader over `value`; `undefined` reads as an empty object. With an empty path the keys stand for themselves.
    pub fn new(path: &str, value: &'a PlainValue) -> Read<Self> {
        let entries = match value {
            PlainValue::Map(entries) => entries.as_slice(),
            PlainValue::Undefined => &[],
            other => return Err(OptionError::wrong_type(path, "an object", other)),
        };
        Ok(Self {
            path: path.to_owned(),
            entries,
            fallbacks: &[],
            known: RefCell::default(),
        })
    }

    /// The same reader, in which the first of the `fallbacks` for a key stands for one that is not given.
    #[must_use]
    pub fn with_fallbacks(mut self, fallbacks: &'a [Fallback]) -> Self {
        self.fallbacks = fallbacks;
        self
    }

    /// The path of one of its keys, or the name of what stands for it, for messages.
    pub fn path_of(&self, key: &str) -> String {
        match (self.given(key), self.fallback(key)) {
            (None, Some(fallback)) => fallback.name.clone(),
            _ if self.path.is_empty() => key.to_owned(),
            _ => format!("{}.{key}", self.path),
        }
    }

    pub(crate) fn given(&self, key: &str) -> Option<&'a PlainValue> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, PlainValue::Undefined))
    }

    fn fallback(&self, key: &str) -> Option<&'a Fallback> {
        self.fallbacks.iter().find(|fallback| fallback.key == key)
    }

    /// The raw value of a key; marks it as known.
    pub fn value(&self, key: &'static str) -> Option<&'a PlainValue> {
        self.known.borrow_mut().push(key);
        self.given(key)
            .or_else(|| self.fallback(key).map(|fallback| &fallback.value))
    }

    /// A string, if given.
    pub fn text(&self, key: &'static str) -> Read<Option<&'a str>> {
        match self.value(key) {
            None => Ok(None),
            Some(PlainValue::Text(text)) => Ok(Some(text)),
            Some(other) => Err(OptionError::wrong_type(
                &self.path_of(key),
                "a string",
                other,
            )),
        }
    }

    /// A string that must be given.
    pub fn required_text(&self, key: &'static str) -> Read<&'a str> {
        self.text(key)?.ok_or_else(|| {
            OptionError::wrong_type(&self.path_of(key), "a string", &PlainValue::Undefined)
        })
    }

    /// A boolean.
    pub fn flag(&self, key: &'static str, default: bool) -> Read<bool> {
        match self.value(key) {
            None => Ok(default),
            Some(PlainValue::Bool(flag)) => Ok(*flag),
            Some(other) => Err(OptionError::wrong_type(
                &self.path_of(key),
                "a boolean",
                other,
            )),
        }
    }

    /// A number within `range`, if given.
    pub fn number(&self, key: &'static str, range: RangeInclusive<f64>) -> Read<Option<f64>> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let PlainValue::Number(number) = *value else {
            return Err(OptionError::wrong_type(
                &self.path_of(key),
                "a number",
                value,
            ));
        };
        if range.contains(&number) {
            return Ok(Some(number));
        }
        Err(OptionError::out_of_range(
            &self.path_of(key),
            describe(&range, number),
            number,
        ))
    }

    /// A whole number within `range`.
    pub fn integer(
        &self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Read<u64> {
        let range = *range.start() as f64..=*range.end() as f64;
        let Some(number) = self.number(key, range.clone())? else {
            return Ok(default);
        };
        if number.fract() != 0.0 {
            return Err(OptionError::out_of_range(
                &self.path_of(key),
                format!("a whole number {}", describe(&range, number)),
                number,
            ));
        }
        Ok(number as u64)
    }

    /// A whole number within `range`, or `Infinity` to turn the limit off.
    pub fn integer_limit(
        &self,
        key: &'static str,
        default: Limit<u64>,
        range: RangeInclusive<u64>,
    ) -> Read<Limit<u64>> {
        if matches!(self.value(key), Some(PlainValue::Number(n)) if *n == f64::INFINITY) {
            return Ok(Limit::Off);
        }
        match default {
            Limit::At(number) => self.integer(key, number, range).map(Limit::At),
            Limit::Off if self.value(key).is_none() => Ok(Limit::Off),
            Limit::Off => self.integer(key, 0, range).map(Limit::At),
        }
    }

    /// A duration in milliseconds of at least `min_ms`.
    pub fn ms(&self, key: &'static str, default: Duration, min_ms: f64) -> Read<Duration> {
        let given = self.number(key, min_ms..=f64::MAX)?;
        Ok(given.map_or(default, |ms| seconds::duration(ms / 1000.0)))
    }

    /// A duration in milliseconds, or `Infinity` to turn the limit off.
    pub fn ms_limit(
        &self,
        key: &'static str,
        default: Limit<Duration>,
        min_ms: f64,
    ) -> Read<Limit<Duration>> {
        match self.value(key) {
            None => Ok(default),
            Some(PlainValue::Number(n)) if *n == f64::INFINITY => Ok(Limit::Off),
            Some(_) => self.ms(key, Duration::ZERO, min_ms).map(Limit::At),
        }
    }

    /// One of a closed set of words.
    pub fn choice<T: Copy>(&self, key: &'static str, default: T, choices: &[(&str, T)]) -> Read<T> {
        let Some(word) = self.text(key)? else {
            return Ok(default);
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Ok(*choice);
        }
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("'{name}'"))
            .collect();
        Err(OptionError::bad_value(
            &self.path_of(key),
            format!("must be {}, got '{word}'", names.join(" or ")),
        ))
    }

    /// A nested options object, if given.
    pub fn nested(&self, key: &'static str) -> Read<Option<Options<'a>>> {
        self.value(key)
            .map(|value| Options::new(&self.path_of(key), value))
            .transpose()
    }

    /// An array, if given.
    pub fn list(&self, key: &'static str) -> Read<Option<&'a [PlainValue]>> {
        match self.value(key) {
            None => Ok(None),
            Some(PlainValue::List(items)) => Ok(Some(items)),
            Some(other) => Err(OptionError::wrong_type(
                &self.path_of(key),
                "an array",
                other,
            )),
        }
    }

    /// Refuses every key that was not read.
    pub fn finish(self) -> Read<()> {
        self.finish_with(&[])
    }

    /// The same, where a key may have been meant for one of the paths `elsewhere`.
    pub fn finish_with(self, elsewhere: &[&str]) -> Read<()> {
        let known = self.known.borrow();
        for (key, value) in self.entries {
            if matches!(value, PlainValue::Undefined) || known.contains(&key.as_str()) {
                continue;
            }
            let known: Vec<_> = known.iter().chain(elsewhere).copied().collect();
            return Err(OptionError::unknown(&self.path_of(key), key, &known));
        }
        Ok(())
    }
}

/// A range in words. Both of its ends, where it has two.
fn describe(range: &RangeInclusive<f64>, got: f64) -> String {
    let (least, most) = (range.start(), range.end());
    if *most < f64::MAX {
        format!("between {least} and {most}")
    } else if got == f64::INFINITY {
        format!("≥ {least} and finite")
    } else {
        format!("≥ {least}")
    }
}
