import { inspect, type InspectOptions } from 'node:util';

import { Emitter } from '../runtime/emitter';
import { abortReason, clearTimeout, makeAbortController, performance } from '../runtime/node';
import { runChecker, type Answer, type HealthCheckFunction } from './answer';
import { invalidType, invalidValue } from '../runtime/argument-error';
import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import { singleton } from '../runtime/singleton';
import { startTimer } from '../runtime/timers';
import type { HealthMonitor as NativeMonitor } from '../../dist/native';

/** How a check, or the whole, is doing. `degraded` works, with a complaint. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';

/** Options of one check; given to a monitor, they are the defaults of its checks. */
export interface HealthCheckOptions {
  /** Whether its failure makes the whole `unhealthy`; otherwise the whole is only `degraded`. Default true. */
  critical?: boolean | undefined;
  /** How long the checker may take; then it is unhealthy and its signal is aborted. Default 5000. */
  timeoutMs?: number | undefined;
  /** After {@link HealthMonitor.start}: time from one run to the next, ±10 %. Default 30 000; `Infinity`: never. */
  intervalMs?: number | undefined;
  /** After {@link HealthMonitor.register}: time to the first periodic run. Default 0: at once. */
  initialDelayMs?: number | undefined;
  /** A healthy answer that took longer is `degraded`. Default `Infinity`. */
  degradedAboveMs?: number | undefined;
  /** Failures in a row that make a check unhealthy. Default 1; 3 is usual for a probe that flaps. */
  fall?: number | undefined;
  /** Successes in a row that bring an unhealthy check back. Default 1; 2 is usual for a probe that flaps. */
  rise?: number | undefined;
  /** How many results are kept for this name. Default 100. */
  historyCapacity?: number | undefined;
}

/** The result of one run of a checker. */
export interface HealthCheckResult {
  name: string;
  /** The status of the check after this run: with `fall` or `rise` above 1 it may lag behind the run. */
  status: HealthStatus;
  /** Whether it still does its work: true unless `unhealthy`. */
  healthy: boolean;
  /** When the run ended. */
  timestamp: Date;
  latencyMs: number;
  /** Why the run failed, where that is known. */
  error?: string;
  /** The checker's own `metadata`, as JSON keeps it. */
  metadata?: Record<string, unknown>;
}

/** The last result of every check that has run, and what they add up to. */
export interface HealthReport {
  /** A critical check that is unhealthy makes it `unhealthy`, any other complaint `degraded`. */
  status: HealthStatus;
  timestamp: Date;
  /** How long the checks took together; they run in parallel. */
  durationMs: number;
  /** In the order of registration. */
  checks: HealthCheckResult[];
  summary: { total: number; healthy: number; degraded: number; unhealthy: number };
}

/** Figures over the history of one name. Without history they are zero, never absent. */
export interface HealthStats {
  name: string;
  /** Results since the name was registered. */
  totalChecks: number;
  /** Share of the kept results that were not unhealthy, 0 to 1. */
  successRate: number;
  avgLatencyMs: number;
  p50LatencyMs: number;
  p95LatencyMs: number;
  p99LatencyMs: number;
  consecutiveFailures: number;
  /** Share of the observed time, 0 to 1, in which the status was not unhealthy. */
  uptimeRatio: number;
  /** When the last result came. */
  lastCheck?: Date;
  /** When the status last changed. */
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
 * Watches the health of what a service depends on: checkers by name, run in parallel, each with a timeout, on
 * demand or (after {@link start}) periodically.
 *
 * Emits `health` for every result, `state` when a check's status changes, `error` when a checker threw or
 * timed out.
 */
export class HealthMonitor extends Emitter<HealthFacts> {
  readonly #monitor: Handle<NativeMonitor>;
  readonly #checkers = new Map<string, HealthCheckFunction>();
  readonly #runs = new Map<number, Run>();
  #started = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param defaults What checks are told that say nothing else. */
  constructor(defaults?: HealthCheckOptions) {
    super('health', 'monitor');
    this.#monitor = native.healthCreate(defaults);
  }

