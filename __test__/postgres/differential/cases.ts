// The types that are compared, each with what the server reads and what JavaScript passes.
import type { Generator } from './generators';

/** A type, by its name in SQL. */
export interface TypeCase {
  type: string;
  /** The text of a value. */
  text: (g: Generator) => string;
  /** A value as a parameter; its text without. */
  parameter?: (g: Generator) => unknown;
}

/** What the types of a user need first. */
export const SCHEMA = `
  CREATE TYPE mood AS ENUM ('so so', 'fine', 'a "quoted" one');
  CREATE TYPE pair AS (number int, word text);
  CREATE DOMAIN positive AS int CHECK (VALUE > 0);
`;

const integer = (least: number, most: number): Pick<TypeCase, 'text' | 'parameter'> => ({
  text: (g) => String(g.edge([least, most, 0, -0], () => g.int(least, most))),
  parameter: (g) => g.pick<unknown>(g.int(least, most), BigInt(g.int(least, most)), String(g.int(least, most))),
});

const int8 = (g: Generator): bigint =>
  g.edge([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n], () => BigInt(`${g.pick('', '-')}${g.digits(g.int(1, 18))}`));

const float = (g: Generator): unknown => g.pick<unknown>(Number(g.float()), NaN, -0, g.random() * 1e9, g.float());

/** What means nothing else in XML and in a vector of words. */
const word = (g: Generator): string => g.pick('cat', 'dogs', 'größe', 'x1');
const bits = (g: Generator, length: number): string => Array.from({ length }, () => g.int(0, 1)).join('');

/** An object of the user's that says what it is to PostgreSQL, through as many others. */
const converted = (g: Generator, value: unknown): unknown =>
  g.pick(value, { toPostgres: () => value }, { toPostgres: () => ({ toPostgres: () => value }) });

