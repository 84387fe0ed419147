// A clock that throws or returns an invalid time: the call rejects with an error that says so, and its place is freed.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CircuitBreaker, type Clock, Policy, type PolicyOptions } from 'moorline';

/** A clock that may be broken and repaired. */
class BreakableClock implements Clock {
  #broken: (() => unknown) | undefined;

  now(): number {
    return (this.#broken ?? Date.now)() as number;
  }
  break(fault: () => unknown = () => NaN): void {
    this.#broken = fault;
  }
  repair(): void {
    this.#broken = undefined;
  }
}

const invalidType = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const outOfRange = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

const FAULTS: Record<string, [fault: () => unknown, expected: { name: string; code: string; message: RegExp }]> = {
  'an error': [
    () => {
      throw new Error('the battery is empty');
    },
    {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^options\.clock\.now\(\) threw: the battery is empty$/,
    },
  ],
  NaN: [
    () => NaN,
    { ...outOfRange, message: /^the result of options\.clock\.now\(\) must be from 0 to \d+, got NaN$/ },
  ],
  Infinity: [() => Infinity, { ...outOfRange, message: /options\.clock\.now\(\).*got Infinity$/ }],
  'a negative number': [() => -1, { ...outOfRange, message: /options\.clock\.now\(\).*got -1$/ }],
  'more than a Date can tell': [() => 1e300, { ...outOfRange, message: /options\.clock\.now\(\).*got 1e\+300$/ }],
  'a bigint': [
    () => 1n,
    { ...invalidType, message: /the result of options\.clock\.now\(\) must be a number, got a bigint$/ },
  ],
  nothing: [() => undefined, { ...invalidType, message: /options\.clock\.now\(\).*got undefined$/ }],
  'a promise that is rejected': [
    () => Promise.reject(new Error('nobody hears this')),
    { ...invalidType, message: /options\.clock\.now\(\).*got an instance of Promise$/ },
  ],
};

/** A policy that has one place, and opens at the first failure that counts. */
function make(clock: Clock, options: PolicyOptions = {}): Policy {
  return new Policy({
    clock,
    retry: false,
    bulkhead: { maxConcurrent: 1, maxQueue: 1 },
    breaker: { failMax: 1 },
    ...options,
  });
}

const never = () => new Promise<never>(() => undefined);
const fail = () => Promise.reject(new Error('the work'));

/** Calls during which the clock breaks, by the moment at which it does. */
const MOMENTS: Record<string, (policy: Policy, breakClock: () => void, options?: { signal: AbortSignal }) => unknown> =
  {
    'before it begins': (policy, breakClock, options) => {
      breakClock();
      return policy.run(() => 1, options);
    },
    'while it runs, and gives a value': (policy, breakClock, options) => policy.run(breakClock, options),
    'while it runs, and gives a promise': (policy, breakClock, options) =>
      policy.run(async () => breakClock(), options),
    'while it runs, and throws': (policy, breakClock, options) => policy.run(() => (breakClock(), fail()), options),
  };

for (const [what, [fault, expected]] of Object.entries(FAULTS)) {
  describe(`a clock that gives ${what}`, () => {
    test('is refused by the constructors', () => {
      const clock = new BreakableClock();
      clock.break(fault);
      assert.throws(() => new Policy({ clock }), expected);
      assert.throws(() => new CircuitBreaker('clock-faults', { clock }), expected);
    });

    for (const [when, run] of Object.entries(MOMENTS)) {
      for (const signal of [undefined, new AbortController().signal]) {
        test(`${when}${signal ? ', with a signal' : ''}: the call rejects, and gives back its place`, async () => {
          const clock = new BreakableClock();
          const policy = make(clock);
          const before = policy.breaker();
          await assert.rejects(async () => run(policy, () => clock.break(fault), signal && { signal }), expected);
          clock.repair();
          assert.deepEqual(policy.breaker(), before);
          assert.equal(await policy.run(() => 'free'), 'free');
        });
      }
    }
  });
}

describe('a clock that breaks', () => {
  const fault = { name: 'RangeError', message: /options\.clock\.now\(\)/ };

  test('before a call never makes it throw', async () => {
    const clock = new BreakableClock();
    const policy = make(clock);
    clock.break();
    const call = policy.run(() => 1);
    await assert.rejects(call, fault);
  });

  test('during the deadline of an attempt ends it, and not the process', async () => {
    const clock = new BreakableClock();
    const policy = make(clock, { attemptTimeoutMs: 20, bulkhead: { maxConcurrent: 2 } });
    const aborted: unknown[] = [];
    const calls = [1, 2].map(() =>
      policy.run(({ signal }) => {
        signal.addEventListener('abort', () => aborted.push(signal.reason));
        return never();
      }),
    );
    clock.break();
    for (const call of calls) await assert.rejects(call, fault);
    clock.repair();
    assert.equal(aborted.length, 2);
    assert.equal(policy.breaker()?.totalFailures, 0);
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('when the deadline of an attempt begins ends it', async () => {
    const clock = new BreakableClock();
    const policy = make(clock);
    await assert.rejects(
      policy.run(() => (clock.break(), never())),
      fault,
    );
    clock.repair();
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('between two attempts ends the call', async () => {
    const clock = new BreakableClock();
    const policy = make(clock, { retry: { baseDelayMs: 1, jitter: false }, breaker: { counts: 'calls', failMax: 1 } });
    policy.on('retry', () => clock.break());
    let attempts = 0;
    await assert.rejects(
      policy.run(() => ((attempts += 1), fail())),
      fault,
    );
    clock.repair();
    policy.removeAllListeners();
    assert.deepEqual([attempts, policy.breaker()?.state], [1, 'closed']);
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('while calls wait for a place ends them, one after the other', async () => {
    const clock = new BreakableClock();
    const policy = make(clock);
    let end = (): void => undefined;
    const first = policy.run(() => new Promise<void>((resolve) => (end = resolve)));
    const second = policy.run(() => 2);
    clock.break();
    end();
    for (const call of [first, second]) await assert.rejects(call, fault);
    clock.repair();
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('while a call waits for the rate limit ends it, and its turn is the next one’s', async () => {
    const clock = new BreakableClock();
    const policy = make(clock, { rateLimit: { max: 1, windowMs: 100, maxQueue: 1 } });
    await policy.run(() => 1);
    const second = policy.run(() => 2);
    clock.break();
    await assert.rejects(second, fault);
    clock.repair();
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('does not keep a call from being aborted', async () => {
    const clock = new BreakableClock();
    const policy = make(clock);
    const controller = new AbortController();
    const call = policy.run(never, { signal: controller.signal });
    clock.break();
    controller.abort(new Error('enough'));
    await assert.rejects(call, { message: 'enough' });
    clock.repair();
    assert.equal(await policy.run(() => 'free'), 'free');
  });

  test('leaves the state of a breaker as it is', async () => {
    const clock = new BreakableClock();
    const breaker = new CircuitBreaker('clock-faults-state', { clock, failMax: 1 });
    clock.break();
    for (const force of ['open', 'halfOpen', 'close', 'reset'] as const) assert.throws(() => breaker[force](), fault);
    await assert.rejects(breaker.run(fail), fault);
    clock.repair();
    assert.equal(breaker.state, 'closed');
    assert.equal(breaker.snapshot().totalRequests, 0);
    await assert.rejects(breaker.run(fail), { message: 'the work' });
    assert.equal(breaker.state, 'open');
  });
});
