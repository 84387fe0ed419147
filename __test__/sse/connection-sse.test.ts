// SSEConnection: events in order, lost and found again, against Node's server and a proxy that misbehaves.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';

import { type MoorlineError, setLogger, SSEConnection } from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { type EventServer, eventServer, ConnectionFactory } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { freePort } from '../support/ports';

describe('SSEConnection', () => {
  let server: EventServer;
  let proxy: FaultProxy;
  let refuse: (request: IncomingMessage, response: ServerResponse) => boolean;

  before(async () => {
    setLogger({});
    refuse = () => false;
    server = await eventServer((request, response) => refuse(request, response));
    proxy = await FaultProxy.start(server.port);
  });
  after(async () => {
    setLogger(undefined);
    await proxy.close();
    await server.close();
  });
  afterEach(async () => {
    proxy.set({ kind: 'none' });
    await factory.close();
    refuse = () => false;
    await eventually(() => server.streams.length === 0);
    server.requests.length = 0;
  });

  const factory = new ConnectionFactory(
    (config) =>
      new SSEConnection({ url: `http://127.0.0.1:${proxy.port}/events`, monitoring: false, retryDelay: 1, ...config }),
  );
  const { make, open } = factory;

  test('connects once, with its headers; send is false, which is no error', async () => {
    const { connection, recorder } = await open({ customHeaders: { 'X-API-Key': 'k' } });
    assert.equal(await connection.connect(), true);
    assert.equal(server.requests.length, 1);
    const { accept, 'x-api-key': key } = server.requests[0]!.headers;
    assert.deepEqual([accept, key], ['text/event-stream', 'k']);
    assert.equal(await connection.send({ any: 'thing' }), false);
    assert.equal(recorder.count('error'), 0);
    assert.deepEqual(recorder.states, ['connecting', 'connected']);
  });

  test('connect is false when nobody is there, it is no stream, or it takes too long', async () => {
    const refused = make({ url: `http://127.0.0.1:${await freePort()}` });
    assert.equal(await refused.connection.connect(), false);
    refuse = (_, response) => (response.setHeader('content-type', 'text/html').end('<p>'), true);
    assert.equal(await make().connection.connect(), false);
    refuse = (_, response) => (response.writeHead(500).end(), true);
    assert.equal(await make().connection.connect(), false);
    refuse = () => true;
    const started = performance.now();
    const late = make({ timeout: 50 });
    assert.equal(await late.connection.connect(), false);
    assert.ok(performance.now() - started < 50 + SLACK_MS);
    assert.equal(late.recorder.count('connection_failed'), 1);
    assert.equal(await late.connection.receive(), null);
  });

  test('events come whole and in order, with type, id and data', async () => {
    const { connection } = await open();
    server.send(': a comment\n\nevent: order\nid: 7\ndata: {"n":\ndata: 1}\n\ndata: plain\n\n');
    const [first, second] = [await connection.receive(), await connection.receive()];
    assert.deepEqual(
      [first?.type, first?.lastEventId, first?.data, first?.json()],
      ['order', '7', '{"n":\n1}', { n: 1 }],
    );
    assert.deepEqual([second?.type, second?.lastEventId, second?.data], ['message', '7', 'plain']);
    for (let n = 0; n < 3000; n++) server.send(`data: ${n}\n\n`);
    for (let n = 0; n < 3000; n++) assert.equal((await connection.receive())?.data, String(n));
  });

  test('a receive that waits gets null when either side ends it', async () => {
    for (const end of [
      (connection: SSEConnection) => connection.disconnect(),
      () => server.streams[0]?.end(),
      () => proxy.reset(),
    ]) {
      const { connection } = await open({ autoReconnect: false });
      const waiting = [connection.receive(), connection.receive()];
      await end(connection);
      assert.deepEqual(await Promise.all(waiting), [null, null]);
      await eventually(() => server.streams.length === 0);
    }
  });

  test('a lost stream is brought back after the last event that came, with every event once', async () => {
    const { connection, recorder } = await open();
    server.send('id: 41\ndata: x\n\n');
    assert.equal((await connection.receive())?.data, 'x');
    proxy.reset();
    await recorder.until('reconnected');
    assert.equal(server.requests.at(-1)?.headers['last-event-id'], '41');
    assert.deepEqual(recorder.states, ['connecting', 'connected', 'error', 'connecting', 'connected']);
    for (const type of ['connection_lost', 'error', 'reconnected']) assert.equal(recorder.count(type), 1, type);
    server.send('data: y\n\n');
    assert.equal((await connection.receive())?.data, 'y');
  });

  test('it does not come back before the server’s own retry has passed, nor after 204', async () => {
    const { connection, recorder } = await open();
    server.send('retry: 200\ndata: x\n\n');
    await connection.receive();
    const started = performance.now();
    server.streams[0]?.end();
    await recorder.until('reconnected');
    assert.ok(performance.now() - started >= 190);
    refuse = (_, response) => (response.writeHead(204).end(), true);
    server.streams[0]?.end();
    await eventually(() => server.requests.length === 3);
    await recorder.until('connection_failed');
    await eventually(() => recorder.states.at(-1) !== 'connecting');
    assert.equal(server.requests.length, 3);
    assert.equal(recorder.count('reconnected'), 1);
  });

  test('autoReconnect: false leaves it', async () => {
    const [{ recorder, connection }, watched] = [await open({ autoReconnect: false }), await open()];
    proxy.reset();
    await watched.recorder.until('reconnected');
    await recorder.until('connection_lost');
    assert.deepEqual([recorder.count('reconnected'), recorder.states.at(-1)], [0, 'disconnected']);
    assert.equal(await connection.connect(), true, 'it can be opened by hand');
  });

  test('keepAlive: a stream on which nothing comes for so long is lost; a comment is enough', async () => {
    const { recorder } = await open({ keepAlive: 150, autoReconnect: false });
    for (let n = 0; n < 5; n++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      server.send(':\n\n');
    }
    assert.equal(recorder.count('connection_lost'), 0);
    const started = performance.now();
    const { data } = await recorder.until('connection_lost');
    assert.ok(performance.now() - started >= 140);
    assert.equal((data?.['error'] as MoorlineError).kind, 'timeout');
  });

  test('fallbackUrl takes over, and the first comes back', async () => {
    const second = await eventServer();
    try {
      await proxy.refuse();
      const config = { fallbackUrl: second.url, retryCount: 1, healthCheckInterval: 20 };
      const { connection, recorder } = await open(config);
      assert.equal(recorder.count('fallback_activated'), 1);
      second.send('data: second\n\n');
      assert.equal((await connection.receive())?.data, 'second');
      await proxy.accept();
      await recorder.until('fallback_restored');
      await eventually(() => second.streams.length === 0 && server.streams.length === 1);
      server.send('data: first\n\n');
      assert.equal((await connection.receive())?.data, 'first');
    } finally {
      await factory.close();
      await second.close();
    }
  });

  test('iteration goes on through losses, until the disconnect', async () => {
    const { connection, recorder } = await open();
    const data: string[] = [];
    const reading = (async () => {
      for await (const event of connection) data.push(event.data);
    })();
    server.send('data: 1\n\n');
    await eventually(() => data.length === 1);
    proxy.reset();
    await recorder.until('reconnected');
    server.send('data: 2\n\n');
    await eventually(() => data.length === 2);
    await connection.disconnect();
    await reading;
    assert.deepEqual(data, ['1', '2']);
  });

  test('healthCheck is whether it is connected, or can be', async () => {
    const { connection } = make();
    assert.equal((await connection.healthCheck()).isHealthy, true);
    assert.equal(await connection.isConnected(), true);
    await connection.disconnect();
    refuse = () => true;
    const started = performance.now();
    const { isHealthy, errorMessage } = await connection.healthCheck(40);
    assert.ok(performance.now() - started < 40 + SLACK_MS);
    assert.deepEqual([isHealthy, errorMessage], [false, 'Health check timed out after 40ms (timeoutMs)']);
  });
});
