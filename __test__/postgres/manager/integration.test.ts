// The integration tests that document 3 lists, by its titles, on a server of its own.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { PostgresConnectionManager, type PostgresError, type PostgresManagerConfig, setLogger } from 'moorline';

import { eventually } from '../../support/eventually';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

describe('Connection Manager: integration', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  let managers: PostgresConnectionManager[] = [];
  const open = (more: Partial<PostgresManagerConfig> = {}) => {
    const manager = new PostgresConnectionManager({
      ...server.config,
      tunnel: false,
      connectionTimeoutMillis: 10_000,
      ...more,
    });
    managers.push(manager);
    return manager;
  };
  const processes = () =>
    Number(server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorline'"));

  before(async () => {
    setLogger({});
    server = await Postgres.start({ settings: { max_connections: '60' } });
    server.psql('CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counters VALUES (1, 0)');
  });
  after(async () => {
    setLogger(undefined);
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(managers.map((manager) => manager.shutdown(0)));
    managers = [];
  });

  test('Verify connection pooling', async () => {
    const manager = open({ max: 5 });
    const pids = new Set<number>();
    for (let n = 0; n < 20; n++) pids.add(await manager.withClient(({ processID }) => processID));
    assert.equal(pids.size, 1, 'one after the other needs one connection');
    const separate = open({ pooling: false });
    const [first, second] = [await pidOf(separate), await pidOf(separate)];
    assert.notEqual(first, second);
    await separate.withClient(({ processID }) => assert.notEqual(processID, second));
    await eventually(() => separate.stats().total === 0);
  });

  test('Test connection limits', async () => {
    const manager = open({ max: 3, connectionTimeoutMillis: 5000 });
    const clients = await Promise.all([manager.connect(), manager.connect(), manager.connect()]);
    const fourth = manager.connect();
    assert.deepEqual(manager.stats(), { total: 3, inUse: 3, available: 0, waiting: 1 });
    assert.equal(processes(), 3);
    clients[0]!.release();
    (await fourth).release();
    for (const client of clients.slice(1)) client.release();
    const impatient = open({ max: 1, connectionTimeoutMillis: 300 });
    const held = await impatient.connect();
    const began = performance.now();
    await assert.rejects(impatient.query('SELECT 1'), { kind: 'pool-timeout', code: 'ETIMEDOUT', delivery: 'none' });
    assert.ok(performance.now() - began >= 295);
    held.release();
    const few = open({ max: 1, maxWaiters: 1 });
    const borrowed = await few.connect();
    const waiting = few.query('SELECT 1');
    await assert.rejects(few.query('SELECT 1'), { kind: 'overloaded' });
    borrowed.release();
    await waiting;
  });

  test('Validate health checks', async () => {
    const manager = open({ healthCheckIntervalMs: 20, connectionTimeoutMillis: 500, max: 2 });
    const checks: { healthy: boolean; error?: Error }[] = [];
    let running = 0;
    manager.on('healthCheck', (check) => checks.push(check));
    // A check never begins while another is under way.
    manager.on('acquire', () => assert.ok((running += 1) <= 1));
    manager.on('release', () => (running -= 1));
    await eventually(() => checks.length >= 5);
    assert.ok(checks.every(({ healthy, error }) => healthy && error === undefined));
    const failures: Error[] = [];
    manager.on('healthCheckFailed', (error) => failures.push(error));
    await server.end();
    await eventually(() => failures.length >= 2);
    const failed = checks.filter(({ healthy }) => !healthy);
    assert.ok(failed.length >= 2 && failed.every(({ error }) => error instanceof Error));
    assert.match((failures[1] as NodeJS.ErrnoException).code!, /ECONNREFUSED|ECONNRESET|57P0/);
    await server.listen();
    await eventually(() => checks.at(-1)!.healthy);
  });

  test('Test error recovery', async () => {
    const manager = open({ max: 4 });
    const client = await manager.connect();
    await assert.rejects(client.query('SELECT 1/0'), { code: '22012' });
    assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    server.psql(`SELECT pg_terminate_backend(${client.processID})`);
    const isLost = () =>
      client.query('SELECT 1').then(
        () => false,
        ({ kind }: PostgresError) => kind === 'disconnected',
      );
    await eventually(isLost);
    client.release();
    assert.deepEqual((await manager.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    await server.kill();
    await assert.rejects(manager.query('SELECT 1'));
    await server.listen();
    assert.deepEqual((await manager.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  });

  test('Verify connection cleanup', async () => {
    const manager = open({ max: 5, idleTimeoutMillis: 100 });
    await Promise.all(Array.from({ length: 5 }, () => manager.query('SELECT pg_sleep(0.05)')));
    assert.ok(manager.stats().total > 1);
    await eventually(() => manager.stats().total === 0);
    await eventually(() => processes() === 0);
    const left = open({ max: 1 });
    await left.withClient((client) => client.query('BEGIN; SET search_path = pg_catalog'));
    assert.equal((await left.query('SHOW search_path')).rows[0].search_path, '"$user", public');
    await left.shutdown();
    await eventually(() => processes() === 0);
  });

  test('Test concurrent connections', async () => {
    const manager = open({ max: 10 });
    const increment = () => manager.query('UPDATE counters SET n = n + 1 WHERE id = 1');
    await Promise.all(Array.from({ length: 300 }, increment));
    assert.equal(server.psql('SELECT n FROM counters'), '300');
    assert.ok(processes() <= 10);
    const add = () =>
      manager.withTransaction(
        async (client) => {
          const { rows } = await client.query('SELECT n FROM counters');
          await client.query('UPDATE counters SET n = $1', [rows[0].n + 1]);
        },
        { isolation: 'serializable', retry: 1000 },
      );
    await Promise.all(Array.from({ length: 20 }, add));
    assert.equal(server.psql('SELECT n FROM counters'), '320');
  });
});

async function pidOf(manager: PostgresConnectionManager): Promise<number> {
  return (await manager.query('SELECT pg_backend_pid() AS pid')).rows[0].pid as number;
}
