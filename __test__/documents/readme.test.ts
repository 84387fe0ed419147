// The quick starts of the README: each compiles under `tsc --strict`, runs, prints what its comments say, and lets
// the process exit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { Snippet } from '../specification/compile';
import type { Replacement } from '../specification/edits';
import { blocksOf, compilePage } from '../specification/page';
import { root } from '../support/paths';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSqld, startSqld } from '../support/servers';
import { skipWithoutSshd, Sshd } from '../support/sshd';

/** The quick starts that need servers. */
const TUNNEL = 'SSHTunnel';
const POSTGRES = 'PostgresConnectionManager';
const skips: Record<string, string | false> = {
  [TUNNEL]: skipWithoutSshd() || skipWithoutSqld(),
  [POSTGRES]: skipWithoutPostgres(),
};

/** Where the quick starts run, and leave their files. */
const directory = join(root, 'target', `readme-${process.pid}`);
const text = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = blocksOf('README.md').map(({ code }, index) => ({
  title: code.match(/import \{ (\w+)/)?.[1] ?? `snippet ${index + 1}`,
  code,
}));

describe('README', () => {
  let snippets: Snippet[];
  let servers: { stop(): Promise<void> }[] = [];
  before(async () => {
    mkdirSync(directory, { recursive: true });
    const replace: Record<string, Replacement[]> = {
      [TUNNEL]: skips[TUNNEL] === false ? await startTunnelServers() : [],
      [POSTGRES]: skips[POSTGRES] === false ? await startPostgres() : [],
    };
    snippets = compilePage(
      'README.md',
      blocks.map(({ title }) => ({ replace: replace[title] ?? [] })),
    );
  });
  after(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  /** Starts what the quick start of a tunnel reaches; gives what puts it in the place of the names there. */
  async function startTunnelServers(): Promise<Replacement[]> {
    const [sshd, sqld] = await Promise.all([Sshd.start(), startSqld()]);
    servers.push(sshd, sqld);
    const { sshPort, sshUsername, sshKeyPath, hostKeyFingerprint } = sshd.config;
    const login = JSON.stringify({ sshPort, hostKeyFingerprint }).slice(1, -1);
    const places = {
      "'bastion.example.com',": `'127.0.0.1', ${login},`,
      "'deploy'": `'${sshUsername}'`,
      '~/.ssh/id_ed25519': sshKeyPath,
      'http://libsql.internal:8080': sqld.url,
    };
    return Object.entries(places).map(([from, to]) => ({ reason: 'host, port, path or secret', from, to }));
  }

  async function startPostgres(): Promise<Replacement[]> {
    const postgres = await Postgres.start();
    servers.push(postgres);
    const { user, password, host, port } = postgres.config;
    const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/postgres`;
    return [{ reason: 'host, port, path or secret', from: 'postgres://app:secret@localhost/harbour', to: url }];
  }

  test('has a quick start for each of the main classes', () => {
    const classes = [
      'TursoPool',
      'PostgresConnectionManager',
      'NixtlaClient',
      'WebhookVerifier',
      'HealthMonitor',
      'HTTPConnection',
      'SSHTunnel',
      'Policy',
    ];
    assert.deepEqual(
      blocks.map(({ title }) => title),
      classes,
    );
  });

  for (const [index, { title, code }] of blocks.entries()) {
    test(`the quick start of ${title} prints what it says`, { skip: skips[title] ?? false }, () => {
      const { NIXTLA_API_KEY: _, ...env } = process.env;
      const { stdout, stderr } = spawnSync(process.execPath, [snippets[index]!.script], {
        cwd: directory,
        encoding: 'utf8',
        timeout: 30_000,
        env,
      });
      const promised = [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, comment]) => comment);
      assert.ok(promised.length > 0, 'it says nothing');
      assert.equal(stdout.trimEnd(), promised.join('\n'), stderr);
      // One line for each of the two calls that nobody answers.
      const failures = title === 'HTTPConnection' ? 2 : 0;
      assert.equal(stderr.trimEnd().split('\n').filter(Boolean).length, failures, stderr);
    });
  }

  test('every link leads somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => !link.startsWith('https://') && !existsSync(join(root, link)));
    assert.deepEqual(dead, []);
  });
});
