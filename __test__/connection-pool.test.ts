// ConnectionPool: objects of the caller's, on the one pool.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  ConnectionPool,
  MoorlineError,
  setLogger,
  type LogRecord,
  type MoorlineEvent,
  type PoolConfig,
  type PoolFactory,
} from 'moorline';

import { eventually } from './support/eventually';

const dist = join(__dirname, '..', 'dist');
/** What a bound may be exceeded by on a machine that others use as well. */
const SLACK_MS = 1000;
let pools: ConnectionPool<any>[] = [];

afterEach(async () => {
  for (const pool of pools) await pool.stop();
  pools = [];
  setLogger(undefined);
});

function open<T>(config: PoolConfig, factory: PoolFactory<T>, connection = {}): ConnectionPool<T> {
  const pool = new ConnectionPool<T>(config, factory, connection);
  pools.push(pool);
  return pool;
}

/** A connection that says what happened to it. */
class Probe {
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

const probes = (): PoolFactory<Probe> => {
  Probe.made = [];
  return (config) => new Probe(config);
};

/** Lets go of what it was given as soon as somebody asks for the event. */
function heard(pool: ConnectionPool<any>, event: 'error' | 'timeout' | 'leak' | 'destroy' | 'create') {
  const events: MoorlineEvent[] = [];
  pool.on(event, (told) => events.push(told));
  return events;
}

describe('ConnectionPool', () => {
  test('acquires and releases items respecting max size', async () => {
    const pool = open({ maxSize: 2 }, probes());
    await pool.start();
    const first = await pool.acquire();
    const second = await pool.acquire();
    assert.ok(first && second && first !== second);
    assert.equal(await pool.acquire(0.02), null);
    assert.equal(await pool.release(first), true);
    assert.equal(await pool.acquire(), first);
    assert.equal(Probe.made.length, 2);
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

  test('what has a connect is connected before it is lent, and disconnected when it is dropped', async () => {
    const pool = open({ maxSize: 1 }, probes());
    const probe = await pool.acquire();
    assert.deepEqual([probe?.connected, probe?.disconnected], [1, 0]);
    await pool.release(probe!);
    await pool.stop();
    assert.deepEqual([probe?.connected, probe?.disconnected], [1, 1]);
  });

  test('a connection can be anything', async () => {
    const values = [1, 'two', Symbol('three'), () => 4, { five: 5 }];
    const left = [...values];
    const pool = open<unknown>({ maxSize: 5 }, () => left.shift());
    const lent = await Promise.all(values.map(() => pool.acquire()));
    assert.deepEqual(new Set(lent), new Set(values));
    for (const value of lent) assert.equal(await pool.release(value), true);
  });

  test('connections are told apart by identity, not by an id or by how they print', async () => {
    const pool = open({ maxSize: 2 }, () => ({ id: 'same' }));
    const [first, second] = [await pool.acquire(), await pool.acquire()];
    assert.ok(first && second && first !== second);
    assert.equal(await pool.release({ id: 'same' }), false);
    assert.equal(await pool.release(first), true);
    assert.equal(pool.stats().inUse, 1);
    assert.equal(await pool.release(second), true);
  });

  test('a factory that gives the same connection twice is refused', async () => {
    const one = { only: true };
    const pool = open({ maxSize: 2 }, () => one);
    const errors = heard(pool, 'error');
    assert.equal(await pool.acquire(), one);
    assert.equal(await pool.acquire(0.1), null);
    assert.match(String(errors[0]?.['error']), /a connection that the pool has already/);
    assert.equal(await pool.release(one), true);
  });

  test('release gives false for a foreign connection and for one that was given back', async () => {
    const [pool, other] = [open({ maxSize: 2 }, probes()), open({}, () => new Probe())];
    const [mine, theirs] = [await pool.acquire(), await other.acquire()];
    assert.equal(await pool.release(theirs!), false);
    assert.equal(await pool.release(new Probe()), false);
    assert.equal(await pool.release(mine!), true);
    assert.equal(await pool.release(mine!), false);
    const again = await pool.acquire();
    const beside = await pool.acquire();
    assert.equal(again, mine);
    assert.notEqual(beside, again);
  });

  test('waiters are served in order', async () => {
    const pool = open({ maxSize: 1 }, probes());
    const first = await pool.acquire();
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (number) => {
      const probe = await pool.acquire();
      order.push(number);
      await pool.release(probe!);
    });
    await eventually(() => pool.stats().waiting === 3);
    await pool.release(first!);
    await Promise.all(waiting);
    assert.deepEqual(order, [1, 2, 3]);
    assert.equal(Probe.made.length, 1);
  });

  test('never more than max size, whatever the factory takes', async () => {
    let [open_, most] = [0, 0];
    const pool = open({ maxSize: 3 }, async () => {
      most = Math.max(most, ++open_);
      await new Promise(setImmediate);
      return { disconnect: () => void open_-- };
    });
    await Promise.all(
      Array.from({ length: 50 }, () => pool.use(() => new Promise<void>((resolve) => setImmediate(resolve)))),
    );
    assert.ok(most <= 3 && most > 0, String(most));
  });

  test('start keeps the minimum, and lends what it made', async () => {
    const pool = open({ maxSize: 4, minSize: 2 }, probes());
    await pool.start();
    assert.equal(Probe.made.length, 2);
    assert.equal(pool.stats().poolSize, 2);
    const [first, second] = [await pool.acquire(), await pool.acquire()];
    assert.ok(Probe.made.includes(first!) && Probe.made.includes(second!));
    assert.equal(Probe.made.length, 2);
    await pool.release(first!);
    await pool.release(second!);
    await pool.stop();
    assert.deepEqual(
      Probe.made.map(({ disconnected }) => disconnected),
      [1, 1],
    );
  });

  test('starting twice starts once', async () => {
    const pool = open({ minSize: 2 }, probes());
    await Promise.all([pool.start(), pool.start()]);
    await pool.start();
    assert.equal(Probe.made.length, 2);
  });

  test('a start that cannot connect is over, tells why, and is tried again', async () => {
    let down = true;
    const pool = open({ minSize: 1 }, () => {
      if (down) throw new Error('not yet');
      return new Probe();
    });
    const errors = heard(pool, 'error');
    await pool.start();
    assert.match(String(errors[0]?.['error']), /not yet/);
    down = false;
    assert.ok(await pool.acquire());
  });

  test('acquire gives null when the factory fails until the deadline, and goes on trying until then', async () => {
    for (const fails of [() => null, () => Promise.reject(new Error('down')), () => assert.fail('thrown')]) {
      let tries = 0;
      const pool = open({ acquireTimeout: 1 }, () => (tries++, fails()));
      const started = performance.now();
      assert.equal(await pool.acquire(), null);
      const took = performance.now() - started;
      assert.ok(took >= 999 && took < 1000 + SLACK_MS, String(took));
      assert.ok(tries > 1 && tries < 20, String(tries));
    }
    let tries = 0;
    const flaky = open({}, () => (++tries < 3 ? null : new Probe()));
    assert.ok(await flaky.acquire());
    assert.equal(tries, 3);
  });

  test('a connection that cannot be opened is not lent, and let go of', async () => {
    Probe.made = [];
    const pool = open({ acquireTimeout: 0.5 }, () => Object.assign(new Probe(), { accepts: false }));
    const errors = heard(pool, 'error');
    assert.equal(await pool.acquire(), null);
    assert.match(String(errors[0]?.['error']), /could not be opened/);
    assert.ok(Probe.made.every(({ disconnected }) => disconnected === 1));
  });

  test('the timeout is in seconds, per call too', async () => {
    const pool = open({ maxSize: 1 }, probes());
    await pool.acquire();
    const timeouts = heard(pool, 'timeout');
    const started = performance.now();
    assert.equal(await pool.acquire(0.1), null);
    const took = performance.now() - started;
    assert.ok(took >= 99 && took < 100 + SLACK_MS, String(took));
    assert.equal(timeouts.length, 1);
    assert.equal(await pool.acquire(0), null);
  });

  test('making a connection counts towards the wait; what comes too late is let go of', async () => {
    let made!: (probe: Probe) => void;
    Probe.made = [];
    const pool = open({ acquireTimeout: 0.5 }, () => new Promise<Probe>((resolve) => (made = resolve)));
    assert.equal(await pool.acquire(), null);
    const late = new Probe();
    made(late);
    await eventually(() => late.disconnected === 1);
    assert.equal(pool.stats().poolSize, 0);
  });

  test('an abort gives null, and use rejects with its reason', async () => {
    const pool = open({ maxSize: 1 }, probes());
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

  test('use takes the connection back in any case, and rejects where acquire gives null', async () => {
    const pool = open({ maxSize: 1 }, probes());
    assert.equal(await pool.use((probe) => probe.connected), 1);
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
    const failing = open({}, () => Promise.reject(mine));
    await assert.rejects(
      failing.use(() => 1, { timeoutSeconds: 0.5 }),
      { kind: 'pool-timeout', cause: mine },
    );
    await assert.rejects(pool.use(1 as never), /^TypeError: fn must be a function/);
  });

  test('free connections are dropped after maxIdleTime, down to the minimum', async () => {
    const pool = open({ maxIdleTime: 0.05, minSize: 1 }, probes());
    await pool.start();
    const probes_ = [await pool.acquire(), await pool.acquire(), await pool.acquire()];
    for (const probe of probes_) await pool.release(probe!);
    await eventually(() => pool.stats().poolSize === 1 && pool.stats().totalConnections === 1);
    assert.equal(probes_.filter((probe) => probe?.disconnected === 1).length, 2);
  });

  test('a connection that was free for a while is checked before it is lent', async () => {
    const pool = open({}, probes());
    const first = await pool.acquire();
    await pool.release(first!);
    first!.healthy = false;
    const released = performance.now();
    await eventually(() => performance.now() - released > 505);
    const second = await pool.acquire();
    assert.notEqual(second, first);
    assert.deepEqual([first!.checks, first!.disconnected], [1, 1]);
  });

  test('free connections are checked every healthCheckInterval, and the minimum is restored', async () => {
    const pool = open({ minSize: 1, healthCheckInterval: 0.02 }, probes());
    const lent = await pool.acquire();
    await pool.start();
    await pool.release(lent!);
    await eventually(() => Probe.made[0]!.checks > 1);
    Probe.made[0]!.healthy = false;
    await eventually(() => Probe.made[0]!.disconnected === 1);
    await eventually(() => pool.stats().poolSize >= 1);
    assert.notEqual(await pool.acquire(), Probe.made[0]);
  });

  test('free connections that are no longer open are removed every cleanupInterval', async () => {
    const pool = open({ cleanupInterval: 0.02 }, probes());
    await pool.start();
    const probe = await pool.acquire();
    probe!.open = false;
    await pool.release(probe!);
    await eventually(() => probe!.disconnected === 1);
    assert.equal(probe!.checks, 0);
  });

  test('a connection that says it is not usable is not kept', async () => {
    const pool = open({}, () => ({ state: 'connected', disconnected: false, disconnect: function () {} }));
    const first = await pool.acquire();
    first!.state = 'error';
    assert.equal(await pool.release(first!), true);
    assert.notEqual(await pool.acquire(), first);
  });

  test('releaseTimeout bounds a disconnect that never ends', async () => {
    const pool = open({ releaseTimeout: 0.05 }, () => ({ disconnect: () => new Promise(() => undefined) }));
    await pool.acquire();
    const started = performance.now();
    await pool.stop();
    assert.ok(performance.now() - started < 200 + SLACK_MS);
  });

  test('stop disconnects what is lent, gives null to those who wait, and can be followed by a start', async () => {
    const pool = open({ maxSize: 1, minSize: 1 }, probes());
    await pool.start();
    const probe = await pool.acquire();
    const waiting = pool.acquire();
    await eventually(() => pool.stats().waiting === 1);
    await Promise.all([pool.stop(), pool.stop()]);
    assert.equal(await waiting, null);
    assert.equal(probe!.disconnected, 1);
    assert.equal(await pool.release(probe!), false);
    assert.equal(await pool.acquire(), null);
    await assert.rejects(
      pool.use(() => 1),
      { kind: 'closed' },
    );
    assert.equal(pool.stats().totalConnections, 0);
    await pool.start();
    assert.equal(pool.stats().poolSize, 1);
    assert.notEqual(await pool.acquire(), probe);
  });

  test('what is being made when the pool stops is let go of, also after another start', async () => {
    const resolvers: ((probe: Probe) => void)[] = [];
    const pool = open({ maxSize: 1 }, () => new Promise<Probe>((resolve) => resolvers.push(resolve)));
    const waiting = pool.acquire();
    await eventually(() => resolvers.length === 1);
    await pool.stop();
    assert.equal(await waiting, null);
    await pool.start();
    const next = pool.acquire();
    await eventually(() => resolvers.length === 2);
    const [old, fresh] = [new Probe(), new Probe()];
    resolvers[0]!(old);
    await eventually(() => old.disconnected === 1);
    resolvers[1]!(fresh);
    assert.equal(await next, fresh);
  });

  test('the factory is handed the third argument, else what the environment says of all connections', async () => {
    const connection = { url: 'http://localhost', timeout: 5 };
    const told = await open({}, probes(), connection).acquire();
    assert.deepEqual(told?.config, connection);
    const pool = new ConnectionPool({}, probes());
    pools.push(pool);
    const { timeout, retryCount } = (await pool.acquire())?.config as Record<string, unknown>;
    assert.deepEqual([timeout, retryCount], [30_000, 3]);
  });

  test('four of the options are enough; the others have defaults', () => {
    const pool = open({ maxSize: 8, minSize: 1, maxIdleTime: 60, acquireTimeout: 5 }, probes());
    assert.deepEqual(pool.options(), {
      maxSize: 8,
      minSize: 1,
      maxIdleTimeMs: 60_000,
      acquireTimeoutMs: 5000,
      releaseTimeoutMs: 5000,
      connectTimeoutMs: 30_000,
      healthCheckIntervalMs: 60_000,
      cleanupIntervalMs: 120_000,
      maxLifetimeMs: 1_800_000,
      leakAfterMs: 30_000,
    });
    const { maxIdleTimeMs, acquireTimeoutMs, maxSize } = open({ maxIdleTime: Infinity }, probes()).options();
    assert.deepEqual([maxIdleTimeMs, acquireTimeoutMs, maxSize], [Infinity, 10_000, 10]);
    assert.equal(open({}, probes(), { maxConnections: 3 }).options()['maxSize'], 3);
    assert.match(inspect(pool), /^ConnectionPool \{[^]*maxSize: 8/);
  });

  test('refuses what cannot be right', async () => {
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
        () => new ConnectionPool(config, probes()),
        (error) => message.test(String(error)),
      );
    }
    assert.throws(() => new ConnectionPool({}, undefined as never), /^TypeError: factory must be a function/);
    await assert.rejects(open({}, probes()).acquire(-1), /^RangeError: timeoutSeconds must be/);
  });

  test('a connection held too long is reported with its borrower', async () => {
    const records: LogRecord[] = [];
    setLogger({ warn: (record) => records.push(record) });
    const pool = open({ leakAfter: 0.3 }, probes());
    const leaks = heard(pool, 'leak');
    const probe = await pool.acquire();
    await eventually(() => leaks.length === 1);
    assert.equal(leaks[0]!['connection'], probe);
    assert.match(String(leaks[0]!['stack']), /connection-pool\.test/);
    assert.equal(records[0]?.event, 'pool.leak');
  });

  test('tells of its life', async () => {
    const told: string[] = [];
    const pool = open({}, probes());
    for (const event of ['create', 'acquire', 'release', 'drain', 'destroy', 'close'] as const) {
      pool.on(event, (facts) => told.push(`${event} ${String('connection' in facts)}`));
    }
    const probe = await pool.acquire();
    await pool.release(probe!);
    await pool.stop();
    assert.deepEqual(told, [
      ...['create true', 'acquire true', 'release true', 'drain false', 'destroy true', 'close false'],
    ]);
  });

  test('await using stops it', async () => {
    Probe.made = [];
    {
      await using pool = new ConnectionPool({}, probes());
      await pool.acquire();
    }
    assert.equal(Probe.made[0]?.disconnected, 1);
  });

  for (const [what, code] of [
    ['an idle pool', 'pool.start().then(() => pool.acquire()).then((one) => pool.release(one))'],
    ['a pool with something lent', 'pool.start().then(() => pool.acquire())'],
    ['a stopped pool', 'pool.start().then(() => pool.stop())'],
  ]) {
    test(`${what} does not keep the process alive`, () => {
      const script = `
        const { ConnectionPool } = require(${JSON.stringify(dist)});
        const config = { minSize: 1, healthCheckInterval: 1, cleanupInterval: 1 };
        const pool = new ConnectionPool(config, () => ({ disconnect() {} }));
        ${code}.then(() => console.log('done'));`;
      const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
      assert.deepEqual([stdout.trim(), status], ['done', 0]);
    });
  }
});
