// Puts the packed package through other people's bundlers, and starts what comes out:
// `npm run test:bundlers [-- <part of a name> …]`. docs/bundlers.md says what each needs; the page and this table go together.
//
// What has the binary inside is started in a directory that has nothing else. The rest is started where it was built, as
// it needs the package beside it.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { pack } from './release.mjs';
import { fail, installPackages, isMain, npm, root } from './lib/run.mjs';

const directory = join(root, '__test__', 'bundlers');
const SAID = '42 true';
const TIMEOUT_MS = 600_000;

/** A bundler's directory: of those of this script, or of those that `npm test` installs. */
function installed(name) {
  const places = [directory, join(root, '__test__', 'package'), root].map((place) => join(place, 'node_modules', name));
  return places.find((place) => existsSync(place)) ?? fail(`${name} is not installed`);
}

/** What `command` prints; throws when it fails. */
function output(command, args, cwd, env = {}) {
  const options = { cwd, encoding: 'utf8', timeout: TIMEOUT_MS, env: { ...process.env, ...env } };
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}${error ?? ''}`);
  return stdout;
}
const node = (cwd, ...args) => output(process.execPath, args, cwd);

function expectSaid(said) {
  if (said.trim() !== SAID) throw new Error(`it says '${said}' instead of '${SAID}'`);
}

/** Starts what is in `built` where nothing else is. */
function startAlone(built, start) {
  const alone = mkdtempSync(join(tmpdir(), 'moorline-bundle-'));
  try {
    cpSync(built, alone, { recursive: true });
    expectSaid(start(alone));
  } finally {
    rmSync(alone, { recursive: true, force: true });
  }
}

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

async function esbuild(project, format, options) {
  const { build } = await import(pathToFileURL(join(installed('esbuild'), 'lib', 'main.js')).href);
  const [entry, out] = format === 'esm' ? ['start.mjs', 'out.mjs'] : ['start.cjs', 'out.cjs'];
  const built = join(project, 'out', `esbuild-${format}`);
  await build({
    entryPoints: [join(project, entry)],
    outfile: join(built, out),
    bundle: true,
    platform: 'node',
    format,
    logLevel: 'silent',
    ...options,
  });
  return { built, out };
}

async function esbuildWhole(project, format, options = {}) {
  const { built, out } = await esbuild(project, format, { loader: { '.node': 'copy' }, ...options });
  startAlone(built, (alone) => node(alone, out));
}

async function esbuildExternal(project) {
  for (const format of ['cjs', 'esm']) {
    const { built, out } = await esbuild(project, format, { external: ['moorline'] });
    expectSaid(node(built, out));
  }
}

async function nft(project) {
  const { nodeFileTrace } = await import(pathToFileURL(join(installed('@vercel/nft'), 'out', 'index.js')).href);
  for (const entry of ['start.mjs', 'start.cjs']) {
    const traced = join(project, 'out', `nft-${entry}`);
    for (const file of (await nodeFileTrace([join(project, entry)], { base: project })).fileList) {
      mkdirSync(dirname(join(traced, file)), { recursive: true });
      copyFileSync(join(project, file), join(traced, file));
    }
    startAlone(traced, (alone) => node(alone, entry));
  }
}

function ncc(project) {
  for (const entry of ['start.mjs', 'start.cjs']) {
    const built = join(project, 'out', `ncc-${entry}`);
    node(project, join(installed('@vercel/ncc'), 'dist', 'ncc', 'cli.js'), 'build', entry, '--out', built, '--quiet');
    startAlone(built, (alone) => node(alone, `index${entry.slice(-4)}`));
  }
}

async function webpack(project) {
  const { default: compile } = await import(pathToFileURL(join(installed('webpack'), 'lib', 'index.js')).href);
  const common = { mode: 'production', target: 'node', context: project };
  const path = join(project, 'out', 'webpack');
  const [script, module] = [
    { ...common, entry: './start.cjs', output: { path, filename: 'out.cjs' } },
    {
      ...common,
      entry: './start.mjs',
      experiments: { outputModule: true },
      output: { path, filename: 'out.mjs', module: true, chunkFormat: 'module' },
    },
  ];
  const stats = await new Promise((resolve, reject) =>
    compile([script, module], (error, stats) => (error ? reject(error) : resolve(stats))),
  );
  // A warning, too, would be one that every user sees.
  const said = stats.toString({ all: false, errors: true, warnings: true });
  if (said) throw new Error(said);
  for (const out of ['out.cjs', 'out.mjs']) expectSaid(node(path, out));
}

async function vite(project) {
  const { build } = await import(pathToFileURL(join(installed('vite'), 'dist', 'node', 'index.js')).href);
  for (const [name, ssr] of Object.entries({ vite: {}, 'vite-whole': { noExternal: true, external: ['moorline'] } })) {
    const outDir = join(project, 'out', name);
    await build({ root: project, configFile: false, logLevel: 'error', ssr, build: { ssr: 'start.mjs', outDir } });
    expectSaid(node(outDir, 'start.mjs'));
  }
}

function bun(project) {
  const binary = join(installed('@oven/bun-linux-x64'), 'bin', 'bun');
  for (const entry of ['start.mjs', 'start.cjs']) {
    const built = join(project, 'out', `bun-${entry}`);
    mkdirSync(built, { recursive: true });
    output(binary, ['build', '--compile', entry, '--outfile', join(built, 'program')], project);
    startAlone(built, (alone) => output(join(alone, 'program'), [], alone));
  }
}

/** Builds a project of Next.js, serves it, and asks it. */
async function next(project, name, { external, turbopack }) {
  const site = join(project, 'next');
  const modules = join(site, 'node_modules');
  if (!existsSync(modules)) {
    cpSync(join(directory, 'next'), site, { recursive: true });
    writeFileSync(join(site, 'package.json'), JSON.stringify({ name: 'site', private: true, type: 'module' }));
    cpSync(join(project, 'node_modules'), modules, { recursive: true });
    for (const name of ['next', 'react', 'react-dom']) symlinkSync(installed(name), join(modules, name), 'junction');
  }
  const env = { NEXT_TELEMETRY_DISABLED: '1', NEXT_ROOT: root, NEXT_DIST: `.next-${name}` };
  if (external) env.NEXT_EXTERNAL = '1';
  const cli = join(modules, 'next', 'dist', 'bin', 'next');
  output(process.execPath, [cli, 'build', turbopack ? '--turbopack' : '--webpack'], site, env);
  const server = spawn(process.execPath, [cli, 'start', '--port', '0', '--hostname', '127.0.0.1'], {
    cwd: site,
    env: { ...process.env, ...env },
    timeout: TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let said = '';
    for await (const text of server.stdout.setEncoding('utf8')) {
      said += text;
      const [, url] = /(http:\/\/127\.0\.0\.1:\d+)\s[^]*Ready/.exec(said) ?? [];
      if (url === undefined) continue;
      return expectSaid(await (await fetch(`${url}/answer`)).text());
    }
    throw new Error(`it did not start:\n${said}`);
  } finally {
    server.kill('SIGKILL');
  }
}

/** Each way that docs/bundlers.md describes. They throw what went wrong. */
export const BUNDLERS = {
  'esbuild, CommonJS': (project) => esbuildWhole(project, 'cjs'),
  'esbuild, ES module': (project) => esbuildWhole(project, 'esm', { banner: { js: REQUIRE } }),
  'esbuild, external': esbuildExternal,
  '@vercel/nft': nft,
  ncc,
  webpack,
  'Vite SSR': vite,
  'bun build --compile': bun,
  'Next.js with webpack': (project) => next(project, 'webpack', {}),
  'Next.js with webpack, serverExternalPackages': (project) => next(project, 'webpack-external', { external: true }),
  'Next.js with Turbopack, serverExternalPackages': (project) =>
    next(project, 'turbopack', { external: true, turbopack: true }),
};

/** Puts what is bundled into `project`, which has the package installed. */
export function prepare(project) {
  for (const file of ['start.mjs', 'start.cjs']) copyFileSync(join(directory, file), join(project, file));
}

async function main(names) {
  installPackages(directory);
  const project = join(root, 'target', `bundlers-${process.pid}`);
  mkdirSync(project, { recursive: true });
  const failed = [];
  try {
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
    npm(
      [
        'install',
        '--offline',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
        ...pack({ out: join(project, 'packages') }),
      ],
      { cwd: project },
    );
    prepare(project);
    for (const [name, start] of Object.entries(BUNDLERS)) {
      if (names.length > 0 && !names.some((part) => name.includes(part))) continue;
      try {
        await start(project);
        console.log(`${name}: starts`);
      } catch (error) {
        failed.push(name);
        console.error(`${name}: FAILED\n${error.message}`);
      }
    }
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
  if (failed.length > 0) fail(`failed: ${failed.join(', ')}`);
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
