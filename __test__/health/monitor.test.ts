// HealthMonitor: what checkers may answer, what options do, what is told.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  getHealthMonitor,
  HealthMonitor,
  resetHealthMonitor,
  setLogger,
  type HealthStatus,
  type LogRecord,
  type MoorlineEvent,
} from 'moorline';

import { listen } from '../support/ports';

let warnings: LogRecord[];

beforeEach(() => {
  warnings = [];
  setLogger({ warn: (record) => warnings.push(record) });
});

afterEach(() => {
  setLogger(undefined);
  resetHealthMonitor();
});

describe('answers', () => {
  const check = async (answer: unknown) => {
    const monitor = new HealthMonitor();
    monitor.register('it', () => answer);
    return monitor.check('it');
  };

  const table: [answer: unknown, status: HealthStatus][] = [
    ['PONG', 'healthy'],
    [1, 'healthy'],
    [{}, 'healthy'],
    [0, 'unhealthy'],
    ['', 'unhealthy'],
    [null, 'unhealthy'],
    [undefined, 'unhealthy'],
    [{ healthy: true }, 'healthy'],
    [{ healthy: false }, 'unhealthy'],
    [{ isHealthy: false }, 'unhealthy'],
    [{ healthy: true, isHealthy: false }, 'unhealthy'],
    [{ isHealthy: () => false }, 'healthy'],
    [{ status: 'degraded' }, 'degraded'],
    [{ status: 'DOWN' }, 'unhealthy'],
    [{ status: 'pass' }, 'healthy'],
    [{ healthy: true, status: 'degraded' }, 'degraded'],
    [{ healthy: false, status: 'ok' }, 'unhealthy'],
    [{ healthy: true, status: 'splendid' }, 'healthy'],
    [{ status: 'splendid' }, 'unhealthy'],
    [{ status: { code: 1 } }, 'unhealthy'],
    [{ status: 503, ok: false }, 'unhealthy'],
    [{ healthCheck: async () => true, status: 'down' }, 'healthy'],
    [{ healthCheck: async () => ({ isHealthy: false }) }, 'unhealthy'],
    [{ healthCheck: async () => Promise.reject(new Error('x')) }, 'unhealthy'],
  ];
  for (const [answer, expected] of table) {
    test(`${inspect(answer, { compact: true, breakLength: Infinity })} is ${expected}`, async () => {
      assert.equal((await check(answer)).status, expected);
    });
  }

  test('the response of a real server is judged by its status code', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/ok' ? 204 : 500;
      response.end();
    });
    const base = `http://127.0.0.1:${await listen(server)}`;
    const monitor = new HealthMonitor();
    for (const path of ['ok', 'broken']) monitor.register(path, ({ signal }) => fetch(`${base}/${path}`, { signal }));
    const report = await monitor.checkAll();
    server.close();
    server.closeAllConnections();
    assert.deepEqual(
      report.checks.map((check) => check.status),
      ['healthy', 'unhealthy'],
    );
  });

  test('an explanation and metadata are kept, metadata that JSON cannot hold is dropped with a warning', async () => {
    const result = await check({ status: 'degraded', error: 'one replica is down', metadata: { replicas: 2 } });
    assert.equal(result.error, 'one replica is down');
    assert.deepEqual(result.metadata, { replicas: 2 });
    const metadata: Record<string, unknown> = {};
    metadata['self'] = metadata;
    const circular = await check({ healthy: true, metadata });
    assert.equal(circular.status, 'healthy');
    assert.ok(!('metadata' in circular));
    assert.equal(warnings[0]?.event, 'health.metadata-dropped');
  });

  test('a status nobody knows and an answer that is missing are explained', async () => {
    assert.equal((await check({ status: 'splendid' })).error, "Unknown health status 'splendid'");
    assert.equal((await check(undefined)).error, 'The checker returned nothing');
  });

  test('a connection error without a message shows its code', async () => {
    const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
    assert.equal((await check(Promise.reject(refused))).error, 'ECONNREFUSED');
  });

  test('an error is a result whatever it is, and however it resists to be read', async () => {
    const resisting = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('not this one');
      },
    });
    const unprintable = { [inspect.custom]: () => assert.fail('nor this one') };
    for (const [thrown, message] of [
      [new DOMException('', 'AbortError'), '20'],
      [Object.assign(new Error(''), { message: { an: 'object' } }), '[object Object]'],
      [resisting, 'an error without a message'],
      [unprintable, 'an error without a message'],
    ] as const) {
      const result = await check(Promise.reject(thrown));
      assert.deepEqual([result.status, result.error], ['unhealthy', message]);
    }
    assert.equal((await check({ status: Symbol('odd') })).status, 'unhealthy');
  });
});

