import { setImmediate } from 'node:timers/promises';
import { inspect, type InspectOptions } from 'node:util';

import { deployment, LeakTracker } from '../../runtime/leak-tracker';
import { CALL_OPTIONS, call, type CallOptions, weakListener } from '../../runtime/native-call';
import { closedFailure, toMoorlineError, MoorlineError } from '../../runtime/error';
import { Emitter, type EventName } from '../../runtime/emitter';
import { log } from '../../runtime/logger';
import { invalidType } from '../../runtime/argument-error';
import { checkOptions } from '../../runtime/known-options';
import { messageOf } from '../../runtime/error-message';
import { isAborted } from '../../runtime/abort';
import { type ConnectionPoolConfig, native, type Handle, type ObjectPool } from '../../runtime/native';
import { ConnectionConfigManager, resolveConfig, type ConnectionConfig } from '../config/config';
import { close, isHealthy, isOpen, looksUsable, open, type PoolFacts, metricsName } from './member';
import { SingleFlight } from '../../runtime/single-flight';
import { KeepAlive, repeat } from '../../runtime/timers';

/** Options of a {@link ConnectionPool}. All times are in **seconds**; `Infinity` turns a limit off. */
export interface PoolConfig {
  /** The maximum number of connections. Default: the connections' `maxConnections`, which is 10. */
  maxSize?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  minSize?: number | undefined;
  /** The time that a free connection is kept. Default: 300 s. */
  maxIdleTime?: number | undefined;
  /** The time limit of `acquire`, including the creation of a connection. Default: 10 s. */
  acquireTimeout?: number | undefined;
  /** The time limit for checking a connection, and for closing one that was released. Default: 5 s. */
  releaseTimeout?: number | undefined;
  /** The interval of the health checks of free connections. Default: 60 s. */
  healthCheckInterval?: number | undefined;
  /** The interval at which free connections that are no longer open are removed. Default: 120 s. */
  cleanupInterval?: number | undefined;
  /** The time limit for creating a connection. Default: 30 s. */
  connectTimeout?: number | undefined;
  /** The maximum number of connections that are created at once. Default: 4. */
  maxConnecting?: number | undefined;
  /** The maximum age of a connection, ±25 %; a borrowed connection is not closed for its age. Default: 1800 s. */
  maxLifetime?: number | undefined;
  /**
   * The time after which a borrowed connection is reported, with the stack of the borrower. Default: 30 s, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfter?: number | undefined;
}

/** Creates a connection for a pool; no value, or an error, means that it could not be created. */
export type PoolFactory<T> = (config: ConnectionConfig) => T | null | undefined | PromiseLike<T | null | undefined>;

/** The state of a {@link ConnectionPool}. */
export interface PoolStats {
  /** Free connections. */
  poolSize: number;
  /** Connections that are borrowed, or are being created for a borrower. */
  inUse: number;
  /** All connections, including those being created or closed; never more than `maxSize`. */
  totalConnections: number;
  maxSize: number;
  minSize: number;
  /** The connections that can still be borrowed without waiting for a release. */
  available: number;
  /** The percentage of `maxSize` in use. */
  utilization: number;
  /** The calls that wait for a connection. */
  waiting: number;
}

/** A message of the addon: a request to do something, or an event. A new object has the number of its request. */
type NativeMessage =
  | { request: 'create'; objectId: number }
  | { request: 'check' | 'close'; requestId?: number; objectId: number }
  | { request?: undefined; event: 'leak'; objectId: number; heldMs: number; failure?: undefined }
  | { request?: undefined; event: Exclude<EventName, 'leak'>; objectId?: undefined; failure?: unknown };

type Sizes = 'maxSize' | 'minSize' | 'maxConnecting';
/** The options in force, in milliseconds. */
type Options = Record<Sizes | `${Exclude<keyof PoolConfig, Sizes>}Ms`, number>;

/**
 * A pool of reusable connections, which your factory creates. An object with `connect()` is connected before it is lent,
 * one with `disconnect()` is disconnected when the pool removes it.
 *
 * Waiting calls are served in order, there are never more than `maxSize` connections, and an idle pool does not keep the
 * process alive. A connection that was free for some time is checked with `healthCheck()`, else `isConnected()`, before it is
 * lent. Emits `acquire`, `release`, `create`, `destroy`, `timeout`, `leak`, `drain`, `close` and `error`, the last for errors
 * outside of any call.
 *
 * @example
 * ```ts
 * import { ConnectionPool, HTTPConnection } from 'moorline';
 *
 * const factory = () => new HTTPConnection({ url: 'https://api.example.com' });
 * const pool = new ConnectionPool({ maxSize: 2 }, factory);
 * console.log(await pool.use((connection) => connection.receive())); // { id: 7, name: 'Ada' }
 * await pool.stop();
 * ```
 */
export class ConnectionPool<T> extends Emitter<PoolFacts<T>> {
  readonly #factory: PoolFactory<T>;
  readonly #connectionConfig: ConnectionConfig;
  readonly #config: Handle<ConnectionPoolConfig>;
  readonly #options: Options;
  readonly #leakTracker: LeakTracker | undefined;
  /** Open connections by number. */
  readonly #objects = new Map<number, T>();
  /** Their numbers, and those of connections that are being opened. */
  readonly #objectIds = new Map<T, number>();
  readonly #leased = new Set<number>();
  #pool: Handle<ObjectPool> | undefined;
  #stopped = false;
  readonly #starting = new SingleFlight<void>();
  readonly #stopping = new SingleFlight<void>();
  /** Wakes `start` when a connection was created, or could not be. */
  #onCreated: ((isMade: boolean) => void) | undefined;
  /** Ends the periodic rounds. */
  #stopRounds: (() => void)[] = [];
  /** The error of the last connection that could not be made. */
  #lastError: unknown;

