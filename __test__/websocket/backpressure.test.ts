// A WebSocket of the transport whose other side reads slowly, not at all, or goes while there is still something to write.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';
import { SocketFixture } from '../support/socket-fixture';
import { type RecordedSocket, rejectionOf } from '../support/websocket';

/** Enough messages of 100 KiB to fill every socket buffer on the way. */
const MESSAGE_COUNT = 400;
const BODY = Buffer.alloc(100 * 1024);

/** Sends the messages, and records the outcome of each. */
function sendMany(client: RecordedSocket) {
  const outcomes: string[] = [];
  for (let index = 0; index < MESSAGE_COUNT; index++) {
    const body = Buffer.from(BODY);
    body.writeUInt32BE(index);
    client.transport.send(body).then(
      () => (outcomes[index] = 'sent'),
      (error) => (outcomes[index] = error.delivery),
    );
  }
  return { outcomes, count: (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length };
}

describe('a WebSocket under pressure', { skip: peersMissing() }, () => {
  const fixture = new SocketFixture();

  test('no message follows the close frame: sends that wait for room reject as not sent', async () => {
    let server: any;
    let [received, closeCode] = [0, 0];
    fixture.serve = (socket) => {
      server = socket;
      socket._socket.pause();
      socket.on('message', () => (received += 1));
      socket.on('close', (code: number) => (closeCode = code));
    };
    const client = await fixture.connect();
    const sends = sendMany(client);
    server.close(1000, 'bye');
    await eventually(() => sends.count('none') > 0);
    server._socket.resume();
    await client.end();
    await eventually(() => closeCode === 1000);
    assert.deepEqual([client.closed[0]!.code, client.closed[0]!.wasClean], [1000, true]);
    assert.equal(received, sends.count('sent'));
    assert.equal(received + sends.count('none'), MESSAGE_COUNT);
  });

  test('a message that is reported as undelivered never arrives', async () => {
    const received = new Set<number>();
    let server: any;
    fixture.serve = (socket) => {
      server = socket;
      socket._socket.pause();
      socket.on('message', (body: Buffer) => received.add(body.readUInt32BE(0)));
    };
    const client = await fixture.connect({ closeTimeoutMs: 300, sendQueueBytes: 64 << 20 });
    const sends = sendMany(client);
    await eventually(() => sends.count('sent') > 0);
    // A frame of an unknown kind.
    server._socket.write(Buffer.from([0x83, 0]));
    await client.end();
    assert.equal(client.closed[0]!.error?.code, 'WS_ERR_INVALID_OPCODE');
    await eventually(() => sends.outcomes.filter(Boolean).length === MESSAGE_COUNT);
    assert.ok(sends.count('none') > 0);
    const closed = new Promise((resolve) => server._socket.on('close', resolve));
    server._socket.resume();
    await closed;
    const undelivered = [...sends.outcomes.keys()].filter((index) => sends.outcomes[index] === 'none');
    assert.deepEqual(
      undelivered.filter((index) => received.has(index)),
      [],
    );
  });

  test('a server that reads slowly, and answers, is not taken for dead', async () => {
    let received = 0;
    fixture.serve = (socket) => {
      socket.on('message', () => (received += 1));
      // Some 64 KB each five milliseconds.
      socket._socket.on('data', () => {
        socket._socket.pause();
        setTimeout(() => socket._socket.resume(), 5);
      });
    };
    const client = await fixture.connect({ pingIntervalMs: 100, pingTimeoutMs: 800, sendTimeoutMs: 60_000 });
    const started = performance.now();
    await client.transport.send(Buffer.alloc(30 << 20));
    const took = performance.now() - started;
    assert.ok(took > 900, `${took} ms prove nothing`);
    await eventually(() => received === 1, 20_000);
    assert.deepEqual(client.closed, []);
  });

  test('messages that a server sent before it closed are delivered, also when nothing can be written any more', async () => {
    let gone = false;
    fixture.serve = (socket) => {
      const send = (messages: number) => {
        for (let index = 0; index < messages; index++) socket.send('x'.repeat(10_000));
      };
      // The client reads so much and then waits for room; the rest is in its system when this one goes.
      send(2);
      setTimeout(() => {
        send(3);
        socket.close(1000, 'done');
        socket._socket.end(() => {
          socket._socket.destroy();
          gone = true;
        });
      }, 50);
    };
    const client = fixture.create({ receiveQueueBytes: 16 * 1024, pingIntervalMs: 20 });
    client.transport.pause();
    await client.connect();
    await eventually(() => gone);
    // Pings go out meanwhile, and fail.
    await assert.rejects(async () => {
      for (;;) await client.transport.ping({ timeoutMs: 30 }).catch((error) => assert.equal(error.kind, 'timeout'));
    });
    client.transport.resume();
    await client.end();
    assert.equal(client.messages.length, 5, JSON.stringify(client.closed));
    assert.deepEqual([client.closed[0]!.code, client.closed[0]!.reason], [1000, 'done']);
  });

  test('the close code of a server that disconnects at once is reported, whatever was still to be written', async () => {
    fixture.serve = (socket) => {
      socket._socket.pause();
      socket.on('error', () => undefined);
      setImmediate(() => {
        socket.close(4001, 'token expired');
        socket._socket.write('', () => socket._socket.destroy());
      });
    };
    for (let round = 0; round < 10; round++) {
      const client = await fixture.connect();
      while (client.closed.length === 0) await Promise.allSettled([client.transport.send('x'.repeat(2000))]);
      // Where the system has thrown away what was received, there is nothing to tell.
      const { code, error } = client.closed[0]!;
      assert.ok(code === 4001 || error?.code === 'ECONNRESET', `${code} ${error?.code}`);
    }
  });

  test('a ping on a paused connection fails because of its full receive queue, not as if the server were gone', async () => {
    let full = false;
    fixture.serve = (socket) => {
      const fill = () => void (socket.send('x'.repeat(1000)) as unknown);
      const timer = setInterval(() => {
        for (let index = 0; index < 1000 && socket.bufferedAmount === 0; index++) fill();
        full ||= socket.bufferedAmount > 0;
      }, 1);
      socket.on('close', () => clearInterval(timer));
    };
    const client = fixture.create({ receiveQueueBytes: 16 * 1024 });
    client.transport.pause();
    await client.connect();
    await eventually(() => full, 10_000);
    const error = await rejectionOf(client.transport.ping({ timeoutMs: 100 }));
    assert.deepEqual([error.kind, error.code], ['timeout', 'ERR_MOORLINE_RECEIVE_QUEUE_FULL']);
    assert.deepEqual(client.closed, []);
  });
});
