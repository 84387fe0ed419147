//! The options of the client, normalized. Every default is here.

use std::time::Duration;

use moorline_core::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read},
    resilience::retry::Jitter,
    secret::Secret,
};
use moorline_net::dial::DialConfig;
use url::Url;

const BASE_URL: &str = "https://api.nixtla.io";
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_RETRIES: u64 = 3;
const BASE_DELAY: Duration = Duration::from_secs(1);
/// The longest delay before a retry, unless `baseDelayMs` is longer.
pub(super) const MAX_DELAY: Duration = Duration::from_mins(1);
/// The longest wait a server may ask for (`Retry-After`); a call that is asked for more fails at once.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// The spread of the delays, so that many processes do not retry at the same moment.
pub(super) const JITTER: Jitter = Jitter::Symmetric(0.1);
const BREAKER_THRESHOLD: u64 = 5;
const BREAKER_RESET: Duration = Duration::from_secs(30);
/// The longest probe of a half-open breaker where attempts have no timeout.
pub(super) const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_mins(10);
pub(super) const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// The first pause between two looks at a job; each later one is twice as long. The same as in the vendor's client.
pub(super) const INITIAL_POLL_INTERVAL: Duration = Duration::from_millis(500);
pub(super) const MAX_POLL_INTERVAL: Duration = Duration::from_secs(15);
/// The longest wait for a job's result.
pub(super) const JOB_TIMEOUT: Limit<Duration> = Limit::At(Duration::from_hours(1));
/// The level of anomaly detection, as in the vendor's client.
pub(super) const ANOMALY_LEVEL: f64 = 0.99;
pub(super) const FINETUNE_STEPS: u64 = 10;
pub(super) const FINETUNE_DEPTH: u64 = 1;
/// The losses of fine-tuning, the default first.
pub(super) const LOSSES: [&str; 7] = ["default", "mae", "mse", "rmse", "mape", "smape", "poisson"];
/// The windows of a cross validation.
pub(super) const WINDOWS: u64 = 1;
const MODEL_PARAMS_TTL: Duration = Duration::from_hours(1);
/// The model that the vendor's own client sends where its user names none.
const MODEL: &str = "timegpt-2.1";

/// The environment variable with the key.
pub const KEY_VARIABLE: &str = "NIXTLA_API_KEY";
/// The environment variable with the base URL.
pub const BASE_URL_VARIABLE: &str = "NIXTLA_BASE_URL";

/// The configuration of a client.
#[derive(Clone, Debug)]
pub struct NixtlaConfig {
    /// `apiKey`, else `NIXTLA_API_KEY`.
    pub api_key: Option<Secret>,
    /// `baseUrl`, else `NIXTLA_BASE_URL`, else `https://api.nixtla.io`; without a slash at its end.
    pub base_url: String,
    /// `timeout`: for one attempt, in ms (30 000).
    pub timeout: Limit<Duration>,
    /// `maxRetries`: attempts after the first (3).
    pub max_retries: u32,
    /// `baseDelayMs`: before the first retry; doubles with each (1000).
    pub base_delay: Duration,
    /// `circuitBreakerThreshold`: failed calls until the breaker opens (5).
    pub breaker_threshold: u32,
    /// `circuitBreakerResetMs`: how long it stays open (30 000).
    pub breaker_reset: Duration,
    /// `fallback: 'local'`: answer from a local model when the service cannot be asked.
    pub local_fallback: bool,
    /// `model`: the model of requests that name none (`timegpt-2.1`).
    pub model: String,
    /// `restrictInput`: send only as many points as the model looks at (`true`).
    pub restrict_input: bool,
    /// `modelParamsTtlMs`: how long the size of a model's window is remembered (3 600 000).
    pub model_params_ttl: Duration,
    /// `paths`: where the endpoints are.
    pub paths: Paths,
    /// `connectTimeoutMs` (10 000), `tls`, `proxy`.
    pub http: DialConfig,
}

