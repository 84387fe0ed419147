// Values that a server gives only when it is asked for them in an unusual way.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import type * as Results from '../../lib/postgres/result';
import type * as Parsers from '../../lib/postgres/types/result-parsers';
import type * as Sets from '../../lib/postgres/types/sets';
import type * as Values from '../../lib/postgres/values';
import { load, native } from '../support/native';
import { peer, peersMissing } from '../support/peers';
import { Postgres, skipWithoutPostgres } from '../support/postgres';

const { readResults } = load<typeof Results>('postgres/result');
const { ResultParsers } = load<typeof Parsers>('postgres/types/result-parsers');
const { types } = load<typeof Sets>('postgres/types/sets');
const { prepareValues } = load<typeof Values>('postgres/values');

describe('of a server of PostgreSQL', { skip: skipWithoutPostgres(), timeout: 60_000 }, () => {
  let postgres: Postgres;
  before(async () => (postgres = await Postgres.start()));
  after(() => postgres?.stop());

  /** The results of a text, on one connection. */
  async function query(database: string, text: string, values?: unknown[]): Promise<Results.QueryResult[]> {
    const pool = native.postgresOpen({ ...postgres.config, database }, {}, () => undefined);
    try {
      const given = values && prepareValues(values);
      const answer = await native.postgresQuery(pool, undefined, [text, given, false], undefined, undefined);
      return [readResults(answer, ResultParsers.of(types), 'object')].flat();
    } finally {
      await native.postgresDrain(pool, undefined);
    }
  }

  test('a binary cursor gives bytes, and the connection goes on', async () => {
    const cursor = "DECLARE c BINARY CURSOR FOR SELECT 255 AS a, '\\xff00'::bytea AS b, NULL::int AS c";
    const results = await query('postgres', `BEGIN; ${cursor}; FETCH c; COMMIT; SELECT 1 AS a`);
    assert.deepEqual(results[2]!.rows, [{ a: Buffer.from([0, 0, 0, 255]), b: Buffer.from([255, 0]), c: null }]);
    assert.equal(results[2]!.fields[0]!.format, 'binary');
    assert.deepEqual(results[4]!.rows, [{ a: 1 }]);
  });

  test('texts of a session with another encoding are read as pg reads them', { skip: peersMissing() }, async () => {
    const text = "SET client_encoding = 'LATIN1'; SELECT 'aéb' AS a, '{\"k\": \"é\"}'::json AS b";
    const { default: pg } = await peer('pg');
    const client = new pg.Client(postgres.config);
    await client.connect();
    const [, expected] = await client.query(text).finally(() => client.end());
    const [, result] = await query('postgres', text);
    assert.deepEqual(result!.rows, [{ a: 'a\ufffdb', b: { k: '\ufffd' } }]);
    assert.deepEqual(result!.rows, expected.rows);
  });

  test('the members of a result are those of pg, for each kind of statement', { skip: peersMissing() }, async () => {
    const { default: pg } = await peer('pg');
    const client = new pg.Client(postgres.config);
    await client.connect();
    const table = 'CREATE TEMP TABLE t (a int, b varchar(5), c numeric(6, 2))';
    const statements = [
      table,
      "INSERT INTO t VALUES (1, 'x', 2.5), (2, NULL, 3)",
      'SELECT *, count(*) OVER () AS "count" FROM t',
      'UPDATE t SET a = a + 1 WHERE a > 1 RETURNING a, a',
      'DELETE FROM t',
      'SELECT',
      'SELECT 1 WHERE false',
      'BEGIN',
      'SHOW timezone',
      'COMMIT',
      'CREATE TEMP TABLE u AS SELECT 1',
      '',
    ];
    const expected: Results.QueryResult[] = [];
    for (const text of statements) expected.push(await client.query(text));
    await client.end();
    const actual = await query('postgres', statements.slice(0, -1).join(';'));
    actual.push(...(await query('postgres', '')));
    for (const [index, { command, rowCount, oid, rows, fields }] of expected.entries()) {
      // Tables have other numbers in each session.
      const withoutTable = (all: Results.FieldDef[]) => all.map((field) => ({ ...field, tableID: field.tableID > 0 }));
      const result = actual[index]!;
      const members = { command, rowCount, oid, rows, fields: withoutTable(fields) };
      assert.deepEqual({ ...result, fields: withoutTable(result.fields) }, members, statements[index]);
    }
    assert.equal(actual.length, expected.length);
  });

  test('parameters of any size and kind of characters come back as they were', async () => {
    const long = 'é"\\\u2028😀'.repeat(100_000);
    const bytes = Buffer.alloc(1_000_000, 'moorline');
    const [result] = await query('postgres', 'SELECT $1::text AS a, $2::bytea AS b, $3::text AS c', [long, bytes, '']);
    assert.deepEqual(result!.rows, [{ a: long, b: bytes, c: '' }]);
  });
});
