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

/** Further facts of a {@link MoorlineError}: these, where they are known, and others. */
export interface ErrorDetail {
  /** The status of the answer that said no. */
  status?: number;
  /** Of a refused WebSocket: the headers of the answer by name. One that may carry a credential is `[redacted]`. */
  headers?: Record<string, string>;
  /** Of a refused WebSocket: how the answer's body begins, on one line, without what we sent to log in. */
  body?: string;
  /** Of a refused WebSocket: where the server sends us, without the query. */
  location?: string;
  /** The option whose time was over. */
  limit?: string;
  /** How far the call had come. */
  phase?: string;
  /** The close code of a WebSocket. */
  closeCode?: number;
  /** The reason in its close frame. */
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

  /** All fields as plain JSON, for structured logs. */
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

/** A circuit breaker refused the call; `kind` is `circuit-open`. */
export class CircuitBreakerError extends MoorlineError {
  /** The breaker's name. */
  readonly breaker: string;
  /** When the breaker admits a probe again. */
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
 */
export class RetryError extends MoorlineError {
  /** What the last attempt threw. */
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
  return failure('internal', 'moorline stopped this call by a defect', fields, new Error(message));
}
