import { invalidType } from '../../runtime/argument-error';
import { Buffer } from '../../runtime/node';
import { builtins } from './oids';
import { type TypeFormat, type TypeParser, type TypeParsers, TypeRegistry } from './registry';
import { parseBoolean, parseFloating, parseInteger, parseJson, parseText } from './scalars';

/** The types whose values the addon writes as what they mean (`result.rs`), with the parser that gives the same. */
const KNOWN = new Map<number, TypeParser>([
  [builtins.BOOL, parseBoolean],
  [builtins.INT2, parseInteger],
  [builtins.INT4, parseInteger],
  [builtins.OID, parseInteger],
  [builtins.FLOAT4, parseFloating],
  [builtins.FLOAT8, parseFloating],
  [builtins.JSON, parseJson],
  [builtins.JSONB, parseJson],
]);

/** Reads a float where JSON has it as a number: it has no NaN. */
const readFloat: TypeParser = (value: unknown) => (value === 'NaN' ? NaN : value);

/** What the parser of a column depends on. */
interface Column {
  readonly dataTypeID: number;
  readonly format: TypeFormat;
}

/** The parsers of a statement's results. They are chosen when it is sent: what is set later must not read what was asked for before. */
export class ResultParsers {
  /** Whether all values must come as texts, as a known type has another parser. */
  readonly isRaw: boolean;
  /** Whether a type's parser is the same each time. */
  readonly isFixed: boolean;
  readonly #types: TypeParsers;
  readonly #fixed: ReadonlyMap<number, TypeParser> | undefined;

  private constructor(fixed: ReadonlyMap<number, TypeParser> | undefined, types: TypeParsers) {
    this.isFixed = fixed !== undefined;
    this.isRaw = !fixed || [...KNOWN].some(([oid, parser]) => fixed.get(oid) !== parser);
    this.#types = types;
    this.#fixed = fixed;
  }

  /** Those of `types` as they are now. */
  static of(types: TypeParsers): ResultParsers {
    const fixed = types instanceof TypeRegistry ? types.snapshot() : undefined;
    const key = fixed ?? types;
    let parsers = cache.get(key);
    if (!parsers) {
      parsers = new ResultParsers(fixed, types);
      cache.set(key, parsers);
    }
    return parsers;
  }

  /** The parser of a column; undefined where the value is what the addon gives. */
  parserOf({ dataTypeID: oid, format }: Column): TypeParser | undefined {
    // Hardly anything is binary, so its parsers are those of the moment.
    if (format === 'binary') return ofHex(foreignParser(this.#types, oid, format));
    const parser = this.#fixed ? this.#fixed.get(oid) : foreignParser(this.#types, oid, format);
    if (!this.isRaw && KNOWN.has(oid)) return parser === parseFloating ? readFloat : undefined;
    return parser === parseText ? undefined : parser;
  }
}

/** What an object that may be a user's has for a type. */
function foreignParser(types: TypeParsers, oid: number, format: TypeFormat): TypeParser<any, any> {
  const parser = types.getTypeParser(oid, format) as unknown;
  if (typeof parser !== 'function') throw invalidType(`types.getTypeParser(${oid})`, 'a function', parser);
  return parser as TypeParser<any, any>;
}

/** Values in the binary format come as hexadecimal digits. */
const ofHex =
  (parse: (bytes: Buffer) => unknown): TypeParser =>
  (digits) =>
    parse(Buffer.from(digits, 'hex'));

/** By the snapshot of a registry, else by the object of the caller's. */
const cache = new WeakMap<object, ResultParsers>();
