// Runs test files, each in a process group of its own: a file that hangs is reported with what it waits for and killed with
// its children, and the others go on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { root } from '../lib/run.mjs';
import { outcomeOf } from './outcome.mjs';
import { readActiveHandles, reportOptions } from './active-handles.mjs';

const EVENT_REPORTER = pathToFileURL(join(root, 'scripts', 'test', 'event-reporter.mjs')).href;
/** The totals of one file; those of all are printed at the end. */
const TOTALS = /^ℹ .*\n/gm;

/** The wait for the end of the output, which a process that has left the group may hold open. */
const OUTPUT_TIMEOUT_MS = 5_000;

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(1);
  });
}

/**
 * Runs `files`, `concurrency` at a time, and prints what each says. Adds to `total` how many tests passed and were
 * skipped, the names of those that failed, and what this machine lacks for others.
 */
export async function runFiles(files, { concurrency = 1, timeoutMs }, total) {
  const waiting = [...files];
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { passed, skipped, failed, missing } = await runFile(file, timeoutMs);
      total.passed += passed;
      total.skipped += skipped;
      total.failed.push(...failed.map((name) => `${file}: ${name}`));
      total.missing.push(...missing.map((reason) => `${file}: ${reason}`));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
}

async function runFile(file, timeoutMs) {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-test-'));
  const [events, missing] = [join(directory, 'events'), join(directory, 'missing')];
  const reporters = [
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...[`--test-reporter=${EVENT_REPORTER}`, '--test-reporter-destination=stderr'], // It writes nothing there.
  ];
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', ...reportOptions(directory, 'report.json'), ...reporters, file],
    {
      cwd: root,
      env: { ...process.env, MOORLINE_MISSING: missing, MOORLINE_EVENTS: events },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(child, 'exit');
  const closed = once(child, 'close');
  try {
    const inTime = await settlesWithin(ended, timeoutMs);
    const activeHandles = inTime ? [] : await readActiveHandles(child, join(directory, 'report.json'));
    // With its remaining children, which would hold its output open.
    killGroup(child);
    const [code, signal] = await ended;
    await settlesWithin(closed, OUTPUT_TIMEOUT_MS);
    const outcome = outcomeOf(events);
    outcome.failed.push(
      ...unreportedProblems(outcome, inTime ? exitProblem(code, signal) : `not over after ${timeoutMs} ms`),
    );
    process.stdout.write(`\n${file}\n${output.replace(TOTALS, '')}`);
    if (!inTime) console.log(`${file} is not over after ${timeoutMs} ms. It waits for:\n${indent(activeHandles)}`);
    return { ...outcome, missing: existsSync(missing) ? readFileSync(missing, 'utf8').trim().split('\n') : [] };
  } finally {
    running.delete(child);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What went wrong with a file beyond what its tests reported. */
function unreportedProblems({ passed, skipped, failed, pending }, endProblem) {
  if (pending.length > 0) return [`${endProblem || 'its process ended'} in ${pending.join(', ')}`];
  if (failed.length > 0) return [];
  if (endProblem) return [endProblem];
  return passed + skipped === 0 ? ['no test of it reported anything'] : [];
}

const exitProblem = (code, signal) => (code === 0 ? '' : signal ? `ended by ${signal}` : `ended with ${code}`);
const indent = (lines) => lines.map((line) => `  ${line}`).join('\n');

/** Whether `promise` settles in time. */
async function settlesWithin(promise, timeoutMs) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs, false)));
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function killGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has ended.
  }
}
