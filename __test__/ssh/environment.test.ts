// The shared tunnel, and the options that come from the environment.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';

import {
  postgresProfiles,
  type ResolvedTunnelConfig,
  setLogger,
  SSHTunnel,
  type TunnelEnvironmentOptions,
} from 'moorline';

import { dist } from '../support/paths';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const NAMES =
  /^(?:SSH_(?:HOST|PORT|USER|KEY_PATH|KNOWN_HOSTS|HOST_FINGERPRINT|MAX_RETRIES|RETRY_DELAY|HEALTH_.*)|POSTGRES_.*|ENVIRONMENT|NODE_ENV)$/;
const FINGERPRINT = `SHA256:${'A'.repeat(43)}`;

const root = realpathSync(mkdtempSync(join(tmpdir(), 'moorline-environment-')));
const key = join(root, 'id');
const started = process.cwd();
const surroundings = { ...process.env };

/** What every environment needs. */
const needed = { SSH_HOST: 'bastion.test', SSH_USER: 'alice', SSH_KEY_PATH: key };

function setVariables(variables: Record<string, string>): void {
  for (const name of Object.keys(process.env).filter((name) => NAMES.test(name))) delete process.env[name];
  Object.assign(process.env, variables);
}

/** The options of a shared tunnel in such an environment. */
function optionsIn(variables: Record<string, string>, options?: TunnelEnvironmentOptions): ResolvedTunnelConfig {
  SSHTunnel.resetInstance();
  setVariables(variables);
  return SSHTunnel.initializeFromEnv(options).options();
}

beforeEach(() => {
  setLogger({});
  rmSync(root, { recursive: true, force: true });
  mkdirSync(join(root, 'package', 'deep', 'deeper'), { recursive: true });
  writeFileSync(join(root, 'package', 'package.json'), '{}');
  writeFileSync(key, 'a key');
  process.chdir(join(root, 'package', 'deep'));
});
afterEach(() => {
  SSHTunnel.resetInstance();
  setVariables({});
  process.chdir(started);
});
after(() => {
  Object.assign(process.env, surroundings);
  setLogger(undefined);
  rmSync(root, { recursive: true, force: true });
});

describe('the shared tunnel', () => {
  const config = { sshHost: 'a.test', sshUsername: 'alice', sshKeyPath: key };

  test('there is none before it is initialized, and one afterwards, whose config stays', () => {
    const notInitialized = { message: 'SSHTunnel not initialized. Call initializeInstance first.' };
    assert.throws(() => SSHTunnel.getInstance(), notInitialized);
    const tunnel = SSHTunnel.initializeInstance(config);
    assert.ok(tunnel instanceof SSHTunnel);
    assert.equal(SSHTunnel.initializeInstance({ ...config, sshHost: 'b.test' }), tunnel);
    assert.equal(SSHTunnel.initializeFromEnv(), tunnel);
    assert.equal(SSHTunnel.getInstance(), tunnel);
    assert.equal(tunnel.options().sshHost, 'a.test');
    SSHTunnel.resetInstance();
    assert.throws(() => SSHTunnel.getInstance(), notInitialized);
    SSHTunnel.resetInstance();
    assert.notEqual(SSHTunnel.initializeInstance(config), tunnel);
    assert.notEqual(new SSHTunnel(config), SSHTunnel.getInstance());
  });

  test('a config with a mistake leaves none behind', () => {
    assert.throws(() => SSHTunnel.initializeInstance({ ...config, sshPort: 0 }), RangeError);
    assert.throws(() => SSHTunnel.getInstance(), /not initialized/);
  });

  test('one that is forgotten while connected is closed in the background', { skip: skipWithoutSshd() }, async () => {
    const sshd = await Sshd.start();
    try {
      const tunnel = SSHTunnel.initializeInstance(sshd.config);
      await tunnel.connect();
      const closed = new Promise((resolve) => tunnel.once('close', resolve));
      SSHTunnel.resetInstance();
      await closed;
      assert.equal(tunnel.isConnectedToTunnel(), false);
    } finally {
      await sshd.stop();
    }
  });
});

