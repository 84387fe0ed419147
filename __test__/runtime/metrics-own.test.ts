// Metrics that a user counts, on the page of metricsText().
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { type Counter, counter, type Gauge, gauge, type Histogram, histogram, metricsText } from 'moorline';

/** The lines of the page that begin so. */
const lines = (start: string) =>
  metricsText()
    .split('\n')
    .filter((line) => line.startsWith(start));

describe('metrics of your own', () => {
  test('a counter counts by its labels, and is shown with _total', () => {
    const orders: Counter = counter('own_orders', 'Orders.', ['country', 'status']);
    assert.deepEqual(lines('own_orders_total{'), [], 'with labels it has no series yet');
    assert.deepEqual(lines('# TYPE own_orders_total'), ['# TYPE own_orders_total counter']);
    orders.inc({ country: 'NO', status: 200 });
    orders.inc({ country: 'NO', status: 200 }, 2);
    orders.labels('SE', 500).inc();
    orders.labels({ country: 'SE', status: '500' }).inc(0.5);
    orders.inc({ country: 'DK' });
    assert.deepEqual(lines('own_orders_total{'), [
      'own_orders_total{country="DK",status=""} 1',
      'own_orders_total{country="NO",status="200"} 3',
      'own_orders_total{country="SE",status="500"} 1.5',
    ]);
  });

  test('without labels it is shown from the beginning', () => {
    const started = counter('own_started_total', 'Starts.');
    assert.deepEqual(lines('own_started_total'), ['own_started_total 0']);
    started.inc();
    started.inc(2);
    assert.deepEqual(lines('own_started_total'), ['own_started_total 3']);
  });

  test('a gauge goes up and down', () => {
    const waiting: Gauge = gauge('own_waiting', 'Waiting.', ['queue']);
    waiting.set({ queue: 'a' }, 5);
    waiting.inc({ queue: 'a' });
    waiting.dec({ queue: 'a' }, 2);
    waiting.labels('b').dec();
    assert.deepEqual(lines('own_waiting{'), ['own_waiting{queue="a"} 4', 'own_waiting{queue="b"} -1']);
    const seconds = gauge('own_last_seconds', 'The last.').startTimer()();
    assert.ok(seconds >= 0 && seconds < 60);
    assert.deepEqual(lines('own_last_seconds '), [`own_last_seconds ${seconds}`]);
  });

  test('a histogram counts by ranges', () => {
    const sizes: Histogram = histogram('own_sizes', 'Sizes.', ['of'], [1, 10]);
    for (const value of [0.5, 1, 2, 100]) sizes.observe({ of: 'x' }, value);
    sizes.labels('x').observe(3);
    assert.deepEqual(lines('own_sizes_'), [
      'own_sizes_bucket{of="x",le="1"} 2',
      'own_sizes_bucket{of="x",le="10"} 4',
      'own_sizes_bucket{of="x",le="+Inf"} 5',
      'own_sizes_sum{of="x"} 106.5',
      'own_sizes_count{of="x"} 5',
    ]);
    const timed = histogram('own_seconds', 'Time.', ['route', 'status']);
    const end = timed.startTimer({ route: '/' });
    const seconds = end({ status: 200 });
    assert.deepEqual(lines('own_seconds_sum'), [`own_seconds_sum{route="/",status="200"} ${seconds}`]);
    assert.equal(lines('own_seconds_bucket').length, 15, 'the bounds of HTTP');
  });

  test('one name is one metric, wherever it is asked for', async () => {
    counter('own_shared', 'Shared.').inc();
    counter('own_shared', 'Shared.').inc();
    const code = `const { counter, gauge } = require(process.argv[2] ?? 'moorline');
      counter('own_shared', 'Shared.').inc(3); gauge('own_of_worker', 'Of a worker.').set(7);`;
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    assert.deepEqual(lines('own_shared_total '), ['own_shared_total 5']);
    assert.deepEqual(lines('own_of_worker '), ['own_of_worker 7'], 'it stays');
    for (const other of [
      () => gauge('own_shared_total', ''),
      () => counter('own_shared', '', ['x']),
      () => histogram('own_sizes', 'Sizes.', ['of'], [1, 11]),
    ]) {
      assert.throws(other, { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
    }
  });

  test('labels beyond the first thousand values share a row', () => {
    const ids = counter('own_ids', 'Ids.', ['kind', 'own_id']);
    for (let id = 0; id < 2_500; id++) ids.inc({ kind: 'k', own_id: id });
    assert.equal(lines('own_ids_total{').length, 1001);
    assert.deepEqual(lines('own_ids_total{kind="k",own_id="other"}'), ['own_ids_total{kind="k",own_id="other"} 1500']);
  });

  test('mistakes name what is wrong', () => {
    const orders = counter('own_mistakes', 'Mistakes.', ['country']);
    const mistake = (run: () => unknown, message: RegExp) =>
      assert.throws(run, (error: Error) => {
        assert.ok(error instanceof TypeError || error instanceof RangeError);
        assert.match(error.message, message);
        return true;
      });
    mistake(() => counter('1st', ''), /^'1st_total' is not a valid name for a metric or label$/);
    mistake(() => counter('own_bad_label', '', ['a-b']), /^'a-b' is not a valid name/);
    mistake(() => counter('moorline_orders', ''), /^'moorline_orders' must not begin with moorline_/);
    mistake(() => counter(7 as never, ''), /^name must be a string, got a number/);
    mistake(() => counter('own_x', undefined as never), /^help must be a string, got undefined/);
    mistake(() => counter('own_x', '', 'country' as never), /^labels must be an array of names/);
    mistake(() => counter('own_x', '', [7] as never), /^labels\[0\] must be a string, got 7/);
    mistake(() => counter('own_x', '', new Array(1)), /^labels\[0\] must be a string, got undefined/);
    mistake(() => histogram('own_x', '', [], ['1'] as never), /^buckets\[0\] must be a number/);
    mistake(() => histogram('own_x', '', [], 7 as never), /^buckets must be an array of numbers/);
    mistake(() => histogram('own_x', '', [], [2, 1]), /^bucket bounds must be finite and in ascending order/);
    mistake(() => orders.inc({ county: 'NO' } as never), /^labels\.county is not a label of own_mistakes \(country\)/);
    mistake(() => orders.inc({ country: {} } as never), /^labels\.country must be a string or a number/);
    mistake(() => orders.labels('NO', 'SE'), /^labels must be 1 values \(country\)/);
    mistake(() => orders.inc({ country: 'NO' }, -1), /^value must be ≥ 0, got -1/);
    mistake(() => orders.inc({ country: 'NO' }, NaN), /^value must be finite, got NaN/);
    mistake(() => gauge('own_g', '').set('7' as never), /^value must be a number/);
    assert.deepEqual(lines('own_x'), []);
  });
});
