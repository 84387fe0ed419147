// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';

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
  /** How many attempts were made in all; 0 for a call that was refused before its first. */
  attempts: number;
  /** How long the server or the breaker asks to wait, in milliseconds. */
  retryAfterMs?: number;
  /** Further facts: an HTTP status, the elapsed time. */
  detail?: Record<string, unknown>;
}
/**
 * Every operational failure of moorline: one class, told apart by `kind` and `code`.
 *
 * Programmer's mistakes are not operational: they are a `TypeError` or `RangeError`, which constructors and
 * synchronous methods throw at once and asynchronous methods reject with; only `run` of a policy or a breaker throws it,
 * when it is given no function.
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
/**
 * Every attempt failed. For retry loops of your own: moorline rejects with the last attempt's error itself. A circuit
 * breaker counts it as its `attempts`.
 */
export declare class RetryError extends MoorlineError {
  /** What the last attempt threw. */
  readonly lastException: unknown;
  constructor(message: string, fields: ErrorFields, lastException: unknown);
}
/**
 * What `run` of {@link Policy} and {@link CircuitBreaker} and the borrowing methods of {@link TursoPool} accept, and,
 * with a time limit, everything that takes `QueryOptions` or `NixtlaCallOptions`.
 */
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
type ErrorClass = abstract new (...args: never[]) => Error;
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
/**
 * What moorline counts, as Prometheus text (format 0.0.4), ready to be the answer of a `/metrics` route: the state,
 * successes, failures, refusals and changes of state of every circuit breaker of the process.
 */
