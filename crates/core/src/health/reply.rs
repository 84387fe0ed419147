//! The reply of a checker, read as an outcome.

use super::Status;
use crate::options::PlainValue;

/// The number of unhealthy parts that are listed.
const MAX_LISTED: usize = 5;

/// A checker's reply, read as a status.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReply {
    /// The outcome of the reply itself, before latency and hysteresis.
    pub outcome: Status,
    /// The reason why it is not healthy, where the checker gave one.
    pub error: Option<String>,
    /// The checker's own data, kept with the result.
    pub metadata: Option<serde_json::Value>,
}

impl CheckReply {
    /// The reply of a checker that returned a boolean.
    pub fn of(healthy: bool) -> Self {
        let outcome = if healthy {
            Status::Healthy
        } else {
            Status::Unhealthy
        };
        Self::with(outcome, None)
    }

    /// The reply of a checker that threw.
    pub fn failure(error: impl Into<String>) -> Self {
        Self::with(Status::Unhealthy, Some(error.into()))
    }

    /// The reply in the form in which `lib/` passes it: `statuses` and `healthy`, or `members`, each with these keys
    /// and its `path`; an `error`, and `metadata` as JSON text.
    pub fn read(value: &PlainValue) -> Self {
        let metadata = text(value, "metadata").and_then(|json| serde_json::from_str(json).ok());
        let reply = match member(value, "members") {
            Some(PlainValue::List(members)) => Self::of_members(members),
            _ => Self::describe(flag(value), statuses(value)).with_error(text(value, "error")),
        };
        reply.with_metadata(metadata)
    }

    /// The reply of a checker that returned an object with a flag, with statuses, or with both.
    ///
    /// The worst of them counts. A status is one of the words of [`Status::from_word`], a boolean, or an HTTP status
    /// code, of which 1xx to 3xx are healthy. An unknown status is ignored beside known ones; without any it
    /// is unhealthy, because a reply that cannot be read proves nothing.
    pub fn describe(flag: Option<bool>, statuses: &[PlainValue]) -> Self {
        let flag = flag.map(|healthy| Self::of(healthy).outcome);
        match statuses.iter().map(status_of).fold(flag, Option::max) {
            Some(outcome) => {
                // A number that is no HTTP status code is not healthy, and its reader cannot tell what it means.
                let strange = statuses.iter().find(|status| !is_known(status));
                let number = strange.and_then(show);
                Self::with(
                    outcome,
                    number.map(|number| format!("Unknown health status {number}")),
                )
            }
            None => Self::failure(match statuses.first() {
                Some(PlainValue::Text(word)) => format!("Unknown health status '{word}'"),
                Some(other) => format!("Unknown health status: {}", other.type_name()),
                None => "The checker returned no status".to_owned(),
            }),
        }
    }

    /// The worst status of the members, with the paths of those that are not healthy. Unknown statuses, such as that of
    /// an order in a row of a table, are ignored; members without any known status are healthy.
    fn of_members(members: &[PlainValue]) -> Self {
        let mut worst = Status::Healthy;
        let mut unhealthy = Vec::new();
        for member in members {
            let (error, statuses) = (text(member, "error"), statuses(member));
            let known = statuses
                .iter()
                .filter(|status| is_known(status))
                .map(status_of);
            let flag = flag(member).map(|healthy| Self::of(healthy).outcome);
            let outcome = known.fold(flag, Option::max);
            let outcome = outcome.or(error.map(|_| Status::Unhealthy));
            let Some(outcome) = outcome.filter(|outcome| *outcome != Status::Healthy) else {
                continue;
            };
            worst = worst.max(outcome);
            if unhealthy.len() < MAX_LISTED {
                let path = text(member, "path").unwrap_or_default();
                let reason = error.map(str::to_owned);
                let reason = reason.or_else(|| statuses.first().and_then(show));
                unhealthy.push(format!(
                    "{path}: {}",
                    reason.as_deref().unwrap_or("not healthy")
                ));
            }
        }
        let error = (!unhealthy.is_empty()).then(|| unhealthy.join("; "));
        Self::with(worst, error)
    }

    /// Adds the checker's own error. A healthy reply keeps none.
    #[must_use]
    pub fn with_error(mut self, error: Option<&str>) -> Self {
        if self.outcome != Status::Healthy {
            self.error = error.map(str::to_owned).or(self.error);
        }
        self
    }

    /// Adds the checker's own data.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Option<serde_json::Value>) -> Self {
        self.metadata = metadata;
        self
    }

    fn with(outcome: Status, error: Option<String>) -> Self {
        Self {
            outcome,
            error,
            metadata: None,
        }
    }
}

