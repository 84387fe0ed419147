import { PostgresError } from '../postgres/error';
import { type ErrorFields, failureFields } from '../runtime/error';

/** What makes a {@link PostgresError}, whose `detail` is another one in `pg`. */
const PostgresErrorBase = PostgresError as unknown as new (
  message: string,
  fields: ErrorFields,
  options?: ErrorOptions,
) => Omit<PostgresError, 'detail'>;

/**
 * An error of the server, with the fields that `pg` gives it. It is a `PostgresError` of moorline, too, with `kind`, `delivery` and
 * `retryable`.
 */
export class DatabaseError extends PostgresErrorBase {
  /** What the server says in more words. */
  readonly detail?: string;

  /** @internal */
  constructor(error: PostgresError) {
    super(error.message, error, error.cause === undefined ? undefined : { cause: error.cause });
    const { detail: _, ...fields } = error;
    Object.assign(this, fields, { detail: error.serverDetail });
  }
}

// As `pg` names it.
Object.defineProperty(DatabaseError.prototype, 'name', { value: 'error', configurable: true, writable: true });

/** Whose call it is that fails: `pg` has different words for the two. */
export type Caller = 'pool' | 'client';

/** The error that `pg` gives: that of the server, or ours with the words of `pg`, which programs look for. */
export function toPgError(error: PostgresError, caller: Caller): Error;
export function toPgError(error: unknown, caller: Caller): unknown;
export function toPgError(error: unknown, caller: Caller): unknown {
  if (!(error instanceof PostgresError)) return error;
  if (error.severity !== undefined) return new DatabaseError(error);
  const message = messageOf(error, caller);
  if (message === undefined) return error;
  return new PostgresError(message, error, { cause: error.cause ?? error });
}

function messageOf({ kind, code, detail, operation }: PostgresError, caller: Caller): string | undefined {
  switch (kind) {
    case 'pool-timeout':
      return 'timeout exceeded when trying to connect';
    case 'timeout':
      return operation === 'query' ? 'Query read timeout' : undefined;
    case 'connect':
      if (code !== 'ETIMEDOUT' || detail?.limit === undefined) return undefined;
      return caller === 'pool' ? 'Connection terminated due to connection timeout' : 'timeout expired';
    case 'closed':
      return operation === 'connect' ? 'Connection terminated' : undefined;
    case 'disconnected':
      return 'Connection terminated unexpectedly';
    default:
      return undefined;
  }
}

/** What was closed is used, or ended again. */
export function closedError(message: string, operation: string): PostgresError {
  return new PostgresError(message, failureFields('closed', { service: 'postgres', operation, attempts: 0 }));
}
