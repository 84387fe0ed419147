// All three kinds of connections through other people's proxies: microsocks and Dante (SOCKS5), tinyproxy (CONNECT).
import assert from 'node:assert/strict';
import { createServer as createSecureServer } from 'node:https';
import { after, before, describe, test, type TestContext } from 'node:test';

import {
  type BaseConnection,
  type ConnectionConfig,
  HTTPConnection,
  MoorlineError,
  SSEConnection,
  WebSocketConnection,
} from 'moorline';

import { Authority } from '../support/certificates';
import {
  closeAfter,
  type EventServer,
  eventServer,
  EventRecorder,
  type SocketServer,
  socketServer,
} from '../support/connections';
import { debianBinary, skipWithout } from '../support/debian';
import { DebianServers } from '../support/debian-servers';
import { eventually } from '../support/eventually';
import { type RunningServer, serve, startServer } from '../support/http';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

const microsocks = debianBinary('microsocks', 'microsocks');
const tinyproxy = debianBinary('tinyproxy', 'tinyproxy-bin');
const danted = debianBinary('danted', 'dante-server');

/** Where the proxies come from, so that a server sees who asks it. */
const SOCKS_ADDRESS = '127.0.0.2';
const CONNECT_ADDRESS = '127.0.0.3';

const skip = skipWithout(microsocks, tinyproxy, danted) || peersMissing();

