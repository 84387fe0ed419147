// How an answer is read: its type, its redirects, how long its connection is good for; and what cookies it was asked with.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { after, describe, test } from 'node:test';

import { HTTPConnection, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import { closeAfter, eventServer, EventRecorder, socketServer } from '../support/connections';
import { serveRaw, serve } from '../support/http';
import { HttpFixture } from '../support/http-fixture';

const fixture = new HttpFixture();
setLogger({});
after(() => setLogger(undefined));

describe('data', () => {
  /** A server that answers with the type in the path and the body in the query. */
  const startDataServer = () =>
    serve((request, response) => {
      const { pathname, search } = new URL(request.url ?? '', 'http://h');
      const type = decodeURIComponent(pathname.slice(1));
      if (type) response.setHeader('content-type', type);
      response.end(decodeURIComponent(search.slice(1)));
    });
  const url = (type: string, body: string) => `/${encodeURIComponent(type)}?${encodeURIComponent(body)}`;

  test('is parsed where the type is JSON, and text elsewhere', async () => {
    const server = await fixture.autoClose(startDataServer());
    const transport = fixture.open();
    for (const [type, body, data] of [
      ['application/json', '{"a":1}', { a: 1 }],
      ['Application/JSON ; charset=utf-8', '[1]', [1]],
      ['text/json', '1', 1],
      ['application/vnd.api+json', '{}', {}],
      ['application/problem+json;charset=utf-8', 'null', null],
      ['image/svg+json', 'true', true],
      ['application/json', '', undefined],
      ['application/json', ' \r\n\t', undefined],
      ['application/zip; name="export.json.zip"', 'PK', 'PK'],
      ['text/plain; name=a.json', 'hello', 'hello'],
      ['multipart/related; type="application/json"; boundary=x', '--x--', '--x--'],
      ['application/json-seq', '\u001e{"a":1}\n', '\u001e{"a":1}\n'],
      ['application/x-json-stream', '{}', '{}'],
      ['application/jsonp', 'f()', 'f()'],
      ['json', '{}', '{}'],
      ['', '{}', '{}'],
      ['text/plain', ' ', ' '],
    ] as const) {
      const response = await transport.request({ url: server.url + url(type, body) });
      assert.deepEqual(response.data, data, type);
    }
    const broken = await transport.request({ url: server.url + url('application/stream+json', '{}\n{}') });
    assert.throws(() => broken.data, { kind: 'protocol' });
    assert.equal(broken.text(), '{}\n{}');
  });

  test('goes by the content type alone, which a server may send twice, or beside a name that ends like it', async () => {
    const jsonHead = 'content-length: 2\r\ncontent-type: application/json\r\n';
    for (const [head, data] of [
      [jsonHead, {}],
      [`x-content-type: text/plain\r\n${jsonHead}x: content-type:text/plain\r\n`, {}],
      [`${jsonHead}Content-Type: text/plain\r\n`, '{}'],
      ['content-length: 2\r\nx-content-type: application/json\r\n', '{}'],
    ] as const) {
      const server = await fixture.autoClose(serveRaw((socket) => void socket.end(`HTTP/1.1 200 OK\r\n${head}\r\n{}`)));
      const response = await fixture.open().request({ url: server.url });
      assert.deepEqual(response.data, data, head);
    }
  });

  test('that is said to be JSON and is not is received as text, with an event', async (t) => {
    const server = await fixture.autoClose(startDataServer());
    for (const [type, body, received, errors] of [
      ['application/json', '{"a":', { text: '{"a":' }, 1],
      ['application/json', '  ', null, 0],
      ['application/json', '{"a":1}', { a: 1 }, 0],
      ['application/zip; name=a.json', 'PK', { text: 'PK' }, 0],
    ] as const) {
      const config = { url: server.url + url(type, body), monitoring: false };
      const connection = closeAfter(t, new HTTPConnection(config));
      const recorder = new EventRecorder(connection);
      await connection.connect();
      assert.deepEqual(await connection.receive(), received, body);
      assert.equal(recorder.count('error'), errors);
      if (errors) assert.match(recorder.of('error')[0]?.message ?? '', /is not JSON$/);
    }
  });
});

describe('a status', () => {
  test('that is no redirect is an answer, wherever its Location leads', async () => {
    const server = await fixture.autoClose(
      serve((request, response) => {
        const status = Number((request.url ?? '').slice(1));
        response.writeHead(status || 200, status ? { location: '/' } : {}).end();
      }),
    );
    const transport = fixture.open();
    const final = [200, 201, 300, 304, 305, 306, 309, 310, 350, 399, 400, 503];
    for (const status of final) {
      const answer = await transport.request({ url: `${server.url}/${status}` });
      assert.deepEqual([answer.status, answer.headers['location']], [status, '/']);
    }
    for (const status of [301, 302, 303, 307, 308]) {
      assert.equal((await transport.request({ url: `${server.url}/${status}` })).status, 200);
    }
  });

  test('that is a redirect is an answer where none is to be followed', async (t) => {
    const server = await fixture.autoClose(
      serve((request, response) =>
        request.url === '/login'
          ? response.writeHead(302, { location: '/home', 'set-cookie': 'id=1' }).end()
          : response.end('home'),
      ),
    );
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
    assert.equal((await connection.request({ url: '/login' })).text(), 'home');
    const { status, headers } = await connection.request({ url: '/login', maxRedirects: 0 });
    assert.deepEqual([status, headers['location'], headers['set-cookie']], [302, '/home', ['id=1']]);
    const wrong = connection.request({ maxRedirects: 21 });
    await assert.rejects(wrong, { name: 'RangeError', message: /^request\.maxRedirects must be / });
  });
});

describe('a Keep-Alive', () => {
  for (const timeout of ['9223372036854775807', '18446744073709551615', '18446744073709551616', '1e99', '-1']) {
    test(`of ${timeout} seconds leaves the answer as it is`, async () => {
      const server = await fixture.autoClose(
        serveRaw((socket) => {
          socket.write(`HTTP/1.1 200 OK\r\nKeep-Alive: timeout=${timeout}\r\nContent-Length: 2\r\n\r\nok`);
        }),
      );
      const transport = fixture.open();
      for (let turn = 0; turn < 3; turn++) assert.equal((await transport.request({ url: server.url })).text(), 'ok');
      assert.equal(server.acceptedConnections(), 1);
    });
  }
});

describe('several cookies', () => {
  const lines = ({ rawHeaders }: IncomingMessage) =>
    rawHeaders.filter((_, index) => /^cookie$/i.test(rawHeaders[index - 1] ?? '') && index % 2 === 1);

  test('are one header', async (t) => {
    const seen: string[][] = [];
    const server = await fixture.autoClose(
      serve((request, response) => {
        seen.push(lines(request));
        response.end();
      }),
    );
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
    for (const headers of [
      [
        ['cookie', 'a=1'],
        ['x-own', 'between'],
        ['Cookie', 'b=2'],
      ],
      { Cookie: ['a=1', 'b=2'] },
      { cookie: 'a=1', COOKIE: 'b=2' },
      new Map([['cookie', 'a=1; b=2']]),
    ] as const) {
      await connection.request({ headers: headers as never });
    }
    assert.deepEqual(seen, Array(4).fill(['a=1; b=2']));
  });

  test('are one header of a handshake and of an event stream, too', async (t) => {
    const customHeaders = { Cookie: 'a=1', cookie: 'b=2' };
    const sockets = await fixture.autoClose(socketServer());
    const socket = closeAfter(t, new WebSocketConnection({ url: sockets.url, customHeaders, monitoring: false }));
    assert.equal(await socket.connect(), true);
    assert.deepEqual(lines(sockets.handshakes[0]!), ['a=1; b=2']);
    const events = await fixture.autoClose(eventServer());
    const stream = closeAfter(t, new SSEConnection({ url: events.url, customHeaders, monitoring: false }));
    assert.equal(await stream.connect(), true);
    assert.deepEqual(lines(events.requests[0]!), ['a=1; b=2']);
  });

  test('and other headers are text, or refused by name', async (t) => {
    const server = await fixture.autoClose(serve((request, response) => response.end(request.headers['x-own'])));
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
    for (const [value, sent] of [
      [7, '7'],
      [true, 'true'],
      [1n, '1'],
      [['a', 2], 'a, 2'],
    ] as const) {
      assert.equal((await connection.request({ headers: { 'x-own': value } as never })).text(), sent);
    }
    for (const [headers, message] of [
      [{ 'x-own': null }, /^request\.headers\."x-own" must be .*, got null$/],
      [{ 'x-own': { secret: 1 } }, /^request\.headers\."x-own" must be .*, got an instance of Object$/],
      [{ 'x-own': new Date() }, /^request\.headers\."x-own" must be /],
      [[['x-own']], /^request\.headers\[0\] must be a pair/],
      [['x-own: a'], /^request\.headers\[0\] must be a pair/],
      ['x-own: secret', /^request\.headers must be an object, pairs or Headers, got a string$/],
      [null, /^request\.headers must be an object, pairs or Headers, got null$/],
    ] as const) {
      const call = connection.request({ headers: headers as never });
      await assert.rejects(call, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
    }
  });
});
