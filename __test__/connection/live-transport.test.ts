// The one transport of a persistent connection: never two of them, none after disconnect, and no message lost between them.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { CircuitBreaker, type ConnectionConfig, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { closeAfter, eventServer, ConnectionFactory, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { peersMissing } from '../support/peers';

before(() => setLogger({}));
after(() => setLogger(undefined));

describe('the line of a WebSocketConnection', { skip: peersMissing() }, () => {
  let server: SocketServer;
  let other: SocketServer;
  let proxy: FaultProxy;
  /** One that nothing happens to but what `settled` does. */
  let bystander: SocketServer;

  before(async () => (bystander = await socketServer()));
  after(() => bystander.close());
  beforeEach(async () => {
    const echo = (socket: any) => socket.on('message', (data: Buffer) => socket.send(String(data)));
    server = await socketServer(echo);
    other = await socketServer(echo);
    proxy = await FaultProxy.start(server.port);
  });
  afterEach(async () => {
    await factory.close();
    await eventually(() => proxy.connections + server.sockets.length + other.sockets.length === 0);
    await Promise.all([proxy.close(), server.close(), other.close()]);
  });

  const factory = new ConnectionFactory((config) => {
    const url = `ws://127.0.0.1:${proxy.port}`;
    const quick = { monitoring: false, retryDelay: 1, compression: false };
    return new WebSocketConnection({ url, ...quick, ...config });
  });
  const { open } = factory;

  /** One that had to go to the other server, and looks for the first one often. */
  async function openOther(config: ConnectionConfig = {}) {
    await proxy.refuse();
    const opened = await open({ fallbackUrl: other.url, retryCount: 0, healthCheckInterval: 20, ...config });
    assert.equal(other.sockets.length, 1);
    return opened;
  }

  /** Another connection was lost and brought back: time enough for whatever must not happen. */
  async function settled() {
    const { connection, recorder } = await open({ url: bystander.url });
    bystander.sockets[0].terminate();
    await recorder.until('reconnected');
    await connection.disconnect();
    await eventually(() => bystander.sockets.length === 0);
  }

  /** So many lines lead to the two servers. One that was replaced says goodbye first, which takes a moment. */
  async function lines(first: number, second = 0) {
    await eventually(() => {
      assert.deepEqual([server.sockets.length, other.sockets.length], [first, second]);
      return true;
    });
  }

  /** The server has to wait: nothing of what it still has to send goes away. */
  async function stalled(socket: any) {
    let [before, polls] = [-1, 0];
    await eventually(() => {
      polls = before === socket.bufferedAmount ? polls + 1 : 0;
      before = socket.bufferedAmount;
      return polls >= 20;
    }, 20_000);
    assert.ok(before > 10_000_000, `${before} bytes wait at the server`);
  }

  describe('when it is lost', () => {
    for (const event of ['connection_lost', 'error']) {
      test(`who hears ${event} may close it: it stays closed`, async () => {
        const { connection, recorder } = await open();
        let closed: Promise<boolean> | undefined;
        connection.onEvent(({ eventType }) => {
          if (eventType === event) closed ??= connection.disconnect();
        });
        server.sockets[0].terminate();
        await recorder.until(event);
        assert.equal(await closed, true);
        await settled();
        assert.equal(recorder.states.at(-1), 'disconnected');
        assert.equal(recorder.count('reconnected'), 0);
        await lines(0);
      });
    }

    test('who hears of it may open it by hand: there is one line all the same', async () => {
      const { connection, recorder } = await open();
      let opened: Promise<boolean> | undefined;
      connection.onEvent(({ eventType }) => {
        if (eventType === 'connection_lost') opened = connection.connect();
      });
      server.sockets[0].terminate();
      await recorder.until('connection_lost');
      assert.equal(await opened, true);
      await settled();
      await lines(1);
      assert.equal(recorder.states.at(-1), 'connected');
    });

    test('who hears that it is back may close it', async () => {
      const { connection, recorder } = await open();
      let closed: Promise<boolean> | undefined;
      connection.onStateChange((state) => {
        if (state === 'connected') closed = connection.disconnect();
      });
      server.sockets[0].terminate();
      await eventually(() => closed !== undefined);
      await closed;
      await settled();
      await lines(0);
      assert.equal(recorder.count('reconnected'), 0);
      assert.equal(connection.getStatus().state, 'disconnected');
    });

    test('a connect in between that fails leaves it to be brought back', async () => {
      const { connection, recorder } = await open();
      await proxy.refuse();
      proxy.reset();
      await recorder.until('connection_failed');
      assert.equal(await connection.connect(), false);
      await proxy.accept();
      await recorder.until('reconnected');
      assert.equal(await connection.send('x'), true);
    });

    test('close is told once, also when it is closed by hand afterwards', async () => {
      const { connection, recorder } = await open({ retryDelay: 60_000 });
      let closes = 0;
      connection.on('close', () => (closes += 1));
      server.sockets[0].terminate();
      await recorder.until('connection_lost');
      await connection.disconnect();
      assert.equal(closes, 1);
    });
  });

  describe('fallbackUrl', () => {
    test('a look at the first address opens nothing after a disconnect', async () => {
      const { connection, recorder } = await openOther();
      proxy.set({ kind: 'black-hole' });
      await proxy.accept();
      await eventually(() => proxy.connections > 0);
      await connection.disconnect();
      proxy.set({ kind: 'none' });
      await eventually(() => proxy.connections === 0);
      assert.equal(await connection.isConnected(), false);
      await lines(0);
      assert.equal(recorder.count('fallback_restored'), 0);
    });

    test('is left by disconnect: the next connect tries the first address first', async () => {
      const { connection } = await openOther({ healthCheckInterval: 60_000 });
      await proxy.accept();
      await connection.disconnect();
      assert.equal(await connection.connect(), true);
      await lines(1);
    });

    test('the first address is found while the connection is being brought back: there is one line', async () => {
      const { connection, recorder } = await openOther({ retryDelay: 200, backoffMultiplier: 1 });
      // From now on every address is silent, but the look at the first one begins.
      proxy.set({ kind: 'black-hole' });
      await proxy.accept();
      await eventually(() => proxy.connections > 0);
      other.sockets[0].terminate();
      await recorder.until('connection_lost');
      proxy.set({ kind: 'none' });
      await recorder.until('reconnected');
      await settled();
      // Which of them depends on who came first.
      await eventually(() => server.sockets.length + other.sockets.length === 1);
      assert.equal(await connection.send('x'), true);
    });

    test('healthCheckTimeout: Infinity looks at the first address as well', async () => {
      const { recorder } = await openOther({ healthCheckTimeout: Infinity });
      await proxy.accept();
      await recorder.until('fallback_restored');
    });

    test('a thousand messages that nobody took make the first server wait, too', async () => {
      const { connection, recorder } = await openOther();
      for (let n = 0; n < 1500; n++) other.sockets[0].send(String(n));
      await connection.receive();
      await eventually(() => other.sockets[0].bufferedAmount === 0);
      await proxy.accept();
      await recorder.until('fallback_restored');
      const [socket] = server.sockets;
      for (let n = 0; n < 5000; n++) socket.send('x'.repeat(10_000));
      await stalled(socket);
      socket.terminate();
    });
  });

  describe('messages', () => {
    test('iteration does not spin while the circuit breaker is open, and gets what comes', async () => {
      const name = 'iterated';
      const { connection } = await open({ name, circuitBreakerThreshold: 1 });
      const breaker = CircuitBreaker.all().find((one) => one.name.startsWith(name));
      new CircuitBreaker(breaker!.name, { failMax: 1, probeTimeoutMs: 30_000 }).open({ hold: true });
      assert.equal(await connection.receive(), null, 'receive keeps to the breaker');
      const next = connection[Symbol.asyncIterator]().next();
      server.sockets[0].send('"come"');
      assert.deepEqual(await next, { done: false, value: 'come' });
    });

    test('iteration gives a null that was sent', async () => {
      const { connection } = await open();
      for (const text of ['null', '1', 'null']) server.sockets[0].send(text);
      const messages: unknown[] = [];
      for await (const message of connection) if (messages.push(message) === 3) break;
      assert.deepEqual(messages, [null, 1, null]);
    });

    test('iteration goes on through a connect by hand, and ends when that fails for good', async () => {
      const { connection, recorder } = await open();
      const messages: unknown[] = [];
      const reading = (async () => {
        for await (const message of connection) messages.push(message);
      })();
      await proxy.refuse();
      proxy.reset();
      await recorder.until('connection_failed');
      await proxy.accept();
      assert.equal(await connection.connect(), true);
      assert.equal(await connection.send('1'), true);
      await eventually(() => messages.length === 1);
      // The server may not know yet that the first one was lost.
      server.sockets.at(-1).close(1000);
      await reading;
      assert.deepEqual(messages, [1]);
    });

    test('receive({ timeoutMs: Infinity }) waits until something comes', async () => {
      const { connection } = await open();
      const waiting = connection.receive({ timeoutMs: Infinity });
      assert.equal(await connection.send('1'), true);
      assert.equal(await waiting, 1);
    });

    test('a handler that comes when a thousand messages wait hears the next ones', async (t) => {
      const { connection } = await open();
      const [socket] = server.sockets;
      for (let n = 0; n < 5000; n++) socket.send(JSON.stringify({ n, text: 'x'.repeat(10_000) }));
      assert.equal((await connection.receive()).n, 0);
      await stalled(socket);
      let last = 0;
      t.after(connection.onMessage(({ n }) => (last = n)));
      await eventually(() => last === 4999, 20_000);
      assert.equal((await connection.receive({ timeoutMs: 5000 })).n, 1);
    });
  });

  test('a receive and a disconnect do not wait for the server to answer the close', async () => {
    const { connection } = await open();
    const waiting = connection.receive();
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    const closing = connection.disconnect();
    assert.equal(await waiting, null);
    assert.ok(performance.now() - started < SLACK_MS);
    proxy.set({ kind: 'none' });
    assert.equal(await closing, true);
  });
});

describe('the line of an SSEConnection', () => {
  test('a server that wants to be left alone for more than a minute is asked again afterwards', async (t) => {
    const server = await eventServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false }));
    assert.equal(await connection.connect(), true);
    const delays: unknown[] = [];
    connection.on('retry', ({ delayMs }) => delays.push(delayMs));
    server.send('retry: 90000\n\n');
    server.send('data: 1\n\n');
    assert.equal((await connection.receive())?.data, '1');
    server.streams[0]?.end();
    await eventually(() => delays.length === 1);
    assert.deepEqual(delays, [90_000]);
    assert.equal(connection.getStatus().state, 'error');
    const over = connection[Symbol.asyncIterator]().next();
    await connection.disconnect();
    assert.deepEqual(await over, { done: true, value: undefined });
  });
});
