// A tunnel through the server of `ssh2`, which keeps windows, exchanges keys and answers keep-alives in its own way.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';

import { HTTPConnection, setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import { closeAfter } from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve, startServer } from '../support/http';
import { peersMissing } from '../support/peers';
import { type Ssh2Server, startSsh2Server } from './ssh2-server';

const quiet = { monitoring: false, auditLogging: false, autoRetry: false } as const;
const MEBIBYTE = 2 ** 20;

describe('a tunnel through the server of ssh2', { skip: peersMissing(), timeout: 120_000 }, () => {
  const body = randomBytes(16 * MEBIBYTE);
  const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  let ssh: Ssh2Server;
  let http: RunningServer;
  let echo: RunningServer;
  let tunnels: SSHTunnel[] = [];

  const open = async (more: Partial<TunnelConfig> = {}) => {
    const tunnel = new SSHTunnel({ ...ssh.config, password: 'password', ...more });
    tunnels.push(tunnel);
    await tunnel.connect();
    return tunnel;
  };
  const openLocal = (more: Partial<TunnelConfig> = {}) =>
    open({ remoteHost: '127.0.0.1', remotePort: echo.port, localPort: 0, ...more });

  before(async () => {
    setLogger({});
    ssh = await startSsh2Server((context) => (context.method === 'password' ? context.accept() : context.reject()));
    echo = await startServer(
      createServer((socket) => socket.pipe(socket)),
      'tcp',
    );
    http = await serve((request, response) => {
      if (request.url === '/large') return response.end(body);
      void buffer(request).then((received) => response.end(`${request.url} ${digestOf(received)}`));
    });
  });
  after(async () => {
    setLogger(undefined);
    await Promise.all([ssh, http, echo].map((server) => server?.close()));
  });
  afterEach(async () => {
    await Promise.all(tunnels.splice(0).map((tunnel) => tunnel.disconnect()));
  });

  test('a hundred requests at once, each in a channel of its own', async (t) => {
    const tunnel = await open({ maxPoolSize: 50 });
    const config = { ...quiet, url: http.url, tunnel, maxConnections: 100 };
    const connection = closeAfter(t, new HTTPConnection(config));
    const paths = Array.from({ length: 100 }, (_, n) => `/${n}`);
    const answers = await Promise.all(paths.map(async (url) => (await connection.request({ url })).text()));
    const empty = digestOf(Buffer.alloc(0));
    assert.deepEqual(
      answers,
      paths.map((path) => `${path} ${empty}`),
    );
    assert.deepEqual([tunnel.stats().channels, tunnel.stats().sessions, ssh.clients.length], [100, 2, 2]);
    await connection.disconnect();
    await eventually(() => tunnel.stats().channels === 0);
  });

  test('bodies that are larger than a window, in both directions, while keys are exchanged anew', async (t) => {
    const tunnel = await open();
    const connection = closeAfter(t, new HTTPConnection({ ...quiet, url: http.url, tunnel }));
    const [client] = ssh.clients;
    let exchanges = 0;
    const exchange = () => client.rekey(() => (exchanges += 1));
    client.on('rekey', () => setTimeout(exchange, 20));
    exchange();
    const uploading = connection.request({ method: 'POST', url: '/upload', body });
    const downloading = connection.request({ url: '/large' });
    assert.equal((await uploading).text(), `/upload ${digestOf(body)}`);
    assert.equal(digestOf((await downloading).bytes()), digestOf(body));
    await eventually(() => exchanges > 2);
    assert.equal(ssh.clients[0], client, 'the session is the same');
  });

  test('what nobody reads holds nothing up', async () => {
    const large = await startServer(
      createServer((socket) => socket.end(body)),
      'tcp',
    );
    const unread = await openLocal({ remotePort: large.port });
    const socket = connect(unread.localPort!, '127.0.0.1').pause();
    // Until the window is used up.
    let received = -1;
    await eventually(() => received === (received = unread.stats().receivedBytes) && received > MEBIBYTE, 20_000);
    assert.ok(received < body.length, 'there is a bound');
    assert.equal(await unread.healthCheck(), true);
    assert.equal(digestOf(await buffer(socket)), digestOf(body));
    await large.close();
  });

  test('a local port carries bytes and ends; a target that refuses is a reset', async () => {
    const tunnel = await openLocal();
    const sockets = Array.from({ length: 5 }, (_, n) => connect(tunnel.localPort!, '127.0.0.1').end(`socket ${n}`));
    assert.deepEqual(
      await Promise.all(sockets.map(text)),
      ['0', '1', '2', '3', '4'].map((n) => `socket ${n}`),
    );
    const refused = await openLocal({ remotePort: 1 });
    await assert.rejects(text(connect(refused.localPort!, '127.0.0.1')), { code: 'ECONNRESET' });
    assert.equal(refused.isConnectedToTunnel(), true);
  });

  test('an idle one is kept by its keep-alives', async () => {
    // Without answers it would be lost after two seconds; 25 keep-alives, of 40 bytes and more, take longer.
    const tunnel = await open({ keepAliveIntervalMs: 100, keepAliveCount: 20 });
    const { sentBytes } = tunnel.stats();
    await eventually(() => tunnel.stats().sentBytes > sentBytes + 25 * 64, 20_000);
    assert.deepEqual([tunnel.stats().reconnects, await tunnel.healthCheck()], [0, true]);
  });
});
