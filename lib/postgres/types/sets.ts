import { invalidType } from '../../runtime/argument-error';
import { arrayOf } from './arrays';
import { parseDate } from './dates';
import { parseInterval } from './interval';
import { arrays, builtins, POINT } from './oids';
import { type TypeParser, type TypeParsers, TypeRegistry } from './registry';
import {
  parseBigint,
  parseBoolean,
  parseBytea,
  parseCircle,
  parseFloating,
  parseInteger,
  parseJson,
  parsePoint,
  parseText,
} from './scalars';

type Entry = readonly [number, TypeParser];

const each = (oids: number[], parser: TypeParser): Entry[] => oids.map((oid) => [oid, parser]);

/** What `pg` reads: scalars, and arrays of them. Of numeric it reads the values as text, and arrays as numbers. */
const PG: Entry[] = [
  [builtins.BOOL, parseBoolean],
  [builtins.BYTEA, parseBytea],
  [builtins.INTERVAL, parseInterval],
  [builtins.CIRCLE, parseCircle],
  [POINT, parsePoint],
  ...each([builtins.INT2, builtins.INT4, builtins.OID], parseInteger),
  ...each([builtins.FLOAT4, builtins.FLOAT8], parseFloating),
  ...each([builtins.JSON, builtins.JSONB], parseJson),
  ...each([builtins.DATE, builtins.TIMESTAMP, builtins.TIMESTAMPTZ], parseDate),
  [arrays.BOOL, arrayOf(parseBoolean)],
  [arrays.BYTEA, arrayOf(parseBytea)],
  [arrays.INTERVAL, arrayOf(parseInterval)],
  [arrays.POINT, arrayOf(parsePoint)],
  ...each([arrays.INT2, arrays.INT4, arrays.OID], arrayOf(parseInteger)),
  ...each([arrays.FLOAT4, arrays.FLOAT8, arrays.NUMERIC], arrayOf(parseFloating)),
  ...each([arrays.JSON, arrays.JSONB], arrayOf(parseJson)),
  ...each([arrays.DATE, arrays.TIMESTAMP, arrays.TIMESTAMPTZ], arrayOf(parseDate)),
  ...each([arrays.INT8, arrays.MONEY, arrays.REGPROC, arrays.TEXT, arrays.BPCHAR, arrays.VARCHAR], arrayOf(parseText)),
  ...each([arrays.CIDR, arrays.INET, arrays.MACADDR, arrays.TIME, arrays.TIMETZ], arrayOf(parseText)),
  ...each([arrays.UUID, arrays.NUMRANGE], arrayOf(parseText)),
];

const PLAIN: Entry[] = [
  [builtins.INT8, parseBigint],
  [arrays.INT8, arrayOf(parseBigint)],
  ...each([builtins.DATE, builtins.TIMESTAMP, builtins.TIMESTAMPTZ], parseText),
  ...each([arrays.DATE, arrays.TIMESTAMP, arrays.TIMESTAMPTZ], arrayOf(parseText)),
];

/** The values that `pg` gives. Setting a parser here changes all results that are read by it. */
export const types = new TypeRegistry(PG);

/** The same, but for dates and timestamps as text, and int8 as bigint. */
export const plainTypes = new TypeRegistry([...PG, ...PLAIN]);

/** What reads results: a ready-made set by its name, or one of your own. */
export type TypesOption = 'pg' | 'plain' | TypeParsers;

/** The parsers that an option names; those of `pg` without it. */
export function typesOf(path: string, option: TypesOption | undefined): TypeParsers {
  if (option === undefined || option === 'pg') return types;
  if (option === 'plain') return plainTypes;
  if (typeof (option as Partial<TypeParsers> | null)?.getTypeParser === 'function') return option;
  throw invalidType(path, "'pg', 'plain' or an object with getTypeParser", option);
}
