// HealthMonitor: the cases of its specification by their names, then what its first implementation got wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  checkAllHealth,
  checkHealth,
  getHealthMonitor,
  HealthMonitor,
  registerHealthCheck,
  resetHealthMonitor,
  setLogger,
  type HealthStatus,
  type LogRecord,
  type MoorlineEvent,
} from 'moorline';

/** A checker that does not answer until it is told to. */
function held() {
  const calls: { signal: AbortSignal; answer: (said: unknown) => void }[] = [];
  const checker = ({ signal }: { signal: AbortSignal }) =>
    new Promise<unknown>((answer) => calls.push({ signal, answer }));
  return { calls, checker };
}

let warnings: LogRecord[];

beforeEach(() => {
  warnings = [];
  setLogger({ warn: (record) => warnings.push(record) });
});

afterEach(() => {
  setLogger(undefined);
  resetHealthMonitor();
});

describe('HealthMonitor', () => {
  describe('Registration', () => {
    test('register health checker', () => {
      const monitor = new HealthMonitor();
      monitor.register('database', async () => true);
      assert.deepEqual(monitor.listCheckers(), ['database']);
      assert.equal(monitor.options('database')?.critical, true);
    });

    test('unregister health checker', async () => {
      const monitor = new HealthMonitor();
      monitor.register('database', async () => true);
      assert.equal(monitor.unregister('database'), true);
      assert.equal(monitor.unregister('database'), false);
      assert.deepEqual(monitor.listCheckers(), []);
      await assert.rejects(monitor.check('database'), /^TypeError: Health checker 'database' not registered$/);
    });

    test('allow replacing checker', async () => {
      const monitor = new HealthMonitor();
      monitor.register('database', async () => false);
      await monitor.check('database');
      monitor.register('database', async () => true);
      assert.equal(warnings[0]?.event, 'health.replaced');
      assert.equal(monitor.getLastCheck('database'), undefined, 'the last result is forgotten');
      assert.equal(monitor.getHistory('database').length, 1, 'the history stays');
      assert.equal((await monitor.check('database')).healthy, true);
    });
  });

  describe('Health Checks', () => {
    test('check individual service', async () => {
      const monitor = new HealthMonitor();
      monitor.register('database', async () => true);
      const before = Date.now();
      const result = await monitor.check('database');
      assert.equal(result.name, 'database');
      assert.equal(result.status, 'healthy');
      assert.equal(result.healthy, true);
      assert.ok(result.timestamp instanceof Date && result.timestamp.getTime() >= before);
      assert.ok(result.latencyMs >= 0 && result.latencyMs < 5000);
      assert.ok(!('error' in result));
    });

    test('detect unhealthy service', async () => {
      const monitor = new HealthMonitor();
      monitor.register('database', async () => false);
      const { status, healthy } = await monitor.check('database');
      assert.deepEqual({ status, healthy }, { status: 'unhealthy', healthy: false });
    });

    test('handle checker errors', async () => {
      const monitor = new HealthMonitor();
      monitor.register('rejects', async () => Promise.reject(new Error('connection refused')));
      monitor.register('throws', () => {
        throw new Error('no such table');
      });
      const [rejects, throws] = await Promise.all([monitor.check('rejects'), monitor.check('throws')]);
      assert.deepEqual([rejects.status, rejects.error], ['unhealthy', 'connection refused']);
      assert.deepEqual([throws.status, throws.error], ['unhealthy', 'no such table']);
    });

    test('check all services', async () => {
      const monitor = new HealthMonitor();
      const { calls, checker } = held();
      monitor.register('database', checker);
      monitor.register('cache', checker);
      const checking = monitor.checkAll();
      assert.equal(calls.length, 2, 'in parallel');
      for (const call of calls) call.answer(true);
      const report = await checking;
      assert.deepEqual(report.summary, { total: 2, healthy: 2, degraded: 0, unhealthy: 0 });
      assert.deepEqual(
        report.checks.map((check) => check.name),
        ['database', 'cache'],
      );
      assert.ok(report.timestamp instanceof Date);
      assert.ok(report.durationMs >= 0);
    });
  });

  describe('Status Reporting', () => {
    const overall = async (database: boolean, cache: boolean): Promise<HealthStatus> => {
      const monitor = new HealthMonitor();
      monitor.register('database', () => database);
      monitor.register('cache', () => cache, false);
      return (await monitor.checkAll()).status;
    };

    test('healthy when all checks pass', async () => {
      assert.equal(await overall(true, true), 'healthy');
      assert.equal((await new HealthMonitor().checkAll()).status, 'healthy', 'without checks');
    });

    test('unhealthy when critical check fails', async () => {
      assert.equal(await overall(false, true), 'unhealthy');
      assert.equal(await overall(false, false), 'unhealthy');
    });

    test('degraded when non-critical check fails', async () => {
      assert.equal(await overall(true, false), 'degraded');
    });
  });

  describe('History', () => {
    test('track check history', async () => {
      const monitor = new HealthMonitor();
      let healthy = true;
      monitor.register('database', () => healthy);
      await monitor.check('database');
      healthy = false;
      await monitor.check('database');
      const history = monitor.getHistory('database').map((result) => result.healthy);
      assert.deepEqual(history, [true, false]);
      assert.equal(monitor.getHistory().length, 2);
      assert.deepEqual(monitor.getHistory('nobody'), []);
    });

    test('get last check result', async () => {
      const monitor = new HealthMonitor();
      monitor.register('database', () => true);
      monitor.register('never run', () => true);
      assert.equal(monitor.getLastCheck('database'), undefined);
      const result = await monitor.check('database');
      assert.deepEqual(monitor.getLastCheck('database'), result);
      assert.deepEqual(monitor.getLastChecks(), [result]);
    });

    test('calculate statistics', async () => {
      const monitor = new HealthMonitor();
      let healthy = true;
      monitor.register('database', () => healthy);
      for (healthy of [true, true, true, false]) await monitor.check('database');
      const stats = monitor.getStats('database');
      assert.equal(stats.name, 'database');
      assert.equal(stats.totalChecks, 4);
      assert.equal(stats.successRate, 0.75);
      assert.equal(stats.consecutiveFailures, 1);
      const latencies = monitor.getHistory('database').map((result) => result.latencyMs);
      assert.ok(Math.abs(stats.avgLatencyMs - latencies.reduce((a, b) => a + b) / 4) < 1e-3);
      assert.equal(stats.p99LatencyMs, Math.max(...latencies));
      assert.ok(stats.p50LatencyMs <= stats.p95LatencyMs);
      assert.deepEqual(stats.lastCheck, monitor.getLastCheck('database')?.timestamp);
      assert.deepEqual(stats.lastChange, stats.lastCheck, 'it changed with the last check');
    });
  });

  describe('Global Functions', () => {
    test('register on global monitor', async () => {
      registerHealthCheck('database', () => true);
      assert.deepEqual(getHealthMonitor().listCheckers(), ['database']);
      assert.equal((await checkHealth('database')).status, 'healthy');
      resetHealthMonitor();
      assert.deepEqual(getHealthMonitor().listCheckers(), []);
    });

    test('check all with global function', async () => {
      registerHealthCheck('database', () => true);
      registerHealthCheck('cache', () => false, false);
      const report = await checkAllHealth();
      assert.equal(report.status, 'degraded');
      assert.equal(report.summary.total, 2);
    });
  });
});

