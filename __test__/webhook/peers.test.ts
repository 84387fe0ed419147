// What others sign we verify, and what we sign they verify.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';

import { WebhookVerifier } from 'moorline';

import { peer, peersMissing } from '../support/peers';

const payload = '{"id":"evt_1","name":"Zoë — 東京","amount":12.50}';
const nowSeconds = () => Math.floor(Date.now() / 1000);

describe('agrees with', { skip: peersMissing() }, () => {
  test('stripe', async () => {
    const { default: Stripe } = await peer('stripe');
    const { webhooks } = new Stripe('sk_test_none');
    const secret = 'whsec_test_secret';
    const verifier = new WebhookVerifier({ secret, scheme: 'stripe' });
    const theirs = webhooks.generateTestHeaderString({ payload, secret });
    assert.equal(verifier.verifyRequest({ headers: { 'Stripe-Signature': theirs }, body: payload }).valid, true);
    assert.equal(verifier.verify(payload, theirs).valid, true);
    assert.equal(webhooks.constructEvent(payload, verifier.sign(payload), secret).id, 'evt_1');
    assert.throws(() => webhooks.constructEvent(`${payload} `, verifier.sign(payload), secret));
    // Stripe's own library accepts a signature of tomorrow.
    const tomorrow = webhooks.generateTestHeaderString({ payload, secret, timestamp: nowSeconds() + 86_400 });
    assert.match(verifier.verify(payload, tomorrow).reason!, /future/);
  });

  test('standardwebhooks', async () => {
    const { Webhook } = await peer('standardwebhooks');
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const verifier = new WebhookVerifier({ secret, scheme: 'standard' });
    const webhook = new Webhook(secret);
    const stamp = new Date();
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': `${Math.floor(stamp.getTime() / 1000)}`,
      'webhook-signature': webhook.sign('msg_1', stamp, payload),
    };
    assert.equal(verifier.verifyRequest({ headers, body: payload }).valid, true);
    assert.deepEqual(
      webhook.verify(payload, verifier.signRequest({ body: payload, id: 'msg_2' })),
      JSON.parse(payload),
    );
    assert.throws(() => webhook.verify(`${payload} `, verifier.signRequest({ body: payload, id: 'msg_2' })));
  });

  test('@octokit/webhooks-methods', async () => {
    const { sign, verify } = await peer('@octokit/webhooks-methods');
    const verifier = new WebhookVerifier({ secret: 'mysecret', scheme: 'github' });
    const theirs = await sign('mysecret', payload);
    assert.equal(verifier.verifyRequest({ headers: { 'X-Hub-Signature-256': theirs }, body: payload }).valid, true);
    assert.equal(verifier.sign(payload), theirs);
    assert.equal(await verify('mysecret', payload, verifier.sign(payload)), true);
  });

  test('twilio, for forms, for JSON and whatever the port', async () => {
    const { default: twilio } = await peer('twilio');
    const url = 'https://example.com/hook?tenant=a%2Fb';
    const params = { CallSid: 'CA1', Caller: '+14158675309', Body: 'Zoë & co', Media: ['b', 'a', 'b'] };
    const pairs = Object.entries(params).flatMap(([name, value]) =>
      [value].flat().map((one): [string, string] => [name, one]),
    );
    const body = new URLSearchParams(pairs).toString();
    const verifier = new WebhookVerifier({ secret: 'token', scheme: 'twilio', url });
    const theirs = twilio.getExpectedTwilioSignature('token', url, params);
    assert.equal(verifier.verifyRequest({ headers: { 'X-Twilio-Signature': theirs }, body }).valid, true);
    const ported = url.replace('.com', '.com:443');
    const signed = twilio.getExpectedTwilioSignature('token', ported, params);
    assert.equal(verifier.verifyRequest({ headers: { 'X-Twilio-Signature': signed }, body }).valid, true);
    assert.equal(twilio.validateRequest('token', verifier.sign(body), url, params), true);
    const json = `${url}&bodySHA256=${twilio.getExpectedBodyHash(payload)}`;
    const ours = new WebhookVerifier({ secret: 'token', scheme: 'twilio', url: json }).sign(payload);
    assert.equal(twilio.validateRequestWithBody('token', ours, json, payload), true);
    const forJson = new WebhookVerifier({ secret: 'token', scheme: 'twilio' });
    const request = { headers: { 'x-twilio-signature': ours }, url: json };
    assert.equal(forJson.verifyRequest({ ...request, body: payload }).valid, true);
    assert.equal(forJson.verifyRequest({ ...request, body: `${payload} ` }).valid, false);
  });

  test('discord-interactions', async () => {
    const { verifyKey } = await peer('discord-interactions');
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const open = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
    const signer = new WebhookVerifier({ secret: Buffer.concat([seed, open]).toString('hex'), scheme: 'discord' });
    const headers = signer.signRequest({ body: payload });
    const [signature, stamp] = [headers['x-signature-ed25519'], headers['x-signature-timestamp']];
    assert.equal(await verifyKey(payload, signature, stamp, open.toString('hex')), true);
    assert.equal(await verifyKey(`${payload} `, signature, stamp, open.toString('hex')), false);
    const verifier = new WebhookVerifier({ secret: open.toString('hex'), scheme: 'discord' });
    assert.equal(verifier.verifyRequest({ headers, body: payload }).valid, true);
  });
});
