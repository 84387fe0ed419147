// Running commands, for the other scripts: output inherited, a failure ends the script with its code.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs `command` in the project; exits with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) fail(`${command} could not be started: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result;
}

/** The trimmed output of `command`, or undefined when it fails. */
export function output(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Runs a tool of node_modules by its package's own entry file, so that no shell is involved. */
export function tool(name, args, options) {
  return run(process.execPath, [join(root, 'node_modules', '.bin', name), ...args], options);
}

/** Installs the npm packages of `directory` when they are missing or older than its lock file. */
export function installPackages(directory = root) {
  const lock = join(directory, 'package-lock.json');
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: directory });
}

/** The Rust target of this machine. napi passes `--target`, so every cargo call must, or all compiles twice. */
export function hostTarget() {
  const version = output('rustc', ['-vV']) ?? fail('Rust is needed to build moorline: https://rustup.rs');
  return version.match(/^host: (.+)$/m)[1];
}

/** Runs one stage and prints how long it took. */
export async function stage(name, work) {
  const started = performance.now();
  console.log(`\n── ${name}`);
  await work();
  console.log(`── ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}
