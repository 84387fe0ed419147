import type { Handle, LibsqlPool } from '../runtime/native';
import { closedError } from './error';
import type { InArgs, InStatement, ResultSet, Row } from './result-set';
import {
  type BatchStatement,
  type QueryOptions,
  type StatementExecutor,
  syncNotSupportedError,
  type TransactionMode,
} from './statements';
import { OpenTransaction, type Transaction } from './transaction';

/**
 * A connection that was borrowed from a pool. All its statements run on the same connection, one at a time. After its release
 * every call rejects with an error of kind `closed`.
 *
 * @example
 * ```ts
 * import { TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * const client = await pool.getConnection();
 * try {
 *   const { rows } = await client.execute('SELECT ? AS answer', [42]);
 *   console.log(rows); // [ { answer: 42 } ]
 * } finally {
 *   client.close();
 * }
 * await pool.drain();
 * ```
 */
export class PooledClient {
  readonly #executor: StatementExecutor;
  readonly #release: () => void;
  #released = false;

  /** The number of the connection in its pool: equal numbers are the same connection. */
  readonly connectionId: number;
  /** The protocol: `file` for files and memory, `http` for servers. */
  readonly protocol: string;

  /** @internal */
  constructor(executor: StatementExecutor, lease: number, protocol: string, release: () => void) {
    this.#executor = executor;
    this.#release = release;
    this.connectionId = connectionIdOf(lease);
    this.protocol = protocol;
  }

  /** Whether the connection was released. */
  get closed(): boolean {
    return this.#released;
  }

  /** Runs one statement and returns its result. */
  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    return this.#requireOpen('execute').execute(statement, args, options);
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
    return this.#requireOpen('batch').batch(statements, mode, options);
  }

  /** Runs the statements as `batch` does, with foreign keys switched off during it. */
  async migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#requireOpen('migrate').batch(statements, 'migrate', options);
  }

  /**
   * Begins an interactive transaction on this connection and returns it.
   *
   * @param mode Default: `write`.
   */
  async transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction> {
    const owner = { isClosed: () => this.#released, release: () => undefined };
    return OpenTransaction.begin(this.#requireOpen('transaction'), mode, owner, options);
  }

  /** Runs a script: several statements without arguments, separated by semicolons. */
  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#requireOpen('executeMultiple').executeMultiple(sql, options);
  }

  /** Always rejects: this build has no embedded replicas, so there is nothing to synchronize. */
  async sync(): Promise<never> {
    this.#requireOpen('sync');
    throw syncNotSupportedError();
  }

  /** Returns the connection to its pool, as `releaseConnection` does. */
  close(): void {
    this.#release();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.#release();
  }

  /** @internal The pool it was borrowed from. */
  get pool(): Handle<LibsqlPool> {
    return this.#executor.handle;
  }

  /** @internal */
  get executor(): StatementExecutor {
    return this.#executor;
  }

  /** @internal Its lease, the first time. */
  markReleased(): number | undefined {
    if (this.#released) return undefined;
    this.#released = true;
    return this.#executor.lease;
  }

  #requireOpen(operation: string): StatementExecutor {
    if (this.#released) throw closedError('The connection was already released', operation);
    return this.#executor;
  }
}

/** @internal The number of the connection that a lease is of. */
export function connectionIdOf(lease: number): number {
  return Math.floor(lease / 2 ** 32);
}
