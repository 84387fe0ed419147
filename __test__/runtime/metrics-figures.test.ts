// metricsText: after a known number of calls every value is right, and every metric is in docs/metrics.md.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  CircuitBreaker,
  ConnectionPool,
  HealthMonitor,
  HTTPConnection,
  metricsText,
  Policy,
  PostgresConnectionManager,
  SSEConnection,
  SSHTunnel,
  TursoPool,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, captureLogs, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { parse, valueOf } from '../support/exposition';
import { type RunningServer, serve } from '../support/http';
import { peersMissing } from '../support/peers';
import { root } from '../support/paths';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSshd, Sshd } from '../support/sshd';

/** A reader of the metrics with a prefix and with these labels. */
const figures =
  (prefix: string, labels: Record<string, string>) =>
  (metric: string, more: Record<string, string> = {}) =>
    valueOf(metricsText(), `moorline_${prefix}_${metric}`, { ...labels, ...more });

let server: RunningServer;
let flaky = 0;
before(async () => {
  server = await serve((request, response) => {
    request.resume();
    const status = { '/ok': 200, '/bad': 500, '/none': 404, '/busy': 429 }[request.url!];
    if (request.url === '/flaky') response.writeHead((flaky += 1) % 2 === 1 ? 503 : 200).end();
    else if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: é\n\ndata: two\n\n');
    }
    // `/slow` is never answered.
    else if (status !== undefined) response.writeHead(status).end();
  });
});
after(() => server.close());

/** Requests `path` as often as `times` says. */
async function requestRepeatedly(connection: HTTPConnection, path: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await connection.request({ url: path });
}

