// Policy and CircuitBreaker with a clock of their own: time passes when the test says so.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import { CircuitBreaker, Policy } from 'moorline';

beforeEach(() => mock.timers.enable({ apis: ['Date', 'setTimeout'], now: Date.now() }));
afterEach(() => mock.timers.reset());

/** Advances the clock, and lets pending callbacks run before and after. */
async function advance(ms: number): Promise<void> {
  await setImmediate();
  mock.timers.tick(ms);
  await setImmediate();
}

/** The number of breaker names, so that no two tests use the same breaker. */
let names = 0;
const uniqueName = () => `clock-${(names += 1)}`;

const fail = () => Promise.reject(new Error('no'));
const never = () => new Promise<never>(() => undefined);

describe('Policy with a clock', () => {
  test('waits between attempts by that clock', async () => {
    const policy = new Policy({
      clock: Date,
      timeoutMs: Infinity,
      retry: { maxRetries: 2, baseDelayMs: 60_000, maxDelayMs: 600_000, jitter: false },
    });
    let attempts = 0;
    const call = policy.run(({ attempt }) => ((attempts = attempt) < 3 ? fail() : 'done'));
    await advance(59_999);
    assert.equal(attempts, 1);
    await advance(1);
    assert.equal(attempts, 2);
    await advance(120_000);
    assert.deepEqual([await call, attempts], ['done', 3]);
  });

  test('times out attempts and calls by that clock', async () => {
    const policy = new Policy({
      clock: Date,
      timeoutMs: 90_000,
      attemptTimeoutMs: 30_000,
      retry: { maxRetries: 9, baseDelayMs: 10_000, backoff: 'fixed', jitter: false, budget: false },
    });
    const attempts: number[] = [];
    const call = assert.rejects(
      policy.run(({ attempt }) => (attempts.push(attempt), never())),
      { kind: 'timeout' },
    );
    for (let n = 0; n < 9; n++) await advance(10_000);
    await call;
    assert.deepEqual(attempts, [1, 2, 3], 'at 0, 40 and 80 s');
  });

  test('admits calls as the rate limit allows', async () => {
    const policy = new Policy({
      clock: Date,
      rateLimit: { max: 1, windowMs: 60_000, maxWaitMs: 120_000 },
      timeoutMs: Infinity,
    });
    let ran = 0;
    const calls = [1, 2].map(() => policy.run(() => (ran += 1)));
    await advance(59_000);
    assert.equal(ran, 1);
    await advance(61_000);
    await Promise.all(calls);
    assert.equal(ran, 2);
  });

  test('starts the queued calls of a bulkhead no faster than the rate limit', async () => {
    const policy = new Policy({
      clock: Date,
      rateLimit: { max: 2, windowMs: 1000 },
      bulkhead: { maxConcurrent: 2, maxQueue: 20 },
      timeoutMs: Infinity,
      attemptTimeoutMs: Infinity,
    });
    let [started, finish] = [0, (): void => undefined];
    const finished = new Promise<void>((resolve) => (finish = resolve));
    const calls = Array.from({ length: 8 }, () => policy.run(() => ((started += 1), finished)));
    await advance(60_000);
    assert.equal(started, 2);
    finish();
    const seen = [];
    for (const ms of [0, 999, 1, 999, 1]) {
      await advance(ms);
      seen.push(started);
    }
    await Promise.all(calls);
    assert.deepEqual(seen, [4, 4, 6, 6, 8]);
  });

  test('gives the place and the turn of an aborted call to the next one', async () => {
    const policy = new Policy({
      clock: Date,
      rateLimit: { max: 1, windowMs: 1000 },
      bulkhead: { maxConcurrent: 1, maxQueue: 20 },
      timeoutMs: Infinity,
    });
    await policy.run(() => 1);
    const controller = new AbortController();
    const second = policy.run(() => 2, { signal: controller.signal });
    const third = policy.run(() => 3);
    await advance(500);
    controller.abort(new Error('enough'));
    await assert.rejects(second, { message: 'enough' });
    await advance(500);
    assert.equal(await third, 3);
  });
});

describe('CircuitBreaker with a clock', () => {
  test('is open until its time has passed', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { clock: Date, failMax: 1, resetTimeoutMs: 3_600_000 });
    await assert.rejects(breaker.run(fail));
    const refused = await breaker.run(() => 1).catch((error) => error);
    assert.equal(refused.retryAt.getTime() - Date.now(), 3_600_000);
    await advance(3_599_999);
    await assert.rejects(
      breaker.run(() => 1),
      { kind: 'circuit-open' },
    );
    await advance(1);
    assert.equal(await breaker.run(() => 1), 1);
    assert.equal(breaker.state, 'closed');
  });

  test('opened by hand stays open for its time', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { clock: Date, resetTimeoutMs: 60_000 });
    await advance(600_000);
    breaker.open();
    await assert.rejects(
      breaker.run(() => 1),
      { kind: 'circuit-open' },
    );
    await advance(60_000);
    assert.equal(await breaker.run(() => 1), 1);
  });

  test('accepts any object with now(), also one that goes back', async () => {
    const clock = { ms: 1_000_000, now: () => clock.ms };
    const breaker = new CircuitBreaker(uniqueName(), { clock, failMax: 1, resetTimeoutMs: 1000 });
    await assert.rejects(breaker.run(fail));
    clock.ms += 1000;
    clock.ms -= 500;
    await assert.rejects(
      breaker.run(() => 1),
      { kind: 'circuit-open' },
    );
    clock.ms += 500;
    assert.equal(await breaker.run(() => 1), 1);
  });
});

test('what is no clock is refused', () => {
  for (const clock of [null, 5, {}, { now: 1 }]) {
    const refused = { name: 'TypeError', message: /^options\.clock must be an object with now\(\), got / };
    assert.throws(() => new Policy({ clock: clock as never }), refused);
    assert.throws(() => new CircuitBreaker(uniqueName(), { clock: clock as never }), refused);
  }
  const nested = { breaker: { clock: Date } } as never;
  assert.throws(() => new Policy(nested), /options\.breaker\.clock is not a known option/);
});