/// The endpoints, relative to the base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `forecast`: `/v2/forecast`
    pub forecast: String,
    /// `crossValidation`: `/v2/cross_validation`
    pub cross_validation: String,
    /// `anomalyDetection`: `/v2/anomaly_detection`
    pub anomaly_detection: String,
    /// `onlineAnomalyDetection`: `/v2/online_anomaly_detection`
    pub online_anomaly_detection: String,
    /// `finetune`: `/v2/finetune`
    pub finetune: String,
    /// `finetunedModels`: `/v2/finetuned_models`
    pub finetuned_models: String,
    /// `validateApiKey`: `/validate_api_key`
    pub validate_api_key: String,
    /// `usage`: `/usage`
    pub usage: String,
    /// `modelParams`: `/model_params`
    pub model_params: String,
    /// `jobs`: `/v2`, under which `{task}/async`, `{task}/jobs/{id}` and `async/jobs/{id}/cancel` are.
    pub jobs: String,
}

impl NixtlaConfig {
    /// Reads the options; `environment` looks up a variable.
    pub fn read(options: Options<'_>, environment: impl Fn(&str) -> Option<String>) -> Read<Self> {
        let http = DialConfig::read(&options)?;
        let config = Self {
            api_key: read_key(&options, &environment)?,
            base_url: read_base_url(&options, &environment)?,
            timeout: options.ms_limit("timeout", Limit::At(TIMEOUT), 1.0)?,
            max_retries: options.integer("maxRetries", MAX_RETRIES, 0..=100)? as u32,
            base_delay: options.ms("baseDelayMs", BASE_DELAY, 0.0)?,
            breaker_threshold: options.integer(
                "circuitBreakerThreshold",
                BREAKER_THRESHOLD,
                1..=u64::from(u32::MAX),
            )? as u32,
            breaker_reset: options.ms("circuitBreakerResetMs", BREAKER_RESET, 0.0)?,
            local_fallback: options.choice("fallback", false, &[("local", true)])?,
            model: options.text("model")?.unwrap_or(MODEL).to_owned(),
            restrict_input: options.flag("restrictInput", true)?,
            model_params_ttl: options.ms("modelParamsTtlMs", MODEL_PARAMS_TTL, 0.0)?,
            paths: read_paths(&options)?,
            http,
        };
        options.finish()?;
        Ok(config)
    }
}

fn read_key(
    options: &Options<'_>,
    environment: &impl Fn(&str) -> Option<String>,
) -> Read<Option<Secret>> {
    let given = options.text("apiKey")?.filter(|key| !key.is_empty());
    let (key, path) = match given {
        Some(key) => (Some(key.to_owned()), options.path_of("apiKey")),
        None => (environment(KEY_VARIABLE), KEY_VARIABLE.to_owned()),
    };
    match key.filter(|key| !key.is_empty()) {
        Some(key) if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            // Not shown: it may be a key with a line break at its end.
            let reason = "must consist of visible ASCII characters";
            Err(OptionError::bad_value(&path, reason))
        }
        key => Ok(key.map(Secret::new)),
    }
}

fn read_base_url(
    options: &Options<'_>,
    environment: &impl Fn(&str) -> Option<String>,
) -> Read<String> {
    let (text, path) = match (options.text("baseUrl")?, environment(BASE_URL_VARIABLE)) {
        (Some(text), _) => (text.to_owned(), options.path_of("baseUrl")),
        (None, Some(text)) if !text.is_empty() => (text, BASE_URL_VARIABLE.to_owned()),
        _ => (BASE_URL.to_owned(), String::new()),
    };
    let url = http_url(&text, &path)?;
    // They would be sent nowhere: the key has their place, and a path is what is added.
    if !url.username().is_empty() || url.password().is_some() {
        let reason = "must have no user name and no password";
        return Err(OptionError::bad_value(&path, reason));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let reason = "must have no query and no fragment";
        return Err(OptionError::bad_value(&path, reason));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn http_url(text: &str, path: &str) -> Read<Url> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| OptionError::bad_value(path, "must be an http:// or https:// URL"))
}

