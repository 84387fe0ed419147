// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

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
