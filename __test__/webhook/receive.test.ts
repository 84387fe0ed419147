// Receiving webhooks on real servers: the raw body is kept, and what consumed it before is named.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { UnderlyingSource } from 'node:stream/web';
import { describe, test } from 'node:test';

import {
  receiveWebhook,
  setLogger,
  webhookMiddleware,
  WebhookVerifier,
  type LogRecord,
  type ReceivedWebhook,
} from 'moorline';

import { eventually } from '../support/eventually';
import { peer, peersMissing } from '../support/peers';
import { listen } from '../support/ports';

const secret = 's3cret';
const body = '{ "name": "Zoë",\n "n": 1.0 }';
const verifier = new WebhookVerifier({ secret });

/** Serves with `listener` while `work` runs. */
async function withServer<T>(listener: RequestListener, work: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer(listener);
  const port = await listen(server);
  try {
    return await work(`http://127.0.0.1:${port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function post(url: string, signature: string, sent: string | Buffer = body): Promise<Response> {
  const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
  return fetch(url, { method: 'POST', headers, body: new Uint8Array(Buffer.from(sent)) });
}

/** The JSON that {@link answerWithResult} answers: the result, and the raw body as text. */
type Answer = Omit<ReceivedWebhook, 'body'> & { raw: string };

async function answerOf(response: Promise<Response>): Promise<Answer> {
  return (await response).json() as Promise<Answer>;
}

const answerWithResult: RequestListener = async (request, response) => {
  const { body: raw, ...received } = await receiveWebhook(verifier, request, { limitBytes: 1000 });
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ ...received, raw: raw.toString() }));
};

describe('node:http', () => {
  test('the raw body is verified and handed on', async () => {
    await withServer(answerWithResult, async (origin) => {
      const received = await answerOf(post(origin, verifier.sign(body)));
      assert.deepEqual([received.valid, received.raw, received.scheme], [true, body, 'generic']);
      const forged = await answerOf(post(origin, verifier.sign(body), `${body} `));
      assert.deepEqual([forged.valid, forged.reason], [false, 'Signature mismatch']);
    });
  });

  test('a body above the limit is refused, and the connection can go on', async () => {
    await withServer(answerWithResult, async (origin) => {
      const large = Buffer.alloc(300_000, 'x');
      const received = await answerOf(post(origin, verifier.sign(large), large));
      assert.match(received.reason!, /larger than 1000 bytes/);
      assert.equal((await answerOf(post(origin, verifier.sign(body)))).valid, true);
    });
  });

  /** Sends half a body; resolves once the server has received it. */
  async function sendHalfBody(origin: string, firstBytes: Promise<void>): Promise<ClientRequest> {
    const request = httpRequest(origin, { method: 'POST', headers: { 'content-length': 100 } });
    request.on('error', () => undefined);
    request.write('half');
    await firstBytes;
    return request;
  }

  function deferFirstBytes(): { firstBytes: Promise<void>; onFirstBytes: () => void } {
    let onFirstBytes!: () => void;
    const firstBytes = new Promise<void>((resolve) => (onFirstBytes = resolve));
    return { firstBytes, onFirstBytes };
  }

  test('a sender that goes away in the middle is named, and harms nobody', async () => {
    const { firstBytes, onFirstBytes } = deferFirstBytes();
    let received: Promise<ReceivedWebhook> | undefined;
    const listener: RequestListener = (request) => {
      request.once('readable', onFirstBytes);
      received = receiveWebhook(verifier, request);
    };
    await withServer(listener, async (origin) => {
      (await sendHalfBody(origin, firstBytes)).destroy();
      const { valid, reason, status } = await received!;
      assert.deepEqual([valid, status], [false, 401]);
      assert.match(reason!, /^Verification error: the sender closed the connection/);
    });
  });

  test('the middleware does not answer a sender that went away', async () => {
    const { firstBytes, onFirstBytes } = deferFirstBytes();
    const records: LogRecord[] = [];
    setLogger({ warn: (record) => records.push(record) });
    let next = 0;
    let answered: ServerResponse | undefined;
    const middleware = webhookMiddleware(verifier);
    const listener: RequestListener = (request, response) => {
      answered = response;
      request.once('readable', onFirstBytes);
      middleware(request, response, () => (next += 1));
    };
    try {
      await withServer(listener, async (origin) => {
        (await sendHalfBody(origin, firstBytes)).destroy();
        await eventually(() => records.length === 1);
        assert.match(String(records[0]!.data['reason']), /the sender closed the connection/);
        assert.deepEqual([next, answered!.writableEnded], [0, false]);
      });
    } finally {
      setLogger(undefined);
    }
  });

  test('a sender that drips is given up, answered, and its connection closed', { timeout: 10_000 }, async () => {
    const { firstBytes, onFirstBytes } = deferFirstBytes();
    const middleware = webhookMiddleware(verifier, { timeoutMs: 50 });
    const listener: RequestListener = (request, response) => {
      request.once('readable', onFirstBytes);
      middleware(request, response, () => response.end());
    };
    setLogger({});
    try {
      await withServer(listener, async (origin) => {
        const request = await sendHalfBody(origin, firstBytes);
        const [response] = (await once(request, 'response')) as [IncomingMessage];
        assert.deepEqual([response.statusCode, response.headers.connection], [401, 'close']);
        response.resume();
        await once(request, 'close');
      });
    } finally {
      setLogger(undefined);
    }
  });

  for (const [name, value] of Object.entries({ timeoutMs: 0, limitBytes: '10mb' })) {
    test(`a ${name} that is none is refused`, async () => {
      const request = new Request('http://localhost', { method: 'POST', body });
      await assert.rejects(receiveWebhook(verifier, request, { [name]: value }), {
        name: 'RangeError',
        message: `options.${name} must be a number > 0, got ${value}`,
      });
    });
  }

  test('a signed URL is the public one, whatever host the server sees', async () => {
    const square = new WebhookVerifier({ secret, scheme: 'square', url: 'https://public.example/base' });
    const listener: RequestListener = async (request, response) => {
      response.end(String((await receiveWebhook(square, request)).valid));
    };
    await withServer(listener, async (origin) => {
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

  const streamed = (source: UnderlyingSource<Uint8Array>) =>
    new Request('http://10.0.0.1:3000/hook', { method: 'POST', body: new ReadableStream(source), duplex: 'half' });

  test('a body that never ends is given up', { timeout: 10_000 }, async () => {
    const dripping = streamed({ start: (controller) => controller.enqueue(Buffer.from('half')) });
    const { valid, reason } = await receiveWebhook(verifier, dripping, { timeoutMs: 20 });
    assert.deepEqual([valid, reason], [false, 'Verification error: the body did not arrive within 20ms']);
  });

  test('a sender that goes away is named', async () => {
    const broken = streamed({ pull: (controller) => controller.error(new Error('terminated')) });
    const { valid, reason } = await receiveWebhook(verifier, broken, { timeoutMs: Infinity });
    assert.deepEqual([valid, reason], [false, 'Verification error: the sender closed the connection: terminated']);
  });

  test('a body that was read before is named', async () => {
    const used = request(verifier.sign(body));
    await used.json();
    assert.match((await receiveWebhook(verifier, used)).reason!, /already read/);
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
      await withServer(app, async (origin) => {
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

  test('the middleware tells too large a body and a server set up wrongly from a forged one', async () => {
    const { default: express } = await peer('express');
    const app = express();
    app.use('/small', webhookMiddleware(verifier, { limitBytes: 10 }));
    app.use('/parsed', express.json(), webhookMiddleware(verifier));
    setLogger({});
    try {
      await withServer(app, async (origin) => {
        const large = await post(`${origin}/small`, verifier.sign(body));
        assert.deepEqual([large.status, await large.json()], [413, { error: 'Body too large' }]);
        const parsed = await post(`${origin}/parsed`, verifier.sign(body));
        assert.deepEqual([parsed.status, await parsed.json()], [500, { error: 'The webhook could not be read' }]);
      });
    } finally {
      setLogger(undefined);
    }
  });

  test('a JSON parser before it is named, a raw parser is fine', async () => {
    const { default: express } = await peer('express');
    const app = express();
    app.post('/json', express.json(), answerWithResult);
    app.post('/raw', express.raw({ type: '*/*' }), answerWithResult);
    await withServer(app, async (origin) => {
      const parsed = await answerOf(post(`${origin}/json`, verifier.sign(body)));
      assert.match(parsed.reason!, /body parser.*express\.raw/);
      assert.equal((await answerOf(post(`${origin}/raw`, verifier.sign(body)))).valid, true);
    });
  });
});

test('what is no verifier, and what is no request, is refused where it is given', async () => {
  const wrong = (path: string) => ({ code: 'ERR_INVALID_ARG_TYPE', message: new RegExp(`^${path} must be `) });
  for (const given of [undefined, null, secret, { secret }]) {
    assert.throws(() => webhookMiddleware(given as never), wrong('verifier'));
    await assert.rejects(receiveWebhook(given as never, new Request('http://h/')), wrong('verifier'));
  }
  for (const given of [undefined, null, body]) {
    await assert.rejects(receiveWebhook(verifier, given as never), wrong('request'));
  }
});
