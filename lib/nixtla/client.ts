import { inspect, type InspectOptions } from 'node:util';

import type { CircuitState } from '../resilience/breaker';
import { call, weakListener } from '../runtime/native-call';
import { Emitter } from '../runtime/emitter';
import { checkOptions } from '../runtime/known-options';
import { log } from '../runtime/logger';
import { native, type Cancel, type Handle } from '../runtime/native';
import { NIXTLA_CALL_OPTIONS, type NixtlaCallOptions, NixtlaJob } from './job';
import type {
  NixtlaAnomalyRequest,
  NixtlaAnomalyResponse,
  NixtlaCrossValidationRequest,
  NixtlaCrossValidationResponse,
  NixtlaFinetunedModel,
  NixtlaFinetuneRequest,
  NixtlaFinetuneResponse,
  NixtlaForecastRequest,
  NixtlaForecastResponse,
  NixtlaJobs,
  NixtlaModelInfo,
  NixtlaOnlineAnomalyRequest,
  NixtlaUsage,
} from './messages';
import { singleton } from '../runtime/singleton';
import type { NixtlaTls } from '../runtime/tls';
import type { NixtlaClient as NativeClient } from '../../dist/native';

/** Options of a {@link NixtlaClient}. */
export interface NixtlaClientConfig {
  /** The key, sent as `Authorization: Bearer …`. Default: `NIXTLA_API_KEY`. Without one every call rejects. */
  apiKey?: string | undefined;
  /** Default: `NIXTLA_BASE_URL`, else `https://api.nixtla.io`. */
  baseUrl?: string | undefined;
  /** How long one attempt may take, in milliseconds. Default: 30 000. */
  timeout?: number | undefined;
  /** Attempts after the first. Default: 3. */
  maxRetries?: number | undefined;
  /** The wait before the first retry; it doubles with each, ±10 %, up to a minute. Default: 1000. */
  baseDelayMs?: number | undefined;
  /** Failed calls (each with all its retries) that open the circuit breaker. Default: 5. */
  circuitBreakerThreshold?: number | undefined;
  /** How long it stays open. Default: 30 000. */
  circuitBreakerResetMs?: number | undefined;
  /**
   * `'local'` uses a local model for forecasts and anomalies when there is no key, the circuit breaker is open, or the
   * service is down. `modelInfo.source` of a response tells which was used.
   */
  fallback?: 'local' | undefined;
  /** The model of requests that name none. Default: `timegpt-2.1`. */
  model?: string | undefined;
  /** Sends only as many points as the model reads, as the vendor's client does. Default: true. */
  restrictInput?: boolean | undefined;
  /** How long that number is cached, for each model. Default: 3 600 000. */
  modelParamsTtlMs?: number | undefined;
  /** How long connecting may take. Default: 10 000. */
  connectTimeoutMs?: number | undefined;
  /** The paths of the endpoints, where they differ from those of the service. */
  paths?: NixtlaPaths | undefined;
  /** TLS options. Certificates and keys are PEM text, its bytes, or the path of a PEM file. */
  tls?: NixtlaTls | undefined;
  /** `'environment'` (`HTTPS_PROXY`, …) or a proxy's URL. Default: none. */
  proxy?: string | undefined;
}

/** The paths of the endpoints, relative to the base URL; each begins with a slash. */
export interface NixtlaPaths {
  forecast?: string | undefined;
  crossValidation?: string | undefined;
  anomalyDetection?: string | undefined;
  onlineAnomalyDetection?: string | undefined;
  finetune?: string | undefined;
  finetunedModels?: string | undefined;
  validateApiKey?: string | undefined;
  usage?: string | undefined;
  modelParams?: string | undefined;
  jobs?: string | undefined;
}

/** A snapshot of the circuit breaker. After `nextAttemptTime` its state is still `open` until the next call. */
export interface CircuitBreakerState {
  state: 'closed' | 'open' | 'half-open';
  /** The number of failed calls since the last success. */
  failures: number;
  /** The time of the last failure. */
  lastFailureTime?: Date;
  /** The time from which an open breaker admits a call. */
  nextAttemptTime?: Date;
}

