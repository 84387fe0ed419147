import { type ErrorFields, failureFields, failureRecord, MoorlineError, toMoorlineError } from '../runtime/error';

/** The fields of an error of the server, by the names that `pg` gives them; its detail is apart. */
const SERVER_FIELDS = [
  'severity',
  'hint',
  'position',
  'internalPosition',
  'internalQuery',
  'where',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'file',
  'line',
  'routine',
] as const;

/**
 * A failure of an operation on PostgreSQL. `code` is the SQLSTATE of an error of the server, whose fields have the names that `pg`
 * gives them; the text that `pg` calls `detail` is `serverDetail`.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager, PostgresError } from 'moorline';
 *
 * await using manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * try {
 *   await manager.query('SELECT * FROM nowhere');
 * } catch (error) {
 *   if (error instanceof PostgresError) console.log(error.code, error.kind); // 42P01 rejected
 * }
 * ```
 */
export class PostgresError extends MoorlineError {
  /** `ERROR`, `FATAL` or `PANIC`. */
  readonly severity?: string;
  /** What the server says in more words. */
  readonly serverDetail?: string;
  /** What the server suggests. */
  readonly hint?: string;
  /** The position in the text, in characters from 1. */
  readonly position?: string;
  /** The position in `internalQuery`. */
  readonly internalPosition?: string;
  /** The statement that the server generated itself. */
  readonly internalQuery?: string;
  /** The context, such as the call stack of functions. */
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  /** The place in the source of the server. */
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;

  constructor(message: string, fields: ErrorFields, options?: ErrorOptions) {
    const { server, ...detail } = { ...fields.detail } as { server?: Record<string, string> };
    const { detail: _, ...others } = fields;
    super(message, Object.keys(detail).length > 0 ? { ...others, detail } : others, options);
    if (!server) return;
    for (const name of SERVER_FIELDS) {
      if (server[name] !== undefined) Object.assign(this, { [name]: server[name] });
    }
    if (server['detail'] !== undefined) this.serverDetail = server['detail'];
  }
}

Object.defineProperty(PostgresError.prototype, 'name', { value: 'PostgresError', configurable: true, writable: true });

/** The error in what the addon rejected with. */
export function toPostgresError(rejection: unknown): unknown {
  const record = failureRecord(rejection);
  if (record?.service !== 'postgres') return toMoorlineError(rejection);
  return new PostgresError(record.message, record, record.cause && { cause: record.cause });
}

/** The failure of using a client after its release. */
export function releasedError(): PostgresError {
  const fields = failureFields('closed', { service: 'postgres', operation: 'query', attempts: 0 });
  return new PostgresError('The client was released: its connection may be in use by somebody else', fields);
}

/** The failure of a commit that the server answered with a rollback, as a statement in the transaction had failed. */
export function rolledBackError(): PostgresError {
  const fields = failureFields('rejected', {
    code: '25P02',
    service: 'postgres',
    operation: 'commit',
    delivery: 'answered',
    attempts: 1,
  });
  return new PostgresError('The transaction was rolled back, as a statement in it had failed', fields);
}

/** The failure of a statement for which settings of its session are given, where a pooler shares its sessions. */
export function sharedSessionError(settings: readonly string[]): PostgresError {
  const fields = failureFields('rejected', {
    code: 'ERR_POSTGRES_SHARED_SESSION',
    service: 'postgres',
    operation: 'query',
    delivery: 'none',
    attempts: 0,
  });
  const message =
    `The settings ${settings.join(', ')} of this client hold in transactions alone, as a pooler in transaction mode gives each ` +
    "transaction another session: begin one with BEGIN, or use withTransaction (statementMode 'unnamed')";
  return new PostgresError(message, fields);
}
