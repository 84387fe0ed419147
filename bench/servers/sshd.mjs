// OpenSSH's sshd on loopback for bench/ssh.mjs, with a user's key of its own: that of the machine, else the one in Debian's
// package, which is unpacked without being installed.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { load } from '../harness.mjs';

const START_TIMEOUT_MS = 10_000;

/** A program and the environment that it needs; throws the reason when it cannot be had. */
function find(name, debianPackage) {
  const at = (directory) =>
    ['usr/sbin', 'usr/bin'].map((bin) => join(directory, bin, name)).find((path) => existsSync(path));
  const installed = at('/');
  if (installed) return { path: installed, env: process.env };
  const directory = join(tmpdir(), `moorline-debian-${userInfo().uid}`, debianPackage);
  execFileSync(process.execPath, [load.resolve('./scripts/lib/debian.mjs'), directory, debianPackage], {
    stdio: 'pipe',
  });
  const libraries = ['lib', 'usr/lib'].map((lib) => join(directory, lib)).filter((path) => existsSync(path));
  const directories = libraries.flatMap((lib) => readdirSync(lib).map((entry) => join(lib, entry)));
  return { path: at(directory), env: { ...process.env, LD_LIBRARY_PATH: directories.join(delimiter) } };
}

/** Starts it; what it gives is what clients need, and `stop`, which is called when the process exits, too. */
export async function startSshd() {
  const [sshd, keygen] = [find('sshd', 'openssh-server'), find('ssh-keygen', 'openssh-client')];
  const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-sshd-'));
  const file = (name) => join(directory, name);
  const run = (...args) => execFileSync(keygen.path, args, { env: keygen.env, encoding: 'utf8' });
  for (const key of ['host', 'user']) run('-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(key));
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('user.pub')}`,
    'PidFile none',
    'StrictModes no',
    'UsePAM no',
    'LogLevel FATAL',
  ];
  writeFileSync(file('config'), `${config.join('\n')}\n`);
  const child = spawn(sshd.path, ['-D', '-e', '-f', file('config')], {
    env: sshd.env,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  process.once('exit', stop);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  for (const deadline = performance.now() + START_TIMEOUT_MS; !(await listens(port)); await sleep(20)) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error('sshd does not start');
  }
  child.unref();
  return {
    port,
    username: userInfo().username,
    keyPath: file('user'),
    privateKey: readFileSync(file('user')),
    fingerprint: /SHA256:\S+/.exec(run('-lf', file('host.pub')))[0],
    stop,
  };
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
