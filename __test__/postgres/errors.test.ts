// Errors of a PostgreSQL server: the kind that a caller acts on, for each row of the table.
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

describe('errors of PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more: Partial<PostgresPoolConfig> = {}) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };
  /** Its kind, its code, whether it may be repeated, what is known of its effect; its stack leads here. */
  const facts = async (call: Promise<unknown>) => {
    const error: unknown = await call.then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error,
    );
    assert.ok(error instanceof PostgresError, String(error));
    assert.match(error.stack!, /errors\.test/);
    return [error.kind, error.code, error.retryable, error.delivery];
  };
  const runs = (pid: number) =>
    eventually(() => server.psql(`SELECT state FROM pg_stat_activity WHERE pid = ${pid}`) === 'active');

  before(async () => {
    server = await Postgres.start({ settings: { deadlock_timeout: '20ms' } });
    server.psql('CREATE TABLE accounts (id int PRIMARY KEY, sum int); INSERT INTO accounts VALUES (1, 0), (2, 0)');
    server.psql("CREATE USER barred CONNECTION LIMIT 0 PASSWORD 'pw'");
    server.psql("CREATE USER reader PASSWORD 'pw'; ALTER USER reader SET default_transaction_read_only = on");
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('28P01, 3D000 and 53300: there is no session', async () => {
    assert.deepEqual(await facts(open({ password: 'no' }).query('SELECT 1')), ['auth', '28P01', false, 'none']);
    assert.deepEqual(await facts(open({ database: 'no' }).query('SELECT 1')), ['rejected', '3D000', false, 'none']);
    const barred = open({ user: 'barred', password: 'pw' });
    assert.deepEqual(await facts(barred.query('SELECT 1')), ['overloaded', '53300', true, 'none']);
    assert.deepEqual(await facts(barred.connect()), ['overloaded', '53300', true, 'none']);
  });

  test('57014: by us, by a time limit of the server, by somebody else', async () => {
    const client = await open({ max: 1 }).connect();
    assert.deepEqual(await facts(client.query({ text: 'SELECT pg_sleep(60)', timeoutMs: 50 })), [
      'timeout',
      'ETIMEDOUT',
      false,
      'unknown',
    ]);
    await client.query("SET statement_timeout = '50ms'");
    assert.deepEqual(await facts(client.query('SELECT pg_sleep(60)')), ['timeout', '57014', false, 'answered']);
    await client.query('SET statement_timeout = 0');
    const cancelled = facts(client.query('SELECT pg_sleep(60)'));
    await runs(client.processID);
    server.psql(`SELECT pg_cancel_backend(${client.processID})`);
    assert.deepEqual(await cancelled, ['rejected', '57014', false, 'answered']);
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    client.release();
  });

  test('57P01: the connection goes', async () => {
    const pool = open({ max: 1 });
    const client = await pool.connect();
    const ended = facts(client.query('SELECT pg_sleep(60)'));
    await runs(client.processID);
    server.psql(`SELECT pg_terminate_backend(${client.processID})`);
    assert.deepEqual(await ended, ['disconnected', '57P01', true, 'unknown']);
    client.release();
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1);
  });

  test('25006: the connection goes, as the server that can write may be another one', async () => {
    const pool = open({ max: 1, user: 'reader', password: 'pw' });
    const client = await pool.connect();
    const { processID } = client;
    const refused = await facts(client.query('CREATE TABLE none ()'));
    assert.deepEqual(refused, ['rejected', '25006', false, 'answered']);
    client.release();
    const next = await pool.connect();
    assert.notEqual(next.processID, processID);
    next.release();
  });

  test('40001 and 40P01: the transaction can be done again', async () => {
    const pool = open({ max: 2 });
    const [one, two] = [await pool.connect(), await pool.connect()];
    await Promise.all([one, two].map((client) => client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1')));
    await Promise.all([one, two].map((client) => client.query('SELECT * FROM accounts')));
    await one.query('UPDATE accounts SET sum = sum + 1 WHERE id = 1; COMMIT');
    const serialization = await facts(two.query('UPDATE accounts SET sum = sum + 1 WHERE id = 1'));
    assert.deepEqual(serialization, ['rejected', '40001', true, 'answered']);
    await two.query('ROLLBACK');
    await one.query('BEGIN; UPDATE accounts SET sum = 1 WHERE id = 1');
    await two.query('BEGIN; UPDATE accounts SET sum = 1 WHERE id = 2');
    const crossed = [
      one.query('UPDATE accounts SET sum = 2 WHERE id = 2'),
      two.query('UPDATE accounts SET sum = 2 WHERE id = 1'),
    ];
    const settled = await Promise.allSettled(crossed);
    const victim = settled.findIndex(({ status }) => status === 'rejected');
    assert.deepEqual(await facts(crossed[victim]!), ['rejected', '40P01', true, 'answered']);
    for (const client of [one, two]) {
      await client.query('ROLLBACK');
      client.release();
    }
  });

  test('an error has every field that the server gives', async () => {
    const pool = open();
    const text = `DO $$ BEGIN RAISE 'no' USING ERRCODE = 'MY001', DETAIL = 'd', HINT = 'h', SCHEMA = 's', TABLE = 't',
      COLUMN = 'c', DATATYPE = 'y', CONSTRAINT = 'k'; END $$`;
    const error = (await pool.query(text).catch((error: unknown) => error)) as Errors.PostgresError;
    const { code, message, severity, serverDetail, hint, schema, table, column, dataType, constraint, routine } = error;
    assert.deepEqual([code, message, severity, serverDetail, hint], ['MY001', 'no', 'ERROR', 'd', 'h']);
    assert.deepEqual([schema, table, column, dataType, constraint], ['s', 't', 'c', 'y', 'k']);
    assert.ok(error.where!.includes('PL/pgSQL') && error.file && error.line && routine);
    const inner = (await pool
      .query("DO $$ BEGIN EXECUTE 'SELECT 1 +'; END $$")
      .catch((error: unknown) => error)) as Errors.PostgresError;
    assert.deepEqual([inner.internalQuery, inner.internalPosition], ['SELECT 1 +', '11']);
  });
});
