// metricsText over time: what is closed, or collected, is in no gauge any more, what it counted stays, and ids as names do
// not make the page grow for ever.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import {
  CircuitBreaker,
  ConnectionMetricsTracker,
  ConnectionPool,
  HealthMonitor,
  HTTPConnection,
  metricsText,
  Policy,
  TursoPool,
} from 'moorline';

import { eventually } from '../support/eventually';
import { type Family, parse, valueOf } from '../support/exposition';
import { type RunningServer, serve } from '../support/http';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What a metric shows under a name; nothing where no row has it. */
const shown = (metric: string, labels: Record<string, string>) => valueOf(metricsText(), `moorline_${metric}`, labels);

let server: RunningServer;
before(async () => {
  server = await serve((request, response) => response.writeHead(request.url === '/bad' ? 500 : 200).end());
});
after(() => server.close());

describe('a circuit breaker of a connection', () => {
  const name = 'lifetimes breaker';
  const of = (metric: string, more = {}) => shown(`circuit_breaker_${metric}`, { breaker: name, ...more });

  /** A connection whose breaker has opened, and has refused one call. */
  const open = async () => {
    const config = { name, url: server.url, retryCount: 0, circuitBreakerThreshold: 2, healthCheckInterval: Infinity };
    const connection = new HTTPConnection(config);
    for (let n = 0; n < 2; n++) await connection.request({ url: '/bad' });
    await assert.rejects(connection.request({ url: '/bad' }), { kind: 'circuit-open' });
    return connection;
  };

  test('is counted under the name of its connection, and leaves its state with it', async () => {
    let connections: unknown[] = [await open(), await open(), await open()];
    assert.deepEqual([of('failures_total'), of('refused_total'), of('state_changes_total')], [6, 3, 3]);
    assert.deepEqual([of('state', { state: 'open' }), of('state', { state: 'closed' })], [3, 0]);
    const names = CircuitBreaker.all().filter((one) => one.name.startsWith(`${name}-`));
    assert.equal(names.length, connections.length, 'each is told apart where they are listed');
    connections = [];
    await eventually(() => (collect(), of('state') === undefined), 30_000);
    assert.deepEqual([of('failures_total'), of('refused_total'), of('state_changes_total')], [6, 3, 3]);
  });

  test('whose connection nobody looked at is counted all the same', async () => {
    const before = of('failures_total') ?? 0;
    await open();
    await eventually(() => {
      collect();
      return CircuitBreaker.all().every((one) => !one.name.startsWith(`${name}-`));
    }, 30_000);
    assert.equal(of('failures_total'), before + 2);
  });
});

describe('a pool', () => {
  test('of libSQL that was drained is in no gauge, although somebody has it', async () => {
    const pool = new TursoPool({ url: ':memory:' });
    const of = (metric: string) => shown(`pool_${metric}`, { type: 'libsql' });
    const before = of('acquired_total') ?? 0;
    await pool.execute('SELECT 1');
    assert.ok(of('max_connections')! > 0);
    await pool.drain();
    const gauges = ['connections', 'max_connections', 'waiting'].map(of);
    assert.deepEqual(gauges, [undefined, undefined, undefined]);
    assert.equal(of('acquired_total'), before + 1);
    assert.equal(pool.getStats().total, 0);
  });

  test('of your own that was stopped is in no gauge until it is started again', async () => {
    const config = { name: 'lifetimes pool', url: server.url };
    const pool = new ConnectionPool({ maxSize: 3 }, () => ({}), config);
    const of = (metric: string) => shown(`pool_${metric}`, { pool: 'lifetimes pool', type: 'connection' });
    for (const turn of [1, 2]) {
      await pool.start();
      await pool.release((await pool.acquire())!);
      assert.deepEqual([of('max_connections'), of('connections'), of('acquired_total')], [3, 1, turn]);
      await pool.stop();
      assert.deepEqual([of('max_connections'), of('connections'), of('acquired_total')], [undefined, undefined, turn]);
    }
  });
});

