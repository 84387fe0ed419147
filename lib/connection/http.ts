import { CALL, type CallOptions } from '../runtime/native-call';
import { toMoorlineError, MoorlineError } from '../runtime/error';
import { performance, URL } from '../runtime/node';
import {
  type HttpCallSettings,
  type HttpRequest,
  type HTTPResponse,
  HttpTransport,
  METHODS,
  methodOf,
} from '../http/transport';
import { isReadOnce } from '../http/body';
import { headerPairs } from '../http/headers';
import { joinUrl, urlText } from '../http/url';
import { invalidValue, wrongType } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import { isAborted } from '../runtime/abort';
import { isOpen } from './overrides';
import type { Attempts } from './recovery/attempts';
import { BaseConnection } from './base';
import { checkCustomOptions, handleOf, requireUrl, type ConnectionConfig } from './config/config';
import { Fallback } from './recovery/fallback';
import { isUnreachable, StatusError } from './error';
import { commonHeaders } from './config/headers';
import { ConnectionType } from './model';

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

const REQUEST: KnownOptions<ConnectionRequest> = {
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

/** The methods that make a value with a `url` a request. */
type RequestMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'TRACE';
type SentRequest<Method> = ConnectionRequest & { method: Method; url: string | URL };
/** Data, which a value with a method and a URL is not: that one has keys of a request only. */
type NoRequest<Data> = Data extends { method: string; url: string | URL } ? SentRequest<string> : Data;

/**
 * An HTTP client for one service: it reuses sockets, and retries requests that are safe to repeat.
 *
 * `connect` only marks the connection as ready. `send` takes a request, which is a value with an HTTP method in `method` and
 * a `url`, and returns the {@link HTTPResponse} whatever its status, or `null` when there was no response. Any other value is
 * sent with POST, and `send` returns whether the status was between 200 and 299. `request` rejects instead.
 *
 * @example
 * ```ts
 * import { HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com', timeout: 5000, retryCount: 2 });
 * await service.connect();
 * console.log(await service.send({ order: 7 })); // true
 * console.log(await service.receive()); // { id: 7, name: 'Ada' }
 * await service.disconnect();
 * ```
 */
export class HTTPConnection extends BaseConnection {
  readonly #fallback: Fallback;
  #transport: HttpTransport | undefined;

  /** @throws TypeError `HTTP connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.HTTP);
    requireUrl(this.config, 'HTTP');
    checkCustomOptions(this, HTTPConnection, ConnectionType.HTTP);
    const probe = async (url: string, signal: AbortSignal) => (await this.#probe(url, signal)).isHealthy;
    this.#fallback = new Fallback(this.connectionId, this.config, probe, (event, options) =>
      this.emitEvent(event, options),
    );
  }

  override send(request: SentRequest<RequestMethod | Lowercase<RequestMethod>>): Promise<HTTPResponse | null>;
  override send(request: SentRequest<string>): Promise<HTTPResponse | boolean | null>;
  override send<Data>(data: NoRequest<Data>): Promise<boolean>;
  override async send(data: unknown): Promise<HTTPResponse | boolean | null> {
    if (isRequest(data)) return this.recordOutcome('send', (attempts) => this.#request(data, attempts), null);
    return this.recordOutcome('send', (attempts) => this.#post(data, attempts), false);
  }

  /** Whether the server accepted `data`. Refused credentials were reported already; any other refusal is an error. */
  async #post(data: unknown, attempts: Attempts): Promise<boolean> {
    const { ok, status } = await this.#request({ method: 'POST', body: data }, attempts);
    if (ok || native.httpRefusesCredentials(status)) return ok;
    throw toMoorlineError(native.httpRejection(status));
  }

  /**
   * Sends a request and returns the response, whatever its status. Aborting `signal` rejects with its reason.
   *
   * @throws MoorlineError when there was no response: its `detail` holds the `phase`, and whether anything was written.
   *
   * @example
   * ```ts
   * import { HTTPConnection } from 'moorline';
   *
   * const service = new HTTPConnection({ url: 'https://api.example.com' });
   * const response = await service.request({ method: 'POST', url: '/orders', body: { id: 7 } });
   * console.log(response.status, response.data); // 200 { id: 7, name: 'Ada' }
   * await service.disconnect();
   * ```
   */
  async request(request: ConnectionRequest, options?: CallOptions): Promise<HTTPResponse> {
    checkOptions('options', options, CALL);
    let thrown: { error: unknown } | undefined;
    const call = (attempts: Attempts) =>
      this.#request(request, attempts, options?.signal).catch((error: unknown) => {
        thrown = { error };
        throw error;
      });
    const response = await this.recordOutcome('request', call, null, options?.signal);
    if (response) return response;
    // The caller's frames, which the policy in between has cut off.
    if (thrown?.error instanceof MoorlineError) Error.captureStackTrace(thrown.error);
    throw thrown?.error;
  }

  /**
   * Requests the connection's URL with GET and returns the body: parsed JSON, other text as `{ text }`, or `null` when there
   * was no response. JSON that cannot be parsed is returned as text, with an `error` event.
   */
  override async receive(): Promise<any> {
    const { lifetime } = this;
    if (!(await isOpen(this)) || lifetime.aborted) return null;
    // The request has the breaker around it, and may go to `fallbackUrl` when that is open.
    return this.recordOutcome('receive', (attempts) => this.#receive(attempts), null);
  }

  protected override receiveImpl(): Promise<unknown> {
    return this.#receive(this.beginCall());
  }

  async #receive(attempts: Attempts): Promise<unknown> {
    const response = await this.#request({ method: 'GET' }, attempts);
    let data: unknown;
    try {
      data = response.data;
    } catch (error) {
      // It came, and only its reader can tell what it is worth.
      this.reportFailure(error, 'receive');
      data = response.text();
    }
    return typeof data === 'string' ? { text: data } : (data ?? null);
  }

  /** @internal */
  protected override get hasTransport(): boolean {
    return true;
  }

  /** @internal */
  override fallBack(reason: string): void {
    this.#fallback.activate(reason);
  }

  /** Not used: this class overrides `send`. */
  protected override sendImpl(data: unknown): Promise<unknown> {
    return this.send(data);
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#fallback.reset();
    this.#transport?.close();
    this.#transport = undefined;
    return true;
  }

  protected override healthCheckImpl(_timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>> {
    return this.#probe(this.#fallback.url, signal);
  }

  /** Whether it answers before `signal` is aborted. The caller sets the time limit. */
  async #probe(url: string, signal: AbortSignal): Promise<{ isHealthy: boolean; status: number }> {
    const headers = await commonHeaders(this.config, [signal]);
    const settings = { timeoutMs: Infinity, attemptTimeoutMs: Infinity };
    const request = { method: 'HEAD', url, headers, settings };
    const { status } = await this.#open().request(request, { signal });
    return { isHealthy: !native.httpIsServerError(status), status };
  }

  async #request(request: ConnectionRequest, attempts: Attempts, signal?: AbortSignal): Promise<HTTPResponse> {
    if (request === undefined) throw wrongType('request', 'a plain object', request);
    checkOptions('request', request, REQUEST, HINTS);
    const { lifetime } = this;
    const started = performance.now();
    let statusError: StatusError | undefined;
    // A streamed response that is not returned would keep its connection.
    const discardResponse = () => request.stream === true && statusError?.response.stream.cancel();
    const attempt = async () => {
      discardResponse();
      try {
        return await this.#attempt(request, started, attempts, lifetime, signal);
      } catch (error) {
        statusError = error instanceof StatusError ? error : undefined;
        throw error;
      }
    };
    try {
      return await (this.#fallback.active ? attempt() : this.#sendWithFallback(request, attempt, signal));
    } catch (error) {
      if (error instanceof StatusError) {
        attempts.isServiceFailure = error.blamesService;
        return error.response;
      }
      discardResponse();
      throw error;
    }
  }

  /** The answer of the first address, or of the other one where that cannot be had and a repeat is safe. */
  async #sendWithFallback(
    request: ConnectionRequest,
    attempt: () => Promise<HTTPResponse>,
    signal?: AbortSignal,
  ): Promise<HTTPResponse> {
    try {
      return await this.run(attempt, signal, request.timeoutMs);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      this.#fallback.activate(String(error));
      const isUnsent = (error as MoorlineError).delivery === 'none' && !isReadOnce(request.body);
      if (!this.#fallback.active || !(isUnsent || isRepeatable(request))) throw error;
      return attempt();
    }
  }

  /** Sends it once. */
  async #attempt(
    request: ConnectionRequest,
    started: number,
    attempts: Attempts,
    lifetime: AbortSignal,
    signal?: AbortSignal,
  ): Promise<HTTPResponse> {
    // Nothing is sent any more for a call from before the last `disconnect`.
    lifetime.throwIfAborted();
    let common = commonHeaders(this.config, signal ? [lifetime, signal] : [lifetime]);
    if (common instanceof Promise) {
      common = await common;
      lifetime.throwIfAborted();
    }
    const { method, query, body, stream } = request;
    const settings = settingsOf(request, started);
    const sent = { method, query, body, stream, settings, ...this.#address(request.url, request.headers, common) };
    let response: HTTPResponse;
    attempts.begin();
    try {
      response = await this.#open().request(sent, { signal });
      attempts.recordResponse(response.status);
    } catch (error) {
      attempts.recordFailure(error instanceof MoorlineError && !lifetime.aborted && !isAborted(signal));
      // Part of it may have been read already.
      if (error instanceof MoorlineError && isReadOnce(request.body)) Reflect.set(error, 'retryable', false);
      throw error;
    }
    // These are never failures: asking the addon would cost every call.
    if (response.status < 400) return response;
    if (native.httpRefusesCredentials(response.status)) this.reportUnauthorized(response.status);
    StatusError.check(response, isRepeatable(request));
    return response;
  }

  #open(): HttpTransport {
    if (this.#transport) return this.#transport;
    const { monitoring, name } = this.config;
    this.#transport = new HttpTransport({}, monitoring ? name : undefined, handleOf(this.config));
    return this.#transport;
  }

  /** The full URL and all headers of a request. */
  #address(path: string | URL | undefined, headers: HttpRequest['headers'], common: Record<string, string>) {
    const base = this.#fallback.url;
    const url = path === undefined ? base : joinUrl(base, urlText(path));
    // Node's own error would show it, with what it holds.
    if (!URL.canParse(url)) throw invalidValue('request.url must be an http:// or https:// URL');
    const isSameOrigin = new URL(url).origin === new URL(base).origin;
    const pairs = Object.entries(common);
    const sent = isSameOrigin ? pairs : pairs.filter(([name]) => native.isHarmlessHeader(name));
    const given = headerPairs(headers);
    const overridden = new Set(given.map(([name]) => name.toLowerCase()));
    return { url, headers: [...sent.filter(([name]) => !overridden.has(name.toLowerCase())), ...given] };
  }
}

