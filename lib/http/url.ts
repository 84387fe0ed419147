import { URL, URLSearchParams } from '../runtime/node';
import { isPlainObject } from '../runtime/shape';
import { invalidValue, invalidTypeRedacted } from '../runtime/argument-error';

/** One value of a query; an array repeats its key. */
type QueryValue = string | number | boolean | bigint | Date | null | undefined;

/** A query: an object, pairs (also a `URLSearchParams` or a `Map`), or text. */
export type QueryInit =
  | string
  | Iterable<readonly [string, QueryValue | readonly QueryValue[]]>
  | Readonly<Record<string, QueryValue | readonly QueryValue[]>>;

const PATH = 'request.query';

/** @internal The URL as text; `path` is what an error calls it. */
export function urlText(url: unknown): string {
  if (typeof url === 'string') return url;
  const { href } = (url ?? {}) as { href?: unknown };
  if (typeof href !== 'string') throw invalidTypeRedacted('request.url', 'a string or a URL', url);
  return href;
}

/** @internal A URL with a query added to its own. */
export function withQuery(url: string, query: QueryInit | undefined): string {
  if (query === undefined) return url;
  const added = queryText(query);
  if (!added) return url;
  const [base = '', fragment] = url.split('#', 2);
  const joined = `${base}${base.includes('?') ? '&' : '?'}${added}`;
  return fragment === undefined ? joined : `${joined}#${fragment}`;
}

function queryText(query: unknown): string {
  // Text is taken as it is: only its writer knows how it is meant to be encoded. It must not end the query.
  if (typeof query === 'string') return query.replace(/^\?/, '').replaceAll('#', '%23');
  const parameters = new URLSearchParams();
  for (const [key, value, path] of entriesOf(query)) {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    for (const one of values) if (one !== undefined && one !== null) parameters.append(key, valueText(one, path));
  }
  return parameters.toString();
}

function* entriesOf(query: unknown): Iterable<[key: string, value: unknown, path: string]> {
  if (isPlainObject(query)) {
    for (const [key, value] of Object.entries(query)) yield [key, value, `${PATH}.${key}`];
    return;
  }
  const pairs = query as Iterable<unknown> | null;
  if (typeof pairs !== 'object' || typeof pairs?.[Symbol.iterator] !== 'function') {
    throw invalidTypeRedacted(PATH, 'an object, pairs or text', query);
  }
  let index = 0;
  for (const pair of pairs) {
    const path = `${PATH}[${index++}]`;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string') {
      throw invalidTypeRedacted(path, 'a pair of a key and a value', pair);
    }
    yield [pair[0], pair[1], path];
  }
}

function valueText(value: unknown, path: string): string {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  if (!['string', 'number', 'boolean', 'bigint'].includes(typeof value)) {
    throw invalidTypeRedacted(path, 'text, a number, a boolean, a Date or a list of these', value);
  }
  return String(value);
}

/**
 * @internal The URL of a request seen from that of its connection: a path stands below it and beside its query, an
 * absolute URL for itself.
 */
export function joinUrl(base: string, given: string): string {
  if (given === '') return base;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) return given;
  const url = new URL(base);
  const [whole = ''] = given.split('#', 1);
  const at = whole.indexOf('?');
  const [path, query] = at < 0 ? [whole, ''] : [whole.slice(0, at), whole.slice(at + 1)];
  if (path) {
    const root = url.pathname.replace(/\/$/, '');
    url.pathname = `${root}/${path.replace(/^\//, '')}`;
    if (!isBelow(url, root)) throw invalidValue(`request.url must stay within the connection's path ${root}/`);
  }
  if (query) url.search = url.search ? `${url.search}&${query}` : query;
  return url.href;
}

/** Whether a path is still below `root` when a server unescapes the slashes in it before it looks for `..`. */
function isBelow({ pathname, href }: URL, root: string): boolean {
  const isIn = (path: string, parent: string) => path === parent || path.startsWith(`${parent}/`);
  const resolved = (path: string) => {
    const url = new URL(href);
    url.pathname = path.replace(/%2f|%5c/gi, '/');
    return url.pathname;
  };
  return isIn(pathname, root) && isIn(resolved(pathname), resolved(root).replace(/\/$/, ''));
}

/** A URL without user and password. */
export function withoutLogin(text: string): string {
  if (!text.includes('@')) return text;
  const url = new URL(text);
  [url.username, url.password] = ['', ''];
  return url.href;
}
