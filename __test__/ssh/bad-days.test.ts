// Servers of OpenSSH that refuse, cut or change, and files of known hosts that cannot be used: each its own error, nothing hangs,
// and no secret is told.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { inspect } from 'node:util';

import { HTTPConnection, type LogRecord, MoorlineError, setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import { closeAfter } from '../support/connections';
import { type Binary, debianBinary, skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { type RunningServer, serve, startServer } from '../support/http';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const SECRET = 'hunter2-hunter2';
const agent = debianBinary('ssh-agent', 'openssh-client');
const add = debianBinary('ssh-add', 'openssh-client');
const keygen = debianBinary('ssh-keygen', 'openssh-client');
const skip = skipWithoutSshd() || skipWithout(agent, add, keygen);

describe('bad days of a tunnel', { skip, timeout: 240_000, concurrency: 3 }, () => {
  let http: RunningServer;
  /** What was logged, and told of failures. */
  const told: unknown[] = [];

  before(async () => {
    const write = (record: LogRecord) => void told.push(record);
    setLogger({ debug: write, info: write, warn: write, error: write });
    http = await serve((_, response) => response.end('reached'));
  });
  after(async () => {
    setLogger(undefined);
    await http?.close();
    const text = inspect(told, { depth: 9, maxArrayLength: null, maxStringLength: null });
    assert.match(text, /ERR_SSH_AUTH_REFUSED/);
    assert.doesNotMatch(text, /hunter2|PRIVATE KEY/);
  });

  async function start(t: TestContext, ...settings: string[]): Promise<Sshd> {
    const sshd = await Sshd.start(...settings);
    undoAfter(t, () => sshd.stop());
    return sshd;
  }

  /** One whose credentials, errors and logs are looked at afterwards. */
  function open(t: TestContext, config: TunnelConfig): SSHTunnel {
    const tunnel = new SSHTunnel({
      maxRetries: 10_000,
      retryDelay: 10,
      password: SECRET,
      connectTimeoutMs: 5000,
      ...config,
    });
    tunnel.on('error', (error) => told.push(error));
    told.push(tunnel);
    undoAfter(t, () => tunnel.disconnect());
    return tunnel;
  }

  async function refusal(attempt: Promise<unknown>): Promise<MoorlineError> {
    const error: unknown = await attempt.then(
      () => assert.fail('it succeeded'),
      (error: unknown) => error,
    );
    assert.ok(error instanceof MoorlineError, String(error));
    told.push(error);
    return error;
  }

  const codeOf = async (attempt: Promise<unknown>) => {
    const { kind, code } = await refusal(attempt);
    return `${kind} ${code}`;
  };

  /** The codes of the `error` events of a tunnel. */
  function recordCodes(tunnel: SSHTunnel): string[] {
    const codes: string[] = [];
    tunnel.on('error', ({ code }) => codes.push(code));
    return codes;
  }

  const through = (t: TestContext, tunnel: SSHTunnel, url = http.url) =>
    closeAfter(t, new HTTPConnection({ url, tunnel, monitoring: false, autoRetry: false, circuitBreaker: false }));

  test('what is no SSH server is named, and one that says nothing is given up in time', async (t) => {
    const say = async (bytes: string | Buffer, connectTimeoutMs = 10_000) => {
      const server = await startServer(createServer((socket) => socket.on('error', () => undefined).write(bytes)));
      undoAfter(t, () => server.close());
      const config = { sshHost: '127.0.0.1', sshPort: server.port, sshUsername: 'alice' } as const;
      return refusal(open(t, { ...config, hostKeyVerification: 'insecure', connectTimeoutMs }).connect());
    };
    const banners = [Buffer.alloc(1 << 20, 'x'), Buffer.from([22, 3, 1, 0, 255]), 'HTTP/1.1 400 Bad Request\r\n\r\n'];
    for (const banner of banners) assert.equal((await say(banner)).code, 'ERR_SSH_VERSION');
    const began = performance.now();
    const { kind, code, message } = await say('', 300);
    assert.deepEqual([kind, code], ['connect', 'ETIMEDOUT']);
    assert.match(message, /connectTimeoutMs/);
    assert.ok(performance.now() - began < 2000);
  });

  test('a server without an algorithm of ours is told which', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-rsa-'));
    undoAfter(t, () => rmSync(directory, { recursive: true }));
    const { path, env } = keygen as Binary;
    execFileSync(path, ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', join(directory, 'rsa')], { env });
    const table: [algorithm: string, ...settings: string[]][] = [
      ['key exchange method', 'KexAlgorithms diffie-hellman-group1-sha1'],
      ['cipher', 'Ciphers aes256-cbc'],
      // RSA with SHA-1.
      ['host key algorithm', `HostKey ${join(directory, 'rsa')}`, 'HostKeyAlgorithms ssh-rsa'],
    ];
    for (const [algorithm, ...settings] of table) {
      const sshd = await start(t, ...settings);
      const error = await refusal(open(t, sshd.config).connect());
      assert.deepEqual([error.kind, error.code], ['protocol', 'ERR_SSH_NO_COMMON_ALGORITHM']);
      assert.equal(error.detail?.['algorithm'], algorithm);
    }
  });

  test('MaxStartups', async (t) => {
    const sshd = await start(t, 'MaxStartups 1');
    const stranger = await eventually(() => greeted(sshd.port), 10_000);
    undoAfter(t, () => stranger.destroy());
    const tunnel = open(t, sshd.config);
    assert.equal(await codeOf(tunnel.connect()), 'connect ECONNRESET');
    stranger.destroy();
    await eventually(() => tunnel.connect().then(() => true), 10_000);
  });

  test('MaxAuthTries, and an agent with twenty keys', async (t) => {
    const sshd = await start(t);
    const socket = sshd.path('agent');
    await startAgent(t, socket);
    const keys = Array.from({ length: 20 }, (_, index) => sshd.makeKey(`agent-${index}`));
    const { path, env } = add as Binary;
    execFileSync(path, keys, { env: { ...env, SSH_AUTH_SOCK: socket }, stdio: 'pipe' });
    const { sshKeyPath, ...config } = sshd.config;
    const error = await refusal(open(t, { ...config, agent: socket, password: undefined }).connect());
    assert.deepEqual([error.kind, error.code], ['auth', 'ERR_SSH_AUTH_REFUSED'], error.message);
    // The key that is named comes first.
    await open(t, { ...config, agent: socket, sshKeyPath }).connect();
  });

  test('ClientAliveInterval keeps an idle tunnel, and cuts one that does not answer', async (t) => {
    const sshd = await start(t, 'ClientAliveInterval 1', 'ClientAliveCountMax 1', 'LogLevel DEBUG1');
    const proxy = await FaultProxy.start(sshd.port);
    undoAfter(t, () => proxy.close());
    const tunnel = open(t, { ...sshd.config, sshPort: proxy.port });
    await tunnel.connect();
    const codes = recordCodes(tunnel);
    const asked = () => sshd.log.split('for keepalive').length - 1;
    await eventually(() => asked() > 1, 20_000);
    assert.deepEqual([codes, tunnel.stats().reconnects], [[], 0]);
    proxy.set({ kind: 'black-hole' });
    await eventually(() => sshd.sessionProcesses().length === 0, 20_000);
    proxy.set({ kind: 'none' });
    await eventually(() => tunnel.stats().reconnects === 1, 10_000);
    assert.deepEqual(codes, ['ECONNRESET']);
  });

  test('a host key that changes while it is connected ends the attempts', async (t) => {
    const sshd = await start(t);
    const proxy = await FaultProxy.start(sshd.port);
    undoAfter(t, () => proxy.close());
    const knownHosts = sshd.file('known_hosts', line(sshd, proxy.port));
    const tunnel = open(t, { ...sshd.config, sshPort: proxy.port, hostKeyFingerprint: undefined, knownHosts });
    await tunnel.connect();
    const codes = recordCodes(tunnel);
    sshd.makeKey('host');
    await sshd.kill();
    await sshd.listen();
    await eventually(() => codes.length === 2, 20_000);
    assert.deepEqual(codes, ['ECONNRESET', 'ERR_SSH_HOST_KEY_CHANGED']);
    await assertNotAskedAgain(t, proxy, tunnel, 'auth ERR_SSH_HOST_KEY_CHANGED');
    assert.doesNotMatch(sshd.log.slice(sshd.log.lastIndexOf('Server listening')), /publickey|password/);
    sshd.file('known_hosts', line(sshd, proxy.port));
    await tunnel.connect();
    assert.equal((await through(t, tunnel).request({})).text(), 'reached');
  });

  test('a key that is revoked while it is connected serves until the session is lost', async (t) => {
    const sshd = await start(t);
    const proxy = await FaultProxy.start(sshd.port);
    undoAfter(t, () => proxy.close());
    const tunnel = open(t, { ...sshd.config, sshPort: proxy.port });
    await tunnel.connect();
    const codes = recordCodes(tunnel);
    const authorized = sshd.read('authorized_keys');
    sshd.file('authorized_keys', '');
    assert.equal((await through(t, tunnel).request({})).text(), 'reached');
    sshd.cutSessions();
    await eventually(() => codes.length === 2, 20_000);
    assert.deepEqual(codes, ['ECONNRESET', 'ERR_SSH_AUTH_REFUSED']);
    await assertNotAskedAgain(t, proxy, tunnel, 'auth ERR_SSH_AUTH_REFUSED');
    sshd.file('authorized_keys', authorized);
    await tunnel.connect();
    assert.equal((await through(t, tunnel).request({})).text(), 'reached');
  });

  /** What needs the tunnel is refused, without a connection to the server. */
  async function assertNotAskedAgain(
    t: TestContext,
    proxy: FaultProxy,
    tunnel: SSHTunnel,
    refused: string,
  ): Promise<void> {
    const before = proxy.accepted;
    const http = through(t, tunnel);
    for (let time = 0; time < 20; time++) assert.equal(await codeOf(http.request({})), refused);
    assert.equal(proxy.accepted, before);
    assert.equal(tunnel.isConnectedToTunnel(), false);
  }

  test('a channel that is refused again and again leaves nothing', async (t) => {
    const sshd = await start(t, `PermitOpen 127.0.0.1:${http.port}`);
    const tunnel = open(t, sshd.config);
    const refused = through(t, tunnel, 'http://127.0.0.1:1');
    for (let round = 0; round < 20; round++) {
      const codes = await Promise.all(Array.from({ length: 10 }, () => codeOf(refused.request({}))));
      assert.deepEqual(new Set(codes), new Set(['rejected ERR_SSH_OPEN_PROHIBITED']));
    }
    const { channels, openingChannels, sessions, reconnects } = tunnel.stats();
    assert.deepEqual([channels, openingChannels, sessions, reconnects], [0, 0, 1, 0]);
    assert.equal((await through(t, tunnel).request({})).text(), 'reached');
  });

  test('a target that reads nothing holds its own upload up alone', async (t) => {
    const sshd = await start(t);
    const deaf = await startServer(createServer({ pauseOnConnect: true }), 'http');
    const tunnel = open(t, sshd.config);
    const body = Buffer.alloc(64 << 20);
    const upload = codeOf(through(t, tunnel, deaf.url).request({ method: 'POST', body, timeoutMs: 1500 }));
    await eventually(() => tunnel.stats().sentBytes > 1 << 20);
    const other = through(t, tunnel);
    for (let time = 0; time < 50; time++) assert.equal((await other.request({})).text(), 'reached');
    assert.equal(tunnel.stats().sessions, 1);
    assert.equal(await upload, 'timeout ETIMEDOUT');
    assert.ok(tunnel.stats().sentBytes < body.length / 2, `${tunnel.stats().sentBytes} bytes were sent`);
    // sshd closes the channel once the target has taken, or refused, what was sent.
    await deaf.close();
    await eventually(() => tunnel.stats().channels === 1);
  });

  test('a file of known hosts that is a directory, cannot be read or is long', async (t) => {
    const sshd = await start(t);
    const config = { ...sshd.config, hostKeyFingerprint: undefined };
    const known = sshd.file('known_hosts', line(sshd));
    for (const knownHosts of [sshd.directory, `${known}/inside`]) {
      const { code, message } = await refusal(open(t, { ...config, knownHosts }).connect());
      assert.equal(code, 'ERR_SSH_HOST_KEY_UNKNOWN');
      assert.ok(message.includes(knownHosts), message);
    }
    const hashed = (index: number) => {
      const part = Buffer.alloc(20, `${index}`).toString('base64');
      return `|1|${part}|${part} ${sshd.read('user.pub')}`;
    };
    const lines = Array.from({ length: 10_000 }, (_, index) => hashed(index));
    const long = sshd.file('long', [...lines, line(sshd)].join(''));
    await open(t, { ...config, knownHosts: [sshd.directory, long] }).connect();
    const without = sshd.file('without', lines.join(''));
    assert.equal(await codeOf(open(t, { ...config, knownHosts: without }).connect()), 'auth ERR_SSH_HOST_KEY_UNKNOWN');
  });
});

const undos = new WeakMap<TestContext, (() => unknown)[]>();

/** Has something undone after a test, the last one first. */
function undoAfter(t: TestContext, undo: () => unknown): void {
  let all = undos.get(t);
  if (!all) {
    undos.set(t, (all = []));
    t.after(async () => {
      for (const one of undos.get(t)!.reverse()) await one();
    });
  }
  all.push(undo);
}

/** The line of a file of known hosts for a server. */
const line = (sshd: Sshd, port = sshd.port) => `[127.0.0.1]:${port} ${sshd.read('host.pub')}`;

/** A connection that the server counts, since it was not logged in; none if it was refused. */
async function greeted(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  const [banner] = (await once(socket, 'data')) as [Buffer];
  return banner.toString().startsWith('SSH-') ? socket : undefined;
}

async function startAgent(t: TestContext, socket: string): Promise<void> {
  const { path, env } = agent as Binary;
  const child: ChildProcess = spawn(path, ['-D', '-a', socket], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  undoAfter(t, () => child.kill());
  await once(child.stdout!, 'data');
}
