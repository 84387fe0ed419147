// Sets of parsers, and results as they are read by them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import type * as Results from '../../lib/postgres/result';
import type * as Intervals from '../../lib/postgres/types/interval';
import type * as Registry from '../../lib/postgres/types/registry';
import type * as Parsers from '../../lib/postgres/types/result-parsers';
import type * as Sets from '../../lib/postgres/types/sets';
import { load } from '../support/native';
import { peer, peersMissing } from '../support/peers';

const { readResult, readResults } = load<typeof Results>('postgres/result');
const { TypeRegistry } = load<typeof Registry>('postgres/types/registry');
const { ResultParsers } = load<typeof Parsers>('postgres/types/result-parsers');
const { types, plainTypes, typesOf } = load<typeof Sets>('postgres/types/sets');
const { PostgresInterval } = load<typeof Intervals>('postgres/types/interval');

/** A result as the addon writes it: columns by name and type, and values that are JSON. */
function text(columns: [string, number][], ...rows: unknown[][]): string {
  const of = { tableID: 0, columnID: 0, dataTypeSize: -1, dataTypeModifier: -1, format: 'text' };
  const fields = columns.map(([name, dataTypeID]) => ({ name, dataTypeID, ...of }));
  const result = { values: rows.flat(), length: rows.length, command: 'SELECT', rowCount: rows.length, oid: null };
  return `${JSON.stringify({ fields })}\n${JSON.stringify(result)}`;
}

const read = (given: string, set: Registry.TypeParsers = types) => readResult(given, ResultParsers.of(set), 'object');
const { INT4, INT8, FLOAT8, JSON: JSON_TYPE, TEXT, TIMESTAMPTZ, TIMESTAMP, DATE } = types.builtins;

describe('a result', () => {
  test('has the members that a user of pg reads', () => {
    const { rows, ...rest } = read(text([['a', INT4]], [1], [null]));
    assert.deepEqual(rows, [{ a: 1 }, { a: null }]);
    const of = { tableID: 0, columnID: 0, dataTypeSize: -1, dataTypeModifier: -1, format: 'text' };
    assert.deepEqual(rest, {
      command: 'SELECT',
      rowCount: 2,
      oid: null,
      fields: [{ name: 'a', dataTypeID: INT4, ...of }],
    });
  });

  test('has plain objects as rows, in which the last column of a name counts', () => {
    const names = ['b', 'a', 'b', '__proto__', 'constructor', 'toString', '7', '', 'length', 'é"\\'];
    const columns = names.map((name): [string, number] => [name, INT4]);
    const [row] = read(text(columns, [...names.keys()])).rows as [Record<string, number>];
    assert.equal(Object.getPrototypeOf(row), Object.prototype);
    assert.deepEqual(Object.keys(row), ['7', 'b', 'a', '__proto__', 'constructor', 'toString', '', 'length', 'é"\\']);
    for (const [index, name] of names.entries()) {
      if (index > 0) assert.deepEqual(Object.getOwnPropertyDescriptor(row, name), descriptor(index), name);
    }
  });

  test('has arrays as rows where they are asked for, with the columns of each', () => {
    const columns: [string, number][] = [
      ['a', INT4],
      ['a', INT8],
      ['c', TIMESTAMPTZ],
    ];
    const given = text(columns, [1, '2', null], [3, null, '2024-01-01 00:00:00+00']);
    const { rows } = readResult(given, ResultParsers.of(types), 'array');
    assert.deepEqual(rows, [
      [1, '2', null],
      [3, null, new Date('2024-01-01T00:00:00Z')],
    ]);
  });

  test('without columns has rows without members', () => {
    assert.deepEqual(read(text([], [], [])).rows, [{}, {}]);
    assert.deepEqual(readResult(text([], []), ResultParsers.of(types), 'array').rows, [[]]);
  });

  test('of several statements is an array of them, of none too', () => {
    const one = text([['a', INT4]], [1]);
    const all = readResults([one, one], ResultParsers.of(types), 'object') as Results.QueryResult[];
    assert.deepEqual(
      all.map(({ rows }) => rows),
      [[{ a: 1 }], [{ a: 1 }]],
    );
    assert.deepEqual(readResults([], ResultParsers.of(types), 'object'), []);
  });

  test('shares nothing with the next that its reader can change', () => {
    const given = text([['a', INT4]], [1]);
    const first = read(given);
    first.fields.pop();
    first.rows.pop();
    assert.throws(() => Object.assign(read(given).fields[0]!, { name: 'b' }), TypeError);
    assert.deepEqual([read(given).fields[0]!.name, read(given).rows], ['a', [{ a: 1 }]]);
  });

  test('has what JSON has no number for', () => {
    const given = text([['f', FLOAT8]], ['NaN'], [null], [0])
      .replace('0]', '-0,1e999,-1e999]')
      .replace('"length":3', '"length":5');
    assert.deepEqual(
      read(given).rows.map(({ f }) => f),
      [NaN, null, -0, Infinity, -Infinity],
    );
  });

  test('is not kept in memory by what is remembered of its columns', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const used = (): number => (collect(), process.memoryUsage().heapUsed);
    // As it comes from the addon: one text, not one that was put together.
    const readLong = (run: number) => read(Buffer.from(text([[`column ${run}`, TEXT]], ['x'.repeat(1e6)])).toString());
    readLong(0);
    const before = used();
    for (let run = 1; run < 20; run++) readLong(run);
    assert.ok(used() - before < 5_000_000, `${used() - before} bytes`);
  });

  test('is read right after thousands of others', () => {
    for (let width = 1; width < 700; width++) {
      const columns = Array.from({ length: width }, (_, index): [string, number] => [`c${index}`, INT4]);
      const [row] = read(
        text(
          columns,
          columns.map((_, index) => index),
        ),
      ).rows;
      assert.equal(row[`c${width - 1}`], width - 1);
    }
  });
});

