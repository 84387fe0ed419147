// A statement that was interrupted on its caller's thread and done again has had one effect: what is written and answered is
// what it is without inline runs, whatever the bound on them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { type Client, createClient, type InStatement } from 'moorline/libsql';

import { pick, seededRandom } from '../hostile/random';
import { dist } from '../support/paths';

const directory = mkdtempSync(join(tmpdir(), 'moorline-effect-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const SET_UP = `
  CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, n INTEGER CHECK (n < 40));
  CREATE INDEX by_n ON item (n);
  CREATE TABLE part (item_id REFERENCES item ON DELETE CASCADE, at INTEGER UNIQUE ON CONFLICT FAIL);
  CREATE TABLE seen (what TEXT);
  CREATE TABLE traced (a INTEGER);
  CREATE TRIGGER trace AFTER INSERT ON traced BEGIN INSERT INTO seen VALUES ('traced ' || new.a); END;
  INSERT INTO item (name, n) WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 300) SELECT 'first ' || n, n % 20 FROM i;`;
const TABLES = ['item', 'part', 'seen', 'traced', 'sqlite_sequence'];

type Random = () => number;
const upTo = (limit: number, random: Random) => Math.floor(random() * limit);

/** Statements by their text, each with a maker of its arguments. */
const WRITES: readonly [sql: string, args: (random: Random) => (string | number)[]][] = [
  ['INSERT INTO item (name, n) VALUES (?, ?)', (random) => [`name ${upTo(60, random)}`, upTo(45, random)]],
  ['INSERT OR IGNORE INTO item (name, n) VALUES (?, ?)', (random) => [`name ${upTo(60, random)}`, 1]],
  ['REPLACE INTO item (name, n) VALUES (?, ?)', (random) => [`name ${upTo(60, random)}`, upTo(45, random)]],
  [
    'INSERT INTO item (name, n) VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING id, n',
    (random) => [`name ${upTo(30, random)}`],
  ],
  [
    "INSERT INTO item (name, n) SELECT name || '.', n FROM item WHERE id % ? = 0 LIMIT 5",
    (random) => [2 + upTo(9, random)],
  ],
  ['UPDATE item SET n = (n + 7) % 41 WHERE id % ? = 0', (random) => [1 + upTo(9, random)]],
  ['UPDATE item SET n = n + 1 WHERE id = ?', (random) => [upTo(400, random)]],
  ['DELETE FROM item WHERE id = ?', (random) => [upTo(400, random)]],
  // What fails keeps the rows before it.
  [
    'INSERT INTO part SELECT id, ? - id FROM item WHERE id % 11 = ? LIMIT 4',
    (random) => [upTo(900, random), upTo(11, random)],
  ],
  ['UPDATE OR FAIL item SET n = n + 9 WHERE id % ? = 3', (random) => [4 + upTo(5, random)]],
  ['INSERT INTO traced VALUES (?)', (random) => [upTo(1000, random)]],
  ['SELECT count(*) AS count, sum(n) AS n FROM item WHERE id > ?', (random) => [upTo(100, random)]],
];

/** What comes of a statement: its result, or the code of its error. */
async function outcomeOf(client: Pick<Client, 'execute'>, statement: InStatement): Promise<unknown> {
  try {
    const { rows, rowsAffected, lastInsertRowid } = await client.execute(statement);
    return { rows: rows.map((row) => ({ ...row })), rowsAffected, lastInsertRowid };
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** Runs random statements, some in transactions, and returns all that came of them, and of the tables. */
async function play(client: Client, seed: number, count: number): Promise<unknown[]> {
  const random = seededRandom(seed);
  const outcomes: unknown[] = [];
  const next = () => {
    const [sql, args] = pick(WRITES, random);
    return { sql, args: args(random) };
  };
  await client.executeMultiple(SET_UP);
  for (let n = 0; n < count; n++) {
    if (random() < 0.03) {
      const transaction = await client.transaction('write');
      for (let left = upTo(4, random); left > 0; left--) outcomes.push(await outcomeOf(transaction, next()));
      await (random() < 0.5 ? transaction.commit() : transaction.rollback());
    } else {
      outcomes.push(await outcomeOf(client, next()));
    }
  }
  for (const table of TABLES) outcomes.push((await client.execute(`SELECT * FROM ${table}`)).toJSON());
  return outcomes;
}

for (const place of ['memory', 'file']) {
  test(`random writes come to the same whatever inlineMs is, ${place}`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const played: unknown[][] = [];
    for (const inlineMs of [0, 0.001, 0.02, 0.5]) {
      const url = place === 'memory' ? ':memory:' : `file:${join(directory, `${inlineMs}.db`)}`;
      const client = createClient({ url, inlineMs });
      played.push(await play(client, seed, 1500));
      client.close();
    }
    const [expected, ...others] = played;
    for (const outcomes of others) assert.deepEqual(outcomes, expected, `seed ${seed}`);
  });
}

/** Counts in two tables until it is killed, and tells each count that was answered. */
const WRITER = `
const { writeSync } = require('node:fs');
const { createClient } = require(process.argv[1]);
const client = createClient({ url: process.argv[2], inlineMs: Number(process.argv[3]) });
(async () => {
  let { rows: [{ n }] } = await client.execute('SELECT coalesce(max(n), 0) AS n FROM counted');
  for (;;) {
    await client.execute('INSERT INTO counted SELECT ?, i FROM ten', [++n]);
    writeSync(1, n + '\\n');
  }
})();
`;

test('what was answered before a kill is there, once and whole', async () => {
  const url = `file:${join(directory, 'killed.db')}`;
  const client = createClient({ url });
  await client.executeMultiple(`CREATE TABLE counted (n INTEGER, i INTEGER, UNIQUE (n, i)); CREATE TABLE ten (i INTEGER);
    INSERT INTO ten VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)`);
  for (let kill = 0; kill < 10; kill++) {
    const inlineMs = kill % 2 ? 0.5 : 0.01;
    const writer = spawn(process.execPath, ['-e', WRITER, join(dist, 'entries', 'libsql.js'), url, String(inlineMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let told = '';
    writer.stdout.setEncoding('utf8').on('data', (text: string) => (told += text));
    await once(writer.stdout, 'data');
    await sleep(Math.random() * 100);
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const answered = Number(told.trimEnd().split('\n').at(-1));
    const { rows } = await client.execute(
      'SELECT max(n) AS n, count(*) AS count, count(DISTINCT n) AS counts FROM counted',
    );
    const { n, count, counts } = rows[0]!;
    // One more may have been written and not told.
    assert.ok(n === answered || n === answered + 1, `${answered} was answered, ${n} is the last`);
    assert.deepEqual({ count, counts }, { count: 10 * n, counts: n });
  }
  client.close();
});
