// PgBouncer in transaction mode: no state of a session is used, and what would need one is refused by name.
import assert from 'node:assert/strict';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type * as Pools from '../../lib/postgres/pool';
import type * as Transactions from '../../lib/postgres/transaction';
import { load } from '../support/native';
import { PgBouncer, skipWithoutPgBouncer } from './pgbouncer';
import { listen } from '../support/ports';
import { Postgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
const { runTransaction } = load<typeof Transactions>('postgres/transaction');

/** Counts what a pool sends, message by message, and how often it waits for an answer before it sends more. */
class MessageCounter {
  readonly messages: string[] = [];
  turns = 0;
  #server!: Server;
  port = 0;

  static async start(target: number): Promise<MessageCounter> {
    const counter = new MessageCounter();
    counter.#server = createServer((client) => counter.#relay(client, target));
    counter.port = await listen(counter.#server);
    return counter;
  }

  /** What is sent by `work`. */
  async count(work: () => Promise<unknown>): Promise<{ messages: string; turns: number }> {
    const [from, turns] = [this.messages.length, this.turns];
    await work();
    return { messages: this.messages.slice(from).join(''), turns: this.turns - turns };
  }

  close(): void {
    this.#server.close();
  }

  #relay(client: Socket, target: number): void {
    const server = connect(target, '127.0.0.1').setNoDelay(true);
    client.setNoDelay(true);
    let pending = Buffer.alloc(0);
    let hasBegun = false;
    let isAsking = false;
    client.on('data', (bytes: Buffer) => {
      pending = Buffer.concat([pending, bytes]);
      if (!isAsking) this.turns += 1;
      isAsking = true;
      // The first message has no letter.
      for (let header = hasBegun ? 1 : 0; pending.length >= header + 4; header = 1) {
        const end = header + pending.readInt32BE(header);
        if (pending.length < end) break;
        if (hasBegun) this.messages.push(String.fromCharCode(pending[0]!));
        pending = pending.subarray(end);
        hasBegun = true;
      }
      server.write(bytes);
    });
    server.on('data', (bytes: Buffer) => {
      isAsking = false;
      client.write(bytes);
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  }
}

describe('PgBouncer in transaction mode', { skip: skipWithoutPgBouncer(), timeout: 120_000 }, () => {
  let server: Postgres;
  let bouncer: PgBouncer;
  /** It has one session of the server, which all its clients share. */
  let single: PgBouncer;
  let pools: Pools.PostgresConnectionPool[] = [];
  const open = (config: Postgres['config'], more: Record<string, unknown> = {}) => {
    const options = { ...config, connectionTimeoutMillis: 10_000, statementMode: 'unnamed', ...more };
    const pool = new PostgresConnectionPool(options as typeof config);
    pools.push(pool);
    return pool;
  };

  before(async () => {
    server = await Postgres.start();
    server.psql(`CREATE ROLE reader; CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO counters SELECT id, 0 FROM generate_series(0, 15) AS id`);
    bouncer = await PgBouncer.start(server, 'transaction', 4);
    single = await PgBouncer.start(server, 'transaction', 1);
  });
  after(async () => {
    await bouncer?.stop();
    await single?.stop();
    await server?.stop();
  });
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('10 000 mixed statements are answered, each by its own result', async () => {
    const pool = open(bouncer.config, { max: 16 });
    const codes = new Set<string>();
    const expectError = async (query: Promise<unknown>, code: string) => {
      const error: unknown = await query.catch((error: unknown) => error);
      assert.ok(error instanceof PostgresError, String(error));
      codes.add(error.code);
      assert.equal(error.code, code, error.message);
    };
    const kinds: ((worker: number, n: number) => Promise<unknown>)[] = [
      async (_, n) => assert.equal((await pool.query(`SELECT ${n} AS n`)).rows[0].n, n),
      async (_, n) => assert.equal((await pool.query('SELECT $1::int AS n', [n])).rows[0].n, n),
      async (worker, n) => {
        const text = `SELECT $1::text || $2::text AS t -- ${n % 50}`;
        assert.equal((await pool.query(text, [worker, n])).rows[0].t, `${worker}${n}`);
      },
      async (_, n) => {
        const results = (await pool.query(`SELECT ${n} AS n; SELECT 2 AS two`)) as unknown as { rows: unknown[] }[];
        assert.deepEqual(results[0]!.rows, [{ n }]);
      },
      async () => expectError(pool.query('SELECT $1::int / 0', [1]), '22012'),
      async () => expectError(pool.query('SELECT nothing'), '42703'),
      async (worker) => {
        const client = await pool.connect();
        try {
          await runTransaction(client, async () => {
            await client.query('UPDATE counters SET n = n + 1 WHERE id = $1', [worker]);
            await client.query('SELECT 1');
          });
        } finally {
          client.release();
        }
      },
      async (worker, n) => {
        const named = { name: 'sum', text: 'SELECT $1::int + $2::int AS n', values: [worker, n] };
        assert.equal((await pool.query(named)).rows[0].n, worker + n);
      },
    ];
    const work = async (worker: number) => {
      for (let n = 0; n < 625; n++) await kinds[(worker + n) % kinds.length]!(worker, n);
    };
    await Promise.all(Array.from({ length: 16 }, (_, worker) => work(worker)));
    assert.deepEqual([...codes].sort(), ['22012', '42703']);
    const transactions = Array.from({ length: 16 }, (_, worker) =>
      Array.from({ length: 625 }, (_, n) => (worker + n) % kinds.length).filter((kind) => kind === 6),
    ).flat();
    assert.equal(server.psql('SELECT sum(n) FROM counters'), String(transactions.length));
  });

  test('a statement costs one round trip, and nothing is sent besides', async (t) => {
    const counter = await MessageCounter.start(bouncer.port);
    t.after(() => counter.close());
    const pool = open({ ...bouncer.config, port: counter.port }, { max: 1, sslmode: 'disable' });
    await pool.query('SELECT 1');
    const cost = (work: () => Promise<unknown>) => counter.count(work);
    assert.deepEqual(await cost(() => pool.query('SELECT 1')), { messages: 'Q', turns: 1 });
    assert.deepEqual(await cost(() => pool.query('SELECT $1::int', [1])), { messages: 'PBDES', turns: 1 });
    const borrowed = async (texts: string[]) => {
      const client = await pool.connect({ role: 'reader' });
      for (const text of texts) await client.query(text);
      client.release();
      (await pool.connect()).release();
    };
    // What a session was left with is not removed: it is not ours.
    assert.deepEqual(await cost(() => borrowed(['BEGIN', "SET LOCAL x.y = 'z'", 'COMMIT'])), {
      messages: 'QQQ',
      turns: 3,
    });
    assert.deepEqual(await cost(() => borrowed(['BEGIN'])), { messages: 'QQ', turns: 2 });
  });

  const SETTINGS = { role: 'reader', readOnly: true, statementTimeoutMs: 4000, searchPath: 'pg_catalog' } as const;
  const STATE = `SELECT current_user AS role, current_setting('transaction_read_only') AS "readOnly",
    current_setting('statement_timeout') AS timeout, current_setting('search_path') AS path`;
  const SET = { role: 'reader', readOnly: 'on', timeout: '4s', path: 'pg_catalog' };
  const FRESH = { role: 'postgres', readOnly: 'off', timeout: '0', path: '"$user", public' };

  test('settings go into each transaction, and are refused by name outside of one', async () => {
    const pool = open(single.config, { max: 2 });
    const state = async (client: Pick<typeof pool, 'query'>) => {
      const [{ path, ...row }] = (await client.query(STATE)).rows;
      return { ...row, path: path.replace(/^"pg_catalog"$/, 'pg_catalog') };
    };
    const refused = (query: Promise<unknown>, names = /settings statementTimeoutMs, searchPath, role, readOnly of/) =>
      assert.rejects(query, (error: Error & { code: string }) => {
        assert.ok(error instanceof PostgresError);
        assert.deepEqual([error.kind, error.code, error.delivery], ['rejected', 'ERR_POSTGRES_SHARED_SESSION', 'none']);
        assert.match(error.message, names);
        return true;
      });
    const client = await pool.connect(SETTINGS);
    await refused(client.query('SELECT 1'));
    assert.deepEqual(await runTransaction(client, () => state(client)), SET);
    assert.deepEqual(await runTransaction(client, () => state(client), { readOnly: false }), {
      ...SET,
      readOnly: 'off',
    });
    await refused(client.query('SELECT 1'));
    // One by hand, without waiting, and its end.
    const [begun, inside, , outside] = await Promise.allSettled([
      client.query('BEGIN ISOLATION LEVEL SERIALIZABLE;'),
      state(client),
      client.query('COMMIT'),
      client.query('SELECT 1'),
    ]);
    assert.equal((begun as PromiseFulfilledResult<{ command: string }>).value.command, 'BEGIN');
    assert.deepEqual((inside as PromiseFulfilledResult<unknown>).value, SET);
    assert.equal(outside.status, 'rejected');
    // One that ends where nobody looks.
    await client.query({ text: 'begin', values: [], timeoutMs: 5_000 });
    await client.query('SAVEPOINT one');
    await client.query('ROLLBACK TO one');
    await client.query('SELECT 1; COMMIT');
    await refused(client.query('SELECT 1'));
    client.release();
    assert.deepEqual(await state(pool), FRESH);
    const plain = await pool.connect();
    assert.deepEqual(await state(plain), FRESH);
    plain.release();
    const stranger = await pool.connect({ role: 'stranger' });
    await assert.rejects(stranger.query('BEGIN'), { code: '22023' });
    assert.equal(stranger.transactionStatus, 'I');
    await assert.rejects(
      runTransaction(stranger, () => assert.fail('it began')),
      { code: '22023' },
    );
    await refused(stranger.query('SELECT 1'), /settings role of/);
    stranger.release();
    await assert.rejects(pool.connect({ roles: 'x' } as object), /settings\.roles/);
  });

  test('LISTEN and locks of a session are refused by name', async () => {
    const pool = open(single.config, { max: 2 });
    for (const [text, name] of [
      ['LISTEN news', /^LISTEN needs a session of its own/],
      ['/* the */ listen news', /^LISTEN needs/],
      ['SELECT pg_advisory_lock(1)', /^pg_advisory_lock needs/],
      ['select pg_try_advisory_lock_shared($1)', /^pg_try_advisory_lock_shared needs/],
    ] as const) {
      await assert.rejects(pool.query(text, text.includes('$1') ? [1] : undefined), (error: Error) => {
        assert.ok(error instanceof PostgresError);
        assert.deepEqual([error.code, error.delivery], ['ERR_POSTGRES_SHARED_SESSION', 'none']);
        assert.match(error.message, name);
        return true;
      });
    }
    const client = await pool.connect();
    await runTransaction(client, async () => {
      await client.query('SELECT pg_advisory_xact_lock(1)');
      await client.query('SELECT pg_advisory_lock(2)');
      await client.query('SELECT pg_advisory_unlock(2)');
      await client.query("NOTIFY news, 'x'");
    });
    client.release();
    assert.equal(server.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0');
  });

  test('what a transaction leaves is gone, and one that is left open is undone', async () => {
    const pool = open(single.config, { max: 4 });
    const client = await pool.connect();
    await runTransaction(client, async () => {
      await client.query("SET LOCAL ROLE reader; SET LOCAL search_path = gone; SET LOCAL statement_timeout = '7s'");
      await client.query('DECLARE left_over CURSOR FOR SELECT 1');
      await client.query('CREATE TEMP TABLE left_over (id int) ON COMMIT DROP');
    }).catch(() => undefined);
    const failed = runTransaction(client, async () => {
      await client.query('SET LOCAL ROLE reader');
      throw new Error('changed my mind');
    });
    await assert.rejects(failed, /changed my mind/);
    assert.deepEqual((await pool.query(STATE)).rows, [FRESH]);
    // Held open, it would keep the only session from everybody.
    await client.query('BEGIN');
    await client.query('UPDATE counters SET n = -1');
    client.release();
    assert.equal((await pool.query('SELECT count(*)::int AS n FROM counters WHERE n < 0')).rows[0].n, 0);
    const gone = `SELECT (SELECT count(*) FROM pg_cursors WHERE name <> '') +
      (SELECT count(*) FROM pg_class WHERE relname = 'left_over') AS n`;
    assert.equal((await pool.query(gone)).rows[0].n, '0');
  });

  test('a pooler of which nobody has told is found out by the first statement that its session does not have', async () => {
    const pool = open(bouncer.config, { max: 8, statementMode: undefined });
    const work = async (worker: number) => {
      for (let n = 0; n < 100; n++) {
        const kind = (worker + n) % 5;
        const text = `SELECT $1::int + ${kind} AS n`;
        // None of them fails, and none is run by the text of another.
        const { rows } = await pool.query({ name: `by ${kind}`, text, values: [n] });
        assert.equal(rows[0].n, n + kind);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, worker) => work(worker)));
    assert.equal(pool.sharesSessions, true);
    await assert.rejects(pool.query('LISTEN news'), { code: 'ERR_POSTGRES_SHARED_SESSION' });
    // A name of the user's own that is not there says nothing of that.
    const direct = open(server.config, { statementMode: undefined });
    await assert.rejects(direct.query({ name: 'own', text: 'EXECUTE nothing' }), { code: '26000' });
    assert.equal(direct.sharesSessions, false);
  });

  test('what somebody sets for a session stays with the session of the server, as the guide says', async () => {
    const [one, other] = [open(single.config, { max: 1 }), open(single.config, { max: 1 })];
    await one.query("SET statement_timeout = '7s'");
    assert.equal((await other.query(STATE)).rows[0].timeout, '7s');
    await other.query('RESET statement_timeout');
  });
});
