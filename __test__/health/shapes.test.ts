// HealthMonitor: the results of common clients and libraries are judged by their content, not by their existence.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';

import { BaseConnection, ConnectionPool, HealthMonitor, resetHealthMonitor, type HealthStatus } from 'moorline';

import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';

afterEach(() => resetHealthMonitor());

/** The status and the error of a check with this answer, and the errors that the monitor emitted. */
async function check(answer: unknown) {
  const monitor = new HealthMonitor();
  const errors: unknown[] = [];
  monitor.on('error', ({ error }) => errors.push(error));
  monitor.register('it', () => answer);
  const { status, error } = await monitor.check('it');
  return { status, error, errors };
}

const settled = (...promises: Promise<unknown>[]) => Promise.allSettled(promises);

class Result {
  readonly rowAsArray = false;
  readonly rows = [{ status: 'down' }];
}

describe('an answer is unhealthy', () => {
  const table: [what: string, answer: unknown, error: string | undefined][] = [
    ['an error that was returned', new Error('gone'), 'gone'],
    ['one of another realm', runInNewContext('new Error("gone")'), 'gone'],
    ['a status code', { statusCode: 503 }, undefined],
    ['a status code beside a word', { status: 'ok', statusCode: 503 }, undefined],
    ['ok: false', { ok: false }, undefined],
    ['ok: 0', { ok: 0 }, undefined],
    ['success: false with its errors', { success: false, errors: [{ code: 1, message: 'no zone' }] }, 'no zone'],
    [
      'an error and nothing else',
      { data: null, error: { message: 'relation is missing', code: '42P01' } },
      'relation is missing',
    ],
    ['a list of errors', { data: null, errors: [{ message: 'a' }, new Error('b')] }, 'a; b'],
    ["a connection's own", { isHealthy: false, errorMessage: 'no pong' }, 'no pong'],
    ['rejections', settled(Promise.resolve('PONG'), Promise.reject(new Error('gone'))), '1: gone'],
    ['one rejection', settled(Promise.reject(new Error('gone'))).then(([first]) => first), 'gone'],
    ['a value that is not well', settled(Promise.resolve({ status: 'down' })), '0: down'],
    ['a member of a list', Promise.all([true, false]), '1: not healthy'],
    ['a member', { db: { status: 'down' }, cache: { status: 'up' } }, 'db: down'],
    [
      'a member of a member',
      { checks: { db: { ok: false }, api: { statusCode: 500 } } },
      'checks.db: not healthy; checks.api: 500',
    ],
    ['a member that is an error', { db: new Error('gone') }, 'db: gone'],
  ];
  for (const [what, answer, expected] of table) {
    test(what, async () => {
      const { status, error, errors } = await check(answer);
      assert.equal(status, 'unhealthy');
      assert.equal(error, expected);
      assert.deepEqual(errors, expected === undefined ? [] : [expected]);
    });
  }

  test('with the cause of a failed fetch', async () => {
    const { status, error } = await check(fetch(`http://127.0.0.1:${await freePort()}/`));
    assert.equal(status, 'unhealthy');
    assert.match(error!, /^fetch failed: .*ECONNREFUSED/);
  });

  test('with the messages in an AggregateError', async () => {
    const { error } = await check(Promise.any([Promise.reject(new Error('a')), Promise.reject(new Error('b'))]));
    assert.match(error!, /: a; b$/);
  });

  test('with circular causes', async () => {
    const error: Error = new Error('round', { cause: undefined });
    error.cause = new Error('about', { cause: error });
    assert.equal((await check(error)).error, 'round: about');
  });
});

describe('an answer is healthy, without an error and without an event', () => {
  const terminus = { status: 'ok', info: { db: { status: 'up' } }, error: {}, details: { db: { status: 'up' } } };
  const table: unknown[] = [
    terminus,
    ...[false, '', {}, null, undefined, []].map((error) => ({ healthy: true, error })),
    { healthy: true, error: 'the last one, an hour ago' },
    { data: [1], error: null, status: 200 },
    { data: {}, errors: [] },
    { status: 304, ok: false },
    { ok: 1 },
    [],
    [{ id: 1, status: 'shipped' }],
    [{ id: 1, status: 3 }],
    [undefined, 'PONG'],
    new Result(),
    { db: { status: 'up' }, cache: { status: 'connected' } },
  ];
  for (const answer of table) {
    test(inspect(answer, { compact: true, breakLength: Infinity }), async () => {
      assert.deepEqual(await check(answer), { status: 'healthy', error: undefined, errors: [] });
    });
  }

  test('fulfilled promises', async () => {
    assert.equal((await check(settled(Promise.resolve(), Promise.resolve('PONG')))).status, 'healthy');
  });

  test('however large it is', async () => {
    const rows = Array.from({ length: 100_000 }, (_, id) => ({ id, status: 'new' }));
    assert.equal((await check(rows)).status, 'healthy');
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    assert.equal((await check(cycle)).status, 'healthy');
  });
});

test('an answer is degraded when the worst of its members is', async () => {
  const { status, error } = await check({ primary: { status: 'up' }, replica: { status: 'warn', error: 'lags' } });
  assert.deepEqual([status, error], ['degraded' satisfies HealthStatus, 'replica: lags']);
});

test('a pool judges the health checks of its connections in the same way', async (t) => {
  let made = 0;
  const dead = [{ ok: false }, { statusCode: 503 }, new Error('gone')];
  const factory = () => ({ number: (made += 1), healthCheck: () => dead[made - 1] ?? true });
  const pool = new ConnectionPool({ maxSize: 1, minSize: 1, healthCheckInterval: 0.01 }, factory);
  t.after(() => pool.stop());
  await pool.start();

  await eventually(() => made === dead.length + 1);
  await eventually(() => pool.stats().poolSize === 1);
  assert.equal(made, dead.length + 1, 'the one that is well stays');
});

test("a connection's own health check tells the cause of what failed", async () => {
  const port = await freePort();
  class Service extends BaseConnection {
    protected override async healthCheckImpl() {
      return (await fetch(`http://127.0.0.1:${port}/`)).ok;
    }
    protected override async sendImpl() {
      return true;
    }
    protected override async receiveImpl() {
      return null;
    }
  }
  const { isHealthy, errorMessage } = await new Service({ name: 'service' }).healthCheck();
  assert.equal(isHealthy, false);
  assert.match(errorMessage!, /^fetch failed: .*ECONNREFUSED/);
});
