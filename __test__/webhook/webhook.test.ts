// WebhookVerifier: the cases of its specification by their names, then regression tests.
import assert from 'node:assert/strict';
import { createHash, createHmac, generateKeyPairSync, sign as signEd25519 } from 'node:crypto';
import { beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  getWebhookVerifier,
  MemoryReplayStore,
  parseWebhookSignature,
  resetWebhookVerifiers,
  setLogger,
  signWebhookPayload,
  verifyWebhookSignature,
  WebhookVerifier,
  type WebhookScheme,
} from 'moorline';

const secret = 'test-webhook-secret-key';
const payload = JSON.stringify({ event: 'test', data: { id: 123 } });
const nowSeconds = () => Math.floor(Date.now() / 1000);
const hmac = (content: string | Buffer, key = secret) => createHmac('sha256', key).update(content);

describe('WebhookVerifier', () => {
  const verifier = new WebhookVerifier({ secret, maxAgeMs: 300_000 });

  describe('Signature Verification', () => {
    test('verify valid signature', () => {
      const signature = verifier.sign(payload);
      const result = verifier.verify(payload, signature);
      assert.deepEqual(result, { valid: true, timestamp: Number(/t=(\d+)/.exec(signature)![1]) });
    });

    test('reject invalid signature', () => {
      const result = verifier.verify(payload, `t=${nowSeconds()},v1=${'0'.repeat(64)}`);
      assert.deepEqual([result.valid, result.reason], [false, 'Signature mismatch']);
    });

    test('reject tampered payload', () => {
      const result = verifier.verify(payload.replace('123', '124'), verifier.sign(payload));
      assert.deepEqual([result.valid, result.reason], [false, 'Signature mismatch']);
    });

    test('reject old webhooks', () => {
      const result = verifier.verify(payload, verifier.sign(payload, nowSeconds() - 600));
      assert.equal(result.valid, false);
      assert.match(result.reason!, /^Webhook too old \(60[01]s, max 300s\)$/);
    });

    test('reject future webhooks', () => {
      const result = verifier.verify(payload, verifier.sign(payload, nowSeconds() + 300));
      assert.deepEqual([result.valid, result.reason], [false, 'Webhook timestamp is in the future']);
    });
  });

  describe('Signature Formats', () => {
    const digits = 'ab'.repeat(32);

    test('parse Stripe-style', () => {
      const parsed = parseWebhookSignature(`t=1234567890,v1=${digits}`);
      assert.deepEqual(parsed, { timestamp: 1234567890, signature: digits, version: 'v1' });
    });

    test('parse GitHub-style', () => {
      const parsed = parseWebhookSignature(`sha256=${digits}`);
      assert.deepEqual([parsed?.signature, parsed?.version], [digits, 'sha256']);
      assert.ok(Math.abs(parsed!.timestamp - nowSeconds()) <= 1);
    });

    test('parse raw', () => {
      const parsed = parseWebhookSignature(digits);
      assert.equal(parsed?.signature, digits);
      assert.ok(!('version' in parsed!));
    });

    test('reject invalid format', () => {
      for (const bad of ['invalid', '', 't=1', 'v1=ab', 't=x,v1=ab', digits.toUpperCase(), ` ${digits}`, undefined]) {
        assert.equal(parseWebhookSignature(bad), null, inspect(bad));
      }
      assert.equal(verifier.verify(payload, 'invalid').reason, 'Invalid signature format');
    });
  });

  describe('Signing', () => {
    test('sign payload with timestamp', () => {
      assert.match(verifier.sign(payload), /^t=\d+,v1=[a-f0-9]+$/);
    });

    test('use custom timestamp', () => {
      const signature = verifier.sign(payload, 1234567890);
      assert.equal(signature, `t=1234567890,v1=${hmac(`1234567890.${payload}`).digest('hex')}`);
      assert.equal(signWebhookPayload(payload, secret, 1234567890), signature);
    });
  });

  describe('Standalone Functions', () => {
    test('verify with standalone function', () => {
      assert.equal(verifyWebhookSignature(payload, signWebhookPayload(payload, secret), secret), true);
    });

    test('reject with wrong secret', () => {
      assert.equal(verifyWebhookSignature(payload, signWebhookPayload(payload, secret), 'wrong-secret'), false);
    });
  });
});

