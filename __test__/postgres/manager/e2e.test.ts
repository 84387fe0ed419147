// The end-to-end tests that document 3 lists, by its titles: a manager whose server is reached through an SSH server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  metricsText,
  PostgresConnectionManager,
  PostgresError,
  type PostgresManagerConfig,
  setLogger,
  SSHTunnel,
} from 'moorline';

import { eventually } from '../../support/eventually';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';
import { skipWithoutSshd, Sshd } from '../../support/sshd';

const skip = skipWithoutPostgres() || skipWithoutSshd();

describe('Connection Manager: end to end', { skip, timeout: 180_000 }, () => {
  let server: Postgres;
  let sshd: Sshd;
  let tunnel: SSHTunnel;
  let manager: PostgresConnectionManager;
  const open = (more: Partial<PostgresManagerConfig> = {}) =>
    new PostgresConnectionManager({ ...server.config, tunnel, max: 10, connectionTimeoutMillis: 10_000, ...more });
  const processes = () =>
    Number(server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorline'"));

  before(async () => {
    setLogger({});
    [server, sshd] = await Promise.all([Postgres.start({ settings: { max_connections: '60' } }), Sshd.start()]);
    server.psql('CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)');
    tunnel = new SSHTunnel({ ...sshd.config, retryDelay: 50, maxRetries: 100 });
  });
  beforeEach(() => {
    server.psql('TRUNCATE counters; INSERT INTO counters VALUES (1, 0)');
  });
  after(async () => {
    await tunnel?.disconnect();
    await Promise.all([server?.stop(), sshd?.stop()]);
    setLogger(undefined);
  });

  test('Test connection stability', async () => {
    await using manager = open({ max: 5 });
    const client = await manager.connect();
    const pid = client.processID;
    for (let n = 0; n < 300; n++) {
      const { rows } = await client.query('SELECT $1::int AS n, pg_backend_pid() AS pid', [n]);
      assert.deepEqual(rows, [{ n, pid }]);
    }
    client.release();
    const big = await manager.query("SELECT repeat('x', 1000000) AS text");
    assert.equal(big.rows[0].text.length, 1_000_000);
    assert.ok(processes() <= 5);
  });

  test('Verify recovery mechanisms', async () => {
    manager = open({ healthCheckIntervalMs: 100 });
    await manager.query('SELECT 1');
    // The SSH server: its loss is the end of all connections, which come back with the tunnel.
    const running = manager.query('SELECT pg_sleep(60)').catch((error: unknown) => error);
    await eventually(() =>
      server.psql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"),
    );
    await sshd.kill();
    const lost = await running;
    assert.ok(lost instanceof PostgresError);
    assert.deepEqual([lost.kind, lost.delivery], ['disconnected', 'unknown']);
    await eventually(() => manager.stats().total === 0);
    await sshd.listen();
    assert.deepEqual((await manager.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    assert.equal(tunnel.isConnectedToTunnel(), true);
    // The database: the tunnel stays.
    const sessions = sshd.log.match(/Accepted publickey/g)!.length;
    const failed = once(manager, 'healthCheckFailed');
    await server.end();
    assert.ok((await failed)[0] instanceof Error);
    await server.listen();
    await eventually(async () => (await manager.query('SELECT 1')).rowCount === 1, 5000);
    assert.equal(sshd.log.match(/Accepted publickey/g)!.length, sessions);
    // A tunnel that nobody connects again is connected by the next check.
    await tunnel.disconnect();
    await eventually(() => tunnel.isConnectedToTunnel());
    await eventually(async () => (await manager.healthCheck()).healthy);
    await manager.shutdown();
    assert.equal(tunnel.isConnectedToTunnel(), true, 'the tunnel outlives the manager');
  });

  test('Test under load', async () => {
    await using manager = open();
    let acknowledged = 0;
    let unknown = 0;
    const until = performance.now() + 3000;
    const work = async () => {
      while (performance.now() < until) {
        await manager.query('UPDATE counters SET n = n + 1 WHERE id = 1').then(
          () => (acknowledged += 1),
          (error: PostgresError) => {
            if (error.delivery !== 'none') unknown += 1;
          },
        );
        assert.ok(manager.stats().total <= 10);
      }
    };
    const workers = Array.from({ length: 50 }, work);
    await eventually(() => acknowledged > 100);
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects > 0);
    server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'moorline'");
    await Promise.all(workers);
    const n = Number(server.psql('SELECT n FROM counters'));
    assert.ok(
      n >= acknowledged && n <= acknowledged + unknown,
      `${acknowledged} ≤ ${n} ≤ ${acknowledged} + ${unknown}`,
    );
    await eventually(() => processes() <= 10);
  });

  test('Validate monitoring', async () => {
    const records: Record<string, unknown>[] = [];
    const keep = (record: object) => records.push(record as Record<string, unknown>);
    setLogger({ debug: keep, info: keep, warn: keep, error: keep });
    const manager = open({ max: 2 });
    try {
      const client = await manager.connect();
      assert.match(
        metricsText(),
        new RegExp(`^moorline_postgres_connections_active\\{pool="127.0.0.1:${server.port}/postgres"\\} 1$`, 'm'),
      );
      client.release();
      await manager.healthCheck();
      await assert.rejects(open({ user: 'nobody-of-ours' }).connect());
      const events = new Set(records.map(({ event }) => event));
      for (const event of ['connection_acquired', 'connection_released', 'health_check', 'connection_error']) {
        assert.ok(events.has(event), event);
      }
      const text = metricsText();
      for (const [name, pattern] of [
        ['connections_active', '0'],
        ['connection_errors_total', '\\d+'],
        ['health_check_failures_total', '\\d+'],
        ['connection_acquisition_seconds_count', '[1-9]\\d*'],
      ] as const) {
        assert.match(text, new RegExp(`^moorline_postgres_${name}\\{pool="[^"]+"\\} ${pattern}$`, 'm'));
      }
      assert.match(text, /^db_client_operation_duration_seconds_count\{.*db_system_name="postgresql"/m);
      manager.metrics.connectionErrors.inc();
    } finally {
      setLogger({});
      await manager.shutdown();
    }
  });
});
