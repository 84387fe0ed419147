import type { IncomingMessage, ServerResponse } from 'node:http';

import { asBytes } from './http-body';
import { outOfRange } from './invalid';
import { checkOptions } from './known-options';
import { log } from './logger';
import { messageOf } from './message';
import { onRejection } from './rejection';
import { startTimer } from './timer';
import type { RequestVerificationResult, WebhookHeaders, WebhookVerifier } from './webhook';

/** A Fetch `Request`, as Hono, Next and the edge runtimes give it. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}

/** Options of {@link receiveWebhook}. */
export interface ReceiveOptions {
  /** The largest body that is read, in bytes. Default 10 MiB. */
  limitBytes?: number | undefined;
  /** How long the whole body may take to arrive, in milliseconds. Default 10 000; `Infinity`: as long as it likes. */
  timeoutMs?: number | undefined;
}

/** A received webhook: the result, and the raw body to parse. */
export interface ReceivedWebhook extends RequestVerificationResult {
  body: Buffer;
  /** The HTTP status to answer with: 200, or 413 for a body above the limit, 500 behind a body parser, else 401. */
  status: number;
  /** What to answer as JSON, where the provider only checks who owns the endpoint. */
  challenge?: Record<string, unknown>;
}

const DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;

/** Why a body cannot be had, and the status that says so. */
interface Refusal {
  status: number;
  reason: string;
}

/** How much of a body is waited for, and for how long. */
interface Bounds {
  limitBytes: number;
  timeoutMs: number;
}

type NodeRequest = IncomingMessage & { body?: unknown; rawBody?: unknown; originalUrl?: string };

/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, and verifies it. Never rejects for what
 * the sender did – forging, sending too much, too slowly, or only half of it: then `valid` is false.
 *
 * Call it before any body parser. A body that `express.raw()` kept, or a `rawBody`, is used as it is.
 */
export async function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options?: ReceiveOptions,
): Promise<ReceivedWebhook> {
  const bounds = boundsOf(options);
  const fetched = 'bodyUsed' in request;
  const body = await (fetched ? fetchedBody(request, bounds) : nodeBody(request, bounds));
  if (!Buffer.isBuffer(body)) {
    const reason = `Verification error: ${body.reason}`;
    return { valid: false, reason, scheme: undefined, body: Buffer.alloc(0), status: body.status };
  }
  const { method } = request;
  const url = fetched ? fetchedUrl(verifier, request.url) : ((request as NodeRequest).originalUrl ?? request.url);
  const facts = { headers: request.headers as WebhookHeaders, body, method, url };
  const result = verifier.verifyRequest(facts);
  const challenge = result.valid ? verifier.challenge(facts) : undefined;
  return { ...result, body, status: result.valid ? 200 : 401, ...(challenge && { challenge }) };
}

function boundsOf(options: ReceiveOptions = {}): Bounds {
  checkOptions('options', options, { limitBytes: true, timeoutMs: true });
  const { limitBytes = DEFAULT_LIMIT_BYTES, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  for (const [name, value] of Object.entries({ limitBytes, timeoutMs })) {
    if (typeof value !== 'number' || !(value > 0)) throw outOfRange(`options.${name}`, 'a number > 0', value);
  }
  return { limitBytes, timeoutMs };
}

/** Behind a proxy a server sees its own origin; the verifier's `url` has the public one. */
function fetchedUrl(verifier: WebhookVerifier, url: string): string {
  if (verifier.url === undefined || !URL.canParse(url)) return url;
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** The raw body of a Fetch request, or the reason why it cannot be had. */
async function fetchedBody(request: FetchRequest, bounds: Bounds): Promise<Buffer | Refusal> {
  if (request.bodyUsed) return { status: 500, reason: 'the body was read already: receive the webhook first' };
  return request.body ? collect(request.body, bounds) : Buffer.alloc(0);
}

/** The raw body of a Node request, or the reason why it cannot be had. */
async function nodeBody(request: NodeRequest, bounds: Bounds): Promise<Buffer | Refusal> {
  for (const kept of [request.rawBody, request.body]) {
    if (typeof kept === 'string') return Buffer.from(kept);
    if (kept instanceof Uint8Array) return Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength);
  }
  if (request.readableEnded || request.readableDidRead) {
    const reason =
      'a body parser has read the body already: on this route use express.raw({ type: "*/*" }) in place of ' +
      'express.json(), or mount the webhook before the parser';
    return { status: 500, reason };
  }
  const body = await collect(request.iterator({ destroyOnReturn: false }), bounds);
  // What is left is read and thrown away, so that the answer can still be sent.
  if (!Buffer.isBuffer(body)) request.resume();
  return body;
}

const DECODED =
  'the body was decoded to text already, and its bytes are not known: receive the webhook before setEncoding() is called';

/** All of a body, within its bounds. */
async function collect(chunks: AsyncIterable<unknown>, { limitBytes, timeoutMs }: Bounds): Promise<Buffer | Refusal> {
  let collected: Uint8Array[] | undefined = [];
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Refusal>((resolve) => {
    if (timeoutMs === Infinity) return;
    const reason = `the body did not arrive within ${timeoutMs}ms`;
    timer = startTimer(() => resolve({ status: 401, reason }), timeoutMs);
  });
  const read = async (): Promise<Buffer | Refusal> => {
    let length = 0;
    try {
      for await (const given of chunks) {
        const chunk = asBytes(given);
        if (!chunk) return { status: 500, reason: DECODED };
        length += chunk.length;
        if (length > limitBytes) return { status: 413, reason: `the body is larger than ${limitBytes} bytes` };
        // Too late: leaving the loop gives the stream back.
        if (!collected) break;
        collected.push(chunk);
      }
    } catch (error) {
      return { status: 401, reason: `the sender went away: ${messageOf(error)}` };
    }
    return Buffer.concat(collected ?? []);
  };
  try {
    return await Promise.race([read(), late]);
  } finally {
    clearTimeout(timer);
    collected = undefined;
  }
}

/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}

