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
export function createPool<T>(config: PoolConfig, factory: PoolFactory<T>, connectionConfig = {}): ConnectionPool<T> {
  const pool = new ConnectionPool<T>(config, factory, connectionConfig);
  pools.push(pool);
  return pool;
}

/** A connection that counts the calls of its methods. */
export class FakeConnection {
  static instances: FakeConnection[] = [];
  connectCount = 0;
  disconnectCount = 0;
  checkCount = 0;
  healthy = true;
  connects = true;
  open = true;

  constructor(readonly config: unknown = undefined) {
    FakeConnection.instances.push(this);
  }
  async connect(): Promise<boolean> {
    this.connectCount++;
    return this.connects;
  }
  async disconnect(): Promise<boolean> {
    this.disconnectCount++;
    return true;
  }
  async isConnected(): Promise<boolean> {
    return this.open;
  }
  async healthCheck() {
    this.checkCount++;
    return { isHealthy: this.healthy };
  }
}

/** A factory of fake connections; forgets the instances made before. */
export const fakeFactory = (): PoolFactory<FakeConnection> => {
  FakeConnection.instances = [];
  return (config) => new FakeConnection(config);
};

/** Records the events of a pool of one name, from now on. */
export function recordEvents(pool: ConnectionPool<any>, event: 'error' | 'timeout' | 'leak' | 'destroy' | 'create') {
  const events: MoorlineEvent[] = [];
  pool.on(event, (payload: MoorlineEvent) => events.push(payload));
  return events;
}
