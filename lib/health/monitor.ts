import { inspect, type InspectOptions } from 'node:util';

import { Emitter } from '../runtime/emitter';
import { abortReason, clearTimeout, makeAbortController, performance } from '../runtime/node';
import { runChecker, type CheckReply, type HealthCheckFunction } from './check-reply';
import { invalidType, invalidValue } from '../runtime/argument-error';
import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import { singleton } from '../runtime/singleton';
import { startTimer } from '../runtime/timers';
import type { HealthMonitor as NativeMonitor } from '../../dist/native';

/** The status of a check or of a report. `degraded`: working, with a problem. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** Options of one check; the options of a monitor are the defaults of its checks. */
export interface HealthCheckOptions {
  /** Whether its failure makes the whole `unhealthy`; otherwise the whole is only `degraded`. Default: true. */
  critical?: boolean | undefined;
  /** How long the checker may take; then it is unhealthy and its signal is aborted. Default: 5000. */
  timeoutMs?: number | undefined;
  /** After {@link HealthMonitor.start}: time from one run to the next, ±10 %. Default: 30 000; `Infinity`: never. */
  intervalMs?: number | undefined;
  /** After {@link HealthMonitor.register}: time to the first periodic run. Default: 0; at once. */
  initialDelayMs?: number | undefined;
  /** A healthy answer that took longer is `degraded`. Default: `Infinity`. */
  degradedAboveMs?: number | undefined;
  /** Failures in a row that make a check unhealthy. Default: 1; 3 is usual for a probe that flaps. */
  fall?: number | undefined;
  /** Successes in a row that bring an unhealthy check back. Default: 1; 2 is usual for a probe that flaps. */
  rise?: number | undefined;
  /** How many results are kept for this name. Default: 100. */
  historyCapacity?: number | undefined;
}

/** The result of one run of a check. */
export interface HealthCheckResult {
  name: string;
  /** The status of the check after this run. With `fall` or `rise` above 1 it changes only after several runs. */
  status: HealthStatus;
  /** Whether the status is not `unhealthy`. */
  healthy: boolean;
  /** The time at which the run ended. */
  timestamp: Date;
  latencyMs: number;
  /** The reason of the failure, where it is known. */
  error?: string;
  /** The `metadata` that the checker returned, after serialization as JSON. */
  metadata?: Record<string, unknown>;
}

/** The last result of every check that has run, with an overall status. */
export interface HealthReport {
  /** `unhealthy` if a critical check is unhealthy, `degraded` if any check is not healthy, else `healthy`. */
  status: HealthStatus;
  timestamp: Date;
  /** The duration of all checks, which run in parallel, in milliseconds. */
  durationMs: number;
  /** The results, in the order of registration. */
  checks: HealthCheckResult[];
  summary: { total: number; healthy: number; degraded: number; unhealthy: number };
}

/** Statistics of the history of one check. Without a history the numbers are zero. */
export interface HealthStats {
  name: string;
  /** The number of results since the check was registered. */
  totalChecks: number;
  /** The share of the kept results that were not unhealthy, 0 to 1. */
  successRate: number;
  avgLatencyMs: number;
  p50LatencyMs: number;
  p95LatencyMs: number;
  p99LatencyMs: number;
  consecutiveFailures: number;
  /** The share of the observed time, 0 to 1, in which the status was not unhealthy. */
  uptimeRatio: number;
  /** The time of the last result. */
  lastCheck?: Date;
  /** The time of the last change of the status. */
  lastChange?: Date;
}

/** A run in progress; the promise gives nothing when its check was replaced or unregistered meanwhile. */
interface Run {
  name: string;
  promise: Promise<HealthCheckResult | undefined>;
  /** Keeps the process alive while the run is awaited. */
  timer: NodeJS.Timeout | undefined;
  abandon(reason: string): void;
}

/** What the events of a monitor carry. */
type HealthFacts = {
  health: Omit<HealthCheckResult, 'timestamp'>;
  state: { from: HealthStatus | 'unknown'; to: HealthStatus };
  error: { error: string };
};

/**
 * Monitors the health of the dependencies of a service. Named checks run in parallel, each with a timeout, on demand or
 * (after {@link start}) periodically.
 *
 * Emits `health` for each result, `state` for each change of a check's status, `error` for each run that failed with an error.
 */
export class HealthMonitor extends Emitter<HealthFacts> {
  readonly #monitor: Handle<NativeMonitor>;
  readonly #checkers = new Map<string, HealthCheckFunction>();
  readonly #runs = new Map<number, Run>();
  #started = false;
  #timer: NodeJS.Timeout | undefined;

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(defaults?: HealthCheckOptions) {
    super('health', 'monitor');
    this.#monitor = native.healthCreate(defaults);
  }

