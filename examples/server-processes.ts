// The servers that an example starts on loopback: their programs, their processes, and OpenSSH's sshd.
import { type ChildProcess, execFileSync, spawn, type SpawnOptions } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { TunnelConfig } from 'moorline';

const START_TIMEOUT_MS = 20_000;
const OPENSSH =
  'It belongs to OpenSSH: apt-get install openssh-server (Debian, Ubuntu), ' +
  'dnf install openssh-server (Fedora), apk add openssh (Alpine)';

/** A server that this machine lacks, with what to do about it. */
export class MissingServer extends Error {}

/** sshd, which can be killed and started again. */
export class Sshd {
  readonly #path: string;
  readonly #directory: string;
  #server: Server | undefined;

  /** Makes its keys and its files in `directory`; it lets a user reach `permitted` alone. */
  static async prepare(directory: string, permitted: string): Promise<Sshd> {
    const [path, keygen, port] = [findSshd(), findProgram('ssh-keygen'), await freePort()];
    const sshd = new Sshd(path, directory, port);
    const file = (name: string) => join(directory, name);
    for (const key of ['host', 'user'])
      execFileSync(keygen, ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(key)]);
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${file('host')}`,
      `AuthorizedKeysFile ${file('user.pub')}`,
      `PermitOpen ${permitted}`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
    ];
    writeFileSync(file('sshd_config'), `${config.join('\n')}\n`);
    // What a user would do once: the key of the host, which is known from elsewhere, becomes a known host.
    writeFileSync(file('known_hosts'), `[127.0.0.1]:${port} ${readFileSync(file('host.pub'), 'utf8')}`);
    return sshd;
  }

  private constructor(
    path: string,
    directory: string,
    readonly port: number,
  ) {
    this.#path = path;
    this.#directory = directory;
  }

  /** The options of a tunnel through it. */
  get config(): TunnelConfig & { sshPort: number } {
    return {
      sshHost: '127.0.0.1',
      sshPort: this.port,
      sshUsername: userInfo().username,
      sshKeyPath: join(this.#directory, 'user'),
      knownHosts: join(this.#directory, 'known_hosts'),
    };
  }

  async start(): Promise<void> {
    const args = ['-D', '-e', '-f', join(this.#directory, 'sshd_config')];
    this.#server = await startServer(this.#path, args, this.port);
  }

  /** Kills it and all of its sessions, as a crash of its machine would. */
  async kill(): Promise<void> {
    await this.#server?.kill();
    this.#server = undefined;
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

/** A program of this machine, or the one that the variable of its name has. */
export function findProgram(name: string, remedy = OPENSSH, others: string[] = []): string {
  const given = process.env[name.toUpperCase().replace('-', '_')];
  if (given) return resolve(given);
  const directories = [
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
    '/usr/bin',
    ...others,
  ];
  const path = directories.map((directory) => resolve(directory, name)).find((path) => existsSync(path));
  if (path) return path;
  throw new MissingServer(`${name} is not on this machine. ${remedy}`);
}

/** The process of a server. */
export interface Server {
  kill(): Promise<void>;
  /** Has it end by itself. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a server, and waits until it listens. */
export async function startServer(
  path: string,
  args: string[],
  port: number,
  options: SpawnOptions = {},
): Promise<Server> {
  const child = spawn(path, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (words = (words + text).slice(-2000)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}: ${words.trim()}`));
  });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  const server = { kill: () => killTree(child, ended), end };
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

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
