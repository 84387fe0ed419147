import { inspect, type InspectOptions } from 'node:util';

import { numberMistake, wrongType } from '../runtime/argument-error';
import { native, type Handle } from '../runtime/native';
import { LAST_DATE_MS } from '../runtime/timers';
import { Attempts } from './recovery/attempts';
import type { ConnectionTracker } from '../../dist/native';
import type { ConnectionMetrics } from './model';

/** What {@link ConnectionMetricsTracker.metrics} and a connection's `getMetrics` give. */
export interface ConnectionFigures {
  /** Requests since the beginning. */
  requestCount: number;
  /** Of which failed. */
  errorCount: number;
  /** Percent of the last requests that failed. */
  errorRate: number;
  /** Mean over the last attempts, in milliseconds. */
  averageResponseTime: number;
  /** Requests a second, over the last 60 seconds. */
  throughput: number;
  /** Percent of the last requests that succeeded; 100 before the first. */
  uptime: number;
}

/** Everything a {@link ConnectionMetricsTracker} knows. */
export interface ConnectionMetricsSummary extends ConnectionFigures {
  successCount: number;
  /** Attempts since the beginning: a request that was repeated made several. */
  attemptCount: number;
  /** Mean over the last requests with all their attempts and the waiting between them, in milliseconds. */
  averageRequestTime: number;
  /** Failures since the last success. */
  consecutiveErrors: number;
  /** Failures by type; those without one are `other`. */
  errorBreakdown: Record<string, number>;
  /** When the last request began, ISO 8601. */
  lastRequestTime?: string;
  /** When the last request ended, ISO 8601. */
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
 * Keeps the figures of a connection: means and rates over the last requests, counts since the beginning.
 */
export class ConnectionMetricsTracker {
  readonly #tracker: Handle<ConnectionTracker>;

  /** @param windowSize how many requests means and rates cover, 1 to 100 000. */
  constructor(windowSize?: number) {
    this.#tracker = native.connectionTracker({ windowSize });
  }

  /**
   * Counts a request that has just ended, as one with one attempt.
   *
   * @param responseTimeMs how long it took, 0 to 8 640 000 000 000 000 (what a `Date` spans).
   * @param success whether it succeeded.
   * @param errorType what kind of failure it was; 100 kinds are told apart, by 200 characters.
   * @param bytes how much it moved in both directions, 0 to `Number.MAX_SAFE_INTEGER`.
   * @throws TypeError, RangeError for an argument of another type or out of range: then nothing is counted.
   */
  record(responseTimeMs: number, success: boolean, errorType?: string, bytes?: number): void {
    // The moment when the request began must be one of a `Date`, too.
    checkNumber('responseTimeMs', responseTimeMs, LAST_DATE_MS);
    if (typeof success !== 'boolean') throw wrongType('success', 'a boolean', success);
    if (errorType !== undefined && typeof errorType !== 'string') throw wrongType('errorType', 'a string', errorType);
    if (bytes !== undefined) checkNumber('bytes', bytes, Number.MAX_SAFE_INTEGER);
    native.connectionRecord(this.#tracker, responseTimeMs, success, errorType, bytes, responseTimeMs);
  }

  /** Mean over the last attempts, in milliseconds. */
  averageResponseTime(): number {
    return this.#figures().averageResponseTime;
  }

  /** Percent of the last requests that failed. */
  errorRate(): number {
    return this.#figures().errorRate;
  }

  /** Requests a second, over the last `windowSeconds` (1 to 300, default 60). */
  throughput(windowSeconds?: number): number {
    return native.connectionThroughput(this.#tracker, windowSeconds);
  }

  /** Percent of the last requests that succeeded; 100 before the first. */
  uptime(): number {
    return this.#figures().uptime;
  }

  /** The figures that a connection's `getMetrics` gives. */
  metrics(): ConnectionFigures {
    const { requests, errors, errorRate, averageResponseTime, throughput, uptime } = this.#figures();
    return { requestCount: requests, errorCount: errors, errorRate, averageResponseTime, throughput, uptime };
  }

  /** Everything it knows. */
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
  begin(): Attempts {
    return new Attempts(this.#tracker);
  }

  /** @internal Messages came. */
  received(messages: number, bytes: number): void {
    native.connectionReceived(this.#tracker, messages, bytes);
  }

  /** @internal Shows its connection in `metricsText()`, as one of this name and type. */
  publish(name: string, type: string): void {
    native.connectionPublish(this.#tracker, name, type);
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
