import { EventEmitter } from 'node:events';
import { inspect, type InspectOptions } from 'node:util';

import { invalidState, invalidType, invalidTypeRedacted } from '../runtime/argument-error';
import { emitGuarded, type EventSource, eventSource, publishEvent } from '../runtime/emitter';
import { performance } from '../runtime/node';
import { isPlainObject } from '../runtime/shape';
import { SingleFlight } from '../runtime/single-flight';
import { repeat, sleep, withTimeout } from '../runtime/timers';
import { variables } from '../ssh/environment';
import { SSHTunnel } from '../ssh/tunnel';
import type { PostgresClient } from './client';
import { ConnectionLog, installConnectionLog, LOG_POOL } from './connection-log';
import { ConnectionRecorder } from './connection-record';
import { FallbackSwitch } from './fallback';
import { checkHealth, type HealthTarget, type PostgresHealthCheck } from './health';
import { type PostgresEvents, publishPoolEvents } from './manager-events';
import { type PostgresMetrics, poolMetrics } from './metrics';
import type { PostgresPoolConfig, ResolvedPostgresPoolConfig } from './options';
import { PostgresConnectionPool, type PostgresPool } from './pool';
import type { QueryConfig } from './query';
import type { QueryResult } from './result';
import type { PostgresConnectOptions } from './session-settings';
import type { TransactionOptions } from './transaction';

/** The time in which what runs may end at a shutdown. */
const SHUTDOWN_TIMEOUT_MS = 5000;
/** The interval at which a shutdown looks whether the last borrower is done. */
const WAIT_INTERVAL_MS = 10;

/** Options of a {@link PostgresConnectionManager}. */
export interface PostgresManagerConfig extends PostgresPoolConfig {
  /** The manager that is used while the tunnel or all hosts are down, or its options. Default: none. */
  fallback?: PostgresConnectionManager | PostgresManagerConfig | undefined;
}

/** The numbers of connections of a {@link PostgresConnectionManager}. */
export interface PostgresStats {
  /** Connections that are open or being opened. */
  total: number;
  /** Connections that are borrowed. */
  inUse: number;
  /** Connections that are free. */
  available: number;
  /** Callers that wait for a connection. */
  waiting: number;
}

/**
 * A pool of connections to PostgreSQL, direct or through an {@link SSHTunnel}, which heals by itself.
 *
 * `query` runs a statement, `withClient` lends a connection to a function, `withTransaction` does so in a transaction; `connect`
 * lends one until its `release`. Nothing that a borrower leaves on a connection is found by the next one. An idle manager does not
 * keep the process alive.
 *
 * Emits `healthCheck` after each check, `healthCheckFailed` with the error when recovery failed, too, `fallback_activated` and
 * `fallback_restored`; `create`, `destroy`, `acquire`, `release`, `timeout`, `leak`, `drain`, `health` and `close`; and `error` with the
 * error itself, which is not thrown without a listener. Any other event may be emitted on it.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager } from 'moorline';
 *
 * const manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * const { rows } = await manager.query('SELECT $1::int + 1 AS n', [41]);
 * console.log(rows); // [ { n: 42 } ]
 * await manager.shutdown();
 * ```
 */
export class PostgresConnectionManager extends EventEmitter<PostgresEvents> {
  /** The metrics of its connections, to which you may write, too. `monitoring: false` shows none of them. */
  readonly metrics: PostgresMetrics;
  /** The pool. */
  protected readonly pool: PostgresPool;
  readonly #pool: PostgresConnectionPool;
  readonly #options: ResolvedPostgresPoolConfig;
  readonly #target: HealthTarget;
  readonly #source: EventSource;
  readonly #connectionLog: ConnectionLog | undefined;
  /** Undefined without monitoring. */
  readonly #recorder: ConnectionRecorder | undefined;
  readonly #checks = new SingleFlight<PostgresHealthCheck>();
  readonly #fallback: FallbackSwitch<PostgresConnectionManager> | undefined;
  /** The fallback that was made by this, and ends with it. */
  readonly #ownFallback: PostgresConnectionManager | undefined;
  #stopChecks: () => void;
  #hasClosed = false;

