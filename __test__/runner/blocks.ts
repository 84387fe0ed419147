// A file of tests that holds its thread.
import { test } from 'node:test';

test('holds the thread', async () => {
  await new Promise((resolve) => setTimeout(resolve));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120_000);
});
