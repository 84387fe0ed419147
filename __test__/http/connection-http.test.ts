// HTTPConnection: what each option does, and each event, against Node's server and one that misbehaves.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';

import { type ConnectionConfig, HTTPConnection, HTTPResponse, MoorlineError, setLogger } from 'moorline';

import { closeAfter, EventRecorder } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { serveRaw, type RunningServer, serve } from '../support/http';
import { freePort } from '../support/ports';

/** Far below the limits that hold where none is given, which are half a minute, and enough for a machine that is busy. */
const BUSY_MS = 10_000;

let server: RunningServer;
/** What came, and how it is answered; by default `{}`. */
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

/** A connection to the server, quick to repeat and without checks of its own. */
function connect(t: TestContext, config: ConnectionConfig = {}) {
  const quick = { url: server.url, monitoring: false, retryDelay: 1, ...config };
  const connection = closeAfter(t, new HTTPConnection(quick));
  return { connection, recorder: new EventRecorder(connection) };
}

describe('HTTPConnection.send', () => {
  test('a request yields its answer, whatever its status', async (t) => {
    const { connection, recorder } = connect(t, { url: `${server.url}/base/?a=1` });
    answer = (_, response) => response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"none"}');
    const response = await connection.send({ method: 'GET', url: '/users?b=2' });
    assert.ok(response instanceof HTTPResponse);
    assert.deepEqual([response.status, response.ok, response.data], [404, false, { error: 'none' }]);
    assert.equal(requests[0]?.url, '/base/users?a=1&b=2');
    assert.deepEqual([recorder.count('error'), connection.getMetrics().errorCount], [0, 0]);
  });

  test('a query goes with its question marks', async (t) => {
    const { connection } = connect(t);
    await connection.request({ url: '/s?q=what?&page=2' });
    assert.equal(requests[0]?.url, '/s?q=what?&page=2');
  });

  test('no answer yields null, and an event that carries the error', async (t) => {
    const { connection, recorder } = connect(t, { url: `http://127.0.0.1:${await freePort()}`, retryCount: 1 });
    assert.equal(await connection.send({ url: '', method: 'GET' }), null);
    assert.equal(await connection.send({ hello: 'world' }), false);
    assert.equal(await connection.receive(), null);
    const { data } = await recorder.until('error', 2);
    const error = data?.['error'];
    assert.ok(error instanceof MoorlineError);
    assert.deepEqual([error.kind, error.code, error.attempts, error.delivery], ['connect', 'ECONNREFUSED', 2, 'none']);
  });

  test('request is the form that rejects', async (t) => {
    const { connection } = connect(t, { url: `http://127.0.0.1:${await freePort()}`, autoRetry: false });
    await assert.rejects(connection.request({ url: '/x' }), { kind: 'connect', service: 'http', attempts: 1 });
    const controller = new AbortController();
    controller.abort(new Error('enough'));
    await assert.rejects(connection.request({}, { signal: controller.signal }), /enough/);
  });

  test('what cannot be sent is refused, and does not count for the breaker', async (t) => {
    const { connection, recorder } = connect(t, { circuitBreakerThreshold: 1 });
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    assert.equal(await connection.send(circle), false);
    assert.equal(await connection.send({ url: '', method: 'POST', body: () => 1 }), null);
    assert.equal(await connection.send({ method: 'POST', url: 'http://', body: 'x' }), null);
    assert.equal(recorder.count('error'), 3);
    assert.equal(recorder.count('circuit_breaker_opened'), 0);
    assert.equal(requests.length, 0);
    assert.equal(await connection.send('x'), true);
  });

  test('another origin gets only those of our headers that carry no credential', async (t) => {
    const unknown = { 'x-jwt': 'j', 'x-trace': 't', sid: 's' };
    const customHeaders = { Authorization: 'Bearer b', 'X-API-Key': 'k', 'Accept-Language': 'de', ...unknown };
    const { connection } = connect(t, { url: `http://localhost:${server.port}/own`, customHeaders });
    await connection.send({ method: 'GET', url: '/path', headers: { 'x-trace': 'mine' } });
    await connection.send({ method: 'GET', url: `${server.url}/other`, headers: { sid: 'given' } });
    const [own, other] = requests.map(({ headers }) => headers);
    const names = ['authorization', 'x-api-key', 'accept-language', 'x-jwt', 'x-trace', 'sid'];
    const got = (headers?: IncomingMessage['headers']) => names.map((name) => headers?.[name]);
    assert.deepEqual(got(own), ['Bearer b', 'k', 'de', 'j', 'mine', 's']);
    assert.deepEqual(got(other), [undefined, undefined, 'de', undefined, undefined, 'given']);
  });
});

