// A process ends when its work is done, and not before.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { serveForSuite } from '../contract/contract';
import { subjects } from '../contract/subjects';
import { runChild } from './soak/spawn';

for (const subject of subjects) {
  describe(`exit: ${subject.name}`, { concurrency: true, skip: subject.skipReason?.() ?? false }, () => {
    const url = serveForSuite(subject);

    test('an idle one does not keep the process alive', async () => {
      const ended = await runChild([subject.name, url(), 'idle'], 20_000);
      assert.deepEqual([ended.code, ended.lines], [0, ['idle']], ended.stderr);
    });

    test('work in flight keeps the process alive until it settles', async () => {
      const ended = await runChild([subject.name, url(), 'in-flight'], 20_000);
      assert.deepEqual([ended.code, ended.lines], [0, ['settled']], ended.stderr);
    });

    test('process.exit() ends the process while work is in flight', async () => {
      const ended = await runChild([subject.name, url(), 'leaving'], 20_000);
      assert.deepEqual([ended.code, ended.signal], [3, null], ended.stderr);
    });
  });
}
