// Random values of every type come back as they were given, from memory, a file and a server alike.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { createClient, type InValue, type Value } from 'moorline/libsql';

import { pick, seededRandom } from '../hostile/random';
import { skipWithoutSqld, type Sqld, startSqld } from '../support/servers';

const seed = Math.floor(Math.random() * 2 ** 32);
const random = seededRandom(seed);
const COLUMNS = 20;
const ROWS = 5_000;
const BATCH = 250;

const LIMITS = [0n, 1n, -1n, 2n ** 31n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)];
const NUMBERS = [0, 1, -1, 0.1, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53 - 1, 1e21];
const PARTS = ['a', 'é', '\0', '\n', '"', '\\', '\u2028', '😀', '\ud800', '\udc00', ' ', '\u007f', '\ufeff', "'"];

const upTo = (limit: number) => Math.floor(random() * limit);
const textOf = (length: number) => Array.from({ length }, () => pick(PARTS, random)).join('');
const bytesOf = (length: number) => Uint8Array.from({ length }, () => upTo(256));

const makers: readonly (() => InValue)[] = [
  () => null,
  () => random() < 0.5,
  () => pick(NUMBERS, random),
  () => (random() - 0.5) * 10 ** upTo(300),
  () => upTo(2 ** 32) - 2 ** 31,
  () => pick(LIMITS, random),
  () => BigInt.asIntN(64, (BigInt(upTo(2 ** 32)) << 32n) | BigInt(upTo(2 ** 32))),
  () => textOf(upTo(12)),
  () => textOf(upTo(12)),
  () => bytesOf(upTo(12)),
  () => bytesOf(upTo(12)).buffer as ArrayBuffer,
  () => new Date(upTo(2 ** 41)),
];

/** A value as it has to come back, but for the type of a number that is an integer. */
function stored(value: InValue): Value | undefined {
  if (typeof value === 'boolean') return Number(value);
  if (typeof value === 'string') return Buffer.from(value).toString();
  if (value instanceof Date) return value.getTime();
  return value instanceof Uint8Array ? (value.slice().buffer as ArrayBuffer) : value;
}

/** Whether `back` is what `value` has to come back as. */
function isSame(value: InValue, back: Value): boolean {
  const expected = stored(value);
  if (typeof expected === 'number') return Number(back) === expected && back !== null;
  if (expected instanceof ArrayBuffer) {
    return back instanceof ArrayBuffer && Buffer.from(back).equals(Buffer.from(expected));
  }
  return back === expected;
}

describe('values', { skip: skipWithoutSqld() }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-values-'));
  let sqld: Sqld;
  let clients: [place: string, client: ReturnType<typeof createClient>][];
  before(async () => {
    sqld = await startSqld();
    const urls = { memory: ':memory:', file: `file:${directory}/a.db`, server: sqld.url };
    clients = Object.entries(urls).map(([place, url]) => [place, createClient({ url, intMode: 'bigint' })]);
  });
  after(async () => {
    for (const [, client] of clients) client.close();
    await sqld.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test(`${ROWS * COLUMNS} values come back from each place, the same from all`, async () => {
    const names = Array.from({ length: COLUMNS }, (_, index) => `c${index}`);
    const insert = `INSERT INTO v VALUES (${['?', ...names.map(() => '?')].join()})`;
    for (const [, client] of clients) await client.execute(`CREATE TABLE v (id INTEGER PRIMARY KEY, ${names.join()})`);
    for (let first = 0; first < ROWS; first += BATCH) {
      const given = Array.from({ length: BATCH }, () => names.map(() => pick(makers, random)()));
      const statements = given.map((values, index) => ({ sql: insert, args: [first + index, ...values] }));
      let before: Value[][] | undefined;
      for (const [place, client] of clients) {
        await client.batch(statements, 'write');
        const sql = `SELECT ${names.join()} FROM v WHERE id >= ? ORDER BY id`;
        const rows = (await client.execute({ sql, args: [first] })).rows.map((row) => Array.from<Value>(row));
        assert.equal(rows.length, BATCH);
        for (const [row, values] of given.entries()) {
          for (const [column, value] of values.entries()) {
            const back = rows[row]![column]!;
            if (!isSame(value, back))
              assert.fail(`${place}, seed ${seed}: ${String(value)} came back as ${String(back)}`);
          }
        }
        if (before) assert.deepEqual(rows, before, `${place}, seed ${seed}`);
        before = rows;
      }
    }
  });

  test('a hundred texts and bytes of a megabyte come back from each place', async () => {
    const block = `${textOf(1000)}\0`;
    for (const [place, client] of clients) {
      await client.execute('CREATE TABLE large (a)');
      for (let index = 0; index < 100; index++) {
        const text = `${index}${block.repeat(1000)}`.slice(0, 1_000_000);
        const given = index % 2 ? text : new TextEncoder().encode(text);
        await client.execute({ sql: 'INSERT INTO large VALUES (?)', args: [given] });
        const { rows } = await client.execute('SELECT a FROM large');
        if (!isSame(given, rows[0]!['a'])) assert.fail(`${place}, seed ${seed}: value ${index} has changed`);
        await client.execute('DELETE FROM large');
      }
    }
  });

  test('numbers that are not finite are refused in each place', async () => {
    for (const [place, client] of clients) {
      for (const value of [NaN, Infinity, -Infinity]) {
        const execute = client.execute({ sql: 'SELECT ?', args: [value] });
        await assert.rejects(execute, { code: 'ERR_OUT_OF_RANGE' }, `${place}: ${value}`);
      }
    }
  });
});
