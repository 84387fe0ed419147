// How large an answer, an event and a message may be, and what becomes of one that is larger.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';

import { HTTPConnection, type MoorlineError, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import { closeAfter, eventServer, EventRecorder, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { peersMissing } from '../support/peers';

const MIB = 1 << 20;

before(() => setLogger({}));
after(() => setLogger(undefined));

async function length(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const piece of stream) bytes += piece.length;
  return bytes;
}

describe('an answer', () => {
  const piece = Buffer.alloc(MIB, 'x');
  const tooLarge = { kind: 'protocol', code: 'ERR_MOORLINE_RESPONSE_TOO_LARGE', delivery: 'answered' };

  /** Answers with as many mebibytes as the path says, packed if it says so. */
  const server = () =>
    serve(async (request, response) => {
      const [, count = '0', packed] = (request.url ?? '').split('/');
      response.on('error', () => undefined);
      if (packed) {
        response.setHeader('content-encoding', 'gzip');
        return void response.end(gzipSync(Buffer.alloc(Number(count) * MIB)));
      }
      for (let sent = 0; sent < Number(count) && !response.destroyed; sent++) {
        if (!response.write(piece)) {
          const room = new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
          await room;
        }
      }
      response.end();
    });

  test('that is streamed may be as long as it is', async (t) => {
    const running = await server();
    t.after(() => running.close());
    const connection = closeAfter(t, new HTTPConnection({ url: running.url, monitoring: false, retryCount: 0 }));
    const { stream } = await connection.request({ url: '/66', stream: true });
    assert.equal(await length(stream), 66 * MIB);
    await assert.rejects(connection.request({ url: '/66' }), { ...tooLarge, message: /\(maxResponseBytes\)/ });
  });

  test('is bounded by maxResponseBytes of the connection or of the request, streamed or not', async (t) => {
    const running = await server();
    t.after(() => running.close());
    const options = { url: running.url, monitoring: false, retryCount: 0, maxResponseBytes: 2 * MIB };
    const connection = closeAfter(t, new HTTPConnection(options));
    assert.equal((await connection.request({ url: '/2' })).bytes().length, 2 * MIB);
    await assert.rejects(connection.request({ url: '/3' }), { ...tooLarge, message: /2097152 bytes/ });
    const { stream } = await connection.request({ url: '/3', stream: true });
    await assert.rejects(length(stream), tooLarge);
    assert.equal((await connection.request({ url: '/3', maxResponseBytes: Infinity })).bytes().length, 3 * MIB);
    await assert.rejects(connection.request({ url: '/1', maxResponseBytes: 10 }), tooLarge);
  });

  test('is bounded by maxDecompressedBytes when it is unpacked', async (t) => {
    const running = await server();
    t.after(() => running.close());
    const connection = closeAfter(t, new HTTPConnection({ url: running.url, monitoring: false, retryCount: 0 }));
    const packed = { url: '/3/packed' };
    await assert.rejects(connection.request({ ...packed, maxDecompressedBytes: MIB }), {
      ...tooLarge,
      message: /\(maxDecompressedBytes\)/,
    });
    assert.equal((await connection.request(packed)).bytes().length, 3 * MIB);
  });

  test('may be the redirect itself, by maxRedirects of the connection', async (t) => {
    const running = await serve((request, response) => {
      if (request.url === '/end') return response.end('end');
      return response.writeHead(302, { location: '/end', 'set-cookie': ['a=1', 'b=2'] }).end();
    });
    t.after(() => running.close());
    const connection = closeAfter(t, new HTTPConnection({ url: running.url, monitoring: false, maxRedirects: 0 }));
    const { status, headers } = await connection.request({ url: '/login' });
    assert.deepEqual([status, headers['location'], headers['set-cookie']], [302, '/end', ['a=1', 'b=2']]);
    assert.equal((await connection.request({ url: '/login', maxRedirects: 1 })).text(), 'end');
  });
});

describe('an event', () => {
  test('may be as large as maxEventBytes says', async (t) => {
    const server = await eventServer();
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, maxEventBytes: 3 * MIB };
    const connection = closeAfter(t, new SSEConnection(options));
    assert.equal(await connection.connect(), true);
    server.send(`data: ${'x'.repeat(2 * MIB)}\n\n`);
    assert.equal((await connection.receive())?.data.length, 2 * MIB);
  });

  test('that is larger ends the connection for good', async (t) => {
    const server = await eventServer();
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, maxEventBytes: 100, retryDelay: 1 };
    const connection = closeAfter(t, new SSEConnection(options));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    server.send(`data: ${'x'.repeat(200)}\n\n`);
    await eventually(() => connection.getStatus().state === 'disconnected');
    const { error } = recorder.of('error').at(-1)!.data as { error: MoorlineError };
    assert.equal(error.code, 'ERR_MOORLINE_EVENT_TOO_LARGE');
    assert.equal(server.requests.length, 1);
  });
});

describe('a message', { skip: peersMissing() }, () => {
  test('may be as large as maxMessageBytes says', async (t) => {
    const server = await socketServer((socket) => socket.send(Buffer.alloc(17 * MIB)));
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, maxMessageBytes: 18 * MIB };
    const connection = closeAfter(t, new WebSocketConnection(options));
    assert.equal(await connection.connect(), true);
    assert.equal((await connection.receive()).length, 17 * MIB);
  });

  test('that is larger ends the connection for good, with its reason, and is not asked for again', async (t) => {
    const server = await socketServer((socket) => socket.send(Buffer.alloc(101)));
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, maxMessageBytes: 100, retryDelay: 1 };
    const connection = closeAfter(t, new WebSocketConnection(options));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    await eventually(() => connection.getStatus().state === 'disconnected');
    const { error } = recorder.of('error').at(-1)!.data as { error: MoorlineError };
    assert.equal(error.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
    assert.match(error.message, /maxMessageBytes/);
    assert.match(connection.getStatus().lastError ?? '', /maxMessageBytes/);
    assert.deepEqual([server.handshakes.length, recorder.count('reconnected')], [1, 0]);
  });

  test('of ours that is larger than the server takes does not end it: it is opened again', async (t) => {
    const server = await socketServer(undefined, { maxPayload: 100 });
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, retryDelay: 1 };
    const connection = closeAfter(t, new WebSocketConnection(options));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    await connection.send('x'.repeat(200));
    await recorder.until('reconnected');
  });
});

describe('an option of one kind of connection', () => {
  const others: [make: () => unknown, message: RegExp][] = [
    [
      () => new HTTPConnection({ url: 'http://h', maxEventBytes: 5 }),
      /options\.maxEventBytes applies only to .* 'sse'/,
    ],
    [() => new SSEConnection({ url: 'http://h', maxRedirects: 5 }), /options\.maxRedirects applies only to .* 'http'/],
    [() => new WebSocketConnection({ url: 'ws://h', maxResponseBytes: 5 }), /options\.maxResponseBytes applies only/],
  ];
  for (const [make, message] of others) {
    test(`is refused by another kind: ${message.source.slice(8, 30)}`, () =>
      assert.throws(make, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message }));
  }

  test('is checked before anything is sent, and shown as it was given', () => {
    assert.throws(() => new HTTPConnection({ url: 'http://h', maxRedirects: 21 }), {
      name: 'RangeError',
      message: 'options.maxRedirects must be between 0 and 20, got 21',
    });
    const { config } = new HTTPConnection({ url: 'http://h', maxResponseBytes: Infinity, bodyTimeoutMs: 7 });
    assert.deepEqual([config.maxResponseBytes, config.bodyTimeoutMs, config.maxRedirects], [Infinity, 7, undefined]);
  });
});
