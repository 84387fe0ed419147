// fallbackUrl: used when the first address does not answer, left again when it does.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { type BaseConnection, type ConnectionConfig, HTTPConnection, setLogger, WebSocketConnection } from 'moorline';

import { EventRecorder, type SocketServer, socketServer } from '../../support/connections';
import { eventually } from '../../support/eventually';
import { FaultProxy } from '../../support/fault-proxy';
import { type RunningServer, serve } from '../../support/http';
import { peersMissing } from '../../support/peers';

let connections: BaseConnection[] = [];

before(() => setLogger({}));
after(() => setLogger(undefined));
afterEach(async () => {
  await Promise.all(connections.map((connection) => connection.disconnect()));
  connections = [];
});

const SHORT_DELAYS = { retryCount: 2, retryDelay: 1, healthCheckInterval: 20, monitoring: false };

describe('fallbackUrl: HTTPConnection', () => {
  let first: RunningServer;
  let second: RunningServer;
  let proxy: FaultProxy;
  let status = 200;
  let requests: string[] = [];
  /** The requests without those of health checks (HEAD), whose times vary. */
  const requestsWithoutHealthChecks = () => requests.filter((one) => !one.includes('HEAD'));

  before(async () => {
    first = await serve((request, response) => {
      requests.push(`first ${request.method} ${request.url}`);
      response.writeHead(status).end();
    });
    second = await serve((request, response) => {
      requests.push(`second ${request.method} ${request.url}`);
      response.end();
    });
    proxy = await FaultProxy.start(first.port);
  });
  after(() => Promise.all([proxy.close(), first.close(), second.close()]));
  afterEach(() => {
    status = 200;
    requests = [];
  });

  function make(config: ConnectionConfig = {}) {
    const urls = { url: `http://127.0.0.1:${proxy.port}/a`, fallbackUrl: `${second.url}/b` };
    const connection = new HTTPConnection({ ...SHORT_DELAYS, ...urls, ...config });
    connections.push(connection);
    return { connection, recorder: new EventRecorder(connection) };
  }

  test('takes over when the first refuses connections, until a health check of the first succeeds', async () => {
    const { connection, recorder } = make();
    assert.equal((await connection.send({ method: 'GET', url: '/x' }))?.status, 200);
    assert.deepEqual(requestsWithoutHealthChecks(), ['first GET /a/x']);
    await proxy.refuse();
    proxy.reset();
    requests = [];
    assert.equal((await connection.send({ method: 'GET', url: '/x' }))?.status, 200);
    assert.deepEqual(requestsWithoutHealthChecks(), ['second GET /b/x']);
    const { severity, data } = await recorder.until('fallback_activated');
    assert.deepEqual([severity, data?.['url']], ['warning', `${second.url}/b`]);
    assert.equal(await connection.send('POSTed'), true);
    assert.equal(requestsWithoutHealthChecks().at(-1), 'second POST /b');
    assert.equal(recorder.count('fallback_restored'), 0);
    await proxy.accept();
    await recorder.until('fallback_restored');
    requests = [];
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 200);
    assert.deepEqual(requestsWithoutHealthChecks(), ['first GET /a']);
    assert.deepEqual([recorder.count('fallback_activated'), recorder.count('fallback_restored')], [1, 1]);
  });

  test('takes over when the first answers only 5xx, after retryCount more attempts', async () => {
    status = 503;
    const { connection, recorder } = make();
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 200);
    assert.deepEqual(requestsWithoutHealthChecks(), ['first GET /a', 'first GET /a', 'first GET /a', 'second GET /b']);
    assert.equal(recorder.count('fallback_activated'), 1);
  });

  test('a POST that may have arrived is not sent to the second as well', async () => {
    status = 500;
    const { connection, recorder } = make();
    assert.equal(await connection.send('POSTed'), false);
    assert.deepEqual(requestsWithoutHealthChecks(), ['first POST /a']);
    assert.equal(recorder.count('fallback_activated'), 1, 'the next one goes there');
    assert.equal(await connection.send('POSTed'), true);
    assert.ok(requests.includes('second POST /b'));
  });

  test('takes over when the breaker of the first is open', async () => {
    const { connection, recorder } = make({ circuitBreakerThreshold: 1, healthCheckInterval: 60_000 });
    status = 500;
    await connection.send({ url: '', method: 'GET' });
    await recorder.until('circuit_breaker_opened');
    requests = [];
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 200);
    assert.deepEqual(requestsWithoutHealthChecks(), ['second GET /b']);
  });

  test('is not used for a 404 of the first', async () => {
    status = 404;
    const { connection, recorder } = make();
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.status, 404);
    assert.equal(recorder.count('fallback_activated'), 0);
  });
});

describe('fallbackUrl: WebSocketConnection', { skip: peersMissing() }, () => {
  let first: SocketServer;
  let second: SocketServer;
  let proxy: FaultProxy;

  before(async () => {
    first = await socketServer((socket) => socket.on('message', () => socket.send('first')));
    second = await socketServer((socket) => socket.on('message', () => socket.send('second')));
    proxy = await FaultProxy.start(first.port);
  });
  after(() => Promise.all([proxy.close(), first.close(), second.close()]));

  function make(config: ConnectionConfig = {}) {
    const urls = { url: `ws://127.0.0.1:${proxy.port}`, fallbackUrl: second.url };
    const connection = new WebSocketConnection({ ...SHORT_DELAYS, ...urls, ...config });
    connections.push(connection);
    const ask = async () => {
      assert.equal(await connection.send('who?'), true);
      return (await connection.receive()).text;
    };
    return { connection, recorder: new EventRecorder(connection), ask };
  }

  test('takes over when the first cannot be reached, and the first comes back', async () => {
    await proxy.refuse();
    const { connection, recorder, ask } = make();
    assert.equal(await connection.connect(), true);
    assert.equal(await ask(), 'second');
    assert.equal(recorder.count('fallback_activated'), 1);
    await proxy.accept();
    await recorder.until('fallback_restored');
    assert.equal(await ask(), 'first');
    await eventually(() => second.sockets.length === 0);
    assert.equal(recorder.count('connection_lost'), 0, 'going back is no loss');
  });

  test('takes over when a lost connection cannot be brought back', async () => {
    const { connection, recorder, ask } = make({ healthCheckInterval: 60_000 });
    assert.equal(await connection.connect(), true);
    assert.equal(await ask(), 'first');
    await proxy.refuse();
    proxy.reset();
    await recorder.until('reconnected');
    assert.equal(await ask(), 'second');
    assert.equal(recorder.count('connection_failed'), SHORT_DELAYS.retryCount);
    await proxy.accept();
  });
});
