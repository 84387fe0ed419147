//! Requests to the service, read from plain values and checked before any is sent.

use moorline_core::options::{OptionError, Options, PlainValue, Read};

use super::{
    config::{ANOMALY_LEVEL, FINETUNE_DEPTH, FINETUNE_STEPS, LOSSES, WINDOWS},
    frequency::Frequency,
    series::{self, Series},
};

const MAX_HORIZON: u64 = 100_000;
const MAX_WINDOWS: u64 = 100_000;

/// The parts of every request: checked series, the model and its tuning.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInput {
    /// The series, at least one, none empty.
    pub series: Vec<Series>,
    /// The distance between their points.
    pub frequency: Frequency,
    /// `model`, if named.
    pub model: Option<String>,
    /// `finetunedModelId`, if named.
    pub finetuned_model_id: Option<String>,
    /// `finetuneSteps`, `finetuneDepth` (1–5) and `finetuneLoss`.
    pub finetune_steps: u64,
    /// See `finetune_steps`.
    pub finetune_depth: u64,
    /// See `finetune_steps`.
    pub finetune_loss: &'static str,
}

/// An operation and its own options.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// `forecast`
    Forecast {
        /// The number of points to predict.
        horizon: usize,
        /// The confidence levels, between 0 and 1.
        levels: Vec<f64>,
    },
    /// `crossValidate`
    CrossValidation {
        /// The number of points to predict in each window.
        horizon: usize,
        /// The number of windows.
        windows: usize,
        /// The distance between the starts of two windows, in points.
        step: usize,
        /// Whether the model is fine-tuned anew in each window.
        refit: bool,
        /// The confidence levels, between 0 and 1.
        levels: Vec<f64>,
    },
    /// `detectAnomalies`
    Anomalies {
        /// The confidence level beyond which a point is an anomaly, between 0 and 1.
        level: f64,
    },
    /// `onlineAnomalies`
    OnlineAnomalies {
        /// The number of points to predict.
        horizon: usize,
        /// The number of points at the end of each series to check.
        detection_size: usize,
        /// Whether the threshold is computed for each series alone.
        univariate: bool,
        /// The distance between two forecasts, in points; chosen by the service when absent.
        step: Option<usize>,
        /// Whether the model is fine-tuned anew in each step.
        refit: bool,
        /// The confidence level beyond which a point is an anomaly, between 0 and 1.
        level: f64,
    },
    /// `finetune`
    Finetune {
        /// The name of the new model.
        output_model_id: Option<String>,
    },
}

/// A request: a task and the series it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The operation.
    pub task: Task,
    /// Its series, model and tuning.
    pub input: ModelInput,
}

impl Request {
    /// Reads the request of an operation by its public name: `forecast`, `crossValidate`, `detectAnomalies`,
    /// `onlineAnomalies` or `finetune`.
    pub fn read(operation: &str, value: &PlainValue) -> Read<Self> {
        let options = Options::new("request", value)?;
        let task = read_task(operation, &options)?;
        let steps = match task {
            Task::Finetune { .. } => FINETUNE_STEPS,
            _ => 0,
        };
        let input = read_input(&options, steps)?;
        options.finish()?;
        Ok(Self { task, input })
    }

    /// The name of the operation, as users know it.
    pub const fn operation(&self) -> &'static str {
        match self.task {
            Task::Forecast { .. } => "forecast",
            Task::CrossValidation { .. } => "crossValidate",
            Task::Anomalies { .. } => "detectAnomalies",
            Task::OnlineAnomalies { .. } => "onlineAnomalies",
            Task::Finetune { .. } => "finetune",
        }
    }
}

fn read_task(operation: &str, options: &Options<'_>) -> Read<Task> {
    Ok(match operation {
        "forecast" => Task::Forecast {
            horizon: required_size(options, "horizon", MAX_HORIZON)?,
            levels: read_levels(options)?,
        },
        "crossValidate" => read_cross_validation(options)?,
        "detectAnomalies" => Task::Anomalies {
            level: read_level(options)?,
        },
        "onlineAnomalies" => read_online_anomalies(options)?,
        "finetune" => Task::Finetune {
            output_model_id: read_id(options, "outputModelId")?,
        },
        other => {
            return Err(OptionError::bad_value(
                "operation",
                format!("is not known: '{other}'"),
            ));
        }
    })
}

fn read_input(options: &Options<'_>, default_steps: u64) -> Read<ModelInput> {
    let (series, frequency) = series::read(options)?;
    Ok(ModelInput {
        series,
        frequency,
        model: options.text("model")?.map(str::to_owned),
        finetuned_model_id: read_id(options, "finetunedModelId")?,
        finetune_steps: options.integer("finetuneSteps", default_steps, 0..=1000)?,
        finetune_depth: options.integer("finetuneDepth", FINETUNE_DEPTH, 1..=5)?,
        finetune_loss: options.choice(
            "finetuneLoss",
            LOSSES[0],
            &LOSSES.map(|loss| (loss, loss)),
        )?,
    })
}

fn read_cross_validation(options: &Options<'_>) -> Read<Task> {
    let horizon = required_size(options, "horizon", MAX_HORIZON)?;
    Ok(Task::CrossValidation {
        horizon,
        windows: options.integer("windows", WINDOWS, 1..=MAX_WINDOWS)? as usize,
        step: options.integer("stepSize", horizon as u64, 1..=MAX_HORIZON)? as usize,
        refit: options.flag("refit", true)?,
        levels: read_levels(options)?,
    })
}

