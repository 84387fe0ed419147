// PostgreSQL on loopback, stopped by its own process. Its first data are made once per test run of this user and copied.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

import { type Binary, debianBinary, skipWithout } from './debian';
import { eventually } from './eventually';
import { missing } from './missing';
import { freePort } from './ports';

const PACKAGE = 'postgresql';
const server = debianBinary('postgres', PACKAGE);
const initdb = debianBinary('initdb', PACKAGE);
const psql = debianBinary('psql', PACKAGE);
const basebackup = debianBinary('pg_basebackup', PACKAGE);

/** PostgreSQL and PgBouncer refuse to run as root, and are nobody then. */
const NOBODY = 65_534;
const isRoot = userInfo().uid === 0;
const USER = 'postgres';
const PASSWORD = 'secret of the tests';

/** The option `skip` of tests that need PostgreSQL: false when there is one that can run here. */
export function skipWithoutPostgres(): string | false {
  const reason = skipWithout(server, initdb, psql, basebackup);
  if (reason !== false || !isRoot || spawnSync('setpriv', ['--version']).status === 0) return reason;
  return missing('PostgreSQL: as root it needs setpriv, of util-linux');
}

/** What starts a program as a user whom it accepts. */
export function commandOf(binary: Binary | { missing: string }, args: string[]): [string, string[], NodeJS.ProcessEnv] {
  if (!('path' in binary)) throw new Error(binary.missing);
  // Neither the language nor the settings of who runs the tests.
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C', TZ: 'UTC', PATH: process.env['PATH'] };
  if (binary.env['LD_LIBRARY_PATH'] !== undefined) env['LD_LIBRARY_PATH'] = binary.env['LD_LIBRARY_PATH'];
  if (!isRoot) return [binary.path, args, env];
  return ['setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', binary.path, ...args], env];
}

/** A directory of that user's. */
export function makeDirectory(name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `moorline-${name}-`));
  if (isRoot) chownSync(directory, NOBODY, NOBODY);
  return directory;
}

/** Writes a file that only that user can read. */
export function writeOwn(path: string, text: string): string {
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  if (isRoot) chownSync(path, NOBODY, NOBODY);
  return path;
}

let template: string | undefined;

/** A cluster that was never started, with the user of the tests and a password. */
function templateDirectory(): string {
  if (template !== undefined) return template;
  const work = makeDirectory('initdb');
  process.once('exit', () => rmSync(work, { recursive: true, force: true }));
  const password = join(work, 'password');
  writeFileSync(password, PASSWORD);
  const auth = ['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${password}`, `--username=${USER}`];
  const sizes = ['--no-sync', '--wal-segsize=1', '--encoding=UTF8', '--no-locale'];
  const [command, args, env] = commandOf(initdb, ['-D', join(work, 'data'), ...auth, ...sizes]);
  execFileSync(command, args, { env, stdio: 'pipe', cwd: work });
  template = join(work, 'data');
  return template;
}

/** Settings by their names in `postgresql.conf`. */
type Settings = Record<string, string | number>;

/** What a server is to be like. */
interface ServerOptions {
  /** Further settings. */
  settings?: Settings;
  /** The lines of `pg_hba.conf`, in place of those that ask for a password over TCP. */
  hba?: string[];
}

/** A running PostgreSQL. */
export class Postgres {
  /** Holds its data in `data`, and its socket. */
  readonly directory = makeDirectory('postgres');
  readonly #settings: Settings;
  #child: ChildProcess | undefined;
  #log = '';

  static async start({ settings = {}, hba }: ServerOptions = {}): Promise<Postgres> {
    return Postgres.#startOn(settings, (postgres) => {
      execFileSync('cp', ['-a', templateDirectory(), postgres.data]);
      if (hba) postgres.file('data/pg_hba.conf', `${hba.join('\n')}\n`);
    });
  }

  /** Starts a standby of `primary`, which follows it until it is promoted. */
  static async startStandby(primary: Postgres): Promise<Postgres> {
    return Postgres.#startOn(primary.#settings, ({ directory, data }) => {
      const source = ['-h', primary.directory, '-p', String(primary.port), '-U', USER];
      const [command, args, env] = commandOf(basebackup, [...source, '-D', data, '-R', '-c', 'fast', '--no-sync']);
      execFileSync(command, args, { env, cwd: directory, stdio: 'pipe' });
    });
  }

  static async #startOn(settings: Settings, fill: (postgres: Postgres) => void): Promise<Postgres> {
    const postgres = new Postgres(await freePort(), settings);
    try {
      fill(postgres);
      await postgres.listen();
    } catch (error) {
      await postgres.stop();
      throw error;
    }
    return postgres;
  }

  private constructor(
    readonly port: number,
    settings: Settings,
  ) {
    this.#settings = settings;
  }

  /** What connects to it. */
  get config(): { host: string; port: number; user: string; password: string; database: string } {
    return { host: '127.0.0.1', port: this.port, user: USER, password: PASSWORD, database: 'postgres' };
  }

  get data(): string {
    return join(this.directory, 'data');
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  /** Writes a file in its directory, as its own. */
  file(name: string, text: string): string {
    return writeOwn(join(this.directory, name), text);
  }

  /** Starts it, again where it was stopped, on the same port and data. */
  async listen(): Promise<void> {
    const failed = this.#start({});
    const pidFile = join(this.data, 'postmaster.pid');
    const accepts = () => existsSync(pidFile) && this.psql('SELECT 1') === '1';
    await Promise.race([failed, eventually(accepts, 20_000)]);
  }

  /** Starts it as a standby that nobody may read, which says that it starts up, until it is ended and started again. */
  startUp(): void {
    this.file('data/standby.signal', '');
    void this.#start({ hot_standby: 'off' });
  }

  /** Rejects when it has ended. */
  #start(more: Record<string, string>): Promise<never> {
    const settings = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.directory,
      fsync: 'off',
      full_page_writes: 'off',
      synchronous_commit: 'off',
      jit: 'off',
      shared_buffers: '16MB',
      ...this.#settings,
      ...more,
    };
    const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const [command, args, env] = commandOf(server, ['-D', this.data, '-p', String(this.port), ...given]);
    const child = spawn(command, args, { env, cwd: this.directory, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`PostgreSQL ended (${code}): ${this.#log}`)));
    });
    failed.catch(() => undefined);
    return failed;
  }

  /** What these statements give, through its socket: a line per row, unaligned. */
  psql(text: string, database = 'postgres'): string {
    const target = ['-h', this.directory, '-p', String(this.port), '-U', USER, '-d', database];
    const [command, args, env] = commandOf(psql, ['-XAtq', '-v', 'ON_ERROR_STOP=1', ...target, '-c', text]);
    return execFileSync(command, args, { env, cwd: this.directory, encoding: 'utf8', stdio: 'pipe' }).trimEnd();
  }

  /** Ends it as an administrator's restart does: sessions are told and ended, and the data are complete. */
  async end(): Promise<void> {
    await this.#signal('SIGINT');
  }

  /** Ends it as a crash does: sessions are cut at once. */
  async kill(): Promise<void> {
    await this.#signal('SIGQUIT');
  }

  /** Kills it and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #signal(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    // It ends after its sessions; one that is stopped by a signal would be waited for.
    const killing = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(killing);
  }
}
