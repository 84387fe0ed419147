import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { emitGuarded, type EventSource, eventSource, publishEvent } from '../runtime/emitter';
import { toMoorlineError } from '../runtime/error';
import { messageOf } from '../runtime/error-message';
import { type Handle, native, type PasswordRequests, type PostgresPool } from '../runtime/native';
import { call, type CallOptions, weakListener } from '../runtime/native-call';
import { variables } from '../ssh/environment';
import { withTunnel } from '../ssh/tunnel';
import { type ClientOwner, PostgresClient } from './client';
import { toPostgresError } from './error';
import type { PasswordFunction, PasswordTarget, PostgresPoolConfig } from './options';
import { type QueryConfig, runQuery } from './query';
import type { QueryResult } from './result';
import type { TypesOption } from './types/sets';

/** An event of the addon. */
type NativeEvent =
  | { event: 'create'; connectionId: number; durationMs: number }
  | { event: 'destroy'; connectionId: number }
  | { event: 'timeout'; afterMs: number }
  | { event: 'leak'; lease: number; heldMs: number }
  | { event: 'drain' }
  | { event: 'error'; failure: string };

/** A request of the addon for the password of a connection. */
interface PasswordRequest {
  requestId: number;
  connection: PasswordTarget;
}

/**
 * @internal A pool of connections with the methods of `pg`'s, of which the object of a connection is the same whenever it is lent.
 */
export class ConnectionPool extends EventEmitter implements ClientOwner {
  readonly handle: Handle<PostgresPool>;
  readonly types: TypesOption | undefined;
  readonly #source: EventSource;
  readonly #requests: Handle<PasswordRequests>;
  readonly #password: PostgresPoolConfig['password'];
  /** The clients by the slot of their connection in the pool, with the number of that connection. */
  readonly #clients = new Map<number, { id: number; client: PostgresClient }>();
  #ending: Promise<boolean> | undefined;

  constructor(config: Omit<PostgresPoolConfig, 'healthCheckIntervalMs'>) {
    super();
    const { types, ...options } = withTunnel(config);
    this.types = types;
    this.#password = options.password;
    this.#requests = native.postgresPasswordRequests(weakListener(this, ConnectionPool.#onRequest));
    const onEvent = weakListener(this, ConnectionPool.#onEvent);
    this.handle = native.postgresOpen(options, variables(), onEvent, this.#requests);
    this.#source = eventSource('postgres', native.postgresName(this.handle));
  }

  /** Borrows a connection: a free one, a new one while fewer than `max` are open, else the next that is released. */
  async connect(options: CallOptions = {}): Promise<PostgresClient> {
    const taken = native.postgresTake(this.handle);
    if (taken !== undefined) return this.#lend(taken);
    const lease = await call(
      (cancel) => native.postgresAcquire(this.handle, cancel),
      options.signal,
      toPostgresError,
      (late) => native.postgresRelease(this.handle, late, true),
    );
    return this.#lend(lease);
  }

  /** Runs a statement on a connection that is borrowed for it. */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    return runQuery<Row>(this.handle, undefined, this.types, query, values);
  }

  /** Ends the pool: borrowers may finish, for `timeoutMs` at most. True when none had to be cut off. */
  end(timeoutMs?: number): Promise<boolean> {
    return (this.#ending ??= call(() => native.postgresDrain(this.handle, timeoutMs), undefined, toPostgresError));
  }

  get ended(): boolean {
    return this.#ending !== undefined;
  }

  /** All connections. */
  get totalCount(): number {
    return native.postgresStats(this.handle)[0]!;
  }

  /** Free connections. */
  get idleCount(): number {
    return native.postgresStats(this.handle)[2]!;
  }

  /** Calls that wait for one. */
  get waitingCount(): number {
    return native.postgresStats(this.handle)[3]!;
  }

  /** Where it is connected to, without secrets. */
  get name(): string {
    return this.#source.name;
  }

  onRelease(client: PostgresClient, destroyed: boolean): void {
    emitGuarded(this, 'release', destroyed || undefined, client);
  }

  [inspect.custom](): string {
    const { totalCount, idleCount, waitingCount } = this;
    return `${this.constructor.name} ${inspect({ name: this.name, totalCount, idleCount, waitingCount })}`;
  }

  #lend(lease: number): PostgresClient {
    const slot = Math.floor(lease / 2 ** 32);
    const id = native.postgresConnectionId(this.handle, lease) as number;
    const known = this.#clients.get(slot);
    if (known?.id === id) {
      known.client.lend(lease);
      emitGuarded(this, 'acquire', known.client);
      return known.client;
    }
    const client = new PostgresClient(this, lease);
    this.#clients.set(slot, { id, client });
    emitGuarded(this, 'connect', client);
    emitGuarded(this, 'acquire', client);
    return client;
  }

  async #answer({ requestId, connection }: PasswordRequest): Promise<void> {
    try {
      const password = await (this.#password as PasswordFunction)(connection);
      native.postgresAnswer(this.#requests, requestId, password);
    } catch (error) {
      native.postgresRefuse(this.#requests, requestId, messageOf(error));
    }
  }

  static #onRequest(pool: ConnectionPool, text: string): void {
    pool.#answer(JSON.parse(text) as PasswordRequest).catch(() => undefined);
  }

  static #onEvent(pool: ConnectionPool, text: string): void {
    pool.#onNativeEvent(JSON.parse(text) as NativeEvent);
  }

  #onNativeEvent(event: NativeEvent): void {
    if (event.event === 'error') {
      const error = toMoorlineError(event.failure);
      publishEvent(
        this,
        this.#source,
        'error',
        () => ({ error }),
        () => error,
      );
      return;
    }
    const { event: name, ...facts } = event;
    publishEvent(this, this.#source, name, () => facts);
  }
}
