// Options cross into the addon once, whatever is made from them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { type ConnectionConfig, ConnectionPool, HTTPConnection, type PoolConfig, WebSocketConnection } from 'moorline';

import { closeAfter, type SocketServer, socketServer } from '../support/connections';
import { peersMissing } from '../support/peers';
import { type RunningServer, serve } from '../support/http';

/** Options whose members count how often each is read, by their paths. */
function counted<Options extends object>(given: Options, reads: Map<string, number>, path = ''): Options {
  const members = Object.entries(given).map(([key, value]: [string, unknown]) => {
    const here = `${path}${key}`;
    reads.set(here, 0);
    const isOptions = typeof value === 'object' && value !== null && !Array.isArray(value);
    const inner: unknown = isOptions ? counted(value, reads, `${here}.`) : value;
    const get = () => {
      reads.set(here, reads.get(here)! + 1);
      return inner;
    };
    return [key, { get, enumerable: true }];
  });
  return Object.defineProperties({}, Object.fromEntries(members)) as Options;
}

const readOnce = (reads: Map<string, number>) => {
  assert.deepEqual(
    [...reads],
    [...reads.keys()].map((path) => [path, 1]),
  );
};

const SHARED: ConnectionConfig = {
  name: 'once',
  connectionType: 'backend',
  timeout: 10_000,
  keepAlive: 10_000,
  securityLevel: 'none',
  monitoring: false,
  tls: { serverName: 'localhost', rejectUnauthorized: false },
  customHeaders: { 'x-team': 'red' },
  customSecurityOptions: { allowedHosts: ['127.0.0.1'] },
};

describe('options cross once', { skip: peersMissing() }, () => {
  let http: RunningServer;
  let sockets: SocketServer;
  before(async () => {
    http = await serve((_, response) => response.end('{}'));
    sockets = await socketServer();
  });
  after(() => Promise.all([http.close(), sockets.close()]));

  test('those of an HTTP connection, for its policies and for each transport that it opens', async (t) => {
    const reads = new Map<string, number>();
    const options = counted({ ...SHARED, url: http.url, maxRedirects: 3, headersTimeoutMs: 10_000 }, reads);
    const connection = closeAfter(t, new HTTPConnection(options));
    for (const _ of [1, 2]) {
      assert.equal(await connection.connect({ retry: true }), true);
      assert.equal((await connection.request({ url: '/' })).status, 200);
      await connection.disconnect();
    }
    readOnce(reads);
    assert.equal(connection.config.maxRedirects, 3);
  });

  test('those of a WebSocket, for each socket that it opens', async (t) => {
    const reads = new Map<string, number>();
    const options = counted(
      { ...SHARED, url: sockets.url, maxMessageBytes: 1000, customOptions: { parse: false } },
      reads,
    );
    const connection = closeAfter(t, new WebSocketConnection(options));
    for (const _ of [1, 2]) {
      assert.equal(await connection.connect({ retry: true }), true);
      await connection.disconnect();
    }
    readOnce(reads);
  });

  test('those of a pool, for each time that it is started', async () => {
    const reads = new Map<string, number>();
    const options: PoolConfig = { maxSize: 1, minSize: 1, maxIdleTime: 5, acquireTimeout: 5, leakAfter: 5 };
    const pool = new ConnectionPool(counted(options, reads), () => ({}));
    for (const _ of [1, 2]) {
      await pool.start();
      await pool.stop();
    }
    readOnce(reads);
    assert.equal(pool.options()['acquireTimeoutMs'], 5000);
  });
});
