// Verifying a signed body, with the checks that a careful hand-written verification makes: form, time on both
// sides, HMAC-SHA256 over the raw bytes, comparison in constant time. Every eighth signature is wrong.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { bench, load } from './harness.mjs';

const { WebhookVerifier } = load('moorline');
const secret = 'whsec_bench_5Kk2Yp0cQ1';

/** As it is written by hand in most back ends. */
function verifyByHand(payload, header) {
  const match = /^t=(\d{1,12}),v1=([a-f0-9]{64})$/.exec(header);
  if (!match) return { valid: false, reason: 'Invalid signature format' };
  const timestamp = Number(match[1]);
  const ageMs = Date.now() - timestamp * 1000;
  if (ageMs > 300_000) return { valid: false, reason: 'too old' };
  if (ageMs < -60_000) return { valid: false, reason: 'in the future' };
  const digest = createHmac('sha256', secret).update(`${match[1]}.`).update(payload).digest();
  if (!timingSafeEqual(digest, Buffer.from(match[2], 'hex'))) return { valid: false, reason: 'Signature mismatch' };
  return { valid: true, timestamp };
}

function contestants(size) {
  const verifier = new WebhookVerifier({ secret, maxAgeMs: 300_000 });
  const payload = Buffer.from(JSON.stringify({ data: randomBytes(size).toString('base64') }).slice(0, size));
  const validSignature = verifier.sign(payload);
  const invalidSignature = validSignature.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'));
  const contestant = (name, verify) => {
    let n = 0;
    return {
      name,
      operation() {
        const genuine = n++ % 8 !== 0;
        const { valid } = verify(payload, genuine ? validSignature : invalidSignature);
        if (valid !== genuine) throw new Error(`${name} judged wrong`);
      },
    };
  };
  return [
    contestant('moorline', (body, signature) => verifier.verify(body, signature)),
    contestant('node:crypto', verifyByHand),
  ];
}

await bench('webhook', [
  { name: '256 B', operations: 50_000, sync: true, contestants: () => contestants(256) },
  { name: '1 KB', operations: 50_000, sync: true, contestants: () => contestants(1024) },
  { name: '100 KB', operations: 3000, sync: true, contestants: () => contestants(100 * 1024) },
]);
