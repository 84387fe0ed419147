//! Moments of the monotonic clock as times of the day, for people.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since 1970 of a moment in the past or the future.
pub(super) fn epoch_ms(moment: Instant) -> f64 {
    let now = Instant::now();
    let time = match moment.checked_duration_since(now) {
        Some(ahead) => SystemTime::now().checked_add(ahead),
        None => SystemTime::now().checked_sub(now - moment),
    };
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (since.unwrap_or_default().as_secs_f64() * 1000.0).round()
}

/// The ISO time `ahead` from now, as `Date.prototype.toISOString` writes it.
pub(super) fn iso_in(ahead: Duration) -> String {
    let at = SystemTime::now() + ahead;
    Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_before_now_and_the_future_after() {
        let now = epoch_ms(Instant::now());
        let hour = Duration::from_hours(1);
        assert!((epoch_ms(Instant::now() + hour) - now - 3_600_000.0).abs() < 1000.0);
        if let Some(past) = Instant::now().checked_sub(Duration::from_millis(500)) {
            assert!((now - epoch_ms(past) - 500.0).abs() < 400.0);
        }
    }

    #[test]
    fn times_look_like_those_of_javascript() {
        let shown = iso_in(Duration::ZERO);
        assert_eq!(shown.len(), "2024-01-01T00:00:00.000Z".len(), "{shown}");
    }
}
