import { HealthMonitor, type HealthCheckOptions, type HealthCheckResult } from '../health/monitor';
import type { HealthCheckFunction } from '../health/check-reply';
import { numberMistake, invalidTypeRedacted } from '../runtime/argument-error';
import type { ConnectionHealthCheck } from './model';

/**
 * Runs health checks by id with a {@link HealthMonitor}: by default every 30 seconds, and for at most 5 seconds each.
 *
 * @example
 * ```ts
 * import { HealthChecker, HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com' });
 * const checker = new HealthChecker();
 * checker.add('orders', () => service.healthCheck());
 * console.log((await checker.check('orders')).isHealthy); // true
 * await service.disconnect();
 * ```
 */
export class HealthChecker {
  readonly #monitor: HealthMonitor;

  /** @param options the defaults of all checks. */
  constructor(options?: HealthCheckOptions) {
    this.#monitor = new HealthMonitor(options);
  }

  /**
   * Returns the result of a check in the form that connections use.
   *
   * @param responseTime the duration of the check, in milliseconds.
   * @throws TypeError, RangeError for `isHealthy` of another type, and for `responseTime` of another type or out of range.
   */
  static result(
    connectionId: string,
    isHealthy: boolean,
    responseTime: number,
    errorMessage?: string,
    details?: Record<string, unknown>,
  ): ConnectionHealthCheck {
    if (typeof isHealthy !== 'boolean') throw invalidTypeRedacted('isHealthy', 'a boolean', isHealthy);
    const isInRange = (ms: number) => ms >= 0 && ms < Infinity;
    const mistake = numberMistake('responseTime', responseTime, isInRange, 'finite and ≥ 0');
    if (mistake) throw mistake;
    return {
      connectionId,
      timestamp: Date.now(),
      isHealthy,
      responseTime,
      ...(errorMessage !== undefined && { errorMessage }),
      ...(details !== undefined && { details }),
    };
  }

  /** Starts to run every check: at once, then periodically. Does not keep the process alive. */
  start(): void {
    this.#monitor.start();
  }

  /** Stops the periodic runs; those in progress are completed. */
  stop(): void {
    this.#monitor.stop();
  }

  /**
   * Adds a check: a function that returns a {@link ConnectionHealthCheck}, or any result that {@link HealthMonitor}
   * accepts. Its `signal` is aborted when it takes too long.
   */
  add(id: string, check: HealthCheckFunction): void {
    // What is no function is refused where it is registered.
    const monitorCheck =
      typeof check === 'function' ? async (options: CheckOptions) => toMonitorResult(await check(options)) : check;
    this.#monitor.register(id, monitorCheck);
  }

  /** Removes a check. Returns whether it existed. */
  remove(id: string): boolean {
    return this.#monitor.unregister(id);
  }

  /** Runs a check now and returns its result. Rejects only when there is no check with that id. */
  async check(id: string): Promise<ConnectionHealthCheck> {
    return resultOf(await this.#monitor.check(id));
  }

  /** Returns the last result of a check, if it has run. */
  lastResult(id: string): ConnectionHealthCheck | undefined {
    const last = this.#monitor.getLastCheck(id);
    return last && resultOf(last);
  }
}

type CheckOptions = Parameters<HealthCheckFunction>[0];

/** A connection's own words in those of the monitor. */
function toMonitorResult(result: unknown): unknown {
  if (typeof result !== 'object' || result === null || !('isHealthy' in result)) return result;
  const { isHealthy, errorMessage, details } = result as Partial<ConnectionHealthCheck>;
  return { isHealthy, error: errorMessage, metadata: details };
}

function resultOf({ name, timestamp, healthy, latencyMs, error, metadata }: HealthCheckResult): ConnectionHealthCheck {
  const result = HealthChecker.result(name, healthy, latencyMs, error, metadata);
  return { ...result, timestamp: timestamp.getTime() };
}
