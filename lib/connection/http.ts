import { CALL_OPTIONS, type CallOptions } from '../runtime/native-call';
import { toMoorlineError, MoorlineError } from '../runtime/error';
import { performance, type URL } from '../runtime/node';
import { HTTPResponse, prepareRequest, type PreparedRequest } from '../http/transport';
import { defectiveAttempt, firstAttempt, isAnswer, PolicyTransport, type FirstAttempt } from '../http/policy-transport';
import { isReadOnce } from '../http/body';
import { checkOptions } from '../runtime/known-options';
import { native } from '../runtime/native';
import { isAborted, type Lifetime } from '../runtime/abort';
import { isOpen } from './overrides';
import type { CallRecord } from './call-record';
import { BaseConnection } from './base';
import { checkCustomOptions, handleOf, requireUrl, type ConnectionConfig } from './config/config';
import { Fallback } from './recovery/fallback';
import { isUnreachable, StatusError } from './error';
import { commonHeaders } from './config/headers';
import { ConnectionType } from './model';
import { BaseUrl } from './requests/base-url';
import {
  checkRequest,
  type ConnectionRequest,
  isRepeatable,
  isRequest,
  hasOnlyHeadAndBody,
  mergeHeaders,
  settingsOf,
} from './requests/request';

export type { ConnectionRequest } from './requests/request';