describe('the environment', () => {
  /** Each variable: its text, the option, its value, and another value that is given. */
  const table: [variable: string, text: string, option: keyof ResolvedTunnelConfig, value: unknown, given: unknown][] =
    [
      ['SSH_HOST', 'other.test', 'sshHost', 'other.test', 'given.test'],
      ['SSH_PORT', '2222', 'sshPort', 2222, 2223],
      ['SSH_USER', 'bob', 'sshUsername', 'bob', 'carol'],
      ['SSH_KEY_PATH', join(root, 'package', 'package.json'), 'sshKeyPath', join(root, 'package', 'package.json'), key],
      ['POSTGRES_REMOTE_HOST', 'db.test', 'remoteHost', 'db.test', 'db2.test'],
      ['POSTGRES_REMOTE_PORT', '6432', 'remotePort', 6432, 6433],
      ['POSTGRES_PORT', '15432', 'localPort', 15432, 0],
      ['SSH_MAX_RETRIES', '9', 'maxRetries', 9, 0],
      ['SSH_RETRY_DELAY', '250', 'retryDelay', 250, 5],
      ['SSH_HEALTH_CHECK_INTERVAL', 'Infinity', 'healthCheckInterval', Infinity, 1000],
      ['SSH_KNOWN_HOSTS', '/etc/hosts.ssh', 'knownHosts', ['/etc/hosts.ssh'], ['/a', '/b']],
      ['SSH_HOST_FINGERPRINT', FINGERPRINT, 'hostKeyFingerprint', [FINGERPRINT], [FINGERPRINT, FINGERPRINT]],
    ];

  for (const [variable, text, option, value, given] of table) {
    test(`${variable} is ${option}, unless that is given`, () => {
      assert.deepEqual(optionsIn({ ...needed, [variable]: text })[option], value);
      assert.deepEqual(optionsIn({ ...needed, [variable]: text }, { [option]: given })[option], given);
      assert.throws(() => optionsIn({ ...needed, SSH_PORT: 'ssh' }), /^TypeError.*: SSH_PORT must be a number/);
    });
  }

  test('nothing else set is the documented defaults', () => {
    const { sshPort, remoteHost, remotePort, localPort, maxRetries, retryDelay, healthCheckInterval, knownHosts } =
      optionsIn(needed);
    assert.deepEqual(
      [sshPort, remoteHost, remotePort, localPort, maxRetries, retryDelay, healthCheckInterval],
      [22, 'localhost', 5432, undefined, 3, 1000, 30_000],
    );
    assert.equal(knownHosts?.length, 2);
    // An empty variable is none.
    assert.equal(optionsIn({ ...needed, POSTGRES_PORT: '' }).localPort, undefined);
  });

  test('a profile stands between the environment and the defaults', () => {
    const numbers = (options: ResolvedTunnelConfig) => [options.maxPoolSize, options.maxRetries, options.retryDelay];
    const development = [10, 3, 1000];
    const production = [20, 5, 2000];
    assert.deepEqual(numbers(optionsIn(needed)), development);
    assert.deepEqual(numbers(optionsIn({ ...needed, NODE_ENV: 'production' })), production);
    assert.deepEqual(numbers(optionsIn({ ...needed, NODE_ENV: 'production', ENVIRONMENT: 'staging' })), development);
    assert.deepEqual(numbers(optionsIn({ ...needed, NODE_ENV: 'production' }, { profile: false })), development);
    assert.deepEqual(numbers(optionsIn(needed, { profile: 'production' })), production);
    assert.deepEqual(numbers(optionsIn({ ...needed, SSH_MAX_RETRIES: '7' }, { profile: 'production' })), [20, 7, 2000]);
    assert.deepEqual(numbers(optionsIn(needed, { profile: 'production', retryDelay: 1 })), [20, 5, 1]);
    setVariables({ ENVIRONMENT: 'production' });
    const config = { sshHost: 'a.test', sshUsername: 'alice', sshKeyPath: key };
    assert.deepEqual(numbers(new SSHTunnel(config).options()), production);
    for (const [name, { sshTunnel }] of Object.entries(postgresProfiles)) {
      const options = new SSHTunnel({ ...config, profile: name as 'production' }).options();
      assert.deepEqual(numbers(options), [sshTunnel.maxPoolSize, sshTunnel.maxRetries, sshTunnel.retryDelay]);
      assert.ok(Object.isFrozen(sshTunnel));
    }
  });

  test('what says the same otherwise takes the place of a variable', () => {
    const environment = { ...needed, SSH_KNOWN_HOSTS: '/a', POSTGRES_REMOTE_HOST: 'db.test' };
    assert.equal(optionsIn(environment, { hostKeyFingerprint: FINGERPRINT }).knownHosts, undefined);
    assert.equal(optionsIn(environment, { hostKeyVerification: 'insecure' }).hostKeyVerification, 'insecure');
    assert.equal(optionsIn(environment, { remoteSocketPath: '/run/pg' }).remoteHost, undefined);
    assert.equal(optionsIn(environment, { privateKey: 'text' }).sshKeyPath, undefined);
    const { SSH_KEY_PATH: _, ...withoutKey } = needed;
    assert.equal(optionsIn(withoutKey, { password: 'secret' }).password, '[redacted]');
  });

  test('what is missing is named, all at once', () => {
    const missing = (names: string) => ({ message: `Missing required environment variables: ${names}` });
    assert.throws(() => optionsIn({}), missing('SSH_KEY_PATH, SSH_HOST, SSH_USER'));
    assert.throws(() => optionsIn({ SSH_HOST: 'a', SSH_USER: ' ' }), missing('SSH_KEY_PATH, SSH_USER'));
    assert.throws(() => optionsIn({ ...needed, SSH_KEY_PATH: '/nowhere/id' }), {
      name: 'TypeError',
      message: 'SSH key file not found at path: /nowhere/id',
    });
    assert.throws(() => optionsIn(needed, { sshHots: 'x' } as never), /options\.sshHots .*'sshHost'/);
    assert.throws(() => SSHTunnel.getInstance(), /not initialized/);
  });
});

