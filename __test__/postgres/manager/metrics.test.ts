// The metrics of a pool of connections to PostgreSQL.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import * as moorline from 'moorline';

import type { PostgresClient } from '../../../lib/postgres/client';
import type * as Metrics from '../../../lib/postgres/metrics';
import type { PostgresPoolConfig } from '../../../lib/postgres/options';
import type * as Pools from '../../../lib/postgres/pool';
import { eventually } from '../../support/eventually';
import { valueOf } from '../../support/exposition';
import { load, native } from '../../support/native';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { poolMetrics } = load<typeof Metrics>('postgres/metrics');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const OWN = 'moorline_postgres';

async function borrowed<T>(
  pool: Pools.PostgresConnectionPool,
  work: (client: PostgresClient) => T | Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

describe('metrics of connections to PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  /** A pool on a database of its own, whose name is its label. */
  const open = (database: string, more: Partial<PostgresPoolConfig> = {}) => {
    server.psql(`CREATE DATABASE ${database}`);
    const options = { ...server.config, database, connectionTimeoutMillis: 10_000, ...more };
    return new PostgresConnectionPool(options as PostgresPoolConfig);
  };
  const figure = (pool: { name: string }, name: string, more: Record<string, string> = {}) =>
    valueOf(moorline.metricsText(), name, { pool: pool.name, ...more });
  const ofStatements = (database: string, more: Record<string, string> = {}) =>
    valueOf(moorline.metricsText(), 'db_client_operation_duration_seconds_count', { db_namespace: database, ...more });

  before(async () => {
    server = await Postgres.start();
  });
  after(() => server.stop());

  test('connections are counted where they are borrowed, by clients and by statements', async () => {
    const pool = open('counted', { max: 4 });
    const clients = await Promise.all([pool.connect(), pool.connect()]);
    assert.equal(figure(pool, `${OWN}_connections_active`), 2);
    const state = { type: 'postgres', state: 'in-use' };
    assert.equal(figure(pool, 'moorline_pool_connections', state), 2);
    const sleeping = pool.query('SELECT pg_sleep(0.2)');
    await eventually(() => figure(pool, `${OWN}_connections_active`) === 3);
    await sleeping;
    for (const client of clients) client.release();
    for (let n = 0; n < 5; n++) await pool.query('SELECT 1');
    assert.equal(figure(pool, `${OWN}_connections_active`), 0);
    // Two clients, the one that slept, and five more.
    assert.equal(figure(pool, `${OWN}_connection_acquisition_seconds_count`), 8);
    assert.equal(figure(pool, 'moorline_pool_acquired_total'), 8);
    assert.ok(figure(pool, `${OWN}_connection_acquisition_seconds_sum`)! > 0, 'those that connected took some time');
    const idle = figure(pool, 'moorline_pool_connections', { state: 'idle' })!;
    assert.equal(figure(pool, 'moorline_pool_created_total'), idle);
    assert.deepEqual(
      ['max_connections', 'waiting', 'acquire_timeouts_total'].map((name) => figure(pool, `moorline_pool_${name}`)),
      [4, 0, 0],
    );
    assert.equal(figure(pool, `${OWN}_connection_lifetime_seconds_count`), 0);
    await pool.end(1000);
    assert.equal(figure(pool, `${OWN}_connection_lifetime_seconds_count`), idle);
    assert.equal(figure(pool, `${OWN}_connection_lifetime_seconds_bucket`, { le: '60' }), idle);
  });

  test('a gauge ends with its pool, and counters remain', async () => {
    const pool = open('ended');
    const { metrics } = poolMetrics(pool.handle);
    (await pool.connect()).release();
    assert.equal(figure(pool, `${OWN}_connections_active`), 0);
    await pool.end(1000);
    assert.equal(figure(pool, `${OWN}_connections_active`), undefined);
    assert.equal(figure(pool, 'moorline_pool_max_connections'), undefined);
    metrics.activeConnections.set(7);
    assert.equal(figure(pool, `${OWN}_connections_active`), undefined);
    assert.equal(figure(pool, `${OWN}_connection_acquisition_seconds_count`), 1);
  });

  test('a pool that was collected is shown no more', async () => {
    const name = await (async () => {
      const pool = open('collected');
      const { metrics } = poolMetrics(pool.handle);
      await pool.query('SELECT 1');
      metrics.healthCheckFailures.inc();
      assert.equal(figure(pool, `${OWN}_connections_active`), 0);
      return pool.name;
    })();
    await eventually(() => {
      collect();
      return figure({ name }, `${OWN}_connections_active`) === undefined;
    });
    await eventually(() => figure({ name }, `${OWN}_connection_lifetime_seconds_count`) === 1);
    assert.equal(figure({ name }, `${OWN}_health_check_failures_total`), 1);
  });

  test('connections that could not be had, or were lost, are errors', async () => {
    const pool = open('errors', { max: 1, connectionTimeoutMillis: 300 });
    const errors = () => figure(pool, `${OWN}_connection_errors_total`);
    const client = await pool.connect();
    assert.equal(errors(), 0);
    await assert.rejects(pool.connect(), { kind: 'pool-timeout' });
    assert.equal(errors(), 1);
    server.psql(`SELECT pg_terminate_backend(${client.processID})`);
    await eventually(() => errors() === 2);
    client.release();
    assert.equal(errors(), 2);
    // One that is free, one that is closed by its borrower while it works, and one that the pool's end cuts.
    const { processID } = await borrowed(pool, (next) => next);
    server.psql(`SELECT pg_terminate_backend(${processID})`);
    await eventually(() => errors() === 3);
    const sleeping = (next: PostgresClient) =>
      next.query('SELECT pg_sleep(60)').then(
        () => assert.fail('it was not cut'),
        () => undefined,
      );
    const stopped = await pool.connect();
    const first = sleeping(stopped);
    stopped.release(true);
    await first;
    const cut = sleeping(await pool.connect());
    await pool.end(0);
    await cut;
    assert.equal(errors(), 3);

    const refused = new PostgresConnectionPool({ ...server.config, database: 'no_such' } as PostgresPoolConfig);
    await assert.rejects(refused.query('SELECT 1'), { code: '3D000' });
    await assert.rejects(refused.connect(), { code: '3D000' });
    assert.equal(figure(refused, `${OWN}_connection_errors_total`), 2);
    await refused.end(0);
  });

  test('the five have the methods of prom-client', async () => {
    const pool = open('methods');
    const { metrics } = poolMetrics(pool.handle);
    metrics.healthCheckFailures.inc();
    metrics.healthCheckFailures.labels().inc(2);
    assert.equal(figure(pool, `${OWN}_health_check_failures_total`), 3);
    metrics.connectionErrors.inc();
    assert.equal(figure(pool, `${OWN}_connection_errors_total`), 1);
    metrics.activeConnections.inc(3);
    metrics.activeConnections.dec();
    assert.equal(figure(pool, `${OWN}_connections_active`), 2);
    metrics.activeConnections.set(0);
    metrics.connectionAcquisitionTime.observe(0.02);
    metrics.connectionLifetime.startTimer()();
    assert.equal(figure(pool, `${OWN}_connection_acquisition_seconds_bucket`, { le: '0.05' }), 1);
    assert.equal(figure(pool, `${OWN}_connection_lifetime_seconds_count`), 1);
    assert.throws(() => metrics.connectionErrors.inc({ other: 'x' }), /labels\.other is not a label of/);
    assert.throws(() => moorline.gauge(`${OWN}_connections_active`, ''), /moorline_/);
    await pool.end(0);
  });

  test('the durations of statements are shown as OpenTelemetry calls them', async () => {
    const pool = open('statements');
    const port = String(server.port);
    const of = (more: Record<string, string>) =>
      ofStatements('statements', {
        db_system_name: 'postgresql',
        server_port: port,
        server_address: '127.0.0.1',
        ...more,
      });
    await pool.query('CREATE TABLE t (n int PRIMARY KEY)');
    await pool.query('INSERT INTO t SELECT $1::int', [1]);
    for (let n = 0; n < 3; n++) await pool.query(`SELECT '","command":"X"' AS command FROM t`);
    await pool.query('SELECT 1; SELECT 2');
    await pool.query('');
    await assert.rejects(pool.query('INSERT INTO t VALUES (1)'), { code: '23505' });
    await assert.rejects(pool.query({ text: 'SELECT pg_sleep(60)', timeoutMs: 20 }), { kind: 'timeout' });
    const succeeded = (db_operation_name: string) => of({ db_operation_name, error_type: '' });
    assert.deepEqual(['CREATE', 'INSERT', 'SELECT', 'BATCH', '', 'X'].map(succeeded), [1, 1, 3, 1, 1, undefined]);
    assert.equal(of({ error_type: '23505', db_response_status_code: '23505' }), 1);
    assert.equal(of({ error_type: 'ETIMEDOUT', db_response_status_code: '' }), 1);
    const slow = { db_namespace: 'statements', error_type: 'ETIMEDOUT' };
    const sum = valueOf(moorline.metricsText(), 'db_client_operation_duration_seconds_sum', slow);
    assert.ok(sum! >= 0.02, String(sum));
    // What the pool itself sends is no operation.
    const client = await pool.connect();
    await client.query('BEGIN');
    client.release();
    await pool.query('SELECT 1');
    assert.deepEqual(['BEGIN', 'ROLLBACK', 'DISCARD'].map(succeeded), [1, undefined, undefined]);
    await pool.end(1000);
  });

  test('a call makes no more calls of the addon for them', async () => {
    const calls = async (monitoring: boolean) => {
      const pool = open(`calls_${monitoring}`, { max: 1, monitoring } as Partial<PostgresPoolConfig>);
      await pool.query('SELECT 1');
      const counts: Record<string, number> = {};
      const functions = Object.entries(native) as [string, (...args: unknown[]) => unknown][];
      const counted = ([name, run]: (typeof functions)[number]) => [
        name,
        (...args: unknown[]) => ((counts[name] = (counts[name] ?? 0) + 1), run(...args)),
      ];
      Object.assign(native, Object.fromEntries(functions.map(counted)));
      try {
        for (let n = 0; n < 10; n++) await pool.query('SELECT 1');
        for (let n = 0; n < 10; n++) await borrowed(pool, (client) => client.query('SELECT 1'));
      } finally {
        Object.assign(native, Object.fromEntries(functions));
      }
      await pool.end(1000);
      return counts;
    };
    const measured = await calls(true);
    assert.equal(measured['postgresQuery'], 20);
    assert.deepEqual(
      Object.keys(measured).filter((name) => name.startsWith('metric')),
      [],
    );
    assert.deepEqual(measured, await calls(false));
  });

  test('without monitoring nothing is shown', async () => {
    const pool = open('silent', { monitoring: false } as Partial<PostgresPoolConfig>);
    const { metrics } = poolMetrics(pool.handle);
    await pool.query('SELECT 1');
    metrics.healthCheckFailures.inc();
    metrics.activeConnections.set(1);
    metrics.connectionLifetime.observe(1);
    assert.ok(!moorline.metricsText().includes('silent'));
    await pool.end(1000);
  });
});
