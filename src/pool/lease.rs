//! Leases, which are numbers in JavaScript.

use moorline_core::pool::Lease;

use crate::bridge::{Call, ReturnValue};

/// The lease that is an argument of a call.
pub(crate) fn lease_argument(call: &Call, index: usize) -> Option<Lease> {
    call.number(index)
        .map(|number| Lease::from_number(number as u64))
}

/// A lease, or undefined for none.
pub(crate) fn lease_value(lease: Option<Lease>) -> ReturnValue {
    lease.map_or(ReturnValue::Undefined, |lease| {
        ReturnValue::Number(lease.number() as f64)
    })
}
