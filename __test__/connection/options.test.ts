// Options of a connection that need more than one transport, or more than one connection, to show what they do.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test, type TestContext } from 'node:test';

import {
  type ConnectionConfig,
  HTTPConnection,
  type MoorlineEvent,
  setLogger,
  SSEConnection,
  WebSocketConnection,
} from 'moorline';

import {
  closeAfter,
  type EventServer,
  eventServer,
  EventRecorder,
  type SocketServer,
  socketServer,
} from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve } from '../support/http';
import { peersMissing } from '../support/peers';

describe('options of connections', { skip: peersMissing() }, () => {
  let http: RunningServer;
  let sockets: SocketServer;
  let events: EventServer;
  const messages: string[] = [];

  before(async () => {
    setLogger({});
    http = await serve((_, response) => response.end('{}'));
    sockets = await socketServer((socket) => socket.on('message', (data: Buffer) => messages.push(String(data))));
    events = await eventServer();
  });
  after(async () => {
    setLogger(undefined);
    await Promise.all([http, sockets, events].map((server) => server.close()));
  });
  afterEach(() => {
    messages.length = 0;
  });

  const quick = { monitoring: false, retryDelay: 1 } as const;

  async function socket(t: TestContext, config: ConnectionConfig) {
    const connection = closeAfter(t, new WebSocketConnection({ ...quick, url: sockets.url, ...config }));
    assert.equal(await connection.connect(), true);
    return { connection, recorder: new EventRecorder(connection) };
  }

  test('rateLimit: messages of a WebSocket wait for their turn, in order', async (t) => {
    const { connection, recorder } = await socket(t, { rateLimit: true, rateLimitRequests: 2, rateLimitWindow: 100 });
    const started = performance.now();
    const sent = await Promise.all(['1', '2', '3', '4', '5', '6'].map((text) => connection.send(text)));
    const took = performance.now() - started;
    assert.ok(took >= 180, `${took} ms for six messages, two in each 100 ms`);
    assert.deepEqual(sent, Array(6).fill(true));
    await eventually(() => messages.length === 6);
    assert.deepEqual(messages, ['1', '2', '3', '4', '5', '6']);
    assert.equal(recorder.count('rate_limited'), 0);
  });

  test('rateLimit: a message that would wait for longer than timeout is false, and the connection stays', async (t) => {
    // It bounds connecting as well. The refusal comes at once, as the wait would be longer than that.
    const limit = { rateLimit: true, rateLimitRequests: 1, rateLimitWindow: 600_000, timeout: 10_000 };
    const { connection, recorder } = await socket(t, { ...limit, circuitBreakerThreshold: 1 });
    assert.equal(await connection.send('first'), true);
    assert.equal(await connection.send('second'), false);
    assert.deepEqual([recorder.count('rate_limited'), recorder.count('circuit_breaker_opened')], [1, 0]);
    assert.equal(await connection.isConnected(), true);
    assert.equal(connection.getMetrics().errorCount, 0);
  });

  test('backoffMultiplier: the waits between two attempts grow, or they do not', async (t) => {
    const waits = async (backoffMultiplier: number, count: number) => {
      const server = await socketServer();
      const retries: MoorlineEvent[] = [];
      const { connection } = await socket(t, { url: server.url, backoffMultiplier });
      connection.on('retry', (event) => retries.push(event));
      await server.close();
      await eventually(() => retries.length >= count, 10_000);
      await connection.disconnect();
      return retries.map((event) => Number(event['delayMs']));
    };
    const same = await waits(1, 6);
    assert.ok(
      same.every((delayMs) => delayMs <= 1),
      String(same),
    );
    // Full jitter: anything up to 1, 1000 and 30 000 ms; the third is only told of.
    const [first, ...later] = await waits(1000, 3);
    assert.ok(first! <= 1 && Math.max(...later) > 1, String([first, ...later]));
  });

  test('Infinity turns a limit off', async (t) => {
    for (const off of ['timeout', 'keepAlive', 'healthCheckInterval'] as const) {
      const config = { ...quick, circuitBreaker: false, [off]: Infinity };
      const connection = closeAfter(t, new HTTPConnection({ ...config, url: http.url }));
      assert.equal(connection.config[off], Infinity);
      assert.equal(await connection.send('x'), true, off);
      const { connection: open } = await socket(t, config);
      assert.equal(await open.send('x'), true, off);
      const stream = closeAfter(t, new SSEConnection({ ...config, url: events.url }));
      assert.equal(await stream.connect(), true, off);
    }
  });

  test('customOptions.cursor: another object goes on after the last event that was handled', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-cursor-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const customOptions = { cursor: { url: `file:${join(directory, 'cursors.db')}`, name: 'orders' } };
    const open = async () => {
      const connection = closeAfter(t, new SSEConnection({ ...quick, url: events.url, customOptions }));
      assert.equal(await connection.connect(), true);
      return connection;
    };
    const first = await open();
    assert.equal(events.requests.at(-1)?.headers['last-event-id'], undefined);
    events.send('id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\ndata: three\n\n');
    assert.equal((await first.receive())?.data, 'one');
    const event = await first.receive();
    assert.equal(event?.data, 'two');
    event?.ack();
    // The third came, but nobody has taken it.
    await eventually(() => first.lastEventId === '3');
    await first.disconnect();
    const second = await open();
    assert.equal(events.requests.at(-1)?.headers['last-event-id'], '2');
    await second.disconnect();
  });
});
