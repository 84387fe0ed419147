// Repeats an operation and measures what that leaves behind; in a process of its own, with `--expose-gc`.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Measured } from './memory-growth';

export interface RepeatOptions {
  times: number;
  /** So many at once. */
  batch: number;
  /** So many before the first sample. Default: a tenth. */
  warmUp?: number;
  /** Waits until what was given up is over: giving up does not wait, and on a busy machine it piles up. */
  catchUp?: () => Promise<unknown>;
  /** A slow or busy machine stops here with fewer, but not with fewer than twice the warm-up. */
  limitMs: number;
}

/**
 * Garbage is collected each time so many are done: otherwise what the allocator keeps of the largest heap ever would be
 * measured, and how large that gets is V8's mood.
 */
const COLLECT_EVERY = 1000;

/** Repeats `operation` in batches; how often it did. */
async function repeat(
  operation: () => Promise<unknown>,
  minOperations: number,
  options: RepeatOptions,
): Promise<number> {
  const { times, batch, limitMs, catchUp } = options;
  const started = performance.now();
  let done = 0;
  while (done < times && (done < minOperations || performance.now() - started < limitMs)) {
    await Promise.allSettled(Array.from({ length: batch }, operation));
    done += batch;
    // Lets timers, finalizers and the addon's own callbacks run.
    await new Promise(setImmediate);
    if (done % COLLECT_EVERY >= batch) continue;
    await catchUp?.();
    globalThis.gc?.();
  }
  return done;
}

/** Readings without a lower one, after which memory counts as settled. */
const SETTLED_READINGS = 5;
const MAX_READINGS = 100;

/**
 * The resident size when nothing more can be collected: the lowest, once a few readings were no lower. What was given up
 * closes on threads of its own, which wait for their turn on a busy machine.
 */
async function settledRss(): Promise<number> {
  let lowest = Infinity;
  for (let [reading, since] = [0, 0]; reading < MAX_READINGS && since < SETTLED_READINGS; reading++) {
    globalThis.gc?.();
    await sleep(20);
    const rss = process.memoryUsage.rss();
    since = rss < lowest ? 0 : since + 1;
    lowest = Math.min(lowest, rss);
  }
  return lowest;
}

/**
 * So many samples before and after, with repetitions between: the resident size goes up and down by the connections that
 * are replaced, and by what the allocator happens to keep of them. What leaks is there in each sample.
 */
const SIZE_SAMPLES = 4;

async function sampleSizes(repeatSome: () => Promise<number>) {
  const sizes: number[] = [];
  const openFiles: number[] = [];
  for (let sample = 0; sample < SIZE_SAMPLES; sample++) {
    await repeatSome();
    sizes.push(await settledRss());
    openFiles.push(countOpenFiles());
  }
  return { rss: sizes, openFiles, resources: process.getActiveResourcesInfo().sort() };
}

/** Files, sockets and pipes of the process, the addon's own, too; 0 where the system does not list them. */
function countOpenFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

/**
 * How much memory has grown over so many times, after a warm-up, or for as long as `soakMs`: from the highest sample before
 * to the lowest one after.
 */
export async function measureRepeated(
  operation: () => Promise<unknown>,
  options: RepeatOptions,
  soakMs?: number,
): Promise<Omit<Measured, 'elapsedMs' | 'repetition'>> {
  assert.ok(globalThis.gc, 'needs --expose-gc');
  const { times, limitMs, warmUp = times / 10 } = options;
  const some = Math.ceil(warmUp / SIZE_SAMPLES);
  const repeatSome = () => repeat(operation, some, { ...options, times: some, limitMs: Infinity });
  const before = await sampleSizes(repeatSome);
  const [maxTimes, timeLimitMs] = soakMs === undefined ? [times - warmUp, limitMs] : [Infinity, soakMs];
  const operations = await repeat(operation, 2 * warmUp, { ...options, times: maxTimes, limitMs: timeLimitMs });
  const after = await sampleSizes(repeatSome);
  const grown = (of: 'rss' | 'openFiles') => Math.min(...after[of]) - Math.max(...before[of]);
  return { grownBytes: grown('rss'), grownFiles: grown('openFiles'), operations, before, after };
}
