// Pools of a test's own connections, stopped after it.
import { afterEach } from 'node:test';

import { ConnectionPool, setLogger, type MoorlineEvent, type PoolConfig, type PoolFactory } from 'moorline';

let pools: ConnectionPool<any>[] = [];

afterEach(async () => {
  for (const pool of pools) await pool.stop();
  pools = [];
  setLogger(undefined);
});

/** A pool that is stopped after its test. */
export function open<T>(config: PoolConfig, factory: PoolFactory<T>, connection = {}): ConnectionPool<T> {
  const pool = new ConnectionPool<T>(config, factory, connection);
  pools.push(pool);
  return pool;
}

/** A connection that says what happened to it. */
export class Probe {
  static made: Probe[] = [];
  connected = 0;
  disconnected = 0;
  checks = 0;
  healthy = true;
  accepts = true;
  open = true;

  constructor(readonly config: unknown = undefined) {
    Probe.made.push(this);
  }
  async connect(): Promise<boolean> {
    this.connected++;
    return this.accepts;
  }
  async disconnect(): Promise<boolean> {
    this.disconnected++;
    return true;
  }
  async isConnected(): Promise<boolean> {
    return this.open;
  }
  async healthCheck() {
    this.checks++;
    return { isHealthy: this.healthy };
  }
}

/** A factory of them; the count begins anew. */
export const probes = (): PoolFactory<Probe> => {
  Probe.made = [];
  return (config) => new Probe(config);
};

/** What it tells of one event, from now on. */
export function heard(pool: ConnectionPool<any>, event: 'error' | 'timeout' | 'leak' | 'destroy' | 'create') {
  const events: MoorlineEvent[] = [];
  pool.on(event, (told: MoorlineEvent) => events.push(told));
  return events;
}
