// examples/ledger.ts, run as a user does, but for the places of the servers' programs: in a project of either module system, with
// a terminal and without one.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';

import { type Binary, debianBinary, skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { ExampleProject, hasSockets, skipWithoutTerminal } from './example-project';
import { skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSshd } from '../support/sshd';

const keygen = debianBinary('ssh-keygen', 'openssh-client');
const sshd = debianBinary('sshd', 'openssh-server');
const postgres = debianBinary('postgres', 'postgresql');
const initdb = debianBinary('initdb', 'postgresql');
const skip = skipWithoutSshd() || skipWithoutPostgres() || skipWithout(keygen);

/** What it tells at its end. */
const LAST = /120 transfers by 2 processes, over 1 restart of PostgreSQL: each happened once\.\r?\n$/;

describe('examples/ledger.ts', { skip, timeout: 120_000 }, () => {
  let project: ExampleProject;

  before(() => {
    const paths = Object.entries({ SSHD: sshd, SSH_KEYGEN: keygen, POSTGRES: postgres, INITDB: initdb });
    const programs = Object.fromEntries(paths.map(([name, binary]) => [name, (binary as Binary).path]));
    project = new ExampleProject('ledger.ts', { ...(sshd as Binary).env, ...(postgres as Binary).env, ...programs });
  });
  after(() => project?.remove());

  /** No file is left, and no process that has to do with the ports that the program named. */
  async function assertNothingLeft(printed: string): Promise<void> {
    const ports = /sshd on port (\d+), PostgreSQL on port (\d+)/.exec(printed)!.slice(1).map(Number);
    assert.deepEqual(project.left(), []);
    await eventually(() => !hasSockets(ports));
  }

  test('without a terminal it tells of the restart and the sum, reads the log back, and leaves nothing', async () => {
    const [code, stdout, stderr] = await project.start('commonjs').ended();
    assert.deepEqual([code, withoutRecords(stderr)], [0, ''], stdout);
    const events = [...stdout.matchAll(/^ +[\d.]+ s {2}(\w+)/gm)].map(([, event]) => event);
    assert.deepEqual(events, ['start', 'kill', 'start', 'done', 'sum', 'log']);
    assert.match(stdout, /sum +8000 on 8 accounts, after 120 transfers/);
    assert.match(
      stdout,
      /log +connection_acquired \d+, connection_error \d+, connection_released \d+, health_check \d+/,
    );
    const [, repeated, failed] = /(\d+) transactions were done again, (\d+) attempts have failed/
      .exec(stdout)!
      .map(Number);
    assert.ok(repeated! > 0 && failed! > 0, stdout);
    assert.match(stdout, LAST);
    await assertNothingLeft(stdout);
  });

  test(
    'in a terminal it shows both pools, their health and the transfers',
    { skip: skipWithoutTerminal() },
    async () => {
      const [code, stdout] = await project.start('module', {}, true).ended();
      const printed = stripVTControlCharacters(stdout);
      assert.equal(code, 0, printed);
      assert.match(printed, LAST);
      const pictures = stdout.split(/\x1b\[\d+A/).map(stripVTControlCharacters);
      assert.ok(pictures.length > 20, `${pictures.length} pictures`);
      const shows = (...parts: RegExp[]) => pictures.some((picture) => parts.every((part) => part.test(picture)));
      assert.ok(shows(/one {2}● healthy/, /two {2}● healthy/, /pool +■+.* [1-4] in use/), 'the beginning');
      assert.ok(shows(/╳ {3}PostgreSQL/, /● unhealthy/), 'the loss');
      assert.ok(shows(/● healthy/, /transfers {2}█{24} 60, \d+ done again, \d+ failed/), 'the end');
      await assertNothingLeft(printed);
    },
  );

  test('a signal stops it, its processes and its servers', async () => {
    const program = project.start('commonjs');
    await eventually(() => program.printed().includes('start'), 60_000);
    program.child.kill('SIGINT');
    const [code, stdout, stderr] = await program.ended();
    assert.deepEqual([code, withoutRecords(stderr)], [130, 'Stopped; both servers are, too.\n']);
    await assertNothingLeft(stdout);
  });
});

/** Without the records of the log, which go there. */
const withoutRecords = (stderr: string): string => stderr.replace(/^\{"timestamp".*\n/gm, '');
