import type { IncomingMessage } from 'node:http';

import { Buffer, clearTimeout } from '../runtime/node';
import { asBytes } from '../runtime/shape';
import { outOfRange, invalidTypeRedacted } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { log } from '../runtime/logger';
import { messageOf, stackOf } from '../runtime/error-message';
import { startTimer } from '../runtime/timers';
import {
  asDuplicate,
  type Verification,
  verifyWithoutStore,
  type RequestVerificationResult,
  storeOf,
  type WebhookVerifier,
} from './verifier';
import { claim, type Claim } from './claim';
import type { WebhookHeaders, WebhookRequest } from './request';
import { DEFAULTS } from './defaults';

/** A Fetch `Request`, as used by Hono, Next and edge runtimes. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}

/** Options of {@link webhookMiddleware} and of {@link receiveWebhook}. */
export interface ReceiveOptions {
  /** The largest body that is read, in bytes. Default: 10 MiB. */
  limitBytes?: number | undefined;
  /** How long the whole body may take to arrive, in milliseconds. Default: 10 000; `Infinity`: as long as it likes. */
  timeoutMs?: number | undefined;
  /**
   * The URL that the sender signed, where a proxy turns it into another path or query. Default: what the request says, on
   * the origin of the verifier's `url`, or that `url` itself.
   */
  url?: string | undefined;
  /** The status for a request that was handled before, by the verifier's `replayStore`. Default: 200. */
  duplicateStatus?: number | undefined;
  /**
   * How long a request that is being handled is kept from being handled a second time, in case the process ends before it
   * is done, in milliseconds. Default: 300 000.
   */
  claimMs?: number | undefined;
  /**
   * How long the verifier's `replayStore` may take for each answer, in milliseconds; then the request is answered with 503,
   * and the sender asks again. Default: 5000; `Infinity`: as long as it likes.
   */
  replayStoreTimeoutMs?: number | undefined;
}

/** Options of {@link receiveWebhook}. */
export interface ReceiveAndHandleOptions extends ReceiveOptions {
  /**
   * Handles a genuine webhook that was not handled before. When it has succeeded the verifier's `replayStore` remembers the
   * webhook; what it throws or rejects with is logged and stands in `error`, and the sender's retry is handled.
   * Default: the webhook is remembered at once, and handling it is up to the caller.
   */
  handle?: ((webhook: ReceivedWebhook) => unknown) | undefined;
}

/** A received webhook: the result of the verification, and the raw body. */
export interface ReceivedWebhook extends RequestVerificationResult {
  /** The raw body, not parsed. */
  body: Buffer;
  /**
   * The HTTP status to answer with: 200 for a genuine webhook and for a duplicate of one that was handled, 409 for a duplicate
   * of one that is being handled, 413 for a body above the limit, 500 if a body parser ran before or the handler failed, 503
   * if the replay store failed or did not answer in time, else 401.
   */
  status: number;
  /** The JSON to answer with, where the provider only verifies the ownership of the endpoint. */
  challenge?: Record<string, unknown>;
  /** The error of `handle` or of the replay store; its code is `ETIMEDOUT` if the store did not answer in time. */
  error?: unknown;
}

/** Why a body cannot be had, and the status that says so. */
interface Refusal {
  status: number;
  reason: string;
}

/** @internal Options with their defaults. */
export interface ReceiveConfig {
  limitBytes: number;
  timeoutMs: number;
  duplicateStatus: number;
  claimMs: number;
  replayStoreTimeoutMs: number;
  url: string | undefined;
}

const RECEIVE_OPTIONS: KnownOptions<ReceiveOptions> = {
  limitBytes: true,
  timeoutMs: true,
  url: true,
  duplicateStatus: true,
  claimMs: true,
  replayStoreTimeoutMs: true,
};

const REQUEST = 'a request of node:http or Fetch';

type NodeRequest = IncomingMessage & { body?: unknown; rawBody?: unknown; originalUrl?: string };

/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, verifies it, calls `handle` once for a genuine
 * webhook, and returns the result. `valid` is false for a request that is forged, too large, too slow or incomplete; neither
 * such a request nor an error of `handle` rejects the promise.
 *
 * Call it before any body parser. The body that `express.raw()` read, or a `rawBody`, is used as it is.
 *
 * @example
 * ```ts
 * import { receiveWebhook, WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret' });
 * const body = '{"event":"paid"}';
 * const headers = verifier.signRequest({ body });
 * const request = new Request('https://shop.example.com/webhook', { method: 'POST', headers, body });
 * const { valid, status } = await receiveWebhook(verifier, request, {
 *   handle: (webhook) => console.log(JSON.parse(webhook.body.toString())), // { event: 'paid' }
 * });
 * console.log(valid, status); // true 200
 * ```
 *
 * @throws TypeError, RangeError for a verifier, a request or an option that is not valid.
 */
