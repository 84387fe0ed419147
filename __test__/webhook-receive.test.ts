// Receiving webhooks on real servers: the raw body survives, and what destroyed it is named.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';

import {
  receiveWebhook,
  setLogger,
  webhookMiddleware,
  WebhookVerifier,
  type LogRecord,
  type ReceivedWebhook,
} from 'moorline';

import { eventually } from './support/eventually';
import { peer, peersMissing } from './support/peers';

const secret = 's3cret';
const body = '{ "name": "Zoë",\n "n": 1.0 }';
const verifier = new WebhookVerifier({ secret });

/** Serves with `listener` while `work` runs. */
async function serving<T>(listener: RequestListener, work: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function post(url: string, signature: string, sent: string | Buffer = body): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
  return fetch(url, { method: 'POST', headers, body: new Uint8Array(Buffer.from(sent)) });
}

/** What {@link answering} answers: the result, and the raw body as text. */
type Answered = Omit<ReceivedWebhook, 'body'> & { raw: string };

async function posted(response: Promise<Response>): Promise<Answered> {
  return (await response).json() as Promise<Answered>;
}

const answering: RequestListener = async (request, response) => {
  const { body: raw, ...received } = await receiveWebhook(verifier, request, { limitBytes: 1000 });
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...received, raw: raw.toString() }));
};

describe('node:http', () => {
  test('the raw body is verified and handed on', async () => {
    await serving(answering, async (origin) => {
      const received = await posted(post(origin, verifier.sign(body)));
      assert.deepEqual([received.valid, received.raw, received.scheme], [true, body, 'generic']);
      const forged = await posted(post(origin, verifier.sign(body), `${body} `));
      assert.deepEqual([forged.valid, forged.reason], [false, 'Signature mismatch']);
    });
  });

  test('a body above the limit is refused, and the connection can go on', async () => {
    await serving(answering, async (origin) => {
      const large = Buffer.alloc(300_000, 'x');
      const received = await posted(post(origin, verifier.sign(large), large));
      assert.match(received.reason!, /larger than 1000 bytes/);
      assert.equal((await posted(post(origin, verifier.sign(body)))).valid, true);
    });
  });

  test('a sender that goes away in the middle rejects, and harms nobody', async () => {
    let failure: unknown;
    let heard!: () => void;
    const arrived = new Promise<void>((resolve) => (heard = resolve));
    const listener: RequestListener = (request) => {
      request.once('readable', heard);
      receiveWebhook(verifier, request).catch((error: unknown) => (failure = error));
    };
    await serving(listener, async (origin) => {
      const request = httpRequest(origin, { method: 'POST', headers: { 'content-length': 100 } });
      request.on('error', () => undefined);
      request.write('half');
      await arrived;
      request.destroy();
      await eventually(() => failure !== undefined);
      assert.match(String(failure), /aborted/);
    });
  });

  test('a signed URL is the public one, whatever host the server sees', async () => {
    const square = new WebhookVerifier({ secret, scheme: 'square', url: 'https://public.example/base' });
    const listener: RequestListener = async (request, response) => {
      response.end(String((await receiveWebhook(square, request)).valid));
    };
    await serving(listener, async (origin) => {
      const headers = square.signRequest({ body, url: 'https://public.example/hook?a=1' });
      const response = await fetch(`${origin}/hook?a=1`, { method: 'POST', headers, body });
      assert.equal(await response.text(), 'true');
    });
  });
});

describe('Fetch requests, as of Hono and Next', () => {
  const request = (signature: string, url = 'http://10.0.0.1:3000/hook') =>
    new Request(url, { method: 'POST', headers: { 'X-Webhook-Signature': signature }, body });

  test('the raw body is verified and handed on', async () => {
    const received = await receiveWebhook(verifier, request(verifier.sign(body)));
    assert.deepEqual([received.valid, received.body.toString()], [true, body]);
    assert.equal((await receiveWebhook(verifier, request('nonsense'))).reason, 'Invalid signature format');
  });

  test('a body above the limit is refused', async () => {
    const received = await receiveWebhook(verifier, request(verifier.sign(body)), { limitBytes: 10 });
    assert.equal(received.reason, 'Verification error: the body is larger than 10 bytes');
  });

  test('a body that was read before is named', async () => {
    const used = request(verifier.sign(body));
    await used.json();
    assert.match((await receiveWebhook(verifier, used)).reason!, /read already/);
  });

  test('a signed URL is the public one', async () => {
    const square = new WebhookVerifier({ secret, scheme: 'square', url: 'https://public.example/' });
    const headers = square.signRequest({ body, url: 'https://public.example/hook?a=1' });
    const behindProxy = new Request('http://10.0.0.1:3000/hook?a=1', { method: 'POST', headers, body });
    assert.equal((await receiveWebhook(square, behindProxy)).valid, true);
  });
});

describe('Express', { skip: peersMissing() }, () => {
  test('the middleware lets genuine webhooks pass, answers 401 to others and challenges by itself', async () => {
    const { default: express } = await peer('express');
    const slack = new WebhookVerifier({ secret, scheme: 'slack' });
    const app = express();
    app.use('/hooks', webhookMiddleware(verifier));
    app.use('/slack', webhookMiddleware(slack));
    app.use(express.json());
    app.post('/hooks/a', (request: any, response: any) => {
      response.json({ name: JSON.parse(request.body).name, scheme: request.webhook.scheme });
    });
    const records: LogRecord[] = [];
    setLogger({ warn: (record) => records.push(record) });
    try {
      await serving(app, async (origin) => {
        const passed = await post(`${origin}/hooks/a`, verifier.sign(body));
        assert.deepEqual(await passed.json(), { name: 'Zoë', scheme: 'generic' });
        const refused = await post(`${origin}/hooks/a`, verifier.sign('other'));
        assert.deepEqual([refused.status, await refused.json()], [401, { error: 'Invalid signature' }]);
        const check = '{"type":"url_verification","challenge":"abc"}';
        const headers = slack.signRequest({ body: check });
        const answered = await fetch(`${origin}/slack`, { method: 'POST', headers, body: check });
        assert.deepEqual(await answered.json(), { challenge: 'abc' });
      });
      assert.deepEqual(
        records.map(({ event, data }) => [event, data['reason']]),
        [['webhook.refused', 'Signature mismatch']],
      );
    } finally {
      setLogger(undefined);
    }
  });

  test('a JSON parser before it is named, a raw parser is fine', async () => {
    const { default: express } = await peer('express');
    const app = express();
    app.post('/json', express.json(), answering);
    app.post('/raw', express.raw({ type: '*/*' }), answering);
    await serving(app, async (origin) => {
      const parsed = await posted(post(`${origin}/json`, verifier.sign(body)));
      assert.match(parsed.reason!, /body parser.*express\.raw/);
      assert.equal((await posted(post(`${origin}/raw`, verifier.sign(body)))).valid, true);
    });
  });
});