export declare function metricsText(): string;
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
/** A failure of a libSQL operation, with the codes `@libsql/client` gives it. */
export declare class LibsqlError extends MoorlineError {
  /** SQLite's extended code, such as `SQLITE_CONSTRAINT_PRIMARYKEY`. */
  readonly extendedCode?: string;
  /** SQLite's own number for {@link extendedCode}. */
  readonly rawCode?: number;
  constructor(
    message: string,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
/** A failure of one statement of a batch. */
export declare class LibsqlBatchError extends LibsqlError {
  /** The index of the statement, from 0. */
  readonly statementIndex: number;
  constructor(
    message: string,
    statementIndex: number,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
/** A value of a row. */
export type Value = null | string | number | bigint | ArrayBuffer;
/** What can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;
/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = Array<InValue> | Record<string, InValue>;
/** SQL text, or SQL text with its arguments. */
export type InStatement =
  | {
      sql: string;
      args?: InArgs;
    }
  | string;
/** How SQLite integers reach JavaScript. */
export type IntMode = 'number' | 'bigint' | 'string';
/** One row: by column name or by index. Its enumerable members are the columns. */
export interface Row {
  /** How many columns it has. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
/** The result of one statement. */
export interface ResultSet {
  /** The names of the columns. */
  columns: string[];
  /** Their types as declared in the schema; empty where there is none. */
  columnTypes: string[];
  rows: Row[];
  /** How many rows an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last inserted row; undefined for statements that insert nothing. */
  lastInsertRowid: bigint | undefined;
  /** For `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}
/**
 * How a transaction begins: `write` waits for the write lock at once (`BEGIN IMMEDIATE`), `read` takes none,
 * `deferred` takes it at its first write and may then fail.
 */
export type TransactionMode = 'write' | 'read' | 'deferred';
/** Bounds of one call. */
export interface QueryOptions extends CallOptions {
  /** In place of the pool's `queryTimeoutMs`; `Infinity` for none. */
  timeoutMs?: number | undefined;
}
/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | [sql: string, args?: InArgs];
/**
 * An interactive transaction. It must be ended: by `commit`, by `rollback`, or by `close`, which rolls back
 * what was not committed. `await using` does the last.
 */
export interface Transaction {
  /** Whether it has ended. */
  readonly closed: boolean;
  /** Runs one statement in the transaction. */
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  /** Runs statements in order; the first failure stops the batch but not the transaction. */
  batch(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Makes all changes permanent and ends the transaction. */
  commit(options?: QueryOptions): Promise<void>;
  /** Undoes all changes and ends the transaction; after its end it does nothing. */
  rollback(options?: QueryOptions): Promise<void>;
  /** Ends the transaction, rolling back what was not committed. Does nothing after its end. */
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * One connection of a pool, from `getConnection` to its release. All its statements run on the same
 * connection, one at a time; after the release every call is refused with kind `closed`.
 */
export declare class PooledClient {
  #private;
  /** Which of the pool's connections this is: equal numbers, equal connection. */
  readonly connectionId: number;
  /** `file` for files and memory, `http` for servers. */
  readonly protocol: string;
  /** Whether it was released. */
  get closed(): boolean;
  /** Runs one statement. */
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  /** Runs statements in a transaction of their own: all of them, or none. The default mode is `deferred`. */
  batch(statements: BatchStatement[], mode?: TransactionMode, options?: QueryOptions): Promise<ResultSet[]>;
  /** As `batch`, with foreign keys off around it. */
  migrate(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  /** Begins an interactive transaction on this connection. The default mode is `write`. */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Embedded replicas are not in this build, so there is nothing to synchronize: always rejects. */
  sync(): Promise<never>;
  /** Gives the connection back to its pool, as `releaseConnection` does. */
  close(): void;
  [Symbol.dispose](): void;
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
/** A request the service works on by itself; made by `NixtlaClient.submit`. */
export declare class NixtlaJob<Answer> {
  #private;
  /** The service's name for it. */
  readonly id: string;
  /** What the service says of it: `pending`, `running`, `succeeded`, `failed` or `cancelled`. */
  status(options?: NixtlaCallOptions): Promise<string>;
  /**
   * Waits for the answer, asking after it every half second at first and every 15 s in the end.
   *
   * After `timeoutMs` (default an hour) the job is cancelled and the call rejects with kind `timeout`. Aborting
   * `signal` only ends the wait: the job goes on.
   */
  result(options?: NixtlaCallOptions): Promise<Answer>;
  /** Cancels it. Resolves with false when there is nothing to cancel any more. */
  cancel(options?: NixtlaCallOptions): Promise<boolean>;
}
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
/** Options of a {@link NixtlaClient}. */
export interface NixtlaClientConfig {
  /** The key, sent as `Authorization: Bearer …`. Default: `NIXTLA_API_KEY`. Without one every call rejects. */
  apiKey?: string | undefined;
  /** Default: `NIXTLA_BASE_URL`, else `https://api.nixtla.io`. */
  baseUrl?: string | undefined;
  /** How long one attempt may take, in milliseconds. Default 30 000. */
  timeout?: number | undefined;
  /** Attempts after the first. Default 3. */
  maxRetries?: number | undefined;
  /** The wait before the first retry; it doubles with each, ±10 %, up to a minute. Default 1000. */
  baseDelayMs?: number | undefined;
  /** Failed calls (each with all its retries) that open the circuit breaker. Default 5. */
  circuitBreakerThreshold?: number | undefined;
  /** How long it stays open. Default 30 000. */
  circuitBreakerResetMs?: number | undefined;
  /**
   * `'local'`: forecasts and anomalies come from a local model where there is no key, the breaker is open, or the
   * service is down. Answers say so in `modelInfo.source`.
   */
  fallback?: 'local' | undefined;
  /** The model of requests that name none. Default `timegpt-1`. */
  model?: string | undefined;
  /** Sends only as many points as the model looks at, as the vendor's client does. Default true. */
  restrictInput?: boolean | undefined;
  /** How long is remembered how many that are. Default 3 600 000. */
  modelParamsTtlMs?: number | undefined;
  /** How long connecting may take. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** Where the endpoints are, if not where the service has them. */
  paths?: NixtlaPaths | undefined;
  /** TLS settings; PEM text, its bytes, or the path of a PEM file. */
  tls?: NixtlaTls | undefined;
  /** `'environment'` (`HTTPS_PROXY`, …) or a proxy's URL. Default: none. */
  proxy?: string | undefined;
}
/** The endpoints, relative to the base URL; each begins with a slash. */
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
/** TLS settings. */
export interface NixtlaTls {
  /** The authorities that are trusted, instead of the system's and those of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  /** The client's certificate chain; `key` belongs to it. */
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  /** The name the certificate must be valid for. Default: the URL's host. */
  serverName?: string | undefined;
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `false` accepts any certificate. Default true. */
  rejectUnauthorized?: boolean | undefined;
}
/** What every asynchronous method of {@link NixtlaClient} but `healthCheck`, and every method of a job, accepts. */
export interface NixtlaCallOptions extends CallOptions {
  /** How long the whole call may take, with its retries. Default: as long as its attempts do. */
  timeoutMs?: number | undefined;
}
/** The circuit breaker at one moment. It says `open` until a call asks, even past `nextAttemptTime`. */
export interface CircuitBreakerState {
  state: 'closed' | 'open' | 'half-open';
  /** Failed calls since the last success. */
  failures: number;
  lastFailureTime?: Date;
  /** When an open breaker lets a call through. */
  nextAttemptTime?: Date;
}
/** What a client has used so far. */
export interface NixtlaStats {
  /** HTTP requests of every kind, retries included. */
  requests: number;
  inputTokens: number;
  outputTokens: number;
  finetuneTokens: number;
  /** Calls that the local model answered. */
  localAnswers: number;
}
/**
 * A client of Nixtla's TimeGPT: forecasts, anomalies, cross validation, fine-tuning.
 *
 * What passes (a lost connection, a timeout, 408, 429, 5xx) is retried, as late as the service asks; calls that
 * still fail open a circuit breaker. Mistakes of the caller are neither retried nor counted. Points that are
 * irregular or not finite are refused with a `TypeError` or `RangeError` that names the first of them, before
 * anything is sent.
 *
 * Emits `state` when the breaker changes, `health` for each health check, `error` for each call that failed.
 */
export declare class NixtlaClient extends Emitter {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config?: NixtlaClientConfig);
  /** Forecasts the next `horizon` points of each series. */
  forecast(request: NixtlaForecastRequest, options?: NixtlaCallOptions): Promise<NixtlaForecastResponse>;
  /** Judges the points of each series; the service looks at the last part of it. */
  detectAnomalies(request: NixtlaAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Judges the last `detectionSize` points of each series by forecasts made before they were known. */
  onlineAnomalies(request: NixtlaOnlineAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Forecasts the past, to compare with what happened. */
  crossValidate(
    request: NixtlaCrossValidationRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaCrossValidationResponse>;
  /** Makes a model that is tuned to the series. Repeated only where the service provably has not begun. */
  finetune(request: NixtlaFinetuneRequest, options?: NixtlaCallOptions): Promise<NixtlaFinetuneResponse>;
  /**
   * Hands a request over for the service to work on by itself, for what takes longer than a request may.
   * Repeated only where the service provably has not accepted it.
   */
  submit<Operation extends keyof NixtlaJobs>(
    operation: Operation,
    request: NixtlaJobs[Operation][0],
    options?: NixtlaCallOptions,
  ): Promise<NixtlaJob<NixtlaJobs[Operation][1]>>;
  /** The fine-tuned models of the account. */
  finetunedModels(options?: NixtlaCallOptions): Promise<NixtlaFinetunedModel[]>;
  /** Deletes a fine-tuned model. Resolves with false when there is no such model. */
  deleteFinetunedModel(id: string, options?: NixtlaCallOptions): Promise<boolean>;
  /** Requests used and allowed per minute and month. */
  usage(options?: NixtlaCallOptions): Promise<NixtlaUsage>;
  /** Whether the service answers within 5 s and accepts the key. Passes the breaker by; never rejects. */
  healthCheck(): Promise<boolean>;
  /** The circuit breaker now. */
  getCircuitBreakerState(): CircuitBreakerState;
  /** Closes the circuit breaker and forgets its failures. */
  resetCircuitBreaker(): void;
  /** What this client has used so far. */
  stats(): NixtlaStats;
}
/**
 * The client of this JavaScript environment. The first call decides its configuration.
 *
 * @throws Error `NIXTLA_API_KEY environment variable is required` where there is neither a key nor a fallback.
 */
export declare function getNixtlaClient(config?: NixtlaClientConfig): NixtlaClient;
/** Forgets that client. */
export declare function resetNixtlaClient(): void;
/** Options of a {@link TursoPool}. Every wait is finite unless `Infinity` turns its limit off. */
export interface TursoPoolConfig {
  /**
   * `file:path`, `:memory:` (one database for all connections of the pool), or a server: `libsql://`,
   * `https://`, `http://`. `?authToken=` and `?tls=0` are read from a server's URL.
   */
  url: string;
  /** The token of a remote database. */
  authToken?: string | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default true. */
  tls?: boolean | undefined;
  /** Connections at most, opened as they are needed. Default 5. */
  poolSize?: number | undefined;
  /** Connections kept open at least. Default 0. */
  min?: number | undefined;
  /** Free connections kept at most. Default `poolSize`. */
  maxIdle?: number | undefined;
  /** How long `getConnection` waits for a free connection, in milliseconds. Default 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long opening one connection may take. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take; its connection is then discarded. Default 30 000. */
  queryTimeoutMs?: number | undefined;
  /** How long a statement waits for another connection's lock on a file or on memory. Default 5000. */
  busyTimeoutMs?: number | undefined;
  /** How long a free connection is kept. Default 300 000. */
  idleTimeoutMs?: number | undefined;
  /** How long a connection lives, ±25 %; it is never taken from a borrower for its age. Default 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /**
   * From how much idle time on a connection is checked before it is lent. Default `Infinity`; a lower value changes
   * nothing here, as there is nothing to ask: a file is there or not, and a server's stream is judged by its age when
   * it is used, and outside a transaction replaced unseen.
   */
  validateAfterMs?: number | undefined;
  /** How long that check may take. Default 5000. */
  validateTimeoutMs?: number | undefined;
  /** How long closing a connection may take before it is cut. Default 5000. */
  closeTimeoutMs?: number | undefined;
  /** Borrowers that may wait at once; one more is refused with kind `overloaded`. Default 10 000. */
  maxWaiters?: number | undefined;
  /**
   * A connection held longer than this is reported with the borrower's stack. Default 30 000, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfterMs?: number | undefined;
  /** How SQLite integers reach JavaScript. Default `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
}
/** How many connections a pool has. */
export interface TursoPoolStats {
  /** Open or being opened. */
  total: number;
  /** Lent to somebody. */
  inUse: number;
  /** Free. */
  available: number;
  /** Borrowers in the queue. */
  waiting: number;
}
/**
 * A pool of libSQL connections to a file, to memory or to a server.
 *
 * Connections are lent by `getConnection` (give them back with `releaseConnection`) or for the time of a
 * function by `withConnection`; `execute`, `batch` and the other verbs borrow one for a single call. Waiters
 * are served in order, never more than `poolSize` connections are open, and an idle pool does not keep the
 * process alive.
 *
 * Every failure is a `LibsqlError` with the code `@libsql/client` gives (`SQLITE_CONSTRAINT`, …).
 */
export declare class TursoPool extends Emitter {
  #private;
  /**
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. Nothing
   * is connected yet.
   */
  constructor(config: TursoPoolConfig);
  /** `file` for files and memory, `http` for servers. */
  get protocol(): string;
  /**
   * Borrows a connection: a free one at once, a new one below `poolSize`, else the next that is given back.
   *
   * Rejects with `Connection timeout after <n>ms` (kind `pool-timeout`) and, after `drain`, with
   * `Pool is shutting down` (kind `closed`).
   */
  getConnection(options?: CallOptions): Promise<PooledClient>;
  /**
   * Gives a connection back. A client of another pool, or one that was given back before, changes nothing:
   * a warning is logged.
   */
  releaseConnection(client: PooledClient): void;
  /** Lends a connection to `use` and takes it back in any case. What `use` throws passes through unchanged. */
  withConnection<T>(use: (client: PooledClient) => T | Promise<T>, options?: CallOptions): Promise<T>;
  /** Runs one statement on a connection borrowed for it. */
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  /** Runs statements in one transaction: all of them, or none. The default mode is `deferred`. */
  batch(statements: BatchStatement[], mode?: TransactionMode, options?: QueryOptions): Promise<ResultSet[]>;
  /** As `batch`, with foreign keys off around it. */
  migrate(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Begins an interactive transaction on a connection that it gives back at its end. The default mode is `write`. */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Whether a connection can be had and answers `SELECT 1`. Never rejects. */
  healthCheck(): Promise<boolean>;
  /** How many connections there are. */
  getStats(): TursoPoolStats;
  /**
   * Ends the pool: new and waiting borrowers are refused with `Pool is shutting down`, current ones may
   * finish. After `timeoutMs` (default 30 000) what is still borrowed is closed with a warning.
   */
  drain(timeoutMs?: number): Promise<void>;
  /** As `drain`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * The pool of this JavaScript environment. The first call decides its configuration; without one it reads
 * `INTENTVISION_DB_URL` (default `file:db/intentvision.db`) and `INTENTVISION_DB_AUTH_TOKEN`.
 */
export declare function getTursoPool(config?: TursoPoolConfig): TursoPool;
/** Drains that pool and forgets it. */
export declare function resetTursoPool(): Promise<void>;
/**
 * Where accepted requests are remembered. It answers at once; for a store behind a network, verify without one
 * and deduplicate by the result's `id`.
 */
export interface WebhookReplayStore {
  /** Remembers `key` for `ttlMs` and answers whether it is new; `false` means a replay. */
  remember(key: string, ttlMs: number): boolean;
}
/**
 * Remembers accepted requests in this process, so that a captured one is not accepted again.
 *
 * What counts as the same request is its signature: a sender's retry with a new timestamp passes, a retry of a
 * scheme without timestamps (GitHub, Shopify) does not until 24 hours later. Where such a request could not be
 * processed, {@link forget} its `replayKey` so that the retry is accepted.
 */
export declare class MemoryReplayStore implements WebhookReplayStore {
  #private;
  /** @param capacity How many requests are remembered at most; the one that expires first makes room. Default 100 000. */
  constructor({ capacity }?: { capacity?: number | undefined });
  remember(key: string, ttlMs: number): boolean;
  /** Forgets a request, by its result's `replayKey`. */
  forget(key: string): void;
}
/** The schemes moorline knows by name; `generic` is `t=…,v1=…`, `sha256=…` or raw hex in `X-Webhook-Signature`. */
export type WebhookScheme =
  | 'stripe'
  | 'github'
  | 'github-sha1'
  | 'standard'
  | 'standard-ed25519'
  | 'slack'
  | 'shopify'
  | 'hubspot-v1'
  | 'hubspot-v2'
  | 'hubspot-v3'
  | 'twilio'
  | 'linear'
  | 'paddle'
  | 'zoom'
  | 'square'
  | 'discord'
  | 'salesforce-data-cloud'
  | 'salesforce-ens'
  | 'generic';
/** A scheme of your own. */
export interface WebhookSchemeDescription {
  /** What results call it. */
  name: string;
  /** The header with the signature. */
  header: string;
  /** What is signed: `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}` stand for themselves. `{body}` must be there. */
  content: string;
  /** What stands before the signature in its header. Default nothing. */
  prefix?: string | undefined;
  /** Where the header has named fields, one of them the timestamp. Default separator `,`, names `t` and `v1`. */
  fields?:
    | {
        separator?: string | undefined;
        timestamp?: string | undefined;
        signature?: string | undefined;
      }
    | undefined;
  /** HMAC with `sha256` (default) or `sha1`, or `ed25519`. */
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  /** How the signature is written. Default `hex`. */
  encoding?: 'hex' | 'base64' | undefined;
  /** How the secret is written. Default `text`. */
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  /** The header with the timestamp, where it has one of its own. */
  timestampHeader?: string | undefined;
  /** Default `s`. */
  timestampUnit?: 's' | 'ms' | undefined;
  /** The header with the delivery's id. */
  idHeader?: string | undefined;
}
/** Options of a {@link WebhookVerifier}. */
export interface WebhookVerificationConfig {
  /** The shared secret (a public key for Ed25519), or several while they are rotated, newest first. Must not be empty. */
  secret: string | readonly string[] | undefined;
  /** How old a signed timestamp may be, in milliseconds. Default 300 000 (Linear 60 000, Paddle 5000); `Infinity`: any age. */
  maxAgeMs?: number | undefined;
  /** How far ahead a signed timestamp may be, in milliseconds. Default 60 000 (Paddle 5000). */
  toleranceMs?: number | undefined;
  /** The scheme or schemes that are accepted. Default: whichever the request carries. Name it where you know it. */
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  /** The public URL of the endpoint as the sender calls it, for Twilio, Square and HubSpot, which sign it. */
  url?: string | undefined;
  /** Refuses a request that was accepted before. See {@link MemoryReplayStore}. */
  replayStore?: WebhookReplayStore | undefined;
}
/** The parts of a signature header. */
export interface WebhookSignatureHeader {
  /** Seconds since the epoch; the current time where the header has none. */
  timestamp: number;
  /** In lower-case hex. */
  signature: string;
  /** `v1` or `sha256`; absent for a raw signature. */
  version?: string;
}
/** What {@link WebhookVerifier.verify} found out. */
export interface VerificationResult {
  valid: boolean;
  /** Why it is not: `Invalid signature format`, `Webhook too old (…)`, `Webhook timestamp is in the future`, `Signature mismatch` or `Verification error: …`. */
  reason?: string;
  /** The signed timestamp in seconds, where there is one. */
  timestamp?: number;
  /** What the `replayStore` remembers of it; forget it there when the request could not be processed. */
  replayKey?: string;
}
/** What {@link WebhookVerifier.verifyRequest} found out. */
export interface RequestVerificationResult extends VerificationResult {
  /** The scheme it was judged by; `undefined` when the request carries none. */
  scheme: string | undefined;
  /** The delivery's id, where the scheme has one; deduplicate by it. Only Standard Webhooks signs it. */
  id?: string;
  /** Which secret matched, by its position: retire the old one when it is no longer seen. */
  secretIndex?: number;
}
/** Headers as Node, Express or Fetch give them; names in any case. */
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | {
      readonly [name: string]: string | readonly string[] | number | undefined;
    };
/** A request as it came in. */
export interface WebhookRequest {
  headers: WebhookHeaders;
  /** The raw body, as bytes or as the text that came over the wire. */
  body: string | Uint8Array;
  /** Default `POST`. */
  method?: string | undefined;
  /** The URL as the sender called it, or its path and query, which are joined to the verifier's `url`. */
  url?: string | undefined;
  /** Milliseconds since the epoch. Default `Date.now()`. */
  now?: number | undefined;
}
/** What to sign with {@link WebhookVerifier.signRequest}. */
export interface WebhookSigning {
  body: string | Uint8Array;
  /** The delivery's id, where the scheme signs one. */
  id?: string | undefined;
  /** Default `POST`. */
  method?: string | undefined;
  /** Default the verifier's `url`. */
  url?: string | undefined;
  /** Seconds since the epoch. Default now. */
  timestamp?: number | undefined;
}
/**
 * Verifies and signs webhooks, over the raw bytes, in constant time, under one or several secrets.
 *
 * It answers on the calling thread.
 */
export declare class WebhookVerifier {
  #private;
  /** The endpoint's public URL, where it was given. */
  readonly url: string | undefined;
  constructor(config: WebhookVerificationConfig);
  /**
   * Whether `signature` is one of `payload`. Never throws.
   *
   * @param payload The raw body. A parsed object is refused, with the middleware to change in `reason`.
   * @param signature The value of the signature's header, `undefined` when the request has none.
   * @param secret Another secret, or several, for this call.
   */
  verify(
    payload: string | Uint8Array,
    signature: string | readonly string[] | undefined,
    secret?: string | readonly string[],
  ): VerificationResult;
  /** Judges a whole request: finds its signature, timestamp and id in the headers. Never throws. */
  verifyRequest(request: WebhookRequest): RequestVerificationResult;
  /**
   * What to answer, as JSON with status 200, a provider that checks who owns this endpoint: Zoom's
   * `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. `undefined` for every other request
   * and for one that is not genuine.
   */
  challenge(request: WebhookRequest): Record<string, unknown> | undefined;
  /**
   * The value of the signature's header for `payload`: `t=…,v1=…` unless the verifier has another scheme.
   *
   * @param timestamp Seconds since the epoch. Default now.
   */
  sign(payload: string | Uint8Array, timestamp?: number): string;
  /** All headers that a signed request carries under the verifier's scheme. */
  signRequest(signing: WebhookSigning): Record<string, string>;
}
/** Whether `signature` is one of `payload` under `secret`, with the default options. An empty secret throws. */
export declare function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean;
/** Signs `payload`: `t=<seconds>,v1=<hex>`, for the header `X-Webhook-Signature`. */
export declare function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string;
/** Takes `t=…,v1=…`, `sha256=…` or a raw hex signature apart; `null` for anything else. Verifies nothing. */
export declare function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null;
type SharedConfig = Omit<WebhookVerificationConfig, 'secret'>;
/**
 * The shared verifier for `secret` in this JavaScript environment. `config` counts when this call makes it; another
 * one later changes nothing, which is warned about once.
 */
export declare function getWebhookVerifier(
  secret: string | readonly string[] | undefined,
  config?: SharedConfig,
): WebhookVerifier;
/** Forgets all shared verifiers. */
export declare function resetWebhookVerifiers(): void;
/** A Fetch `Request`, as Hono, Next and the edge runtimes give it. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}
/** Options of {@link receiveWebhook}. */
export interface ReceiveOptions {
  /** The largest body that is read, in bytes. Default 10 MiB. */
  limitBytes?: number | undefined;
  /** How long the whole body may take to arrive, in milliseconds. Default 10 000; `Infinity`: as long as it likes. */
  timeoutMs?: number | undefined;
}
/** A received webhook: the result, and the raw body to parse. */
export interface ReceivedWebhook extends RequestVerificationResult {
  body: Buffer;
  /** The HTTP status to answer with: 200, or 413 for a body above the limit, 500 behind a body parser, else 401. */
  status: number;
  /** What to answer as JSON, where the provider only checks who owns the endpoint. */
  challenge?: Record<string, unknown>;
}
/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, and verifies it. Never rejects for what
 * the sender did – forging, sending too much, too slowly, or only half of it: then `valid` is false.
 *
 * Call it before any body parser. A body that `express.raw()` kept, or a `rawBody`, is used as it is.
 */
export declare function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options?: ReceiveOptions,
): Promise<ReceivedWebhook>;
/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}
/**
 * Middleware for Express, Connect and `node:http`: lets genuine webhooks pass, with the raw body as `body` and
 * `rawBody` and the result as `webhook`; answers challenges by itself, and to all others 413 (too large), 500 (a body
 * parser came first) or 401. Mount it before any body parser.
 */
export declare function webhookMiddleware(
  verifier: WebhookVerifier,
  options?: ReceiveOptions,
): (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;

export {};
