import type { Handle, LibsqlPool } from '../runtime/native';
import { closedError } from './error';
import type { InArgs, InStatement, ResultSet, Row } from './result-set';
import {
  type BatchStatement,
  type QueryOptions,
  type Statements,
  syncRefused,
  type TransactionMode,
} from './statements';
import { OpenTransaction, type Transaction } from './transaction';

/**
 * One connection of a pool, from `getConnection` to its release. All its statements run on the same
 * connection, one at a time; after the release every call is refused with kind `closed`.
 */
export class PooledClient {
  readonly #statements: Statements;
  readonly #release: () => void;
  #released = false;

  /** Which of the pool's connections this is: equal numbers, equal connection. */
  readonly connectionId: number;
  /** `file` for files and memory, `http` for servers. */
  readonly protocol: string;

  /** @internal */
  constructor(statements: Statements, lease: number, protocol: string, release: () => void) {
    this.#statements = statements;
    this.#release = release;
    this.connectionId = connectionIdOf(lease);
    this.protocol = protocol;
  }

  /** Whether it was released. */
  get closed(): boolean {
    return this.#released;
  }

  /** Runs one statement. */
  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    return this.#open('execute').execute(statement, args, options);
  }

  /** Runs statements in a transaction of their own: all of them, or none. The default mode is `deferred`. */
  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]> {
    return this.#open('batch').batch(statements, mode, options);
  }

  /** As `batch`, with foreign keys off around it. */
  async migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#open('migrate').batch(statements, 'migrate', options);
  }

  /** Begins an interactive transaction on this connection. The default mode is `write`. */
  async transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction> {
    const owner = { isClosed: () => this.#released, release: () => undefined };
    return OpenTransaction.begin(this.#open('transaction'), mode, owner, options);
  }

  /** Runs a script of several statements without arguments. */
  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#open('executeMultiple').executeMultiple(sql, options);
  }

  /** Embedded replicas are not in this build, so there is nothing to synchronize: always rejects. */
  async sync(): Promise<never> {
    this.#open('sync');
    throw syncRefused();
  }

  /** Gives the connection back to its pool, as `releaseConnection` does. */
  close(): void {
    this.#release();
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  /** @internal The pool it was borrowed from. */
  get pool(): Handle<LibsqlPool> {
    return this.#statements.handle;
  }

  /** @internal */
  get statements(): Statements {
    return this.#statements;
  }

  /** @internal Its lease, the first time. */
  markReleased(): number | undefined {
    if (this.#released) return undefined;
    this.#released = true;
    return this.#statements.lease;
  }

  #open(operation: string): Statements {
    if (this.#released) throw closedError('The connection was already released', operation);
    return this.#statements;
  }
}

/** @internal The number of the connection that a lease is of. */
export function connectionIdOf(lease: number): number {
  return Math.floor(lease / 2 ** 32);
}
