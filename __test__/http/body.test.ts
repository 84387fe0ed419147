// Bodies of responses: every content encoding that servers use, and bodies without an end.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

import { MoorlineError } from 'moorline';

import { serveRaw, serve } from '../support/http';
import { HttpFixture } from '../support/http-fixture';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1500 : 500;
const TIMEOUT_MS = 300;
const OK = 'HTTP/1.1 200 OK\r\n';

const fixture = new HttpFixture();

async function rejectionOf(work: Promise<unknown>): Promise<MoorlineError> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MoorlineError, String(error));
  return error;
}

describe('compressed bodies', () => {
  /** A server of `bodies` by their path; the first word of a name is the content encoding. */
  const encodedServer = (bodies: Record<string, Buffer>) =>
    fixture.autoClose(
      serve((request, response) => {
        const name = decodeURIComponent(request.url?.slice(1) ?? '');
        response.writeHead(200, { 'content-encoding': name.split(' ')[0] }).end(bodies[name]);
      }),
    );

  test('of several frames or members are decompressed to the end', async () => {
    // A frame without a checksum, with its length in one byte and a last block that is not compressed.
    const frame = (text: string) => Buffer.concat([Buffer.from('28b52ffd2003190000', 'hex'), Buffer.from(text)]);
    const members = Buffer.concat([gzipSync('one'), gzipSync(''), gzipSync('two')]);
    const server = await encodedServer({ zstd: Buffer.concat([frame('one'), frame('two')]), gzip: members });
    const transport = fixture.open();
    for (const name of ['zstd', 'gzip']) {
      assert.equal((await transport.request({ url: `${server.url}/${name}` })).text(), 'onetwo', name);
    }
    assert.equal(server.acceptedConnections(), 1);
  });

  test('that are empty stay empty, in every encoding', async () => {
    const empty = Buffer.alloc(0);
    const server = await encodedServer({ gzip: empty, br: empty, zstd: empty, deflate: empty });
    const transport = fixture.open();
    for (const name of ['gzip', 'br', 'zstd', 'deflate']) {
      assert.equal((await transport.request({ url: `${server.url}/${name}` })).text(), '', name);
      const { stream } = await transport.request({ url: `${server.url}/${name}`, stream: true });
      for await (const piece of stream) assert.fail(`a piece of ${piece.length}`);
    }
    assert.equal(server.acceptedConnections(), 1);
  });

  test('are accepted in the variants that fetch accepts', async () => {
    const bodies = {
      deflate: deflateSync('text'),
      'deflate bare': deflateRawSync('text'),
      'gzip padded': Buffer.concat([gzipSync('text'), Buffer.alloc(100)]),
      'br whole': brotliCompressSync('text'),
    };
    const server = await encodedServer(bodies);
    const transport = fixture.open();
    for (const name of Object.keys(bodies)) {
      const answer = await transport.request({ url: `${server.url}/${encodeURIComponent(name)}` });
      assert.equal(answer.text(), 'text', name);
    }
  });

  test('that arrive byte by byte are decompressed', async () => {
    const bodies: Record<string, Buffer> = { gzip: gzipSync('text'), deflate: deflateRawSync('text') };
    const server = await fixture.autoClose(
      serveRaw(async (socket, head) => {
        const name = /GET \/(\w+)/.exec(head)?.[1] ?? '';
        socket.write(`${OK}content-encoding: ${name}\r\ntransfer-encoding: chunked\r\n\r\n`);
        for (const byte of bodies[name] ?? []) {
          socket.write(Buffer.from([0x31, 13, 10, byte, 13, 10]));
          await new Promise(setImmediate);
        }
        socket.write('0\r\n\r\n');
      }),
    );
    const transport = fixture.open();
    for (const name of Object.keys(bodies)) {
      assert.equal((await transport.request({ url: `${server.url}/${name}` })).text(), 'text', name);
    }
  });
});

describe('an answer without an end', { timeout: 60_000 }, () => {
  /** Writes `unit` for as long as the other side reads. */
  function flood(socket: Socket, begin: string, unit: Buffer): void {
    socket.on('error', () => undefined);
    socket.write(begin);
    const more = (): void => {
      while (!socket.destroyed && socket.write(unit));
    };
    socket.on('drain', more);
    more();
  }

  const chunk = (bytes: Buffer) =>
    Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
  const chunked = `${OK}transfer-encoding: chunked\r\n`;
  const table: [name: string, begin: string, unit: Buffer, expected: RegExp][] = [
    [
      'interim answers',
      '',
      Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(500)),
      /^(protocol ERR_MOORLINE_RESPONSE_TOO_LARGE|timeout ETIMEDOUT)$/,
    ],
    ['pieces of one byte', `${chunked}\r\n`, Buffer.from('1\r\nx\r\n'.repeat(5000)), /^timeout ETIMEDOUT$/],
    [
      'members with nothing in them',
      `${chunked}content-encoding: gzip\r\n\r\n`,
      Buffer.concat(Array.from({ length: 500 }, () => chunk(gzipSync('')))),
      /^timeout ETIMEDOUT$/,
    ],
    [
      'large pieces of members with nothing in them',
      `${chunked}content-encoding: gzip\r\n\r\n`,
      chunk(Buffer.concat(Array.from({ length: 3000 }, () => gzipSync('')))),
      /^timeout ETIMEDOUT$/,
    ],
  ];
  for (const [name, begin, unit, expected] of table) {
    test(`${name}: its call ends on time, and the others go on`, async () => {
      const server = await fixture.autoClose(
        serveRaw((socket, _, turn) => (turn === 0 ? flood(socket, begin, unit) : undefined)),
      );
      const other = await fixture.autoClose(serve((_, response) => response.end('other')));
      const [transport, otherTransport] = [fixture.open({ maxResponseBytes: Infinity }), fixture.open()];
      await otherTransport.request({ url: other.url });
      const began = performance.now();
      let elapsed = 0;
      const settings = { timeoutMs: TIMEOUT_MS };
      const ended = rejectionOf(transport.request({ url: server.url, settings })).finally(() => {
        elapsed = performance.now() - began;
      });
      const answer = await otherTransport.request({ url: other.url, settings: { timeoutMs: TIMEOUT_MS + SLACK_MS } });
      assert.equal(answer.text(), 'other');
      const error = await ended;
      assert.match(`${error.kind} ${error.code}`, expected);
      assert.ok(elapsed < TIMEOUT_MS + SLACK_MS, `${elapsed} ms`);
    });
  }
});
