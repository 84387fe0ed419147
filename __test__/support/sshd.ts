// OpenSSH's server on loopback, in which the user of the test logs in by a key; stopped by its own process.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import type { TunnelConfig } from 'moorline';

import { type Binary, debianBinary, skipWithout } from './debian';
import { eventually } from './eventually';
import { missing } from './missing';
import { freePort } from './ports';

const binary = debianBinary('sshd', 'openssh-server');
const keygen = debianBinary('ssh-keygen', 'openssh-client');

/** The option `skip` of tests that need sshd: false when there is one that can run here. */
export function skipWithoutSshd(): string | false {
  const reason = skipWithout(binary, keygen);
  if (reason !== false || userInfo().uid !== 0) return reason;
  const hasUser = /^sshd:/m.test(readFileSync('/etc/passwd', 'utf8'));
  if (hasUser && existsSync('/run/sshd')) return false;
  return missing('sshd: as root it needs a user sshd and /run/sshd');
}

function run({ path, env }: Binary, ...args: string[]): string {
  return execFileSync(path, args, { env, encoding: 'utf8', stdio: 'pipe' });
}

/** Runs `ssh-keygen`, and gives what it prints. */
export function sshKeygen(...args: string[]): string {
  return run(keygen as Binary, ...args);
}

/** A running sshd. */
export class Sshd {
  readonly directory = mkdtempSync(join(tmpdir(), 'moorline-sshd-'));
  readonly username = userInfo().username;
  port = 0;
  readonly #settings: string[];
  #child: ChildProcess | undefined;
  #log = '';

  /** `settings` are further lines of its configuration, which come first. */
  static async start(...settings: string[]): Promise<Sshd> {
    const sshd = new Sshd(settings);
    sshd.port = await freePort();
    sshd.makeKey('host');
    sshd.makeKey('user');
    sshd.file('authorized_keys', sshd.read('user.pub'));
    await sshd.listen();
    return sshd;
  }

  private constructor(settings: string[]) {
    this.#settings = settings;
  }

  /** What a tunnel to it needs. */
  get config(): TunnelConfig & { sshKeyPath: string } {
    return {
      sshHost: '127.0.0.1',
      sshPort: this.port,
      sshUsername: this.username,
      sshKeyPath: this.path('user'),
      hostKeyFingerprint: this.fingerprint,
    };
  }

  /** The fingerprint of its host key. */
  get fingerprint(): string {
    return /SHA256:\S+/.exec(sshKeygen('-lf', this.path('host.pub')))![0];
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  file(name: string, text: string): string {
    writeFileSync(this.path(name), text, { mode: 0o600 });
    return this.path(name);
  }

  /** Makes a key, with a passphrase perhaps, in place of the one of that name. */
  makeKey(name: string, passphrase = ''): string {
    for (const old of [name, `${name}.pub`]) rmSync(this.path(old), { force: true });
    sshKeygen('-q', '-t', 'ed25519', '-N', passphrase, '-C', '', '-f', this.path(name));
    return this.path(name);
  }

  /** Starts it, again where it was killed, on the same port and with the same keys. */
  async listen(): Promise<void> {
    const { path, env } = binary as Binary;
    const config = [
      ...this.#settings,
      `Port ${this.port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${this.path('host')}`,
      `AuthorizedKeysFile ${this.path('authorized_keys')}`,
      `PidFile ${this.path('pid')}`,
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      // The last one holds.
      ...(this.#settings.some((setting) => setting.startsWith('MaxStartups')) ? [] : ['MaxStartups 200']),
      'LogLevel VERBOSE',
    ];
    const file = this.file('sshd_config', `${config.join('\n')}\n`);
    const child = spawn(path, ['-D', '-e', '-f', file], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`sshd ended (${code}): ${this.#log}`)));
    await Promise.race([ended, eventually(() => answers(this.port), 10_000)]);
    ended.catch(() => undefined);
  }

  /** The processes of its sessions, one or two for each. */
  sessionProcesses(): number[] {
    const pid = this.#child?.pid;
    return pid === undefined ? [] : descendants(pid);
  }

  /** Kills the processes of its sessions: the clients' connections are reset. It goes on. */
  cutSessions(): void {
    for (const one of this.sessionProcesses()) kill(one);
  }

  /** Kills the processes of one of its sessions, and leaves the others. */
  cutSession(): void {
    const [first] = this.sessionProcesses();
    for (const one of first === undefined ? [] : [first, ...descendants(first)]) kill(one);
  }

  /** Kills it and its sessions. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // So that it starts none meanwhile.
    child.kill('SIGSTOP');
    const sessions = descendants(child.pid);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    for (const one of sessions) kill(one);
    await ended;
    // One that could not be found keeps it open.
    child.stderr!.destroy();
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/** The processes that this one has started, and those that they have. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), parentOf(name)] as const);
  const children = (of: number): number[] =>
    parents.filter(([, parent]) => parent === of).flatMap(([child]) => [child, ...children(child)]);
  return children(pid);
}

function parentOf(pid: string): number | undefined {
  try {
    // The name in parentheses may hold anything.
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) \S+ /s, '')
        .split(' ')[0],
    );
  } catch {
    return undefined;
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', reject);
  });
}
