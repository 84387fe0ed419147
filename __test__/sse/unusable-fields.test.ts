// Ids and retry times that cannot be used: they must not keep a reader away for good.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { SSEConnection } from 'moorline';

import { type EventServer, eventServer, ConnectionFactory, captureLogs } from '../support/connections';
import { eventually } from '../support/eventually';
import { EventStreamCursor } from '../support/sse';

describe('an event stream', () => {
  let directory: string;
  let server: EventServer;
  let cursor: { url: string; name: string };
  const factory = new ConnectionFactory((config) => {
    return new SSEConnection({
      url: server.url,
      monitoring: false,
      retryDelay: 1,
      customOptions: { cursor },
      ...config,
    });
  });
  const lastEventIds = () => server.requests.map(({ headers }) => headers['last-event-id']);

  before(() => (directory = mkdtempSync(join(tmpdir(), 'moorline-unusable-'))));
  after(() => rmSync(directory, { recursive: true }));
  let databases = 0;
  beforeEach(async () => {
    server = await eventServer();
    cursor = { url: `file:${join(directory, `${databases++}.db`)}`, name: 'reader' };
  });
  afterEach(async () => {
    await factory.close();
    await server.close();
  });

  for (const [what, id] of [
    ['a control character', 'order-\u007f1'],
    ['a control character at the beginning', '\u00011'],
    ['more bytes than a header may have', 'x'.repeat(10_000)],
  ]) {
    test(`an id with ${what} is passed over: the stream comes back, also in the next process`, async (t) => {
      captureLogs(t);
      for (let life = 1; life <= 2; life++) {
        const { connection, recorder } = await factory.open();
        server.send(`id: good\ndata: 1\n\nid: ${id}\ndata: 2\n\n`);
        await connection.receive();
        assert.equal((await connection.receive())?.lastEventId, 'good');
        await connection.receive({ timeoutMs: 1 });
        server.streams[0]!.end();
        await recorder.until('reconnected');
        await connection.disconnect();
      }
      assert.deepEqual(lastEventIds(), [undefined, 'good', 'good', 'good']);
    });
  }

  test('an id that other characters than ASCII are in is asked for again', async () => {
    const { connection, recorder } = await factory.open();
    server.send('id: ä€\t😀\ndata: 1\n\n');
    assert.equal((await connection.receive())?.lastEventId, 'ä€\t😀');
    server.streams[0]!.end();
    await recorder.until('reconnected');
    assert.equal(Buffer.from(String(lastEventIds()[1]), 'latin1').toString(), 'ä€\t😀');
  });

  test('a stored id that cannot be sent is dropped with a warning', async (t) => {
    const written = captureLogs(t);
    const stored = new EventStreamCursor(cursor, () => undefined);
    stored.keep('order-\u007f1');
    await stored.close();
    const { connection, recorder } = await factory.open();
    assert.deepEqual(lastEventIds(), [undefined]);
    const { data } = await recorder.until('error');
    assert.deepEqual([data?.['context'], (data?.['error'] as any).code], ['cursor', 'ERR_MOORLINE_EVENT_ID']);
    const warning = written.find(({ event }) => event === 'sse.cursor-failed');
    assert.deepEqual([warning?.level, warning?.data['code']], ['warn', 'ERR_MOORLINE_EVENT_ID']);
    assert.doesNotMatch(JSON.stringify([warning, data]), /order-/);
    server.send('id: 2\ndata: 1\n\n');
    (await connection.receive())?.ack();
    await connection.disconnect();
    await factory.open();
    assert.equal(lastEventIds().at(-1), '2');
  });

  test('a time before a reconnect that is beyond all timers is cut, and the stream is not given up', async () => {
    for (const retry of ['2147483648', '99999999999999999999999']) {
      const { connection, recorder } = await factory.open();
      const delays: unknown[] = [];
      connection.on('retry', ({ delayMs }) => delays.push(delayMs));
      server.send(`retry: ${retry}\ndata: 1\n\n`);
      await connection.receive();
      server.streams[0]!.end();
      await recorder.until('connection_lost');
      await eventually(() => delays.length > 0);
      assert.deepEqual(delays, [2 ** 31 - 1]);
      assert.equal(connection.getStatus().state, 'error');
      await connection.disconnect();
    }
  });
});
