import { EventEmitter, once } from 'node:events';
import { inspect } from 'node:util';

import type { PostgresClient, TransactionStatus } from '../postgres/client';
import type { PostgresError } from '../postgres/error';
import { PostgresConnectionPool } from '../postgres/pool';
import type { QueryConfig as Statement } from '../postgres/query';
import { type TypeFormat, type TypeParser, TypeRegistry } from '../postgres/types/registry';
import { types as registry } from '../postgres/types/sets';
import { emitGuarded } from '../runtime/emitter';
import { setImmediate } from '../runtime/node';
import { closedError, type DatabaseError, toPgError } from './error';
import { escapeIdentifier, escapeLiteral } from './escape';
import type { ClientConfig, CustomTypesConfig } from './options';
import {
  type QueryArrayConfig,
  type QueryArrayResult,
  type QueryConfig,
  type QueryConfigValues,
  type QueryResult,
  type QueryResultRow,
  readQuery,
  refuseCallback,
} from './query';
import { fileVariables, readClientConfig, type Target } from './settings';

/** A notice of the server, with the fields of an error. */
export interface NoticeMessage extends Partial<Pick<DatabaseError, NoticeField>> {
  message: string | undefined;
}

type NoticeField =
  | 'severity'
  | 'code'
  | 'detail'
  | 'hint'
  | 'position'
  | 'internalPosition'
  | 'internalQuery'
  | 'where'
  | 'schema'
  | 'table'
  | 'column'
  | 'dataType'
  | 'constraint'
  | 'file'
  | 'line'
  | 'routine';

/** A message that a session sent with `NOTIFY`. */
export interface Notification {
  processId: number;
  channel: string;
  payload?: string | undefined;
}

/** The events of a {@link Client}, with what their listeners receive. */
export interface ClientEvents {
  /** It is connected. */
  connect: [];
  /** No statement runs or waits any more. */
  drain: [];
  /** The connection was lost. Without a listener, nothing happens. */
  error: [error: Error];
  /** The connection has ended. */
  end: [];
  /** The server has something to say. */
  notice: [notice: NoticeMessage];
  /** A session has used `NOTIFY` on a channel that this one listens to. */
  notification: [notification: Notification];
}

/** What the server says without being asked. */
const MESSAGES = ['notice', 'notification'];

/** A statement that waits for the connection. */
interface Queued {
  send: () => void;
  reject: (error: unknown) => void;
}

/** @internal What a pool makes its clients with. */
export class Membership {
  constructor(
    readonly target: Target,
    readonly types: CustomTypesConfig | undefined,
  ) {}
}

/**
 * A connection with the interface of `pg`'s client. Statements are sent as they are called, without waiting for the results of those
 * before, and run in that order.
 */
export class Client extends EventEmitter<ClientEvents> {
  readonly user: string | undefined;
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly #own: PostgresConnectionPool | undefined;
  /** The types of the configuration. */
  readonly #baseTypes: CustomTypesConfig | undefined;
  /** Those with the parsers that were set here. */
  #types: TypeRegistry | undefined;
  #connection: PostgresClient | undefined;
  #connecting: Promise<this> | undefined;
  #ending: Promise<void> | undefined;
  /** Whether what runs may finish when it ends. */
  readonly #finishes: boolean = false;
  #queued: Queued[] = [];
  /** The statements that set the session up, while that is done. */
  #setUp: Statement[] | undefined;
  #running = 0;
  readonly #forwarded = new Set<string>();
  readonly #texts = new Map<string, string>();

  constructor(config?: string | ClientConfig) {
    super();
    const member = config as unknown;
    if (member instanceof Membership) {
      this.#baseTypes = member.types;
      ({ host: this.host, port: this.port, user: this.user, database: this.database } = member.target);
      return;
    }
    const { settings, target } = readClientConfig(config);
    this.#finishes = typeof config === 'object' && config?.pipeline === true;
    ({ host: this.host, port: this.port, user: this.user, database: this.database } = target);
    this.#baseTypes = settings.types as CustomTypesConfig | undefined;
    this.#own = new PostgresConnectionPool({ ...settings, max: 1, idleTimeoutMillis: Infinity }, fileVariables());
    this.#own.on('lost', (_, error: PostgresError) => this.onLost(toPgError(error, 'client')));
  }

  /** The number of the server process; null before it is connected. */
  get processID(): number | null {
    return this.#connection?.processID ?? null;
  }

  /** Connects. A client can do so once. */
  connect(): Promise<this>;
  async connect(...given: unknown[]): Promise<this> {
    refuseCallback('connect', ...given);
    if (!this.#own || this.#connecting) {
      throw closedError('Client has already been connected. You cannot reuse a client.', 'connect');
    }
    this.#connecting = this.#dial(this.#own);
    return this.#connecting;
  }

  async #dial(own: PostgresConnectionPool): Promise<this> {
    try {
      this.adopt(await own.connect());
    } catch (error) {
      const failure = toPgError(error, 'client');
      for (const { reject } of this.#queued.splice(0)) reject(failure);
      throw failure;
    }
    emitGuarded(this as EventEmitter, 'connect');
    return this;
  }

