import { inspect, type InspectOptions } from 'node:util';

import { deployment, LeakTracker } from '../runtime/leak-tracker';
import { CALL_OPTIONS, call, type CallOptions, weakListener } from '../runtime/native-call';
import type { ErrorKind } from '../runtime/error';
import { Emitter, type EventName } from '../runtime/emitter';
import { invalidTypeRedacted } from '../runtime/argument-error';
import { checkOptions } from '../runtime/known-options';
import { toLibsqlError } from './error';
import { connectionIdOf, PooledClient } from './pooled-client';
import {
  acquire,
  type BatchStatement,
  QUERY_OPTIONS,
  type QueryOptions,
  StatementExecutor,
  type TransactionMode,
} from './statements';
import { OpenTransaction, type Transaction } from './transaction';
import { log } from '../runtime/logger';
import { type Handle, type LibsqlPool, native } from '../runtime/native';
import type { InArgs, InStatement, IntMode, ResultSet, Row } from './result-set';
import { singleton } from '../runtime/singleton';
import { type SSHTunnel, withTunnel } from '../ssh/tunnel';

/** Options of a {@link TursoPool}. Every wait has a time limit, which `Infinity` switches off. */
export interface TursoPoolConfig {
  /**
   * The URL of the database: `file:path`, `:memory:` (one database for all connections of the pool), or a server:
   * `libsql://`, `https://`, `http://`. The URL of a server may contain `?authToken=` and `?tls=0`.
   */
  url: string;
  /** The access token of a remote database. */
  authToken?: string | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default: true. */
  tls?: boolean | undefined;
  /** Connections at most, opened as they are needed. Default: 5. */
  poolSize?: number | undefined;
  /** Connections kept open at least. Default: 0. */
  min?: number | undefined;
  /** Free connections kept at most. Default: `poolSize`. */
  maxIdle?: number | undefined;
  /** How long `getConnection` waits for a free connection, in milliseconds. Default: 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long opening one connection may take. Default: 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take; its connection is then discarded. Default: 30 000. */
  queryTimeoutMs?: number | undefined;
  /**
   * How long a statement waits for another connection's lock on a file or on memory; never for a transaction that is open
   * on memory. Default: 5000.
   */
  busyTimeoutMs?: number | undefined;
  /**
   * How long a statement on a file or on memory may run on the thread of its caller, in milliseconds: one that was quick before,
   * and that waits for nothing. After this time it is interrupted, undone, and run on another thread. `0`: never.
   * Default: 0.5.
   */
  inlineMs?: number | undefined;
  /** How long a free connection is kept. Default: 300 000. */
  idleTimeoutMs?: number | undefined;
  /** How long a connection lives, ±25 %; it is never taken from a borrower for its age. Default: 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /**
   * From how much idle time on a connection is checked before it is lent. Default: `Infinity`; a lower value changes
   * nothing here, as there is nothing to ask: a file is there or not, and a server's stream is judged by its age when
   * it is used, and outside a transaction replaced unseen.
   */
  validateAfterMs?: number | undefined;
  /** How long that check may take. Default: 5000. */
  validateTimeoutMs?: number | undefined;
  /** How long closing a connection may take before it is cut. Default: 5000. */
  closeTimeoutMs?: number | undefined;
  /** Borrowers that may wait at once; one more is refused with kind `overloaded`. Default: 10 000. */
  maxWaiters?: number | undefined;
  /**
   * A connection held longer than this is reported with the borrower's stack. Default: 30 000, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfterMs?: number | undefined;
  /** How SQLite integers reach JavaScript. Default: `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
  /** The tunnel through which the database of a server is reached, as its SSH server sees it. Default: none. */
  tunnel?: SSHTunnel | undefined;
}

/** The numbers of connections of a pool. */
export interface TursoPoolStats {
  /** Connections that are open or being opened. */
  total: number;
  /** Connections that are borrowed. */
  inUse: number;
  /** Connections that are free. */
  available: number;
  /** Callers that wait for a connection. */
  waiting: number;
}

/** The environment variables that stand for a configuration. */
class EnvironmentConfig {
  readonly INTENTVISION_DB_URL = process.env['INTENTVISION_DB_URL'];
  readonly INTENTVISION_DB_AUTH_TOKEN = process.env['INTENTVISION_DB_AUTH_TOKEN'];

  static fromProcess(): TursoPoolConfig {
    return new EnvironmentConfig() as object as TursoPoolConfig;
  }
}

/** A pool event as the addon encodes it. */
type PoolEvent =
  | { event: 'leak'; lease: number; heldMs: number }
  | { event: Exclude<EventName, 'leak'>; lease?: undefined; [fact: string]: unknown };

