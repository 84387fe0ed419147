// What a server says without being asked: notices, notifications, parameters.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';

import type { PostgresNotice, PostgresNotification } from '../../lib/postgres/client';
import type * as Pools from '../../lib/postgres/pool';
import { eventually } from '../support/eventually';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
type Pool = Pools.PostgresConnectionPool;

/** Raises so many notices, of so many letters each. */
const raise = (count: number, letters: number) =>
  `DO $$ BEGIN FOR n IN 1..${count} LOOP RAISE NOTICE '% %', n, repeat('x', ${letters}); END LOOP; END $$`;
const MB = 2 ** 20;

describe('what PostgreSQL says without being asked', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more = {}) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };

  before(async () => {
    server = await Postgres.start();
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('a notice has the fields that pg gives it', async () => {
    const client = await open().connect();
    const notices: PostgresNotice[] = [];
    client.on('notice', (notice) => notices.push(notice));
    await client.query(
      "DO $$ BEGIN RAISE WARNING 'careful' USING DETAIL = 'why', HINT = 'how', ERRCODE = '01234'; END $$",
    );
    await eventually(() => notices.length === 1);
    const { severity, code, message, detail, hint } = notices[0]!;
    assert.deepEqual([severity, code, message, detail, hint], ['WARNING', '01234', 'careful', 'why', 'how']);
    client.release();
  });

  test('notifications come while no statement runs, and by the order in which they were sent', async () => {
    const pool = open();
    const [listening, sending] = [await pool.connect(), await pool.connect()];
    const received: PostgresNotification[] = [];
    listening.on('notification', (notification) => received.push(notification));
    await listening.query('LISTEN "the news"');
    await sending.query('NOTIFY "the news", \'first\'');
    await eventually(() => received.length === 1);
    await sending.query("SELECT pg_notify('the news', n::text) FROM generate_series(1, 1000) AS n");
    await sending.query('NOTIFY "the news"');
    await eventually(() => received.length === 1002);
    const payloads = ['first', ...Array.from({ length: 1000 }, (_, n) => String(n + 1)), ''];
    assert.deepEqual(
      received,
      payloads.map((payload) => ({ processId: sending.processID, channel: 'the news', payload })),
    );
    listening.release();
    sending.release();
  });

  test('a parameter that changes is told', async () => {
    const client = await open().connect();
    const told = once(client, 'parameterStatus');
    await client.query("SET TimeZone = 'Asia/Tokyo'");
    assert.deepEqual(await told, [{ parameterName: 'TimeZone', parameterValue: 'Asia/Tokyo' }]);
    client.release();
  });

  test('the next borrower of a connection hears nothing of the channels of the one before', async () => {
    const pool = open({ max: 1 });
    const client = await pool.connect();
    const received: unknown[] = [];
    client.on('notification', (notification) => received.push(notification));
    await client.query('LISTEN news');
    client.release();
    const next = await pool.connect();
    assert.equal(next, client);
    server.psql("NOTIFY news, 'late'");
    await next.query('LISTEN own');
    server.psql("NOTIFY own, 'mine'");
    await eventually(() => received.length === 1);
    assert.equal((received[0] as PostgresNotification).payload, 'mine');
    next.release();
  });

  test('what nobody listens to costs nothing, and the last listener ends it', async () => {
    const client = await open({ queryTimeoutMs: 60_000 }).connect();
    await client.query(raise(10_000, 10));
    let heard = 0;
    const listener = () => heard++;
    client.once('notice', listener);
    await client.query(raise(1, 1));
    await eventually(() => heard === 1);
    await client.query(raise(1, 1));
    client.prependListener('notice', listener);
    await client.query(raise(2, 1));
    await eventually(() => heard === 3);
    client.release();
  });

  test('a listener that throws is an uncaught exception, and the others are called', async () => {
    const client = await open().connect();
    const thrown: unknown[] = [];
    const heard: string[] = [];
    const onUncaught = (error: unknown) => thrown.push(error);
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught);
    try {
      client.on('notice', ({ message }) => {
        heard.push(message);
        throw new Error(message);
      });
      await client.query(raise(2, 1));
      await eventually(() => heard.length === 2 && thrown.length === 2);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    }
    client.release();
  });

  test('what nobody reads stays at the server, and none of it is lost', async () => {
    const pool = open({ queryTimeoutMs: 110_000 });
    const client = await pool.connect();
    const isSending = () =>
      server.psql(`SELECT wait_event FROM pg_stat_activity WHERE pid = ${client.processID}`) === 'ClientWrite';
    let [count, last] = [0, 0];
    client.on('notice', ({ message }) => {
      count++;
      last = Number.parseInt(message, 10);
      assert.equal(last, count);
      // Nobody reads from here on.
      if (count === 1) assert.ok(waitUntil(isSending), 'the server does not wait');
    });
    const before = process.memoryUsage.rss();
    const controller = new AbortController();
    // 250 MB.
    const running = client.query({ text: raise(1_000_000, 200), signal: controller.signal });
    await eventually(() => count > 5_000, 30_000);
    assert.ok(process.memoryUsage.rss() - before < 50 * MB);
    controller.abort();
    await assert.rejects(running, { name: 'AbortError' });
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    assert.equal(last, count);
    client.release();
  });

  test('notifications by the hundred thousand are all there, in their order', async () => {
    const pool = open({ queryTimeoutMs: 110_000 });
    const client = await pool.connect();
    const total = 100_000;
    let count = 0;
    client.on('notification', ({ payload }) => assert.equal(Number(payload), ++count));
    await client.query('LISTEN many');
    const before = process.memoryUsage.rss();
    await pool.query(`SELECT count(pg_notify('many', n::text)) FROM generate_series(1, ${total}) AS n`);
    await eventually(() => count === total, 60_000);
    assert.ok(process.memoryUsage.rss() - before < 50 * MB);
    client.release();
  });
});

/** Whether it comes true in time; meanwhile the event loop stands still. */
function waitUntil(condition: () => boolean): boolean {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    if (condition()) return true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
  return false;
}