describe('a signature without a timestamp', () => {
  const verifier = new WebhookVerifier({ secret });

  test('covers the raw body, as GitHub signs it', () => {
    const digits = hmac(payload).digest('hex');
    assert.deepEqual(verifier.verify(payload, `sha256=${digits}`), { valid: true });
    assert.deepEqual(verifier.verify(payload, digits), { valid: true });
    const github = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    assert.equal(verifyWebhookSignature('Hello, World!', `sha256=${github}`, "It's a Secret to Everybody"), true);
  });

  test('is not taken from a captured one that has a timestamp', () => {
    const captured = verifier.sign(payload, 1_000_000_000);
    const digits = captured.split('v1=')[1]!;
    for (const replay of [digits, `sha256=${digits}`]) {
      assert.equal(verifier.verify(`1000000000.${payload}`, replay).reason, 'Signature mismatch');
    }
  });
});

describe('bytes', () => {
  const verifier = new WebhookVerifier({ secret });
  const bytes = Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]);

  test('are hashed as they are, in every container', () => {
    const signature = `sha256=${hmac(bytes).digest('hex')}`;
    const copy = new Uint8Array(bytes).buffer;
    for (const body of [bytes, new Uint8Array(bytes), new DataView(copy), copy] as unknown as Buffer[]) {
      assert.equal(verifier.verify(body, signature).valid, true, inspect(body));
    }
    assert.equal(verifier.verify(bytes.toString(), signature).valid, false, 'text is something else');
    assert.equal(verifier.verify(bytes.subarray(1), signature).valid, false);
  });

  test('of text are its UTF-8', () => {
    const text = '{"name":"Zoë — 東京 🦭"}';
    assert.equal(verifier.verify(Buffer.from(text), verifier.sign(text)).valid, true);
    assert.equal(verifier.verify(text, `sha256=${hmac(text).digest('hex')}`).valid, true);
  });
});