/** What the events of a pool carry. */
type TursoFacts = {
  acquire: { connectionId: number };
  release: { connectionId: number };
  create: { connectionId: number; durationMs: number };
  destroy: { connectionId: number };
  timeout: { afterMs: number };
  leak: { connectionId: number; heldMs: number; stack: string };
  health: { healthy: boolean };
  error: { kind: ErrorKind; code: string; message: string };
};

/**
 * A pool of libSQL connections to a file, to memory or to a server.
 *
 * `getConnection` borrows a connection until `releaseConnection`, `withConnection` for the time of a function; `execute`,
 * `batch` and the other methods that run statements borrow one for a single call. Waiting callers are served in order, at
 * most `poolSize` connections are open, and an idle pool does not keep the process alive.
 *
 * Every failure is a `LibsqlError` with the code that `@libsql/client` uses (`SQLITE_CONSTRAINT`, …).
 *
 * Emits `create` and `destroy` for connections, `acquire`, `release`, `timeout` and `leak` for borrowing, `health` for
 * each health check, `error` for a failure in the background, `drain` and `close` for the end of the pool.
 *
 * @example
 * ```ts
 * import { TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:', poolSize: 2 });
 * await pool.batch(['CREATE TABLE users (name TEXT)', { sql: 'INSERT INTO users VALUES (?)', args: ['Ada'] }]);
 * const { rows } = await pool.execute('SELECT name FROM users');
 * console.log(rows); // [ { name: 'Ada' } ]
 * await pool.drain();
 * ```
 */
export class TursoPool extends Emitter<TursoFacts> {
  readonly #handle: Handle<LibsqlPool>;
  readonly #executor: StatementExecutor;
  readonly #protocol: string;
  readonly #url: string;
  readonly #leakTracker: LeakTracker | undefined;
  /** It gives its credentials for as long as the pool needs it. */
  readonly #tunnel: SSHTunnel | undefined;

  /**
   * Creates the pool without connecting.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: TursoPoolConfig) {
    super('libsql', 'pool');
    const optionStyle = (config as unknown) instanceof EnvironmentConfig ? 'environment' : 'pool';
    const listener = weakListener(this, TursoPool.#onNativeEvent);
    this.#handle = native.libsqlOpen(withTunnel(config), optionStyle, deployment(), listener);
    this.#tunnel = config.tunnel;
    const [protocol, url, intMode] = native.libsqlDescribe(this.#handle);
    this.#protocol = protocol;
    this.#url = url;
    this.#executor = new StatementExecutor(this.#handle, intMode);
    this.#leakTracker = native.libsqlReportsLeaks(this.#handle) ? new LeakTracker() : undefined;
  }

  /** The protocol: `file` for files and memory, `http` for servers. */
  get protocol(): string {
    return this.#protocol;
  }

  /**
   * Borrows a connection and returns it: a free one, a new one while fewer than `poolSize` are open, else the next that is
   * released.
   *
   * @throws LibsqlError `Connection timeout after <n>ms (connectionTimeoutMs)` (kind `pool-timeout`), and after `drain`
   * `Pool is shutting down` (kind `closed`).
   */
  async getConnection(options?: CallOptions): Promise<PooledClient> {
    checkOptions('options', options, CALL_OPTIONS);
    options?.signal?.throwIfAborted();
    // Before anything is awaited, while the borrower is on the stack.
    const borrowerStack = this.#leakTracker?.capture(this.getConnection);
    const lease = native.libsqlTake(this.#handle) ?? (await acquire(this.#handle, options?.signal));
    this.#leakTracker?.set(lease, borrowerStack);
    return this.#lend(lease);
  }

  #lend(lease: number): PooledClient {
    const executor = new StatementExecutor(this.#handle, this.#executor.intMode, lease);
    const client = new PooledClient(executor, lease, this.#protocol, () => this.releaseConnection(client));
    this.publish('acquire', () => ({ connectionId: client.connectionId }));
    return client;
  }

  /**
   * Returns a connection to the pool. A client of another pool, or one that was released before, is ignored with a warning
   * in the log.
   */
  releaseConnection(client: PooledClient): void {
    const lease = client instanceof PooledClient && client.pool === this.#handle ? client.markReleased() : undefined;
    if (lease === undefined) {
      log('warn', 'libsql.release-refused', this.#url, () => ({
        reason: 'the client was not acquired from this pool, or was already released',
      }));
      return;
    }
    this.#leakTracker?.delete(lease);
    native.libsqlRelease(this.#handle, lease);
    this.publish('release', () => ({ connectionId: client.connectionId }));
  }

  /**
   * Borrows a connection, calls `use` with it, releases it in any case, and returns the result of `use`. An error of `use`
   * is passed on unchanged.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * const rows = await pool.withConnection(async (client) => {
   *   await client.execute('CREATE TABLE users (name TEXT)');
   *   await client.execute('INSERT INTO users VALUES (?)', ['Ada']);
   *   return (await client.execute('SELECT name FROM users')).rows;
   * });
   * console.log(rows); // [ { name: 'Ada' } ]
   * await pool.drain();
   * ```
   */
  async withConnection<T>(use: (client: PooledClient) => T | Promise<T>, options?: CallOptions): Promise<T> {
    if (typeof use !== 'function') throw invalidTypeRedacted('use', 'a function', use);
    const client = await this.getConnection(options);
    try {
      return await use(client);
    } finally {
      if (!client.closed) this.releaseConnection(client);
    }
  }

  /**
   * Runs one statement on a connection that is borrowed for it, and returns its result.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * const { rows } = await pool.execute<{ sum: number }>('SELECT :a + :b AS sum', { a: 1, b: 2 });
   * console.log(rows[0]?.sum); // 3
   * await pool.drain();
   * ```
   */
  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    return this.#executor.execute(statement, args, options);
  }

