// WebSocketConnection: open, send, receive, lost and found again, against `ws` and a proxy that misbehaves.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';
import { runInNewContext } from 'node:vm';

import { type MoorlineError, setLogger, WebSocketConnection } from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { ConnectionFactory, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { serve } from '../support/http';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

describe('WebSocketConnection', { skip: peersMissing() }, () => {
  let server: SocketServer;
  let proxy: FaultProxy;
  /** What the server does with a message; by default it sends it back. */
  let onMessage: (socket: any, data: Buffer, binary: boolean) => unknown;
  const echo = (socket: any, data: Buffer, binary: boolean) => socket.send(data, { binary });

  before(async () => {
    setLogger({});
    server = await socketServer(
      (socket) => socket.on('message', (data: Buffer, binary: boolean) => onMessage(socket, data, binary)),
      {
        perMessageDeflate: true,
        maxPayload: 64 * 2 ** 20,
        handleProtocols: (offered: Set<string>) => [...offered].at(-1),
      },
    );
    proxy = await FaultProxy.start(server.port);
    onMessage = echo;
  });
  after(async () => {
    setLogger(undefined);
    await proxy.close();
    await server.close();
  });
  afterEach(async () => {
    proxy.set({ kind: 'none' });
    await factory.close();
    onMessage = echo;
    server.handshakes.length = 0;
    await eventually(() => server.sockets.length === 0);
  });

  /** Connections through the proxy, quick to come back and without checks of their own. */
  const factory = new ConnectionFactory(
    (config) =>
      new WebSocketConnection({ url: `ws://127.0.0.1:${proxy.port}`, monitoring: false, retryDelay: 1, ...config }),
  );
  const { make, open } = factory;

  describe('connect', () => {
    test('is true once it is open, and at once when it is already', async () => {
      const { connection, recorder } = make();
      assert.equal(await connection.isConnected(), false);
      assert.equal(await connection.send('early'), false);
      assert.equal(await connection.receive(), null);
      assert.equal(await connection.connect(), true);
      assert.equal(server.sockets.length, 1);
      assert.equal(await connection.connect(), true);
      assert.equal(server.handshakes.length, 1);
      assert.deepEqual(recorder.states, ['connecting', 'connected']);
    });

    test('is false when nobody is there, or it takes too long', async () => {
      const refused = make({ url: `ws://127.0.0.1:${await freePort()}` });
      assert.equal(await refused.connection.connect(), false);
      assert.equal(refused.connection.getStatus().state, 'error');
      proxy.set({ kind: 'black-hole' });
      const late = make({ timeout: 50 });
      const started = performance.now();
      assert.equal(await late.connection.connect(), false);
      assert.ok(performance.now() - started < 50 + SLACK_MS);
      assert.equal(late.recorder.count('connection_failed'), 1);
    });

    test('customHeaders and customOptions.protocols go with the handshake', async () => {
      const { connection } = await open({
        customHeaders: { 'X-API-Key': 'k' },
        customOptions: { protocols: ['one', 'two'] },
      });
      assert.equal(server.handshakes.at(-1)?.headers['x-api-key'], 'k');
      assert.equal(connection.protocol, 'two');
    });

    for (const compression of [true, false]) {
      test(`compression: ${compression} is ${compression ? '' : 'not '}agreed`, async () => {
        const { connection } = await open({ compression });
        const [socket] = server.sockets;
        assert.equal(/permessage-deflate/.test(socket.extensions), compression);
        await connection.send('x'.repeat(100_000));
        assert.deepEqual(await connection.receive(), { text: 'x'.repeat(100_000) });
      });
    }

    test('a disconnect meanwhile gives it up', async () => {
      proxy.set({ kind: 'black-hole' });
      const { connection } = make();
      const connecting = connection.connect();
      assert.equal(await connection.disconnect(), true);
      assert.equal(await connecting, false);
      assert.equal(connection.getStatus().state, 'disconnected');
      proxy.set({ kind: 'none' });
      await eventually(() => proxy.connections === 0);
    });
  });

  describe('messages', () => {
    test('text and bytes go as they are, anything else as JSON; JSON comes parsed', async () => {
      const { connection } = await open();
      const cases: [sent: unknown, received: unknown][] = [
        ['plain', { text: 'plain' }],
        ['', { text: '' }],
        ['"quoted"', 'quoted'],
        [{ a: [1, null] }, { a: [1, null] }],
        [42, 42],
        [null, null],
        [Buffer.from([1, 2]), Buffer.from([1, 2])],
        [new Uint8Array([3]).buffer, Buffer.from([3])],
        [new Uint16Array([1]), Buffer.from([1, 0])],
        [runInNewContext('new Uint8Array([4]).buffer'), Buffer.from([4])],
      ];
      for (const [sent, received] of cases) {
        assert.equal(await connection.send(sent), true);
        assert.deepEqual(await connection.receive(), received);
      }
    });

    test('what cannot be sent is false with an event, and harms nothing', async () => {
      const { connection, recorder } = await open({ circuitBreakerThreshold: 1 });
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      const refused = [circle, undefined, () => 1, 10n, new Map([[1, 2]]), new Headers(), new Blob(['x'])];
      for (const data of refused) assert.equal(await connection.send(data), false);
      assert.deepEqual([recorder.count('error'), recorder.count('circuit_breaker_opened')], [refused.length, 0]);
      assert.equal(await connection.send('fine'), true);
    });

    test('wait in order until they are received, and nothing is lost', async () => {
      const { connection } = await open();
      const [socket] = server.sockets;
      for (let n = 0; n < 5000; n++) socket.send(String(n));
      for (let n = 0; n < 5000; n++) assert.equal(await connection.receive(), n);
    });

    test('a thousand that nobody takes make the server wait', async () => {
      const { connection } = await open({ compression: false });
      const [socket] = server.sockets;
      const text = 'x'.repeat(10_000);
      for (let n = 0; n < 5000; n++) socket.send(text);
      // What the queues on both sides and the sockets between hold is less than fifty megabytes.
      await eventually(() => socket.bufferedAmount > 0);
      let before = -1;
      await eventually(() => before === (before = socket.bufferedAmount));
      assert.ok(before > 10_000_000, `${before} bytes wait at the server`);
      for (let n = 0; n < 5000; n++) assert.equal((await connection.receive()).text.length, 10_000);
    });

    test('a receive that waits is not heard before its message, and several get one each', async () => {
      const { connection } = await open();
      const waiting = [connection.receive(), connection.receive(), connection.receive()];
      for (const text of ['1', '2', '3']) server.sockets[0].send(text);
      assert.deepEqual(await Promise.all(waiting), [1, 2, 3]);
    });

    test('a receive that waits gets null when either side closes', async () => {
      for (const end of [
        (connection: WebSocketConnection) => connection.disconnect(),
        () => server.sockets[0].close(1000),
        () => server.sockets[0].terminate(),
        () => proxy.reset(),
      ]) {
        const { connection } = await open({ autoReconnect: false });
        const waiting = [connection.receive(), connection.receive()];
        await end(connection);
        assert.deepEqual(await Promise.all(waiting), [null, null]);
        await eventually(() => server.sockets.length === 0);
      }
    });

    test('what came before the end can still be received after it', async () => {
      const { connection, recorder } = await open({ autoReconnect: false });
      const [socket] = server.sockets;
      socket.send('1');
      socket.send('2');
      socket.close(1000);
      await eventually(() => recorder.states.includes('disconnected'));
      assert.deepEqual([await connection.receive(), await connection.receive()], [1, 2]);
      assert.equal(await connection.receive(), null);
    });

    test('a receive may be bounded by a time and a signal', async () => {
      const { connection } = await open();
      const started = performance.now();
      assert.equal(await connection.receive({ timeoutMs: 30 }), null);
      assert.ok(performance.now() - started < 30 + SLACK_MS);
      const controller = new AbortController();
      const waiting = connection.receive({ signal: controller.signal });
      controller.abort(new Error('enough'));
      assert.equal(await waiting, null);
      assert.equal(await connection.receive({ signal: controller.signal }), null);
      await connection.send('1');
      assert.equal(await connection.receive({ timeoutMs: 5000, signal: new AbortController().signal }), 1);
    });

    test('onMessage hears each message instead', async () => {
      const { connection } = await open();
      const received: unknown[] = [];
      const off = connection.onMessage((message) => received.push(message));
      await connection.send({ n: 1 });
      await eventually(() => received.length === 1);
      off();
      await connection.send({ n: 2 });
      assert.deepEqual(await connection.receive(), { n: 2 });
      assert.deepEqual(received, [{ n: 1 }]);
    });

    test('a message that is too large ends the connection, and is told as a loss', async () => {
      const { connection, recorder } = await open({ autoReconnect: false, compression: false });
      server.sockets[0].send('x'.repeat(17 * 2 ** 20));
      assert.equal(await connection.receive(), null);
      const { data } = await recorder.until('connection_lost');
      assert.equal((data?.['error'] as MoorlineError).kind, 'protocol');
      assert.equal(await connection.isConnected(), false);
    });
  });

  describe('when it is lost', () => {
    test('is brought back, with every event once', async () => {
      const { connection, recorder } = await open({ customHeaders: { 'x-who': 'me' } });
      server.sockets[0].terminate();
      await recorder.until('reconnected');
      assert.deepEqual(recorder.states, ['connecting', 'connected', 'error', 'connecting', 'connected']);
      for (const type of ['connection_lost', 'error', 'reconnected']) assert.equal(recorder.count(type), 1, type);
      assert.equal(recorder.count('connection_failed'), 0);
      assert.equal((await recorder.until('connection_lost')).severity, 'error');
      assert.equal(await connection.send('again'), true);
      assert.deepEqual(await connection.receive(), { text: 'again' });
      assert.equal(server.handshakes.at(-1)?.headers['x-who'], 'me');
    });

    test('each attempt that fails is told, and it goes on until it succeeds', async () => {
      const { connection, recorder } = await open({ retryCount: 0 });
      await proxy.refuse();
      proxy.reset();
      await recorder.until('connection_failed', 3);
      assert.equal(await connection.isConnected(), false);
      await proxy.accept();
      await recorder.until('reconnected');
      assert.equal(await connection.send('again'), true);
    });

    test('autoReconnect: false leaves it', async () => {
      const { connection, recorder } = await open({ autoReconnect: false });
      const watched = await open();
      proxy.reset();
      await watched.recorder.until('reconnected');
      await recorder.until('connection_lost');
      assert.deepEqual(recorder.states, ['connecting', 'connected', 'disconnected']);
      assert.equal(recorder.count('reconnected'), 0);
      assert.equal(await connection.connect(), true, 'it can be opened by hand');
    });

    test('a server that says goodbye is not followed', async () => {
      for (const code of [1000, 1008]) {
        const { connection, recorder } = await open();
        server.sockets[0].close(code, 'done');
        await eventually(() => recorder.states.at(-1) === 'disconnected');
        assert.equal(recorder.count('reconnected'), 0);
        assert.equal(await connection.isConnected(), false);
      }
    });

    test('one that flaps comes back each time, and leaves nothing behind', async () => {
      const warnings: Error[] = [];
      const onWarning = (warning: Error) => warnings.push(warning);
      process.on('warning', onWarning);
      const { recorder } = await open();
      for (let turn = 1; turn <= 12; turn++) {
        server.sockets[0].terminate();
        await recorder.until('reconnected', turn);
      }
      await new Promise(setImmediate);
      process.off('warning', onWarning);
      assert.deepEqual(warnings, []);
    });

    test('a disconnect ends it, also between two attempts', async () => {
      const { connection, recorder } = await open({ retryDelay: 5 });
      await proxy.refuse();
      proxy.reset();
      await recorder.until('connection_failed');
      assert.equal(await connection.disconnect(), true);
      const failed = recorder.count('connection_failed');
      await proxy.accept();
      const other = await open();
      assert.equal(await other.connection.send('x'), true);
      assert.equal(recorder.count('connection_failed'), failed);
      assert.equal(connection.getStatus().state, 'disconnected');
    });

    test('who is told to go away does not come back', async (t) => {
      const { recorder } = await open({ circuitBreaker: false });
      const unauthorized = await FaultProxy.start(await refusing(t, 401));
      t.after(() => unauthorized.close());
      const { connection, recorder: other } = make({ url: `ws://127.0.0.1:${unauthorized.port}` });
      assert.equal(await connection.connect(), false);
      await other.until('authentication_failed');
      assert.deepEqual([other.count('authentication_failed'), other.count('connection_failed')], [1, 0]);
      assert.equal(recorder.count('authentication_failed'), 0);
    });

    test('iteration goes on through losses, until the disconnect', async () => {
      const { connection, recorder } = await open();
      const messages: unknown[] = [];
      const reading = (async () => {
        for await (const message of connection) messages.push(message);
      })();
      await connection.send(1);
      await eventually(() => messages.length === 1);
      server.sockets[0].terminate();
      await recorder.until('reconnected');
      await connection.send(2);
      await eventually(() => messages.length === 2);
      await connection.disconnect();
      await reading;
      assert.deepEqual(messages, [1, 2]);
    });

    test('keepAlive: a server that has vanished is noticed by its silence', async () => {
      const { recorder } = await open({ keepAlive: 20, healthCheckTimeout: 500, autoReconnect: false });
      let pings = 0;
      server.sockets[0].on('ping', () => (pings += 1));
      await eventually(() => pings >= 3);
      assert.equal(recorder.count('connection_lost'), 0);
      proxy.set({ kind: 'black-hole' });
      const { data } = await recorder.until('connection_lost');
      assert.equal((data?.['error'] as MoorlineError).kind, 'disconnected');
    });
  });

  test('healthCheck asks the server, for as long as it is given', async () => {
    const { connection, recorder } = await open();
    const { isHealthy, responseTime } = await connection.healthCheck();
    assert.ok(isHealthy && responseTime > 0);
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    assert.equal((await connection.healthCheck(40)).isHealthy, false);
    assert.ok(performance.now() - started < 40 + SLACK_MS);
    assert.equal(recorder.count('health_check_failed'), 1);
  });

  test('a send that cannot be written in time is false, opens the breaker, and is not sent twice', async () => {
    const config = { timeout: 100, circuitBreakerThreshold: 1, circuitBreakerTimeout: 60_000, compression: false };
    const { connection, recorder } = await open(config);
    let messages = 0;
    onMessage = () => (messages += 1);
    proxy.set({ kind: 'black-hole' });
    assert.equal(await connection.send('x'.repeat(20_000_000)), false);
    await recorder.until('circuit_breaker_opened');
    const started = performance.now();
    assert.equal(await connection.send('small'), false);
    assert.ok(performance.now() - started < 50);
    proxy.set({ kind: 'none' });
    await eventually(async () => messages > 0 || !(await connection.isConnected()));
    assert.ok(messages <= 1);
  });
});

/** The port of a server that answers every handshake with this status. */
async function refusing(t: TestContext, status: number): Promise<number> {
  const server = await serve((_, response) => response.writeHead(status).end());
  t.after(() => server.close());
  return server.port;
}