describe('an HTTPConnection', () => {
  test('counts requests and attempts by outcome and status, as its breaker does', async (t) => {
    const name = 'figures "http"\\\n';
    const config = { name, url: server.url, retryCount: 1, retryDelay: 1 };
    const connection = closeAfter(t, new HTTPConnection(config));
    await requestRepeatedly(connection, '/ok', 3);
    await requestRepeatedly(connection, '/bad', 2);
    await requestRepeatedly(connection, '/flaky', 1);
    await requestRepeatedly(connection, '/none', 1);
    await requestRepeatedly(connection, '/busy', 1);
    await assert.rejects(connection.request({ method: 'POST', url: '/slow', timeoutMs: 60 }), { kind: 'timeout' });
    await assert.rejects(connection.request({ method: 'POST', url: '/ok', body: () => 1 }), TypeError);
    await assert.rejects(connection.request({ url: '/slow' }, { signal: AbortSignal.timeout(20) }));

    const value = figures('connection', { connection: name, type: 'http' });
    const by = (metric: string) => (outcome: string, status: string) => value(metric, { outcome, status });
    const [requests, attempts] = [by('requests_total'), by('attempts_total')];
    assert.deepEqual([requests('success', '200'), requests('success', '404'), requests('success', '')], [4, 1, 0]);
    assert.deepEqual([requests('failure', '500'), requests('failure', '429'), requests('failure', '')], [2, 1, 1]);
    assert.equal(requests('failure', '503'), undefined, 'the last answer counts');
    assert.deepEqual([attempts('success', '200'), attempts('success', '404')], [4, 1]);
    assert.deepEqual([attempts('failure', '500'), attempts('failure', '503')], [4, 1]);
    assert.deepEqual([attempts('failure', '429'), attempts('failure', '')], [2, 1]);

    assert.deepEqual([value('request_duration_seconds_count'), value('attempt_duration_seconds_count')], [9, 13]);
    assert.ok(value('attempt_duration_seconds_sum')! <= value('request_duration_seconds_sum')!);

    const { requestCount, errorCount, errorRate, uptime } = connection.getMetrics();
    assert.deepEqual([requestCount, errorCount], [9, 4]);
    assert.ok(Math.abs(errorRate - 400 / 9) < 1e-9 && Math.abs(uptime - 500 / 9) < 1e-9);
    const { metrics } = connection.getStatus();
    assert.deepEqual([metrics.totalAttempts, metrics.totalRequests, metrics.successCount], [13, 9, 5]);
    assert.ok(metrics.responseTime <= metrics.requestTime);
    const breaker = CircuitBreaker.all().find((one) => one.name.startsWith(name));
    assert.deepEqual([breaker?.totalSuccesses, breaker?.totalFailures], [5, 4]);
    const breakerOf = figures('circuit_breaker', { breaker: name });
    assert.deepEqual([breakerOf('successes_total'), breakerOf('failures_total')], [5, 4]);
  });

  test('measures attempts, and calls with their pauses', async (t) => {
    const config = { name: 'figures pauses', url: server.url, retryCount: 1, retryDelay: 300, backoffMultiplier: 1 };
    const connection = closeAfter(t, new HTTPConnection(config));
    const metricsEvents: unknown[] = [];
    connection.onEvent(({ eventType, data }) => eventType === 'metrics' && metricsEvents.push(data));
    // The jitter may make a pause short.
    let longest = 0;
    for (let n = 0; n < 20 && longest < 100; n++) {
      const started = performance.now();
      await requestRepeatedly(connection, '/flaky', 1);
      longest = performance.now() - started;
    }
    const { requestTime, responseTime, latency } = connection.getStatus().metrics;
    const pauses = requestTime - 2 * responseTime;
    assert.ok(pauses > 0, `${requestTime} ms with pauses, attempts of ${responseTime} ms`);
    assert.ok(latency < requestTime);
    const { response_time, request_time } = metricsEvents.at(-1) as Record<string, number>;
    assert.ok(response_time! < request_time!);
  });

  test('exposes its connections as a pool, and the counters also after they are closed', async () => {
    const connection = new HTTPConnection({ name: 'figures sockets', url: server.url, retryCount: 0 });
    const value = figures('pool', { pool: 'figures sockets', type: 'http' });
    const slow = ['a', 'b'].map(() => connection.request({ url: '/slow' }).catch(() => undefined));
    await eventually(() => value('connections', { state: 'in-use' }) === 2);
    await requestRepeatedly(connection, '/ok', 3);
    assert.deepEqual([value('acquired_total'), value('created_total'), value('waiting')], [5, 3, 0]);
    await eventually(() => value('connections', { state: 'idle' }) === 1);
    await connection.disconnect();
    await Promise.all(slow);
    await eventually(() => value('closed_total') === 3 && value('connections') === undefined);
    assert.deepEqual([value('acquired_total'), value('max_connections'), value('waiting')], [5, undefined, undefined]);
  });

  test('without monitoring is not exposed', async (t) => {
    const connection = closeAfter(
      t,
      new HTTPConnection({ name: 'figures of nobody', url: server.url, monitoring: false }),
    );
    await requestRepeatedly(connection, '/ok', 1);
    assert.equal(connection.getMetrics().requestCount, 1);
    const shown = [...parse(metricsText())].filter(([family]) => !family.startsWith('moorline_circuit_breaker_'));
    for (const [, { samples }] of shown) {
      for (const { labels } of samples) assert.ok(!Object.values(labels).includes('figures of nobody'));
    }
  });
});

test('a WebSocketConnection counts the messages and bytes of both directions', { skip: peersMissing() }, async (t) => {
  const sockets = await socketServer();
  t.after(() => sockets.close());
  const connection = closeAfter(t, new WebSocketConnection({ name: 'figures ws', url: sockets.url }));
  await connection.connect();
  for (const message of ['é', 'two', Buffer.from([1, 2, 3, 4])]) {
    assert.equal(await connection.send(message), true);
    assert.ok(await connection.receive());
  }
  const value = figures('connection', { connection: 'figures ws', type: 'websocket' });
  for (const direction of ['sent', 'received']) {
    assert.deepEqual([value('messages_total', { direction }), value('bytes_total', { direction })], [3, 9], direction);
  }
  assert.deepEqual([value('requests_total', { outcome: 'success' }), value('attempts_total')], [3, 3]);
  assert.equal(connection.getMetrics().requestCount, 3, 'what came was not asked for');
  assert.equal(connection.getStatus().metrics.bandwidth, 18 / 60);
});

