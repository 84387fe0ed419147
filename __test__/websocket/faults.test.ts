// The WebSocket transport while the network misbehaves: every loss is reported once, nothing hangs, nothing comes twice or
// out of order.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { peer, peersMissing } from '../support/peers';
import { RecordedSocket, failure, type SocketOptions } from '../support/websocket';

const slack = process.env['CI'] ? 1100 : 100;
const MESSAGES = 200;
const text = (index: number) => `${index}:`.padEnd(100, 'x');

describe('SocketTransport through a network', { skip: peersMissing() }, () => {
  let server: any;
  let proxy: FaultProxy;
  let ears: RecordedSocket | undefined;

  before(async () => {
    const { WebSocketServer } = await peer('ws');
    server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: { threshold: 0 } });
    server.on('connection', (socket: any) => {
      socket.on('error', () => undefined);
      socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
    });
    await new Promise((resolve) => server.once('listening', resolve));
  });
  after(() => server.close());
  beforeEach(async () => {
    proxy = await FaultProxy.start((server.address() as AddressInfo).port);
  });
  afterEach(async () => {
    ears?.transport.terminate();
    ears = undefined;
    for (const client of server.clients) client.terminate();
    await proxy.close();
  });

  async function connect(options: Partial<SocketOptions> = {}): Promise<RecordedSocket> {
    ears = new RecordedSocket({ url: `ws://127.0.0.1:${proxy.port}/`, ...options });
    await ears.connect();
    return ears;
  }

  /** Sends without waiting; how many sends failed is not the question. */
  function sendAll(to: RecordedSocket): Promise<string[]> {
    const sent = Array.from({ length: MESSAGES }, (_, index) =>
      to.transport.send(text(index)).then(
        () => 'sent',
        (error) => error.kind as string,
      ),
    );
    return Promise.all(sent);
  }

  function inOrder(heard: RecordedSocket): void {
    heard.messages.forEach((message, index) => assert.equal(message, text(index)));
  }

  function lostOnce(heard: RecordedSocket, ...codes: string[]): void {
    assert.equal(heard.closed.length, 1);
    const [closed] = heard.closed;
    assert.deepEqual([closed!.code, closed!.wasClean, closed!.error?.kind], [1006, false, 'disconnected']);
    assert.ok(codes.includes(closed!.error!.code), closed!.error!.code);
  }

  for (const compression of [false, true]) {
    for (const fault of [
      { kind: 'delay', ms: 3 },
      { kind: 'drip', bytes: 7, everyMs: 0 },
    ] as const) {
      test(`${fault.kind}, compression ${compression}: everything arrives, once and in order`, async () => {
        const heard = await connect({ compression: compression && { thresholdBytes: 0 } });
        proxy.set(fault);
        const few = Array.from({ length: 40 }, (_, index) => text(index));
        await Promise.all(few.map((message) => heard.transport.send(message)));
        await heard.receive(few.length);
        inOrder(heard);
        await heard.transport.close();
        assert.equal(heard.closed.length, 1);
        assert.ok(heard.closed[0]!.wasClean);
      });
    }
  }

  for (const afterBytes of [1, 50, 1234]) {
    test(`cut after ${afterBytes} bytes: what came whole is told, then the loss`, async () => {
      const heard = await connect();
      proxy.set({ kind: 'cut', afterBytes });
      const sent = await sendAll(heard);
      await heard.end();
      lostOnce(heard, 'ECONNRESET', 'EPIPE');
      inOrder(heard);
      assert.equal(heard.messages.length, Math.floor(afterBytes / 102));
      assert.ok(sent.every((outcome) => outcome === 'sent' || outcome === 'disconnected'));
    });
  }

  test('reset in the middle: told once, and every call is settled', async () => {
    const heard = await connect();
    const sent = sendAll(heard);
    await eventually(() => heard.messages.length > 0);
    proxy.reset();
    await sent;
    await heard.end();
    lostOnce(heard, 'ECONNRESET', 'EPIPE');
    inOrder(heard);
    assert.equal((await failure(heard.transport.send('x'))).kind, 'disconnected');
    assert.equal((await failure(heard.transport.ping())).kind, 'disconnected');
  });

  test('a black hole is noticed by the missing answer to a ping', async () => {
    const heard = await connect({ pingIntervalMs: 100, pingTimeoutMs: 150 });
    await heard.transport.send(text(0));
    await heard.receive(1);
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    await heard.end();
    const took = performance.now() - started;
    assert.ok(took < 250 + slack, `${took} ms`);
    lostOnce(heard, 'ETIMEDOUT');
  });

  test('a black hole: calls keep their deadlines', async () => {
    const heard = await connect({ sendTimeoutMs: 200, closeTimeoutMs: 200 });
    proxy.set({ kind: 'black-hole' });
    const within = async (call: Promise<unknown>) => {
      const started = performance.now();
      const outcome = await call.then(
        () => undefined,
        (error) => error.kind as string,
      );
      const took = performance.now() - started;
      assert.ok(took < 200 + slack, `${took} ms`);
      return outcome;
    };
    assert.equal(await within(heard.transport.ping({ timeoutMs: 200 })), 'timeout');
    // More than the system and the proxy swallow.
    const chunk = Buffer.alloc(4 << 20);
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => within(heard.transport.send(chunk))));
    assert.equal(outcomes.at(-1), 'timeout');
    assert.equal(await within(heard.transport.close()), undefined);
    assert.deepEqual([heard.closed.length, heard.closed[0]!.code], [1, 1006]);
  });

  test('a handshake into a black hole ends in time', async () => {
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    const error = await failure(connect({ connectTimeoutMs: 200 }));
    assert.ok(performance.now() - started < 200 + slack);
    assert.deepEqual([error.kind, error.delivery], ['timeout', 'none']);
  });

  test('half open: the vanished server is noticed, and told once', async () => {
    const heard = await connect({ pingIntervalMs: 100, pingTimeoutMs: 150 });
    proxy.halfOpen();
    const sent = await sendAll(heard);
    assert.ok(sent.every((outcome) => outcome === 'sent' || outcome === 'disconnected'));
    await heard.end();
    lostOnce(heard, 'ETIMEDOUT', 'ECONNRESET', 'EPIPE');
    assert.equal(heard.messages.length, 0);
  });

  test('after a loss it connects again', async () => {
    const heard = await connect();
    proxy.reset();
    await heard.end();
    await heard.connect();
    await sendAll(heard);
    await heard.receive(MESSAGES);
    inOrder(heard);
    assert.equal(heard.closed.length, 0);
  });
});