export const CASES: TypeCase[] = [
  {
    type: 'bool',
    text: (g) => g.pick('t', 'f', 'yes', 'off'),
    parameter: (g) => g.pick<unknown>(true, false, 'on', 1),
  },
  { type: 'int2', ...integer(-32_768, 32_767) },
  { type: 'int4', ...integer(-2_147_483_648, 2_147_483_647) },
  { type: 'int8', text: (g) => String(int8(g)), parameter: (g) => converted(g, int8(g)) },
  { type: 'oid', ...integer(0, 4_294_967_295) },
  { type: 'float4', text: (g) => g.float(), parameter: float },
  { type: 'float8', text: (g) => g.float(), parameter: float },
  {
    type: 'numeric',
    text: (g) =>
      g.edge(
        ['NaN', 'Infinity', '0.000'],
        () => `${g.pick('', '-')}${g.digits(g.int(1, 30))}.${g.digits(g.int(1, 20))}`,
      ),
    parameter: (g) => converted(g, g.pick<unknown>(g.int(-1e9, 1e9) / 8, g.digits(30), 12n)),
  },
  { type: 'money', text: (g) => `${g.pick('', '-')}${g.int(0, 1e9)}.${g.digits(2)}` },
  {
    type: 'text',
    text: (g) => g.text(),
    parameter: (g) => converted(g, g.pick<unknown>(g.text(), g.int(0, 9), true, 1n)),
  },
  { type: 'varchar', text: (g) => g.text(), parameter: (g) => g.text() },
  { type: 'char(9)', text: (g) => g.text().slice(0, 4), parameter: (g) => g.text().slice(0, 4) },
  { type: 'name', text: (g) => g.text() },
  { type: '"char"', text: (g) => g.pick('a', ' ', '"', '\\', '{') },
  { type: 'bytea', text: (g) => `\\x${g.bytes().toString('hex')}`, parameter: bytesParameter },
  { type: 'json', text: (g) => JSON.stringify(g.json()), parameter: (g) => jsonParameter(g) },
  { type: 'jsonb', text: (g) => JSON.stringify(g.json()), parameter: (g) => jsonParameter(g) },
  { type: 'jsonpath', text: (g) => g.pick('$.a', '$[*] ? (@ > 1)', '$."é"') },
  { type: 'xml', text: (g) => `<a>${word(g)} &amp; "</a>` },
  { type: 'uuid', text: (g) => g.hex(32) },
  { type: 'date', text: (g) => g.moment('date'), parameter: (g) => converted(g, g.date()) },
  { type: 'timestamp', text: (g) => g.moment('timestamp'), parameter: (g) => converted(g, g.date()) },
  { type: 'timestamptz', text: (g) => g.moment('timestamptz'), parameter: (g) => converted(g, g.date()) },
  { type: 'time', text: (g) => g.edge(['24:00:00'], () => g.time()) },
  { type: 'timetz', text: (g) => `${g.time()}${g.pick('+00', '-05:30', '+14')}` },
  { type: 'interval', text: (g) => g.interval() },
  { type: 'point', text: (g) => g.point() },
  { type: 'line', text: (g) => `{${g.int(1, 9)},${g.coordinate()},${g.coordinate()}}` },
  { type: 'lseg', text: (g) => `[${g.point()},${g.point()}]` },
  { type: 'box', text: (g) => `${g.point()},${g.point()}` },
  { type: 'path', text: (g) => g.pick(`[${g.points(1)}]`, `(${g.points(1)})`) },
  { type: 'polygon', text: (g) => `(${g.points(1)})` },
  { type: 'circle', text: (g) => `<${g.point()},${g.int(0, 1000) / 8}>` },
  { type: 'inet', text: (g) => g.pick(`10.${g.int(0, 255)}.0.1/${g.int(8, 32)}`, `fe80::${g.hex(4)}`) },
  { type: 'cidr', text: (g) => g.pick(`10.${g.int(0, 255)}.0.0/16`, `2001:${g.hex(4)}::/32`) },
  { type: 'macaddr', text: (g) => g.hex(12) },
  { type: 'macaddr8', text: (g) => g.hex(16) },
  { type: 'bit(8)', text: (g) => bits(g, 8) },
  { type: 'varbit', text: (g) => bits(g, g.int(0, 20)) },
  { type: 'tsvector', text: (g) => `${word(g)}:1,2A ${word(g)}` },
  { type: 'tsquery', text: (g) => `${word(g)} & !${word(g)}` },
  { type: 'int4range', text: (g) => g.range(String(g.int(-1e6, 1e6))) },
  { type: 'int8range', text: (g) => g.range(String(g.int(-1e15, 1e15))) },
  { type: 'numrange', text: (g) => g.range(`${g.int(-999, 999)}.5`) },
  { type: 'daterange', text: (g) => g.range(g.moment('date')) },
  { type: 'tsrange', text: (g) => g.range(g.moment('timestamp')) },
  { type: 'tstzrange', text: (g) => g.range(g.moment('timestamptz')) },
  { type: 'int4multirange', text: (g) => `{${g.range(String(g.int(1, 5)))},[10,12)}` },
  { type: 'pg_lsn', text: (g) => `${g.hex(4)}/${g.hex(4)}` },
  { type: 'tid', text: (g) => `(${g.int(0, 1e6)},${g.int(1, 60_000)})` },
  { type: 'xid', text: (g) => String(g.int(0, 4e9)) },
  { type: 'regtype', text: (g) => g.pick('int4', 'text', 'timestamptz') },
  { type: 'regproc', text: (g) => g.pick('now', 'pg_sleep', 'array_out') },
  { type: 'mood', text: (g) => g.pick('so so', 'fine', 'a "quoted" one') },
  { type: 'pair', text: (g) => `(${g.int(0, 9)},"${word(g)}, ${word(g)}")` },
  { type: 'positive', text: (g) => String(g.int(1, 1e6)), parameter: (g) => g.int(1, 1e6) },
];

function bytesParameter(g: Generator): unknown {
  const bytes = g.bytes();
  const copy = Uint8Array.from([0, 0, ...bytes, 0, 0, 0, 0, 0, 0, 0, 0]);
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return g.pick<unknown>(
    bytes,
    copy.subarray(2, 2 + bytes.length),
    new DataView(copy.buffer, 2, bytes.length),
    new Uint16Array(copy.buffer.slice(0, copy.length & ~1)),
    shared,
    { toPostgres: () => bytes },
  );
}

/** What goes as JSON by itself: an array would be one of PostgreSQL's, a text is taken for JSON. */
function jsonParameter(g: Generator): unknown {
  const value = { value: g.json(), when: new Date(g.int(0, 1e12)) };
  return g.pick<unknown>(
    value,
    JSON.stringify(g.json()),
    { toJSON: () => value },
    converted(g, value),
    new Map([[1, 2]]),
    true,
  );
}