describe('parsers', () => {
  test('are for the types that pg has one for, under its names', { skip: peersMissing() }, async () => {
    const { types: theirs } = (await peer('pg')).default;
    assert.deepEqual(types.builtins, theirs.builtins);
    assert.deepEqual(
      Object.keys(theirs).filter((name) => !(name in types)),
      [],
    );
    const [none, noneOfTheirs] = [types.getTypeParser(0), theirs.getTypeParser(0)];
    for (let oid = 1; oid < 6000; oid++) {
      // Of an int8 `pg` has one that changes nothing.
      if (oid === INT8) continue;
      assert.equal(types.getTypeParser(oid) === none, theirs.getTypeParser(oid) === noneOfTheirs, `oid ${oid}`);
    }
    const list = '[0:1]={"a \\"b\\"",{NULL,"NULL"}}';
    const upper = (element: string) => element.toUpperCase();
    assert.deepEqual(types.arrayParser.create(list, upper).parse(), theirs.arrayParser.create(list, upper).parse());
  });

  test('that are set read the text of the server, with one argument', () => {
    const set = new TypeRegistry([], types);
    const seen: unknown[][] = [];
    set.setTypeParser(INT4, (...args: unknown[]) => seen.push(args));
    const parsers = ResultParsers.of(set);
    assert.equal(parsers.isRaw, true);
    // All values are texts then.
    const given = text(
      [
        ['a', INT4],
        ['b', JSON_TYPE],
        ['c', FLOAT8],
      ],
      ['41', '{"x": [1]}', 'NaN'],
      [null, null, null],
    );
    assert.deepEqual(readResult(given, parsers, 'object').rows, [
      { a: 1, b: { x: [1] }, c: NaN },
      { a: null, b: null, c: null },
    ]);
    assert.deepEqual(seen, [['41']]);
  });

  test('of types that the addon leaves as text cost no other way', () => {
    const set = new TypeRegistry([], types);
    set.setTypeParser(INT8, BigInt);
    assert.equal(ResultParsers.of(set).isRaw, false);
    assert.equal(ResultParsers.of(types).isRaw, false);
    assert.equal(ResultParsers.of(plainTypes).isRaw, false);
    assert.deepEqual(
      read(
        text(
          [
            ['a', INT8],
            ['b', INT4],
          ],
          ['5', 6],
        ),
        set,
      ).rows,
      [{ a: 5n, b: 6 }],
    );
  });

  test('of an object of the user are asked for each result, with the format', () => {
    const asked: unknown[][] = [];
    const own = {
      getTypeParser(oid: number, format?: 'text' | 'binary') {
        asked.push([oid, format]);
        return oid === TIMESTAMP ? String : types.getTypeParser(oid, format);
      },
    };
    const given = text(
      [
        ['a', TIMESTAMP],
        ['b', INT4],
      ],
      ['2024-01-01 00:00:00', '5'],
    );
    for (let run = 0; run < 2; run++) assert.deepEqual(read(given, own).rows, [{ a: '2024-01-01 00:00:00', b: 5 }]);
    assert.deepEqual(asked, [
      [TIMESTAMP, 'text'],
      [INT4, 'text'],
      [TIMESTAMP, 'text'],
      [INT4, 'text'],
    ]);
    assert.equal(ResultParsers.of(own).isRaw, true);
  });

  test('that are set after a statement was sent do not read its result', () => {
    const set = new TypeRegistry([], types);
    const sent = ResultParsers.of(set);
    const given = text(
      [
        ['a', INT4],
        ['d', DATE],
      ],
      [1, '2024-01-01'],
    );
    readResult(given, sent, 'object');
    set.setTypeParser(INT4, () => 'other');
    set.setTypeParser(DATE, () => 'other');
    assert.deepEqual(readResult(given, sent, 'object').rows, [{ a: 1, d: new Date(2024, 0, 1) }]);
    assert.deepEqual(
      read(
        text(
          [
            ['a', INT4],
            ['d', DATE],
          ],
          ['1', '2024-01-01'],
        ),
        set,
      ).rows,
      [{ a: 'other', d: 'other' }],
    );
  });

  test('of a set count in those that are based on it, unless they have their own', () => {
    const base = new TypeRegistry();
    const derived = new TypeRegistry([[TEXT, (value) => `own ${value}`]], base);
    assert.deepEqual(
      read(
        text(
          [
            ['a', TEXT],
            ['b', DATE],
          ],
          ['x', 'y'],
        ),
        derived,
      ).rows,
      [{ a: 'own x', b: 'y' }],
    );
    base.setTypeParser(DATE, (value) => `base ${value}`);
    base.setTypeParser(TEXT, (value) => `base ${value}`);
    assert.deepEqual(
      read(
        text(
          [
            ['a', TEXT],
            ['b', DATE],
          ],
          ['x', 'y'],
        ),
        derived,
      ).rows,
      [{ a: 'own x', b: 'base y' }],
    );
    const ofStranger = new TypeRegistry([], { getTypeParser: () => () => 'stranger' });
    assert.deepEqual(read(text([['a', INT4]], ['1']), ofStranger).rows, [{ a: 'stranger' }]);
  });

  test('that throw do so to who reads, and the next result is as before', () => {
    const set = new TypeRegistry([], types);
    const error = new Error('of the user');
    set.setTypeParser(DATE, () => {
      throw error;
    });
    const given = text([['d', DATE]], ['2024-01-01']);
    assert.throws(
      () => read(given, set),
      (thrown) => thrown === error,
    );
    assert.deepEqual(read(given).rows, [{ d: new Date(2024, 0, 1) }]);
  });

  test('that are none are refused, and so are types and formats', () => {
    const set = new TypeRegistry();
    assert.throws(() => set.setTypeParser('20' as never, String), { code: 'ERR_INVALID_ARG_TYPE', message: /oid/ });
    assert.throws(() => set.setTypeParser(1.5, String), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => set.setTypeParser(20, 'txt' as never, String), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /format/,
    });
    assert.throws(() => set.setTypeParser(20, undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => set.setTypeParser(20, 'text', 5 as never), { code: 'ERR_INVALID_ARG_TYPE', message: /parser/ });
    assert.throws(() => read(text([['a', INT4]], ['1']), { getTypeParser: () => 5 as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /getTypeParser\(23\)/,
    });
    for (const option of ['PG', 5, null, {}]) {
      assert.throws(() => typesOf('types', option as never), { code: 'ERR_INVALID_ARG_TYPE', message: /^types/ });
    }
    assert.deepEqual(
      [typesOf('types', undefined), typesOf('types', 'pg'), typesOf('types', 'plain')],
      [types, types, plainTypes],
    );
  });

  test('for the binary format are those that were set, and get bytes; without one the bytes are the value', () => {
    const set = new TypeRegistry([], types);
    const given = () => text([['a', INT4]], ['000000ff'], [null]).replace('"format":"text"', '"format":"binary"');
    const bytes = Buffer.from([0, 0, 0, 255]);
    assert.deepEqual(read(given(), set).rows, [{ a: bytes }, { a: null }]);
    set.setTypeParser(INT4, 'binary', (value) => value.readInt32BE());
    assert.deepEqual(read(given(), set).rows, [{ a: 255 }, { a: null }]);
    assert.deepEqual(read(given()).rows, [{ a: bytes }, { a: null }]);
    assert.equal(set.getTypeParser(INT4)('5'), 5);
  });
});

describe('values', () => {
  test('of the set plain are texts of dates, and bigints', () => {
    const columns: [string, number][] = [
      ['a', DATE],
      ['b', TIMESTAMP],
      ['c', TIMESTAMPTZ],
      ['d', INT8],
      ['e', 1016],
      ['f', 1185],
      ['g', INT4],
    ];
    const row = [
      '2024-01-01',
      '2024-01-01 01:02:03.456789',
      'infinity',
      '9223372036854775807',
      '{1,NULL}',
      '{"2024-01-01 00:00:00+00"}',
      5,
    ];
    const [a, b, c] = row;
    assert.deepEqual(read(text(columns, row), plainTypes).rows, [
      { a, b, c, d: 9223372036854775807n, e: [1n, null], f: ['2024-01-01 00:00:00+00'], g: 5 },
    ]);
  });

  test('that are in no style of ours stay texts, of which pg makes null or an empty interval', () => {
    for (const date of [
      '03/10/2024',
      '10-03-2024',
      '10.03.2024',
      'Sun 10 Mar 01:02:03 2024',
      'Sun Mar 10 01:02:03 2024 EST',
      '',
      '2024-03-1',
      '2024-03-10 x',
    ]) {
      assert.equal(types.getTypeParser(DATE)(date), date);
    }
    for (const interval of ['P1Y2M', '1-2 3 4:05:06', '@ 1 day ago', 'junk']) {
      assert.equal(types.getTypeParser(types.builtins.INTERVAL)(interval), interval);
    }
  });

  test('of the leap day of the year 1 BC are of that day, which pg takes for the next', () => {
    const parse = types.getTypeParser(TIMESTAMPTZ);
    assert.equal((parse('0001-02-29 00:00:00+00 BC') as Date).toISOString(), '0000-02-29T00:00:00.000Z');
  });

  test('that are bytes in the format escape are read, too', () => {
    const parse = types.getTypeParser(types.builtins.BYTEA);
    assert.deepEqual(parse('a\\\\b\\000\\377\\\\001'), Buffer.from('a\\b\x00\xff\\001', 'latin1'));
  });

  test('that are intervals can be made, changed and sent back', () => {
    const interval = new PostgresInterval('1 year -2 mons 00:00:01.5');
    assert.deepEqual({ ...interval }, { years: 1, months: -2, seconds: 1, milliseconds: 500 });
    interval.milliseconds = 250;
    assert.equal(interval.toPostgres(), '1.25 seconds -2 months 1 years');
    assert.equal(interval.toISO(), 'P1Y-2M0DT0H0M1.25S');
    assert.deepEqual({ ...new PostgresInterval() }, {});
    assert.equal(new PostgresInterval().toPostgres(), '0');
  });
});

function descriptor(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: true };
}
