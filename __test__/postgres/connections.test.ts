// Connections to PostgreSQL: what runs on them, what is cancelled, what the next borrower finds, what happens when they end.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type { PostgresPoolConfig } from '../../lib/postgres/options';
import type * as Pools from '../../lib/postgres/pool';
import { eventually } from '../support/eventually';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
type Pool = Pools.PostgresConnectionPool;
type Failure = Errors.PostgresError;

describe('connections to PostgreSQL', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more: Partial<PostgresPoolConfig> = {}) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };
  /** The server processes of our pools, without the one that is asked. */
  const processes = (where: string) => {
    const own = `application_name = 'moorline' AND ${where}`;
    return Number(server.psql(`SELECT count(*) FROM pg_stat_activity WHERE ${own}`));
  };

  before(async () => {
    server = await Postgres.start({ settings: { max_connections: '60' } });
    server.psql('CREATE TABLE effects (id int PRIMARY KEY, note text)');
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('a statement with values, without, and several in one text', async () => {
    const pool = open();
    const one = await pool.query('SELECT $1::int + 1 AS n, $2::text AS t', [41, null]);
    assert.deepEqual([one.rows, one.rowCount, one.command], [[{ n: 42, t: null }], 1, 'SELECT']);
    const several = (await pool.query('SELECT 1 AS a; SELECT 2 AS b, 3 AS c')) as unknown as (typeof one)[];
    assert.deepEqual(
      several.map(({ rows }) => rows),
      [[{ a: 1 }], [{ b: 2, c: 3 }]],
    );
    const arrays = await pool.query({ text: 'SELECT 1, 2', rowMode: 'array' });
    assert.deepEqual(arrays.rows, [[1, 2]]);
    const empty = await pool.query('');
    assert.deepEqual([empty.rows, empty.command, empty.rowCount], [[], null, null]);
  });

  test('an error of the server has its code and fields, and the connection goes on', async () => {
    const pool = open({ max: 1 });
    await pool.query("INSERT INTO effects VALUES (1, 'first')");
    const { processID } = await borrow(pool, async (client) => client);
    const error = await failure(pool.query("INSERT INTO effects VALUES ($1, 'again')", [1]));
    assert.deepEqual([error.kind, error.code, error.delivery], ['rejected', '23505', 'answered']);
    assert.deepEqual([error.table, error.constraint, error.severity], ['effects', 'effects_pkey', 'ERROR']);
    assert.equal(error.serverDetail, 'Key (id)=(1) already exists.');
    assert.deepEqual([error.service, error.operation, error.attempts], ['postgres', 'query', 1]);
    assert.match(error.stack!, /connections\.test/);
    assert.equal((await failure(pool.query('SELECT nothing'))).position, '8');
    assert.equal(await borrow(pool, async (client) => client.processID), processID);
  });

  test('statements of a client are sent without waiting, and run in their order', async () => {
    const pool = open({ max: 1 });
    await borrow(pool, async (client) => {
      const began = performance.now();
      const results = await Promise.all([
        client.query('SELECT pg_sleep(0.05)'),
        ...Array.from({ length: 200 }, (_, n) => client.query('SELECT $1::int AS n', [n])),
        client.query('SELECT count(*)::int AS n FROM effects'),
      ]);
      assert.deepEqual(
        results.slice(1, 201).map(({ rows }) => rows[0].n),
        Array.from({ length: 200 }, (_, n) => n),
      );
      assert.ok(performance.now() - began < 5000);
      // One that fails takes none of those after it along.
      const [, failed, after] = await Promise.allSettled([
        client.query('SELECT 1'),
        client.query('SELECT 1/0'),
        client.query('SELECT 2 AS two'),
      ]);
      assert.equal((failed as PromiseRejectedResult).reason.code, '22012');
      assert.equal(after.status, 'fulfilled');
    });
  });

  test('a borrower finds nothing of the one before', async () => {
    const pool = open({ max: 1 });
    const [before] = (await pool.query('SELECT pg_backend_pid() AS pid')).rows;
    const leave: [what: string, text: string][] = [
      ['a transaction', "BEGIN; INSERT INTO effects VALUES (2, 'lost')"],
      ['a failed transaction', 'BEGIN; SELECT 1/0'],
      ['a setting', "SET search_path = pg_catalog; SET statement_timeout = '7s'"],
      ['a role', 'SET ROLE pg_monitor'],
      ['a setting by a function', "SELECT set_config('moorline.left', 'x', false)"],
      ['a lock', 'SELECT pg_advisory_lock(42)'],
      ['a channel', 'LISTEN news'],
      ['a temporary table', 'CREATE TEMP TABLE left_over (id int)'],
      ['a prepared statement', 'PREPARE left_over AS SELECT 1'],
      ['a cursor', 'DECLARE left_over CURSOR WITH HOLD FOR SELECT 1'],
      ['a block', 'DO $$ BEGIN PERFORM pg_advisory_lock(43); END $$'],
    ];
    for (const [what, text] of leave) {
      await borrow(pool, (client) => client.query(text).catch(() => undefined));
      const state = await pool.query(`SELECT pg_backend_pid() AS pid, current_setting('search_path') AS path,
        current_user AS role, current_setting('statement_timeout') AS timeout,
        coalesce(current_setting('moorline.left', true), '') AS own,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
        (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
        (SELECT count(*)::int FROM pg_class WHERE relname = 'left_over') AS tables,
        (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
        (SELECT count(*)::int FROM pg_cursors WHERE name = 'left_over') AS cursors`);
      const { role } = server.config.user === undefined ? { role: '' } : { role: server.config.user };
      assert.deepEqual(
        state.rows,
        [
          {
            pid: before.pid,
            path: '"$user", public',
            role,
            timeout: '0',
            own: '',
            locks: 0,
            channels: 0,
            tables: 0,
            prepared: 0,
            cursors: 0,
          },
        ],
        what,
      );
    }
    assert.equal((await pool.query('SELECT count(*)::int AS n FROM effects WHERE id = 2')).rows[0].n, 0);
  });

  test('a client is the same object while its connection lasts, and of no use after its release', async () => {
    const pool = open({ max: 1 });
    const first = await pool.connect();
    first.release();
    const second = await pool.connect();
    assert.equal(second, first);
    assert.equal(second.transactionStatus, 'I');
    await second.query('BEGIN');
    assert.equal(second.transactionStatus, 'T');
    second.release(true);
    second.release();
    assert.equal(second.transactionStatus, undefined);
    assert.equal((await failure(second.query('SELECT 1'))).kind, 'closed');
    const third = await pool.connect();
    assert.notEqual(third, first);
    assert.notEqual(third.processID, first.processID);
    third.release();
  });

  test('a connection that the server ends is replaced', async () => {
    const pool = open({ max: 2 });
    const client = await pool.connect();
    const running = failure(client.query('SELECT pg_sleep(60)'));
    await eventually(() => processes("query LIKE '%pg_sleep(60)%' AND state = 'active'") === 1);
    server.psql(`SELECT pg_terminate_backend(${client.processID})`);
    const error = await running;
    assert.deepEqual([error.kind, error.code, error.delivery], ['disconnected', '57P01', 'unknown']);
    assert.deepEqual((await failure(client.query('SELECT 1'))).delivery, 'none');
    client.release();
    // A free one that ends is closed at once.
    await pool.query('SELECT 1');
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moorline'");
    await eventually(() => pool.totalCount === 0);
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1);
  });

  test('a restart of the server is survived without a call of the user’s', async () => {
    const pool = open({ max: 20 });
    const calls = Array.from({ length: 50 }, () => pool.query('SELECT pg_sleep(0.3)').catch((error: Failure) => error));
    await eventually(() => processes("state = 'active'") > 10);
    await server.end();
    const outcomes = await Promise.all(calls);
    const failed = outcomes.filter((outcome) => outcome instanceof PostgresError);
    assert.ok(failed.length > 0);
    for (const { kind } of failed) assert.match(kind, /^(disconnected|connect|pool-timeout)$/);
    await server.listen();
    await Promise.all(Array.from({ length: 50 }, () => pool.query('SELECT 1')));
    assert.ok(processes('true') <= 20);
  });

  test('a wrong password, an unknown database, a server that is none', async () => {
    const wrong = await failure(open({ password: 'not it' }).query('SELECT 1'));
    assert.deepEqual([wrong.kind, wrong.code, wrong.delivery], ['auth', '28P01', 'none']);
    assert.doesNotMatch(JSON.stringify(wrong), /not it/);
    const unknown = await failure(open({ database: 'nowhere' }).query('SELECT 1'));
    assert.deepEqual([unknown.kind, unknown.code], ['rejected', '3D000']);
    const full = open({ max: 60 });
    const results = await Promise.allSettled(Array.from({ length: 100 }, () => full.query('SELECT pg_sleep(0.2)')));
    const codes = new Set(results.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : [])));
    assert.ok(
      [...codes].every((code) => code === '53300'),
      [...codes].join(),
    );
  });
});

async function borrow<T>(pool: Pool, use: (client: Awaited<ReturnType<Pool['connect']>>) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await use(client);
  } finally {
    client.release();
  }
}

async function failure(call: Promise<unknown>): Promise<Failure> {
  const error: unknown = await call.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof PostgresError, String(error));
  return error;
}
