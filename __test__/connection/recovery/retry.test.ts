// The retry strategies of seconds and attempts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import { ExponentialBackoffRetry, JitterRetry, LinearBackoffRetry, MoorlineError, RetryStrategy } from 'moorline';

/** Fails so many times, then gives the number of the attempt. */
function failTimes(times: number) {
  let attempts = 0;
  return async () => {
    if (++attempts <= times) throw new Error(`failure ${attempts}`);
    return attempts;
  };
}

describe('Retry strategies', () => {
  test('Exponential retries and eventually succeeds', async () => {
    assert.equal(await new ExponentialBackoffRetry(3, 0.001, 2).execute(failTimes(2)), 3);
  });

  test('Linear throws the last error after max attempts', async () => {
    await assert.rejects(new LinearBackoffRetry(2, 0.001, 0.001).execute(failTimes(9)), /^Error: failure 2$/);
  });

  test('Jitter computes delay but still executes attempts', async () => {
    assert.equal(await new JitterRetry(3, 0.001, 0.5).execute(failTimes(1)), 2);
  });

  test('n attempts have n - 1 waits, in seconds', async () => {
    const times: number[] = [];
    const strategy = new ExponentialBackoffRetry(3, 0.05, 2);
    const recordTimeAndFail = () => (times.push(performance.now()), Promise.reject(new Error('no')));
    await assert.rejects(strategy.execute(recordTimeAndFail));
    const ended = performance.now();
    assert.equal(times.length, 3);
    const [first, second, third] = times as [number, number, number];
    // A timer may fire a millisecond early.
    assert.ok(second - first >= 49 && third - second >= 99, `${second - first}, ${third - second}`);
    assert.ok(ended - third < 100, 'there is no wait after the last attempt');
  });

  test('rejects with the last error itself, and wraps what is none', async () => {
    const error = Object.assign(new Error('mine'), { extra: 1 });
    const strategy = new ExponentialBackoffRetry(2, 0);
    await assert.rejects(
      strategy.execute(() => Promise.reject(error)),
      (thrown) => thrown === error,
    );
    await assert.rejects(
      strategy.execute(() => Promise.reject('text')),
      (thrown) => thrown instanceof Error && thrown.message === 'text' && thrown.cause === 'text',
    );
    await assert.rejects(
      strategy.execute(() => {
        throw undefined;
      }),
      (thrown) => thrown instanceof Error,
    );
  });

  test('values come out unchanged, also from a synchronous function', async () => {
    const value = { a: 1 };
    assert.equal(await new ExponentialBackoffRetry().execute(() => value), value);
    assert.equal(await new LinearBackoffRetry().execute(async () => undefined), undefined);
  });

  test('what a repeat cannot help is not repeated', async () => {
    let attempts = 0;
    const fields = { kind: 'auth', code: 'X', service: 's', operation: 'o' } as const;
    const error = new MoorlineError('no', { ...fields, delivery: 'answered', retryable: false, attempts: 1 });
    const strategy = new ExponentialBackoffRetry(3, 0);
    await assert.rejects(
      strategy.execute(() => (attempts++, Promise.reject(error))),
      (thrown) => thrown === error,
    );
    assert.equal(attempts, 1);
  });

  test('an abort ends the wait with its reason', async () => {
    const controller = new AbortController();
    const running = new ExponentialBackoffRetry(3, 1000).execute(
      async () => {
        queueMicrotask(() => controller.abort('enough'));
        throw new Error('no');
      },
      { signal: controller.signal },
    );
    await assert.rejects(running, (thrown) => thrown === 'enough');
  });

  test('refuses what cannot be right, by name', () => {
    assert.throws(() => new ExponentialBackoffRetry(0), /^RangeError: maxAttempts must be/);
    assert.throws(() => new ExponentialBackoffRetry(1.5), /^RangeError: maxAttempts must be a whole number/);
    assert.throws(() => new ExponentialBackoffRetry(3, -1), /^RangeError: baseDelay must be/);
    assert.throws(() => new ExponentialBackoffRetry(3, 1, 0.5), /^RangeError: multiplier must be/);
    assert.throws(() => new LinearBackoffRetry(3, 1, NaN), /^RangeError: increment must be/);
    assert.throws(() => new JitterRetry(3, 1, 2), /^RangeError: jitterFactor must be between 0 and 1/);
    assert.throws(() => new JitterRetry('3' as unknown as number), /^TypeError: maxAttempts must be a number/);
  });

  test('shows its options, in milliseconds', () => {
    assert.deepEqual(new ExponentialBackoffRetry().options(), {
      maxAttempts: 3,
      baseDelayMs: 1000,
      maxRetryAfterMs: 60_000,
      jitter: 0,
      backoff: 'exponential',
      exponentialBase: 2,
    });
    assert.deepEqual(new LinearBackoffRetry(4, 0.5, 2).options(), {
      maxAttempts: 4,
      baseDelayMs: 500,
      maxRetryAfterMs: 60_000,
      jitter: 0,
      backoff: 'linear',
      incrementMs: 2000,
    });
    assert.match(inspect(new JitterRetry()), /^JitterRetry \{[^]*jitter: 0.1/);
  });

  test('a strategy of one’s own is one of them', async () => {
    class OneRetry extends RetryStrategy {
      override async execute<T>(fn: () => Promise<T>): Promise<T> {
        return fn().catch(fn);
      }
    }
    const strategies: RetryStrategy[] = [new OneRetry(), new LinearBackoffRetry(2, 0)];
    for (const strategy of strategies) assert.equal(await strategy.execute(failTimes(1)), 2);
  });
});
