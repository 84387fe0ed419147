// The HTTP transport against Node's own server, and against servers that break the protocol in every place.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';
import { serveRaw, HttpTransport, type RunningServer, serve } from '../support/http';
import { HttpFixture } from '../support/http-fixture';
import { freePort } from '../support/ports';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;

const fixture = new HttpFixture();

/** The error that a call rejects with. */
async function rejectionOf(work: Promise<unknown>): Promise<MoorlineError> {
  const error = await work.then(
    (value) => assert.fail(`it succeeded: ${String(value)}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MoorlineError, String(error));
  assert.deepEqual([error.service, error.operation], ['http', 'request']);
  return error;
}

const errorSummary = (error: MoorlineError) =>
  [error.kind, error.code, error.delivery, error.detail?.['phase']].join(' ');

/** A server that answers with what was asked. */
const startEchoServer = () =>
  serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
    });
  });

describe('requests and answers', () => {
  test('a request is sent as it was written, and its answer is read when asked', async () => {
    const server = await fixture.autoClose(startEchoServer());
    const transport = fixture.open();
    const headers = { 'X-Own': 'yes', accept: ['a/b', 'c/d'], gone: undefined };
    const query = { q: 'a b&c', n: [1, 2], gone: undefined };
    const answer = await transport.request({ url: `${server.url}/path?first=1#part`, headers, query });
    assert.deepEqual([answer.status, answer.ok, answer.statusText], [200, true, 'OK']);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.data, answer.data, 'parsed once');
    const { method, url, headers: got } = answer.data;
    assert.deepEqual([method, url], ['GET', '/path?first=1&q=a+b%26c&n=1&n=2']);
    assert.deepEqual([got['x-own'], got.accept, got.host], ['yes', 'a/b, c/d', `127.0.0.1:${server.port}`]);
    assert.match(got['user-agent'], /^moorline\//);
    assert.equal(answer.text(), JSON.stringify(answer.json()));
    assert.deepEqual(Buffer.from(answer.bytes()).toString(), answer.text());
  });

  test('each kind of body arrives with its type', async () => {
    const server = await fixture.autoClose(startEchoServer());
    const transport = fixture.open();
    async function* pieces() {
      yield 'a';
      await sleep(1);
      yield Buffer.from('bc');
    }
    const table: [unknown, string, string | undefined][] = [
      ['täxt', 'täxt', 'text/plain;charset=UTF-8'],
      [{ a: [1, null] }, '{"a":[1,null]}', 'application/json'],
      [new Uint8Array([104, 105]), 'hi', undefined],
      [new Uint16Array([0x6968]).buffer, 'hi', undefined],
      [new URLSearchParams({ a: 'b c' }), 'a=b+c', 'application/x-www-form-urlencoded;charset=UTF-8'],
      [pieces(), 'abc', undefined],
      [new Blob(['blob']).stream(), 'blob', undefined],
      [new Blob(['typed'], { type: 'text/css' }), 'typed', 'text/css'],
      [undefined, '', undefined],
    ];
    for (const [body, arrived, type] of table) {
      const { data } = await transport.request({ method: 'PUT', url: server.url, body });
      assert.deepEqual([data.method, data.body, data.headers['content-type']], ['PUT', arrived, type]);
    }
    const form = new FormData();
    form.set('a', 'b c');
    form.set('file', new Blob(['bytes']), 'name.txt');
    const parts = (await transport.request({ url: server.url, body: form })).data;
    const again = new Response(parts.body, { headers: { 'content-type': parts.headers['content-type'] } });
    assert.deepEqual([...(await again.formData()).keys()], ['a', 'file']);
    const own = { url: server.url, body: { a: 1 }, headers: { 'Content-Type': 'application/vnd.own+json' } };
    const { data } = await transport.request(own);
    assert.deepEqual([data.method, data.headers['content-type']], ['POST', 'application/vnd.own+json']);
    assert.equal((await transport.request({ method: 'POST', url: server.url })).data.headers['content-length'], '0');
  });

  test('a streamed upload of megabytes goes no faster than the server takes it', async () => {
    let paused = true;
    let received = 0;
    const hash = createHash('sha256');
    const server = await fixture.autoClose(
      serve((request, response) => {
        request.pause();
        void eventually(() => !paused, 20_000).then(() => {
          request.on('data', (chunk: Buffer) => ((received += chunk.length), hash.update(chunk)));
          request.on('end', () => response.end('done')).resume();
        });
      }),
    );
    let produced = 0;
    const piece = Buffer.alloc(1 << 18, 'x');
    const expected = createHash('sha256');
    async function* upload() {
      for (; produced < 64; produced += 1) {
        expected.update(piece);
        yield piece;
      }
    }
    const answer = fixture.open().request({ method: 'POST', url: server.url, body: upload() });
    // It stalls when the sockets' buffers are full; how much fits there is the system's business.
    let before = -1;
    await eventually(async () => {
      const stalled = produced > 0 && produced === before;
      before = produced;
      await sleep(50);
      return stalled;
    });
    assert.ok(produced < 64, `${produced} pieces were taken by nobody`);
    paused = false;
    assert.equal((await answer).text(), 'done');
    assert.deepEqual([received, hash.digest('hex')], [64 << 18, expected.digest('hex')]);
  });

  test('a body that throws breaks the request off, and the caller gets its own error', async () => {
    const server = await fixture.autoClose(startEchoServer());
    const own = new Error('own');
    let closed = false;
    async function* body() {
      try {
        yield 'a';
        throw own;
      } finally {
        closed = true;
      }
    }
    await assert.rejects(fixture.open().request({ url: server.url, body: body() }), own);
    assert.ok(closed);
    await eventually(() => server.openConnections() === 0);
  });

  test('a streamed answer is read as fast as it is asked, and left early without a trace', async () => {
    let written = 0;
    const server = await fixture.autoClose(
      serve((_, response) => {
        const write = (): void => {
          for (;;) {
            if (written >= 64 << 20 || response.destroyed) return void response.end();
            written += 1 << 16;
            if (!response.write(Buffer.alloc(1 << 16))) return void response.once('drain', write);
          }
        };
        write();
      }),
    );
    const transport = fixture.open({ bodyTimeoutMs: 5000 });
    const answer = await transport.request({ url: server.url, stream: true });
    for await (const piece of answer.stream) {
      assert.ok(piece.length > 0);
      break;
    }
    assert.ok(written < 32 << 20, `${written} bytes were read for nobody`);
    await eventually(() => server.openConnections() === 0);
    await eventually(() => transport.stats().connections === 0);
    const whole = await transport.request({ url: server.url, stream: true });
    let length = 0;
    for await (const piece of whole.stream.toReadableStream()) length += piece.length;
    assert.equal(length % (1 << 16), 0);
  });

  test('an abort ends a streamed answer too, and an answer may begin before its request is over', async () => {
    const server = await fixture.autoClose(serve((request, response) => void request.pipe(response)));
    const transport = fixture.open();
    let more!: (piece: string | undefined) => void;
    async function* upload() {
      yield 'first';
      for (;;) {
        const piece = await new Promise<string | undefined>((resolve) => (more = resolve));
        if (piece === undefined) return;
        yield piece;
      }
    }
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const answer = await transport.request({ url: server.url, body: upload(), stream: true }, options);
    const text = async () => Buffer.from((await answer.stream.next()).value as Uint8Array).toString();
    assert.equal(await text(), 'first');
    more('second');
    assert.equal(await text(), 'second');
    const reason = new Error('enough');
    const third = answer.stream.next();
    controller.abort(reason);
    await assert.rejects(third, reason);
    await assert.rejects(answer.stream.next(), reason);
    await eventually(() => server.openConnections() === 0);
    more(undefined);
  });

  test('connections are reused one request after the other, and never more than allowed', async () => {
    const server = await fixture.autoClose(serve((_, response) => void setTimeout(() => response.end('x'), 5)));
    const transport = fixture.open({ maxConnections: 3 });
    await Promise.all(Array.from({ length: 30 }, () => transport.request({ url: server.url })));
    assert.equal(server.acceptedConnections(), 3);
    assert.deepEqual(transport.stats(), { connections: 3, inUse: 0, idle: 3, waiting: 0 });
  });

  test('a connection the server has closed meanwhile is not used, and none is kept longer than allowed', async () => {
    const server = await fixture.autoClose(
      serveRaw((socket) => {
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi');
      }),
    );
    const transport = fixture.open({ keepAliveTimeoutMs: 100 });
    for (let turn = 0; turn < 20; turn++) {
      const answer = await transport.request({ method: 'POST', url: server.url, body: 'x' });
      assert.equal(answer.text(), 'hi');
      await eventually(() => server.openConnections() === 0);
    }
    const lasting = await fixture.autoClose(startEchoServer());
    await transport.request({ url: lasting.url });
    await eventually(() => transport.stats().connections === 0, 2000);
  });
});

