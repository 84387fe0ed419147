// ConnectionManager: groups, bulk operations, checks and recovery.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  BaseConnection,
  ConnectionHealth,
  ConnectionManager,
  ConnectionState,
  ConnectionType,
  HTTPConnection,
  RecoveryStrategy,
  setLogger,
} from 'moorline';

import { closeAfter, EventRecorder } from '../support/connections';
import { FaultProxy } from '../support/fault-proxy';
import { serve } from '../support/http';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** A connection without a server, whose hooks return what a test sets. */
class StubConnection extends BaseConnection {
  isHealthy: unknown = true;
  connectResult: unknown = true;
  connects = 0;

  constructor(config = {}) {
    super({ monitoring: false, retryDelay: 1, ...config });
  }

  protected override async connectImpl() {
    this.connects += 1;
    return (await this.connectResult) as boolean;
  }

  protected override async healthCheckImpl() {
    return (await this.isHealthy) as boolean;
  }

  protected async sendImpl() {
    return true;
  }

  protected async receiveImpl() {
    return null;
  }
}

function managerOf(...connections: BaseConnection[]): ConnectionManager {
  const manager = new ConnectionManager();
  for (const connection of connections) manager.addConnection(connection);
  return manager;
}

describe('ConnectionManager', () => {
  test('finds connections by id, type, group, state and health', async () => {
    const [http, other] = [new HTTPConnection({ url: 'http://127.0.0.1:9', monitoring: false }), new StubConnection()];
    const manager = new ConnectionManager();
    manager.addConnection(http, 'api');
    manager.addConnection(other);
    assert.equal(manager.getConnection(http.connectionId), http);
    assert.equal(manager.getConnection('nobody'), undefined);
    assert.deepEqual(manager.getConnectionsByType(ConnectionType.HTTP), [http]);
    assert.deepEqual(manager.getConnectionsByGroup('default'), [other]);
    assert.deepEqual(manager.getConnectionsByGroup('nobody'), []);
    await other.connect();
    await other.healthCheck();
    assert.deepEqual(manager.getConnectionsByState(ConnectionState.CONNECTED), [other]);
    assert.deepEqual(manager.getConnectionsByHealth(ConnectionHealth.HEALTHY), [other]);
    assert.deepEqual(manager.getConnectionsByHealth(ConnectionHealth.UNKNOWN), [http]);
    assert.equal(manager.removeConnection(other.connectionId), true);
    assert.equal(await other.isConnected(), true, 'it stays open');
  });

  test('connectAll and disconnectAll take a group, and one connection that fails or throws does not affect the others', async () => {
    const [good, bad, worse] = [new StubConnection(), new StubConnection(), new StubConnection()];
    bad.connectResult = false;
    Object.assign(worse, { connect: () => Promise.reject(new Error('worse')) });
    const manager = managerOf(good, bad, worse);
    const separate = new StubConnection();
    manager.addConnection(separate, 'apart');
    const expected = { [good.connectionId]: true, [bad.connectionId]: false, [worse.connectionId]: false };
    assert.deepEqual(await manager.connectAll('default'), expected);
    assert.equal(separate.connects, 0);
    assert.deepEqual(await manager.connectAll('apart'), { [separate.connectionId]: true });
    assert.deepEqual(await manager.disconnectAll('apart'), { [separate.connectionId]: true });
    assert.equal(await good.isConnected(), true);
    assert.equal(Object.keys(await manager.disconnectAll()).length, 4);
  });

  test('connectAll runs in parallel, at most sixteen at once', async () => {
    let [running, maximum] = [0, 0];
    const connections = Array.from({ length: 40 }, () => {
      const connection = new StubConnection();
      connection.connectResult = {
        then(resolve: (opened: boolean) => void) {
          maximum = Math.max(maximum, (running += 1));
          setTimeout(() => ((running -= 1), resolve(true)), 5);
        },
      };
      return connection;
    });
    const results = await managerOf(...connections).connectAll();
    assert.ok(Object.values(results).every(Boolean));
    assert.deepEqual(
      Object.keys(results),
      connections.map(({ connectionId }) => connectionId),
    );
    assert.equal(maximum, 16);
  });

  test('checks periodically after start; stop ends the checks and leaves the connections open', async (t) => {
    const connection = closeAfter(t, new StubConnection());
    const recorder = new EventRecorder(connection);
    connection.isHealthy = false;
    const manager = new ConnectionManager({ healthCheckIntervalMs: 10 });
    manager.addConnection(connection);
    manager.setRecoveryStrategy(connection.connectionId, RecoveryStrategy.NONE);
    await connection.connect();
    assert.equal(manager.getStatistics().uptimeMs, 0);
    await manager.start();
    await manager.start();
    await recorder.until('health_check_failed', 3);
    const { uptimeMs, startTime } = manager.getStatistics();
    assert.ok(uptimeMs > 0 && Math.abs(startTime! + uptimeMs - Date.now()) < 1000);
    await manager.stop();
    await manager.stop();
    assert.equal(await connection.isConnected(), true);
    const checks = recorder.count('health_check_failed');
    const other = new ConnectionManager({ healthCheckIntervalMs: 10 });
    const watched = closeAfter(t, new StubConnection());
    const seen = new EventRecorder(watched);
    watched.isHealthy = false;
    other.addConnection(watched);
    other.setRecoveryStrategy(watched.connectionId, RecoveryStrategy.NONE);
    await other.start();
    await seen.until('health_check_failed', 3);
    await other.stop();
    assert.ok(recorder.count('health_check_failed') <= checks + 1);
  });

  test('reconnect_backoff tries retryCount times before the check resolves', async (t) => {
    const connection = closeAfter(t, new StubConnection({ retryCount: 3 }));
    connection.isHealthy = false;
    connection.connectResult = false;
    const manager = managerOf(connection);
    assert.equal(connection.config.recoveryStrategy, RecoveryStrategy.RECONNECT_BACKOFF);
    const result = (await manager.healthCheckAll())[connection.connectionId];
    assert.equal(result?.isHealthy, false);
    assert.equal(connection.connects, 3);
    connection.connectResult = true;
    await manager.healthCheckAll();
    assert.equal(connection.connects, 4, 'the first that succeeds is the last');
    assert.equal(await connection.isConnected(), true);
  });

  test('fallback switches to the other address', async (t) => {
    const [first, second] = [await serve((_, res) => res.end()), await serve((_, res) => res.end('second'))];
    const proxy = await FaultProxy.start(first.port);
    t.after(() => Promise.all([proxy.close(), first.close(), second.close()]));
    const config = { url: `http://127.0.0.1:${proxy.port}`, fallbackUrl: second.url, monitoring: false };
    const connection = closeAfter(t, new HTTPConnection(config));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    const manager = managerOf(connection);
    manager.setRecoveryStrategy(connection.connectionId, RecoveryStrategy.FALLBACK);
    await manager.healthCheckAll();
    assert.equal(recorder.count('fallback_activated'), 0, 'it is healthy');
    await proxy.refuse();
    proxy.reset();
    await manager.healthCheckAll();
    await recorder.until('fallback_activated');
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.text(), 'second');
  });

  test('the overall health is that of the worst that is known', async () => {
    const { UNKNOWN, HEALTHY, UNHEALTHY, DEGRADED } = ConnectionHealth;
    assert.equal(new ConnectionManager().getInfo().overallHealth, UNKNOWN);
    const [one, two] = [new StubConnection(), new StubConnection()];
    const manager = managerOf(one, two);
    const cases: [ConnectionHealth, ConnectionHealth, ConnectionHealth][] = [
      [UNKNOWN, UNKNOWN, UNKNOWN],
      [HEALTHY, UNKNOWN, HEALTHY],
      [UNKNOWN, DEGRADED, DEGRADED],
      [UNKNOWN, UNHEALTHY, UNHEALTHY],
      [HEALTHY, HEALTHY, HEALTHY],
      [HEALTHY, DEGRADED, DEGRADED],
      [DEGRADED, UNHEALTHY, UNHEALTHY],
    ];
    const setHealth = (connection: BaseConnection, health: ConnectionHealth) =>
      (connection as unknown as { setHealth(health: ConnectionHealth): void }).setHealth(health);
    for (const [first, second, overall] of cases) {
      setHealth(one, first);
      setHealth(two, second);
      const info = manager.getInfo();
      assert.equal(info.overallHealth, overall);
      assert.equal(info.errorConnections, [first, second].filter((health) => health === UNKNOWN).length);
    }
  });
});