/** One call of `request`, `send` or `receive`. */
interface RequestCall {
  request: ConnectionRequest;
  callRecord: CallRecord;
  /** Nothing is sent any more after the `disconnect` that ends it. */
  lifetime: Lifetime;
  startedAt: number;
  signal?: AbortSignal | undefined;
  /** The attempt that the addon has made already, until it is taken over. */
  first?: FirstAttempt | undefined;
}

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
  readonly #fallback: Fallback<HTTPConnection>;
  #transport: PolicyTransport | undefined;
  #baseUrl: BaseUrl | undefined;

  /** @throws TypeError `HTTP connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.HTTP);
    requireUrl(this.config, 'HTTP');
    checkCustomOptions(this, HTTPConnection, ConnectionType.HTTP);
    this.#fallback = new Fallback(this as HTTPConnection, HTTPConnection.#isReachable);
  }

  override send(request: SentRequest<RequestMethod | Lowercase<RequestMethod>>): Promise<HTTPResponse | null>;
  override send(request: SentRequest<string>): Promise<HTTPResponse | boolean | null>;
  override send<Data>(data: NoRequest<Data>): Promise<boolean>;
  override async send(data: unknown): Promise<HTTPResponse | boolean | null> {
    if (isRequest(data)) return this.recordOutcome('send', (callRecord) => this.#request(data, callRecord), null);
    return this.recordOutcome('send', (callRecord) => this.#post(data, callRecord), false);
  }

  /** Whether the server accepted `data`. Refused credentials were reported already; any other refusal is an error. */
  async #post(data: unknown, callRecord: CallRecord): Promise<boolean> {
    const { ok, status } = await this.#request({ method: 'POST', body: data }, callRecord);
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
    checkOptions('options', options, CALL_OPTIONS);
    const signal = options?.signal;
    const { lifetime } = this;
    const startedAt = performance.now();
    const prepared = signal ? undefined : this.#prepare(request);
    let first: FirstAttempt | undefined;
    if (prepared) {
      try {
        const begun = this.#open().begin(prepared);
        // Why one is not admitted is read before anything is awaited: the next call replaces it.
        const outcome = begun && (await begun);
        if (isAnswer(outcome)) {
          this.reportOutcome(true, this.isObserved ? performance.now() - startedAt : undefined);
          return new HTTPResponse(outcome, prepared.url);
        }
        first = firstAttempt(outcome, prepared.url);
      } catch (rejection) {
        first = defectiveAttempt(rejection);
      }
    }
    let thrown: { error: unknown } | undefined;
    const call = (callRecord: CallRecord) =>
      this.#send({ request, callRecord, lifetime, startedAt, signal, first }).catch((error: unknown) => {
        thrown = { error };
        throw error;
      });
    const begun = { lifetime, callRecord: this.beginCall(startedAt) };
    const response = await this.recordOutcome('request', call, null, signal, begun);
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
    return this.recordOutcome('receive', (callRecord) => this.#receive(callRecord), null);
  }

  protected override receiveImpl(): Promise<unknown> {
    return this.#receive(this.beginCall());
  }

  async #receive(callRecord: CallRecord): Promise<unknown> {
    const response = await this.#request({ method: 'GET' }, callRecord);
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
    return this.#probe(this.#fallback.currentUrl, signal);
  }

  static async #isReachable(connection: HTTPConnection, url: string, signal: AbortSignal): Promise<boolean> {
    return (await connection.#probe(url, signal)).isHealthy;
  }

  /** Whether it answers before `signal` is aborted. The caller sets the time limit. */
  async #probe(url: string, signal: AbortSignal): Promise<{ isHealthy: boolean; status: number }> {
    const headers = await commonHeaders(this.config, [signal]);
    const settings = { timeoutMs: Infinity, attemptTimeoutMs: Infinity };
    const request = { method: 'HEAD', url, headers, settings };
    const { status } = await this.#open().request(request, { signal });
    return { isHealthy: !native.httpIsServerError(status), status };
  }

  #request(request: ConnectionRequest, callRecord: CallRecord): Promise<HTTPResponse> {
    return this.#send({ request, callRecord, lifetime: this.lifetime, startedAt: performance.now() });
  }

  async #send(call: RequestCall): Promise<HTTPResponse> {
    const { request, callRecord } = call;
    checkRequest(request);
    let statusError: StatusError | undefined;
    // A streamed response that is not returned would keep its connection.
    const discardResponse = () => request.stream === true && statusError?.response.stream.cancel();
    const attempt = async () => {
      discardResponse();
      try {
        return await this.#attempt(call);
      } catch (error) {
        statusError = error instanceof StatusError ? error : undefined;
        throw error;
      }
    };
    try {
      return await this.#sendWithFallback(call, attempt);
    } catch (error) {
      if (error instanceof StatusError) {
        callRecord.isServiceFailure = error.blamesService;
        return error.response;
      }
      discardResponse();
      throw error;
    }
  }

  /** The answer of the first address, or of the other one where that cannot be had and a repeat is safe. */
  async #sendWithFallback(call: RequestCall, attempt: () => Promise<HTTPResponse>): Promise<HTTPResponse> {
    const { request } = call;
    if (!call.first && this.#fallback.active) return attempt();
    try {
      return await this.#runUnderPolicy(call, attempt);
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      this.#fallback.activate(String(error));
      const isUnsent = (error as MoorlineError).delivery === 'none' && !isReadOnce(request.body);
      if (!this.#fallback.active || !(isUnsent || isRepeatable(request))) throw error;
      return attempt();
    }
  }

  #runUnderPolicy({ request, first, signal, lifetime }: RequestCall, attempt: () => Promise<HTTPResponse>) {
    if (!first) return this.connectionPolicies.run(attempt, signal, request.timeoutMs);
    return first.id === undefined ? attempt() : this.connectionPolicies.runAdmitted(attempt, first.id, lifetime);
  }

  /** Sends it once. */
  async #attempt(call: RequestCall): Promise<HTTPResponse> {
    const { request, callRecord, lifetime, signal } = call;
    const exchange = this.#takeFirst(call) ?? (await this.#exchangeOf(call));
    let response: HTTPResponse;
    try {
      response = await exchange();
      callRecord.recordResponse(response.status);
    } catch (error) {
      callRecord.recordFailure(error instanceof MoorlineError && !lifetime.aborted && !isAborted(signal));
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

  /** Gives the response of the attempt that the addon has made already. */
  #takeFirst(call: RequestCall): (() => HTTPResponse) | undefined {
    const take = call.first?.take;
    if (!take) return undefined;
    call.first!.take = undefined;
    call.callRecord.beginAttempt(call.startedAt);
    return take;
  }

  /** Prepares an attempt; what it returns sends the request. */
  async #exchangeOf(call: RequestCall): Promise<() => Promise<HTTPResponse>> {
    const { request, callRecord, lifetime, startedAt, signal } = call;
    // Nothing is sent any more for a call from before the last `disconnect`.
    lifetime.throwIfAborted();
    let common = commonHeaders(this.config, signal ? [lifetime, signal] : [lifetime]);
    if (common instanceof Promise) {
      common = await common;
      lifetime.throwIfAborted();
    }
    const { method, query, body, stream } = request;
    const settings = settingsOf(request, startedAt);
    const sent = { method, query, body, stream, settings, ...this.#resolveTarget(request, common) };
    callRecord.beginAttempt();
    return () => this.#open().request(sent, { signal });
  }

  /** A request as it is sent, where it needs nothing but that; what is wrong with any other is found on its way. */
  #prepare(request: ConnectionRequest): PreparedRequest | undefined {
    const { customHeaders } = this.config;
    if (this.#fallback.active || typeof customHeaders === 'function' || !hasOnlyHeadAndBody(request)) return undefined;
    try {
      const { method, query, body } = request;
      const common = commonHeaders(this.config, []) as Record<string, string>;
      return prepareRequest({ method, query, body, ...this.#resolveTarget(request, common) });
    } catch {
      return undefined;
    }
  }

  #open(): PolicyTransport {
    if (this.#transport) return this.#transport;
    const { monitoring, name } = this.config;
    const [{ handle }, tracker] = [this.connectionPolicies, this.connectionTracker];
    this.#transport = new PolicyTransport(handle, tracker, monitoring ? name : undefined, handleOf(this.config));
    return this.#transport;
  }

  /** The full URL and all headers of a request. */
  #resolveTarget({ url: path, headers }: ConnectionRequest, common: Record<string, string>) {
    const base = this.#fallback.currentUrl;
    if (this.#baseUrl?.url !== base) this.#baseUrl = new BaseUrl(base);
    const { url, isSameOrigin } = this.#baseUrl.resolve(path);
    return { url, headers: mergeHeaders(common, headers, isSameOrigin) };
  }
}
