import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';

import { native, type Handle } from './native';
import type { WebhookVerifier } from '../dist/native';

/**
 * From how many bytes on node:crypto computes the HMAC of a body: on processors without SHA instructions its
 * OpenSSL is the fastest there is. Infinite on all others.
 * @internal
 */
export const large = { fromBytes: native.webhookLargeBytes() };

/** The secrets as node:crypto keeps them, out of JavaScript's reach; none where they are not needed. */
export function keysOf(secret: unknown): KeyObject[] {
  if (large.fromBytes === Infinity) return [];
  return [secret].flat().map((text) => createSecretKey(Buffer.from(String(text))));
}

/** Which secret, and what stands before and after the body in the signed content. */
type Asked = [secretIndex: number, before: string, after: string][];

/**
 * Judges a request and gives the answer as JSON. The HMACs over a large body are asked for, computed by
 * node:crypto and brought back: the decision stays native.
 */
export function judge(
  verifier: Handle<WebhookVerifier>,
  keys: KeyObject[],
  payload: string | Uint8Array,
  signature: string | undefined,
  said: string,
  now: number,
): string | undefined {
  if (keys.length === 0 || !(payload.length >= large.fromBytes)) {
    return native.webhookJudge(verifier, payload, signature, said, now);
  }
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const answer = native.webhookJudge(verifier, body, signature, said, now, new Uint8Array());
  if (!answer?.startsWith('{"asked"')) return answer;
  const { asked } = JSON.parse(answer) as { asked: Asked };
  const tags = asked.map(([secretIndex, before, after]) =>
    createHmac('sha256', keys[secretIndex]!).update(before).update(body).update(after).digest(),
  );
  return native.webhookJudge(verifier, body, signature, said, now, Buffer.concat(tags));
}
