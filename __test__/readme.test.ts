// The quick starts of the README: each compiles under `tsc --strict`, runs, prints what its comments say, and lets
// the process exit.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import ts from 'typescript';

const root = join(__dirname, '..');
// Inside the package, so that the snippets import it by its name.
const directory = join(root, 'target', `readme-${process.pid}`);
const text = readFileSync(join(root, 'README.md'), 'utf8');

const options: ts.CompilerOptions = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  types: ['node'],
  // The typings themselves are checked by `npm run check`.
  skipLibCheck: true,
  noEmitOnError: true,
};

const snippets = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ''], index) => ({
  title: code.match(/import \{ (\w+)/)?.[1] ?? `snippet ${index + 1}`,
  file: join(directory, `${index + 1}.mts`),
  code,
}));

before(() => {
  mkdirSync(directory, { recursive: true });
  for (const { file, code } of snippets) writeFileSync(file, code);
});
after(() => rmSync(directory, { recursive: true, force: true }));

describe('README', () => {
  test('has a quick start for each of the main classes', () => {
    const classes = ['TursoPool', 'NixtlaClient', 'WebhookVerifier', 'HealthMonitor', 'Policy'];
    assert.deepEqual(
      snippets.map(({ title }) => title),
      classes,
    );
  });

  test('every quick start compiles strictly', () => {
    const program = ts.createProgram(
      snippets.map(({ file }) => file),
      options,
    );
    const { diagnostics } = program.emit();
    const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
    assert.equal(ts.formatDiagnostics(found, ts.createCompilerHost(options)), '');
  });

  for (const { title, file, code } of snippets) {
    test(`the quick start of ${title} prints what it says`, () => {
      const { NIXTLA_API_KEY: _, ...env } = process.env;
      const script = file.replace(/\.mts$/, '.mjs');
      const { stdout, stderr } = spawnSync(process.execPath, [script], {
        cwd: directory,
        encoding: 'utf8',
        timeout: 30_000,
        env,
      });
      const promised = [...code.matchAll(/console\.log\(.*\); \/\/ (.+)$/gm)].map(([, said]) => said);
      assert.ok(promised.length > 0, 'it says nothing');
      assert.equal(stdout.trimEnd(), promised.join('\n'), stderr);
    });
  }

  test('every link leads somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link);
    const dead = links.filter((link) => !link.startsWith('https://') && !existsSync(join(root, link)));
    assert.deepEqual(dead, []);
  });
});
