// ConnectionPool: acquire, wait and release, with connections of the caller's factory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import { ConnectionPool, MoorlineError } from 'moorline';

import { eventually } from '../../support/eventually';
import { recordEvents, createPool, FakeConnection, fakeFactory } from '../../support/pools';

/** How much later than its limit a call may end on a busy machine. */
const SLACK_MS = 1000;

describe('ConnectionPool', () => {
  test('acquires and releases items respecting max size', async () => {
    const pool = createPool({ maxSize: 2 }, fakeFactory());
    await pool.start();
    const first = await pool.acquire();
    const second = await pool.acquire();
    assert.ok(first && second && first !== second);
    assert.equal(await pool.acquire(0.02), null);
    assert.equal(await pool.release(first), true);
    assert.equal(await pool.acquire(), first);
    assert.equal(FakeConnection.instances.length, 2);
    assert.deepEqual(pool.stats(), {
      poolSize: 0,
      inUse: 2,
      totalConnections: 2,
      maxSize: 2,
      minSize: 0,
      available: 0,
      utilization: 100,
      waiting: 0,
    });
  });

  test('connect is called before a connection is handed out, and disconnect when it is dropped', async () => {
    const pool = createPool({ maxSize: 1 }, fakeFactory());
    const connection = await pool.acquire();
    assert.deepEqual([connection?.connectCount, connection?.disconnectCount], [1, 0]);
    await pool.release(connection!);
    await pool.stop();
    assert.deepEqual([connection?.connectCount, connection?.disconnectCount], [1, 1]);
  });

  test('a connection can be any value', async () => {
    const values = [1, 'two', Symbol('three'), () => 4, { five: 5 }];
    const left = [...values];
    const pool = createPool<unknown>({ maxSize: 5 }, () => left.shift());
    const lent = await Promise.all(values.map(() => pool.acquire()));
    assert.deepEqual(new Set(lent), new Set(values));
    for (const value of lent) assert.equal(await pool.release(value), true);
  });

  test('connections are told apart by identity, not by an id or by how they print', async () => {
    const pool = createPool({ maxSize: 2 }, () => ({ id: 'same' }));
    const [first, second] = [await pool.acquire(), await pool.acquire()];
    assert.ok(first && second && first !== second);
    assert.equal(await pool.release({ id: 'same' }), false);
    assert.equal(await pool.release(first), true);
    assert.equal(pool.stats().inUse, 1);
    assert.equal(await pool.release(second), true);
  });

  test('a factory that gives the same connection twice is refused', async () => {
    const one = { only: true };
    const pool = createPool({ maxSize: 2 }, () => one);
    const errors = recordEvents(pool, 'error');
    assert.equal(await pool.acquire(), one);
    assert.equal(await pool.acquire(0.1), null);
    assert.match(String(errors[0]?.['error']), /a connection that is already in the pool/);
    assert.equal(await pool.release(one), true);
  });

  test('release gives false for a foreign connection and for one that was released', async () => {
    const [pool, other] = [createPool({ maxSize: 2 }, fakeFactory()), createPool({}, () => new FakeConnection())];
    const [mine, theirs] = [await pool.acquire(), await other.acquire()];
    assert.equal(await pool.release(theirs!), false);
    assert.equal(await pool.release(new FakeConnection()), false);
    assert.equal(await pool.release(mine!), true);
    assert.equal(await pool.release(mine!), false);
    const again = await pool.acquire();
    const second = await pool.acquire();
    assert.equal(again, mine);
    assert.notEqual(second, again);
  });

  test('waiters are served in order', async () => {
    const pool = createPool({ maxSize: 1 }, fakeFactory());
    const first = await pool.acquire();
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const connection = await pool.acquire();
      order.push(number);
      await pool.release(connection!);
    });
    await eventually(() => pool.stats().waiting === 3);
    await pool.release(first!);
    await Promise.all(waiting);
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(FakeConnection.instances.length, 1);
  });

  test('never more than max size, however long the factory takes', async () => {
    let [count, maximum] = [0, 0];
    const pool = createPool({ maxSize: 3 }, async () => {
      maximum = Math.max(maximum, ++count);
      await new Promise(setImmediate);
      return { disconnect: () => void count-- };
    });
    await Promise.all(
      Array.from({ length: 50 }, () => pool.use(() => new Promise<void>((resolve) => setImmediate(resolve)))),
    );
    assert.ok(maximum <= 3 && maximum > 0, String(maximum));
  });

  test('acquire gives null when the factory fails until the deadline, and goes on trying until then', async () => {
    for (const fails of [() => null, () => Promise.reject(new Error('down')), () => assert.fail('thrown')]) {
      let tries = 0;
      const pool = createPool({ acquireTimeout: 1 }, () => (tries++, fails()));
      const started = performance.now();
      assert.equal(await pool.acquire(), null);
      const took = performance.now() - started;
      assert.ok(took >= 999 && took < 1000 + SLACK_MS, String(took));
      assert.ok(tries > 1 && tries < 20, String(tries));
    }
    let tries = 0;
    const flaky = createPool({}, () => (++tries < 3 ? null : new FakeConnection()));
    assert.ok(await flaky.acquire());
    assert.equal(tries, 3);
  });

  test('a connection that cannot be opened is not handed out, and is disconnected', async () => {
    FakeConnection.instances = [];
    const pool = createPool({ acquireTimeout: 0.5 }, () => Object.assign(new FakeConnection(), { connects: false }));
    const errors = recordEvents(pool, 'error');
    assert.equal(await pool.acquire(), null);
    assert.match(String(errors[0]?.['error']), /could not be opened/);
    assert.ok(FakeConnection.instances.every(({ disconnectCount }) => disconnectCount === 1));
  });

  test('the timeout is in seconds, per call too', async () => {
    const pool = createPool({ maxSize: 1 }, fakeFactory());
    await pool.acquire();
    const timeouts = recordEvents(pool, 'timeout');
    const started = performance.now();
    assert.equal(await pool.acquire(0.1), null);
    const took = performance.now() - started;
    assert.ok(took >= 99 && took < 100 + SLACK_MS, String(took));
    assert.equal(timeouts.length, 1);
    assert.equal(await pool.acquire(0), null);
  });

  test('creating a connection counts towards the timeout; one that comes too late is disconnected', async () => {
    let resolveFactory!: (connection: FakeConnection) => void;
    FakeConnection.instances = [];
    const pool = createPool(
      { acquireTimeout: 0.5 },
      () => new Promise<FakeConnection>((resolve) => (resolveFactory = resolve)),
    );
    assert.equal(await pool.acquire(), null);
    const late = new FakeConnection();
    resolveFactory(late);
    await eventually(() => late.disconnectCount === 1);
    assert.equal(pool.stats().poolSize, 0);
  });

  test('an abort gives null, and use rejects with its reason', async () => {
    const pool = createPool({ maxSize: 1 }, fakeFactory());
    const held = await pool.acquire();
    const controller = new AbortController();
    const { signal } = controller;
    const [waiting, using] = [pool.acquire(5, { signal }), pool.use(() => 1, { signal })];
    await eventually(() => pool.stats().waiting === 2);
    controller.abort(new Error('enough'));
    assert.equal(await waiting, null);
    await assert.rejects(using, /^Error: enough$/);
    assert.equal(await pool.acquire(5, { signal }), null);
    await pool.release(held!);
    assert.equal(await pool.acquire(), held);
  });

  test('use releases the connection in any case, and rejects where acquire gives null', async () => {
    const pool = createPool({ maxSize: 1 }, fakeFactory());
    assert.equal(await pool.use((connection) => connection.connectCount), 1);
    const mine = new Error('mine');
    await assert.rejects(
      pool.use(() => Promise.reject(mine)),
      (error) => error === mine,
    );
    assert.equal(pool.stats().inUse, 0);
    await pool.acquire();
    await assert.rejects(
      pool.use(() => 1, { timeoutSeconds: 0.02 }),
      (error: MoorlineError) => {
        assert.ok(error instanceof MoorlineError);
        assert.deepEqual([error.kind, error.code, error.service], ['pool-timeout', 'ETIMEDOUT', 'pool']);
        return /__test__/.test(error.stack ?? '');
      },
    );
    const failing = createPool({}, () => Promise.reject(mine));
    await assert.rejects(
      failing.use(() => 1, { timeoutSeconds: 0.5 }),
      { kind: 'pool-timeout', cause: mine },
    );
    await assert.rejects(pool.use(1 as never), /^TypeError: fn must be a function/);
  });

  test('the factory gets the third argument, by default the configuration of the environment', async () => {
    const connectionConfig = { url: 'http://localhost', timeout: 5 };
    const acquired = await createPool({}, fakeFactory(), connectionConfig).acquire();
    assert.deepEqual(acquired?.config, connectionConfig);
    await using pool = new ConnectionPool({}, fakeFactory());
    const { timeout, retryCount } = (await pool.acquire())?.config as Record<string, unknown>;
    assert.deepEqual([timeout, retryCount], [30_000, 3]);
  });

  test('options that are left out have defaults', () => {
    const pool = createPool({ maxSize: 8, minSize: 1, maxIdleTime: 60, acquireTimeout: 5 }, fakeFactory());
    assert.deepEqual(pool.options(), {
      maxSize: 8,
      minSize: 1,
      maxIdleTimeMs: 60_000,
      acquireTimeoutMs: 5000,
      releaseTimeoutMs: 5000,
      connectTimeoutMs: 30_000,
      healthCheckIntervalMs: 60_000,
      cleanupIntervalMs: 120_000,
      maxConnecting: 4,
      maxLifetimeMs: 1_800_000,
      leakAfterMs: 30_000,
    });
    const { maxIdleTimeMs, acquireTimeoutMs, maxSize } = createPool({ maxIdleTime: Infinity }, fakeFactory()).options();
    assert.deepEqual([maxIdleTimeMs, acquireTimeoutMs, maxSize], [Infinity, 10_000, 10]);
    assert.equal(createPool({}, fakeFactory(), { maxConnections: 3 }).options()['maxSize'], 3);
    assert.match(inspect(pool), /^ConnectionPool \{[^]*maxSize: 8/);
  });

  test('refuses invalid options', async () => {
    const bad: [object, RegExp][] = [
      [{ maxSize: 0 }, /^RangeError: options.maxSize must be between 1 and 10000, got 0$/],
      [{ maxSize: 2, minSize: 3 }, /^RangeError: options.minSize must be ≤ maxSize \(2\), got 3$/],
      [{ maxIdleTime: NaN }, /^RangeError: options.maxIdleTime must be/],
      [{ healthCheckInterval: 0 }, /^RangeError: options.healthCheckInterval must be/],
      [{ acquireTimeoutMs: 5 }, /^TypeError: options.acquireTimeoutMs is not a known option/],
      [{ acquireTimeout: '5' }, /^TypeError: options.acquireTimeout must be a number/],
    ];
    for (const [config, message] of bad) {
      assert.throws(
        () => new ConnectionPool(config, fakeFactory()),
        (error) => message.test(String(error)),
      );
    }
    assert.throws(() => new ConnectionPool({}, undefined as never), /^TypeError: factory must be a function/);
    await assert.rejects(createPool({}, fakeFactory()).acquire(-1), /^RangeError: timeoutSeconds must be/);
  });
});
