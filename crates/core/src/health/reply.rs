//! The reply of a checker, read as an outcome.

use super::Status;
use crate::options::Plain;

/// The number of unhealthy parts that are listed.
const MAX_COMPLAINTS: usize = 5;

/// A checker's answer, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReply {
    /// The outcome of the reply itself, before latency and hysteresis.
    pub outcome: Status,
    /// Why it is not healthy, where the checker said so.
    pub error: Option<String>,
    /// Whatever else the checker wants to be kept with the result.
    pub metadata: Option<serde_json::Value>,
}

impl CheckReply {
    /// The answer of a checker that says yes or no.
    pub fn of(healthy: bool) -> Self {
        let outcome = if healthy {
            Status::Healthy
        } else {
            Status::Unhealthy
        };
        Self::with(outcome, None)
    }

    /// The answer of a checker that threw.
    pub fn failure(error: impl Into<String>) -> Self {
        Self::with(Status::Unhealthy, Some(error.into()))
    }

    /// The answer of a checker as `lib/` tells it: `statuses` and a `healthy` flag, or else `parts`, of which each has
    /// them `at` some place; an `error`, and `metadata` as JSON text.
    pub fn read(said: &Plain) -> Self {
        let metadata = text(said, "metadata").and_then(|json| serde_json::from_str(json).ok());
        let reply = match member(said, "parts") {
            Some(Plain::List(parts)) => Self::of_parts(parts),
            _ => Self::describe(flag(said), statuses(said)).explained(text(said, "error")),
        };
        reply.annotated(metadata)
    }

    /// The answer of a checker that returned an object with a flag, with statuses, or with both.
    ///
    /// The worst of them counts. A status is one of the words of [`Status::from_word`], a boolean, or an HTTP status
    /// code, of which 1xx to 3xx are healthy. One that means nothing here is left to the others; where there are none it
    /// is unhealthy, because a probe that cannot be understood proves nothing.
    pub fn describe(flag: Option<bool>, statuses: &[Plain]) -> Self {
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
                Some(Plain::Text(word)) => format!("Unknown health status '{word}'"),
                Some(other) => format!("Unknown health status: {}", other.type_name()),
                None => "The checker said nothing".to_owned(),
            }),
        }
    }

    /// The worst of what its parts say; what is wrong is told with its place. Members that mean nothing here, such as
    /// the status of an order in a row of a table, say nothing: then what was returned is at least there.
    fn of_parts(parts: &[Plain]) -> Self {
        let mut worst = Status::Healthy;
        let mut complaints = Vec::new();
        for part in parts {
            let (error, statuses) = (text(part, "error"), statuses(part));
            let known = statuses
                .iter()
                .filter(|status| is_known(status))
                .map(status_of);
            let flag = flag(part).map(|healthy| Self::of(healthy).outcome);
            let outcome = known.fold(flag, Option::max);
            let outcome = outcome.or(error.map(|_| Status::Unhealthy));
            let Some(outcome) = outcome.filter(|outcome| *outcome != Status::Healthy) else {
                continue;
            };
            worst = worst.max(outcome);
            if complaints.len() < MAX_COMPLAINTS {
                let at = text(part, "at").unwrap_or_default();
                let reason = error.map(str::to_owned);
                let reason = reason.or_else(|| statuses.first().and_then(show));
                complaints.push(format!(
                    "{at}: {}",
                    reason.as_deref().unwrap_or("not healthy")
                ));
            }
        }
        let error = (!complaints.is_empty()).then(|| complaints.join("; "));
        Self::with(worst, error)
    }

    /// Adds the checker's own explanation. What is healthy needs none, and must not be taken for an error by it.
    #[must_use]
    pub fn explained(mut self, error: Option<&str>) -> Self {
        if self.outcome != Status::Healthy {
            self.error = error.map(str::to_owned).or(self.error);
        }
        self
    }

    /// Adds what the checker wants to be kept.
    #[must_use]
    pub fn annotated(mut self, metadata: Option<serde_json::Value>) -> Self {
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

/// The status for a status word; `None` where it means nothing here.
fn status_of(status: &Plain) -> Option<Status> {
    let healthy = match status {
        Plain::Text(word) => return Status::from_word(word),
        Plain::Bool(healthy) => *healthy,
        Plain::Number(code) => (100.0..400.0).contains(code),
        _ => return None,
    };
    Some(CheckReply::of(healthy).outcome)
}

/// Whether a member's status is about health at all: any other number may be anything.
fn is_known(status: &Plain) -> bool {
    !matches!(status, Plain::Number(code) if !(100.0..600.0).contains(code))
}

fn show(status: &Plain) -> Option<String> {
    match status {
        Plain::Text(word) => Some(word.clone()),
        Plain::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

fn member<'a>(said: &'a Plain, name: &str) -> Option<&'a Plain> {
    let Plain::Map(members) = said else {
        return None;
    };
    members
        .iter()
        .find(|(own, _)| own == name)
        .map(|(_, value)| value)
}

fn text<'a>(said: &'a Plain, name: &str) -> Option<&'a str> {
    match member(said, name)? {
        Plain::Text(text) => Some(text),
        _ => None,
    }
}

