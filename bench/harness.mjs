// How a bench runs here: the same work by every contestant, in rounds whose order rotates, medians at the end.
//
//   import { bench, skipBench } from './harness.mjs';
//   await bench('webhook', [{ name: '1 KB', operations: 50_000, sync: true, contestants: () => [ours, theirs] }]);
//
// A contestant is `{ name, operation, close? }`; its operation checks its own answer and throws when it is wrong,
// which ends the bench with a failure: nobody wins by being wrong. A bench that cannot run (no server, no such
// build) says why with `skipBench` and exits with 2.
//
// A bench imports what a user imports: the package's entries, by `load`. What stands below them is a contestant called
// `engine`, from engines.mjs.
//
// Shared machines are noisy, so read the ratios and the CPU time first and the throughput last.
import { createRequire } from 'node:module';

const ROUNDS = 7;
/** One operation in so many is timed by itself; timing all of them would cost more than some of them do. */
const TIMED_EVERY = 16;

/**
 * @typedef {object} Contestant
 * @property {string} name A peer carries its package name; ours is `moorline`, the transport below it `engine`.
 * @property {() => unknown} operation One operation; throws when its answer is wrong.
 * @property {() => unknown} [close]
 *
 * @typedef {object} Case
 * @property {string} name As performance.md spells it.
 * @property {number} operations Per round and contestant.
 * @property {number} [items] What one operation counts for (default 1): a flood of messages, say.
 * @property {number} [concurrency] Operations in flight (default 1).
 * @property {boolean} [sync] The operation answers synchronously, so nothing is awaited.
 * @property {() => Contestant[] | Promise<Contestant[]>} contestants Ours first.
 */

/** Loads an entry of the package by its name, `moorline` or `moorline/libsql`, as a program of a user does. */
export const load = createRequire(new URL('../package.json', import.meta.url));

/** Ends a bench whose contestant was wrong where nothing that is thrown would end it. */
export function failBench(bench, reason) {
  console.error(`${bench}: ${reason}`);
  process.exit(1);
}

/** Ends a bench that cannot run here, with the reason. */
export function skipBench(bench, reason) {
  console.error(`${bench}: cannot run: ${reason}`);
  process.exit(2);
}

/**
 * Runs the cases of one bench and prints a table, or with `--json` one object a line.
 * @param {string} bench
 * @param {Case[]} cases
 */
export async function bench(bench, cases) {
  const json = process.argv.includes('--json');
  for (const one of cases) {
    const contestants = await one.contestants();
    let results;
    try {
      results = await runRounds(one, contestants);
    } finally {
      for (const contestant of contestants) await contestant.close?.();
    }
    if (json) {
      for (const result of results) console.log(JSON.stringify({ bench, case: one.name, ...result }));
    } else {
      print(bench, one, results);
    }
  }
}

async function runRounds(one, contestants) {
  const rounds = new Map(contestants.map(({ name }) => [name, []]));
  for (const contestant of contestants) await measure(one, contestant, Math.ceil(one.operations / 4));
  for (let round = 0; round < ROUNDS; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      rounds.get(contestant.name).push(await measure(one, contestant, one.operations));
    }
  }
  return contestants.map(({ name }) => ({
    contestant: name,
    ours: name === 'moorline',
    ...medians(rounds.get(name)),
  }));
}

async function measure(one, { operation }, operations) {
  globalThis.gc?.();
  const samples = [];
  const cpu = process.cpuUsage();
  const loop = performance.eventLoopUtilization();
  const started = performance.now();
  if (one.sync) runSync(operation, operations, samples);
  else await runAsync(operation, operations, one.concurrency ?? 1, samples);
  const elapsedMs = performance.now() - started;
  const { active } = performance.eventLoopUtilization(loop);
  const { user, system } = process.cpuUsage(cpu);
  samples.sort((a, b) => a - b);
  const done = operations * (one.items ?? 1);
  return {
    opsPerSecond: (done / elapsedMs) * 1000,
    cpuUsPerOp: (user + system) / done,
    mainUsPerOp: (active * 1000) / done,
    p50Us: samples[Math.floor(samples.length * 0.5)] * 1000,
    p99Us: samples[Math.floor(samples.length * 0.99)] * 1000,
  };
}

function runSync(operation, operations, samples) {
  for (let n = 0; n < operations; n++) {
    if (n % TIMED_EVERY !== 0) {
      operation();
      continue;
    }
    const startedAt = performance.now();
    operation();
    samples.push(performance.now() - startedAt);
  }
}

async function runAsync(operation, operations, concurrency, samples) {
  let remaining = operations;
  const work = async () => {
    while (remaining > 0) {
      remaining -= 1;
      if (remaining % TIMED_EVERY !== 0) {
        await operation();
        continue;
      }
      const startedAt = performance.now();
      await operation();
      samples.push(performance.now() - startedAt);
    }
  };
  // From a fresh turn of the loop, so that the measured time is the loop's, not the module's evaluation.
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all(Array.from({ length: concurrency }, work));
}

function medians(rounds) {
  const median = (key) => {
    const values = rounds.map((round) => round[key]).sort((a, b) => a - b);
    return Number(values[Math.floor(values.length / 2)].toPrecision(4));
  };
  return Object.fromEntries(Object.keys(rounds[0]).map((key) => [key, median(key)]));
}

function print(bench, one, results) {
  const [ours] = results;
  const columns = ['contestant', 'ops/s', 'ours ×', 'CPU µs', 'CPU ×', 'main µs', 'p50 µs', 'p99 µs'];
  const rows = results.map((result) => [
    result.contestant,
    Math.round(result.opsPerSecond).toLocaleString('en'),
    (ours.opsPerSecond / result.opsPerSecond).toFixed(2),
    result.cpuUsPerOp.toFixed(2),
    (result.cpuUsPerOp / ours.cpuUsPerOp).toFixed(2),
    result.mainUsPerOp.toFixed(2),
    result.p50Us.toFixed(1),
    result.p99Us.toFixed(1),
  ]);
  const widths = columns.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index].length)));
  const line = (cells) =>
    cells.map((cell, index) => (index ? cell.padStart(widths[index]) : cell.padEnd(widths[index]))).join('  ');
  console.log(`\n${bench}: ${one.name} (medians of ${ROUNDS} rounds of ${one.operations * (one.items ?? 1)})`);
  for (const row of [columns, ...rows]) console.log(line(row));
}
