import { invalidType } from '../../runtime/argument-error';
import { arrayParser } from './arrays';
import { builtins } from './oids';
import { parseText } from './scalars';

/** The format of a column's values. */
export type TypeFormat = 'text' | 'binary';

/** Reads the text of a value; NULL is null without it. */
export type TypeParser<T = any> = (value: string) => T;

/** What has a parser for each type, as `types` of `pg` has. */
export interface TypeParsers {
  /** The parser of a type, by its number. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser;
}

/** Parsers by the number of their type, with the interface that `types` of `pg` has. */
export class TypeRegistry implements TypeParsers {
  /** The numbers of types by their names. */
  readonly builtins = builtins;
  /** Reads texts of arrays. */
  readonly arrayParser = arrayParser;
  readonly #base: TypeParsers | undefined;
  readonly #texts: Map<number, TypeParser>;
  readonly #binaries = new Map<number, TypeParser>();
  #snapshot: Snapshot | undefined;

  /** What it has no parser for, `base` has; without it the text is the value. */
  constructor(parsers: Iterable<readonly [number, TypeParser]> = [], base?: TypeParsers) {
    this.#texts = new Map(parsers);
    this.#base = base;
  }

  /** Sets the parser of a type for values in the text format, which all are but those of binary cursors. */
  setTypeParser(oid: number, parser: TypeParser): void;
  /** Sets the parser of a type for values in a format. */
  setTypeParser(oid: number, format: TypeFormat, parser: TypeParser): void;
  setTypeParser(oid: number, format: TypeFormat | TypeParser, parser?: TypeParser): void {
    const [chosen, parse] = typeof format === 'function' ? (['text', format] as const) : [format, parser];
    if (!Number.isInteger(oid)) throw invalidType('oid', 'an integer', oid);
    if (chosen !== 'text' && chosen !== 'binary') throw invalidType('format', "'text' or 'binary'", chosen);
    if (typeof parse !== 'function') throw invalidType('parser', 'a function', parse);
    (chosen === 'text' ? this.#texts : this.#binaries).set(oid, parse);
    this.#snapshot = undefined;
  }

  /** The parser of a type; for one without, what gives the value as it is. */
  getTypeParser(oid: number, format: TypeFormat = 'text'): TypeParser {
    const own = (format === 'binary' ? this.#binaries : this.#texts).get(oid);
    return own ?? this.#base?.getTypeParser(oid, format) ?? parseText;
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

interface Snapshot {
  base: ReadonlyMap<number, TypeParser> | undefined;
  parsers: ReadonlyMap<number, TypeParser>;
}
