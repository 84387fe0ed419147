// A hundred thousand operations, failures and aborts leave nothing behind (on a slow machine fewer; `npm run soak`
// goes on for as long as it is told).
import { describe, test } from 'node:test';

import { serveForSuite } from '../contract/contract';
import { subjects } from '../contract/subjects';
import { assertFlat, measure, repetitions } from './soak/memory-growth';

for (const subject of subjects) {
  describe(`leaks: ${subject.name}`, { skip: subject.skipReason?.() ?? false }, () => {
    const url = serveForSuite(subject);
    for (const repetition of repetitions(subject)) {
      test(`${repetition} stay flat`, async (t) => {
        const measured = await measure(subject, url(), repetition);
        const grown = `${(measured.grownBytes / 2 ** 20).toFixed(1)} MB more`;
        const elapsed = `${(measured.elapsedMs / 1000).toFixed(1)} s in all`;
        t.diagnostic(`${grown} after ${measured.operations} ${repetition}, ${elapsed}`);
        assertFlat(measured);
      });
    }
  });
}
