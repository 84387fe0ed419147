// A captured webhook that is sent again: the replay store knows it for as long as its signature is good.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { WebhookVerifier, type WebhookReplayStore, type WebhookScheme, type WebhookVerificationConfig } from 'moorline';

const HOUR_MS = 3_600_000;
const secret = 's';
const body = '{"event":"paid"}';
const url = 'https://shop.example.com/hook';

/** A store that is told the time, and how long it is to remember. */
class TimedStore implements WebhookReplayStore {
  now = Date.now();
  readonly ttls: number[] = [];
  readonly #until = new Map<string, number>();

  remember(key: string, ttlMs: number): boolean {
    this.ttls.push(ttlMs);
    if ((this.#until.get(key) ?? 0) > this.now) return false;
    this.#until.set(key, this.now + ttlMs);
    return true;
  }
}

/** Whether a signed request that was accepted once is accepted again after so many milliseconds. */
function replayed(config: Omit<WebhookVerificationConfig, 'secret'>, afterMs: number, aheadMs = 0) {
  const store = new TimedStore();
  const verifier = new WebhookVerifier({ secret, url, ...config, replayStore: store });
  const first = store.now;
  const headers = verifier.signRequest({ body, id: 'msg_1', timestamp: Math.floor((first + aheadMs) / 1000) });
  const verify = (now: number) => verifier.verifyRequest({ headers, body, url, now });
  assert.equal(verify(first).valid, true);
  store.now = first + afterMs;
  const { valid, duplicate = false, reason } = verify(store.now);
  return { valid, duplicate, reason, rememberedForMs: store.ttls[0] };
}

describe('a replay of a webhook with a timestamp', () => {
  for (const scheme of ['stripe', 'slack', 'zoom', 'paddle', 'generic', 'hubspot-v3'] as const) {
    test(`is refused as long as ${scheme} lets it be old, and then for its age`, () => {
      const maxAgeMs = 48 * HOUR_MS;
      for (const hours of [0, 25, 47]) {
        const again = replayed({ scheme, maxAgeMs }, hours * HOUR_MS);
        assert.deepEqual([again.valid, again.duplicate], [false, true], `${hours} h`);
      }
      assert.match(replayed({ scheme, maxAgeMs }, 49 * HOUR_MS).reason!, /^Webhook too old/);
    });
  }

  test('is refused as long as one is good that was stamped ahead of its time', () => {
    const config = { scheme: 'stripe', toleranceMs: Infinity } as const;
    const again = replayed(config, 100 * HOUR_MS, 100 * HOUR_MS);
    assert.deepEqual([again.valid, again.duplicate], [false, true]);
  });

  test('is refused where the bounds leave it no time at all', () => {
    const { rememberedForMs } = replayed({ scheme: 'hubspot-v3', maxAgeMs: 999, toleranceMs: 0 }, 0);
    assert.ok(rememberedForMs! >= 1);
    const store = new TimedStore();
    const verifier = new WebhookVerifier({ secret, maxAgeMs: 0, toleranceMs: 0, replayStore: store });
    const now = Math.floor(store.now / 1000) * 1000;
    const headers = { 'x-webhook-signature': verifier.sign(body, now / 1000) };
    assert.equal(verifier.verifyRequest({ headers, body, now }).valid, true);
    assert.deepEqual(store.ttls, [1]);
  });
});

describe('a replay of a webhook without a timestamp', () => {
  const schemes: WebhookScheme[] = [
    'github',
    'github-sha1',
    'shopify',
    'hubspot-v1',
    'hubspot-v2',
    'twilio',
    'square',
    'salesforce-data-cloud',
    'salesforce-ens',
  ];
  for (const scheme of schemes) {
    test(`is refused for 24 hours (${scheme}), or for maxAgeMs where that is longer`, () => {
      assert.equal(replayed({ scheme }, 23 * HOUR_MS).duplicate, true);
      assert.equal(replayed({ scheme }, 25 * HOUR_MS).valid, true, 'nothing in the request is too old');
      assert.equal(replayed({ scheme, maxAgeMs: 1000 }, 23 * HOUR_MS).duplicate, true);
      assert.equal(replayed({ scheme, maxAgeMs: 30 * 24 * HOUR_MS }, 29 * 24 * HOUR_MS).duplicate, true);
    });
  }
});

test('a replay store and webhooks of any age are refused together, by name', () => {
  const replayStore = new TimedStore();
  for (const scheme of [undefined, 'stripe', 'github'] as const) {
    assert.throws(() => new WebhookVerifier({ secret, scheme, maxAgeMs: Infinity, replayStore }), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^options\.maxAgeMs must be finite with a replayStore, /,
    });
  }
  assert.equal(new WebhookVerifier({ secret, maxAgeMs: Infinity }).verify(body, 'x').valid, false);
});
