import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** How a child process ended. */
export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Its lines on stdout, parsed. */
  lines: unknown[];
  stderr: string;
  elapsedMs: number;
}

/**
 * A small young generation: V8's default of 16 MB fills before it is collected, which a memory test could take for a
 * leak.
 */
const NODE_OPTIONS = ['--expose-gc', '--max-semi-space-size=1', '--import', 'tsx'];

/** Runs one scenario of `child.ts`; a child that outlives `timeoutMs` is killed, and `signal` says so. */
export async function runChild(args: string[], timeoutMs: number): Promise<ChildResult> {
  const started = performance.now();
  const child = spawn(process.execPath, [...NODE_OPTIONS, join(__dirname, 'child.ts'), ...args], {
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const lines = stdout.split('\n').filter(Boolean);
  return { code, signal, lines: lines.map((line) => JSON.parse(line)), stderr, elapsedMs: performance.now() - started };
}
