import { type ErrorFields, failureFields, failureRecord, MoorlineError } from '../runtime/error';

/** The detail of a failure of libSQL, as the addon gives it. */
interface LibsqlDetail {
  extendedCode?: string;
  rawCode?: number;
  statementIndex?: number;
}

/**
 * A failure of a libSQL operation, with the codes `@libsql/client` gives it.
 *
 * @example
 * ```ts
 * import { LibsqlError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * await pool.execute('CREATE TABLE users (id INTEGER PRIMARY KEY)');
 * await pool.execute('INSERT INTO users VALUES (1)');
 * try {
 *   await pool.execute('INSERT INTO users VALUES (1)');
 * } catch (error) {
 *   if (error instanceof LibsqlError) console.log(error.extendedCode); // SQLITE_CONSTRAINT_PRIMARYKEY
 * }
 * ```
 */
export class LibsqlError extends MoorlineError {
  /** The extended result code of SQLite, such as `SQLITE_CONSTRAINT_PRIMARYKEY`. */
  readonly extendedCode?: string;
  /** The numeric result code of SQLite that {@link extendedCode} names. */
  readonly rawCode?: number;

  constructor(
    message: string,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  ) {
    // As `@libsql/client` has it; the addon's own messages carry the code already where it belongs.
    const defaults = failureFields('rejected', { code: 'UNKNOWN', service: 'libsql', operation: '' });
    super(fields ? message : `${code}: ${message}`, { ...defaults, ...fields, code }, cause && { cause });
    if (extendedCode !== undefined) this.extendedCode = extendedCode;
    if (rawCode !== undefined) this.rawCode = rawCode;
  }
}

/**
 * A failure of one statement of a batch.
 *
 * @example
 * ```ts
 * import { LibsqlBatchError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * try {
 *   await pool.batch(['CREATE TABLE users (id)', 'INSERT INTO missing VALUES (1)']);
 * } catch (error) {
 *   if (error instanceof LibsqlBatchError) console.log(error.statementIndex); // 1
 * }
 * ```
 */
export class LibsqlBatchError extends LibsqlError {
  /** The index in the batch of the statement that failed, from 0. */
  readonly statementIndex: number;

  constructor(
    message: string,
    statementIndex: number,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  ) {
    super(message, code, extendedCode, rawCode, cause, fields);
    this.statementIndex = statementIndex;
  }
}

for (const type of [LibsqlError, LibsqlBatchError]) {
  Object.defineProperty(type.prototype, 'name', { value: type.name, configurable: true, writable: true });
}

/** The error for a failure record of libSQL; anything else passes through. */
export function toLibsqlError(rejection: unknown): unknown {
  const record = failureRecord(rejection);
  if (!record) return rejection;
  const { message, cause, ...fields } = record;
  const { extendedCode, rawCode, statementIndex }: LibsqlDetail = fields.detail ?? {};
  if (statementIndex === undefined) {
    return new LibsqlError(message, fields.code, extendedCode, rawCode, cause, fields);
  }
  return new LibsqlBatchError(message, statementIndex, fields.code, extendedCode, rawCode, cause, fields);
}

/** An integer in a server's result that no JavaScript number is equal to; on a database of this machine the addon says so. */
export function inexactInteger(integer: string, column: string): LibsqlError {
  const message =
    `ERR_OUT_OF_RANGE: the integer ${integer} in column '${column}' cannot be represented exactly as a JavaScript ` +
    "number; use intMode 'bigint' or 'string'";
  const fields = { operation: 'execute', delivery: 'answered' } as const;
  return new LibsqlError(message, 'ERR_OUT_OF_RANGE', undefined, undefined, undefined, fields);
}

/** The failure of using what was closed. */
export function closedError(message: string, operation: string, code = 'CLIENT_CLOSED'): LibsqlError {
  const fields = failureFields('closed', { service: 'libsql', operation, attempts: 0 });
  return new LibsqlError(`${code}: ${message}`, code, undefined, undefined, undefined, fields);
}