/** The usage of a client since it was created. */
export interface NixtlaStats {
  /** The number of HTTP requests of every kind, with retries. */
  requests: number;
  /** Input tokens, as counted by the service. */
  inputTokens: number;
  /** Output tokens, as counted by the service. */
  outputTokens: number;
  /** Tokens of fine-tuning, as counted by the service. */
  finetuneTokens: number;
  /** The number of calls for which the local model was used. */
  localAnswers: number;
}

type NativeCall<T> = (timeoutMs: number | undefined, cancel: Handle<Cancel> | undefined) => Promise<T>;

/** What the events of a client carry. */
type NixtlaFacts = {
  state: { from: CircuitState; to: CircuitState };
  health: { healthy: boolean };
  error: { error: unknown };
};

/**
 * A client of Nixtla's TimeGPT: forecasts, anomaly detection, cross validation, fine-tuning.
 *
 * Temporary failures (a lost connection, a timeout, status 408, 429, 5xx) are retried, not before the time that the service
 * asks for; calls that still fail open a circuit breaker. Errors of the caller are neither retried nor counted. Points that
 * are irregular or not finite are refused before anything is sent, with a `TypeError` or `RangeError` that names the first.
 *
 * Emits `state` for each change of the circuit breaker, `health` for each health check, `error` for each failed call.
 *
 * @example
 * ```ts
 * import { NixtlaClient } from 'moorline';
 *
 * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY, fallback: 'local' });
 * console.log(client.getCircuitBreakerState().state); // closed
 * ```
 */
