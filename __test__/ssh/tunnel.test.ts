// A tunnel against OpenSSH's own server: its life, its events, its losses.
import assert from 'node:assert/strict';
import { createServer, connect as connectSocket } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import { HealthMonitor, MoorlineError, SSHTunnel, type TunnelConfig } from 'moorline';

import { eventually } from '../support/eventually';
import { type RunningServer, startServer } from '../support/http';
import { freePort } from '../support/ports';
import { skipWithoutSshd, Sshd } from '../support/sshd';

describe('a tunnel', { skip: skipWithoutSshd(), timeout: 120_000 }, () => {
  let sshd: Sshd;
  let tunnels: SSHTunnel[] = [];
  const open = (more: Partial<TunnelConfig> = {}) => {
    const tunnel = new SSHTunnel({ ...sshd.config, ...more });
    tunnels.push(tunnel);
    return tunnel;
  };

  before(async () => (sshd = await Sshd.start()));
  after(() => sshd.stop());
  afterEach(async () => {
    await Promise.all(tunnels.map((tunnel) => tunnel.disconnect()));
    tunnels = [];
  });

  test('it connects once for all who ask, and disconnects', async () => {
    const tunnel = open();
    const events: string[] = [];
    for (const name of ['open', 'close', 'state', 'retry', 'error'] as const) tunnel.on(name, () => events.push(name));
    assert.equal(tunnel.isConnectedToTunnel(), false);
    await Promise.all([tunnel.connect(), tunnel.connect()]);
    await tunnel.connect();
    assert.equal(tunnel.isConnectedToTunnel(), true);
    assert.equal(tunnel.stats().sessions, 1);
    assert.ok(tunnel.stats().receivedBytes > 0);
    assert.equal(tunnel.localPort, undefined);
    await Promise.all([tunnel.disconnect(), tunnel.disconnect()]);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    await tunnel.disconnect();
    await eventually(() => events.length === 4);
    assert.deepEqual(events, ['state', 'open', 'state', 'close']);
    await tunnel.connect();
    assert.equal(tunnel.isConnectedToTunnel(), true);
  });

  test('events are records, and other names are the user’s own', async () => {
    const tunnel = open();
    const opened = new Promise<object>((resolve) => tunnel.once('open', resolve));
    await tunnel.connect();
    const { timestamp, ...facts } = (await opened) as { timestamp: number };
    assert.ok(Math.abs(Date.now() - timestamp) < 60_000);
    assert.deepEqual(facts, { service: 'ssh', name: `127.0.0.1:${sshd.port}` });
    const seen: unknown[] = [];
    tunnel.on('tunnelError', (error: Error, extra: number) => seen.push(error.message, extra));
    tunnel.emit('tunnelError', new Error('mine'), 1);
    assert.deepEqual(seen, ['mine', 1]);
  });

  test('a loss is told by its code, and healed; connect() from the handler starts nothing twice', async () => {
    const tunnel = open({ retryDelay: 20 });
    await tunnel.connect();
    const errors: MoorlineError[] = [];
    const reconnects: (number | undefined)[] = [];
    const joined: Promise<void>[] = [];
    tunnel.on('error', (error) => {
      errors.push(error);
      joined.push(tunnel.connect());
    });
    tunnel.on('open', ({ attempts }) => reconnects.push(attempts));
    sshd.cutSessions();
    await eventually(() => reconnects.length === 1, 20_000);
    await Promise.all(joined);
    assert.deepEqual([errors.length, joined.length, reconnects], [1, 1, [1]]);
    assert.ok(errors[0] instanceof MoorlineError);
    const { code, service, operation } = errors[0];
    assert.deepEqual([code, service, operation], ['ECONNRESET', 'ssh', 'session']);
    assert.deepEqual([tunnel.stats().sessions, tunnel.stats().reconnects], [1, 1]);
  });

  test('a loss that nobody listens for throws nothing', async () => {
    const tunnel = open();
    await tunnel.connect();
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.equal(tunnel.isConnectedToTunnel(), true);
  });

  test('after maxRetries it waits for a connect(), which connects again', async () => {
    const own = await Sshd.start();
    try {
      const tunnel = open({ ...own.config, maxRetries: 2, retryDelay: 10 });
      await tunnel.connect();
      const payloads: unknown[][] = [];
      tunnel.on('maxRetriesExceeded', (...args) => payloads.push(args));
      await own.kill();
      await eventually(() => payloads.length === 1, 20_000);
      assert.deepEqual(payloads, [[]]);
      assert.equal(tunnel.isConnectedToTunnel(), false);
      await assert.rejects(tunnel.connect(), (error: MoorlineError) => {
        assert.equal(error.message, 'Failed to reconnect after maximum retries');
        assert.deepEqual([error.code, error.service, error.operation], ['ECONNREFUSED', 'ssh', 'connect']);
        assert.match((error.cause as Error).message, /could not connect to 127\.0\.0\.1:/);
        return true;
      });
      await own.listen();
      await tunnel.connect();
      assert.equal(tunnel.isConnectedToTunnel(), true);
    } finally {
      await own.stop();
    }
  });

  test('a server that refuses connections, and a host or user that is refused, are told apart', async () => {
    const nobody = open({ sshPort: await freePort() });
    await assert.rejects(nobody.connect(), { kind: 'connect', code: 'ECONNREFUSED' });
    const stranger = open({ sshKeyPath: sshd.makeKey('stranger') });
    await assert.rejects(stranger.connect(), { kind: 'auth' });
    const imposter = open({ hostKeyFingerprint: `SHA256:${'A'.repeat(43)}` });
    const before = sshd.log.length;
    await assert.rejects(imposter.connect(), (error: MoorlineError) => {
      assert.equal(error.kind, 'auth');
      assert.match(error.message, /SHA256:/);
      return true;
    });
    assert.doesNotMatch(sshd.log.slice(before), /publickey/, 'nothing of the user was sent');
    await assert.rejects(open({ sshKeyPath: '/nowhere/id' }).connect(), {
      name: 'TypeError',
      message: 'SSH key file not found at path: /nowhere/id',
    });
    const noKey = sshd.file('no-key', 'nothing');
    await assert.rejects(open({ sshKeyPath: noKey }).connect(), (error: Error) => {
      assert.equal(error.name, 'TypeError');
      assert.ok(error.message.includes(noKey), error.message);
      return true;
    });
  });

  test('mistakes in options name them, and show no secret', () => {
    const config = { ...sshd.config, passphrase: 'hunter2-hunter2' };
    const mistake = (more: object, expected: RegExp) => {
      assert.throws(
        () => new SSHTunnel({ ...config, ...more }),
        (error: Error) => {
          assert.ok(error instanceof TypeError || error instanceof RangeError);
          assert.match(error.message, expected);
          assert.doesNotMatch(error.message, /hunter2/);
          return true;
        },
      );
    };
    mistake({ sshHots: 'x' }, /^options\.sshHots is not a known option; did you mean 'sshHost'\?/);
    mistake({ jumpHosts: [{ ...config, sshHost: 'b', pasword: '' }] }, /^options\.jumpHosts\[0\]\.pasword .*password/);
    mistake({ sshPort: 0 }, /^options\.sshPort must be .*1.*65535, got 0/);
    mistake({ sshPort: 70_000 }, /^options\.sshPort must be /);
    mistake({ sshHost: undefined }, /^options\.sshHost must be a string, got undefined/);
    mistake({ sshKeyPath: undefined, passphrase: undefined }, /^options\.sshKeyPath or another credential/);
    mistake({ jumpHosts: [config] }, /^options\.jumpHosts\[0\] is the target itself/);
    mistake({ profile: 'staging' }, /^options\.profile must be 'development' or 'production'/);
    mistake({ localPort: 0 }, /^options\.localPort needs remotePort/);
    for (const bad of [undefined, null, 'host', []]) assert.throws(() => new SSHTunnel(bad as never), TypeError);
  });

  test('options() shows what is in force, and no secret', () => {
    const secrets = { passphrase: 'hunter2-hunter2', password: () => 'hunter2-hunter2' };
    const tunnel = open({ ...secrets, healthCheckInterval: Infinity, maxRetries: 7 });
    const { sshHost, sshPort, passphrase, password, maxRetries, healthCheckInterval, ...rest } = tunnel.options();
    assert.deepEqual(
      [sshHost, sshPort, passphrase, password, maxRetries, healthCheckInterval],
      ['127.0.0.1', sshd.port, '[redacted]', '[redacted]', 7, Infinity],
    );
    assert.deepEqual([rest.maxPoolSize, rest.maxSessions, rest.jumpHosts], [10, 10, []]);
    assert.doesNotMatch(inspect(tunnel, { depth: 9 }) + JSON.stringify(tunnel), /hunter2/);
    assert.match(inspect(tunnel), /^SSHTunnel \{/);
  });

  test('a passphrase is given as a text or by a function, which is asked before each attempt', async () => {
    const sshKeyPath = sshd.makeKey('locked', 'open sesame');
    sshd.file('authorized_keys', sshd.read('user.pub') + sshd.read('locked.pub'));
    await open({ sshKeyPath, passphrase: 'open sesame' }).connect();
    const asked: unknown[] = [];
    const passphrase = async (request: unknown) => {
      asked.push(request);
      if (asked.length === 1) throw new Error('the vault is closed');
      return Buffer.from('open sesame');
    };
    const tunnel = open({ sshKeyPath, passphrase });
    await assert.rejects(tunnel.connect(), (error: Error) => {
      assert.match(error.message, /options\.passphrase/);
      assert.equal((error.cause as Error).message, 'the vault is closed');
      return true;
    });
    await tunnel.connect();
    assert.deepEqual(asked[1], { host: '127.0.0.1', username: sshd.username });
    await assert.rejects(open({ sshKeyPath, passphrase: 'wrong' }).connect(), { kind: 'auth' });
    await assert.rejects(open({ sshKeyPath, passphrase: (() => 7) as never }).connect(), TypeError);
  });

  test('a health monitor takes it as a check', async () => {
    const tunnel = open();
    const monitor = new HealthMonitor();
    monitor.register('tunnel', () => tunnel);
    assert.equal((await monitor.check('tunnel')).healthy, false);
    await tunnel.connect();
    assert.equal((await monitor.check('tunnel')).healthy, true);
    assert.ok(tunnel.stats().roundTripMs! > 0);
  });

  test('a local port leads to the remote one, and is closed while the tunnel is', async () => {
    const echo: RunningServer = await startServer(
      createServer((socket) => socket.pipe(socket)),
      'tcp',
    );
    try {
      const tunnel = open({ remotePort: echo.port, remoteHost: '127.0.0.1', localPort: 0 });
      assert.equal(tunnel.localPort, undefined);
      await tunnel.connect();
      const port = tunnel.localPort!;
      const socket = connectSocket(port, '127.0.0.1');
      socket.end('through the tunnel');
      assert.equal(await text(socket), 'through the tunnel');
      await tunnel.disconnect();
      assert.equal(tunnel.localPort, undefined);
      await tunnel.connect();
      assert.equal(tunnel.localPort, port);
    } finally {
      await echo.close();
    }
  });

  test('await using disconnects', async () => {
    const tunnel = open();
    await tunnel.connect();
    await tunnel[Symbol.asyncDispose]();
    assert.equal(tunnel.isConnectedToTunnel(), false);
  });
});
