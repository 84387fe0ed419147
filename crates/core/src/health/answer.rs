//! What a checker's answer says.

use super::Status;
use crate::options::Plain;

/// A checker's answer, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What it says, before latency and hysteresis have their word.
    pub outcome: Status,
    /// Why it is not healthy, where the checker said so.
    pub error: Option<String>,
    /// Whatever else the checker wants to be kept with the result.
    pub metadata: Option<serde_json::Value>,
}

impl Answer {
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
    pub fn failed(error: impl Into<String>) -> Self {
        Self::with(Status::Unhealthy, Some(error.into()))
    }

    /// The answer of a checker that returned an object with a flag (`healthy`, `isHealthy`), a `status`, or both.
    ///
    /// The worse of the two counts. A `status` is one of the words of [`Status::from_word`], a boolean, or an
    /// HTTP status code, of which 1xx to 3xx are healthy. One that means nothing here is left to the flag;
    /// without a flag it is unhealthy, because a probe nobody understands proves nothing.
    pub fn described(flag: Option<bool>, status: &Plain) -> Self {
        let told = match status {
            Plain::Text(word) => Status::from_word(word),
            Plain::Bool(healthy) => Some(Self::of(*healthy).outcome),
            Plain::Number(code) => Some(Self::of((100.0..400.0).contains(code)).outcome),
            _ => None,
        };
        let flag = flag.map(|healthy| Self::of(healthy).outcome);
        match flag.max(told) {
            Some(outcome) => Self::with(outcome, None),
            None => Self::failed(match status {
                Plain::Text(word) => format!("Unknown health status '{word}'"),
                other => format!("Unknown health status: {}", other.type_name()),
            }),
        }
    }

    /// Adds the checker's own explanation.
    #[must_use]
    pub fn explained(mut self, error: Option<String>) -> Self {
        self.error = error.or(self.error);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(flag: Option<bool>, status: &str) -> Status {
        Answer::described(flag, &Plain::Text(status.to_owned())).outcome
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
        let answer = Answer::described(None, &Plain::Text("splendid".to_owned()));
        assert_eq!(answer.outcome, Status::Unhealthy);
        assert_eq!(
            answer.error.as_deref(),
            Some("Unknown health status 'splendid'")
        );
    }

    #[test]
    fn an_http_response_is_judged_by_its_code() {
        for (code, expected) in [(200.0, true), (304.0, true), (404.0, false), (503.0, false)] {
            let answer = Answer::described(None, &Plain::Number(code));
            assert_eq!(answer.outcome.is_up(), expected, "{code}");
        }
    }
}
