//! A point in time in the caller's notation.
//!
//! The times of a result are written as those of the request were.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    fmt::temporal::{Pieces, PiecesOffset},
    tz::Offset,
};
use moorline_core::options::PlainValue;

use super::frequency::Frequency;

/// A local time and how it was written. Without an offset it is taken as UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    local: DateTime,
    offset: Offset,
    style: Style,
    clock: Clock,
}

/// The form of the time of day; `T00:00:00` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Clock {
    /// A space stands before it, as pandas and SQL write.
    spaced: bool,
    /// Precise to minutes only.
    minutes: bool,
    /// At least so many digits of a second; as many as it takes where nothing is said.
    digits: Option<usize>,
}

impl Clock {
    /// `text` is a time that was read, with a time of day in it.
    fn of(text: &str) -> Self {
        let (_, time) = text.split_at(text.find(['T', 't', ' ']).unwrap_or(text.len()));
        let fraction = time.split_once(['.', ',']).map(|(_, rest)| {
            rest.find(|each: char| !each.is_ascii_digit())
                .unwrap_or(rest.len())
        });
        let time = time.get(1..).unwrap_or_default();
        let until = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
        Self {
            spaced: text.contains(' '),
            minutes: time[..until].matches(':').count() == 1,
            digits: fraction,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `2024-01-01`
    Date,
    /// `2024-01-01T00:00:00`
    Local,
    /// `2024-01-01T00:00:00Z`
    Zulu,
    /// `2024-01-01T00:00:00+02:00`
    Offset,
}

impl Moment {
    /// Reads an ISO 8601 string, a `Date`, or milliseconds since the epoch.
    pub fn read(value: &PlainValue) -> Option<Self> {
        match value {
            PlainValue::Text(text) => Self::parse(text),
            PlainValue::Date(ms) | PlainValue::Number(ms) => Self::from_ms(*ms),
            PlainValue::Integer(ms) => Timestamp::from_millisecond(*ms).ok().map(Self::at),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let pieces = Pieces::parse(text).ok()?;
        let (offset, style) = match pieces.offset() {
            Some(PiecesOffset::Zulu) => (Offset::UTC, Style::Zulu),
            Some(_) => (pieces.to_numeric_offset()?, Style::Offset),
            // A named zone alone would need the zone's history.
            None if pieces.time_zone_annotation().is_some() => return None,
            None if pieces.time().is_none() => (Offset::UTC, Style::Date),
            None => (Offset::UTC, Style::Local),
        };
        let clock = pieces.time().map(|_| Clock::of(text));
        let time = pieces.time().unwrap_or(Time::midnight());
        Some(Self {
            local: pieces.date().to_datetime(time),
            offset,
            style,
            clock: clock.unwrap_or_default(),
        })
    }

    fn from_ms(ms: f64) -> Option<Self> {
        // Beyond the range of `Date` nothing is exact any more; `as` saturates and would hide it.
        (ms.abs() <= 8.64e15)
            .then(|| Timestamp::from_microsecond((ms * 1000.0).round() as i64).ok())?
            .map(Self::at)
    }

    /// A `Date` or a number of milliseconds: shown as `Date.prototype.toISOString` does.
    fn at(instant: Timestamp) -> Self {
        Self {
            local: Offset::UTC.to_datetime(instant),
            offset: Offset::UTC,
            style: Style::Zulu,
            clock: Clock {
                digits: Some(3),
                ..Clock::default()
            },
        }
    }

    /// The time on the caller's calendar.
    pub const fn local(&self) -> DateTime {
        self.local
    }

    /// The time on the UTC clock.
    pub fn utc(&self) -> DateTime {
        self.local
            .saturating_sub(jiff::SignedDuration::from_secs(i64::from(
                self.offset.seconds(),
            )))
    }

    /// The scale on which the steps of `frequency` are counted: the clock, or the calendar.
    pub fn position(&self, frequency: &Frequency) -> DateTime {
        if frequency.is_fixed() {
            self.utc()
        } else {
            self.local
        }
    }

    /// Another time on the same calendar, written in the same way.
    #[must_use]
    pub fn moved_to(&self, local: DateTime) -> Self {
        let needs_time = self.style == Style::Date && local.time() != Time::midnight();
        Self {
            local,
            style: if needs_time { Style::Local } else { self.style },
            ..*self
        }
    }

    /// Whether both are written with the same offset.
    pub fn same_offset(&self, other: &Self) -> bool {
        self.offset == other.offset
    }

    /// As the service reads it: ISO 8601, with the offset where the caller gave one.
    pub fn to_wire(self) -> String {
        match self.style {
            Style::Offset => format!("{}{}", self.local, Rfc3339(self.offset)),
            _ => self.local.to_string(),
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.local.date())?;
        if self.style == Style::Date {
            return Ok(());
        }
        f.write_str(if self.clock.spaced { " " } else { "T" })?;
        let time = self.local.time();
        // A step can lead to seconds that no earlier time had.
        if self.clock.minutes && time.second() == 0 && time.subsec_nanosecond() == 0 {
            write!(f, "{:02}:{:02}", time.hour(), time.minute())?;
        } else if let Some(digits) = self.clock.digits {
            let digits = digits.max(fraction_digits(time));
            write!(f, "{time:.digits$}")?;
        } else {
            write!(f, "{time}")?;
        }
        match self.style {
            Style::Date | Style::Local => Ok(()),
            Style::Zulu => f.write_str("Z"),
            Style::Offset => write!(f, "{}", Rfc3339(self.offset)),
        }
    }
}

/// The number of digits of a time's fraction of a second.
fn fraction_digits(time: Time) -> usize {
    let mut rest = time.subsec_nanosecond();
    let mut digits = if rest == 0 { 0 } else { 9 };
    while rest != 0 && rest % 10 == 0 {
        rest /= 10;
        digits -= 1;
    }
    digits
}

/// An offset as RFC 3339 writes it, which JavaScript's `Date` needs: `+02:00`.
struct Rfc3339(Offset);

impl std::fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.seconds();
        let minutes = seconds.abs() / 60;
        let sign = if seconds < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<Moment> {
        Moment::read(&PlainValue::Text(value.to_owned()))
    }

    #[test]
    fn a_time_is_shown_as_it_was_written() {
        for written in [
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00.25Z",
            "2024-01-01T00:00:00-03:30",
            "2024-01-01 00:00:00",
            "2024-01-01 00:00:00.000",
            "2024-01-01T00:00:00.000Z",
            "2024-01-01T00:00:00.500000+01:00",
            "2024-01-01T00:00",
            "2024-01-01T00:00Z",
            "2024-01-01 00:00-03:30",
        ] {
            assert_eq!(text(written).unwrap().to_string(), written);
        }
        let date = Moment::read(&PlainValue::Date(1_704_067_200_000.0)).unwrap();
        assert_eq!(date.to_string(), "2024-01-01T00:00:00.000Z");
        assert_eq!(
            Moment::read(&PlainValue::Integer(1_704_067_200_000)),
            Some(date)
        );
    }

    #[test]
    fn a_finer_step_shows_the_seconds_it_leads_to() {
        let seconds = Frequency::parse("30s").unwrap();
        let minute = text("2024-01-01 00:00").unwrap();
        let after = |steps| {
            minute
                .moved_to(seconds.nth(minute.local(), steps).unwrap())
                .to_string()
        };
        assert_eq!(after(1), "2024-01-01 00:00:30");
        assert_eq!(after(2), "2024-01-01 00:01");
    }

    #[test]
    fn a_finer_step_shows_the_fractions_it_leads_to() {
        let after = |frequency: &str, written: Moment| {
            let frequency = Frequency::parse(frequency).unwrap();
            let local = frequency.nth(written.local(), 1).unwrap();
            written.moved_to(local).to_string()
        };
        let tenths = text("2024-01-01T00:00:00.0Z").unwrap();
        assert_eq!(after("50ms", tenths), "2024-01-01T00:00:00.05Z");
        assert_eq!(after("1s", tenths), "2024-01-01T00:00:01.0Z");
        let date = Moment::read(&PlainValue::Date(1_704_067_200_000.0)).unwrap();
        assert_eq!(after("100ms", date), "2024-01-01T00:00:00.100Z");
        assert_eq!(after("250us", date), "2024-01-01T00:00:00.00025Z");
        let minute = text("2024-01-01 00:00").unwrap();
        assert_eq!(after("1500ms", minute), "2024-01-01 00:00:01.5");
    }

    #[test]
    fn what_is_no_time_is_not_read() {
        for value in [
            "",
            "yesterday",
            "2024-13-01",
            "01/02/2024",
            "2024-01-01T00:00[Europe/Berlin]",
        ] {
            assert_eq!(text(value), None, "{value}");
        }
        for value in [f64::NAN, f64::INFINITY, 9e15] {
            assert_eq!(Moment::read(&PlainValue::Number(value)), None);
        }
        assert_eq!(Moment::read(&PlainValue::Null), None);
    }

    #[test]
    fn hours_are_counted_on_the_clock_and_days_on_the_calendar() {
        let hourly = Frequency::parse("h").unwrap();
        let daily = Frequency::parse("D").unwrap();
        // The night in which Berlin's clocks go forward.
        let before = text("2024-03-31T01:00:00+01:00").unwrap();
        let after = text("2024-03-31T03:00:00+02:00").unwrap();
        assert_eq!(
            hourly.nth(before.position(&hourly), 1),
            Some(after.position(&hourly))
        );
        let midnight = text("2024-03-31T00:00:00+01:00").unwrap();
        let next = text("2024-04-01T00:00:00+02:00").unwrap();
        assert_eq!(
            daily.nth(midnight.position(&daily), 1),
            Some(next.position(&daily))
        );
    }

    #[test]
    fn a_date_that_gets_a_time_of_day_shows_it() {
        let hourly = Frequency::parse("h").unwrap();
        let day = text("2024-01-01").unwrap();
        let after = |hours| {
            day.moved_to(hourly.nth(day.local(), hours).unwrap())
                .to_string()
        };
        assert_eq!(after(1), "2024-01-01T01:00:00");
        assert_eq!(after(24), "2024-01-02");
    }
}
