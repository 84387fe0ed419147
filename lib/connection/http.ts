import type { CallOptions } from '../call';
import { MoorlineError } from '../error';
import { HttpTransport, type HTTPResponse, type HttpRequest, METHODS, methodOf } from '../http';
import { invalidValue } from '../invalid';
import { native } from '../native';
import { isOpen } from './adopted';
import { BaseConnection } from './base';
import { requireUrl, type ConnectionConfig } from './config';
import { Fallback } from './fallback';
import { isUnreachable, UnhappyAnswer } from './failures';
import { ConnectionType } from './state';
import { transportOptions } from './transport';
import { traceHeaders } from './trace';

/** A request; its `url` is appended to that of the connection. */
export interface ConnectionRequest extends Omit<HttpRequest, 'url' | 'settings'> {
  /** A path below the connection's URL, or an absolute URL: another origin gets only harmless ones of `customHeaders`. */
  url?: string | URL | undefined;
  /** In place of the connection's `timeout`, in milliseconds. */
  timeoutMs?: number | undefined;
}

/**
 * An HTTP service: requests over connections that are kept, with retries where a repeat is safe.
 *
 * `connect` only marks it as ready. `send` takes either a request, a value with an HTTP method in `method`, and gives the
 * {@link HTTPResponse} whatever its status, or `null` when no answer came; or any other value, which is POSTed as
 * JSON, and gives whether the status was below 500. `request` is the form that rejects.
 */
export class HTTPConnection extends BaseConnection {
  readonly #fallback: Fallback;
  #transport: HttpTransport | undefined;

  /** @throws TypeError `HTTP connection requires a URL`; TypeError, RangeError for another option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.HTTP);
    requireUrl(this.config, 'HTTP');
    const probe = async (url: string, signal: AbortSignal) =>
      (await this.#answers(url, this.config.healthCheckTimeout, signal)).isHealthy;
    this.#fallback = new Fallback(this.connectionId, this.config, probe, (event, options) =>
      this.emitEvent(event, options),
    );
  }

  override send(request: ConnectionRequest & { method: string }): Promise<HTTPResponse | null>;
  override send(data: unknown): Promise<boolean>;
  override async send(data: unknown): Promise<HTTPResponse | boolean | null> {
    if (isRequest(data)) return this.guarded('send', () => this.#request(data), null);
    return this.guarded('send', async () => (await this.#request({ method: 'POST', body: data })).status < 500, false);
  }

  /**
   * Sends a request and gives the answer, whatever its status.
   *
   * Rejects with a {@link MoorlineError} when there was none: its `detail` tells the `phase`, and whether anything was
   * written. Aborting `signal` rejects with its reason.
   */
  async request(request: ConnectionRequest, options: CallOptions = {}): Promise<HTTPResponse> {
    let thrown: { error: unknown } | undefined;
    const call = () =>
      this.#request(request, options.signal).catch((error: unknown) => {
        thrown = { error };
        throw error;
      });
    const response = await this.guarded('request', call, null, options.signal);
    if (response) return response;
    // The caller's frames, which the policy in between has cut off.
    if (thrown?.error instanceof MoorlineError) Error.captureStackTrace(thrown.error);
    throw thrown?.error;
  }

  /** The answer to a GET of the connection's URL: JSON parsed, other text as `{ text }`; `null` when there was none. */
  override async receive(): Promise<any> {
    const { life } = this;
    if (!(await isOpen(this)) || life.aborted) return null;
    // The request has the breaker around it, and may go to `fallbackUrl` when that is open.
    return this.guarded('receive', () => this.receiveImpl(), null);
  }

  protected override async receiveImpl(): Promise<unknown> {
    const response = await this.#request({ method: 'GET' });
    const data: unknown = response.data;
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

  /** Never called: `send` is written anew. */
  protected override sendImpl(data: unknown): Promise<unknown> {
    return this.send(data);
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#fallback.reset();
    this.#transport?.close();
    this.#transport = undefined;
    return true;
  }

  protected override healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>> {
    return this.#answers(this.#fallback.url, timeoutMs, signal);
  }

  async #answers(url: string, timeoutMs: number, signal: AbortSignal): Promise<{ isHealthy: boolean; status: number }> {
    const request = { method: 'HEAD', url, headers: this.config.customHeaders, settings: { timeoutMs } };
    const { status } = await this.#open().request(request, { signal });
    return { isHealthy: status < 500, status };
  }

  async #request(request: ConnectionRequest, signal?: AbortSignal): Promise<HTTPResponse> {
    const { life } = this;
    let unhappy: UnhappyAnswer | undefined;
    // A streamed answer that nobody gets would keep its connection.
    const letGo = () => request.stream === true && unhappy?.response.stream.cancel();
    const attempt = async () => {
      letGo();
      try {
        return await this.#attempt(request, life, signal);
      } catch (error) {
        unhappy = error instanceof UnhappyAnswer ? error : undefined;
        throw error;
      }
    };
    try {
      return await (this.#fallback.active ? attempt() : this.#reach(request, attempt, signal));
    } catch (error) {
      if (error instanceof UnhappyAnswer) return error.response;
      letGo();
      throw error;
    }
  }

  /** The answer of the first address, or of the other one where that cannot be had and a repeat is safe. */
  async #reach(
    request: ConnectionRequest,
    attempt: () => Promise<HTTPResponse>,
    signal?: AbortSignal,
  ): Promise<HTTPResponse> {
    try {
      return await this.run(attempt, signal);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      this.#fallback.activate(String(error));
      const isUnsent = (error as MoorlineError).delivery === 'none' && !isStreamed(request);
      if (!this.#fallback.active || !(isUnsent || isRepeatable(request))) throw error;
      return attempt();
    }
  }

  /** Sends it once. */
  async #attempt(request: ConnectionRequest, life: AbortSignal, signal?: AbortSignal): Promise<HTTPResponse> {
    // Nothing is sent any more for a call from before the last `disconnect`.
    life.throwIfAborted();
    const { timeoutMs = this.config.timeout, url, headers, ...rest } = request;
    const sent = { ...rest, ...this.#address(url, headers), settings: { timeoutMs } };
    let response: HTTPResponse;
    try {
      response = await this.#open().request(sent, { signal });
    } catch (error) {
      // Part of it may have been read already.
      if (error instanceof MoorlineError && isStreamed(request)) Reflect.set(error, 'retryable', false);
      throw error;
    }
    if (response.status < 400) return response;
    if (native.httpRefusesCredentials(response.status)) this.refused(response.status);
    UnhappyAnswer.check(response, isRepeatable(request));
    return response;
  }

  #open(): HttpTransport {
    const { keepAlive, maxConnections, compression, timeout } = this.config;
    this.#transport ??= new HttpTransport({
      connectTimeoutMs: timeout,
      timeoutMs: timeout,
      keepAliveTimeoutMs: keepAlive,
      maxConnections,
      decompress: compression,
      ...transportOptions(this.config),
    });
    return this.#transport;
  }

  /** The full URL and all headers of a request. */
  #address(path: string | URL | undefined, headers: HttpRequest['headers']) {
    const base = this.#fallback.url;
    const url = joined(base, path);
    // Node's own error would show it, with what it holds.
    if (!URL.canParse(url)) throw invalidValue('request.url must be an http:// or https:// URL');
    const own = new URL(url).origin === new URL(base).origin;
    const common = Object.entries({ ...this.config.customHeaders, ...traceHeaders() });
    const sent = own ? common : common.filter(([name]) => native.isHarmlessHeader(name));
    const given = pairs(headers);
    const named = new Set(given.map(([name]) => name.toLowerCase()));
    return { url, headers: [...sent.filter(([name]) => !named.has(name.toLowerCase())), ...given] };
  }
}

