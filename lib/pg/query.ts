import type { QueryConfig as Statement } from '../postgres/query';
import type { FieldDef, RowMode } from '../postgres/result';
import { invalidType, invalidValue } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { isObject, isPlainObject } from '../runtime/shape';
import type { CustomTypesConfig } from './options';

export type { FieldDef };

/** A row by its columns. */
export interface QueryResultRow {
  [column: string]: any;
}

/** What every result has beside its rows. */
export interface QueryResultBase {
  /** The first word of what the server says the statement was, such as `SELECT`. */
  command: string;
  /** The number of rows that it returned or changed; null for one that does neither. */
  rowCount: number | null;
  /** The number of the row that an INSERT made, of servers before PostgreSQL 12. */
  oid: number;
  /** The columns. */
  fields: FieldDef[];
}

/** The result of one statement. The type of its rows is not checked at run time. */
export interface QueryResult<R extends QueryResultRow = any> extends QueryResultBase {
  rows: R[];
}

/** The result of one statement whose rows are arrays. */
export interface QueryArrayResult<R extends any[] = any[]> extends QueryResultBase {
  rows: R[];
}

/** The values of a statement. */
export type QueryConfigValues<T> = T extends any[] ? T : never;

/** A statement with its options. */
export interface QueryConfig<I = any[]> {
  /** The text; without `values` it may be several statements. */
  text: string;
  /** The name under which the server keeps the statement for the connection. */
  name?: string | undefined;
  /** The values of `$1`, `$2`, … */
  values?: QueryConfigValues<I> | undefined;
  /** How values of the result are read. */
  types?: CustomTypesConfig | undefined;
  /** The time limit in milliseconds, in place of that of the configuration. */
  query_timeout?: number | undefined;
  /** `extended` sends a statement without values as one with values is sent. */
  queryMode?: 'extended' | undefined;
  /** A signal that cancels the statement, also on the server; of moorline alone. */
  signal?: AbortSignal | undefined;
}

/** A statement whose rows are arrays. */
export interface QueryArrayConfig<I = any[]> extends QueryConfig<I> {
  rowMode: 'array';
}

interface AnyConfig extends QueryConfig<unknown[]> {
  rowMode?: RowMode | undefined;
}

const KNOWN: KnownOptions<AnyConfig> = {
  text: true,
  name: true,
  values: true,
  types: true,
  rowMode: true,
  query_timeout: true,
  queryMode: true,
  signal: true,
};
const NO_CALLBACK = 'callbacks are not supported; use the promise that is returned';
const REFUSED: Record<string, string> = {
  callback: NO_CALLBACK,
  binary: 'values are sent as texts',
  rows: 'results are read whole',
  portal: 'results are read whole',
};

/** Refuses a callback, which would never be called. */
export function refuseCallback(method: string, ...given: unknown[]): void {
  if (given.some((argument) => typeof argument === 'function')) throw invalidValue(`${method}: ${NO_CALLBACK}`);
}

/**
 * Reads the arguments of `query`. A client's own `types` are `clientTypes`, and `texts` those of its statements with a name, which may be
 * left out the next time.
 */
export function readQuery(
  given: unknown,
  givenValues: unknown,
  clientTypes: CustomTypesConfig | undefined,
  texts: Map<string, string>,
): Statement {
  if (given === undefined || given === null) throw invalidType('query', 'a string or an object', given);
  const config = typeof given === 'string' ? { text: given } : readConfig(given);
  const {
    name,
    text = texts.get(name ?? ''),
    values = givenValues,
    types = clientTypes,
    rowMode,
    query_timeout,
    queryMode,
    signal,
  } = config;
  if (typeof text !== 'string') throw invalidType('query.text', 'a string', text);
  if (name) checkName(texts.get(name), name, text);
  if (values !== undefined && values !== null && !Array.isArray(values))
    throw invalidType('values', 'an array', values);
  // Without one, the text may be several statements.
  const isExtended = Boolean(name) || queryMode === 'extended' || (text !== '' && (values as unknown[] | null)?.length);
  return {
    text,
    ...(isExtended && { values: (values as unknown[] | null | undefined) ?? [] }),
    ...(name && { name }),
    ...(rowMode && { rowMode }),
    ...(types && { types }),
    ...(query_timeout && { timeoutMs: query_timeout }),
    ...(signal && { signal }),
  };
}

function checkName(known: string | undefined, name: string, text: string): void {
  if (known !== undefined && known !== text) {
    throw invalidValue(`Prepared statements must be unique - '${name}' was used for a different statement`);
  }
}

function readConfig(given: unknown): Partial<AnyConfig> {
  if (!isObject(given)) throw invalidType('query', 'a string or an object', given);
  if (typeof given['submit'] === 'function') {
    throw invalidValue(
      'query must be a text or an object with a text: classes such as those of pg-cursor are not supported',
    );
  }
  refuse(given);
  // What builds statements gives objects of classes, with members of its own.
  if (isPlainObject(given)) checkOptions<AnyConfig>('query', withoutOff(given) as unknown as AnyConfig, KNOWN);
  return given as Partial<AnyConfig>;
}

function refuse(given: Record<string, unknown>): void {
  for (const [key, reason] of Object.entries(REFUSED)) {
    if (given[key]) throw invalidValue(`query.${key} is not a known option; ${reason}`);
  }
}

function withoutOff(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([key]) => !Object.hasOwn(REFUSED, key)));
}
