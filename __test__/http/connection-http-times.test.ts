// How long a request may take: the call as a whole, each of its attempts, and what the message names when it was too long.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';

import { type ConnectionConfig, HTTPConnection, type MoorlineError, setLogger } from 'moorline';

import { closeAfter } from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve } from '../support/http';

let server: RunningServer;
let requests = 0;
/** Which test it is. */
let current = 0;
let answer: (response: ServerResponse) => unknown;

before(async () => {
  setLogger({});
  server = await serve((request, response) => {
    // One that a test before has left behind is not of this one.
    if (request.headers['x-test'] !== String(current)) return;
    requests += 1;
    answer(response);
  });
});
after(() => {
  setLogger(undefined);
  return server.close();
});
afterEach(() => {
  requests = 0;
  current += 1;
});

const never = () => undefined;
const unavailable = (response: ServerResponse) => response.writeHead(503).end();

function connect(t: TestContext, config: ConnectionConfig = {}): HTTPConnection {
  const customHeaders = { 'x-test': String(current) };
  const common = { url: server.url, customHeaders, monitoring: false, circuitBreaker: false, retryDelay: 1 };
  return closeAfter(t, new HTTPConnection({ ...common, ...config }));
}

async function rejectionOf(promise: Promise<unknown>): Promise<MoorlineError> {
  return promise.then(
    () => assert.fail('it was answered'),
    (error: MoorlineError) => error,
  );
}

describe('timeoutMs of a request', () => {
  test('bounds the whole call, with all its attempts', async (t) => {
    answer = never;
    const connection = connect(t, { timeout: 40, retryCount: 1000 });
    const started = performance.now();
    const error = await rejectionOf(connection.request({ timeoutMs: 300 }));
    assert.ok(performance.now() - started < 5000);
    assert.equal(error.kind, 'timeout');
    assert.ok(requests > 1 && requests < 20, `${requests} attempts`);
  });

  test('bounds the last attempt, and is named with the time that was given', async (t) => {
    let first = true;
    answer = (response) => first && ((first = false), unavailable(response));
    const error = await rejectionOf(connect(t).request({ timeoutMs: 250 }));
    assert.match(error.message, /within 250 ms \(timeoutMs\)/);
    assert.deepEqual([error.detail?.['limit'], error.attempts, requests], ['timeoutMs', 2, 2]);
  });

  test('lets no wait begin that would end after it: the last answer comes at once', async (t) => {
    const connection = connect(t);
    answer = (response) => response.writeHead(503, { 'retry-after': '60' }).end();
    const started = performance.now();
    assert.equal((await connection.request({ timeoutMs: 20_000 })).status, 503);
    assert.ok(performance.now() - started < 5000);
    assert.equal(requests, 1);
  });

  test('bounds the wait for the rate limit', async (t) => {
    answer = (response) => response.end();
    const limit = { rateLimit: true, rateLimitRequests: 1, rateLimitWindow: 600_000, timeout: Infinity };
    const connection = connect(t, limit);
    await connection.request({});
    const error = await rejectionOf(connection.request({ timeoutMs: 1000 }));
    assert.deepEqual([error.kind, requests], ['rate-limited', 1]);
  });

  test('that is no time is refused by name, and nothing is sent', async (t) => {
    answer = (response) => response.end();
    for (const timeoutMs of [0, -1, NaN]) {
      await assert.rejects(connect(t).request({ timeoutMs }), {
        name: 'RangeError',
        message: `request.timeoutMs must be ≥ 1, got ${timeoutMs}`,
      });
    }
    assert.equal(requests, 0);
  });
});

describe('what a message names', () => {
  test('is the option that ended the attempt', async (t) => {
    answer = never;
    const connection = connect(t, { timeout: 40, retryCount: 0 });
    assert.match((await rejectionOf(connection.request({}))).message, /within 40 ms \(timeout\)/);
    const own = await rejectionOf(connection.request({ attemptTimeoutMs: 30, timeoutMs: 5000 }));
    assert.match(own.message, /within 30 ms \(attemptTimeoutMs\)/);
    const head = await rejectionOf(connection.request({ attemptTimeoutMs: 5000, headersTimeoutMs: 20 }));
    assert.match(head.message, /within 20 ms \(headersTimeoutMs\)/);
    const ofConnection = connect(t, { headersTimeoutMs: 25, retryCount: 0 });
    assert.match((await rejectionOf(ofConnection.request({}))).message, /within 25 ms \(headersTimeoutMs\)/);
  });

  test('is maxConnections when that is what the call waits for', async (t) => {
    answer = never;
    const connection = connect(t, { maxConnections: 1, retryCount: 0 });
    const first = rejectionOf(connection.request({ timeoutMs: 20_000 }));
    await eventually(() => requests === 1);
    const error = await rejectionOf(connection.request({ timeoutMs: 60 }));
    assert.match(
      error.message,
      /no free connection within 60 ms \(timeoutMs\): all 1 connections are in use \(maxConnections\)/,
    );
    await connection.disconnect();
    await first;
  });
});

test('bodyTimeoutMs: a body that stops is given up, by the connection and by a request', async (t) => {
  answer = (response) => response.writeHead(200, { 'content-length': '10' }).write('x');
  const connection = connect(t, { bodyTimeoutMs: 50, retryCount: 0 });
  assert.match((await rejectionOf(connection.request({}))).message, /within 50 ms \(bodyTimeoutMs\)/);
  assert.match(
    (await rejectionOf(connection.request({ bodyTimeoutMs: 20 }))).message,
    /within 20 ms \(bodyTimeoutMs\)/,
  );
  const { stream } = await connection.request({ stream: true });
  const read = async () => {
    for await (const piece of stream) assert.equal(piece.length, 1);
  };
  await assert.rejects(read, /within 50 ms \(bodyTimeoutMs\)/);
});
