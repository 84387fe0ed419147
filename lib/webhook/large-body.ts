import type { KeyObject } from 'node:crypto';

import { Buffer, crypto } from '../runtime/node';
import { native } from '../runtime/native';

/**
 * From how many bytes on node:crypto computes the HMAC of a body: on processors without SHA instructions its
 * OpenSSL is the fastest there is. Infinite on all others.
 * @internal
 */
export const external = { minBytes: native.webhookExternalMacMinBytes() };

/** The secrets as node:crypto keeps them, out of JavaScript's reach; none where they are not needed. */
export function keysOf(secret: unknown): KeyObject[] {
  if (external.minBytes === Infinity) return [];
  return [secret].flat().map((text) => crypto().createSecretKey(Buffer.from(String(text))));
}

type Payload = string | Uint8Array;

const NO_MACS = new Uint8Array();

/**
 * Lets `verify` decide about a payload. The HMACs over a large body are asked for, computed by node:crypto and
 * brought to a second call: the decision stays native.
 */
export function verifyWith<T>(
  keys: readonly KeyObject[],
  payload: Payload,
  verify: (payload: Payload, externalMacs: Uint8Array | undefined) => T,
): T {
  if (keys.length === 0 || !(payload?.length >= external.minBytes)) return verify(payload, undefined);
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const answer = verify(body, NO_MACS);
  if (typeof answer !== 'string' || !answer.startsWith('\0')) return answer;
  return verify(body, computeMacs(keys, body, answer.split('\0')));
}

/** Three fields for each HMAC, after an empty one: the secret's number, what stands before the body, and after it. */
function computeMacs(keys: readonly KeyObject[], body: Uint8Array, fields: string[]): Uint8Array {
  const computed: Buffer[] = [];
  for (let at = 1; at < fields.length; at += 3) {
    const hmac = crypto()
      .createHmac('sha256', keys[Number(fields[at])]!)
      .update(fields[at + 1]!)
      .update(body);
    computed.push((fields[at + 2] ? hmac.update(fields[at + 2]!) : hmac).digest());
  }
  return computed.length === 1 ? computed[0]! : Buffer.concat(computed);
}
