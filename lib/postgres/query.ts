import { invalidType } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { type Handle, native, type PostgresPool } from '../runtime/native';
import { call } from '../runtime/native-call';
import { toPostgresError } from './error';
import { type QueryResult, readResults, type RowMode } from './result';
import { ResultParsers } from './types/result-parsers';
import { typesOf, type TypesOption } from './types/sets';
import { type PreparedValue, prepareValues } from './values';

/** A statement with its options. */
export interface QueryConfig {
  /** The text; without `values` it may be several statements. */
  text: string;
  /** The values of `$1`, `$2`, … */
  values?: readonly unknown[] | undefined;
  /**
   * The name under which it is parsed once on each connection; it stands for one text as long as a client is borrowed. Names of others
   * mean nothing to it.
   */
  name?: string | undefined;
  /** `'array'` gives rows as arrays. Default: `'object'`. */
  rowMode?: RowMode | undefined;
  /** How values of the result are read, in place of the pool's. */
  types?: TypesOption | undefined;
  /** A signal that cancels the statement, also on the server. */
  signal?: AbortSignal | undefined;
  /** The time limit in milliseconds, in place of `queryTimeoutMs`. */
  timeoutMs?: number | undefined;
}

const QUERY_CONFIG: KnownOptions<QueryConfig> = {
  text: true,
  values: true,
  name: true,
  rowMode: true,
  types: true,
  signal: true,
  timeoutMs: true,
};

/** Runs a statement on `lease`, or on a connection that is borrowed for it: an array of results where the text is several. */
export async function runQuery<Row>(
  pool: Handle<PostgresPool>,
  lease: number | undefined,
  poolTypes: TypesOption | undefined,
  given: string | QueryConfig,
  givenValues: readonly unknown[] | undefined,
): Promise<QueryResult<Row>> {
  const {
    text,
    values = givenValues,
    name,
    rowMode = 'object',
    types = poolTypes,
    signal,
    timeoutMs,
  } = readConfig(given);
  if (rowMode !== 'object' && rowMode !== 'array') throw invalidType('query.rowMode', "'object' or 'array'", rowMode);
  const parsers = ResultParsers.of(typesOf('query.types', types));
  const prepared = values === undefined || values === null ? undefined : prepareValues(values);
  const answer = await call(
    (cancel) => native.postgresQuery(pool, lease, [text, prepared, parsers.isRaw, name], timeoutMs, cancel),
    signal,
    toPostgresError,
  );
  return readResults(answer, parsers, rowMode) as QueryResult<Row>;
}

/** @internal A statement as the addon takes it, for one whose result nobody reads. */
export function encodeStatement({ text, values }: QueryConfig): [string, PreparedValue[] | undefined, boolean] {
  return [text, values && prepareValues(values), true];
}

function readConfig(given: string | QueryConfig): QueryConfig {
  if (typeof given === 'string') return { text: given };
  if (given === undefined) throw invalidType('query', 'a string or an object', given);
  checkOptions('query', given, QUERY_CONFIG);
  return given;
}
