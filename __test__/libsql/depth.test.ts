// The engine on its own threads, as deep as it goes: what it recurses for is answered or refused, and nothing ends the
// process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { constructs } from './depth/engine-depths';
import { testsDirectory } from '../support/paths';

const CHILD = join(testsDirectory, 'libsql', 'depth', 'engine-depths.ts');

interface Line {
  index: number;
  depth: number;
  outcome?: string;
}

/** The outcomes, by construct and depth. */
const outcomes = new Map<string, string>();
const key = (index: number, depth: number) => `${index} at ${depth}`;

/** Tries all from `first` on; gives the one after that which ended the process. */
async function runFrom(first: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 600_000,
    killSignal: 'SIGKILL',
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const lines = output
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
  for (const { index, depth, outcome } of lines) {
    if (outcome !== undefined) outcomes.set(key(index, depth), outcome);
  }
  const last = lines.at(-1);
  if (code === 0 || !last) return constructs.length;
  outcomes.set(key(last.index, last.depth), `the process ended: ${signal ?? code}`);
  return last.index + 1;
}

before(async () => {
  for (let next = 0; next < constructs.length;) next = await runFrom(next);
});

for (const [index, construct] of constructs.entries()) {
  for (const [depth, expected] of construct.outcomes) {
    test(`${construct.name}, ${depth}: ${expected === 'answer' ? 'answered' : 'refused'}`, () => {
      const outcome = outcomes.get(key(index, depth)) ?? 'not reached';
      if (expected === 'answer') assert.equal(outcome, 'answer');
      else assert.match(outcome, expected);
    });
  }
}
