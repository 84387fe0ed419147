//! The series of a request: read, sorted and checked before anything is sent.

use std::collections::HashMap;

use jiff::civil::DateTime;
use moorline_core::options::{OptionError, Options, PlainValue, Read};

use super::{frequency::Frequency, moment::Moment};

/// One series, in the order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name, where the points carry one.
    pub id: Option<String>,
    /// The values; all finite.
    pub values: Vec<f64>,
    /// Their times; regular.
    pub moments: Vec<Moment>,
}

impl Series {
    /// The moment `steps` (from 1) after the last point; `None` beyond the calendar.
    pub fn after(&self, frequency: &Frequency, steps: i64) -> Option<Moment> {
        let last = self.moments.last()?;
        let local = if frequency.is_fixed() {
            frequency.nth(last.local(), steps)
        } else {
            // From the first point: the end of February must not turn the 31st into the 29th.
            let first = self.moments.first()?;
            frequency.nth(first.local(), self.moments.len() as i64 - 1 + steps)
        };
        local.map(|local| last.moved_to(local))
    }
}

/// Reads `timeseries` and checks it against `frequency`, which is inferred when absent.
pub fn read(options: &Options<'_>) -> Read<(Vec<Series>, Frequency)> {
    let path = options.path_of("timeseries");
    let items = options
        .list("timeseries")?
        .ok_or_else(|| OptionError::wrong_type(&path, "an array", &PlainValue::Undefined))?;
    let drafts = group(&path, items)?;
    let frequency = match options.text("frequency")? {
        Some(text) => Frequency::parse(text).ok_or_else(|| {
            let reason = format!(
                "is not a valid frequency ('{text}'); use for example '1h', '15min', '100ms', 'D', 'W', 'MS'"
            );
            OptionError::bad_value(&options.path_of("frequency"), reason)
        })?,
        None => infer(&options.path_of("frequency"), &drafts)?,
    };
    let series = drafts
        .into_iter()
        .map(|draft| draft.checked(&path, &frequency))
        .collect::<Read<_>>()?;
    Ok((series, frequency))
}

/// A series being read: its points with their place in the request.
struct Draft {
    id: Option<String>,
    points: Vec<(usize, Moment, f64)>,
}

fn group(path: &str, items: &[PlainValue]) -> Read<Vec<Draft>> {
    if items.is_empty() {
        return Err(OptionError::bad_value(path, "must have at least one point"));
    }
    let mut drafts = Vec::<Draft>::new();
    let mut by_id = HashMap::<Option<String>, usize>::new();
    for (index, item) in items.iter().enumerate() {
        let (id, moment, value) = read_point(item).map_err(|fault| fault.at(path, index))?;
        let place = *by_id.entry(id).or_insert_with_key(|id| {
            drafts.push(Draft {
                id: id.clone(),
                points: Vec::new(),
            });
            drafts.len() - 1
        });
        drafts[place].points.push((index, moment, value));
    }
    let named = drafts.iter().filter(|draft| draft.id.is_some()).count();
    if let Some(unnamed) = drafts.iter().find(|draft| draft.id.is_none())
        && named > 0
    {
        let path = format!("{path}[{}].id", unnamed.points[0].0);
        return Err(OptionError::bad_value(
            &path,
            "is missing, but other points have one",
        ));
    }
    for draft in &mut drafts {
        draft.points.sort_by_key(|(_, moment, _)| moment.utc());
    }
    Ok(drafts)
}

/// The fault of a point, without its path: that is written for the one that is refused, not for each.
enum AttemptFailure {
    Itself(PlainValue),
    Unknown(String),
    Member(&'static str, &'static str, PlainValue),
}

impl AttemptFailure {
    fn at(self, list: &str, index: usize) -> OptionError {
        let path = format!("{list}[{index}]");
        match self {
            Self::Itself(value) => OptionError::wrong_type(&path, "an object", &value),
            Self::Unknown(key) => OptionError::bad_value(
                &format!("{path}.{key}"),
                "is not known: a point has a timestamp, a value and, with several series, an id",
            ),
            Self::Member(key, expected, value) => {
                let path = format!("{path}.{key}");
                match value {
                    PlainValue::Text(text) if key == "timestamp" => {
                        OptionError::bad_value(&path, format!("must be {expected}, got '{text}'"))
                    }
                    PlainValue::Number(number) => {
                        OptionError::out_of_range(&path, expected, number)
                    }
                    PlainValue::Date(_) => OptionError::bad_value(&path, "is an invalid Date"),
                    other => OptionError::wrong_type(&path, expected, &other),
                }
            }
        }
    }
}

