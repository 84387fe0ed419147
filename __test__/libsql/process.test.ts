// What one connection must not do to the others of the process.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { TursoPool } from 'moorline';

test('a setting of the whole engine is refused, and one of a connection is not', async (t) => {
  const pools = [1, 2].map(() => new TursoPool({ url: ':memory:' }));
  t.after(() => Promise.all(pools.map((pool) => pool.drain())));
  const [one, other] = pools as [TursoPool, TursoPool];
  for (const pragma of ['hard_heap_limit=1000', 'HARD_HEAP_LIMIT(1000)', 'soft_heap_limit = 1000']) {
    await assert.rejects(one.execute(`PRAGMA ${pragma}`), { code: 'SQLITE_AUTH' }, pragma);
    await assert.rejects(one.executeMultiple(`PRAGMA ${pragma}`), { code: 'SQLITE_AUTH' }, pragma);
  }
  assert.equal((await one.execute('PRAGMA hard_heap_limit')).rows[0]?.['hard_heap_limit'], 0);
  await one.execute('PRAGMA cache_size = 100');
  await other.execute('CREATE TABLE t (a)');
  await other.execute('INSERT INTO t VALUES (zeroblob(100000))');
});

test('what follows a COMMIT of its own in a batch was not run, and the error does not say that nothing was', async (t) => {
  const pool = new TursoPool({ url: ':memory:' });
  t.after(() => pool.drain());
  await pool.executeMultiple('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
  const batch = pool.batch(['UPDATE t SET a = 2', 'COMMIT', 'SELECT 1'], 'write');
  await assert.rejects(batch, {
    code: 'TRANSACTION_CLOSED',
    delivery: 'answered',
    retryable: false,
    statementIndex: 2,
  });
  assert.equal((await pool.execute('SELECT a FROM t')).rows[0]?.['a'], 2);
});