describe('what is not a raw body or a signature', () => {
  const verifier = new WebhookVerifier({ secret });
  const signature = verifier.sign(payload);

  test('is refused with the middleware to change, and never throws', () => {
    for (const body of [JSON.parse(payload), [], null, undefined, 1, true, () => 1, Symbol('x')]) {
      const result = verifier.verify(body, signature);
      assert.equal(result.valid, false);
      assert.match(result.reason!, /^Verification error: the payload is .*express\.raw/);
      assert.match(verifier.verifyRequest({ headers: {}, body }).reason!, /express\.raw/);
    }
    assert.throws(() => verifier.sign({} as string), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });

  test('missing, doubled and odd signatures have a reason', () => {
    assert.equal(verifier.verify(payload, undefined).reason, 'Verification error: the signature is missing');
    assert.equal(verifier.verify(payload, [signature]).valid, true);
    assert.match(verifier.verify(payload, [signature, signature]).reason!, /2 signature headers/);
    for (const odd of [1, {}, null, Symbol('x')] as unknown as string[]) {
      assert.match(verifier.verify(payload, odd).reason!, /^Verification error: /);
    }
    for (const odd of [undefined, null, 1] as never[]) assert.equal(verifier.verifyRequest(odd).valid, false);
    const throwing = { headers: new Proxy({}, { ownKeys: () => assert.fail('boom') }), body: payload };
    assert.equal(verifier.verifyRequest(throwing).reason, 'Verification error: request.headers cannot be read: boom');
  });

  test('only the canonical spelling of a signature counts', () => {
    const [stamp, digits] = signature.split(',v1=') as [string, string];
    for (const bad of [
      ` ${signature}`,
      `${signature} `,
      `${stamp}, v1=${digits}`,
      `${stamp},v1=${digits.toUpperCase()}`,
    ]) {
      assert.equal(verifier.verify(payload, bad).reason, 'Invalid signature format', bad);
    }
  });

  test('a timestamp is digits and nothing else', () => {
    const sign = (stamp: string) => `t=${stamp},v1=${hmac(`${stamp}.${payload}`).digest('hex')}`;
    assert.equal(verifier.verify(payload, sign(`${nowSeconds()}`)).valid, true);
    for (const stamp of [
      `${nowSeconds()}.5`,
      `+${nowSeconds()}`,
      `${nowSeconds()} `,
      '1e10',
      '',
      'NaN',
      '9'.repeat(40),
    ]) {
      assert.equal(verifier.verify(payload, sign(stamp)).reason, 'Invalid signature format', stamp);
    }
  });
});

describe('secrets', () => {
  test('an empty one does not start', () => {
    for (const empty of [undefined, '', [], ['a', '']]) {
      assert.throws(() => new WebhookVerifier({ secret: empty }), {
        name: 'TypeError',
        message: /options\.secret must/,
      });
    }
    for (const given of [undefined, null, secret]) {
      const wrong = { code: 'ERR_INVALID_ARG_TYPE', message: /^options must be a plain object/ };
      assert.throws(() => new WebhookVerifier(given as never), wrong);
    }
    assert.throws(() => verifyWebhookSignature(payload, 'x', ''), { name: 'TypeError' });
    assert.match(new WebhookVerifier({ secret }).verify(payload, 'x', '').reason!, /^Verification error: secret must/);
  });

  test('several are tried, and the one that matched is named', () => {
    const rotating = new WebhookVerifier({ secret: ['new', secret] });
    const headers = { 'X-Webhook-Signature': signWebhookPayload(payload, secret) };
    assert.equal(rotating.verifyRequest({ headers, body: payload }).secretIndex, 1);
    assert.equal(
      new WebhookVerifier({ secret: 'new' }).verify(payload, headers['X-Webhook-Signature'], secret).valid,
      true,
    );
  });

  test('several v1 signatures are each tried', () => {
    const [stamp, right] = signWebhookPayload(payload, secret).split(',v1=') as [string, string];
    const verifier = new WebhookVerifier({ secret });
    const wrong = '0'.repeat(64);
    assert.equal(verifier.verify(payload, `${stamp},v1=${wrong},v1=${right}`).valid, true);
    assert.equal(verifier.verify(payload, `${stamp},v1=${right},v0=old,v1=${wrong}`).valid, true);
  });

  test('are not shown by inspect, JSON, errors or the shared cache', () => {
    resetWebhookVerifiers();
    const verifier = getWebhookVerifier('visible-s3cret');
    const shown = [inspect(verifier, { depth: 9, showHidden: true }), JSON.stringify(verifier)];
    shown.push(JSON.stringify(verifier.verify(payload, 'x')));
    try {
      new WebhookVerifier({ secret: 'visible-s3cret', scheme: 'discord' });
    } catch (error) {
      shown.push(String(error));
    }
    assert.equal(shown.length, 4);
    for (const text of shown) assert.ok(!text.includes('s3cret'), text);
  });

  test('the shared verifier is made once for a secret, until the reset', () => {
    resetWebhookVerifiers();
    const events: string[] = [];
    setLogger({ warn: ({ event }) => events.push(event) });
    const first = getWebhookVerifier(secret, { maxAgeMs: 1000 });
    assert.equal(getWebhookVerifier(secret), first);
    for (const maxAgeMs of [1000, 2000, 3000]) assert.equal(getWebhookVerifier(secret, { maxAgeMs }), first);
    assert.deepEqual(events, ['webhook.options-ignored']);
    setLogger(undefined);
    assert.notEqual(getWebhookVerifier('other'), first);
    assert.notEqual(getWebhookVerifier([secret, 'other']), first);
    assert.match(first.verify(payload, first.sign(payload, nowSeconds() - 60)).reason!, /max 1s/);
    resetWebhookVerifiers();
    assert.notEqual(getWebhookVerifier(secret), first);
  });
});

describe('options', () => {
  test('bounds are the callers, and unknown names are refused with the nearest', () => {
    const strict = new WebhookVerifier({ secret, maxAgeMs: 0, toleranceMs: 0 });
    assert.match(strict.verify(payload, strict.sign(payload, nowSeconds() - 2)).reason!, /max 0s/);
    assert.match(strict.verify(payload, strict.sign(payload, nowSeconds() + 2)).reason!, /future/);
    const open = new WebhookVerifier({ secret, maxAgeMs: Infinity });
    assert.equal(open.verify(payload, open.sign(payload, 1)).valid, true);
    assert.throws(() => new WebhookVerifier({ secret, maxAge: 1 } as never), { message: /did you mean 'maxAgeMs'/ });
    assert.throws(() => new WebhookVerifier({ secret, scheme: 'gihub' as never }), {
      message: /did you mean 'github'/,
    });
    assert.throws(() => new WebhookVerifier({ secret, maxAgeMs: -1 }), { name: 'RangeError' });
    for (const bad of [1.5, -1, NaN, 1e12]) assert.throws(() => strict.sign(payload, bad), { name: 'RangeError' });
  });
});

describe('requests', () => {
  const url = 'https://example.com/hook?a=1';
  const schemes: WebhookScheme[] = [
    ...(['stripe', 'github', 'github-sha1', 'slack', 'shopify', 'hubspot-v1', 'hubspot-v2', 'hubspot-v3'] as const),
    ...(['twilio', 'paddle', 'zoom', 'square', 'salesforce-data-cloud', 'salesforce-ens', 'generic'] as const),
  ];

  test('every scheme verifies what it signs, named and detected, however headers are spelled and held', () => {
    for (const scheme of schemes) {
      const verifier = new WebhookVerifier({ secret, scheme, url });
      const headers = verifier.signRequest({ body: payload });
      const upper = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), [value]]));
      const detecting = new WebhookVerifier({ secret, url });
      for (const form of [
        headers,
        upper,
        new Headers(headers),
        new Map(Object.entries(headers)),
        Object.entries(headers),
      ]) {
        for (const candidate of [verifier, detecting]) {
          const result = candidate.verifyRequest({ headers: form, body: payload });
          assert.equal(result.valid, true, `${scheme}: ${result.reason}`);
          assert.equal(result.scheme, scheme);
          assert.equal(candidate.verifyRequest({ headers: form, body: `${payload} ` }).valid, false, scheme);
        }
      }
    }
  });

  test('Standard Webhooks signs its id and takes the secret from base64', () => {
    const verifier = new WebhookVerifier({ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', scheme: 'standard' });
    const headers = {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    };
    const request = { headers, body: '{"test": 2432232314}', now: 1_614_265_330_000 };
    assert.deepEqual(verifier.verifyRequest(request), {
      valid: true,
      scheme: 'standard',
      timestamp: 1614265330,
      id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      secretIndex: 0,
    });
    const other = { ...headers, 'webhook-id': 'msg_other' };
    assert.equal(verifier.verifyRequest({ ...request, headers: other }).reason, 'Signature mismatch');
    assert.match(verifier.verifyRequest({ ...request, now: undefined }).reason!, /too old/);
    for (const now of [NaN, '1614265330000' as never, new Date() as never]) {
      const { valid, reason } = verifier.verifyRequest({ ...request, now });
      assert.equal(valid, false);
      assert.match(reason!, /^Verification error: request\.now must be milliseconds since the epoch, got /);
    }
  });

  test('Ed25519 needs the public key only', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const stamp = `${nowSeconds()}`;
    const discord = new WebhookVerifier({ secret: raw.toString('hex'), scheme: 'discord' });
    const signature = signEd25519(null, Buffer.from(stamp + payload), privateKey).toString('hex');
    const headers = { 'x-signature-ed25519': signature, 'x-signature-timestamp': stamp };
    assert.equal(discord.verifyRequest({ headers, body: payload }).valid, true);
    assert.equal(discord.verifyRequest({ headers, body: `${payload} ` }).reason, 'Signature mismatch');
    const standard = new WebhookVerifier({ secret: `whpk_${raw.toString('base64')}`, scheme: 'standard-ed25519' });
    const content = Buffer.from(`msg_1.${stamp}.${payload}`);
    const signed = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': stamp,
      'webhook-signature': `v1,AAAA v1a,${signEd25519(null, content, privateKey).toString('base64')}`,
    };
    assert.equal(standard.verifyRequest({ headers: signed, body: payload }).valid, true);
    assert.throws(() => discord.sign(payload), { message: /secret key/ });
  });

  test('the timestamp of Linear is the one in the body', () => {
    const linear = new WebhookVerifier({ secret, scheme: 'linear' });
    const verifyAt = (webhookTimestamp: number) => {
      const body = JSON.stringify({ webhookTimestamp });
      return linear.verifyRequest({ headers: { 'Linear-Signature': hmac(body).digest('hex') }, body });
    };
    assert.equal(verifyAt(Date.now()).valid, true);
    assert.match(verifyAt(Date.now() - 61_000).reason!, /too old/);
    assert.match(verifyAt(Date.now() + 62_000).reason!, /future/);
  });

  test('what a scheme needs and the request lacks is named', () => {
    const slack = new WebhookVerifier({ secret, scheme: 'slack' });
    const headers = { 'x-slack-signature': `v0=${'0'.repeat(64)}` };
    assert.match(slack.verifyRequest({ headers, body: '' }).reason!, /x-slack-request-timestamp is missing/);
    assert.match(slack.verifyRequest({ headers: {}, body: '' }).reason!, /x-slack-signature is missing/);
    const square = new WebhookVerifier({ secret, scheme: 'square' });
    const signature = `${'A'.repeat(43)}=`;
    assert.match(square.verify('', signature).reason!, /'url'/);
    const twice = { 'x-slack-signature': ['v0=1', 'v0=2'] };
    assert.match(slack.verifyRequest({ headers: twice, body: '' }).reason!, /occurs twice/);
    const smuggled = { 'x-slack-signature': 'v0=1\0x-slack-request-timestamp\x001' };
    assert.match(slack.verifyRequest({ headers: smuggled, body: '' }).reason!, /NUL/);
  });

  test('a described scheme is as good as one of the table', () => {
    const verifier = new WebhookVerifier({
      secret,
      scheme: {
        name: 'own',
        header: 'X-Own',
        content: '{timestamp}|{body}',
        timestampHeader: 'X-Own-Time',
        encoding: 'base64',
      },
    });
    const stamp = `${nowSeconds()}`;
    const headers = { 'x-own': hmac(`${stamp}|${payload}`).digest('base64'), 'x-own-time': stamp };
    const result = verifier.verifyRequest({ headers, body: payload });
    assert.deepEqual([result.valid, result.scheme], [true, 'own']);
    assert.deepEqual(verifier.signRequest({ body: payload, timestamp: Number(stamp) }), headers);
    const unsigned = { name: 'own', header: 'x', content: '{body}', timestampHeader: 'y' };
    assert.throws(() => new WebhookVerifier({ secret, scheme: unsigned }), { message: /unsigned timestamp/ });
  });

  test('only a genuine check of the endpoint is answered, and never with a signature for something else', () => {
    const zoom = new WebhookVerifier({ secret, scheme: 'zoom' });
    const check = (plainToken: string) => {
      const body = JSON.stringify({ event: 'endpoint.url_validation', payload: { plainToken } });
      return { body, headers: zoom.signRequest({ body }) };
    };
    const plainToken = 'qgg8vlvZRS6UYooatFL8Aw';
    const encryptedToken = hmac(plainToken).digest('hex');
    assert.deepEqual(zoom.challenge(check(plainToken)), { plainToken, encryptedToken });
    assert.equal(zoom.challenge({ ...check(plainToken), headers: {} }), undefined);
    assert.equal(zoom.challenge(check(`v0:${nowSeconds()}:{}`)), undefined);
    assert.equal(zoom.challenge({ headers: {}, body: {} as string }), undefined);
    const slack = new WebhookVerifier({ secret, scheme: 'slack' });
    const body = JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1aB' });
    assert.deepEqual(slack.challenge({ body, headers: slack.signRequest({ body }) }), { challenge: '3eZbrw1aB' });
    for (const request of [undefined, null, 'text']) {
      const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: /^request must be an object, got / };
      assert.throws(() => slack.challenge(request as never), wrong);
    }
  });
});

