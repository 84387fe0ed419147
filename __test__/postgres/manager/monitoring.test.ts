// What a connection manager shows: its metrics, its records in the log, its connection log.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import {
  type Counter,
  type Gauge,
  type Histogram,
  type LogRecord,
  metricsText,
  PostgresConnectionManager,
  type PostgresLogRecord,
  type PostgresPoolConfig,
  setLogger,
} from 'moorline';

import { eventually } from '../../support/eventually';
import { valueOf } from '../../support/exposition';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

/** The specification's metrics. */
interface Metrics {
  performance: {
    activeConnections: Gauge;
    connectionErrors: Counter;
    healthCheckFailures: Counter;
    connectionAcquisitionTime: Histogram;
    connectionLifetime: Histogram;
  };
}

describe('what PostgresConnectionManager shows', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let managers: PostgresConnectionManager[] = [];
  let records: LogRecord[] = [];
  const open = (more: Partial<PostgresPoolConfig> = {}) => {
    const defaults = { ...server.config, tunnel: false, connectionTimeoutMillis: 10_000 } as const;
    const manager = new PostgresConnectionManager({ ...defaults, healthCheckIntervalMs: Infinity, ...more });
    managers.push(manager);
    return manager;
  };
  /** On a database of its own. */
  const openOn = (database: string, more: Partial<PostgresPoolConfig> = {}) => {
    server.psql(`CREATE DATABASE ${database}`);
    return open({ database, ...more });
  };
  const figure = (database: string, name: string, more: Record<string, string> = {}) =>
    valueOf(metricsText(), name, { pool: `127.0.0.1:${server.port}/${database}`, ...more });
  const events = () => records.map(({ event }) => event);
  const rows = (database: string, what: string) =>
    server.psql(`SELECT ${what} FROM connection_logs ORDER BY created_at, id`, database).split('\n');

  before(async () => {
    setLogger({});
    server = await Postgres.start({ settings: { max_connections: '60' } });
  });
  after(() => server?.stop());
  const listen = () => {
    const keep = (record: LogRecord) => void records.push(record);
    setLogger({ debug: keep, info: keep, warn: keep, error: keep });
  };
  afterEach(async () => {
    await Promise.all(managers.map((manager) => manager.shutdown(1000)));
    managers = [];
    records = [];
    setLogger({});
  });

  test('its metrics are the five of the specification, and stand on the page while it lives', async () => {
    const manager = openOn('shown', { max: 3 });
    const metrics: Metrics['performance'] = manager.metrics;
    await manager.withClient(async (client) => {
      await client.query('SELECT 1');
      assert.equal(figure('shown', 'moorline_postgres_connections_active'), 1);
      assert.equal(figure('shown', 'moorline_pool_connections', { type: 'postgres', state: 'in-use' }), 1);
    });
    await manager.withTransaction((client) => client.query('SELECT 2'));
    metrics.connectionErrors.inc();
    assert.equal(figure('shown', 'moorline_postgres_connections_active'), 0);
    assert.equal(figure('shown', 'moorline_pool_max_connections'), 3);
    assert.equal(figure('shown', 'moorline_postgres_connection_acquisition_seconds_count'), 2);
    const operations = (db_operation_name: string) =>
      valueOf(metricsText(), 'db_client_operation_duration_seconds_count', {
        db_namespace: 'shown',
        db_operation_name,
      });
    assert.deepEqual(['SELECT', 'BEGIN', 'COMMIT'].map(operations), [2, 1, 1]);
    await manager.shutdown();
    assert.equal(figure('shown', 'moorline_postgres_connections_active'), undefined);
    assert.equal(figure('shown', 'moorline_pool_connections'), undefined);
    assert.equal(figure('shown', 'moorline_postgres_connection_lifetime_seconds_count'), 1);
    assert.equal(figure('shown', 'moorline_postgres_connection_errors_total'), 1);
  });

  test('a health check that failed is counted, and one that succeeded is not', async () => {
    listen();
    const manager = openOn('checked', { healthCheckIntervalMs: 50, connectionTimeoutMillis: 500, max: 1 });
    const failures = () => figure('checked', 'moorline_postgres_health_check_failures_total');
    await eventually(() => events().filter((event) => event === 'health_check').length >= 2);
    assert.equal(failures(), 0);
    const client = await manager.connect();
    await eventually(() => failures()! >= 1);
    // Whatever a busy machine made of the first one, each of them waits in vain for the only connection.
    const waited = ({ event, data }: LogRecord) =>
      event === 'health_check' && /connectionTimeoutMillis/.test(String(data['error']));
    await eventually(() => records.some(waited));
    assert.ok(figure('checked', 'moorline_postgres_connection_errors_total')! >= 1);
    client.release();
  });

  test('records are the specification’s, and without monitoring there are none, and no metrics', async () => {
    listen();
    const manager = openOn('recorded');
    await manager.withClient((client) => client.query('SELECT 1'));
    await manager.healthCheck();
    const typed = records as PostgresLogRecord[];
    assert.deepEqual(events(), ['connection_acquired', 'connection_released', 'health_check']);
    assert.equal(typed[0]!.correlationId, typed[1]!.correlationId);
    const refused = open({ port: 1, connectionTimeoutMillis: 500 });
    await assert.rejects(refused.connect());
    assert.equal(events().at(-1), 'connection_error');

    records = [];
    const silent = openOn('silent', { monitoring: false, connectionLog: true });
    await silent.installConnectionLog();
    await silent.withClient((client) => client.query('SELECT 1'));
    await silent.healthCheck();
    silent.metrics.healthCheckFailures.inc();
    silent.metrics.activeConnections.set(1);
    await silent.shutdown();
    assert.deepEqual(records, []);
    assert.ok(!metricsText().includes('silent'));
    assert.equal(server.psql('SELECT count(*) FROM connection_logs', 'silent'), '0');
  });

  test('the connection log is read back: clients, statements, health checks, errors, all there after the shutdown', async () => {
    const manager = openOn('logged', { max: 1, connectionLog: true, connectionTimeoutMillis: 2000 });
    await manager.installConnectionLog();
    await manager.installConnectionLog();
    const client = await manager.connect();
    const connectionId = String(client.processID);
    await assert.rejects(manager.connect(), { kind: 'pool-timeout' });
    client.release();
    await manager.query('SELECT $1::int', [1]);
    await assert.rejects(manager.query('SELECT nothing'), { code: '42703' });
    await manager.withTransaction((own) => own.query('SELECT 1'));
    await manager.healthCheck();
    await manager.shutdown();
    const lent = [`${connectionId}|connection_acquired|`, `${connectionId}|connection_released|`];
    const name = `127.0.0.1:${server.port}/logged`;
    const error = 'No connection was free within 2000ms (connectionTimeoutMillis)';
    const written = rows('logged', 'connection_id, status, error_message');
    assert.deepEqual(
      written.map((row) => (row.includes('connection_error') ? row.replace(/\|[^|]*$/, '|') : row)),
      [lent[0], `${name}|connection_error|`, lent[1], ...lent, ...lent, ...lent, `${name}|health_check|`],
    );
    assert.match(written[1]!, /connectionTimeoutMillis/, error);
    const own = server.psql(
      "SELECT count(*), bool_and(created_at BETWEEN now() - interval '1 minute' AND now()) FROM connection_logs",
      'logged',
    );
    assert.equal(own, '10|t');
    // One that is shut down has no connection left, its log's neither.
    assert.equal(
      server.psql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'logged' AND pid <> pg_backend_pid()"),
      '0',
    );
  });

  test('a log without a table disturbs nobody, is told once, and is written once there is one', async () => {
    listen();
    const manager = openOn('late', { connectionLog: true });
    await manager.query('SELECT 1');
    await eventually(() => events().includes('postgres.connection-log-failed'));
    await Promise.all(Array.from({ length: 20 }, () => manager.query('SELECT 1')));
    assert.equal(events().filter((event) => event === 'postgres.connection-log-failed').length, 1);
    await manager.installConnectionLog();
    await eventually(() => rows('late', 'status').filter((status) => status === 'connection_released').length === 21);
    assert.equal(figure('late', 'moorline_postgres_connection_log_dropped_total'), 0);
  });

  test('a shutdown does not wait longer for its log than it may', async () => {
    listen();
    const manager = openOn('stuck', { connectionLog: true });
    await manager.installConnectionLog();
    const blocker = open({ database: 'stuck' });
    const client = await blocker.connect();
    await client.query('BEGIN; LOCK TABLE connection_logs IN ACCESS EXCLUSIVE MODE');
    await manager.query('SELECT 1');
    const began = performance.now();
    await manager.shutdown(300);
    assert.ok(performance.now() - began < 2500, `${performance.now() - began}`);
    assert.deepEqual(
      records.filter(({ event }) => event.endsWith('dropped')).map(({ data }) => data),
      [{ dropped: 2 }],
    );
    client.release(true);
  });
});
