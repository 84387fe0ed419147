// What a request is on the wire, and what becomes of one that is given up or goes wrong on its way out.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';

import { eventually } from '../support/eventually';
import { serveRaw, serve } from '../support/http';
import { HttpFixture } from '../support/http-fixture';

const fixture = new HttpFixture();

describe('the head of a request', () => {
  /** A server that answers with the line the request began with. */
  const startRequestLineServer = () =>
    fixture.autoClose(
      serveRaw((socket, head) => {
        const line = head.slice(0, head.indexOf(' HTTP/1.1'));
        socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(line)}\r\n\r\n${line}`);
      }),
    );

  test('has its URL as the URL standard writes it, encoded once', async () => {
    const server = await startRequestLineServer();
    const transport = fixture.open();
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
    const guarded = fixture.open({ publicAddressesOnly: true });
    const code = 'ERR_MOORLINE_ADDRESS_REFUSED';
    await assert.rejects(guarded.request({ url: 'http://[::1]:9/a b' }), { code });
  });

  test('has no header that the name of another one brings in', async () => {
    const server = await startRequestLineServer();
    const call = fixture.open().request({ url: server.url, headers: { 'authorization:Bearer x': 'y' } });
    await assert.rejects(call, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /authorization:Bearer x/ });
    assert.equal(server.acceptedConnections(), 0);
  });

  test('has no header whose value is a list of lists, however deep', async () => {
    const endless: unknown[] = [];
    endless.push(endless);
    for (const value of [[['x']], endless]) {
      const call = fixture.open().request({ url: 'http://127.0.0.1:9', headers: { a: value as never } });
      await assert.rejects(call, {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^request\.headers\."a" /,
      });
    }
  });

  test('has a known method in upper case, and another as it is', async () => {
    const server = await startRequestLineServer();
    const transport = fixture.open();
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
    let beginResponse!: () => void;
    const responseBegun = new Promise<void>((resolve) => (beginResponse = resolve));
    const server = await fixture.autoClose(
      serve((_, response) => void response.writeHead(200).write('x', () => beginResponse())),
    );
    const transport = fixture.open({ maxConnections: 1 });
    const controller = new AbortController();
    const call = transport.request({ url: server.url, stream: true }, { signal: controller.signal });
    const rejected = assert.rejects(call, { name: 'AbortError' });
    await responseBegun;
    // The answer is made ready while nothing else runs here.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    controller.abort();
    await rejected;
    // Sooner than a garbage collection would do it.
    await eventually(() => transport.stats().inUse === 0 && server.openConnections() === 0, 1000);
  });
});

describe('a streamed body', () => {
  async function* pieces(...all: string[]) {
    for (const piece of all) yield piece;
  }
  const startEchoServer = () =>
    fixture.autoClose(
      serve((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => response.end(Buffer.concat(chunks)));
      }),
    );

  test('is as long as its content-length says, or fails', async () => {
    const server = await startEchoServer();
    const transport = fixture.open();
    const headers = { 'content-length': 6 };
    for (const fitting of [
      ['abc', 'def'],
      ['abcdef', ''],
      ['', 'abcde', 'f', ''],
    ]) {
      const answer = await transport.request({ url: server.url, headers, body: pieces(...fitting) });
      assert.equal(answer.text(), 'abcdef');
    }
    for (const [wrong, message] of [
      [['abc', 'defg'], /^request\.body is longer than its content-length of 6 bytes/],
      [['abc', 'def', 'g'], /^request\.body is longer/],
      [['abc'], /^request\.body is shorter/],
      [[], /^request\.body is shorter/],
    ] as const) {
      const call = transport.request({ url: server.url, headers, body: pieces(...wrong) });
      await assert.rejects(call, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message });
    }
  });

  test('with GET or HEAD needs a length, as nothing else says where it ends', async () => {
    const server = await startEchoServer();
    const transport = fixture.open();
    for (const method of ['GET', 'head']) {
      const call = transport.request({ method, url: server.url, body: pieces('lost') });
      await assert.rejects(call, { name: 'TypeError', message: /^request\.body / });
    }
    const headers = { 'content-length': 4 };
    const answer = await transport.request({ method: 'GET', url: server.url, headers, body: pieces('sent') });
    assert.equal(answer.text(), 'sent');
  });

  test('that throws after the answer has begun is why the answer breaks off', async () => {
    const server = await fixture.autoClose(serve((_, response) => void response.writeHead(200).write('begun')));
    let fail!: (error: Error) => void;
    const own = new Error('my own');
    async function* failingBody() {
      yield 'x';
      await new Promise((_, reject) => (fail = reject));
    }
    const { stream } = await fixture.open().request({ url: server.url, body: failingBody(), stream: true });
    assert.equal(Buffer.from((await stream.next()).value ?? []).toString(), 'begun');
    await eventually(() => fail);
    fail(own);
    await assert.rejects(stream.next(), own);
  });

  test('of an aborted call is destroyed, although a piece of it is awaited', async () => {
    const server = await fixture.autoClose(serve((request) => void request.resume()));
    const body = new Readable({ read: () => undefined });
    body.push('x');
    const controller = new AbortController();
    const call = fixture.open().request({ url: server.url, body }, { signal: controller.signal });
    const rejected = assert.rejects(call, { name: 'AbortError' });
    await eventually(() => server.acceptedConnections() === 1);
    controller.abort();
    await rejected;
    await eventually(() => body.destroyed);
  });
});

describe('an answer that is streamed', () => {
  test('ends with the transport', async () => {
    const server = await fixture.autoClose(serve((_, response) => void response.writeHead(200).write('begun')));
    const transport = fixture.open();
    const { stream } = await transport.request({ url: server.url, stream: true });
    await stream.next();
    const awaited = assert.rejects(stream.next(), { kind: 'closed', delivery: 'answered' });
    transport.close();
    await awaited;
    await eventually(() => server.openConnections() === 0);
    assert.equal((await stream.next()).done, true);
  });

  test('needs no connection when there is nothing to it', async () => {
    const server = await fixture.autoClose(serve((_, response) => response.writeHead(204).end()));
    const transport = fixture.open({ maxConnections: 1 });
    for (let turn = 0; turn < 3; turn += 1) {
      const settings = { timeoutMs: 2000 };
      assert.equal((await transport.request({ url: server.url, stream: true, settings })).status, 204);
    }
    assert.equal(server.acceptedConnections(), 1);
  });
});
