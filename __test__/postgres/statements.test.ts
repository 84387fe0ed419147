// Statements by name, statements that cannot be sent, COPY, and what a mistake leaves behind.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type { PostgresPoolConfig } from '../../lib/postgres/options';
import type * as Pools from '../../lib/postgres/pool';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
type Pool = Pools.PostgresConnectionPool;
type Client = Awaited<ReturnType<Pool['connect']>>;

const PREPARED = 'SELECT statement FROM pg_prepared_statements ORDER BY prepare_time, name';

describe('statements of PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more: Partial<PostgresPoolConfig> = {}) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };
  const prepared = async (client: Client | Pool) => (await client.query(PREPARED)).rows.map((row) => row.statement);

  before(async () => {
    server = await Postgres.start();
    server.psql('CREATE TABLE items (id int); INSERT INTO items VALUES (1), (2)');
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('a statement with a name is parsed once on a connection, and by its text for all borrowers', async () => {
    const pool = open({ max: 1 });
    const text = 'SELECT $1::int + 1 AS n';
    for (const n of [1, 2, 3]) {
      const { rows } = await pool.query({ name: `by ${n}`, text, values: [n] });
      assert.deepEqual(rows, [{ n: n + 1 }]);
    }
    assert.deepEqual(await prepared(pool), [text]);
    // Values may be left out, and come as the second argument.
    assert.equal((await pool.query({ name: 'none', text: 'SELECT 7 AS n' })).rows[0].n, 7);
    assert.equal((await pool.query({ name: 'second', text }, [4])).rows[0].n, 5);
    assert.deepEqual(await prepared(pool), [text, 'SELECT 7 AS n']);
  });

  test('statements are pipelined while the first of their kind is parsed', async () => {
    const client = await open().connect();
    const query = { name: 'n', text: 'SELECT $1::int AS n' };
    const results = await Promise.all(Array.from({ length: 50 }, (_, n) => client.query(query, [n])));
    assert.deepEqual(
      results.map(({ rows }) => rows[0].n),
      Array.from({ length: 50 }, (_, n) => n),
    );
    assert.deepEqual(await prepared(client), [query.text]);
    client.release();
  });

  test('a name stands for one text while a client is borrowed, and for any afterwards', async () => {
    const pool = open({ max: 1 });
    const client = await pool.connect();
    await client.query({ name: 'mine', text: 'SELECT 1 AS n' });
    const other = { name: 'mine', text: 'SELECT 2 AS n' };
    const refused = await failure(client.query(other));
    assert.match(refused.message, /^Prepared statements must be unique - 'mine' was used for a different statement/);
    assert.deepEqual([refused.kind, refused.delivery, refused.attempts], ['rejected', 'none', 0]);
    client.release();
    assert.equal((await pool.query(other)).rows[0].n, 2);
    const next = await pool.connect();
    assert.equal((await next.query(other)).rows[0].n, 2);
    next.release();
    await assert.rejects(pool.query({ name: 7 as never, text: 'SELECT 1' }), /query\.name must be a string/);
  });

  test('one that cannot be parsed is tried again', async () => {
    const client = await open().connect();
    const query = { name: 'late', text: 'SELECT * FROM late' };
    assert.equal((await failure(client.query(query))).code, '42P01');
    await client.query('BEGIN; CREATE TABLE late (id int)');
    assert.deepEqual((await client.query(query)).rows, []);
    await client.query('ROLLBACK');
    // It is parsed, though its table has gone.
    assert.equal((await failure(client.query(query))).code, '42P01');
    client.release();
  });

  test('what is prepared stays within a bound, and gives way by its age', async () => {
    const pool = open({ max: 1, queryTimeoutMs: 60_000 });
    for (let n = 0; n < 600; n++) await pool.query({ name: 'n', text: `SELECT ${n} AS n` });
    const texts = await prepared(pool);
    assert.ok(texts.length <= 257 && texts.includes('SELECT 599 AS n'), String(texts.length));
    assert.equal((await pool.query({ name: 'n', text: 'SELECT 0 AS n' })).rows[0].n, 0);
  });

  test('what removes all statements is noticed', async () => {
    const pool = open({ max: 1 });
    const query = { name: 'n', text: 'SELECT 5 AS n' };
    for (const text of ['DISCARD ALL', 'DEALLOCATE ALL', 'SET search_path = public']) {
      await pool.query(query);
      const client = await pool.connect();
      await client.query(text);
      assert.equal((await client.query(query)).rows[0].n, 5);
      client.release();
    }
    assert.equal((await pool.query(query)).rows[0].n, 5);
  });

  test('a plan that is outdated is made anew, outside of a transaction', async () => {
    const pool = open({ max: 1 });
    const query = { name: 'all', text: 'SELECT * FROM items ORDER BY id' };
    const client = await pool.connect();
    assert.deepEqual((await client.query(query)).rows, [{ id: 1 }, { id: 2 }]);
    server.psql('ALTER TABLE items ADD COLUMN note text');
    assert.deepEqual((await client.query(query)).rows[0], { id: 1, note: null });
    // Within one it is the end of the transaction.
    server.psql('ALTER TABLE items DROP COLUMN note');
    await client.query('BEGIN');
    const outdated = await failure(client.query(query));
    assert.deepEqual([outdated.code, outdated.delivery], ['0A000', 'answered']);
    assert.equal(client.transactionStatus, 'E');
    await client.query('ROLLBACK');
    assert.deepEqual((await client.query(query)).rows[0], { id: 1 });
    client.release();
  });

  test('in the mode unnamed nothing is prepared', async () => {
    const pool = open({ max: 1, statementMode: 'unnamed' });
    const query = { name: 'n', text: 'SELECT $1::int AS n', values: [3] };
    for (let n = 0; n < 3; n++) assert.equal((await pool.query(query)).rows[0].n, 3);
    assert.deepEqual(await prepared(pool), []);
    assert.throws(
      () => open({ statementMode: 'none' as never }),
      /options\.statementMode must be 'named' or 'unnamed'/,
    );
  });

  test('COPY has its own error, whatever is sent behind it, and the connection goes on', async () => {
    const client = await open({ max: 1, queryTimeoutMs: 20_000 }).connect();
    const behind = () => client.query('SELECT 1 AS one').then(({ rows }) => rows[0].one);
    const copies: [text: string, values?: unknown[], name?: string][] = [
      ['COPY items FROM STDIN'],
      ['copy items from stdin', []],
      ['COPY items FROM STDIN', [], 'copy'],
      ['COPY items FROM STDIN', [], 'copy'],
      ['COPY items TO STDOUT'],
      ['COPY (SELECT repeat($$x$$, 1000) FROM generate_series(1, 5000)) TO STDOUT', []],
      ['SELECT 1; COPY items FROM STDIN; SELECT 2'],
    ];
    for (const [text, values, name] of copies) {
      const [copied, one, another] = await Promise.all([
        failure(client.query({ text, values, name })),
        behind(),
        behind(),
      ]);
      assert.deepEqual(
        [copied.kind, copied.code, copied.delivery],
        ['rejected', 'ERR_POSTGRES_COPY', 'answered'],
        text,
      );
      assert.match(copied.message, /^COPY … (FROM STDIN|TO STDOUT) cannot be run as a statement/);
      assert.deepEqual([one, another], [1, 1], text);
      assert.equal(client.transactionStatus, 'I');
    }
    assert.equal((await client.query('SELECT count(*)::int AS n FROM items')).rows[0].n, 2);
    client.release();
  });

  test('what cannot be sent is refused before, and harms nothing', async () => {
    const client = await open({ max: 1 }).connect();
    const refused = async (call: Promise<unknown>, reason: RegExp) => {
      const error = await failure(call);
      assert.deepEqual([error.kind, error.code, error.delivery], ['rejected', 'ERR_POSTGRES_STATEMENT', 'none']);
      assert.match(error.message, reason);
      assert.match(error.stack!, /statements\.test/);
    };
    const many = Array.from({ length: 65_536 }, () => 1);
    await refused(client.query('SELECT 1', many), /65535 values at most, got 65536/);
    await refused(client.query('SELECT \0'), /cannot be sent/);
    await refused(client.query('SELECT \0', []), /cannot be sent/);
    await refused(client.query({ name: 'n', text: 'SELECT \0' }), /cannot be sent/);
    const most = Array.from({ length: 65_535 }, (_, n) => `$${n + 1}::int`).join();
    const counted = await client.query(`SELECT array_length(ARRAY[${most}], 1) AS n`, many.slice(1));
    assert.equal(counted.rows[0].n, 65_535);
    // NUL is no character of PostgreSQL: it says so itself.
    assert.equal((await failure(client.query('SELECT $1::text', ['a\0b']))).code, '22021');
    await assert.rejects(client.query('SELECT $1', [{ toJSON: () => assert.fail('no JSON') }]), /no JSON/);
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    client.release();
  });

  test('an error in the middle of a pipeline is that of its own statement', async () => {
    const client = await open({ max: 1 }).connect();
    const calls = Array.from({ length: 30 }, (_, n) => client.query('SELECT 60 / $1::int AS n', [n % 3]));
    const settled = await Promise.allSettled(calls);
    for (const [n, outcome] of settled.entries()) {
      if (n % 3 === 0) assert.equal((outcome as PromiseRejectedResult).reason.code, '22012');
      else assert.equal((outcome as PromiseFulfilledResult<{ rows: { n: number }[] }>).value.rows[0]!.n, 60 / (n % 3));
    }
    client.release();
  });

  test('a parser of the user’s that throws is an error of its call alone', async () => {
    const pool = open({ max: 1 });
    const client = await pool.connect();
    const thrown = new Error('of the parser');
    const types = {
      getTypeParser: () => () => {
        throw thrown;
      },
    };
    const [failed, one] = await Promise.allSettled([
      client.query({ text: 'SELECT 1 AS one', types }),
      client.query('SELECT 1 AS one'),
    ]);
    assert.equal((failed as PromiseRejectedResult).reason, thrown);
    assert.equal((one as PromiseFulfilledResult<{ rows: unknown[] }>).value.rows.length, 1);
    client.release();
    assert.equal(pool.totalCount, 1);
  });

  test('a client that was released runs nothing, and a second release changes nothing', async () => {
    const pool = open({ max: 2 });
    const client = await pool.connect();
    client.release();
    client.release(true);
    client.release();
    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1]);
    assert.equal((await failure(client.query('SELECT 1'))).kind, 'closed');
    const both = await Promise.all([pool.connect(), pool.connect()]);
    assert.notEqual(both[0], both[1]);
    for (const one of both) {
      assert.equal((await one.query('SELECT 1 AS one')).rows[0].one, 1);
      one.release();
    }
  });
});

async function failure(call: Promise<unknown>) {
  const error: unknown = await call.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof PostgresError, String(error));
  return error;
}
