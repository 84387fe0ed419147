//! Requests that the service works on by itself: submitted, asked after, and cancelled.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
    options::{OptionError, Options, Plain, Read},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep_until};

use super::{
    SERVICE,
    answer::Answer,
    bounds::Bounds,
    connect::Exchange,
    error::Repeat,
    payload,
    reply::{self, unreadable},
    request::{Request, Task},
    service::{Nixtla, Prepared, has_status},
    window::Sent,
};
use moorline_net::http::off_runtime;

/// The cadence of the vendor's client: half a second, doubling.
const FIRST_POLL: Duration = Duration::from_millis(500);
const LAST_POLL: Duration = Duration::from_secs(15);
/// How long a result is waited for, unless the caller says otherwise.
const WAIT: Limit<Duration> = Limit::At(Duration::from_hours(1));

/// The characters that stand for themselves in a segment of a path (RFC 3986, section 2.3).
const RESERVED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A submitted request.
#[derive(Debug)]
pub struct Job {
    id: String,
    task: &'static str,
    request: Arc<Request>,
    sent: Sent,
}

impl Job {
    /// Its name with the service.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same as one segment of a path: the service chose it, and it must lead nowhere else.
    fn segment(&self) -> String {
        utf8_percent_encode(&self.id, &RESERVED).to_string()
    }
}

/// The state of a job, as the service reports it.
#[derive(Debug, Deserialize)]
struct State {
    status: String,
    #[serde(default)]
    result: Json,
    #[serde(default)]
    error: Json,
}

/// The service's name for a request it does as a job. As a job, anomaly detection is always the online algorithm.
fn task_of(request: &Request) -> Option<&'static str> {
    match request.task {
        Task::Forecast { .. } => Some("forecast"),
        Task::CrossValidation { .. } => Some("cross_validation"),
        Task::OnlineAnomalies { .. } => Some("anomaly_detection"),
        Task::Finetune { .. } => Some("finetune"),
        Task::Anomalies { .. } => None,
    }
}

/// Refuses a request that cannot be a job.
pub fn check(request: &Request) -> Read<()> {
    task_of(request).map(|_| ()).ok_or_else(|| {
        OptionError::bad_value(
            "operation",
            "cannot be a job; use 'onlineAnomalies' instead",
        )
    })
}

/// Reads `options.timeoutMs` of a wait for a result: an hour by default.
pub fn read_wait(timeout_ms: &Plain) -> Read<Limit<Duration>> {
    Ok(Options::call_timeout(timeout_ms)?.unwrap_or(WAIT))
}

impl Nixtla {
    /// Hands a request over. It is repeated only where the service provably has not accepted it: a job whose
    /// submission timed out may exist.
    pub async fn submit(&self, request: Arc<Request>, bounds: &Bounds) -> Outcome<Job> {
        let operation = request.operation();
        let task = task_of(&request).ok_or_else(|| Failure::new(Kind::Rejected, "not a job"))?;
        let prepared = self
            .prepare_job(&request, bounds)
            .await
            .map_err(|failure| failure.during(SERVICE, operation))?;
        let path = format!("{}/{task}/async", self.config.paths.jobs);
        let exchange = Exchange {
            method: Method::POST,
            path: &path,
            model: Some(payload::model_of(&request, &self.config)),
            payload: Some(&prepared.payload),
            repeat: Repeat::OnlyUnaccepted,
        };
        let accepted = self.fetch(operation, &exchange, bounds).await?;
        let id = accepted.get("job_id").and_then(Json::as_str);
        // No escape keeps dots from being steps in a path.
        let id = id.filter(|id| !matches!(*id, "" | "." | ".."));
        let no_id = || unreadable("job_id is missing or cannot be one").during(SERVICE, operation);
        Ok(Job {
            id: id.ok_or_else(no_id)?.to_owned(),
            task,
            request,
            sent: prepared.sent,
        })
    }

    /// The status word of a job: `pending`, `running`, `succeeded`, `failed`, `cancelled`.
    pub async fn job_status(&self, job: &Job, bounds: &Bounds) -> Outcome<String> {
        self.job_state(job, bounds).await.map(|state| state.status)
    }

