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
  bundleWithEsbuild,
  runEsbuildWithBinary,
  expectRefused,
  expectOutput,
  fixtures,
  toolDirectory,
  runNode,
  runForOutput,
  copyPrograms,
  runInEmptyDirectory,
  TIMEOUT_MS,
  copyTracedFiles,
} from './bundlers/packaged-programs.mjs';
import { INSTALLS } from './bundlers/installs.mjs';
import { serveTarballs } from './bundlers/registry.mjs';
import { pack, PLATFORMS } from './release.mjs';
import { fail, installPackages, isMain, runNpm, root } from './lib/run.mjs';

const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

async function runEsbuildExternal(project) {
  for (const format of ['cjs', 'esm']) {
    const { outputDirectory, fileName } = await bundleWithEsbuild(project, format, { external: ['moorline'] });
    expectOutput(runNode(outputDirectory, fileName));
  }
}

async function runNft(project) {
  for (const entry of ['program.mjs', 'program.cjs']) {
    const traced = await copyTracedFiles(project, entry);
    runInEmptyDirectory(traced, (directory) => runNode(directory, entry));
  }
}

function runNcc(project) {
  for (const entry of ['program.mjs', 'program.cjs']) {
    const outputDirectory = join(project, 'out', `ncc-${entry}`);
    runNode(
      project,
      join(toolDirectory('@vercel/ncc'), 'dist', 'ncc', 'cli.js'),
      'build',
      entry,
      '--out',
      outputDirectory,
      '--quiet',
    );
    runInEmptyDirectory(outputDirectory, (directory) => runNode(directory, `index${entry.slice(-4)}`));
  }
}

/** Compiles with webpack, or with what has its API. */
async function runWebpack(project, name, compile) {
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
  const problems = stats.toString({ all: false, errors: true, warnings: true });
  if (problems) throw new Error(problems);
  for (const out of ['out.cjs', 'out.mjs']) expectOutput(runNode(path, out));
}

const load = (name, ...file) => import(pathToFileURL(join(toolDirectory(name), ...file)).href);

async function runVite(project, name, ssr) {
  const { build } = await load('vite', 'dist', 'node', 'index.js');
  const outDir = join(project, 'out', name);
  await build({ root: project, configFile: false, logLevel: 'silent', ssr, build: { ssr: 'program.mjs', outDir } });
  expectOutput(runNode(outDir, 'program.mjs'));
}

function runBun(project) {
  const binary = join(toolDirectory('@oven/bun-linux-x64'), 'bin', 'bun');
  for (const entry of ['program.mjs', 'program.cjs']) {
    const outputDirectory = join(project, 'out', `bun-${entry}`);
    mkdirSync(outputDirectory, { recursive: true });
    runForOutput(binary, ['build', '--compile', entry, '--outfile', join(outputDirectory, 'program')], project);
    runInEmptyDirectory(outputDirectory, (directory) => runForOutput(join(directory, 'program'), [], directory));
  }
}

