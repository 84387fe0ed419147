// How a WebSocket is closed by hand: what the server is told, and what was received before.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test, type TestContext } from 'node:test';

import { setLogger, WebSocketConnection } from 'moorline';

import { closeAfter, EventRecorder, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';

describe('disconnect() of a WebSocketConnection', { skip: peersMissing() }, () => {
  let server: SocketServer;
  before(async () => {
    setLogger({});
    server = await socketServer();
  });
  after(() => {
    setLogger(undefined);
    return server.close();
  });

  async function open(t: TestContext, Type = WebSocketConnection) {
    const connection = closeAfter(t, new Type({ url: server.url, monitoring: false }));
    assert.equal(await connection.connect(), true);
    const socket = server.sockets.at(-1);
    const closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)]);
    return { connection, socket, closed };
  }

  for (const [given, expected] of [
    [[], [1000, '']],
    [[1000], [1000, '']],
    [
      [4000, 'moved'],
      [4000, 'moved'],
    ],
    [[3000], [3000, '']],
    [
      [undefined, 'bye'],
      [1000, 'bye'],
    ],
  ] as [given: [code?: number, reason?: string], expected: unknown[]][]) {
    test(`tells the server ${JSON.stringify(expected)} for disconnect(${given.map((one) => JSON.stringify(one)).join(', ')})`, async (t) => {
      const { connection, closed } = await open(t);
      assert.equal(await connection.disconnect(...given), true);
      assert.deepEqual(await closed, expected);
    });
  }

  test('refuses by name what cannot be sent, and leaves it open', async (t) => {
    const { connection, closed } = await open(t);
    const recorder = new EventRecorder(connection);
    for (const code of [1001, 1005, 1006, 2999, 5000, 1000.5, NaN]) {
      await assert.rejects(connection.disconnect(code), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `code must be 1000, or between 3000 and 4999, got ${code}`,
      });
    }
    await assert.rejects(connection.disconnect('4000' as never), {
      name: 'TypeError',
      message: /^code must be a number/,
    });
    await assert.rejects(connection.disconnect(4000, 7 as never), { name: 'TypeError', message: /^reason must be / });
    await assert.rejects(connection.disconnect(4000, 'é'.repeat(62)), {
      name: 'RangeError',
      message: /^reason must be /,
    });
    assert.deepEqual([await connection.isConnected(), recorder.states], [true, []]);
    await connection.disconnect(4000, 'é'.repeat(61));
    assert.deepEqual(await closed, [4000, 'é'.repeat(61)]);
  });

  test('a code is for one close only', async (t) => {
    const { connection, closed } = await open(t);
    await Promise.all([connection.disconnect(4000), connection.disconnect(4001)]);
    assert.deepEqual(await closed, [4000, '']);
    await connection.disconnect(4002);
    assert.equal(await connection.connect(), true);
    const next = once(server.sockets.at(-1), 'close');
    await connection.disconnect();
    assert.equal((await next)[0], 1000);
  });

  test('goes through an override', async (t) => {
    class Own extends WebSocketConnection {
      override async disconnect(): Promise<boolean> {
        return super.disconnect(4001, 'own');
      }
    }
    const { connection, closed } = await open(t, Own);
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.disconnect(), true);
    assert.deepEqual(
      [await closed, recorder.states],
      [
        [4001, 'own'],
        ['disconnecting', 'disconnected'],
      ],
    );
  });

  test('leaves what had come to be received, and nothing of what comes after', async (t) => {
    const { connection, socket } = await open(t);
    socket.send('1');
    socket.send('2');
    await eventually(() => /queued: 2/.test(String(require('node:util').inspect(connection))));
    const closing = connection.disconnect();
    socket.send('3');
    await closing;
    assert.deepEqual(
      [await connection.receive(), await connection.receive(), await connection.receive()],
      [1, 2, null],
    );
  });
});
