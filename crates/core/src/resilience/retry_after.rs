//! The server's wait before a retry: `Retry-After` (RFC 9110) and `retry-after-ms`.

use std::time::{Duration, SystemTime};

/// Reads the two headers; `now` is the wall clock, for the form that is a date. `retry-after-ms`, being the
/// finer, wins. `None` when neither is present or readable; a date in the past is zero.
pub fn retry_after(
    retry_after: Option<&str>,
    retry_after_ms: Option<&str>,
    now: SystemTime,
) -> Option<Duration> {
    retry_after_ms
        .and_then(|value| number(value, 1000.0))
        .or_else(|| {
            let value = retry_after?;
            number(value, 1.0).or_else(|| date(value, now))
        })
}

/// A non-negative decimal number of units, `units_per_second` to the second. Servers do send fractions.
fn number(value: &str, units_per_second: f64) -> Option<Duration> {
    let value = value.trim();
    // `parse` would also take "inf", "1e9" and "+5".
    let plain = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = value.parse().ok().filter(|_| plain)?;
    Some(Duration::try_from_secs_f64(number / units_per_second).unwrap_or(Duration::MAX))
}

fn date(value: &str, now: SystemTime) -> Option<Duration> {
    let at = httpdate::parse_http_date(value.trim()).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_and_milliseconds() {
        let now = at(0);
        let seconds = Duration::from_secs;
        assert_eq!(retry_after(Some("120"), None, now), Some(seconds(120)));
        assert_eq!(retry_after(Some(" 0 "), None, now), Some(Duration::ZERO));
        assert_eq!(
            retry_after(Some("2"), Some("1500"), now),
            Some(Duration::from_millis(1500))
        );
        assert_eq!(retry_after(Some("2"), Some("soon"), now), Some(seconds(2)));
    }

    #[test]
    fn dates_are_measured_from_the_given_clock() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            retry_after(date, None, at(784_111_767)),
            Some(Duration::from_secs(10))
        );
        assert_eq!(
            retry_after(date, None, at(784_111_999)),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn unreadable_values_are_ignored_and_huge_ones_saturate() {
        for value in ["", "-5", "+5", "1e9", "inf", "NaN", "soon", "."] {
            assert_eq!(retry_after(Some(value), None, at(0)), None, "{value}");
        }
        let huge = "9".repeat(400);
        assert_eq!(retry_after(Some(&huge), None, at(0)), Some(Duration::MAX));
    }
}
