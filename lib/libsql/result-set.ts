import { types } from 'node:util';

import { Buffer } from '../runtime/node';
import { defineColumn, HeadingCache, type RowMaker, rowMaker } from '../runtime/row-shape';
import { inexactInteger } from './error';

/** A value of a row. */
export type Value = null | string | number | bigint | ArrayBuffer;

/** A value that can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;

/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = readonly InValue[] | Readonly<Record<string, InValue>>;

/** A statement: SQL text, or SQL text with its arguments. */
export type InStatement = { readonly sql: string; readonly args?: InArgs | undefined } | string;

/** The JavaScript type that SQLite integers are converted to. */
export type IntMode = 'number' | 'bigint' | 'string';

/**
 * One row, a plain object. Its enumerable properties are the columns by name. The values by index and `length` are
 * properties that are read-only and not enumerable; setting a column does not change the value at its index.
 */
export interface Row {
  /** The number of columns. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}

/** The result of one statement. `T` is the type of its rows, as in `execute<User>(…)`; it is not checked at run time. */
export interface ResultSet<T = Row> {
  /** The names of the columns. */
  columns: string[];
  /** The types of the columns as declared in the schema; an empty string where there is none. */
  columnTypes: string[];
  /** The rows, empty for a statement that returns none. */
  rows: T[];
  /** The number of rows that an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last row that was inserted; `undefined` for a statement that inserts nothing. */
  lastInsertRowid: bigint | undefined;
  /** Returns the result for `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}

/** What the addon writes of the columns, in a line of its own before the rest, and what follows from it. */
interface Heading {
  readonly columns: string[];
  readonly types: string[];
  readonly makeRow: RowMaker<Value>;
}

/** A result as the addon writes it. */
interface ResultText {
  length: number;
  affected: number;
  rowid?: string;
  /** Indices of values that are integers but stand as strings. */
  integers?: number[];
  /** Pairs of an index and the length of the blob that belongs there. */
  blobs?: number[];
  values: Value[];
}

class Result<T> implements ResultSet<T> {
  readonly columns: string[];
  readonly columnTypes: string[];
  readonly rows: T[];
  readonly rowsAffected: number;
  readonly lastInsertRowid: bigint | undefined;

  constructor(head: Heading, text: ResultText, rows: T[]) {
    // Copies, as the caller may change them.
    this.columns = head.columns.slice();
    this.columnTypes = head.types.slice();
    this.rows = rows;
    this.rowsAffected = text.affected;
    this.lastInsertRowid = text.rowid === undefined ? undefined : BigInt(text.rowid);
  }

  toJSON(): unknown {
    const { columns, columnTypes, rowsAffected, lastInsertRowid } = this;
    const rows = this.rows.map((row) => Array.prototype.map.call(row, plainValue));
    return { columns, columnTypes, rows, rowsAffected, lastInsertRowid: lastInsertRowid?.toString() ?? null };
  }
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return types.isAnyArrayBuffer(value) ? Buffer.from(value).toString('base64') : value;
}

/** The result set in what the addon answered: its text, and the bytes of its blobs when there are any. */
export function readResult<T>(answer: string | [string, Uint8Array], intMode: IntMode): ResultSet<T> {
  const [json, bytes] = typeof answer === 'string' ? [answer] : answer;
  const line = json.indexOf('\n');
  const head = headings.get(json.slice(0, line));
  const text = JSON.parse(json.slice(line + 1)) as ResultText;
  const { values, length } = text;
  const width = head.columns.length;
  if (text.integers) restoreIntegers(text, head, intMode);
  // Blobs that are all empty have no bytes to send.
  if (text.blobs) restoreBlobs(values, text.blobs, bytes ?? new Uint8Array());
  const rows = new Array<T>(length);
  for (let index = 0, offset = 0; index < length; index++, offset += width) {
    rows[index] = head.makeRow(values, offset) as T;
  }
  return new Result(head, text, rows);
}

function restoreIntegers({ values, integers = [] }: ResultText, { columns }: Heading, intMode: IntMode): void {
  for (const index of integers) {
    if (intMode === 'number') {
      const column = columns[index % columns.length];
      throw inexactInteger(values[index] as string, column!);
    }
    values[index] = BigInt(values[index] as string);
  }
}

function restoreBlobs(values: Value[], blobs: number[], bytes: Uint8Array): void {
  for (let index = 0, from = bytes.byteOffset; index < blobs.length; index += 2) {
    const to = from + blobs[index + 1]!;
    values[blobs[index]!] = bytes.buffer.slice(from, to) as ArrayBuffer;
    from = to;
  }
}

const headings = new HeadingCache<Heading>((text) => {
  const { columns, types } = JSON.parse(text) as { columns: string[]; types: string[] };
  return { columns, types, makeRow: isOrdinary(columns) ? sharedShape(columns) : ownShape(columns) };
});

/** Whether the names can be set as they are: distinct, and none that means something else to a plain object. */
function isOrdinary(columns: string[]): boolean {
  const isReserved = (name: string) => name in Object.prototype || name === 'length' || /^\d+$/.test(name);
  return new Set(columns).size === columns.length && !columns.some(isReserved);
}

/** Rows of one shape, up to their hidden members. */
function sharedShape(columns: string[]): RowMaker<Value> {
  const width = columns.length;
  const makeRow = rowMaker<Value>(columns);
  return (values, offset) => {
    const row = makeRow(values, offset);
    Object.defineProperty(row, 'length', hidden(width));
    for (let index = 0; index < width; index++) Object.defineProperty(row, index, hidden(values[offset + index]));
    return row;
  };
}

/** Rows whose column names repeat, or look like indices: the first of a name counts, and an index before a name. */
function ownShape(columns: string[]): RowMaker<Value> {
  return (values, offset) => {
    const row = Object.defineProperty({}, 'length', hidden(columns.length)) as Row;
    columns.forEach((name, index) => {
      const value = values[offset + index];
      Object.defineProperty(row, index, { value });
      if (!Object.hasOwn(row, name)) defineColumn(row, name, value);
    });
    return row;
  };
}

const descriptor: PropertyDescriptor = { value: undefined, writable: false, enumerable: false, configurable: false };

/** The descriptor of a member that is neither enumerable nor set, until it is asked for the next: one serves all cells. */
function hidden(value: unknown): PropertyDescriptor {
  descriptor.value = value;
  return descriptor;
}
