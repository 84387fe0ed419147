// Reading from a file and writing to one: the whole way from the call to the rows, one call at a time or several. A
// database in WAL mode with `synchronous = NORMAL` for each contestant, as a back end has it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient as createTheirs } from '@libsql/client';

import { bench, load } from './harness.mjs';

const { createClient: createOurs } = load('moorline/libsql');

const ROWS = 10_000;
const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-'));
const fill = `INSERT INTO readings WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  SELECT i, 'sensor-' || (i % 50), i * 0.25, 'a note of ordinary length' FROM n`;
const setUp = [
  'PRAGMA journal_mode = WAL',
  'PRAGMA synchronous = NORMAL',
  'CREATE TABLE readings (id INTEGER PRIMARY KEY, sensor TEXT, value REAL, note TEXT)',
  fill,
];

/** The synchronous peer, where its native part can be had: scripts/bench.mjs tries. */
const Database = await import('better-sqlite3')
  .then(({ default: imported }) => new imported(':memory:').close() && imported)
  .catch(({ message }) => console.error(`libsql: better-sqlite3 is left out: ${message.split('\n')[0]}`));

/** `{ read(sql, args) → rows, write(sql, args) → [changes, rowid], close }` of a client with the API of `@libsql/client`. */
async function openClient(create, file) {
  const client = create({ url: `file:${file}` });
  for (const sql of setUp) await client.execute(sql);
  return {
    read: async (sql, args) => (await client.execute({ sql, args })).rows,
    async write(sql, args) {
      const { rowsAffected, lastInsertRowid } = await client.execute({ sql, args });
      return [rowsAffected, Number(lastInsertRowid)];
    },
    close: () => client.close(),
  };
}

/** The same of better-sqlite3, whose statements are prepared once, as its users do. */
function openDatabase(file) {
  const database = new Database(file);
  database.exec(setUp.join(';'));
  const prepared = new Map();
  const prepare = (sql) => prepared.get(sql) ?? prepared.set(sql, database.prepare(sql)).get(sql);
  return {
    read: (sql, args) => prepare(sql).all(args),
    write(sql, args) {
      const { changes, lastInsertRowid } = prepare(sql).run(args);
      return [changes, lastInsertRowid];
    },
    close: () => database.close(),
  };
}

let files = 0;
const peers = {
  moorline: (file) => openClient(createOurs, file),
  '@libsql/client': (file) => openClient(createTheirs, file),
  ...(Database && { 'better-sqlite3': openDatabase }),
};

/** Each has a file of its own. `operate` makes the operation of one, which throws when its answer is wrong. */
function contestants(operate) {
  const open = async (name) => {
    const file = join(directory, `${files++}.db`);
    const database = await peers[name](file);
    const [{ synchronous }] = await database.read('PRAGMA synchronous', []);
    const [{ journal_mode: journal }] = await database.read('PRAGMA journal_mode', []);
    if (synchronous !== 1 || journal !== 'wal') throw new Error(`${name} has another mode`);
    return { name, operation: operate(name, database), close: () => database.close() };
  };
  return () => Promise.all(Object.keys(peers).map(open));
}

const random = (below) => 1 + Math.floor(Math.random() * below);

const reading = (sql, args, count) =>
  contestants((name, { read }) => async () => {
    const [id] = args();
    const rows = await read(sql, [id]);
    const last = rows.at(-1);
    const isRight = rows.length === count && last.id === id + count - 1 && last.value === last.id * 0.25;
    if (!isRight) throw new Error(`${name} read wrong rows`);
  });

const inserting = contestants((name, { write }) => {
  let id = ROWS;
  return async () => {
    id += 1;
    const args = [`sensor-${id % 50}`, id * 0.25, 'a note of ordinary length'];
    const [changes, rowid] = await write('INSERT INTO readings (sensor, value, note) VALUES (?, ?, ?)', args);
    if (changes !== 1 || rowid !== id) throw new Error(`${name} wrote wrong`);
  };
});

const one = 'SELECT * FROM readings WHERE id = ?';
const many = 'SELECT * FROM readings WHERE id >= ? LIMIT 1000';
await bench('libsql', [
  { name: '1 row', operations: 20_000, contestants: reading(one, () => [random(ROWS)], 1) },
  { name: '1 row c=16', operations: 20_000, concurrency: 16, contestants: reading(one, () => [random(ROWS)], 1) },
  { name: '1 insert', operations: 5_000, contestants: inserting },
  { name: '1000 rows', operations: 100, contestants: reading(many, () => [random(ROWS - 1000)], 1000) },
]);
rmSync(directory, { recursive: true });
