// Reading from a file: the whole way from the call to the rows, one call at a time or several.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient as createTheirs } from '@libsql/client';

import { bench } from './harness.mjs';

const { createClient: createOurs } = createRequire(import.meta.url)('../dist/entries/libsql.js');

const ROWS = 10_000;
const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-'));
const url = `file:${join(directory, 'bench.db')}`;

const filler = createOurs({ url });
await filler.execute('CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor TEXT, value REAL, note TEXT)');
await filler.execute({
  sql: `INSERT INTO readings WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
    SELECT i, 'sensor-' || (i % 50), i * 0.25, 'a note of ordinary length' FROM n`,
  args: [ROWS],
});
filler.close();

function contestants(sql, args, rows) {
  return () =>
    [
      ['moorline', createOurs({ url })],
      ['@libsql/client', createTheirs({ url })],
    ].map(([name, client]) => ({
      name,
      async operation() {
        const result = await client.execute({ sql, args: args() });
        const last = result.rows.at(-1);
        if (result.rows.length !== rows || last.value !== last.id * 0.25) throw new Error('wrong rows');
      },
      close: () => client.close(),
    }));
}

const random = (below) => 1 + Math.floor(Math.random() * below);
await bench('libsql', [
  {
    name: '1 row',
    operations: 20_000,
    contestants: contestants('SELECT * FROM readings WHERE id = ?', () => [random(ROWS)], 1),
  },
  {
    name: '1 row c=16',
    operations: 20_000,
    concurrency: 16,
    contestants: contestants('SELECT * FROM readings WHERE id = ?', () => [random(ROWS)], 1),
  },
  {
    name: '1000 rows',
    operations: 100,
    contestants: contestants('SELECT * FROM readings WHERE id >= ? LIMIT 1000', () => [random(ROWS - 1000)], 1000),
  },
]);
rmSync(directory, { recursive: true });
