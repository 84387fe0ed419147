// HealthMonitor: the cases of its specification by their names, then regression tests.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, test } from 'node:test';

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
} from 'moorline';
import { root } from '../support/paths';

/** A checker whose calls stay pending until a test answers them. */
function pendingChecker() {
  const calls: { signal: AbortSignal; answer: (answer: unknown) => void }[] = [];
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
      const { calls, checker } = pendingChecker();
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
    const overallStatus = async (database: boolean, cache: boolean): Promise<HealthStatus> => {
      const monitor = new HealthMonitor();
      monitor.register('database', () => database);
      monitor.register('cache', () => cache, false);
      return (await monitor.checkAll()).status;
    };

    test('healthy when all checks pass', async () => {
      assert.equal(await overallStatus(true, true), 'healthy');
      assert.equal((await new HealthMonitor().checkAll()).status, 'healthy', 'without checks');
    });

    test('unhealthy when critical check fails', async () => {
      assert.equal(await overallStatus(false, true), 'unhealthy');
      assert.equal(await overallStatus(false, false), 'unhealthy');
    });

    test('degraded when non-critical check fails', async () => {
      assert.equal(await overallStatus(true, false), 'degraded');
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
  test('ends at its timeout, is aborted, and delays no other', async () => {
    const monitor = new HealthMonitor({ timeoutMs: 30 });
    const { calls, checker } = pendingChecker();
    monitor.register('hanging', checker);
    monitor.register('quick', () => true);
    const report = await monitor.checkAll();
    assert.equal(report.status, 'unhealthy');
    const [hanging, quick] = report.checks;
    assert.equal(hanging?.error, "Health check 'hanging' timed out after 30ms (timeoutMs)");
    assert.ok(hanging.latencyMs >= 29 && report.durationMs >= 29);
    assert.equal(quick?.status, 'healthy');
    assert.equal(calls[0]?.signal.reason.name, 'TimeoutError');
  });

  test('answers too late to change anything', async () => {
    const monitor = new HealthMonitor({ timeoutMs: 10 });
    const { calls, checker } = pendingChecker();
    monitor.register('hanging', checker);
    const result = await monitor.check('hanging');
    calls[0]?.answer(true);
    await new Promise(setImmediate);
    assert.deepEqual(monitor.getLastChecks(), [result]);
    assert.equal(monitor.getStats('hanging').totalChecks, 1);
  });

  test('is not started a second time while it runs', async () => {
    const monitor = new HealthMonitor();
    const { calls, checker } = pendingChecker();
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
    const { calls, checker } = pendingChecker();
    monitor.register('database', checker);
    const waiting = monitor.check('database');
    monitor.register('database', () => true);
    assert.equal((await waiting).status, 'healthy');
    assert.equal(calls[0]?.signal.reason.name, 'AbortError');
    calls[0].answer(false);
    await new Promise(setImmediate);
    assert.equal(monitor.getHistory('database').length, 1);
  });

  test('rejects its check, and is missing from a report', async () => {
    const monitor = new HealthMonitor();
    monitor.register('gone', pendingChecker().checker);
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
    const keepAlive = setInterval(() => undefined, 1000);
    while (runs < 3) await once(monitor, 'health');
    clearInterval(keepAlive);
    monitor.stop();
    assert.equal(monitor.getHistory('database').length, 3);
  });

  test('a check registered later joins the schedule', async () => {
    const monitor = new HealthMonitor();
    monitor.start();
    const keepAlive = setInterval(() => undefined, 1000);
    const event = once(monitor, 'health');
    monitor.register('database', () => true);
    assert.equal((await event)[0].name, 'database');
    clearInterval(keepAlive);
    monitor[Symbol.dispose]();
  });

  test('initialDelayMs delays the first run', async () => {
    const monitor = new HealthMonitor({ intervalMs: 20 });
    const order: string[] = [];
    const [registered, delayMs] = [performance.now(), 60];
    monitor.register('late', () => order.push('late'), { initialDelayMs: delayMs });
    monitor.register('early', () => order.push('early'));
    monitor.start();
    const keepAlive = setInterval(() => undefined, 1000);
    while (!order.includes('late')) await once(monitor, 'health');
    clearInterval(keepAlive);
    monitor.stop();
    assert.ok(performance.now() - registered >= delayMs - 1);
    assert.equal(order[0], 'early');
    assert.throws(() => monitor.register('never', () => true, { initialDelayMs: -1 }), RangeError);
  });

  test('a run that answered in time leaves no timer behind', async () => {
    const monitor = new HealthMonitor();
    monitor.register('quick', () => true);
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    for (let i = 0; i < 1000; i++) await monitor.check('quick');
    assert.equal(timers(), before);
  });

  test('neither the schedule nor a hanging scheduled run keeps the process alive', () => {
    const script = `
      const { HealthMonitor } = require('moorline');
      const monitor = new HealthMonitor();
      monitor.register('hanging', () => { console.log('ran'); return new Promise(() => undefined); });
      monitor.start();
      setTimeout(() => undefined, 50);`;
    const options = { cwd: root, encoding: 'utf8', timeout: 20_000 } as const;
    const started = Date.now();
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', script], options);
    assert.deepEqual({ stdout, stderr, status }, { stdout: 'ran\n', stderr: '', status: 0 });
    assert.ok(Date.now() - started < 4500, 'it waited for the timeout of the check');
  });

  test('a check that is awaited keeps the process alive until its timeout', () => {
    const script = `
      const { HealthMonitor } = require('moorline');
      const monitor = new HealthMonitor({ timeoutMs: 20 });
      monitor.register('hanging', () => new Promise(() => undefined));
      monitor.check('hanging').then((result) => console.log(result.status));`;
    const options = { cwd: root, encoding: 'utf8', timeout: 20_000 } as const;
    assert.equal(spawnSync(process.execPath, ['-e', script], options).stdout, 'unhealthy\n');
  });
});
