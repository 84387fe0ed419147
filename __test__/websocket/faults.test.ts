// The WebSocket transport while the network misbehaves: every loss is reported once, nothing hangs, nothing comes twice or
// out of order.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { peer, peersMissing } from '../support/peers';
import { RecordedSocket, rejectionOf, type SocketOptions } from '../support/websocket';

const slack = process.env['CI'] ? 1100 : 100;
const MESSAGES = 200;
const text = (index: number) => `${index}:`.padEnd(100, 'x');

describe('SocketTransport through a network', { skip: peersMissing() }, () => {
  let server: any;
  let proxy: FaultProxy;
  let current: RecordedSocket | undefined;

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
    current?.transport.terminate();
    current = undefined;
    for (const client of server.clients) client.terminate();
    await proxy.close();
  });

  async function connect(options: Partial<SocketOptions> = {}): Promise<RecordedSocket> {
    current = new RecordedSocket({ url: `ws://127.0.0.1:${proxy.port}/`, ...options });
    await current.connect();
    return current;
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

  function inOrder(client: RecordedSocket): void {
    client.messages.forEach((message, index) => assert.equal(message, text(index)));
  }

  function lostOnce(client: RecordedSocket, ...codes: string[]): void {
    assert.equal(client.closed.length, 1);
    const [closed] = client.closed;
    assert.deepEqual([closed!.code, closed!.wasClean, closed!.error?.kind], [1006, false, 'disconnected']);
    assert.ok(codes.includes(closed!.error!.code), closed!.error!.code);
  }

  for (const compression of [false, true]) {
    for (const fault of [
      { kind: 'delay', ms: 3 },
      { kind: 'drip', bytes: 7, everyMs: 0 },
    ] as const) {
      test(`${fault.kind}, compression ${compression}: everything arrives, once and in order`, async () => {
        const client = await connect({ compression: compression && { thresholdBytes: 0 } });
        proxy.set(fault);
        const few = Array.from({ length: 40 }, (_, index) => text(index));
        await Promise.all(few.map((message) => client.transport.send(message)));
        await client.receive(few.length);
        inOrder(client);
        await client.transport.close();
        assert.equal(client.closed.length, 1);
        assert.ok(client.closed[0]!.wasClean);
      });
    }
  }

  for (const afterBytes of [1, 50, 1234]) {
    test(`cut after ${afterBytes} bytes: what came whole is told, then the loss`, async () => {
      const client = await connect();
      proxy.set({ kind: 'cut', afterBytes });
      const sent = await sendAll(client);
      await client.end();
      lostOnce(client, 'ECONNRESET', 'EPIPE');
      inOrder(client);
      assert.equal(client.messages.length, Math.floor(afterBytes / 102));
      assert.ok(sent.every((outcome) => outcome === 'sent' || outcome === 'disconnected'));
    });
  }

  test('reset in the middle: told once, and every call is settled', async () => {
    const client = await connect();
    const sent = sendAll(client);
    await eventually(() => client.messages.length > 0);
    proxy.reset();
    await sent;
    await client.end();
    lostOnce(client, 'ECONNRESET', 'EPIPE');
    inOrder(client);
    assert.equal((await rejectionOf(client.transport.send('x'))).kind, 'disconnected');
    assert.equal((await rejectionOf(client.transport.ping())).kind, 'disconnected');
  });

  test('a black hole is noticed by the missing answer to a ping', async () => {
    const client = await connect({ pingIntervalMs: 100, pingTimeoutMs: 150 });
    await client.transport.send(text(0));
    await client.receive(1);
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    await client.end();
    const took = performance.now() - started;
    assert.ok(took < 250 + slack, `${took} ms`);
    lostOnce(client, 'ETIMEDOUT');
  });

  test('a black hole: calls keep their deadlines', async () => {
    const client = await connect({ sendTimeoutMs: 200, closeTimeoutMs: 200 });
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
    assert.equal(await within(client.transport.ping({ timeoutMs: 200 })), 'timeout');
    // More than the system and the proxy swallow.
    const chunk = Buffer.alloc(4 << 20);
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => within(client.transport.send(chunk))));
    assert.equal(outcomes.at(-1), 'timeout');
    assert.equal(await within(client.transport.close()), undefined);
    assert.deepEqual([client.closed.length, client.closed[0]!.code], [1, 1006]);
  });

  test('a handshake into a black hole ends in time', async () => {
    proxy.set({ kind: 'black-hole' });
    const started = performance.now();
    const error = await rejectionOf(connect({ connectTimeoutMs: 200 }));
    assert.ok(performance.now() - started < 200 + slack);
    assert.deepEqual([error.kind, error.delivery], ['timeout', 'none']);
  });

  test('half open: the vanished server is noticed, and told once', async () => {
    const client = await connect({ pingIntervalMs: 100, pingTimeoutMs: 150 });
    proxy.halfOpen();
    const sent = await sendAll(client);
    assert.ok(sent.every((outcome) => outcome === 'sent' || outcome === 'disconnected'));
    await client.end();
    lostOnce(client, 'ETIMEDOUT', 'ECONNRESET', 'EPIPE');
    assert.equal(client.messages.length, 0);
  });

  test('after a loss it connects again', async () => {
    const client = await connect();
    proxy.reset();
    await client.end();
    await client.connect();
    await sendAll(client);
    await client.receive(MESSAGES);
    inOrder(client);
    assert.equal(client.closed.length, 0);
  });
});
