import { inspect, type InspectOptions } from 'node:util';

import { numberMistake, invalidTypeRedacted } from '../runtime/argument-error';
import { native, type Handle } from '../runtime/native';
import { LAST_DATE_MS } from '../runtime/timers';
import { CallRecord } from './call-record';
import type { ConnectionTracker } from '../../dist/native';
import type { ConnectionMetrics } from './model';

/** The main metrics of a connection, as {@link ConnectionMetricsTracker.metrics} and `getMetrics` return them. */
export interface ConnectionFigures {
  /** All requests so far. */
  requestCount: number;
  /** All failed requests so far. */
  errorCount: number;
  /** The percentage of the last requests that failed. */
  errorRate: number;
  /** The mean response time of the last attempts, in milliseconds. */
  averageResponseTime: number;
  /** Requests per second, over the last 60 seconds. */
  throughput: number;
  /** The percentage of the last requests that succeeded; 100 before the first. */
  uptime: number;
}

/** All metrics of a {@link ConnectionMetricsTracker}. */
export interface ConnectionMetricsSummary extends ConnectionFigures {
  successCount: number;
  /** All attempts so far; a request that was retried has several. */
  attemptCount: number;
  /** The mean duration of the last requests with all their attempts and the waits between them, in milliseconds. */
  averageRequestTime: number;
  /** Failures since the last success. */
  consecutiveErrors: number;
  /** The number of failures by type; failures without a type are `other`. */
  errorBreakdown: Record<string, number>;
  /** The start of the last request, as ISO 8601. */
  lastRequestTime?: string;
  /** The end of the last request, as ISO 8601. */
  lastResponseTime?: string;
}

/** The figures as the addon tells them; times in milliseconds, moments since the epoch. */
interface Figures {
  requests: number;
  attempts: number;
  errors: number;
  consecutiveErrors: number;
  errorRate: number;
  averageResponseTime: number;
  averageRequestTime: number;
  latency: number;
  throughput: number;
  bandwidth: number;
  uptime: number;
  errorTypes: Record<string, number>;
  last: { began: number; ended: number } | null;
}

function checkNumber(name: string, given: unknown, most: number): void {
  const mistake = numberMistake(name, given, (number) => number >= 0 && number <= most, `between 0 and ${most}`);
  if (mistake) throw mistake;
}

/**
 * Collects the metrics of a connection: means and rates over the last requests, and counts of all requests.
 *
 * @example
 * ```ts
 * import { ConnectionMetricsTracker } from 'moorline';
 *
 * const tracker = new ConnectionMetricsTracker();
 * tracker.record(12, true);
 * tracker.record(48, false, 'timeout');
 * console.log(tracker.errorRate()); // 50
 * console.log(tracker.summary().errorBreakdown); // { timeout: 1 }
 * ```
 */
export class ConnectionMetricsTracker {
  readonly #tracker: Handle<ConnectionTracker>;

  /**
   * @param windowSize the number of requests that means and rates cover, 1 to 100 000.
   * @throws TypeError, RangeError for another value.
   */
  constructor(windowSize?: number) {
    this.#tracker = native.connectionTracker({ windowSize });
  }

  /**
   * Records a request that has just ended, as one with a single attempt.
   *
   * @param responseTimeMs the duration in milliseconds, 0 to 8 640 000 000 000 000 (the range of a `Date`).
   * @param success whether the request succeeded.
   * @param errorType the type of the failure; types after the first 100 count as `other`, a longer name is cut to 200 characters.
   * @param bytes the bytes that were sent and received, 0 to `Number.MAX_SAFE_INTEGER`.
   * @throws TypeError, RangeError for an argument of another type or out of range; nothing is recorded then.
   */
  record(responseTimeMs: number, success: boolean, errorType?: string, bytes?: number): void {
    // The moment when the request began must be one of a `Date`, too.
    checkNumber('responseTimeMs', responseTimeMs, LAST_DATE_MS);
    if (typeof success !== 'boolean') throw invalidTypeRedacted('success', 'a boolean', success);
    if (errorType !== undefined && typeof errorType !== 'string')
      throw invalidTypeRedacted('errorType', 'a string', errorType);
    if (bytes !== undefined) checkNumber('bytes', bytes, Number.MAX_SAFE_INTEGER);
    native.connectionRecordRequest(this.#tracker, responseTimeMs, success, errorType, bytes, responseTimeMs);
  }

  /** Returns the mean response time of the last attempts, in milliseconds. */
  averageResponseTime(): number {
    return this.#figures().averageResponseTime;
  }

  /** Returns the percentage of the last requests that failed. */
  errorRate(): number {
    return this.#figures().errorRate;
  }

  /** Returns the requests per second, over the last `windowSeconds` (1 to 300; default: 60). */
  throughput(windowSeconds?: number): number {
    return native.connectionThroughput(this.#tracker, windowSeconds);
  }

  /** Returns the percentage of the last requests that succeeded; 100 before the first. */
  uptime(): number {
    return this.#figures().uptime;
  }

  /** Returns the metrics that `getMetrics` of a connection returns. */
  metrics(): ConnectionFigures {
    const { requests, errors, errorRate, averageResponseTime, throughput, uptime } = this.#figures();
    return { requestCount: requests, errorCount: errors, errorRate, averageResponseTime, throughput, uptime };
  }

  /** Returns all metrics. */
  summary(): ConnectionMetricsSummary {
    const { requests, attempts, errors, averageRequestTime, consecutiveErrors, errorTypes, last } = this.#figures();
    return {
      ...this.metrics(),
      successCount: requests - errors,
      attemptCount: attempts,
      averageRequestTime,
      consecutiveErrors,
      errorBreakdown: errorTypes,
      ...(last && {
        lastRequestTime: new Date(last.began).toISOString(),
        lastResponseTime: new Date(last.ended).toISOString(),
      }),
    };
  }

  /** @internal The figures as a connection's status has them, and its failures since the last success. */
  status(): { metrics: ConnectionMetrics; consecutiveErrors: number } {
    const { last, ...figures } = this.#figures();
    const metrics: ConnectionMetrics = {
      responseTime: figures.averageResponseTime,
      requestTime: figures.averageRequestTime,
      throughput: figures.throughput,
      latency: figures.latency,
      bandwidth: figures.bandwidth,
      errorRate: figures.errorRate,
      availability: figures.uptime,
      successCount: figures.requests - figures.errors,
      errorCount: figures.errors,
      totalRequests: figures.requests,
      totalAttempts: figures.attempts,
      ...(last && { lastRequestTime: last.began, lastResponseTime: last.ended }),
    };
    return { metrics, consecutiveErrors: figures.consecutiveErrors };
  }

  /** @internal A call begins. */
  begin(startedAt?: number): CallRecord {
    return new CallRecord(this.#tracker, startedAt);
  }

  /** @internal The tracker, for calls that the addon counts by itself. */
  get handle(): Handle<ConnectionTracker> {
    return this.#tracker;
  }

  /** @internal Shows its connection in `metricsText()`, as one of this name and type. */
  register(name: string, type: string): void {
    native.connectionRegisterMetrics(this.#tracker, name, type);
  }

  /** @internal The connection is in that state now; in none when it was closed. */
  enter(state: string | undefined): void {
    native.connectionEnter(this.#tracker, state);
  }

  #figures(): Figures {
    return JSON.parse(native.connectionFigures(this.#tracker)) as Figures;
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `ConnectionMetricsTracker ${inspect(this.summary(), options)}`;
  }
}
