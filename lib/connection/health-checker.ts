import { HealthMonitor, type HealthCheckOptions, type HealthCheckResult } from '../health/monitor';
import type { HealthCheckFunction } from '../health/answer';
import { numberMistake, wrongType } from '../runtime/argument-error';
import type { ConnectionHealthCheck } from './model';

/** Runs health checks by id, every 30 seconds and for at most 5, on the same monitor as everything else's health. */
export class HealthChecker {
  readonly #monitor: HealthMonitor;

  /** @param options what the checks are told that say nothing else. */
  constructor(options?: HealthCheckOptions) {
    this.#monitor = new HealthMonitor(options);
  }

  /**
   * The result of a check, as connections have it.
   *
   * @param responseTime in milliseconds.
   */
  static result(
    connectionId: string,
    isHealthy: boolean,
    responseTime: number,
    errorMessage?: string,
    details?: Record<string, unknown>,
  ): ConnectionHealthCheck {
    if (typeof isHealthy !== 'boolean') throw wrongType('isHealthy', 'a boolean', isHealthy);
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

  /** From now on runs every check when it is due: at once, then periodically. Does not keep the process alive. */
  start(): void {
    this.#monitor.start();
  }

  /** Ends the periodic runs; those in progress come to their end. */
  stop(): void {
    this.#monitor.stop();
  }

  /**
   * Adds a check: a function that gives a {@link ConnectionHealthCheck}, or whatever {@link HealthMonitor} takes. The
   * signal it is handed is aborted when it has taken too long.
   */
  add(id: string, check: HealthCheckFunction): void {
    // What is no function is refused where it is registered.
    const described = typeof check === 'function' ? async (asked: Asked) => plain(await check(asked)) : check;
    this.#monitor.register(id, described);
  }

  /** Removes a check. Returns whether it was there. */
  remove(id: string): boolean {
    return this.#monitor.unregister(id);
  }

  /** Runs a check now. Rejects only when there is none of that id. */
  async check(id: string): Promise<ConnectionHealthCheck> {
    return resultOf(await this.#monitor.check(id));
  }

  /** The last result of a check, if it has run. */
  lastResult(id: string): ConnectionHealthCheck | undefined {
    const last = this.#monitor.getLastCheck(id);
    return last && resultOf(last);
  }
}

type Asked = Parameters<HealthCheckFunction>[0];

/** A connection's own words in those of the monitor. */
function plain(said: unknown): unknown {
  if (typeof said !== 'object' || said === null || !('isHealthy' in said)) return said;
  const { isHealthy, errorMessage, details } = said as Partial<ConnectionHealthCheck>;
  return { isHealthy, error: errorMessage, metadata: details };
}

function resultOf({ name, timestamp, healthy, latencyMs, error, metadata }: HealthCheckResult): ConnectionHealthCheck {
  const result = HealthChecker.result(name, healthy, latencyMs, error, metadata);
  return { ...result, timestamp: timestamp.getTime() };
}
