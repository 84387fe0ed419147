import { call } from '../runtime/native-call';
import { toMoorlineError, failureRecord, MoorlineError } from '../runtime/error';
import { bodyOf, type BodySource } from './body';
import { type HeadersInit, headerLines } from './headers';
import { type EncodedResponse, HTTPResponse } from './response';
import { upload } from './stream';
import { type QueryInit, urlText, withQuery } from './url';
import { invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import {
  type Cancel,
  type ResolvedConnectionConfig,
  type Handle,
  type HttpBodyWriter,
  type HttpCallConfig,
  type HttpEngine,
  native,
} from '../runtime/native';
import { isReasonOf } from '../runtime/abort';

/** Limits of a call. Times are in milliseconds, sizes in bytes. */
export interface HttpCallSettings {
  /** The time limit of the call, until its body is read, or until its headers for a streamed response. Default: 30 000. */
  timeoutMs?: number | undefined;
  /** The part of `timeoutMs` that earlier attempts have used. Default: 0. */
  spentMs?: number | undefined;
  /** The time limit of this attempt alone. Default: `Infinity`. */
  attemptTimeoutMs?: number | undefined;
  /** The time limit from the last byte sent to the headers of the response. Default: 30 000, or a longer `timeoutMs`. */
  headersTimeoutMs?: number | undefined;
  /** The time limit between two chunks of a body, sent or received. Default: 30 000, or a longer `timeoutMs`. */
  bodyTimeoutMs?: number | undefined;
  /** The maximum number of redirects; 0 returns the redirect itself. Default: 5. */
  maxRedirects?: number | undefined;
  /** The largest body as received from the network. Default: 64 MiB, for a streamed response `Infinity`. */
  maxResponseBytes?: number | undefined;
  /** The largest body after decompression. Default: 256 MiB, for a streamed response `Infinity`. */
  maxDecompressedBytes?: number | undefined;
  /** Whether gzip, br, zstd and deflate are offered and decompressed. Default: true. */
  decompress?: boolean | undefined;
}

/** @internal */
export interface HttpTransportOptions extends HttpCallSettings {
  /** What a connection calls `attemptTimeoutMs`, and errors then, too. */
  timeout?: number | undefined;
  /** Name resolution, TCP, proxy and TLS together. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long an unused connection is kept. Default 50 000; a server's own shorter hint wins. */
  keepAliveTimeoutMs?: number | undefined;
  /** Connections to one origin at once; further requests wait their turn. Default 256. */
  maxConnections?: number | undefined;
  /** Offer HTTP/2 to servers by ALPN. Default true. */
  http2?: boolean | undefined;
  /** What the following are by default, and what must not be weaker. Default: nothing is asked for. */
  securityLevel?: 'none' | 'basic' | 'enhanced' | 'maximum' | undefined;
  /** Refuse plain text except to this machine. Default false. */
  encryption?: boolean | undefined;
  /** Refuse a redirect from https to http. Default false. */
  httpsOnlyRedirects?: boolean | undefined;
  /** Refuse addresses that are not on the public internet, after resolution. Default false. */
  publicAddressesOnly?: boolean | undefined;
  /** Names, addresses and networks that are reached nevertheless. */
  allowedHosts?: string[] | undefined;
  /** `'environment'`, or the URL of an HTTP or SOCKS5 proxy. Default: none. */
  proxy?: string | undefined;
  /** `{ ca, cert, key, serverName, minVersion, rejectUnauthorized }`; files are read again when they change. */
  tls?: Record<string, unknown> | undefined;
}

/** A request. */
export interface HttpRequest {
  /** The method. Default: `GET`, or `POST` with a body. */
  method?: string | undefined;
  url: string | URL;
  /** The headers of the request. */
  headers?: HeadersInit | undefined;
  /**
   * The query, which is added to that of the URL: an object, pairs, a `URLSearchParams`, a `Map`, or text, which is used
   * unchanged. An array repeats the key, `undefined` and `null` are left out, a `Date` is written as ISO 8601.
   */
  query?: QueryInit | undefined;
  /**
   * The body: text and bytes are sent unchanged, a stream, iterator, async iterable or `Blob` in chunks,
   * `URLSearchParams` and `FormData` as a form, any other plain value as JSON.
   */
  body?: unknown;
  /** Whether the response is returned as soon as its headers are received, with the body in `stream`. Default: false. */
  stream?: boolean | undefined;
  settings?: HttpCallSettings | undefined;
}

/** @internal What is open right now. */
export interface HttpTransportStats {
  connections: number;
  inUse: number;
  idle: number;
  waiting: number;
}

/**
 * @internal Sends requests and keeps connections for them. Every status is an answer; a call that gets none rejects with
 * a {@link MoorlineError} whose `detail` tells the `phase`, `bytesWritten` and `reusedSocket`.
 */
export class HttpTransport {
  protected readonly engine: Handle<HttpEngine>;

  /**
   * @param name its connections are shown under in `metricsText()`.
   * @param connection gives the options that are not among `options`.
   */
  constructor(options: HttpTransportOptions = {}, name?: string, connection?: Handle<ResolvedConnectionConfig>) {
    this.engine = native.httpOpen(options, name, connection);
  }

  async request(init: HttpRequest, options: { signal?: AbortSignal | undefined } = {}): Promise<HTTPResponse> {
    const { url, head, body: content, source } = prepareRequest(init);
    const writer = source && openWriter(source);
    const body = writer ?? content;
    const settings: Handle<HttpCallConfig> | undefined =
      init.settings && native.httpCallConfig(this.engine, init.settings);
    const streamed = init.stream === true;
    const start = (cancel: Handle<Cancel> | undefined) =>
      native.httpRequest(this.engine, head, body, settings, cancel, streamed);
    const bodyUpload = source && writer && upload(source, writer);
    try {
      // Without a signal nothing has to be raced, and this is the hot way.
      const answer = await (options.signal
        ? call(start, options.signal, toRequestError, discardBody)
        : start(undefined));
      // A streamed answer may begin before the request's own body is over.
      if (!streamed) bodyUpload?.stop();
      return new HTTPResponse(answer, url, options.signal, bodyUpload);
    } catch (rejection) {
      bodyUpload?.stop();
      // A reason is the caller's own, whatever it looks like.
      const error = isReasonOf(rejection, options.signal) ? rejection : toRequestError(rejection);
      // What the caller's own stream threw is why the request broke off.
      const reason = bodyUpload?.failure();
      throw reason && error instanceof MoorlineError ? reason.error : error;
    }
  }

  /** What is open right now, over all origins. */
  stats(): HttpTransportStats {
    const [connections, inUse, idle, waiting] = native.httpStats(this.engine) as [number, number, number, number];
    return { connections, inUse, idle, waiting };
  }

  /** Ends every call and closes every connection. */
  close(): void {
    native.httpClose(this.engine);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** @internal A request as it crosses. */
export interface PreparedRequest {
  url: string;
  /** The method, the URL and the headers. */
  head: string;
  body: string | Uint8Array | undefined;
  /** The body, where it is sent piece by piece. */
  source: BodySource | undefined;
}

/** @internal Checks a request and writes its head. */
export function prepareRequest(
  init: Pick<HttpRequest, 'method' | 'url' | 'headers' | 'query' | 'body'>,
): PreparedRequest {
  const method = checkMethod(methodOf(init));
  const url = withQuery(urlText(init.url), init.query);
  const { body, type, source } = bodyOf(init.body, 'request.body');
  return { url, head: `${method} ${stripLineBreaks(url)}${headerLines(init.headers, type)}`, body, source };
}

/** @internal A request that cannot be sent at all is the programmer's mistake. */
export function toRequestError(rejection: unknown): unknown {
  const record = failureRecord(rejection);
  if (record?.kind !== 'internal' || !record.code.startsWith('ERR_INVALID_')) return toMoorlineError(rejection);
  return Object.assign(new TypeError(record.message), { code: record.code });
}

function openWriter({ repeatable, length }: BodySource): Handle<HttpBodyWriter> {
  return repeatable && length !== undefined ? native.httpBodyOpenRepeatable(length) : native.httpBodyOpen(length);
}

/** Discards a response that came too late; an unread stream would keep its connection. */
function discardBody(response: EncodedResponse): void {
  if (typeof response !== 'string' && !ArrayBuffer.isView(response[1])) native.httpBodyCancel(response[1]);
}

/** @internal The methods that everybody knows. */
export const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
]);

/** @internal The method of a request: those everybody knows in upper case, others as they are. */
export function methodOf({ method, body }: Pick<HttpRequest, 'method' | 'body'>): string {
  if (method === undefined) return body === undefined || body === null ? 'GET' : 'POST';
  if (typeof method !== 'string') throw invalidTypeRedacted('request.method', 'a string', method);
  const known = method.toUpperCase();
  return METHODS.has(known) ? known : method;
}

function checkMethod(method: string): string {
  if (!/\s/.test(method)) return method;
  throw invalidValue('request.method must not contain white space');
}

/** As the URL standard has it: tabs and line breaks are not part of a URL. A line break would begin a header. */
function stripLineBreaks(url: string): string {
  return /[\t\r\n]/.test(url) ? url.replace(/[\t\r\n]/g, '') : url;
}

export { HTTPResponse };
