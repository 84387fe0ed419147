//! Frequencies of series: pandas' strings, which the service takes, and short forms.

use jiff::{SignedDuration, Span, civil::DateTime};

/// The distance between two points: a count of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequency {
    count: i64,
    unit: Unit,
    alias: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A fixed number of nanoseconds.
    Clock(i64),
    Day,
    BusinessDay,
    Week,
    /// Months, counted on the day of the first point or on the last day of the month.
    Month {
        months: i64,
        at_end: bool,
    },
}

const fn months(months: i64, at_end: bool) -> Unit {
    Unit::Month { months, at_end }
}

/// The units: the service's name, other names, and the unit. A lower-case `m` is minutes, as in the
/// specification and in polars; pandas' old `M` is the end of a month.
const UNITS: [(&str, &[&str], Unit); 15] = [
    ("ns", &["N"], Unit::Clock(1)),
    ("us", &["U"], Unit::Clock(1000)),
    ("ms", &["L"], Unit::Clock(1_000_000)),
    ("s", &["S", "sec"], Unit::Clock(SECOND_NS)),
    ("min", &["m", "T"], Unit::Clock(60 * SECOND_NS)),
    ("h", &["H", "hour"], Unit::Clock(3600 * SECOND_NS)),
    ("D", &["d", "day"], Unit::Day),
    ("B", &["b"], Unit::BusinessDay),
    ("W", &["w", "week"], Unit::Week),
    ("MS", &["mo", "month"], months(1, false)),
    ("ME", &["M"], months(1, true)),
    ("QS", &["q", "quarter"], months(3, false)),
    ("QE", &["Q"], months(3, true)),
    ("YS", &["y", "year", "AS"], months(12, false)),
    ("YE", &["Y", "A"], months(12, true)),
];
const WEEKDAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;

