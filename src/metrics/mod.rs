//! The metrics of the process, as text, and those that a user counts.

use std::ffi::CStr;

use moorline_core::{
    metrics::{MetricDefinition, MetricError, MetricType, Registry, TextExposition, UserSeries},
    options::OptionError,
    resilience::registry,
};
use moorline_net::pool;
use napi::{Env, Result};
use napi_derive::napi;

use crate::bridge::{Argument, Call, Exports, Function, Handle, OrThrow, ReturnValue};

/// Everything that is counted as Prometheus text.
#[napi(catch_unwind)]
pub fn metrics_text() -> String {
    pool::refresh();
    registry::Registry::global().publish();
    let mut exposition = TextExposition::new();
    Registry::global().write(&mut exposition);
    exposition.into_text()
}

fn definition<'a>(
    kind: &str,
    name: &'a str,
    help: &'a str,
    bounds: &'a [f64],
) -> MetricDefinition<'a> {
    MetricDefinition {
        metric_type: match kind {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            _ => MetricType::Histogram,
        },
        name,
        help,
        bounds,
    }
}

fn or_throw<T>(env: Env, result: std::result::Result<T, MetricError>) -> Result<T> {
    result
        .map_err(|error| OptionError::unusable(error.to_string()))
        .or_throw(&env)
}

/// Makes sure that there can be a metric of this definition; `kind` is `counter`, `gauge` or `histogram`.
#[napi(catch_unwind)]
pub fn metric_define(
    env: Env,
    kind: String,
    name: Argument<String>,
    help: Argument<String>,
    label_names: Vec<String>,
    bounds: Vec<f64>,
) -> Result<()> {
    let (name, help) = (name.value_or_throw("name")?, help.value_or_throw("help")?);
    let labels: Vec<_> = label_names.iter().map(String::as_str).collect();
    let defined = definition(&kind, &name, &help, &bounds).define(Registry::global(), &labels);
    or_throw(env, defined)
}

/// The series of a metric with these values of its labels.
#[napi(catch_unwind, ts_return_type = "Handle<MetricSeries>")]
pub fn metric_series(
    env: Env,
    kind: String,
    name: String,
    help: String,
    label_names: Vec<String>,
    label_values: Vec<String>,
    bounds: Vec<f64>,
) -> Result<Handle<MetricSeries>> {
    let names = label_names.iter().map(String::as_str);
    let labels: Vec<_> = names.zip(label_values.iter().map(String::as_str)).collect();
    let definition = definition(&kind, &name, &help, &bounds);
    let series = UserSeries::find(Registry::global(), &definition, &labels);
    Ok(Handle::new(MetricSeries(or_throw(env, series)?)))
}

/// A series behind a handle.
pub struct MetricSeries(UserSeries);

/// `metricRecord(series, value)`: adds to a counter or a gauge, counts a value of a histogram.
struct Record;

impl Function for Record {
    const NAME: &'static CStr = c"metricRecord";
    fn run(call: &Call) -> ReturnValue {
        if let (Some(series), Some(value)) = (call.handle::<MetricSeries>(0), call.number(1)) {
            series.0.record(value);
        }
        ReturnValue::Undefined
    }
}

/// `metricSet(gauge, value)`: replaces the value of a gauge.
struct Set;

impl Function for Set {
    const NAME: &'static CStr = c"metricSet";
    fn run(call: &Call) -> ReturnValue {
        if let (Some(series), Some(value)) = (call.handle::<MetricSeries>(0), call.number(1)) {
            series.0.set(value);
        }
        ReturnValue::Undefined
    }
}

/// Adds the hand-written functions.
pub(crate) fn register(exports: &Exports) -> Result<()> {
    exports.add::<Record>()?;
    exports.add::<Set>()
}
