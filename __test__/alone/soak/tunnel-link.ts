// A link that goes down: the only one of a network namespace, in which a process of its own makes the calls.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import type { RoundReport, Sessions } from './tunnel-faults';

/** What a command stands behind to run in a new namespace; only root may. */
export const APART = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'] as const;
/** Set in such a process. */
const VARIABLE = 'MOORLINE_TEST_APART';

/** Whether this process runs in a namespace of its own. */
export const isApart = process.env[VARIABLE] !== undefined;

/** Whether a process may run in one. */
export function mayBeApart(): boolean {
  const [command, ...args] = APART;
  return !isApart && spawnSync(command, [...args, 'true']).status === 0;
}

/** Takes the link of this namespace down, or up. */
export function setLink(state: 'up' | 'down'): void {
  const { status, stderr } = spawnSync('ip', ['link', 'set', 'lo', state], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the link was not set ${state}: ${stderr}`);
}

/** A round of that fault in a namespace of its own. */
export async function runRoundApart(sessions: Sessions): Promise<RoundReport> {
  const [command, ...apart] = APART;
  const program = [process.execPath, '--import', 'tsx', join(__dirname, 'tunnel-link-process.ts'), sessions];
  const env = { ...process.env, [VARIABLE]: '1' };
  const child = spawn(command, [...apart, ...program], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  if (code !== 0) throw new Error(`the calls in a namespace of their own ended with ${code}`);
  return JSON.parse(printed) as RoundReport;
}
