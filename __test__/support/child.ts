// What the exit and leak tests run in a process of its own: `child.ts <subject> <act>`.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Running } from '../contract';
import { subjects } from '../subjects';

const OPERATIONS = 100_000;
const WARM_UP = OPERATIONS / 10;
const BATCH = 100;

/** Prints one line for the parent. */
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Repeats `operation` in batches. */
async function repeat(operation: () => Promise<unknown>, times: number): Promise<void> {
  for (let done = 0; done < times; done += BATCH) {
    await Promise.allSettled(Array.from({ length: BATCH }, operation));
    // Lets timers, finalizers and the addon's own callbacks run.
    await new Promise(setImmediate);
  }
}

/** The resident size when nothing more can be collected: the lowest of a few looks. */
async function settledRss(): Promise<number> {
  let lowest = Infinity;
  for (let look = 0; look < 5; look++) {
    globalThis.gc?.();
    await sleep(20);
    lowest = Math.min(lowest, process.memoryUsage.rss());
  }
  return lowest;
}

async function flat(operation: () => Promise<unknown>): Promise<void> {
  assert.ok(globalThis.gc, 'needs --expose-gc');
  await repeat(operation, WARM_UP);
  const before = { rss: await settledRss(), resources: process.getActiveResourcesInfo().sort() };
  await repeat(operation, OPERATIONS - WARM_UP);
  const after = { rss: await settledRss(), resources: process.getActiveResourcesInfo().sort() };
  say({ grownBytes: after.rss - before.rss, operations: OPERATIONS - WARM_UP, before, after });
}

const acts: Record<string, (running: Running) => Promise<unknown>> = {
  /** Works once and leaves the object open. */
  async idle(running) {
    await running.operate();
    say('idle');
  },
  /** Waits for something that only the addon knows about. */
  async 'in-flight'(running) {
    await running.stall().catch(() => undefined);
    say('settled');
  },
  /** Leaves in the middle of it. */
  async leaving(running) {
    void running.stall().catch(() => undefined);
    await sleep(50);
    process.exit(3);
  },
  operations: (running) => flat(() => running.operate()),
  failures: (running) => flat(() => running.fail()),
  aborts: (running) =>
    flat(async () => {
      const controller = new AbortController();
      const operation = running.operate({ signal: controller.signal });
      setImmediate(() => controller.abort(new Error('enough')));
      await operation.catch(() => undefined);
      assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
    }),
};

async function main(): Promise<void> {
  const [name, act] = process.argv.slice(2);
  const subject = subjects.find((candidate) => candidate.name === name);
  const perform = acts[act ?? ''];
  assert.ok(subject && perform, `no ${name} or no ${act}`);
  await perform(await subject.start());
}

void main();
