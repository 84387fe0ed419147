// Quick reads run where they are called, and are right whatever happened in between.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createClient } from 'moorline/libsql';

const directory = mkdtempSync(join(tmpdir(), 'moorline-inline-'));
after(() => rmSync(directory, { recursive: true, force: true }));

for (const url of [':memory:', `file:${directory}/a.db`]) {
  test(`a read that was quick sees every later change, ${url.slice(0, 8)}`, async () => {
    const client = createClient({ url });
    await client.execute('CREATE TABLE t (a)');
    for (let n = 1; n <= 200; n++) {
      await client.execute('INSERT INTO t VALUES (?)', [n]);
      const { rows } = await client.execute('SELECT count(a) AS n, max(a) AS last FROM t WHERE a > ?', [0]);
      assert.deepEqual(rows, [{ n, last: n }]);
    }
    for (let n = 0; n < 5; n++) await client.execute('SELECT * FROM t WHERE a = 1');
    await client.execute("ALTER TABLE t ADD COLUMN b DEFAULT 'new'");
    assert.deepEqual((await client.execute('SELECT * FROM t WHERE a = 1')).rows, [{ a: 1, b: 'new' }]);
    client.close();
  });

  test(`a text keeps U+0000, and several statements are refused, ${url.slice(0, 8)}`, async () => {
    const client = createClient({ url });
    for (let n = 0; n < 5; n++) {
      assert.equal((await client.execute('SELECT ? AS text', ['a\0b\0'])).rows[0]!['text'], 'a\0b\0');
    }
    await assert.rejects(client.execute('SELECT 1; SELECT 2'), { code: 'SQL_MANY_STATEMENTS' });
    assert.equal((await client.execute('SELECT 1 AS one; -- the end')).rows[0]!['one'], 1);
    client.close();
  });
}

test('a statement that takes longer than inlineMs is interrupted, and answered all the same', async () => {
  const client = createClient({ url: ':memory:', inlineMs: 0.5 });
  const sql = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(i) AS n FROM n`;
  for (let round = 0; round < 5; round++) {
    for (const size of [1, 1, 1, 200_000]) {
      assert.deepEqual((await client.execute(sql, [size])).rows, [{ n: size }]);
    }
  }
  client.close();
});