/** Whether a value is a request; one without a URL, or with another protocol's method, is data to be sent. */
function isRequest(data: unknown): data is ConnectionRequest & { method: string } {
  try {
    const { method, url } = (data ?? {}) as { method?: unknown; url?: unknown };
    return typeof method === 'string' && METHODS.has(method.toUpperCase()) && url !== undefined;
  } catch {
    // What cannot be read cannot be sent either, and sending it says so.
    return false;
  }
}

/** The settings of an attempt that differ from those of its connection; none, as a rule. */
function settingsOf(request: ConnectionRequest, started: number): HttpCallSettings | undefined {
  const given = SETTING_KEYS.filter((key) => request[key] !== undefined);
  const { timeoutMs } = request;
  if (given.length === 0 && timeoutMs === undefined) return undefined;
  const settings: HttpCallSettings = Object.fromEntries(given.map((key) => [key, request[key]]));
  return timeoutMs === undefined ? settings : { ...settings, timeoutMs, spentMs: performance.now() - started };
}

/** Whether it may be sent twice. */
function isRepeatable(request: ConnectionRequest): boolean {
  if (isReadOnce(request.body)) return false;
  const names = headerPairs(request.headers).map(([name]) => name);
  return native.httpIsIdempotent(methodOf(request), names);
}
