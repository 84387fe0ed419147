// Reading from a file and writing to it: the whole way from the call to the rows, one call at a time or several.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient as createTheirs } from '@libsql/client';
import Database from 'better-sqlite3';

import { bench } from './harness.mjs';

const { createClient: createOurs } = createRequire(import.meta.url)('../dist/entries/libsql.js');

const ROWS = 10_000;
const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-'));
const NAMES = ['moorline', '@libsql/client', 'better-sqlite3'];
// A file for each: three copies of SQLite in one process do not see each other's locks.
const fileOf = (name) => join(directory, `${NAMES.indexOf(name)}.db`);
const urlOf = (name) => `file:${fileOf(name)}`;

for (const name of NAMES) {
  const filler = createOurs({ url: urlOf(name) });
  await filler.execute('CREATE TABLE events (id INTEGER PRIMARY KEY, sensor TEXT, value REAL)');
  await filler.execute('CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor TEXT, value REAL, note TEXT)');
  await filler.execute({
    sql: `INSERT INTO readings WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
      SELECT i, 'sensor-' || (i % 50), i * 0.25, 'a note of ordinary length' FROM n`,
    args: [ROWS],
  });
  filler.close();
}

function contestants(sql, args, check) {
  return async () => {
    const clients = [
      ['moorline', createOurs({ url: urlOf('moorline') })],
      ['@libsql/client', createTheirs({ url: urlOf('@libsql/client') })],
    ];
    // As ours does by itself.
    for (const [, client] of clients) await client.execute('PRAGMA synchronous = NORMAL');
    return [
      ...clients.map(([name, client]) => ({
        name,
        async operation() {
          const { rows, rowsAffected } = await client.execute({ sql, args: args() });
          check(rows, rowsAffected);
        },
        close: () => client.close(),
      })),
      synchronous(sql, args, check),
    ];
  };
}

/** better-sqlite3 blocks its caller: a statement of it costs what the engine does. */
function synchronous(sql, args, check) {
  const database = new Database(fileOf('better-sqlite3'));
  database.pragma('synchronous = NORMAL');
  const statement = database.prepare(sql);
  return {
    name: 'better-sqlite3',
    async operation() {
      if (statement.reader) check(statement.all(...args()), 0);
      else check([], statement.run(...args()).changes);
    },
    close: () => database.close(),
  };
}

function isRows(count) {
  return (rows) => {
    const last = rows.at(-1);
    if (rows.length !== count || last.value !== last.id * 0.25) throw new Error('wrong rows');
  };
}

function isOneChange(_rows, changes) {
  if (changes !== 1) throw new Error('wrong number of changes');
}

const random = (below) => 1 + Math.floor(Math.random() * below);
await bench('libsql', [
  {
    name: '1 row',
    operations: 20_000,
    contestants: contestants('SELECT * FROM readings WHERE id = ?', () => [random(ROWS)], isRows(1)),
  },
  {
    name: '1 row c=16',
    operations: 20_000,
    concurrency: 16,
    contestants: contestants('SELECT * FROM readings WHERE id = ?', () => [random(ROWS)], isRows(1)),
  },
  {
    name: '1 insert',
    operations: 5_000,
    contestants: contestants('INSERT INTO events (sensor, value) VALUES (?, ?)', () => ['sensor-7', 0.25], isOneChange),
  },
  {
    name: '1000 rows',
    operations: 100,
    contestants: contestants(
      'SELECT * FROM readings WHERE id >= ? LIMIT 1000',
      () => [random(ROWS - 1000)],
      isRows(1000),
    ),
  },
]);
rmSync(directory, { recursive: true });
