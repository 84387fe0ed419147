// A process of its own time zone: compares values with those of `pg`, and writes how many and which differ.
import { load, native } from '../../support/native';
import { peer } from '../../support/peers';
import type * as Results from '../../../lib/postgres/result';
import type * as Sets from '../../../lib/postgres/types/sets';
import type * as Parsers from '../../../lib/postgres/types/result-parsers';
import type * as Values from '../../../lib/postgres/values';
import { CASES, type TypeCase } from './cases';
import { describeValue } from './described';
import { Generator } from './generators';

const { readResult } = load<typeof Results>('postgres/result');
const { types } = load<typeof Sets>('postgres/types/sets');
const { ResultParsers } = load<typeof Parsers>('postgres/types/result-parsers');
const { prepareValues } = load<typeof Values>('postgres/values');

/** What the process is started with. */
export interface Assignment {
  server: { host: string; port: number; user: string; password: string; database: string };
  seed: number;
  /** Values of each type, each way. */
  values: number;
  /** Rows of 20 columns. */
  rows: number;
  /** The time zone of the session, which is not the process's. */
  sessionZone: string;
}

/** What it writes. */
export interface Comparison {
  /** The minutes that the process was behind UTC in 1970. */
  offset: number;
  types: number;
  results: number;
  parameters: number;
  cells: number;
  differences: string[];
}

/** Runs a statement: by `pg`, by ours, and by ours with all values as texts. */
type Run = (text: string, values: unknown[], mode?: 'array') => Promise<{ rows: unknown[] }>;

async function main({ server, seed, values, rows, sessionZone }: Assignment): Promise<void> {
  const { default: pg } = await peer('pg');
  const client = new pg.Client(server);
  await client.connect();
  const pool = native.postgresOpen(server, {}, () => undefined);
  const lease = await native.postgresAcquire(pool, undefined, undefined);
  const send = (text: string, given: unknown[], raw: boolean) =>
    native.postgresQuery(pool, lease, [text, prepareValues(given), raw], undefined, undefined) as Promise<string>;
  const theirs: Run = (text, given, rowMode) => client.query({ text, values: given, rowMode });
  const ours: Run = async (text, given, mode) =>
    readResult(await send(text, given, false), ResultParsers.of(types), mode ?? 'object');
  // A stranger's set, for which all values come as texts.
  const asked = ResultParsers.of({ getTypeParser: (oid, format) => types.getTypeParser(oid, format) });
  const raw: Run = async (text, given, mode) => readResult(await send(text, given, true), asked, mode ?? 'object');
  const set = async (setting: string) => {
    for (const run of [theirs, ours]) await run(`SET ${setting}`, []);
  };
  await set(`timezone = '${sessionZone}'`);

  const comparison: Comparison = {
    offset: new Date(0).getTimezoneOffset(),
    types: CASES.length,
    results: 0,
    parameters: 0,
    cells: 0,
    differences: [],
  };
  const compare: Compare = async (what, text, given, mode) => {
    const answers = [theirs, ours, raw].map((run) => run(text, given, mode));
    const [expected, ...actual] = (await Promise.all(answers)).map(({ rows }) => rows.map(describeValue));
    for (const rows of actual) noteDifferences(comparison, what, expected!, rows);
    return expected!.length;
  };
  for (const [index, one] of CASES.entries()) {
    const generator = new Generator(seed + index);
    comparison.results += await compareResults(compare, one, generator, values);
    comparison.parameters += await compareParameters(compare, one, generator, values);
  }
  comparison.cells = 20 * (await compare('rows', `${WIDE} LIMIT ${rows}`, []));
  await compare('rows as arrays', `${WIDE} LIMIT 300`, [], 'array');
  for (const setting of SETTINGS) {
    await set(setting);
    await compare(setting, `${WIDE} LIMIT 100`, []);
  }
  console.log(JSON.stringify(comparison));
  await client.end();
  native.postgresRelease(pool, lease, true);
  await native.postgresDrain(pool, undefined);
}

type Compare = (what: string, text: string, given: unknown[], mode?: 'array') => Promise<number>;

