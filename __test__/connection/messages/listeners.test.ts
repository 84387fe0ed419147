// Listeners of `message` and handlers of `onMessage`: each gets every message, and may be removed, throw or close the
// connection while it runs.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test, type TestContext } from 'node:test';

import { type ConnectionConfig, SSEConnection, WebSocketConnection } from 'moorline';

import {
  closeAfter,
  eventServer,
  EventRecorder,
  captureLogs,
  type SocketServer,
  socketServer,
} from '../../support/connections';
import { eventually } from '../../support/eventually';
import { peersMissing } from '../../support/peers';

describe('listeners of messages', { skip: peersMissing() }, () => {
  async function open(t: TestContext, config: ConnectionConfig = {}) {
    const server: SocketServer = await socketServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new WebSocketConnection({ url: server.url, monitoring: false, ...config }));
    assert.equal(await connection.connect(), true);
    /** Sends all messages in one write, so that they arrive together. */
    const send = (...messages: unknown[]) => {
      const [socket] = server.sockets;
      socket._socket.cork();
      for (const message of messages) socket.send(JSON.stringify(message));
      socket._socket.uncork();
    };
    return { connection, server, send };
  }

  test('on gets every message until off, and receive the later ones', async (t) => {
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    const listener = (message: unknown) => received.push(message);
    assert.equal(connection.on('message', listener), connection);
    send(1, 2);
    await eventually(() => received.length === 2);
    connection.off('message', listener);
    send(3);
    assert.equal(await connection.receive(), 3);
    assert.deepEqual(received, [1, 2]);
  });

  test('once gets one message, also of several that arrive together; no other is lost', async (t) => {
    const { connection, send } = await open(t);
    const first = once(connection, 'message');
    const received: unknown[] = [];
    connection.once('message', (message) => received.push(message));
    send(1, 2, 3);
    assert.deepEqual(await first, [1]);
    assert.deepEqual([await connection.receive(), await connection.receive(), received], [2, 3, [1]]);
  });

  test('a handler that removes itself leaves the later messages to receive', async (t) => {
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    const remove = connection.onMessage((message) => {
      received.push(message);
      remove();
    });
    send(1, 2, 3);
    assert.deepEqual([await connection.receive(), await connection.receive(), received], [2, 3, [1]]);
  });

  test('get the next message when all have settled for the one before', async (t) => {
    const { connection, send } = await open(t);
    const running: unknown[] = [];
    let release = () => {};
    connection.on('message', (message) => {
      running.push(message);
      return new Promise<void>((resolve) => (release = resolve));
    });
    const quick: unknown[] = [];
    connection.on('message', (message) => quick.push(message));
    send('a', 'b');
    await eventually(() => quick.length === 1);
    assert.deepEqual(running, ['a']);
    release();
    await eventually(() => quick.length === 2);
    assert.deepEqual(running, ['a', 'b']);
    release();
  });

  test('one that throws or rejects is logged, and the others get the message all the same', async (t) => {
    const written = captureLogs(t);
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    connection.on('message', () => {
      throw new Error('thrown');
    });
    connection.on('message', () => Promise.reject(new Error('rejected')));
    connection.on('message', (message) => received.push(message));
    send(1, 2);
    await eventually(() => received.length === 2);
    const failed = () => written.filter(({ event }) => event === 'connection.handler-failed');
    await eventually(() => failed().length === 4);
    assert.deepEqual(new Set(failed().map(({ data }) => data?.['error'])), new Set(['thrown', 'rejected']));
    assert.equal(await connection.isConnected(), true);
  });

  test('one that another removes gets nothing more, not even the same message', async (t) => {
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    connection.onMessage((message) => {
      received.push(message);
      remove();
    });
    const remove = connection.onMessage((message) => received.push('too late', message));
    send(1, 2);
    await eventually(() => received.length === 2);
    assert.deepEqual(received, [1, 2]);
  });

  test('removeAllListeners removes all of them, and later ones get messages again', async (t) => {
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    for (let count = 0; count < 100; count++) connection.onMessage(() => undefined)();
    connection.on('message', () => received.push('removed'));
    const removals = [
      () => connection.removeAllListeners('message'),
      () => connection.removeAllListeners(),
      () => connection.removeAllListeners('newListener').removeAllListeners('message'),
      () => connection.removeAllListeners(),
    ];
    for (const [round, remove] of removals.entries()) {
      remove();
      connection.on('message', (message) => received.push(message));
      send(round);
      await eventually(() => received.length > round);
      assert.equal(received.length, round + 1);
    }
    assert.deepEqual(received, [0, 1, 2, 3]);
    connection.removeAllListeners();
    send('for receive');
    assert.equal(await connection.receive(), 'for receive');
  });

  test('a handler may close the connection: messages that had arrived are still delivered', async (t) => {
    const { connection, send } = await open(t);
    const received: unknown[] = [];
    let closed: Promise<boolean> | undefined;
    connection.onMessage((message) => {
      received.push(message);
      closed ??= connection.disconnect();
    });
    send(1, 2, 3);
    await eventually(() => received.length === 3);
    assert.equal(await closed, true);
    assert.equal(connection.getStatus().state, 'disconnected');
  });

  test('a listener of connection_lost may disconnect and connect', async (t) => {
    const { connection, server } = await open(t, { retryDelay: 1 });
    const states: string[] = [];
    let reopened: Promise<boolean> | undefined;
    connection.onStateChange((state) => states.push(state));
    connection.onEvent(({ eventType }) => {
      if (eventType === 'connection_lost') reopened ??= connection.disconnect().then(() => connection.connect());
    });
    server.sockets[0].terminate();
    assert.equal(await eventually(() => reopened), true);
    await eventually(() => states.at(-1) === 'connected' && server.sockets.length === 1);
  });

  test('a handler that is added while disconnected gets the messages of the next connection', async (t) => {
    const { connection, server } = await open(t);
    await connection.disconnect();
    const received: unknown[] = [];
    connection.onMessage((message) => received.push(message));
    connection.on('message', (message) => received.push(message));
    assert.deepEqual(await Promise.all([connection.connect(), connection.connect()]), [true, true]);
    assert.equal(server.handshakes.length, 2);
    server.sockets[0].send('1');
    await eventually(() => received.length === 2);
  });

  test('a receive whose signal is aborted already takes nothing', async (t) => {
    const { connection, send } = await open(t);
    assert.equal(await connection.receive({ signal: AbortSignal.abort() }), null);
    send(1);
    assert.equal(await connection.receive({ signal: AbortSignal.timeout(60_000) }), 1);
  });
});

test('an event of a stream counts as handled when all listeners of message have settled', async (t) => {
  captureLogs(t);
  const server = await eventServer();
  t.after(() => server.close());
  const customOptions = { cursor: { url: ':memory:', name: 'orders' } };
  const stream = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false, customOptions, retryDelay: 1 }));
  const recorder = new EventRecorder(stream);
  const data: string[] = [];
  stream.on('message', async ({ data: text }) => {
    data.push(text);
    if (data.length === 2) throw new Error('the second is not done');
  });
  assert.equal(await stream.connect(), true);
  server.send('id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\ndata: three\n\n');
  await eventually(() => data.length === 3);
  server.streams[0]!.destroy();
  await recorder.until('reconnected');
  assert.equal(server.requests.at(-1)?.headers['last-event-id'], '1');
});
