// A stream whose place is kept in a file, read by processes that are killed at random moments.
import { describe, test } from 'node:test';

import { killReaders, READINGS } from '../alone/soak/sse-cursor';

describe('a reader that is killed at ten random moments', { concurrency: true }, () => {
  for (const reading of READINGS) {
    test(`misses no event, nor one whose handler failed: ${reading}`, { timeout: 120_000 }, async (t) => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      t.diagnostic(`seed ${seed}`);
      const { handled, repeated, failed } = await killReaders(reading, 10, seed);
      t.diagnostic(`${handled} handled, ${repeated} again, ${failed} handlers failed`);
    });
  }
});
