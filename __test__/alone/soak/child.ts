// The program that exit and leak tests run in a process of its own: `child.ts <subject> <url> <scenario> [<ms>]`.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import type { RunningSubject, Subject } from '../../contract/contract';
import { subjects } from '../../contract/subjects';
import { eventually } from '../../support/eventually';
import { measureRepeated, type RepeatOptions } from './repeat';

const BATCH = 100;
const OPERATIONS: RepeatOptions = { times: 100_000, batch: BATCH, limitMs: 20_000 };
/** Whole lifetimes take longer than operations, and the allocator needs longer to settle. */
const LIFETIMES: RepeatOptions = { times: 10_000, warmUp: 3000, batch: 20, limitMs: 20_000 };

/** Prints one line for the parent. */
const print = (line: unknown) => void process.stdout.write(`${JSON.stringify(line)}\n`);

type Scenario = (subject: Subject, url: string) => Promise<unknown>;

const scenarios: Record<string, Scenario> = {
  /** Works once and leaves the object open. */
  async idle(subject, url) {
    await (await subject.start(url)).operate();
    print('idle');
  },
  /** Waits for something that only the addon knows about. */
  async 'in-flight'(subject, url) {
    await (await subject.start(url)).stall().catch(() => undefined);
    print('settled');
  },
  /** Leaves in the middle of it. */
  async leaving(subject, url) {
    void (await subject.start(url)).stall().catch(() => undefined);
    await sleep(50);
    process.exit(3);
  },
};

const repeatedOperations: Record<string, (running: RunningSubject) => () => Promise<unknown>> = {
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
  const [name, url = '', scenario = '', soakMs] = process.argv.slice(2);
  const subject = subjects.find((candidate) => candidate.name === name);
  assert.ok(subject, `no ${name}`);
  const runScenario = scenarios[scenario];
  if (runScenario) return void (await runScenario(subject, url));
  const durationMs = soakMs === undefined ? undefined : Number(soakMs);
  if (scenario === 'lives') {
    assert.ok(subject.runLifetime, `${name} has no whole lifetime`);
    let failed: unknown;
    const runOne = () => subject.runLifetime!(url).catch((error: unknown) => (failed ??= error));
    print(await measureRepeated(runOne, LIFETIMES, durationMs));
    return assert.ifError(failed);
  }
  const repeatedOperation = repeatedOperations[scenario];
  assert.ok(repeatedOperation, `no ${scenario}`);
  const running = await subject.start(url, BATCH);
  // As many connections as there can be: how many of them a repetition needs depends on how busy the machine is.
  const held = await Promise.all(Array.from({ length: BATCH }, () => running.hold?.()));
  for (const one of held) one?.finish();
  // Runs after all aborted operations before it; rejects if the server is overloaded by them.
  const catchUp = scenario === 'aborts' ? () => running.operate().catch(() => undefined) : undefined;
  print(await measureRepeated(repeatedOperation(running), { ...OPERATIONS, ...(catchUp && { catchUp }) }, durationMs));
  // Aborted operations, too, release what they held.
  await eventually(() => !running.heldCount?.());
}

void main();
