// How many a rate limit lets through in any stretch of time.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { HTTPConnection, Policy, type RateLimitOptions } from 'moorline';

import { closeAfter } from '../support/connections';
import { serve } from '../support/http';

/**
 * The most of `moments` that lie within any half of a window: what exceeds a limit comes at once, and a clock is read some
 * time after the limit was, at another distance each time.
 */
function maxInHalfWindow(moments: number[], windowMs: number): number {
  const countFrom = (from: number) => moments.filter((at) => at >= from && at < from + windowMs / 2).length;
  return Math.max(...moments.map(countFrom));
}

async function callTimes(rateLimit: RateLimitOptions, count: number): Promise<number[]> {
  const policy = new Policy({ rateLimit, timeoutMs: Infinity });
  const moments: number[] = [];
  await Promise.all(Array.from({ length: count }, () => policy.run(() => void moments.push(performance.now()))));
  return moments;
}

describe('a rate limit', () => {
  test('lets no more through in any window than it says', async () => {
    const moments = await callTimes({ max: 5, windowMs: 400 }, 22);
    assert.equal(maxInHalfWindow(moments, 400), 5);
    // Those that a window holds need not wait for each other.
    assert.ok(moments[4]! - moments[0]! < 400);
    assert.ok(moments.at(-1)! - moments[0]! >= 4 * 400 - 200);
  });

  test('per second lets no more through in any second', async () => {
    assert.equal(maxInHalfWindow(await callTimes({ perSecond: 10 }, 25), 1000), 10);
  });

  test('that is no whole number is kept evenly spaced', async () => {
    const moments = await callTimes({ perSecond: 2.5 }, 4);
    assert.equal(maxInHalfWindow(moments, 400), 1);
  });

  test('with a burst is a token bucket: a burst at once, then one at a time', async () => {
    const moments = await callTimes({ max: 10, windowMs: 1000, burst: 3 }, 6);
    assert.ok(moments[2]! - moments[0]! < moments[5]! - moments[2]!);
    assert.ok(moments[5]! - moments[0]! >= 300 - 150);
  });

  test('that is waited for by calls that are given up lets those behind them go in their place', async () => {
    const policy = new Policy({ rateLimit: { max: 1, windowMs: 500 }, timeoutMs: Infinity });
    await policy.run(() => 1);
    const controller = new AbortController();
    const givenUp = Array.from({ length: 29 }, () => policy.run(() => 1, { signal: controller.signal }));
    const moments: number[] = [];
    const started = performance.now();
    const others = Array.from({ length: 2 }, () => policy.run(() => void moments.push(performance.now() - started)));
    controller.abort(new Error('enough'));
    assert.ok((await Promise.allSettled(givenUp)).every(({ status }) => status === 'rejected'));
    await Promise.all(others);
    // Behind the others they would have gone after 15 s.
    assert.ok(moments[1]! < 5000, String(moments));
    assert.ok(moments[1]! - moments[0]! >= 500 - 250, String(moments));
  });

  test('is shown as it was given', () => {
    const rateLimitOf = (rateLimit: RateLimitOptions) => new Policy({ rateLimit }).options()['rateLimit'];
    const queue = { maxQueue: 1000, maxWaitMs: 30_000 };
    assert.deepEqual(rateLimitOf({ max: 5, windowMs: 400 }), { max: 5, windowMs: 400, ...queue });
    assert.deepEqual(rateLimitOf({ perSecond: 4, burst: 8 }), { perSecond: 4, burst: 8, ...queue });
  });

  test('of a connection lets no more requests through in any window', async (t) => {
    const moments: number[] = [];
    const server = await serve((_, response) => {
      moments.push(performance.now());
      response.end();
    });
    t.after(() => server.close());
    const limit = { rateLimit: true, rateLimitRequests: 4, rateLimitWindow: 1000 };
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, ...limit }));
    await Promise.all(Array.from({ length: 12 }, () => connection.request({})));
    assert.equal(maxInHalfWindow(moments, 1000), 4);
  });
});
