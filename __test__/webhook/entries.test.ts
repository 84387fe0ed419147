// Signature headers with several entries, some of them malformed; and the accepted spellings of secrets.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, test } from 'node:test';

import { parseWebhookSignature, WebhookVerifier } from 'moorline';

const body = '{}';
const now = () => String(Math.floor(Date.now() / 1000));

/** Verifies a request of Standard Webhooks, with the header that `headerOf` makes of the right signature. */
function verifyStandard(secret: string, headerOf: (signature: string) => string) {
  const [id, timestamp] = ['msg_1', now()];
  const key = Buffer.from(secret, 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': headerOf(signature) };
  return new WebhookVerifier({ secret: `whsec_${secret}`, scheme: 'standard' }).verifyRequest({ headers, body });
}

describe('Standard Webhooks', () => {
  const secret = Buffer.alloc(24, 9).toString('base64');
  const other = `v1,${'A'.repeat(43)}=`;
  const headers: Record<string, (right: string) => string> = {
    'a malformed signature': (right) => `v1,abc v1,${right}`,
    'a word without a comma': (right) => `junk v1,${right}`,
    'two spaces between them': (right) => `${other}  v1,${right}`,
    'a signature of another version': (right) => `v2,${right} v1,${right} v1a,x`,
    'a malformed one behind it': (right) => `v1,${right} v1,`,
  };
  for (const [what, headerOf] of Object.entries(headers)) {
    test(`skips ${what} beside a right signature`, () => {
      assert.deepEqual([verifyStandard(secret, headerOf).valid], [true]);
    });
  }

  test('says that the format is wrong where no signature is left', () => {
    for (const header of ['v1,abc', 'junk', 'v1,', '  ', 'v2,abc v1a,abc']) {
      assert.equal(verifyStandard(secret, () => header).reason, 'Invalid signature format', header);
    }
    assert.equal(verifyStandard(secret, (right) => ` v1,${right}`).reason, 'Invalid signature format');
    assert.equal(verifyStandard(secret, () => `v1,abc ${other}`).reason, 'Signature mismatch');
  });

  for (const length of [32, 34, 35, 38, 39, 42, 43]) {
    test(`takes a secret of ${length} letters, whatever bits its last one has`, () => {
      const letters = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYr'.slice(0, length - 1);
      for (const last of ['A', 'r', '/'])
        assert.equal(verifyStandard(letters + last, (right) => `v1,${right}`).valid, true);
    });
  }

  test('refuses a secret that is no base64 when the verifier is made', () => {
    for (const bad of ['whsec_', 'whsec_A', 'whsec_not base64', 'whsec_AAAA\n']) {
      assert.throws(() => new WebhookVerifier({ secret: bad, scheme: 'standard' }), { name: 'TypeError' });
    }
  });
});

describe('Stripe', () => {
  const verifier = new WebhookVerifier({ secret: 's', scheme: 'stripe' });
  const right = verifier.sign(body);
  for (const header of [`${right},v1=potato`, right.replace(',', ',v1=potato,'), `${right},`, `${right},junk`]) {
    test(`skips an entry that is no signature: ${header.replace(/[0-9a-f]{64}/, '…')}`, () => {
      assert.equal(verifier.verify(body, header).valid, true);
      assert.equal(verifier.verify(`${body} `, header).reason, 'Signature mismatch');
    });
  }

  test('says that the format is wrong where no signature is left', () => {
    const [timestamp] = right.split(',');
    for (const header of [`${timestamp},v1=potato`, `${timestamp},v0=${'0'.repeat(64)}`, `${right},${timestamp}`]) {
      assert.equal(verifier.verify(body, header).reason, 'Invalid signature format', header);
    }
  });
});

test('a header is parsed by its first well-formed signature', () => {
  const digits = 'ab'.repeat(32);
  const parsed = parseWebhookSignature(`t=12,v1=potato,v1=${digits}`);
  assert.deepEqual(parsed, { timestamp: 12, signature: digits, version: 'v1' });
});
