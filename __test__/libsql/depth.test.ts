// The engine as deep as it goes, on its own threads and beside a caller with little stack: what it recurses for is answered or
// refused, and nothing ends the process.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';

import { constructs } from './depth/engine-depths';
import { testsDirectory } from '../support/paths';

const CHILD = join(testsDirectory, 'libsql', 'depth', 'engine-depths.ts');

/** The threads that call: the first of the process, or a worker with a stack of 1 MB. */
const CALLERS = ['main', 'worker'] as const;
type Caller = (typeof CALLERS)[number];

interface Line {
  index: number;
  depth: number;
  outcome?: string;
}

/** The outcomes, by caller, construct and depth. */
const outcomes = new Map<string, string>();
const key = (caller: Caller, index: number, depth: number) => `${caller}: ${index} at ${depth}`;

/** Tries all from `first` on; gives the one after that which ended the process. */
async function runFrom(caller: Caller, first: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, String(first), caller], {
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
    if (outcome !== undefined) outcomes.set(key(caller, index, depth), outcome);
  }
  const last = lines.at(-1);
  if (code === 0 || !last) return constructs.length;
  outcomes.set(key(caller, last.index, last.depth), `the process ended: ${signal ?? code}`);
  return last.index + 1;
}

before(async () => {
  for (const caller of CALLERS) {
    for (let next = 0; next < constructs.length;) next = await runFrom(caller, next);
  }
});

for (const caller of CALLERS) {
  describe(`called by the ${caller} thread`, () => {
    for (const [index, construct] of constructs.entries()) {
      for (const [depth, expected] of construct.outcomes) {
        test(`${construct.name}, ${depth}: ${expected === 'answer' ? 'answered' : 'refused'}`, () => {
          const outcome = outcomes.get(key(caller, index, depth)) ?? 'not reached';
          if (expected === 'answer') assert.equal(outcome, 'answer');
          else assert.match(outcome, expected);
        });
      }
    }
  });
}