  /**
   * Registers a check. One of the same name is replaced and a warning logged: its history is kept, its last result is not.
   *
   * @example
   * ```ts
   * import { HealthMonitor } from 'moorline';
   * const monitor = new HealthMonitor();
   * monitor.register('database', () => true);
   * monitor.register('cache', () => ({ status: 'down' }), { critical: false });
   * console.log((await monitor.checkAll()).status); // degraded
   * ```
   * @param options `false` is short for `{ critical: false }`: the service works without this dependency.
   */
  register(name: string, checker: HealthCheckFunction, options?: boolean | HealthCheckOptions): void {
    if (typeof checker !== 'function') throw invalidType('checker', 'a function', checker);
    if (native.healthRegister(this.#monitor, name, options)) {
      log('warn', 'health.replaced', name, () => ({ name }));
      this.#abandon(name, `Health checker '${name}' was replaced`);
    }
    this.#checkers.set(name, checker);
    this.#schedule();
  }

  /** Removes a check and its history. Returns whether it was registered. */
  unregister(name: string): boolean {
    this.#checkers.delete(name);
    const known = native.healthUnregister(this.#monitor, name);
    this.#abandon(name, `Health checker '${name}' was unregistered`);
    return known;
  }

  /** Removes all checks and their history. */
  clear(): void {
    for (const name of this.listCheckers()) this.unregister(name);
  }

  /** Returns the names of the checks, in the order of registration. */
  listCheckers(): string[] {
    return [...native.healthNames(this.#monitor)];
  }

  /**
   * Runs one check and returns its result; if it is running already, that of the current run. An unhealthy answer, an error
   * and a timeout are results, too.
   * @throws TypeError for a name that is not registered.
   */
  async check(name: string): Promise<HealthCheckResult> {
    const result = await this.#runCheck(name);
    if (result) return result;
    throw invalidValue(`Health checker '${name}' not registered`);
  }

  /** Runs all checks in parallel and returns a report. Never rejects, and takes no longer than the longest timeout. */
  async checkAll(): Promise<HealthReport> {
    const startedAt = performance.now();
    await Promise.all(this.listCheckers().map((name) => this.#runCheck(name)));
    const report = JSON.parse(native.healthReport(this.#monitor)) as NativeReport;
    return {
      status: report.status,
      timestamp: new Date(),
      durationMs: performance.now() - startedAt,
      checks: report.checks.map(withDates),
      summary: report.summary,
    };
  }

  /** Returns the last result of a check, `undefined` if it has not run since it was registered. */
  getLastCheck(name: string): HealthCheckResult | undefined {
    const last = native.healthLast(this.#monitor, name);
    return last === null ? undefined : withDates(JSON.parse(last) as NativeResult);
  }

  /** Returns the last results of all checks that have run, in the order of registration. */
  getLastChecks(): HealthCheckResult[] {
    const report = JSON.parse(native.healthReport(this.#monitor)) as NativeReport;
    return report.checks.map(withDates);
  }

  /** Returns the kept results of one check, or of all checks, oldest first. */
  getHistory(name?: string): HealthCheckResult[] {
    const history = JSON.parse(native.healthHistory(this.#monitor, name)) as NativeResult[];
    return history.map(withDates);
  }

  /** Returns statistics of the history of one check; without a history the numbers are zero. */
  getStats(name: string): HealthStats {
    const { lastCheck, lastChange, ...figures } = JSON.parse(native.healthStats(this.#monitor, name)) as NativeStats;
    return {
      ...figures,
      ...(lastCheck !== null && { lastCheck: new Date(lastCheck) }),
      ...(lastChange !== null && { lastChange: new Date(lastChange) }),
    };
  }

  /** Returns the options of a check with their defaults, `undefined` for an unknown name; without a name those of the monitor. */
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  options(name?: string): Required<HealthCheckOptions> | undefined {
    const options = native.healthOptions(this.#monitor, name);
    if (options === null) return undefined;
    // JSON has no Infinity: a limit that is off crosses as null.
    return JSON.parse(options, (_, value: unknown) => value ?? Infinity) as Required<HealthCheckOptions>;
  }

  /**
   * Starts the periodic runs: each check runs `initialDelayMs` after its registration and then every `intervalMs`, until
   * `stop`. The timer does not keep the process alive; it does keep the monitor from being garbage-collected.
   */
  start(): void {
    this.#started = true;
    this.#schedule();
  }

  /** Stops the periodic runs; runs in progress are completed. In `metricsText()` the checks have no status until the next run. */
  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    native.healthClearMetrics(this.#monitor);
  }

  /** The same as `stop`. */
  [Symbol.dispose](): void {
    this.stop();
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const checks = Object.fromEntries(this.listCheckers().map((name) => [name, this.getLastCheck(name)?.status]));
    return `HealthMonitor ${inspect({ options: this.options(), started: this.#started, checks }, options)}`;
  }

  /** One timer for all checks, at the time the addon names. None while everything scheduled is running. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (!this.#started) return;
    const dueMs = native.healthNextDueMs(this.#monitor);
    if (dueMs === null) return;
    // A timer that fires before anything is due is set again.
    const onTimer = () => {
      for (const name of native.healthDue(this.#monitor)) this.#beginOrJoin(name);
      this.#schedule();
    };
    this.#timer = startTimer(onTimer, Math.ceil(dueMs)).unref();
  }

  /** The result of an awaited run; `undefined` when the name is, or has become, unknown. */
  async #runCheck(name: string): Promise<HealthCheckResult | undefined> {
    for (;;) {
      const run = this.#beginOrJoin(name);
      if (!run) return undefined;
      run.timer?.ref();
      const result = await run.promise;
      // Without a result the checker was replaced under us: the new one answers.
      if (result) return result;
    }
  }

  /** Begins a run of a check, or finds the one in progress. */
  #beginOrJoin(name: string): Run | undefined {
    const started = native.healthBegin(this.#monitor, name);
    const checker = this.#checkers.get(name);
    if (!started || !checker) return undefined;
    return this.#runs.get(started.run) ?? this.#begin(name, checker, started.run, started.timeoutMs ?? Infinity);
  }

  #begin(name: string, checker: HealthCheckFunction, id: number, timeoutMs: number): Run {
    const controller = makeAbortController();
    let settle!: (result: HealthCheckResult | undefined) => void;
    const promise = new Promise<HealthCheckResult | undefined>((resolve) => (settle = resolve));
    const run: Run = {
      name,
      promise,
      timer: undefined,
      abandon: (reason) => {
        this.#runs.delete(id);
        clearTimeout(run.timer);
        controller.abort(abortReason(reason, 'AbortError'));
        settle(undefined);
      },
    };
    const end = (completed: string | null) => {
      // Late answers of runs that timed out or were abandoned come without a result.
      if (completed === null) return;
      this.#runs.delete(id);
      clearTimeout(run.timer);
      this.#schedule();
      const { result, change } = JSON.parse(completed) as NativeCompletedRun;
      const dated = withDates(result);
      settle(dated);
      this.#report(dated, change);
    };
    if (timeoutMs !== Infinity) {
      const onTimer = () => {
        controller.abort(
          abortReason(`Health check '${name}' timed out after ${timeoutMs}ms (timeoutMs)`, 'TimeoutError'),
        );
        end(native.healthTimeOut(this.#monitor, name, id));
      };
      run.timer = startTimer(onTimer, timeoutMs).unref();
    }
    this.#runs.set(id, run);
    runChecker(checker, controller.signal, name)
      .then((reply) => this.#complete(name, id, reply))
      // Something that cannot cross to the addon, such as a symbol for a status.
      .catch((error: unknown) => this.#complete(name, id, { healthy: false, error: messageOf(error) }))
      .then(end)
      .catch((error: unknown) => run.abandon(messageOf(error)));
    return run;
  }

  #complete(name: string, id: number, reply: CheckReply): string | null {
    return native.healthComplete(this.#monitor, name, id, reply);
  }

  #report(result: HealthCheckResult, change: NativeCompletedRun['change']): void {
    const { name, error } = result;
    this.publish('health', () => ({ ...result, timestamp: result.timestamp.getTime() }));
    if (change) this.publish('state', () => ({ name, ...change }));
    if (error !== undefined) this.publish('error', () => ({ name, error }));
  }

  #abandon(name: string, reason: string): void {
    for (const run of this.#runs.values()) if (run.name === name) run.abandon(reason);
  }
}

/** Results as the addon hands them over: times as numbers, absent members as null. */
type NativeResult = Omit<HealthCheckResult, 'timestamp' | 'error' | 'metadata'> & {
  timestamp: number;
  error: string | null;
  metadata: Record<string, unknown> | null;
};
type NativeReport = Pick<HealthReport, 'status' | 'summary'> & { checks: NativeResult[] };
type NativeStats = Omit<HealthStats, 'lastCheck' | 'lastChange'> & {
  lastCheck: number | null;
  lastChange: number | null;
};
interface NativeCompletedRun {
  result: NativeResult;
  change: { from: HealthStatus | 'unknown'; to: HealthStatus } | null;
}

function withDates({ timestamp, error, metadata, ...result }: NativeResult): HealthCheckResult {
  return {
    ...result,
    timestamp: new Date(timestamp),
    ...(error !== null && { error }),
    ...(metadata !== null && { metadata }),
  };
}

const shared = singleton('health', (defaults?: HealthCheckOptions) => new HealthMonitor(defaults));

/** Returns the shared monitor of this JavaScript environment. The first call creates it with `defaults`. */
export function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor {
  return shared.get(defaults);
}

/** Stops and removes the shared monitor; the next use of it creates another. */
export function resetHealthMonitor(): void {
  shared.reset()?.stop();
}

/** Registers a check with the shared monitor, as {@link HealthMonitor.register} does. */
export function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void {
  shared.get().register(name, checker, options);
}

/** Runs all checks of the shared monitor and returns the report, as {@link HealthMonitor.checkAll} does. */
export function checkAllHealth(): Promise<HealthReport> {
  return shared.get().checkAll();
}

/** Runs one check of the shared monitor and returns its result, as {@link HealthMonitor.check} does. */
export function checkHealth(name: string): Promise<HealthCheckResult> {
  return shared.get().check(name);
}
