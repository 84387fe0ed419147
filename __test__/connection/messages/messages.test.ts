// Messages without parsing, the URL of a stream, bodies that are read in the wrong way, arguments of the wrong type.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  ConnectionConfigManager,
  ConnectionManager,
  HTTPConnection,
  setLogger,
  SSEConnection,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, eventServer, socketServer } from '../../support/connections';
import { serve } from '../../support/http';
import { peersMissing } from '../../support/peers';

before(() => setLogger({}));
after(() => setLogger(undefined));

test('a WebSocketConnection with parse: false gives text as it came', { skip: peersMissing() }, async (t) => {
  const texts = ['{"id":9007199254740993}', 'no JSON', '"text"'];
  const server = await socketServer((socket) => {
    for (const text of texts) socket.send(text);
    socket.send(Buffer.from([1, 2]));
  });
  t.after(() => server.close());
  const config = { url: server.url, monitoring: false, customOptions: { parse: false } };
  const connection = closeAfter(t, new WebSocketConnection(config));
  await connection.connect();
  const received: unknown[] = [];
  for await (const message of connection) if (received.push(message) === 4) break;
  assert.deepEqual(received, [...texts, Buffer.from([1, 2])]);
  assert.throws(() => new WebSocketConnection({ ...config, customOptions: { parse: 'no' } }), {
    code: 'ERR_INVALID_ARG_TYPE',
    message: 'options.customOptions.parse must be a boolean, got a string',
  });
});

test('the url of an SSEConnection is that of its stream, after redirects and without credentials', async (t) => {
  const target = await eventServer();
  const first = await serve((_, response) => response.writeHead(302, { location: `${target.url}/there` }).end());
  t.after(() => Promise.all([target.close(), first.close()]));
  const redirected = closeAfter(t, new SSEConnection({ url: first.url, monitoring: false }));
  assert.equal(redirected.url, '');
  await redirected.connect();
  assert.equal(redirected.url, `${target.url}/there`);
  const direct = closeAfter(
    t,
    new SSEConnection({ url: `http://me:hunter2@127.0.0.1:${target.port}/x`, monitoring: false }),
  );
  await direct.connect();
  assert.equal(direct.url, `${target.url}/x`);
});

describe('the body of an answer', () => {
  test('read in the wrong way is an error with a code', async (t) => {
    const server = await serve((_, response) => response.end('{}'));
    t.after(() => server.close());
    const api = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
    const streamed = await api.request({ stream: true });
    const invalidState = { name: 'TypeError', code: 'ERR_INVALID_STATE' };
    assert.throws(() => streamed.data, invalidState);
    assert.throws(() => streamed.text(), invalidState);
    assert.throws(() => streamed.bytes(), invalidState);
    assert.throws(() => streamed.json(), invalidState);
    await streamed.stream.cancel();
    const buffered = await api.request({});
    assert.throws(() => buffered.stream, invalidState);
  });
});

test('an argument of the wrong type is refused by its name', async () => {
  const invalidType = (message: RegExp) => ({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
  const feed = new SSEConnection({ url: 'http://h', monitoring: false });
  await assert.rejects(feed.receive({ timeoutMs: 'x' as never }), invalidType(/^options\.timeoutMs must be a number/));
  await assert.rejects(feed.receive({ timeoutMs: -1 }), { code: 'ERR_OUT_OF_RANGE', message: /^options\.timeoutMs / });
  await assert.rejects(feed.receive({ signal: 'x' as never }), invalidType(/^options\.signal must be an AbortSignal/));
  assert.throws(
    () => new ConnectionManager().addConnection({} as never),
    invalidType(/^connection must be a connection/),
  );
  assert.throws(() => new ConnectionConfigManager({}).get(5 as never), invalidType(/^name must be a string/));
  assert.throws(() => new ConnectionConfigManager({}).set(5 as never, {}), invalidType(/^name must be a string/));
});