fn flag(said: &Plain) -> Option<bool> {
    match member(said, "healthy")? {
        Plain::Bool(flag) => Some(*flag),
        _ => None,
    }
}

fn statuses(said: &Plain) -> &[Plain] {
    match member(said, "statuses") {
        Some(Plain::List(statuses)) => statuses,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(flag: Option<bool>, status: &str) -> Status {
        CheckReply::describe(flag, &[word(status)]).outcome
    }

    fn word(word: &str) -> Plain {
        Plain::Text(word.to_owned())
    }

    fn map(members: &[(&str, Plain)]) -> Plain {
        let members = members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Plain::Map(members.collect())
    }

    fn part(at: &str, members: &[(&str, Plain)]) -> Plain {
        map(&[&[("at", word(at))], members].concat())
    }

    #[test]
    fn the_worse_of_flag_and_status_counts() {
        assert_eq!(outcome(Some(true), "degraded"), Status::Degraded);
        assert_eq!(outcome(Some(false), "ok"), Status::Unhealthy);
        assert_eq!(outcome(None, "UP"), Status::Healthy);
        assert_eq!(outcome(Some(true), "shard 3"), Status::Healthy);
    }

    #[test]
    fn a_status_nobody_understands_is_not_taken_for_health() {
        let reply = CheckReply::describe(None, &[word("splendid")]);
        assert_eq!(reply.outcome, Status::Unhealthy);
        assert_eq!(
            reply.error.as_deref(),
            Some("Unknown health status 'splendid'")
        );
    }

    #[test]
    fn an_http_response_is_judged_by_its_code() {
        for (code, expected) in [(200.0, true), (304.0, true), (404.0, false), (503.0, false)] {
            let reply = CheckReply::describe(None, &[Plain::Number(code)]);
            assert_eq!(reply.outcome.is_up(), expected, "{code}");
        }
    }

    #[test]
    fn of_several_statuses_the_worst_counts() {
        let both = [word("ok"), Plain::Number(503.0)];
        assert_eq!(CheckReply::describe(None, &both).outcome, Status::Unhealthy);
        let unknown = [word("splendid"), Plain::Number(200.0)];
        assert_eq!(
            CheckReply::describe(None, &unknown).outcome,
            Status::Healthy
        );
    }

    #[test]
    fn what_is_healthy_has_no_error() {
        let said = map(&[
            ("statuses", Plain::List(vec![word("ok")])),
            ("error", word("none")),
        ]);
        assert_eq!(CheckReply::read(&said).error, None);
    }

    #[test]
    fn parts_are_told_by_their_places_and_the_worst_counts() {
        let status = |status: Plain| ("statuses", Plain::List(vec![status]));
        let parts = Plain::List(vec![
            part("0", &[("healthy", Plain::Bool(true))]),
            part("db", &[status(word("down"))]),
            part(
                "cache",
                &[status(word("degraded")), ("error", word("slow"))],
            ),
            part("order", &[status(word("shipped"))]),
            part("row", &[status(Plain::Number(3.0))]),
        ]);
        let reply = CheckReply::read(&map(&[("parts", parts)]));
        assert_eq!(reply.outcome, Status::Unhealthy);
        assert_eq!(reply.error.as_deref(), Some("db: down; cache: slow"));
        let rows = Plain::List(vec![part("0", &[status(word("shipped"))])]);
        let reply = CheckReply::read(&map(&[("parts", rows)]));
        assert_eq!((reply.outcome, reply.error), (Status::Healthy, None));
    }
}
