import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { root } from './paths';

/** How a script ended. */
export interface ScriptEnded {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs JavaScript in a process of its own, for what may end it; one that outlives `timeoutMs` is killed. */
export async function runScript(script: string, nodeOptions: string[] = [], timeoutMs = 30_000): Promise<ScriptEnded> {
  const child = spawn(process.execPath, [...nodeOptions, '-e', script], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}