describe('.env.local', () => {
  const lines = `# of this application\nSSH_HOST=file.test\nSSH_USER="file user"\nSSH_KEY_PATH='${key}'\n`;
  const write = (directory: string, text: string) => writeFileSync(join(root, directory, '.env.local'), text);

  test('it gives the variables that are not set, to all who read them', () => {
    write('package', `${lines}POSTGRES_MAX_CONNECTIONS=20 # of the pool\n`);
    const { sshHost, sshUsername, sshKeyPath } = optionsIn({ SSH_HOST: 'set.test' });
    assert.deepEqual([sshHost, sshUsername, sshKeyPath], ['set.test', 'file user', key]);
    assert.equal(process.env['POSTGRES_MAX_CONNECTIONS'], '20');
  });

  test('the nearest one counts, and none above the nearest package.json', () => {
    write('package/deep', lines);
    write('package', 'SSH_HOST=above.test\n');
    process.chdir(join(root, 'package', 'deep', 'deeper'));
    assert.equal(optionsIn({}).sshHost, 'file.test');
    rmSync(join(root, 'package', 'deep', '.env.local'));
    rmSync(join(root, 'package', '.env.local'));
    write('.', lines);
    assert.throws(() => optionsIn({}), /^TypeError.*: Missing required environment variables/);
  });

  test('another file may be named; one that is not there is no error, one that cannot be read is', () => {
    writeFileSync(join(root, 'variables'), lines);
    assert.equal(optionsIn({}, { envFile: join(root, 'variables') }).sshHost, 'file.test');
    assert.equal(optionsIn(needed, { envFile: join(root, 'nowhere') }).sshHost, 'bastion.test');
    assert.throws(
      () => optionsIn(needed, { envFile: root }),
      /^TypeError.*: the environment file cannot be read: EISDIR/,
    );
    assert.throws(() => optionsIn(needed, { envFile: 7 as never }), /^TypeError.*: options\.envFile must be a string/);
  });

  test('the reader for a runtime without Node’s own reads the same', () => {
    const { parseLines } = createRequire(__filename)(join(dist, 'ssh', 'environment.js')) as {
      parseLines(text: string): Record<string, string>;
    };
    const text = `A=1\n B = two words # note\r\nC='# kept'\n#D=4\nE="a\\nb"\nF=\nG=~/.ssh/id\nno line\n`;
    const expected = { A: '1', B: 'two words', C: '# kept', E: 'a\nb', F: '', G: '~/.ssh/id' };
    assert.deepEqual(parseLines(text), expected);
    assert.deepEqual(parseLines('export A=1'), { A: '1' });
    const { parseEnv } = process.getBuiltinModule?.('node:util') ?? createRequire(__filename)('node:util');
    if (parseEnv) assert.deepEqual({ ...parseEnv(text) }, expected);
  });
});
