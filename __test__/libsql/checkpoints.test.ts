// The write-ahead log is moved into its file beside the statements, and nobody but the disk notices.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { TursoPool } from 'moorline';

import { eventually } from '../support/eventually';

const directory = mkdtempSync(join(tmpdir(), 'moorline-checkpoints-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const canRenameOpenFiles = process.platform !== 'win32';
const LIMIT_PAGES = 1000;
const PAGE_BYTES = 4096 + 24;
const SET_UP = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (a)';
const INSERT = 'INSERT INTO t (a) VALUES (randomblob(300))';

/** The sizes of a file and of its log. */
const bytesOf = (file: string) => (existsSync(file) ? statSync(file).size : 0);

async function openPool(name: string, inlineMs?: number) {
  const file = join(directory, `${name}.db`);
  const pool = new TursoPool({ url: `file:${file}`, poolSize: 4, ...(inlineMs === undefined ? {} : { inlineMs }) });
  await pool.executeMultiple(SET_UP);
  return { file, log: `${file}-wal`, pool };
}

const insertMany = async (pool: TursoPool, count: number) => {
  for (let n = 0; n < count; n++) await pool.execute(INSERT);
};

for (const [name, inlineMs] of [
  ['inline', 0.5],
  ['threads', 0],
] as const) {
  test(`the log stays short while many rows are inserted, and is gone at the end: ${name}`, async () => {
    const { file, log, pool } = await openPool(name, inlineMs);
    let longest = 0;
    const rows = 50_000;
    for (let n = 0; n < rows; n += 100) {
      await insertMany(pool, 100);
      longest = Math.max(longest, bytesOf(log));
    }
    assert.ok(longest > LIMIT_PAGES * PAGE_BYTES, `${longest}`);
    assert.ok(longest < 17 * LIMIT_PAGES * PAGE_BYTES, `${longest}`);
    await pool.drain();
    assert.ok(!existsSync(log));
    assert.ok(bytesOf(file) > rows * 300);
    await using reader = new TursoPool({ url: `file:${file}` });
    assert.deepEqual((await reader.execute('SELECT count(*) AS n FROM t')).rows, [{ n: rows }]);
    assert.deepEqual((await reader.execute('PRAGMA integrity_check')).rows, [{ integrity_check: 'ok' }]);
  });
}

test('a thread moves the log when it reaches its limit', async () => {
  const { file, log, pool } = await openPool('moved');
  await insertMany(pool, 10);
  const before = bytesOf(file);
  await insertMany(pool, LIMIT_PAGES);
  await eventually(() => bytesOf(file) > before + 100_000);
  assert.ok(bytesOf(log) < 3 * LIMIT_PAGES * PAGE_BYTES);
  await pool.drain();
});

test('pragmas about the log say and do what they do without it', async () => {
  const { log, pool } = await openPool('pragmas');
  const checkpoint = async (mode: string) => (await pool.execute(`PRAGMA wal_checkpoint(${mode})`)).rows[0];
  for (let round = 0; round < 5; round++) {
    await insertMany(pool, LIMIT_PAGES);
    assert.deepEqual({ ...(await checkpoint('TRUNCATE')) }, { busy: 0, log: 0, checkpointed: 0 });
    assert.equal(bytesOf(log), 0);
  }
  await insertMany(pool, LIMIT_PAGES);
  await pool.executeMultiple('PRAGMA wal_checkpoint(TRUNCATE)');
  assert.equal(bytesOf(log), 0);
  await pool.drain();
});

test('wal_autocheckpoint is obeyed', async () => {
  const { file, log, pool } = await openPool('limit');
  await pool.withConnection(async (connection) => {
    const limit = async (pragma = '') => {
      const { rows } = await connection.execute(`PRAGMA wal_autocheckpoint${pragma}`);
      return rows[0]?.['wal_autocheckpoint'];
    };
    assert.equal(await limit(), LIMIT_PAGES);
    assert.equal(await limit(' = 0'), 0);
    assert.equal(await limit(), 0);
    const before = bytesOf(file);
    for (let n = 0; n < 10 * LIMIT_PAGES; n++) await connection.execute(INSERT);
    assert.ok(bytesOf(log) > 10 * LIMIT_PAGES * PAGE_BYTES);
    assert.equal(bytesOf(file), before);
    assert.equal(await limit(' = 10'), 10);
    assert.equal(await limit(), 10);
    await connection.execute('PRAGMA wal_checkpoint(TRUNCATE)');
    for (let n = 0; n < 2000; n++) await connection.execute(INSERT);
    assert.ok(bytesOf(log) < 17 * 10 * PAGE_BYTES, `${bytesOf(log)}`);
    await connection.executeMultiple('PRAGMA wal_autocheckpoint = 0; PRAGMA wal_checkpoint(TRUNCATE)');
    for (let n = 0; n < 1000; n++) await connection.execute(INSERT);
    assert.ok(bytesOf(log) > 1000 * PAGE_BYTES);
    assert.equal(await limit(), 0);
  });
  await pool.drain();
  assert.ok(!existsSync(log));
});

test('the journal and the way of locking can be changed in the middle of writing', async () => {
  const { log, pool } = await openPool('journal');
  await pool.withConnection(async (connection) => {
    for (let round = 0; round < 5; round++) {
      for (let n = 0; n < LIMIT_PAGES; n++) await connection.execute(INSERT);
      const mode = async (sql: string) => Object.values((await connection.execute(sql)).rows[0]!)[0];
      assert.equal(await mode('PRAGMA journal_mode = DELETE'), 'delete');
      assert.ok(!existsSync(log));
      await connection.execute(INSERT);
      assert.equal(await mode('PRAGMA journal_mode = WAL'), 'wal');
    }
    await connection.execute('PRAGMA locking_mode = EXCLUSIVE');
    for (let n = 0; n < 3 * LIMIT_PAGES; n++) await connection.execute(INSERT);
    assert.ok(bytesOf(log) < 2 * LIMIT_PAGES * PAGE_BYTES, 'its commits move the log');
  });
  await pool.drain();
  assert.ok(!existsSync(log));
});

test('a log that a reader needs is kept, and moved when the reader is done', async () => {
  const { file, log, pool } = await openPool('reader');
  await insertMany(pool, 10);
  const reader = await pool.transaction('read');
  await reader.execute('SELECT count(*) FROM t');
  await insertMany(pool, 2 * LIMIT_PAGES);
  assert.deepEqual((await reader.execute('SELECT count(*) AS n FROM t')).rows, [{ n: 10 }]);
  await reader.commit();
  const before = bytesOf(file);
  await insertMany(pool, LIMIT_PAGES);
  await eventually(() => bytesOf(file) > before);
  await pool.drain();
  assert.ok(!existsSync(log));
});

test(
  'a file that was renamed is not made anew',
  { skip: canRenameOpenFiles ? false : 'open files keep their names' },
  async () => {
    const { file, pool } = await openPool('renamed');
    await insertMany(pool, 10);
    renameSync(file, `${file}-moved`);
    await insertMany(pool, 2 * LIMIT_PAGES);
    await pool.drain();
    assert.ok(!existsSync(file));
  },
);
