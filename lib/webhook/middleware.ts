import type { IncomingMessage, ServerResponse } from 'node:http';
import { types } from 'node:util';

import { log } from '../runtime/logger';
import { messageOf, stackOf } from '../runtime/error-message';
import { onRejection } from '../runtime/shape';
import type { WebhookVerifier } from './verifier';
import type { Claim } from './claim';
import {
  checkVerifier,
  logHandlerFailure,
  receive,
  type ReceivedWebhook,
  type ReceiveOptions,
  readReceiveOptions,
} from './receive';

/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result of the verification, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}

declare global {
  namespace Express {
    interface Request {
      /** The result of the verification by moorline's `webhookMiddleware`, with the raw body. */
      webhook?: ReceivedWebhook;
    }
  }
}

/** What the middleware answers: what is wrong with the server is for its log, not for the sender. */
const ERRORS: Record<number, string> = {
  401: 'Invalid signature',
  413: 'Body too large',
  500: 'The webhook could not be read',
  503: 'Try again later',
};

/**
 * Returns middleware for Express, Connect and `node:http`. It calls `next` for a genuine webhook, with the raw body as
 * `request.body` and `request.rawBody` and the result as `request.webhook`. It answers challenges and duplicates itself, and
 * all other requests with status 413 (too large), 500 (a body parser ran before), 503 (the replay store failed or did not
 * answer) or 401. Mount it before any body parser.
 *
 * A webhook that was answered with a status from 200 to 299 is added to the `replayStore` of the verifier. A webhook that was
 * answered otherwise, or whose handler threw or rejected, is handled again when the sender repeats it.
 *
 * `next` is called once, without an argument, and only for a genuine webhook. An error that it throws or rejects with is
 * logged and answered with 500; frameworks catch such errors themselves. A request that was answered elsewhere in the meantime
 * is not answered again.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { webhookMiddleware, WebhookVerifier } from 'moorline';
 *
 * const verify = webhookMiddleware(new WebhookVerifier({ secret: 'a secret', scheme: 'github' }));
 * const server = createServer((request, response) => {
 *   verify(request, response, () => response.end('{}'));
 * });
 * ```
 *
 * @throws TypeError, RangeError for a verifier or an option that is not valid.
 */
export function webhookMiddleware(verifier: WebhookVerifier, options?: ReceiveOptions) {
  // A mistake is found where the middleware is mounted, and not by the first sender.
  checkVerifier(verifier);
  const config = readReceiveOptions(options);
  return (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    receive(verifier, request, config, config.claimMs)
      .then(async ({ webhook, claim }) => {
        try {
          if (!passOrRespond(request, response, webhook)) return;
        } catch (error) {
          await claim?.release();
          throw error;
        }
        callNext(response, next, webhook, claim);
      })
      // Never to `next`: a handler of `node:http` would not look at an error.
      .catch((error: unknown) => {
        log('error', 'webhook.unreadable', 'webhook', () => ({ error: messageOf(error), stack: stackOf(error) }));
        respondWithError(response, ERRORS[500]);
      });
  };
}

/** Calls `next`, and confirms or releases the claim by its outcome. Never throws. */
function callNext(
  response: ServerResponse,
  next: () => unknown,
  webhook: ReceivedWebhook,
  claim: Claim | undefined,
): void {
  let isSettled = claim === undefined;
  const settle = (isHandled: boolean) => {
    if (isSettled) return;
    isSettled = true;
    void (isHandled ? claim!.confirm() : claim!.release());
  };
  const onFailure = (thrown: unknown) => {
    settle(false);
    logHandlerFailure(webhook, thrown);
    respondWithError(response, 'Internal error');
  };
  let given: unknown;
  try {
    given = next();
  } catch (thrown) {
    return onFailure(thrown);
  }
  onRejection(given, onFailure);
  const settleByStatus = () => settle(response.statusCode >= 200 && response.statusCode <= 299);
  const settleByAnswer = () => {
    // The answer to a sender that went away never finishes. Where nothing else tells that the handler is done, the claim lapses.
    if (response.writableEnded) settleByStatus();
    else response.once('finish', settleByStatus);
  };
  if (!types.isPromise(given)) return settleByAnswer();
  // To a sender that went away nothing is answered: what was to be answered counts.
  const settleByHandler = () => (response.destroyed && !response.writableEnded ? settleByStatus() : settleByAnswer());
  Promise.resolve(given).then(settleByHandler, () => undefined);
}

/** Answers what must not pass; says whether it may. */
function passOrRespond(request: VerifiedRequest, response: ServerResponse, webhook: ReceivedWebhook): boolean {
  if (webhook.challenge) {
    answer(response, 200, webhook.challenge);
    return false;
  }
  if (webhook.valid) {
    // `_body` tells body parsers that there is nothing left to read.
    Object.assign(request, { webhook, rawBody: webhook.body, body: webhook.body, _body: true });
    return true;
  }
  const { id = 'webhook', reason, scheme, status } = webhook;
  if (webhook.duplicate) {
    log('info', 'webhook.duplicate', id, () => ({ reason, scheme }));
    answer(response, status, { duplicate: true });
    return false;
  }
  log('warn', 'webhook.refused', id, () => ({ reason, scheme }));
  // The connection is closed: the rest of a body that is late is not waited for.
  const isLate = status === 401 && !request.complete;
  answer(response, status, { error: ERRORS[status] }, isLate);
  return false;
}

/** Answers with an error. Only the log has the cause. */
function respondWithError(response: ServerResponse, error: string | undefined): void {
  try {
    // Half an answer must not look like a whole one.
    if (response.headersSent && !response.writableEnded) response.destroy();
    else answer(response, 500, { error });
  } catch {
    // The response is not Node's own, and threw: nothing can be answered.
  }
}

function answer(response: ServerResponse, status: number, body: Record<string, unknown>, close = false): void {
  // The sender went away, or something else has answered: a time limit, or a server that shuts down.
  if (response.destroyed || response.headersSent || response.writableEnded) return;
  response.statusCode = status;
  if (close) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}
