// What a manager uses while its own server cannot be reached, and how it comes back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';

import { PostgresConnectionManager, type PostgresManagerConfig, setLogger } from 'moorline';

import { eventually } from '../../support/eventually';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

describe('the fallback of PostgresConnectionManager', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let first: Postgres;
  let second: Postgres;
  let managers: PostgresConnectionManager[] = [];
  const open = (config: PostgresManagerConfig) => {
    const manager = new PostgresConnectionManager({ tunnel: false, connectionTimeoutMillis: 2000, ...config });
    managers.push(manager);
    return manager;
  };
  const where = async (manager: PostgresConnectionManager) =>
    (await manager.query('SELECT name FROM place')).rows[0].name as string;

  before(async () => {
    setLogger({});
    [first, second] = await Promise.all([Postgres.start(), Postgres.start()]);
    for (const [server, name] of [
      [first, 'first'],
      [second, 'second'],
    ] as const) {
      server.psql(`CREATE TABLE place AS SELECT '${name}' AS name; CREATE TABLE effects (id int)`);
    }
  });
  after(async () => {
    setLogger(undefined);
    await Promise.all([first?.stop(), second?.stop()]);
  });
  afterEach(async () => {
    await Promise.all(managers.map((manager) => manager.shutdown(0)));
    managers = [];
  });

  test('it is used while the server is down, and left when that answers again', async () => {
    const manager = open({ ...first.config, fallback: { ...second.config, tunnel: false } });
    assert.equal(await where(manager), 'first');
    const activated = once(manager, 'fallback_activated');
    await first.end();
    assert.equal(await where(manager), 'second');
    const [{ error, service, name }] = await activated;
    assert.deepEqual([error instanceof Error, service, name], [true, 'postgres', `127.0.0.1:${first.port}/postgres`]);
    assert.equal(
      await manager.withClient(async (client) => (await client.query('SELECT name FROM place')).rows[0].name),
      'second',
    );
    const restored = once(manager, 'fallback_restored');
    await first.listen();
    const [{ downMs }] = await restored;
    assert.ok(downMs > 0);
    assert.equal(await where(manager), 'first');
  });

  test('a health check that fails goes over to it, before anybody asks', async () => {
    const fallback = open(second.config);
    const manager = open({ ...first.config, healthCheckIntervalMs: 50, fallback });
    const activated = once(manager, 'fallback_activated');
    await first.end();
    await activated;
    assert.equal(await where(manager), 'second');
    const restored = once(manager, 'fallback_restored');
    await first.listen();
    await restored;
    assert.equal(await where(manager), 'first');
    // It is its owner's.
    await manager.shutdown();
    assert.equal(await where(fallback), 'second');
  });

  test('a transaction stays where it began', async () => {
    const manager = open({ ...first.config, fallback: { ...second.config, tunnel: false } });
    const lost = manager.withTransaction(async (client) => {
      await client.query('INSERT INTO effects VALUES (1)');
      await first.kill();
      await client.query('INSERT INTO effects VALUES (2)');
    });
    await assert.rejects(lost, { kind: 'disconnected' });
    assert.equal(second.psql('SELECT count(*) FROM effects'), '0');
    const client = await eventually(() => manager.connect());
    await client.query('BEGIN; INSERT INTO effects VALUES (3)');
    const restored = once(manager, 'fallback_restored');
    await first.listen();
    await restored;
    await client.query('INSERT INTO effects VALUES (4); COMMIT');
    client.release();
    assert.equal(second.psql('SELECT count(*) FROM effects'), '2');
    assert.equal(first.psql('SELECT count(*) FROM effects'), '0');
  });

  test('what the server refuses, and what it may have done, does not go there', async () => {
    const manager = open({ ...first.config, fallback: { ...second.config, tunnel: false } });
    let activations = 0;
    manager.on('fallback_activated', () => (activations += 1));
    await assert.rejects(manager.query('SELECT nothing'), { code: '42703' });
    const running = manager.query('SELECT pg_sleep(60)');
    const pid =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    await eventually(() => first.psql(pid) === 't');
    await assert.rejects(running, { code: '57P01', delivery: 'unknown' });
    const full = open({
      ...first.config,
      max: 1,
      connectionTimeoutMillis: 200,
      fallback: { ...second.config, tunnel: false },
    });
    full.on('fallback_activated', () => (activations += 1));
    const held = await full.connect().catch(() => full.connect());
    await assert.rejects(full.query('SELECT 1'), { kind: 'pool-timeout' });
    held.release();
    await assert.rejects(open({ ...first.config, password: 'not it', fallback: manager }).query('SELECT 1'), {
      kind: 'auth',
    });
    assert.equal(activations, 0);
  });

  test('where both are down, the failure is that of the fallback', async () => {
    const manager = open({ ...first.config, port: 1, fallback: { ...second.config, port: 2, tunnel: false } });
    await assert.rejects(manager.query('SELECT 1'), { kind: 'connect', code: 'ECONNREFUSED' });
  });
});