describe('a replay store', () => {
  let store: MemoryReplayStore;
  beforeEach(() => void (store = new MemoryReplayStore({ capacity: 2 })));

  test('refuses the same signed request, whatever it is presented to, and accepts a retry with a new timestamp', () => {
    const verifier = new WebhookVerifier({ secret, replayStore: store });
    const signature = verifier.sign(payload);
    const first = verifier.verify(payload, signature);
    assert.equal(first.valid, true);
    const again = verifier.verifyRequest({ headers: { 'x-webhook-signature': signature }, body: payload });
    assert.deepEqual([again.valid, again.reason], [false, 'Verification error: this request was accepted before']);
    assert.equal(verifier.verify(payload, verifier.sign(payload, nowSeconds() - 5)).valid, true);
    store.forget(first.replayKey!);
    assert.equal(verifier.verify(payload, signature).valid, true, 'a request that could not be processed');
  });

  test('remembers nothing of what is refused', () => {
    const verifier = new WebhookVerifier({ secret, replayStore: store });
    const signature = verifier.sign(payload);
    assert.equal(verifier.verify(`${payload} `, signature).valid, false);
    assert.equal(verifier.verify(payload, signature).valid, true);
  });

  test('is told how long to remember, and a wrong answer refuses', () => {
    const ttls: number[] = [];
    const remember = (_: string, ttlMs: number) => ttls.push(ttlMs) === 1;
    const verifier = new WebhookVerifier({ secret, replayStore: { remember } });
    assert.equal(verifier.verify(payload, verifier.sign(payload)).valid, true);
    assert.equal(verifier.verify(payload, `sha256=${hmac(payload).digest('hex')}`).valid, false);
    assert.deepEqual(ttls, [360_000, 86_400_000]);
    const promising = new WebhookVerifier({ secret, replayStore: { remember: (async () => true) as never } });
    assert.match(promising.verify(payload, promising.sign(payload)).reason!, /must return true or false/);
    assert.throws(() => new MemoryReplayStore({ capacity: 0 }), { name: 'RangeError' });
  });
});

describe('HubSpot before v3', () => {
  test('hashes the secret with the content and no HMAC', () => {
    const verifier = new WebhookVerifier({ secret, url: 'https://h/p' });
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    const headers = (version: string, text: string) => ({
      'X-HubSpot-Signature': digest(text),
      'X-HubSpot-Signature-Version': version,
    });
    const v1 = verifier.verifyRequest({ headers: headers('v1', secret + payload), body: payload });
    assert.deepEqual([v1.valid, v1.scheme], [true, 'hubspot-v1']);
    const v2 = verifier.verifyRequest({
      headers: headers('v2', `${secret}PUThttps://h/p${payload}`),
      body: payload,
      method: 'PUT',
    });
    assert.deepEqual([v2.valid, v2.scheme], [true, 'hubspot-v2']);
  });
});
