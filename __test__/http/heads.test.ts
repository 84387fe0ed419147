// The heads of answers: how many headers, how long, and in whatever shape a server may write them.
import assert from 'node:assert/strict';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import { after, before, describe, test } from 'node:test';

import { HTTPConnection, type MoorlineError, setLogger, SSEConnection } from 'moorline';

import { Authority } from '../support/certificates';
import { closeAfter, EventRecorder } from '../support/connections';
import { serveRaw, type RunningServer } from '../support/http';
import { HttpFixture } from '../support/http-fixture';
import { listen } from '../support/ports';

const KIB = 1024;
const MIB = KIB * KIB;

before(() => setLogger({}));
after(() => setLogger(undefined));

const fixture = new HttpFixture();

/** A server that answers every request with these lines behind the status. */
function startHeaderServer(lines: (path: string) => string[], body = 'ok'): Promise<RunningServer> {
  const server = serveRaw((socket, head) => {
    const path = /^\S+ (\S+)/.exec(head)?.[1] ?? '/';
    const head1 = ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...lines(path), '', body];
    socket.write(head1.join('\r\n'), 'latin1');
  });
  return fixture.autoClose(server);
}

async function rejectionOf(promise: Promise<unknown>): Promise<MoorlineError> {
  return promise.then(
    () => assert.fail('it was answered'),
    (error: MoorlineError) => error,
  );
}

describe('an answer of HTTP/1.1', () => {
  test('may have as many headers as servers send', async (t) => {
    const server = await startHeaderServer((path) =>
      Array.from({ length: Number(path.slice(1)) }, (_, index) => `Set-Cookie: c${index}=1`),
    );
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, retryCount: 0 }));
    for (const count of [99, 130, 400, 1990]) {
      const { status, headers } = await connection.request({ url: `/${count}` });
      assert.deepEqual([status, headers['set-cookie']?.length], [200, count]);
    }
    const error = await rejectionOf(connection.request({ url: '/2100' }));
    assert.deepEqual([error.kind, error.delivery, error.retryable], ['protocol', 'answered', false]);
  });

  test('may have a head of up to 1 MiB; a longer one is refused, and was answered', async (t) => {
    const server = await startHeaderServer((path) => [`X-Big: ${'x'.repeat(Number(path.slice(1)))}`]);
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, retryCount: 0 }));
    for (const length of [450 * KIB, MIB - 200]) {
      const { headers } = await connection.request({ url: `/${length}` });
      assert.equal(headers['x-big']?.length, length);
    }
    const error = await rejectionOf(connection.request({ url: `/${MIB + 200 * KIB}` }));
    const fields = [error.kind, error.code, error.delivery, error.retryable];
    assert.deepEqual(fields, ['protocol', 'ERR_MOORLINE_RESPONSE_TOO_LARGE', 'answered', false]);
  });

  test('may have a head of 1 MiB to the byte, whatever body comes with it', async (t) => {
    const line = 'HTTP/1.1 200 OK\r\nContent-Length: ';
    const server = await fixture.autoClose(
      serveRaw((socket, head) => {
        const [, length, bytes] = /^\S+ \/(\d+)\/(\d+)/.exec(head)!;
        const before = `${line}${bytes}\r\nX-Big: `;
        const big = 'x'.repeat(Number(length) - before.length - 4);
        socket.write(`${before}${big}\r\n\r\n${'b'.repeat(Number(bytes))}`, 'latin1');
      }),
    );
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, retryCount: 0 }));
    for (const bytes of [0, 2, 500 * KIB]) {
      for (const length of [MIB - 1, MIB]) {
        const answer = await connection.request({ url: `/${length}/${bytes}` });
        assert.deepEqual([answer.status, (await answer.text()).length], [200, bytes]);
      }
      const { code, message } = await rejectionOf(connection.request({ url: `/${MIB + 1}/${bytes}` }));
      assert.equal(code, 'ERR_MOORLINE_RESPONSE_TOO_LARGE');
      assert.match(message, /the head of the response is longer than 1048576 bytes/);
    }
  });

  test('may fold a header over several lines', async () => {
    const folds = {
      '/tab': ['X-Folded: one;\r\n\ttwo'],
      '/blanks': ['X-Folded: one;\r\n   two'],
      '/last': ['X-Before: 1', 'X-Folded: one;\r\n two'],
    };
    const server = await startHeaderServer((path) => [...folds[path as keyof typeof folds], 'X-After: 2']);
    const transport = fixture.open();
    for (const path of Object.keys(folds)) {
      const { headers } = await transport.request({ url: server.url + path });
      assert.match(headers['x-folded'] as string, /^one;\s+two$/);
      assert.doesNotMatch(headers['x-folded'] as string, /[\r\n]/);
      assert.equal(headers['x-after'], '2');
    }
  });
});

