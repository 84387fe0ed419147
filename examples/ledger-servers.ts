// The two servers of ledger.ts, on loopback: OpenSSH's sshd, and PostgreSQL, which only that reaches. Their files are in a directory of
// their own, which `stop` removes.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { PostgresManagerConfig, TunnelConfig } from 'moorline';

import { findProgram, freePort, MissingServer, type Server, Sshd, startServer } from './server-processes.js';

/** PostgreSQL refuses to run as root, and is nobody then. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const USER = 'ledger';
const VERSIONS = '/usr/lib/postgresql';

export interface Servers {
  /** The options of a tunnel through sshd. */
  tunnel: TunnelConfig & { sshPort: number };
  /** Those of a manager, but for the tunnel. */
  postgres: PostgresManagerConfig & { port: number };
  /** Ends PostgreSQL as its administrator would: sessions are told so, and end. */
  endPostgres(): Promise<void>;
  startPostgres(): Promise<void>;
  /** Ends both, and removes their files. */
  stop(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const [path, initdb] = ['postgres', 'initdb'].map(findPostgres) as [string, string];
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'moorline-ledger-'));
  const home = join(directory, 'postgres');
  let sshd: Sshd | undefined;
  let postgres: Server | undefined;

  const startPostgres = async () => {
    const settings = [`unix_socket_directories=${home}`, 'listen_addresses=127.0.0.1', 'shared_buffers=16MB'];
    const args = ['-D', join(home, 'data'), '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
    const [program, all] = asOther(path, args);
    postgres = await startServer(program, all, port, { cwd: home });
  };
  const endPostgres = async () => {
    await postgres?.end('SIGINT');
    postgres = undefined;
  };
  const stop = async () => {
    await Promise.all([sshd?.kill(), endPostgres()]);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    // Whoever runs PostgreSQL has to get to its own directory.
    chmodSync(directory, 0o711);
    mkdirSync(home);
    if (isRoot) chownSync(home, NOBODY, NOBODY);
    const [program, args] = asOther(initdb, ['-D', join(home, 'data'), '-A', 'trust', '-U', USER, '--no-sync']);
    execFileSync(program, args, { cwd: home, stdio: 'pipe' });
    const prepared = (sshd = await Sshd.prepare(directory, `127.0.0.1:${port}`));
    // Both have ended, or stand, before one that failed makes `stop` end the other.
    const started = await Promise.allSettled([prepared.start(), startPostgres()]);
    for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason;
    const config = { host: '127.0.0.1', port, user: USER, database: 'postgres' };
    return { tunnel: prepared.config, postgres: config, startPostgres, endPostgres, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One of PostgreSQL's programs, the newest that is there. */
function findPostgres(name: string): string {
  const remedy =
    'It belongs to PostgreSQL: apt-get install postgresql (Debian, Ubuntu), or set POSTGRES and INITDB to their paths';
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((one, other) => Number(other) - Number(one)) : [];
  const directories = versions.map((version) => join(VERSIONS, version, 'bin'));
  if (isRoot && spawnSync('setpriv', ['--version']).status !== 0) {
    throw new MissingServer(
      'PostgreSQL, when root starts it, needs setpriv, of util-linux. Start this as another user',
    );
  }
  return findProgram(name, remedy, directories);
}

/** What starts a program as a user whom PostgreSQL accepts. */
function asOther(path: string, args: string[]): [program: string, args: string[]] {
  if (!isRoot) return [path, args];
  return ['setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', path, ...args]];
}
