// The quick starts of the README: each compiles under `tsc --strict`, runs, prints what its comments say, and lets
// the process exit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import type { Snippet } from '../specification/compile';
import { blocksOf, compilePage } from '../specification/page';
import { root } from '../support/paths';

/** Where the quick starts run, and leave their files. */
const directory = join(root, 'target', `readme-${process.pid}`);
const text = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = blocksOf('README.md').map(({ code }, index) => ({
  title: code.match(/import \{ (\w+)/)?.[1] ?? `snippet ${index + 1}`,
  code,
}));

describe('README', () => {
  let snippets: Snippet[];
  before(() => {
    mkdirSync(directory, { recursive: true });
    snippets = compilePage('README.md', Array(blocks.length).fill({}));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('has a quick start for each of the main classes', () => {
    const classes = ['TursoPool', 'NixtlaClient', 'WebhookVerifier', 'HealthMonitor', 'HTTPConnection', 'Policy'];
    assert.deepEqual(
      blocks.map(({ title }) => title),
      classes,
    );
  });

  for (const [index, { title, code }] of blocks.entries()) {
    test(`the quick start of ${title} prints what it says`, () => {
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
