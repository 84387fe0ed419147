// Every kind of credential logs in at OpenSSH's own server, and each way to fail has an error of its own.
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import { HTTPConnection, type MoorlineError, setLogger, SSHTunnel, type TunnelConfig } from 'moorline';

import { skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { type RunningServer, serve } from '../support/http';
import { skipWithoutSshd, Sshd, sshKeygen } from '../support/sshd';
import { Agent, sshAgent } from './logins/agent';
import { desFormats, keyFormats, makeKeys, PASSPHRASE, puttyFormats, puttygen } from './logins/keys';

/** What no error, log or printed tunnel may show. */
const SECRET = new RegExp(`${PASSPHRASE}|wrong-passphrase|PRIVATE KEY`);

const skip = skipWithoutSshd() || skipWithout(...sshAgent);

describe('logging in', { skip, timeout: 240_000 }, () => {
  let sshd: Sshd;
  let keys: Record<string, string>;
  const logged: string[] = [];

  before(async () => {
    const write = (...record: unknown[]) => void logged.push(inspect(record, { depth: 9 }));
    setLogger({ debug: write, info: write, warn: write, error: write });
    sshd = await Sshd.start('LogLevel DEBUG');
    keys = await makeKeys(sshd.directory);
    const all = Object.values(keys).map((path) => `${path}.pub`);
    sshd.file('authorized_keys', ['user.pub', ...all].map((name) => sshd.read(name.replace(/.*\//, ''))).join(''));
  });
  after(async () => {
    setLogger(undefined);
    await sshd?.stop();
  });

  /** Logs in once; what sshd has logged of it. */
  async function logIn(config: Partial<TunnelConfig>, at = sshd): Promise<string> {
    const { sshKeyPath: _, ...server } = at.config;
    const from = at.log.length;
    const tunnel = new SSHTunnel({ ...server, ...config });
    try {
      await tunnel.connect();
      const accepted = /^Accepted \S+ for .*$/m;
      await eventually(() => accepted.test(at.log.slice(from)), 20_000);
    } catch (error) {
      assert.doesNotMatch(inspect(error, { depth: 9 }) + JSON.stringify(error), SECRET);
      throw error;
    } finally {
      assert.doesNotMatch(inspect(tunnel, { depth: 9 }) + JSON.stringify(tunnel), SECRET);
      await tunnel.disconnect();
    }
    return at.log.slice(from);
  }

  /** The error of a login that fails. */
  async function refusal(config: Partial<TunnelConfig>, at = sshd): Promise<MoorlineError> {
    return logIn(config, at).then(
      () => assert.fail('logged in'),
      (error: MoorlineError) => error,
    );
  }

  test('keys of every type, RSA with signatures by SHA-2 alone', async () => {
    for (const [name, sshKeyPath] of Object.entries(keys)) {
      const log = await logIn({ sshKeyPath });
      const algorithms = [...log.matchAll(/pkalg (\S+)/g)].map(([, algorithm]) => algorithm);
      const type = name.startsWith('rsa') ? 'rsa-sha2-512' : sshd.read(`${name}.pub`).split(' ')[0];
      assert.deepEqual([...new Set(algorithms)], [type], name);
    }
    // A server that wants SHA-1 gets no signature.
    const old = await Sshd.start('LogLevel DEBUG', 'PubkeyAcceptedAlgorithms ssh-rsa');
    try {
      old.file('authorized_keys', sshd.read('authorized_keys'));
      const { kind, code } = await refusal({ sshKeyPath: keys['rsa2048']! }, old);
      assert.deepEqual([kind, code], ['auth', 'ERR_SSH_AUTH_REFUSED']);
      assert.doesNotMatch(old.log, /pkalg ssh-rsa/);
    } finally {
      await old.stop();
    }
  });

  test('keys of every format, encrypted and not', async () => {
    for (const [name, text] of keyFormats(sshd.directory, keys)) await logInWithEach(name, text);
  });

  test('a key by a cipher that is not known says so, whatever the passphrase', async () => {
    for (const [name, privateKey] of desFormats(sshd.directory, keys)) {
      const { kind, code } = await refusal({ privateKey, passphrase: PASSPHRASE });
      assert.deepEqual([kind, code], ['auth', 'ERR_SSH_KEY_CIPHER'], name);
    }
  });

  test('keys of PuTTY', { skip: skipWithout(puttygen) }, async () => {
    for (const [name, text] of puttyFormats(sshd.directory, keys)) await logInWithEach(name, text);
  });

  /** With the right passphrase, which one that is not encrypted does not need; without it, and with a wrong one. */
  async function logInWithEach(name: string, privateKey: string): Promise<void> {
    await logIn({ privateKey, passphrase: PASSPHRASE }).catch((error: Error) =>
      assert.fail(`${name}: ${error.message}`),
    );
    if (name.startsWith('plain')) return;
    const errors = [await refusal({ privateKey }), await refusal({ privateKey, passphrase: 'wrong-passphrase' })];
    const expected = ['ERR_SSH_KEY_PASSPHRASE_MISSING', 'ERR_SSH_KEY_PASSPHRASE_WRONG'];
    const seen = errors.map(({ kind, code }) => [kind, code]);
    assert.deepEqual(
      seen,
      expected.map((code) => ['auth', code]),
      name,
    );
  }

  test('a key by a path from the home directory, as a text and as bytes', async (t) => {
    const home = process.env['HOME'];
    t.after(() => (home === undefined ? delete process.env['HOME'] : (process.env['HOME'] = home)));
    process.env['HOME'] = sshd.directory;
    await logIn({ sshKeyPath: '~/ed25519' });
    const text = sshd.read('ed25519');
    for (const privateKey of [text, Buffer.from(text), new TextEncoder().encode(text.replaceAll('\n', '\r\n'))]) {
      await logIn({ privateKey });
    }
  });

  test('agents: their keys in turn, none, too many for the server, and no agent', async (t) => {
    const agent = await Agent.start(t, sshd.path('agent'));
    const empty = await refusal({ agent: agent.path });
    assert.deepEqual([empty.kind, empty.code], ['auth', 'ERR_SSH_AGENT_EMPTY']);
    const nobody = await refusal({ agent: sshd.path('no-agent') });
    assert.deepEqual([nobody.kind, nobody.code], ['auth', 'ERR_SSH_AGENT']);
    const strangers = Array.from({ length: 20 }, (_, index) => sshd.makeKey(`stranger-${index}`));
    agent.add(strangers[0]!, strangers[1]!, keys['rsa2048']!);
    assert.match(await logIn({ agent: agent.path }), /pkalg rsa-sha2-512 /);
    const before = process.env['SSH_AUTH_SOCK'];
    t.after(() =>
      before === undefined ? delete process.env['SSH_AUTH_SOCK'] : (process.env['SSH_AUTH_SOCK'] = before),
    );
    process.env['SSH_AUTH_SOCK'] = agent.path;
    await logIn({ agent: true });
    agent.remove(keys['rsa2048']!);
    agent.add(...strangers);
    const tooMany = await refusal({ agent: agent.path });
    assert.deepEqual([tooMany.kind, tooMany.code], ['auth', 'ERR_SSH_AUTH_REFUSED'], tooMany.message);
    // The key that is named comes first.
    assert.match(await logIn({ agent: agent.path, sshKeyPath: keys['ed25519']! }), /Accepted publickey/);
  });

  test('certificates: beside the key, as a text, of a file; expired, or for somebody else', async () => {
    const authority = sshd.makeKey('authority');
    const trusting = await Sshd.start('LogLevel DEBUG', `TrustedUserCAKeys ${authority}.pub`);
    const certify = (name: string, ...args: string[]) => {
      const key = sshd.makeKey(name);
      sshKeygen('-q', '-s', authority, '-I', name, ...args, `${key}.pub`);
      return key;
    };
    try {
      const key = certify('certified', '-n', sshd.username, '-V', '-1h:+1h');
      assert.match(await logIn({ sshKeyPath: key }, trusting), /Accepted publickey .*-CERT SHA256:\S+ ID certified/);
      const apart = sshd.file('apart', sshd.read('certified'));
      await assert.rejects(logIn({ sshKeyPath: apart }, trusting), { code: 'ERR_SSH_AUTH_REFUSED' });
      for (const certificate of [`${key}-cert.pub`, sshd.read('certified-cert.pub')]) {
        await logIn({ sshKeyPath: apart, certificate }, trusting);
        await logIn({ privateKey: sshd.read('certified'), certificate }, trusting);
      }
      const expired = certify('expired', '-n', sshd.username, '-V', '20200101:20210101');
      const others = certify('others', '-n', 'somebody-else', '-V', '-1h:+1h');
      for (const sshKeyPath of [expired, others]) {
        const { kind, code } = await refusal({ sshKeyPath }, trusting);
        assert.deepEqual([kind, code], ['auth', 'ERR_SSH_AUTH_REFUSED']);
      }
      const mismatch = await refusal({ sshKeyPath: expired, certificate: `${others}-cert.pub` }, trusting);
      assert.deepEqual([mismatch.kind, mismatch.code], ['auth', 'ERR_SSH_CERTIFICATE_MISMATCH']);
    } finally {
      await trusting.stop();
    }
  });

  test('a file that is missing, or has no key, is a TypeError that names it', async () => {
    const missing = sshd.path('no-such-file');
    const noKey = sshd.file('no-key', 'not a key');
    const mistakes: [config: Partial<TunnelConfig>, path: string][] = [
      [{ sshKeyPath: missing }, missing],
      [{ sshKeyPath: sshd.directory }, sshd.directory],
      [{ sshKeyPath: noKey }, noKey],
      [{ sshKeyPath: `${keys['ed25519']}.pub` }, `${keys['ed25519']}.pub`],
      [{ sshKeyPath: sshd.file('empty', '') }, sshd.path('empty')],
      [{ sshKeyPath: keys['ed25519']!, certificate: missing }, missing],
      [{ sshKeyPath: keys['ed25519']!, certificate: noKey }, 'ed25519'],
      [{ privateKey: 'not a key' }, 'privateKey'],
    ];
    for (const [config, path] of mistakes) {
      const error: Error = await refusal(config);
      assert.ok(error instanceof TypeError && error.message.includes(path), `${path}: ${inspect(error)}`);
    }
    const { kind, code } = await refusal({ sshKeyPath: sshd.makeKey('stranger') });
    assert.deepEqual([kind, code], ['auth', 'ERR_SSH_AUTH_REFUSED']);
  });

  test('credentials are asked for, and files read, before each attempt to connect again', async (t) => {
    const sshKeyPath = sshd.path('changing');
    copyFileSync(encrypted(sshd, keys['ed25519']!, 1), sshKeyPath);
    let asked = 0;
    const tunnel = new SSHTunnel({ ...sshd.config, sshKeyPath, passphrase: () => ((asked += 1), PASSPHRASE) });
    t.after(() => tunnel.disconnect());
    await tunnel.connect();
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.equal(asked, 2);
    const from = sshd.log.length;
    copyFileSync(encrypted(sshd, keys['ecdsa256']!, 1), sshKeyPath);
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 2, 20_000);
    assert.equal(asked, 3);
    await eventually(() => /^Accepted publickey .* ECDSA /m.test(sshd.log.slice(from)));
    const refused = new Promise<MoorlineError>((resolve) =>
      tunnel.on('error', (error) => error.code !== 'ECONNRESET' && resolve(error)),
    );
    writeFileSync(sshKeyPath, sshd.read('stranger-0'));
    sshd.cutSessions();
    assert.equal((await refused).code, 'ERR_SSH_AUTH_REFUSED');
  });

  test('what a passphrase takes to derive a key delays nobody else', async (t) => {
    const http: RunningServer = await serve((_, response) => response.end('reached'));
    t.after(() => http.close());
    const open = new SSHTunnel(sshd.config);
    t.after(() => open.disconnect());
    await open.connect();
    const through = new HTTPConnection({ url: http.url, tunnel: open });
    t.after(() => through.disconnect());
    await through.request({});
    const sshKeyPath = encrypted(sshd, keys['ed25519']!, 200);
    const slow = new SSHTunnel({ ...sshd.config, sshKeyPath, passphrase: PASSPHRASE, connectTimeoutMs: 120_000 });
    t.after(() => slow.disconnect());
    const began = performance.now();
    let derivationMs = Infinity;
    const connecting = slow.connect().then(() => (derivationMs = performance.now() - began));
    const waits: number[] = [];
    while (derivationMs === Infinity) {
      const asked = performance.now();
      await through.request({});
      waits.push(performance.now() - asked);
    }
    await connecting;
    assert.ok(derivationMs > 300, `not slow: ${derivationMs} ms`);
    const longest = Math.max(...waits);
    assert.ok(longest < derivationMs / 2, `a request took ${longest} ms of ${derivationMs} ms`);
  });

  test('no log has shown a secret', () => {
    assert.doesNotMatch(logged.join('\n'), SECRET);
  });
});

/** A copy of a key, encrypted with a derivation of so many rounds. */
function encrypted(sshd: Sshd, key: string, rounds: number): string {
  const copy = sshd.path(`encrypted-${rounds}`);
  copyFileSync(key, copy);
  sshKeygen('-q', '-p', '-a', String(rounds), '-P', '', '-N', PASSPHRASE, '-f', copy);
  return copy;
}
