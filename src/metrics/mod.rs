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

/// A metric behind a handle.
pub struct Metric {
    kind: MetricType,
    name: String,
    help: String,
    label_names: Vec<String>,
    bounds: Vec<f64>,
}

impl Metric {
    fn definition(&self) -> MetricDefinition<'_> {
        MetricDefinition {
            metric_type: self.kind,
            name: &self.name,
            help: &self.help,
            bounds: &self.bounds,
        }
    }

    fn label_names(&self) -> impl Iterator<Item = &str> {
        self.label_names.iter().map(String::as_str)
    }
}

fn or_throw<T>(env: Env, result: std::result::Result<T, MetricError>) -> Result<T> {
    result
        .map_err(|error| OptionError::unusable(error.to_string()))
        .or_throw(&env)
}

/// A metric without series; `kind` is `counter`, `gauge` or `histogram`.
#[napi(catch_unwind, ts_return_type = "Handle<Metric>")]
pub fn metric_define(
    env: Env,
    kind: String,
    name: Argument<String>,
    help: Argument<String>,
    label_names: Vec<String>,
    bounds: Vec<f64>,
) -> Result<Handle<Metric>> {
    let metric = Metric {
        kind: match kind.as_str() {
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            _ => MetricType::Histogram,
        },
        name: name.value_or_throw("name")?,
        help: help.value_or_throw("help")?,
        label_names,
        bounds,
    };
    let labels: Vec<_> = metric.label_names().collect();
    let defined = metric.definition().define(Registry::global(), &labels);
    or_throw(env, defined)?;
    Ok(Handle::new(metric))
}

/// The series of a metric with these values of its labels.
#[napi(catch_unwind, ts_return_type = "Handle<MetricSeries>")]
pub fn metric_series(
    env: Env,
    metric: Handle<Metric>,
    label_values: Vec<String>,
) -> Result<Handle<MetricSeries>> {
    let values = label_values.iter().map(String::as_str);
    let labels: Vec<_> = metric.label_names().zip(values).collect();
    let series = UserSeries::find(Registry::global(), &metric.definition(), &labels);
    Ok(Handle::new(MetricSeries(or_throw(env, series)?)))
}

/// A series behind a handle.
pub struct MetricSeries(UserSeries);

impl MetricSeries {
    pub(crate) const fn new(series: UserSeries) -> Self {
        Self(series)
    }
}

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
