// Locks of transactions: which call waits for which, what may be retried, and what is left after the end.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';

import { Policy, TursoPool, type TursoPoolConfig } from 'moorline';
import { type Client, type Config, createClient, LibsqlError } from 'moorline/libsql';

const directory = mkdtempSync(join(tmpdir(), 'moorline-locks-'));
after(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
const file = () => `file:${directory}/${files++}.db`;

let opened: { close(): void }[] = [];
afterEach(() => {
  for (const one of opened) one.close();
  opened = [];
});

const client = (config: Partial<Config> = {}): Client => {
  const made = createClient({ url: ':memory:', ...config });
  opened.push(made);
  return made;
};

const pool = (config: Partial<TursoPoolConfig> = {}): TursoPool => {
  const made = new TursoPool({ url: ':memory:', ...config });
  opened.push({ close: () => void made.drain(0) });
  return made;
};

const count = async (db: Pick<Client, 'execute'>) => (await db.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'];

/** What a call rejects with, which must come long before the time a lock is waited for. */
async function refusedAtOnce(call: Promise<unknown>): Promise<LibsqlError> {
  const began = performance.now();
  const error = await call.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error,
  );
  assert.ok(performance.now() - began < 30_000, 'it waited for the lock');
  assert.ok(error instanceof LibsqlError, String(error));
  return error;
}

describe('a database in memory with a transaction open', () => {
  const longTimeouts = { timeout: 60_000, queryTimeoutMs: 120_000 };

  for (const [mode, sql] of [
    ['write', 'SELECT * FROM t'],
    ['read', 'INSERT INTO t VALUES (2)'],
    ['deferred', 'INSERT INTO t VALUES (2)'],
  ] as const) {
    test(`of mode ${mode} refuses at once what it locks out`, async () => {
      const db = client(longTimeouts);
      await db.execute('CREATE TABLE t (a)');
      const transaction = await db.transaction(mode);
      await transaction.execute('SELECT * FROM t');
      const error = await refusedAtOnce(db.execute(sql));
      assert.deepEqual([error.code, error.kind, error.retryable], ['SQLITE_BUSY', 'overloaded', true]);
      await transaction.execute('SELECT 1');
      await transaction.rollback();
      await db.execute(sql);
    });
  }

  test('refuses a batch, a script, a migration and a second transaction at once', async () => {
    const db = client(longTimeouts);
    await db.execute('CREATE TABLE t (a)');
    const transaction = await db.transaction('write');
    const calls = [
      () => db.batch(['SELECT * FROM t'], 'write'),
      () => db.executeMultiple('INSERT INTO t VALUES (2)'),
      () => db.migrate(['INSERT INTO t VALUES (2)']),
      () => db.transaction('write'),
    ];
    for (const call of calls) assert.equal((await refusedAtOnce(call())).code, 'SQLITE_BUSY');
    await transaction.commit();
    for (const call of calls) await call();
  });

  test('answers what reads beside a transaction that reads', async () => {
    const db = client(longTimeouts);
    await db.execute('CREATE TABLE t (a)');
    const transaction = await db.transaction('read');
    await transaction.execute('SELECT * FROM t');
    assert.equal(await count(db), 0);
    await transaction.rollback();
  });

  test('is free as soon as the transaction is left, however that comes', async () => {
    const db = pool({ busyTimeoutMs: 60_000, queryTimeoutMs: 120_000 });
    await db.execute('CREATE TABLE t (a)');
    for (let round = 0; round < 50; round++) {
      await db.withConnection((held) => held.execute('BEGIN IMMEDIATE'));
      await db.execute('INSERT INTO t VALUES (1)');
      await db.execute('BEGIN IMMEDIATE');
      await db.execute('INSERT INTO t VALUES (2)');
    }
    assert.equal(await count(db), 100);
  });
});

describe('a lock that waiting does not cure', () => {
  test('a transaction on a stale snapshot is not to be repeated', async () => {
    const db = client({ url: file() });
    await db.execute('CREATE TABLE t (a)');
    const transaction = await db.transaction('deferred');
    await transaction.execute('SELECT * FROM t');
    await db.execute('INSERT INTO t VALUES (1)');
    let attempts = 0;
    const insert = () => (attempts++, transaction.execute('INSERT INTO t VALUES (2)'));
    const repeating = new Policy({ retry: { maxRetries: 4, baseDelayMs: 1 } }).run(insert);
    await assert.rejects(repeating, { extendedCode: 'SQLITE_BUSY_SNAPSHOT', retryable: false });
    assert.equal(attempts, 1);
    transaction.close();
  });

  test('two transactions that wait for each other are not to be repeated', async () => {
    const db = client({ url: file() });
    await db.execute('CREATE TABLE t (a)');
    const [one, two] = [await db.transaction('deferred'), await db.transaction('deferred')];
    await one.execute('SELECT * FROM t');
    await two.execute('SELECT * FROM t');
    await one.execute('INSERT INTO t VALUES (1)');
    await assert.rejects(two.execute('INSERT INTO t VALUES (2)'), { code: 'SQLITE_BUSY', retryable: false });
    two.close();
    await one.commit();
  });
});

describe('a client that was closed', () => {
  test('has no transaction that goes on', async () => {
    for (let round = 0; round < 10; round++) {
      const url = file();
      const db = client({ url });
      await db.execute('CREATE TABLE t (a)');
      const transaction = await db.transaction('write');
      await transaction.execute('INSERT INTO t VALUES (1)');
      db.close();
      assert.equal(transaction.closed, true);
      for (const call of [
        () => transaction.execute('INSERT INTO t VALUES (2)'),
        () => transaction.batch(['INSERT INTO t VALUES (3)']),
        () => transaction.executeMultiple('INSERT INTO t VALUES (4)'),
        () => transaction.commit(),
      ]) {
        await assert.rejects(call(), { name: 'LibsqlError', code: 'TRANSACTION_CLOSED', delivery: 'none' });
      }
      await transaction.rollback();
      transaction.close();
      assert.equal(await count(client({ url })), 0);
    }
  });

  test('gives no transaction that was being begun, and opens anew without the old ones', async () => {
    const db = client({ url: file() });
    await db.execute('CREATE TABLE t (a)');
    const old = await db.transaction('deferred');
    const beginning = db.transaction('deferred');
    db.reconnect();
    await assert.rejects(beginning, { code: 'CLIENT_CLOSED', kind: 'closed' });
    assert.equal(old.closed, true);
    const transaction = await db.transaction('write');
    await transaction.execute('INSERT INTO t VALUES (1)');
    await transaction.commit();
    assert.equal(await count(db), 1);
  });

  test('rejects with its code what had not come to its end', async () => {
    const db = client({ url: file(), concurrency: 1, queryTimeoutMs: 60_000 });
    const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';
    const calls = [db.execute(endless), db.execute('SELECT 1'), db.batch(['SELECT 1']), db.transaction('write')];
    const settled = Promise.allSettled<unknown>(calls);
    db.close();
    for (const call of await settled) {
      await assert.rejects(call.status === 'rejected' ? Promise.reject(call.reason) : Promise.resolve(), {
        name: 'LibsqlError',
        code: 'CLIENT_CLOSED',
        kind: 'closed',
        retryable: false,
      });
    }
  });
});

describe('a transaction that has ended by itself', () => {
  for (const [how, end] of [
    ['rolled back by the engine', 'INSERT OR ROLLBACK INTO t VALUES (1)'],
    ['committed by a statement', 'COMMIT'],
    ['rolled back by a statement', 'ROLLBACK'],
  ] as const) {
    test(`is closed: ${how}`, async () => {
      const db = client({ url: file(), concurrency: 1 });
      await db.execute('CREATE TABLE t (a UNIQUE)');
      const transaction = await db.transaction('write');
      await transaction.execute('INSERT INTO t VALUES (1)');
      assert.equal(transaction.closed, false);
      await transaction.execute(end).catch(() => undefined);
      assert.equal(transaction.closed, true);
      await assert.rejects(transaction.execute('INSERT INTO t VALUES (2)'), { code: 'TRANSACTION_CLOSED' });
      // After its end it does nothing; the only connection is free again.
      await transaction.rollback();
      assert.equal(await count(db), end === 'COMMIT' ? 1 : 0);
    });
  }

  test('is closed when its pool was drained over it, and when its connection was given back', async () => {
    const db = pool();
    const transaction = await db.transaction('write');
    await db.drain(0);
    assert.equal(transaction.closed, true);
    const other = pool();
    const held = await other.getConnection();
    const its = await held.transaction('write');
    held.close();
    assert.equal(its.closed, true);
    await assert.rejects(its.commit(), { code: 'TRANSACTION_CLOSED' });
  });
});

describe('PRAGMA busy_timeout', () => {
  const busyTimeout = async (db: Pick<Client, 'execute'>) =>
    (await db.execute('PRAGMA busy_timeout')).rows[0]!['timeout'];

  for (const url of [':memory:', file()]) {
    test(`shows for how long a lock is waited for: ${url.slice(0, 8)}`, async () => {
      assert.equal(await busyTimeout(client({ url })), 5000);
      const db = client({ url, timeout: 300, concurrency: 1 });
      assert.deepEqual([await busyTimeout(db), await busyTimeout(db)], [300, 300]);
    });
  }

  test('sets it, by itself and in a script, as if it had been the option', async () => {
    const url = file();
    const holder = client({ url });
    await holder.execute('CREATE TABLE t (a)');
    const held = await holder.transaction('write');
    const db = client({ url, timeout: 600_000, queryTimeoutMs: 600_000, concurrency: 1 });
    await db.executeMultiple('PRAGMA busy_timeout = 70');
    assert.equal(await busyTimeout(db), 70);
    assert.equal((await refusedAtOnce(db.execute('INSERT INTO t VALUES (1)'))).code, 'SQLITE_BUSY');
    assert.equal((await db.execute('PRAGMA busy_timeout = 80')).rows[0]!['timeout'], 80);
    assert.equal((await db.execute('PRAGMA Busy_Timeout(90)')).rows[0]![0], 90);
    assert.equal((await db.execute('PRAGMA busy_timeout = 80')).rows[0]!['timeout'], 80);
    assert.equal(await busyTimeout(db), 80);
    assert.equal((await refusedAtOnce(db.execute('INSERT INTO t VALUES (1)'))).code, 'SQLITE_BUSY');
    await held.commit();
    await db.execute('INSERT INTO t VALUES (1)');
    assert.equal(await count(db), 1);
  });
});
