// A WebSocket handshake that the server refuses: the details in the error, and when it is retried.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';

import { type ConnectionConfig, MoorlineError, type MoorlineEvent, WebSocketConnection } from 'moorline';

import { closeAfter, EventRecorder, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { peersMissing } from '../support/peers';

/** The error of a `connect` to a server that answers each handshake with `answer`. */
async function refusedHandshakeError(
  t: TestContext,
  answer: Parameters<typeof serve>[0],
  config: ConnectionConfig = {},
) {
  const server = await serve(answer);
  t.after(() => server.close());
  const url = `ws://me:topsecret@127.0.0.1:${server.port}/?token=batterystaple`;
  const connection = closeAfter(t, new WebSocketConnection({ monitoring: false, url, ...config }));
  const recorder = new EventRecorder(connection);
  assert.equal(await connection.connect(), false);
  const [event] = recorder.of('error');
  assert.ok(event && event.data.error instanceof MoorlineError);
  return event.data.error;
}

test('the error of a refused handshake carries the status, the headers and the beginning of the body of the answer', async (t) => {
  for (const [status, kind] of [
    [401, 'auth'],
    [403, 'auth'],
    [429, 'rate-limited'],
    [503, 'rejected'],
  ] as const) {
    const error = await refusedHandshakeError(t, (_, response) => {
      response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': '7', 'retry-after': '3' });
      // In chunks.
      response.write('{"error":');
      response.end(`"come later"}\n${'.'.repeat(10_000)}`);
    });
    assert.deepEqual([error.kind, error.detail?.status, error.retryAfterMs], [kind, status, 3000]);
    assert.equal(error.detail?.headers?.['content-type'], 'application/json');
    assert.equal(error.detail?.headers?.['x-request-id'], '7');
    const { body = '' } = error.detail ?? {};
    assert.ok(body.startsWith('{"error":"come later"} ...') && body.length < 600, body);
  }
});

test('the error of a refused handshake shows no credential of the request or of the answer', async (t) => {
  const customHeaders = { 'x-api-key': 'correcthorse', cookie: 'sid=hunter2hunter2' };
  const sent: (string | undefined)[] = [];
  const error = await refusedHandshakeError(
    t,
    ({ url, headers }, response) => {
      sent.push(url, headers.authorization, headers.cookie);
      response.writeHead(403, { 'set-cookie': 'session=fresh', 'x-token': 'fresh', location: '/login?fresh' });
      response.end(`${url} ${JSON.stringify(headers)} topsecret`);
    },
    { customHeaders },
  );
  assert.equal(sent.length, 3);
  const printed = JSON.stringify(error) + String(error.stack);
  for (const secret of ['correcthorse', 'hunter2', 'topsecret', 'batterystaple', 'fresh', sent[1]!.split(' ')[1]!]) {
    assert.ok(!printed.includes(secret), `${secret} in ${printed}`);
  }
  assert.equal(error.detail?.headers?.['set-cookie'], '[redacted]');
  assert.equal(error.detail?.location, '/login');
});

test('the error of a refused handshake does not wait for the rest of a body', async (t) => {
  const error = await refusedHandshakeError(t, (_, response) => {
    response.writeHead(503, { 'content-length': '100' });
    response.write('half of it');
  });
  assert.deepEqual([error.detail?.status, error.detail?.body], [503, 'half of it']);
});

for (const [form, header] of [
  ['seconds', () => '2'],
  ['a date', () => new Date(Date.now() + 3000).toUTCString()],
] as const) {
  test(`Retry-After in ${form} holds reconnecting up`, { skip: peersMissing() }, async (t) => {
    let accepts = true;
    type Answer = (accepted: boolean, status?: number, name?: string, headers?: object) => void;
    const verifyClient = (_: unknown, answer: Answer) =>
      accepts ? answer(true) : answer(false, 503, 'Busy', { 'Retry-After': header() });
    const server = await socketServer(undefined, { verifyClient });
    t.after(() => server.close());
    const connection = closeAfter(t, new WebSocketConnection({ monitoring: false, url: server.url, retryDelay: 1 }));
    const retries: MoorlineEvent[] = [];
    connection.on('retry', (event) => retries.push(event));
    assert.equal(await connection.connect(), true);
    accepts = false;
    server.sockets[0].close(4000);
    const refused = await eventually(
      () => retries.find(({ error }) => error instanceof MoorlineError && error.detail?.status === 503),
      10_000,
    );
    assert.ok(Number(refused['delayMs']) >= 1000, String(refused['delayMs']));
  });
}
