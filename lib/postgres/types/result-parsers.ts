import { invalidType } from '../../runtime/argument-error';
import { builtins } from './oids';
import { type TypeParser, type TypeParsers, TypeRegistry } from './registry';
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

/** The parsers of a statement's results. They are chosen when it is sent: what is set later must not read what was asked for before. */
export class ResultParsers {
  /** Whether all values must come as texts, as a known type has another parser. */
  readonly isRaw: boolean;
  /** Whether a type's parser is the same each time. */
  readonly isFixed: boolean;
  readonly #parserOf: (oid: number) => TypeParser | undefined;

  private constructor(fixed: ReadonlyMap<number, TypeParser> | undefined, types: TypeParsers) {
    this.isFixed = fixed !== undefined;
    this.isRaw = !fixed || [...KNOWN].some(([oid, parser]) => fixed.get(oid) !== parser);
    const isRaw = this.isRaw;
    this.#parserOf = (oid) => {
      if (!fixed) return ownParser(types, oid);
      const parser = fixed.get(oid);
      if (isRaw || !KNOWN.has(oid)) return parser;
      return parser === parseFloating ? readFloat : undefined;
    };
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

  /** The parser of a type; undefined where the value is what the addon gives. */
  parserOf(oid: number): TypeParser | undefined {
    const parser = this.#parserOf(oid);
    return parser === parseText ? undefined : parser;
  }
}

/** What a user's object has for a type. */
function ownParser(types: TypeParsers, oid: number): TypeParser {
  const parser = types.getTypeParser(oid, 'text') as unknown;
  if (typeof parser !== 'function') throw invalidType(`types.getTypeParser(${oid})`, 'a function', parser);
  return parser as TypeParser;
}

/** By the snapshot of a registry, else by the object of the caller's. */
const cache = new WeakMap<object, ResultParsers>();
