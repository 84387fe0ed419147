//! Errors of metrics that cannot be registered.

use std::fmt;

/// A name that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricError {
    /// A metric or label name that Prometheus does not allow.
    BadName(String),
    /// A name of a user's that begins like those of this package.
    Reserved(String),
    /// The name is taken by a family of another type or with other labels or buckets.
    Taken(String),
    /// Not as many label values as label names.
    LabelCount {
        /// The number of label names of the family.
        expected: usize,
        /// The number of values given.
        got: usize,
    },
    /// Bucket bounds that do not ascend.
    BadBounds,
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName(name) => write!(f, "'{name}' is not a valid name for a metric or label"),
            Self::Reserved(name) => {
                write!(
                    f,
                    "'{name}' must not begin with moorline_: those are this package's own"
                )
            }
            Self::Taken(name) => {
                write!(
                    f,
                    "'{name}' is already a metric of another type or with other labels"
                )
            }
            Self::LabelCount { expected, got } => {
                write!(f, "expected {expected} label values, got {got}")
            }
            Self::BadBounds => f.write_str("bucket bounds must be finite and in ascending order"),
        }
    }
}

impl std::error::Error for MetricError {}