describe('a health check', () => {
  const of = (metric: string, check: string) => shown(metric, { check });

  test('is in no status when its monitor was stopped, until it runs again', async () => {
    const monitor = new HealthMonitor();
    monitor.register('lifetimes check', () => false);
    await monitor.checkAll();
    assert.equal(of('health_checks', 'lifetimes check'), 1);
    monitor.stop();
    assert.equal(of('health_checks', 'lifetimes check'), undefined);
    assert.equal(of('health_check_runs_total', 'lifetimes check'), 1);
    await monitor.checkAll();
    assert.equal(of('health_checks', 'lifetimes check'), 1);
    assert.equal(of('health_check_runs_total', 'lifetimes check'), 2);
    monitor.clear();
  });

  test('is in no status when its monitor was collected', async () => {
    const check = async () => {
      const monitor = new HealthMonitor();
      monitor.register('lifetimes lost', () => true);
      await monitor.checkAll();
    };
    await check();
    await eventually(() => (collect(), of('health_checks', 'lifetimes lost') === undefined), 30_000);
    assert.equal(of('health_check_runs_total', 'lifetimes lost'), 1);
  });
});

describe('ten thousand things with ids for names', () => {
  /** Of each of the six kinds. */
  const THINGS = 1_700;
  /** So many names are told apart, and there is one row for all others. */
  const NAMES = 1_001;

  const lives: Record<string, (id: number) => unknown> = {
    connections: async (id) => {
      const connection = new HTTPConnection({ name: `id-${id}`, url: server.url });
      await connection.connect();
      await connection.disconnect();
    },
    pools: async (id) => {
      const pool = new ConnectionPool({}, () => ({}), { name: `id-${id}`, url: server.url });
      await pool.release((await pool.acquire())!);
      await pool.stop();
    },
    checks: async (id) => {
      const monitor = new HealthMonitor();
      monitor.register(`id-${id}`, () => true);
      await monitor.checkAll();
      monitor.stop();
    },
    breakers: (id) => new CircuitBreaker(`id-${id}`).run(() => id),
    policies: (id) => new Policy({ name: `id-${id}`, retry: {} }).run(() => id),
    trackers: (id) => new ConnectionMetricsTracker().record(1, true, `id-${id}`),
  };

  /** The largest number of rows that one name has in a family. */
  const rowsOfAName = (samples: Family['samples']) => {
    const counts = new Map<string, number>();
    for (const { labels } of samples) {
      const [name] = Object.values(labels);
      counts.set(name!, (counts.get(name!) ?? 0) + 1);
    }
    return { names: counts.size, most: Math.max(...counts.values()) };
  };

  test('leave bounded rows, no gauge, no breaker that nobody needs, and little memory', async (t) => {
    const live = async (from: number, to: number) => {
      for (let id = from; id < to; id += 50) {
        const ids = Array.from({ length: 50 }, (_, more) => id + more);
        await Promise.all(ids.flatMap((one) => Object.values(lives).map((begin) => begin(one))));
      }
    };
    // The names that are told apart, and what the allocator keeps.
    await live(0, NAMES);
    collect();
    const before = process.memoryUsage.rss();
    await live(NAMES, THINGS);
    await eventually(() => {
      collect();
      return [...parse(metricsText())].every(
        ([, { type, samples }]) =>
          type !== 'gauge' || samples.every(({ labels }) => Object.keys(labels)[0] === 'breaker'),
      );
    }, 60_000);
    const grown = process.memoryUsage.rss() - before;
    t.diagnostic(`${grown} bytes more after ${6 * (THINGS - NAMES)} lives`);
    assert.ok(grown < 64 * 2 ** 20, `${grown} bytes more`);

    const page = metricsText();
    t.diagnostic(`${page.length} characters`);
    for (const [family, { samples }] of parse(page)) {
      const { names, most } = rowsOfAName(samples);
      assert.ok(names <= NAMES && most <= 18, `${family}: ${names} names, ${most} rows for one of them`);
    }
    const listed = CircuitBreaker.all().filter((one) => /^id-\d+$/.test(one.name)).length;
    assert.ok(listed <= NAMES, `${listed} breakers`);
    const successes = parse(page).get('moorline_circuit_breaker_successes_total')!.samples;
    const all = successes.reduce((sum, { value }) => sum + value, 0);
    assert.ok(all >= THINGS, `${all} successes, those of breakers that are gone included`);
    const calls = successes.filter(({ labels }) => labels['breaker'] === 'other');
    assert.ok(calls[0]!.value >= THINGS - NAMES, 'all further names are one');
  });
});
