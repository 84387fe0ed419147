// HTTP/2 in its corners: how streams and connections end, and what they share.
import assert from 'node:assert/strict';
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { after, describe, test } from 'node:test';

import { HTTPConnection, MoorlineError } from 'moorline';

import { Authority } from '../support/certificates';
import { eventually } from '../support/eventually';
import { HttpTransport, type RunningServer, startServer } from '../support/http';
import { HttpFixture } from '../support/http-fixture';
import { frame, frames, ok, Reason, Type, uint32 } from './http2-frames';

const authority = new Authority();
const certificate = authority.issue(['IP:127.0.0.1', 'DNS:localhost']);
const fixture = new HttpFixture();

after(() => authority.remove());
function open(more: ConstructorParameters<typeof HttpTransport>[0] = {}): HttpTransport {
  return fixture.open({ tls: { ca: authority.cert }, ...more });
}

/** How a call came out, in a few words. */
const outcome = (work: Promise<{ status: number }>): Promise<string> =>
  work.then(
    ({ status }) => `answered ${status}`,
    (error: unknown) => {
      assert.ok(error instanceof MoorlineError, String(error));
      return `${error.kind} ${error.code} ${error.delivery} ${error.retryable ? 'retryable' : 'final'}`;
    },
  );

describe('a body that ends before all of it has come', () => {
  const partialBody = (stream: number, length?: number) =>
    Buffer.concat([ok(stream, length), frame(Type.data, stream, Buffer.from('part'))]);
  const lost = 'disconnected ECONNRESET answered';

  for (const [name, reason, length, get, post] of [
    ['called a success', Reason.none, 100, `${lost} retryable`, `${lost} final`],
    ['cancelled', Reason.cancel, undefined, `${lost} retryable`, `${lost} final`],
    ['refused in the middle', Reason.refused, undefined, `${lost} retryable`, `${lost} final`],
    ['broken', Reason.internal, undefined, 'protocol ERR_MOORLINE_PROTOCOL answered final', undefined],
  ] as const) {
    test(name, async () => {
      const server = await fixture.autoClose(
        frames(certificate, (socket, stream) => {
          socket.write(Buffer.concat([partialBody(stream, length), frame(Type.reset, stream, uint32(reason))]));
        }),
      );
      const transport = open();
      const url = server.url;
      assert.equal(await outcome(transport.request({ url })), get);
      assert.equal(await outcome(transport.request({ url, body: 'x' })), post ?? get);
    });
  }

  test('because its connection is cut, or the server goes away', async () => {
    for (const goodbye of [
      Buffer.alloc(0),
      frame(Type.goAway, 0, Buffer.concat([uint32(0), uint32(Reason.internal)])),
    ]) {
      const server = await fixture.autoClose(
        frames(certificate, (socket, stream) => socket.end(Buffer.concat([partialBody(stream), goodbye]))),
      );
      const { url } = server;
      const result = await outcome(open().request({ url }));
      assert.match(result, /^disconnected \S+ answered retryable$/);
    }
  });

  test('not one that was never to come: the answer to HEAD', async () => {
    const server = await fixture.autoClose(
      frames(certificate, (socket, stream) => {
        const head = ok(stream, 100_000_000);
        head.writeUInt8(head.readUInt8(4) | 1, 4);
        socket.write(head);
      }),
    );
    assert.equal(await outcome(open().request({ method: 'HEAD', url: server.url })), 'answered 200');
  });
});

/** Node's own server. */
function serve(answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void): Promise<RunningServer> {
  const server = createSecureServer(certificate);
  server.on('session', (session) => session.on('error', () => undefined));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, headers);
  });
  return fixture.autoClose(startServer(server));
}

const respond = (stream: ServerHttp2Stream, text = 'ok') => {
  stream.respond({ ':status': 200 });
  stream.end(text);
};

