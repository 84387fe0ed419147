import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { emitGuarded, type EventSource, eventSource, publishEvent } from '../runtime/emitter';
import { toMoorlineError } from '../runtime/error';
import { messageOf } from '../runtime/error-message';
import { type Handle, native, type PasswordRequests, type PostgresPool as NativePool } from '../runtime/native';
import { call, weakListener } from '../runtime/native-call';
import { LeakTracker } from '../runtime/leak-tracker';
import { variables } from '../ssh/environment';
import { withTunnel } from '../ssh/tunnel';
import { type ClientOwner, PostgresClient, slotOf } from './client';
import { type PostgresError, toPostgresError } from './error';
import type { PasswordFunction, PasswordTarget, PostgresPoolConfig, ResolvedPostgresPoolConfig } from './options';
import { type QueryConfig, runQuery } from './query';
import type { QueryResult } from './result';
import { type PostgresConnectOptions, readSettings, type SessionSettings } from './session-settings';
import { typesOf, type TypesOption } from './types/sets';

/** An event of the addon. */
type NativeEvent =
  | { event: 'create'; connectionId: number; durationMs: number }
  | { event: 'destroy'; connectionId: number }
  | { event: 'timeout'; afterMs: number }
  | { event: 'leak'; lease: number; heldMs: number }
  | { event: 'lost'; failure: string }
  | { event: 'drain' }
  | { event: 'error'; failure: string };

/** The pool of a {@link PostgresConnectionManager}, for its subclasses. */
export interface PostgresPool extends EventEmitter {
  /** Borrows a connection. */
  connect(settings?: PostgresConnectOptions): Promise<PostgresClient>;
  /** Runs a statement on a connection that is borrowed for it. */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>>;
  /** Ends the pool: borrowers may finish, for `timeoutMs` at most. True when none had to be cut off. */
  end(timeoutMs?: number): Promise<boolean>;
  /** All connections. */
  readonly totalCount: number;
  /** Free connections. */
  readonly idleCount: number;
  /** Calls that wait for one. */
  readonly waitingCount: number;
}

/** A request of the addon for the password of a connection. */
interface PasswordRequest {
  requestId: number;
  connection: PasswordTarget;
}

/**
 * @internal A pool of connections with the methods of `pg`'s, of which the object of a connection is the same whenever it is lent.
 */
export class PostgresConnectionPool extends EventEmitter implements ClientOwner, PostgresPool {
  readonly handle: Handle<NativePool>;
  readonly types: TypesOption | undefined;
  readonly #source: EventSource;
  readonly #requests: Handle<PasswordRequests>;
  readonly #password: PostgresPoolConfig['password'];
  /** The clients by the slot of their connection in the pool, with the number of that connection. */
  readonly #clients = new Map<number, { id: number; client: PostgresClient }>();
  /** The slots that have another connection already, once for each that is gone without its event having come. */
  readonly #replaced: number[] = [];
  readonly #leakTracker: LeakTracker | undefined;
  #ending: Promise<boolean> | undefined;

