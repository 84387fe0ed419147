import { invalidType } from '../../runtime/argument-error';
import { arrayParser } from './arrays';
import { builtins } from './oids';
import { parseText } from './scalars';

/** The format of a column's values. */
export type TypeFormat = 'text' | 'binary';

/** Reads the text of a value, or its bytes in the binary format; NULL is null without it. */
export type TypeParser<T = any, Value = string> = (value: Value) => T;

/** What has a parser for each type, as `types` of `pg` has. */
export interface TypeParsers {
  /** The parser of a type, by its number. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
}

/**
 * Parsers by the number of their type, with the interface that `types` of `pg` has.
 *
 * @example
 * ```ts
 * import { pgTypes, PostgresConnectionManager, TypeRegistry } from 'moorline';
 *
 * // As `pg` reads them, but numbers of type `numeric` as numbers.
 * const types = new TypeRegistry([], pgTypes);
 * types.setTypeParser(types.builtins.NUMERIC, Number);
 * await using manager = new PostgresConnectionManager({
 *   connectionString: 'postgres://app:secret@localhost/orders',
 *   tunnel: false,
 *   types,
 * });
 * const { rows } = await manager.query('SELECT 1.5 AS price');
 * console.log(rows[0].price + 1); // 2.5
 * ```
 */
export class TypeRegistry implements TypeParsers {
  /** The numbers of types by their names. */
  readonly builtins = builtins;
  /** Reads texts of arrays. */
  readonly arrayParser = arrayParser;
  readonly #base: TypeParsers | undefined;
  readonly #texts: Map<number, TypeParser>;
  readonly #binaries = new Map<number, TypeParser<any, Buffer>>();
  #snapshot: Snapshot | undefined;

  /** What it has no parser for, `base` has; without it the text is the value. */
  constructor(parsers: Iterable<readonly [number, TypeParser]> = [], base?: TypeParsers) {
    this.#texts = new Map(parsers);
    this.#base = base;
  }

  /** Sets the parser of a type for values in the text format, which all are but those of binary cursors. */
  setTypeParser(oid: number, parser: TypeParser): void;
  /** Sets the parser of a type for values in the text format. */
  setTypeParser(oid: number, format: 'text', parser: TypeParser): void;
  /** Sets the parser of a type for values in the binary format. */
  setTypeParser(oid: number, format: 'binary', parser: TypeParser<any, Buffer>): void;
  setTypeParser(oid: number, format: TypeFormat | TypeParser, parser?: TypeParser<any, any>): void {
    const [chosen, parse] = typeof format === 'function' ? (['text', format] as const) : [format, parser];
    if (!Number.isInteger(oid)) throw invalidType('oid', 'an integer', oid);
    if (chosen !== 'text' && chosen !== 'binary') throw invalidType('format', "'text' or 'binary'", chosen);
    if (typeof parse !== 'function') throw invalidType('parser', 'a function', parse);
    const parsers: Map<number, TypeParser<any, any>> = chosen === 'text' ? this.#texts : this.#binaries;
    parsers.set(oid, parse);
    this.#snapshot = undefined;
  }

  /** The parser of a type; of one without it, what gives the text, or the bytes. */
  getTypeParser(oid: number, format: TypeFormat = 'text'): TypeParser<any, any> {
    const own = (format === 'binary' ? this.#binaries : this.#texts).get(oid);
    return own ?? this.#base?.getTypeParser(oid, format) ?? (format === 'binary' ? keepBytes : parseText);
  }

  /** @internal The parsers of texts as they are now, the same until one is set; undefined where a stranger's base must be asked. */
  snapshot(): ReadonlyMap<number, TypeParser> | undefined {
    const base = this.#base instanceof TypeRegistry ? this.#base.snapshot() : undefined;
    if (this.#base !== undefined && base === undefined) return undefined;
    if (this.#snapshot?.base !== base) this.#snapshot = undefined;
    this.#snapshot ??= { base, parsers: new Map([...(base ?? []), ...this.#texts]) };
    return this.#snapshot.parsers;
  }
}

const keepBytes = (bytes: Buffer): Buffer => bytes;

interface Snapshot {
  base: ReadonlyMap<number, TypeParser> | undefined;
  parsers: ReadonlyMap<number, TypeParser>;
}