describe('the connection that all share', () => {
  test('is closed when it is given up, and not first when it has been unused for long', async () => {
    const server = await serve((stream, headers) => headers[':path'] === '/slow' || respond(stream));
    const transport = open();
    const late = { url: `${server.url}/slow`, settings: { timeoutMs: 50 } };
    for (let turn = 0; turn < 5; turn += 1) {
      assert.match(await outcome(transport.request(late)), /^timeout /);
    }
    await transport.request({ url: server.url });
    // Once nothing is under way on the others, they are closed.
    await eventually(() => server.openConnections() === 1);
    assert.equal(transport.stats().connections, 1);
  });

  test('is kept when only one of its requests is late', async () => {
    let answer!: () => void;
    const server = await serve((stream, headers) => {
      if (headers[':path'] === '/slow') return;
      if (headers[':path'] === '/soon') answer = () => respond(stream, 'soon');
      else respond(stream);
    });
    const transport = open();
    const soon = transport.request({ url: `${server.url}/soon` });
    await eventually(() => answer);
    const late = transport.request({ url: `${server.url}/slow`, settings: { timeoutMs: 200 } });
    await transport.request({ url: server.url });
    assert.match(await outcome(late), /^timeout /);
    await transport.request({ url: server.url });
    answer();
    assert.equal((await soon).text(), 'soon');
    assert.equal(server.acceptedConnections(), 1);
  });

  test('is opened once for all, also after it was closed for being unused', async () => {
    const server = await serve((stream) => respond(stream));
    const transport = open({ keepAliveTimeoutMs: 50 });
    const burst = () => Promise.all(Array.from({ length: 20 }, () => transport.request({ url: server.url })));
    await burst();
    assert.equal(server.acceptedConnections(), 1);
    await eventually(() => server.openConnections() === 0);
    await burst();
    assert.equal(server.acceptedConnections(), 2);
  });

  test('is not stopped by answers that nobody reads', async () => {
    const server = await serve((stream, headers) => {
      if (headers[':path'] !== '/big') return respond(stream);
      stream.respond({ ':status': 200 });
      const piece = Buffer.alloc(1 << 16);
      const more = (): void => {
        while (!stream.destroyed && stream.write(piece));
      };
      stream.on('drain', more);
      more();
    });
    const transport = open();
    const request = { url: `${server.url}/big`, stream: true };
    const paused = await Promise.all(Array.from({ length: 8 }, () => transport.request(request)));
    // Each has sent what it may when the next one still gets through.
    for (let turn = 0; turn < 20; turn += 1) {
      const answer = await transport.request({ url: server.url, settings: { timeoutMs: 2000 } });
      assert.equal(answer.text(), 'ok');
    }
    for (const { stream } of paused) stream.cancel();
    assert.equal(server.acceptedConnections(), 1);
  });

  test('has no more requests at once than maxConnections says', async (t) => {
    const waiting: ServerHttp2Stream[] = [];
    let most = 0;
    const server = await serve((stream) => {
      waiting.push(stream);
      most = Math.max(most, waiting.length);
      setImmediate(() => respond(waiting.shift() as ServerHttp2Stream));
    });
    const connection = new HTTPConnection({ url: server.url, maxConnections: 3, tls: { ca: authority.cert } });
    t.after(() => connection.disconnect());
    const answers = await Promise.all(Array.from({ length: 30 }, () => connection.request({ method: 'GET' })));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(most, 3);
    assert.equal(server.acceptedConnections(), 1);
  });

  test('makes who waits for a turn wait no longer than its own time', async () => {
    const server = await serve((stream) => void stream.respond({ ':status': 200 }));
    const transport = open({ maxConnections: 1 });
    const { stream } = await transport.request({ url: server.url, stream: true });
    const late = transport.request({ url: server.url, settings: { timeoutMs: 100 } });
    await eventually(() => transport.stats().waiting === 1);
    await assert.rejects(late, { kind: 'timeout', delivery: 'none' });
    stream.cancel();
    const next = await transport.request({ url: server.url, stream: true, settings: { timeoutMs: 2000 } });
    next.stream.cancel();
  });
});

describe('a request', () => {
  test('that is taken slowly is not late with its answer', async () => {
    const LIMIT_MS = 300;
    const server = await serve((stream) => {
      let received = 0;
      // So slow that all of it takes several times as long as the limit.
      const timer = setInterval(() => {
        const piece = stream.read(64 << 10) as Buffer | null;
        received += piece?.length ?? 0;
      }, 20);
      stream.pause();
      stream.on('end', () => respond(stream, String(received)));
      stream.on('close', () => clearInterval(timer));
    });
    const transport = open();
    const began = performance.now();
    const body = Buffer.alloc(4 << 20);
    const answer = await transport.request({ url: server.url, body, settings: { headersTimeoutMs: LIMIT_MS } });
    assert.ok(performance.now() - began > 2 * LIMIT_MS);
    assert.equal(answer.text(), String(body.length));
  });

  test('goes to the host that its header names', async () => {
    const server = await serve((stream, headers) => respond(stream, headers[':authority']));
    const answer = await open().request({ url: server.url, headers: { Host: 'other.example' } });
    assert.equal(answer.text(), 'other.example');
  });
});
