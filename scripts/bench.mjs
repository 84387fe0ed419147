// Runs one bench against a release build: `npm run bench -- <name> [--json] [--no-build] [--condition one-processor|busy]`.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { buildAddon, compileFace } from './build.mjs';
import { fail, installPackages, runNpm, root, run, succeeds } from './lib/run.mjs';

const directory = join(root, 'bench');
const [name, ...options] = process.argv.slice(2);
const isNoBench = ['harness.mjs', 'engines.mjs'];
const known = readdirSync(directory).filter((entry) => entry.endsWith('.mjs') && !isNoBench.includes(entry));
if (!known.includes(`${name}.mjs`)) {
  const names = known.map((entry) => entry.replace('.mjs', '')).join('|');
  fail(`usage: npm run bench -- ${names} [--json] [--no-build] [--condition one-processor|busy]`);
}

/** The machine as most have it: one processor, or two that others use, too. */
const CONDITIONS = {
  quiet: () => [],
  'one-processor': () =>
    process.platform === 'linux' ? ['taskset', '-c', '0'] : fail('taskset is there on Linux only'),
  busy() {
    for (let loop = 0; loop < 2; loop++) startBusyLoop();
    return [];
  },
};

/** Starts a process that computes until this one ends, in whatever way. */
function startBusyLoop() {
  const script = `const parent = process.ppid;
    while (process.ppid === parent) for (let n = 0; n < 1e7; n++);`;
  const loop = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
  process.on('exit', () => loop.kill('SIGKILL'));
}

/** Takes an option and its value out of `options`. */
function take(option, otherwise) {
  const at = options.indexOf(option);
  return at < 0 ? otherwise : options.splice(at, 2)[1];
}

/** The peers with a binary of their own, and a script that loads it. */
const SSH2 = { peer: 'ssh2', loads: `require('ssh2/lib/protocol/crypto/build/Release/sshcrypto.node')` };
const BINARIES = {
  libsql: { peer: 'better-sqlite3', loads: `new (require('better-sqlite3'))(':memory:')` },
  ssh: SSH2,
  postgres: SSH2,
};

const condition = take('--condition', 'quiet');
if (!Object.hasOwn(CONDITIONS, condition)) fail(`--condition is one of ${Object.keys(CONDITIONS).join(', ')}`);
installPackages();
installPackages(directory);
if (BINARIES[name]) buildBinary(BINARIES[name]);
if (!options.includes('--no-build')) {
  // Only the bridge's bench asks for the test functions.
  buildAddon({ release: true, testHooks: name === 'bridge' });
  compileFace();
}
const [command, ...args] = [...CONDITIONS[condition](), process.execPath];
const file = join(directory, `${name}.mjs`);
run(command, [...args, '--expose-gc', file, ...options.filter((option) => option !== '--no-build')]);

/** A script of the peer's own downloads its binary, or compiles it, and npm ci runs none. */
function buildBinary({ peer, loads }) {
  if (succeeds(process.execPath, ['-e', loads], { cwd: directory, stdio: 'ignore' })) return;
  // Without it the bench says that the peer is left out, or the peer does without.
  runNpm(['rebuild', peer, '--loglevel=error'], { cwd: directory }, succeeds);
}
