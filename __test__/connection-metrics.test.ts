// ConnectionMetricsTracker: figures over a window, counts since the beginning.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import { ConnectionMetricsTracker } from 'moorline';

describe('ConnectionMetricsTracker', () => {
  test('records successes and failures, computes aggregates', () => {
    const tracker = new ConnectionMetricsTracker();
    tracker.record(100, true);
    tracker.record(200, true);
    tracker.record(300, false, 'timeout');
    tracker.record(400, false);
    assert.equal(tracker.averageResponseTime(), 250);
    assert.equal(tracker.errorRate(), 50);
    assert.equal(tracker.uptime(), 50);
    assert.equal(tracker.throughput(), 4 / 60);
    assert.equal(tracker.throughput(2), 4 / 2);
    assert.deepEqual(tracker.metrics(), {
      requestCount: 4,
      errorCount: 2,
      errorRate: 50,
      averageResponseTime: 250,
      throughput: 4 / 60,
      uptime: 50,
    });
    const { lastRequestTime, lastResponseTime, ...summary } = tracker.summary();
    assert.deepEqual(summary, {
      ...tracker.metrics(),
      successCount: 2,
      consecutiveErrors: 2,
      errorBreakdown: { timeout: 1, other: 1 },
    });
    assert.equal(Date.parse(lastResponseTime!) - Date.parse(lastRequestTime!), 400);
    assert.ok(Math.abs(Date.parse(lastResponseTime!) - Date.now()) < 5000);
    assert.match(inspect(tracker), /errorBreakdown/);
  });

  test('before the first request nothing is wrong', () => {
    const tracker = new ConnectionMetricsTracker();
    assert.deepEqual(tracker.summary(), {
      requestCount: 0,
      errorCount: 0,
      errorRate: 0,
      averageResponseTime: 0,
      throughput: 0,
      uptime: 100,
      successCount: 0,
      consecutiveErrors: 0,
      errorBreakdown: {},
    });
  });

  test('means and rates cover the window, counts everything', () => {
    const tracker = new ConnectionMetricsTracker(2);
    tracker.record(1000, false);
    tracker.record(10, true);
    tracker.record(20, true);
    assert.equal(tracker.averageResponseTime(), 15);
    assert.equal(tracker.errorRate(), 0);
    assert.equal(tracker.metrics().errorCount, 1);
    assert.equal(tracker.metrics().requestCount, 3);
    assert.equal(tracker.summary().consecutiveErrors, 0);
  });

  test('refuses what cannot be right', () => {
    assert.throws(() => new ConnectionMetricsTracker(0), /^RangeError: options.windowSize must be/);
    const tracker = new ConnectionMetricsTracker();
    for (const ms of [NaN, -1, '5' as unknown as number, undefined as unknown as number]) {
      assert.throws(() => tracker.record(ms, true), /^TypeError: responseTimeMs must be a number/);
    }
    assert.throws(() => tracker.throughput(0), /^RangeError: windowSeconds must be between 1 and 300/);
    assert.throws(() => tracker.throughput(301), RangeError);
    assert.equal(tracker.metrics().requestCount, 0);
  });

  test('kinds of errors are bounded', () => {
    const tracker = new ConnectionMetricsTracker();
    for (let n = 0; n < 1000; n++) tracker.record(1, false, `kind-${n}`);
    const { errorBreakdown } = tracker.summary();
    assert.equal(Object.keys(errorBreakdown).length, 101);
    assert.equal(errorBreakdown['other'], 900);
  });
});
