// ConnectionMetricsTracker: figures over a window, counts since the beginning; and what Prometheus sees of connections.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { ConnectionMetricsTracker, HTTPConnection, metricsText, WebSocketConnection } from 'moorline';

import { closeAfter, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { peersMissing } from '../support/peers';

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
      attemptCount: 4,
      averageRequestTime: 250,
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
      attemptCount: 0,
      averageRequestTime: 0,
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
    const record = tracker.record.bind(tracker) as (...given: unknown[]) => void;
    for (const ms of [NaN, -1, -Infinity, Infinity, 1e17]) {
      const expected = {
        code: 'ERR_OUT_OF_RANGE',
        message: /^responseTimeMs must be between 0 and 8640000000000000, got /,
      };
      assert.throws(() => record(ms, true), { name: 'RangeError', ...expected });
    }
    for (const ms of ['5', 5n, null, undefined, new Date(), { valueOf: () => 5 }]) {
      const expected = { code: 'ERR_INVALID_ARG_TYPE', message: /^responseTimeMs must be a number, got / };
      assert.throws(() => record(ms, true), { name: 'TypeError', ...expected });
    }
    for (const bytes of [NaN, -1, Infinity, 2 ** 53]) {
      assert.throws(() => record(1, true, undefined, bytes), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
    for (const others of [['yes'], [1], [], [true, 5], [true, null], [true, 'kind', '5'], [true, 'kind', 5n]]) {
      assert.throws(() => record(1, ...others), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    }
    assert.throws(() => tracker.throughput(0), /^RangeError: windowSeconds must be between 1 and 300/);
    assert.throws(() => tracker.throughput(301), RangeError);
    assert.equal(tracker.metrics().requestCount, 0);
  });

  test('can always tell when a request began', () => {
    const tracker = new ConnectionMetricsTracker();
    tracker.record(8.64e15, false, 'kind', Number.MAX_SAFE_INTEGER);
    const { lastRequestTime, averageResponseTime } = tracker.summary();
    assert.equal(averageResponseTime, 8.64e15);
    assert.ok(Date.parse(lastRequestTime!) < -8.63e15);
  });

  test('kinds of errors are bounded', () => {
    const tracker = new ConnectionMetricsTracker();
    for (let n = 0; n < 1000; n++) tracker.record(1, false, `kind-${n}`);
    const { errorBreakdown } = tracker.summary();
    assert.equal(Object.keys(errorBreakdown).length, 101);
    assert.equal(errorBreakdown['other'], 900);
    const long = new ConnectionMetricsTracker();
    long.record(1, false, 'k'.repeat(1_000_000));
    assert.deepEqual(Object.keys(long.summary().errorBreakdown), [`${'k'.repeat(199)}…`]);
  });
});

describe('metricsText', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  /** The value of a series of connections, if it is there. */
  const series = (metric: string, connection: string, type: string, more = '') => {
    const start = `moorline_connection${metric}{connection="${connection}",type="${type}"${more}} `;
    const line = metricsText()
      .split('\n')
      .find((line) => line.startsWith(start));
    return line === undefined ? undefined : Number(line.slice(start.length));
  };
  const requests = (name: string, outcome: string, status = '') =>
    series('_requests_total', name, 'http', `,outcome="${outcome}",status="${status}"`);
  const duration = (name: string, what: string, more = '') =>
    series(`_request_duration_seconds_${what}`, name, 'http', more);

  test('requests by outcome, and how long they took', async (t) => {
    let status = 200;
    const server = await serve((_, response) => response.writeHead(status).end());
    t.after(() => server.close());
    const config = { name: 'shown "api"', url: server.url, retryCount: 0 };
    // Connections of one name are counted together.
    const both = [1, 2].map(() => closeAfter(t, new HTTPConnection(config)));
    const name = 'shown \\"api\\"';
    assert.deepEqual([requests(name, 'success'), duration(name, 'count')], [0, 0], 'there before the first request');
    for (const connection of both) assert.equal(await connection.send('x'), true);
    status = 500;
    assert.equal(await both[0]!.send('x'), false);
    assert.deepEqual([requests(name, 'success', '200'), requests(name, 'failure', '500')], [2, 1]);
    assert.deepEqual([duration(name, 'count'), duration(name, 'bucket', ',le="10"')], [3, 3]);
    const sum = duration(name, 'sum')!;
    assert.ok(sum > 0 && sum < 10, `${sum} s`);
  });

  test('the state of those that have been connected', { skip: peersMissing() }, async (t) => {
    const server = await socketServer();
    t.after(() => server.close());
    const state = (state: string) => series('s', 'shown socket', 'websocket', `,state="${state}"`);
    const config = { name: 'shown socket', url: server.url, autoReconnect: false };
    const [first, second] = [1, 2].map(() => closeAfter(t, new WebSocketConnection(config)));
    assert.equal(state('connected'), undefined);
    await first!.connect();
    await second!.connect();
    assert.deepEqual([state('connecting'), state('connected'), state('disconnected')], [0, 2, undefined]);
    server.sockets[0].terminate();
    await eventually(() => state('disconnected') === 1);
    await second!.disconnect();
    assert.deepEqual([state('connected'), state('disconnected')], [0, 1], 'what was closed is in no state');
    await first!.disconnect();
    assert.deepEqual([state('connected'), state('disconnected')], [undefined, undefined]);
    await second!.connect();
    assert.deepEqual([state('connecting'), state('connected')], [0, 1]);
  });

  test('monitoring: false shows nothing', async (t) => {
    const server = await serve((_, response) => response.end());
    t.after(() => server.close());
    const connection = closeAfter(t, new HTTPConnection({ name: 'unseen', url: server.url, monitoring: false }));
    await connection.connect();
    assert.equal(await connection.send('x'), true);
    assert.ok(!metricsText().includes('connection="unseen"'));
  });

  test('a connection that is gone is in no state; what it counted stays', async (t) => {
    const server = await serve((_, response) => response.end());
    t.after(() => server.close());
    const state = () => series('s', 'gone', 'http', ',state="connected"');
    const live = async () => {
      const connection = new HTTPConnection({ name: 'gone', url: server.url, healthCheckInterval: Infinity });
      await connection.connect();
      await connection.send('x');
    };
    for (let n = 0; n < 10; n++) await live();
    await eventually(() => (collect(), state() === undefined));
    assert.equal(requests('gone', 'success', '200'), 10);
  });
});