fn read_paths(options: &Options<'_>) -> Read<Paths> {
    let given = match options.nested("paths")? {
        Some(paths) => paths,
        None => Options::new("paths", &PlainValue::Undefined)?,
    };
    let read = |key: &'static str, default: &str| {
        let path = given.text(key)?.unwrap_or(default);
        if path.starts_with('/') {
            return Ok(path.trim_end_matches('/').to_owned());
        }
        Err(OptionError::bad_value(
            &given.path_of(key),
            "must begin with '/'",
        ))
    };
    let paths = Paths {
        forecast: read("forecast", "/v2/forecast")?,
        cross_validation: read("crossValidation", "/v2/cross_validation")?,
        anomaly_detection: read("anomalyDetection", "/v2/anomaly_detection")?,
        online_anomaly_detection: read("onlineAnomalyDetection", "/v2/online_anomaly_detection")?,
        finetune: read("finetune", "/v2/finetune")?,
        finetuned_models: read("finetunedModels", "/v2/finetuned_models")?,
        validate_api_key: read("validateApiKey", "/validate_api_key")?,
        usage: read("usage", "/usage")?,
        model_params: read("modelParams", "/model_params")?,
        jobs: read("jobs", "/v2")?,
    };
    given.finish()?;
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, PlainValue)], variables: &[(&str, &str)]) -> Read<NixtlaConfig> {
        let value = PlainValue::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        );
        NixtlaConfig::read(Options::new("config", &value)?, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn text(value: &str) -> PlainValue {
        PlainValue::Text(value.to_owned())
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let config = read(&[], &[]).unwrap();
        assert_eq!(config.base_url, "https://api.nixtla.io");
        assert_eq!(config.timeout, Limit::At(Duration::from_secs(30)));
        assert_eq!((config.max_retries, config.breaker_threshold), (3, 5));
        assert_eq!(config.base_delay, Duration::from_secs(1));
        assert_eq!(config.breaker_reset, Duration::from_secs(30));
        assert!(!config.local_fallback && config.api_key.is_none());
        assert_eq!(config.model, "timegpt-2.1");
    }

    #[test]
    fn an_argument_comes_before_the_environment() {
        let environment = [
            (KEY_VARIABLE, "from-env"),
            (BASE_URL_VARIABLE, "http://env:1/"),
        ];
        let config = read(&[], &environment).unwrap();
        assert_eq!(config.api_key.unwrap().expose(), b"from-env");
        assert_eq!(config.base_url, "http://env:1");
        let given = [
            ("apiKey", text("given")),
            ("baseUrl", text("http://given:2")),
        ];
        let config = read(&given, &environment).unwrap();
        assert_eq!(config.api_key.unwrap().expose(), b"given");
        assert_eq!(config.base_url, "http://given:2");
    }

    #[test]
    fn what_cannot_work_is_refused_by_name_and_no_key_is_shown() {
        let refusals = [
            (read(&[("apiKey", text("secret\n"))], &[]), "config.apiKey"),
            (read(&[], &[(KEY_VARIABLE, "secret key")]), KEY_VARIABLE),
            (
                read(&[("baseUrl", text("api.nixtla.io"))], &[]),
                "config.baseUrl",
            ),
            (
                read(&[], &[(BASE_URL_VARIABLE, "ftp://x")]),
                BASE_URL_VARIABLE,
            ),
            (
                read(&[("baseUrl", text("https://me:secret@h"))], &[]),
                "config.baseUrl must have no user name",
            ),
            (
                read(&[("baseUrl", text("https://h/?key=secret"))], &[]),
                "config.baseUrl must have no query",
            ),
            (
                read(&[("maxRetries", PlainValue::Number(-1.0))], &[]),
                "config.maxRetries",
            ),
            (read(&[("fallback", text("cloud"))], &[]), "config.fallback"),
            (
                read(&[("timeoutMs", PlainValue::Number(1.0))], &[]),
                "config.timeoutMs",
            ),
        ];
        for (refusal, path) in refusals {
            let message = refusal.unwrap_err().message;
            assert!(message.starts_with(path), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn paths_can_be_moved_one_by_one() {
        let moved = PlainValue::Map(vec![("forecast".to_owned(), text("/forecast"))]);
        let paths = read(&[("paths", moved)], &[]).unwrap().paths;
        assert_eq!(paths.forecast, "/forecast");
        assert_eq!(paths.usage, "/usage");
    }
}
