/// <reference types="node" />
// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

/** A value of a row. */
export type Value = null | string | number | bigint | ArrayBuffer;
/** What can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;
/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = readonly InValue[] | Readonly<Record<string, InValue>>;
/** SQL text, or SQL text with its arguments. */
export type InStatement =
  | {
      readonly sql: string;
      readonly args?: InArgs | undefined;
    }
  | string;
/** How SQLite integers reach JavaScript. */
export type IntMode = 'number' | 'bigint' | 'string';
/**
 * One row, a plain object: its enumerable members are the columns by name. The values by index, and `length`, are members
 * that are not enumerable and cannot be set; an index keeps its value when a column is set.
 */
export interface Row {
  /** How many columns it has. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
/** The result of one statement. `T` is what you say of its rows, as in `execute<User>(…)`; nothing checks it. */
export interface ResultSet<T = Row> {
  /** The names of the columns. */
  columns: string[];
  /** Their types as declared in the schema; empty where there is none. */
  columnTypes: string[];
  rows: T[];
  /** How many rows an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last row it inserted; undefined for statements that insert nothing. */
  lastInsertRowid: bigint | undefined;
  /** For `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}
interface CallOptions {
  /** Aborting it rejects the call with the signal's reason and frees what the call holds. */
  signal?: AbortSignal | undefined;
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
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];
/**
 * An interactive transaction. It must be ended: by `commit`, by `rollback`, or by `close`, which rolls back
 * what was not committed. `await using` does the last.
 */
export interface Transaction {
  /**
   * Whether it has ended: also when a statement such as `COMMIT` or `INSERT OR ROLLBACK` has ended it, but for a
   * server's, which is not asked.
   */
  readonly closed: boolean;
  /** Runs one statement in the transaction. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs statements in order; the first failure stops the batch but not the transaction. */
  batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
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
/** Options of {@link createClient}: those of `@libsql/client`, and moorline's own time limits. */
export interface Config {
  /**
   * `file:path`, `:memory:`, or a server: `libsql://`, `https://`, `http://` (`wss://` and `ws://` mean the same); as text
   * or as a `URL`.
   */
  url: string | URL;
  /** The token of a remote database. */
  authToken?: string | null | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default true. */
  tls?: boolean | undefined;
  /** How SQLite integers reach JavaScript. Default `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
  /** Connections, or requests to a server, at once. Default 20. */
  concurrency?: number | undefined;
  /**
   * How long a statement waits for another connection's lock on a file or on memory, in milliseconds; never for a
   * transaction that is open on memory. Default 5000.
   */
  timeout?: number | undefined;
  /** How long a call waits for a free connection. Default 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take. Default 30 000; `Infinity` for ever. */
  queryTimeoutMs?: number | undefined;
  /** Embedded replicas and encryption are not in this build: refused, with the reason. */
  syncUrl?: never;
  syncInterval?: never;
  readYourWrites?: never;
  offline?: never;
  encryptionKey?: never;
  remoteEncryptionKey?: never;
  /** Requests do not go through JavaScript: refused. */
  fetch?: never;
}
/** What `sync` resolves with for an embedded replica; this build has none. */
export type Replicated =
  | {
      frame_no: number;
      frames_synced: number;
    }
  | undefined;
/** A client for one database. Every call has a connection to itself, a transaction keeps one. */
export interface Client {
  /** Runs one statement. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs statements in one transaction: all of them, or none. The default mode is `deferred`. */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** As `batch`, with foreign keys off around it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Begins an interactive transaction. The default mode is `write`. */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Embedded replicas are not in this build: always rejects. */
  sync(): Promise<Replicated>;
  /**
   * Closes all connections: what runs is interrupted, open transactions are rolled back. Calls that had not come to
   * their end reject with the code `CLIENT_CLOSED`.
   */
  close(): void;
  /** Opens the client again after `close`. */
  reconnect(): void;
  /** Whether `close` was called. */
  readonly closed: boolean;
  /** `file` for files and memory, `http` for servers. */
  readonly protocol: string;
}
/**
 * A client with the API of `@libsql/client`: code written for it works when the import is changed. Nothing is
 * connected before the first call. An option that is `null` is one that is not given.
 *
 * @throws LibsqlError (`URL_INVALID`, `URL_SCHEME_NOT_SUPPORTED`, `URL_PARAM_NOT_SUPPORTED`) for its URL, or that it has
 * none, and for an `encryptionKey` (`ENCRYPTION_KEY_NOT_SUPPORTED`); TypeError or RangeError for another option.
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
  /** All fields as plain JSON, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
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

export {};
