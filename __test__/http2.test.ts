// HTTP/2 in its corners: how streams and connections end, and what they share.
import assert from 'node:assert/strict';
import { after, afterEach, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { Authority } from './support/certificates';
import { HttpTransport, type Running } from './support/http';
import { frame, frames, ok, Reason, Type, uint32 } from './support/http2-frames';

const authority = new Authority();
const certificate = authority.issue(['IP:127.0.0.1', 'DNS:localhost']);
let closers: (() => unknown)[] = [];

after(() => authority.remove());
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  closers = [];
});

function open(more: ConstructorParameters<typeof HttpTransport>[0] = {}): HttpTransport {
  const transport = new HttpTransport({ tls: { ca: authority.cert }, ...more });
  closers.push(() => transport.close());
  return transport;
}

async function up<Server extends Running>(server: Promise<Server>): Promise<Server> {
  const running = await server;
  closers.push(() => running.close());
  return running;
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
  const begun = (stream: number, length?: number) =>
    Buffer.concat([ok(stream, length), frame(Type.data, stream, Buffer.from('part'))]);
  const lost = 'disconnected ECONNRESET answered';

  for (const [name, reason, length, get, post] of [
    ['called a success', Reason.none, 100, `${lost} retryable`, `${lost} final`],
    ['cancelled', Reason.cancel, undefined, `${lost} retryable`, `${lost} final`],
    ['refused in the middle', Reason.refused, undefined, `${lost} retryable`, `${lost} final`],
    ['broken', Reason.internal, undefined, 'protocol ERR_MOORLINE_PROTOCOL answered final', undefined],
  ] as const) {
    test(name, async () => {
      const server = await up(
        frames(certificate, (socket, stream) => {
          socket.write(Buffer.concat([begun(stream, length), frame(Type.reset, stream, uint32(reason))]));
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
      const server = await up(
        frames(certificate, (socket, stream) => socket.end(Buffer.concat([begun(stream), goodbye]))),
      );
      const { url } = server;
      const said = await outcome(open().request({ url }));
      assert.match(said, /^disconnected \S+ answered retryable$/);
    }
  });

  test('not one that was never to come: the answer to HEAD', async () => {
    const server = await up(
      frames(certificate, (socket, stream) => {
        const head = ok(stream, 100_000_000);
        head.writeUInt8(head.readUInt8(4) | 1, 4);
        socket.write(head);
      }),
    );
    assert.equal(await outcome(open().request({ method: 'HEAD', url: server.url })), 'answered 200');
  });
});
