// The event stream transport against Node's own server: the standard, what answers mean, limits and back-pressure.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip, constants } from 'node:zlib';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { freePort } from '../support/ports';
import { type RecordedStream, record, fixture, stream } from '../support/sse';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;

const { open, autoClose } = fixture();

async function rejectionOf(work: Promise<unknown>): Promise<MoorlineError> {
  const error = await work.then(
    () => assert.fail('it succeeded'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MoorlineError, String(error));
  assert.deepEqual([error.service, error.operation], ['sse', 'connect']);
  return error;
}

const fieldsOf = ({ events }: RecordedStream) =>
  events.map(({ type, data, lastEventId, retry }) => ({
    type,
    data,
    lastEventId,
    ...(retry !== undefined && { retry }),
  }));

/** Every rule of the standard at once, in one line ending or another. */
const TEXT = [
  ...[': a comment', 'data: one', '', 'data:two', 'data', 'data:  lines', ''],
  ...['event: greeting', 'id: 7', 'retry: 1500', 'data: {"hello":"wörld 😀"}', '', 'data: same id', ''],
  ...['retry: 2500', '', 'id: 8', '', 'data: after', '', 'id', 'data: reset', '', 'id: a\0b', 'data: NUL', ''],
  ...['event: alone', '', 'unknown: field', 'retry: x', '', 'id: 9', 'data: last', '', 'id: 10', 'data: incomplete'],
];
const EVENTS = [
  { type: 'message', data: 'one', lastEventId: '' },
  { type: 'message', data: 'two\n\n lines', lastEventId: '' },
  { type: 'greeting', data: '{"hello":"wörld 😀"}', lastEventId: '7', retry: 1500 },
  { type: 'message', data: 'same id', lastEventId: '7' },
  { type: 'message', data: 'after', lastEventId: '8' },
  { type: 'message', data: 'reset', lastEventId: '' },
  { type: 'message', data: 'NUL', lastEventId: '' },
  { type: 'message', data: 'last', lastEventId: '9' },
];

describe('events', () => {
  test('each line ending, with and without a byte order mark, gives the same events', async () => {
    const server = await autoClose(
      stream((response, { url }) => {
        const ending = { '/lf': '\n', '/crlf': '\r\n', '/cr': '\r' }[url!.split('?')[0]!]!;
        response.end((url!.endsWith('bom') ? '\ufeff' : '') + TEXT.join(ending));
      }),
    );
    for (const path of ['/lf', '/crlf', '/cr', '/lf?bom', '/crlf?bom', '/cr?bom']) {
      const client = open({ url: server.url + path });
      await client.transport.connect();
      assert.deepEqual(await client.closed(), { isFinal: false }, path);
      assert.deepEqual(fieldsOf(client), EVENTS, path);
      assert.deepEqual([client.transport.lastEventId, client.transport.retryMs], ['9', 2500]);
    }
  });

  test('wherever the stream is cut into chunks', { timeout: 60_000 }, async () => {
    const bytes = Buffer.from('\ufeff' + TEXT.join('\r\n'));
    const server = await autoClose(
      stream(async (response, { url }) => {
        const cut = Number(url!.slice(1));
        response.write(bytes.subarray(0, cut));
        // Yields to the event loop, so that the two parts are sent separately.
        await new Promise(setImmediate);
        response.end(bytes.subarray(cut));
      }),
    );
    const cuts = Array.from({ length: bytes.length - 1 }, (_, index) => index + 1);
    for (let at = 0; at < cuts.length; at += 16) {
      await Promise.all(
        cuts.slice(at, at + 16).map(async (cut) => {
          const client = open({ url: `${server.url}/${cut}` });
          await client.transport.connect();
          await client.closed();
          assert.deepEqual(fieldsOf(client), EVENTS, `cut at ${cut}`);
        }),
      );
    }
  });

  test('byte by byte', async () => {
    const server = await autoClose(
      stream(async (response) => {
        for (const byte of Buffer.from(TEXT.join('\r\n'))) {
          response.write(Buffer.from([byte]));
          await new Promise(setImmediate);
        }
        response.end();
      }),
    );
    const client = open({ url: server.url });
    await client.transport.connect();
    await client.closed();
    assert.deepEqual(fieldsOf(client), EVENTS);
  });

  test('bytes that are no UTF-8 are replaced, and the stream goes on', async () => {
    const bytes = Buffer.from('data: \xff\xc3\n\nevent: \xf0\x9f\x98\ndata: ok\n\n', 'latin1');
    const server = await autoClose(stream((response) => response.end(bytes)));
    const client = open({ url: server.url });
    await client.transport.connect();
    await client.closed();
    assert.deepEqual(
      client.events.map(({ type, data }) => [type, data]),
      [
        ['message', '\ufffd\ufffd'],
        ['\ufffd', 'ok'],
      ],
    );
  });

  test('an event has its data as JSON, or says that it has none', async () => {
    const server = await autoClose(stream((response) => response.end('data: {"a":[1]}\n\ndata: {\n\n')));
    const client = open({ url: server.url });
    await client.transport.connect();
    await client.closed();
    const [good, bad] = client.events;
    assert.deepEqual(good!.json(), { a: [1] });
    assert.throws(
      () => bad!.json(),
      (error: unknown) => error instanceof MoorlineError && error.kind === 'protocol' && error.cause instanceof Error,
    );
  });

  test('many small events come in few wake-ups, in order', async () => {
    const server = await autoClose(
      stream((response) => {
        for (let n = 0; n < 20_000; n++) response.write(`id: ${n}\ndata: {"n":${n}}\n\n`);
        response.end();
      }),
    );
    const client = open({ url: server.url });
    await client.transport.connect();
    await client.closed();
    assert.equal(client.events.length, 20_000);
    client.events.forEach((event, n) => assert.deepEqual([event.json().n, event.lastEventId], [n, String(n)]));
    assert.ok(client.batches.length < 2000, `${client.batches.length} wake-ups`);
  });

  test('a compressed stream is delivered as it arrives', async () => {
    let sendCompressed!: (data: string) => void;
    const server = await autoClose(
      serve((request, response) => {
        assert.equal(request.headers['accept-encoding'], 'identity');
        response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' });
        const gzip = createGzip();
        gzip.pipe(response);
        sendCompressed = (data) => (gzip.write(data), gzip.flush(constants.Z_SYNC_FLUSH));
        sendCompressed('data: first\n\n');
      }),
    );
    const client = open({ url: server.url });
    await client.transport.connect();
    await eventually(() => client.events.length === 1);
    sendCompressed('data: second\n\n');
    await eventually(() => client.events.length === 2);
  });
});

describe('the request', () => {
  test('asks for a stream, from where the last one ended', async () => {
    const server = await autoClose(
      stream((response, { headers }) => {
        const [last, { accept }] = [headers['last-event-id'] as string | undefined, headers];
        const id = last === undefined ? '' : Buffer.from(last, 'latin1').toString();
        response.end(`id: ${id}€\ndata: ${accept}\n\n`);
      }),
    );
    const client = open({ url: server.url, lastEventId: 'ä' });
    for (const id of ['ä€', 'ä€€', 'ä€€€']) {
      await client.transport.connect();
      await eventually(() => !client.transport.isOpen);
      assert.equal(client.transport.lastEventId, id);
    }
    assert.equal(client.events[0]!.data, 'text/event-stream');
    assert.equal(client.closes.length, 3);
  });

  test('carries a method, headers and a body of the caller', async () => {
    const server = await autoClose(
      serve((request, response) => {
        request.setEncoding('utf8').once('data', (body: string) => {
          response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
          const { method, headers } = request;
          response.end(
            `data: ${JSON.stringify([method, headers['content-type'], headers['x-own'], headers.accept, body])}\n\n`,
          );
        });
      }),
    );
    const headers = { 'X-Own': 'yes', Accept: 'text/event-stream, application/json' };
    const client = open({ url: server.url, headers, body: { ask: 1 } });
    await client.transport.connect();
    await client.closed();
    const json = ['POST', 'application/json', 'yes', 'text/event-stream, application/json', '{"ask":1}'];
    assert.deepEqual(client.events[0]!.json(), json);
  });

  test('what cannot be sent is refused at once, by its name', () => {
    const listener = { onEvents: () => undefined, onClose: () => undefined };
    const { transport } = record({ url: 'http://127.0.0.1:1' });
    const make = (options: object) => () => new (transport.constructor as any)(options, listener);
    assert.throws(make({}), /options\.url/);
    assert.throws(make({ url: 'ftp://h' }), /options\.url/);
    assert.throws(make({ url: 'http://h', headers: { 'a b': 'c' } }), /options\.headers\.a b/);
    assert.throws(make({ url: 'http://h', idleTimeout: 1 }), /options\.idleTimeout .*idleTimeoutMs/);
    assert.throws(make({ url: 'http://h', lastEventId: 'a\nb' }), /options\.lastEventId/);
  });

  test('follows redirects, and leaves credentials at their origin', async () => {
    const other = await autoClose(
      stream((response, { headers: { authorization, 'x-own': own, 'accept-language': language } }) =>
        response.end(`data: ${authorization} ${own} ${language}\n\n`),
      ),
    );
    const first = await autoClose(
      serve((_, response) => response.writeHead(307, { location: `${other.url}/there` }).end()),
    );
    const headers = { authorization: 'Bearer secret', 'x-own': 'secret', 'accept-language': 'kept' };
    const client = open({ url: first.url, headers });
    await client.transport.connect();
    await client.closed();
    assert.equal(client.events[0]!.data, 'undefined undefined kept');
    const error = await rejectionOf(open({ url: first.url, headers, maxRedirects: 0 }).transport.connect());
    assert.deepEqual([error.kind, error.detail?.['status'], error.retryable], ['rejected', 307, false]);
  });
});

describe('an answer that is no stream', () => {
  const serveAnswer = (status: number, headers: Record<string, string> = {}) =>
    autoClose(
      serve((_, response) => response.writeHead(status, headers).end(status === 204 ? undefined : 'no stream')),
    );

  for (const [status, kind, retryable] of [
    [204, 'rejected', false],
    [401, 'auth', false],
    [403, 'auth', false],
    [407, 'auth', false],
    [404, 'rejected', false],
    [429, 'rate-limited', true],
    [500, 'rejected', true],
    [503, 'rejected', true],
  ] as const) {
    test(`status ${status}: ${kind}, to be tried again: ${retryable}`, async () => {
      const server = await serveAnswer(status, { 'retry-after': '3', 'content-type': 'text/event-stream' });
      const client = open({ url: server.url });
      const error = await rejectionOf(client.transport.connect());
      assert.deepEqual([error.kind, error.retryable, error.detail?.['status']], [kind, retryable, status]);
      assert.deepEqual([error.retryAfterMs, error.delivery], [3000, 'answered']);
      assert.equal(error.code === 'ERR_MOORLINE_STREAM_STOPPED', status === 204);
      assert.deepEqual([client.closes, client.transport.isOpen], [[], false], 'it was never open');
    });
  }

  test('another content type, or none, is named in the error', async () => {
    for (const [type, shown] of [
      ['text/html; charset=utf-8', 'text/html; charset=utf-8'],
      ['text/event-streams', 'text/event-streams'],
      [undefined, 'nothing'],
    ]) {
      const server = await serveAnswer(200, type === undefined ? {} : { 'content-type': type });
      const error = await rejectionOf(open({ url: server.url }).transport.connect());
      assert.deepEqual([error.kind, error.code, error.retryable], ['protocol', 'ERR_MOORLINE_CONTENT_TYPE', false]);
      assert.equal(error.detail?.['contentType'], shown);
    }
  });

  test('a refused connection, and no answer within the timeout', async () => {
    const error = await rejectionOf(open({ url: `http://127.0.0.1:${await freePort()}` }).transport.connect());
    assert.deepEqual(
      [error.kind, error.code, error.delivery, error.retryable],
      ['connect', 'ECONNREFUSED', 'none', true],
    );
    const silent = await autoClose(serve(() => undefined));
    const began = performance.now();
    const late = await rejectionOf(open({ url: silent.url, timeoutMs: 200 }).transport.connect());
    assert.deepEqual([late.kind, late.detail?.['limit']], ['timeout', 'timeout']);
    assert.ok(performance.now() - began < 200 + SLACK_MS);
  });
});

describe('limits', () => {
  test('an event that is too long ends the stream for good, after those before it', async () => {
    for (const giant of [`data: ${'x'.repeat(2000)}\n\n`, 'data: x\n'.repeat(1000), `event: ${'x'.repeat(5000)}`]) {
      const server = await autoClose(stream((response) => response.write(`data: small\n\n${giant}`)));
      const client = open({ url: server.url, maxEventBytes: 1000 });
      await client.transport.connect();
      const { isFinal, error } = await client.closed();
      assert.deepEqual([isFinal, error?.kind, error?.code], [true, 'protocol', 'ERR_MOORLINE_EVENT_TOO_LARGE']);
      assert.deepEqual(
        client.events.map(({ data }) => data),
        ['small'],
      );
      await eventually(() => server.openConnections() === 0);
    }
  });

  test('a megabyte fits, a comment may be longer', async () => {
    const large = 'x'.repeat((1 << 20) - 10);
    const server = await autoClose(
      stream((response) => response.end(`:${'c'.repeat(3 << 20)}\ndata: ${large}\n\ndata: after\n\n`)),
    );
    const client = open({ url: server.url });
    await client.transport.connect();
    assert.deepEqual(await client.closed(), { isFinal: false });
    assert.deepEqual(
      client.events.map(({ data }) => data.length),
      [large.length, 5],
    );
  });

  test('an idle stream ends, and any byte resets the idle timeout', async () => {
    let last!: number;
    const server = await autoClose(
      stream(async (response) => {
        // Half a comment is enough.
        for (let beat = 0; beat < 10; beat++) {
          await sleep(100);
          last = performance.now();
          response.write(':');
        }
      }),
    );
    const client = open({ url: server.url, idleTimeoutMs: 300 });
    await client.transport.connect();
    const began = performance.now();
    const { isFinal, error } = await client.closed();
    assert.ok(last - began > 800, 'each byte was a sign of life');
    const silence = performance.now() - last;
    assert.ok(silence > 290 && silence < 300 + SLACK_MS, `${silence} ms`);
    assert.deepEqual([isFinal, error?.kind, error?.retryable], [false, 'timeout', true]);
    assert.deepEqual([error?.service, error?.operation, error?.detail?.['limit']], ['sse', 'receive', 'keepAlive']);
    await eventually(() => server.openConnections() === 0);
  });

  test('a slow reader makes the server wait, and nothing is lost', { timeout: 60_000 }, async () => {
    const event = `data: ${'x'.repeat(1000)}\n\n`;
    const total = 64 * 1024;
    let sent = 0;
    const server = await autoClose(
      stream(async (response) => {
        for (; sent < total; sent++) if (!response.write(event)) await once(response, 'drain');
        response.end();
      }),
    );
    const client = open({ url: server.url, idleTimeoutMs: 1000 });
    const before = process.memoryUsage().rss;
    client.transport.pause();
    await client.transport.connect();
    // The server is blocked once its count stays the same.
    let seen = -1;
    let since = performance.now();
    await eventually(() => {
      if (seen !== sent) [seen, since] = [sent, performance.now()];
      return performance.now() - since > 1500;
    }, 20_000);
    assert.ok(sent < total / 2, `${sent} of ${total} events were taken by a reader that reads nothing`);
    assert.equal(client.events.length, 0);
    assert.ok(process.memoryUsage().rss - before < 40 << 20);
    assert.deepEqual(client.closes, [], 'a wait of ours is no silence of the server');
    let count = 0;
    client.events.push = (...events) => (count += events.length);
    client.transport.resume();
    await eventually(() => client.closes[0], 30_000);
    assert.equal(count, total);
  });
});
