// The fault proxy itself: a test that blames a client for a fault must be able to trust it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { listen } from '../support/ports';

describe('fault proxy', () => {
  let echo: Server;
  let echoing: Socket[] = [];
  let proxy: FaultProxy;
  let client: Socket;
  let received: Buffer;
  let ended: { by?: 'fin' | 'reset' };

  before(async () => {
    echo = createServer((socket) => {
      echoing.push(socket);
      socket.on('error', () => undefined).pipe(socket);
    });
    await listen(echo);
  });

  beforeEach(async (t) => {
    echoing = [];
    proxy = await FaultProxy.start((echo.address() as AddressInfo).port);
    client = connect(proxy.port, '127.0.0.1');
    received = Buffer.alloc(0);
    ended = {};
    client.on('data', (data) => (received = Buffer.concat([received, data])));
    client.on('end', () => (ended.by = 'fin'));
    client.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') ended.by = 'reset';
    });
    await once(client, 'connect');
    await eventually(() => echoing.length === 1);
    (t as unknown as { after(work: () => Promise<void>): void }).after(async () => {
      client.destroy();
      await proxy.close();
    });
  });

  after(() => echo.close());

  const echoed = (text: string) => eventually(() => received.toString() === text);

  test('without a fault everything travels both ways', async () => {
    const large = Buffer.alloc(1 << 20, 'x');
    client.write(large);
    await eventually(() => received.length === large.length);
    assert.ok(received.equals(large));
  });

  test('a delay holds an answer back', async () => {
    proxy.set({ kind: 'delay', ms: 50 });
    const started = performance.now();
    client.write('late');
    await echoed('late');
    assert.ok(performance.now() - started >= 98, 'once on the way there and once on the way back');
  });

  test('a drip sends a few bytes at a time', async () => {
    proxy.set({ kind: 'drip', bytes: 2, everyMs: 20 });
    client.write('abcdef');
    await eventually(() => received.length > 0);
    assert.ok(received.length < 6);
    await echoed('abcdef');
  });

  test('a cut ends an answer in the middle', async () => {
    proxy.set({ kind: 'cut', afterBytes: 3 });
    client.write('abcdef');
    await eventually(() => ended.by === 'fin');
    assert.equal(received.toString(), 'abc');
  });

  test('cutting ends open connections politely', async () => {
    proxy.cut();
    await eventually(() => ended.by === 'fin');
    await eventually(() => proxy.connections === 0);
  });

  test('a reset is seen as a reset', async () => {
    proxy.reset();
    await eventually(() => ended.by === 'reset');
  });

  test('a black hole swallows without ending, and gives back what it swallowed', async () => {
    proxy.set({ kind: 'black-hole' });
    client.write('lost?');
    await sleep(50);
    assert.equal(received.length, 0);
    assert.equal(ended.by, undefined);
    proxy.set({ kind: 'none' });
    await echoed('lost?');
  });

  test('a half-open connection looks alive to the client and is dead to the server', async () => {
    proxy.halfOpen();
    await eventually(() => echoing[0]?.destroyed);
    client.write('anybody there?');
    await sleep(50);
    assert.equal(received.length, 0);
    assert.equal(ended.by, undefined);
  });

  test('refusing turns new connections away and keeps the old ones, until it accepts again', async () => {
    await proxy.refuse();
    const [error] = (await once(connect(proxy.port, '127.0.0.1'), 'error').catch((e: unknown) => [e])) as [
      NodeJS.ErrnoException,
    ];
    assert.equal(error.code, 'ECONNREFUSED');
    client.write('still here');
    await echoed('still here');
    await proxy.accept();
    const again = connect(proxy.port, '127.0.0.1');
    await once(again, 'connect');
    again.destroy();
    assert.equal(proxy.accepted, 2);
  });
});