impl Frequency {
    /// Reads `h`, `1h`, `15min`, `100ms`, `D`, `W-MON`, `MS`, `2QS-OCT`, …; `None` when it is none of them.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, rest) = text.split_at(digits);
        let count = if count.is_empty() {
            1
        } else {
            count.parse().ok()?
        };
        let (name, anchor) = match rest.split_once('-') {
            Some((name, anchor)) => (name, Some(anchor)),
            None => (rest, None),
        };
        let (alias, _, unit) = UNITS
            .iter()
            .find(|(alias, others, _)| *alias == name || others.contains(&name))?;
        let anchors: &[&str] = match unit {
            Unit::Week => &WEEKDAYS,
            Unit::Month { months, .. } if *months > 1 => &MONTHS,
            _ => &[],
        };
        if anchor.is_some_and(|anchor| !anchors.contains(&anchor)) {
            return None;
        }
        let mut frequency = Self::of(count, *unit, alias)?;
        if let Some(anchor) = anchor {
            frequency.alias = format!("{}-{anchor}", frequency.alias);
        }
        Some(frequency)
    }

    fn of(count: i64, unit: Unit, alias: &str) -> Option<Self> {
        let alias = match count {
            1 => alias.to_owned(),
            _ => format!("{count}{alias}"),
        };
        (count > 0).then_some(Self { count, unit, alias })
    }

    fn named(count: i64, name: &str) -> Option<Self> {
        let (alias, _, unit) = UNITS.iter().find(|(alias, ..)| *alias == name)?;
        Self::of(count, *unit, alias)
    }

    /// The string the service understands.
    pub fn as_str(&self) -> &str {
        &self.alias
    }

    /// Whether a step always takes the same time, so that it is measured on the clock and not on the calendar.
    pub const fn is_fixed(&self) -> bool {
        matches!(self.unit, Unit::Clock(_))
    }

    /// The time `steps` after `anchor`; `None` beyond the calendar.
    pub fn nth(&self, anchor: DateTime, steps: i64) -> Option<DateTime> {
        let steps = steps.checked_mul(self.count)?;
        let span = Span::new();
        let span = match self.unit {
            Unit::Clock(ns) => return anchor.checked_add(duration(steps, ns)?).ok(),
            Unit::Day => span.try_days(steps),
            Unit::Week => span.try_weeks(steps),
            Unit::BusinessDay => span.try_days(business_days(anchor, steps)),
            Unit::Month { months, .. } => span.try_months(steps.checked_mul(months)?),
        };
        let moved = anchor.checked_add(span.ok()?).ok()?;
        Some(match self.unit {
            Unit::Month { at_end: true, .. } => moved.last_of_month(),
            _ => moved,
        })
    }

    /// The lengths of the seasons that such data usually has, in points: a day and a week for hours, a week for
    /// days, a year for weeks, months and quarters; none for fractions of a second.
    pub fn seasons(&self) -> Vec<usize> {
        let cycles: &[i64] = match self.unit {
            Unit::Clock(ns) if ns >= SECOND_NS => &[DAY_NS / ns, 7 * DAY_NS / ns],
            Unit::Day => &[7],
            Unit::BusinessDay => &[5],
            Unit::Week => &[52],
            Unit::Month { months: 1, .. } => &[12],
            Unit::Month { months: 3, .. } => &[4],
            Unit::Clock(_) | Unit::Month { .. } => &[],
        };
        cycles
            .iter()
            .filter(|cycle| *cycle % self.count == 0 && *cycle / self.count > 1)
            .filter_map(|cycle| usize::try_from(cycle / self.count).ok())
            .collect()
    }

    /// The frequency of sorted times (local, and on the UTC clock), by the spacing that occurs most often; `None`
    /// for fewer than two of them. Gaps are found when the series is checked against it.
    pub fn infer(times: &[(DateTime, DateTime)]) -> Option<Self> {
        let month_ends = times.iter().all(|(at, _)| *at == at.last_of_month());
        let same_day = times.iter().all(|(at, _)| at.day() == times[0].0.day());
        if month_ends || same_day {
            let step = most_common(times.windows(2).map(|pair| {
                let (from, to) = (pair[0].0, pair[1].0);
                (i64::from(to.year()) - i64::from(from.year())) * 12 + i64::from(to.month())
                    - i64::from(from.month())
            }))?;
            if step > 0 {
                let (count, name) = match (step, month_ends) {
                    (12, true) => (1, "YE"),
                    (12, false) => (1, "YS"),
                    (3, true) => (1, "QE"),
                    (3, false) => (1, "QS"),
                    (_, true) => (step, "ME"),
                    (_, false) => (step, "MS"),
                };
                return Self::named(count, name);
            }
        }
        let spacing = times
            .windows(2)
            .map(|pair| pair[1].1.duration_since(pair[0].1).as_nanos());
        let step = most_common(spacing.filter(|nanos| *nanos > 0))?;
        let count_of = |unit_ns: i64| {
            let unit_ns = i128::from(unit_ns);
            (step % unit_ns == 0).then(|| i64::try_from(step / unit_ns).ok())?
        };
        let weekend = times
            .windows(2)
            .any(|pair| pair[0].0.weekday().to_monday_zero_offset() == 4);
        let on_weekdays = times
            .iter()
            .all(|(at, _)| at.weekday().to_monday_zero_offset() < 5);
        match (count_of(7 * DAY_NS), count_of(DAY_NS)) {
            (_, Some(1)) if on_weekdays && weekend => Self::named(1, "B"),
            (Some(weeks), _) => Self::named(weeks, "W"),
            (_, Some(days)) => Self::named(days, "D"),
            _ => UNITS.iter().rev().find_map(|(alias, _, unit)| match unit {
                Unit::Clock(ns) => Self::of(count_of(*ns)?, *unit, alias),
                _ => None,
            }),
        }
    }
}

/// The time that `steps` of `ns` nanoseconds take, which may be more nanoseconds than an `i64` counts.
fn duration(steps: i64, ns: i64) -> Option<SignedDuration> {
    let (total, second) = (i128::from(steps) * i128::from(ns), i128::from(SECOND_NS));
    let seconds = i64::try_from(total / second).ok()?;
    let rest = i32::try_from(total % second).ok()?;
    Some(SignedDuration::new(seconds, rest))
}

/// Calendar days from `anchor` to the weekday `steps` weekdays later; an anchor on a weekend counts from its Friday.
fn business_days(anchor: DateTime, steps: i64) -> i64 {
    let weekday = i64::from(anchor.weekday().to_monday_zero_offset());
    let from_monday = weekday.min(4).saturating_add(steps);
    from_monday
        .div_euclid(5)
        .saturating_mul(7)
        .saturating_add(from_monday.rem_euclid(5) - weekday)
}

