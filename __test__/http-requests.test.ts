// What a request is on the wire, and what becomes of one that is given up or goes wrong on its way out.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';

import { eventually } from './support/eventually';
import { converse, HttpTransport, type Running, serve } from './support/http';

let closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

async function up(server: Promise<Running>): Promise<Running> {
  const running = await server;
  closers.push(() => running.close());
  return running;
}

function open(...options: ConstructorParameters<typeof HttpTransport>): HttpTransport {
  const transport = new HttpTransport(...options);
  closers.push(() => transport.close());
  return transport;
}

describe('the head of a request', () => {
  /** Answers with the line the request began with. */
  const lines = () =>
    up(
      converse((socket, head) => {
        const line = head.slice(0, head.indexOf(' HTTP/1.1'));
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(line)}\r\n\r\n${line}`);
      }),
    );

  test('has its URL as the URL standard writes it, encoded once', async () => {
    const server = await lines();
    const transport = open();
    for (const [path, sent] of [
      ['/x?to=https%3A%2F%2Fh&name=a b', '/x?to=https%3A%2F%2Fh&name=a%20b'],
      ['/a%20b c', '/a%20b%20c'],
      ['/li\nne\tb\r', '/lineb'],
      ['/\u{d800}?q=\u{a0}x', '/%EF%BF%BD?q=%C2%A0x'],
      ['/a?b=c  ', '/a?b=c'],
    ] as const) {
      assert.equal((await transport.request({ url: server.url + path })).text(), `GET ${sent}`);
    }
    // The address itself is refused by the level here, and not by the URL.
    const guarded = open({ publicAddressesOnly: true });
    const code = 'ERR_MOORLINE_ADDRESS_REFUSED';
    await assert.rejects(guarded.request({ url: 'http://[::1]:9/a b' }), { code });
  });

  test('has a known method in upper case, and another as it is', async () => {
    const server = await lines();
    const transport = open();
    for (const [method, sent] of [
      ['get', 'GET'],
      ['Patch', 'PATCH'],
      ['purge', 'purge'],
    ] as const) {
      assert.equal((await transport.request({ method, url: server.url })).text(), `${sent} /`);
    }
    const head = await transport.request({ method: 'head', url: server.url });
    assert.deepEqual([head.status, head.text()], [200, '']);
  });
});

describe('a streamed call that is given up', () => {
  test('when its answer has come, but was not looked at, leaves no connection', async () => {
    let answered!: () => void;
    const there = new Promise<void>((resolve) => (answered = resolve));
    const server = await up(serve((_, response) => void response.writeHead(200).write('x', () => answered())));
    const transport = open({ maxConnections: 1 });
    const leaving = new AbortController();
    const call = transport.request({ url: server.url, stream: true }, { signal: leaving.signal });
    const rejected = assert.rejects(call, { name: 'AbortError' });
    await there;
    // The answer is made ready while nothing else runs here.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    leaving.abort();
    await rejected;
    // Sooner than a garbage collection would do it.
    await eventually(() => transport.stats().inUse === 0 && server.open() === 0, 1000);
  });
});
