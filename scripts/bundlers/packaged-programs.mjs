// Helpers of the scripts that test the packed package as its users get it: scripts/bundlers.mjs and
// scripts/bundlers/installs.mjs.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { fail, root } from '../lib/run.mjs';

/** The directory of the bundled programs and of the bundlers. */
export const fixtures = join(root, '__test__', 'bundlers');
const EXPECTED_OUTPUT = '42 true';
export const TIMEOUT_MS = 600_000;

/** The directory of an installed tool. */
export function toolDirectory(name) {
  const places = [fixtures, join(root, '__test__', 'package'), root].map((place) => join(place, 'node_modules', name));
  return places.find((place) => existsSync(place)) ?? fail(`${name} is not installed`);
}

/** Copies the programs into `project`. */
export function copyPrograms(project) {
  for (const file of ['program.mjs', 'program.cjs', 'handler.mjs', 'handler.cjs'])
    copyFileSync(join(fixtures, file), join(project, file));
}

/** Returns the output of `command`; throws when it fails. */
export function runForOutput(command, args, cwd, env = {}) {
  const options = { cwd, encoding: 'utf8', timeout: TIMEOUT_MS, env: { ...process.env, ...env } };
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}${error ?? ''}`);
  return stdout;
}
export const runNode = (cwd, ...args) => runForOutput(process.execPath, args, cwd);

export function expectOutput(output) {
  if (output.trim() !== EXPECTED_OUTPUT) throw new Error(`it says '${output}' instead of '${EXPECTED_OUTPUT}'`);
}

/** Expects `work` to fail as docs/bundlers.md says that it does. */
export async function expectRefused(work, reason) {
  const output = await Promise.resolve()
    .then(work)
    .then(
      () => 'nothing',
      ({ message }) => message,
    );
  if (!output.includes(reason)) throw new Error(`it should be refused with '${reason}', and it says:\n${output}`);
}

/** Copies `built` to an empty directory, and starts it there. */
export function runInEmptyDirectory(built, start) {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-bundle-'));
  try {
    cpSync(built, directory, { recursive: true });
    expectOutput(start(directory));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Copies the files that `entry` needs, as `@vercel/nft` finds them; returns their directory. */
export async function copyTracedFiles(project, entry) {
  const { nodeFileTrace } = await import(pathToFileURL(join(toolDirectory('@vercel/nft'), 'out', 'index.js')).href);
  const traced = join(project, 'out', `nft-${entry}`);
  for (const file of (await nodeFileTrace([join(project, entry)], { base: project })).fileList) {
    mkdirSync(dirname(join(traced, file)), { recursive: true });
    copyFileSync(join(project, file), join(traced, file));
  }
  return traced;
}

/** Bundles `program.cjs` or `program.mjs`; returns the directory and the name of the bundle. */
export async function bundleWithEsbuild(project, format, { program = 'program', ...options }) {
  const { build } = await import(pathToFileURL(join(toolDirectory('esbuild'), 'lib', 'main.js')).href);
  const ending = format === 'esm' ? 'mjs' : 'cjs';
  const [outputDirectory, fileName] = [join(project, 'out', `esbuild-${program}-${format}`), `out.${ending}`];
  await build({
    entryPoints: [join(project, `${program}.${ending}`)],
    outfile: join(outputDirectory, fileName),
    bundle: true,
    platform: 'node',
    format,
    logLevel: 'silent',
    ...options,
  });
  return { outputDirectory, fileName };
}

/** Bundles the binary, too, and starts the bundle in an empty directory. */
export async function runEsbuildWithBinary(project, format, options = {}) {
  const { outputDirectory, fileName } = await bundleWithEsbuild(project, format, {
    loader: { '.node': 'copy' },
    ...options,
  });
  runInEmptyDirectory(outputDirectory, (directory) => runNode(directory, fileName));
}