  /** @internal Takes a connection, and sends what has waited for it. */
  adopt(connection: PostgresClient): void {
    this.#connection = connection;
    for (const event of MESSAGES) if (this.listenerCount(event) > 0) this.#forward(event);
    (this as EventEmitter).on('newListener', (event: string) => this.#forward(event));
    for (const { send } of this.#queued.splice(0)) send();
  }

  /** Passes on what the connection emits, which it does only for listeners. */
  #forward(event: string): void {
    if (!MESSAGES.includes(event) || this.#forwarded.has(event)) return;
    this.#forwarded.add(event);
    this.#connection!.on(event, (message) => emitGuarded(this as EventEmitter, event, message));
  }

  /** @internal The connection has ended by itself. */
  onLost(error: unknown): void {
    if (this.listenerCount('error') > 0) emitGuarded(this as EventEmitter, 'error', error);
    emitGuarded(this as EventEmitter, 'end');
  }

  /** Runs a statement, or several in one text without values. */
  query<R extends any[] = any[], I = any[]>(
    query: QueryArrayConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryArrayResult<R>>;
  query<R extends QueryResultRow = any, I = any[]>(
    query: string | QueryConfig<I>,
    values?: QueryConfigValues<I>,
  ): Promise<QueryResult<R>>;
  async query(query: unknown, values?: unknown, ...rest: unknown[]): Promise<QueryResult> {
    refuseCallback('query', query, values, ...rest);
    const statement = readQuery(query, values, this.#types ?? this.#baseTypes, this.#texts);
    if (this.#ending) throw closedError('Client was closed and is not queryable', 'query');
    this.#setUp?.push(statement);
    this.#running++;
    try {
      const result = await (this.#connection?.query(statement) ?? this.#enqueue(statement));
      if (statement.name) this.#texts.set(statement.name, statement.text);
      return result as QueryResult;
    } catch (error) {
      throw toPgError(error, 'client');
    } finally {
      if (--this.#running === 0) emitGuarded(this as EventEmitter, 'drain');
    }
  }

  /** Runs a statement when there is a connection, behind those that wait already. */
  #enqueue(statement: Statement): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queued.push({ send: () => resolve(this.#connection!.query(statement)), reject });
    });
  }

  /** @internal Does `work`, and has all that it sets the session up with done again whenever what a borrower left is removed. */
  protected async settle(connection: PostgresClient, work: () => unknown): Promise<void> {
    const statements: Statement[] = [];
    this.#setUp = statements;
    try {
      await work();
      // A listener that is asynchronous sends one statement after the other.
      while (this.#running > 0) {
        await once(this as EventEmitter, 'drain');
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#setUp = undefined;
    }
    if (statements.length > 0) connection.setUp(statements);
  }

  /** Ends the connection; what still runs is given up, unless the option `pipeline` is true. */
  end(): Promise<void>;
  async end(...given: unknown[]): Promise<void> {
    refuseCallback('end', ...given);
    // As in `pg`, one that was never connected can still be.
    if (this.#own && !this.#connecting) return this.#giveUp();
    this.#ending ??= this.close();
    await this.#ending;
  }

  /** What waits for the connection will not get it. */
  #giveUp(): void {
    const closed = closedError('Connection terminated', 'query');
    for (const { reject } of this.#queued.splice(0)) reject(closed);
  }

  /** @internal */
  protected async close(): Promise<void> {
    while (this.#finishes && this.#running > 0) await once(this as EventEmitter, 'drain');
    this.#giveUp();
    this.#connection?.release(true);
    await this.#own?.end(0);
    if (this.#connection) emitGuarded(this as EventEmitter, 'end');
  }

  /** The state of the transaction after the last answer: `I` in none, `T` in one, `E` in one that failed; null before. */
  getTransactionStatus(): TransactionStatus | null {
    return this.#connection?.transactionStatus ?? null;
  }

  /** Sets the parser of a type for the results of this client. */
  setTypeParser(oid: number, parser: TypeParser): void;
  setTypeParser(oid: number, format: TypeFormat, parser: TypeParser<any, any>): void;
  setTypeParser(oid: number, format: any, parser?: any): void {
    this.#types ??= new TypeRegistry([], this.#baseTypes ?? registry);
    this.#types.setTypeParser(oid, format as TypeFormat as 'text', parser as TypeParser);
  }

  /** The parser of a type for the results of this client. */
  getTypeParser(oid: number, format: TypeFormat = 'text'): TypeParser<any, any> {
    return (this.#types ?? this.#baseTypes ?? registry).getTypeParser(oid, format);
  }

  /** A name as it stands in a statement, between double quotes. */
  escapeIdentifier(name: string): string {
    return escapeIdentifier(name);
  }

  /** A text as it stands in a statement, between single quotes. */
  escapeLiteral(text: string): string {
    return escapeLiteral(text);
  }

  /** Does nothing: a connection does not keep the process alive, a call that runs does. */
  ref(): void {}

  /** Does nothing. */
  unref(): void {}

  /** @internal */
  [inspect.custom](): string {
    const { host, port, user, database, processID } = this;
    return `${this.constructor.name} ${inspect({ host, port, user, database, processID })}`;
  }
}
