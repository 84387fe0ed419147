import { inspect, type InspectOptions } from 'node:util';

import { crypto, performance } from '../runtime/node';
import { invalidType, outOfRange, invalidTypeRedacted } from '../runtime/argument-error';
import { checkOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import type { BaseConnection } from './base';
import { DEFAULTS } from './config/defaults';
import type { ConnectionEvent } from './event';
import { failedCheck, failureMessage } from './error';
import { Handlers } from '../runtime/listeners';
import { PeriodicCheck } from '../health/periodic-check';
import { Recovery } from './recovery/recovery';
import { SingleFlight } from '../runtime/single-flight';
import {
  ConnectionHealth,
  ConnectionState,
  type ConnectionHealthCheck,
  type ConnectionInfo,
  type ConnectionType,
  RecoveryStrategy,
} from './model';

/** The statistics of a {@link ConnectionManager}. */
export interface ConnectionStatistics extends ConnectionInfo {
  /** The time since `start`, in milliseconds; 0 before. */
  uptimeMs: number;
  /** The time of `start`, in milliseconds since the epoch. */
  startTime?: number;
  totalEventsProcessed: number;
  /** The number of connections by group. */
  groups: Record<string, number>;
  /** The percentage of all requests that failed. */
  errorRate: number;
}

interface Member {
  connection: BaseConnection;
  group: string;
  strategy: RecoveryStrategy | undefined;
  /** Two at once would be in each other's way. */
  recovering: SingleFlight<boolean>;
  unsubscribe: () => void;
}

/**
 * A set of connections, in groups, which are opened, checked and recovered together. `stop` leaves them open.
 *
 * @example
 * ```ts
 * import { ConnectionManager, HTTPConnection, WebSocketConnection } from 'moorline';
 *
 * const manager = new ConnectionManager();
 * manager.addConnection(new HTTPConnection({ url: 'https://api.example.com' }), 'orders');
 * manager.addConnection(new WebSocketConnection({ url: 'wss://api.example.com' }), 'orders');
 * await manager.connectAll('orders');
 * console.log(manager.getInfo().activeConnections); // 2
 * await manager.disconnectAll();
 * ```
 */
export class ConnectionManager {
  readonly #members = new Map<string, Member>();
  readonly #onEvent = new Handlers<[event: ConnectionEvent]>({ id: 'manager' });
  readonly #onAnyEvent = new Handlers<[type: string, event: ConnectionEvent]>({ id: 'manager' });
  readonly #check: PeriodicCheck;
  #startTime: number | undefined;
  #events = 0;

  /**
   * @param options `healthCheckIntervalMs`: the time between two rounds of health checks after `start`, in milliseconds.
   * Default: 30 000; `Infinity`: none.
   * @throws TypeError for an unknown option, RangeError for an invalid interval.
   */
  constructor(options: { healthCheckIntervalMs?: number | undefined } = {}) {
    checkOptions('options', options, { healthCheckIntervalMs: true });
    const { healthCheckIntervalMs = DEFAULTS.healthCheckIntervalMs } = options;
    if (!isInterval(healthCheckIntervalMs)) {
      throw outOfRange('options.healthCheckIntervalMs', '≥ 1, or Infinity', healthCheckIntervalMs);
    }
    this.#check = new PeriodicCheck(`manager:${crypto().randomUUID()}`, healthCheckIntervalMs, healthCheckIntervalMs);
  }

  /** Adds a connection to a group. A connection that was added before stays in its group. */
  addConnection(connection: BaseConnection, group = 'default'): void {
    if (typeof (connection as Partial<BaseConnection> | undefined)?.onEvent !== 'function')
      throw invalidTypeRedacted('connection', 'a connection', connection);
    if (this.#members.has(connection.connectionId)) return;
    const unsubscribe = connection.onEvent((event) => this.#count(event));
    const recovering = new SingleFlight<boolean>();
    this.#members.set(connection.connectionId, { connection, group, strategy: undefined, recovering, unsubscribe });
  }

  /** Removes a connection and leaves it open. Returns false when it was not found. */
  removeConnection(connectionId: string): boolean {
    this.#members.get(connectionId)?.unsubscribe();
    return this.#members.delete(connectionId);
  }

  /** Returns the connection with this id, if there is one. */
  getConnection(connectionId: string): BaseConnection | undefined {
    return this.#members.get(connectionId)?.connection;
  }

  /** Returns the connections of this type. */
  getConnectionsByType(type: ConnectionType): BaseConnection[] {
    return this.#all().filter(({ config }) => config.connectionType === type);
  }

  /** Returns the connections of this group. */
  getConnectionsByGroup(group: string): BaseConnection[] {
    return this.#all(group);
  }

  /** Returns the connections in this state. */
  getConnectionsByState(state: ConnectionState): BaseConnection[] {
    return this.#all().filter((connection) => connection.getStatus().state === state);
  }

  /** Returns the connections with this health. */
  getConnectionsByHealth(health: ConnectionHealth): BaseConnection[] {
    return this.#all().filter((connection) => connection.getStatus().health === health);
  }

  /** Starts periodic health checks of all connections, and recovers unhealthy ones. A second call has no effect. */
  async start(): Promise<void> {
    if (this.#startTime !== undefined) return;
    this.#startTime = Date.now();
    this.#check.start((signal) => this.#checkAll(this.#all(), signal));
  }

  /** Stops the periodic health checks. The connections stay open. */
  async stop(): Promise<void> {
    this.#check.stop();
    this.#startTime = undefined;
  }

  /** Opens all connections, or those of one group. Returns whether each was opened, by id. */
  connectAll(group?: string): Promise<Record<string, boolean>> {
    return forEachConnection(this.#all(group), (connection) => succeeds(() => connection.connect()));
  }

  /** Closes all connections, or those of one group. Returns whether each was closed, by id. */
  disconnectAll(group?: string): Promise<Record<string, boolean>> {
    return forEachConnection(this.#all(group), (connection) => succeeds(() => connection.disconnect()));
  }

  /** Checks all connections, or those of one group, and recovers unhealthy ones. Returns the results of the checks, by id. */
  healthCheckAll(group?: string): Promise<Record<string, ConnectionHealthCheck>> {
    return this.#checkAll(this.#all(group));
  }

  /** Subscribes to every event of every connection, returns a function that unsubscribes. */
  addEventHandler(handler: (event: ConnectionEvent) => unknown): () => void {
    return this.#onEvent.add(handler);
  }

  /** Subscribes like `addEventHandler`, with the type of the event as the first argument. */
  addGlobalHandler(handler: (type: string, event: ConnectionEvent) => unknown): () => void {
    return this.#onAnyEvent.add(handler);
  }

  /**
   * Sets the action for a connection when it is unhealthy, instead of its own `recoveryStrategy`.
   *
   * @throws TypeError for an unknown strategy.
   */
  setRecoveryStrategy(connectionId: string, strategy: RecoveryStrategy): void {
    const known: readonly string[] = Object.values(RecoveryStrategy);
    if (!known.includes(strategy)) throw invalidType('strategy', `one of ${known.join(', ')}`, strategy);
    const member = this.#members.get(connectionId);
    if (member) member.strategy = strategy;
  }

  /** Returns totals over all connections. */
  getInfo(): ConnectionInfo {
    const all = this.#all().map((connection) => connection.getStatus());
    const countByHealth = (health: ConnectionHealth) => all.filter((status) => status.health === health).length;
    const sum = (figure: (status: (typeof all)[number]) => number) =>
      all.reduce((total, one) => total + figure(one), 0);
    const requests = sum(({ metrics }) => metrics.totalRequests);
    const time = sum(({ metrics }) => metrics.responseTime * metrics.totalRequests);
    const [healthy, degraded, unhealthy]: [number, number, number] = [
      countByHealth(ConnectionHealth.HEALTHY),
      countByHealth(ConnectionHealth.DEGRADED),
      countByHealth(ConnectionHealth.UNHEALTHY),
    ];
    const overall = native.connectionOverallHealth(healthy, degraded, unhealthy) as ConnectionHealth | null;
    return {
      totalConnections: all.length,
      activeConnections: all.filter(({ isActive }) => isActive).length,
      healthyConnections: healthy,
      degradedConnections: degraded,
      unhealthyConnections: unhealthy,
      errorConnections: countByHealth(ConnectionHealth.UNKNOWN),
      averageResponseTime: requests === 0 ? 0 : time / requests,
      totalRequests: requests,
      totalErrors: sum(({ metrics }) => metrics.errorCount),
      overallHealth: overall ?? ConnectionHealth.UNKNOWN,
      lastUpdated: Date.now(),
    };
  }

  /** Returns totals over all connections, and the statistics of the manager. */
  getStatistics(): ConnectionStatistics {
    const info = this.getInfo();
    const groups = new Set([...this.#members.values()].map(({ group }) => group));
    const sizes = [...groups].map((group): [string, number] => [group, this.#all(group).length]);
    return {
      ...info,
      uptimeMs: this.#startTime === undefined ? 0 : Date.now() - this.#startTime,
      ...(this.#startTime !== undefined && { startTime: this.#startTime }),
      totalEventsProcessed: this.#events,
      // Any name is a key here, `__proto__` included.
      groups: Object.fromEntries(sizes),
      errorRate: info.totalRequests === 0 ? 0 : (info.totalErrors / info.totalRequests) * 100,
    };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.getStatistics(), options)}`;
  }

  /** Checks in the background where a `signal` is given, which ends it. */
  #checkAll(connections: BaseConnection[], signal?: AbortSignal): Promise<Record<string, ConnectionHealthCheck>> {
    return forEachConnection(connections, async (connection) => {
      const { lifetime } = connection;
      const result = await checkConnection(connection);
      const member = this.#members.get(connection.connectionId);
      // One that was closed, or removed, meanwhile is not opened again.
      if (result.isHealthy || !member || lifetime.aborted || signal?.aborted) return result;
      const strategy = member.strategy ?? connection.config.recoveryStrategy;
      await member.recovering.run(() => new Recovery(connection, strategy, signal).run());
      return result;
    });
  }

  #all(group?: string): BaseConnection[] {
    const members = [...this.#members.values()];
    return members
      .filter((member) => group === undefined || member.group === group)
      .map(({ connection }) => connection);
  }

  #count(event: ConnectionEvent): void {
    this.#events += 1;
    this.#onEvent.emit(event);
    this.#onAnyEvent.emit(event.eventType, event);
  }
}

function isInterval(ms: unknown): boolean {
  return typeof ms === 'number' && ms >= 1;
}

/** Its check; one that was written over may throw. */
async function checkConnection(connection: BaseConnection): Promise<ConnectionHealthCheck> {
  const started = performance.now();
  try {
    return await connection.healthCheck();
  } catch (error) {
    return failedCheck(connection.connectionId, started, failureMessage(error));
  }
}

/** Whether a verb said yes. One that was written over may throw. */
async function succeeds(verb: () => Promise<boolean>): Promise<boolean> {
  try {
    return await verb();
  } catch {
    return false;
  }
}

/** Does `work` for each connection, `concurrency` of them at once; by id, what came of it. */
async function forEachConnection<T>(
  connections: BaseConnection[],
  work: (connection: BaseConnection) => Promise<T>,
): Promise<Record<string, T>> {
  const results = new Map<string, T>();
  const remaining = connections.values();
  const worker = async () => {
    for (const connection of remaining) results.set(connection.connectionId, await work(connection));
  };
  await Promise.all(Array.from({ length: Math.min(DEFAULTS.concurrency, connections.length) }, worker));
  return Object.fromEntries(connections.map(({ connectionId }) => [connectionId, results.get(connectionId)!]));
}
