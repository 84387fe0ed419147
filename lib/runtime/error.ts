import { types } from 'node:util';

/** @internal The closed set of kinds. */
export const ERROR_KINDS = [
  'closed',
  'circuit-open',
  'rate-limited',
  'overloaded',
  'pool-timeout',
  'timeout',
  'connect',
  'tls',
  'auth',
  'disconnected',
  'rejected',
  'protocol',
  'signature',
  'connector',
  'internal',
] as const satisfies readonly ErrorKind[];

/** The kind of a failure, for programs to branch on. A closed set. */
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
 * The progress of an operation that failed: `none` if provably nothing reached the server, `answered` if a response began,
 * else `unknown`.
 */
export type Delivery = 'none' | 'unknown' | 'answered';

/** Details of a {@link MoorlineError}: these, where they are known, and others. */
export interface ErrorDetail {
  /** The HTTP status of the response that refused the operation. */
  status?: number;
  /** For a refused WebSocket: the headers of the response by name. The value of a header that may contain a credential is `[redacted]`. */
  headers?: Record<string, string>;
  /** For a refused WebSocket: the beginning of the response body, on one line, without the credentials that were sent. */
  body?: string;
  /** For a refused WebSocket: the target of the redirect, without its query. */
  location?: string;
  /** The option whose time limit was reached. */
  limit?: string;
  /** The phase that the call was in. */
  phase?: string;
  /** The close code of a WebSocket. */
  closeCode?: number;
  /** The reason in the close frame of a WebSocket. */
  reason?: string;
  [fact: string]: unknown;
}

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
 *
 * @example
 * ```ts
 * import { MoorlineError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * await pool.drain();
 * try {
 *   await pool.execute('SELECT 1');
 * } catch (error) {
 *   if (error instanceof MoorlineError) console.log(error.kind, error.retryable); // closed false
 * }
 * ```
 */
export class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: ErrorDetail;

  constructor(message: string, fields: ErrorFields, options?: ErrorOptions) {
    super(message, options);
    this.kind = fields.kind;
    this.code = fields.code;
    this.service = fields.service;
    this.operation = fields.operation;
    this.delivery = fields.delivery;
    this.retryable = fields.retryable;
    this.attempts = fields.attempts;
    if (fields.retryAfterMs !== undefined) this.retryAfterMs = fields.retryAfterMs;
    if (fields.detail !== undefined) this.detail = fields.detail as ErrorDetail;
  }

  /** Returns all fields as a plain object, for structured logs. */
  toJSON(): ErrorFields & { name: string; message: string; cause?: string } {
    const { name, message, kind, code, service, operation, delivery, retryable, attempts } = this;
    return {
      name,
      message,
      kind,
      code,
      service,
      operation,
      delivery,
      retryable,
      attempts,
      ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }),
      ...(this.detail !== undefined && { detail: this.detail }),
      ...(this.cause instanceof Error && { cause: this.cause.message }),
    };
  }
}

/**
 * A circuit breaker refused the call; `kind` is `circuit-open`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, CircuitBreakerError } from 'moorline';
 *
 * const breaker = new CircuitBreaker('payments', { failMax: 1 });
 * await breaker.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
 * try {
 *   await breaker.run(() => fetch('https://api.example.com/payments'));
 * } catch (error) {
 *   if (error instanceof CircuitBreakerError) console.log(error.breaker, error.kind); // payments circuit-open
 * }
 * ```
 */
export class CircuitBreakerError extends MoorlineError {
  /** The name of the breaker. */
  readonly breaker: string;
  /** The time at which the breaker admits the next probe. */
  readonly retryAt: Date;

  constructor(message: string, fields: ErrorFields, breaker: string, retryAt: Date) {
    super(message, fields);
    this.breaker = breaker;
    this.retryAt = retryAt;
  }
}

/**
 * Every attempt failed. For retry loops of your own: moorline rejects with the last attempt's error itself. A circuit
 * breaker counts it as its `attempts`.
 *
 * @example
 * ```ts
 * import { RetryError } from 'moorline';
 *
 * const fields = { code: 'EJOB', service: 'jobs', operation: 'run', delivery: 'unknown', retryable: false } as const;
 * const cause = new Error('no worker');
 * const error = new RetryError('all attempts failed', { ...fields, kind: 'rejected', attempts: 3 }, cause);
 * console.log(error.attempts, error.lastException === cause); // 3 true
 * ```
 */
export class RetryError extends MoorlineError {
  /** The error of the last attempt. */
  readonly lastException: unknown;