/** Builds a project of Next.js, serves it, and asks it. */
async function runNext(project, name, { external, turbopack }) {
  const site = join(project, 'next');
  const modules = join(site, 'node_modules');
  if (!existsSync(modules)) {
    cpSync(join(fixtures, 'next'), site, { recursive: true });
    writeFileSync(join(site, 'package.json'), JSON.stringify({ name: 'site', private: true, type: 'module' }));
    cpSync(join(project, 'node_modules'), modules, { recursive: true });
    for (const name of ['next', 'react', 'react-dom'])
      symlinkSync(toolDirectory(name), join(modules, name), 'junction');
  }
  const env = { NEXT_TELEMETRY_DISABLED: '1', NEXT_ROOT: root, NEXT_DIST: `.next-${name}` };
  if (external) env.NEXT_EXTERNAL = '1';
  const cli = join(modules, 'next', 'dist', 'bin', 'next');
  runForOutput(process.execPath, [cli, 'build', turbopack ? '--turbopack' : '--webpack'], site, env);
  const traceText = readFileSync(join(site, env.NEXT_DIST, 'server', 'app', 'answer', 'route.js.nft.json'), 'utf8');
  if (!/"[^"]*\/moorline-[^"]+\.node"/.test(traceText)) throw new Error('its trace is without the binary');
  const server = spawn(process.execPath, [cli, 'start', '--port', '0', '--hostname', '127.0.0.1'], {
    cwd: site,
    env: { ...process.env, ...env },
    timeout: TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    let serverOutput = '';
    for await (const text of server.stdout.setEncoding('utf8')) {
      serverOutput += text;
      const [, url] = /(http:\/\/127\.0\.0\.1:\d+)\s[^]*Ready/.exec(serverOutput) ?? [];
      if (url === undefined) continue;
      return expectOutput(await (await fetch(`${url}/answer`)).text());
    }
    throw new Error(`it did not start:\n${serverOutput}`);
  } finally {
    server.kill('SIGKILL');
  }
}

/** Each way that docs/bundlers.md describes, and what it says does not work. They throw what went wrong. */
export const BUNDLERS = {
  'esbuild, CommonJS': (project) => runEsbuildWithBinary(project, 'cjs'),
  'esbuild, ES module': (project) => runEsbuildWithBinary(project, 'esm', { banner: { js: REQUIRE } }),
  'esbuild, external': runEsbuildExternal,
  'esbuild without an option is refused': (project) =>
    expectRefused(() => bundleWithEsbuild(project, 'cjs', {}), 'No loader is configured for ".node" files'),
  'esbuild, ES module without the banner is refused': (project) =>
    expectRefused(() => runEsbuildWithBinary(project, 'esm'), 'Dynamic require of "'),
  '@vercel/nft': runNft,
  ncc: runNcc,
  webpack: async (project) => runWebpack(project, 'webpack', (await load('webpack', 'lib', 'index.js')).default),
  Rspack: async (project) => runWebpack(project, 'rspack', (await load('@rspack/core', 'dist', 'index.js')).rspack),
  'Vite SSR': (project) => runVite(project, 'vite', {}),
  'Vite SSR, noExternal and external': (project) =>
    runVite(project, 'vite-whole', { noExternal: true, external: ['moorline'] }),
  'Vite SSR, noExternal alone is refused': (project) =>
    expectRefused(() => runVite(project, 'vite-refused', { noExternal: true }), 'Could not load '),
  'bun build --compile': runBun,
  'Next.js with webpack': (project) => runNext(project, 'webpack', {}),
  'Next.js with webpack, serverExternalPackages': (project) => runNext(project, 'webpack-external', { external: true }),
  'Next.js with Turbopack, serverExternalPackages': (project) =>
    runNext(project, 'turbopack', { external: true, turbopack: true }),
  'Next.js with Turbopack alone is refused': (project) =>
    expectRefused(() => runNext(project, 'turbopack-refused', { turbopack: true }), 'is not placeable in ESM chunks'),
};

/** Packs the package with this machine's binary, and with empty files as those of the other platforms. */
function packAll(directory) {
  const [binaries, out] = [join(directory, 'binaries'), join(directory, 'packages')];
  mkdirSync(binaries);
  for (const platform of Object.keys(PLATFORMS)) writeFileSync(join(binaries, `moorline.${platform}.node`), '');
  const binaryDirectory = resolve(process.env.MOORLINE_BINARIES ?? join(root, 'dist'));
  const found = readdirSync(binaryDirectory).filter((name) => name.endsWith('.node'));
  if (found.length === 0) throw new Error(`no binary in ${binaryDirectory}`);
  for (const file of found) copyFileSync(join(binaryDirectory, file), join(binaries, file));
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
    runNpm(['install', '--no-audit', '--no-fund', '--loglevel=error', 'moorline'], { cwd: project });
    copyPrograms(project);
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
