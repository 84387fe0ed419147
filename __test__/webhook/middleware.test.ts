// What stands around the middleware: answers of others, handlers that fail, frameworks. Nothing of it ends the process.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';

import {
  MemoryReplayStore,
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
import { runScript } from '../support/script';

const verifier = new WebhookVerifier({ secret: 's' });
const body = 'payload';

let records: LogRecord[];

beforeEach(() => {
  records = [];
  const keep = (record: LogRecord) => records.push(record);
  setLogger({ warn: keep, error: keep });
});

afterEach(() => setLogger(undefined));

type Next = (error?: unknown) => unknown;
type Middleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void;

/** Serves with `listener` while `work` runs. */
async function withServer<T>(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
  work: (port: number) => Promise<T>,
): Promise<T> {
  const server = createServer(listener);
  const port = await listen(server);
  try {
    return await work(port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const post = (port: number, path = '/') =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    body,
    headers: { 'x-webhook-signature': verifier.sign(body) },
  });

describe('a request that somebody else has answered', () => {
  test('is not answered again when its body drips until the time is over, and the process lives', async () => {
    const { stdout, stderr, code } = await runScript(`
      const http = require('node:http'), net = require('node:net');
      const { WebhookVerifier, webhookMiddleware, setLogger } = require('moorline');
      setLogger({ warn: () => setImmediate(() => { console.log('refused'); process.exit(); }) });
      const receive = webhookMiddleware(new WebhookVerifier({ secret: 's' }), { timeoutMs: 100 });
      const server = http.createServer((request, response) => {
        request.once('readable', () => { response.statusCode = 503; response.end('busy'); });
        receive(request, response, () => response.end('ok'));
      }).listen(0, '127.0.0.1', () => {
        const sender = net.connect(server.address().port, '127.0.0.1').on('error', () => {});
        sender.write('POST / HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 100\\r\\nX-Webhook-Signature: t=1,v1=00\\r\\n\\r\\nabc');
      });`);
    assert.deepEqual({ stdout, stderr, code }, { stdout: 'refused\n', stderr: '', code: 0 });
  });

  test('is handed on when it is genuine, since its body is not lost', async () => {
    let [passed, answered] = [0, false];
    const receive = webhookMiddleware(verifier);
    await withServer(
      (request, response) => {
        response.end('early', () => (answered = true));
        receive(request, response, () => (passed += 1));
      },
      async (port) => {
        assert.equal(await (await post(port)).text(), 'early');
        await eventually(() => passed === 1 && answered);
      },
    );
    assert.deepEqual(records, []);
  });

  test('is left alone when the signature is wrong', async () => {
    const receive = webhookMiddleware(new WebhookVerifier({ secret: 'another' }));
    await withServer(
      (request, response) => {
        response.writeHead(202).end('early');
        receive(request, response, () => assert.fail('it must not pass'));
      },
      async (port) => {
        assert.equal((await post(port)).status, 202);
        await eventually(() => records.length === 1);
      },
    );
    assert.deepEqual(
      records.map(({ event }) => event),
      ['webhook.refused'],
    );
  });
});

describe('a handler that fails', () => {
  const failing: Record<string, Next> = {
    throws: () => {
      throw new Error('the handler');
    },
    rejects: () => Promise.reject(new Error('the handler')),
    'gives a promise that cannot be asked': () => ({
      get then() {
        throw new Error('the handler');
      },
    }),
  };
  for (const [how, next] of Object.entries(failing)) {
    test(`and ${how} is called once, logged and answered with 500`, async () => {
      let calls = 0;
      const receive: Middleware = webhookMiddleware(verifier);
      await withServer(
        (request, response) =>
          receive(request, response, (...given) => {
            calls += 1;
            return next(...given);
          }),
        async (port) => {
          const response = await post(port);
          assert.deepEqual([response.status, await response.json()], [500, { error: 'Internal error' }]);
        },
      );
      assert.equal(calls, 1);
      assert.deepEqual(
        records.map(({ level, event, data }) => [level, event, data['error']]),
        [['error', 'webhook.handler-failed', 'the handler']],
      );
    });
  }

  test('in the middle of its answer cuts it off', async () => {
    const receive = webhookMiddleware(verifier);
    await withServer(
      (request, response) =>
        receive(request, response, () => {
          response.writeHead(200, { 'content-length': 10 });
          response.write('half');
          throw new Error('the handler');
        }),
      async (port) => assert.rejects(post(port).then((response) => response.text())),
    );
  });

  test('does not end the process', async () => {
    const { stdout, stderr, code } = await runScript(`
      const http = require('node:http');
      const { WebhookVerifier, webhookMiddleware, setLogger } = require('moorline');
      setLogger({});
      const verifier = new WebhookVerifier({ secret: 's' }), receive = webhookMiddleware(verifier);
      const server = http.createServer((q, r) => receive(q, r, () => { throw new Error('the handler'); }));
      server.listen(0, '127.0.0.1', async () => {
        const headers = { 'x-webhook-signature': verifier.sign('b') };
        const got = await fetch('http://127.0.0.1:' + server.address().port, { method: 'POST', body: 'b', headers });
        console.log(got.status);
        process.exit();
      });`);
    assert.deepEqual({ stdout, stderr, code }, { stdout: '500\n', stderr: '', code: 0 });
  });
});

test('an option that is none is refused when the middleware is made', () => {
  const message = 'options.timeoutMs must be a number > 0, got 0';
  assert.throws(() => webhookMiddleware(verifier, { timeoutMs: 0 }), { name: 'RangeError', message });
});

describe('a request that cannot be read', () => {
  const faults: Record<string, (request: IncomingMessage) => void> = {
    'has a getter that throws': (request) => {
      const get = () => {
        throw new Error('a getter');
      };
      Object.defineProperty(request, 'rawBody', { get });
    },
    'cannot be given its result': (request) => Object.defineProperty(request, 'webhook', { get: () => undefined }),
    'was decoded to text': (request) => request.setEncoding('utf8'),
  };
  for (const [what, breakRequest] of Object.entries(faults)) {
    test(`because it ${what} is answered with 500, and no handler sees it`, async () => {
      const receive = webhookMiddleware(verifier);
      await withServer(
        (request, response) => {
          breakRequest(request);
          receive(request, response, () => response.end('passed'));
        },
        async (port) => {
          const response = await post(port);
          assert.deepEqual([response.status, await response.json()], [500, { error: 'The webhook could not be read' }]);
        },
      );
      assert.equal(records.length, 1);
    });
  }

  test('because it was decoded is a result of receiveWebhook', async () => {
    let result: Promise<ReceivedWebhook> | undefined;
    await withServer(
      (request, response) => {
        request.setEncoding('latin1');
        result = receiveWebhook(verifier, request);
        void result.finally(() => response.end()).catch(() => undefined);
      },
      (port) => post(port),
    );
    const { valid, status, reason } = await result!;
    assert.deepEqual([valid, status], [false, 500]);
    assert.match(reason ?? '', /setEncoding/);
  });
});

test('a sender that leaves while its webhook is verified harms nobody', async () => {
  const receive = webhookMiddleware(verifier);
  let passed = 0;
  await withServer(
    (request, response) => receive(request, response, () => (passed += 1)),
    async (port) => {
      const sender = connect(port, '127.0.0.1').on('error', () => undefined);
      const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n`;
      sender.end(`${head}X-Webhook-Signature: ${verifier.sign(body)}\r\n\r\n${body}`);
      sender.resume();
      await eventually(() => passed === 1);
      sender.destroy();
    },
  );
});

test('a replay store that gives a promise refuses, and what the promise rejects with ends nothing', async () => {
  const { stdout, stderr, code } = await runScript(`
    const { WebhookVerifier } = require('moorline');
    const replayStore = { remember: async () => { throw new Error('the store is down'); } };
    const verifier = new WebhookVerifier({ secret: 's', replayStore });
    console.log(verifier.verify('b', verifier.sign('b')).reason);
    setTimeout(() => console.log('alive'), 10);`);
  const expectedStdout = 'Verification error: replayStore.remember must return true or false\nalive\n';
  assert.deepEqual({ stdout, stderr, code }, { stdout: expectedStdout, stderr: '', code: 0 });
  assert.equal(new MemoryReplayStore().remember('a', 1), true);
});

describe('Express', { skip: peersMissing() }, () => {
  test('gets what a handler throws in its own error handler, once', async () => {
    const { default: express } = await peer('express');
    const app = express();
    const caught: string[] = [];
    app.use(webhookMiddleware(verifier));
    app.post('/', () => {
      throw new Error('the handler');
    });
    app.use((error: Error, _request: unknown, response: any, _next: unknown) => {
      caught.push(error.message);
      response.status(418).end();
    });
    await withServer(app, async (port) => assert.equal((await post(port)).status, 418));
    assert.deepEqual([caught, records], [['the handler'], []]);
  });
});
