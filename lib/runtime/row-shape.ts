import { Buffer } from './node';

/** Makes a row of the values from `offset` on. */
export type RowMaker<Value = unknown> = (values: readonly Value[], offset: number) => object;

/** Makes rows whose columns are set by one constructor, so that they have one shape. Of columns with one name the last counts. */
export function rowMaker<Value>(columns: readonly string[]): RowMaker<Value> {
  const width = columns.length;
  // Setting these may do something else, as a setter or a member that is read-only is inherited.
  const inherited = columns.map((name) => name in Object.prototype);
  const hasInherited = inherited.includes(true);
  function Columns(this: Record<string, Value>, values: readonly Value[], offset: number): void {
    for (let index = 0; index < width; index++) {
      const value = values[offset + index]!;
      if (hasInherited && inherited[index]) defineColumn(this, columns[index]!, value);
      else this[columns[index]!] = value;
    }
  }
  // What takes plain objects only asks for their prototype.
  Columns.prototype = Object.prototype;
  const Shape = Columns as unknown as new (values: readonly Value[], offset: number) => object;
  return (values, offset) => new Shape(values, offset);
}

/** Sets a column whatever its name means to a plain object. */
export function defineColumn(row: object, name: string, value: unknown): void {
  Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
}

const MAX_HEADINGS = 256;
/** The length of all texts that are kept, in characters. */
const MAX_LENGTH = 1 << 20;

/** What is known of lists of columns, by the texts of the addon: all rows of a statement, and of its next run, share one shape. */
export class HeadingCache<Heading> {
  readonly #read: (text: string) => Heading;
  readonly #headings = new Map<string, Heading>();
  #length = 0;

  constructor(read: (text: string) => Heading) {
    this.#read = read;
  }

  get(text: string): Heading {
    const known = this.#headings.get(text);
    if (known !== undefined) return known;
    const heading = this.#read(text);
    this.#length += text.length;
    if (this.#headings.size >= MAX_HEADINGS || this.#length > MAX_LENGTH) {
      this.#headings.clear();
      this.#length = text.length;
    }
    // A copy: a part of a text keeps all of it in memory.
    this.#headings.set(Buffer.from(text).toString(), heading);
    return heading;
  }
}
