import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import type { PostgresClient } from '../postgres/client';
import { PostgresError } from '../postgres/error';
import { PostgresConnectionPool } from '../postgres/pool';
import { emitGuarded } from '../runtime/emitter';
import { Membership } from './client';
import { closedError, toPgError } from './error';
import type { CustomTypesConfig } from './options';
import { PoolClient } from './pool-client';
import {
  type QueryArrayConfig,
  type QueryArrayResult,
  type QueryConfig,
  type QueryConfigValues,
  type QueryResult,
  type QueryResultRow,
  refuseCallback,
} from './query';
import { checkOwn, type PoolConfig, publicOptions, readPoolConfig } from './pool-options';
import { fileVariables } from './settings';

const ENDED = 'Cannot use a pool after calling end on the pool';

/** The events of a {@link Pool}, with what their listeners receive. */
export interface PoolEvents {
  /** A connection is new. */
  connect: [client: PoolClient];
  /** One was borrowed. */
  acquire: [client: PoolClient];
  /** One was given back, with what `release` was called with. */
  release: [error: Error | boolean | undefined, client: PoolClient];
  /** One was closed. */
  remove: [client: PoolClient];
  /** A free one has ended. Without a listener, nothing happens. */
  error: [error: Error, client: PoolClient];
}

/** A pool of connections with the interface of `pg`'s, over the pool of moorline. */
export class Pool extends EventEmitter<PoolEvents> {
  /** The options; secrets are not enumerable. */
  readonly options: PoolConfig;
  readonly #pool: PostgresConnectionPool;
  readonly #membership: Membership;
  readonly #clients = new Map<PostgresClient, PoolClient>();
  /** Those that are being closed, which count no more. */
  readonly #closing = new Set<PostgresClient>();
  /** Calls that wait for a connection. */
  readonly #waiting = new Set<Promise<PostgresClient>>();
  #isEnding = false;
  #isEnded = false;

  constructor(config?: PoolConfig) {
    super();
    const { settings, target } = readPoolConfig(config);
    this.options = publicOptions(config);
    checkOwn(this.options);
    this.#membership = new Membership(target, settings.types as CustomTypesConfig | undefined);
    this.#pool = new PostgresConnectionPool(settings, fileVariables());
    this.#pool.on('lost', (connection: PostgresClient | undefined, error: PostgresError) => {
      if (connection) this.#onLost(connection, error);
    });
    this.#pool.on('remove', (connection: PostgresClient) => this.#onRemove(connection));
  }

  /** All connections. */
  get totalCount(): number {
    const closing = Array.from(this.#closing, (connection) => this.#clients.has(connection));
    // What is closed counts there until it is gone, of which is heard here later.
    const known = this.#clients.size - closing.filter(Boolean).length;
    return Math.max(this.#pool.totalCount - closing.length, known);
  }

  /** Free connections. */
  get idleCount(): number {
    return this.#pool.idleCount;
  }

  /** Calls that wait for one. */
  get waitingCount(): number {
    return this.#pool.waitingCount;
  }

  /** Borrowed connections that are older than `maxLifetimeSeconds`; they are closed when they come back. */
  get expiredCount(): number {
    return Array.from(this.#clients.values()).filter((client) => client.isBorrowed && this.#isExpired(client)).length;
  }

  /** Whether `end` was called. */
  get ending(): boolean {
    return this.#isEnding;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#isEnded;
  }

  /** Borrows a connection: a free one, a new one while fewer than `max` are open, else the next that is released. */
  connect(): Promise<PoolClient>;
  async connect(...given: unknown[]): Promise<PoolClient> {
    refuseCallback('connect', ...given);
    if (this.#isEnding) throw closedError(ENDED, 'connect');
    const waiting = this.#pool.connect();
    this.#waiting.add(waiting);
    try {
      return await this.#lend(await waiting);
    } catch (error) {
      if (error instanceof PostgresError && error.kind === 'closed') throw closedError(ENDED, 'connect');
      throw toPgError(error, 'pool');
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  async #lend(connection: PostgresClient): Promise<PoolClient> {
    const known = this.#clients.get(connection);
    const client = known ?? new PoolClient(this.#membership, connection, (...given) => this.#takeBack(...given));
    if (!known) {
      const { onConnect } = this.options;
      try {
        if (onConnect || this.listenerCount('connect') > 0) await client.prepare(() => this.#onConnect(client));
      } catch (error) {
        this.#close(connection);
        throw error;
      }
      this.#clients.set(connection, client);
    }
    emitGuarded(this as EventEmitter, 'acquire', client);
    client.lend();
    return client;
  }

  async #onConnect(client: PoolClient): Promise<void> {
    const { onConnect } = this.options;
    if (onConnect) await onConnect(client);
    emitGuarded(this as EventEmitter, 'connect', client);
  }

  #takeBack(client: PoolClient, cause: Error | boolean | undefined, closes: boolean): void {
    emitGuarded(this as EventEmitter, 'release', cause, client);
    const { maxUses } = this.options;
    const isWorn = this.#isExpired(client) || (maxUses ? client.uses >= maxUses : false);
    if (closes || isWorn) this.#close(client.connection);
    else client.connection.release();
  }

  #close(connection: PostgresClient): void {
    this.#closing.add(connection);
    connection.release(true);
  }

  #isExpired(client: PoolClient): boolean {
    const { maxLifetimeSeconds } = this.options;
    return maxLifetimeSeconds ? client.age > maxLifetimeSeconds * 1000 : false;
  }

  #onLost(connection: PostgresClient, failure: PostgresError): void {
    const client = this.#clients.get(connection);
    if (!client) return;
    const error = toPgError(failure, 'client');
    client.onLost(error);
    if (client.isBorrowed || this.listenerCount('error') === 0) return;
    emitGuarded(this as EventEmitter, 'error', Object.assign(error, { client }), client);
  }

  #onRemove(connection: PostgresClient): void {
    this.#closing.delete(connection);
    const client = this.#clients.get(connection);
    if (client && this.#clients.delete(connection)) emitGuarded(this as EventEmitter, 'remove', client);
  }

  /** Runs a statement on a connection that is borrowed for it. */
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
    const client = await this.connect();
    let failure: Error | undefined;
    try {
      return await client.query(query as string, values as never);
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      // An error of the statement says nothing against the connection, which `pg` closes.
      if (client.isBorrowed) client.giveBack(failure);
    }
  }

  /** Ends the pool: who waits or has borrowed may finish, then all connections are closed. */
  end(): Promise<void>;
  async end(...given: unknown[]): Promise<void> {
    refuseCallback('end', ...given);
    if (this.#isEnding) throw closedError('Called end on pool more than once', 'end');
    this.#isEnding = true;
    await Promise.allSettled(this.#waiting);
    await this.#pool.end(Infinity);
    for (const connection of this.#clients.keys()) this.#onRemove(connection);
    this.#closing.clear();
    this.#isEnded = true;
  }

  /** @internal */
  [inspect.custom](): string {
    const { totalCount, idleCount, waitingCount } = this;
    return `${this.constructor.name} ${inspect({ name: this.#pool.name, totalCount, idleCount, waitingCount })}`;
  }
}