test('an SSEConnection counts received events', async (t) => {
  const connection = closeAfter(t, new SSEConnection({ name: 'figures sse', url: `${server.url}/events` }));
  await connection.connect();
  assert.deepEqual([(await connection.receive())?.data, (await connection.receive())?.data], ['é', 'two']);
  const value = figures('connection', { connection: 'figures sse', type: 'sse' });
  const direction = 'received';
  assert.deepEqual([value('messages_total', { direction }), value('bytes_total', { direction })], [2, 5]);
});

describe('a pool', () => {
  test('of libSQL counts acquired connections and waiters', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-figures-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const url = `file:${join(directory, 'a.db')}`;
    const pool = new TursoPool({ url, poolSize: 2, connectionTimeoutMs: 2000 });
    const value = figures('pool', { pool: url, type: 'libsql' });
    for (let n = 0; n < 5; n++) await pool.execute('SELECT 1');
    assert.deepEqual([value('acquired_total'), value('created_total')], [5, 1]);
    const held = [await pool.getConnection(), await pool.getConnection()];
    const late = assert.rejects(pool.getConnection(), { kind: 'pool-timeout' });
    await eventually(() => value('waiting') === 1);
    assert.equal(value('connections', { state: 'in-use' }), 2);
    await late;
    assert.deepEqual([value('waiting'), value('acquire_timeouts_total'), value('max_connections')], [0, 1, 2]);
    for (const client of held) pool.releaseConnection(client);
    const { total, inUse, available } = pool.getStats();
    assert.deepEqual([total, inUse, available], [2, 0, value('connections', { state: 'idle' })]);
    await pool.drain();
    assert.deepEqual([value('acquired_total'), value('closed_total'), value('connections')], [7, 2, undefined]);
    assert.equal(value('wait_seconds_count'), 7);
  });

  test('of your own shows the same under the name of its connections', async (t) => {
    captureLogs(t);
    let fails = true;
    const factory = () => {
      if (fails) throw new Error('not yet');
      return {};
    };
    const config = { maxSize: 3, acquireTimeout: 0.2, leakAfter: 0.05 };
    const pool = new ConnectionPool(config, factory, { name: 'figures pool', url: server.url });
    t.after(() => pool.stop());
    const value = figures('pool', { pool: 'figures pool', type: 'connection' });
    pool.on('error', () => undefined);
    assert.equal(await pool.acquire(), null);
    assert.ok(value('create_failures_total')! >= 1);
    fails = false;
    const [first, second] = [await pool.acquire(5), await pool.acquire(5)];
    assert.ok(first && second);
    await eventually(() => value('leaks_total') === 2);
    assert.deepEqual([value('acquired_total'), value('created_total')], [2, 2]);
    await pool.release(first);
    assert.deepEqual([value('connections', { state: 'in-use' }), value('connections', { state: 'idle' })], [1, 1]);
    await pool.release(second);
  });
});

test('a health check shows its status, what its runs found and how long they took', async () => {
  const monitor = new HealthMonitor({ fall: 2, timeoutMs: 30 });
  let answer: unknown = true;
  monitor.register('figures check', () => answer);
  await monitor.check('figures check');
  answer = { statusCode: 503 };
  await monitor.check('figures check');
  const value = figures('health', { check: 'figures check' });
  const runs = (status: string) => value('check_runs_total', { status });
  assert.equal(value('checks', { status: 'healthy' }), 1, 'one failure does not make it fall');
  answer = new Promise(() => undefined);
  await monitor.check('figures check');
  answer = { status: 'degraded' };
  assert.deepEqual([value('checks', { status: 'healthy' }), value('checks', { status: 'unhealthy' })], [0, 1]);
  await monitor.check('figures check');
  assert.deepEqual([runs('healthy'), runs('degraded'), runs('unhealthy')], [1, 1, 2]);
  assert.equal(value('check_duration_seconds_count'), 4);
  monitor.unregister('figures check');
  assert.deepEqual([value('checks'), runs('unhealthy')], [undefined, 2], 'what is gone is in no status');
});

