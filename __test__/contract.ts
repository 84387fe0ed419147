// What every service promises, whatever it talks to. A service joins by describing itself as a subject.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { eventually } from './support/eventually';

/** A service as the contract sees it. */
export interface Subject {
  /** For the titles, and to find it again in another process. */
  name: string;
  /** `service` of its errors. */
  service: string;
  /** A fresh one, ready to work; where it has such a thing, with room for so many operations at a time (default 1). */
  start(room?: number): Running | Promise<Running>;
}

export interface Running {
  /** A small operation that succeeds. */
  operate(options?: { signal?: AbortSignal }): Promise<unknown>;
  /** A small operation that fails in operation, not by a programmer's mistake. */
  fail(): Promise<unknown>;
  /** Work that goes on until it is told to finish. */
  hold(): Promise<{ finish(): void }>;
  /** An operation that gets nowhere, and gives up by itself after about a second. */
  stall(options?: { signal?: AbortSignal }): Promise<unknown>;
  /** Closes it; what is still going on after `patienceMs` is cut off. */
  close(patienceMs?: number): Promise<unknown>;
  /** How many of its things (connections, streams) somebody holds. */
  held(): number;
}

const KINDS = [
  ...['closed', 'circuit-open', 'rate-limited', 'overloaded', 'pool-timeout', 'timeout', 'connect', 'tls', 'auth'],
  ...['disconnected', 'rejected', 'protocol', 'signature', 'connector', 'internal'],
];

/** A bound that is behaviour: the deadline and 100 ms, one second more where the machine is shared. */
export const promptlyMs = process.env['CI'] ? 1100 : 100;

/** What keeps, or could keep, the process alive. */
function footprint() {
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  const listeners = process.eventNames().map((name) => [String(name), process.listenerCount(name)] as const);
  return { resources, listeners: Object.fromEntries(listeners) };
}

function assertComplete(error: unknown, service: string): asserts error is MoorlineError {
  assert.ok(error instanceof MoorlineError, `not a MoorlineError: ${String(error)}`);
  assert.ok(KINDS.includes(error.kind), error.kind);
  assert.match(error.code, /^[A-Z0-9_]+$/);
  assert.equal(error.service, service);
  assert.match(error.operation, /^\w/);
  assert.ok(['none', 'unknown', 'answered'].includes(error.delivery));
  assert.equal(typeof error.retryable, 'boolean');
  assert.ok(Number.isInteger(error.attempts) && error.attempts >= 1);
  assert.ok(error.message.length > 0);
  assert.match(error.stack ?? '', /__test__/, 'the stack leads to the caller');
}

/** The part of the contract that one process can see. `exit`, `leaks` and `threads` hold the rest. */
export function contract(subject: Subject): void {
  describe(`contract: ${subject.name}`, () => {
    test('closes twice quietly', async () => {
      const running = await subject.start();
      await running.operate();
      await Promise.all([running.close(), running.close()]);
      await running.close();
    });

    test('refuses after close', async () => {
      const running = await subject.start();
      await running.close();
      await assert.rejects(running.operate(), (error: unknown) => {
        assertComplete(error, subject.service);
        assert.equal(error.kind, 'closed');
        assert.equal(error.delivery, 'none');
        return true;
      });
    });

    test('close waits for what is going on', async () => {
      const running = await subject.start();
      const work = await running.hold();
      let closed = false;
      const closing = running.close(30_000).then(() => (closed = true));
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(closed, false);
      work.finish();
      await closing;
      assert.equal(running.held(), 0);
    });

    test('close cuts off what goes on for too long, and its end comes late without harm', async () => {
      const running = await subject.start();
      const work = await running.hold();
      const started = performance.now();
      await running.close(50);
      const elapsed = performance.now() - started;
      assert.ok(elapsed >= 45 && elapsed < 50 + promptlyMs, `${elapsed} ms`);
      assert.equal(running.held(), 0);
      work.finish();
    });

    test('an abort rejects promptly with the reason', async () => {
      const running = await subject.start();
      const controller = new AbortController();
      const reason = new Error('enough');
      const stalled = running.stall({ signal: controller.signal });
      setTimeout(() => controller.abort(reason), 20);
      const started = performance.now();
      await assert.rejects(stalled, (error) => error === reason);
      assert.ok(performance.now() - started < 20 + promptlyMs);
      await assert.rejects(running.operate({ signal: controller.signal }), (error) => error === reason);
      await running.close(0);
    });

    test('an abort passes its reason on, whatever it is', async () => {
      const running = await subject.start();
      for (const reason of ['text', '{"kind":"closed"}', 42, null, undefined]) {
        const controller = new AbortController();
        const stalled = running.stall({ signal: controller.signal });
        controller.abort(reason);
        await assert.rejects(stalled, (error) => error === controller.signal.reason);
      }
      await running.close(0);
    });

    test('an abort at any moment loses nothing', async () => {
      const running = await subject.start();
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
        if (turn % 10 === 0) await eventually(() => running.held() === 0);
      }
      await eventually(() => running.held() === 0);
      await running.operate();
      await running.close();
    });

    test('a signal that is never aborted keeps no listener', async () => {
      const running = await subject.start();
      const { signal } = new AbortController();
      await running.operate({ signal });
      await running.stall({ signal }).catch(() => undefined);
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      await running.close(0);
    });

    test('every field of an error is set', async () => {
      const running = await subject.start();
      for (const failing of [() => running.fail(), () => running.stall()]) {
        await assert.rejects(failing, (error: unknown) => {
          assertComplete(error, subject.service);
          assert.deepEqual(JSON.parse(JSON.stringify(error)).code, error.code);
          return true;
        });
      }
      await running.close(0);
    });

    test('no listener, timer or handle is left', async () => {
      const before = footprint();
      const running = await subject.start();
      await running.operate();
      await running.fail().catch(() => undefined);
      await running.close();
      await eventually(() => {
        assert.deepEqual(footprint(), before);
        return true;
      });
    });
  });
}
