// The code blocks of document 3 that are about the tunnel, compiled as their reader would compile them, and run against sshd.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { setLogger, SSHTunnel } from 'moorline';

import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { skipWithoutSshd, Sshd } from '../support/sshd';
import { compile, type Snippet } from './compile';
import { document3, type TunnelPlaces } from './edits';
import { codeBlocks, specificationDocument } from './extract';

const blocks = codeBlocks(specificationDocument(3));
// The class below the tunnel's is that of a pool.
blocks[0]!.code = blocks[0]!.code.split('// Connection Manager Implementation')[0]!;
/** The lines that the document shows for the file `.env.local`. */
const ENVIRONMENT_LINES = /^SSH_HOST=your_remote_host\n(?:\w+=.*\n)+/m.exec(blocks[3]!.code)![0];

describe('the tunnel of document 3', { skip: skipWithoutSshd(), timeout: 120_000 }, () => {
  const surroundings = { ...process.env };
  const directory = process.cwd();
  let sshd: Sshd;
  let snippets: Map<number, Snippet>;
  let places: TunnelPlaces;

  before(async () => {
    setLogger({});
    sshd = await Sshd.start();
    // The user's home, with the key and the known hosts that the document takes for granted.
    mkdirSync(sshd.path('.ssh'));
    for (const name of ['id_rsa', 'your_key']) sshd.file(`.ssh/${name}`, sshd.read('user'));
    const [type, key] = sshd.read('host.pub').split(' ');
    sshd.file('.ssh/known_hosts', `[127.0.0.1]:${sshd.port} ${type} ${key}\n`);
    writeFileSync(sshd.path('package.json'), '{}');
    const lines = ENVIRONMENT_LINES.replace('your_remote_host', '127.0.0.1').replace('your_ssh_user', sshd.username);
    sshd.file('.env.local', `${lines}SSH_PORT=${sshd.port}\n`);
    places = { sshPort: sshd.port, username: sshd.username, localPort: await freePort() };
    const edits = document3(places, ENVIRONMENT_LINES);
    snippets = compile(
      3,
      blocks.filter(({ number }) => number in edits),
      edits,
    );
    process.env['HOME'] = sshd.directory;
    process.chdir(sshd.directory);
  });
  after(async () => {
    SSHTunnel.resetInstance();
    process.chdir(directory);
    Object.assign(process.env, surroundings);
    setLogger(undefined);
    await sshd?.stop();
  });

  async function run(number: number): Promise<Record<string, any>> {
    const snippet = snippets.get(number)!;
    assert.equal(snippet.diagnostics, '', snippet.source);
    return snippet.load();
  }

  test('the config and the class that are declared: ours takes the one, and is assignable to the other', async () => {
    assert.equal((await run(1))['tunnel'].options().sshPort, 22);
  });

  test('the profiles are assignable to what is declared', async () => {
    const { profiles, required_env_vars: variables } = await run(3);
    assert.deepEqual([profiles.development.maxConnections, profiles.production.maxConnections], [20, 100]);
    // Those of the tunnel are the ones that are required, the others the pool's.
    const names = (variables as string[]).map((variable) => variable.split('=')[0]!);
    const required = names.filter((name) => name.startsWith('SSH_'));
    const ofPool = ['POSTGRES_MAX_CONNECTIONS', 'POSTGRES_IDLE_TIMEOUT', 'POSTGRES_HEALTH_CHECK_INTERVAL'];
    assert.deepEqual(names, [...ofPool, ...required]);
    assert.throws(
      () => SSHTunnel.initializeFromEnv({ envFile: sshd.path('nowhere') }),
      ({ message }: Error) => {
        const [text, missing] = message.split(': ');
        assert.equal(text, 'Missing required environment variables');
        assert.deepEqual(missing!.split(', ').sort(), required.sort());
        return true;
      },
    );
  });

  test('usage, and its error recovery after a loss', async () => {
    const { tunnel, printed } = await run(4);
    assert.equal(SSHTunnel.getInstance(), tunnel);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.equal(tunnel.options().sshKeyPath, sshd.path('.ssh/id_rsa'));
    await tunnel.connect();
    assert.equal(tunnel.localPort, places.localPort);
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.match(String(printed), /^Tunnel error: MoorlineError: /);
    SSHTunnel.resetInstance();
  });

  test('lifecycle: initialization, from the file of the usage block, and cleanup', async () => {
    const { tunnel } = await run(5);
    assert.equal(tunnel.isConnectedToTunnel(), true);
    const { sshHost, sshUsername, sshKeyPath, localPort } = tunnel.options();
    const expected = ['127.0.0.1', sshd.username, sshd.path('.ssh/your_key'), undefined];
    assert.deepEqual([sshHost, sshUsername, sshKeyPath, localPort], expected);
    const { POSTGRES_MAX_CONNECTIONS, POSTGRES_IDLE_TIMEOUT } = process.env;
    assert.deepEqual([POSTGRES_MAX_CONNECTIONS, POSTGRES_IDLE_TIMEOUT], ['20', '30000']);
    await run(8);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.throws(() => SSHTunnel.getInstance(), /not initialized/);
  });

  test('tunnel errors: a reset connects again, any other is the application’s', async () => {
    const { tunnel, printed } = await run(9);
    await tunnel.connect();
    sshd.cutSessions();
    await eventually(() => tunnel.stats().reconnects === 1, 20_000);
    assert.deepEqual(printed, ['SSH connection reset by peer']);
    const forwarded: Error[] = [];
    tunnel.on('tunnelError', (error: Error) => forwarded.push(error));
    const other = Object.assign(new Error('something else'), { code: 'EOTHER' });
    tunnel.emit('error', other);
    assert.deepEqual(forwarded, [other]);
    await tunnel.disconnect();
  });
});