describe('options', () => {
  test('a flapping check falls and rises only after enough results in a row', async () => {
    const monitor = new HealthMonitor({ fall: 3, rise: 2 });
    let healthy: boolean;
    monitor.register('flapping', () => healthy);
    const statuses: string[] = [];
    for (healthy of [true, false, true, false, false, false, true, true]) {
      statuses.push((await monitor.check('flapping')).status[0]!);
    }
    assert.equal(statuses.join(''), 'hhhhhuuh');
    assert.equal(monitor.getStats('flapping').successRate, 0.5, 'the rate counts what really happened');
  });

  test('a slow answer is degraded and the whole with it', async () => {
    const monitor = new HealthMonitor();
    monitor.register('slow', () => new Promise((done) => setTimeout(done, 20, true)), { degradedAboveMs: 5 });
    const report = await monitor.checkAll();
    assert.equal(report.status, 'degraded');
    assert.equal(report.checks[0]?.healthy, true);
    assert.equal(report.summary.degraded, 1);
  });

  test('defaults are shown, inherited and overridden', () => {
    const monitor = new HealthMonitor({ fall: 3, timeoutMs: Infinity });
    const defaults = {
      critical: true,
      timeoutMs: Infinity,
      intervalMs: 30_000,
      initialDelayMs: 0,
      degradedAboveMs: Infinity,
      fall: 3,
      rise: 1,
      historyCapacity: 100,
    };
    assert.deepEqual(monitor.options(), defaults);
    assert.equal(new HealthMonitor().options().timeoutMs, 5000);
    monitor.register('cache', () => true, { critical: false, timeoutMs: 100, intervalMs: undefined });
    assert.deepEqual(monitor.options('cache'), { ...defaults, critical: false, timeoutMs: 100 });
    assert.equal(monitor.options('nobody'), undefined);
    assert.match(inspect(monitor), /^HealthMonitor \{[^]*intervalMs: 30000[^]*cache: undefined/);
  });

  test('mistakes are thrown at once, naming the option', () => {
    const monitor = new HealthMonitor();
    const assertRefused = (options: unknown, message: string, name: string) =>
      assert.throws(() => monitor.register('db', () => true, options as boolean), { message, name });
    assertRefused({ timeout: 5 }, "options.timeout is not a known option; did you mean 'timeoutMs'?", 'TypeError');
    assertRefused({ fall: 0 }, 'options.fall must be between 1 and 1000, got 0', 'RangeError');
    assertRefused('yes', 'options must be a boolean or an object, got a string', 'TypeError');
    assert.throws(() => monitor.register('db', true as never), {
      message: 'checker must be a function, got true',
      code: 'ERR_INVALID_ARG_TYPE',
    });
    assert.deepEqual(monitor.listCheckers(), []);
  });

  test('later options of the shared monitor are ignored with one warning', () => {
    const first = getHealthMonitor({ fall: 2 });
    getHealthMonitor({ fall: 2 });
    assert.equal(warnings.length, 0);
    assert.equal(getHealthMonitor({ fall: 4 }), first);
    getHealthMonitor({ fall: 5 });
    assert.deepEqual(
      warnings.map((record) => record.event),
      ['health.options-ignored'],
    );
    assert.equal(first.options().fall, 2);
  });
});

describe('events', () => {
  test('tell every result, every change of status and every error', async () => {
    const monitor = new HealthMonitor();
    const emitted: unknown[] = [];
    for (const event of ['health', 'state', 'error'] as const) {
      monitor.on(event, ({ service, name, status, from, to, error, timestamp }: MoorlineEvent) => {
        assert.ok(Math.abs(Date.now() - timestamp) < 5000);
        emitted.push([event, service, name, status ?? [from, to], error].flat().filter(Boolean).join(' '));
      });
    }
    let broken = false;
    monitor.register('database', () => {
      if (broken) throw new Error('gone');
      return true;
    });
    await monitor.check('database');
    await monitor.check('database');
    broken = true;
    await monitor.check('database');
    assert.deepEqual(emitted, [
      'health health database healthy',
      'state health database unknown healthy',
      'health health database healthy',
      'health health database unhealthy gone',
      'state health database healthy unhealthy',
      'error health database gone',
    ]);
  });

  test('an error nobody listens to is not thrown, and is on its diagnostics channel', async () => {
    const errors: unknown[] = [];
    const listener = (message: unknown) => errors.push((message as MoorlineEvent)['error']);
    subscribe('moorline:health:error', listener);
    const monitor = new HealthMonitor();
    monitor.register('database', () => Promise.reject(new Error('gone')));
    await monitor.check('database');
    unsubscribe('moorline:health:error', listener);
    assert.deepEqual(errors, ['gone']);
  });
});
