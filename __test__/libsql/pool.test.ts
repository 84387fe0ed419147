// TursoPool: the cases of its specification by their names, then regression tests.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';

import { getTursoPool, LibsqlError, resetTursoPool, setLogger, TursoPool, type TursoPoolConfig } from 'moorline';

import { eventually } from '../support/eventually';
import { root } from '../support/paths';

const directory = mkdtempSync(join(tmpdir(), 'moorline-turso-'));
after(() => rmSync(directory, { recursive: true, force: true }));

let pools: TursoPool[] = [];
function open(config: Partial<TursoPoolConfig> = {}): TursoPool {
  const pool = new TursoPool({ url: ':memory:', poolSize: 2, ...config });
  pools.push(pool);
  return pool;
}

beforeEach(() => setLogger({}));
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.drain(0)));
  setLogger(undefined);
  pools = [];
});

describe('TursoPool', () => {
  describe('Connection Management', () => {
    test('acquire connection from pool', async () => {
      const pool = open();
      const client = await pool.getConnection();
      assert.equal((await client.execute('SELECT 1 AS one')).rows[0]!['one'], 1);
      assert.deepEqual(pool.getStats(), { total: 1, inUse: 1, available: 0, waiting: 0 });
    });

    test('release connection back to pool', async () => {
      const pool = open();
      pool.releaseConnection(await pool.getConnection());
      assert.deepEqual(pool.getStats(), { total: 1, inUse: 0, available: 1, waiting: 0 });
    });

    test('reuse released connections', async () => {
      const pool = open();
      const first = await pool.getConnection();
      pool.releaseConnection(first);
      const second = await pool.getConnection();
      assert.equal(second.connectionId, first.connectionId);
      assert.notEqual(second, first, 'each borrow has a lease of its own');
      assert.equal(pool.getStats().total, 1);
    });

    test('create new connections up to pool size', async () => {
      const pool = open({ poolSize: 3 });
      const clients = [await pool.getConnection(), await pool.getConnection(), await pool.getConnection()];
      assert.equal(new Set(clients.map((client) => client.connectionId)).size, 3);
      assert.equal(pool.getStats().total, 3);
    });

    test('hand out the connection although a listener throws, which is an uncaught exception', () => {
      const script = `
        const { TursoPool } = require('moorline');
        const uncaught = [];
        process.on('uncaughtException', (error) => uncaught.push(error.message));
        const pool = new TursoPool({ url: ':memory:' });
        for (const event of ['acquire', 'release', 'health']) {
          pool.on(event, () => { throw new Error(event); });
        }
        (async () => {
          const client = await pool.getConnection();
          pool.releaseConnection(client);
          const healthy = await pool.healthCheck();
          await pool.drain();
          process.stdout.write(JSON.stringify({ healthy, uncaught }));
        })();`;
      const options = { cwd: root, encoding: 'utf8', timeout: 30_000 } as const;
      const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], options);
      assert.equal(stderr, '');
      assert.deepEqual(JSON.parse(stdout), { healthy: true, uncaught: ['acquire', 'release', 'health'] });
    });

    test('wait when pool is exhausted', async () => {
      const pool = open({ poolSize: 1 });
      const first = await pool.getConnection();
      const waiting = pool.getConnection();
      await eventually(() => pool.getStats().waiting === 1);
      pool.releaseConnection(first);
      assert.equal((await waiting).connectionId, first.connectionId);
    });

    test('timeout when waiting too long', async () => {
      const pool = open({ poolSize: 1, connectionTimeoutMs: 50 });
      await pool.getConnection();
      const started = performance.now();
      await assert.rejects(pool.getConnection(), (error: LibsqlError) => {
        assert.equal(error.message, 'Connection timeout after 50ms (connectionTimeoutMs)');
        assert.equal(error.kind, 'pool-timeout');
        assert.equal(error.code, 'ETIMEDOUT');
        assert.equal(error.delivery, 'none');
        return true;
      });
      assert.ok(performance.now() - started >= 49);
      assert.equal(pool.getStats().waiting, 0);
    });
  });

  describe('Health Check', () => {
    test('pass health check', async () => {
      assert.equal(await open().healthCheck(), true);
    });

    test('execute query during health check', async () => {
      const pool = open({ url: `file:${directory}/none/missing.db` });
      assert.equal(await pool.healthCheck(), false, 'a database that cannot be opened is not healthy');
      const drained = open();
      await drained.drain();
      assert.equal(await drained.healthCheck(), false, 'and a drained pool neither; it never rejects');
    });
  });

  describe('Graceful Shutdown', () => {
    test('drain pool', async () => {
      const pool = open();
      pool.releaseConnection(await pool.getConnection());
      await pool.drain();
      assert.deepEqual(pool.getStats(), { total: 0, inUse: 0, available: 0, waiting: 0 });
      await pool.drain();
    });

    test('reject new connections after drain starts', async () => {
      const pool = open({ poolSize: 1 });
      const client = await pool.getConnection();
      const waiting = assert.rejects(pool.getConnection(), { message: 'Pool is shutting down', kind: 'closed' });
      const draining = pool.drain();
      await waiting;
      await assert.rejects(pool.getConnection(), { message: 'Pool is shutting down' });
      pool.releaseConnection(client);
      await draining;
    });

    test('wait for active connections', async () => {
      const pool = open();
      const client = await pool.getConnection();
      let drained = false;
      const draining = pool.drain().then(() => (drained = true));
      await client.execute('SELECT 1');
      assert.equal(drained, false);
      pool.releaseConnection(client);
      await draining;
      assert.equal(pool.getStats().total, 0);
    });
  });

  describe('withConnection Helper', () => {
    test('auto-acquire and release connection', async () => {
      const pool = open();
      const sum = await pool.withConnection(async (client) => (await client.execute('SELECT 1 + 1 AS sum')).rows[0]);
      assert.equal(sum!['sum'], 2);
      assert.equal(pool.getStats().inUse, 0);
    });

    test('release connection even on error', async () => {
      const pool = open();
      const mine = new Error('mine');
      await assert.rejects(
        pool.withConnection(() => Promise.reject(mine)),
        (error) => error === mine,
      );
      assert.equal(pool.getStats().inUse, 0);
    });
  });
});

