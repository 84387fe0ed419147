// Remote databases: a real sqld, killed and restarted, and a proxy that misbehaves between it and the pool.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { LibsqlError, setLogger, TursoPool, type TursoPoolConfig } from 'moorline';
import { createClient } from 'moorline/libsql';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { freePort, listen } from '../support/ports';
import { skipWithoutSqld, type Sqld, startSqld } from '../support/servers';
import { testsDirectory } from '../support/paths';

const requireUsualClient = createRequire(join(testsDirectory, 'servers', 'package.json'));

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;

describe('remote databases', { skip: skipWithoutSqld(), timeout: 120_000 }, () => {
  let sqld: Sqld;
  let pools: TursoPool[] = [];
  const open = (config: Partial<TursoPoolConfig> = {}) => {
    const pool = new TursoPool({ url: sqld.url, poolSize: 3, ...config });
    pools.push(pool);
    return pool;
  };

  before(async () => {
    sqld = await startSqld();
    const pool = new TursoPool({ url: sqld.url });
    await pool.executeMultiple('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE); CREATE TABLE u (n);');
    await pool.drain();
  });
  after(() => sqld.stop());
  beforeEach(() => setLogger({}));
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.drain(0)));
    setLogger(undefined);
    pools = [];
  });

  test('values of every type arrive as they were sent', async () => {
    const pool = open();
    const bytes = new Uint8Array([0, 1, 254, 255]);
    const sent = ['text ✓ "\n', 1.5, 9_007_199_254_740_993n, null, true, new Date(86_400_000), bytes.buffer];
    const result = await open({ intMode: 'bigint' }).execute('SELECT ? s, ? r, ? i, ? n, ? b, ? d, ? x', sent);
    const { s, r, i, n, b, d, x } = result.rows[0]!;
    assert.deepEqual([s, r, i, n, b, d], [sent[0], 1.5, 9_007_199_254_740_993n, null, 1n, 86_400_000]);
    assert.deepEqual(new Uint8Array(x), bytes);
    await assert.rejects(pool.execute('SELECT 9007199254740993 AS big'), {
      name: 'LibsqlError',
      code: 'ERR_OUT_OF_RANGE',
      retryable: false,
      delivery: 'answered',
    });
    assert.equal(pool.protocol, 'http');
  });

  test('rowsAffected and lastInsertRowid are the server’s', async () => {
    const pool = open();
    const inserted = await pool.execute("INSERT INTO t (id, name) VALUES (41, 'a')");
    assert.deepEqual([inserted.rowsAffected, inserted.lastInsertRowid], [1, 41n]);
    assert.equal((await pool.execute('DELETE FROM t WHERE id = 41')).rowsAffected, 1);
  });

  test('an SQL error has the code of the usual client and leaves the connection usable', async () => {
    const pool = open({ poolSize: 1 });
    await pool.execute("INSERT INTO t (name) VALUES ('twice')");
    await assert.rejects(pool.execute("INSERT INTO t (name) VALUES ('twice')"), (error: LibsqlError) => {
      assert.ok(error instanceof LibsqlError);
      assert.equal(error.code, 'SQLITE_CONSTRAINT');
      assert.deepEqual([error.kind, error.delivery, error.service], ['rejected', 'answered', 'libsql']);
      return true;
    });
    await assert.rejects(pool.execute('SELEC 1'), { kind: 'rejected' });
    await assert.rejects(pool.execute({ sql: 'SELECT :a', args: { b: 1 } }), {
      kind: 'rejected',
      code: 'ARGS_INVALID',
    });
    assert.equal(await pool.healthCheck(), true);
  });

  test('a batch applies all of its statements or none, and names the one that failed', async () => {
    const pool = open();
    const bad = pool.batch(["INSERT INTO u VALUES ('lost')", 'INSERT INTO nowhere VALUES (1)'], 'write');
    await assert.rejects(bad, { statementIndex: 1 });
    assert.equal((await pool.execute("SELECT count(*) AS n FROM u WHERE n = 'lost'")).rows[0]!['n'], 0);
    const [, read] = await pool.batch(
      [['INSERT INTO u VALUES (?)', ['kept']], "SELECT n FROM u WHERE n = 'kept'"],
      'write',
    );
    assert.equal(read!.rows[0]!['n'], 'kept');
  });

  test('an interactive transaction commits and rolls back, and is closed afterwards', async () => {
    const pool = open();
    const kept = await pool.transaction('write');
    await kept.execute("INSERT INTO u VALUES ('committed')");
    await kept.commit();
    const undone = await pool.transaction('write');
    await undone.execute("INSERT INTO u VALUES ('undone')");
    undone.close();
    await assert.rejects(undone.execute('SELECT 1'), { code: 'TRANSACTION_CLOSED', kind: 'closed' });
    const rows = await pool.execute("SELECT n FROM u WHERE n IN ('committed', 'undone')");
    assert.deepEqual(
      rows.rows.map((row) => row['n']),
      ['committed'],
    );
    await eventually(() => pool.getStats().inUse === 0);
  });

  test('statements of a transaction run in the order in which they were called, with a signal and without', async () => {
    const client = createClient({ url: sqld.url });
    const { signal } = new AbortController();
    const order = [...Array(20).keys()];
    for (let round = 0; round < 50; round++) {
      const transaction = await client.transaction('write');
      await transaction.execute('CREATE TABLE called (number)');
      const options = (number: number) => (number % 2 === 1 ? { signal } : undefined);
      await Promise.all(
        order.map((number) => transaction.execute('INSERT INTO called VALUES (?)', [number], options(number))),
      );
      const { rows } = await transaction.execute('SELECT number FROM called ORDER BY rowid');
      await transaction.rollback();
      assert.deepEqual(
        rows.map(({ number }) => number),
        order,
      );
    }
    client.close();
  });

  test('a stream that expired outside a transaction is reopened, invisibly', async () => {
    const pool = open();
    const client = await pool.getConnection();
    await client.execute('SELECT 1');
    // A restart makes the server forget every stream, as its ten seconds of inactivity do.
    await sqld.kill();
    await sqld.restart();
    assert.equal((await client.execute('SELECT 5 AS five')).rows[0]!['five'], 5);
  });

  test('a stream that expired inside a transaction fails with a typed error, once', async () => {
    const pool = open();
    const transaction = await pool.transaction('write');
    await transaction.execute("INSERT INTO u VALUES ('expired')");
    await sqld.kill();
    await sqld.restart();
    await assert.rejects(transaction.execute('SELECT 1'), {
      kind: 'disconnected',
      code: 'ERR_MOORLINE_TRANSACTION_LOST',
      retryable: false,
    });
    transaction.close();
    assert.equal((await pool.execute("SELECT count(*) AS n FROM u WHERE n = 'expired'")).rows[0]!['n'], 0);
  });

  test('a script does not run outside a transaction that was lost', async () => {
    const pool = open();
    const transaction = await pool.transaction('write');
    await sqld.kill();
    await sqld.restart();
    await assert.rejects(transaction.execute('SELECT 1'), { code: 'ERR_MOORLINE_TRANSACTION_LOST' });
    await assert.rejects(transaction.executeMultiple("INSERT INTO u VALUES ('stray')"), { code: 'TRANSACTION_CLOSED' });
    transaction.close();
    assert.equal((await pool.execute("SELECT count(*) AS n FROM u WHERE n = 'stray'")).rows[0]!['n'], 0);
  });

  test('a batch on a connection with an open transaction fails and leaves that transaction alone', async () => {
    const pool = open();
    await pool.withConnection(async (client) => {
      const transaction = await client.transaction('write');
      await transaction.execute("INSERT INTO u VALUES ('mine')");
      await assert.rejects(client.batch(["INSERT INTO u VALUES ('other')"], 'write'));
      await transaction.commit();
    });
    const rows = await pool.execute("SELECT n FROM u WHERE n IN ('mine', 'other')");
    assert.deepEqual(
      rows.rows.map((row) => row['n']),
      ['mine'],
    );
  });

  test('a server that refuses to go on with a transaction is told to end it', async () => {
    const received: { baton: string | null; types: string[] }[] = [];
    let refuses = false;
    const server = createServer(async (request, response) => {
      const { baton, requests } = JSON.parse(await text(request)) as {
        baton: string | null;
        requests: { type: string }[];
      };
      received.push({ baton, types: requests.map(({ type }) => type) });
      if (refuses && requests[0]!.type !== 'close') return void response.writeHead(503).end();
      const result = { cols: [], rows: [], affected_row_count: 0, last_insert_rowid: null };
      const answers = requests.map(({ type }) => ({
        type: 'ok',
        response: {
          type,
          ...(type === 'execute' && { result }),
          ...(type === 'get_autocommit' && { is_autocommit: false }),
        },
      }));
      response.end(JSON.stringify({ baton: `b${received.length}`, base_url: null, results: answers }));
    });
    const pool = open({ url: `http://127.0.0.1:${await listen(server)}`, poolSize: 1 });
    const transaction = await pool.transaction();
    refuses = true;
    const refused = await transaction.execute('INSERT INTO t VALUES (1)').catch((error: LibsqlError) => error);
    assert.ok(refused instanceof LibsqlError);
    assert.equal(refused.retryable, false);
    await eventually(() => received.some(({ baton, types }) => baton === 'b1' && types.includes('close')));
    server.close().closeAllConnections();
  });

  test('closing cuts off a request that the server does not answer', async () => {
    const proxy = await FaultProxy.start(Number(new URL(sqld.url).port));
    const pool = open({ url: `http://127.0.0.1:${proxy.port}`, poolSize: 1 });
    await pool.execute('SELECT 1');
    proxy.set({ kind: 'black-hole' });
    const running = assert.rejects(pool.execute('SELECT 1'), { kind: 'closed' });
    await eventually(() => pool.getStats().inUse === 1);
    const started = performance.now();
    await pool.drain(50);
    await running;
    assert.ok(performance.now() - started < 3000 + SLACK_MS);
    await proxy.close();
  });

  test('sqld killed and restarted in mid-load: no call outlives its deadline, and the pool heals by itself', async () => {
    const pool = open({ poolSize: 5, queryTimeoutMs: 2000, connectTimeoutMs: 1000, connectionTimeoutMs: 2000 });
    const tally = { ok: 0, failed: 0, longest: 0 };
    let running = true;
    const worker = async () => {
      while (running) {
        const started = performance.now();
        await pool
          .withConnection((client) => client.execute('SELECT 1'))
          .then(
            () => tally.ok++,
            (error: LibsqlError) => {
              assert.ok(error instanceof LibsqlError, String(error));
              tally.failed++;
            },
          );
        tally.longest = Math.max(tally.longest, performance.now() - started);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const workers = Array.from({ length: 20 }, worker);
    await eventually(() => tally.ok > 100);
    await sqld.kill();
    await eventually(() => tally.failed > 20);
    await sqld.restart();
    const before = tally.ok;
    await eventually(() => tally.ok > before + 100);
    running = false;
    await Promise.all(workers);
    assert.ok(tally.longest < 4000 + SLACK_MS, `a call took ${tally.longest} ms`);
    assert.ok(pool.getStats().total <= 5);
  });

  test('a server that is not there refuses with proof that nothing was delivered', async () => {
    const pool = open({ url: `http://127.0.0.1:${await freePort()}` });
    await assert.rejects(pool.execute('SELECT 1'), {
      kind: 'connect',
      code: 'ECONNREFUSED',
      delivery: 'none',
      retryable: true,
    });
  });

  const faults: { [name: string]: (proxy: FaultProxy) => void } = {
    'a server that accepts and never answers': (proxy) => proxy.set({ kind: 'black-hole' }),
    'an answer that is cut off': (proxy) => proxy.set({ kind: 'cut', afterBytes: 20 }),
    'an answer that drips': (proxy) => proxy.set({ kind: 'drip', bytes: 1, everyMs: 50 }),
    'an answer that is late': (proxy) => proxy.set({ kind: 'delay', ms: 2000 }),
  };
  for (const [name, inflict] of Object.entries(faults)) {
    test(`${name} ends within the deadline, and the pool goes on`, async () => {
      const proxy = await FaultProxy.start(Number(new URL(sqld.url).port));
      const pool = open({ url: `http://127.0.0.1:${proxy.port}`, poolSize: 1, queryTimeoutMs: 300 });
      await pool.execute('SELECT 1');
      inflict(proxy);
      const started = performance.now();
      await assert.rejects(pool.execute('SELECT 1'), (error) => error instanceof LibsqlError);
      assert.ok(performance.now() - started < 300 + SLACK_MS);
      proxy.set({ kind: 'none' });
      await eventually(() => pool.healthCheck());
      await proxy.close();
    });
  }

  test('connections that were reset while idle are replaced without an error', async () => {
    const proxy = await FaultProxy.start(Number(new URL(sqld.url).port));
    const pool = open({ url: `http://127.0.0.1:${proxy.port}`, poolSize: 1 });
    await pool.execute('SELECT 1');
    proxy.reset();
    await eventually(() => proxy.connections === 0);
    assert.equal((await pool.execute('SELECT 2 AS two')).rows[0]!['two'], 2);
    await proxy.close();
  });

  test('a wrong token is refused with kind auth', async () => {
    const protectedServer = await startSqld('--http-auth', 'basic:bW9vcmxpbmU6c2VjcmV0');
    try {
      await assert.rejects(open({ url: protectedServer.url, authToken: 'wrong' }).execute('SELECT 1'), {
        kind: 'auth',
        delivery: 'answered',
      });
    } finally {
      await protectedServer.stop();
    }
  });

  test('the usual client and ours read what the other wrote', async () => {
    const { createClient: createTheirs } = requireUsualClient('@libsql/client') as {
      createClient: typeof createClient;
    };
    const [ours, theirs] = [createClient({ url: sqld.url }), createTheirs({ url: sqld.url })];
    await ours.execute('CREATE TABLE shared (a, b)');
    await ours.execute({ sql: 'INSERT INTO shared VALUES (?, ?)', args: ['ours', 1] });
    await theirs.execute({ sql: 'INSERT INTO shared VALUES (?, ?)', args: ['theirs', 2] });
    const query = 'SELECT a, b FROM shared ORDER BY b';
    const [one, two] = [await ours.execute(query), await theirs.execute(query)];
    assert.deepEqual(JSON.parse(JSON.stringify(one)), JSON.parse(JSON.stringify(two)));
    ours.close();
    theirs.close();
  });
});