  constructor(message: string, fields: ErrorFields, lastException: unknown) {
    super(message, fields, { cause: lastException });
    this.lastException = lastException;
  }
}

// On the prototypes, as for the built-in errors: an own property would show up in every printed error.
for (const type of [MoorlineError, CircuitBreakerError, RetryError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true });
}

/** The fields of a failure that are not its kind's defaults. */
interface FailureInit extends Partial<Omit<ErrorFields, 'kind'>> {
  service: string;
  operation: string;
  /** Whether a repeat of the operation does no harm, however far it came. */
  idempotent?: boolean;
}

/** The addon's table of what a failure of a kind is that says nothing else. */
type FailureDefaults = Record<
  ErrorKind,
  Pick<ErrorFields, 'code' | 'delivery' | 'retryable' | 'attempts'> & { transient: boolean }
>;

let defaultsOf: FailureDefaults;

/** Takes the table over; before that no failure can be made here. */
export function setFailureDefaults(table: string): void {
  defaultsOf = JSON.parse(table) as FailureDefaults;
}

/** The fields of a failure that is found here and not in the addon. */
export function failureFields(kind: ErrorKind, { idempotent = false, ...given }: FailureInit): ErrorFields {
  const { transient, ...defaults } = defaultsOf[kind];
  return { kind, ...defaults, ...(idempotent && { retryable: transient }), ...given };
}

/** A failure that is found here and not in the addon. */
export function failure(kind: ErrorKind, message: string, init: FailureInit, cause?: unknown): MoorlineError {
  return new MoorlineError(message, failureFields(kind, init), cause === undefined ? undefined : { cause });
}

/** The failure of using what was closed. */
export function closedFailure(message: string, init: FailureInit, cause?: unknown): MoorlineError {
  return failure('closed', message, init, cause);
}

/** A failure record of the addon. */
export interface FailureRecord extends ErrorFields {
  message: string;
  cause?: Error;
}

/** The addon's record of a programmer's mistake. */
interface MistakeRecord {
  class: 'TypeError' | 'RangeError';
  code: string;
  message: string;
}

/** The prefix of the addon's records: a user's own code may throw texts, too. */
const MARK = 'moorline:';

function parseRecord<T>(thrown: unknown): T | undefined {
  if (typeof thrown !== 'string' || !thrown.startsWith(MARK)) return undefined;
  return JSON.parse(thrown.slice(MARK.length)) as T;
}

/** The failure record in a rejection of the addon; undefined when it is something else. */
export function failureRecord(rejection: unknown): FailureRecord | undefined {
  const parsed = parseRecord<ErrorFields & { message: string; cause?: { message: string; code: string | null } }>(
    rejection,
  );
  if (!parsed) return undefined;
  const { cause, ...record } = parsed;
  if (!cause) return record;
  const causeError = new Error(cause.message);
  return { ...record, cause: cause.code ? Object.assign(causeError, { code: cause.code }) : causeError };
}

/** The error for a failure record of the addon; anything else passes through. */
export function toMoorlineError(rejection: unknown): unknown {
  const record = failureRecord(rejection);
  if (!record) return rejection;
  const { message, cause, ...fields } = record;
  if (fields.kind === 'circuit-open' && typeof fields.detail?.['breaker'] === 'string') {
    const retryAt = new Date();
    if (fields.retryAfterMs !== undefined) retryAt.setTime(retryAt.getTime() + fields.retryAfterMs);
    return new CircuitBreakerError(message, fields, fields.detail['breaker'], retryAt);
  }
  return new MoorlineError(message, fields, cause && { cause });
}

/** The error for what a function of the addon threw. It is made here, and so of the realm that the caller's classes are of. */
export function toThrownError(thrown: unknown): unknown {
  const record = parseRecord<Partial<MistakeRecord>>(thrown);
  if (record?.class) {
    const { message, code } = record;
    return Object.assign(record.class === 'RangeError' ? new RangeError(message) : new TypeError(message), { code });
  }
  return isDefect(thrown) ? defect(thrown.message) : toMoorlineError(thrown);
}

/** Whether it is an error of Node-API's own: a panic, or an argument from `lib/` that it did not expect. */
function isDefect(thrown: unknown): thrown is Error {
  const code = types.isNativeError(thrown) && (thrown as { code?: unknown }).code;
  return typeof code === 'string' && /^(?:GenericFailure|InvalidArg|[A-Z][A-Za-z]+Expected)$/.test(code);
}

function defect(message: string): MoorlineError {
  const fields = { service: 'moorline', operation: '' };
  return failure('internal', 'the call was ended by a defect in moorline', fields, new Error(message));
}
