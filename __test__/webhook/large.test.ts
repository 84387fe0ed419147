// Large bodies, whose HMAC node:crypto computes where this processor makes that worth while.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { WebhookVerifier, type WebhookScheme } from 'moorline';

import type * as Large from '../../lib/webhook/large-body';
import { dist } from '../support/paths';

const { external } = require(join(dist, 'webhook', 'large-body.js')) as typeof Large;

/** The verifiers made inside decide as on a processor without SHA instructions. */
function handingOver<T>(work: () => T): T {
  const before = external.minBytes;
  external.minBytes = 32 * 1024;
  try {
    return work();
  } finally {
    external.minBytes = before;
  }
}

describe('a large body', () => {
  const secret = ['new', 'old'];
  const bodies = [32 * 1024 - 1, 32 * 1024, 100_000].map((size) => randomBytes(size));

  test('is judged alike by node:crypto and by ourselves', () => {
    const schemes: (WebhookScheme | undefined)[] = [
      undefined,
      'stripe',
      'github',
      'slack',
      'shopify',
      'hubspot-v3',
      'square',
    ];
    for (const scheme of schemes) {
      const options = { scheme, url: 'https://example.com/hook' };
      const headers = (body: Buffer) => new WebhookVerifier({ ...options, secret: 'old' }).signRequest({ body });
      for (const body of bodies) {
        const request = { headers: headers(body), body };
        const forged = { ...request, body: Buffer.concat([body.subarray(1), Buffer.of(0)]) };
        const here = new WebhookVerifier({ ...options, secret });
        handingOver(() => {
          const there = new WebhookVerifier({ ...options, secret });
          for (const one of [request, forged]) assert.deepEqual(there.verifyRequest(one), here.verifyRequest(one));
          assert.equal(there.verifyRequest(request).secretIndex, 1);
        });
      }
    }
  });

  test('may be text, may come with a signature alone, and keeps its reasons', () => {
    const text = 'é'.repeat(40_000);
    handingOver(() => {
      const verifier = new WebhookVerifier({ secret });
      const signature = verifier.sign(text);
      const [stamp] = signature.split(',');
      const mismatch = `${stamp},v1=${'0'.repeat(64)}`;
      assert.deepEqual(verifier.verify(text, signature), { valid: true, timestamp: Number(stamp!.slice(2)) });
      assert.equal(verifier.verify(text, signature, 'new').valid, true);
      assert.equal(verifier.verify(text, mismatch).reason, 'Signature mismatch');
      assert.equal(verifier.verify(text, 'nonsense').reason, 'Invalid signature format');
      assert.match(verifier.verify(text, verifier.sign(text, 1)).reason!, /too old/);
    });
  });
});