/** Each value by itself, in arrays of one and of two dimensions beside NULL, and from another lower bound on. */
async function compareResults(
  compare: Compare,
  { type, text }: TypeCase,
  g: Generator,
  count: number,
): Promise<number> {
  const texts = Array.from({ length: count }, () => text(g));
  const base = type.replace(/\(\d+\)$/, '');
  const columns = [
    'v AS one',
    'ARRAY[v, NULL, v] AS list',
    'ARRAY[ARRAY[v, v], ARRAY[NULL, v]] AS nested',
    `NULL::${base} AS none`,
  ];
  const more = [
    `ARRAY[]::${base}[] AS empty`,
    `NULL::${base}[] AS "no list"`,
    `('[0:1]=' || ARRAY[v, NULL]::text)::${base}[] AS shifted`,
  ];
  const from = `(SELECT t::${type} AS v FROM unnest($1::text[]) AS t) AS given`;
  return compare(type, `SELECT ${[...columns, ...more].join(', ')} FROM ${from}`, [texts]);
}

/** What the server makes of each value, of arrays of it, and of a nested one. */
async function compareParameters(compare: Compare, one: TypeCase, g: Generator, count: number): Promise<number> {
  const make = () => (one.parameter ?? one.text)(g);
  const values = Array.from({ length: count }, make);
  const whole = values.map((_, index) => `($${index + 1}::${one.type})::text`);
  await compare(`${one.type} as a parameter`, `SELECT ARRAY[${whole.join(', ')}]`, values);
  // `pg` fails on what becomes bytes in an array.
  const elements = values.filter((value) => one.type !== 'bytea' || ArrayBuffer.isView(value));
  const lists = [[...elements.slice(0, 50), null, undefined], [elements.slice(0, 3), elements.slice(3, 6)], []];
  const text = lists.map((_, index) => `($${index + 1}::${one.type}[])::text`).join(', ');
  // Its arrays have semicolons, which `pg` does not write.
  if (one.type !== 'box') await compare(`${one.type}[] as a parameter`, `SELECT ${text}`, lists);
  await compare(`NULL of ${one.type}`, `SELECT ($1::${one.type})::text a, ($2::${one.type})::text b`, [
    null,
    undefined,
  ]);
  return count;
}

function noteDifferences({ differences }: Comparison, what: string, expected: string[], actual: string[]): void {
  if (expected.length !== actual.length) differences.push(`${what}: ${actual.length} rows of ${expected.length}`);
  for (const [index, row] of expected.entries()) {
    if (row !== actual[index] && differences.length < 20) {
      differences.push(`${what}: pg ${row}, ours ${actual[index]}`);
    }
  }
}

/** What changes texts that the server sends. */
const SETTINGS = ["bytea_output = 'escape'", 'extra_float_digits = -15', 'extra_float_digits = 0'];

/** Rows of 20 columns, a fifth of their values NULL. */
const WIDE = `
  SELECT ${[
    'n',
    'n::int8 * 4294967296',
    'n::int2 % 32767',
    'n / 7.0',
    'n / 7.0::float8',
    'n::float4 / 3',
    'n % 2 = 0',
    "repeat('é\"\\', n % 9)",
    'n::text::varchar',
    "decode(md5(n::text), 'hex')",
    'md5(n::text)::uuid',
    "json_build_object('n', n, 'list', json_build_array(n, null))",
    'jsonb_build_array(n, n::text)',
    "'2024-03-09'::date + n % 40000",
    "'1899-12-31 23:30:00.123456'::timestamp + n * interval '7 hours 3 seconds'",
    "'1969-12-31 23:59:59.999999+00'::timestamptz - n * interval '11 hours'",
    "n * interval '-1 hour 2.5 seconds' + interval '3 mons'",
    'point(n, -n / 8.0)',
    'ARRAY[n, NULL, -n]',
    "ARRAY[timestamptz '2024-11-03 06:30+00' + n * interval '1 minute', NULL]",
  ]
    .map((column, index) => `CASE WHEN (n + ${index}) % 5 > 0 THEN ${column} END AS c${index}`)
    .join(', ')}
  FROM generate_series(1, 10000) AS n`.replace('n::int2 % 32767', '(n % 32767)::int2');

void main(JSON.parse(process.argv[2]!) as Assignment);
