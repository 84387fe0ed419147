// Puts the packed package through other people's bundlers, and starts what comes out:
// `npm run test:bundlers [-- <part of a name> …]`, with the package managers and platforms of scripts/bundlers/installs.mjs.
// docs/bundlers.md says what each needs; the page and these tables go together. It builds what all tests run on, or takes
// the binary that is in the directory MOORLINE_BINARIES.
//
// What has the binary inside is started in a directory that has nothing else. The rest is started where it was built, as
// it needs the package beside it.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { buildAddon, compileFace } from './build.mjs';
import {
  esbuild,
  esbuildWhole,
  expectRefused,
  expectOutput,
  fixtures,
  installed,
  node,
  output,
  prepare,
  runInEmptyDirectory,
  TIMEOUT_MS,
  trace,
} from './bundlers/consumer.mjs';
import { INSTALLS } from './bundlers/installs.mjs';
import { serveTarballs } from './bundlers/registry.mjs';
import { pack, PLATFORMS } from './release.mjs';
import { fail, installPackages, isMain, npm, root } from './lib/run.mjs';

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

async function esbuildExternal(project) {
  for (const format of ['cjs', 'esm']) {
    const { built, out } = await esbuild(project, format, { external: ['moorline'] });
    expectOutput(node(built, out));
  }
}

async function nft(project) {
  for (const entry of ['program.mjs', 'program.cjs']) {
    const traced = await trace(project, entry);
    runInEmptyDirectory(traced, (alone) => node(alone, entry));
  }
}

function ncc(project) {
  for (const entry of ['program.mjs', 'program.cjs']) {
    const built = join(project, 'out', `ncc-${entry}`);
    node(project, join(installed('@vercel/ncc'), 'dist', 'ncc', 'cli.js'), 'build', entry, '--out', built, '--quiet');
    runInEmptyDirectory(built, (alone) => node(alone, `index${entry.slice(-4)}`));
  }
}

/** Compiles with webpack, or with what has its API. */
async function webpack(project, name, compile) {
  const common = { mode: 'production', target: 'node', context: project };
  const path = join(project, 'out', name);
  const [script, module] = [
    { ...common, entry: './program.cjs', output: { path, filename: 'out.cjs' } },
    {
      ...common,
      entry: './program.mjs',
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
  for (const out of ['out.cjs', 'out.mjs']) expectOutput(node(path, out));
}

const load = (name, ...file) => import(pathToFileURL(join(installed(name), ...file)).href);

async function vite(project, name, ssr) {
  const { build } = await load('vite', 'dist', 'node', 'index.js');
  const outDir = join(project, 'out', name);
  await build({ root: project, configFile: false, logLevel: 'silent', ssr, build: { ssr: 'program.mjs', outDir } });
  expectOutput(node(outDir, 'program.mjs'));
}

function bun(project) {
  const binary = join(installed('@oven/bun-linux-x64'), 'bin', 'bun');
  for (const entry of ['program.mjs', 'program.cjs']) {
    const built = join(project, 'out', `bun-${entry}`);
    mkdirSync(built, { recursive: true });
    output(binary, ['build', '--compile', entry, '--outfile', join(built, 'program')], project);
    runInEmptyDirectory(built, (alone) => output(join(alone, 'program'), [], alone));
  }
}

/** Builds a project of Next.js, serves it, and asks it. */
async function next(project, name, { external, turbopack }) {
  const site = join(project, 'next');
  const modules = join(site, 'node_modules');
  if (!existsSync(modules)) {
    cpSync(join(fixtures, 'next'), site, { recursive: true });
    writeFileSync(join(site, 'package.json'), JSON.stringify({ name: 'site', private: true, type: 'module' }));
    cpSync(join(project, 'node_modules'), modules, { recursive: true });
    for (const name of ['next', 'react', 'react-dom']) symlinkSync(installed(name), join(modules, name), 'junction');
  }
  const env = { NEXT_TELEMETRY_DISABLED: '1', NEXT_ROOT: root, NEXT_DIST: `.next-${name}` };
  if (external) env.NEXT_EXTERNAL = '1';
  const cli = join(modules, 'next', 'dist', 'bin', 'next');
  output(process.execPath, [cli, 'build', turbopack ? '--turbopack' : '--webpack'], site, env);
  const trace = readFileSync(join(site, env.NEXT_DIST, 'server', 'app', 'answer', 'route.js.nft.json'), 'utf8');
  if (!/"[^"]*\/moorline-[^"]+\.node"/.test(trace)) throw new Error('its trace is without the binary');
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
      return expectOutput(await (await fetch(`${url}/answer`)).text());
    }
    throw new Error(`it did not start:\n${said}`);
  } finally {
    server.kill('SIGKILL');
  }
}

