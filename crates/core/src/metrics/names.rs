//! Names and label values: which are valid, and how many are told apart.

use std::collections::{BTreeMap, BTreeSet};

use super::{MetricError, shorten};

/// The number of names that are told apart under one label. Further ones, such as ids given as names, share one row
/// named [`OTHER`], so that memory does not grow without end.
pub(super) const MAX_NAMES: usize = 1_000;
const OTHER: &str = "other";

/// The values of a series: each if it is known or there is room for one more.
pub(super) fn bounded_label_values(
    labels: &[(&str, &str)],
    names: &mut BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let bounded = |(label, value): &(&str, &str)| {
        let value = shorten(value).into_owned();
        let known = names.entry((*label).to_owned()).or_default();
        if known.len() < MAX_NAMES && !value.is_empty() {
            known.insert(value.clone());
        } else if !known.contains(&value) && !value.is_empty() {
            return OTHER.to_owned();
        }
        value
    };
    labels.iter().map(bounded).collect()
}

/// The name of a counter as it is shown.
pub(super) fn total_name(name: &str) -> String {
    if name.ends_with("_total") {
        name.to_owned()
    } else {
        format!("{name}_total")
    }
}

pub(super) fn check_bounds(bounds: &[f64]) -> Result<(), MetricError> {
    let ascend = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if ascend && bounds.iter().all(|bound| bound.is_finite()) {
        return Ok(());
    }
    Err(MetricError::BadBounds)
}

/// Letters, digits and underscores (a metric may also have colons), not beginning with a digit.
pub(super) fn is_valid_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(allowed) && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit())
}
