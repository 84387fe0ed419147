// A server that sends more than it may over HTTP/2 breaks the protocol, and is told so at once.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { Authority } from '../support/certificates';
import { eventually } from '../support/eventually';
import { HttpFixture } from '../support/http-fixture';
import { frame, frames, ok, Reason, Type } from './http2-frames';

const authority = new Authority();
const certificate = authority.issue(['IP:127.0.0.1']);
const fixture = new HttpFixture();

after(() => authority.remove());

const PIECE = Buffer.alloc(16 << 10);
/** Twice what a stream may have under way. */
const PIECES = 128;

test('a server that overflows the window of a stream is ended before anybody reads the answer', async () => {
  const reasons: number[] = [];
  const flood = (stream: number) => Array.from({ length: PIECES }, () => frame(Type.data, stream, PIECE));
  const server = await fixture.autoClose(
    frames(
      certificate,
      (socket, stream) => socket.write(Buffer.concat([ok(stream), ...flood(stream)])),
      (reason) => reasons.push(reason),
    ),
  );
  const transport = fixture.open({ tls: { ca: authority.cert }, timeoutMs: Infinity });
  const response = await transport.request({ url: server.url, stream: true });
  await eventually(() => reasons.length > 0, 30_000);
  assert.deepEqual(reasons, [Reason.flowControl]);
  let bytes = 0;
  await assert.rejects(
    async () => {
      for await (const piece of response.stream) bytes += piece.length;
    },
    (error) => {
      assert.ok(error instanceof MoorlineError, String(error));
      assert.deepEqual([error.kind, error.code], ['protocol', 'ERR_MOORLINE_PROTOCOL']);
      assert.deepEqual([error.delivery, error.retryable], ['answered', false]);
      return true;
    },
  );
  assert.ok(bytes < PIECES * PIECE.length, 'what was sent in excess is not handed out');
});
