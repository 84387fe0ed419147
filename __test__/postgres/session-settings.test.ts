// Settings of a borrowed connection: set before it is handed out, undone after it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type * as Pools from '../../lib/postgres/pool';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
type Options = NonNullable<Parameters<Pools.PostgresConnectionPool['connect']>[0]>;

const STATE = `SELECT current_user AS role, current_setting('search_path') AS path,
  current_setting('statement_timeout') AS timeout, current_setting('transaction_read_only') AS "readOnly"`;
/** A name with everything that has to be quoted. */
const HOSTILE = `We"ird'; DROP TABLE kept; --`;

describe('settings of a borrowed connection', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pool: Pools.PostgresConnectionPool;
  const fresh = { role: 'postgres', path: '"$user", public', timeout: '0', readOnly: 'off' };

  before(async () => {
    server = await Postgres.start();
    const role = `"${HOSTILE.replace('"', '""')}"`;
    server.psql(`CREATE TABLE kept (id int); CREATE ROLE ${role}; CREATE ROLE reader; CREATE SCHEMA ${role}`);
    pool = new PostgresConnectionPool({ ...server.config, max: 1, connectionTimeoutMillis: 10_000 });
  });
  after(async () => {
    await pool?.end(1000);
    await server?.stop();
  });

  async function stateWith(options: Options): Promise<unknown> {
    const client = await pool.connect(options);
    try {
      return (await client.query(STATE)).rows[0];
    } finally {
      client.release();
    }
  }

  test('they hold until it is released, and the same connection goes on without', async () => {
    const [{ pid }] = (await pool.query('SELECT pg_backend_pid() AS pid')).rows;
    const quoted = `"${HOSTILE.replace('"', '""')}"`;
    for (const [options, expected] of [
      [{ role: 'reader' }, { role: 'reader' }],
      [{ role: HOSTILE }, { role: HOSTILE }],
      [{ readOnly: true }, { readOnly: 'on' }],
      [{ readOnly: false }, {}],
      [{ statementTimeoutMs: 1500 }, { timeout: '1500ms' }],
      [{ statementTimeoutMs: Infinity }, {}],
      [{ searchPath: HOSTILE }, { path: quoted }],
      [{ searchPath: ['a,b', '$user', 'public'] }, { path: '"a,b", "$user", public' }],
      [{ searchPath: [] }, { path: '""' }],
      [
        { role: 'reader', readOnly: true, statementTimeoutMs: 2000, searchPath: ['public'] },
        { role: 'reader', path: 'public', timeout: '2s', readOnly: 'on' },
      ],
    ] as [Options, object][]) {
      const state = (await stateWith(options)) as Record<string, string>;
      if (Array.isArray(options.searchPath)) state['path'] = state['path']!.replaceAll('"public"', 'public');
      assert.deepEqual(state, { ...fresh, ...expected }, JSON.stringify(options));
      assert.deepEqual((await pool.query(`${STATE}, pg_backend_pid() AS pid`)).rows, [{ ...fresh, pid }]);
    }
    assert.equal(server.psql('SELECT count(*) FROM kept'), '0');
  });

  test('a pool that wants servers which can write keeps a connection that was read-only for a while', async () => {
    const options = { ...server.config, max: 1, connectionTimeoutMillis: 10_000 };
    const writing = new PostgresConnectionPool({ ...options, targetSessionAttrs: 'read-write' } as typeof options);
    const client = await writing.connect({ readOnly: true });
    const { processID } = client;
    await client.query('SELECT 1');
    client.release();
    const next = await writing.connect();
    assert.equal(next.processID, processID);
    next.release();
    await writing.end(1000);
  });

  test('one that the server refuses rejects, and the connection is of use to others', async () => {
    const refused: unknown = await pool
      .connect({ role: 'nobody', searchPath: 'gone' })
      .catch((error: unknown) => error);
    assert.ok(refused instanceof PostgresError);
    assert.deepEqual([refused.code, refused.operation], ['22023', 'connect']);
    assert.match(refused.message, /role "nobody" does not exist/);
    assert.deepEqual(await stateWith({}), fresh);
    assert.equal(pool.totalCount, 1);
  });

  test('a mistake is named by its path, before anything is borrowed', async () => {
    for (const [options, message] of [
      [{ roles: 'x' }, /^settings\.roles is not a known option; did you mean 'role'/],
      [{ role: 7 }, /^settings\.role must be a string/],
      [{ role: '' }, /^settings\.role must not be empty/],
      [{ role: 'a\0b' }, /^settings\.role must not contain a NUL/],
      [{ role: 'é'.repeat(32) }, /^settings\.role must have at most 63 bytes/],
      [{ readOnly: 'yes' }, /^settings\.readOnly must be a boolean/],
      [{ statementTimeoutMs: '5s' }, /^settings\.statementTimeoutMs must be a number/],
      [{ statementTimeoutMs: 0 }, /^settings\.statementTimeoutMs must be >= 1/],
      [{ statementTimeoutMs: NaN }, /^settings\.statementTimeoutMs must be >= 1/],
      [{ statementTimeoutMs: 2 ** 31 }, /^settings\.statementTimeoutMs must be >= 1/],
      [{ searchPath: 'a, b' }, /^settings\.searchPath must be an array where it is more than one/],
      [{ searchPath: ['a', 1] }, /^settings\.searchPath\[1\] must be a string/],
      [{ searchPath: {} }, /^settings\.searchPath must be a string or an array of strings/],
      [{ signal: 1 }, /^settings\.signal must be an AbortSignal/],
      [{ timeoutMs: -1 }, /^settings\.timeoutMs must be >= 0/],
      [{ timeoutMs: NaN }, /^settings\.timeoutMs must be >= 0/],
    ] as [object, RegExp][]) {
      await assert.rejects(pool.connect(options), (error: Error) => {
        assert.match(error.message, message);
        return true;
      });
    }
    assert.equal(pool.waitingCount, 0);
    assert.equal(pool.idleCount, pool.totalCount);
  });

  test('waiting, connecting and setting are within one limit, and an abort ends each', async (t) => {
    const held = await pool.connect();
    const late: unknown = await pool.connect({ timeoutMs: 50 }).catch((error: unknown) => error);
    assert.ok(late instanceof PostgresError);
    assert.deepEqual([late.kind, late.code], ['pool-timeout', 'ETIMEDOUT']);
    assert.match(JSON.stringify(late), /timeoutMs/);
    const reason = new Error('no longer wanted');
    await assert.rejects(pool.connect({ signal: AbortSignal.abort(reason) }), reason);
    held.release();

    const proxy = await FaultProxy.start(server.port);
    t.after(() => proxy.close());
    const through = new PostgresConnectionPool({ ...server.config, port: proxy.port, max: 1 });
    t.after(() => through.end(1000));
    await through.query('SELECT 1');
    // Its settings are sent, and never answered.
    proxy.set({ kind: 'black-hole' });
    const began = performance.now();
    await assert.rejects(through.connect({ role: 'reader', timeoutMs: 100 }), { code: 'ETIMEDOUT' });
    const controller = new AbortController();
    const aborted = through.connect({ role: 'reader', signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(aborted, reason);
    assert.ok(performance.now() - began < 1500);
    // What was sent meanwhile is undone.
    proxy.set({ kind: 'none' });
    const next = await through.connect({ timeoutMs: 10_000 });
    assert.deepEqual((await next.query(STATE)).rows, [fresh]);
    next.release();
  });

  test('who waits first, and connects then, has one limit for both', async (t) => {
    const proxy = await FaultProxy.start(server.port);
    t.after(() => proxy.close());
    proxy.set({ kind: 'black-hole' });
    const silent = new PostgresConnectionPool({
      ...server.config,
      port: proxy.port,
      max: 1,
      connectionTimeoutMillis: 600,
    });
    t.after(() => silent.end(0));
    const first = silent.query('SELECT 1').catch(() => undefined);
    const began = performance.now();
    await eventually(() => performance.now() - began > 300);
    // The connection of the first is given up meanwhile, and another is made.
    const waits = [() => silent.query('SELECT 2'), () => silent.connect()].map(async (call) => {
      const asked = performance.now();
      await assert.rejects(call() as Promise<unknown>, { code: 'ETIMEDOUT' });
      return performance.now() - asked;
    });
    for (const late of await Promise.all(waits)) assert.ok(late < 600 + 250, `${late} ms`);
    await first;
  });

  test('nothing is sent after a transaction whose settings have ended with it', async () => {
    /** What the server was sent last, when the next borrower has the connection. */
    const lastAfter = async (...texts: string[]) => {
      const client = await pool.connect();
      for (const text of texts) await client.query(text);
      client.release();
      const next = await pool.connect();
      next.release();
      return server.psql(`SELECT query FROM pg_stat_activity WHERE pid = ${next.processID}`);
    };
    const local = ['SET LOCAL ROLE reader', 'SET TRANSACTION READ ONLY', "SET LOCAL statement_timeout = '5s'"];
    assert.equal(await lastAfter('BEGIN', ...local, 'COMMIT'), 'COMMIT');
    assert.equal(await lastAfter('BEGIN', "SET statement_timeout = '5s'", 'COMMIT'), 'DISCARD ALL');
  });
});
