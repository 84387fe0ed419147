// The hostile programs, each in a process of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { peersMissing } from '../support/peers';

/** What is done to the process, by the name of the program. */
export const PROGRAMS = {
  arguments: 'exports and methods called with values that no caller ought to pass',
  workers: 'worker threads ended in the middle of calls',
  servers: 'servers that answer with malformed bytes',
  postgres: 'a server of PostgreSQL whose messages are cut and changed',
} as const;
export type Program = keyof typeof PROGRAMS;

/** Why it cannot be run on this machine, or `false`. */
export const skipReason = (program: Program): string | false => program === 'workers' && peersMissing();

/** How much longer than it was told a program may take, on a machine that is shared. */
const GRACE_MS = 120_000;

export interface HostileRun {
  /** What it did in all, or what was wrong. */
  output: string;
  survived: boolean;
}

/** Runs a program for `durationMs`. It survives when it ends by itself, has found nothing, and printed nothing else. */
export async function runProgram(program: Program, seed: number, durationMs: number): Promise<HostileRun> {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-hostile-'));
  const trace = join(directory, 'last-call');
  try {
    const loader = require.resolve('tsx');
    const file = join(__dirname, `${program}.ts`);
    const child = spawn(process.execPath, ['--import', loader, file, String(seed), String(durationMs), trace], {
      cwd: directory,
      env: { ...process.env, NIXTLA_API_KEY: undefined, NODE_NO_WARNINGS: '1' },
      timeout: durationMs + GRACE_MS,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    const survived = code === 0 && stderr === '';
    if (survived) return { output: stdout.trim(), survived };
    const last = program === 'arguments' ? `; the last call was ${readFileSync(trace, 'utf8').trim()}` : '';
    return { output: `seed ${seed}, ended by ${signal ?? code}${last}\n${stdout}${stderr}`, survived };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
