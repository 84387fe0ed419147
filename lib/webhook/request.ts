import { invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { isPlainObject } from '../runtime/shape';
import { messageOf } from '../runtime/error-message';

/** Headers in the form of Node.js, Express or Fetch. Names are not case-sensitive. */
export type WebhookHeaders =
  Iterable<readonly [string, string]> | { readonly [name: string]: string | readonly string[] | number | undefined };

/** A received request. */
export interface WebhookRequest {
  /** The headers. */
  headers: WebhookHeaders;
  /** The raw body, as bytes or as text, exactly as it was received. */
  body: string | Uint8Array;
  /** The method. Default: `POST`. */
  method?: string | undefined;
  /**
   * The URL that the sender called, or its path and query. The verifier's `url` then supplies the origin; it is also tried
   * itself, for a proxy that removes a part of the path or escapes the query differently.
   */
  url?: string | undefined;
  /** The current time in milliseconds since the epoch. Default: `Date.now()`. */
  now?: number | undefined;
}

const REQUEST_FIELDS: KnownOptions<WebhookRequest> = { headers: true, body: true, method: true, url: true, now: true };
const HEADERS = 'an object of headers, a Headers, a Map or a list of pairs';

/**
 * @internal The parts of a request. A server's own has more to it than is looked at; what was written for this call has not.
 */
export function partsOf(request: WebhookRequest): WebhookRequest {
  if (typeof request !== 'object' || request === null) throw invalidTypeRedacted('request', 'an object', request);
  if (isPlainObject(request)) checkOptions('request', request, REQUEST_FIELDS);
  try {
    const { headers, body, method, url, now } = request;
    return { headers, body, method, url, now };
  } catch (error) {
    throw unreadable('request', error);
  }
}

/** For what throws when it is read: a getter, a proxy. */
function unreadable(path: string, error: unknown): TypeError {
  return invalidValue(`${path} cannot be read: ${messageOf(error)}`);
}

/** @internal Method, URL and the headers of these names, joined by NUL, which none of them may contain. */
export function headersText({ headers, method, url }: WebhookRequest, headerNames: ReadonlySet<string>): string {
  const parts = [textOf('request.method', method ?? ''), textOf('request.url', url ?? '')];
  for (const [name, value] of pairsOf(headers)) {
    if (typeof name !== 'string') throw invalidTypeRedacted('request.headers', HEADERS, headers);
    if (value === undefined || !headerNames.has(name.toLowerCase())) continue;
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      parts.push(name, typeof one === 'number' ? String(one) : textOf(`request.headers['${name}']`, one));
    }
  }
  if (parts.some((part) => part.includes('\0'))) {
    throw invalidValue('request must have no NUL in its method, its url or a header');
  }
  return parts.join('\0');
}

function textOf(path: string, given: unknown): string {
  if (typeof given !== 'string') throw invalidTypeRedacted(path, 'a string', given);
  return given;
}

/** Names and values of headers, however they are given: what is no pair has no name. */
function pairsOf(headers: unknown): unknown[][] {
  if (typeof headers !== 'object' || headers === null) throw invalidTypeRedacted('request.headers', HEADERS, headers);
  try {
    if (!(Symbol.iterator in headers)) return Object.entries(headers);
    return [...(headers as Iterable<unknown>)].map((pair) => (Array.isArray(pair) ? pair : []));
  } catch (error) {
    throw unreadable('request.headers', error);
  }
}