fn read_point(item: &PlainValue) -> Result<(Option<String>, Moment, f64), AttemptFailure> {
    let PlainValue::Map(members) = item else {
        return Err(AttemptFailure::Itself(item.clone()));
    };
    let (mut id, mut timestamp, mut value) = (None, &PlainValue::Undefined, &PlainValue::Undefined);
    for (key, member) in members {
        match (key.as_str(), member) {
            (_, PlainValue::Undefined) => {}
            ("timestamp", _) => timestamp = member,
            ("value", _) => value = member,
            ("id", PlainValue::Text(text)) => id = Some(text.clone()),
            ("id", PlainValue::Number(number)) => id = Some(number.to_string()),
            ("id", PlainValue::Integer(number)) => id = Some(number.to_string()),
            ("id", _) => {
                return Err(AttemptFailure::Member(
                    "id",
                    "a string or a number",
                    member.clone(),
                ));
            }
            _ => return Err(AttemptFailure::Unknown(key.clone())),
        }
    }
    let moment = Moment::read(timestamp).ok_or_else(|| {
        let expected = "an ISO 8601 time, a Date or milliseconds since 1970";
        AttemptFailure::Member("timestamp", expected, timestamp.clone())
    })?;
    match value {
        PlainValue::Number(number) if number.is_finite() => Ok((id, moment, *number)),
        PlainValue::Integer(number) => Ok((id, moment, *number as f64)),
        _ => Err(AttemptFailure::Member(
            "value",
            "a finite number",
            value.clone(),
        )),
    }
}

fn infer(path: &str, drafts: &[Draft]) -> Read<Frequency> {
    let longest = drafts.iter().max_by_key(|draft| draft.points.len());
    let times: Vec<(DateTime, DateTime)> = longest
        .into_iter()
        .flat_map(|draft| &draft.points)
        .map(|(_, moment, _)| (moment.local(), moment.utc()))
        .collect();
    Frequency::infer(&times).ok_or_else(|| {
        OptionError::bad_value(
            path,
            "is required if no series has two points at different times",
        )
    })
}

