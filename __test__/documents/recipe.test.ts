// The recipes of CONTRIBUTING.md, followed for a dummy service (scripts/check/recipe/dummy.mjs) in a copy of the tree: the
// files compile, a list that no recipe names is noticed, and removing the service restores the copy. The text checks of the
// copy run in `npm run check`.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { root } from '../support/paths';

type Row = string | { line: string }[] | { reasonToOmit: string };
interface Recipe {
  pathsOf(contributing: string): string[];
  recipeProblems(paths: string[]): string[];
  recipeFiles(paths: string[], read: (path: string) => string): Record<string, string>;
  FILES: Record<string, Row>;
  LISTS: Record<string, Row>;
}

const script = (...path: string[]) => import(pathToFileURL(join(root, 'scripts', ...path)).href);
const read = (path: string, from = root) => readFileSync(join(from, path), 'utf8');

let recipe: Recipe;
let paths: string[];
before(async () => {
  recipe = { ...(await script('check', 'recipe', 'recipe.mjs')), ...(await script('check', 'recipe', 'dummy.mjs')) };
  paths = recipe.pathsOf(read('CONTRIBUTING.md'));
});

describe('the checks of the text', () => {
  test('find no problem in a tree in which the recipes were followed', () => {
    assert.deepEqual(recipe.recipeProblems(paths), []);
  });

  test('notice every list that no recipe names', () => {
    const lists = Object.entries(recipe.LISTS).filter(([, row]) => !('reasonToOmit' in (row as object)));
    for (const path of [...lists.map(([path]) => path), 'lib/entries/<entry>.ts']) {
      const [own, ...others] = recipe.recipeProblems(paths.filter((one) => one !== path));
      assert.equal(own, `CONTRIBUTING.md: no recipe names ${path}`);
      assert.ok(others.length > 0, `nothing is missed without ${path}`);
    }
  });

  test('a service is in five lists at most, and an entry point in one', () => {
    // The README and the changelog are what every change of the contract touches.
    const [ofEntry, ofDocuments] = [['package.json'], ['README.md', 'CHANGELOG.md']];
    const others = Object.keys(recipe.LISTS).filter((path) => ![...ofEntry, ...ofDocuments].includes(path));
    assert.ok(others.length + 1 <= 5, others.join());
    for (const path of others) assert.ok(paths.includes(path), path);
  });
});

describe('a copy of the tree', () => {
  /** Always the same directory, so that cargo reuses what it compiled the last time. */
  const copy = join(root, 'target', 'recipe');
  const COPIED = [
    ...['Cargo.toml', 'Cargo.lock', 'build.rs', 'rust-toolchain.toml', 'package.json', 'tsconfig.json', 'README.md'],
    ...['CHANGELOG.md', 'crates', 'src', 'lib', 'scripts', '__test__/contract', '__test__/support'],
  ];
  /** Directories that a build makes. */
  const BUILD_DIRECTORIES = /^(dist|node_modules|target)(\/|$)/;
  /** The number of entries without that of the dummy. */
  const ENTRIES = readdirSync(join(root, 'lib', 'entries')).length;
  const fromDist = (path: string) => join('..', path);

  /** Path → text. */
  const snapshot = (): Record<string, string> =>
    Object.fromEntries(
      readdirSync(copy, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(copy, join(entry.parentPath, entry.name)))
        .filter((path) => !BUILD_DIRECTORIES.test(path))
        .sort()
        .map((path) => [path, read(path, copy)]),
    );

  /** Runs a command in the copy; fails the test when it fails. */
  function run(command: string, args: string[], env = {}): void {
    const options = { cwd: copy, encoding: 'utf8', env: { ...process.env, ...env } } as const;
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}${error ?? ''}`);
  }
  const node = (code: string) => run(process.execPath, ['--input-type=module', '--eval', code]);

  let original: Record<string, string>;
  let changed: Record<string, string>;
  before(() => {
    rmSync(copy, { recursive: true, force: true });
    // With their times: cargo compiles anew what is younger than what was compiled.
    for (const path of COPIED)
      cpSync(join(root, path), join(copy, path), { recursive: true, preserveTimestamps: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
    original = snapshot();
    changed = recipe.recipeFiles(paths, (path) => read(path));
    for (const [path, text] of Object.entries(changed)) {
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      writeFileSync(join(copy, path), text);
    }
  });

  test('compiles as Rust', async () => {
    const { hostTarget } = await script('lib', 'run.mjs');
    const definitions = join(copy, 'dist', 'definitions');
    mkdirSync(definitions, { recursive: true });
    const [noun] = Object.keys(changed).flatMap((path) => /^crates\/services\/tests\/(\w+)\//.exec(path)?.[1] ?? []);
    const what = ['--workspace', '--lib', '--test', noun!, '--features', 'test-hooks', '--target', hostTarget()];
    const env = {
      CARGO_TARGET_DIR: join(root, 'target'),
      // As napi does, so that its macros write the typings.
      NAPI_TYPE_DEF_TMP_FOLDER: definitions,
      // Cargo takes crates of the same name in both trees for one; under a wrapper they are compiled apart, as for clippy.
      RUSTC_WORKSPACE_WRAPPER: 'env',
    };
    run('cargo', ['check', '--quiet', ...what], env);
  });

  test('compiles as TypeScript, under the names of its entries', () => {
    node(`
      import { writeFileSync } from 'node:fs';
      import { generateTypeDef } from '@napi-rs/cli';
      import { ENTRIES } from './scripts/lib/entries.mjs';
      import { completeNativeTypings } from './scripts/lib/native-typings.mjs';
      const configDtsHeaderFile = 'src/native-header.d.ts';
      const { dts } = await generateTypeDef({ typeDefDir: 'dist/definitions', cwd: process.cwd(), configDtsHeaderFile });
      writeFileSync('dist/native.d.ts', dts);
      completeNativeTypings('dist/native.d.ts');
      const paths = Object.fromEntries(ENTRIES.map(({ specifier, source }) => [specifier, ['../' + source]]));
      writeFileSync('dist/paths.json', JSON.stringify({ compilerOptions: { paths } }));`);
    const { paths } = JSON.parse(read('dist/paths.json', copy)).compilerOptions;
    const tests = Object.keys(changed).filter((path) => path.startsWith('__test__/'));
    const sources = Object.values<string[]>(paths).flat();
    assert.ok(tests.length > 1 && sources.length > ENTRIES, sources.join());
    const options = { extends: ['../tsconfig.json', './paths.json'], files: [...sources, ...tests.map(fromDist)] };
    writeFileSync(join(copy, 'dist', 'tsconfig.json'), JSON.stringify({ ...options, include: [] }));
    run(process.execPath, ['node_modules/typescript/bin/tsc', '--project', 'dist/tsconfig.json']);
  });

  test('is restored when the service is removed', () => {
    for (const path of Object.keys(changed).filter((path) => !(path in original))) rmSync(join(copy, path));
    for (const row of Object.entries(recipe.LISTS)) takeAway(...row);
    assert.deepEqual(snapshot(), original);
  });

  function takeAway(path: string, row: Row): void {
    if (!Array.isArray(row) || !(path in changed)) return;
    let lines = read(path, copy).split('\n');
    let at = 0;
    for (const { line } of row) {
      at = lines.indexOf(line, at);
      lines = lines.toSpliced(at, 1);
    }
    writeFileSync(join(copy, path), lines.join('\n'));
  }
});
