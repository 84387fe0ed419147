// The contract of every service. A service is tested by describing itself as a subject.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, before, describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';

/** A service as the contract sees it. */
export interface Subject {
  /** For the titles, and to find it again in another process. */
  name: string;
  /** `service` of its errors. */
  service: string;
  /** What it has not, each with the reason: the promises about that are not made for it. */
  lacks: Partial<Record<Trait, string>>;
  /** Why it cannot be tested on this machine, or `false`. */
  skipReason?(): string | false;
  /** Starts what it talks to, in a process of its own. */
  serve?(): Promise<Server>;
  /**
   * A fresh one, ready to work on the server at `url` (empty where there is none); where it has such a thing, with
   * room for `concurrency` operations at a time (default 1).
   */
  start(url: string, concurrency?: number): RunningSubject | Promise<RunningSubject>;
  /** One whole lifetime, where a program has many of them: made, opened, used and closed. */
  runLifetime?(url: string): Promise<unknown>;
}

/**
 * What a service may do without. `close`, `hold` and `refuse` are members of {@link RunningSubject}; the others are
 * `gracefulClose`, a close that waits for what is going on; `signal`, operations that can be aborted; `errors`, failures
 * that reject.
 */
export type Trait = 'close' | 'gracefulClose' | 'hold' | 'refuse' | 'signal' | 'errors';

export interface Server {
  url: string;
  stop(): Promise<void>;
}

export interface RunningSubject {
  /** A small operation that succeeds. */
  operate(options?: { signal?: AbortSignal }): Promise<unknown>;
  /** A small operation that fails in operation, not by a programmer's mistake. */
  fail(): Promise<unknown>;
  /** An operation that gets nowhere, and gives up by itself after about a second. */
  stall(options?: { signal?: AbortSignal }): Promise<unknown>;
  /** Work that takes room until it is told to finish. */
  hold?(): Promise<{ finish(): void }>;
  /** How many of its things (connections, streams) somebody holds, where it tells. */
  heldCount?(): number;
  /** An operation that is refused before any attempt, though nothing was closed. */
  refuse?(): Promise<unknown>;
  /** Closes it; what is still going on after `timeoutMs` is cut off. */
  close?(timeoutMs?: number): Promise<unknown>;
}

/** A running subject that has these traits. */
type RunningWith<T extends Trait> = RunningSubject & Required<Pick<RunningSubject, Extract<T, keyof RunningSubject>>>;

const KINDS = [
  ...['closed', 'circuit-open', 'rate-limited', 'overloaded', 'pool-timeout', 'timeout', 'connect', 'tls', 'auth'],
  ...['disconnected', 'rejected', 'protocol', 'signature', 'connector', 'internal'],
];

/** A bound that is behaviour: the deadline and 100 ms, one second more where the machine is shared. */
export const SLACK_MS = process.env['CI'] ? 1100 : 100;

/** How many there are of each thing that keeps, or could keep, the process alive. */
function processResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  for (const name of process.eventNames()) counts[`listeners of ${String(name)}`] = process.listenerCount(name);
  return counts;
}

function assertComplete(error: unknown, service: string): asserts error is MoorlineError {
  assert.ok(error instanceof MoorlineError, `not a MoorlineError: ${String(error)}`);
  assert.ok(KINDS.includes(error.kind), error.kind);
  assert.match(error.code, /^[A-Z0-9_]+$/);
  assert.equal(error.service, service);
  assert.match(error.operation, /^\w/);
  assert.ok(['none', 'unknown', 'answered'].includes(error.delivery));
  assert.equal(typeof error.retryable, 'boolean');
  assert.ok(Number.isInteger(error.attempts) && error.attempts >= 0);
  if (error.attempts === 0) assert.equal(error.delivery, 'none', 'what was never tried was never sent');
  assert.ok(error.message.length > 0);
  assert.match(error.stack ?? '', /__test__/, 'the stack leads to the caller');
}

function assertRefused(error: unknown, service: string): asserts error is MoorlineError {
  assertComplete(error, service);
  assert.deepEqual([error.attempts, error.delivery], [0, 'none']);
}

/** For a suite: has the subject's server while its tests run, and gives the address, once they do. */
export function serveForSuite(subject: Subject): () => string {
  let server: Server | undefined;
  before(async () => (server = await subject.serve?.()));
  after(() => server?.stop());
  return () => server?.url ?? '';
}

