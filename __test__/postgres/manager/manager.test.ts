// The connection manager on a server of its own, direct: what it lends, what it refuses, how it ends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';

import { PostgresConnectionManager, PostgresError, type PostgresPoolConfig, setLogger, SSHTunnel } from 'moorline';

import { eventually } from '../../support/eventually';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';

describe('PostgresConnectionManager', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  let managers: PostgresConnectionManager[] = [];
  const open = (more: Partial<PostgresPoolConfig> = {}) => {
    const manager = new PostgresConnectionManager({
      ...server.config,
      tunnel: false,
      connectionTimeoutMillis: 10_000,
      ...more,
    });
    managers.push(manager);
    return manager;
  };
  /** The server processes of our managers. */
  const processes = (where: string) =>
    Number(server.psql(`SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorline' AND ${where}`));

  before(async () => {
    setLogger({});
    server = await Postgres.start({ settings: { max_connections: '60' } });
    server.psql('CREATE TABLE accounts (id int PRIMARY KEY, balance int)');
  });
  after(async () => {
    setLogger(undefined);
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(managers.map((manager) => manager.shutdown(0)));
    managers = [];
  });

  test('should create and release connections', async () => {
    const manager = open({ max: 2 });
    const client = await manager.connect();
    assert.deepEqual(manager.stats(), { total: 1, inUse: 1, available: 0, waiting: 0 });
    assert.deepEqual((await client.query('SELECT $1::int AS n', [1])).rows, [{ n: 1 }]);
    assert.equal(client.transactionStatus, 'I');
    assert.ok(client.processID > 0);
    client.release();
    assert.deepEqual(manager.stats(), { total: 1, inUse: 0, available: 1, waiting: 0 });
    const again = await manager.connect();
    assert.equal(again.processID, client.processID);
    again.release(true);
    await eventually(() => manager.stats().total === 0);
    await assert.rejects(again.query('SELECT 1'), { kind: 'closed' });
  });

  test('should handle connection failures', async () => {
    const refused = open({ port: 1, connectionTimeoutMillis: 500 });
    await assert.rejects(refused.connect(), {
      name: 'PostgresError',
      kind: 'connect',
      code: 'ECONNREFUSED',
      delivery: 'none',
    });
    const full = open({ max: 1, connectionTimeoutMillis: 1000 });
    const client = await full.connect();
    await assert.rejects(full.connect(), { kind: 'pool-timeout', code: 'ETIMEDOUT' });
    client.release();
    const wrong = open({ password: 'not it' });
    await assert.rejects(wrong.query('SELECT 1'), { kind: 'auth', code: '28P01' });
    const lost = open({ max: 1 });
    const { processID } = await lost.withClient((borrowed) => borrowed);
    server.psql(`SELECT pg_terminate_backend(${processID})`);
    await eventually(() => lost.stats().total === 0);
    assert.deepEqual((await lost.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
  });

  test('should perform health checks', async () => {
    const manager = open({ healthCheckIntervalMs: 20 });
    const seen: unknown[] = [];
    manager.on('healthCheck', (health) => seen.push(health));
    await eventually(() => seen.length >= 3);
    assert.deepEqual(seen[0], { healthy: true, database: true });
    assert.deepEqual(await manager.healthCheck(), { healthy: true, database: true });
  });

  test('a function gets a connection, which is released in any case', async () => {
    const manager = open({ max: 1 });
    const n = await manager.withClient(async (client) => (await client.query('SELECT 1 AS n')).rows[0].n as number);
    assert.equal(n, 1);
    const error = new Error('changed my mind');
    await assert.rejects(
      manager.withClient(() => Promise.reject(error)),
      error,
    );
    assert.equal(manager.stats().inUse, 0);
    await assert.rejects(manager.withClient(undefined as never), TypeError);
  });

  test('a transaction is committed or undone, and nested ones are savepoints', async () => {
    const manager = open();
    await manager.withTransaction(async (client) => {
      await client.query('INSERT INTO accounts VALUES (1, 10)');
      const undone = client.withTransaction(async () => {
        await client.query('INSERT INTO accounts VALUES (2, 20)');
        throw new Error('not this one');
      });
      await assert.rejects(undone, /not this one/);
    });
    assert.equal(server.psql('SELECT string_agg(id::text, $$,$$) FROM accounts'), '1');
    const readOnly = manager.withTransaction((client) => client.query('DELETE FROM accounts'), { readOnly: true });
    await assert.rejects(readOnly, { code: '25006' });
  });

  test('unknown options are refused with the nearest name', () => {
    for (const [options, message] of [
      [
        { healthCheckIntervalMS: 1 },
        /^options\.healthCheckIntervalMS is not a known option; did you mean 'healthCheckIntervalMs'\?/,
      ],
      [{ fallbak: {} }, /did you mean 'fallback'/],
      [{ pooling: 1 }, /^options\.pooling must be a boolean/],
      [{ type: 'pg' }, /did you mean 'types'/],
      [{ types: 'text' }, /^options\.types must be 'pg', 'plain' or /],
      [{ fallback: 1 }, /^options\.fallback must be a PostgresConnectionManager or options/],
      [{ tunnel: true }, /^options\.tunnel must be an SSHTunnel/],
      [{ fallback: { ...server.config, mx: 1, tunnel: false } }, /options\.mx .* 'max'/],
    ] as const) {
      assert.throws(
        () => open(options as object),
        (error: Error) => {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });

  test('what is no options and no string is refused, without showing it', () => {
    for (const config of [42, null, ['postgres://app:secret@localhost'], new Date()]) {
      assert.throws(
        () => new PostgresConnectionManager(config as object),
        /^TypeError: options must be a plain object or a connection string, got (?!.*secret)/,
      );
    }
  });

  test('without a tunnel, or the word that there is none, it is refused', () => {
    SSHTunnel.resetInstance();
    assert.throws(() => new PostgresConnectionManager(server.config), /^TypeError: SSHTunnel not initialized/);
  });

  test('a shutdown refuses what is new, and waits for what runs', async () => {
    const manager = open({ max: 2 });
    const closed = once(manager, 'close');
    const running = manager.query('SELECT pg_sleep(0.3), 1 AS one');
    await eventually(() => processes("query LIKE '%pg_sleep(0.3)%' AND state = 'active'") === 1);
    const ending = manager.shutdown();
    await assert.rejects(manager.query('SELECT 1'), { kind: 'closed', delivery: 'none' });
    await assert.rejects(manager.connect(), { kind: 'closed' });
    assert.equal((await running).rows[0].one, 1);
    await Promise.all([ending, manager.shutdown(), closed]);
    assert.equal(manager.stats().total, 0);
  });

  test('a shutdown cancels on the server what still runs when its time is over', async () => {
    const manager = open({ max: 3 });
    const client = await manager.connect();
    const calls = [
      manager.query('SELECT pg_sleep(60), 1'),
      client.query('SELECT pg_sleep(60), 2'),
      client.query('SELECT pg_sleep(60), 3'),
    ];
    const outcomes = Promise.allSettled(calls);
    await eventually(() => processes("query LIKE '%pg_sleep(60)%' AND state = 'active'") === 2);
    const began = performance.now();
    await manager.shutdown(100);
    assert.ok(performance.now() - began < 3000);
    for (const outcome of await outcomes) {
      assert.equal(outcome.status, 'rejected');
      assert.ok((outcome as PromiseRejectedResult).reason instanceof PostgresError);
    }
    await eventually(() => processes('true') === 0, 1000);
  });

  test('it ends with its block', async () => {
    let closed = false;
    {
      await using manager = open();
      manager.on('close', () => (closed = true));
      await manager.query('SELECT 1');
    }
    assert.equal(closed, true);
  });
});