export async function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options: ReceiveAndHandleOptions = {},
): Promise<ReceivedWebhook> {
  checkVerifier(verifier);
  if (typeof request !== 'object' || request === null) throw invalidTypeRedacted('request', REQUEST, request);
  checkOptions('options', options, { ...RECEIVE_OPTIONS, handle: true });
  const { handle, ...rest } = options;
  if (handle !== undefined && typeof handle !== 'function')
    throw invalidTypeRedacted('options.handle', 'a function', handle);
  const config = readReceiveOptions(rest);
  const { webhook, claim } = await receive(verifier, request, config, handle ? config.claimMs : undefined);
  if (!handle || !webhook.valid || webhook.challenge) return webhook;
  try {
    await handle(webhook);
  } catch (error) {
    logHandlerFailure(webhook, error);
    await claim?.release();
    return { ...webhook, status: 500, error };
  }
  await claim?.confirm();
  return webhook;
}

/** @internal Logs what a handler threw. */
export function logHandlerFailure({ id = 'webhook', scheme }: ReceivedWebhook, thrown: unknown): void {
  log('error', 'webhook.handler-failed', id, () => ({ scheme, error: messageOf(thrown), stack: stackOf(thrown) }));
}

/** @internal Refuses what is no verifier: a secret alone, say. */
export function checkVerifier(verifier: WebhookVerifier): void {
  const { verifyRequest, challenge } = (verifier ?? {}) as Partial<WebhookVerifier>;
  if (typeof verifyRequest !== 'function' || typeof challenge !== 'function')
    throw invalidTypeRedacted('verifier', 'a WebhookVerifier', verifier);
}

/** @internal */
export function readReceiveOptions(options: ReceiveOptions = {}): ReceiveConfig {
  checkOptions('options', options, RECEIVE_OPTIONS);
  const {
    limitBytes = DEFAULTS.limitBytes,
    timeoutMs = DEFAULTS.timeoutMs,
    duplicateStatus = DEFAULTS.duplicateStatus,
    claimMs = DEFAULTS.claimMs,
    replayStoreTimeoutMs = DEFAULTS.replayStoreTimeoutMs,
    url,
  } = options;
  for (const [name, value] of Object.entries({ limitBytes, timeoutMs, replayStoreTimeoutMs })) {
    if (typeof value !== 'number' || !(value > 0)) throw outOfRange(`options.${name}`, 'a number > 0', value);
  }
  if (!Number.isFinite(claimMs) || claimMs <= 0) throw outOfRange('options.claimMs', 'a finite number > 0', claimMs);
  if (!Number.isInteger(duplicateStatus) || duplicateStatus < 200 || duplicateStatus > 599) {
    throw outOfRange('options.duplicateStatus', 'a status from 200 to 599', duplicateStatus);
  }
  if (url !== undefined && typeof url !== 'string') throw invalidTypeRedacted('options.url', 'a string', url);
  return { limitBytes, timeoutMs, duplicateStatus, claimMs, replayStoreTimeoutMs, url };
}

/** @internal A received webhook, and the claim on it where it is to be handled; without `claimMs` none is made. */
export async function receive(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  config: ReceiveConfig,
  claimMs: number | undefined,
): Promise<{ webhook: ReceivedWebhook; claim?: Claim }> {
  const body = await ('bodyUsed' in request ? fetchedBody(request, config) : nodeBody(request, config));
  if (!Buffer.isBuffer(body)) {
    const reason = `Verification error: ${body.reason}`;
    const webhook = { valid: false, reason, scheme: undefined, body: Buffer.alloc(0), status: body.status };
    return { webhook };
  }
  const { method } = request;
  const url = config.url ?? urlOf(verifier, request);
  const received: WebhookRequest = { headers: request.headers as WebhookHeaders, body, method, url };
  const store = storeOf(verifier);
  const { replayableForMs = 0, ...result }: Verification = store
    ? verifyWithoutStore(verifier, received)
    : verifier.verifyRequest(received);
  if (!result.valid) return { webhook: { ...result, body, status: 401 } };
  const webhook = { ...result, body, status: 200 };
  const challenge = verifier.challenge(received);
  if (challenge) return { webhook: { ...webhook, challenge } };
  if (!store || result.replayKey === undefined) return { webhook };
  try {
    const times = { ttlMs: replayableForMs, claimMs, timeoutMs: config.replayStoreTimeoutMs };
    const outcome = await claim(store, result.replayKey, times);
    if (typeof outcome !== 'string') return { webhook, claim: outcome };
    const isHandled = outcome === 'handled';
    const reason = isHandled ? 'this request was accepted before' : 'this request is being handled';
    const status = isHandled ? config.duplicateStatus : 409;
    return { webhook: { ...asDuplicate(result, reason), body, status } };
  } catch (error) {
    const reason = `Verification error: the replay store failed: ${messageOf(error)}`;
    return { webhook: { ...webhook, valid: false, reason, status: 503, error } };
  }
}

