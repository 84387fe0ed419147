// What the package says when its binary cannot be loaded: the first cause, and what to do about it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { buildSync } from 'esbuild';
import { dist } from '../support/paths';

const { platform, arch } = process;
const linuxOnly = platform !== 'linux' && 'makes libraries for Linux';
/** The platform whose binary this machine wants, with glibc on Linux; and one that it never wants. */
const own =
  platform === 'linux' ? `linux-${arch}-gnu` : platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`;
const other = platform === 'darwin' ? 'linux-x64-gnu' : 'darwin-arm64';

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'moorline-load-'));
  const installed = join(project, 'node_modules', 'moorline');
  cpSync(dist, join(installed, 'dist'), { recursive: true, filter: (path) => !/\.(node|d\.ts)$/.test(path) });
  write(join(installed, 'package.json'), {
    name: 'moorline',
    main: 'dist/entries/index.js',
    optionalDependencies: { [`moorline-${own}`]: '1' },
  });
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

const write = (path: string, content: unknown) => writeFileSync(path, JSON.stringify(content));

/** Puts a platform package beside the main one, its binary made by `make`. */
function install(name: string, make: (path: string) => void): void {
  const directory = join(project, 'node_modules', `moorline-${name}`);
  mkdirSync(directory);
  write(join(directory, 'package.json'), { name: `moorline-${name}`, main: 'binary.node' });
  make(join(directory, 'binary.node'));
}

/** Compiles a library that does nothing. */
function compile(path: string, ...options: string[]): void {
  const source = text(`${path}.c`, '#include <stdlib.h>\nvoid *allocate(void) { return malloc(1); }\n');
  execFileSync('cc', ['-shared', '-fPIC', '-o', path, source, ...options], { stdio: 'pipe' });
}

interface Refusal {
  code: string;
  message: string;
  cause: string;
}

/** What a process gets that asks for the package. */
function refusal(file = text(join(project, 'use.cjs'), "require('moorline')")): Refusal {
  const script = `
    process.on('uncaughtException', ({ code, message, cause }) => console.log(JSON.stringify({ code, message, cause: String(cause) })));
    require(${JSON.stringify(file)});`;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], {
    cwd: project,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.ok(stdout, stderr);
  return JSON.parse(stdout) as Refusal;
}

function text(path: string, content: string): string {
  writeFileSync(path, content);
  return path;
}

describe('a package of a platform', () => {
  test('that is not installed is named, with how to get it', () => {
    const { code, message, cause } = refusal();
    assert.equal(code, 'ERR_MOORLINE_BINARY_MISSING');
    assert.ok(message.includes(`moorline-${own}`), message);
    assert.match(message, /--include=optional/);
    assert.match(cause, /Cannot find module/);
  });

  test('for another machine is named as what is there, beside what is here', () => {
    install(other, (path) => writeFileSync(path, ''));
    const { code, message } = refusal();
    assert.equal(code, 'ERR_MOORLINE_PLATFORM');
    assert.ok(message.includes(`moorline-${other}`) && message.includes(`(${platform}, ${arch}`), message);
    assert.match(message, /install on the machine that runs the program/);
  });

  test('for another C library is not taken for a broken one', { skip: linuxOnly }, () => {
    install(`linux-${arch}-musl`, (path) => {
      const library = join(project, 'libc.musl.so.1');
      compile(library, '-nostdlib', '-Wl,-soname,libc.musl.so.1');
      compile(path, '-nostdlib', '-Wl,--no-as-needed', library);
      rmSync(library);
    });
    const { code, message, cause } = refusal();
    assert.equal(code, 'ERR_MOORLINE_PLATFORM');
    assert.match(message, /moorline-linux-\w+-musl is for another platform than this one \(linux, \w+, glibc\)/);
    assert.match(cause, /libc\.musl\.so\.1/);
  });

  test('for a newer glibc says which it needs, and which is here', { skip: linuxOnly }, () => {
    install(own, (path) => {
      compile(path);
      const library = readFileSync(path).toString('latin1');
      const [version] = /GLIBC_[\d.]+/.exec(library)!;
      const newer = 'GLIBC_9'.padEnd(version.length, '.9');
      writeFileSync(path, library.replaceAll(version, newer), 'latin1');
    });
    const { code, message, cause } = refusal();
    assert.equal(code, 'ERR_MOORLINE_GLIBC');
    assert.match(message, /it needs glibc 9[.9]* or newer, and this system has 2\.\d+\. Use a newer system/);
    assert.match(cause, /GLIBC_9/);
  });

  test('that is damaged is told with what the system says', () => {
    install(own, (path) => writeFileSync(path, 'half of a download'));
    const { code, message, cause } = refusal();
    assert.equal(code, 'ERR_MOORLINE_BINARY_BROKEN');
    assert.ok(message.includes(cause.replace(/^Error: /, '')), message);
    assert.match(message, /Install it again/);
  });

  test('without its file is told', () => {
    install(own, () => {});
    const { code, message } = refusal();
    assert.equal(code, 'ERR_MOORLINE_BINARY_BROKEN');
    assert.match(message, /is installed, but its binary file is missing/);
  });
});

test('a platform that no package is for is told, with those there are', () => {
  const manifest = join(project, 'node_modules', 'moorline', 'package.json');
  write(manifest, {
    name: 'moorline',
    main: 'dist/entries/index.js',
    optionalDependencies: { 'moorline-plan9-mips': '1' },
  });
  const { code, message } = refusal();
  assert.equal(code, 'ERR_MOORLINE_PLATFORM_UNSUPPORTED');
  assert.ok(message.includes(`there is no binary for ${platform} on ${arch}`), message);
  assert.match(message, /The available binaries are moorline-plan9-mips/);
});

test('a machine that nobody has heard of is told what there is', () => {
  const script = "Object.defineProperty(process, 'platform', { value: 'plan9' }); require('moorline')";
  const { code, message } = refusal(text(join(project, 'use.cjs'), script));
  assert.equal(code, 'ERR_MOORLINE_PLATFORM_UNSUPPORTED');
  assert.ok(
    message.includes(`there is no binary for plan9 on ${arch}. The available binaries are moorline-${own}`),
    message,
  );
});

describe('a bundle', () => {
  const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";
  const formats = { cjs: { file: 'bundle.cjs', banner: {} }, esm: { file: 'bundle.mjs', banner: { js: banner } } };

  for (const [format, { file, banner }] of Object.entries(formats)) {
    test(`(${format}) from where the binary is not found says to leave the package out of it`, () => {
      const entry = text(join(project, 'use.cjs'), "require('moorline')");
      const outfile = join(mkdtempSync(join(project, 'moved-')), file);
      buildSync({
        entryPoints: [entry],
        bundle: true,
        platform: 'node',
        format: format as 'cjs' | 'esm',
        banner,
        outfile,
        logLevel: 'silent',
      });
      rmSync(join(project, 'node_modules'), { recursive: true });
      const loader = text(
        join(project, 'load.cjs'),
        `import(${JSON.stringify(outfile)}).catch((e) => setImmediate(() => { throw e; }))`,
      );
      const { code, message } = refusal(loader);
      assert.equal(code, 'ERR_MOORLINE_BUNDLED');
      assert.ok(message.includes(`moorline-${own}`), message);
      assert.match(message, /--external:moorline/);
    });
  }
});
