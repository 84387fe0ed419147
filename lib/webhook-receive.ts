import type { IncomingMessage, ServerResponse } from 'node:http';

import { log } from './logger';
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
}

/** A received webhook: the result, and the raw body to parse. */
export interface ReceivedWebhook extends RequestVerificationResult {
  body: Buffer;
  /** What to answer as JSON, where the provider only checks who owns the endpoint. */
  challenge?: Record<string, unknown>;
}

const DEFAULT_LIMIT_BYTES = 10 * 1024 * 1024;

type NodeRequest = IncomingMessage & { body?: unknown; rawBody?: unknown; originalUrl?: string };

/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, and verifies it. Never rejects for what
 * the sender did: then `valid` is false.
 *
 * Call it before any body parser. A body that `express.raw()` kept, or a `rawBody`, is used as it is.
 */
export async function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options: ReceiveOptions = {},
): Promise<ReceivedWebhook> {
  const limit = options.limitBytes ?? DEFAULT_LIMIT_BYTES;
  const fetched = 'bodyUsed' in request;
  const body = await (fetched ? fetchedBody(request, limit) : nodeBody(request, limit));
  if (typeof body === 'string') {
    return { valid: false, reason: `Verification error: ${body}`, scheme: undefined, body: Buffer.alloc(0) };
  }
  const { method } = request;
  const url = fetched ? fetchedUrl(verifier, request.url) : ((request as NodeRequest).originalUrl ?? request.url);
  const facts = { headers: request.headers as WebhookHeaders, body, method, url };
  const result = verifier.verifyRequest(facts);
  const challenge = result.valid ? verifier.challenge(facts) : undefined;
  return { ...result, body, ...(challenge && { challenge }) };
}

/** Behind a proxy a server sees its own origin; the verifier's `url` has the public one. */
function fetchedUrl(verifier: WebhookVerifier, url: string): string {
  if (verifier.url === undefined || !URL.canParse(url)) return url;
  const { pathname, search } = new URL(url);
  return pathname + search;
}

/** The raw body of a Fetch request, or the reason why it cannot be had. */
async function fetchedBody(request: FetchRequest, limit: number): Promise<Buffer | string> {
  if (request.bodyUsed) return 'the body was read already: receive the webhook first';
  return request.body ? collect(request.body, limit) : Buffer.alloc(0);
}

/** The raw body of a Node request, or the reason why it cannot be had. */
async function nodeBody(request: NodeRequest, limit: number): Promise<Buffer | string> {
  for (const kept of [request.rawBody, request.body]) {
    if (typeof kept === 'string') return Buffer.from(kept);
    if (kept instanceof Uint8Array) return Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength);
  }
  if (request.readableEnded || request.readableDidRead) {
    return (
      'a body parser has read the body already: on this route use express.raw({ type: "*/*" }) in place of ' +
      'express.json(), or mount the webhook before the parser'
    );
  }
  const body = await collect(request.iterator({ destroyOnReturn: false }), limit);
  // What is left is read and thrown away, so that the answer can still be sent.
  if (typeof body === 'string') request.resume();
  return body;
}

async function collect(chunks: AsyncIterable<Uint8Array>, limit: number): Promise<Buffer | string> {
  const collected: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > limit) return `the body is larger than ${limit} bytes`;
    collected.push(chunk);
  }
  return Buffer.concat(collected, length);
}

/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}

/**
 * Middleware for Express, Connect and `node:http`: lets genuine webhooks pass, with the raw body as `body` and
 * `rawBody` and the result as `webhook`; answers 401 to all others, and challenges by itself. Mount it before any
 * body parser.
 */
export function webhookMiddleware(verifier: WebhookVerifier, options?: ReceiveOptions) {
  return (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    receiveWebhook(verifier, request, options).then((webhook) => {
      if (webhook.challenge) return answer(response, 200, webhook.challenge);
      if (!webhook.valid) {
        log('warn', 'webhook.refused', webhook.id ?? 'webhook', () => ({
          reason: webhook.reason,
          scheme: webhook.scheme,
        }));
        return answer(response, 401, { error: 'Invalid signature' });
      }
      // `_body` tells body parsers that there is nothing left to read.
      Object.assign(request, { webhook, rawBody: webhook.body, body: webhook.body, _body: true });
      next();
    }, next);
  };
}

function answer(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}