describe('redirects', () => {
  const startRedirectServer = () =>
    serve((request, response) => {
      const [, status, ...target] = (request.url ?? '').split('/');
      if (status === 'end') {
        const { method, headers } = request;
        response.setHeader('content-type', 'application/json');
        request.resume().on('end', () => response.end(JSON.stringify({ method, headers })));
        return;
      }
      response.writeHead(Number(status), { location: decodeURIComponent(target.join('/')) || '/end' });
      response.end('elsewhere');
    });

  test('each kind keeps or changes the method as it should', async () => {
    const server = await fixture.autoClose(startRedirectServer());
    const transport = fixture.open();
    const table = [
      [301, 'POST', 'GET'],
      [302, 'PUT', 'PUT'],
      [303, 'PUT', 'GET'],
      [307, 'POST', 'POST'],
      [308, 'DELETE', 'DELETE'],
    ] as const;
    for (const [status, method, becomes] of table) {
      const answer = await transport.request({ method, url: `${server.url}/${status}`, body: 'x' });
      assert.equal(answer.url, `${server.url}/end`);
      assert.equal(answer.data.method, becomes);
      assert.equal('content-type' in answer.data.headers, becomes !== 'GET');
    }
    assert.equal(server.acceptedConnections(), 1, 'the body of a redirect does not cost a connection');
  });

  test('only headers that carry no credential cross origins', async () => {
    const [here, there] = [
      await fixture.autoClose(startRedirectServer()),
      await fixture.autoClose(startRedirectServer()),
    ];
    const url = `${here.url}/302/${encodeURIComponent(`${there.url}/end`)}`;
    const secrets = { authorization: 'Bearer x', cookie: 'a=b', 'x-api-key': 'k', 'x-auth-token': 't' };
    const unknown = { 'x-jwt': 'j', dpop: 'd', 'x-pwd': 'p', sid: 's' };
    const headers = { ...secrets, ...unknown, 'accept-language': 'de', 'idempotency-key': 'i' };
    const moved = (await fixture.open().request({ url, headers })).data.headers;
    assert.deepEqual(
      Object.keys(moved).filter((name) => name in headers),
      ['accept-language', 'idempotency-key'],
    );
    const kept = (await fixture.open().request({ url: `${here.url}/302`, headers })).data.headers;
    for (const [name, value] of Object.entries(headers)) assert.equal(kept[name], value);
  });

  test('a loop, a body that is gone and a URL that is none end clearly', async () => {
    const server = await fixture.autoClose(startRedirectServer());
    const transport = fixture.open();
    const circle = await fixture.autoClose(
      serve((_, response) => response.writeHead(302, { location: '/again' }).end()),
    );
    const endless = await rejectionOf(transport.request({ url: circle.url }));
    assert.equal(errorSummary(endless), 'protocol ERR_TOO_MANY_REDIRECTS answered body');
    async function* body() {
      yield 'x';
    }
    const gone = await rejectionOf(transport.request({ method: 'POST', url: `${server.url}/307`, body: body() }));
    assert.equal(errorSummary(gone), 'protocol ERR_BODY_NOT_REPLAYABLE answered body');
    const nowhere = `${server.url}/302/${encodeURIComponent('ftp://x/')}`;
    assert.equal((await rejectionOf(transport.request({ url: nowhere }))).code, 'ERR_INVALID_REDIRECT');
    const itself = await transport.request({ url: `${server.url}/302`, settings: { maxRedirects: 0 } });
    assert.deepEqual([itself.status, itself.headers['location']], [302, '/end']);
  });
});