  /**
   * Opens no connection yet.
   *
   * @param factory creates a connection from `connectionConfig`, or from the environment variables for all connections.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, factory: PoolFactory<T>, connectionConfig?: ConnectionConfig) {
    super('pool', connectionConfig?.name ?? 'connections');
    if (typeof factory !== 'function') throw invalidType('factory', 'a function', factory);
    const fallback = new ConnectionConfigManager().get('default');
    if (connectionConfig) resolveConfig(connectionConfig);
    this.#factory = factory;
    this.#connectionConfig = connectionConfig ?? fallback;
    const size = connectionConfig?.maxConnections ?? fallback.maxConnections;
    this.#config = native.objectPoolConfig(config, size, deployment());
    // JSON has no Infinity: a limit that is off crosses as null.
    const options = native.objectPoolOptions(this.#config);
    this.#options = JSON.parse(options, (_, value: unknown) => value ?? Infinity) as Options;
    this.#leakTracker = this.#options.leakAfterMs === Infinity ? undefined : new LeakTracker();
  }

  /**
   * Opens `minSize` connections and starts to check the free ones. Resolves when they are open, or when one could not be
   * created: that emits `error`, and is tried again. Can be called again after `stop`.
   */
  async start(): Promise<void> {
    this.#stopped = false;
    await this.#stopping.running;
    if (this.#stopped) return;
    const pool = this.#open();
    if (this.#stopRounds.length === 0) {
      this.#checkPeriodically(this.#options.healthCheckIntervalMs, isHealthy);
      this.#checkPeriodically(this.#options.cleanupIntervalMs, isOpen);
    }
    return this.#starting.run(() => this.#warm(pool));
  }

  /**
   * Borrows a connection: a free one, a new one below `maxSize`, else the next that is released. When one cannot be created,
   * this is tried again until the time is over. Returns `null`, and does not reject, when the time is over, the pool was
   * stopped or `signal` is aborted.
   *
   * @param timeoutSeconds the time limit, in **seconds**. Default: `acquireTimeout`.
   */
  async acquire(timeoutSeconds?: number, options: CallOptions = {}): Promise<T | null> {
    checkOptions('options', options, CALL_OPTIONS);
    const borrowerStack = this.#leakTracker?.capture(this.acquire);
    try {
      return await this.#borrow(timeoutSeconds, options.signal, borrowerStack);
    } catch (error) {
      if (error instanceof MoorlineError || isAborted(options.signal)) return null;
      throw error;
    }
  }

  /** Releases a connection. Returns false, without effect, for one that is not borrowed from this pool. */
  async release(connection: T): Promise<boolean> {
    const objectId = this.#objectIds.get(connection);
    if (objectId === undefined || !this.#pool) return false;
    if (!this.#leased.delete(objectId)) return false;
    this.#leakTracker?.delete(objectId);
    const released = native.objectPoolRelease(this.#pool, objectId, looksUsable(connection));
    if (released) this.publish('release', () => ({ connection }));
    return released;
  }

  /**
   * Runs `fn` with a borrowed connection, which is released in any case. Returns the result of `fn`; its errors pass through
   * unchanged. Aborting `signal` rejects with its reason.
   *
   * @throws MoorlineError of kind `pool-timeout` when none was available in time, `closed` when the pool was stopped.
   */
  async use<R>(
    fn: (connection: T) => R | PromiseLike<R>,
    options: CallOptions & { timeoutSeconds?: number | undefined } = {},
  ): Promise<R> {
    if (typeof fn !== 'function') throw invalidType('fn', 'a function', fn);
    checkOptions('options', options, { signal: true, timeoutSeconds: true });
    const borrowerStack = this.#leakTracker?.capture(this.use);
    const connection = await this.#borrow(options.timeoutSeconds, options.signal, borrowerStack);
    try {
      return await fn(connection);
    } finally {
      await this.release(connection);
    }
  }

  /** Disconnects all connections, including borrowed ones; an `acquire` that waits returns `null`. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const end of this.#stopRounds) end();
    this.#stopRounds = [];
    this.#onCreated?.(false);
    return this.#stopping.run(() => this.#stop());
  }

  async #stop(): Promise<void> {
    if (!this.#pool) return;
    await native.objectPoolStop(this.#pool);
    this.#pool = undefined;
    this.#leakTracker?.clear();
    this.#leased.clear();
    // What could not be asked to close in time.
    for (const objectId of this.#objects.keys()) this.#close(objectId).catch(() => undefined);
    this.publish('close');
  }

  /** Returns the number of connections in each state, and the limits. */
  stats(): PoolStats {
    const { maxSize, minSize } = this.#options;
    const counts = this.#pool ? native.objectPoolStats(this.#pool) : [0, 0, 0, 0];
    const [totalConnections, inUse, poolSize, waiting] = counts as [number, number, number, number];
    const [available, utilization] = [maxSize - inUse, (inUse / maxSize) * 100];
    return { poolSize, inUse, totalConnections, maxSize, minSize, available, utilization, waiting };
  }

  /** Returns the options in force, with every default; times are in milliseconds. */
  options(): Record<string, unknown> {
    return { ...this.#options };
  }

  /** Calls `stop`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect({ ...this.stats(), options: this.#options }, options)}`;
  }

  #open(): Handle<ObjectPool> {
    if (this.#pool) return this.#pool;
    const listener = weakListener(this, ConnectionPool.#onNativeEvent);
    return (this.#pool = native.objectPoolOpen(this.#config, listener, metricsName(this.#connectionConfig)));
  }

  /** Waits for `minSize` connections, or for the first that cannot be made. */
  async #warm(pool: Handle<ObjectPool>): Promise<void> {
    const isMissing = () => pool === this.#pool && !this.#stopped && this.#objects.size < this.#options.minSize;
    // Nothing else may keep the process alive until they are there.
    const alive = new KeepAlive();
    alive.set(true);
    let isMade = true;
    while (isMade && isMissing()) isMade = await new Promise<boolean>((resolve) => (this.#onCreated = resolve));
    this.#onCreated = undefined;
    // A connection that was just created becomes idle on another thread.
    const areIdle = () => this.stats().poolSize + this.#leased.size >= this.#options.minSize;
    for (let turns = 0; isMade && turns < 1000 && !this.#stopped && !areIdle(); turns++) await setImmediate();
    alive.set(false);
  }

  async #borrow(
    timeoutSeconds: number | undefined,
    signal: AbortSignal | undefined,
    borrowerStack: ReturnType<LeakTracker['capture']>,
  ): Promise<T> {
    signal?.throwIfAborted();
    if (this.#stopping.running) await this.#stopping.running;
    if (this.#stopped) throw stoppedError();
    const pool = this.#open();
    const objectId = native.objectPoolTake(pool) ?? (await this.#wait(pool, timeoutSeconds, signal));
    const connection = this.#objects.get(objectId);
    if (connection === undefined && !this.#objects.has(objectId)) throw stoppedError();
    this.#leased.add(objectId);
    this.#leakTracker?.set(objectId, borrowerStack);
    this.publish('acquire', () => ({ connection }));
    return connection as T;
  }

  async #wait(pool: Handle<ObjectPool>, timeoutSeconds: unknown, signal: AbortSignal | undefined): Promise<number> {
    const giveBack = (late: number) => {
      native.objectPoolRelease(pool, late, true);
    };
    try {
      const start = (cancel: Parameters<typeof native.objectPoolAcquire>[2]) =>
        native.objectPoolAcquire(pool, timeoutSeconds, cancel);
      return await call(start, signal, toMoorlineError, giveBack);
    } catch (error) {
      if (error instanceof MoorlineError && error.kind === 'pool-timeout') {
        if (error.cause !== undefined) error.cause = this.#lastError ?? error.cause;
        this.publish('timeout', () => ({ error }));
      }
      throw error;
    }
  }

  static #onNativeEvent(pool: ConnectionPool<any>, text: string): void {
    const message = JSON.parse(text) as NativeMessage;
    if (message.request === undefined) pool.#emitNative(message);
    else pool.#handleRequest(message).catch((error: unknown) => pool.publish('error', () => ({ error })));
  }

  /** Does what the addon asks for, and answers. */
  async #handleRequest(message: Exclude<NativeMessage, { event: EventName }>): Promise<void> {
    if (message.request === 'create') return this.#create(message.objectId);
    const { requestId, objectId } = message;
    let isDone = true;
    if (message.request === 'close') await this.#close(objectId);
    else isDone = await isHealthy(this.#objects.get(objectId), this.#options.releaseTimeoutMs);
    this.#answer(requestId, isDone ? undefined : 'the connection is not healthy');
  }

  #emitNative({ event, objectId, failure, ...facts }: Extract<NativeMessage, { event: EventName }>): void {
    if (objectId !== undefined) {
      const stack = this.#leakTracker?.stackOf(objectId);
      log('warn', 'pool.leak', this.constructor.name, () => ({ ...facts, stack }));
      Object.assign(facts, { connection: this.#objects.get(objectId), stack });
    }
    // Making one, or closing it, takes too long.
    if (event === 'error') this.#onCreated?.(false);
    this.publish(event, () => (event === 'error' ? { error: toMoorlineError(failure) } : facts));
  }

  async #create(objectId: number): Promise<void> {
    let connection: T | null | undefined;
    try {
      connection = await this.#factory({ ...this.#connectionConfig });
      if (connection === null || connection === undefined) throw new Error('The factory returned no connection');
      if (this.#objectIds.has(connection)) {
        connection = undefined;
        throw new Error('The factory returned a connection that is already in the pool');
      }
      this.#objectIds.set(connection, objectId);
      await open(connection);
    } catch (error) {
      this.#lastError = error;
      this.#answer(objectId, messageOf(error));
      this.publish('error', () => ({ error }));
      this.#onCreated?.(false);
      if (connection !== null && connection !== undefined) await this.#disconnect(connection);
      return;
    }
    const created = connection;
    this.#objects.set(objectId, created);
    // The request may have been cancelled; then it is closed.
    if (!this.#answer(objectId)) return this.#close(objectId);
    this.publish('create', () => ({ connection: created }));
    this.#onCreated?.(true);
  }

  /** Removes a connection and disconnects it. */
  async #close(objectId: number): Promise<void> {
    const connection = this.#objects.get(objectId) as T;
    if (!this.#objects.delete(objectId)) return;
    this.#leased.delete(objectId);
    this.#leakTracker?.delete(objectId);
    await this.#disconnect(connection);
    this.publish('destroy', () => ({ connection }));
  }

  async #disconnect(connection: T): Promise<void> {
    this.#objectIds.delete(connection);
    await close(connection).catch((error: unknown) => this.publish('error', () => ({ error })));
  }

  #answer(requestId: number | undefined, problem?: string): boolean {
    return requestId !== undefined && !!this.#pool && native.objectPoolAnswer(this.#pool, requestId, problem);
  }

  /** Runs `check` on each free connection every `ms`, and removes those that fail. */
  #checkPeriodically(ms: number, check: (connection: unknown, timeoutMs: number) => Promise<boolean>): void {
    const round = async () => {
      const pool = this.#pool;
      const free = [...this.#objects].filter(([objectId]) => !this.#leased.has(objectId));
      const checks = free.map(([, connection]) => check(connection, this.#options.releaseTimeoutMs));
      const alive = await Promise.all(checks);
      const dead = free.filter((_, index) => !alive[index]).map(([objectId]) => objectId);
      if (pool && pool === this.#pool && dead.length > 0) native.objectPoolEvict(pool, dead);
    };
    this.#stopRounds.push(repeat(ms, round, (error) => this.publish('error', () => ({ error }))));
  }
}

function stoppedError(): MoorlineError {
  return closedFailure('Pool is shutting down', { service: 'pool', operation: 'acquire' });
}