fn read_online_anomalies(options: &Options<'_>) -> Read<Task> {
    let step = options.integer("stepSize", 0, 1..=MAX_HORIZON)? as usize;
    Ok(Task::OnlineAnomalies {
        horizon: required_size(options, "horizon", MAX_HORIZON)?,
        detection_size: required_size(options, "detectionSize", u64::from(u32::MAX))?,
        univariate: options.choice(
            "thresholdMethod",
            true,
            &[("univariate", true), ("multivariate", false)],
        )?,
        step: (step > 0).then_some(step),
        refit: options.flag("refit", false)?,
        level: read_level(options)?,
    })
}

fn required_size(options: &Options<'_>, key: &'static str, most: u64) -> Read<usize> {
    if options.value(key).is_none() {
        return Err(OptionError::wrong_type(
            &options.path_of(key),
            "a number",
            &PlainValue::Undefined,
        ));
    }
    options.integer(key, 0, 1..=most).map(|size| size as usize)
}

fn read_level(options: &Options<'_>) -> Read<f64> {
    let level = options
        .value("level")
        .map(|level| (options.path_of("level"), level));
    level.map_or(Ok(ANOMALY_LEVEL), |(path, level)| level_of(&path, level))
}

fn read_levels(options: &Options<'_>) -> Read<Vec<f64>> {
    let path = options.path_of("confidenceLevels");
    let items = options.list("confidenceLevels")?.unwrap_or_default();
    items
        .iter()
        .enumerate()
        .map(|(index, item)| level_of(&format!("{path}[{index}]"), item))
        .collect()
}

/// A level is a ratio: 0.95, never 95.
fn level_of(path: &str, value: &PlainValue) -> Read<f64> {
    match value {
        PlainValue::Number(level) if *level > 0.0 && *level < 1.0 => Ok(*level),
        PlainValue::Number(level) => Err(OptionError::out_of_range(
            path,
            "greater than 0 and less than 1",
            *level,
        )),
        other => Err(OptionError::wrong_type(path, "a number", other)),
    }
}

/// The service's own rule for names of models.
fn read_id(options: &Options<'_>, key: &'static str) -> Read<Option<String>> {
    let Some(id) = options.text(key)? else {
        return Ok(None);
    };
    check_id(&options.path_of(key), id).map(|()| Some(id.to_owned()))
}

/// Checks the name of a fine-tuned model.
pub fn check_id(path: &str, id: &str) -> Read<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=36).contains(&id.len()) && id.bytes().all(allowed) {
        return Ok(());
    }
    Err(OptionError::bad_value(
        path,
        format!("must be 1 to 36 letters, digits, '-' or '_', got '{id}'"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(entries: &[(&str, PlainValue)]) -> PlainValue {
        let point = |day: &str, value| {
            PlainValue::Map(vec![
                ("timestamp".to_owned(), PlainValue::Text(day.to_owned())),
                ("value".to_owned(), PlainValue::Number(value)),
            ])
        };
        let series = PlainValue::List(vec![point("2024-01-01", 1.0), point("2024-01-02", 2.0)]);
        let mut all = vec![("timeseries".to_owned(), series)];
        all.extend(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        PlainValue::Map(all)
    }

    fn refusal(operation: &str, entries: &[(&str, PlainValue)]) -> String {
        Request::read(operation, &request(entries))
            .unwrap_err()
            .message
    }

    #[test]
    fn levels_are_ratios_and_percentages_are_refused() {
        let levels = PlainValue::List(vec![PlainValue::Number(0.8), PlainValue::Number(95.0)]);
        let entries = [
            ("horizon", PlainValue::Number(1.0)),
            ("confidenceLevels", levels),
        ];
        assert_eq!(
            refusal("forecast", &entries),
            "request.confidenceLevels[1] must be greater than 0 and less than 1, got 95"
        );
    }

    #[test]
    fn a_horizon_is_needed_and_whole() {
        assert_eq!(
            refusal("forecast", &[]),
            "request.horizon must be a number, got undefined"
        );
        let half = [("horizon", PlainValue::Number(1.5))];
        assert!(refusal("forecast", &half).contains("a whole number"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        let entries = [
            ("horizont", PlainValue::Number(1.0)),
            ("horizon", PlainValue::Number(1.0)),
        ];
        assert_eq!(
            refusal("forecast", &entries),
            "request.horizont is not a known option; did you mean 'horizon'?"
        );
    }

    #[test]
    fn names_of_models_follow_the_rule_of_the_service() {
        let entries = [("outputModelId", PlainValue::Text("my model".to_owned()))];
        assert!(refusal("finetune", &entries).starts_with("request.outputModelId must be"));
    }

    #[test]
    fn fine_tuning_has_ten_steps_and_a_forecast_none() {
        let read = |operation| {
            let request = request(&[("horizon", PlainValue::Number(2.0))]);
            Request::read(operation, &request).map(|request| request.input.finetune_steps)
        };
        assert_eq!(read("forecast"), Ok(0));
        let request = request(&[]);
        let tuned = Request::read("finetune", &request).unwrap();
        assert_eq!(tuned.input.finetune_steps, 10);
    }
}
