// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { EventEmitter } from 'node:events';

/** What went wrong: the field to branch on. A closed set. */
export type ErrorKind =
  | 'closed'
  | 'circuit-open'
  | 'rate-limited'
  | 'overloaded'
  | 'pool-timeout'
  | 'timeout'
  | 'connect'
  | 'tls'
  | 'auth'
  | 'disconnected'
  | 'rejected'
  | 'protocol'
  | 'signature'
  | 'connector'
  | 'internal';
/**
 * How far the operation got: `none` when provably nothing reached the server, `answered` when a response
 * began, `unknown` in between.
 */
export type Delivery = 'none' | 'unknown' | 'answered';
/** The fields of a {@link MoorlineError}. */
export interface ErrorFields {
  kind: ErrorKind;
  /** What the usual client of the service gives (`ECONNREFUSED`, `SQLITE_CONSTRAINT`), else `ERR_MOORLINE_…`. */
  code: string;
  service: string;
  operation: string;
  delivery: Delivery;
  /** Whether a repeat may succeed and does no harm. */
  retryable: boolean;
  /** How many attempts were made in all. */
  attempts: number;
  /** How long the server or the breaker asks to wait, in milliseconds. */
  retryAfterMs?: number;
  /** Further facts: an HTTP status, the elapsed time. */
  detail?: Record<string, unknown>;
}
/**
 * Every operational failure of moorline: one class, told apart by `kind` and `code`.
 *
 * Programmer's mistakes are not operational: they are thrown at once as `TypeError` or `RangeError`.
 */
export declare class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: Record<string, unknown>;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  /** All fields as plain JSON, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
/** A circuit breaker refused the call; `kind` is `circuit-open`. */
export declare class CircuitBreakerError extends MoorlineError {
  /** The breaker's name. */
  readonly breaker: string;
  /** When the breaker admits a probe again. */
  readonly retryAt: Date;
  constructor(message: string, fields: ErrorFields, breaker: string, retryAt: Date);
}
/** Every attempt failed; only `withRetry` and `RetryManager` reject with it. */
export declare class RetryError extends MoorlineError {
  /** What the last attempt threw. */
  readonly lastException: unknown;
  constructor(message: string, fields: ErrorFields, lastException: unknown);
}
/** What every asynchronous method accepts. */
export interface CallOptions {
  /** Aborting it rejects the call with the signal's reason and frees what the call holds. */
  signal?: AbortSignal | undefined;
}
/** The words every object with a life uses for what happens to it. */
export type EventName =
  | 'open'
  | 'close'
  | 'acquire'
  | 'release'
  | 'create'
  | 'destroy'
  | 'timeout'
  | 'leak'
  | 'retry'
  | 'state'
  | 'health'
  | 'drain'
  | 'error';
/** What every event carries, beside its own facts. */
export interface MoorlineEvent {
  /** Milliseconds since the epoch. */
  timestamp: number;
  service: string;
  name: string;
  [fact: string]: unknown;
}
/** The events of an object, as for `EventEmitter`: every word carries a {@link MoorlineEvent}. */
export type EventMap = {
  [event in EventName]: [event: MoorlineEvent];
};
declare class Emitter extends EventEmitter<EventMap> {
  #private;
  constructor(service: string, name: string);
}
/**
 * Says how something is doing. What it returns, or resolves with, is judged:
 *
 * - an object with `healthy`, `isHealthy` or `status` by those, the worst of them counting (`status` is a word
 *   such as `'degraded'`, a boolean or an HTTP status code); its `error` and `metadata` are kept with the result;
 * - something with a `healthCheck()` of its own, such as a pool or a connection, by what that says;
 * - anything else by being truthy, as the `'PONG'` of Redis is.
 *
 * An error is a result too: unhealthy. The signal is aborted when the check has timed out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;
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
  summary: {
    total: number;
    healthy: number;
    degraded: number;
    unhealthy: number;
  };
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
/**
 * Watches the health of what a service depends on: checkers by name, run in parallel, each with a timeout, on
 * demand or (after {@link start}) periodically.
 *
 * Emits `health` for every result, `state` when a check's status changes, `error` when a checker threw or
 * timed out.
 */
