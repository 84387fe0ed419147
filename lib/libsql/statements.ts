import { call, type CallOptions } from '../runtime/native-call';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { native, type Handle, type LibsqlPool } from '../runtime/native';
import { toLibsqlError, LibsqlError } from './error';
import { nextTurn, recordAnswer } from './turn';
import { type InArgs, type InStatement, type IntMode, readResult, type ResultSet, type Row } from './result-set';

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

/** @internal */
export const QUERY_OPTIONS: KnownOptions<QueryOptions> = { signal: true, timeoutMs: true };

/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];

/** Whether a statement is an object of which nothing is lost when its members are given one by one. */
function hasOnlySqlAndArgs(statement: InStatement): statement is Exclude<InStatement, string> {
  if (typeof statement !== 'object' || statement === null) return false;
  for (const key of Object.keys(statement)) if (key !== 'sql' && key !== 'args') return false;
  return Object.hasOwn(statement, 'sql');
}

/** @internal The verbs of a connection, or of a pool that borrows one for each. */
export class StatementExecutor {
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
    checkOptions('options', options, QUERY_OPTIONS);
    const turn = nextTurn();
    if (turn) await turn;
    const { handle, lease, intMode } = this;
    const signal = options?.signal;
    const timeoutMs = options?.timeoutMs;
    if (!signal) {
      // The usual case makes nothing that it does not need.
      try {
        // Two values cross sooner than the object that they are members of.
        const answer =
          args === undefined && hasOnlySqlAndArgs(statement)
            ? native.libsqlExecute(handle, lease, statement.sql, statement.args, timeoutMs)
            : native.libsqlExecute(handle, lease, statement, args, timeoutMs);
        if (typeof answer !== 'string' && !Array.isArray(answer)) return readResult<T>(await answer, intMode);
        recordAnswer();
        return readResult<T>(answer, intMode);
      } catch (error) {
        throw toLibsqlError(error);
      }
    }
    const answer = await call(
      async (cancel) => native.libsqlExecute(handle, lease, statement, args, timeoutMs, cancel),
      signal,
      toLibsqlError,
    );
    return readResult<T>(answer, intMode);
  }

  async batch<T = Row>(
    statements: readonly BatchStatement[],
    mode: TransactionMode | 'migrate' | 'continue' | undefined,
    options: QueryOptions = {},
  ): Promise<ResultSet<T>[]> {
    checkOptions('options', options, QUERY_OPTIONS);
    const turn = nextTurn();
    if (turn) await turn;
    const { handle, lease, intMode } = this;
    const answers = await call(
      (cancel) => native.libsqlBatch(handle, lease, statements, mode, options.timeoutMs, cancel),
      options.signal,
      toLibsqlError,
    );
    return answers.map((answer) => readResult<T>(answer, intMode));
  }

  async begin(mode: TransactionMode | undefined, options: QueryOptions = {}): Promise<void> {
    checkOptions('options', options, QUERY_OPTIONS);
    const turn = nextTurn();
    if (turn) await turn;
    const { handle, lease } = this;
    await call(
      (cancel) => native.libsqlBegin(handle, lease, mode, options.timeoutMs, cancel),
      options.signal,
      toLibsqlError,
    );
  }

  async executeMultiple(sql: string, options: QueryOptions = {}, inTransaction = false): Promise<void> {
    checkOptions('options', options, QUERY_OPTIONS);
    const turn = nextTurn();
    if (turn) await turn;
    const { handle, lease } = this;
    await call(
      (cancel) => native.libsqlSequence(handle, lease, sql, inTransaction, options.timeoutMs, cancel),
      options.signal,
      toLibsqlError,
    );
  }
}

/** @internal A lease, after waiting for a connection; one that comes after an abort is given back. */
export function acquire(handle: Handle<LibsqlPool>, signal: AbortSignal | undefined): Promise<number> {
  const giveBack = (lease: number) => native.libsqlRelease(handle, lease);
  return call((cancel) => native.libsqlAcquire(handle, cancel), signal, toLibsqlError, giveBack);
}
/** @internal */
export function syncNotSupportedError(): LibsqlError {
  const reason = 'this build has no embedded replicas: there is nothing to synchronize';
  return new LibsqlError(`SYNC_NOT_SUPPORTED: ${reason}`, 'SYNC_NOT_SUPPORTED', undefined, undefined, undefined, {
    operation: 'sync',
    delivery: 'none',
  });
}