describe('a checker that hangs', () => {
  test('ends at its timeout, is told so, and holds up nobody', async () => {
    const monitor = new HealthMonitor({ timeoutMs: 30 });
    const { calls, checker } = held();
    monitor.register('hanging', checker);
    monitor.register('quick', () => true);
    const report = await monitor.checkAll();
    assert.equal(report.status, 'unhealthy');
    const [hanging, quick] = report.checks;
    assert.equal(hanging?.error, "Health check 'hanging' timed out after 30ms");
    assert.ok(hanging.latencyMs >= 29 && report.durationMs >= 29);
    assert.equal(quick?.status, 'healthy');
    assert.equal(calls[0]?.signal.reason.name, 'TimeoutError');
  });

  test('answers too late to change anything', async () => {
    const monitor = new HealthMonitor({ timeoutMs: 10 });
    const { calls, checker } = held();
    monitor.register('hanging', checker);
    const result = await monitor.check('hanging');
    calls[0]?.answer(true);
    await new Promise(setImmediate);
    assert.deepEqual(monitor.getLastChecks(), [result]);
    assert.equal(monitor.getStats('hanging').totalChecks, 1);
  });

  test('is not started a second time while it runs', async () => {
    const monitor = new HealthMonitor();
    const { calls, checker } = held();
    monitor.register('slow', checker);
    const waiting = [monitor.check('slow'), monitor.check('slow'), monitor.checkAll()] as const;
    assert.equal(calls.length, 1);
    calls[0]?.answer(true);
    const [first, second, report] = await Promise.all(waiting);
    assert.deepEqual(first, second);
    assert.deepEqual(report.checks, [first]);
    assert.equal(monitor.getHistory().length, 1);
  });
});

