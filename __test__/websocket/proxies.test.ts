// A WebSocketConnection behind nginx, which closes idle connections.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { type ConnectionConfig, MoorlineError, WebSocketConnection } from 'moorline';

import { closeAfter, EventRecorder, type SocketServer, socketServer } from '../support/connections';
import { debianBinary, skipWithout } from '../support/debian';
import { DebianServers } from '../support/debian-servers';
import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

const nginx = debianBinary('nginx', 'nginx');
const PROXY_TIMEOUT_MS = 2000;

describe('behind an nginx that closes idle connections', { skip: skipWithout(nginx) || peersMissing() }, () => {
  const proxies = new DebianServers();
  let server: SocketServer;
  let url: string;
  let pings = 0;

  before(async () => {
    server = await socketServer((socket) => socket.on('ping', () => (pings += 1)));
    const port = await freePort();
    const { directory } = proxies;
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(directory, name)};`,
    );
    const config = proxies.file(
      'nginx.conf',
      `daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/error.log;
      events { worker_connections 64; }
      http {
        access_log off; ${paths.join(' ')}
        server {
          listen 127.0.0.1:${port};
          location / {
            proxy_pass http://127.0.0.1:${server.port};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_read_timeout ${PROXY_TIMEOUT_MS}ms;
          }
        }
      }`,
    );
    await proxies.start(nginx, ['-e', join(directory, 'error.log'), '-p', directory, '-c', config], [port]);
    url = `ws://127.0.0.1:${port}`;
  });
  after(async () => {
    await proxies.stop();
    await server?.close();
  });

  const quiet: ConnectionConfig = { monitoring: false, autoReconnect: false };

  test('pings keep it open', async (t) => {
    const connection = closeAfter(t, new WebSocketConnection({ ...quiet, url, keepAlive: 500 }));
    assert.equal(await connection.connect(), true);
    const recorder = new EventRecorder(connection);
    const before = pings;
    // The pings of three idle timeouts.
    const expectedPings = (3 * PROXY_TIMEOUT_MS) / 500;
    await eventually(() => pings - before >= expectedPings || recorder.count('connection_lost') > 0, 60_000);
    assert.equal(recorder.count('connection_lost'), 0);
    assert.equal(await connection.isConnected(), true);
    assert.equal((await connection.healthCheck()).isHealthy, true);
  });

  test('without pings it is closed, and the event says how', async (t) => {
    const connection = closeAfter(t, new WebSocketConnection({ ...quiet, url, keepAlive: Infinity }));
    assert.equal(await connection.connect(), true);
    const recorder = new EventRecorder(connection);
    const { data, message } = await recorder.until('connection_lost');
    assert.ok(data.error instanceof MoorlineError);
    const { kind, code } = data.error;
    assert.deepEqual([kind, code, message], ['disconnected', 'ECONNRESET', data.error.message]);
    assert.equal(message, 'the server ended the connection without a close frame');
    assert.equal(connection.getStatus().lastError, message);
  });
});