fn most_common<Step: Ord>(steps: impl Iterator<Item = Step>) -> Option<Step> {
    let mut counts = std::collections::BTreeMap::<Step, usize>::new();
    for step in steps {
        *counts.entry(step).or_default() += 1;
    }
    // Of several the shortest: a gap then shows as a gap.
    let (step, _) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    Some(step)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn alias(text: &str) -> Option<String> {
        Frequency::parse(text).map(|frequency| frequency.alias)
    }

    #[test]
    fn what_people_write_becomes_what_the_service_reads() {
        let table = [
            ("1h", "h"),
            ("1d", "D"),
            ("1w", "W"),
            ("1mo", "MS"),
            ("15m", "15min"),
            ("15min", "15min"),
            ("2h", "2h"),
            ("H", "h"),
            ("M", "ME"),
            ("q", "QS"),
            ("W-MON", "W-MON"),
            ("2QS-OCT", "2QS-OCT"),
            ("30s", "30s"),
            ("100ms", "100ms"),
            ("L", "ms"),
            ("250U", "250us"),
            ("N", "ns"),
            ("1000001s", "1000001s"),
        ];
        for (written, read) in table {
            assert_eq!(alias(written).as_deref(), Some(read), "{written}");
        }
    }

    #[test]
    fn nonsense_is_not_read() {
        for text in [
            "",
            "0h",
            "-1h",
            "1.5h",
            "fortnight",
            "W-JAN",
            "h-MON",
            "1h ",
            "9999999999999999999h",
        ] {
            assert_eq!(alias(text), None, "{text}");
        }
    }

    fn steps(frequency: &str, from: DateTime, count: i64) -> Vec<String> {
        let frequency = Frequency::parse(frequency).unwrap();
        (1..=count)
            .map(|k| frequency.nth(from, k).unwrap().to_string())
            .collect()
    }

    #[test]
    fn months_are_counted_on_the_calendar() {
        let january = date(2024, 1, 31).at(0, 0, 0, 0);
        assert_eq!(
            steps("ME", january, 2),
            ["2024-02-29T00:00:00", "2024-03-31T00:00:00"]
        );
        let february = date(2024, 2, 29).at(0, 0, 0, 0);
        assert_eq!(steps("ME", february, 1), ["2024-03-31T00:00:00"]);
        assert_eq!(steps("MS", february, 1), ["2024-03-29T00:00:00"]);
        assert_eq!(
            steps("QS", date(2024, 10, 1).at(0, 0, 0, 0), 1),
            ["2025-01-01T00:00:00"]
        );
    }

    #[test]
    fn business_days_pass_over_the_weekend() {
        let thursday = date(2024, 1, 4).at(0, 0, 0, 0);
        assert_eq!(
            steps("B", thursday, 3),
            [
                "2024-01-05T00:00:00",
                "2024-01-08T00:00:00",
                "2024-01-09T00:00:00"
            ]
        );
    }

    #[test]
    fn seasons_follow_the_frequency() {
        let table: [(&str, &[usize]); 11] = [
            ("100ms", &[]),
            ("30s", &[2880, 20_160]),
            ("h", &[24, 168]),
            ("2h", &[12, 84]),
            ("15min", &[96, 672]),
            ("D", &[7]),
            ("B", &[5]),
            ("W", &[52]),
            ("MS", &[12]),
            ("QS", &[4]),
            ("5h", &[]),
        ];
        for (frequency, seasons) in table {
            assert_eq!(
                Frequency::parse(frequency).unwrap().seasons(),
                seasons,
                "{frequency}"
            );
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_an_answer_and_not_a_panic() {
        let frequency = Frequency::parse("1000000YE").unwrap();
        assert_eq!(
            frequency.nth(date(2024, 1, 1).at(0, 0, 0, 0), i64::MAX),
            None
        );
        assert_eq!(frequency.nth(date(2024, 1, 1).at(0, 0, 0, 0), 1), None);
        for unit in ["ns", "h", "D", "B", "W", "MS"] {
            let longest = Frequency::parse(&format!("{}{unit}", i64::MAX)).unwrap();
            assert_eq!(
                longest.nth(date(2024, 1, 1).at(0, 0, 0, 0), 2),
                None,
                "{unit}"
            );
        }
    }

    #[test]
    fn a_frequency_is_recognised_by_its_own_steps() {
        let first = date(2024, 1, 31).at(0, 0, 0, 0);
        for alias in [
            "7ns", "250us", "100ms", "1500ms", "s", "1000001s", "15min", "h", "6h", "D", "2D", "W",
            "ME", "QE", "YE", "B",
        ] {
            let frequency = Frequency::parse(alias).unwrap();
            let mut times: Vec<_> = (0..12)
                .map(|k| frequency.nth(first, k).unwrap())
                .map(|at| (at, at))
                .collect();
            assert_eq!(Frequency::infer(&times).unwrap().as_str(), alias);
            times.remove(5);
            assert_eq!(
                Frequency::infer(&times).unwrap().as_str(),
                alias,
                "with a gap"
            );
        }
        assert_eq!(Frequency::infer(&[(first, first)]), None);
    }
}
