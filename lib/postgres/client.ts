import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { emitGuarded } from '../runtime/emitter';
import { type Handle, type MessageQueue, native, type PostgresPool } from '../runtime/native';
import { weakListener } from '../runtime/native-call';
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

/** A notice of the server: a warning, or what a function raises. Its fields have the names that `pg` gives them. */
export interface PostgresNotice {
  /** `WARNING`, `NOTICE`, `DEBUG`, `INFO` or `LOG`. */
  severity?: string;
  /** The SQLSTATE. */
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  where?: string;
  schema?: string;
  table?: string;
  column?: string;
  dataType?: string;
  constraint?: string;
  file?: string;
  line?: string;
  routine?: string;
}

/** A message of a channel that the client listens to by `LISTEN`. */
export interface PostgresNotification {
  /** The number of the server process that has sent it. */
  processId: number;
  /** The channel. */
  channel: string;
  /** Its text; may be empty. */
  payload: string;
}

/** A parameter of the session that has another value now. */
export interface PostgresParameterStatus {
  parameterName: string;
  parameterValue: string;
}

/** The arguments of the events of a {@link PostgresClient}, and of any that its users emit on it. */
export interface PostgresClientEvents {
  notice: [notice: PostgresNotice];
  notification: [notification: PostgresNotification];
  parameterStatus: [parameter: PostgresParameterStatus];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  [name: string | symbol]: any[];
}

type Listener = (...args: any[]) => void;

/** What the server says without being asked; it crosses only while somebody listens. */
const MESSAGES: readonly (string | symbol)[] = ['notice', 'notification', 'parameterStatus'];

/**
 * A connection that is borrowed from a pool, until it is released. The pool removes what its borrower leaves on it before anybody else
 * gets it: an open transaction, settings, `LISTEN`, advisory locks, temporary tables.
 *
 * Emits `notice`, `notification` and `parameterStatus`, also while no statement runs. None is dropped: while they come faster than they
 * are handled, the connection is not read.
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
export class PostgresClient extends EventEmitter<PostgresClientEvents> {
  /** The number of the server process. */
  readonly processID: number;
  /** The number of the connection in its pool, by which events name it. */
  readonly connectionId: number;
  readonly #owner: ClientOwner;
  #lease: number | undefined;
  #settings: TransactionSettings | undefined;
  #messages: Handle<MessageQueue> | null = null;

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
    if (this.#hasListeners()) this.#subscribe();
  }

  override on(event: string | symbol, listener: Listener): this {
    super.on(event, listener);
    return this.#onListener(event);
  }

  override addListener(event: string | symbol, listener: Listener): this {
    super.addListener(event, listener);
    return this.#onListener(event);
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    super.prependListener(event, listener);
    return this.#onListener(event);
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

  #hasListeners(): boolean {
    return MESSAGES.some((event) => this.listenerCount(event) > 0);
  }

  #onListener(event: string | symbol): this {
    if (MESSAGES.includes(event)) this.#subscribe();
    return this;
  }

  #subscribe(): void {
    if (this.#messages || this.#lease === undefined) return;
    const listener = weakListener(this, PostgresClient.#onMessages);
    this.#messages = native.postgresSubscribe(this.#owner.handle, this.#lease, listener);
  }

  static #onMessages(client: PostgresClient, text: string | undefined): void {
    const messages = client.#messages;
    if (text === undefined || !messages) return;
    // The rest waits for another turn of the event loop, which has other work.
    native.postgresPause(messages);
    setImmediate(() => native.postgresResume(messages)).unref();
    for (const [event, message] of JSON.parse(text) as [string, unknown][]) emitGuarded(client, event, message);
    if (client.#lease === undefined || client.#hasListeners()) return;
    client.#messages = null;
    native.postgresUnsubscribe(client.#owner.handle, client.#lease);
  }
}

/** @internal The number of a lease's connection in its pool. */
export const slotOf = (lease: number): number => Math.floor(lease / 2 ** 32);
