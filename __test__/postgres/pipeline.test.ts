// Statements that are sent behind others and given up: the server is told, and nothing else is hit.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import type * as Errors from '../../lib/postgres/error';
import type * as Pools from '../../lib/postgres/pool';
import { eventually } from '../support/eventually';
import { load } from '../support/native';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { PostgresConnectionPool } = load<typeof Pools>('postgres/pool');
const { PostgresError } = load<typeof Errors>('postgres/error');
type Pool = Pools.PostgresConnectionPool;

/** What comes of a call, which others are waited for before. */
const settled = (call: Promise<unknown>) => call.catch((error: unknown) => error);

/** The same numbers between 0 and 1 in each run. */
function random(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
}

describe('statements behind others', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let server: Postgres;
  let pools: Pool[] = [];
  const open = (more = {}) => {
    const pool = new PostgresConnectionPool({ ...server.config, connectionTimeoutMillis: 10_000, ...more });
    pools.push(pool);
    return pool;
  };
  const sleeping = () =>
    Number(
      server.psql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%'"),
    ) - 1;

  before(async () => {
    server = await Postgres.start();
  });
  after(() => server.stop());
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end(1000)));
    pools = [];
  });

  test('one signal cancels all that it was given to, and the next statement runs', async () => {
    const client = await open({ max: 1 }).connect();
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [1, 2, 3].map(() => client.query({ text: 'SELECT pg_sleep(60)', signal }));
    await eventually(() => sleeping() === 1);
    controller.abort();
    for (const call of calls) await assert.rejects(call, { name: 'AbortError' });
    const began = performance.now();
    assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1);
    assert.ok(performance.now() - began < 5000);
    assert.equal(sleeping(), 0);
    client.release();
  });

  test('one that waits behind another is cancelled when it is its turn', async () => {
    const client = await open({ max: 1 }).connect();
    const controller = new AbortController();
    const first = client.query('SELECT pg_sleep(0.3), 1 AS one');
    const second = client.query({ text: 'SELECT pg_sleep(60)', signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(second, { name: 'AbortError' });
    assert.equal((await first).rows[0].one, 1);
    const began = performance.now();
    assert.equal((await client.query('SELECT 2 AS two')).rows[0].two, 2);
    assert.ok(performance.now() - began < 5000);
    client.release();
  });

  test('whatever is given up at whatever moment, the others have their own answers', async () => {
    const pool = open({ max: 4 });
    const work = async (seed: number) => {
      const next = random(seed);
      const client = await pool.connect();
      const { processID } = client;
      for (let round = 0; round < 120; round++) {
        const calls = Array.from({ length: 1 + Math.floor(next() * 6) }, (_, at) => {
          const number = round * 10 + at;
          const isGivenUp = next() < 0.5;
          const timeoutMs = isGivenUp ? 1 + Math.floor(next() * 6) : undefined;
          const name = next() < 0.3 ? 'named' : undefined;
          const text = 'SELECT $1::int AS n, pg_sleep(0.002)';
          return { number, isGivenUp, outcome: settled(client.query({ text, name, values: [number], timeoutMs })) };
        });
        for (const call of calls) {
          const { number, isGivenUp } = call;
          const outcome = await call.outcome;
          if (!(outcome instanceof Error)) assert.equal((outcome as { rows: { n: number }[] }).rows[0]!.n, number);
          else assert.ok(isGivenUp && outcome instanceof PostgresError && outcome.kind === 'timeout', String(outcome));
        }
      }
      assert.equal((await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid, processID);
      client.release();
    };
    await Promise.all([1, 2, 3, 4].map(work));
    assert.equal(pool.totalCount, 4);
  });
});
