// Transactions of PostgreSQL: committed or undone as a whole, nested, repeated where that is safe.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';

import type * as Clients from '../../lib/postgres/client';
import type * as Errors from '../../lib/postgres/error';
import type * as Pools from '../../lib/postgres/pool';
import type * as Transactions from '../../lib/postgres/transaction';
import { FaultProxy } from '../support/fault-proxy';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
const { runTransaction } = load<typeof Transactions>('postgres/transaction');
type Client = Clients.PostgresClient;

describe('transactions of PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pool: Pools.PostgresConnectionPool;

  before(async () => {
    server = await Postgres.start();
    server.psql('CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0))');
    pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000 });
  });
  after(async () => {
    await pool?.end(1000);
    await server?.stop();
  });
  beforeEach(() => server.psql('TRUNCATE accounts; INSERT INTO accounts VALUES (1, 100), (2, 100)'));

  async function inTransaction<T>(
    work: (client: Client) => Promise<T>,
    options?: Transactions.TransactionOptions,
  ): Promise<T> {
    const client = await pool.connect();
    try {
      return await runTransaction(client, work, options);
    } finally {
      client.release();
    }
  }
  const balances = () => server.psql('SELECT string_agg(balance::text, $$,$$ ORDER BY id) FROM accounts');

  test('it is committed, or undone as a whole', async () => {
    const sum = await inTransaction(async (client) => {
      await client.query('UPDATE accounts SET balance = balance - 10 WHERE id = 1');
      await client.query('UPDATE accounts SET balance = balance + 10 WHERE id = 2');
      assert.equal(client.transactionStatus, 'T');
      return (await client.query('SELECT sum(balance)::int AS sum FROM accounts')).rows[0].sum as number;
    });
    assert.deepEqual([sum, balances()], [200, '90,110']);
    const error = new Error('changed my mind');
    await assert.rejects(
      inTransaction(async (client) => {
        await client.query('UPDATE accounts SET balance = 0');
        throw error;
      }),
      error,
    );
    assert.equal(balances(), '90,110');
  });

  test('one in which a statement has failed is not committed, whatever its function makes of it', async () => {
    const committed = inTransaction(async (client) => {
      await client.query('UPDATE accounts SET balance = 0');
      await client.query('SELECT 1/0').catch(() => undefined);
    });
    await assert.rejects(committed, { name: 'PostgresError', code: '25P02', operation: 'commit' });
    assert.equal(balances(), '100,100');
  });

  test('nested ones are savepoints', async () => {
    await inTransaction(async (client) => {
      await client.query('UPDATE accounts SET balance = 50 WHERE id = 1');
      const inner = runTransaction(client, async () => {
        await client.query('UPDATE accounts SET balance = 0 WHERE id = 2');
        await runTransaction(client, () => client.query('UPDATE accounts SET balance = -1 WHERE id = 2'));
      });
      await assert.rejects(inner, { code: '23514' });
      await runTransaction(client, () => client.query('UPDATE accounts SET balance = 60 WHERE id = 2'));
    });
    assert.equal(balances(), '50,60');
  });

  test('a serialization failure is repeated as often as asked for, and nothing else', async () => {
    let calls = 0;
    const transfer = async (client: Client) => {
      calls += 1;
      const [row] = (await client.query('SELECT balance FROM accounts WHERE id = 1')).rows;
      // Somebody else changes it meanwhile, the first two times.
      if (calls < 3) await pool.query('UPDATE accounts SET balance = balance - 1 WHERE id = 1');
      await client.query('UPDATE accounts SET balance = $1 WHERE id = 1', [row.balance - 10]);
    };
    await inTransaction(transfer, { isolation: 'serializable', retry: 5 });
    assert.deepEqual([calls, balances()], [3, '88,100']);
    calls = 1;
    await assert.rejects(inTransaction(transfer, { isolation: 'serializable' }), { code: '40001', retryable: true });
    calls = 0;
    const refused = inTransaction((client) => (calls++, client.query('SELECT 1/0')), { retry: 5 });
    await assert.rejects(refused, { code: '22012' });
    assert.equal(calls, 1);
  });

  test('its options are those of BEGIN', async () => {
    const modes = await inTransaction(
      async (client) => {
        const shown = ['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'];
        const results = await Promise.all(
          shown.map((name) => client.query({ text: `SHOW ${name}`, rowMode: 'array' })),
        );
        return results.map(({ rows: [[value]] }) => value as string);
      },
      { isolation: 'serializable', readOnly: true, deferrable: true },
    );
    assert.deepEqual(modes, ['serializable', 'on', 'on']);
    const write = inTransaction((client) => client.query('DELETE FROM accounts'), { readOnly: true });
    await assert.rejects(write, { code: '25006' });
    for (const [options, message] of [
      [{ isolation: 'dirty' }, /^options\.isolation must be /],
      [{ readonly: true }, /did you mean 'readOnly'/],
      [{ retry: -1 }, /^options\.retry must be /],
      [{ readOnly: 1 }, /^options\.readOnly must be a boolean/],
    ] as const) {
      await assert.rejects(
        inTransaction(async () => 1, options as never),
        (error: Error) => {
          assert.ok(error instanceof TypeError);
          assert.match(error.message, message);
          return true;
        },
      );
    }
  });

  test('a commit whose answer is lost is unknown, and not repeated', async (t) => {
    const proxy = await FaultProxy.start(server.port);
    t.after(() => proxy.close());
    const through = new PostgresConnectionPool({ ...server.config, port: proxy.port, connectionTimeoutMillis: 10_000 });
    t.after(() => through.end(1000));
    const client = await through.connect();
    let calls = 0;
    const lost = runTransaction(
      client,
      async () => {
        calls += 1;
        await client.query('UPDATE accounts SET balance = 1 WHERE id = 1');
        proxy.set({ kind: 'cut', afterBytes: 0 });
      },
      { retry: 5 },
    );
    const error: unknown = await lost.catch((error: unknown) => error);
    client.release();
    assert.ok(error instanceof PostgresError);
    assert.deepEqual([calls, error.kind, error.delivery], [1, 'disconnected', 'unknown']);
    assert.equal(balances(), '1,100', 'the server has committed it');
  });
});
