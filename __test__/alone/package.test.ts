// The package as users get it: packed, installed in an empty project, and used from there. With the build that all
// tests run on, or, by `npm run test:release`, with one that could be published.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { missing } from '../support/missing';
import { root, testsDirectory } from '../support/paths';

const packages = join(root, 'target', 'packages');
const project = join(root, 'target', `package-${process.pid}`);
const fixtures = join(testsDirectory, 'package');
/** Where the release build is that is to be packed; undefined for the build that the other tests run on. */
const released = process.env['MOORLINE_BINARIES'];

/** The entry points: what users import → its files. */
const ENTRIES = Object.entries<{ types?: string; default: string }>(
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).exports,
).flatMap(([key, { types, default: main }]) =>
  types === undefined
    ? []
    : [{ specifier: key.replace('.', 'moorline'), typings: basename(types), main: main.slice(2) }],
);

/** Runs `command` in the project and gives what it printed; fails the test when it fails. */
function run(command: string, args: string[], cwd = project): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}${error ?? ''}`);
  return stdout;
}
const node = (...args: string[]) => run(process.execPath, args);

/** The tarballs: this machine's platform package and the main one. */
function tarballs() {
  const files = readdirSync(packages).map((file) => join(packages, file));
  const platform = files.find((file) => /^moorline-[a-z]/.test(basename(file)));
  const main = files.find((file) => /^moorline-\d/.test(basename(file)));
  assert.ok(platform && main && files.length === 2, files.join());
  return { platform, main };
}
const listed = (tarball: string) => run('tar', ['-tzf', tarball]).trim().split('\n').sort();

/** Where the links of a page lead that stay in the package: a file or directory, and the heading in it. */
function linksOf(page: string): [file: string, heading: string | undefined][] {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links
    .filter((link) => !/^\w+:/.test(link))
    .map((link) => {
      const [path, heading] = link.split('#');
      return [path ? join(dirname(page), path) : page, heading];
    });
}

/** The headings of a page as links name them. */
const headingsOf = (page: string) =>
  [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );

before(() => {
  mkdirSync(project, { recursive: true });
  node(join(root, 'scripts', 'release.mjs'), '--binaries', released ?? join(root, 'dist'));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
  const { platform, main } = tarballs();
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', platform, main]);
  for (const file of ['smoke.cjs', 'consumer.mts', 'default-import.ts'])
    copyFileSync(join(fixtures, file), join(project, file));
});
after(() => rmSync(project, { recursive: true, force: true }));

describe('contents', () => {
  test('the main package holds the compiled face, the typings and what a reader needs, nothing else', () => {
    const files = listed(tarballs().main).map((file) => file.replace(/^package\//, ''));
    const others = files.filter((file) => !/^(dist|docs|examples)\//.test(file));
    const typings = ENTRIES.map(({ typings }) => typings);
    const pages = ['CHANGELOG.md', 'CONTRIBUTING.md', 'README.md', 'SECURITY.md', 'bench/README.md'];
    assert.deepEqual(others.sort(), ['LICENSE', ...pages, ...typings, 'package.json'].sort());
    const compiled = files.filter((file) => file.startsWith('dist/'));
    const entries = ENTRIES.flatMap(({ main }) => [main, main.replace(/\.js$/, '.webpack.js')]);
    const shared = compiled.filter((file) => /^dist\/shared-[A-Z0-9]{8}\.js$/.test(file));
    assert.deepEqual(compiled.sort(), [...entries, ...shared].sort());
    for (const directory of ['docs', 'examples']) {
      const packed = files.filter((file) => file.startsWith(`${directory}/`)).sort();
      const kept = readdirSync(join(root, directory), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)));
      assert.deepEqual(packed, kept.sort());
    }
  });

  test('every link of its pages leads to something in it', () => {
    const installed = join(project, 'node_modules', 'moorline');
    const pages = readdirSync(installed, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
      .map((entry) => join(entry.parentPath, entry.name));
    assert.ok(pages.length > 20, pages.join());
    const dead = pages.flatMap((page) =>
      linksOf(page)
        .filter(([file, heading]) => !existsSync(file) || (heading && !headingsOf(file).includes(heading)))
        .map((link) => `${relative(installed, page)}: ${link.join('#')}`),
    );
    assert.deepEqual(dead, []);
  });

  test('the platform package holds the binary and says which machine it is for', () => {
    const { platform } = tarballs();
    const name = basename(platform).replace(/-\d.*$/, '');
    const binary = name.replace('moorline-', 'moorline.');
    const files = ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES.txt', `${binary}.node`, 'package.json'];
    assert.deepEqual(listed(platform), files.map((file) => `package/${file}`).sort());
    const manifest = JSON.parse(readFileSync(join(project, 'node_modules', name, 'package.json'), 'utf8'));
    assert.deepEqual(manifest.os, [process.platform]);
    assert.deepEqual(manifest.cpu, [process.arch]);
    if (process.platform === 'linux') assert.match(manifest.libc.join(), /^(glibc|musl)$/);
    const licences = readFileSync(join(project, 'node_modules', name, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const crate of ['libsql', 'rustls', 'tokio', 'augurs'])
      assert.match(licences, new RegExp(`^${crate} \\d`, 'm'));
  });

  describe('its binary', { skip: !released && 'no release build' }, () => {
    const binary = () => {
      const name = basename(tarballs().platform).replace(/-\d.*$/, '');
      return join(project, 'node_modules', name, `${name.replace('moorline-', 'moorline.')}.node`);
    };

    test('is stripped, and has no test functions', () => {
      assert.equal(readFileSync(binary()).includes('testNoop'), false);
      // With its symbols it has several times as much.
      assert.ok(statSync(binary()).size < 25 * 2 ** 20, `${statSync(binary()).size} bytes`);
    });

    test('runs with an old glibc', { skip: process.platform !== 'linux' && 'for Linux' }, async () => {
      const scripts = (name: string) => import(pathToFileURL(join(root, 'scripts', 'lib', name)).href);
      const { compareVersions, neededGlibc } = await scripts('elf.mjs');
      const { GLIBC } = await scripts('sysroot.mjs');
      const needed = neededGlibc(binary());
      assert.ok(compareVersions(needed, GLIBC) <= 0, `it needs ${needed}`);
    });
  });

  test('it needs nothing else at run time, and runs nothing when it is installed', () => {
    const manifest = JSON.parse(readFileSync(join(project, 'node_modules', 'moorline', 'package.json'), 'utf8'));
    for (const field of ['dependencies', 'scripts', 'devDependencies']) assert.equal(manifest[field], undefined, field);
    const [platform, ...more] = Object.keys(manifest.optionalDependencies);
    assert.equal(manifest.optionalDependencies[platform!], manifest.version);
    assert.deepEqual(more, [], 'a dry run knows one platform');
    const committed = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    assert.equal(committed.optionalDependencies, undefined, 'npm ci fails on names that are not published');
    const installed = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'));
    assert.deepEqual(installed.sort(), ['moorline', platform].sort());
  });
});

describe('modules', () => {
  test('require and import give the same instance under the same names', () => {
    const script = `
      import { createRequire } from 'node:module';
      const own = new Set(['default', 'module.exports', '__esModule']);
      const names = (module) => Object.keys(module).filter((name) => !own.has(name)).sort();
      const entries = await Promise.all(${JSON.stringify(ENTRIES.map(({ specifier }) => specifier))}.map(async (entry) => {
        const imported = await import(entry);
        const required = createRequire(import.meta.url)(entry);
        const same = names(imported).every((name) => imported[name] === required[name]) && imported.default === required;
        return { imported: names(imported), required: names(required), same };
      }));
      console.log(JSON.stringify(entries));`;
    for (const { imported, required, same } of JSON.parse(node('--input-type=module', '-e', script))) {
      assert.deepEqual(imported, required);
      assert.ok(imported.length > 0);
      assert.ok(same, 'a second instance would be a second pool');
    }
  });

  test('the entries share their classes', () => {
    const script = "console.log(require('moorline').LibsqlError === require('moorline/libsql').LibsqlError)";
    assert.equal(node('-e', script).trim(), 'true');
  });

  describe('for TypeScript, strict and with the typings checked', () => {
    const tsc = (options: object, file: string) => {
      const compilerOptions = { strict: true, skipLibCheck: false, target: 'es2022', ...options };
      writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
      node(join(root, 'node_modules', 'typescript', 'bin', 'tsc'));
    };
    before(() => {
      const types = join(project, 'node_modules', '@types');
      mkdirSync(types);
      symlinkSync(join(root, 'node_modules', '@types', 'node'), join(types, 'node'), 'junction');
      const undici = join(project, 'node_modules', 'undici-types');
      symlinkSync(join(root, 'node_modules', 'undici-types'), undici, 'junction');
    });

    test('a user compiles and runs who names no types', () => {
      tsc({ module: 'nodenext' }, 'consumer.mts');
      assert.equal(node('consumer.mjs').trim(), '42 true');
    });

    const resolutions = {
      'an ES module of Node.js': { ending: 'mts', out: 'mjs', options: { module: 'nodenext' } },
      'a CommonJS module': { ending: 'cts', out: 'cjs', options: { module: 'nodenext' } },
      'a module for a bundler': {
        ending: 'mts',
        out: 'mjs',
        options: { module: 'esnext', moduleResolution: 'bundler' },
      },
    };
    for (const [name, { ending, out, options }] of Object.entries(resolutions)) {
      test(`the default import is the whole module in ${name}`, () => {
        copyFileSync(join(project, 'default-import.ts'), join(project, `default-import.${ending}`));
        tsc(options, `default-import.${ending}`);
        assert.equal(node(`default-import.${out}`).trim(), 'true true true');
      });
    }
  });

  test('publint has nothing to say', () => {
    const output = node(join(fixtures, 'node_modules', 'publint', 'src', 'cli.js'), 'run', tarballs().main, '--strict');
    assert.match(output, /All good!/);
  });

  test('the types resolve the same way as the code under every module resolution', () => {
    const attw = join(fixtures, 'node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js');
    assert.match(
      node(attw, tarballs().main, '--format', 'ascii', '--no-emoji', '--no-definitely-typed'),
      /No problems/,
    );
  });
});

describe('bundlers', () => {
  // The others are tried by `npm run test:bundlers`.
  for (const name of ['esbuild, CommonJS', 'esbuild, ES module', 'esbuild, external', '@vercel/nft'])
    test(`the package starts behind ${name}`, async () => {
      const script = (file: string) => import(pathToFileURL(join(root, 'scripts', file)).href);
      const [{ BUNDLERS }, { copyPrograms }] = await Promise.all([
        script('bundlers.mjs'),
        script('bundlers/packaged-programs.mjs'),
      ]);
      copyPrograms(project);
      await BUNDLERS[name](project);
    });
});

describe('loading', () => {
  test('require starts no thread', { skip: process.platform !== 'linux' && 'counts threads in /proc' }, () => {
    const script = `
      const { readdirSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').length;
      const before = threads();
      require('moorline');
      console.log(before, threads());`;
    const [before, after] = node('-e', script).trim().split(' ');
    assert.equal(after, before);
  });

  test('without its binary it says which package is missing and how to get it', () => {
    const bare = `${project}-without-binary`;
    mkdirSync(bare);
    try {
      run('tar', ['-xzf', tarballs().main, '-C', bare]);
      const script = "try { require('./package') } catch (error) { console.log(error.message) }";
      const message = run(process.execPath, ['-e', script], bare);
      assert.ok(message.includes(basename(tarballs().platform).replace(/-\d.*$/, '')), message);
      assert.match(message, /--include=optional/);
    } finally {
      rmSync(bare, { recursive: true });
    }
  });
});

describe('runtimes', () => {
  const modules = join(testsDirectory, 'runtimes', 'node_modules');
  const runtimes = {
    'the Node.js that runs the tests': process.execPath,
    'Node.js 22': join(modules, 'node-22', 'bin', 'node'),
    'Node.js 24': join(modules, 'node-24', 'bin', 'node'),
    Bun: join(modules, '@oven', 'bun-linux-x64', 'bin', 'bun'),
  };
  for (const [name, binary] of Object.entries(runtimes)) {
    const skip = !existsSync(binary) && missing(`${name}: __test__/runtimes has none for this platform`);
    test(`the package runs on ${name}, and lets it exit`, { skip }, () => {
      assert.equal(run(binary, ['smoke.cjs']).trim(), 'ok');
    });
  }
});
