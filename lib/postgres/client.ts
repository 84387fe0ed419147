import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { type Handle, native, type PostgresPool } from '../runtime/native';
import { releasedError } from './error';
import { encodeStatement, type QueryConfig, runQuery } from './query';
import type { QueryResult } from './result';
import { type SessionSettings, TransactionSettings } from './session-settings';
import { runTransaction, type TransactionOptions } from './transaction';
import type { TypesOption } from './types/sets';

/** The state of a client's transaction: in none, in one, in one that failed and has to be rolled back. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** @internal What a client needs of its pool. */
export interface ClientOwner {
  readonly handle: Handle<PostgresPool>;
  readonly types: TypesOption | undefined;
  readonly sharesSessions: boolean;
  onRelease(client: PostgresClient, lease: number, destroyed: boolean): void;
}

/**
 * A connection that is borrowed from a pool, until it is released. The pool removes what its borrower leaves on it before anybody else
 * gets it: an open transaction, settings, `LISTEN`, advisory locks, temporary tables.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager } from 'moorline';
 *
 * await using manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * const client = await manager.connect({ readOnly: true, statementTimeoutMs: 1000 });
 * try {
 *   const { rows } = await client.query('SHOW default_transaction_read_only');
 *   console.log(rows[0].default_transaction_read_only); // on
 * } finally {
 *   client.release();
 * }
 * ```
 */
export class PostgresClient extends EventEmitter {
  /** The number of the server process. */
  readonly processID: number;
  /** The number of the connection in its pool, by which events name it. */
  readonly connectionId: number;
  readonly #owner: ClientOwner;
  #lease: number | undefined;
  #settings: TransactionSettings | undefined;

  /** @internal */
  constructor(owner: ClientOwner, lease: number, settings?: SessionSettings) {
    super();
    this.#owner = owner;
    this.connectionId = slotOf(lease);
    this.lend(lease, settings);
    this.processID = native.postgresProcessId(owner.handle, lease) as number;
  }

  /** @internal It is lent, with these settings. */
  lend(lease: number, settings?: SessionSettings): void {
    this.#lease = lease;
    this.#settings = settings && new TransactionSettings(settings);
  }

  /** @internal Takes what was done so far for the state that each borrower finds, to which these statements lead. */
  setUp(statements: readonly QueryConfig[]): void {
    const encoded = statements.map(encodeStatement);
    if (this.#lease !== undefined) native.postgresSetUp(this.#owner.handle, this.#lease, encoded);
  }

  /** The state of the transaction after the last answer; undefined after the release. */
  get transactionStatus(): TransactionStatus | undefined {
    if (this.#lease === undefined) return undefined;
    const letter = native.postgresTransactionStatus(this.#owner.handle, this.#lease);
    return letter === undefined ? undefined : (String.fromCharCode(letter) as TransactionStatus);
  }

  /**
   * Runs a statement, or several in one text without values. Statements are sent as they are called, without waiting for the results of
   * those before, and run in that order.
   *
   * @throws PostgresError
   */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    const lease = this.#lease;
    if (lease === undefined) return Promise.reject(releasedError());
    const { handle, types } = this.#owner;
    const run = () => runQuery<Row>(handle, lease, types, query, values);
    const settings = this.#settings;
    if (!settings || !this.#owner.sharesSessions) return run();
    const begin = (config: QueryConfig) => runQuery<Row>(handle, lease, types, config, undefined);
    return settings.run(query, run, begin, () => this.transactionStatus === 'I');
  }

  /**
   * Runs `work` in a transaction, which is committed when it returns and rolled back when it throws; in a transaction that this began, in
   * a savepoint of it.
   */
  withTransaction<T>(work: (client: this) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T> {
    return runTransaction(this, work, options);
  }

  /** Gives the connection back; with an argument it is closed. Called again, it does nothing. */
  release(destroy?: boolean | Error): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    this.#lease = undefined;
    const destroyed = Boolean(destroy);
    native.postgresRelease(this.#owner.handle, lease, !destroyed);
    this.#owner.onRelease(this, lease, destroyed);
  }

  /** The same as `release`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal */
  [inspect.custom](): string {
    return `${this.constructor.name} ${inspect({ processID: this.processID, released: this.#lease === undefined })}`;
  }
}

/** @internal The number of a lease's connection in its pool. */
export const slotOf = (lease: number): number => Math.floor(lease / 2 ** 32);
