import { HeadingCache, type RowMaker, rowMaker } from '../runtime/row-shape';
import type { TypeParser } from './types/registry';
import type { ResultParsers } from './types/result-parsers';

/** A column of a result, as the server describes it. */
export interface FieldDef {
  /** The name. */
  readonly name: string;
  /** The number of the table that it is of; 0 for none. */
  readonly tableID: number;
  /** The number of the column in it; 0 for none. */
  readonly columnID: number;
  /** The number of its type. */
  readonly dataTypeID: number;
  /** The size of the type in bytes; negative for one that varies. */
  readonly dataTypeSize: number;
  /** The modifier of the type, such as the length of a varchar; -1 for none. */
  readonly dataTypeModifier: number;
  /** The format of the values. */
  readonly format: 'text' | 'binary';
}

/** The result of one statement. `R` is the type of its rows; it is not checked at run time. */
export interface QueryResult<R = any> {
  /** The first word of what the server says the statement was, such as `SELECT`; null for an empty text. */
  command: string | null;
  /** The number of rows that it returned or changed; null for one that does neither. */
  rowCount: number | null;
  /** The number of the row that an INSERT made, of servers before PostgreSQL 12; else 0 for an INSERT, and null. */
  oid: number | null;
  /** The rows, empty for a statement that returns none. */
  rows: R[];
  /** The columns. */
  fields: FieldDef[];
}

/** Whether a row is an object by its columns' names, of which the last counts where they repeat, or an array. */
export type RowMode = 'object' | 'array';

/** A result as the addon writes it, after the line of its fields. */
interface ResultText {
  values: unknown[];
  length: number;
  command: string | null;
  rowCount: number | null;
  oid: number | null;
}

class Result implements QueryResult {
  readonly command: string | null;
  readonly rowCount: number | null;
  readonly oid: number | null;
  readonly rows: unknown[];
  readonly fields: FieldDef[];

  constructor({ command, rowCount, oid }: ResultText, rows: unknown[], fields: readonly FieldDef[]) {
    this.command = command;
    this.rowCount = rowCount;
    this.oid = oid;
    this.rows = rows;
    // A copy, as the caller may change it; the fields in it are frozen.
    this.fields = fields.slice();
  }
}

/** The results of what the addon answered, read by the parsers that were chosen when the statement was sent. */
export function readResults(
  answer: string | string[],
  parsers: ResultParsers,
  mode: RowMode,
): QueryResult | QueryResult[] {
  if (typeof answer === 'string') return readResult(answer, parsers, mode);
  return answer.map((text) => readResult(text, parsers, mode));
}

/** The result in one text of the addon's. What a parser throws is thrown. */
export function readResult(json: string, parsers: ResultParsers, mode: RowMode): QueryResult {
  const line = json.indexOf('\n');
  const heading = headings.get(json.slice(0, line));
  const text = JSON.parse(json.slice(line + 1)) as ResultText;
  const { values, length } = text;
  parseColumns(values, parsersOf(heading, parsers));
  const width = heading.fields.length;
  const rows = new Array<unknown>(length);
  if (mode === 'array') {
    for (let index = 0, offset = 0; index < length; index++, offset += width) {
      rows[index] = values.slice(offset, offset + width);
    }
  } else {
    const { makeRow } = heading;
    for (let index = 0, offset = 0; index < length; index++, offset += width) rows[index] = makeRow(values, offset);
  }
  return new Result(text, rows, heading.fields);
}

/** Parses values where they are, a column after the other. */
function parseColumns(values: unknown[], parsers: readonly (TypeParser | undefined)[]): void {
  const width = parsers.length;
  for (let column = 0; column < width; column++) {
    const parse = parsers[column];
    if (!parse) continue;
    for (let index = column; index < values.length; index += width) {
      const value = values[index];
      if (value !== null) values[index] = parse(value as string);
    }
  }
}

/** What is known of a list of columns. */
interface Heading {
  readonly fields: readonly FieldDef[];
  readonly makeRow: RowMaker;
  /** The last parsers that read such a result, column by column. */
  last?: { readonly of: ResultParsers; readonly columns: readonly (TypeParser | undefined)[] };
}

const headings = new HeadingCache<Heading>((text) => {
  const { fields } = JSON.parse(text) as { fields: FieldDef[] };
  return { fields: fields.map((field) => Object.freeze(field)), makeRow: rowMaker(fields.map(({ name }) => name)) };
});

function parsersOf(heading: Heading, parsers: ResultParsers): readonly (TypeParser | undefined)[] {
  if (heading.last?.of === parsers) return heading.last.columns;
  const columns = heading.fields.map((field) => parsers.parserOf(field));
  if (parsers.isFixed) heading.last = { of: parsers, columns };
  return columns;
}
