// Rows are plain objects, member for member those of the client that is replaced, so that whatever takes plain objects
// takes them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { createClient, type Client, type Row } from 'moorline/libsql';

import { peer, peersMissing } from '../support/peers';
import { skipWithoutSqld } from '../support/servers';
import { dist, testsDirectory } from '../support/paths';

const client = createClient({ url: ':memory:' });
after(() => client.close());

async function rowOf(sql = "SELECT 1 AS id, 'Ada' AS name", of: Client = client): Promise<Row> {
  return (await of.execute(sql)).rows[0]!;
}

const QUERIES = [
  "SELECT 1 AS id, 'Ada' AS name",
  "SELECT NULL AS a, 1.5 AS b, x'00ff' AS c, 'text' AS d, 9007199254740991 AS e",
  'SELECT 1 AS a, 2 AS a, 3 AS b',
  'SELECT 1 AS "1", 2 AS "0", 3 AS x',
  'SELECT 1 AS "0", 2 AS "5"',
  'SELECT 1 AS length, 2 AS a',
  'SELECT 1 AS "__proto__", 2 AS constructor, 3 AS toString, 4 AS hasOwnProperty',
  'SELECT 1 AS "a b", 2 AS "", 3 AS "é", 4 AS "01", 5 AS "-1"',
  `SELECT ${Array.from({ length: 40 }, (_, n) => `${n} AS c${n}`).join()}`,
];

test('the names of columns are remembered without the rows that came with them', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const used = (): number => (collect(), process.memoryUsage().heapUsed);
  await rowOf();
  const before = used();
  for (let run = 0; run < 20; run++) await rowOf(`SELECT printf('%1000000d', 1) AS "column ${run}"`);
  assert.ok(used() - before < 5_000_000, `${used() - before} bytes`);
});

test('every member of a row is as with @libsql/client', { skip: skipWithoutSqld() }, async () => {
  const load = createRequire(join(testsDirectory, 'servers', 'package.json'));
  const { createClient: createTheirs } = load('@libsql/client') as { createClient: typeof createClient };
  const theirs = createTheirs({ url: ':memory:' });
  for (const sql of QUERIES) {
    const [ours, expected] = [await rowOf(sql), await rowOf(sql, theirs)];
    assert.deepEqual(Object.getOwnPropertyDescriptors(ours), Object.getOwnPropertyDescriptors(expected), sql);
    assert.deepEqual(Object.keys(ours), Object.keys(expected), sql);
    assert.equal(Object.getPrototypeOf(ours), Object.getPrototypeOf(expected), sql);
    assert.equal(JSON.stringify(ours), JSON.stringify(expected), sql);
  }
  theirs.close();
});

test('an index keeps its value, whatever becomes of the column', async () => {
  const row = await rowOf();
  row['name'] = 'Bob';
  delete row['id'];
  assert.deepEqual([row[0], row[1], row.length, { ...row }], [1, 'Ada', 2, { name: 'Bob' }]);
  assert.throws(() => Object.assign(row, { 0: 2 }), TypeError);
});

test('rows equal plain objects, print as such, and are arrays to Array.from', async () => {
  const row = await rowOf();
  assert.deepEqual(row, { id: 1, name: 'Ada' });
  assert.equal(inspect(row), "{ id: 1, name: 'Ada' }");
  assert.deepEqual(Array.from(row), [1, 'Ada']);
  assert.deepEqual(structuredClone(row), { id: 1, name: 'Ada' });
});

test('a frozen Object.prototype is no hindrance', () => {
  const script = `Object.freeze(Object.prototype);
    const db = require(${JSON.stringify(join(dist, 'entries', 'libsql.js'))}).createClient({ url: ':memory:' });
    db.execute('SELECT 1 AS toString, 2 AS constructor, 3 AS a').then(({ rows }) => console.log(JSON.stringify(rows)));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(stdout.trim(), '[{"toString":1,"constructor":2,"a":3}]', stderr);
});

describe('rows are taken by', { skip: peersMissing() }, () => {
  const plain = { id: 1, name: 'Ada' };

  test('devalue', async () => {
    const { stringify, parse } = await peer('devalue');
    assert.equal(stringify(await rowOf()), '[{"id":1,"name":2},1,"Ada"]');
    assert.deepEqual(parse(stringify(await rowOf())), plain);
  });

  test('seroval', async () => {
    const { serialize } = await peer('seroval');
    assert.equal(serialize(await rowOf()), serialize(plain));
  });

  test('zod', async () => {
    const { z } = await peer('zod');
    assert.deepEqual(z.strictObject({ id: z.number(), name: z.string() }).parse(await rowOf()), plain);
    assert.deepEqual(z.record(z.string(), z.unknown()).parse(await rowOf()), plain);
  });

  test('Immer', async () => {
    const { isDraftable, produce } = await peer('immer');
    const row = await rowOf();
    assert.ok(isDraftable(row));
    const changed = produce({ row }, (draft: { row: Row }) => void (draft.row['name'] = 'Bob'));
    assert.deepEqual({ ...changed.row }, { id: 1, name: 'Bob' });
    assert.equal(row['name'], 'Ada');
  });

  test('toStrictEqual of Jest', async () => {
    const { expect } = await peer('expect');
    expect(await rowOf()).toStrictEqual(plain);
    expect((await client.execute("SELECT 1 AS id, 'Ada' AS name")).rows).toStrictEqual([plain]);
  });

  test('React’s server components', () => {
    const peers = join(testsDirectory, 'peers', 'package.json');
    const script = `const load = require('node:module').createRequire(${JSON.stringify(peers)});
      const { renderToPipeableStream } = load('react-server-dom-parcel/server.node');
      const { createElement } = load('react');
      const db = require(${JSON.stringify(join(dist, 'entries', 'libsql.js'))}).createClient({ url: ':memory:' });
      db.execute("SELECT 1 AS id, 'Ada' AS name").then(({ rows }) => {
        const stream = renderToPipeableStream({ rows }, { onError: (error) => console.log(error.message) });
        stream.pipe(new (require('node:stream').PassThrough)()).on('data', (text) => console.log(String(text)));
      });`;
    const env = { ...process.env, NODE_ENV: 'production' };
    const { stdout, stderr } = spawnSync(process.execPath, ['-C', 'react-server', '-e', script], {
      encoding: 'utf8',
      timeout: 60_000,
      env,
    });
    assert.match(stdout, /\{"rows":\[\{"id":1,"name":"Ada"\}\]\}/, stderr);
    assert.doesNotMatch(stdout, /Only plain objects/);
  });
});
