// `lastInsertRowid` of a database of this machine: of what a statement itself inserted.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createClient } from 'moorline/libsql';

test('only a statement that inserts tells a row that was inserted', async () => {
  const db = createClient({ url: ':memory:', concurrency: 1 });
  await db.executeMultiple(`CREATE TABLE a (id INTEGER PRIMARY KEY, n UNIQUE); CREATE TABLE b (n); CREATE TABLE log (n);
    INSERT INTO b VALUES (1); CREATE TRIGGER logged AFTER DELETE ON b BEGIN INSERT INTO log VALUES (OLD.n); END;`);
  const rowid = async (sql: string) => (await db.execute(sql)).lastInsertRowid;
  // Twice, as the second time the statement is a kept one.
  for (const [index, id] of [777n, 778n].entries()) {
    assert.equal(await rowid(`INSERT INTO a VALUES (${id}, 'x${id}')`), id);
    for (const sql of [
      'UPDATE b SET n = n + 1',
      "INSERT OR IGNORE INTO a (n) VALUES ('x777')",
      `CREATE TABLE c${index} (q)`,
      `CREATE TABLE d${index} AS SELECT 1 AS q`,
      'PRAGMA user_version = 1',
      'SELECT 1',
      'DELETE FROM log',
    ]) {
      assert.equal(await rowid(sql), undefined, sql);
    }
    assert.equal(await rowid("INSERT INTO a (n) VALUES ('y" + index + "') RETURNING n"), id + 1n);
    await db.execute(`DELETE FROM a WHERE id = ${id + 1n}`);
  }
  // What a trigger inserts is not the statement's own.
  assert.equal(await rowid('DELETE FROM b'), undefined);
  assert.equal(await rowid('INSERT INTO b VALUES (5)'), 1n);
  db.close();
});