/// The status that a member stands for; `None` for an unknown one.
fn status_of(status: &PlainValue) -> Option<Status> {
    let healthy = match status {
        PlainValue::Text(word) => return Status::from_word(word),
        PlainValue::Bool(healthy) => *healthy,
        PlainValue::Number(code) => (100.0..400.0).contains(code),
        _ => return None,
    };
    Some(CheckReply::of(healthy).outcome)
}

/// Whether a status can be about health; a number that is no HTTP status code is not.
fn is_known(status: &PlainValue) -> bool {
    !matches!(status, PlainValue::Number(code) if !(100.0..600.0).contains(code))
}

fn show(status: &PlainValue) -> Option<String> {
    match status {
        PlainValue::Text(word) => Some(word.clone()),
        PlainValue::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

fn member<'a>(value: &'a PlainValue, name: &str) -> Option<&'a PlainValue> {
    let PlainValue::Map(members) = value else {
        return None;
    };
    members
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value)
}

fn text<'a>(value: &'a PlainValue, name: &str) -> Option<&'a str> {
    match member(value, name)? {
        PlainValue::Text(text) => Some(text),
        _ => None,
    }
}

fn flag(value: &PlainValue) -> Option<bool> {
    match member(value, "healthy")? {
        PlainValue::Bool(flag) => Some(*flag),
        _ => None,
    }
}

fn statuses(value: &PlainValue) -> &[PlainValue] {
    match member(value, "statuses") {
        Some(PlainValue::List(statuses)) => statuses,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(flag: Option<bool>, status: &str) -> Status {
        CheckReply::describe(flag, &[word(status)]).outcome
    }

    fn word(word: &str) -> PlainValue {
        PlainValue::Text(word.to_owned())
    }

    fn map(members: &[(&str, PlainValue)]) -> PlainValue {
        let members = members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        PlainValue::Map(members.collect())
    }

    fn member_status(path: &str, members: &[(&str, PlainValue)]) -> PlainValue {
        map(&[&[("path", word(path))], members].concat())
    }

    #[test]
    fn the_worse_of_flag_and_status_counts() {
        assert_eq!(outcome(Some(true), "degraded"), Status::Degraded);
        assert_eq!(outcome(Some(false), "ok"), Status::Unhealthy);
        assert_eq!(outcome(None, "UP"), Status::Healthy);
        assert_eq!(outcome(Some(true), "shard 3"), Status::Healthy);
    }

    #[test]
    fn an_unknown_status_is_unhealthy() {
        let reply = CheckReply::describe(None, &[word("splendid")]);
        assert_eq!(reply.outcome, Status::Unhealthy);
        assert_eq!(
            reply.error.as_deref(),
            Some("Unknown health status 'splendid'")
        );
    }

    #[test]
    fn an_http_status_code_is_healthy_below_400() {
        for (code, expected) in [(200.0, true), (304.0, true), (404.0, false), (503.0, false)] {
            let reply = CheckReply::describe(None, &[PlainValue::Number(code)]);
            assert_eq!(reply.outcome.is_up(), expected, "{code}");
        }
    }

    #[test]
    fn of_several_statuses_the_worst_counts() {
        let both = [word("ok"), PlainValue::Number(503.0)];
        assert_eq!(CheckReply::describe(None, &both).outcome, Status::Unhealthy);
        let unknown = [word("splendid"), PlainValue::Number(200.0)];
        assert_eq!(
            CheckReply::describe(None, &unknown).outcome,
            Status::Healthy
        );
    }

    #[test]
    fn what_is_healthy_has_no_error() {
        let said = map(&[
            ("statuses", PlainValue::List(vec![word("ok")])),
            ("error", word("none")),
        ]);
        assert_eq!(CheckReply::read(&said).error, None);
    }

    #[test]
    fn members_are_named_by_path_and_the_worst_counts() {
        let status = |status: PlainValue| ("statuses", PlainValue::List(vec![status]));
        let members = PlainValue::List(vec![
            member_status("0", &[("healthy", PlainValue::Bool(true))]),
            member_status("db", &[status(word("down"))]),
            member_status(
                "cache",
                &[status(word("degraded")), ("error", word("slow"))],
            ),
            member_status("order", &[status(word("shipped"))]),
            member_status("row", &[status(PlainValue::Number(3.0))]),
        ]);
        let reply = CheckReply::read(&map(&[("members", members)]));
        assert_eq!(reply.outcome, Status::Unhealthy);
        assert_eq!(reply.error.as_deref(), Some("db: down; cache: slow"));
        let rows = PlainValue::List(vec![member_status("0", &[status(word("shipped"))])]);
        let reply = CheckReply::read(&map(&[("members", rows)]));
        assert_eq!((reply.outcome, reply.error), (Status::Healthy, None));
    }
}
