// What HTTPConnection.send makes of a value: a request, or data that the server takes or does not.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';

import { type ConnectionConfig, HTTPConnection, type HTTPResponse, type MoorlineError, setLogger } from 'moorline';

import { closeAfter, EventRecorder } from '../support/connections';
import { type RunningServer, serve } from '../support/http';

let server: RunningServer;
let requests: IncomingMessage[] = [];
let answer: (request: IncomingMessage, response: ServerResponse) => unknown;

const empty = (_: IncomingMessage, response: ServerResponse) => response.end();
const status = (code: number) => (_: IncomingMessage, response: ServerResponse) => response.writeHead(code).end();

before(async () => {
  setLogger({});
  answer = empty;
  server = await serve((request, response) => {
    requests.push(request);
    answer(request, response);
  });
});
after(() => {
  setLogger(undefined);
  return server.close();
});
afterEach(() => {
  requests = [];
  answer = empty;
});

function connect(t: TestContext, config: ConnectionConfig = {}) {
  const connection = closeAfter(
    t,
    new HTTPConnection({ url: server.url, monitoring: false, retryDelay: 1, ...config }),
  );
  return { connection, recorder: new EventRecorder(connection) };
}

describe('HTTPConnection.send', () => {
  test('another value is POSTed, as JSON unless it is text or bytes', async (t) => {
    const { connection } = connect(t);
    const bodies: string[] = [];
    answer = async (request, response) => {
      let body = '';
      for await (const piece of request) body += String(piece);
      bodies.push(body);
      response.end();
    };
    for (const value of [
      { method: 'get', params: [1] },
      { event: 'pay', method: 'delete', id: 7 },
      { url: '/u', method: 'subscribe' },
      { url: '/u' },
      [1, 2],
    ]) {
      assert.equal(await connection.send(value), true);
      const { method, url, headers } = requests.at(-1)!;
      assert.deepEqual([method, url, headers['content-type']], ['POST', '/', 'application/json']);
      assert.equal(bodies.at(-1), JSON.stringify(value));
    }
    assert.equal(await connection.send('text'), true);
    assert.equal(bodies.at(-1), 'text');
  });

  test('another value yields whether the server took it, and an event says why not', async (t) => {
    const { connection, recorder } = connect(t, { retryCount: 0, circuitBreaker: false });
    for (const code of [200, 201, 204]) {
      answer = status(code);
      assert.equal(await connection.send({ event: 'signup' }), true, String(code));
    }
    assert.equal(recorder.count('error'), 0);
    for (const code of [304, 404, 422, 429, 500, 503]) {
      answer = status(code);
      assert.equal(await connection.send({ event: 'signup' }), false, String(code));
      const { data, message } = recorder.of('error').at(-1)!;
      assert.equal(message, `the server responded with status ${code}`);
      const error = data?.['error'] as MoorlineError;
      assert.deepEqual([error.kind, error.delivery, error.detail?.['status']], ['rejected', 'answered', code]);
      assert.equal(data?.['context'], 'send');
    }
    assert.equal(recorder.count('error'), 6);
    for (const code of [401, 403]) {
      answer = status(code);
      assert.equal(await connection.send({ event: 'signup' }), false, String(code));
      assert.equal(recorder.of('authentication_failed').at(-1)?.message, `the server responded with status ${code}`);
    }
    assert.equal(recorder.count('authentication_failed'), 2);
    assert.equal(connection.getMetrics().errorCount, 8);
  });

  test('a value that cannot be read is false, with an event, and nothing is thrown', async (t) => {
    const { connection, recorder } = connect(t);
    const value = {
      get method(): string {
        throw new Error('a getter');
      },
    };
    assert.equal(await connection.send(value), false);
    assert.equal(recorder.count('error'), 1);
  });

  test('what comes back is known to the compiler', async (t) => {
    const { connection } = connect(t);
    const response: HTTPResponse | null = await connection.send({ method: 'GET', url: '/u' });
    const taken: boolean = await connection.send({ method: 'get', params: [] });
    const method: string = 'GET';
    const either: HTTPResponse | boolean | null = await connection.send({ method, url: '/u' });
    assert.deepEqual([response?.status, taken, (either as HTTPResponse).status], [200, true, 200]);
  });
});
