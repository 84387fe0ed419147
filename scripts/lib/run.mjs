// Running commands, for the other scripts: output inherited, a failure ends the script with its code.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Runs `command` in the project; exits with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result;
}

/** Whether `command`, run in the project, succeeds. */
export function succeeds(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  return status === 0;
}

/** The trimmed output of `command`, or undefined when it fails. */
export function readOutput(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** The packages of tools that have another name. */
const PACKAGES = { napi: '@napi-rs/cli', tsc: 'typescript' };

/** Runs a tool of node_modules by its package's own entry file, so that no shell is involved on any system. */
export function runTool(name, args, options) {
  const directory = join(root, 'node_modules', PACKAGES[name] ?? name);
  const { bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  return run(process.execPath, [join(directory, typeof bin === 'string' ? bin : bin[name]), ...args], options);
}

/** Runs npm: the one that runs this script where there is one, because npm itself is a shell script on Windows. */
export function runNpm(args, options, start = run) {
  const self = process.env.npm_execpath;
  return self?.endsWith('npm-cli.js') ? start(process.execPath, [self, ...args], options) : start('npm', args, options);
}

/** The standard output of npm. */
export const readNpmOutput = (args, options) =>
  runNpm(args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options }).stdout;

/** Whether `url` is the script that was started, not a module of it. */
export const isMain = (url) => process.argv[1] !== undefined && fileURLToPath(url) === realpathSync(process.argv[1]);

/** Installs the npm packages of `directory` when they are missing or older than its lock file, by `start`. */
export function installPackages(directory = root, start = run) {
  const lock = join(directory, 'package-lock.json');
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  runNpm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory }, start);
}

/** The Rust target of this machine. napi passes `--target`, so every cargo call must, or all compiles twice. */
export function hostTarget() {
  const version = readOutput('rustc', ['-vV']) ?? fail('Rust is needed to build moorline: https://rustup.rs');
  return version.match(/^host: (.+)$/m)[1];
}

/** Runs one stage and prints how long it took. */
export async function runStage(name, work) {
  const started = performance.now();
  console.log(`\n── ${name}`);
  await work();
  console.log(`── ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
