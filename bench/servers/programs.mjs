// Programs of servers: those of the machine, else those in Debian's packages, which are unpacked without being installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { load } from '../harness.mjs';

const START_TIMEOUT_MS = 20_000;

/** A program and the environment that it needs; throws the reason when it cannot be had. */
export function findProgram(name, debianPackage) {
  const installed = locate(name, '/');
  if (installed) return { path: installed, env: process.env };
  const directory = join(tmpdir(), `moorline-debian-${userInfo().uid}`, debianPackage);
  execFileSync(process.execPath, [load.resolve('./scripts/lib/debian.mjs'), directory, debianPackage], {
    stdio: 'pipe',
  });
  const libraries = ['lib', 'usr/lib'].map((lib) => join(directory, lib)).filter((path) => existsSync(path));
  const directories = libraries.flatMap((lib) => readdirSync(lib).map((entry) => join(lib, entry)));
  return { path: locate(name, directory), env: { ...process.env, LD_LIBRARY_PATH: directories.join(delimiter) } };
}

function locate(name, root) {
  const versions = join(root, 'usr/lib/postgresql');
  const postgres = existsSync(versions) ? readdirSync(versions).map((version) => `${version}/bin`) : [];
  const directories = [...postgres.map((bin) => join(versions, bin)), join(root, 'usr/sbin'), join(root, 'usr/bin')];
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

/** Waits until a server listens; throws when its process has ended. */
export async function untilListening(child, port) {
  for (const deadline = performance.now() + START_TIMEOUT_MS; !(await listens(port)); await sleep(20)) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`${child.spawnfile} does not start`);
  }
  child.unref();
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Calls `stop` when the process exits, by a signal, too. */
export function stopAtExit(stop) {
  process.once('exit', stop);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
}
