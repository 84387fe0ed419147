// A file of tests whose process ends in the middle.
import { test } from 'node:test';

test('leaves', async () => {
  await new Promise((resolve) => setTimeout(resolve));
  process.exit(0);
});
