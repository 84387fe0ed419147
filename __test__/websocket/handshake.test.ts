// How a WebSocket of the transport begins: what the handshake says, and every way to be refused.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, test } from 'node:test';

import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';
import { SLACK_MS, SocketFixture } from '../support/socket-fixture';
import { rejectionOf } from '../support/websocket';

describe('the handshake of a SocketTransport', { skip: peersMissing() }, () => {
  const fixture = new SocketFixture();

  test('headers, credentials and sub-protocols reach the server, and its choice comes back', async () => {
    let seen: IncomingMessage | undefined;
    fixture.serve = (_, request) => (seen = request);
    const url = `ws://me:p%40ss@127.0.0.1:${fixture.port}/path?query=1`;
    const client = await fixture.connect({
      url,
      protocols: ['v2', 'v1'],
      headers: { 'X-One': '1', 'X-Two': ['a', 'b'] },
    });
    assert.equal(client.transport.protocol, 'v2');
    assert.equal(seen?.url, '/path?query=1');
    assert.equal(seen.headers['x-one'], '1');
    assert.equal(seen.headers['x-two'], 'a, b');
    assert.equal(seen.headers.authorization, `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  });

  test('what the server sends with its handshake is not lost', async () => {
    fixture.serve = (socket) => {
      socket.send('early');
      socket.ping();
      socket.close(4000, 'enough');
    };
    const client = await fixture.connect();
    await client.end();
    assert.deepEqual(client.messages, ['early']);
    assert.equal(client.pings, 1);
    assert.deepEqual(client.closed, [{ code: 4000, reason: 'enough', wasClean: true }]);
  });

  const answer = (status: string, ...headers: string[]) => {
    fixture.refuse = (socket) =>
      socket.end(`HTTP/1.1 ${[status, 'Content-Length: 0', ...headers].join('\r\n')}\r\n\r\n`);
  };

  for (const [status, kind, retryable] of [
    ['401 Unauthorized', 'auth', false],
    ['403 Forbidden', 'auth', false],
    ['407 Proxy Authentication Required', 'auth', false],
    ['404 Not Found', 'rejected', false],
    ['200 OK', 'rejected', false],
    ['503 Service Unavailable', 'rejected', true],
  ] as const) {
    test(`refused with ${status}`, async () => {
      answer(status, 'Retry-After: 3');
      const error = await rejectionOf(fixture.create().connect());
      assert.deepEqual([error.kind, error.retryable, error.delivery], [kind, retryable, 'none']);
      assert.equal(error.detail?.['status'], Number.parseInt(status));
      assert.equal(error.retryAfterMs, 3000);
      assert.equal(error.operation, 'connect');
    });
  }

  test('a redirect is not followed, and its query not shown', async () => {
    answer('302 Found', 'Location: ws://elsewhere.example/?token=hunter2');
    const error = await rejectionOf(fixture.create().connect());
    assert.equal(error.detail?.['location'], 'ws://elsewhere.example/');
    assert.ok(!JSON.stringify(error).includes('hunter2'));
  });

  test('an answer that is none is a breach of the protocol', async () => {
    for (const wrong of [
      '101 Switching Protocols',
      '101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x',
    ]) {
      answer(wrong);
      const error = await rejectionOf(fixture.create().connect());
      assert.equal(error.kind, 'protocol', wrong);
    }
  });

  test('a server that chooses no sub-protocol is refused', async () => {
    fixture.serverOptions = { handleProtocols: () => false };
    const error = await rejectionOf(fixture.create({ protocols: 'v1' }).connect());
    assert.equal(error.kind, 'protocol');
  });

  test('a server that says nothing is left after connectTimeoutMs', async () => {
    fixture.refuse = () => undefined;
    const started = performance.now();
    const error = await rejectionOf(fixture.create({ connectTimeoutMs: 200 }).connect());
    const took = performance.now() - started;
    assert.ok(took >= 190 && took < 300 + SLACK_MS, `${took} ms`);
    assert.deepEqual([error.kind, error.code, error.delivery], ['timeout', 'ETIMEDOUT', 'none']);
  });

  test('a server that hangs up, and one that is not there', async () => {
    fixture.refuse = (socket) => socket.destroy();
    assert.equal((await rejectionOf(fixture.create().connect())).kind, 'connect');
    const nobody = await rejectionOf(fixture.create({ url: `ws://127.0.0.1:${await freePort()}/` }).connect());
    assert.deepEqual([nobody.kind, nobody.code], ['connect', 'ECONNREFUSED']);
  });

  test('a certificate nobody vouches for', async () => {
    const error = await rejectionOf(fixture.create({ url: `wss://127.0.0.1:${fixture.securePort}/` }).connect());
    assert.deepEqual([error.kind, error.delivery], ['tls', 'none']);
  });

  test('is given up with the reason of the signal, and by close', async () => {
    fixture.refuse = () => undefined;
    const controller = new AbortController();
    const client = fixture.create();
    const aborted = client.transport.connect(controller.signal);
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(aborted, (error) => error === reason);
    const given = rejectionOf(client.transport.connect());
    await client.transport.close();
    assert.equal((await given).kind, 'closed');
    assert.equal(client.closed.length, 0);
  });
});
