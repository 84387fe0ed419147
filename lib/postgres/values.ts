import { types } from 'node:util';

import { invalidType, invalidValue } from '../runtime/argument-error';
import { asBytes } from '../runtime/shape';
import { Buffer } from '../runtime/node';

/** A value as it is sent: NULL, in the text format, or in the binary format. */
export type PreparedValue = null | string | Uint8Array;

/** What gives the value that is sent for it. It gets what encodes a value as text, bytes or null. */
export interface ToPostgres {
  /** The value in its place. */
  toPostgres(prepareValue: (value: unknown) => PreparedValue): unknown;
}

/** The values of a statement as they are sent, encoded as `pg` does. */
export function prepareValues(values: readonly unknown[]): PreparedValue[] {
  if (!Array.isArray(values)) throw invalidType('values', 'an array', values);
  const prepared = new Array<PreparedValue>(values.length);
  for (let index = 0; index < values.length; index++) prepared[index] = prepareValue(values[index]);
  return prepared;
}

/** A value as it is sent: an array as that of PostgreSQL, another object as JSON. */
export function prepareValue(value: unknown): PreparedValue {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? prepareObject(value, []) : toText(value);
}

/** A number, boolean or bigint; a symbol or a function, too, has a text. */
const toText = (value: {}): string => value.toString();

/** `seen` are the objects whose `toPostgres` has led here. */
function prepareObject(value: object, seen: object[]): PreparedValue {
  if (ArrayBuffer.isView(value)) return asBytes(value)!;
  if (types.isDate(value)) return dateText(value);
  if (Array.isArray(value)) return arrayText(value);
  if (!isConvertible(value)) return (JSON.stringify(value) as string | undefined) ?? null;
  if (seen.includes(value)) {
    throw invalidValue(`circular reference detected while preparing "${String(value)}" for query`);
  }
  const converted = value.toPostgres(prepareValue);
  if (typeof converted !== 'object' || converted === null) return prepareValue(converted);
  return prepareObject(converted, [...seen, value]);
}

const isConvertible = (value: object): value is ToPostgres =>
  typeof (value as Partial<ToPostgres>).toPostgres === 'function';

/** `{NULL,"1",{"a \\"b\\""}}` */
function arrayText(values: unknown[]): string {
  let text = '{';
  for (let index = 0; index < values.length; index++) {
    if (index > 0) text += ',';
    text += elementText(values[index]);
  }
  return `${text}}`;
}

function elementText(value: unknown): string {
  if (Array.isArray(value)) return arrayText(value);
  const prepared = prepareValue(value);
  if (prepared === null) return 'NULL';
  if (typeof prepared === 'string') return quote(prepared);
  const { buffer, byteOffset, byteLength } = prepared;
  return `\\\\x${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`;
}

function quote(text: string): string {
  const isPlain = !text.includes('"') && !text.includes('\\');
  return isPlain ? `"${text}"` : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** A moment in local time with its offset: a timestamp takes the time, a timestamptz the moment. */
function dateText(date: Date): string {
  const year = date.getFullYear();
  if (Number.isNaN(year)) throw invalidValue('A value is an invalid Date, which PostgreSQL has no timestamp for');
  const days = `${digits(year < 1 ? 1 - year : year, 4)}-${digits(date.getMonth() + 1)}-${digits(date.getDate())}`;
  const time = `${digits(date.getHours())}:${digits(date.getMinutes())}:${digits(date.getSeconds())}`;
  const offset = -date.getTimezoneOffset();
  const minutes = Math.abs(offset);
  const zone = `${offset < 0 ? '-' : '+'}${digits(Math.floor(minutes / 60))}:${digits(minutes % 60)}`;
  return `${days}T${time}.${digits(date.getMilliseconds(), 3)}${zone}${year < 1 ? ' BC' : ''}`;
}

const digits = (number: number, length = 2): string => String(number).padStart(length, '0');
