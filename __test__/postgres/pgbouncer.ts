// PgBouncer on loopback in front of a PostgreSQL of the tests, stopped by its own process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { debianBinary, skipWithout } from '../support/debian';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';
import { commandOf, makeDirectory, type Postgres, skipWithoutPostgres, writeOwn } from '../support/postgres';

const binary = debianBinary('pgbouncer', 'pgbouncer');

/** The option `skip` of tests that need PgBouncer: false when there is one, and a PostgreSQL, that can run here. */
export function skipWithoutPgBouncer(): string | false {
  return skipWithoutPostgres() || skipWithout(binary);
}

/** A running PgBouncer. */
export class PgBouncer {
  readonly #directory = makeDirectory('pgbouncer');
  #child: ChildProcess | undefined;
  #log = '';

  /** `mode` says how long a client keeps a session of the server; `poolSize` is the number of those sessions. */
  static async start(server: Postgres, mode: 'session' | 'transaction', poolSize = 20): Promise<PgBouncer> {
    const bouncer = new PgBouncer(await freePort(), server);
    try {
      await bouncer.#listen(mode, poolSize);
    } catch (error) {
      await bouncer.stop();
      throw error;
    }
    return bouncer;
  }

  private constructor(
    readonly port: number,
    readonly server: Postgres,
  ) {}

  /** What connects to the server through it. */
  get config(): Postgres['config'] {
    return { ...this.server.config, port: this.port };
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  async #listen(mode: string, poolSize: number): Promise<void> {
    const { host, port, user, password } = this.server.config;
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: this.port,
      unix_socket_dir: '',
      auth_type: 'scram-sha-256',
      auth_file: writeOwn(join(this.#directory, 'users.txt'), `"${user}" "${password}"\n`),
      pool_mode: mode,
      default_pool_size: poolSize,
      max_client_conn: 500,
      ignore_startup_parameters: 'extra_float_digits,options',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const text = `[databases]\n* = host=${host} port=${port}\n[pgbouncer]\n${lines.join('\n')}\n`;
    const file = writeOwn(join(this.#directory, 'pgbouncer.ini'), text);
    const [command, args, env] = commandOf(binary, [file]);
    const child = spawn(command, args, { env, cwd: this.#directory, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`PgBouncer ended (${code}): ${this.#log}`)));
    });
    await Promise.race([failed, eventually(() => answers(this.port), 10_000)]);
    failed.catch(() => undefined);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(killing);
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', reject);
  });
}
