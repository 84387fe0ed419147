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
