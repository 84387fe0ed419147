// What a server of PostgreSQL does on bad days: it starts up, is a standby, has no connection or no disk left, talks too much, takes
// too long, or is gone without a word.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';

import { PostgresConnectionManager, PostgresError, type PostgresManagerConfig } from 'moorline';

import { APART, mayBeApart } from '../alone/soak/tunnel-link';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { missing } from '../support/missing';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { ScriptedPostgres } from './postgres-script';

/** How much later than its limit a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 2000 : 1000;
const CONNECTIONS = 6;

const managers: PostgresConnectionManager[] = [];
function open(config: PostgresManagerConfig): PostgresConnectionManager {
  const manager = new PostgresConnectionManager({ tunnel: false, connectionTimeoutMillis: 20_000, ...config });
  managers.push(manager);
  return manager;
}
afterEach(() => Promise.all(managers.splice(0).map((manager) => manager.shutdown(0))));

async function failure(call: Promise<unknown>): Promise<PostgresError> {
  const error: unknown = await call.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof PostgresError, String(error));
  return error;
}
const facts = ({ kind, code, delivery, retryable }: PostgresError) => [kind, code, delivery, retryable];

describe('a server of PostgreSQL on bad days', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  before(async () => {
    server = await Postgres.start({ settings: { max_connections: CONNECTIONS, superuser_reserved_connections: 0 } });
  });
  after(() => server.stop());

  test('it has no connection left: who waits gets one later, and the others are told so', async () => {
    const manager = open({ ...server.config, max: 3 * CONNECTIONS });
    const calls = Array.from({ length: 3 * CONNECTIONS }, () => manager.query('SELECT pg_sleep(0.3)'));
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [facts(one.reason as PostgresError)] : []));
    assert.ok(refused.length > 0 && refused.length < calls.length, `${refused.length} of ${calls.length}`);
    for (const one of refused) assert.deepEqual(one, ['overloaded', '53300', 'none', true]);
    assert.equal((await manager.query('SELECT 1 AS one')).rows[0].one, 1);
  });

  test('its disk is full: the statement fails, and the connection goes on', async () => {
    const manager = open({ ...server.config, max: 1 });
    const { rows } = await manager.query('SELECT pg_backend_pid() AS pid');
    const error = await failure(manager.query("COPY (SELECT repeat('x', 100000)) TO '/dev/full'"));
    assert.deepEqual(facts(error), ['overloaded', '53100', 'answered', false]);
    assert.deepEqual((await manager.query('SELECT pg_backend_pid() AS pid')).rows, rows);
  });

  test('it sends notices by the thousand: they disturb nobody', async () => {
    const manager = open({ ...server.config, max: 2 });
    const notices = "DO $$ BEGIN FOR n IN 1..50000 LOOP RAISE NOTICE 'notice %', n; END LOOP; END $$";
    const before = process.memoryUsage.rss();
    const [{ command }, { rows }] = await Promise.all([manager.query(notices), manager.query('SELECT 1 AS one')]);
    assert.deepEqual([command, rows], ['DO', [{ one: 1 }]]);
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < 64 << 20, `${grown} bytes more`);
  });

  test('an abort before the call sends nothing, and one after its answer changes nothing', async () => {
    const manager = open({ ...server.config, max: 1 });
    const query = 'INSERT INTO aborted VALUES (1) RETURNING pg_backend_pid() AS pid';
    await manager.query('CREATE TABLE aborted (id int)');
    const reason = new Error('no longer wanted');
    await assert.rejects(manager.query({ text: query, signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const { rows } = await manager.query({ text: query, signal: controller.signal });
    controller.abort(reason);
    const state = await manager.query('SELECT count(*)::int AS rows, pg_backend_pid() AS pid FROM aborted');
    assert.deepEqual(state.rows, [{ rows: 1, pid: rows[0].pid }]);
  });

  test('one limit bounds waiting and connecting, and a connection that comes too late is closed', async () => {
    const proxy = await FaultProxy.start(server.port);
    try {
      const limit = 1000;
      const slow = { ...server.config, port: proxy.port, connectionTimeoutMillis: limit, maxConnecting: 1 };
      const manager = open({ ...slow, max: 3 });
      proxy.set({ kind: 'black-hole' });
      const call = async () => {
        const began = performance.now();
        const { kind, delivery } = await failure(manager.query('SELECT 1'));
        const tookMs = performance.now() - began;
        assert.ok(tookMs < 1.4 * limit, `after ${tookMs} ms`);
        assert.match(kind, /^(connect|pool-timeout)$/);
        assert.equal(delivery, 'none');
      };
      // One connects. Of those that come later, two may connect once it has failed, and one waits for a connection.
      const [began, first] = [performance.now(), call()];
      await eventually(() => performance.now() - began > limit / 2);
      await Promise.all([first, call(), call(), call()]);
      // What was held back travels on: the server would log them in now.
      proxy.set({ kind: 'none' });
      await eventually(() => proxy.connections === 0);
      const left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorline'";
      await eventually(() => server.psql(left) === '0');
      assert.equal((await manager.query('SELECT 1 AS one')).rows[0].one, 1);
      assert.equal(server.psql(left), '1');
    } finally {
      await proxy.close();
    }
  });

  test('it is a standby: it reads, refuses to write, and writes once it is promoted', async () => {
    const manager = open({ ...server.config, max: 1 });
    await manager.query('CREATE TABLE standby (id int)');
    await server.end();
    server.file('data/standby.signal', '');
    await server.listen();
    try {
      assert.deepEqual((await manager.query('SELECT pg_is_in_recovery() AS reads')).rows, [{ reads: true }]);
      const error = await failure(manager.query('INSERT INTO standby VALUES (1)'));
      assert.deepEqual(facts(error), ['rejected', '25006', 'answered', false]);
    } finally {
      server.psql('SELECT pg_promote()');
    }
    assert.equal((await manager.query('INSERT INTO standby VALUES (1)')).rowCount, 1);
  });

  test('it starts up: callers are told so, and served once it has', async () => {
    await server.end();
    server.startUp();
    const manager = open({ ...server.config });
    try {
      const error = await eventually(async () => {
        const error = await failure(manager.query('SELECT 1'));
        return error.code === '57P03' ? error : undefined;
      }, 20_000);
      assert.deepEqual(facts(error), ['connect', '57P03', 'none', true]);
    } finally {
      await server.end();
      rmSync(join(server.data, 'standby.signal'));
      await server.listen();
    }
    assert.equal((await manager.query('SELECT 1 AS one')).rows[0].one, 1);
  });
});

describe('a server of PostgreSQL that is gone without a word', { timeout: 60_000 }, () => {
  const skip = mayBeApart() ? false : missing('a network namespace, for a server that is gone without a word');

  for (const state of ['idle', 'sending'] as const) {
    test(`is noticed by the keep-alive, without a time limit of the statement, when ${state}`, { skip }, async () => {
      const [command, ...apart] = APART;
      const program = [
        process.execPath,
        '--import',
        'tsx',
        join(__dirname, '..', 'alone', 'soak', 'postgres-silence.ts'),
        state,
      ];
      const child = spawn(command, [...apart, ...program], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      assert.equal(code, 0);
      const { kind, delivery, tookMs, limitMs } = JSON.parse(printed) as Record<string, unknown>;
      assert.deepEqual([kind, delivery], ['disconnected', 'unknown']);
      assert.ok((tookMs as number) < (limitMs as number) + SLACK_MS, `${String(tookMs)} ms`);
    });
  }

  test('is waited for no longer than a statement may take where it takes the connection and says nothing', async () => {
    const server = await ScriptedPostgres.start({ answer: () => undefined });
    try {
      const manager = open({ ...server.config, queryTimeoutMs: 200, recycleTimeoutMs: 100 });
      const error = await failure(manager.query('SELECT 1'));
      assert.deepEqual(facts(error).slice(0, 3), ['timeout', 'ETIMEDOUT', 'unknown']);
      await eventually(() => manager.stats().total === 0);
      await eventually(() => server.connections === 0);
      assert.ok(server.cancels > 0);
    } finally {
      server.close();
    }
  });
});
