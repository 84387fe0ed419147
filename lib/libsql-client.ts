import { call, type CallOptions } from './call';
import { closedError, dressLibsql, LibsqlError } from './libsql-error';
import { checkOptions, type KnownOptions } from './known-options';
import { native, type Handle, type LibsqlPool } from './native';
import { type InArgs, type InStatement, type IntMode, readResult, type ResultSet, type Row } from './result-set';

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

/** @internal */
export const QUERY: KnownOptions<QueryOptions> = { signal: true, timeoutMs: true };

/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];

/** @internal The verbs of a connection, or of a pool that borrows one for each. */
export class Statements {
  readonly handle: Handle<LibsqlPool>;
  readonly intMode: IntMode;
  /** The lease they run on; undefined borrows one for each call. */
  lease: number | undefined;

  constructor(handle: Handle<LibsqlPool>, intMode: IntMode, lease?: number) {
    this.handle = handle;
    this.intMode = intMode;
    this.lease = lease;
  }

  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    checkOptions('options', options, QUERY);
    const { handle, lease, intMode } = this;
    const signal = options?.signal;
    const timeoutMs = options?.timeoutMs;
    if (!signal) {
      // The usual case makes nothing that it does not need.
      try {
        return readResult<T>(await native.libsqlExecute(handle, lease, statement, args, timeoutMs), intMode);
      } catch (error) {
        throw dressLibsql(error);
      }
    }
    const answer = await call(
      (cancel) => native.libsqlExecute(handle, lease, statement, args, timeoutMs, cancel),
      signal,
      dressLibsql,
    );
    return readResult<T>(answer, intMode);
  }

  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode: TransactionMode | 'migrate' | 'continue' | undefined,
    options: QueryOptions = {},
  ): Promise<ResultSet<T>[]> {
    checkOptions('options', options, QUERY);
    const { handle, lease, intMode } = this;
    const answers = await call(
      (cancel) => native.libsqlBatch(handle, lease, statements, mode, options.timeoutMs, cancel),
      options.signal,
      dressLibsql,
    );
    return answers.map((answer) => readResult<T>(answer, intMode));
  }

  async begin(mode: TransactionMode, options: QueryOptions = {}): Promise<void> {
    checkOptions('options', options, QUERY);
    const { handle, lease } = this;
    await call(
      (cancel) => native.libsqlBegin(handle, lease, mode, options.timeoutMs, cancel),
      options.signal,
      dressLibsql,
    );
  }

  async executeMultiple(sql: string, options: QueryOptions = {}, within = false): Promise<void> {
    checkOptions('options', options, QUERY);
    const { handle, lease } = this;
    await call(
      (cancel) => native.libsqlSequence(handle, lease, sql, within, options.timeoutMs, cancel),
      options.signal,
      dressLibsql,
    );
  }
}

/** @internal A lease, after waiting for a connection; one that comes after an abort is given back. */
export function acquire(handle: Handle<LibsqlPool>, signal: AbortSignal | undefined): Promise<number> {
  const giveBack = (lease: number) => native.libsqlRelease(handle, lease);
  return call((cancel) => native.libsqlAcquire(handle, cancel), signal, dressLibsql, giveBack);
}

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

/** @internal Whom a transaction belongs to. */
export interface TransactionOwner {
  /** Whether the owner was closed, and its transactions with it. */
  isClosed(): boolean;
  /** Gives the connection back. */
  release(): void;
}

/** @internal A transaction on a connection of its owner. */
export class OpenTransaction implements Transaction {
  #statements: Statements | undefined;
  readonly #owner: TransactionOwner;

  private constructor(statements: Statements, owner: TransactionOwner) {
    this.#statements = statements;
    this.#owner = owner;
  }

  static async begin(
    statements: Statements,
    mode: TransactionMode,
    owner: TransactionOwner,
    options?: QueryOptions,
  ): Promise<Transaction> {
    try {
      await statements.begin(mode, options);
      if (owner.isClosed()) throw closedError('The client was closed', 'transaction');
    } catch (error) {
      owner.release();
      throw error;
    }
    return new OpenTransaction(statements, owner);
  }

  get closed(): boolean {
    return this.#held === undefined || this.#hasEnded(this.#held);
  }

  /** The connection, while the transaction is not closed. */
  get #held(): Statements | undefined {
    if (this.#owner.isClosed()) this.#statements = undefined;
    return this.#statements;
  }

  #hasEnded({ handle, lease }: Statements): boolean {
    return lease === undefined || native.libsqlHasEnded(handle, lease);
  }

  async execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>> {
    const whole = args === undefined ? statement : ([statement, args] as BatchStatement);
    try {
      const [result] = await this.#open('execute').batch<T>([whole], 'continue', options);
      return result!;
    } catch (error) {
      throw asSingle(error);
    }
  }

  async batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]> {
    return this.#open('batch').batch(statements, 'continue', options);
  }

  async executeMultiple(sql: string, options?: QueryOptions): Promise<void> {
    return this.#open('executeMultiple').executeMultiple(sql, options, true);
  }

  async commit(options?: QueryOptions): Promise<void> {
    await this.#finish(this.#open('commit'), 'COMMIT', options);
  }

  async rollback(options?: QueryOptions): Promise<void> {
    const held = this.#held;
    if (!held) return;
    if (!this.#hasEnded(held)) return this.#finish(held, 'ROLLBACK', options);
    this.#statements = undefined;
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

  #open(operation: string): Statements {
    const held = this.#held;
    if (held) return held;
    throw new LibsqlError(
      'TRANSACTION_CLOSED: The transaction is closed',
      'TRANSACTION_CLOSED',
      undefined,
      undefined,
      undefined,
      { kind: 'closed', operation, delivery: 'none', attempts: 0 },
    );
  }

  async #finish(statements: Statements, sql: string, options?: QueryOptions): Promise<void> {
    // A mistake of the caller's leaves the transaction as it is.
    checkOptions('options', options, QUERY);
    this.#statements = undefined;
    try {
      await statements.batch([sql], 'continue', options);
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
  constructor(statements: Statements, protocol: string, release: () => void) {
    this.#statements = statements;
    this.#release = release;
    this.connectionId = Math.floor((statements.lease ?? 0) / 2 ** 32);
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
  async transaction(mode: TransactionMode = 'write', options?: QueryOptions): Promise<Transaction> {
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

/** @internal */
export function syncRefused(): LibsqlError {
  const reason = 'this database is no embedded replica, and this build has none: there is nothing to synchronize';
  return new LibsqlError(`SYNC_NOT_SUPPORTED: ${reason}`, 'SYNC_NOT_SUPPORTED', undefined, undefined, undefined, {
    operation: 'sync',
    delivery: 'none',
  });
}
