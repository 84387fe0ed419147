// How a WebSocket of the transport ends: closed by us, by the server, by a breach, with its process or its worker.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';
import { SLACK_MS, SocketFixture } from '../support/socket-fixture';
import { rejectionOf } from '../support/websocket';
import { dist } from '../support/paths';

/** The kind of error a call rejects with. */
const rejectionOrNothing = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error) => error.kind as string,
  );

describe('the end of a SocketTransport', { skip: peersMissing() }, () => {
  const fixture = new SocketFixture();

  test('our code and reason reach the server, behind what was sent', async () => {
    const received: unknown[] = [];
    fixture.serve = (socket) => {
      socket.on('message', (data: Buffer) => received.push(data.toString()));
      socket.on('close', (code: number, reason: Buffer) => received.push(code, reason.toString()));
    };
    const client = await fixture.connect();
    void client.transport.send('last');
    await client.transport.close(3001, 'bye');
    assert.deepEqual(
      client.closed,
      [{ code: 3001, reason: '', wasClean: true }].map((it) => ({ ...it, reason: client.closed[0]!.reason })),
    );
    await eventually(() => received.length === 3);
    assert.deepEqual(received, ['last', 3001, 'bye']);
  });

  test('a close frame without a code is 1005, and 1001 is the servers own business', async () => {
    fixture.serve = (socket, request) => (request.url === '/none' ? socket.close() : socket.close(1001));
    const none = await fixture.connect({ url: `ws://127.0.0.1:${fixture.port}/none` });
    await none.end();
    const going = await fixture.connect();
    await going.end();
    assert.deepEqual([none.closed[0]!.code, going.closed[0]!.code], [1005, 1001]);
    assert.ok(none.closed[0]!.wasClean && going.closed[0]!.wasClean);
  });

  test('twice is quiet, afterwards every call is refused, and it can connect again', async () => {
    const client = await fixture.connect();
    await Promise.all([client.transport.close(), client.transport.close()]);
    await client.transport.close();
    assert.equal(client.closed.length, 1);
    for (const call of [
      client.transport.send('x'),
      client.transport.ping(),
      client.transport.send('x', { timeoutMs: 9 }),
    ]) {
      const error = await rejectionOf(call);
      assert.deepEqual([error.kind, error.delivery], ['closed', 'none']);
    }
    await client.connect();
    await client.transport.send('again');
    await client.receive(1);
    assert.deepEqual(client.messages, ['again']);
  });

  test('a connect during a close waits for its end, and one that is given up says that', async () => {
    const client = await fixture.connect();
    const closing = client.transport.close();
    await Promise.all([closing, client.transport.connect()]);
    assert.deepEqual([client.closed.length, client.transport.isOpen], [1, true]);
    await client.transport.send('on the new one');
    client.transport.terminate();
    await eventually(() => client.closed.length === 2);
    // It was lost before, which is not why this one fails.
    const connecting = rejectionOf(client.transport.connect());
    await client.transport.close();
    const error = await connecting;
    assert.deepEqual([error.kind, error.retryable], ['closed', false]);
    assert.equal(client.transport.isOpen, false);
  });

  test('a close counts whenever it comes during a connect', async () => {
    const client = fixture.create();
    let opened = 0;
    fixture.serve = () => (opened += 1);
    // The server has accepted, and our thread does not know yet.
    for (let round = 0; round < 20; round++) {
      const connecting = client.transport.connect().then(
        () => 'connected',
        () => 'given up',
      );
      const seen = opened;
      while (opened === seen) await new Promise(setImmediate);
      await client.transport.close();
      if ((await connecting) === 'given up') assert.equal(client.transport.isOpen, false);
      await eventually(() => !client.transport.isOpen);
    }
  });

  test('a listener that throws does not swallow the end', async () => {
    fixture.serve = (socket) => {
      socket.send('x');
      socket.close(1000);
    };
    const client = fixture.create();
    client.onMessage = () => {
      throw new Error('a bug in the listener');
    };
    const thrown: unknown[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error));
    try {
      client.transport.pause();
      await client.connect();
      // So that message and end come together.
      await eventually(async () => (await rejectionOrNothing(client.transport.ping())) === 'closed');
      client.transport.resume();
      await eventually(() => client.closed.length > 0);
      assert.equal(thrown.length, 1);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  test('a server that does not answer is left after closeTimeoutMs', async () => {
    fixture.serve = (socket) => socket.pause();
    const client = await fixture.connect({ closeTimeoutMs: 200 });
    const started = performance.now();
    await client.transport.close();
    const took = performance.now() - started;
    assert.ok(took >= 190 && took < 300 + SLACK_MS, `${took} ms`);
    assert.equal(client.closed[0]!.code, 1006);
    assert.equal(client.closed[0]!.error?.kind, 'timeout');
  });

  test('a code or a reason that cannot be sent is refused', async () => {
    const client = await fixture.connect();
    for (const [code, reason] of [
      [999, ''],
      [1006, ''],
      [1001, ''],
      [5000, ''],
      [3000.5, ''],
      [3000, 'x'.repeat(124)],
    ] as const) {
      await assert.rejects(client.transport.close(code, reason), RangeError);
    }
    await client.transport.close();
  });

  test('a breach of the protocol ends the connection, after what came before was answered', async () => {
    const received: string[] = [];
    let closeCode: number | undefined;
    fixture.serve = (socket) => {
      socket.on('message', (data: Buffer) => received.push(data.toString()));
      socket.on('close', (code: number) => (closeCode = code));
      socket._socket.write(Buffer.from([0x81, 2, 0x68, 0x69, 0x83, 0]));
    };
    const client = await fixture.connect();
    client.onMessage = (message) => void client.transport.send(message);
    await client.end();
    assert.deepEqual(client.closed[0]?.error?.code, 'WS_ERR_INVALID_OPCODE');
    assert.deepEqual([client.closed[0]?.error?.kind, client.closed[0]?.code], ['protocol', 1002]);
    await eventually(() => closeCode === 1002);
    assert.deepEqual(received, ['hi']);
  });

  test('an open socket keeps no process alive; ref does, until it ends', async () => {
    fixture.serve = (socket, request) => {
      if (request.url === '/ends') setTimeout(() => socket.close(1000), 100);
    };
    const run = (path: string, ref: boolean) => {
      const program = `
        const { SocketTransport } = require(${JSON.stringify(join(dist, 'websocket', 'transport.js'))});
        const listener = { onMessages() {}, onClose: ({ code }) => console.log('closed', code) };
        const transport = new SocketTransport({ url: 'ws://127.0.0.1:${fixture.port}${path}' }, listener);
        transport.connect().then(() => ${ref} && transport.ref());`;
      return promisify(execFile)(process.execPath, ['-e', program], { timeout: 10_000 });
    };
    assert.equal((await run('/stays', false)).stdout, '');
    assert.equal((await run('/ends', true)).stdout, 'closed 1000\n');
  });

  test('a worker that ends takes its sockets along', async () => {
    let [opened, closed] = [0, 0];
    fixture.serve = (socket) => {
      opened += 1;
      socket.on('close', () => (closed += 1));
    };
    const program = `
      const { SocketTransport } = require(${JSON.stringify(join(dist, 'websocket', 'transport.js'))});
      const transport = new SocketTransport({ url: 'ws://127.0.0.1:${fixture.port}/' }, { onMessages() {}, onClose() {} });
      transport.connect().then(() => transport.ref());`;
    const worker = new Worker(program, { eval: true });
    await eventually(() => opened === 1);
    await worker.terminate();
    await eventually(() => closed === 1);
  });
});