/** Each way that docs/bundlers.md describes, and what it says does not work. They throw what went wrong. */
export const BUNDLERS = {
  'esbuild, CommonJS': (project) => esbuildWhole(project, 'cjs'),
  'esbuild, ES module': (project) => esbuildWhole(project, 'esm', { banner: { js: REQUIRE } }),
  'esbuild, external': esbuildExternal,
  'esbuild without an option is refused': (project) =>
    expectRefused(() => esbuild(project, 'cjs', {}), 'No loader is configured for ".node" files'),
  'esbuild, ES module without the banner is refused': (project) =>
    expectRefused(() => esbuildWhole(project, 'esm'), 'Dynamic require of "'),
  '@vercel/nft': nft,
  ncc,
  webpack: async (project) => webpack(project, 'webpack', (await load('webpack', 'lib', 'index.js')).default),
  Rspack: async (project) => webpack(project, 'rspack', (await load('@rspack/core', 'dist', 'index.js')).rspack),
  'Vite SSR': (project) => vite(project, 'vite', {}),
  'Vite SSR, noExternal and external': (project) =>
    vite(project, 'vite-whole', { noExternal: true, external: ['moorline'] }),
  'Vite SSR, noExternal alone is refused': (project) =>
    expectRefused(() => vite(project, 'vite-refused', { noExternal: true }), 'Could not load '),
  'bun build --compile': bun,
  'Next.js with webpack': (project) => next(project, 'webpack', {}),
  'Next.js with webpack, serverExternalPackages': (project) => next(project, 'webpack-external', { external: true }),
  'Next.js with Turbopack, serverExternalPackages': (project) =>
    next(project, 'turbopack', { external: true, turbopack: true }),
  'Next.js with Turbopack alone is refused': (project) =>
    expectRefused(() => next(project, 'turbopack-refused', { turbopack: true }), 'is not placeable in ESM chunks'),
};

/** Packs the package with this machine's binary, and with empty files as those of the other platforms. */
function packAll(directory) {
  const [binaries, out] = [join(directory, 'binaries'), join(directory, 'packages')];
  mkdirSync(binaries);
  for (const platform of Object.keys(PLATFORMS)) writeFileSync(join(binaries, `moorline.${platform}.node`), '');
  const built = resolve(process.env.MOORLINE_BINARIES ?? join(root, 'dist'));
  const found = readdirSync(built).filter((name) => name.endsWith('.node'));
  if (found.length === 0) fail(`no binary in ${built}`);
  for (const file of found) copyFileSync(join(built, file), join(binaries, file));
  return pack({ binaries, out });
}

async function main(names) {
  installPackages();
  if (!process.env.MOORLINE_BINARIES) buildAddon();
  compileFace();
  installPackages(fixtures);
  const directory = join(root, 'target', `bundlers-${process.pid}`);
  const project = join(directory, 'project');
  mkdirSync(project, { recursive: true });
  const failed = [];
  let registry;
  try {
    registry = await serveTarballs(packAll(directory));
    writeFileSync(join(project, '.npmrc'), `registry=${registry.url}\ncache=${join(directory, 'cache')}\n`);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true }));
    npm(['install', '--no-audit', '--no-fund', '--loglevel=error', 'moorline'], { cwd: project });
    prepare(project);
    for (const [name, start] of Object.entries({ ...BUNDLERS, ...INSTALLS })) {
      if (names.length > 0 && !names.some((part) => name.includes(part))) continue;
      try {
        await start(project);
        console.log(`${name}: ${name.endsWith('refused') ? 'as expected' : 'starts'}`);
      } catch (error) {
        failed.push(name);
        console.error(`${name}: FAILED\n${error.message}`);
      }
    }
  } finally {
    await registry?.close();
    rmSync(directory, { recursive: true, force: true });
  }
  if (failed.length > 0) fail(`failed: ${failed.join(', ')}`);
}

if (isMain(import.meta.url)) await main(process.argv.slice(2));
