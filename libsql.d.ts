/// <reference types="node" />
// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

/** A value of a row. */
export type Value = null | string | number | bigint | ArrayBuffer;
/** A value that can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;
/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = readonly InValue[] | Readonly<Record<string, InValue>>;
/** A statement: SQL text, or SQL text with its arguments. */
export type InStatement =
  | {
      readonly sql: string;
      readonly args?: InArgs | undefined;
    }
  | string;
/** The JavaScript type that SQLite integers are converted to. */
export type IntMode = 'number' | 'bigint' | 'string';
/**
 * One row, a plain object. Its enumerable properties are the columns by name. The values by index and `length` are
 * properties that are read-only and not enumerable; setting a column does not change the value at its index.
 */
export interface Row {
  /** The number of columns. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
/** The result of one statement. `T` is the type of its rows, as in `execute<User>(…)`; it is not checked at run time. */
export interface ResultSet<T = Row> {
  /** The names of the columns. */
  columns: string[];
  /** The types of the columns as declared in the schema; an empty string where there is none. */
  columnTypes: string[];
  /** The rows, empty for a statement that returns none. */
  rows: T[];
  /** The number of rows that an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last row that was inserted; `undefined` for a statement that inserts nothing. */
  lastInsertRowid: bigint | undefined;
  /** Returns the result for `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}
interface CallOptions {
  /** A signal that cancels the call: an abort rejects it with the signal's reason and releases its resources. */
  signal?: AbortSignal | undefined;
}
/**
 * The mode of a transaction: `write` waits for the write lock when it begins (`BEGIN IMMEDIATE`), `read` takes none,
 * `deferred` takes the lock at its first write and may then fail.
 */
export type TransactionMode = 'write' | 'read' | 'deferred';
/** Options of one call. */
export interface QueryOptions extends CallOptions {
  /** The time limit of this call in milliseconds, in place of the pool's `queryTimeoutMs`; `Infinity` for none. */
  timeoutMs?: number | undefined;
}
/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];
/**
 * An interactive transaction. End it by `commit`, by `rollback`, or by `close`, which rolls back what was not committed;
 * `await using` rolls back, too.
 */
export interface Transaction {
  /**
   * Whether the transaction has ended. A statement that ended it, such as `COMMIT` or `INSERT OR ROLLBACK`, counts for a
   * file and for memory; a server is not asked.
   */
  readonly closed: boolean;
  /** Runs one statement in the transaction and returns its result. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs the statements in order and returns a result for each. The first failure ends the batch but not the transaction. */
  batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Runs a script: several statements without arguments, separated by semicolons. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Commits all changes and ends the transaction. */
  commit(options?: QueryOptions): Promise<void>;
  /** Rolls back all changes and ends the transaction. Does nothing after its end. */
  rollback(options?: QueryOptions): Promise<void>;
  /** Ends the transaction and rolls back what was not committed, without waiting for it. Does nothing after its end. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
  /** The same as `rollback`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/** Options of {@link createClient}: those of `@libsql/client` and the time limits of moorline. */
export interface Config {
  /**
   * The URL of the database, as a string or a `URL`: `file:path`, `:memory:`, or a server: `libsql://`, `https://`, `http://`
   * (`wss://` and `ws://` mean the same).
   */
  url: string | URL;
  /** The access token of a remote database. */
  authToken?: string | null | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default: true. */
  tls?: boolean | undefined;
  /** How SQLite integers reach JavaScript. Default: `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
  /** Connections, or requests to a server, at once. Default: 20. */
  concurrency?: number | undefined;
  /**
   * How long a statement waits for another connection's lock on a file or on memory, in milliseconds; never for a
   * transaction that is open on memory. Default: 5000.
   */
  timeout?: number | undefined;
  /**
   * How long a statement on a file or on memory may run on the thread of its caller, in milliseconds: one that was quick before,
   * and that waits for nothing. After this time it is interrupted, undone, and run on another thread. `0`: never.
   * Default: 0.5.
   */
  inlineMs?: number | undefined;
  /** How long a call waits for a free connection. Default: 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take. Default: 30 000; `Infinity` for ever. */
  queryTimeoutMs?: number | undefined;
  /** Refused, as the five options below, with the reason: this build has no embedded replicas and no encryption. */
  syncUrl?: never;
  syncInterval?: never;
  readYourWrites?: never;
  offline?: never;
  encryptionKey?: never;
  remoteEncryptionKey?: never;
  /** Refused: requests do not go through JavaScript. */
  fetch?: never;
}
/** The result of `sync` for an embedded replica; this build has none. */
export type Replicated =
  | {
      frame_no: number;
      frames_synced: number;
    }
  | undefined;
/** A client for one database. Every call has a connection of its own; a transaction keeps one until it ends. */
export interface Client {
  /** Runs one statement and returns its result. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /**
   * Runs the statements in one transaction, all or none, and returns a result for each.
   *
   * @param mode Default: `deferred`.
   */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** Runs the statements as `batch` does, with foreign keys switched off during it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /**
   * Begins an interactive transaction and returns it.
   *
   * @param mode Default: `write`.
   */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Runs a script: several statements without arguments, separated by semicolons. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Always rejects: this build has no embedded replicas, so there is nothing to synchronize. */
  sync(): Promise<Replicated>;
  /**
   * Closes all connections: running statements are interrupted, open transactions are rolled back. Calls in progress reject
   * with the code `CLIENT_CLOSED`.
   */
  close(): void;
  /** Closes the client if it is open, and opens it again. */
  reconnect(): void;
  /** Whether `close` was called. */
  readonly closed: boolean;
  /** The protocol: `file` for files and memory, `http` for servers. */
  readonly protocol: string;
}
/**
 * Returns a client with the API of `@libsql/client`: code that was written for it needs only another import. The client
 * connects at the first call. An option that is `null` counts as not given.
 *
 * @example
 * ```ts
 * import { createClient } from 'moorline/libsql';
 *
 * const client = createClient({ url: ':memory:' });
 * const { rows } = await client.execute('SELECT ? AS answer', [42]);
 * console.log(rows); // [ { answer: 42 } ]
 * client.close();
 * ```
 *
 * @throws LibsqlError for a URL that is missing or not supported (`URL_INVALID`, `URL_SCHEME_NOT_SUPPORTED`,
 * `URL_PARAM_NOT_SUPPORTED`) and for an `encryptionKey` (`ENCRYPTION_KEY_NOT_SUPPORTED`); TypeError or RangeError for
 * another option.
 */
export declare function createClient(config: Config): Client;
type ErrorKind =
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
type Delivery = 'none' | 'unknown' | 'answered';
interface ErrorDetail {
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
interface ErrorFields {
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
declare class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: ErrorDetail;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  /** Returns all fields as a plain object, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
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
export declare class LibsqlError extends MoorlineError {
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
  );
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
export declare class LibsqlBatchError extends LibsqlError {
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
  );
}

export {};
