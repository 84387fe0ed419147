// Everything that dials, through a tunnel: what is reached, as the SSH server sees it, over TLS or not.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { createServer as createSecureServer } from 'node:tls';
import { inspect } from 'node:util';

import {
  ConnectionConfigManager,
  HTTPConnection,
  MoorlineError,
  NixtlaClient,
  SSEConnection,
  SSHTunnel,
  TursoPool,
  WebSocketConnection,
} from 'moorline';
import { createClient } from 'moorline/libsql';

import { Authority } from '../support/certificates';
import { closeAfter, type EventServer, eventServer, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve, startServer } from '../support/http';
import { peersMissing } from '../support/peers';
import { skipWithoutSqld, type Sqld, startSqld } from '../support/servers';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const skip = skipWithoutSshd() || peersMissing() || skipWithoutSqld();
const quiet = { monitoring: false, auditLogging: false, autoRetry: false } as const;

/** The ports on which this process listens. */
function listeningPorts(): number[] {
  const inodes = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
  const rows = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/self/net/${table}`, 'utf8').split('\n').slice(1));
  const sockets = rows.map((row) => row.trim().split(/\s+/));
  const listening = sockets.filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.includes(inode!));
  return listening.map(([, local]) => parseInt(local!.split(':')[1]!, 16)).sort();
}

describe('through a tunnel', { skip, timeout: 120_000 }, () => {
  let sshd: Sshd;
  let tunnel: SSHTunnel;
  let authority: Authority;
  let http: RunningServer;
  let sockets: SocketServer;
  let events: EventServer;
  let sqld: Sqld;
  const secured: RunningServer[] = [];
  const securePorts = new Map<number, number>();

  /** TLS before a server, for the name `localhost` alone. */
  async function secure(port: number): Promise<void> {
    const leaf = authority.issue(['DNS:localhost']);
    const server = createSecureServer(leaf, (socket) => {
      const plain = connect(port, '127.0.0.1');
      socket.pipe(plain).pipe(socket);
      for (const one of [socket, plain]) one.on('error', () => [socket, plain].forEach((other) => other.destroy()));
    });
    secured.push(await startServer(server as Server));
    securePorts.set(port, secured.at(-1)!.port);
  }

  before(async () => {
    authority = new Authority();
    // It is read when the first connection is made, and process.env is the environment of the process.
    process.env['NODE_EXTRA_CA_CERTS'] = authority.file;
    // The log then has the target of each channel.
    sshd = await Sshd.start('LogLevel DEBUG1');
    http = await serve((request, response) => response.end(`${request.method} ${request.headers.host}`));
    [sockets, events, sqld] = await Promise.all([socketServer(), eventServer(), startSqld()]);
    for (const port of [http.port, sockets.port, events.port, Number(new URL(sqld.url).port)]) await secure(port);
    tunnel = new SSHTunnel({ ...sshd.config });
  });
  after(async () => {
    await tunnel?.disconnect();
    await Promise.all([...secured, http, sockets, events].map((server) => server?.close()));
    await sqld?.stop();
    await sshd?.stop();
    authority?.remove();
  });

  /** The URLs of a server by its name, which is the SSH server's to resolve: in plain text and over TLS. */
  const urlsOf = (port: number, scheme: string) => [
    [`${scheme}://localhost:${port}`, port] as const,
    [`${scheme}s://localhost:${securePorts.get(port)}`, securePorts.get(port)!] as const,
  ];

  /** Asserts that the SSH server was asked for the name, and for nothing that was resolved here. */
  async function assertTunnelled(port: number, from: number): Promise<void> {
    await eventually(() => sshd.log.slice(from).includes(`target localhost port ${port}`));
  }

  test('a request of HTTP', async (t) => {
    for (const [url, port] of urlsOf(http.port, 'http')) {
      const from = sshd.log.length;
      const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel }));
      assert.equal((await connection.request({})).text(), `GET localhost:${port}`);
      await assertTunnelled(port, from);
      assert.equal(tunnel.stats().channels, 1);
      await connection.disconnect();
      await eventually(() => tunnel.stats().channels === 0);
    }
  });

  test('a WebSocket', async (t) => {
    for (const [url, port] of urlsOf(sockets.port, 'ws')) {
      const from = sshd.log.length;
      const connection = closeAfter(t, new WebSocketConnection({ ...quiet, url, tunnel }));
      assert.equal(await connection.connect(), true, connection.getStatus().lastError);
      await connection.send({ through: 'it' });
      assert.deepEqual(await connection.receive(), { through: 'it' });
      await assertTunnelled(port, from);
      await connection.disconnect();
    }
  });

  test('an event stream', async (t) => {
    for (const [url, port] of urlsOf(events.port, 'http')) {
      const from = sshd.log.length;
      const connection = closeAfter(t, new SSEConnection({ ...quiet, url, tunnel }));
      assert.equal(await connection.connect(), true, connection.getStatus().lastError);
      events.send('data: through it\n\n');
      assert.equal((await connection.receive())?.data, 'through it');
      await assertTunnelled(port, from);
      await connection.disconnect();
      await eventually(() => events.streams.length === 0);
    }
  });

  test('a pool of a libSQL server', async () => {
    for (const [url, port] of urlsOf(Number(new URL(sqld.url).port), 'http')) {
      const from = sshd.log.length;
      const pool = new TursoPool({ url, tunnel, poolSize: 3 });
      const rows = await Promise.all([1, 2, 3].map((n) => pool.execute('SELECT ? AS n', [n])));
      assert.deepEqual(
        rows.map(({ rows: [row] }) => row!['n']),
        [1, 2, 3],
      );
      await assertTunnelled(port, from);
      assert.match(inspect(pool, { depth: 3 }), /tunnel: SSHTunnel \{/);
      await pool.drain();
    }
  });

  test('pools that dial directly and through a tunnel share no connection', async () => {
    const direct = new TursoPool({ url: sqld.url });
    await direct.execute('SELECT 1');
    const from = sshd.log.length;
    const tunnelled = new TursoPool({ url: sqld.url, tunnel });
    await tunnelled.execute('SELECT 1');
    await eventually(() => sshd.log.slice(from).includes(`target 127.0.0.1 port ${new URL(sqld.url).port}`));
    await Promise.all([direct.drain(), tunnelled.drain()]);
  });

  test('a certificate must be for the name of the URL', async (t) => {
    const url = `https://127.0.0.1:${securePorts.get(http.port)}`;
    const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel }));
    await assert.rejects(connection.request({}), { kind: 'tls' });
  });

  test('no address is refused, at any security level', async (t) => {
    for (const securityLevel of ['basic', 'enhanced', 'maximum'] as const) {
      const [, [url]] = urlsOf(http.port, 'http') as [unknown, [string, number]];
      const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel, securityLevel }));
      assert.equal((await connection.request({})).status, 200);
    }
  });

  test('what the far end cannot reach is a refused connection, and the session goes on', async (t) => {
    await tunnel.connect();
    const { reconnects } = tunnel.stats();
    const connection = closeAfter(t, new HTTPConnection({ ...quiet, url: 'http://127.0.0.1:1', tunnel }));
    await assert.rejects(connection.request({}), (error: MoorlineError) => {
      assert.deepEqual([error.kind, error.code, error.delivery], ['connect', 'ECONNREFUSED', 'none']);
      assert.deepEqual([error.detail?.phase, error.detail?.['port']], ['tunnel', 1]);
      return true;
    });
    assert.deepEqual([tunnel.isConnectedToTunnel(), tunnel.stats().reconnects], [true, reconnects]);
  });

  test('a tunnel that is lost is connected again by whoever needs it', async (t) => {
    const own = new SSHTunnel({ ...sshd.config, retryDelay: 20 });
    try {
      const [[url]] = urlsOf(http.port, 'http') as [[string, number]];
      const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel: own }));
      assert.equal((await connection.request({})).status, 200, 'the first one connects');
      const lost = new Promise((resolve) => own.once('error', resolve));
      sshd.cutSessions();
      await lost;
      assert.equal((await connection.request({})).status, 200);
      await own.disconnect();
      await assert.rejects(connection.request({}), { kind: 'closed' });
      const stranger = new SSHTunnel({ ...sshd.config, sshKeyPath: sshd.makeKey('stranger') });
      const refused = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel: stranger }));
      await assert.rejects(refused.request({}), (error: MoorlineError) => {
        const { kind, service, detail } = error;
        assert.deepEqual([kind, service, detail?.phase], ['auth', 'http', 'tunnel']);
        assert.equal(detail?.['tunnelPhase'], 'authentication');
        return true;
      });
      await own.connect();
      assert.equal((await connection.request({})).status, 200);
    } finally {
      await own.disconnect();
    }
  });

  test('ten sockets at once never share a channel', async () => {
    const echo = await startServer(
      createServer((socket) => socket.pipe(socket)),
      'tcp',
    );
    const own = new SSHTunnel({ ...sshd.config, remoteHost: '127.0.0.1', remotePort: echo.port, localPort: 0 });
    try {
      await own.connect();
      const bytes = Array.from({ length: 10 }, (_, n) => String(n).repeat(200_000));
      const echoed = bytes.map(async (sent) => {
        const socket = connect(own.localPort!, '127.0.0.1');
        for (let at = 0; at < sent.length; at += 50_000) socket.write(sent.slice(at, at + 50_000));
        await eventually(() => echo.acceptedConnections() === 10);
        assert.ok(own.stats().channels <= 10);
        socket.end();
        return text(socket);
      });
      assert.deepEqual(await Promise.all(echoed), bytes);
      assert.equal(echo.acceptedConnections(), 10, 'a channel each');
      await eventually(() => own.stats().channels === 0);
    } finally {
      await own.disconnect();
      await echo.close();
    }
  });

  test('a hundred sockets are as many sessions as maxPoolSize says', async (t) => {
    const own = new SSHTunnel({ ...sshd.config, maxPoolSize: 20 });
    try {
      const [[url]] = urlsOf(sockets.port, 'ws') as [[string, number]];
      const config = { ...quiet, url, tunnel: own };
      const all = Array.from({ length: 100 }, () => closeAfter(t, new WebSocketConnection(config)));
      assert.ok((await Promise.all(all.map((one) => one.connect()))).every(Boolean));
      assert.deepEqual([own.stats().channels, own.stats().sessions], [100, 5]);
      await Promise.all(all.map((one, n) => one.send({ n })));
      const received = await Promise.all(all.map((one) => one.receive()));
      assert.deepEqual(
        received,
        all.map((_, n) => ({ n })),
      );
    } finally {
      await own.disconnect();
    }
  });

  test('requests that find no room wait for it, and no unused connection holds it', async (t) => {
    const own = new SSHTunnel({ ...sshd.config, maxPoolSize: 2, maxSessions: 1 });
    t.after(() => own.disconnect());
    const [[url]] = urlsOf(http.port, 'http') as [[string, number]];
    const config = { ...quiet, url, tunnel: own, maxConnections: 10, timeout: 10_000 };
    const connections = [1, 2].map(() => closeAfter(t, new HTTPConnection(config)));
    const requests = connections.flatMap((one) => Array.from({ length: 20 }, () => one.request({})));
    const answers = await Promise.all(requests);
    assert.ok(answers.every(({ status }) => status === 200));
    assert.deepEqual([own.stats().waiting, own.stats().sessions], [0, 1]);
    // One that was unused before makes room, too.
    const narrow = new SSHTunnel({ ...sshd.config, maxPoolSize: 1, maxSessions: 1 });
    t.after(() => narrow.disconnect());
    for (const one of [1, 2, 3].map(() => new HTTPConnection({ ...config, tunnel: narrow }))) {
      assert.equal((await closeAfter(t, one).request({})).status, 200);
      assert.equal(narrow.stats().channels, 1);
    }
  });

  test('a session that is lost takes its own channels alone', async (t) => {
    const own = new SSHTunnel({ ...sshd.config, maxPoolSize: 2 });
    t.after(() => own.disconnect());
    const events: object[] = [];
    own.on('destroy', ({ openSessions, error }) => events.push({ openSessions, code: error.code }));
    own.on('error', (error) => events.push(error));
    // The session of the tunnel of the other tests ends first.
    await tunnel.disconnect();
    await eventually(() => sshd.sessionProcesses().length === 0);
    const config = { ...quiet, url: `ws://localhost:${sockets.port}`, tunnel: own, autoReconnect: false };
    const all = Array.from({ length: 4 }, () => closeAfter(t, new WebSocketConnection(config)));
    assert.ok((await Promise.all(all.map((one) => one.connect()))).every(Boolean));
    assert.deepEqual([own.stats().channels, own.stats().sessions], [4, 2]);
    sshd.cutSession();
    const connected = async () => {
      const states = await Promise.all(all.map((one) => one.isConnected()));
      return all.filter((_, n) => states[n]);
    };
    await eventually(async () => events.length === 1 && (await connected()).length === 2);
    const left = await connected();
    await Promise.all(left.map((one, n) => one.send({ n })));
    const received = await Promise.all(left.map((one) => one.receive()));
    assert.deepEqual(received, [{ n: 0 }, { n: 1 }]);
    assert.deepEqual(events, [{ openSessions: 1, code: 'ECONNRESET' }]);
    assert.deepEqual([own.stats().channels, own.stats().sessions, own.stats().reconnects], [2, 1, 0]);
    assert.equal(own.isConnectedToTunnel(), true);
  });

  test('nothing listens, unless a local port is asked for', async (t) => {
    const before = listeningPorts();
    const [[url]] = urlsOf(http.port, 'http') as [[string, number]];
    const own = new SSHTunnel({ ...sshd.config, remotePort: http.port });
    const connection = closeAfter(t, new HTTPConnection({ ...quiet, url, tunnel: own }));
    await connection.request({});
    assert.equal(own.isConnectedToTunnel(), true);
    assert.deepEqual(listeningPorts(), before);
    await own.disconnect();
    const local = new SSHTunnel({ ...sshd.config, remotePort: http.port, localPort: 0 });
    await local.connect();
    assert.deepEqual(listeningPorts(), [...before, local.localPort!].sort());
    await local.disconnect();
    assert.deepEqual(listeningPorts(), before);
  });

  test('what excludes a tunnel is refused by its name', () => {
    const url = 'http://127.0.0.1:1';
    const proxy = 'http://127.0.0.1:2';
    for (const Connection of [HTTPConnection, WebSocketConnection, SSEConnection]) {
      const withProxy = { message: 'options.tunnel cannot be given with proxy', name: 'TypeError' };
      assert.throws(() => new Connection({ url, tunnel, proxy }), withProxy);
      const wrong = /^TypeError.*: options\.tunnel must be an SSHTunnel, got an object/;
      assert.throws(() => new Connection({ url, tunnel: {} as SSHTunnel }), wrong);
    }
    // What has no such option says so.
    const unknown = /^TypeError.*tunnel is not a known option/;
    assert.throws(() => new NixtlaClient({ apiKey: 'k', tunnel } as never), unknown);
    assert.throws(() => createClient({ url, tunnel } as never), unknown);
    for (const file of [':memory:', 'file:local.db']) {
      assert.throws(
        () => new TursoPool({ url: file, tunnel }),
        /^TypeError.*: options\.tunnel needs the URL of a server/,
      );
    }
    assert.throws(
      () => new TursoPool({ url, tunnel: 7 as never }),
      /^TypeError.*: options\.tunnel must be an SSHTunnel/,
    );
  });

  test('a configuration keeps its tunnel, and shows none of its secrets', async (t) => {
    const configs = new ConnectionConfigManager({});
    const own = new SSHTunnel({ ...sshd.config, password: 'hunter2-hunter2' });
    configs.set('http', { ...quiet, url: http.url, tunnel: own });
    const config = configs.get('http');
    assert.equal(config.tunnel, own);
    assert.doesNotMatch(inspect(config, { depth: 9 }) + JSON.stringify(config), /hunter2/);
    const connection = closeAfter(t, new HTTPConnection(config));
    assert.equal((await connection.request({})).status, 200);
    assert.equal(own.stats().channels, 1);
    await own.disconnect();
  });
});