  /**
   * Registers a checker. One of the same name is replaced, with a warning: its last result is forgotten, its
   * history stays.
   *
   * @param options `false` or `{ critical: false }` for what the service can do without.
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

  /** Forgets a checker and its history. Returns whether it was registered. */
  unregister(name: string): boolean {
    this.#checkers.delete(name);
    const known = native.healthUnregister(this.#monitor, name);
    this.#abandon(name, `Health checker '${name}' was unregistered`);
    return known;
  }

  /** Forgets all checkers and their history. */
  clear(): void {
    for (const name of this.listCheckers()) this.unregister(name);
  }

  /** The registered names, in the order of registration. */
  listCheckers(): string[] {
    return [...native.healthNames(this.#monitor)];
  }

  /**
   * Runs one checker; while it runs already, waits for that run. An unhealthy answer, an error and a timeout
   * are results: only an unknown name rejects.
   */
  async check(name: string): Promise<HealthCheckResult> {
    const result = await this.#result(name);
    if (result) return result;
    throw invalidValue(`Health checker '${name}' not registered`);
  }

  /** Runs all checkers in parallel. Never rejects, and takes no longer than the longest timeout. */
  async checkAll(): Promise<HealthReport> {
    const started = performance.now();
    await Promise.all(this.listCheckers().map((name) => this.#result(name)));
    const report = JSON.parse(native.healthReport(this.#monitor)) as NativeReport;
    return {
      status: report.status,
      timestamp: new Date(),
      durationMs: performance.now() - started,
      checks: report.checks.map(withDates),
      summary: report.summary,
    };
  }

  /** The last result of a check, if it has run since it was registered. */
  getLastCheck(name: string): HealthCheckResult | undefined {
    const last = native.healthLast(this.#monitor, name);
    return last === null ? undefined : withDates(JSON.parse(last) as NativeResult);
  }

  /** The last results of all checks that have run, in the order of registration. */
  getLastChecks(): HealthCheckResult[] {
    const report = JSON.parse(native.healthReport(this.#monitor)) as NativeReport;
    return report.checks.map(withDates);
  }

  /** The kept results of one name, or of all names, oldest first. */
  getHistory(name?: string): HealthCheckResult[] {
    const history = JSON.parse(native.healthHistory(this.#monitor, name)) as NativeResult[];
    return history.map(withDates);
  }

  /** Figures over the history of one name: zeros when there is none. */
  getStats(name: string): HealthStats {
    const { lastCheck, lastChange, ...figures } = JSON.parse(native.healthStats(this.#monitor, name)) as NativeStats;
    return {
      ...figures,
      ...(lastCheck !== null && { lastCheck: new Date(lastCheck) }),
      ...(lastChange !== null && { lastChange: new Date(lastChange) }),
    };
  }

  /** The options in force for a check, or the defaults of the monitor; `undefined` for an unknown name. */
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  options(name?: string): Required<HealthCheckOptions> | undefined {
    const options = native.healthOptions(this.#monitor, name);
    if (options === null) return undefined;
    // JSON has no Infinity: a limit that is off crosses as null.
    return JSON.parse(options, (_, value: unknown) => value ?? Infinity) as Required<HealthCheckOptions>;
  }

  /**
   * From now on runs every check when it is due: `initialDelayMs` after it was registered, which is at once unless that
   * is given, then every `intervalMs`. Does not keep the process alive, but goes on, and keeps the monitor, until `stop`.
   */
  start(): void {
    this.#started = true;
    this.#schedule();
  }

  /**
   * Ends the periodic runs; those in progress come to their end. In `metricsText()` its checks are in no status then, until
   * they run again.
   */
  stop(): void {
    this.#started = false;
    clearTimeout(this.#timer);
    native.healthStop(this.#monitor);
  }

  /** Stops the monitor. */
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
      for (const name of native.healthDue(this.#monitor)) this.#begin(name);
      this.#schedule();
    };
    this.#timer = startTimer(onTimer, Math.ceil(dueMs)).unref();
  }

  /** The result of an awaited run; `undefined` when the name is, or has become, unknown. */
  async #result(name: string): Promise<HealthCheckResult | undefined> {
    for (;;) {
      const run = this.#begin(name);
      if (!run) return undefined;
      run.timer?.ref();
      const result = await run.promise;
      // Without a result the checker was replaced under us: the new one answers.
      if (result) return result;
    }
  }

  /** Begins a run of a check, or finds the one in progress. */
  #begin(name: string): Run | undefined {
    const started = native.healthBegin(this.#monitor, name);
    const checker = this.#checkers.get(name);
    if (!started || !checker) return undefined;
    return this.#runs.get(started.run) ?? this.#launch(name, checker, started.run, started.timeoutMs ?? Infinity);
  }

  #launch(name: string, checker: HealthCheckFunction, id: number, timeoutMs: number): Run {
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
      const { result, change } = JSON.parse(completed) as NativeCompleted;
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
      .then((answer) => this.#complete(name, id, answer))
      // Something that cannot cross to the addon, such as a symbol for a status.
      .catch((error: unknown) => this.#complete(name, id, { healthy: false, error: messageOf(error) }))
      .then(end)
      .catch((error: unknown) => run.abandon(messageOf(error)));
    return run;
  }

  #complete(name: string, id: number, answer: Answer): string | null {
    return native.healthComplete(this.#monitor, name, id, answer);
  }

  #report(result: HealthCheckResult, change: NativeCompleted['change']): void {
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
interface NativeCompleted {
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

/** The shared monitor of this JavaScript environment; `defaults` count at the first call. */
export function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor {
  return shared.get(defaults);
}

/** Stops and forgets the shared monitor. */
export function resetHealthMonitor(): void {
  shared.reset()?.stop();
}

/** {@link HealthMonitor.register} on the shared monitor. */
export function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void {
  shared.get().register(name, checker, options);
}

/** {@link HealthMonitor.checkAll} on the shared monitor. */
export function checkAllHealth(): Promise<HealthReport> {
  return shared.get().checkAll();
}

/** {@link HealthMonitor.check} on the shared monitor. */
export function checkHealth(name: string): Promise<HealthCheckResult> {
  return shared.get().check(name);
}
