import { checkOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import { closedError, LibsqlError } from './error';
import type { InArgs, InStatement, IntMode, ResultSet, Row } from './result-set';
import {
  acquire,
  type BatchStatement,
  QUERY,
  type QueryOptions,
  Statements,
  syncRefused,
  type TransactionMode,
} from './statements';
import { OpenTransaction, type Transaction } from './transaction';

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
export type Replicated = { frame_no: number; frames_synced: number } | undefined;

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

class DatabaseClient implements Client {
  readonly #config: Config;
  #statements: Statements | undefined;
  readonly protocol: string;

  constructor(config: Config) {
    this.#config = config;
    this.#statements = this.#connect();
    [this.protocol] = native.libsqlDescribe(this.#statements.handle);
  }

  get closed(): boolean {
    return this.#statements === undefined;
  }

  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    return this.#open('execute').execute(statement, args, options);
  }

  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]> {
    return this.#open('batch').batch(statements, mode, options);
  }

  async migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#open('migrate').batch(statements, 'migrate', options);
  }

  async transaction(mode?: TransactionMode, options: QueryOptions = {}): Promise<Transaction> {
    checkOptions('options', options, QUERY);
    const statements = this.#open('transaction');
    const { handle, intMode } = statements;
    const lease = native.libsqlTake(handle) ?? (await acquire(handle, options.signal));
    const owner = {
      isClosed: () => this.#statements !== statements,
      release: () => native.libsqlRelease(handle, lease),
    };
    return OpenTransaction.begin(new Statements(handle, intMode, lease), mode, owner, options);
  }

  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#open('executeMultiple').executeMultiple(sql, options);
  }

  async sync(): Promise<Replicated> {
    this.#open('sync');
    throw syncRefused();
  }

  close(): void {
    const previous = this.#statements;
    this.#statements = undefined;
    // Connections in use are aborted: a synchronous close cannot wait for their end.
    if (previous) void native.libsqlDrain(previous.handle, 0).catch(() => undefined);
  }

  reconnect(): void {
    this.close();
    this.#statements = this.#connect();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #connect(): Statements {
    const handle = native.libsqlOpen(this.#config, 'client', undefined, () => undefined);
    const [, , intMode] = native.libsqlDescribe(handle);
    return new Statements(handle, intMode);
  }

  #open(operation: string): Statements {
    if (!this.#statements) throw closedError('The client is closed', operation);
    return this.#statements;
  }
}

/**
 * A client with the API of `@libsql/client`: code written for it works when the import is changed. Nothing is
 * connected before the first call. An option that is `null` is one that is not given.
 *
 * @throws LibsqlError (`URL_INVALID`, `URL_SCHEME_NOT_SUPPORTED`, `URL_PARAM_NOT_SUPPORTED`) for its URL, or that it has
 * none, and for an `encryptionKey` (`ENCRYPTION_KEY_NOT_SUPPORTED`); TypeError or RangeError for another option.
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
  return new LibsqlError(`${code}: ${message}`, code, undefined, undefined, escapeError(url), fields);
}

/** The error in the escapes of a URL, if there is one. */
function escapeError(url: unknown): Error | undefined {
  try {
    decodeURIComponent(String(url));
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