describe('what the original got wrong', () => {
  test('parallel acquires never overshoot the cap', async () => {
    const pool = open({ poolSize: 2, connectionTimeoutMs: 200 });
    const acquired = await Promise.allSettled(Array.from({ length: 5 }, () => pool.getConnection()));
    assert.equal(acquired.filter(({ status }) => status === 'fulfilled').length, 2);
    assert.equal(pool.getStats().total, 2);
  });

  test('withConnection takes a function, and borrows nothing for anything else', async (t) => {
    const pool = new TursoPool({ url: ':memory:' });
    t.after(() => pool.drain(0));
    const wrong = { code: 'ERR_INVALID_ARG_TYPE', message: /^use must be a function/ };
    await assert.rejects(pool.withConnection('x' as never), wrong);
    assert.equal(pool.getStats().total, 0);
  });

  test('200 concurrent withConnection on poolSize 5 never open a sixth', async () => {
    const pool = open({ url: `file:${directory}/crowd.db`, poolSize: 5 });
    let most = 0;
    const one = (n: number) =>
      pool.withConnection(async (client) => {
        most = Math.max(most, pool.getStats().total);
        return (await client.execute('SELECT ? AS n', [n])).rows[0]!['n'];
      });
    const numbers = Array.from({ length: 200 }, (_, n) => n);
    assert.deepEqual(await Promise.all(numbers.map(one)), numbers);
    assert.equal(most, 5);
  });

  test('releasing twice does not free the connection under its new owner', async () => {
    const pool = open({ poolSize: 1 });
    const first = await pool.getConnection();
    const second = pool.getConnection();
    pool.releaseConnection(first);
    const owner = await second;
    pool.releaseConnection(first);
    assert.equal(pool.getStats().inUse, 1);
    assert.equal((await owner.execute('SELECT 2 AS two')).rows[0]!['two'], 2);
  });

  test('releasing the connection of another pool warns and changes nothing', async () => {
    const warnings: string[] = [];
    setLogger({ warn: ({ event }) => warnings.push(event) });
    const [one, other] = [open(), open()];
    const client = await one.getConnection();
    other.releaseConnection(client);
    assert.deepEqual(warnings, ['libsql.release-refused']);
    assert.equal(one.getStats().inUse, 1);
    assert.equal((await client.execute('SELECT 3 AS three')).rows[0]!['three'], 3);
  });

  test('a released lease refuses every call with kind closed', async () => {
    const pool = open();
    const client = await pool.getConnection();
    pool.releaseConnection(client);
    for (const call of [
      () => client.execute('SELECT 1'),
      () => client.batch(['SELECT 1']),
      () => client.migrate(['SELECT 1']),
      () => client.transaction(),
      () => client.executeMultiple('SELECT 1'),
      () => client.sync(),
    ]) {
      await assert.rejects(call(), { kind: 'closed', code: 'CLIENT_CLOSED', delivery: 'none' });
    }
  });

  test('a connection that failed in the middle is not handed out again', async () => {
    const pool = open({ poolSize: 1 });
    const client = await pool.getConnection();
    await client.execute('BEGIN');
    pool.releaseConnection(client);
    const next = await pool.getConnection();
    await next.execute('BEGIN');
    await next.execute('ROLLBACK');
  });

  test('a waiter that was served or gave up leaves no timer: its time limit does not fire later', async () => {
    const pool = open({ poolSize: 1, connectionTimeoutMs: 100 });
    const first = await pool.getConnection();
    const served = pool.getConnection();
    const given = pool.getConnection({ signal: AbortSignal.timeout(20) });
    await assert.rejects(given, { name: 'TimeoutError' });
    pool.releaseConnection(first);
    const client = await served;
    let timeouts = 0;
    pool.on('timeout', () => timeouts++);
    await assert.rejects(pool.getConnection(), { kind: 'pool-timeout' });
    assert.equal(timeouts, 1, 'only that of the borrower that waited to the end');
    assert.equal(client.closed, false);
  });
});

