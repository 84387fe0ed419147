// Host keys by known_hosts: the verdict of OpenSSH's client, and nothing of the user for a host that is refused.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';

import { type MoorlineError, setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import { skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';
import { skipWithoutSshd, Sshd } from '../support/sshd';
import { generateCases, type KnownHostsCase, seeded, type ServerName } from './known-hosts/cases';
import { askOpenSsh, type Opinion, sshClient, writeProxy } from './known-hosts/openssh';
import { Servers, startJumpHost } from './known-hosts/servers';

const SEED = 20_260_711;
const RANDOM_CASES = 16;
const VERDICTS: Record<string, Opinion['verdict']> = {
  ERR_SSH_HOST_KEY_UNKNOWN: 'unknown',
  ERR_SSH_HOST_KEY_CHANGED: 'changed',
  ERR_SSH_HOST_KEY_REVOKED: 'revoked',
};
/** What sshd logs when a client asks to log in, at `DEBUG`. */
const ASKED_TO_LOG_IN = /userauth-request/;
/** The last that it logs of a connection in which it heard of a user or sent keys. */
const CLOSED = /^debug1: do_cleanup$/m;

/** Connects once, and gives the error and what sshd has logged of it until the connection was closed. */
async function connectOnce(
  sshd: Sshd,
  config: TunnelConfig,
): Promise<{ error: MoorlineError | undefined; log: string }> {
  const from = sshd.log.length;
  const tunnel = new SSHTunnel(config);
  const error = await tunnel.connect().then(
    () => undefined,
    (reason: MoorlineError) => reason,
  );
  await tunnel.disconnect();
  await eventually(() => CLOSED.test(sshd.log.slice(from)), 20_000);
  return { error, log: sshd.log.slice(from) };
}

const skip = skipWithoutSshd() || skipWithout(sshClient) || peersMissing();

describe('known_hosts', { skip, timeout: 240_000 }, () => {
  const servers = new Servers();
  let jumpHost: Awaited<ReturnType<typeof startJumpHost>>;
  let target: ServerName = 'plain';
  let files = 0;

  before(async () => {
    setLogger({});
    jumpHost = await startJumpHost(() => servers.sshd(target).port);
    await servers.start();
  });
  after(async () => {
    setLogger(undefined);
    await Promise.all([servers.stop(), jumpHost?.server.close()]);
  });

  function write(index: number, { files }: KnownHostsCase): string[] {
    return files.map((text, file) => {
      const path = join(servers.directory, `known_hosts-${index}-${file}`);
      writeFileSync(path, text, 'latin1');
      return path;
    });
  }

  async function askTunnel({ server, host, port }: KnownHostsCase, knownHosts: string[]) {
    const sshd = servers.sshd(server);
    target = server;
    const { hostKeyFingerprint: _, ...config } = sshd.config;
    const to = { sshHost: host, sshPort: port, knownHosts, jumpHosts: [jumpHost.config] };
    const { error, log } = await connectOnce(sshd, { ...config, ...to });
    const verdict = error === undefined ? 'trusted' : (VERDICTS[error.code] ?? error.code);
    assert.equal(ASKED_TO_LOG_IN.test(log), verdict === 'trusted', `asked to log in: ${log}`);
    const algorithm = /kex: host key algorithm: (\S+)/.exec(log)?.[1];
    return { verdict, algorithm, message: error?.message ?? '' };
  }

  test('the verdict is that of OpenSSH’s client, and so is the key that is asked for', async () => {
    const cases = generateCases(servers.keys, RANDOM_CASES, seeded(SEED));
    assert.ok(cases.length >= 60);
    const seen = new Map<string, number>();
    const pairs = [...cases.entries()].map(([index, one]) => ({ one, files: write(index, one) }));
    const proxy = writeProxy(servers.directory);
    const theirs = await inTurns(3, pairs, ({ one, files }) =>
      askOpenSsh(one, files, proxy, servers.sshd(one.server).port),
    );
    // Each has logged all of them, before the log is read for ours.
    for (const name of new Set(cases.map(({ server }) => server))) {
      const count = cases.filter(({ server }) => server === name).length;
      await eventually(() => servers.sshd(name).log.split(CLOSED).length > count, 20_000);
    }
    for (const [index, { one, files }] of pairs.entries()) {
      const { verdict, algorithm, offending = '', output } = theirs[index]!;
      const ours = await askTunnel(one, files);
      const why = `${one.name}, at ${one.server} as ${one.host}:${one.port}, seed ${SEED}: ${ours.message}
${one.files.join('--- next file ---\n')}--- ssh ---\n${output}`;
      assert.deepEqual([ours.verdict, ours.algorithm], [verdict, algorithm], why);
      assert.ok(ours.message.includes(offending), why);
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }
    for (const verdict of ['trusted', 'unknown', 'changed', 'revoked'])
      assert.ok((seen.get(verdict) ?? 0) >= 5, verdict);
  });

  /** The plain server without a jump host, and a file of these lines, in which its name is `HOST`. */
  function direct(...lines: string[]): TunnelConfig {
    const sshd = servers.sshd('plain');
    const { hostKeyFingerprint: _, ...config } = sshd.config;
    const text = lines.join('\n').replaceAll('HOST', `[127.0.0.1]:${sshd.port}`);
    return { ...config, knownHosts: sshd.file(`known_hosts-${(files += 1)}`, `${text}\n`) };
  }

  test('a host that is unknown, changed or revoked is sent nothing of the user', async (t) => {
    const sshd = servers.sshd('plain');
    const agent = await startAgent(t, sshd.path('agent'));
    const asked: unknown[] = [];
    const keyboardInteractive = (prompts: unknown[]) => (asked.push(prompts), []);
    const credentials = { agent: sshd.path('agent'), password: 'hunter2-hunter2', keyboardInteractive };
    const { ed25519, ed25519Old } = servers.keys;
    const refused: [config: TunnelConfig, code: string][] = [
      [direct(`web.example.com ${ed25519}`), 'ERR_SSH_HOST_KEY_UNKNOWN'],
      [direct(`HOST ${ed25519Old}`), 'ERR_SSH_HOST_KEY_CHANGED'],
      [direct(`HOST ${ed25519}`, `@revoked * ${ed25519}`), 'ERR_SSH_HOST_KEY_REVOKED'],
      [{ ...sshd.config, hostKeyFingerprint: `SHA256:${'A'.repeat(43)}` }, 'ERR_SSH_HOST_KEY_MISMATCH'],
    ];
    for (const [config, code] of refused) {
      const { error, log } = await connectOnce(sshd, { ...config, ...credentials });
      assert.deepEqual([error?.kind, error?.code, error?.delivery], ['auth', code, 'none']);
      assert.match(error!.message, /SHA256:/);
      assert.match(log, /kex: host key algorithm/);
      assert.doesNotMatch(log, ASKED_TO_LOG_IN);
    }
    assert.deepEqual([asked.length, agent.connections], [0, 0]);
    const { error, log } = await connectOnce(sshd, { ...direct(`HOST ${ed25519}`), ...credentials });
    assert.equal(error, undefined);
    assert.match(log, ASKED_TO_LOG_IN);
  });

  test('the types of the keys that are known are asked for first', async () => {
    const { ed25519Old, ecdsa, ecdsaOld, rsa } = servers.keys;
    const expected: [lines: string[], algorithm: string, code?: string][] = [
      [[`HOST ${ecdsa}`], 'ecdsa-sha2-nistp256'],
      [[`HOST ${rsa}`], 'rsa-sha2-512'],
      [[`HOST ${ecdsa}`, `HOST ${rsa}`], 'ecdsa-sha2-nistp256'],
      [[`web ${ecdsa}`], 'ssh-ed25519', 'ERR_SSH_HOST_KEY_UNKNOWN'],
      [[`HOST ${ecdsaOld}`, `HOST ${rsa}`], 'ecdsa-sha2-nistp256', 'ERR_SSH_HOST_KEY_CHANGED'],
      [[`HOST ${ed25519Old}`, `HOST ${rsa}`], 'ssh-ed25519', 'ERR_SSH_HOST_KEY_CHANGED'],
    ];
    for (const [lines, algorithm, code] of expected) {
      const { error, log } = await connectOnce(servers.sshd('plain'), direct(...lines));
      const used = /kex: host key algorithm: (\S+)/.exec(log)?.[1];
      assert.deepEqual([used, error?.code], [algorithm, code], lines.join('\n'));
    }
  });

  test('the message for an unknown host has the line to add, for a changed one those that are known', async () => {
    const { ed25519, ed25519Old, rsaOld } = servers.keys;
    const sshd = servers.sshd('plain');
    const unknown = direct('# nothing yet');
    const { error } = await connectOnce(sshd, unknown);
    const line = error!.detail!['lineToAdd'] as string;
    assert.equal(line, `[127.0.0.1]:${sshd.port} ${ed25519}`);
    assert.ok(error!.message.includes(line));
    writeFileSync(unknown.knownHosts as string, `${line}\n`);
    assert.equal((await connectOnce(sshd, unknown)).error, undefined);
    const changed = direct('# x', `HOST ${rsaOld}`, `HOST ${ed25519Old}`);
    const { message } = (await connectOnce(sshd, changed)).error!;
    for (const number of [2, 3]) assert.ok(message.includes(`${changed.knownHosts as string}:${number}`), message);
  });

  test('files that are long, missing or no files', async () => {
    const { ed25519, ed25519Old } = servers.keys;
    const sshd = servers.sshd('plain');
    const others = Array.from({ length: 10_000 }, (_, index) => `host-${index}.example.com ${ed25519Old}`);
    const long = direct(...others, `HOST ${ed25519}`);
    assert.equal((await connectOnce(sshd, long)).error, undefined);
    const unread: [file: string, why: string][] = [
      [sshd.path('no-such-file'), `there is no file ${sshd.path('no-such-file')}`],
      [sshd.directory, `${sshd.directory} could not be read`],
    ];
    for (const [file, why] of unread) {
      const { error } = await connectOnce(sshd, { ...long, knownHosts: file });
      assert.equal(error?.code, 'ERR_SSH_HOST_KEY_UNKNOWN');
      assert.ok(error.message.includes(why), error.message);
      const both = { ...long, knownHosts: [file, long.knownHosts as string] };
      assert.equal((await connectOnce(sshd, both)).error, undefined);
    }
  });

  test('a host whose key changes while the tunnel connects again is refused, and not tried again', async (t) => {
    const sshd = await Sshd.start('LogLevel DEBUG');
    t.after(() => sshd.stop());
    const name = `[127.0.0.1]:${sshd.port}`;
    const { hostKeyFingerprint: _, ...config } = sshd.config;
    const knownHosts = sshd.file('known_hosts', `${name} ${sshd.read('host.pub')}`);
    const tunnel = new SSHTunnel({ ...config, knownHosts, retryDelay: 50, maxRetries: 8 });
    t.after(() => tunnel.disconnect());
    await tunnel.connect();
    const codes: string[] = [];
    // A handler that connects again at each error must not go round for ever.
    const joined: Promise<void>[] = [];
    tunnel.on('error', ({ code }) => {
      codes.push(code);
      if (joined.length > 5) return;
      joined.push(tunnel.connect());
      joined.at(-1)!.catch(() => undefined);
    });
    tunnel.on('maxRetriesExceeded', () => codes.push('maxRetriesExceeded'));
    const refused = new Promise<void>((resolve) => tunnel.on('state', ({ to }) => to === 'disconnected' && resolve()));
    await sshd.kill();
    sshd.makeKey('host');
    const from = sshd.log.length;
    await sshd.listen();
    await refused;
    await eventually(() => codes.length === 2);
    for (const connecting of joined) await assert.rejects(connecting, { code: 'ERR_SSH_HOST_KEY_CHANGED' });
    assert.doesNotMatch(sshd.log.slice(from), ASKED_TO_LOG_IN);
    await assert.rejects(tunnel.connect(), { kind: 'auth', code: 'ERR_SSH_HOST_KEY_CHANGED', retryable: false });
    sshd.file('known_hosts', `${name} ${sshd.read('host.pub')}`);
    await tunnel.connect();
    assert.deepEqual(codes, ['ECONNRESET', 'ERR_SSH_HOST_KEY_CHANGED']);
  });
});

/** An agent that answers nothing, and how often it was connected to. */
async function startAgent(t: TestContext, path: string): Promise<{ connections: number }> {
  const agent = { connections: 0 };
  const server = createServer((socket) => {
    agent.connections += 1;
    socket.destroy();
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return agent;
}

/** Does the work for each item, for `count` at a time. */
async function inTurns<T, R>(count: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const worker = async () => {
    for (const [index, item] of entries) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
  return results;
}
