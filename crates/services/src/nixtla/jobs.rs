//! Jobs: requests that the service runs in the background, submitted, polled and cancelled.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use moorline_core::{
    error::{Delivery, Failure, Kind, Outcome},
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep_until};

use super::{
    SERVICE,
    call_limits::CallLimits,
    config::{INITIAL_POLL_INTERVAL, JOB_TIMEOUT, MAX_POLL_INTERVAL},
    connect::Exchange,
    error::Idempotency,
    payload,
    reply::{self, unreadable},
    request::{Request, Task},
    result::TaskResult,
    service::{Nixtla, PreparedRequest, has_status},
    window::Sent,
};
use moorline_net::http::offload;

/// The characters to percent-encode in a segment of a path: all but the unreserved ones of RFC 3986, section 2.3.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC
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
    /// The id that the service gave it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id as one segment of a path, escaped: it comes from the service and must not change the path.
    fn path_segment(&self) -> String {
        utf8_percent_encode(&self.id, &ESCAPED).to_string()
    }
}

/// The state of a job, as the service reports it.
#[derive(Debug, Deserialize)]
struct JobState {
    status: String,
    #[serde(default)]
    result: Json,
    #[serde(default)]
    error: Json,
}

/// The service's name for this kind of job. Anomaly detection is a job only in its online form.
fn job_kind(request: &Request) -> Option<&'static str> {
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
    job_kind(request).map(|_| ()).ok_or_else(|| {
        OptionError::bad_value(
            "operation",
            "cannot be a job; use 'onlineAnomalies' instead",
        )
    })
}

/// Reads `options.timeoutMs` of a wait for a result: an hour by default.
pub fn read_wait(timeout_ms: &PlainValue) -> Read<Limit<Duration>> {
    Ok(Options::call_timeout(timeout_ms)?.unwrap_or(JOB_TIMEOUT))
}

impl Nixtla {
    /// Submits a request as a job. Retried only where the service provably has not accepted it: a job whose submission
    /// timed out may exist.
    pub async fn submit(&self, request: Arc<Request>, limits: &CallLimits) -> Outcome<Job> {
        let operation = request.operation();
        let task = job_kind(&request).ok_or_else(|| Failure::new(Kind::Rejected, "not a job"))?;
        let prepared = self
            .prepare_job(&request, limits)
            .await
            .map_err(|failure| failure.during(SERVICE, operation))?;
        let path = format!("{}/{task}/async", self.config.paths.jobs);
        let exchange = Exchange {
            method: Method::POST,
            path: &path,
            model: Some(payload::model_of(&request, &self.config)),
            payload: Some(&prepared.payload),
            idempotency: Idempotency::NotIdempotent,
        };
        let accepted = self.fetch(operation, &exchange, limits).await?;
        let id = accepted.get("job_id").and_then(Json::as_str);
        // No escape keeps a segment of dots from being resolved as a relative path.
        let id = id.filter(|id| !matches!(*id, "" | "." | ".."));
        let no_id = || unreadable("job_id is missing or invalid").during(SERVICE, operation);
        Ok(Job {
            id: id.ok_or_else(no_id)?.to_owned(),
            task,
            request,
            sent: prepared.sent,
        })
    }

    /// The status of a job, as the service names it: `pending`, `running`, `succeeded`, `failed`, `cancelled`.
    pub async fn job_status(&self, job: &Job, limits: &CallLimits) -> Outcome<String> {
        self.job_state(job, limits).await.map(|state| state.status)
    }

    /// Waits for a job's result, polling at growing intervals. A job that takes longer than `wait` is cancelled; a job
    /// whose caller cancels the wait continues.
    pub async fn job_result(
        &self,
        job: &Job,
        wait: Limit<Duration>,
        limits: &CallLimits,
    ) -> Outcome<TaskResult> {
        let operation = job.request.operation();
        let started = Instant::now();
        let end = wait.get().and_then(|wait| started.checked_add(wait));
        let mut pause = INITIAL_POLL_INTERVAL;
        loop {
            let state = self.job_state(job, limits).await?;
            if let Some(outcome) = self.outcome_of(job, &state).await {
                return outcome.map_err(|failure| failure.during(SERVICE, operation));
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                let _ = self.cancel_job(job, limits).await;
                return Err(timed_out(job, &state, started).during(SERVICE, operation));
            }
            let next = Instant::now() + pause;
            let next = end.map_or(next, |end| end.min(next));
            tokio::select! {
                () = sleep_until(next) => {}
                () = limits.cancel.cancelled() => {
                    return Err(Failure::aborted().during(SERVICE, operation));
                }
            }
            pause = (pause * 2).min(MAX_POLL_INTERVAL);
        }
    }

    /// Cancels a job; `false` when there is nothing to cancel any more.
    pub async fn cancel_job(&self, job: &Job, limits: &CallLimits) -> Outcome<bool> {
        let (jobs, id) = (&self.config.paths.jobs, job.path_segment());
        let path = format!("{jobs}/async/jobs/{id}/cancel");
        let exchange = Exchange {
            method: Method::POST,
            ..Exchange::get(&path)
        };
        match self.fetch("cancelJob", &exchange, limits).await {
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

    async fn prepare_job(
        &self,
        request: &Arc<Request>,
        limits: &CallLimits,
    ) -> Outcome<PreparedRequest> {
        let count = AtomicU32::new(0);
        tokio::select! {
            prepared = self.prepare(request, &count) => prepared,
            () = limits.cancel.cancelled() => Err(Failure::aborted()),
        }
    }

    async fn job_state(&self, job: &Job, limits: &CallLimits) -> Outcome<JobState> {
        let (jobs, id) = (&self.config.paths.jobs, job.path_segment());
        let path = format!("{jobs}/{}/jobs/{id}", job.task);
        let response = self.fetch("job", &Exchange::get(&path), limits).await?;
        JobState::deserialize(response)
            .map_err(|error| unreadable(&error.to_string()).during(SERVICE, "job"))
    }

    /// The outcome of a job; `None` while it runs. An unknown status counts as running.
    async fn outcome_of(&self, job: &Job, state: &JobState) -> Option<Outcome<TaskResult>> {
        let failure = match state.status.as_str() {
            "succeeded" => return Some(self.read_result(job, state.result.clone()).await),
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

    async fn read_result(&self, job: &Job, result: Json) -> Outcome<TaskResult> {
        let (request, sent) = (Arc::clone(&job.request), job.sent.clone());
        // The size of the parsed result is unknown; jobs are for large ones.
        let mut result = offload(usize::MAX, move || reply::read(&request, &sent, result)).await?;
        payload::model_of(&job.request, &self.config).clone_into(&mut result.model_info.model);
        self.count_tokens(&result);
        Ok(result)
    }
}

fn timed_out(job: &Job, state: &JobState, started: Instant) -> Failure {
    let message = format!(
        "job {} was still {} after {} ms and has been cancelled",
        job.id,
        state.status,
        started.elapsed().as_millis()
    );
    Failure::timed_out(Kind::Timeout, message, "timeoutMs").with_delivery(Delivery::Answered)
}