describe('compressed bodies', () => {
  const text = JSON.stringify({ text: 'ä'.repeat(5000) });
  const encoded = {
    gzip: gzipSync(text),
    br: brotliCompressSync(text),
    deflate: deflateSync(text),
    'gzip, br': brotliCompressSync(gzipSync(text)),
  };

  test('are decoded, whole and as a stream, and the connection is used again', async () => {
    const server = await fixture.autoClose(
      serve((request, response) => {
        const encoding = decodeURIComponent(request.url?.slice(1) ?? '') as keyof typeof encoded;
        response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding });
        response.end(encoded[encoding]);
      }),
    );
    const transport = fixture.open();
    for (const encoding of Object.keys(encoded)) {
      const url = `${server.url}/${encodeURIComponent(encoding)}`;
      const answer = await transport.request({ url });
      assert.deepEqual(answer.data, JSON.parse(text), encoding);
      assert.equal(answer.headers['content-encoding'], undefined);
      const streamed = await transport.request({ url, stream: true });
      const pieces: Uint8Array[] = [];
      for await (const piece of streamed.stream) pieces.push(piece);
      assert.equal(Buffer.concat(pieces).toString(), text, encoding);
    }
    assert.equal(server.acceptedConnections(), 1);
    const raw = await transport.request({ url: `${server.url}/gzip`, settings: { decompress: false } });
    assert.deepEqual(Buffer.from(raw.bytes()), encoded.gzip);
  });

  test('a bomb, a truncated and a broken one are errors', async () => {
    const bomb = gzipSync(Buffer.alloc(64 << 20));
    const bodies: Record<string, Buffer> = {
      '/bomb': bomb,
      '/cut': encoded.gzip.subarray(0, 40),
      '/broken': Buffer.concat([encoded.gzip.subarray(0, 20), Buffer.alloc(100, 1)]),
    };
    const server = await fixture.autoClose(
      serve((request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(bodies[request.url ?? '']);
      }),
    );
    const transport = fixture.open({ maxDecompressedBytes: 1 << 20 });
    const burst = await rejectionOf(transport.request({ url: `${server.url}/bomb` }));
    assert.equal(errorSummary(burst), 'protocol ERR_MOORLINE_RESPONSE_TOO_LARGE answered body');
    for (const path of ['/cut', '/broken']) {
      const broken = await rejectionOf(transport.request({ url: server.url + path }));
      assert.equal(errorSummary(broken), 'protocol ERR_MOORLINE_PROTOCOL answered body', path);
    }
  });
});