describe('time limits and aborts', () => {
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';

  test('a statement ends at its time limit, and its connection is replaced', async () => {
    const pool = open({ poolSize: 1, queryTimeoutMs: 100 });
    const started = performance.now();
    await assert.rejects(pool.execute(endless), { kind: 'timeout', code: 'ETIMEDOUT', message: /100ms/ });
    assert.ok(performance.now() - started < 100 + (process.env['CI'] ? 1000 : 100));
    assert.equal((await pool.execute('SELECT 1 AS one')).rows[0]!['one'], 1);
  });

  test('a call has a time limit of its own', async () => {
    const pool = open({ poolSize: 1 });
    await assert.rejects(pool.execute(endless, undefined, { timeoutMs: 50 }), { kind: 'timeout' });
    assert.equal(await pool.healthCheck(), true);
  });

  test('an abort rejects with its reason and interrupts the statement', async () => {
    const pool = open({ poolSize: 1 });
    const controller = new AbortController();
    const running = pool.execute(endless, undefined, { signal: controller.signal });
    await eventually(() => pool.getStats().inUse === 1);
    const reason = new Error('no longer needed');
    controller.abort(reason);
    await assert.rejects(running, (error) => error === reason);
    assert.equal((await pool.execute('SELECT 1 AS one')).rows[0]!['one'], 1, 'the only connection is free again');
  });

  test('an aborted write was not applied', async () => {
    const pool = open({ url: `file:${directory}/aborted.db`, poolSize: 1 });
    await pool.execute('CREATE TABLE IF NOT EXISTS t (n)');
    const insert = `INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`;
    await assert.rejects(pool.execute(insert, undefined, { timeoutMs: 50 }), { kind: 'timeout' });
    assert.equal((await pool.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 0);
  });

  test('an aborted beginning of a transaction never becomes the next borrower’s transaction', async () => {
    const url = `file:${directory}/begun.db`;
    const [holder, pool] = [open({ url }), open({ url, poolSize: 1 })];
    await holder.execute('CREATE TABLE t (n)');
    for (let round = 0; round < 20; round++) {
      const held = await holder.transaction('write');
      const controller = new AbortController();
      const beginning = pool.transaction('write', { signal: controller.signal });
      await eventually(() => pool.getStats().inUse === 1);
      setImmediate(() => controller.abort());
      await assert.rejects(beginning, { name: 'AbortError' });
      const inserting = pool.execute('INSERT INTO t VALUES (?)', [round]);
      await held.rollback();
      await inserting;
    }
    assert.equal((await holder.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 20);
  });

  test('a batch that was cut off between its statements is not committed', async () => {
    const pool = open({ url: `file:${directory}/cut.db`, poolSize: 1 });
    await pool.execute('CREATE TABLE t (n)');
    const statements = Array.from({ length: 50_000 }, (_, n): [string, number[]] => ['INSERT INTO t VALUES (?)', [n]]);
    await assert.rejects(pool.batch(statements, 'write', { timeoutMs: 20 }), { kind: 'timeout' });
    assert.equal((await pool.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 0);
  });

  test('two transactions that wait for each other do not spin: one fails at once', async () => {
    const url = `file:${directory}/upgrade.db`;
    const [holder, pool] = [open({ url }), open({ url })];
    await holder.execute('CREATE TABLE t (n)');
    const reader = await pool.transaction('deferred');
    await reader.execute('SELECT * FROM t');
    const writer = await holder.transaction('write');
    const cpu = process.cpuUsage();
    await assert.rejects(reader.execute('INSERT INTO t VALUES (1)'), { code: 'SQLITE_BUSY' });
    const { user, system } = process.cpuUsage(cpu);
    assert.ok(user + system < 1_000_000, `${(user + system) / 1000} ms of CPU were spent on waiting`);
    reader.close();
    await writer.rollback();
  });

  test('a script does not run outside a transaction that has ended by itself', async () => {
    const pool = open();
    await pool.execute('CREATE TABLE t (n UNIQUE ON CONFLICT ROLLBACK)');
    const transaction = await pool.transaction('write');
    await transaction.execute('INSERT INTO t VALUES (1)');
    await assert.rejects(transaction.execute('INSERT INTO t VALUES (1)'), { code: 'SQLITE_CONSTRAINT' });
    await assert.rejects(transaction.executeMultiple('INSERT INTO t VALUES (2); INSERT INTO t VALUES (3);'), {
      code: 'TRANSACTION_CLOSED',
    });
    transaction.close();
    assert.equal((await pool.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 0);
  });

  test('a busy writer waits for the lock and then succeeds; nothing else is delayed meanwhile', async () => {
    const url = `file:${directory}/busy.db`;
    const [holder, writer, reader] = [open({ url }), open({ url }), open({ url })];
    await holder.execute('CREATE TABLE t (n)');
    const transaction = await holder.transaction('write');
    await transaction.execute('INSERT INTO t VALUES (1)');
    const started = performance.now();
    const waiting = writer.execute('INSERT INTO t VALUES (2)').then(() => performance.now() - started);
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 10);
    while (performance.now() - started < 2000) {
      const before = performance.now();
      assert.equal((await reader.execute('SELECT count(*) AS n FROM t')).rows[0]!['n'], 0);
      const took = performance.now() - before;
      assert.ok(took < 1000, `a read took ${took} ms while a writer waited`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    clearInterval(timer);
    assert.ok(longest < 1000, `a timer was ${longest} ms late`);
    await transaction.commit();
    assert.ok((await waiting) >= 2000, 'the writer waited for the lock');
  });

  test('a writer that waits for longer than busyTimeoutMs fails as SQLITE_BUSY and may be retried', async () => {
    const url = `file:${directory}/busy2.db`;
    const [holder, writer] = [open({ url }), open({ url, busyTimeoutMs: 60 })];
    await holder.execute('CREATE TABLE t (n)');
    const transaction = await holder.transaction('write');
    await assert.rejects(writer.execute('INSERT INTO t VALUES (1)'), {
      kind: 'overloaded',
      code: 'SQLITE_BUSY',
      retryable: true,
    });
    await transaction.rollback();
    await writer.execute('INSERT INTO t VALUES (1)');
  });

  test('idle connections are closed after idleTimeoutMs', async () => {
    const pool = open({ idleTimeoutMs: 50 });
    await pool.execute('SELECT 1');
    await eventually(() => pool.getStats().total === 0);
  });
});

test('statements that follow each other at once leave the event loop its turns', async () => {
  const pool = new TursoPool({ url: ':memory:' });
  await pool.execute('SELECT 1');
  let turns = 0;
  const turn = setInterval(() => turns++, 1);
  // The time of this process alone: a machine that is busy with other things gives it less of each second.
  const started = process.cpuUsage();
  let [statements, spentMs] = [0, 0];
  while (spentMs < 500) {
    await pool.execute('SELECT ?', [++statements]);
    const { user, system } = process.cpuUsage(started);
    spentMs = (user + system) / 1000;
  }
  clearInterval(turn);
  await pool.drain();
  // A turn each millisecond or two.
  assert.ok(turns >= 20, `${turns} turns in ${spentMs} ms, for ${statements} statements`);
});

describe('memory', () => {
  test('every connection of one pool sees the same database, and no other pool does', async () => {
    const [pool, other] = [open({ poolSize: 3 }), open()];
    const clients = [await pool.getConnection(), await pool.getConnection(), await pool.getConnection()];
    await clients[0]!.execute('CREATE TABLE t (n)');
    await clients[1]!.execute('INSERT INTO t VALUES (7)');
    assert.equal((await clients[2]!.execute('SELECT n FROM t')).rows[0]!['n'], 7);
    await assert.rejects(other.execute('SELECT n FROM t'), { code: 'SQLITE_ERROR', message: /no such table/ });
  });

  test('the database survives while no connection is open', async () => {
    const pool = open({ idleTimeoutMs: 20 });
    await pool.execute('CREATE TABLE t (n)');
    await eventually(() => pool.getStats().total === 0);
    await pool.execute('INSERT INTO t VALUES (1)');
  });

  test('a statement waits for a batch of another connection, which comes to its end by itself', async () => {
    // The batch may take its time, and so may the wait for it.
    const pool = open({ busyTimeoutMs: 120_000, queryTimeoutMs: 120_000 });
    await pool.execute('CREATE TABLE t (n)');
    const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n';
    const batch = pool.batch([`INSERT INTO t ${rows}`, 'SELECT 1'], 'write');
    const reading = pool.execute('SELECT count(*) AS n FROM t');
    await batch;
    assert.ok([0, 200_000].includes((await reading).rows[0]!['n']));
  });
});

describe('life', () => {
  test('where thousands borrow a second not every stack is taken, but every one after a leak without', async () => {
    const pool = open({ poolSize: 50, leakAfterMs: 30 });
    const stacks: string[] = [];
    pool.on('leak', (event) => stacks.push(String(event['stack'])));
    const theCrowd = () => Promise.all(Array.from({ length: 50 }, () => pool.getConnection()));
    const crowded = await eventually(async () => {
      const clients = await theCrowd();
      await eventually(() => stacks.length === 50);
      // Fifty calls within one millisecond, as good as always.
      if (stacks.some((stack) => stack.startsWith('not captured'))) return clients;
      stacks.length = 0;
      for (const client of clients) pool.releaseConnection(client);
      return undefined;
    });
    for (const client of crowded) pool.releaseConnection(client);
    stacks.length = 0;
    await theCrowd();
    await eventually(() => stacks.length === 50);
    for (const stack of stacks) assert.match(stack, /theCrowd/);
  });

  test('a lease that is held too long is reported with the stack of its borrower', async () => {
    const pool = open({ leakAfterMs: 30 });
    let leak: Record<string, unknown> | undefined;
    pool.once('leak', (event) => (leak = event));
    async function theBorrower() {
      return pool.getConnection();
    }
    await theBorrower();
    const { stack, heldMs } = (await eventually(() => leak)) ?? {};
    assert.match(String(stack), /theBorrower/);
    assert.ok(Number(heldMs) >= 30);
  });

  test('events tell the life of a connection', async () => {
    const pool = open();
    const words: string[] = [];
    for (const word of ['create', 'acquire', 'release', 'drain', 'destroy', 'close'] as const) {
      pool.on(word, (event: { service: string }) => {
        assert.equal(event.service, 'libsql');
        words.push(word);
      });
    }
    pool.releaseConnection(await pool.getConnection());
    await pool.drain();
    await eventually(() => words.includes('destroy'));
    assert.deepEqual(words.toSorted(), ['acquire', 'close', 'create', 'destroy', 'drain', 'release']);
  });

  test('disposing gives back: the lease to the pool, the pool to the system', async () => {
    const pool = open();
    const client = await pool.getConnection();
    client[Symbol.dispose]();
    assert.equal(pool.getStats().inUse, 0);
    await pool[Symbol.asyncDispose]();
    assert.equal(pool.getStats().total, 0);
  });

  test('drain says nothing of borrowers when there are none, however little time it has', async () => {
    const warnings: unknown[] = [];
    setLogger({ warn: (record) => warnings.push(record) });
    // Closing twenty connections takes longer than no time, most of the time.
    for (let turn = 0; turn < 20; turn++) {
      const pool = open({ poolSize: 20 });
      const clients = await Promise.all(Array.from({ length: 20 }, () => pool.getConnection()));
      for (const client of clients) client.close();
      await pool.drain(0);
      assert.equal(pool.getStats().total, 0);
    }
    assert.deepEqual(warnings, []);
  });

  test('drain cuts off what is still borrowed after its time', async () => {
    const pool = open();
    const client = await pool.getConnection();
    await pool.drain(20);
    assert.equal(pool.getStats().total, 0);
    await assert.rejects(client.execute('SELECT 1'), { kind: 'closed' });
  });

  test('the shared pool is one, its first options count, and reset forgets it', async () => {
    const warnings: string[] = [];
    setLogger({ warn: ({ event }) => warnings.push(event) });
    const pool = getTursoPool({ url: ':memory:' });
    assert.equal(getTursoPool(), pool);
    assert.equal(getTursoPool({ url: ':memory:', poolSize: 9 }), pool);
    assert.equal(warnings.length, 1);
    await resetTursoPool();
    assert.equal(pool.getStats().total, 0);
    const next = getTursoPool({ url: ':memory:' });
    assert.notEqual(next, pool);
    await resetTursoPool();
  });
});

describe('getTursoPool without a configuration', () => {
  const NAMES = ['INTENTVISION_DB_URL', 'INTENTVISION_DB_AUTH_TOKEN'] as const;
  const before = NAMES.map((name) => process.env[name]);
  const set = (...values: (string | undefined)[]) =>
    NAMES.forEach((name, index) => {
      if (values[index] === undefined) delete process.env[name];
      else process.env[name] = values[index];
    });
  afterEach(async () => {
    await resetTursoPool();
    set(...before);
  });

  test('is the pool of the variable', async () => {
    set(`file:${directory}/shared.db`);
    await getTursoPool().execute('CREATE TABLE t (a)');
    const pool = open({ url: `file:${directory}/shared.db` });
    assert.deepEqual((await pool.execute('SELECT * FROM t')).rows, []);
  });

  test('names the variable that is wrong', () => {
    set('nowhere');
    assert.throws(() => getTursoPool(), { code: 'URL_INVALID', message: /^INTENTVISION_DB_URL is not a URL/ });
    set('https://h', 'a b');
    assert.throws(
      () => getTursoPool(),
      (error: Error) => {
        assert.match(error.message, /^INTENTVISION_DB_AUTH_TOKEN must be a token/);
        return !error.message.includes('a b');
      },
    );
  });

  test('names the variable whose file cannot be opened, or that would say where it is', async () => {
    set(`file:${directory}/no/such/a.db`);
    await assert.rejects(getTursoPool().execute('SELECT 1'), {
      code: 'SQLITE_CANTOPEN',
      message: /no\/such\/a\.db \(by INTENTVISION_DB_URL\): its directory does not exist/,
    });
    await resetTursoPool();
    const place = process.cwd();
    process.chdir(directory);
    try {
      set(' ');
      await assert.rejects(getTursoPool().execute('SELECT 1'), {
        code: 'SQLITE_CANTOPEN',
        message: /db\/intentvision\.db \(by the default of INTENTVISION_DB_URL\): its directory/,
      });
    } finally {
      process.chdir(place);
    }
  });
});

describe('options', () => {
  test('a mistake is thrown at once, with its path and the reason', () => {
    const refused = (config: unknown, name: string, message: RegExp) =>
      assert.throws(() => new TursoPool(config as TursoPoolConfig), { name, message });
    refused({}, 'TypeError', /options\.url must be a string, got undefined/);
    refused({ url: 5 }, 'TypeError', /options\.url must be a string, got a number/);
    refused({ url: ':memory:', poolSize: 0 }, 'RangeError', /options\.poolSize must be between 1 and 10000, got 0/);
    refused({ url: ':memory:', poolSize: 1.5 }, 'RangeError', /whole number/);
    refused({ url: ':memory:', poolsize: 5 }, 'TypeError', /options\.poolsize .* did you mean 'poolSize'/);
    refused({ url: ':memory:', queryTimeoutMs: NaN }, 'RangeError', /options\.queryTimeoutMs/);
    refused({ url: ':memory:', intMode: 'float' }, 'TypeError', /'number' or 'bigint' or 'string', got 'float'/);
    refused({ url: 'file:a.db', syncUrl: 'libsql://x' }, 'TypeError', /options\.syncUrl is not supported/);
    refused(undefined, 'TypeError', /options\.url/);
  });

  test('undefined means absent', () => {
    open({ authToken: undefined, poolSize: undefined, idleTimeoutMs: undefined });
  });

  test('a token is in no message, event or inspection', async () => {
    const token = 'a-very-secret-token';
    const pool = open({ url: `http://127.0.0.1:9/?authToken=${token}`, poolSize: 1 });
    const { inspect } = await import('node:util');
    const failure = await pool.execute('SELECT 1').catch((error: unknown) => error);
    for (const text of [inspect(pool), inspect(failure), JSON.stringify(failure)]) assert.doesNotMatch(text, /secret/);
  });
});