/**
 * Path and query of a request; of a Fetch request the whole URL, where the verifier has none. Behind a proxy a server sees its
 * own origin, and the verifier's `url` has the public one. The origin that a request of Node.js may have is its sender's choice.
 */
function urlOf(verifier: WebhookVerifier, request: NodeRequest | FetchRequest): string | undefined {
  const isFetchRequest = 'bodyUsed' in request;
  const url = isFetchRequest ? request.url : (request.originalUrl ?? request.url);
  if (url === undefined || (isFetchRequest && verifier.url === undefined)) return url;
  const path = url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '');
  return path.startsWith('/') ? path : `/${path}`;
}

/** The raw body of a Fetch request, or the reason why it cannot be had. */
async function fetchedBody(request: FetchRequest, config: ReceiveConfig): Promise<Buffer | Refusal> {
  if (request.bodyUsed)
    return { status: 500, reason: 'the body was already read: call receiveWebhook before reading it' };
  const { body } = request;
  if (!body) return Buffer.alloc(0);
  if (typeof body[Symbol.asyncIterator] !== 'function')
    throw invalidTypeRedacted('request.body', 'a stream of bytes', body);
  return collect(body, config);
}

/** The raw body of a Node request, or the reason why it cannot be had. */
async function nodeBody(request: NodeRequest, config: ReceiveConfig): Promise<Buffer | Refusal> {
  for (const body of [request.rawBody, request.body]) {
    if (typeof body === 'string') return Buffer.from(body);
    if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  }
  if (request.readableEnded || request.readableDidRead) {
    const reason =
      'a body parser has read the body already: on this route use express.raw({ type: "*/*" }) in place of ' +
      'express.json(), or mount the webhook before the parser';
    return { status: 500, reason };
  }
  if (typeof request.iterator !== 'function') throw invalidTypeRedacted('request', REQUEST, request);
  const body = await collect(request.iterator({ destroyOnReturn: false }), config);
  // What is left is read and thrown away, so that the answer can still be sent.
  if (!Buffer.isBuffer(body)) request.resume();
  return body;
}

const DECODED_BODY =
  'the body was decoded to text already, and its bytes are not known: receive it before setEncoding() or a decoder';

/** All of a body, within its bounds. */
async function collect(
  chunks: AsyncIterable<unknown>,
  { limitBytes, timeoutMs }: ReceiveConfig,
): Promise<Buffer | Refusal> {
  let collected: Uint8Array[] | undefined = [];
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<Refusal>((resolve) => {
    if (timeoutMs === Infinity) return;
    const reason = `the body did not arrive within ${timeoutMs}ms`;
    timer = startTimer(() => resolve({ status: 401, reason }), timeoutMs);
  });
  const read = async (): Promise<Buffer | Refusal> => {
    let length = 0;
    try {
      for await (const given of chunks) {
        const chunk = asBytes(given);
        if (!chunk) return { status: 500, reason: DECODED_BODY };
        length += chunk.length;
        if (length > limitBytes) return { status: 413, reason: `the body is larger than ${limitBytes} bytes` };
        // Too late: leaving the loop gives the stream back.
        if (!collected) break;
        collected.push(chunk);
      }
    } catch (error) {
      return { status: 401, reason: `the sender closed the connection: ${messageOf(error)}` };
    }
    return Buffer.concat(collected ?? []);
  };
  try {
    return await Promise.race([read(), timedOut]);
  } finally {
    clearTimeout(timer);
    collected = undefined;
  }
}
