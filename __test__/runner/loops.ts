// A file of tests that keeps its thread busy.
import { test } from 'node:test';

test('computes', async () => {
  await new Promise((resolve) => setTimeout(resolve));
  for (const end = Date.now() + 120_000; Date.now() < end;);
});
