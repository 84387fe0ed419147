// What is logged of a handler of the user's that failed: whose it was, and where it was thrown.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';

import {
  ConnectionManager,
  HTTPConnection,
  type LogRecord,
  receiveWebhook,
  SSEConnection,
  webhookMiddleware,
  WebhookVerifier,
} from 'moorline';

import { closeAfter, eventServer, captureLogs } from '../support/connections';
import { eventually } from '../support/eventually';
import { startServer } from '../support/http';

function faulty(): never {
  throw new Error('no');
}

/** The record of that event, once it is written. */
async function recordOf(written: LogRecord[], event: string): Promise<LogRecord> {
  await eventually(() => written.some((record) => record.event === event));
  return written.find((record) => record.event === event)!;
}

function assertStack({ data }: LogRecord): void {
  assert.equal(data['error'], 'no');
  assert.match(String(data['stack']), /^Error: no\n\s+at faulty .*handler-logs/);
}

describe('connection.handler-failed names the connection', () => {
  const registrations: Record<string, (connection: HTTPConnection) => unknown> = {
    onEvent: (connection) => connection.onEvent(faulty),
    onStateChange: (connection) => connection.onStateChange(async () => faulty()),
    onHealthChange: (connection) => connection.onHealthChange(faulty),
  };
  for (const [method, register] of Object.entries(registrations)) {
    test(`of ${method}`, async (t) => {
      const written = captureLogs(t);
      const config = { name: 'orders', url: 'http://127.0.0.1:1', retryCount: 0, monitoring: false };
      const connection = closeAfter(t, new HTTPConnection(config));
      register(connection);
      await connection.connect();
      await connection.healthCheck();
      const record = await recordOf(written, 'connection.handler-failed');
      assert.deepEqual([record.correlationId, record.data['connection']], [connection.connectionId, 'orders']);
      assertStack(record);
    });
  }

  test('of onMessage', async (t) => {
    const written = captureLogs(t);
    const server = await eventServer();
    t.after(() => server.close());
    const config = { name: 'feed', url: server.url, monitoring: false };
    const connection = closeAfter(t, new SSEConnection(config));
    connection.onMessage(faulty);
    await connection.connect();
    server.send('data: 1\n\n');
    const record = await recordOf(written, 'connection.handler-failed');
    assert.deepEqual([record.correlationId, record.data['connection']], [connection.connectionId, 'feed']);
    assertStack(record);
  });

  test('but not of a manager, whose handlers hear of all', async (t) => {
    const written = captureLogs(t);
    const manager = new ConnectionManager();
    manager.addEventHandler(faulty);
    const connection = closeAfter(t, new HTTPConnection({ url: 'http://127.0.0.1:1', monitoring: false }));
    manager.addConnection(connection);
    connection.emitEvent('moored');
    const record = await recordOf(written, 'connection.handler-failed');
    assert.deepEqual([record.correlationId, 'connection' in record.data], ['manager', false]);
    assertStack(record);
  });
});

describe('webhook.handler-failed names the webhook and its scheme', () => {
  const verifier = new WebhookVerifier({ secret: 'c2VjcmV0IG9mIHRoZSBob29r', scheme: 'standard' });
  const body = '{"a":1}';
  const request = () => {
    const headers = verifier.signRequest({ body, id: 'msg_7' });
    return { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body };
  };
  const assertRecord = (record: LogRecord) => {
    const { correlationId, level, data } = record;
    assert.deepEqual([correlationId, level, data['scheme']], ['msg_7', 'error', 'standard']);
    assertStack(record);
    assert.doesNotMatch(JSON.stringify(record), /c2VjcmV0|v1,/);
  };

  test('of receiveWebhook', async (t) => {
    const written = captureLogs(t);
    const received = await receiveWebhook(verifier, new Request('http://127.0.0.1/hook', request()), {
      handle: faulty,
    });
    assert.deepEqual([received.status, received.valid], [500, true]);
    assertRecord(await recordOf(written, 'webhook.handler-failed'));
  });

  test('of the middleware', async (t) => {
    const written = captureLogs(t);
    const receive = webhookMiddleware(verifier);
    const server = await startServer(
      createServer((request, answer) => receive(request, answer, faulty)),
      'http',
    );
    t.after(() => server.close());
    assert.equal((await fetch(server.url, request())).status, 500);
    assertRecord(await recordOf(written, 'webhook.handler-failed'));
  });
});