export class NixtlaClient extends Emitter<NixtlaFacts> {
  readonly #client: Handle<NativeClient>;

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config?: NixtlaClientConfig) {
    super('nixtla', 'client');
    const { NIXTLA_API_KEY, NIXTLA_BASE_URL } = process.env;
    this.#client = native.nixtlaCreate(
      config,
      { NIXTLA_API_KEY, NIXTLA_BASE_URL },
      weakListener(this, NixtlaClient.#onStateChange),
    );
    if (config?.tls?.rejectUnauthorized === false) log('warn', 'nixtla.certificates-unchecked', 'nixtla', () => ({}));
  }

  static #onStateChange(client: NixtlaClient, change: string): void {
    client.publish('state', () => JSON.parse(change) as NixtlaFacts['state']);
  }

  /**
   * Returns a forecast of the next `horizon` points of each series.
   *
   * @example
   * ```ts
   * import { NixtlaClient } from 'moorline';
   *
   * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY });
   * const timeseries = [100, 105, 103].map((value, day) => ({ timestamp: Date.UTC(2024, 0, 1 + day), value }));
   * const { predictions } = await client.forecast({ timeseries, horizon: 2, frequency: 'D' });
   * console.log(predictions[0]?.timestamp); // 2024-01-04T00:00:00.000Z
   * ```
   */
  async forecast(request: NixtlaForecastRequest, options?: NixtlaCallOptions): Promise<NixtlaForecastResponse> {
    return this.#request('forecast', request, options);
  }

  /** Returns which points of each series are anomalies; the service checks only the last part of a series. */
  async detectAnomalies(request: NixtlaAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse> {
    return this.#request('detectAnomalies', request, options);
  }

  /** Returns which of the last `detectionSize` points of each series are anomalies, by forecasts made only from earlier points. */
  async onlineAnomalies(
    request: NixtlaOnlineAnomalyRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaAnomalyResponse> {
    return this.#request('onlineAnomalies', request, options);
  }

  /** Returns forecasts of past points together with their actual values. */
  async crossValidate(
    request: NixtlaCrossValidationRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaCrossValidationResponse> {
    return this.#request('crossValidate', request, options);
  }

  /** Creates a model that is tuned to the series, and returns its id. Retried only if the service provably has not begun. */
  async finetune(request: NixtlaFinetuneRequest, options?: NixtlaCallOptions): Promise<NixtlaFinetuneResponse> {
    return this.#request('finetune', request, options);
  }

  /**
   * Submits a request that the service processes asynchronously, for work that takes longer than one HTTP request may, and
   * returns the job. Retried only if the service provably has not accepted it.
   */
  async submit<Operation extends keyof NixtlaJobs>(
    operation: Operation,
    request: NixtlaJobs[Operation][0],
    options?: NixtlaCallOptions,
  ): Promise<NixtlaJob<NixtlaJobs[Operation][1]>> {
    const job = await this.#call(options, (timeoutMs, cancel) =>
      native.nixtlaSubmit(this.#client, operation, request, timeoutMs, cancel),
    );
    return new NixtlaJob(job);
  }

  /** Returns the fine-tuned models of the account. */
  async finetunedModels(options?: NixtlaCallOptions): Promise<NixtlaFinetunedModel[]> {
    const models = await this.#call(options, (...args) => native.nixtlaModels(this.#client, ...args));
    return JSON.parse(models) as NixtlaFinetunedModel[];
  }

  /** Deletes a fine-tuned model. Returns `false` if there is no such model. */
  async deleteFinetunedModel(id: string, options?: NixtlaCallOptions): Promise<boolean> {
    return this.#call(options, (...args) => native.nixtlaDeleteModel(this.#client, id, ...args));
  }

  /** Returns the numbers of used and allowed requests per minute and per month. */
  async usage(options?: NixtlaCallOptions): Promise<NixtlaUsage> {
    const usage = await this.#call(options, (...args) => native.nixtlaUsage(this.#client, ...args));
    return JSON.parse(usage) as NixtlaUsage;
  }

  /** Returns whether the service answers within 5 s and accepts the key. Bypasses the circuit breaker. Never rejects. */
  async healthCheck(): Promise<boolean> {
    const healthy = await native.nixtlaHealth(this.#client).catch(() => false);
    this.publish('health', () => ({ healthy }));
    return healthy;
  }

  /** Returns a snapshot of the circuit breaker. */
  getCircuitBreakerState(): CircuitBreakerState {
    const { state, failures, lastFailureTime, nextAttemptTime } = JSON.parse(
      native.nixtlaBreaker(this.#client),
    ) as NativeBreaker;
    return {
      state,
      failures,
      ...(lastFailureTime !== null && { lastFailureTime: new Date(lastFailureTime) }),
      ...(nextAttemptTime !== null && { nextAttemptTime: new Date(nextAttemptTime) }),
    };
  }

  /** Closes the circuit breaker and resets its failure count. */
  resetCircuitBreaker(): void {
    native.nixtlaResetBreaker(this.#client);
  }

  /** Returns the usage of this client since it was created. */
  stats(): NixtlaStats {
    return JSON.parse(native.nixtlaStats(this.#client)) as NixtlaStats;
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const printable = { circuitBreaker: this.getCircuitBreakerState(), ...this.stats() };
    return `${this.constructor.name} ${inspect(printable, options)}`;
  }

  async #request<T extends { modelInfo?: NixtlaModelInfo }>(
    operation: string,
    request: unknown,
    options: NixtlaCallOptions | undefined,
  ): Promise<T> {
    const text = await this.#call(options, (timeoutMs, cancel) =>
      native.nixtlaRun(this.#client, operation, request, timeoutMs, cancel),
    );
    const answer = JSON.parse(text) as T;
    const { source, fallbackReason } = answer.modelInfo ?? {};
    if (source === 'local') log('info', 'nixtla.local-answer', operation, () => ({ reason: fallbackReason }));
    return answer;
  }

  async #call<T>(options: NixtlaCallOptions = {}, start: NativeCall<T>): Promise<T> {
    checkOptions('options', options, NIXTLA_CALL_OPTIONS);
    const { timeoutMs, signal } = options;
    try {
      return await call((cancel) => start(timeoutMs, cancel), signal);
    } catch (error) {
      this.publish('error', () => ({ error }));
      throw error;
    }
  }
}

/** The breaker as the addon describes it: times as numbers, absent ones as null. */
interface NativeBreaker {
  state: CircuitBreakerState['state'];
  failures: number;
  lastFailureTime: number | null;
  nextAttemptTime: number | null;
}

const shared = singleton('nixtla', (config?: NixtlaClientConfig) => {
  const key = config?.apiKey || process.env['NIXTLA_API_KEY'];
  if (!key && config?.fallback === undefined) throw new Error('NIXTLA_API_KEY environment variable is required');
  return new NixtlaClient(config);
});

/**
 * Returns the shared client of this JavaScript environment. The first call creates it with `config`.
 *
 * @throws Error `NIXTLA_API_KEY environment variable is required` if there is neither a key nor a fallback.
 */
export function getNixtlaClient(config?: NixtlaClientConfig): NixtlaClient {
  return shared.get(config);
}

/** Removes the shared client; the next `getNixtlaClient` creates another. */
export function resetNixtlaClient(): void {
  shared.reset();
}