  /**
   * Opens nothing yet.
   *
   * @param config options, or a connection string.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range; `SSHTunnel not initialized. …`
   * where no `tunnel` is given and there is no shared one.
   */
  constructor(config: PostgresManagerConfig | string = {}) {
    super();
    const { fallback, ...options } = readConfig(config);
    const tunnel = options.tunnel === undefined ? SSHTunnel.getInstance() : options.tunnel;
    this.#pool = new PostgresConnectionPool({ ...options, tunnel }, variables());
    this.pool = this.#pool;
    this.#options = this.#pool.options();
    this.#target = { pool: this.#pool, tunnel: tunnel === false ? undefined : tunnel };
    this.#source = eventSource('postgres', this.#pool.name);
    publishPoolEvents(this, this.#pool, this.#source);
    const { metrics, logDropped } = poolMetrics(this.#pool.handle);
    this.metrics = metrics;
    const { monitoring, connectionLog, connectionLogRetentionMs: retentionMs } = this.#options;
    if (monitoring && connectionLog) {
      const logPool = new PostgresConnectionPool({ ...options, tunnel, ...LOG_POOL }, variables());
      this.#connectionLog = new ConnectionLog(logPool, { name: this.#pool.name, retentionMs, dropped: logDropped });
    }
    if (monitoring) this.#recorder = new ConnectionRecorder(this.#pool, this.#connectionLog);
    if (fallback !== undefined) {
      const isManager = fallback instanceof PostgresConnectionManager;
      if (!isManager) this.#ownFallback = new PostgresConnectionManager(fallback);
      this.#fallback = this.#switchTo(isManager ? fallback : this.#ownFallback!);
    }
    this.#stopChecks = PostgresConnectionManager.#startChecks(this);
  }

  /**
   * Borrows a connection until its `release`: a free one, a new one while fewer than `max` are open, else the next that is released.
   *
   * @throws PostgresError of kind `pool-timeout` when there is none in time, `connect`, `timeout` or `auth` when there was no
   * connection, `closed` after `shutdown`.
   */
  connect(settings?: PostgresConnectOptions): Promise<PostgresClient> {
    const fallback = this.#fallback;
    if (!fallback) return this.#connect(settings);
    return fallback.run(
      () => this.#connect(settings),
      (other) => other.connect(settings),
    );
  }

  /**
   * Runs a statement, or several in one text without values, on a connection that is borrowed for it.
   *
   * @throws PostgresError
   */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    const fallback = this.#fallback;
    if (!fallback) return this.#query(query, values);
    return fallback.run(
      () => this.#query(query, values),
      (other) => other.query(query, values),
    );
  }

  /** Borrows a connection, calls `work` with it, releases it in any case, and returns the result of `work`. */
  async withClient<T>(
    work: (client: PostgresClient) => T | PromiseLike<T>,
    settings?: PostgresConnectOptions,
  ): Promise<T> {
    if (typeof work !== 'function') throw invalidType('work', 'a function', work);
    const client = await this.connect(settings);
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }

  /**
   * Calls `work` in a transaction, commits it, and returns the result of `work`. When `work` throws, it is rolled back.
   * `client.withTransaction` of the client that `work` gets is a savepoint in it.
   *
   * With `retry`, `work` is called again after a serialization failure or a deadlock. A commit whose answer is lost rejects with
   * `delivery: 'unknown'`, and is not repeated.
   *
   * @throws PostgresError
   */
  async withTransaction<T>(
    work: (client: PostgresClient) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    if (typeof work !== 'function') throw invalidType('work', 'a function', work);
    return this.withClient((client) => client.withTransaction(work, options));
  }

  /**
   * Connects the tunnel if it is not connected, and asks the database with `SELECT 1`; joins a check that is under way. Never rejects.
   * It makes a manager a check of {@link HealthMonitor}.
   */
  healthCheck(): Promise<PostgresHealthCheck> {
    return this.#checks.run(async () => {
      const health = await checkHealth(this.#target);
      this.#onHealth(health);
      return health;
    });
  }