describe('a checker that is taken away while it runs', () => {
  test('is aborted, and the one that replaced it answers', async () => {
    const monitor = new HealthMonitor();
    const { calls, checker } = held();
    monitor.register('database', checker);
    const waiting = monitor.check('database');
    monitor.register('database', () => true);
    assert.equal((await waiting).status, 'healthy');
    assert.equal(calls[0]?.signal.reason.name, 'AbortError');
    calls[0].answer(false);
    await new Promise(setImmediate);
    assert.equal(monitor.getHistory('database').length, 1);
  });

  test('rejects who asked for it, and is missing from a report', async () => {
    const monitor = new HealthMonitor();
    monitor.register('gone', held().checker);
    monitor.register('there', () => true);
    const waiting = assert.rejects(monitor.check('gone'), /'gone' not registered/);
    const report = monitor.checkAll();
    monitor.unregister('gone');
    await waiting;
    assert.deepEqual((await report).summary, { total: 1, healthy: 1, degraded: 0, unhealthy: 0 });
  });
});

describe('history', () => {
  test('is bounded per name: a busy check does not push the others out', async () => {
    const monitor = new HealthMonitor({ historyCapacity: 3 });
    monitor.register('busy', () => true);
    monitor.register('rare', () => true);
    await monitor.check('rare');
    for (let i = 0; i < 10; i++) await monitor.check('busy');
    assert.equal(monitor.getHistory('busy').length, 3);
    assert.equal(monitor.getHistory('rare').length, 1);
    assert.equal(monitor.getStats('busy').totalChecks, 10);
    assert.equal(monitor.options().historyCapacity, 3);
    assert.equal(new HealthMonitor().options().historyCapacity, 100);
  });

  test('statistics without history are zeros, not null', () => {
    const zeros = {
      name: 'nobody',
      totalChecks: 0,
      successRate: 0,
      avgLatencyMs: 0,
      p50LatencyMs: 0,
      p95LatencyMs: 0,
      p99LatencyMs: 0,
      consecutiveFailures: 0,
      uptimeRatio: 0,
    };
    assert.deepEqual(new HealthMonitor().getStats('nobody'), zeros);
  });
});

describe('schedule', () => {
  test('a started monitor runs what is due again and again, a stopped one does not', async () => {
    const monitor = new HealthMonitor({ intervalMs: 5 });
    let runs = 0;
    monitor.register('database', () => ++runs);
    monitor.register('on demand', () => assert.fail('is never due'), { intervalMs: Infinity });
    monitor.start();
    // The timer does not keep the process alive; the test has to.
    const alive = setInterval(() => undefined, 1000);
    while (runs < 3) await once(monitor, 'health');
    clearInterval(alive);
    monitor.stop();
    assert.equal(monitor.getHistory('database').length, 3);
  });

  test('a check registered later joins the schedule', async () => {
    const monitor = new HealthMonitor();
    monitor.start();
    const alive = setInterval(() => undefined, 1000);
    const heard = once(monitor, 'health');
    monitor.register('database', () => true);
    assert.equal((await heard)[0].name, 'database');
    clearInterval(alive);
    monitor[Symbol.dispose]();
  });

  test('neither the schedule nor a hanging scheduled run keeps the process alive', () => {
    const script = `
      const { HealthMonitor } = require('moorline');
      const monitor = new HealthMonitor();
      monitor.register('hanging', () => { console.log('ran'); return new Promise(() => undefined); });
      monitor.start();
      setTimeout(() => undefined, 50);`;
    const options = { cwd: join(__dirname, '..'), encoding: 'utf8', timeout: 20_000 } as const;
    const started = Date.now();
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], options);
    assert.deepEqual({ stdout, stderr, status }, { stdout: 'ran\n', stderr: '', status: 0 });
    assert.ok(Date.now() - started < 4500, 'it waited for the timeout of the check');
  });

  test('a check that somebody waits for does keep it alive until its timeout', () => {
    const script = `
      const { HealthMonitor } = require('moorline');
      const monitor = new HealthMonitor({ timeoutMs: 20 });
      monitor.register('hanging', () => new Promise(() => undefined));
      monitor.check('hanging').then((result) => console.log(result.status));`;
    const options = { cwd: join(__dirname, '..'), encoding: 'utf8', timeout: 20_000 } as const;
    assert.equal(spawnSync(process.execPath, ['-e', script], options).stdout, 'unhealthy\n');
  });
});

