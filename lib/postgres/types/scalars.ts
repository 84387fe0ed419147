import { Buffer } from '../../runtime/node';

/** A `point`. */
export interface Point {
  x: number;
  y: number;
}

/** A `circle`. */
export interface Circle {
  x: number;
  y: number;
  radius: number;
}

/** The parser of all types without one: their text. */
export const parseText = (text: string): string => String(text);

export const parseInteger = (text: string): number => parseInt(text, 10);

/** A `float4` or `float8`: `parseFloat` has the same words for infinity and NaN. */
export const parseFloating = (text: string): number => parseFloat(text);

export const parseBoolean = (text: string): boolean => /^(?:t|true|y|yes|on|1)$/i.test(text);

export const parseJson = (text: string): unknown => JSON.parse(text) as unknown;

export const parseBigint = (text: string): bigint => BigInt(text);

/** A `bytea` in the format hex, or in the format escape that a server may be set to. */
export function parseBytea(text: string): Buffer {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex');
  const bytes = text.replace(/\\(?:(\d{3})|\\)/g, (_, octal?: string) =>
    octal === undefined ? '\\' : String.fromCharCode(parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1');
}

/** `(1,2.5)`. */
export function parsePoint(text: string): Point {
  const comma = text.indexOf(',');
  return { x: parseFloat(text.slice(1, comma)), y: parseFloat(text.slice(comma + 1)) };
}

/** `<(1,2.5),3>`. */
export function parseCircle(text: string): Circle {
  const end = text.lastIndexOf(',');
  return { ...parsePoint(text.slice(1, end)), radius: parseFloat(text.slice(end + 1)) };
}
