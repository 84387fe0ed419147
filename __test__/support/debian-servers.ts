// Debian's servers as processes of a test, each stopped by its own id.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Binary } from './debian';
import { eventually } from './eventually';

/** Servers that run until `stop`, and the directory of their files. */
export class DebianServers {
  readonly directory = mkdtempSync(join(tmpdir(), 'moorline-servers-'));
  readonly #children: ChildProcess[] = [];

  /** Writes a file for a server to read. */
  file(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }

  /** Starts one that stays in the foreground, and waits until it listens; gives what it writes to stderr from then on. */
  async start(binary: Binary | { missing: string }, args: string[], listening: number[]): Promise<() => string> {
    if (!('path' in binary)) throw new Error(binary.missing);
    const child = spawn(binary.path, args, { stdio: ['ignore', 'ignore', 'pipe'], env: binary.env });
    this.#children.push(child);
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${binary.path} ended with ${code}: ${output}`)));
    });
    const ready = Promise.all(listening.map((port) => eventually(() => answers(port), 10_000)));
    await Promise.race([failed, ready]);
    failed.catch(() => undefined);
    return () => output;
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      // Not at once: some have processes of their own to end.
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(killing);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => (socket.destroy(), resolve(true)));
    socket.on('error', reject);
  });
}