export declare class HealthMonitor extends Emitter {
  #private;
  /** @param defaults What checks are told that say nothing else. */
  constructor(defaults?: HealthCheckOptions);
  /**
   * Registers a checker. One of the same name is replaced, with a warning: its last result is forgotten, its
   * history stays.
   *
   * @param options `false` or `{ critical: false }` for what the service can do without.
   */
  register(name: string, checker: HealthCheckFunction, options?: boolean | HealthCheckOptions): void;
  /** Forgets a checker and its history. Returns whether it was registered. */
  unregister(name: string): boolean;
  /** Forgets all checkers and their history. */
  clear(): void;
  /** The registered names, in the order of registration. */
  listCheckers(): string[];
  /**
   * Runs one checker; while it runs already, waits for that run. An unhealthy answer, an error and a timeout
   * are results: only an unknown name rejects.
   */
  check(name: string): Promise<HealthCheckResult>;
  /** Runs all checkers in parallel. Never rejects, and takes no longer than the longest timeout. */
  checkAll(): Promise<HealthReport>;
  /** The last result of a check, if it has run since it was registered. */
  getLastCheck(name: string): HealthCheckResult | undefined;
  /** The last results of all checks that have run, in the order of registration. */
  getLastChecks(): HealthCheckResult[];
  /** The kept results of one name, or of all names, oldest first. */
  getHistory(name?: string): HealthCheckResult[];
  /** Figures over the history of one name: zeros when there is none. */
  getStats(name: string): HealthStats;
  /** The options in force for a check, or the defaults of the monitor; `undefined` for an unknown name. */
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  /**
   * From now on runs every check when it is due: at once, then every `intervalMs`. Does not keep the process
   * alive.
   */
  start(): void;
  /** Ends the periodic runs; those in progress come to their end. */
  stop(): void;
  /** Stops the monitor. */
  [Symbol.dispose](): void;
}
/** The shared monitor of this JavaScript environment; `defaults` count at the first call. */
export declare function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor;
/** Stops and forgets the shared monitor. */
export declare function resetHealthMonitor(): void;
/** {@link HealthMonitor.register} on the shared monitor. */
export declare function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void;
/** {@link HealthMonitor.checkAll} on the shared monitor. */
export declare function checkAllHealth(): Promise<HealthReport>;
/** {@link HealthMonitor.check} on the shared monitor. */
export declare function checkHealth(name: string): Promise<HealthCheckResult>;
export type ErrorClass = abstract new (...args: never[]) => Error;
/** Which errors are meant: those of a class, those a predicate says yes to, or moorline's of one kind. */
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;
/** What a function under a policy is handed. */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Aborted when the attempt has taken too long, or the caller gave up. Pass it on to whatever you call. */
  readonly signal: AbortSignal;
}
/** A function under a policy. */
export type Guarded<T> = (attempt: Attempt) => T | PromiseLike<T>;
/** The states of a circuit breaker. */
export declare const CircuitState: Readonly<{
  readonly CLOSED: 'closed';
  readonly OPEN: 'open';
  readonly HALF_OPEN: 'half-open';
}>;
/** The states of a circuit breaker. */
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];
/** What a breaker looks like at one moment. */
export interface CircuitSnapshot {
  name: string;
  /** Stays `open` past `nextAttemptTime` until a call asks. */
  state: CircuitState;
  /** Failures that count towards opening; when open, those that opened it. */
  failures: number;
  /** Probes that succeeded so far; 0 unless half-open. */
  successes: number;
  /** The last failure that counted. */
  lastFailureTime?: Date;
  /** When an open breaker lets a probe through. */
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  /** Calls that were refused; they are no requests. */
  totalRefused: number;
  stateChanges: number;
}
/** When a breaker opens, for how long, and what closes it. */
export interface BreakerOptions {
  /** Failures in a row that open it. Default 5. */
  failMax?: number | undefined;
  /** Share of failed calls (0 to 1) within `windowMs` that opens it, instead of `failMax`. Default 0.5 once asked for. */
  failureRatio?: number | undefined;
  /** With a ratio: fewer calls than this in the window decide nothing. Default 10. */
  minCalls?: number | undefined;
  /** With a ratio: how long a call counts. Default 30 000. */
  windowMs?: number | undefined;
  /** How long it stays open before it lets probes through. Default 60 000. */
  resetTimeoutMs?: number | undefined;
  /** Each failed probe doubles the open time up to this. Default: the open time stays the same. */
  maxResetTimeoutMs?: number | undefined;
  /** Probes that must succeed before it closes. Default 1. */
  successThreshold?: number | undefined;
  /** Probes that may run at once. Default 3. */
  halfOpenMaxCalls?: number | undefined;
  /** A probe that takes longer counts as failed, so that a lost one cannot keep it half-open. Default 30 000. */
  probeTimeoutMs?: number | undefined;
  /** Errors that are neither success nor failure: classes, predicates, or kinds of {@link MoorlineError}. */
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  /**
   * As how many failures an error counts; 0 is neither success nor failure. Default: 1; 0 for aborts, for refusals
   * by moorline and for answers that do not blame the service (a 4xx except 408 and 429); the number of its
   * attempts for a {@link RetryError}.
   */
  failureWeight?: ((error: unknown) => number) | undefined;
}
/**
 * A circuit breaker around functions: after a few failures it refuses calls for a while instead of waiting for
 * what does not answer, and then finds out with a few probes.
 *
 * Breakers of one name are one breaker, in the whole process: all worker threads share its state, and the options
 * given first win. Emits `state` with `{ from, to }`.
 */
