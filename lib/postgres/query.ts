import { invalidType } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { type Handle, native, type PostgresPool } from '../runtime/native';
import { call } from '../runtime/native-call';
import { isObject } from '../runtime/shape';
import { toPostgresError } from './error';
import { type QueryResult, readResult, type RowMode } from './result';
import { type TypeParsers, typesOf } from './types';
import { prepareValues } from './values';

/** A statement with its options. */
export interface QueryConfig {
  /** The text; without `values` it may be several statements. */
  text: string;
  /** The values of `$1`, `$2`, … */
  values?: readonly unknown[] | undefined;
  /** `'array'` gives rows as arrays. Default: objects. */
  rowMode?: RowMode | undefined;
  /** How values of the result are read, in place of the pool's. */
  types?: TypeParsers | undefined;
  /** A signal that cancels the statement, also on the server. */
  signal?: AbortSignal | undefined;
  /** The time limit in milliseconds, in place of `queryTimeoutMs`. */
  timeoutMs?: number | undefined;
}

const QUERY_CONFIG: KnownOptions<QueryConfig> = {
  text: true,
  values: true,
  rowMode: true,
  types: true,
  signal: true,
  timeoutMs: true,
};

/** The results of a text: that of its statement, or an array of those of several. */
export type QueryResults<Row> = QueryResult<Row>;

/** Runs a statement on `lease`, or on a connection that is borrowed for it. */
export async function runQuery<Row>(
  pool: Handle<PostgresPool>,
  lease: number | undefined,
  poolTypes: TypeParsers | undefined,
  given: string | QueryConfig,
  givenValues: readonly unknown[] | undefined,
): Promise<QueryResult<Row>> {
  const { text, values = givenValues, rowMode, types, signal, timeoutMs } = readConfig(given);
  const parsers = typesOf(types ?? poolTypes);
  const prepared = values === undefined || values === null ? undefined : prepareValues(values);
  const answer = await call(
    (cancel) => native.postgresQuery(pool, lease, text, prepared, parsers.isCustom, timeoutMs, cancel),
    signal,
    toPostgresError,
  );
  if (typeof answer === 'string') return readResult(answer, parsers, rowMode);
  return answer.map((one) => readResult(one, parsers, rowMode)) as never;
}

function readConfig(given: string | QueryConfig): QueryConfig {
  if (typeof given === 'string') return { text: given };
  if (!isObject(given)) throw invalidType('query', 'a string or an object', given);
  checkOptions(given, QUERY_CONFIG, 'query');
  return given;
}
