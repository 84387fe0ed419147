// HealthMonitor: flags and statuses of the wrong type, and promises in an answer.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import { ConnectionPool, HealthMonitor } from 'moorline';

import { eventually } from '../support/eventually';
import { runScript } from '../support/script';

async function check(answer: unknown) {
  const monitor = new HealthMonitor();
  monitor.register('it', () => answer);
  const { status, error } = await monitor.check('it');
  return { status, error };
}

const inspectCompact = (value: unknown) => inspect(value, { compact: true, breakLength: Infinity });

describe('a flag', () => {
  const values: [value: unknown, shown: string][] = [
    ['false', "'false'"],
    ['true', "'true'"],
    ['no', "'no'"],
    ['', "''"],
    [null, 'null'],
    [2, '2'],
    [-1, '-1'],
    [NaN, 'NaN'],
    [1n, '1n'],
    [[], '[]'],
    [{}, '{}'],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [Object(false), '[Boolean: false]'],
    [Symbol('yes'), 'Symbol(yes)'],
  ];
  for (const name of ['healthy', 'isHealthy', 'ok', 'success'] as const) {
    test(`${name} that is no boolean is unhealthy, with an error`, async () => {
      for (const [value, text] of values) {
        const expected = { status: 'unhealthy', error: `${name} must be true or false, got ${text}` };
        assert.deepEqual(await check({ [name]: value }), expected);
        assert.deepEqual(await check({ [name]: value, status: 'ok' }), expected);
        assert.deepEqual(await check({ db: { [name]: value } }), { ...expected, error: `db: ${expected.error}` });
      }
    });

    test(`${name} may be the 0 or the 1 of a database`, async () => {
      assert.deepEqual(await check({ [name]: 1 }), { status: 'healthy', error: undefined });
      assert.deepEqual(await check({ [name]: 0 }), { status: 'unhealthy', error: undefined });
    });
  }

  test('that is absent, or a method, says nothing', async () => {
    assert.equal((await check({ healthy: undefined, status: 'ok' })).status, 'healthy');
    assert.equal((await check({ healthy: () => false })).status, 'healthy');
  });

  test('is explained by the error beside it', async () => {
    assert.deepEqual(await check({ healthy: 'no', error: 'gone' }), { status: 'unhealthy', error: 'gone' });
  });
});

describe('a status', () => {
  for (const status of [
    'false',
    'true',
    '200',
    '',
    null,
    0,
    1,
    99,
    600,
    -200,
    NaN,
    Infinity,
    1n,
    [],
    ['ok'],
    { code: 200 },
    Symbol('ok'),
  ]) {
    test(`${inspectCompact(status)} is unhealthy, with an error`, async () => {
      const { status: actual, error } = await check({ status });
      assert.equal(actual, 'unhealthy');
      if (status !== 'false') assert.match(error!, /^(Unknown health status|Cannot convert)/);
    });
  }
});

describe('a text', () => {
  for (const [answer, expected] of [
    ['PONG', 'healthy'],
    ['OK', 'healthy'],
    ['down', 'unhealthy'],
    ['UNHEALTHY', 'unhealthy'],
    ['false', 'unhealthy'],
    ['', 'unhealthy'],
    ['degraded', 'degraded'],
  ] as const) {
    test(`${inspectCompact(answer)} is ${expected}`, async () => assert.equal((await check(answer)).status, expected));
  }
});

describe('a promise in an answer', () => {
  const rejectGone = () => Promise.reject(new Error('gone'));
  const resolveHealthy = () => Promise.resolve('PONG');

  const table: [what: string, answer: () => unknown, status: string, error?: string][] = [
    ['as a member', () => ({ db: rejectGone(), cache: resolveHealthy() }), 'unhealthy', 'db: gone'],
    ['as a member that is well', () => ({ db: resolveHealthy(), cache: Promise.resolve() }), 'healthy'],
    ['of a list', () => [resolveHealthy(), rejectGone()], 'unhealthy', '1: gone'],
    ['of a list that is well', () => [resolveHealthy(), Promise.resolve(undefined)], 'healthy'],
    ['that says no', () => [Promise.resolve(false)], 'unhealthy', '0: not healthy'],
    ['that says more', () => ({ db: Promise.resolve({ status: 'down' }) }), 'unhealthy', 'db: down'],
    ['of a member', () => ({ checks: { db: { primary: rejectGone() } } }), 'unhealthy', 'checks.db.primary: gone'],
    ['as a flag', () => ({ healthy: Promise.resolve(true) }), 'healthy'],
    ['as a flag that says no', () => ({ healthy: Promise.resolve(false) }), 'unhealthy'],
    [
      'as a flag that says nothing',
      () => ({ healthy: Promise.resolve() }),
      'unhealthy',
      'healthy must be true or false, got null',
    ],
    ['as a flag that fails', () => ({ ok: rejectGone() }), 'unhealthy', 'gone'],
    ['as a status', () => ({ status: Promise.resolve('degraded') }), 'degraded'],
    ['that rejects without a reason', () => ({ db: Promise.reject() }), 'unhealthy', 'db: undefined'],
    ['beside the flag', () => ({ healthy: true, details: rejectGone() }), 'healthy'],
  ];
  for (const [what, answer, status, error] of table) {
    test(`${what} is waited for`, async () => assert.deepEqual(await check(answer()), { status, error }));
  }

  test('does not make the check longer than its timeout', async () => {
    const monitor = new HealthMonitor({ timeoutMs: 20 });
    monitor.register('it', () => ({ db: new Promise(() => undefined) }));
    assert.match((await monitor.check('it')).error!, /timed out after 20ms \(timeoutMs\)$/);
  });

  test('is awaited by a pool that checks its connections, too', async (t) => {
    let made = 0;
    const make = () => {
      const number = (made += 1);
      return { number, healthCheck: () => ({ db: number === 1 ? rejectGone() : resolveHealthy() }) };
    };
    const pool = new ConnectionPool({ maxSize: 1, minSize: 1, healthCheckInterval: 0.01 }, make);
    t.after(() => pool.stop());
    await pool.start();
    await eventually(() => made === 2 && pool.stats().poolSize === 1);
  });

  test('that rejects does not end the process', async () => {
    const { code, stdout, stderr } = await runScript(`
      const { HealthMonitor } = require('moorline');
      class Client { healthy = Promise.reject(new Error('kept to itself')); }
      const monitor = new HealthMonitor({ timeoutMs: 20 });
      const later = () => new Promise((_, reject) => setTimeout(reject, 60, new Error('late')));
      monitor.register('member', () => ({ db: Promise.reject(new Error('gone')), other: Promise.reject() }));
      monitor.register('list', () => [Promise.reject(new Error('gone'))]);
      monitor.register('class', () => new Client());
      monitor.register('late', () => ({ db: later() }));
      monitor.checkAll().then((report) => setTimeout(() => console.log(report.summary.unhealthy), 100));`);
    assert.deepEqual([code, stdout.trim()], [0, '4'], stderr);
  });
});