describe('answers', () => {
  const judge = async (said: unknown) => {
    const monitor = new HealthMonitor();
    monitor.register('it', () => said);
    return monitor.check('it');
  };

  const table: [said: unknown, status: HealthStatus][] = [
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
  for (const [said, expected] of table) {
    test(`${inspect(said, { compact: true, breakLength: Infinity })} is ${expected}`, async () => {
      assert.equal((await judge(said)).status, expected);
    });
  }

  test('the response of a real server is judged by its status code', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/ok' ? 204 : 500;
      response.end();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
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
    const result = await judge({ status: 'degraded', error: 'one replica is down', metadata: { replicas: 2 } });
    assert.equal(result.error, 'one replica is down');
    assert.deepEqual(result.metadata, { replicas: 2 });
    const metadata: Record<string, unknown> = {};
    metadata['self'] = metadata;
    const circular = await judge({ healthy: true, metadata });
    assert.equal(circular.status, 'healthy');
    assert.ok(!('metadata' in circular));
    assert.equal(warnings[0]?.event, 'health.metadata-dropped');
  });

  test('a status nobody knows and an answer that is missing are explained', async () => {
    assert.equal((await judge({ status: 'splendid' })).error, "Unknown health status 'splendid'");
    assert.equal((await judge(undefined)).error, 'The checker returned nothing');
  });

  test('a connection error without a message shows its code', async () => {
    const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' });
    assert.equal((await judge(Promise.reject(refused))).error, 'ECONNREFUSED');
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
    const refused = (options: unknown, message: string, name: string) =>
      assert.throws(() => monitor.register('db', () => true, options as boolean), { message, name });
    refused({ timeout: 5 }, "options.timeout is not a known option; did you mean 'timeoutMs'?", 'TypeError');
    refused({ fall: 0 }, 'options.fall must be between 1 and 1000, got 0', 'RangeError');
    refused('yes', 'options must be a boolean or an object, got a string', 'TypeError');
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
    const told: unknown[] = [];
    for (const event of ['health', 'state', 'error'] as const) {
      monitor.on(event, ({ service, name, status, from, to, error, timestamp }: MoorlineEvent) => {
        assert.ok(Math.abs(Date.now() - timestamp) < 5000);
        told.push([event, service, name, status ?? [from, to], error].flat().filter(Boolean).join(' '));
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
    assert.deepEqual(told, [
      'health health database healthy',
      'state health database unknown healthy',
      'health health database healthy',
      'health health database unhealthy gone',
      'state health database healthy unhealthy',
      'error health database gone',
    ]);
  });

  test('an error nobody listens to is not thrown, and is on its diagnostics channel', async () => {
    const heard: unknown[] = [];
    const listener = (message: unknown) => heard.push((message as MoorlineEvent)['error']);
    subscribe('moorline:health:error', listener);
    const monitor = new HealthMonitor();
    monitor.register('database', () => Promise.reject(new Error('gone')));
    await monitor.check('database');
    unsubscribe('moorline:health:error', listener);
    assert.deepEqual(heard, ['gone']);
  });
});
