// What a webhook costs before its signature is known to be right does not grow with what its headers say.
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';

import { getWebhookVerifier, WebhookVerifier } from 'moorline';

const body = Buffer.alloc(10 << 20, 'x');

const publicKey = () => {
  const der = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
  return `whpk_${der.subarray(-32).toString('base64')}`;
};

/** A signature that only the hash of the body tells from a genuine one: its second half is below the curve's order. */
const forged = () => {
  const bytes = randomBytes(64);
  bytes[63]! &= 0x0f;
  return `v1a,${bytes.toString('base64')}`;
};

describe('a large body', () => {
  test('with a header full of Ed25519 signatures is refused at once', () => {
    const verifier = new WebhookVerifier({ scheme: 'standard-ed25519', secret: [publicKey(), publicKey()] });
    const headers = {
      'webhook-id': 'm1',
      'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
      'webhook-signature': Array.from({ length: 88 }, forged).join(' '),
    };
    const started = performance.now();
    assert.equal(verifier.verifyRequest({ body, headers }).reason, 'Signature mismatch');
    // Hashing it for each of them takes seconds.
    assert.ok(performance.now() - started < 300);
  });

  test('that is a form of millions of parameters is refused by their number', () => {
    const verifier = new WebhookVerifier({ scheme: 'twilio', secret: 's', url: 'https://example.com/' });
    const headers = { 'x-twilio-signature': Buffer.alloc(20, 1).toString('base64') };
    const form = Buffer.from('a&'.repeat(body.length / 2));
    const { reason } = verifier.verifyRequest({ body: form, headers });
    assert.equal(reason, 'Verification error: the form has more than 10000 parameters');
  });
});

test('secrets that are none are refused at once, shared or not', () => {
  const sparse: string[] = [];
  sparse[2 ** 32 - 2] = 's';
  for (const secret of [sparse, [1n], 1n, [undefined]]) {
    assert.throws(() => getWebhookVerifier(secret as never), { code: /^ERR_(INVALID_ARG|OUT_OF_RANGE)/ });
  }
});