/** Headers as a caller writes them, one by one. */
function pairs(headers: HttpRequest['headers']): [name: string, value: string][] {
  if (headers === undefined) return [];
  if (Symbol.iterator in headers) return Array.from(headers as Iterable<[string, string]>);
  return Object.entries(headers).flatMap(([name, value]) => {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value];
    return values.filter((one) => one !== undefined).map((one): [string, string] => [name, String(one)]);
  });
}

function isRequest(data: unknown): data is ConnectionRequest & { method: string } {
  const method = (data as { method?: unknown } | null | undefined)?.method;
  return typeof method === 'string' && METHODS.has(method.toUpperCase());
}

/** Whether the body comes piece by piece, and can be read only once. */
function isStreamed({ body }: ConnectionRequest): boolean {
  return typeof (body as Partial<AsyncIterable<unknown>> | undefined)?.[Symbol.asyncIterator] === 'function';
}

/** Whether it may be sent twice. */
function isRepeatable(request: ConnectionRequest): boolean {
  if (isStreamed(request)) return false;
  if (native.httpIdempotent(methodOf(request))) return true;
  return pairs(request.headers).some(([name]) => name.toLowerCase() === 'idempotency-key');
}

/** A path is appended to the base's, below its query; an absolute URL stands for itself. */
function joined(base: string, given: string | URL | undefined): string {
  if (given === undefined || given === '') return base;
  if (given instanceof URL || /^[a-z][a-z0-9+.-]*:\/\//i.test(given)) return String(given);
  const url = new URL(base);
  const at = given.indexOf('?');
  const path = at < 0 ? given : given.slice(0, at);
  if (path) url.pathname = `${url.pathname.replace(/\/$/, '')}/${path.replace(/^\//, '')}`;
  if (at >= 0) url.search = given.slice(at);
  return url.href;
}
