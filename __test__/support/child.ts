// What the exit and leak tests run in a process of its own: `child.ts <subject> <url> <act> [<ms>]`.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Running, Subject } from '../contract';
import { subjects } from '../subjects';
import { eventually } from './eventually';

const OPERATIONS = 100_000;
const WARM_UP = OPERATIONS / 10;
const BATCH = 100;
/** A slow or busy machine stops here with fewer operations, but not with fewer than twice the warm-up. */
const LIMIT_MS = 20_000;

/** Prints one line for the parent. */
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Repeats `operation` in batches; how often it did. */
async function repeat(operation: () => Promise<unknown>, times: number, limitMs: number): Promise<number> {
  const started = performance.now();
  let done = 0;
  while (done < times && (done < 2 * WARM_UP || performance.now() - started < limitMs)) {
    await Promise.allSettled(Array.from({ length: BATCH }, operation));
    done += BATCH;
    // Lets timers, finalizers and the addon's own callbacks run.
    await new Promise(setImmediate);
  }
  return done;
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

/** Says how much memory has grown over a hundred thousand operations, or over as many as `soakMs` have room for. */
async function flat(operation: () => Promise<unknown>, soakMs: number | undefined): Promise<void> {
  assert.ok(globalThis.gc, 'needs --expose-gc');
  await repeat(operation, WARM_UP, Infinity);
  const before = { rss: await settledRss(), resources: process.getActiveResourcesInfo().sort() };
  const [times, limitMs] = soakMs === undefined ? [OPERATIONS - WARM_UP, LIMIT_MS] : [Infinity, soakMs];
  const operations = await repeat(operation, times, limitMs);
  const after = { rss: await settledRss(), resources: process.getActiveResourcesInfo().sort() };
  say({ grownBytes: after.rss - before.rss, operations, before, after });
}

type Act = (subject: Subject, url: string) => Promise<unknown>;

const lives: Record<string, Act> = {
  /** Works once and leaves the object open. */
  async idle(subject, url) {
    await (await subject.start(url)).operate();
    say('idle');
  },
  /** Waits for something that only the addon knows about. */
  async 'in-flight'(subject, url) {
    await (await subject.start(url)).stall().catch(() => undefined);
    say('settled');
  },
  /** Leaves in the middle of it. */
  async leaving(subject, url) {
    void (await subject.start(url)).stall().catch(() => undefined);
    await sleep(50);
    process.exit(3);
  },
};

const repetitions: Record<string, (running: Running) => () => Promise<unknown>> = {
  operations: (running) => () => running.operate(),
  failures: (running) => () => running.fail(),
  aborts: (running) => async () => {
    const controller = new AbortController();
    const operation = running.operate({ signal: controller.signal });
    setImmediate(() => controller.abort(new Error('enough')));
    await operation.catch(() => undefined);
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  },
};

async function main(): Promise<void> {
  const [name, url = '', act = '', soakMs] = process.argv.slice(2);
  const subject = subjects.find((candidate) => candidate.name === name);
  assert.ok(subject, `no ${name}`);
  const live = lives[act];
  if (live) return void (await live(subject, url));
  const repetition = repetitions[act];
  assert.ok(repetition, `no ${act}`);
  const running = await subject.start(url, BATCH);
  await flat(repetition(running), soakMs === undefined ? undefined : Number(soakMs));
  // The aborted ones too have given back what they had.
  await eventually(() => !running.held?.());
}

void main();