describe('what goes wrong', () => {
  const OK = 'HTTP/1.1 200 OK\r\n';

  test('every break is an error that says how far it came', async () => {
    const table: [string, (answer: string) => string, string][] = [
      ['cut in the head', () => `${OK}content-le`, 'disconnected ECONNRESET answered headers'],
      ['cut in a sized body', () => `${OK}content-length: 10\r\n\r\nhalf`, 'disconnected ECONNRESET answered body'],
      [
        'cut in a chunk',
        () => `${OK}transfer-encoding: chunked\r\n\r\nff\r\nhalf`,
        'disconnected ECONNRESET answered body',
      ],
      [
        'cut between chunks',
        () => `${OK}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
        'disconnected ECONNRESET answered body',
      ],
      ['nothing', () => '', 'disconnected ECONNRESET unknown headers'],
      ['no HTTP', () => 'SSH-2.0-x\r\n\r\n', 'protocol ERR_MOORLINE_PROTOCOL answered headers'],
      ['a broken header', () => `${OK}bro ken: x\r\n\r\n`, 'protocol ERR_MOORLINE_PROTOCOL answered headers'],
      [
        'a broken chunk',
        () => `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`,
        'protocol ERR_MOORLINE_PROTOCOL answered body',
      ],
    ];
    const transport = fixture.open();
    for (const [what, answer, expected] of table) {
      const server = await fixture.autoClose(serveRaw((socket, head) => void socket.end(answer(head))));
      const error = await rejectionOf(transport.request({ url: server.url }));
      assert.equal(errorSummary(error), expected, what);
      assert.equal(error.detail?.['reusedSocket'], false, what);
    }
    await eventually(() => transport.stats().connections === 0);
  });

  test('a reset in the middle, and one on a connection that was used before', async () => {
    const server = await fixture.autoClose(
      serveRaw((socket, _, turn) => {
        if (turn === 0) socket.write(`${OK}content-length: 2\r\n\r\nhi`);
        else socket.resetAndDestroy();
      }),
    );
    const transport = fixture.open();
    assert.equal((await transport.request({ url: server.url })).text(), 'hi');
    const error = await rejectionOf(transport.request({ method: 'POST', url: server.url, body: 'x' }));
    assert.equal(errorSummary(error), 'disconnected ECONNRESET unknown headers');
    assert.deepEqual([error.detail?.['reusedSocket'], error.retryable], [true, false]);
    assert.ok((error.detail?.['bytesWritten'] as number) > 50);
  });

  test('each limit ends a call on time and says which it was', async () => {
    const silent = await fixture.autoClose(serveRaw(() => undefined));
    const dripping = await fixture.autoClose(
      serveRaw((socket) => {
        socket.write(`${OK}content-length: 100\r\n\r\n`);
        const drip = setInterval(() => socket.write('.'), 20);
        socket.on('close', () => clearInterval(drip));
      }),
    );
    const stalling = await fixture.autoClose(
      serveRaw((socket) => void socket.write(`${OK}content-length: 9\r\n\r\nhalf`)),
    );
    const table: [RunningServer, Record<string, number>, string, string][] = [
      [silent, { headersTimeoutMs: 150 }, 'headersTimeoutMs', 'timeout ETIMEDOUT unknown headers'],
      [silent, { timeoutMs: 150 }, 'timeoutMs', 'timeout ETIMEDOUT unknown headers'],
      [stalling, { bodyTimeoutMs: 150 }, 'bodyTimeoutMs', 'timeout ETIMEDOUT answered body'],
      [dripping, { timeoutMs: 150, bodyTimeoutMs: 100 }, 'timeoutMs', 'timeout ETIMEDOUT answered body'],
    ];
    const transport = fixture.open();
    for (const [server, settings, limit, expected] of table) {
      const began = performance.now();
      const error = await rejectionOf(transport.request({ url: server.url, settings }));
      const late = performance.now() - began - 150;
      assert.equal(errorSummary(error), expected);
      assert.equal(error.detail?.['limit'], limit);
      assert.ok(late > -20 && late < SLACK_MS, `${late} ms late`);
    }
    await eventually(() => transport.stats().connections === 0);
  });

  test('who waits for a connection in vain has sent nothing', async () => {
    const silent = await fixture.autoClose(serveRaw(() => undefined));
    const transport = fixture.open({ maxConnections: 1 });
    const first = rejectionOf(transport.request({ url: silent.url, settings: { timeoutMs: 600 } }));
    await eventually(() => transport.stats().inUse === 1);
    const second = await rejectionOf(
      transport.request({ method: 'POST', url: silent.url, settings: { timeoutMs: 100 } }),
    );
    assert.equal(errorSummary(second), 'timeout ETIMEDOUT none queue');
    assert.equal(second.retryable, true);
    assert.equal((await first).kind, 'timeout');
  });

  test('a refused connection and a name without an address have sent nothing', async () => {
    const transport = fixture.open();
    const refused = await rejectionOf(
      transport.request({ method: 'POST', url: `http://127.0.0.1:${await freePort()}` }),
    );
    assert.equal(errorSummary(refused), 'connect ECONNREFUSED none connect');
    assert.deepEqual([refused.detail?.['bytesWritten'], refused.retryable], [0, true]);
    const unknown = await rejectionOf(transport.request({ url: 'http://no-such-host.invalid/' }));
    assert.equal(errorSummary(unknown), 'connect ENOTFOUND none dns');
  });

  test('an answer that is too long is an error, announced or not', async () => {
    const server = await fixture.autoClose(
      serve((request, response) => {
        if (request.url === '/announced') response.setHeader('content-length', 5000);
        response.end(Buffer.alloc(5000));
      }),
    );
    const transport = fixture.open({ maxResponseBytes: 4999 });
    for (const path of ['/announced', '/chunked']) {
      const error = await rejectionOf(transport.request({ url: server.url + path }));
      assert.equal(errorSummary(error), 'protocol ERR_MOORLINE_RESPONSE_TOO_LARGE answered body', path);
    }
    const allowed = await transport.request({ url: server.url, settings: { maxResponseBytes: 5000 } });
    assert.equal(allowed.bytes().length, 5000);
  });

  test('an aborted call ends at once with its reason and leaves no connection', async () => {
    const silent = await fixture.autoClose(serveRaw(() => undefined));
    const transport = fixture.open();
    const controller = new AbortController();
    const call = transport.request({ url: silent.url }, { signal: controller.signal });
    await eventually(() => silent.openConnections() === 1);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(call, reason);
    await eventually(() => silent.openConnections() === 0);
    await assert.rejects(transport.request({ url: silent.url }, { signal: controller.signal }), reason);
  });

  test('closing ends what runs and refuses what comes', async () => {
    const silent = await fixture.autoClose(serveRaw(() => undefined));
    const transport = fixture.open();
    const running = rejectionOf(transport.request({ url: silent.url }));
    await eventually(() => silent.openConnections() === 1);
    transport.close();
    transport.close();
    assert.equal((await running).kind, 'closed');
    const late = await rejectionOf(transport.request({ url: silent.url }));
    assert.deepEqual([late.kind, late.delivery], ['closed', 'none']);
    await eventually(() => silent.openConnections() === 0);
  });

  test('a programmer’s mistake is told with its place', async () => {
    const transport = fixture.open();
    const url = 'http://127.0.0.1:9/';
    const table: [Parameters<HttpTransport['request']>[0], RegExp][] = [
      [{ url: 'nowhere' }, /^request\.url /],
      [{ url: 'ftp://h/' }, /^request\.url /],
      [{ url, method: 'CON NECT' }, /^request\.method /],
      [{ url, method: 'CONNECT' }, /^request\.method /],
      [{ url, headers: { 'a b': 'c' } }, /^request\.headers\.a b /],
      [{ url, headers: { a: 'b\r\nc: d' } }, /^request\.headers\."a" /],
      [{ url, headers: { 'transfer-encoding': 'chunked' } }, /^request\.headers\.transfer-encoding /],
      [{ url, body: () => undefined }, /^request\.body /],
      [{ url, settings: { timeoutMs: -1 } }, /^request\.timeoutMs /],
    ];
    for (const [request, message] of table) {
      await assert.rejects(transport.request(request), (error: Error) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
    assert.throws(() => new HttpTransport({ timeouts: 5 } as object), /options\.timeouts .*timeout/);
    assert.throws(() => new HttpTransport({ maxConnections: 0 }), RangeError);
  });
});
