// Times near and above what a timer of Node's can count to.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  BaseConnection,
  CircuitBreaker,
  ConnectionManager,
  ExponentialBackoffRetry,
  HealthMonitor,
  HTTPConnection,
  NixtlaClient,
  Policy,
  TursoPool,
  WebhookVerifier,
  type ConnectionConfig,
} from 'moorline';
import { createClient } from 'moorline/libsql';

import { closeAfter } from '../support/connections';
import { serve } from '../support/http';
import { runScript } from '../support/script';

const LONGEST = 2 ** 31 - 1;
const MONTH = 30 * 86_400_000;

class Quiet extends BaseConnection {
  protected override async sendImpl() {}
  protected override async receiveImpl() {}
}

test('checks of the longest interval wait for it, whatever is added to it at random', async () => {
  const { stdout, stderr, code } = await runScript(`
    const { HealthMonitor } = require('moorline');
    let runs = 0;
    for (let number = 0; number < 20; number++) {
      const monitor = new HealthMonitor();
      monitor.register('often', () => { runs += 1; return true; }, { intervalMs: ${LONGEST} });
      monitor.start();
    }
    let turns = 0;
    const alive = setInterval(() => {
      if (runs < 20 || ++turns < 20) return;
      clearInterval(alive);
      console.log('ran', runs);
    }, 1);`);
  assert.deepEqual({ stdout, stderr, code }, { stdout: 'ran 20\n', stderr: '', code: 0 });
});

describe('a connection', () => {
  const longest: ConnectionConfig[] = [
    { healthCheckTimeout: MONTH, healthCheckInterval: MONTH },
    { timeout: MONTH, keepAlive: MONTH, retryDelay: MONTH, circuitBreakerTimeout: MONTH, rateLimitWindow: MONTH },
    { healthCheckTimeout: LONGEST },
    { healthCheckTimeout: LONGEST, healthCheckInterval: LONGEST },
    { healthCheckTimeout: Infinity },
    { timeout: LONGEST, keepAlive: LONGEST, retryDelay: LONGEST },
  ];
  for (const options of longest) {
    test(`with ${inspect(options)} connects`, async () => {
      const connection = new Quiet(options);
      assert.equal(await connection.connect(), true);
      assert.equal((await connection.healthCheck()).isHealthy, true);
      assert.equal(await connection.disconnect(), true);
    });
  }
});

describe('a manager', () => {
  for (const healthCheckIntervalMs of [0, -1, NaN, '5']) {
    test(`refuses an interval of ${healthCheckIntervalMs} at once`, () => {
      assert.throws(() => new ConnectionManager({ healthCheckIntervalMs: healthCheckIntervalMs as number }), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `options.healthCheckIntervalMs must be ≥ 1, or Infinity, got ${healthCheckIntervalMs}`,
      });
    });
  }

  for (const healthCheckIntervalMs of [LONGEST, MONTH, Number.MAX_VALUE, Infinity]) {
    test(`starts with an interval of ${healthCheckIntervalMs}`, async () => {
      const manager = new ConnectionManager({ healthCheckIntervalMs });
      await manager.start();
      await manager.stop();
    });
  }
});

describe('a time of a month', () => {
  const takes: [what: string, make: () => unknown][] = [
    ['a policy', () => new Policy({ timeoutMs: MONTH, attemptTimeoutMs: MONTH, retry: { maxRetryAfterMs: MONTH } })],
    ['a breaker', () => new CircuitBreaker('month', { resetTimeoutMs: MONTH })],
    ['a retry strategy', () => new ExponentialBackoffRetry(2, MONTH / 1000)],
    ['a pool', () => new TursoPool({ url: ':memory:', maxLifetimeMs: MONTH, busyTimeoutMs: MONTH })],
    ['a health monitor', () => new HealthMonitor({ intervalMs: MONTH, timeoutMs: MONTH })],
    ['a webhook verifier', () => new WebhookVerifier({ secret: 'secret', maxAgeMs: MONTH, toleranceMs: MONTH })],
    ['a client', () => new NixtlaClient({ apiKey: 'key', timeout: MONTH, modelParamsTtlMs: MONTH })],
  ];
  for (const [what, make] of takes) test(`is taken by ${what}`, () => assert.doesNotThrow(make));

  test('bounds a call', async () => {
    const policy = new Policy({ timeoutMs: MONTH, attemptTimeoutMs: MONTH, bulkhead: { maxConcurrent: 1 } });
    assert.deepEqual(await Promise.all([policy.run(() => 1), policy.run(async () => 2)]), [1, 2]);
    const { signal } = new AbortController();
    assert.equal(await policy.run(async () => 3, { signal }), 3);
    const db = createClient({ url: ':memory:', timeout: MONTH, queryTimeoutMs: Number.MAX_VALUE });
    await db.executeMultiple('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    assert.equal((await db.execute('SELECT a FROM t')).rows[0]?.['a'], 1);
    db.close();
  });

  test('bounds a health check, and what is no time is named as what it is', async (t) => {
    const server = await serve((_, response) => response.end());
    t.after(() => server.close());
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
    assert.equal((await connection.healthCheck(MONTH)).isHealthy, true);
    assert.equal((await connection.healthCheck(0)).errorMessage, 'timeoutMs must be ≥ 1, got 0');
  });
});

test('a number that is no time is refused as JavaScript writes it', () => {
  const refused = (make: () => unknown, message: string) =>
    assert.throws(make, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message });
  refused(
    () => new Policy({ retry: { maxRetryAfterMs: Infinity } }),
    'options.retry.maxRetryAfterMs must be ≥ 0 and finite, got Infinity',
  );
  refused(() => new Policy({ timeoutMs: -Infinity }), 'options.timeoutMs must be ≥ 1, got -Infinity');
  refused(() => new Policy({ timeoutMs: NaN }), 'options.timeoutMs must be ≥ 1, got NaN');
  refused(
    () => new Policy({ bulkhead: { maxQueue: 5e9 } }),
    'options.bulkhead.maxQueue must be between 0 and 4294967295, got 5000000000',
  );
});

test('a timer waits for longer than one of Node can, is one timer all the while, and can be stopped', async () => {
  // Time passes a hundred million times as fast.
  const { stdout, stderr, code } = await runScript(`
    const start = globalThis.setTimeout, asked = [];
    globalThis.setTimeout = (ring, ms, ...rest) => (asked.push(ms), start(ring, ms / 1e8, ...rest));
    const { Policy, setLogger } = require('moorline');
    setLogger({});
    const { startTimer } = require('./dist/runtime/timers.js');
    const began = performance.now(), longest = ${LONGEST};
    const stopped = startTimer(() => console.log('never'), 9 * longest);
    const unheard = startTimer(() => console.log('never'), Infinity).unref();
    startTimer(() => {
      const waited = performance.now() - began;
      clearTimeout(stopped);
      console.log('rang', waited >= 3 * longest / 1e8, asked.length, Math.max(...asked) <= longest);
    }, 3.5 * longest);`);
  assert.deepEqual({ stdout, stderr, code }, { stdout: 'rang true 3 true\n', stderr: '', code: 0 });
});