  /**
   * Runs the statements in one transaction, all or none, and returns a result for each.
   *
   * @param mode Default: `deferred`.
   */
  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]> {
    return this.#executor.batch(statements, mode, options);
  }

  /** Runs the statements as `batch` does, with foreign keys switched off during it. */
  async migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#executor.batch(statements, 'migrate', options);
  }

  /** Runs a script: several statements without arguments, separated by semicolons. */
  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#executor.executeMultiple(sql, options);
  }

  /**
   * Begins an interactive transaction on a connection that is borrowed until the transaction ends, and returns it.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * await pool.execute('CREATE TABLE users (name TEXT)');
   * const transaction = await pool.transaction();
   * try {
   *   await transaction.execute('INSERT INTO users VALUES (?)', ['Ada']);
   *   await transaction.commit();
   * } finally {
   *   transaction.close(); // Rolls back after an error, and does nothing after the commit.
   * }
   * await pool.drain();
   * ```
   *
   * @param mode Default: `write`.
   */
  async transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction> {
    checkOptions('options', options, QUERY_OPTIONS);
    const client = await this.getConnection({ signal: options?.signal });
    const owner = { isClosed: () => client.closed, release: () => this.releaseConnection(client) };
    return OpenTransaction.begin(client.executor, mode, owner, options);
  }

  /** Returns whether a connection can be borrowed and `SELECT 1` succeeds on it. Never rejects. */
  async healthCheck(): Promise<boolean> {
    const healthy = await this.execute('SELECT 1').then(
      () => true,
      () => false,
    );
    this.publish('health', () => ({ healthy }));
    return healthy;
  }

  /** Returns the numbers of connections. */
  getStats(): TursoPoolStats {
    const [total, inUse, available, waiting] = native.libsqlStats(this.#handle) as [number, number, number, number];
    return { total, inUse, available, waiting };
  }

  /**
   * Shuts the pool down: new and waiting callers are refused with `Pool is shutting down`, borrowed connections may finish
   * their work. Resolves when all are closed.
   *
   * @param timeoutMs After this time connections that are still borrowed are closed, with a warning in the log. Default: 30 000.
   */
  async drain(timeoutMs?: number): Promise<void> {
    const isDrained = await call(() => native.libsqlDrain(this.#handle, timeoutMs), undefined, toLibsqlError);
    this.#leakTracker?.clear();
    if (!isDrained) {
      log('warn', 'libsql.drain-forced', this.#url, () => ({
        reason: 'connections were still in use when the timeout passed',
      }));
    }
    this.publish('close');
  }

  /** The same as `drain`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const tunnel = this.#tunnel && { tunnel: this.#tunnel };
    const printable = { url: this.#url, protocol: this.#protocol, ...this.getStats(), ...tunnel };
    return `${this.constructor.name} ${inspect(printable, options)}`;
  }

  static #onNativeEvent(pool: TursoPool, text: string): void {
    const { event, lease, ...facts } = JSON.parse(text) as PoolEvent;
    if (lease !== undefined) {
      const stack = pool.#leakTracker?.stackOf(lease);
      Object.assign(facts, { connectionId: connectionIdOf(lease), stack });
      log('warn', 'libsql.leak', pool.#url, () => facts);
    }
    pool.publish(event, () => facts);
  }
}

const shared = singleton(
  'libsql',
  (config?: TursoPoolConfig) => new TursoPool(config ?? EnvironmentConfig.fromProcess()),
);

/**
 * Returns the shared pool of this JavaScript environment. The first call creates it with `config`. Without `config` it reads
 * the environment variables `INTENTVISION_DB_URL` (default: `file:db/intentvision.db`) and `INTENTVISION_DB_AUTH_TOKEN`, and
 * its errors name them.
 */
export function getTursoPool(config?: TursoPoolConfig): TursoPool {
  return shared.get(config);
}

/** Drains the shared pool; the next `getTursoPool` creates another. */
export async function resetTursoPool(): Promise<void> {
  await shared.reset()?.drain();
}
