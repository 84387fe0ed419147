// Arguments of webhook functions that are no such thing: each is refused by its name and with a code.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';

import {
  getWebhookVerifier,
  MemoryReplayStore,
  receiveWebhook,
  signWebhookPayload,
  webhookMiddleware,
  WebhookVerifier,
  type WebhookRequest,
} from 'moorline';

const secret = 's';
const verifier = new WebhookVerifier({ secret });
const slack = new WebhookVerifier({ secret, scheme: 'slack' });
const body = '{"type":"url_verification","challenge":"abc"}';
const headers = slack.signRequest({ body });
const now = Date.now();

const inspectCompact = (value: unknown) => inspect(value, { compact: true, breakLength: Infinity, depth: 1 });
const throwingHeaders = {
  get 'x-slack-signature'(): string {
    throw new Error('not this one');
  },
};

describe('headers', () => {
  for (const [what, given] of [
    ['a plain object', headers],
    ['a Headers', new Headers(headers)],
    ['a Map', new Map(Object.entries(headers))],
    ['a list of pairs', Object.entries(headers)],
    ['an object with lists', Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]))],
    ['an object of another realm', runInNewContext(`(${JSON.stringify(headers)})`)],
    ['an object with what is none of ours', { ...headers, cookie: null, date: Symbol('now'), from: {} }],
  ] as const) {
    test(`may be ${what}`, () => {
      const request = { headers: given as WebhookRequest['headers'], body, now };
      assert.deepEqual(slack.challenge(request), { challenge: 'abc' });
      assert.equal(slack.verifyRequest(request).valid, true);
    });
  }

  const strange: [given: unknown, message: RegExp][] = [
    [undefined, /^request\.headers must be an object of headers, .*, got undefined$/],
    [null, /^request\.headers must be .*, got null$/],
    [7, /^request\.headers must be .*, got a number$/],
    ['x-slack-signature: v0=00', /^request\.headers must be .*, got a string$/],
    [() => headers, /^request\.headers must be .*, got a function$/],
    [Object.entries(headers).flat(), /^request\.headers must be .* or a list of pairs, got an instance of Array$/],
    [[null], /^request\.headers must be .* or a list of pairs/],
    [[[1, 'a']], /^request\.headers must be .* or a list of pairs/],
    [{ 'x-slack-signature': null }, /^request\.headers\['x-slack-signature'\] must be a string, got null$/],
    [{ 'x-slack-signature': Symbol('v0') }, /^request\.headers\['x-slack-signature'\] must be a string, got a symbol$/],
    [{ 'x-slack-signature': ['a', {}] }, /^request\.headers\['x-slack-signature'\] must be a string/],
    [{ 'x-slack-signature': 'a\0b' }, /^request must have no NUL in its method, its url or a header$/],
    [throwingHeaders, /^request\.headers cannot be read: not this one$/],
    [{ *[Symbol.iterator]() { throw new Error('nor this') } }, /^request\.headers cannot be read: nor this$/], // prettier-ignore
  ];
  for (const [given, message] of strange) {
    test(`are not ${inspectCompact(given)}`, () => {
      const request = { headers: given, body, now } as WebhookRequest;
      assert.throws(() => slack.challenge(request), {
        name: 'TypeError',
        code: /^ERR_INVALID_ARG_(TYPE|VALUE)$/,
        message,
      });
      const { valid, reason } = slack.verifyRequest(request);
      assert.equal(valid, false);
      assert.match(reason!.replace('Verification error: ', ''), message);
    });
  }
});

describe('arguments', () => {
  const hostile = {
    get headers(): never {
      throw new Error('not this one');
    },
    body,
  };
  const request = (more: object) => ({ headers, body, ...more }) as WebhookRequest;
  const store = new MemoryReplayStore();
  const mistakes: [call: () => unknown, argument: string, name?: 'RangeError'][] = [
    [() => slack.challenge(undefined as never), 'request'],
    [() => slack.challenge(hostile), 'request'],
    [() => slack.challenge(request({ method: 7 })), 'request.method'],
    [() => slack.challenge(request({ url: new URL('http://localhost') })), 'request.url'],
    [() => slack.challenge(request({ now: NaN })), 'request.now', 'RangeError'],
    [() => slack.challenge(request({ headers: undefined, body: {} })), 'request.headers'],
    [() => verifier.sign({} as never), 'payload'],
    [() => verifier.sign('a', 1.5), 'timestamp', 'RangeError'],
    [() => verifier.signRequest(undefined as never), 'signing'],
    [() => verifier.signRequest({} as never), 'signing.body'],
    [() => verifier.signRequest({ body, timestamp: -1 }), 'signing.timestamp', 'RangeError'],
    [() => verifier.signRequest({ body, id: 7 as never }), 'signing.id'],
    [() => signWebhookPayload(7 as never, secret), 'payload'],
    [() => getWebhookVerifier(7 as never), 'options.secret'],
    [() => new WebhookVerifier(null as never), 'options'],
    [() => new WebhookVerifier({ secret, replayStore: null as never }), 'options.replayStore'],
    [() => webhookMiddleware({ verifyRequest: () => undefined } as never), 'verifier'],
    [() => receiveWebhook(verifier, 7 as never), 'request'],
    [() => receiveWebhook(verifier, {} as never), 'request'],
    [() => receiveWebhook(verifier, { bodyUsed: false, body: 'text', headers } as never), 'request.body'],
    [() => store.has(7 as never), 'key'],
    [() => store.forget(undefined as never), 'key'],
    [() => store.remember(7 as never, 1), 'key'],
    [() => store.remember('k', undefined as never), 'ttlMs'],
    [() => store.remember('k', '60000' as never), 'ttlMs'],
    [() => store.remember('k', 60_000n as never), 'ttlMs'],
    [() => store.remember('k', null as never), 'ttlMs'],
    [() => store.remember('k', NaN), 'ttlMs', 'RangeError'],
    [() => store.remember('k', Infinity), 'ttlMs', 'RangeError'],
    [() => store.remember('k', -1), 'ttlMs', 'RangeError'],
  ];
  for (const [call, argument, name = 'TypeError'] of mistakes) {
    test(`${argument} is named by ${call.toString().replace(/^\(\) => /, '')}`, async () => {
      await assert.rejects(
        async () => call(),
        (error: Error & { code: string }) => {
          assert.equal(error.name, name, error.stack);
          assert.match(error.code, /^ERR_(INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/);
          assert.equal(error.message.split(' ')[0], argument);
          return true;
        },
      );
    });
  }

  test('that were refused have left nothing in the store', () => {
    assert.equal(store.has('k'), false);
    assert.equal(store.remember('k', 0), true);
  });
});