describe('retryCount, autoRetry', () => {
  const failTimes = (times: number) => (_: IncomingMessage, response: ServerResponse) =>
    response.writeHead(requests.length <= times ? 503 : 200).end();

  test('what changes nothing is repeated, so many times after the first', async (t) => {
    const { connection } = connect(t, { retryCount: 2 });
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'] as const) {
      requests = [];
      answer = failTimes(2);
      assert.equal((await connection.send({ url: '', method }))?.status, 200, method);
      assert.equal(requests.length, 3);
    }
    requests = [];
    answer = failTimes(9);
    assert.equal(
      (await connection.send({ url: '', method: 'GET' }))?.status,
      503,
      'the last answer is what the caller gets',
    );
    assert.equal(requests.length, 3);
  });

  test('POST and PATCH are repeated only with an Idempotency-Key', async (t) => {
    const { connection } = connect(t);
    for (const method of ['POST', 'PATCH'] as const) {
      requests = [];
      answer = failTimes(9);
      assert.equal((await connection.send({ url: '', method, body: 'x' }))?.status, 503);
      assert.equal(requests.length, 1, method);
    }
    requests = [];
    answer = failTimes(1);
    const response = await connection.send({
      url: '',
      method: 'POST',
      body: 'x',
      headers: { 'Idempotency-Key': 'k' },
    });
    assert.deepEqual([response?.status, requests.length], [200, 2]);
  });

  test('what is a POST for its body is none the less one, also for the fallback', async (t) => {
    const posts = () => requests.filter(({ method }) => method === 'POST').map(({ url }) => url);
    const fallbackUrl = `${server.url}/other`;
    answer = status(503);
    const busy = await connect(t, { fallbackUrl }).connection.request({ url: '/busy', body: { pay: 1 } });
    assert.equal(busy.status, 503);
    answer = (request) => request.socket.destroy();
    const cut = connect(t, { fallbackUrl }).connection.request({ url: '/cut', body: { pay: 1 } });
    await assert.rejects(cut, { kind: 'disconnected' });
    assert.deepEqual(posts(), ['/busy', '/cut']);
  });

  test('a streamed answer that is not the last one lets go of its connection', async (t) => {
    answer = (_, response) => response.writeHead(requests.length < 3 ? 503 : 200).end('body');
    const { connection } = connect(t, { maxConnections: 1, timeout: 2000, retryCount: 3 });
    const { status, stream } = await connection.request({ stream: true });
    assert.equal(status, 200);
    for await (const piece of stream) assert.equal(Buffer.from(piece).toString(), 'body');
    answer = (_, response) => response.writeHead(503).end('busy');
    const last = await connection.request({ stream: true });
    assert.equal(last.status, 503);
    for await (const piece of last.stream) assert.equal(Buffer.from(piece).toString(), 'busy');
  });

  test('a method counts in whatever case it is written', async (t) => {
    answer = status(503);
    const { connection } = connect(t, { retryCount: 1 });
    assert.equal((await connection.send({ url: '', method: 'get' }))?.status, 503);
    assert.equal(requests.filter(({ method }) => method === 'GET').length, 2);
  });

  test('a POST is repeated when nothing was written', async (t) => {
    const proxy = await FaultProxy.start(server.port);
    t.after(() => proxy.close());
    await proxy.refuse();
    const { connection } = connect(t, {
      url: `http://127.0.0.1:${proxy.port}`,
      retryCount: 100,
      circuitBreaker: false,
    });
    const sent = connection.send({ hello: 'world' });
    await proxy.accept();
    assert.equal(await sent, true);
    assert.equal(requests.length, 1);
  });

  test('a POST that breaks off or takes too long is sent once', async (t) => {
    answer = (request, response) => (request.url === '/cut' ? request.socket.destroy() : response);
    const { connection, recorder } = connect(t, { timeout: 1000 });
    assert.equal(await connection.send({ method: 'POST', url: '/cut', body: 'x' }), null);
    assert.equal(await connection.send({ method: 'POST', url: '/late', body: 'x' }), null);
    assert.deepEqual(
      requests.map(({ url }) => url),
      ['/cut', '/late'],
    );
    const kinds = recorder.of('error').map(({ data }) => (data?.['error'] as MoorlineError).kind);
    assert.deepEqual(kinds, ['disconnected', 'timeout']);
  });

  for (const config of [{ autoRetry: false }, { retryCount: 0 }]) {
    test(`${JSON.stringify(config)}: once`, async (t) => {
      answer = status(503);
      const { connection } = connect(t, config);
      assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 503);
      assert.equal(requests.length, 1);
    });
  }

  test('waits for as long as the server asks', async (t) => {
    answer = (_, response) => response.writeHead(requests.length === 1 ? 429 : 200, { 'retry-after': '1' }).end();
    const { connection } = connect(t);
    const started = performance.now();
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 200);
    assert.ok(performance.now() - started >= 990);
  });
});