  /** `environment` are the variables that it reads. */
  constructor(config: PostgresPoolConfig, environment = withoutManagers(variables())) {
    super();
    const { types, ...options } = withTunnel(config);
    typesOf('options.types', types);
    this.types = types;
    this.#password = options.password;
    this.#requests = native.postgresPasswordRequests(weakListener(this, PostgresConnectionPool.#onRequest));
    const onEvent = weakListener(this, PostgresConnectionPool.#onEvent);
    this.handle = native.postgresOpen(options, environment, onEvent, this.#requests);
    this.#source = eventSource('postgres', native.postgresName(this.handle));
    this.#leakTracker = this.options().leakAfterMs === Infinity ? undefined : new LeakTracker();
  }

  /** The options in force, without secrets. */
  options(): ResolvedPostgresPoolConfig {
    // JSON has no Infinity: a limit that is off crosses as null.
    return JSON.parse(
      native.postgresOptions(this.handle),
      (_, value: unknown) => value ?? Infinity,
    ) as ResolvedPostgresPoolConfig;
  }

  /**
   * Borrows a connection: a free one, a new one while fewer than `max` are open, else the next that is released. Its settings hold
   * until it is released.
   */
  async connect(options: PostgresConnectOptions = {}): Promise<PostgresClient> {
    // Before anything is awaited, while the borrower is on the stack.
    const stack = this.#leakTracker?.capture(this.connect);
    const settings = readSettings('settings', options);
    const taken = settings || options.signal?.aborted ? undefined : native.postgresTake(this.handle);
    const lease = taken ?? (await this.#acquire(options, settings));
    this.#leakTracker?.set(lease, stack);
    return this.#lend(lease, settings);
  }

  #acquire({ signal, timeoutMs }: PostgresConnectOptions, settings: SessionSettings | undefined): Promise<number> {
    const script = this.sharesSessions ? undefined : settings?.session;
    return call(
      (cancel) => native.postgresAcquire(this.handle, script, timeoutMs, cancel),
      signal,
      toPostgresError,
      (late) => native.postgresRelease(this.handle, late, true),
    );
  }

  /** Whether a pooler shares its sessions with others, so that what is set for a session does not stay there. */
  get sharesSessions(): boolean {
    return native.postgresSharesSessions(this.handle);
  }

  /** Runs a statement on a connection that is borrowed for it. */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    return runQuery<Row>(this.handle, undefined, this.types, query, values);
  }

  /** Ends the pool: borrowers may finish, for `timeoutMs` at most. True when none had to be cut off. */
  end(timeoutMs?: number): Promise<boolean> {
    return (this.#ending ??= this.#drain(timeoutMs));
  }

  /** Ends the pool at once: what still runs is cancelled on the server, and its connections are cut. */
  async cut(): Promise<void> {
    const ended = this.#drain(0);
    this.#ending ??= ended;
    await ended;
  }

  async #drain(timeoutMs: number | undefined): Promise<boolean> {
    const isClean = await call(() => native.postgresDrain(this.handle, timeoutMs), undefined, toPostgresError);
    this.#leakTracker?.clear();
    return isClean;
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

  /** Connections that are borrowed. */
  get activeCount(): number {
    return native.postgresStats(this.handle)[1]!;
  }

  /** Calls that wait for one. */
  get waitingCount(): number {
    return native.postgresStats(this.handle)[3]!;
  }

  /** Where it is connected to, without secrets. */
  get name(): string {
    return this.#source.name;
  }

  onRelease(client: PostgresClient, lease: number, destroyed: boolean): void {
    this.#leakTracker?.delete(lease);
    emitGuarded(this, 'release', destroyed || undefined, client);
  }

  [inspect.custom](): string {
    const { totalCount, idleCount, waitingCount } = this;
    return `${this.constructor.name} ${inspect({ name: this.name, totalCount, idleCount, waitingCount })}`;
  }

  #lend(lease: number, settings?: SessionSettings): PostgresClient {
    const slot = slotOf(lease);
    const id = native.postgresConnectionId(this.handle, lease) as number;
    const known = this.#clients.get(slot);
    if (known?.id === id) {
      known.client.lend(lease, settings);
      emitGuarded(this, 'acquire', known.client);
      return known.client;
    }
    if (known) {
      // Its event is still under way.
      this.#replaced.push(slot);
      emitGuarded(this, 'remove', known.client);
    }
    const client = new PostgresClient(this, lease, settings);
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

  static #onRequest(pool: PostgresConnectionPool, text: string): void {
    pool.#answer(JSON.parse(text) as PasswordRequest).catch(() => undefined);
  }

  /** The connection of a slot is gone. */
  #forget(slot: number): void {
    const place = this.#replaced.indexOf(slot);
    if (place >= 0) {
      this.#replaced.splice(place, 1);
      return;
    }
    const known = this.#clients.get(slot);
    this.#clients.delete(slot);
    if (known) emitGuarded(this, 'remove', known.client);
  }

  static #onEvent(pool: PostgresConnectionPool, text: string): void {
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
    if (event.event === 'lost') return this.#onLost(event.failure);
    const { event: name, ...facts } = event;
    if (event.event === 'destroy') this.#forget(event.connectionId);
    if (event.event === 'leak') this.#describeLeak(event.lease, facts);
    publishEvent(this, this.#source, name, () => facts);
  }

  /** A connection has ended by itself, which is a client's if it was lent to one. */
  #onLost(failure: string): void {
    const error = toPostgresError(failure) as PostgresError;
    const processId = error.detail?.['processId'];
    const known = Array.from(this.#clients.values()).find(({ client }) => client.processID === processId);
    emitGuarded(this, 'lost', known?.client, error);
  }

  #describeLeak(lease: number, facts: object): void {
    const stack = this.#leakTracker?.stackOf(lease);
    Object.assign(facts, { connectionId: slotOf(lease), stack });
  }
}

/** Without the variables that only a manager reads. */
function withoutManagers(variables: Record<string, string | undefined>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !name.startsWith('POSTGRES_')));
}
