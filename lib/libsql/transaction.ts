import { checkOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import { closedError, LibsqlError } from './error';
import type { InArgs, InStatement, ResultSet, Row } from './result-set';
import {
  type BatchStatement,
  QUERY_OPTIONS,
  type QueryOptions,
  type StatementExecutor,
  type TransactionMode,
} from './statements';

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

/** @internal The owner of a transaction. */
export interface TransactionOwner {
  /** Whether the owner was closed, and its transactions with it. */
  isClosed(): boolean;
  /** Returns the connection to the pool. */
  release(): void;
}

/** @internal A transaction on a connection of its owner. */
export class OpenTransaction implements Transaction {
  #executor: StatementExecutor | undefined;
  readonly #owner: TransactionOwner;

  private constructor(executor: StatementExecutor, owner: TransactionOwner) {
    this.#executor = executor;
    this.#owner = owner;
  }

  static async begin(
    executor: StatementExecutor,
    mode: TransactionMode | undefined,
    owner: TransactionOwner,
    options?: QueryOptions,
  ): Promise<Transaction> {
    try {
      await executor.begin(mode, options);
      if (owner.isClosed()) throw closedError('The client was closed', 'transaction');
    } catch (error) {
      owner.release();
      throw error;
    }
    return new OpenTransaction(executor, owner);
  }

  get closed(): boolean {
    return this.#current === undefined || this.#hasEnded(this.#current);
  }

  /** The connection, while the transaction is not closed. */
  get #current(): StatementExecutor | undefined {
    if (this.#owner.isClosed()) this.#executor = undefined;
    return this.#executor;
  }

  #hasEnded({ handle, lease }: StatementExecutor): boolean {
    return lease === undefined || native.libsqlTransactionHasEnded(handle, lease);
  }

  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    const withArgs = args === undefined ? statement : ([statement, args] as BatchStatement);
    try {
      const [result] = await this.#requireOpen('execute').batch<T>([withArgs], 'continue', options);
      return result!;
    } catch (error) {
      throw asSingle(error);
    }
  }

  async batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#requireOpen('batch').batch(statements, 'continue', options);
  }

  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#requireOpen('executeMultiple').executeMultiple(sql, options, true);
  }

  async commit(options?: QueryOptions): Promise<void> {
    await this.#finish(this.#requireOpen('commit'), 'COMMIT', options);
  }

  async rollback(options?: QueryOptions): Promise<void> {
    const current = this.#current;
    if (!current) return;
    if (!this.#hasEnded(current)) return this.#finish(current, 'ROLLBACK', options);
    this.#executor = undefined;
    this.#owner.release();
  }

  close(): void {
    // A rollback that fails has nothing left to undo; the pool looks at the connection before it lends it.
    void this.rollback().catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rollback();
  }

  #requireOpen(operation: string): StatementExecutor {
    const current = this.#current;
    if (current) return current;
    throw closedError('The transaction is closed', operation, 'TRANSACTION_CLOSED');
  }

  async #finish(executor: StatementExecutor, sql: string, options?: QueryOptions): Promise<void> {
    // A mistake of the caller's leaves the transaction as it is.
    checkOptions('options', options, QUERY_OPTIONS);
    this.#executor = undefined;
    try {
      await executor.batch([sql], 'continue', options);
    } catch (error) {
      throw asSingle(error);
    } finally {
      this.#owner.release();
    }
  }
}

/** The failure of a batch of one is the statement's own. */
function asSingle(error: unknown): unknown {
  if (!(error instanceof LibsqlError) || !('statementIndex' in error)) return error;
  const { message, code, extendedCode, rawCode, cause } = error;
  const single = new LibsqlError(message, code, extendedCode, rawCode, cause as Error | undefined, error);
  if (error.stack) single.stack = error.stack;
  return single;
}