  /**
   * Creates the table `connection_logs` and the function `log_connection_event`, where they are not there. With `connectionLog: true`
   * what happens to connections is written to the table.
   *
   * @throws PostgresError for a role that may not create them.
   */
  async installConnectionLog(): Promise<void> {
    await installConnectionLog(this.#pool);
    // What has waited for the table.
    void this.#connectionLog?.flush(SHUTDOWN_TIMEOUT_MS);
  }

  /** Returns the numbers of connections. */
  stats(): PostgresStats {
    const { totalCount, activeCount, idleCount, waitingCount } = this.#pool;
    return { total: totalCount, inUse: activeCount, available: idleCount, waiting: waitingCount };
  }

  /** Returns the options in force, without secrets. */
  options(): ResolvedPostgresPoolConfig {
    return { ...this.#options };
  }

  /**
   * Ends the manager: new and waiting callers are refused with kind `closed`, and what runs may end. What still runs after `timeoutMs` is
   * cancelled on the server, and its connection is cut. The tunnel stays connected. It can be called again.
   *
   * @param timeoutMs Default: 5000.
   */
  async shutdown(timeoutMs = SHUTDOWN_TIMEOUT_MS): Promise<void> {
    this.#stopChecks();
    this.#fallback?.stop();
    const endsAt = performance.now() + timeoutMs;
    const ended = this.#pool.end(Infinity);
    const timeout = new Error('connections were still in use when the time was over');
    await withTimeout(
      timeoutMs,
      [],
      (signal) => this.waitForQueries(signal),
      () => timeout,
    ).catch((error: unknown) => {
      if (error !== timeout) throw error;
      this.#recorder?.onConnectionError(error);
      return this.forceCleanup();
    });
    await Promise.all([ended, this.#ownFallback?.shutdown(timeoutMs)]);
    await this.#connectionLog?.close(Math.max(0, endsAt - performance.now()));
    if (this.#hasClosed) return;
    this.#hasClosed = true;
    publishEvent(this as EventEmitter, this.#source, 'close');
  }

  /** The same as `shutdown`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  /**
   * The tunnel.
   *
   * @throws TypeError where there is none, as `tunnel` is `false`.
   */
  protected get tunnel(): SSHTunnel {
    const { tunnel } = this.#target;
    if (!tunnel) throw invalidState('The manager has no tunnel: its option is false');
    return tunnel;
  }

  /** Waits until no connection is borrowed. */
  protected async waitForQueries(signal: AbortSignal = new AbortController().signal): Promise<void> {
    while (this.#pool.activeCount > 0 && !signal.aborted) await sleep(WAIT_INTERVAL_MS, signal);
  }

  /** Cancels on the server what still runs, and cuts all connections. Nothing can be borrowed after it. */
  protected forceCleanup(): Promise<void> {
    return this.#pool.cut();
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const { tunnel } = this.#target;
    const printable = { name: this.#source.name, ...this.stats(), ...(tunnel && { tunnel }) };
    return `${this.constructor.name} ${inspect(printable, options)}`;
  }

  async #connect(settings: PostgresConnectOptions | undefined): Promise<PostgresClient> {
    try {
      return await this.#pool.connect(settings);
    } catch (error) {
      this.#recorder?.onConnectionError(error);
      throw error;
    }
  }

  #query<Row>(query: string | QueryConfig, values: readonly unknown[] | undefined): Promise<QueryResult<Row>> {
    return this.#connectionLog ? this.#queryByClient(query, values) : this.#pool.query(query, values);
  }

  /** The same, so that what it borrows is logged. */
  async #queryByClient<Row>(
    query: string | QueryConfig,
    values: readonly unknown[] | undefined,
  ): Promise<QueryResult<Row>> {
    const client = await this.#connect({ signal: typeof query === 'object' ? query.signal : undefined });
    try {
      return await client.query(query, values);
    } finally {
      client.release();
    }
  }

  #switchTo(fallback: PostgresConnectionManager): FallbackSwitch<PostgresConnectionManager> {
    const facts = () => ({ timestamp: Date.now(), service: 'postgres', name: this.#source.name });
    const emitter = this as EventEmitter;
    return new FallbackSwitch(fallback, {
      probe: () => checkHealth(this.#target),
      onActivated: (error) => {
        this.#recorder?.onConnectionError(error);
        emitGuarded(emitter, 'fallback_activated', { ...facts(), error });
      },
      onRestored: (downMs) => {
        this.#recorder?.onHealthCheck({ healthy: true });
        emitGuarded(emitter, 'fallback_restored', { ...facts(), downMs });
      },
    });
  }

  #onHealth(health: PostgresHealthCheck): void {
    this.#fallback?.onHealth(health);
    this.#recorder?.onHealthCheck(health);
    // A shutdown meanwhile is no failure.
    if (!health.healthy && !this.#pool.ended) this.metrics.healthCheckFailures.inc();
    publishEvent(this as EventEmitter, this.#source, 'health', () => health);
    emitGuarded(this as EventEmitter, 'healthCheck', health);
  }

  /** A check; where it fails, the tunnel and then the database get another chance. */
  async #check(): Promise<void> {
    // A subclass may end the pool by itself.
    if (this.#pool.ended) return this.#stopChecks();
    if ((await this.healthCheck()).healthy) return;
    const { healthy, error } = await checkHealth(this.#target);
    if (healthy || this.#pool.ended) return;
    this.#recorder?.onConnectionError(error);
    emitGuarded(this as EventEmitter, 'healthCheckFailed', error);
  }

  /** Checks for as long as somebody holds the manager. */
  static #startChecks(manager: PostgresConnectionManager): () => void {
    const { healthCheckIntervalMs } = manager.#options;
    if (healthCheckIntervalMs === Infinity) return () => undefined;
    const reference = new WeakRef(manager);
    const work = async () => {
      const target = reference.deref();
      if (target) await target.#check();
      else stop();
    };
    const stop = repeat(healthCheckIntervalMs, work, () => undefined);
    return stop;
  }
}

function readConfig(config: PostgresManagerConfig | string): PostgresManagerConfig {
  if (typeof config === 'string') return { connectionString: config };
  if (!isPlainObject(config)) throw invalidTypeRedacted('options', 'a plain object or a connection string', config);
  const { fallback } = config;
  if (fallback === undefined || fallback instanceof PostgresConnectionManager || isPlainObject(fallback)) return config;
  throw invalidType('options.fallback', 'a PostgresConnectionManager or options', fallback);
}
