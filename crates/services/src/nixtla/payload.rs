//! Request bodies: JSON with flat arrays, compressed above a mebibyte.
//!
//! The values of all series follow each other in one array, with their lengths in another.

use bytes::Bytes;
use moorline_core::error::{Delivery, Failure, Kind, Outcome};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::{
    config::NixtlaConfig,
    request::{ModelInput, Request, Task},
    series::Series,
    window::Sent,
};

/// Above this size a body is compressed, as the vendor's client does.
const COMPRESS_ABOVE: usize = 1 << 20;
/// The fastest level; numbers compress to about half at any.
const COMPRESSION_LEVEL: i32 = 1;
/// The largest body the service takes, before compression.
const MAX_BYTES: usize = 200 << 20;

/// A body, ready to be sent as often as needed.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    /// The bytes.
    pub(super) bytes: Bytes,
    /// Whether they are compressed with zstd.
    pub(super) compressed: bool,
}

impl Payload {
    /// The body for `bytes` of JSON.
    pub(super) fn new(json: Vec<u8>) -> Outcome<Self> {
        if json.len() > MAX_BYTES {
            let parts = json.len().div_ceil(MAX_BYTES);
            let message = format!(
                "the request has {} MB, the limit of the service is 200 MB: send the series in {parts} requests",
                json.len() >> 20
            );
            return Err(Failure::new(Kind::Rejected, message)
                .with_code("ERR_MOORLINE_REQUEST_TOO_LARGE")
                .with_delivery(Delivery::None));
        }
        if json.len() <= COMPRESS_ABOVE {
            return Ok(Self {
                bytes: json.into(),
                compressed: false,
            });
        }
        let compressed = zstd::bulk::compress(&json, COMPRESSION_LEVEL);
        Ok(match compressed {
            Ok(bytes) => Self {
                bytes: bytes.into(),
                compressed: true,
            },
            // Fails only for lack of memory; the service also takes an uncompressed body.
            Err(_) => Self {
                bytes: json.into(),
                compressed: false,
            },
        })
    }
}

/// The model of a request.
pub(super) fn model_of<'a>(request: &'a Request, config: &'a NixtlaConfig) -> &'a str {
    request.input.model.as_deref().unwrap_or(&config.model)
}

#[derive(Serialize)]
struct Body<'a> {
    series: FlatSeries,
    model: &'a str,
    freq: &'a str,
    #[serde(flatten)]
    more: Map<String, Json>,
}

/// The series of a request as the service reads them.
#[derive(Serialize)]
struct FlatSeries {
    /// All values, in the precision that the service uses.
    y: Vec<f32>,
    sizes: Vec<usize>,
    /// `X` and, of a forecast, `X_future`: other variables, of which there are none.
    #[serde(flatten)]
    variables: Map<String, Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    start_datetime: Vec<String>,
}

/// The JSON of a request.
pub(super) fn body(request: &Request, config: &NixtlaConfig, sent: &Sent) -> Outcome<Vec<u8>> {
    let input = &request.input;
    let body = Body {
        series: flatten(input, sent, matches!(request.task, Task::Forecast { .. })),
        model: model_of(request, config),
        freq: input.frequency.as_str(),
        more: members(&request.task, input),
    };
    serde_json::to_vec(&body).map_err(|error| {
        Failure::new(Kind::Internal, "the request could not be serialized")
            .with_cause(error.to_string(), None)
    })
}

fn flatten(input: &ModelInput, sent: &Sent, forecast: bool) -> FlatSeries {
    let parts = || input.series.iter().zip(&sent.skipped);
    let single = |value: &f64| value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
    // The service takes one UTC offset for a series; across a daylight saving change the start alone would be wrong.
    let one_offset = |series: &Series| {
        let first = series.moments[0];
        series
            .moments
            .iter()
            .all(|moment| moment.same_offset(&first))
    };
    FlatSeries {
        y: parts()
            .flat_map(|(series, skipped)| series.values[*skipped..].iter().map(single))
            .collect(),
        sizes: parts()
            .map(|(series, skipped)| series.values.len() - skipped)
            .collect(),
        variables: object(if forecast {
            json!({ "X": null, "X_future": null })
        } else {
            json!({ "X": null })
        }),
        start_datetime: if input.series.iter().all(one_offset) {
            parts()
                .map(|(series, skipped)| series.moments[*skipped].to_wire())
                .collect()
        } else {
            Vec::new()
        },
    }
}