describe('what an option does', () => {
  test('timeout: an attempt takes no longer', async (t) => {
    answer = () => undefined;
    const { connection, recorder } = connect(t, { timeout: 500, retryCount: 1 });
    const started = performance.now();
    assert.equal(await connection.send({ url: '', method: 'GET' }), null);
    assert.ok(performance.now() - started < 2 * 500 + BUSY_MS);
    assert.equal(requests.length, 2);
    const { data } = await recorder.until('error');
    assert.equal((data?.['error'] as MoorlineError).kind, 'timeout');
  });

  test('attemptTimeoutMs: an attempt may have more time than the connection gives it, or less', async (t) => {
    answer = (request, response) => setTimeout(() => response.end(), request.url === '/slow' ? 80 : 30_000).unref();
    const { connection: hasty } = connect(t, { timeout: 40, autoRetry: false });
    assert.equal((await hasty.send({ method: 'GET', url: '/slow', attemptTimeoutMs: BUSY_MS }))?.status, 200);
    const { connection: patient } = connect(t, { autoRetry: false });
    await patient.request({ url: '/slow' });
    const started = performance.now();
    assert.equal(await patient.send({ method: 'GET', url: '/never', attemptTimeoutMs: 10 }), null);
    assert.ok(performance.now() - started < BUSY_MS);
  });

  test('keepAlive: an unused socket is kept for so long', async (t) => {
    const before = server.acceptedConnections();
    const { connection } = connect(t, { keepAlive: 1000 });
    for (let n = 0; n < 5; n++) await connection.send({ url: '', method: 'GET' });
    assert.equal(server.acceptedConnections() - before, 1);
    await eventually(() => server.openConnections() === 0);
    await connection.send({ url: '', method: 'GET' });
    assert.equal(server.acceptedConnections() - before, 2);
    await connection.disconnect();
    await eventually(() => server.openConnections() === 0);
  });

  test('compression: asked for and unpacked, or not asked for', async (t) => {
    answer = (request, response) => {
      const zipped = /gzip/.test(String(request.headers['accept-encoding']));
      if (zipped) response.setHeader('content-encoding', 'gzip');
      response.end(zipped ? gzipSync('plain') : 'plain');
    };
    for (const compression of [true, false]) {
      requests = [];
      const { connection } = connect(t, { compression });
      assert.equal((await connection.send({ url: '', method: 'GET' }))?.text(), 'plain');
      assert.equal(/gzip/.test(String(requests[0]?.headers['accept-encoding'])), compression);
    }
  });

  test('maxConnections: so many requests at once', async (t) => {
    let [now, most] = [0, 0];
    answer = async (_, response) => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setTimeout(resolve, 10));
      now -= 1;
      response.end();
    };
    const { connection } = connect(t, { maxConnections: 3 });
    const sent = await Promise.all(Array.from({ length: 12 }, () => connection.send({ url: '', method: 'GET' })));
    assert.ok(sent.every((response) => response?.status === 200));
    assert.equal(most, 3);
  });

  test('rateLimit: a send waits for its turn', async (t) => {
    const limit = { rateLimit: true, rateLimitRequests: 2, rateLimitWindow: 100 };
    const { connection, recorder } = connect(t, limit);
    const started = performance.now();
    for (let n = 0; n < 4; n++) assert.equal(await connection.send('x'), true);
    assert.ok(performance.now() - started >= 90, 'two of them came later');
    assert.equal(recorder.count('rate_limited'), 0);
  });

  test('rateLimit: a send that would wait for longer than timeout is refused', async (t) => {
    const limit = { rateLimit: true, rateLimitRequests: 1, rateLimitWindow: 600_000, timeout: 30_000 };
    const { connection, recorder } = connect(t, limit);
    assert.equal(await connection.send('x'), true);
    const started = performance.now();
    assert.equal(await connection.send('x'), false);
    assert.ok(performance.now() - started < BUSY_MS, 'at once, as it would wait for longer');
    assert.equal(await connection.send({ url: '', method: 'GET' }), null);
    assert.equal(requests.length, 1);
    const { severity } = await recorder.until('rate_limited', 2);
    assert.deepEqual([severity, recorder.count('error')], ['warning', 0]);
  });

  test('healthCheckTimeout, or what healthCheck is given: a check takes no longer', async (t) => {
    answer = () => undefined;
    const { connection, recorder } = connect(t, { healthCheckTimeout: 30, timeout: 60_000 });
    for (const [ms, check] of [
      [30, () => connection.healthCheck()],
      [60, () => connection.healthCheck(60)],
    ] as const) {
      const started = performance.now();
      const { isHealthy, errorMessage } = await check();
      const elapsed = performance.now() - started;
      assert.ok(elapsed >= ms - 1 && elapsed < ms + BUSY_MS, `${elapsed} ms`);
      assert.deepEqual([isHealthy, typeof errorMessage], [false, 'string']);
    }
    assert.equal(recorder.count('health_check_failed'), 2);
    assert.ok(requests.every(({ method }) => method === 'HEAD'));
  });

  test('disconnect ends what is going on', async (t) => {
    answer = () => undefined;
    const { connection } = connect(t);
    await connection.connect();
    const sent = connection.send({ url: '', method: 'POST', body: 'x' });
    await eventually(() => requests.length === 1);
    await connection.disconnect();
    assert.equal(await sent, null);
    await eventually(() => server.openConnections() === 0);
  });
});