describe('a policy', () => {
  const broken = () => Promise.reject(new Error('no'));

  test('shows calls, attempts and retries', async () => {
    const policy = new Policy({ name: 'figures retry', retry: { maxRetries: 2, baseDelayMs: 1, budget: false } });
    const value = figures('policy', { policy: 'figures retry' });
    await policy.run(() => 1);
    await assert.rejects(policy.run(broken));
    await policy.run(({ attempt }) => (attempt === 1 ? broken() : 1));
    await assert.rejects(policy.run(() => sleep(60_000, 0, { ref: false }), { signal: AbortSignal.timeout(10) }));
    const calls = (outcome: string) => value('calls_total', { outcome });
    assert.deepEqual([calls('success'), calls('failure'), calls('cancelled')], [2, 1, 1]);
    assert.deepEqual([value('attempts_total'), value('retries_total'), value('refusals_total')], [7, 3, 0]);
  });

  test('shows attempts that took too long', async () => {
    const policy = new Policy({ name: 'figures timeout', attemptTimeoutMs: 20 });
    await assert.rejects(
      policy.run(() => sleep(60_000, 0, { ref: false })),
      { kind: 'timeout' },
    );
    const value = figures('policy', { policy: 'figures timeout' });
    assert.deepEqual([value('attempt_timeouts_total'), value('calls_total', { outcome: 'failure' })], [1, 1]);
  });

  test('shows what it refused, by the reason', async () => {
    const refusals = (policy: string, reason: string) => figures('policy', { policy })('refusals_total', { reason });
    const full = new Policy({ name: 'figures full', bulkhead: { maxConcurrent: 1, maxQueue: 0 } });
    let release!: () => void;
    const running = full.run(() => new Promise<void>((resolve) => (release = resolve)));
    await assert.rejects(
      full.run(() => 1),
      { kind: 'overloaded' },
    );
    release();
    await running;
    assert.equal(refusals('figures full', 'overloaded'), 1);

    const open = new Policy({ name: 'figures open', breaker: { failMax: 1 } });
    await assert.rejects(open.run(broken));
    for (let n = 0; n < 3; n++) await assert.rejects(open.run(broken), { kind: 'circuit-open' });
    assert.deepEqual([refusals('figures open', 'circuit-open'), refusals('figures open', 'overloaded')], [3, 0]);
    const breaker = figures('circuit_breaker', { breaker: 'figures open' });
    assert.deepEqual([breaker('refused_total'), breaker('failures_total')], [3, 1]);
    assert.deepEqual([breaker('state', { state: 'open' }), breaker('state_changes_total')], [1, 1]);

    const limited = new Policy({ name: 'figures limited', rateLimit: { max: 1, windowMs: 60_000, maxQueue: 0 } });
    await limited.run(() => 1);
    await assert.rejects(
      limited.run(() => 1),
      { kind: 'rate-limited' },
    );
    assert.equal(refusals('figures limited', 'rate-limited'), 1);
  });
});

test(
  'every metric stands in the guide, with its type and its labels',
  { skip: peersMissing() || skipWithoutSshd() || skipWithoutPostgres() },
  async (t) => {
    // Gauges are exposed only while their object exists.
    const connection = closeAfter(t, new HTTPConnection({ name: 'figures shown', url: server.url }));
    await connection.connect();
    await requestRepeatedly(connection, '/ok', 1);
    const monitor = new HealthMonitor();
    monitor.register('figures shown', () => true);
    await monitor.checkAll();
    t.after(() => monitor.stop());
    const sshd = await Sshd.start();
    const tunnel = new SSHTunnel(sshd.config);
    t.after(async () => (await tunnel.disconnect(), await sshd.stop()));
    await tunnel.connect();
    await tunnel.healthCheck();
    const postgres = await Postgres.start();
    const manager = new PostgresConnectionManager({ ...postgres.config, tunnel: false, connectionLog: true });
    t.after(async () => (await manager.shutdown(0), await postgres.stop()));
    await manager.query('SELECT 1');
    const guide = readFileSync(join(root, 'docs', 'metrics.md'), 'utf8');
    const rows = [...guide.matchAll(/^\| `((?:moorline|db_client)_\w+)` \| (\w+) \| (.*?) \|/gm)];
    const documented = rows.map(([, name, type, labels]) => [name, type, labels!.replaceAll('`', '')]);
    const shown = [...parse(metricsText())].map(([name, { type, samples }]) => {
      const labels = Object.keys(samples[0]!.labels).filter((label) => label !== 'le');
      return [name, type, labels.join(', ')];
    });
    assert.deepEqual(shown.sort(), documented.sort());
  },
);
