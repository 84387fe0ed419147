// The lifecycle of a ConnectionPool and of its idle connections: start, checks, expiry, stop.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';

import { ConnectionPool, setLogger, type LogRecord } from 'moorline';

import { eventually } from '../../support/eventually';
import { recordEvents, createPool, FakeConnection, fakeFactory } from '../../support/pools';
import { mainEntry } from '../../support/paths';

/** How much later than its limit a call may end on a busy machine. */
const SLACK_MS = 1000;

describe('the lifecycle of a ConnectionPool', () => {
  test('start creates the minimum, and acquire hands these out', async () => {
    const pool = createPool({ maxSize: 4, minSize: 2 }, fakeFactory());
    await pool.start();
    assert.equal(FakeConnection.instances.length, 2);
    assert.equal(pool.stats().poolSize, 2);
    const [first, second] = [await pool.acquire(), await pool.acquire()];
    assert.ok(FakeConnection.instances.includes(first!) && FakeConnection.instances.includes(second!));
    assert.equal(FakeConnection.instances.length, 2);
    await pool.release(first!);
    await pool.release(second!);
    await pool.stop();
    assert.deepEqual(
      FakeConnection.instances.map(({ disconnectCount }) => disconnectCount),
      [1, 1],
    );
  });

  test('starting twice starts once', async () => {
    const pool = createPool({ minSize: 2 }, fakeFactory());
    await Promise.all([pool.start(), pool.start()]);
    await pool.start();
    assert.equal(FakeConnection.instances.length, 2);
  });

  test('a start that cannot connect resolves, emits the error, and is retried', async () => {
    let down = true;
    const pool = createPool({ minSize: 1 }, () => {
      if (down) throw new Error('not yet');
      return new FakeConnection();
    });
    const errors = recordEvents(pool, 'error');
    await pool.start();
    assert.match(String(errors[0]?.['error']), /not yet/);
    down = false;
    assert.ok(await pool.acquire());
  });

  test('idle connections are dropped after maxIdleTime, down to the minimum', async () => {
    const pool = createPool({ maxIdleTime: 0.05, minSize: 1 }, fakeFactory());
    await pool.start();
    const connections = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    for (const connection of connections) await pool.release(connection!);
    await eventually(() => pool.stats().poolSize === 1 && pool.stats().totalConnections === 1);
    assert.equal(connections.filter((connection) => connection?.disconnectCount === 1).length, 2);
  });

  test('a connection that was idle for a while is checked before it is handed out', async () => {
    const pool = createPool({}, fakeFactory());
    const first = await pool.acquire();
    await pool.release(first!);
    first!.healthy = false;
    const released = performance.now();
    await eventually(() => performance.now() - released > 505);
    const second = await pool.acquire();
    assert.notEqual(second, first);
    assert.deepEqual([first!.checkCount, first!.disconnectCount], [1, 1]);
  });

  test('idle connections are checked every healthCheckInterval, and the minimum is restored', async () => {
    const pool = createPool({ minSize: 1, healthCheckInterval: 0.02 }, fakeFactory());
    const lent = await pool.acquire();
    await pool.start();
    await pool.release(lent!);
    await eventually(() => FakeConnection.instances[0]!.checkCount > 1);
    FakeConnection.instances[0]!.healthy = false;
    await eventually(() => FakeConnection.instances[0]!.disconnectCount === 1);
    await eventually(() => pool.stats().poolSize >= 1);
    assert.notEqual(await pool.acquire(), FakeConnection.instances[0]);
  });

  test('idle connections that are no longer open are removed every cleanupInterval', async () => {
    const pool = createPool({ cleanupInterval: 0.02 }, fakeFactory());
    await pool.start();
    const connection = await pool.acquire();
    connection!.open = false;
    await pool.release(connection!);
    await eventually(() => connection!.disconnectCount === 1);
    assert.equal(connection!.checkCount, 0);
  });

  test('a connection in an unusable state is not kept', async () => {
    const pool = createPool({}, () => ({ state: 'connected', disconnected: false, disconnect: function () {} }));
    const first = await pool.acquire();
    first!.state = 'error';
    assert.equal(await pool.release(first!), true);
    assert.notEqual(await pool.acquire(), first);
  });

  test('releaseTimeout bounds a disconnect that never ends', async () => {
    const pool = createPool({ releaseTimeout: 0.05 }, () => ({ disconnect: () => new Promise(() => undefined) }));
    await pool.acquire();
    const started = performance.now();
    await pool.stop();
    assert.ok(performance.now() - started < 200 + SLACK_MS);
  });

  test('stop disconnects acquired connections, gives null to waiters, and can be followed by a start', async () => {
    const pool = createPool({ maxSize: 1, minSize: 1 }, fakeFactory());
    await pool.start();
    const connection = await pool.acquire();
    const waiting = pool.acquire();
    await eventually(() => pool.stats().waiting === 1);
    await Promise.all([pool.stop(), pool.stop()]);
    assert.equal(await waiting, null);
    assert.equal(connection!.disconnectCount, 1);
    assert.equal(await pool.release(connection!), false);
    assert.equal(await pool.acquire(), null);
    await assert.rejects(
      pool.use(() => 1),
      { kind: 'closed' },
    );
    assert.equal(pool.stats().totalConnections, 0);
    await pool.start();
    assert.equal(pool.stats().poolSize, 1);
    assert.notEqual(await pool.acquire(), connection);
  });

  test('a connection that is being created when the pool stops is disconnected, also after another start', async () => {
    const resolvers: ((connection: FakeConnection) => void)[] = [];
    const pool = createPool({ maxSize: 1 }, () => new Promise<FakeConnection>((resolve) => resolvers.push(resolve)));
    const waiting = pool.acquire();
    await eventually(() => resolvers.length === 1);
    await pool.stop();
    assert.equal(await waiting, null);
    await pool.start();
    const next = pool.acquire();
    await eventually(() => resolvers.length === 2);
    const [old, fresh] = [new FakeConnection(), new FakeConnection()];
    resolvers[0]!(old);
    await eventually(() => old.disconnectCount === 1);
    resolvers[1]!(fresh);
    assert.equal(await next, fresh);
  });

  test('a connection held too long is reported with its borrower', async () => {
    const records: LogRecord[] = [];
    setLogger({ warn: (record) => records.push(record) });
    const pool = createPool({ leakAfter: 0.3 }, fakeFactory());
    const leaks = recordEvents(pool, 'leak');
    const connection = await pool.acquire();
    await eventually(() => leaks.length === 1);
    assert.equal(leaks[0]!['connection'], connection);
    assert.match(String(leaks[0]!['stack']), /lifecycle\.test/);
    assert.equal(records[0]?.event, 'pool.leak');
  });

  test('emits the events of its lifecycle', async () => {
    const emitted: string[] = [];
    const pool = createPool({}, fakeFactory());
    for (const event of ['create', 'acquire', 'release', 'drain', 'destroy', 'close'] as const) {
      pool.on(event, (payload: object) => emitted.push(`${event} ${String('connection' in payload)}`));
    }
    const connection = await pool.acquire();
    await pool.release(connection!);
    await pool.stop();
    assert.deepEqual(emitted, [
      ...['create true', 'acquire true', 'release true', 'drain false', 'destroy true', 'close false'],
    ]);
  });

  test('await using stops it', async () => {
    FakeConnection.instances = [];
    {
      await using pool = new ConnectionPool({}, fakeFactory());
      await pool.acquire();
    }
    assert.equal(FakeConnection.instances[0]?.disconnectCount, 1);
  });

  for (const [what, code] of [
    ['an idle pool', 'pool.start().then(() => pool.acquire()).then((one) => pool.release(one))'],
    ['a pool with an acquired connection', 'pool.start().then(() => pool.acquire())'],
    ['a stopped pool', 'pool.start().then(() => pool.stop())'],
  ]) {
    test(`${what} does not keep the process alive`, () => {
      const script = `
        const { ConnectionPool } = require(${JSON.stringify(mainEntry)});
        const config = { minSize: 1, healthCheckInterval: 1, cleanupInterval: 1 };
        const pool = new ConnectionPool(config, () => ({ disconnect() {} }));
        ${code}.then(() => console.log('done'));`;
      const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
      assert.deepEqual([stdout.trim(), status], ['done', 0]);
    });
  }
});
