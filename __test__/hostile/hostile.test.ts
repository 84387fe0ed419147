// The process survives whatever callers, servers and terminated threads do to it (`npm run soak -- hostile` goes on longer).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { skipReason, type Program, PROGRAMS, runProgram } from './run';

const DURATION_MS = 5000;

describe('hostile', () => {
  for (const [program, what] of Object.entries(PROGRAMS) as [Program, string][]) {
    test(`the process survives ${what}`, { skip: skipReason(program), timeout: 180_000 }, async (t) => {
      // Another one each time; a failure says which.
      const seed = Date.now() % 1_000_000;
      const { output, survived } = await runProgram(program, seed, DURATION_MS);
      t.diagnostic(`seed ${seed}: ${output}`);
      assert.ok(survived, output);
    });
  }
});
