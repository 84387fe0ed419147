import { checkOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import { closedError, LibsqlError } from './error';
import type { InArgs, InStatement, IntMode, ResultSet, Row } from './result-set';
import {
  acquire,
  type BatchStatement,
  QUERY_OPTIONS,
  type QueryOptions,
  StatementExecutor,
  syncNotSupportedError,
  type TransactionMode,
} from './statements';
import { OpenTransaction, type Transaction } from './transaction';

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
export type Replicated = { frame_no: number; frames_synced: number } | undefined;

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

class DatabaseClient implements Client {
  readonly #config: Config;
  #executor: StatementExecutor | undefined;
  readonly protocol: string;

  constructor(config: Config) {
    this.#config = config;
    this.#executor = this.#openPool();
    [this.protocol] = native.libsqlDescribe(this.#executor.handle);
  }

  get closed(): boolean {
    return this.#executor === undefined;
  }

  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    // Not async: a promise that is returned by another takes three turns of the microtask queue to settle it.
    let executor: StatementExecutor;
    try {
      executor = this.#requireOpen('execute');
    } catch (error) {
      return Promise.reject(error);
    }
    return executor.execute(statement, args, options);
  }

  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]> {
    return this.#requireOpen('batch').batch(statements, mode, options);
  }

  async migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#requireOpen('migrate').batch(statements, 'migrate', options);
  }

  async transaction(mode?: TransactionMode, options: QueryOptions = {}): Promise<Transaction> {
    checkOptions('options', options, QUERY_OPTIONS);
    const executor = this.#requireOpen('transaction');
    const { handle, intMode } = executor;
    const lease = native.libsqlTake(handle) ?? (await acquire(handle, options.signal));
    const owner = {
      isClosed: () => this.#executor !== executor,
      release: () => native.libsqlRelease(handle, lease),
    };
    return OpenTransaction.begin(new StatementExecutor(handle, intMode, lease), mode, owner, options);
  }

  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#requireOpen('executeMultiple').executeMultiple(sql, options);
  }

  async sync(): Promise<Replicated> {
    this.#requireOpen('sync');
    throw syncNotSupportedError();
  }

  close(): void {
    const previous = this.#executor;
    this.#executor = undefined;
    // Connections in use are aborted: a synchronous close cannot wait for their end.
    if (previous) void native.libsqlDrain(previous.handle, 0).catch(() => undefined);
  }

  reconnect(): void {
    this.close();
    this.#executor = this.#openPool();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #openPool(): StatementExecutor {
    const handle = native.libsqlOpen(this.#config, 'client', undefined, () => undefined);
    const [, , intMode] = native.libsqlDescribe(handle);
    return new StatementExecutor(handle, intMode);
  }

  #requireOpen(operation: string): StatementExecutor {
    if (!this.#executor) throw closedError('The client is closed', operation);
    return this.#executor;
  }
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
export function createClient(config: Config): Client {
  const url: unknown = (config as Config | undefined)?.url;
  const isObject = typeof url === 'object' && url !== null;
  try {
    return new DatabaseClient(isObject ? { ...config, url: String(url) } : config);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (!(error instanceof TypeError) || typeof code !== 'string' || code.startsWith('ERR_')) throw error;
    throw configError(error.message, code, url);
  }
}

function configError(message: string, code: string, url: unknown): LibsqlError {
  const fields = { operation: 'createClient', delivery: 'none', attempts: 0 } as const;
  return new LibsqlError(`${code}: ${message}`, code, undefined, undefined, malformedEscapeError(url), fields);
}

/** The error in the escapes of a URL, if there is one. */
function malformedEscapeError(url: unknown): Error | undefined {
  try {
    decodeURIComponent(String(url));
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
