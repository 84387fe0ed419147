import { invalidTypeRedacted } from '../runtime/argument-error';

/** Headers of a request: an object (an array repeats the header), pairs, or a `Headers`. */
export type HeadersInit =
  Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]>;

/** Headers of a response, with names in lower case; `set-cookie` is a list. */
export type ResponseHeaders = Record<string, string> & { 'set-cookie'?: string[] };

/** @internal Headers as a caller writes them, one by one. Several cookies are one header (RFC 6265, section 5.4). */
export function headerPairs(headers: HeadersInit | undefined): [name: string, value: string][] {
  const pairs: [name: string, value: string][] = [];
  let cookie: [name: string, value: string] | undefined;
  const add = (name: string, value: unknown): void => {
    if (Array.isArray(value)) value.forEach((one) => addOne(name, one));
    else addOne(name, value);
  };
  const addOne = (name: string, value: unknown): void => {
    if (value === undefined) return;
    const text = headerText(name, value);
    if (cookie && isCookie(name)) {
      cookie[1] += `; ${text}`;
      return;
    }
    const pair: [string, string] = [name, text];
    if (isCookie(name)) cookie = pair;
    pairs.push(pair);
  };
  if (headers === undefined) return pairs;
  if (typeof headers !== 'object' || headers === null)
    throw invalidTypeRedacted(PATH, 'an object, pairs or Headers', headers);
  if (!(Symbol.iterator in headers)) {
    for (const name of Object.keys(headers)) add(name, headers[name]);
    return pairs;
  }
  let index = 0;
  for (const pair of headers as Iterable<unknown>) {
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw invalidTypeRedacted(`${PATH}[${index}]`, 'a pair of a name and a value', pair);
    }
    index += 1;
    add(pair[0], pair[1]);
  }
  return pairs;
}

/**
 * @internal The lines a request crosses with, each after a line break; `type` is the content type where the caller
 * names none.
 */
export function headerLines(headers: HeadersInit | undefined, type: string | undefined): string {
  let lines = '';
  let hasContentType = type === undefined;
  for (const [name, value] of headerPairs(headers)) {
    if (name.length === 12 && name.toLowerCase() === 'content-type') hasContentType = true;
    if (name.includes(':')) throw invalidHeader(name, 'is not a valid header name', 'ERR_INVALID_ARG_VALUE');
    lines += `\n${checkLineBreaks(name, name)}:${checkLineBreaks(value, name)}`;
  }
  return hasContentType ? lines : `${lines}\ncontent-type:${type}`;
}

const PATH = 'request.headers';

function isCookie(name: string): boolean {
  return name.length === 6 && name.toLowerCase() === 'cookie';
}

function headerText(name: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  throw invalidTypeRedacted(`${PATH}.${JSON.stringify(name)}`, 'text, a number or a list of these', value);
}

/** A line break would be another header. */
function checkLineBreaks(text: string, name: string): string {
  if (!/[\r\n\0]/.test(text)) return text;
  throw invalidHeader(name, 'contains a line break or a NUL', 'ERR_INVALID_CHAR');
}

function invalidHeader(name: string, reason: string, code: string): TypeError {
  return Object.assign(new TypeError(`${PATH}.${JSON.stringify(name)} ${reason}`), { code });
}

/** @internal The headers of an answer's head; a repeated one is joined with a comma. */
export function parseHeaders(lines: string): ResponseHeaders {
  // Without a prototype: the server chooses the names.
  const headers = Object.create(null) as ResponseHeaders;
  for (let start = 0; start < lines.length;) {
    const end = lines.indexOf('\n', start);
    const colon = lines.indexOf(':', start + 1);
    const name = lines.slice(start, colon);
    const value = lines.slice(colon + 1, end);
    start = end + 1;
    if (name === 'set-cookie') (headers['set-cookie'] ??= []).push(value);
    else headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

/** @internal One of the headers that {@link parseHeaders} gives, but `set-cookie`; `name` is in lower case. */
export function findHeader(lines: string, name: string): string | undefined {
  const start = indexOfHeader(lines, name, 0);
  if (start < 0) return undefined;
  if (indexOfHeader(lines, name, start) >= 0) return parseHeaders(lines)[name];
  return lines.slice(start, lines.indexOf('\n', start));
}

/** Where the value of a header begins that stands at or after the line break before `from`; -1 when there is none. */
function indexOfHeader(lines: string, name: string, from: number): number {
  if (from === 0 && lines.startsWith(`${name}:`)) return name.length + 1;
  const index = lines.indexOf(`\n${name}:`, from);
  return index < 0 ? -1 : index + name.length + 2;
}