export declare class CircuitBreaker extends Emitter {
  #private;
  /** Its name. */
  readonly name: string;
  constructor(name: string, options?: BreakerOptions);
  /** The state of every breaker of the process, those of moorline's own services included. */
  static all(): CircuitSnapshot[];
  /**
   * Runs `fn` unless the breaker is open, and counts how it ends. Its value and its error come out unchanged; a
   * refused call rejects with {@link CircuitBreakerError}.
   */
  run<T>(fn: Guarded<T>, { signal }?: CallOptions): Promise<T>;
  /** The state now. */
  get state(): CircuitState;
  /** The state with its counters. */
  snapshot(): CircuitSnapshot;
  /** The options in force. */
  options(): Record<string, unknown>;
  /** Opens it, as if it had failed too often. With `hold` it stays open until somebody closes it. */
  open({ hold }?: { hold?: boolean }): void;
  /** Lets probes through at once. */
  halfOpen(): void;
  /** Closes it and forgets the failures. */
  close(): void;
  /** Closes it and forgets also when it last failed. */
  reset(): void;
}
/** How often to repeat, and after how long. */
export interface RetryOptions {
  /** Extra attempts after the first. Default 2. */
  maxRetries?: number | undefined;
  /** The delay before the first retry. Default 200. */
  baseDelayMs?: number | undefined;
  /** The cap of the delay, before jitter. Default 20 000. */
  maxDelayMs?: number | undefined;
  /** How the delay grows. Default `exponential`. */
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  /** With `exponential`: the factor from one retry to the next. Default 2. */
  exponentialBase?: number | undefined;
  /** With `linear`: what each retry adds. Default `baseDelayMs`. */
  incrementMs?: number | undefined;
  /** `full`: anything from 0 to the delay; a fraction: ± that much of it; `true`: ± 10 %. Default `full`. */
  jitter?: boolean | number | 'full' | undefined;
  /** An error's `retryAfterMs` is honoured up to this; beyond it the call fails at once. Default 60 000. */
  maxRetryAfterMs?: number | undefined;
  /**
   * Retries are limited to a share of the calls, and some per second: they must not multiply the load of a service
   * that is down. Default 0.2 and 10 over 10 000 ms; `false` for no such limit.
   */
  budget?:
    | boolean
    | {
        ratio?: number;
        reservePerSecond?: number;
        ttlMs?: number;
      }
    | undefined;
  /**
   * Errors that are worth a repeat: classes, predicates, or kinds of {@link MoorlineError}. Default: every error but
   * an abort; a {@link MoorlineError} says itself (`retryable`).
   */
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}
/** How often a second to run: `perSecond`, or `max` in each `windowMs`. Attempts wait for their turn in order. */
export interface RateLimitOptions {
  perSecond?: number | undefined;
  max?: number | undefined;
  /** With `max`. Default 1000. */
  windowMs?: number | undefined;
  /** How many may run at once after a pause. Default: what one second, or one window, holds. */
  burst?: number | undefined;
  /** How many may wait. Default 1000. */
  maxQueue?: number | undefined;
  /** How long one may wait. Default 30 000. */
  maxWaitMs?: number | undefined;
}
/** How many at once. */
export interface BulkheadOptions {
  /** Attempts that may run at once. Default 64. */
  maxConcurrent?: number | undefined;
  /** Attempts that may wait for a place, first come, first served. Default 256. */
  maxQueue?: number | undefined;
}
/**
 * The parts of a {@link Policy}. Only the two timeouts apply unasked; every other part is off until it is given: as
 * an object, or `true` for its defaults.
 */
