//! Limits on the size of a JavaScript value that is copied.
//!
//! A sparse array of any length is free in JavaScript (`new Array(2 ** 32 - 1)`); its copy could exhaust the memory of
//! the process. So a value is read against one [`CopyBudget`], far above any real use; what exceeds it is an [`Excess`].

use std::fmt;

/// The deepest nesting of lists and objects. Options and arguments are shallow; anything deeper is a cycle or a
/// mistake.
const MAX_DEPTH: usize = 16;
/// Elements of one list, members of one object.
const MAX_LENGTH: u32 = 1_000_000;
/// Values in all: a series of a million points, or a batch of a hundred thousand statements of thirty arguments.
const MAX_VALUES: usize = 4_000_000;
/// Text, bytes and names in all. SQLite takes no text and no blob over a billion bytes.
const MAX_BYTES: usize = 1 << 30;

/// The reason why a value was not copied, and the part of it that is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    path: String,
    expected: String,
    got: String,
}

impl Excess {
    fn new(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self {
            path: String::new(),
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }

    /// A part for which there was no memory.
    pub fn of_memory(bytes: usize) -> Self {
        Self::new("small enough for the available memory", Bytes(bytes))
    }

    /// The same, seen from the parent value: `step` (`[3]` or `.name`) leads to the part.
    #[must_use]
    pub fn within(mut self, step: impl fmt::Display) -> Self {
        self.path = format!("{step}{}", self.path);
        self
    }

    /// The path from the value to the part: `.args[3]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The required form of the part.
    pub(super) fn expected(&self) -> &str {
        &self.expected
    }

    /// The part that exceeds the bounds.
    pub(super) fn got(&self) -> &str {
        &self.got
    }
}

struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// The remaining allowance of one value.
pub struct CopyBudget {
    values: usize,
    bytes: usize,
}

impl Default for CopyBudget {
    fn default() -> Self {
        Self {
            values: MAX_VALUES,
            bytes: MAX_BYTES,
        }
    }
}

impl CopyBudget {
    /// Takes one more value, nested in `depth` lists and objects.
    pub fn take_value(&mut self, depth: usize) -> Result<(), Excess> {
        if depth > MAX_DEPTH {
            let expected = format!("nested at most {MAX_DEPTH} levels deep");
            return Err(Excess::new(expected, "a deeper or circular value"));
        }
        self.values = self.values.checked_sub(1).ok_or_else(Self::too_many)?;
        Ok(())
    }

    /// Takes the bytes of a text or a buffer.
    pub fn take_bytes(&mut self, length: usize) -> Result<(), Excess> {
        self.bytes = self
            .bytes
            .checked_sub(length)
            .ok_or_else(|| Excess::new(format!("at most {MAX_BYTES} bytes in total"), "more"))?;
        Ok(())
    }

    /// Checks the length of a list.
    pub fn check_list(&self, length: u32) -> Result<(), Excess> {
        self.check(length, "elements", "an array")
    }

    /// Checks the number of members of an object.
    pub fn check_map(&self, length: u32) -> Result<(), Excess> {
        self.check(length, "members", "an object")
    }

    fn check(&self, length: u32, of: &str, what: &str) -> Result<(), Excess> {
        if length > MAX_LENGTH {
            let expected = format!("at most {MAX_LENGTH} {of} long");
            return Err(Excess::new(expected, format!("{what} of {length}")));
        }
        if length as usize > self.values {
            return Err(Self::too_many());
        }
        Ok(())
    }

    fn too_many() -> Excess {
        Excess::new(format!("at most {MAX_VALUES} values in total"), "more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{OptionError, OptionErrorClass, Options, PlainValue};

    #[test]
    fn a_length_is_refused_before_anything_is_read() {
        let budget = CopyBudget::default();
        assert!(budget.check_list(MAX_LENGTH).is_ok());
        let excess = budget.check_list(u32::MAX).unwrap_err();
        assert_eq!(excess.expected(), "at most 1000000 elements long");
        assert_eq!(excess.got(), "an array of 4294967295");
        assert!(budget.check_map(MAX_LENGTH + 1).is_err());
    }

    #[test]
    fn the_budget_is_of_the_whole_and_not_of_each_part() {
        let mut budget = CopyBudget::default();
        for _ in 0..MAX_VALUES {
            budget.take_value(1).unwrap();
        }
        assert!(budget.take_value(1).is_err());
        assert!(budget.check_list(1).is_err());
        budget.take_bytes(MAX_BYTES - 1).unwrap();
        assert!(budget.take_bytes(2).is_err());
        budget.take_bytes(1).unwrap();
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        assert!(CopyBudget::default().take_value(MAX_DEPTH).is_ok());
        assert!(CopyBudget::default().take_value(MAX_DEPTH + 1).is_err());
    }

    #[test]
    fn an_excess_is_a_range_error_that_names_the_part() {
        let excess = CopyBudget::default().check_list(u32::MAX).unwrap_err();
        let given = PlainValue::Excess(Box::new(excess.within("[3]").within(".args")));
        let error = OptionError::wrong_type("options", "an object", &given);
        assert_eq!(error.class, OptionErrorClass::Range);
        assert_eq!(error.code(), "ERR_OUT_OF_RANGE");
        assert_eq!(
            error.message,
            "options.args[3] must be at most 1000000 elements long, got an array of 4294967295"
        );
        assert_eq!(Options::new("options", &given).err(), Some(error));
    }
}
