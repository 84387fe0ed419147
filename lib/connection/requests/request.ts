import { performance, type URL } from '../../runtime/node';
import { type HttpCallSettings, type HttpRequest, METHODS, methodOf } from '../../http/transport';
import { isReadOnce } from '../../http/body';
import { type HeadersInit, headerPairs } from '../../http/headers';
import { checkOptions, type KnownOptions } from '../../runtime/known-options';
import { invalidTypeRedacted } from '../../runtime/argument-error';
import { native } from '../../runtime/native';
import { asBytes, isPlainObject } from '../../runtime/shape';

/** A request; its `url` is appended to that of the connection. */
export interface ConnectionRequest extends Omit<HttpRequest, 'url' | 'settings'> {
  /**
   * A path below the connection's URL, or an absolute URL. For another origin only those `customHeaders` are sent that
   * cannot contain credentials.
   */
  url?: string | URL | undefined;
  /**
   * The time limit of the call with all its attempts and the waits between them, until its body is read, or until its
   * headers for a streamed response. Default: only each attempt is limited.
   */
  timeoutMs?: number | undefined;
  /** The time limit of one attempt, instead of the connection's `timeout`. */
  attemptTimeoutMs?: number | undefined;
  /** Overrides the option of the connection. */
  headersTimeoutMs?: number | undefined;
  /** Overrides the option of the connection. */
  bodyTimeoutMs?: number | undefined;
  /** Overrides the option of the connection: the maximum number of redirects; 0 returns the redirect itself. */
  maxRedirects?: number | undefined;
  /** Overrides the option of the connection. */
  maxResponseBytes?: number | undefined;
  /** Overrides the option of the connection. */
  maxDecompressedBytes?: number | undefined;
}

/** The options of a request that go to each of its attempts. */
const SETTING_KEYS = [
  'attemptTimeoutMs',
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'maxRedirects',
  'maxResponseBytes',
  'maxDecompressedBytes',
] as const;

const REQUEST_OPTIONS: KnownOptions<ConnectionRequest> = {
  method: true,
  url: true,
  headers: true,
  query: true,
  body: true,
  stream: true,
  timeoutMs: true,
  attemptTimeoutMs: true,
  headersTimeoutMs: true,
  bodyTimeoutMs: true,
  maxRedirects: true,
  maxResponseBytes: true,
  maxDecompressedBytes: true,
};

/** Options of other libraries' requests, and their places here. */
const HINTS = {
  signal: 'pass it in the second argument: request(…, { signal })',
  retries: 'retries are an option of the connection: retryCount',
  retry: 'retries are an option of the connection: retryCount',
  retryCount: 'it is an option of the connection',
  auth: 'set user and password in the URL of the connection, a token in its customHeaders',
  agent: 'TLS and proxies are options of the connection: tls, proxy',
};

/** Refuses what is no request. */
export function checkRequest(request: ConnectionRequest): void {
  if ((request as unknown) === undefined) throw invalidTypeRedacted('request', 'a plain object', request);
  checkOptions('request', request, REQUEST_OPTIONS, HINTS);
}

/** Whether a request is one of known options that has no limits of its own, and a body that is not read piece by piece. */
export function hasOnlyHeadAndBody(request: ConnectionRequest): boolean {
  if (!isPlainObject(request)) return false;
  for (const key in request) {
    switch (key) {
      case 'method':
      case 'url':
      case 'headers':
      case 'query':
        break;
      case 'body':
        if (!isBuffered(request.body)) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

function isBuffered(body: unknown): boolean {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || asBytes(body)) return true;
  return isPlainObject(body) && !isReadOnce(body);
}

/** Whether a value is a request; one without a URL, or with another protocol's method, is data to be sent. */
export function isRequest(data: unknown): data is ConnectionRequest & { method: string } {
  try {
    const { method, url } = (data ?? {}) as { method?: unknown; url?: unknown };
    return typeof method === 'string' && METHODS.has(method.toUpperCase()) && url !== undefined;
  } catch {
    // What cannot be read cannot be sent either, and sending it says so.
    return false;
  }
}

/** The settings of an attempt that differ from those of its connection; none, as a rule. */
export function settingsOf(request: ConnectionRequest, startedAt: number): HttpCallSettings | undefined {
  const given = SETTING_KEYS.filter((key) => request[key] !== undefined);
  const { timeoutMs } = request;
  if (given.length === 0 && timeoutMs === undefined) return undefined;
  const settings: HttpCallSettings = Object.fromEntries(given.map((key) => [key, request[key]]));
  return timeoutMs === undefined ? settings : { ...settings, timeoutMs, spentMs: performance.now() - startedAt };
}

/** Whether it may be sent twice. */
export function isRepeatable(request: ConnectionRequest): boolean {
  if (isReadOnce(request.body)) return false;
  const names = headerPairs(request.headers).map(([name]) => name);
  return native.httpIsIdempotent(methodOf(request), names);
}

/** The headers of a request: its own, and those of the connection that it does not override and that may go there. */
export function mergeHeaders(
  common: Record<string, string>,
  headers: HeadersInit | undefined,
  isSameOrigin: boolean,
): HeadersInit | undefined {
  const pairs = Object.entries(common);
  if (pairs.length === 0) return headers;
  const sent = isSameOrigin ? pairs : pairs.filter(([name]) => native.isHarmlessHeader(name));
  if (headers === undefined) return sent;
  const given = headerPairs(headers);
  const overridden = new Set(given.map(([name]) => name.toLowerCase()));
  return [...sent.filter(([name]) => !overridden.has(name.toLowerCase())), ...given];
}