test('an event stream may have as many headers as an answer, and folded ones', async (t) => {
  const server = await fixture.autoClose(
    serveRaw((socket) => {
      const cookies = Array.from({ length: 130 }, (_, index) => `Set-Cookie: c${index}=1`);
      const head = ['HTTP/1.1 200 OK', 'Content-Type: text/event-stream', 'X-Folded: a\r\n b', ...cookies];
      socket.write(`${head.join('\r\n')}\r\n\r\ndata: hello\n\n`);
    }),
  );
  const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false, autoReconnect: false }));
  const recorder = new EventRecorder(connection);
  assert.equal(await connection.connect(), true, recorder.of('error')[0]?.message);
  assert.equal((await connection.receive())?.data, 'hello');
});

describe('an answer of HTTP/2', () => {
  let authority: Authority;
  let server: Http2SecureServer;
  let url: string;

  before(async () => {
    authority = new Authority();
    server = createSecureServer({ ...authority.issue(['DNS:localhost']), maxSendHeaderBlockLength: 4 * MIB });
    server.on('session', (session) => session.on('error', () => undefined));
    server.on('stream', (stream: ServerHttp2Stream, { ':path': path }) => {
      stream.on('error', () => undefined);
      const [count, rest = ''] = String(path).slice(1).split('/');
      const cookies = Array.from({ length: Number(count) }, (_, index) => `c${index}=${'v'.repeat(1000)}`);
      if (rest) cookies.push('v'.repeat(Number(rest)));
      // A server that answers before it has read the request resets it, which may be all that is left to be seen.
      stream.resume().on('end', () => {
        stream.respond({ ':status': 200, 'set-cookie': cookies });
        stream.end('ok');
      });
    });
    url = `https://localhost:${await listen(server)}`;
  });
  after(() => {
    server.close();
    authority.remove();
  });

  test('may have a head of up to 1 MiB', async () => {
    const transport = fixture.open({ tls: { ca: authority.cert } });
    for (const kilobytes of [18, 100, 900]) {
      const { headers } = await transport.request({ url: `${url}/${kilobytes}` });
      assert.equal(headers['set-cookie']?.length, kilobytes);
    }
  });

  test('may have one of 1 MiB to the byte, as HTTP/2 counts: names, values and 32 bytes for each', async () => {
    const transport = fixture.open({ tls: { ca: authority.cert } });
    const sizeOf = (name: string, value: string) => name.length + value.length + 32;
    const { headers } = await transport.request({ url: `${url}/1000/1` });
    const cookies = headers['set-cookie'] as string[];
    const others = Object.entries(headers).filter(([name]) => name !== 'set-cookie') as [string, string][];
    const size = [[':status', '200'], ...cookies.map((cookie) => ['set-cookie', cookie]), ...others]
      .map(([name, value]) => sizeOf(name!, value!))
      .reduce((sum, one) => sum + one, 0);
    const rest = MIB - size + 1;
    assert.equal((await transport.request({ url: `${url}/1000/${rest}` })).status, 200);
    const error = await rejectionOf(transport.request({ url: `${url}/1000/${rest + 1}` }));
    assert.deepEqual([error.kind, error.delivery], ['protocol', 'answered']);
  });

  test('that is longer is refused, and was answered', async () => {
    const transport = fixture.open({ tls: { ca: authority.cert } });
    const error = await rejectionOf(transport.request({ url: `${url}/1200`, method: 'POST', body: 'x' }));
    assert.deepEqual([error.kind, error.delivery, error.retryable], ['protocol', 'answered', false]);
    // It did no harm to the others.
    assert.equal((await transport.request({ url: `${url}/1` })).status, 200);
  });
});