impl Draft {
    fn checked(self, path: &str, frequency: &Frequency) -> Read<Series> {
        let anchor = self.points[0].1;
        let start = anchor.position(frequency);
        for (step, (index, moment, _)) in self.points.iter().enumerate() {
            let expected = frequency.nth(start, step as i64);
            if expected == Some(moment.position(frequency)) {
                continue;
            }
            let earlier = step.checked_sub(1).map(|before| &self.points[before]);
            let reason = match (earlier, expected) {
                (Some((before, same, _)), _) if same.utc() == moment.utc() => {
                    format!("repeats the timestamp of {path}[{before}] ({moment})")
                }
                (_, Some(expected)) => format!(
                    "does not match the frequency '{}': expected {expected}, got {moment}",
                    frequency.as_str()
                ),
                (_, None) => "is after the last supported date".to_owned(),
            };
            let path = format!("{path}[{index}].timestamp");
            return Err(OptionError::bad_value(&path, reason));
        }
        let (moments, values) = self
            .points
            .into_iter()
            .map(|(_, moment, value)| (moment, value))
            .unzip();
        Ok(Series {
            id: self.id,
            values,
            moments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(id: Option<&str>, timestamp: PlainValue, value: PlainValue) -> PlainValue {
        let mut entries = vec![
            ("timestamp".to_owned(), timestamp),
            ("value".to_owned(), value),
        ];
        if let Some(id) = id {
            entries.push(("id".to_owned(), PlainValue::Text(id.to_owned())));
        }
        PlainValue::Map(entries)
    }

    fn at(timestamp: &str, value: f64) -> PlainValue {
        point(
            None,
            PlainValue::Text(timestamp.to_owned()),
            PlainValue::Number(value),
        )
    }

    fn read_all(items: Vec<PlainValue>, frequency: Option<&str>) -> Read<(Vec<Series>, Frequency)> {
        let mut entries = vec![("timeseries".to_owned(), PlainValue::List(items))];
        if let Some(text) = frequency {
            entries.push(("frequency".to_owned(), PlainValue::Text(text.to_owned())));
        }
        let request = PlainValue::Map(entries);
        read(&Options::new("request", &request).unwrap())
    }

    fn refusal(items: Vec<PlainValue>) -> String {
        read_all(items, Some("D")).unwrap_err().message
    }

    #[test]
    fn points_are_sorted_and_the_frequency_is_inferred() {
        let items = vec![
            at("2024-01-02", 2.0),
            at("2024-01-03", 3.0),
            at("2024-01-01", 1.0),
        ];
        let (series, frequency) = read_all(items, None).unwrap();
        assert_eq!(frequency.as_str(), "D");
        assert_eq!(series[0].values, [1.0, 2.0, 3.0]);
        assert_eq!(
            series[0].after(&frequency, 2).unwrap().to_string(),
            "2024-01-05"
        );
    }

    #[test]
    fn several_series_keep_the_order_of_their_first_point() {
        let day = |id, day: &str, value| {
            point(
                Some(id),
                PlainValue::Text(day.to_owned()),
                PlainValue::Number(value),
            )
        };
        let items = vec![
            day("b", "2024-01-01", 1.0),
            day("a", "2024-01-01", 2.0),
            day("b", "2024-01-02", 3.0),
        ];
        let (series, _) = read_all(items, Some("D")).unwrap();
        let ids: Vec<_> = series.iter().map(|s| s.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!(series[0].values, [1.0, 3.0]);
    }

    #[test]
    fn the_first_bad_point_is_named_by_its_place_in_the_request() {
        let good = || at("2024-01-01", 1.0);
        assert_eq!(
            refusal(vec![good(), at("2024-01-03", 2.0)]),
            "request.timeseries[1].timestamp does not match the frequency 'D': expected 2024-01-02T00:00:00, got 2024-01-03"
        );
        assert_eq!(
            refusal(vec![good(), at("2024-01-01", 2.0)]),
            "request.timeseries[1].timestamp repeats the timestamp of request.timeseries[0] (2024-01-01)"
        );
        assert_eq!(
            refusal(vec![good(), at("soon", 2.0)]),
            "request.timeseries[1].timestamp must be an ISO 8601 time, a Date or milliseconds since 1970, got 'soon'"
        );
        assert_eq!(
            refusal(vec![good(), at("2024-01-02", f64::NAN)]),
            "request.timeseries[1].value must be a finite number, got NaN"
        );
        let text = point(
            None,
            PlainValue::Text("2024-01-02".to_owned()),
            PlainValue::Text("7".to_owned()),
        );
        assert_eq!(
            refusal(vec![good(), text]),
            "request.timeseries[1].value must be a finite number, got a string"
        );
        let named = point(
            Some("a"),
            PlainValue::Text("2024-01-02".to_owned()),
            PlainValue::Number(1.0),
        );
        assert_eq!(
            refusal(vec![named, good()]),
            "request.timeseries[1].id is missing, but other points have one"
        );
        assert_eq!(
            refusal(vec![]),
            "request.timeseries must have at least one point"
        );
    }

    #[test]
    fn a_row_of_a_database_is_a_point() {
        let day = 86_400_000;
        let rows = (0..3)
            .map(|k| point(None, PlainValue::Integer(k * day), PlainValue::Integer(k)))
            .collect();
        let (series, frequency) = read_all(rows, None).unwrap();
        assert_eq!(frequency.as_str(), "D");
        assert_eq!(series[0].values, [0.0, 1.0, 2.0]);
    }

    #[test]
    fn the_end_of_a_month_stays_the_end_of_a_month() {
        let items = vec![at("2024-01-31", 1.0), at("2024-02-29", 2.0)];
        let (series, frequency) = read_all(items, Some("MS")).unwrap();
        let next = series[0].after(&frequency, 1).unwrap();
        assert_eq!(next.to_string(), "2024-03-31");
    }
}
