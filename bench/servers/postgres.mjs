// PostgreSQL on loopback for bench/postgres.mjs, with data of its own: that of the machine, else the one in Debian's package.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { findProgram, freePort, stopAtExit, untilListening } from './programs.mjs';

const PACKAGE = 'postgresql';
const USER = 'postgres';
/** The server refuses to run as root, and is nobody then. */
const NOBODY = 65_534;
const isRoot = userInfo().uid === 0;

/** Starts it; what it gives is what clients need, and `stop`, which is called when the process exits, too. */
export async function startPostgres(text) {
  const [server, initdb, psql] = ['postgres', 'initdb', 'psql'].map((name) => findProgram(name, PACKAGE));
  const directory = mkdtempSync(join(tmpdir(), 'moorline-bench-postgres-'));
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  const data = join(directory, 'data');
  const command = ({ path, env }, args) => {
    const options = { env: { ...env, LC_ALL: 'C', TZ: 'UTC' }, cwd: directory };
    if (!isRoot) return [path, args, options];
    return ['setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', path, ...args], options];
  };
  const run = (program, ...args) => {
    const [path, all, options] = command(program, args);
    return execFileSync(path, all, { ...options, encoding: 'utf8', stdio: 'pipe' });
  };
  run(initdb, '-D', data, '-A', 'trust', '-U', USER, '--no-sync', '--encoding=UTF8', '--no-locale');
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${directory}`, 'fsync=off', 'jit=off'];
  const given = settings.flatMap((setting) => ['-c', setting]);
  const [path, args, options] = command(server, ['-D', data, '-p', String(port), ...given]);
  const child = spawn(path, args, { ...options, stdio: 'ignore' });
  const stop = () => {
    // At once, and its processes with it.
    child.kill('SIGQUIT');
    spawnSync('sleep', ['0.2']);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  stopAtExit(stop);
  await untilListening(child, port);
  run(
    psql,
    '-Xq',
    '-v',
    'ON_ERROR_STOP=1',
    '-h',
    directory,
    '-p',
    String(port),
    '-U',
    USER,
    '-d',
    'postgres',
    '-c',
    text,
  );
  return { config: { host: '127.0.0.1', port, user: USER, database: 'postgres' }, stop };
}
