// Numbers that a caller's function or argument gives: what is none is refused by name, or counts for nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { CircuitBreaker, ConnectionHealth, HealthChecker, HTTPConnection, Policy } from 'moorline';

import { EventRecorder } from '../support/connections';

let breakers = 0;
const breakerOf = (weight: unknown) =>
  new CircuitBreaker(`figures numbers ${(breakers += 1)}`, { failMax: 3, failureWeight: () => weight as number });
const fail = () => Promise.reject(new Error('mine'));

describe('the result of failureWeight', () => {
  for (const weight of [-1, NaN, -Infinity, 0.5, 2.5]) {
    test(`is refused when it is ${weight}`, async () => {
      const breaker = breakerOf(weight);
      const message = `the result of failureWeight must be a whole number ≥ 0, or Infinity, got ${weight}`;
      await assert.rejects(breaker.run(fail), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message });
      assert.deepEqual([breaker.snapshot().failures, breaker.state], [0, 'closed']);
    });
  }

  test('counts as it says', async () => {
    for (const [weight, failures, state] of [
      [0, 0, 'closed'],
      [2, 2, 'closed'],
      [3, 3, 'open'],
      [Infinity, 2 ** 32 - 1, 'open'],
    ] as const) {
      const breaker = breakerOf(weight);
      await assert.rejects(breaker.run(fail), /mine/);
      assert.deepEqual([breaker.snapshot().failures, breaker.state], [failures, state]);
    }
  });
});

test('an error whose retryAfterMs is beyond all limits is not repeated, however far beyond', async () => {
  for (const retryAfterMs of [1e6, 1e17, 1e300, Infinity]) {
    const policy = new Policy({ retry: { maxRetries: 1, baseDelayMs: 1, budget: false } });
    let runs = 0;
    const run = () => {
      runs += 1;
      throw Object.assign(new Error('later'), { retryAfterMs });
    };
    await assert.rejects(policy.run(run), /later/);
    assert.equal(runs, 1, String(retryAfterMs));
  }
});

test('HealthChecker.result refuses what is no time, and what is no answer', () => {
  const result = HealthChecker.result as (...given: unknown[]) => unknown;
  for (const time of [NaN, -1, Infinity]) {
    const expected = { code: 'ERR_OUT_OF_RANGE', message: `responseTime must be finite and ≥ 0, got ${time}` };
    assert.throws(() => result('a', true, time), { name: 'RangeError', ...expected });
  }
  for (const given of [
    [true, '5'],
    [true, 5n],
    [true, null],
    ['yes', 5],
    [undefined, 5],
  ]) {
    assert.throws(() => result('a', ...given), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('a health check that is asked for no time says so, and nothing of the connection', async () => {
  const connection = new HTTPConnection({ url: 'http://127.0.0.1:1', monitoring: false });
  const recorder = new EventRecorder(connection);
  for (const timeoutMs of [0, -1, NaN, '5', 5n, null, {}]) {
    const { isHealthy, errorMessage } = await connection.healthCheck(timeoutMs as number);
    assert.equal(isHealthy, false);
    assert.match(errorMessage!, /^timeoutMs must be (a number|≥ 1), got /);
  }
  assert.deepEqual([connection.getStatus().health, recorder.events.length], [ConnectionHealth.UNKNOWN, 0]);
});