describe('connections through a proxy', { skip, timeout: 60_000 }, () => {
  const proxies = new DebianServers();
  const ports = { socks: 0, dante: 0, connect: 0, forbidden: 0, closed: 0 };
  let authority: Authority;
  let plain: RunningServer;
  let secure: RunningServer;
  let sockets: SocketServer;
  let events: EventServer;
  let socksLog: () => string;

  before(async () => {
    for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
    authority = new Authority();
    const leaf = authority.issue(['IP:127.0.0.1', 'DNS:localhost']);
    plain = await serve(({ socket }, response) => response.end(socket.remoteAddress));
    secure = await startServer(createSecureServer(leaf, ({ socket }, response) => response.end(socket.remoteAddress)));
    sockets = await socketServer((socket, request) => socket.send(`"${request.socket.remoteAddress}"`));
    events = await eventServer();
    const login = ['-u', 'me', '-P', 'p@ss'];
    const listen = ['-i', '127.0.0.1', '-p', String(ports.socks), '-b', SOCKS_ADDRESS];
    socksLog = await proxies.start(microsocks, [...listen, ...login], [ports.socks]);
    const open = [plain, secure, sockets, events].map(({ port }) => port);
    const allowed = [...open, ports.closed].map((port) => `ConnectPort ${port}`);
    const tinyproxyConfig = proxies.file(
      'tinyproxy.conf',
      `Port ${ports.connect}\nListen 127.0.0.1\nBind ${CONNECT_ADDRESS}\nTimeout 20\nBasicAuth me secret\n${allowed.join('\n')}\n`,
    );
    await proxies.start(tinyproxy, ['-d', '-c', tinyproxyConfig], [ports.connect]);
    const dantedConfig = proxies.file(
      'danted.conf',
      `errorlog: stderr\nlogoutput: stderr\ninternal: 127.0.0.1 port = ${ports.dante}\nexternal: 127.0.0.1
      clientmethod: none\nsocksmethod: none\nclient pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
      socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 port = ${ports.forbidden} }
      socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }`,
    );
    await proxies.start(danted, ['-f', dantedConfig, '-p', `${proxies.directory}/danted.pid`], [ports.dante]);
  });
  after(async () => {
    await proxies.stop();
    await Promise.all([plain, secure, sockets, events].map((server) => server?.close()));
    authority?.remove();
  });

  /** The proxies that let us in, by what they speak, and the address they come from. */
  const usableProxies = (): [proxy: string, address: string][] => [
    [`socks5://me:p%40ss@127.0.0.1:${ports.socks}`, SOCKS_ADDRESS],
    [`socks5h://me:p%40ss@127.0.0.1:${ports.socks}`, SOCKS_ADDRESS],
    [`socks5://127.0.0.1:${ports.dante}`, '127.0.0.1'],
    [`http://me:secret@127.0.0.1:${ports.connect}`, CONNECT_ADDRESS],
  ];
  const quiet = { monitoring: false, auditLogging: false, autoRetry: false } as const;

  test('a request, in plain text and over TLS', async (t) => {
    for (const [proxy, address] of usableProxies()) {
      for (const { url } of [plain, secure]) {
        const tls = { ca: authority.cert };
        const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, proxy, tls }));
        assert.equal((await connection.request({})).text(), address, `${proxy} to ${url}`);
      }
    }
  });

  test('a WebSocket, both ways', async (t) => {
    for (const [proxy, address] of usableProxies()) {
      const connection = closeAfter(t, new WebSocketConnection({ ...quiet, url: sockets.url, proxy }));
      assert.equal(await connection.connect(), true, proxy);
      assert.equal(await connection.receive(), address);
      const echoed = new Promise((resolve) => sockets.sockets[0].once('message', resolve));
      assert.equal(await connection.send('through it'), true);
      assert.equal(String(await echoed), 'through it');
      await connection.disconnect();
      await eventually(() => sockets.sockets.length === 0);
    }
  });

  test('an event stream', async (t) => {
    for (const [proxy, address] of usableProxies()) {
      const connection = closeAfter(t, new SSEConnection({ ...quiet, url: events.url, proxy }));
      assert.equal(await connection.connect(), true, proxy);
      assert.equal(events.requests.at(-1)?.socket.remoteAddress, address);
      events.send('data: through it\n\n');
      assert.equal((await connection.receive())?.data, 'through it');
      await connection.disconnect();
      await eventually(() => events.streams.length === 0);
    }
  });

  /** The error that a connection of each kind fails with; each tells the same, but for who it is. */
  async function failEachConnection(
    t: TestContext,
    proxy: string,
    target: string,
  ): Promise<[MoorlineError, EventRecorder][]> {
    const config: ConnectionConfig = { ...quiet, proxy, autoReconnect: false };
    const kinds: [BaseConnection, string][] = [
      [new HTTPConnection({ ...config, url: `http://${target}/` }), 'http'],
      [new WebSocketConnection({ ...config, url: `ws://${target}/` }), 'websocket'],
      [new SSEConnection({ ...config, url: `http://${target}/` }), 'sse'],
    ];
    const failed: [MoorlineError, EventRecorder][] = [];
    for (const [connection, service] of kinds) {
      const recorder = new EventRecorder(closeAfter(t, connection));
      if (connection instanceof HTTPConnection) assert.equal(await connection.send({ url: '', method: 'POST' }), null);
      else assert.equal(await connection.connect(), false, service);
      const error = recorder.of('error').at(-1)?.data?.['error'];
      assert.ok(error instanceof MoorlineError, `${service}: ${String(error)}`);
      assert.deepEqual([error.service, error.delivery], [service, 'none']);
      assert.ok(![error.message, JSON.stringify(error)].some((text) => /p@ss|secret/.test(text)));
      failed.push([error, recorder]);
    }
    return failed;
  }

  const localAddress = (port: number) => `127.0.0.1:${port}`;

  test('a login that is missing or wrong is a refusal of our credentials', async (t) => {
    const table: [proxy: string, detail: Record<string, number>][] = [
      [`socks5://me:wrong@${localAddress(ports.socks)}`, { socksLogin: 2 }],
      [`socks5h://${localAddress(ports.socks)}`, { socksMethod: 255 }],
      [`http://me:wrong@${localAddress(ports.connect)}`, { status: 401 }],
      [`http://${localAddress(ports.connect)}`, { status: 407 }],
    ];
    for (const [proxy, detail] of table) {
      for (const [error, recorder] of await failEachConnection(t, proxy, localAddress(plain.port))) {
        const { hostname, port } = new URL(proxy.replace(/^socks5h?/, 'http'));
        const expected = {
          phase: 'proxy',
          proxy: `${hostname}:${port}`,
          host: '127.0.0.1',
          port: plain.port,
          ...detail,
        };
        assert.deepEqual(
          [error.kind, error.code, error.retryable],
          ['auth', 'ERR_MOORLINE_AUTH', false],
          `${error.service} over ${proxy}`,
        );
        for (const [key, value] of Object.entries(expected))
          assert.equal(error.detail?.[key], value, `${proxy} ${key}`);
        assert.deepEqual([recorder.count('authentication_failed'), recorder.count('connection_failed')], [1, 0]);
      }
    }
  });

  test('a target that the proxy may not, or cannot, reach', async (t) => {
    const [socks, , , connect] = usableProxies().map(([proxy]) => proxy) as [string, string, string, string];
    const dante = `socks5h://${localAddress(ports.dante)}`;
    type Refusal = [proxy: string, port: number, error: unknown[], detail: [string, number]];
    const table: Refusal[] = [
      [dante, ports.forbidden, ['auth', 'ERR_MOORLINE_AUTH', false], ['socksReply', 2]],
      [dante, ports.closed, ['connect', 'ECONNREFUSED', true], ['socksReply', 5]],
      [socks, ports.closed, ['connect', 'ECONNREFUSED', true], ['socksReply', 5]],
      [connect, ports.forbidden, ['auth', 'ERR_MOORLINE_AUTH', false], ['status', 403]],
      [connect, ports.closed, ['connect', 'ERR_MOORLINE_PROXY_REFUSED', true], ['status', 500]],
    ];
    for (const [proxy, port, expected, [key, value]] of table) {
      for (const [error, recorder] of await failEachConnection(t, proxy, localAddress(port))) {
        const { kind, code, retryable, detail } = error;
        assert.deepEqual([kind, code, retryable], expected, `${error.service}: ${error.message}`);
        assert.deepEqual([detail?.['phase'], detail?.['port'], detail?.[key]], ['proxy', port, value]);
        assert.equal(recorder.count(kind === 'auth' ? 'authentication_failed' : 'connection_failed'), 1);
      }
    }
  });

  test('a proxy that is not there is the one that the error names', async (t) => {
    for (const scheme of ['socks5', 'socks5h', 'http']) {
      for (const [error] of await failEachConnection(
        t,
        `${scheme}://${localAddress(ports.closed)}`,
        localAddress(plain.port),
      )) {
        assert.deepEqual([error.kind, error.code, error.detail?.['phase']], ['connect', 'ECONNREFUSED', 'connect']);
        assert.equal(error.detail?.['port'], ports.closed);
      }
    }
  });

  test('socks5 resolves names here, socks5h has the proxy do it', async (t) => {
    const ask = async (proxy: string, url: string) =>
      (await closeAfter(t, new HTTPConnection({ ...quiet, url, proxy })).request({})).text();
    const url = `http://localhost:${plain.port}`;
    const [[socks5], [socks5h]] = usableProxies() as [[string, string], [string, string]];
    assert.equal(await ask(socks5, url), SOCKS_ADDRESS);
    assert.equal(await ask(socks5h, url), SOCKS_ADDRESS);
    const connectionLogLines = () =>
      socksLog()
        .match(new RegExp(`connected to \\S+:${plain.port}`, 'g'))
        ?.slice(-2);
    await eventually(() => connectionLogLines()?.[1]?.includes('localhost'));
    assert.deepEqual(connectionLogLines(), [
      `connected to 127.0.0.1:${plain.port}`,
      `connected to localhost:${plain.port}`,
    ]);

    for (const [error] of await failEachConnection(t, socks5, 'no-such-host.invalid:80')) {
      assert.deepEqual([error.kind, error.code, error.detail?.['phase']], ['connect', 'ENOTFOUND', 'dns']);
    }
    for (const [error] of await failEachConnection(t, socks5h, 'no-such-host.invalid:80')) {
      assert.deepEqual([error.kind, error.detail?.['phase']], ['connect', 'proxy'], error.message);
      assert.equal(error.detail?.['host'], 'no-such-host.invalid');
    }
  });
});
