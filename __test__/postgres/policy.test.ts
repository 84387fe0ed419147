// Retries of what has not reached a PostgreSQL server, and the circuit breaker around its pool.
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

const OFTEN = { maxRetries: 1000, baseDelayMs: 20, maxDelayMs: 20, budget: false };

describe('the policies of a pool of PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more: Partial<PostgresPoolConfig>) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };
  const failure = async (call: Promise<unknown>) => {
    const error: unknown = await call.then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error,
    );
    assert.ok(error instanceof PostgresError, String(error));
    assert.match(error.stack!, /policy\.test/);
    return error;
  };

  before(async () => {
    server = await Postgres.start();
    server.psql('CREATE TABLE effects (id serial)');
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('without a server calls are repeated until there is one, where that is asked for', async () => {
    const retried = open({ retry: OFTEN });
    const plain = open({});
    await server.end();
    const refused = await failure(plain.query('SELECT 1'));
    assert.deepEqual([refused.kind, refused.code, refused.attempts], ['connect', 'ECONNREFUSED', 1]);
    const waiting = [retried.query('SELECT 1 AS one'), retried.connect()] as const;
    const few = await failure(open({ retry: { ...OFTEN, maxRetries: 2 } }).query('SELECT 1'));
    assert.deepEqual([few.code, few.attempts, few.retryable, few.delivery], ['ECONNREFUSED', 3, true, 'none']);
    await server.listen();
    const [{ rows }, client] = await Promise.all(waiting);
    assert.deepEqual(rows, [{ one: 1 }]);
    client.release();
  });

  test('what may have reached the server, or was answered, is not repeated', async () => {
    const pool = open({ retry: OFTEN, max: 1 });
    const [answered, lost] = [
      await failure(pool.query("DO $$ BEGIN RAISE 'again' USING ERRCODE = '40001'; END $$")),
      failure(pool.query('INSERT INTO effects DEFAULT VALUES; SELECT pg_sleep(60)')),
    ];
    assert.deepEqual([answered.code, answered.attempts, answered.retryable], ['40001', 1, true]);
    const own = "application_name = 'moorline' AND state = 'active'";
    await eventually(() => server.psql(`SELECT count(*) FROM pg_stat_activity WHERE ${own}`) === '1');
    server.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${own}`);
    const error = await lost;
    assert.deepEqual([error.code, error.delivery, error.attempts], ['57P01', 'unknown', 1]);
    const wrong = await failure(open({ retry: OFTEN, password: 'no' }).query('SELECT 1'));
    assert.deepEqual([wrong.kind, wrong.attempts], ['auth', 1]);
  });

  test('a repeated call ends with its signal', async () => {
    const controller = new AbortController();
    const pool = open({ retry: OFTEN, port: 1 });
    const calls = [
      pool.query({ text: 'SELECT 1', signal: controller.signal }),
      pool.connect({ signal: controller.signal }),
    ];
    setTimeout(() => controller.abort(), 100);
    for (const call of calls) await assert.rejects(call, { name: 'AbortError' });
  });

  test('a breaker opens when there is no server, and closes after a probe', async () => {
    const pool = open({ breaker: { failMax: 3, resetTimeoutMs: 200 } });
    const client = await pool.connect();
    client.release();
    await server.end();
    await eventually(() => pool.totalCount === 0);
    for (let n = 0; n < 3; n++) assert.equal((await failure(pool.query('SELECT 1'))).kind, 'connect');
    const refused = await failure(pool.query('SELECT 1'));
    assert.deepEqual([refused.kind, refused.delivery, refused.service], ['circuit-open', 'none', 'postgres']);
    assert.equal((await failure(pool.connect())).kind, 'circuit-open');
    await server.listen();
    await eventually(
      () =>
        pool.query('SELECT 1').then(
          () => true,
          () => false,
        ),
      10_000,
    );
    // An error of a statement says nothing about the server.
    for (let n = 0; n < 5; n++) assert.equal((await failure(pool.query('SELECT 1/0'))).code, '22012');
    await pool.query('SELECT 1');
  });

  test('options that are none are refused', () => {
    assert.throws(() => open({ retry: { maxRetrys: 1 } as object }), /options\.retry\.maxRetrys is not a known option/);
    assert.throws(() => open({ breaker: { failMax: 0 } }), /options\.breaker\.failMax must be/);
  });
});