/// The fields beside the series, the model and the frequency.
fn members(task: &Task, input: &ModelInput) -> Map<String, Json> {
    let mut members = match task {
        Task::Forecast { horizon, levels } => object(json!({
            "h": horizon, "level": percentages(levels), "clean_ex_first": true,
            "feature_contributions": false, "multivariate": false,
        })),
        Task::CrossValidation {
            horizon,
            windows,
            step,
            refit,
            levels,
        } => object(json!({
            "h": horizon, "n_windows": windows, "step_size": step, "level": percentages(levels),
            "clean_ex_first": true, "hist_exog": null, "refit": refit, "full_history": false,
            "feature_contributions": false, "multivariate": false,
        })),
        Task::Anomalies { level } => object(json!({
            "finetuned_model_id": input.finetuned_model_id, "clean_ex_first": true,
            "level": percentage(*level), "multivariate": false,
        })),
        Task::OnlineAnomalies {
            horizon,
            detection_size,
            univariate,
            step,
            refit,
            level,
        } => object(json!({
            "h": horizon, "detection_size": detection_size, "step_size": step, "refit": refit,
            "threshold_method": if *univariate { "univariate" } else { "multivariate" },
            "clean_ex_first": true, "hist_exog": null, "level": percentage(*level), "multivariate": false,
        })),
        Task::Finetune { output_model_id } => object(json!({ "output_model_id": output_model_id })),
    };
    if !matches!(task, Task::Anomalies { .. }) {
        members.extend(object(json!({
            "finetune_steps": input.finetune_steps, "finetune_depth": input.finetune_depth,
            "finetune_loss": input.finetune_loss, "finetuned_model_id": input.finetuned_model_id,
        })));
    }
    members
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}

fn percentages(levels: &[f64]) -> Json {
    if levels.is_empty() {
        return Json::Null;
    }
    levels.iter().map(|level| percentage(*level)).collect()
}

/// 0.95 is sent as 95, and 0.999 as 99.9: rounded, for 0.57 · 100 is not 57 in binary.
fn percentage(level: f64) -> Json {
    let percent = (level * 100.0 * 1e6).round() / 1e6;
    if percent.fract() == 0.0 {
        json!(percent as u64)
    } else {
        json!(percent)
    }
}

#[cfg(test)]
mod tests {
    use moorline_core::options::{Options, PlainValue};

    use super::{
        super::window::{Window, is_restrictable},
        *,
    };

    fn series(id: &str, count: i32) -> Vec<PlainValue> {
        let hour = 3_600_000.0;
        (0..count)
            .map(|k| {
                PlainValue::Map(vec![
                    ("id".to_owned(), PlainValue::Text(id.to_owned())),
                    (
                        "timestamp".to_owned(),
                        PlainValue::Date(f64::from(k) * hour),
                    ),
                    ("value".to_owned(), PlainValue::Number(f64::from(k) + 0.1)),
                ])
            })
            .collect()
    }

    fn request(operation: &str, points: Vec<PlainValue>, more: &[(&str, PlainValue)]) -> Request {
        let mut entries = vec![("timeseries".to_owned(), PlainValue::List(points))];
        entries.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        Request::read(operation, &PlainValue::Map(entries)).unwrap()
    }

    fn config() -> NixtlaConfig {
        let options = Options::new("config", &PlainValue::Undefined).unwrap();
        NixtlaConfig::read(options, |_| None).unwrap()
    }

    fn request_body(request: &Request, sent: &Sent) -> Json {
        serde_json::from_slice(&body(request, &config(), sent).unwrap()).unwrap()
    }