    /// Waits for a job's answer, asking after it less and less often. A job that outlasts `wait` is cancelled; one
    /// whose caller stops waiting goes on.
    pub async fn job_result(
        &self,
        job: &Job,
        wait: Limit<Duration>,
        bounds: &Bounds,
    ) -> Outcome<Answer> {
        let operation = job.request.operation();
        let started = Instant::now();
        let end = wait.get().and_then(|wait| started.checked_add(wait));
        let mut pause = FIRST_POLL;
        loop {
            let state = self.job_state(job, bounds).await?;
            if let Some(outcome) = self.outcome_of(job, &state).await {
                return outcome.map_err(|failure| failure.during(SERVICE, operation));
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                let _ = self.cancel_job(job, bounds).await;
                return Err(outlasted(job, &state, started).during(SERVICE, operation));
            }
            let next = Instant::now() + pause;
            let next = end.map_or(next, |end| end.min(next));
            tokio::select! {
                () = sleep_until(next) => {}
                () = bounds.cancel.cancelled() => {
                    return Err(Failure::aborted().during(SERVICE, operation));
                }
            }
            pause = (pause * 2).min(LAST_POLL);
        }
    }

    /// Cancels a job; `false` when there is nothing to cancel any more.
    pub async fn cancel_job(&self, job: &Job, bounds: &Bounds) -> Outcome<bool> {
        let (jobs, id) = (&self.config.paths.jobs, job.segment());
        let path = format!("{jobs}/async/jobs/{id}/cancel");
        let exchange = Exchange {
            method: Method::POST,
            ..Exchange::get(&path)
        };
        match self.fetch("cancelJob", &exchange, bounds).await {
            Ok(_) => Ok(true),
            Err(failure)
                if has_status(&failure, StatusCode::NOT_FOUND)
                    || has_status(&failure, StatusCode::CONFLICT) =>
            {
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn prepare_job(&self, request: &Arc<Request>, bounds: &Bounds) -> Outcome<Prepared> {
        let count = AtomicU32::new(0);
        tokio::select! {
            prepared = self.prepare(request, &count) => prepared,
            () = bounds.cancel.cancelled() => Err(Failure::aborted()),
        }
    }

    async fn job_state(&self, job: &Job, bounds: &Bounds) -> Outcome<State> {
        let (jobs, id) = (&self.config.paths.jobs, job.segment());
        let path = format!("{jobs}/{}/jobs/{id}", job.task);
        let answer = self.fetch("job", &Exchange::get(&path), bounds).await?;
        State::deserialize(answer)
            .map_err(|error| unreadable(&error.to_string()).during(SERVICE, "job"))
    }

    /// How a job ended; `None` while it has not. A status this client does not know is taken for "not yet".
    async fn outcome_of(&self, job: &Job, state: &State) -> Option<Outcome<Answer>> {
        let failure = match state.status.as_str() {
            "succeeded" => return Some(self.job_answer(job, state.result.clone()).await),
            "failed" => Failure::new(Kind::Rejected, format!("job {} failed", job.id))
                .with_code("ERR_MOORLINE_JOB_FAILED"),
            "cancelled" => Failure::new(Kind::Rejected, format!("job {} was cancelled", job.id))
                .with_code("ERR_MOORLINE_JOB_CANCELLED"),
            _ => return None,
        };
        let failure = failure.with_delivery(Delivery::Answered);
        Some(Err(match &state.error {
            Json::Null => failure,
            Json::String(text) => failure.with_cause(text.clone(), None),
            other => failure.with_detail("error", other.clone()),
        }))
    }

    async fn job_answer(&self, job: &Job, result: Json) -> Outcome<Answer> {
        let (request, sent) = (Arc::clone(&job.request), job.sent.clone());
        // How long the result is, is known no more; jobs are for the long ones.
        let mut answer =
            off_runtime(usize::MAX, move || reply::read(&request, &sent, result)).await?;
        payload::model_of(&job.request, &self.config).clone_into(&mut answer.model_info.model);
        self.account(&answer);
        Ok(answer)
    }
}

fn outlasted(job: &Job, state: &State, started: Instant) -> Failure {
    let message = format!(
        "job {} was still {} after {} ms and has been cancelled",
        job.id,
        state.status,
        started.elapsed().as_millis()
    );
    Failure::timed_out(Kind::Timeout, message, "timeoutMs").with_delivery(Delivery::Answered)
}