/** The part of the contract that one process can see. `exit`, `leaks` and `threads` hold the rest. */
export function testContract(subject: Subject): void {
  describe(`contract: ${subject.name}`, { skip: subject.skipReason?.() ?? false }, () => {
    const url = serveForSuite(subject);
    const start = async () => subject.start(url());
    const skipped: string[] = [];

    /** A test of what a service promises that has these traits. */
    function contractTest<T extends Trait>(
      title: string,
      traits: T[],
      body: (start: () => Promise<RunningWith<T>>) => unknown,
    ) {
      const reason = traits.map((trait) => subject.lacks[trait]).find(Boolean);
      if (reason === undefined) test(title, () => body(start as () => Promise<RunningWith<T>>) as Promise<void>);
      else skipped.push(`${title}: ${reason}`);
    }

    contractTest('closes twice quietly', ['close'], async (start) => {
      const running = await start();
      await running.operate();
      await Promise.all([running.close(), running.close()]);
      await running.close();
    });

    contractTest('refuses after close', ['close'], async (start) => {
      const running = await start();
      await running.close();
      await assert.rejects(running.operate(), (error: unknown) => {
        assertRefused(error, subject.service);
        assert.equal(error.kind, 'closed');
        return true;
      });
    });

    contractTest('close waits for what is going on', ['close', 'gracefulClose', 'hold'], async (start) => {
      const running = await start();
      const work = await running.hold();
      let closed = false;
      const closing = running.close(30_000).then(() => (closed = true));
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(closed, false);
      work.finish();
      await closing;
      assert.equal(running.heldCount?.(), 0);
    });

    contractTest(
      'close cuts off what goes on for too long, and its end comes late without harm',
      ['close', 'gracefulClose', 'hold'],
      async (start) => {
        const running = await start();
        const work = await running.hold();
        const started = performance.now();
        await running.close(50);
        const elapsed = performance.now() - started;
        assert.ok(elapsed >= 45 && elapsed < 50 + SLACK_MS, `${elapsed} ms`);
        assert.equal(running.heldCount?.(), 0);
        work.finish();
      },
    );

    contractTest('a refusal says that nothing was tried', ['errors', 'refuse'], async (start) => {
      const running = await start();
      await assert.rejects(running.refuse(), (error: unknown) => {
        assertRefused(error, subject.service);
        return true;
      });
      await running.close?.();
    });

    contractTest('an abort rejects promptly with the reason', ['signal'], async (start) => {
      const running = await start();
      const controller = new AbortController();
      const reason = new Error('enough');
      const stalled = running.stall({ signal: controller.signal });
      setTimeout(() => controller.abort(reason), 20);
      const started = performance.now();
      await assert.rejects(stalled, (error) => error === reason);
      assert.ok(performance.now() - started < 20 + SLACK_MS);
      await assert.rejects(running.operate({ signal: controller.signal }), (error) => error === reason);
      await running.close?.(0);
    });

    contractTest('an abort passes its reason on, whatever it is', ['signal'], async (start) => {
      const running = await start();
      for (const reason of ['text', '{"kind":"closed"}', 42, null, undefined]) {
        const controller = new AbortController();
        const stalled = running.stall({ signal: controller.signal });
        controller.abort(reason);
        await assert.rejects(stalled, (error) => error === controller.signal.reason);
      }
      await running.close?.(0);
    });

    contractTest('an abort at any moment loses nothing', ['signal', 'hold'], async (start) => {
      const running = await start();
      const waitUntilNothingHeld = () => eventually(() => !running.heldCount?.());
      for (let turn = 0; turn < 400; turn++) {
        const work = await running.hold();
        const controller = new AbortController();
        // Where there is room for one only, it waits for what is held.
        const operation = running.operate({ signal: controller.signal });
        await new Promise(setImmediate);
        work.finish();
        // The addon works on while this thread stands still, so the abort finds it anywhere up to done.
        const until = performance.now() + (turn % 20) * 0.02;
        while (performance.now() < until);
        controller.abort(new Error('enough'));
        await operation.catch(() => undefined);
        if (turn % 10 === 0) await waitUntilNothingHeld();
      }
      await waitUntilNothingHeld();
      await running.operate();
      await running.close?.();
    });

    contractTest('a signal that is never aborted keeps no listener', ['signal'], async (start) => {
      const running = await start();
      const { signal } = new AbortController();
      await running.operate({ signal });
      await running.stall({ signal }).catch(() => undefined);
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      await running.close?.(0);
    });

    contractTest('every field of an error is set', ['errors'], async (start) => {
      const running = await start();
      for (const failing of [() => running.fail(), () => running.stall()]) {
        await assert.rejects(failing, (error: unknown) => {
          assertComplete(error, subject.service);
          assert.deepEqual(JSON.parse(JSON.stringify(error)).code, error.code);
          return true;
        });
      }
      await running.close?.(0);
    });

    contractTest('no listener, timer or handle is left', [], async (start) => {
      const before = processResources();
      const running = await start();
      await running.operate();
      await running.fail().catch(() => undefined);
      await running.close?.();
      await eventually(() => {
        // Fewer are no fault: an immediate of the test before may have been among them.
        const left = Object.entries(processResources()).filter(([kind, count]) => count > (before[kind] ?? 0));
        assert.deepEqual(left, []);
        return true;
      });
    });

    test('has what it does not say it lacks', async (t) => {
      for (const skippedTest of skipped) t.diagnostic(`not promised: ${skippedTest}`);
      const running = await start();
      for (const trait of ['close', 'hold', 'refuse'] as const) {
        assert.equal(running[trait] === undefined, subject.lacks[trait] !== undefined, trait);
      }
      const failed = await running.fail().then(
        () => false,
        () => true,
      );
      assert.equal(failed, subject.lacks.errors === undefined);
      await running.close?.(0);
    });
  });
}
