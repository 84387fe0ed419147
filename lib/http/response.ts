import { inspect, type InspectOptions } from 'node:util';

import { failure } from '../runtime/error';
import { Buffer, http, TextDecoder, URL } from '../runtime/node';
import { findHeader, parseHeaders, type ResponseHeaders } from './headers';
import { BodyStream, type BodyUpload } from './stream';
import { withoutLogin } from './url';
import { invalidState } from '../runtime/argument-error';
import { type Handle, type HttpBodyReader, native } from '../runtime/native';

/** @internal As the addon hands it over: head and textual body in one string, or the head and the body's bytes, or its reader. */
export type EncodedResponse = string | [head: string, body: Uint8Array | Handle<HttpBodyReader>];

const STATUS_DIGITS = 3;
const PREFIX = 10;
/** The pseudo-header with the URL after redirects. */
const REDIRECTED = ':url:';

/**
 * The response to an HTTP request, whatever its status. Headers and body are parsed when they are first read. Printed or
 * converted to JSON, it shows its status and its URL without the query.
 *
 * @example
 * ```ts
 * import { HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com' });
 * const response = await service.request({ url: '/orders' });
 * console.log(response.status, response.headers['content-type']); // 200 application/json
 * console.log(response.json<{ name: string }>().name); // Ada
 * await service.disconnect();
 * ```
 */
export class HTTPResponse {
  /** The status code. */
  readonly status: number;
  readonly #url: string;
  readonly #head: string;
  readonly #text: string | undefined;
  readonly #bytes: Uint8Array | undefined;
  readonly #stream: BodyStream | undefined;
  #headers: ResponseHeaders | undefined;
  #data: { value: unknown } | undefined;

  /** @internal */
  constructor(encoded: EncodedResponse, requestUrl: string, signal?: AbortSignal, bodyUpload?: BodyUpload) {
    const text = typeof encoded === 'string' ? encoded : encoded[0];
    this.status = Number(text.slice(0, STATUS_DIGITS));
    let start = PREFIX;
    const end = start + Number(text.slice(STATUS_DIGITS, PREFIX));
    let url = requestUrl;
    if (text.startsWith(REDIRECTED, PREFIX)) {
      const line = text.indexOf('\n', PREFIX);
      url = text.slice(PREFIX + REDIRECTED.length, line);
      start = line + 1;
    }
    this.#url = url;
    this.#head = text.slice(start, end);
    if (typeof encoded === 'string') this.#text = text.slice(end);
    else if (ArrayBuffer.isView(encoded[1])) this.#bytes = encoded[1];
    else this.#stream = new BodyStream(encoded[1], signal, bodyUpload);
  }

  /** The URL of the response, after redirects, without user and password. */
  get url(): string {
    return withoutLogin(this.#url);
  }

  /** Whether the status is between 200 and 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  /** The standard reason phrase of the status. */
  get statusText(): string {
    return http().STATUS_CODES[this.status] ?? '';
  }

  /** The headers, with names in lower case; the values of a repeated one are joined with a comma, `set-cookie` is a list. */
  get headers(): ResponseHeaders {
    return (this.#headers ??= parseHeaders(this.#head));
  }

  /**
   * The body: parsed when its content type is JSON (`application/json`, `text/json`, `…+json`; `undefined` when it is
   * empty or blank), otherwise text.
   *
   * @throws MoorlineError when the content type is JSON and the body is not.
   */
  get data(): any {
    return (this.#data ??= { value: this.#parse() }).value;
  }

  /** Returns the body as text, decoded with the charset of its content type, else UTF-8. */
  text(): string {
    if (this.#text !== undefined) return this.#text;
    const bytes = this.bytes();
    const charset = /charset\s*=\s*"?([^\s;"]+)/i.exec(this.#contentType ?? '')?.[1];
    try {
      return new TextDecoder(charset ?? 'utf-8').decode(bytes);
    } catch {
      // An unknown charset.
      return new TextDecoder().decode(bytes);
    }
  }

  /**
   * Returns the body parsed as JSON, whatever its content type. The type `T` is not checked.
   *
   * @throws MoorlineError when the body is not JSON.
   */
  json<T = any>(): T {
    const text = this.text();
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      const detail = { status: this.status };
      const init = { service: 'http', operation: 'json', delivery: 'answered', detail } as const;
      throw failure('protocol', `the response of ${new URL(this.url).host} is not JSON`, init, cause);
    }
  }

  /** Returns the bytes of the body. */
  bytes(): Uint8Array {
    if (this.#stream) throw invalidState('the body of a streamed response is only available from response.stream');
    return this.#bytes ?? Buffer.from(this.#text ?? '');
  }

  /**
   * The body of a streamed response: an async iterable of chunks, which are read from the network on demand. A body that
   * is not read to its end must be closed, by leaving the loop or with `cancel()`.
   */
  get stream(): BodyStream {
    if (!this.#stream) throw invalidState('only the response of a request with `stream: true` has a stream');
    return this.#stream;
  }

  /** Returns the status and the URL without the query. */
  toJSON(): { status: number; url: string } {
    return { status: this.status, url: native.redactUrl(this.#url) };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.toJSON(), options)}`;
  }

  /** Without reading the other headers. */
  get #contentType(): string | undefined {
    return this.#headers ? this.#headers['content-type'] : findHeader(this.#head, 'content-type');
  }

  #parse(): unknown {
    const text = this.text();
    if (!isJson(this.#contentType)) return text;
    return text.trim() === '' ? undefined : this.json();
  }
}

/** Whether a content type is one of JSON (WHATWG MIME Sniffing, section 4.6); its parameters do not count. */
function isJson(type = ''): boolean {
  if (type === 'application/json') return true;
  const [essence = ''] = type.split(';', 1);
  return /^\s*(?:application|text)\/json\s*$|^\s*[^/\s]+\/[^/\s]+\+json\s*$/i.test(essence);
}
