import type { Value } from '../libsql/result-set';

/** One point of a time series. */
export interface NixtlaPoint {
  /** The id of the series, where a request has several; then every point must have one. */
  id?: string | number | undefined;
  /** The time: an ISO 8601 string (UTC if it has no offset), a `Date`, or milliseconds since 1970. */
  timestamp: Value | Date;
  /** The value, a finite number. */
  value: Value;
}

/** The fields of every request. They are all checked before anything is sent. */
export interface NixtlaSeriesRequest {
  /** The points, in any order. Each series must be regular, without gaps and repeated times. */
  timeseries: readonly NixtlaPoint[];
  /**
   * The time between two points: `1h`, `15min`, `D`, `B`, `W`, `MS`, `QS`, … (the names of pandas, and common short forms).
   * Default: inferred from the timestamps.
   */
  frequency?: string | undefined;
  /** The model. Default: the `model` of the client. */
  model?: string | undefined;
  /** The id of a model that `finetune` made. */
  finetunedModelId?: string | undefined;
  /** The number of fine-tuning steps. Default: 0, in `finetune` 10. */
  finetuneSteps?: number | undefined;
  /** The number of layers that are tuned, 1 to 5. Default: 1. */
  finetuneDepth?: number | undefined;
  /** The loss function of fine-tuning. Default: `default`. */
  finetuneLoss?: 'default' | 'mae' | 'mse' | 'rmse' | 'mape' | 'smape' | 'poisson' | undefined;
}

/** The request of `forecast`. */
export interface NixtlaForecastRequest extends NixtlaSeriesRequest {
  /** The number of points to forecast. */
  horizon: number;
  /** The confidence levels of the intervals to return, between 0 and 1. */
  confidenceLevels?: readonly number[] | undefined;
}

/** The request of `crossValidate`. */
export interface NixtlaCrossValidationRequest extends NixtlaForecastRequest {
  /** The number of windows. Default: 1. */
  windows?: number | undefined;
  /** The number of points between two windows. Default: `horizon`. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned again in each window. Default: true. */
  refit?: boolean | undefined;
}

/** The request of `detectAnomalies`. */
export interface NixtlaAnomalyRequest extends NixtlaSeriesRequest {
  /** The confidence level, between 0 and 1; a point outside its interval is an anomaly. Default: 0.99. */
  level?: number | undefined;
}

/** The request of `onlineAnomalies`. */
export interface NixtlaOnlineAnomalyRequest extends NixtlaAnomalyRequest {
  /** The horizon of each forecast, in points. */
  horizon: number;
  /** The number of last points of each series that are checked. */
  detectionSize: number;
  /** The threshold: of each series alone, or of all series together. Default: `univariate`. */
  thresholdMethod?: 'univariate' | 'multivariate' | undefined;
  /** The number of points between two forecasts. Default: the service's choice. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned again at each step. Default: false. */
  refit?: boolean | undefined;
}

/** The request of `finetune`. */
export interface NixtlaFinetuneRequest extends NixtlaSeriesRequest {
  /** The id of the new model: 1 to 36 letters, digits, `-` or `_`. Default: the service's choice. */
  outputModelId?: string | undefined;
}

/** Facts about how a response was made. */
export interface NixtlaModelInfo {
  /** The source of the response: the service or the local model. */
  source: 'service' | 'local';
  /** The name of the model. */
  model: string;
  /** The frequency, in the spelling of the service. */
  frequency: string;
  /** The number of HTTP requests, with retries. */
  requests: number;
  /** Input tokens, as counted by the service. */
  inputTokens?: number;
  /** Output tokens, as counted by the service. */
  outputTokens?: number;
  /** Tokens of fine-tuning, as counted by the service. */
  finetuneTokens?: number;
  /** The reason why the local model was used: `auth` without a key, `circuit-open`, or the kind of the last failure. */
  fallbackReason?: string;
}

/** The interval of one confidence level. */
export interface NixtlaInterval {
  lower: number;
  upper: number;
}

/** A forecast point. */
export interface NixtlaPrediction {
  /** The id of its series, where the request has ids. */
  id?: string;
  /** The time in the format of the request; ISO 8601 in UTC for a `Date` or a number. */
  timestamp: string;
  value: number;
  /** The intervals by confidence level, as written in the request: `intervals['0.95']`. */
  intervals?: Record<string, NixtlaInterval>;
}

/** The response of `forecast`. */
export interface NixtlaForecastResponse {
  /** The forecast points, series by series, each in the order of time. */
  predictions: NixtlaPrediction[];
  modelInfo?: NixtlaModelInfo;
}

/** The response of `crossValidate`: past values with their forecasts. */
export interface NixtlaCrossValidationResponse {
  forecasts: (NixtlaPrediction & {
    /** The time of the last point that the forecast was made from. */
    cutoff: string;
    /** The value that was measured. */
    actual: number;
  })[];
  modelInfo: NixtlaModelInfo;
}

/** A point of the request, with the result of the anomaly detection. */
export interface NixtlaAnomaly {
  id?: string;
  timestamp: string;
  value: number;
  /** The distance from the expected value in half-widths of the interval: above 1 for an anomaly, 0 for a point that was not checked. */
  score: number;
  /** Whether the point is outside the interval. */
  isAnomaly: boolean;
  /** The expected value; absent for a point that was not checked, as the service checks only the last part of a series. */
  expected?: number;
  /** The lower end of the interval, present as `expected` is. */
  lower?: number;
  /** The upper end of the interval, present as `expected` is. */
  upper?: number;
}

/** The response of `detectAnomalies` and `onlineAnomalies`: a result for every point of the request. */
export interface NixtlaAnomalyResponse {
  anomalies: NixtlaAnomaly[];
  modelInfo: NixtlaModelInfo;
}

/** The response of `finetune`. */
export interface NixtlaFinetuneResponse {
  /** The id of the new model, for later requests. */
  finetunedModelId: string;
  modelInfo: NixtlaModelInfo;
}

/** The operations that `submit` accepts: the request and the response of each. */
export interface NixtlaJobs {
  forecast: [NixtlaForecastRequest, NixtlaForecastResponse];
  crossValidate: [NixtlaCrossValidationRequest, NixtlaCrossValidationResponse];
  onlineAnomalies: [NixtlaOnlineAnomalyRequest, NixtlaAnomalyResponse];
  finetune: [NixtlaFinetuneRequest, NixtlaFinetuneResponse];
}

/** A fine-tuned model of the account, as described by the service. */
export interface NixtlaFinetunedModel {
  id: string;
  [fact: string]: unknown;
}

/** The numbers of used and allowed requests, as reported by the service. */
export interface NixtlaUsage {
  minute?: Record<string, number>;
  month?: Record<string, number>;
  [fact: string]: unknown;
}
