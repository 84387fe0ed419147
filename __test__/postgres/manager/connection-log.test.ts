// The connection log: what is recorded of connections, and what of it is written to the database.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { type LogRecord, metricsText, setLogger } from 'moorline';

import type * as Logs from '../../../lib/postgres/connection-log';
import type * as Records from '../../../lib/postgres/connection-record';
import type * as Metrics from '../../../lib/postgres/metrics';
import type { PostgresPoolConfig } from '../../../lib/postgres/options';
import type * as Pools from '../../../lib/postgres/pool';
import { eventually } from '../../support/eventually';
import { valueOf } from '../../support/exposition';
import { load } from '../../support/native';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { ConnectionLog, installConnectionLog, LOG_POOL } = load<typeof Logs>('postgres/connection-log');
const { poolMetrics } = load<typeof Metrics>('postgres/metrics');
const { ConnectionRecorder } = load<typeof Records>('postgres/connection-record');

/** The specification's record. */
interface LogFormat {
  timestamp: string;
  correlationId: string;
  level: 'debug' | 'info' | 'warn' | 'error';
  event: 'connection_acquired' | 'connection_released' | 'health_check' | 'connection_error';
  data?: { connectionId?: string; poolSize?: number; error?: string };
}

describe('the connection log', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let ends: (() => Promise<unknown>)[] = [];
  let records: LogRecord[] = [];

  const open = (database: string, more: Partial<PostgresPoolConfig> = {}) => {
    const config = { ...server.config, database, connectionTimeoutMillis: 10_000, ...more } as PostgresPoolConfig;
    const pool = new PostgresConnectionPool(config);
    ends.push(() => pool.end(1000));
    return pool;
  };
  /** A pool on a database of its own whose connections are logged there. */
  const openLogged = async (database: string, { isInstalled = true, retentionMs = 60_000 } = {}) => {
    server.psql(`CREATE DATABASE ${database}`);
    const pool = open(database, { max: 1, connectionLog: true });
    if (isInstalled) await installConnectionLog(pool);
    const dropped = poolMetrics(pool.handle).logDropped;
    const log = new ConnectionLog(open(database, LOG_POOL), { name: pool.name, retentionMs, dropped });
    ends.unshift(() => log.close(1000));
    return { pool, log, recorder: new ConnectionRecorder(pool, log) };
  };
  const rows = (database: string, what = 'status') =>
    server.psql(`SELECT ${what} FROM connection_logs ORDER BY created_at, id`, database).split('\n');
  const told = (event: string) => records.filter((record) => record.event === event);

  before(async () => {
    setLogger({});
    server = await Postgres.start({ settings: { max_connections: '60' } });
  });
  after(() => server?.stop());
  afterEach(async () => {
    for (const end of ends) await end();
    ends = [];
    records = [];
    setLogger({});
  });
  const listen = () => {
    const keep = (record: LogRecord) => void records.push(record);
    setLogger({ debug: keep, info: keep, warn: keep, error: keep });
  };

  test('the table and the function are created once, by several at the same time, and used by a role that may not', async () => {
    server.psql('CREATE DATABASE installed');
    const pools = Array.from({ length: 8 }, () => open('installed'));
    for (let round = 0; round < 10; round++) {
      await pools[0]!.query('DROP TABLE IF EXISTS connection_logs; DROP FUNCTION IF EXISTS log_connection_event');
      await Promise.all(pools.map(installConnectionLog));
    }
    await installConnectionLog(pools[0]!);
    await pools[0]!.query("SELECT log_connection_event('1', 'of a user', p_metadata => '{\"a\": 1}')");
    await pools[0]!.query("SELECT log_connection_event('2', 'of a user', 'an error')");
    assert.deepEqual(
      rows('installed', "connection_id, status, error_message, metadata, created_at > now() - interval '1 minute'"),
      ['1|of a user||{"a": 1}|t', '2|of a user|an error|{}|t'],
    );
    server.psql("CREATE ROLE guest LOGIN PASSWORD 'guest'; GRANT SELECT ON connection_logs TO guest", 'installed');
    server.psql('REVOKE CREATE ON SCHEMA public FROM PUBLIC', 'installed');
    await installConnectionLog(open('installed', { user: 'guest', password: 'guest' }));
    server.psql('CREATE DATABASE refused');
    server.psql('REVOKE CREATE ON SCHEMA public FROM PUBLIC', 'refused');
    await assert.rejects(installConnectionLog(open('refused', { user: 'guest', password: 'guest' })), {
      code: '42501',
    });
  });

  test('records have the form that the specification has, and go to the logger', async () => {
    listen();
    const { pool, recorder } = await openLogged('recorded');
    records = [];
    const client = await pool.connect();
    client.release();
    recorder.onHealthCheck({ healthy: true });
    recorder.onHealthCheck({ healthy: false, error: new Error('no answer') });
    recorder.onConnectionError(new Error('no connection'));
    const typed: LogFormat[] = records as Records.PostgresLogRecord[];
    const connectionId = String(client.processID);
    assert.deepEqual(
      typed.map(({ event, level, data }) => [event, level, data]),
      [
        ['connection_acquired', 'debug', { connectionId, poolSize: 1 }],
        ['connection_released', 'debug', { connectionId, poolSize: 1 }],
        ['health_check', 'debug', { poolSize: 1 }],
        ['health_check', 'warn', { poolSize: 1, error: 'no answer' }],
        ['connection_error', 'warn', { poolSize: 1, error: 'no connection' }],
      ],
    );
    const [acquired, released, ...others] = typed.map(({ correlationId }) => correlationId);
    assert.equal(acquired, released);
    assert.equal(new Set([acquired, ...others]).size, 4);
    for (const { timestamp } of typed) assert.equal(new Date(timestamp).toISOString(), timestamp);
  });

  test('a connection that is lost is an error, of its borrower or of nobody', async () => {
    listen();
    const { pool } = await openLogged('lost');
    records = [];
    const client = await pool.connect();
    const { processID } = client;
    server.psql(`SELECT pg_terminate_backend(${processID})`);
    await eventually(() => told('connection_error').length === 1);
    client.release();
    const [lent, lost] = records;
    assert.deepEqual([lent!.event, lost!.correlationId], ['connection_acquired', lent!.correlationId]);
    assert.deepEqual([lost!.level, lost!.data['connectionId']], ['warn', String(processID)]);
    assert.match(String(lost!.data['error']), /administrator command/);
    // It was never lent to a client.
    await pool.query('SELECT 1');
    server.psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moorline' AND datname = 'lost'",
    );
    await eventually(() => told('connection_error').length === 2);
    await pool.query('SELECT 1');
    await pool.end(1000);
    assert.equal(told('connection_error').length, 2);
  });

  test('rows are written in batches, with the times of their events, on a connection that is not logged', async () => {
    const { pool, log, recorder } = await openLogged('written');
    const began = performance.now();
    for (let n = 0; n < 200; n++) (await pool.connect()).release();
    recorder.onHealthCheck({ healthy: false, error: new Error('a \0 in "quotes", \\ and {braces}') });
    await eventually(() => rows('written').length === 401, 15_000);
    const tookMs = performance.now() - began;
    const counts = server.psql('SELECT status, count(*) FROM connection_logs GROUP BY 1 ORDER BY 1', 'written');
    assert.equal(counts, 'connection_acquired|200\nconnection_released|200\nhealth_check|1');
    const own = (where: string) =>
      server.psql(`SELECT DISTINCT connection_id FROM connection_logs WHERE ${where}`, 'written').split('\n');
    const processes = server.psql(
      `SELECT pid, application_name FROM pg_stat_activity WHERE datname = 'written' AND application_name <> 'psql' ORDER BY 2`,
    );
    const [logged, logging] = processes.split('\n').map((line) => line.split('|'));
    assert.deepEqual([logged?.[1], logging?.[1]], ['moorline', 'moorline connection log']);
    assert.deepEqual(own("status <> 'health_check'"), [logged![0]]);
    assert.deepEqual(own("status = 'health_check'"), [pool.name]);
    const error = server.psql("SELECT error_message FROM connection_logs WHERE status = 'health_check'", 'written');
    assert.equal(error, 'a  in "quotes", \\ and {braces}');
    // Each borrower's two have one correlation id, and the pool's size; the order is that of the events.
    const pairs = server.psql(
      "SELECT count(*) FROM (SELECT metadata->>'correlationId' FROM connection_logs WHERE metadata->>'poolSize' = '1' GROUP BY 1 HAVING count(*) = 2) t",
      'written',
    );
    assert.equal(pairs, '200');
    assert.deepEqual(rows('written').slice(0, 4), [
      'connection_acquired',
      'connection_released',
      'connection_acquired',
      'connection_released',
    ]);
    const spread = server.psql(
      'SELECT extract(epoch FROM max(created_at) - min(created_at)) * 1000 FROM connection_logs',
      'written',
    );
    assert.ok(Number(spread) > 0 && Number(spread) < tookMs, `${spread} of ${tookMs}`);
    assert.equal(log.dropped, 0);
    // A few statements, not one per event.
    const written = server.psql("SELECT xact_commit FROM pg_stat_database WHERE datname = 'written'");
    assert.ok(Number(written) < 200, written);
  });

  test('what waits is written at the end, within its time', async () => {
    const { pool, log } = await openLogged('ended');
    for (let n = 0; n < 1500; n++) log.add('connection_acquired', `c-${n}`, { connectionId: String(n) });
    await log.close(10_000);
    assert.equal(rows('ended').length, 1500);
    log.add('connection_acquired', 'late', {});
    assert.equal(log.dropped, 1);
    void pool;
  });

  test('a table that is missing is told once, waited for without a borrower noticing, and filled when it is there', async () => {
    listen();
    const { pool, log } = await openLogged('missing', { isInstalled: false });
    (await pool.connect()).release();
    await eventually(() => told('postgres.connection-log-failed').length === 1);
    (await pool.connect()).release();
    await log.flush(5000);
    assert.match(String(told('postgres.connection-log-failed')[0]!.data['error']), /connection_logs/);
    assert.equal(told('postgres.connection-log-failed').length, 1);
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1);
    await installConnectionLog(pool);
    await log.flush(5000);
    assert.equal(rows('missing').length, 4);
    assert.equal(log.dropped, 0);
  });

  test('a server that refuses to write is told once, and queries go on', async () => {
    listen();
    const { pool, log } = await openLogged('unwritable');
    server.psql('ALTER DATABASE unwritable SET default_transaction_read_only = on');
    (await pool.connect()).release();
    await log.flush(5000);
    (await pool.connect()).release();
    await log.flush(5000);
    const [only, ...more] = told('postgres.connection-log-failed');
    assert.match(String(only!.data['error']), /read-only transaction/);
    assert.deepEqual(more, []);
    assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1);
  });

  test('a server that does not answer keeps nobody waiting: what is too much is dropped and counted, the rest is written later', async () => {
    listen();
    const { pool, log } = await openLogged('locked');
    const blocker = open('locked');
    const client = await blocker.connect();
    await client.query('BEGIN; LOCK TABLE connection_logs IN ACCESS EXCLUSIVE MODE');
    const began = performance.now();
    for (let n = 0; n < 12_000; n++) log.add('connection_acquired', `c-${n}`, { connectionId: 'x' });
    assert.ok(performance.now() - began < 2000);
    assert.equal(log.dropped, 2000);
    await eventually(() => server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") === '1');
    (await pool.connect()).release();
    assert.equal(log.dropped, 2002);
    const labels = { pool: pool.name };
    assert.equal(valueOf(metricsText(), 'moorline_postgres_connection_log_dropped_total', labels), 2002);
    await client.query('COMMIT');
    client.release();
    await log.flush(10_000);
    assert.equal(rows('locked').length, 10_000);
    assert.deepEqual(
      told('postgres.connection-log-dropped').map(({ data }) => data),
      [{ dropped: 2002 }],
    );
  });

  test('the end of a log that cannot be written comes within its time', async () => {
    listen();
    const { log } = await openLogged('stuck');
    const client = await open('stuck').connect();
    await client.query('BEGIN; LOCK TABLE connection_logs IN ACCESS EXCLUSIVE MODE');
    log.add('connection_acquired', 'c', {});
    const began = performance.now();
    await log.close(200);
    assert.ok(performance.now() - began < 3000);
    assert.equal(log.dropped, 1);
    await eventually(() => server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") === '0');
    client.release(true);
  });

  test('rows that are older than they are kept are removed', async () => {
    const { log } = await openLogged('old', { retentionMs: 60_000 });
    server.psql(
      `INSERT INTO connection_logs (connection_id, status, created_at)
       SELECT n, 'old', now() - interval '61 seconds' FROM generate_series(1, 100) n
       UNION ALL SELECT 0, 'young', now() - interval '30 seconds'`,
      'old',
    );
    log.add('connection_acquired', 'c', {});
    await eventually(() => rows('old').length === 2);
    assert.deepEqual(rows('old'), ['young', 'connection_acquired']);
  });

  test('what a lost server may have written is not written twice', async () => {
    const { log } = await openLogged('unknown');
    server.psql(
      `CREATE FUNCTION wait() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(10); RETURN NEW; END $$ LANGUAGE plpgsql;
       CREATE TRIGGER slow BEFORE INSERT ON connection_logs FOR EACH ROW EXECUTE FUNCTION wait()`,
      'unknown',
    );
    log.add('connection_acquired', 'c', {});
    await eventually(() => server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") === '1');
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    await eventually(() => log.dropped === 1);
    server.psql('DROP TRIGGER slow ON connection_logs', 'unknown');
    log.add('connection_acquired', 'd', {});
    await log.flush(5000);
    assert.deepEqual(rows('unknown', "metadata->>'correlationId'"), ['d']);
  });
});