/** What the middleware answers: what is wrong with the server is for its log, not for the sender. */
const ERRORS: Record<number, string> = {
  401: 'Invalid signature',
  413: 'Body too large',
  500: 'The webhook could not be read',
};

/**
 * Middleware for Express, Connect and `node:http`: lets genuine webhooks pass, with the raw body as `body` and
 * `rawBody` and the result as `webhook`; answers challenges by itself, and to all others 413 (too large), 500 (a body
 * parser came first) or 401. Mount it before any body parser.
 *
 * `next` is called once, without an argument, and only for a genuine webhook. What it throws, or rejects with, is logged
 * and answered with 500; frameworks catch that themselves. A request that somebody else has answered meanwhile is not answered again.
 *
 * @throws RangeError for an option that is out of range.
 */
export function webhookMiddleware(verifier: WebhookVerifier, options?: ReceiveOptions) {
  // A mistake is found where the middleware is mounted, and not by the first sender.
  boundsOf(options);
  return (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    const pass = () => {
      const failed = (thrown: unknown) => fail(response, thrown, 'webhook.handler-failed', 'Internal error');
      try {
        onRejection(next(), failed);
      } catch (thrown) {
        failed(thrown);
      }
    };
    receiveWebhook(verifier, request, options)
      .then((webhook) => judge(request, response, webhook))
      .then(
        (passes) => passes && pass(),
        // Never to `next`: a handler of `node:http` would not look at an error.
        (error: unknown) => fail(response, error, 'webhook.unreadable', ERRORS[500]),
      );
  };
}

/** Answers what must not pass; says whether it may. */
function judge(request: VerifiedRequest, response: ServerResponse, webhook: ReceivedWebhook): boolean {
  if (webhook.challenge) {
    answer(response, 200, webhook.challenge);
    return false;
  }
  if (webhook.valid) {
    // `_body` tells body parsers that there is nothing left to read.
    Object.assign(request, { webhook, rawBody: webhook.body, body: webhook.body, _body: true });
    return true;
  }
  const { id = 'webhook', reason, scheme } = webhook;
  log('warn', 'webhook.refused', id, () => ({ reason, scheme }));
  // Nobody waits for the rest of a body that is late.
  const isLate = webhook.status === 401 && !request.complete;
  answer(response, webhook.status, { error: ERRORS[webhook.status] }, isLate);
  return false;
}

/** Logs and answers what has failed, as nobody but us hears of it. */
function fail(response: ServerResponse, thrown: unknown, event: string, error: string | undefined): void {
  log('error', event, 'webhook', () => ({ error: messageOf(thrown) }));
  try {
    // Half an answer must not look like a whole one.
    if (response.headersSent && !response.writableEnded) response.destroy();
    else answer(response, 500, { error });
  } catch {
    // It is not the server's own, and resists: there is nothing left to be done for it.
  }
}

function answer(response: ServerResponse, status: number, body: Record<string, unknown>, close = false): void {
  // The sender went away, or somebody else was faster: a time limit, or a server that shuts down.
  if (response.destroyed || response.headersSent || response.writableEnded) return;
  response.statusCode = status;
  if (close) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}
