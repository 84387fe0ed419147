// The examples as a user has them: copied into a project of either module system, and run from another directory.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { missing } from '../support/missing';
import { root } from '../support/paths';

/** Runs a command in a terminal of its own; part of util-linux. */
const SCRIPT = '/usr/bin/script';

/** The option `skip` of tests that need a terminal. */
export const skipWithoutTerminal = (): string | false =>
  existsSync(SCRIPT) ? false : missing(`the example in a terminal: there is no ${SCRIPT}`);

/** A running example. */
export interface RunningExample {
  child: ChildProcess;
  /** What it has printed. */
  printed(): string;
  /** Its exit code, and all that it has printed. */
  ended(): Promise<readonly [code: number, stdout: string, stderr: string]>;
}

/** The examples in a project of each module system; `remove` ends what still runs. */
export class ExampleProject {
  readonly #directory: string;
  readonly #program: string;
  readonly #env: NodeJS.ProcessEnv;
  /** What the program leaves would be here. */
  readonly temporary = mkdtempSync(join(tmpdir(), 'moorline-left-'));
  readonly #running = new Set<ChildProcess>();

  /** `program` is a file of `examples`, `env` what it needs to find its servers. */
  constructor(program: string, env: NodeJS.ProcessEnv) {
    this.#program = program;
    this.#env = env;
    // A server that runs as another user has to get to its files.
    chmodSync(this.temporary, 0o711);
    this.#directory = join(root, 'target', `${program}-${process.pid}`);
    for (const type of ['commonjs', 'module']) {
      const project = join(this.#directory, type);
      mkdirSync(join(project, 'node_modules'), { recursive: true });
      cpSync(join(root, 'examples'), project, { recursive: true });
      writeFileSync(join(project, 'package.json'), JSON.stringify({ type }));
      symlinkSync(root, join(project, 'node_modules', 'moorline'), 'junction');
    }
  }

  start(type: 'commonjs' | 'module', more: NodeJS.ProcessEnv = {}, isLive = false): RunningExample {
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    const command = [process.execPath, tsx, join(this.#directory, type, this.#program)];
    const [program = '', ...args] = isLive ? [SCRIPT, '-qefc', command.join(' '), '/dev/null'] : command;
    const child = spawn(program, args, {
      // A directory in which nothing is installed.
      cwd: this.temporary,
      env: { ...this.#env, TMPDIR: this.temporary, TERM: 'xterm', ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const closed = once(child, 'close').finally(() => this.#running.delete(child));
    return { child, printed: () => stdout, ended: async () => [(await closed)[0] as number, stdout, stderr] };
  }

  /** The files that the program has left. */
  left(): string[] {
    return readdirSync(this.temporary).filter((name) => name.startsWith('moorline-'));
  }

  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    for (const made of [this.#directory, this.temporary]) rmSync(made, { recursive: true, force: true });
  }
}

/** Whether a socket is open at one of these ports, or to one: a server that listens has one, and so has each of its sessions. */
export function hasSockets(ports: number[]): boolean {
  const rows = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  const TIME_WAIT = '06';
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(([, , , state]) => state !== TIME_WAIT)
    .some(([, ...ends]) => ends.slice(0, 2).some((end) => ports.includes(parseInt(end.split(':')[1]!, 16))));
}