export interface PolicyOptions {
  /** Names it in errors, events and metrics. Policies with a breaker and the same name share that breaker. */
  name?: string | undefined;
  /** How long a call may take in all, with its retries and waiting. Default 30 000; `Infinity` turns it off. */
  timeoutMs?: number | undefined;
  /** How long one attempt may take. Default 10 000; `Infinity` turns it off. */
  attemptTimeoutMs?: number | undefined;
  retry?: boolean | RetryOptions | undefined;
  /** `counts`: whether each attempt is a success or failure (default), or a call with all its retries. */
  breaker?:
    | boolean
    | (BreakerOptions & {
        counts?: 'attempts' | 'calls' | undefined;
      })
    | undefined;
  rateLimit?: false | RateLimitOptions | undefined;
  bulkhead?: boolean | BulkheadOptions | undefined;
}
/**
 * Retry, circuit breaker, rate limit, bulkhead and timeouts around your functions, in one fixed order:
 *
 * total timeout ⊃ [breaker that counts calls] ⊃ retry ⊃ ( rate limit → bulkhead → [breaker that counts attempts] →
 * attempt timeout → your function )
 *
 * Emits `retry` with `{ attempt, delayMs, error }`, `timeout` with `{ attempt, afterMs }` and, with a breaker,
 * `state` with `{ from, to }`.
 */
export declare class Policy extends Emitter {
  #private;
  /** Its name. */
  readonly name: string;
  constructor(options?: PolicyOptions);
  /**
   * Runs `fn` under the policy. It is handed `{ attempt, signal }`; pass the signal on, so that an attempt that has
   * taken too long really ends. Gives what `fn` gives; rejects with the error of the last attempt, or, when no
   * attempt could be made, with a {@link MoorlineError} that says why.
   *
   * Aborting `signal` rejects at once with its reason, also between two attempts.
   */
  run<T>(fn: Guarded<T>, { signal }?: CallOptions): Promise<T>;
  /** The state of its breaker, if it has one. */
  breaker(): CircuitSnapshot | undefined;
  /** The options in force, with every default. A part that is off is `false`. */
  options(): Record<string, unknown>;
}
/** The levels of {@link Logger}, least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** One structured record. `data` never contains a secret. */
export interface LogRecord {
  /** ISO 8601. */
  timestamp: string;
  /** The same for all records of one call or one object. */
  correlationId: string;
  level: LogLevel;
  /** What happened, as `service.event`. */
  event: string;
  data: Record<string, unknown>;
}
/** Where moorline's log records go. A missing level is not logged. */
export type Logger = {
  [level in LogLevel]?: ((record: LogRecord) => void) | undefined;
};
/**
 * Sends moorline's log records elsewhere: to your own logger, or nowhere with `{}`. `undefined` restores the
 * default: JSON lines on stderr from `warn` up, or from `LOG_LEVEL`.
 */
export declare function setLogger(next: Logger | undefined): void;

export {};