    fn number(value: f64) -> PlainValue {
        PlainValue::Number(value)
    }

    #[test]
    fn a_forecast_is_written_as_the_service_reads_it() {
        let points = [series("a", 3), series("b", 2)].concat();
        let levels = PlainValue::List([0.8, 0.57, 0.999].map(PlainValue::Number).to_vec());
        let more = [("horizon", number(2.0)), ("confidenceLevels", levels)];
        let request = request("forecast", points, &more);
        let body = request_body(&request, &Sent::of(&request, None));
        let expected = json!({
            "series": {
                "y": [0.1, 1.1, 2.1, 0.1, 1.1], "sizes": [3, 2], "X": null, "X_future": null,
                "start_datetime": ["1970-01-01T00:00:00", "1970-01-01T00:00:00"],
            },
            "model": "timegpt-2.1", "freq": "h", "h": 2, "level": [80, 57, 99.9], "clean_ex_first": true,
            "feature_contributions": false, "multivariate": false, "finetune_steps": 0, "finetune_depth": 1,
            "finetune_loss": "default", "finetuned_model_id": null,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn only_the_points_within_the_models_window_are_sent() {
        let window = Some(Window {
            input: 5,
            horizon: 4,
        });
        let sizes = |operation: &str, more: &[(&str, PlainValue)]| {
            let request = request(operation, series("a", 60), more);
            assert!(is_restrictable(&request));
            let body = request_body(&request, &Sent::of(&request, window));
            body["series"]["sizes"][0].as_u64().unwrap()
        };
        let level = || ("confidenceLevels", PlainValue::List(vec![number(0.9)]));
        assert_eq!(sizes("forecast", &[("horizon", number(2.0))]), 5);
        assert_eq!(
            sizes("forecast", &[("horizon", number(2.0)), level()]),
            3 * 5 + 4
        );
        assert_eq!(
            sizes("forecast", &[("horizon", number(6.0)), level()]),
            3 * 5 + 6
        );
        let windows = [
            ("horizon", number(2.0)),
            ("windows", number(3.0)),
            ("stepSize", number(1.0)),
        ];
        assert_eq!(sizes("crossValidate", &windows), 5 + 2 + 2);
    }

    #[test]
    fn the_start_is_that_of_the_first_point_sent() {
        let request = request("forecast", series("a", 10), &[("horizon", number(2.0))]);
        let window = Window {
            input: 4,
            horizon: 2,
        };
        let body = request_body(&request, &Sent::of(&request, Some(window)));
        assert_eq!(body["series"]["start_datetime"][0], "1970-01-01T06:00:00");
    }

    #[test]
    fn fine_tuning_sees_the_whole_series() {
        let more = [("horizon", number(2.0)), ("finetuneSteps", number(5.0))];
        assert!(!is_restrictable(&request(
            "forecast",
            series("a", 9),
            &more
        )));
        assert!(!is_restrictable(&request("finetune", series("a", 9), &[])));
        assert!(!is_restrictable(&request(
            "detectAnomalies",
            series("a", 9),
            &[]
        )));
    }

    #[test]
    fn a_body_is_compressed_above_a_mebibyte() {
        let small = Payload::new(vec![b'1'; COMPRESS_ABOVE]).unwrap();
        assert!(!small.compressed);
        let json = vec![b'1'; COMPRESS_ABOVE + 1];
        let large = Payload::new(json.clone()).unwrap();
        assert!(large.compressed);
        assert_eq!(zstd::stream::decode_all(&large.bytes[..]).unwrap(), json);
    }

    #[test]
    fn a_body_above_the_services_limit_is_refused_with_advice() {
        let failure = Payload::new(vec![b'1'; MAX_BYTES + 1]).unwrap_err();
        assert_eq!(&*failure.code, "ERR_MOORLINE_REQUEST_TOO_LARGE");
        assert_eq!(failure.delivery, Delivery::None);
        assert!(failure.message.ends_with("in 2 requests"), "{failure}");
    }
}
