// A hundred thousand operations, failures and aborts leave nothing behind (on a slow machine fewer, unless
// MOORLINE_SOAK is set).
//
// "Flat" means: after a warm-up of a tenth of them, memory grows by less than 8 MB and less than 100 bytes an
// operation, and what could keep the process alive is the same as before.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { subjects } from './subjects';
import { runChild } from './support/spawn';

interface Measured {
  grownBytes: number;
  operations: number;
  before: { resources: string[] };
  after: { resources: string[] };
}

for (const { name } of subjects) {
  describe(`leaks: ${name}`, () => {
    for (const act of ['operations', 'failures', 'aborts']) {
      test(`${act} stay flat`, async (t) => {
        const ended = await runChild([name, act], process.env['MOORLINE_SOAK'] ? 600_000 : 120_000);
        assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr);
        const measured = ended.lines[0] as Measured;
        const perOperation = measured.grownBytes / measured.operations;
        t.diagnostic(
          `${(measured.grownBytes / 2 ** 20).toFixed(1)} MB more after ${measured.operations} ${act}, ` +
            `${(ended.elapsedMs / 1000).toFixed(1)} s in all`,
        );
        assert.ok(measured.grownBytes < 8 * 2 ** 20, `${measured.grownBytes} bytes more`);
        assert.ok(perOperation < 100, `${perOperation} bytes an operation`);
        assert.deepEqual(measured.after.resources, measured.before.resources);
      });
    }
  });
}
