//! Nixtla: requests by the name of their operation, jobs, and the client's state.
//!
//! Requests are read whole before anything is started, so that a programmer's mistake throws; results cross as one
//! JSON text.

mod encode;

use std::sync::Arc;

use moorline_core::{
    options::{Options, PlainValue},
    resilience::registry::Watcher,
};
use moorline_services::nixtla::{
    call_limits::CallLimits,
    config::NixtlaConfig,
    jobs::{self, Job},
    request::Request,
    service::Nixtla,
};
use napi::{Env, Result};
use napi_derive::napi;

use self::encode::{encode_breaker, encode_change, encode_stats};
use crate::bridge::{
    Argument, Callback, Cancel, Handle, OrThrow, PromiseValue, RawArgument, promise,
};

/// A client, and the watcher of its breaker.
pub struct NixtlaClient {
    nixtla: Nixtla,
    /// The breaker holds it weakly.
    _watcher: Arc<Watcher>,
}

/// A submitted request, with the client that submitted it.
pub struct NixtlaJob {
    client: Arc<NixtlaClient>,
    job: Job,
}

/// A client. `variables` are the environment variables it may read; `listener` receives the breaker's changes as JSON text.
#[napi(catch_unwind, ts_return_type = "Handle<NixtlaClient>")]
pub fn nixtla_create(
    env: Env,
    config: RawArgument,
    variables: RawArgument,
    #[napi(ts_arg_type = "(change: string) => void")] listener: Callback,
) -> Result<Handle<NixtlaClient>> {
    let variable = |name: &str| match &variables.0 {
        PlainValue::Map(entries) => entries.iter().find_map(|(key, value)| match value {
            PlainValue::Text(text) if key == name => Some(text.clone()),
            _ => None,
        }),
        _ => None,
    };
    let config = Options::new("config", &config.0)
        .and_then(|options| NixtlaConfig::read(options, variable))
        .or_throw(&env)?;
    let watcher: Arc<Watcher> = Arc::new(move |_, change| {
        listener.deliver(encode_change(change).to_string());
    });
    let nixtla = Nixtla::new(config);
    nixtla.watch_breaker(&watcher);
    Ok(Handle::new(NixtlaClient {
        nixtla,
        _watcher: watcher,
    }))
}

/// Runs a request: `forecast`, `detectAnomalies`, `crossValidate`, `onlineAnomalies` or `finetune`.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn nixtla_run(
    env: Env,
    client: Handle<NixtlaClient>,
    operation: Argument<String>,
    request: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let request =
        Request::read(&operation.value_or_throw("operation")?, &request.0).or_throw(&env)?;
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        let result = client.nixtla.run(Arc::new(request), limits).await?;
        result.into_json().await
    })
}

/// Submits a request as a job.
#[napi(catch_unwind, ts_return_type = "Promise<Handle<NixtlaJob>>")]
pub fn nixtla_submit(
    env: Env,
    client: Handle<NixtlaClient>,
    operation: Argument<String>,
    request: RawArgument,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let request = Request::read(&operation.value_or_throw("operation")?, &request.0)
        .and_then(|request| jobs::check(&request).map(|()| request))
        .or_throw(&env)?;
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        let job = client.nixtla.submit(Arc::new(request), &limits).await?;
        let client = client.0;
        Ok(Handle::new(NixtlaJob { client, job }))
    })
}

/// The service's name for a job.
#[napi(catch_unwind)]
pub fn nixtla_job_id(job: Handle<NixtlaJob>) -> String {
    job.job.id().to_owned()
}

/// The state of a job at the service.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn nixtla_job_status(
    env: Env,
    job: Handle<NixtlaJob>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        job.client.nixtla.job_status(&job.job, &limits).await
    })
}

/// A job's result, waited for at most `timeoutMs` (an hour).
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn nixtla_job_result(
    env: Env,
    job: Handle<NixtlaJob>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let wait = jobs::read_wait(&timeout_ms.0).or_throw(&env)?;
    let limits = CallLimits::unlimited(Cancel::token(cancel.as_ref()));
    promise(&env, async move {
        let nixtla = &job.client.nixtla;
        let result = nixtla.job_result(&job.job, wait, &limits).await?;
        result.into_json().await
    })
}

/// Cancels a job; false when there was nothing to cancel.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn nixtla_job_cancel(
    env: Env,
    job: Handle<NixtlaJob>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        job.client.nixtla.cancel_job(&job.job, &limits).await
    })
}

/// Returns whether the service answers and accepts the key.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn nixtla_health(env: Env, client: Handle<NixtlaClient>) -> Result<PromiseValue> {
    promise(&env, async move { Ok(client.nixtla.health_check().await) })
}

/// Requests used and allowed.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn nixtla_usage(
    env: Env,
    client: Handle<NixtlaClient>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        Ok(client.nixtla.usage(&limits).await?.to_string())
    })
}

/// The account's fine-tuned models.
#[napi(catch_unwind, ts_return_type = "Promise<string>")]
pub fn nixtla_models(
    env: Env,
    client: Handle<NixtlaClient>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        Ok(client.nixtla.finetuned_models(&limits).await?.to_string())
    })
}

/// Deletes a fine-tuned model; false when there is no such model.
#[napi(catch_unwind, ts_return_type = "Promise<boolean>")]
pub fn nixtla_delete_model(
    env: Env,
    client: Handle<NixtlaClient>,
    id: Argument<String>,
    timeout_ms: RawArgument,
    cancel: Option<Handle<Cancel>>,
) -> Result<PromiseValue> {
    let id = id.value_or_throw("id")?;
    Nixtla::check_model_id(&id).or_throw(&env)?;
    let limits = read_limits(&env, &timeout_ms, cancel.as_ref())?;
    promise(&env, async move {
        client.nixtla.delete_finetuned_model(&id, &limits).await
    })
}

/// The breaker: its state, failures and times, as JSON text.
#[napi(catch_unwind)]
pub fn nixtla_breaker(client: Handle<NixtlaClient>) -> String {
    encode_breaker(&client.nixtla.breaker_state()).to_string()
}

/// Closes the breaker and forgets its failures.
#[napi(catch_unwind)]
pub fn nixtla_reset_breaker(client: Handle<NixtlaClient>) {
    client.nixtla.reset_breaker();
}

/// The client's use of the service so far, as JSON text.
#[napi(catch_unwind)]
pub fn nixtla_stats(client: Handle<NixtlaClient>) -> String {
    encode_stats(&client.nixtla.stats()).to_string()
}

fn read_limits(
    env: &Env,
    timeout_ms: &RawArgument,
    cancel: Option<&Handle<Cancel>>,
) -> Result<CallLimits> {
    CallLimits::read(&timeout_ms.0, Cancel::token(cancel)).or_throw(env)
}
