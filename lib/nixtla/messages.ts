import type { Value } from '../libsql/result-set';

/** One measurement. */
export interface NixtlaPoint {
  /** Which series it belongs to, where there are several; then every point has one. */
  id?: string | number | undefined;
  /** An ISO 8601 string (without an offset: UTC), a `Date`, or milliseconds since 1970. */
  timestamp: Value | Date;
  /** A finite number. */
  value: Value;
}

/** What every request has. It is checked whole before anything is sent. */
export interface NixtlaSeriesRequest {
  /** The points, in any order. Each series must be regular: no gaps, no repeated times. */
  timeseries: readonly NixtlaPoint[];
  /**
   * How far apart the points are: `1h`, `15min`, `D`, `B`, `W`, `MS`, `QS`, … (pandas' names, and the shorter ones
   * people write). Inferred from the spacing when it is left out.
   */
  frequency?: string | undefined;
  /** The model; default: the client's. */
  model?: string | undefined;
  /** A model that was made with `finetune`. */
  finetunedModelId?: string | undefined;
  /** Steps of fine-tuning. Default 0, in `finetune` 10. */
  finetuneSteps?: number | undefined;
  /** How many layers are tuned, 1 to 5. Default 1. */
  finetuneDepth?: number | undefined;
  /** What fine-tuning minimises. Default `default`. */
  finetuneLoss?: 'default' | 'mae' | 'mse' | 'rmse' | 'mape' | 'smape' | 'poisson' | undefined;
}

/** Asks for a forecast. */
export interface NixtlaForecastRequest extends NixtlaSeriesRequest {
  /** How many points ahead. */
  horizon: number;
  /** Levels of the intervals that are wanted, between 0 and 1. */
  confidenceLevels?: readonly number[] | undefined;
}

/** Asks how past values would have been forecast. */
export interface NixtlaCrossValidationRequest extends NixtlaForecastRequest {
  /** How many windows. Default 1. */
  windows?: number | undefined;
  /** How many points lie between two windows. Default `horizon`. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned anew in each window. Default true. */
  refit?: boolean | undefined;
}

/** Asks which points are not where they were to be expected. */
export interface NixtlaAnomalyRequest extends NixtlaSeriesRequest {
  /** The confidence level of the interval an anomaly lies outside of, between 0 and 1. Default 0.99. */
  level?: number | undefined;
}

/** Asks which of the last points are not where they were to be expected before they were known. */
export interface NixtlaOnlineAnomalyRequest extends NixtlaAnomalyRequest {
  /** How many points ahead each point is forecast. */
  horizon: number;
  /** How many of the last points are judged. */
  detectionSize: number;
  /** Whether each series is judged alone or all together. Default `univariate`. */
  thresholdMethod?: 'univariate' | 'multivariate' | undefined;
  /** How many points lie between two forecasts. Default: the service's choice. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned anew at each step. Default false. */
  refit?: boolean | undefined;
}

/** Asks for a fine-tuned model. */
export interface NixtlaFinetuneRequest extends NixtlaSeriesRequest {
  /** The new model's name: 1 to 36 letters, digits, `-` or `_`. Default: the service's choice. */
  outputModelId?: string | undefined;
}

/** How an answer came about. */
export interface NixtlaModelInfo {
  /** The service, or the local model that stood in for it. */
  source: 'service' | 'local';
  model: string;
  /** The frequency in the service's spelling. */
  frequency: string;
  /** HTTP requests this took, retries included. */
  requests: number;
  /** Tokens, as the service counts them. */
  inputTokens?: number;
  outputTokens?: number;
  finetuneTokens?: number;
  /** Why the local model answered: `auth` without a key, `circuit-open`, or the kind of the last failure. */
  fallbackReason?: string;
}

/** The bounds of a level. */
export interface NixtlaInterval {
  lower: number;
  upper: number;
}

/** A predicted point. */
export interface NixtlaPrediction {
  id?: string;
  /** Written as in the request; ISO 8601 in UTC for a `Date` or a number. */
  timestamp: string;
  value: number;
  /** By level, as it was asked for: `intervals['0.95']`. */
  intervals?: Record<string, NixtlaInterval>;
}

/** A forecast. */
export interface NixtlaForecastResponse {
  /** Series after series, each in the order of time. */
  predictions: NixtlaPrediction[];
  modelInfo?: NixtlaModelInfo;
}

/** Past values beside their forecasts. */
export interface NixtlaCrossValidationResponse {
  forecasts: (NixtlaPrediction & {
    /** The last time that the forecast knew. */
    cutoff: string;
    actual: number;
  })[];
  modelInfo: NixtlaModelInfo;
}

/** A judged point. */
export interface NixtlaAnomaly {
  id?: string;
  timestamp: string;
  value: number;
  /** The distance from the expected value in half-widths of the interval: above 1 is an anomaly. 0: not judged. */
  score: number;
  isAnomaly: boolean;
  /** Absent where the point was not judged: the service looks at the last part of a series only. */
  expected?: number;
  lower?: number;
  upper?: number;
}

/** Every point of the request, judged. */
export interface NixtlaAnomalyResponse {
  anomalies: NixtlaAnomaly[];
  modelInfo: NixtlaModelInfo;
}

/** A new model. */
export interface NixtlaFinetuneResponse {
  finetunedModelId: string;
  modelInfo: NixtlaModelInfo;
}

/** What can be handed over as a job: request and answer by the method's name. */
export interface NixtlaJobs {
  forecast: [NixtlaForecastRequest, NixtlaForecastResponse];
  crossValidate: [NixtlaCrossValidationRequest, NixtlaCrossValidationResponse];
  onlineAnomalies: [NixtlaOnlineAnomalyRequest, NixtlaAnomalyResponse];
  finetune: [NixtlaFinetuneRequest, NixtlaFinetuneResponse];
}

/** A fine-tuned model of the account, as the service describes it. */
export interface NixtlaFinetunedModel {
  id: string;
  [fact: string]: unknown;
}

/** Requests used and allowed, as the service says. */
export interface NixtlaUsage {
  minute?: Record<string, number>;
  month?: Record<string, number>;
  [fact: string]: unknown;
}