describe('breaker', () => {
  test('a call counts once, however many attempts it took, and an open one lets nothing through', async (t) => {
    answer = status(500);
    const config = { circuitBreakerThreshold: 2, circuitBreakerTimeout: 3000, retryCount: 2 };
    const { connection, recorder } = connect(t, config);
    await connection.send({ url: '', method: 'GET' });
    assert.equal(recorder.count('circuit_breaker_opened'), 0);
    assert.equal(requests.length, 3);
    await connection.send({ url: '', method: 'GET' });
    await recorder.until('circuit_breaker_opened');
    assert.equal(await connection.send({ url: '', method: 'GET' }), null);
    assert.equal(await connection.send('x'), false);
    assert.equal(await connection.receive(), null);
    assert.equal(requests.length, 6);
    answer = empty;
    await eventually(() => connection.send('x'), BUSY_MS);
    await recorder.until('circuit_breaker_closed');
    assert.deepEqual([recorder.count('circuit_breaker_opened'), recorder.count('circuit_breaker_closed')], [1, 1]);
  });

  test('a receive counts once, too, and may be the probe', async (t) => {
    answer = status(500);
    const config = { circuitBreakerThreshold: 2, circuitBreakerTimeout: 50, retryCount: 0 };
    const { connection, recorder } = connect(t, config);
    await connection.connect();
    await connection.receive();
    assert.equal(recorder.count('circuit_breaker_opened'), 0);
    await connection.receive();
    await recorder.until('circuit_breaker_opened');
    answer = (_, response) => response.setHeader('content-type', 'application/json').end('[1]');
    assert.deepEqual(await eventually(() => connection.receive()), [1]);
    await recorder.until('circuit_breaker_closed');
  });

  test('4xx are answers', async (t) => {
    answer = status(404);
    const { connection, recorder } = connect(t, { circuitBreakerThreshold: 1 });
    for (let n = 0; n < 3; n++) assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 404);
    assert.equal(recorder.count('circuit_breaker_opened'), 0);
  });
});

describe('a server that breaks off', () => {
  test('in the middle of an answer is told as a lost connection', async (t) => {
    const half = await serveRaw((socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'));
    t.after(() => half.close());
    const { connection, recorder } = connect(t, { url: half.url, retryCount: 0 });
    assert.equal(await connection.send({ url: '', method: 'GET' }), null);
    const { severity, data } = await recorder.until('connection_lost');
    assert.equal(severity, 'error');
    assert.equal((data?.['error'] as MoorlineError).kind, 'disconnected');
    assert.equal(recorder.count('connection_failed'), 0);
  });
});
