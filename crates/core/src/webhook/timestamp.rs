//! Timestamps: read strictly, and checked against the window on both sides of now.

use std::time::Duration;

use super::{
    scheme::{Scheme, Window},
    verification::Reason,
};
use crate::limit::Limit;

/// Twelve digits of seconds reach the year 33658.
const MAX_SECOND_DIGITS: usize = 12;
/// Thirteen digits of milliseconds reach the year 2286.
const MAX_MS_DIGITS: usize = 13;

/// The window a verifier applies: the caller's bounds, the scheme's own where the caller set none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowOverride {
    /// The greatest age.
    pub max_age: Option<Limit<Duration>>,
    /// The greatest distance into the future.
    pub tolerance: Option<Limit<Duration>>,
}

impl WindowOverride {
    /// The time for which a request stamped `ahead` of now may be accepted, by any clock within the tolerance; what a
    /// replay store has to remember.
    pub fn span(&self, window: Window, ahead: Duration) -> Limit<Duration> {
        let Limit::At(past) = self.max_age(window) else {
            return Limit::Off;
        };
        let future = match self.tolerance(window) {
            Limit::At(tolerance) => tolerance,
            Limit::Off => window.tolerance.max(ahead),
        };
        Limit::At(past.saturating_add(future))
    }

    fn max_age(&self, window: Window) -> Limit<Duration> {
        self.max_age.unwrap_or(Limit::At(window.max_age))
    }

    fn tolerance(&self, window: Window) -> Limit<Duration> {
        self.tolerance.unwrap_or(Limit::At(window.tolerance))
    }
}

/// Seconds since the epoch: 1 to 12 digits and nothing else.
pub fn seconds(text: &str) -> Option<i64> {
    digits(text, MAX_SECOND_DIGITS)
}

fn digits(text: &str, max: usize) -> Option<i64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits && text.len() <= max)
        .then(|| text.parse().ok())
        .flatten()
}

impl Scheme {
    /// The timestamp in milliseconds, from its text as sent.
    pub fn timestamp_ms(&self, text: &str) -> Result<i64, Reason> {
        let ms = if self.timestamp_in_ms {
            digits(text, MAX_MS_DIGITS)
        } else {
            digits(text, MAX_SECOND_DIGITS).map(|seconds| seconds * 1000)
        };
        ms.ok_or(Reason::InvalidFormat)
    }

    /// The text of a timestamp to be signed.
    pub fn timestamp_text(&self, at_ms: i64) -> String {
        if self.timestamp_in_ms {
            at_ms.to_string()
        } else {
            at_ms.div_euclid(1000).to_string()
        }
    }
}

/// Refuses a timestamp outside the window. The bounds themselves are inside.
pub fn check(
    given: &WindowOverride,
    window: Window,
    timestamp_ms: i64,
    now_ms: i64,
) -> Result<(), Reason> {
    let age_ms = now_ms.saturating_sub(timestamp_ms);
    let elapsed = Duration::from_millis(age_ms.unsigned_abs());
    if age_ms > 0 {
        if let Limit::At(max) = given.max_age(window)
            && elapsed > max
        {
            return Err(Reason::TooOld {
                age_s: age_ms / 1000,
                max_ms: max.as_millis(),
            });
        }
    } else if let Limit::At(max) = given.tolerance(window)
        && elapsed > max
    {
        return Err(Reason::Future);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn only_plain_digits_of_a_sane_length_are_a_timestamp() {
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        assert_eq!(seconds("999999999999"), Some(999_999_999_999));
        for bad in [
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "١",
            "1000000000000",
        ] {
            assert_eq!(seconds(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn both_bounds_are_inclusive() {
        let check = |timestamp| check(&WindowOverride::default(), Window::DEFAULT, timestamp, NOW);
        assert_eq!(check(NOW - 300_000), Ok(()));
        assert_eq!(
            check(NOW - 300_001),
            Err(Reason::TooOld {
                age_s: 300,
                max_ms: 300_000
            })
        );
        assert_eq!(check(NOW + 60_000), Ok(()));
        assert_eq!(check(NOW + 60_001), Err(Reason::Future));
    }

    #[test]
    fn the_callers_bounds_win_over_the_schemes_and_can_be_turned_off() {
        let window = WindowOverride {
            max_age: Some(Limit::Off),
            tolerance: Some(Limit::At(Duration::ZERO)),
        };
        let narrow = Window::both_ways(Duration::from_secs(5));
        assert_eq!(check(&window, narrow, 0, NOW), Ok(()));
        assert_eq!(check(&window, narrow, NOW + 1, NOW), Err(Reason::Future));
    }

    #[test]
    fn a_request_may_come_again_until_its_stamp_is_too_old() {
        let narrow = Window::both_ways(Duration::from_secs(5));
        let hour = Duration::from_hours(1);
        let span = |max_age, tolerance, ahead| {
            let window = WindowOverride { max_age, tolerance };
            window.span(narrow, ahead)
        };
        let ten_seconds = Limit::At(Duration::from_secs(10));
        assert_eq!(span(None, None, Duration::ZERO), ten_seconds);
        assert_eq!(span(None, Some(Limit::Off), Duration::ZERO), ten_seconds);
        let after_an_hour = Limit::At(hour + Duration::from_secs(5));
        assert_eq!(span(None, Some(Limit::Off), hour), after_an_hour);
        assert_eq!(span(Some(Limit::Off), None, hour), Limit::Off);
    }

    #[test]
    fn no_clock_makes_it_overflow() {
        for now in [i64::MIN, 0, i64::MAX] {
            for timestamp in [0, 9_999_999_999_999, i64::MAX] {
                assert!(
                    check(&WindowOverride::default(), Window::DEFAULT, timestamp, now).is_err()
                        || now == timestamp
                );
            }
        }
    }
}
