// NixtlaClient: the cases of its specification by their names, then the wire format, then regression
// tests. The service is a local stand-in that speaks the vendor's wire format.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  CircuitBreakerError,
  getNixtlaClient,
  MoorlineError,
  NixtlaClient,
  resetNixtlaClient,
  type MoorlineEvent,
  type NixtlaClientConfig,
  type NixtlaForecastRequest,
  type NixtlaPoint,
} from 'moorline';

import { Authority } from '../support/certificates';
import { eventually } from '../support/eventually';
import { NixtlaServer } from './server/server';
import { freePort } from '../support/ports';
import { root } from '../support/paths';

let server: NixtlaServer;
let savedKey: string | undefined;

before(() => {
  savedKey = process.env['NIXTLA_API_KEY'];
  delete process.env['NIXTLA_API_KEY'];
});
after(() => {
  if (savedKey !== undefined) process.env['NIXTLA_API_KEY'] = savedKey;
});
beforeEach(async () => {
  server = await NixtlaServer.start();
});
afterEach(async () => {
  await server.close();
  resetNixtlaClient();
  delete process.env['NIXTLA_API_KEY'];
});

/** A client of the server, with quick retries. */
function client(config: NixtlaClientConfig = {}): NixtlaClient {
  return new NixtlaClient({ apiKey: server.key, baseUrl: server.url, baseDelayMs: 1, ...config });
}

/** Daily points with these values. */
function dailyPoints(values: readonly number[], id?: string): NixtlaPoint[] {
  const day = (k: number) => new Date(Date.UTC(2024, 0, 1 + k)).toISOString().slice(0, 10);
  return values.map((value, k) => ({ timestamp: day(k), value, ...(id !== undefined && { id }) }));
}

/** The values of `count` identical weeks. */
function weeks(count: number): number[] {
  return Array.from({ length: 7 * count }, (_, k) => 10 + ((k * 3) % 7));
}

const request: NixtlaForecastRequest = { timeseries: dailyPoints([1, 2, 3]), horizon: 2, frequency: '1d' };

/** The URL of a port without a server. */
async function closedUrl(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

/** What a promise rejects with. */
async function rejectionOf(promise: Promise<unknown>): Promise<MoorlineError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MoorlineError, inspect(error));
  return error;
}

describe('NixtlaClient', () => {
  describe('Circuit Breaker', () => {
    test('start in closed state', () => {
      assert.deepEqual(client().getCircuitBreakerState(), { state: 'closed', failures: 0 });
    });

    test('open after threshold failures', async () => {
      const broken = client({ baseUrl: await closedUrl(), circuitBreakerThreshold: 3, maxRetries: 0 });
      for (let calls = 1; calls <= 3; calls++) {
        const error = await rejectionOf(broken.forecast(request));
        assert.match(error.message, /^Nixtla request failed after 1 attempts: could not connect to 127\.0\.0\.1:\d+/);
      }
      const before = Date.now();
      const { state, failures, lastFailureTime, nextAttemptTime } = broken.getCircuitBreakerState();
      assert.deepEqual({ state, failures }, { state: 'open', failures: 3 });
      assert.ok(lastFailureTime instanceof Date && Math.abs(lastFailureTime.getTime() - before) < 5000);
      assert.ok(nextAttemptTime instanceof Date && Math.abs(nextAttemptTime.getTime() - before - 30_000) < 5000);
    });

    test('reset circuit breaker', async () => {
      const broken = client({ baseUrl: await closedUrl(), circuitBreakerThreshold: 1, maxRetries: 0 });
      await rejectionOf(broken.forecast(request));
      assert.equal(broken.getCircuitBreakerState().state, 'open');
      broken.resetCircuitBreaker();
      assert.deepEqual(broken.getCircuitBreakerState(), { state: 'closed', failures: 0 });
    });
  });

  describe('Health Check', () => {
    test('return false for invalid API key', async () => {
      assert.equal(await client({ apiKey: 'invalid' }).healthCheck(), false);
      assert.equal(await client().healthCheck(), true);
      assert.equal(server.count('/validate_api_key'), 2);
    });
  });
});

describe('circuit breaker and retries', () => {
  test('with three retries four failed calls leave it closed and the fifth opens it', async () => {
    const failing = client({ maxRetries: 3 });
    server.planMisbehaviour({ kind: 'html', status: 503 }, 20);
    for (let calls = 1; calls <= 5; calls++) {
      const error = await rejectionOf(failing.detectAnomalies({ timeseries: dailyPoints([1, 2, 3, 4]) }));
      assert.equal(error.attempts, 4);
      assert.match(error.message, /^Nixtla request failed after 4 attempts: Nixtla API error: 503/);
      assert.equal(failing.getCircuitBreakerState().state, calls < 5 ? 'closed' : 'open');
    }
    const refused = await rejectionOf(failing.forecast(request));
    assert.ok(refused instanceof CircuitBreakerError);
    assert.equal(refused.kind, 'circuit-open');
    const [, time] = /^Circuit breaker is open\. Next attempt at (\S+)$/.exec(refused.message) ?? [];
    assert.equal(new Date(time!).toISOString(), time);
    assert.ok(Math.abs(refused.retryAt.getTime() - Date.parse(time!)) < 1000);
    assert.equal(server.count('/v2/anomaly_detection'), 20);
    assert.equal(await failing.healthCheck(), true, 'health passes the breaker by');
  });

  test('after the reset time one call decides', async () => {
    const failing = client({ circuitBreakerThreshold: 1, circuitBreakerResetMs: 500, maxRetries: 0 });
    const changes: unknown[] = [];
    failing.on('state', ({ from, to }: MoorlineEvent) => changes.push(`${String(from)} → ${String(to)}`));
    server.planMisbehaviour({ kind: 'html', status: 500 });
    await rejectionOf(failing.forecast(request));
    assert.equal(failing.getCircuitBreakerState().state, 'open');
    await eventually(() => failing.forecast(request));
    assert.deepEqual(failing.getCircuitBreakerState().state, 'closed');
    await eventually(() => changes.length === 3);
    assert.deepEqual(changes, ['closed → open', 'open → half-open', 'half-open → closed']);
  });

  test('temporary failures are retried: a busy page, a reset in the middle, a timeout', async () => {
    const patient = client({ timeout: 200 });
    server.planMisbehaviour({ kind: 'html', status: 503 });
    server.planMisbehaviour({ kind: 'reset' });
    server.planMisbehaviour({ kind: 'stalled-body' });
    const { predictions, modelInfo } = await patient.forecast(request);
    assert.equal(predictions.length, 2);
    assert.equal(modelInfo?.requests, 5);
    assert.equal(patient.getCircuitBreakerState().failures, 0);
  });

  test('an attempt without an answer ends with the documented message', async () => {
    server.planMisbehaviour({ kind: 'silence' }, 2);
    const error = await rejectionOf(client({ timeout: 60, maxRetries: 1 }).forecast(request));
    assert.equal(error.message, 'Nixtla request failed after 2 attempts: Request timeout after 60ms (timeout)');
    assert.deepEqual([error.kind, error.code, error.delivery], ['timeout', 'ETIMEDOUT', 'unknown']);
  });

  test('a call has a timeout of its own', async () => {
    server.planMisbehaviour({ kind: 'silence' });
    const error = await rejectionOf(client().forecast(request, { timeoutMs: 80 }));
    assert.equal(error.kind, 'timeout');
  });

  // The port in the message must not be taken for a status of 4xx.
  test('a refused connection to port 443 is retried', async () => {
    const error = await rejectionOf(client({ baseUrl: 'http://127.0.0.1:443' }).forecast(request));
    assert.deepEqual([error.kind, error.code, error.attempts], ['connect', 'ECONNREFUSED', 4]);
    assert.deepEqual([error.delivery, error.retryable, error.service], ['none', true, 'nixtla']);
  });

  test('a retry comes no sooner than the service asks', async () => {
    server.planMisbehaviour({ kind: 'too-many', retryAfterMs: 120 });
    const started = performance.now();
    await client().forecast(request);
    assert.ok(performance.now() - started >= 120);
    assert.equal(server.count('/v2/forecast'), 2);
  });

  test('a wait longer than a minute is reported and not waited for', async () => {
    server.planMisbehaviour({ kind: 'too-many', retryAfter: '120' });
    const error = await rejectionOf(client().forecast(request));
    assert.deepEqual([error.kind, error.retryAfterMs], ['rate-limited', 120_000]);
    assert.equal(server.count('/v2/forecast'), 1);
  });

  test('too many requests without a time are retried, a used-up quota is not', async () => {
    server.planMisbehaviour({ kind: 'too-many' });
    await client().forecast(request);
    for (const code of ['A20', 'A21']) {
      server.planMisbehaviour({ kind: 'too-many', code });
      const nixtla = client();
      const error = await rejectionOf(nixtla.forecast(request));
      assert.deepEqual([error.kind, error.code, error.retryable], ['rate-limited', code, false]);
      assert.equal(nixtla.getCircuitBreakerState().failures, 0);
    }
    assert.equal(server.count('/v2/forecast'), 4);
    server.planMisbehaviour({ kind: 'too-many', code: 'A20', retryAfterMs: 10 });
    assert.equal((await client().forecast(request)).predictions.length, 2);
  });

  test("the caller's mistakes are neither retried nor counted", async () => {
    const wrong = client({ apiKey: 'wrong' });
    const refused = await rejectionOf(wrong.forecast(request));
    assert.equal(refused.message, 'Nixtla API error: 401 Unauthorized: Invalid API key');
    assert.deepEqual([refused.kind, refused.code, refused.attempts], ['auth', 'A12', 1]);
    assert.deepEqual(refused.detail, { status: 401, requestId: 'test-request', details: 'Key not found' });
    assert.equal(wrong.getCircuitBreakerState().failures, 0);

    const short = client();
    const invalid = await rejectionOf(short.crossValidate({ ...request, windows: 9 }));
    assert.equal(invalid.message, 'Nixtla API error: 422 Unprocessable Entity: body.n_windows The series is too short');
    assert.equal(server.count('/v2/cross_validation'), 1);
    assert.equal(short.getCircuitBreakerState().failures, 0);
  });

  test('an answer that is no JSON is a protocol failure', async () => {
    server.planMisbehaviour({ kind: 'garbage' });
    const nixtla = client();
    const error = await rejectionOf(nixtla.forecast(request));
    assert.deepEqual([error.kind, error.delivery], ['protocol', 'answered']);
    assert.equal(nixtla.getCircuitBreakerState().failures, 1, 'it counts against the service');
  });
});

describe('abort', () => {
  test('ends a call at once with the reason, in flight and between retries', async () => {
    for (const [config, misbehaviour] of [
      [{}, { kind: 'silence' }],
      [{ baseDelayMs: 60_000 }, { kind: 'html', status: 503 }],
    ] as const) {
      const nixtla = client(config);
      server.planMisbehaviour(misbehaviour);
      const seen = server.received.length;
      const controller = new AbortController();
      const reason = new Error('not wanted any more');
      const call = nixtla.forecast(request, { signal: controller.signal });
      await eventually(() => server.received.length === seen + 2);
      const started = performance.now();
      controller.abort(reason);
      await assert.rejects(call, reason);
      assert.ok(performance.now() - started < 1000);
      assert.equal(nixtla.getCircuitBreakerState().failures, 0);
    }
  });

  test('a signal that was aborted before sends nothing', async () => {
    const reason = new Error('never wanted');
    await assert.rejects(client().forecast(request, { signal: AbortSignal.abort(reason) }), reason);
    assert.equal(server.received.length, 0);
  });
});

describe('wire format', () => {
  test('the paths are those of the service', async () => {
    const nixtla = client();
    await nixtla.forecast(request);
    await nixtla.detectAnomalies({ timeseries: dailyPoints(weeks(2)) });
    await nixtla.healthCheck();
    const paths = server.received.map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(paths, [
      'GET /model_params?model=timegpt-2.1&freq=D',
      'POST /v2/forecast',
      'POST /v2/anomaly_detection',
      'GET /validate_api_key',
    ]);
  });

  test('paths are options', async () => {
    const moved = client({ paths: { forecast: '/other/forecast' }, restrictInput: false });
    const error = await rejectionOf(moved.forecast(request));
    assert.deepEqual([error.detail?.['status'], server.last('/other/forecast')?.method], [404, 'POST']);
  });

  test('a forecast is asked in flat arrays and answered point by point', async () => {
    const timeseries = [...dailyPoints(weeks(2), 'a'), ...dailyPoints([5, 6, 7], 'b')];
    const input = { timeseries, horizon: 2, frequency: '1d', confidenceLevels: [0.8, 0.95] };
    const { predictions, modelInfo } = await client().forecast(input);
    const { headers, body } = server.last('/v2/forecast')!;
    assert.equal(headers.authorization, `Bearer ${server.key}`);
    assert.equal(headers['nixtla-model'], 'timegpt-2.1');
    assert.deepEqual(body?.series.sizes, [14, 3]);
    assert.deepEqual(body?.series.start_datetime, ['2024-01-01T00:00:00', '2024-01-01T00:00:00']);
    assert.deepEqual([body?.freq, body?.h, body?.level], ['D', 2, [80, 95]]);
    assert.deepEqual(predictions[0], {
      id: 'a',
      timestamp: '2024-01-15',
      value: 10,
      intervals: { '0.8': { lower: 8, upper: 12 }, '0.95': { lower: 7.625, upper: 12.375 } },
    });
    assert.deepEqual(
      predictions.map(({ id, timestamp }) => `${id} ${timestamp}`),
      ['a 2024-01-15', 'a 2024-01-16', 'b 2024-01-04', 'b 2024-01-05'],
    );
    assert.deepEqual(modelInfo, {
      source: 'service',
      model: 'timegpt-2.1',
      frequency: 'D',
      requests: 2,
      inputTokens: 17,
      outputTokens: 4,
      finetuneTokens: 0,
    });
  });

  test('the envelope of older deployments is opened', async () => {
    server.envelope = true;
    assert.equal((await client().forecast(request)).predictions.length, 2);
  });

  test('only what the model looks at is sent, and it is asked once how much that is', async () => {
    const nixtla = client();
    const timeseries = dailyPoints(weeks(20));
    await nixtla.forecast({ timeseries, horizon: 1 });
    assert.deepEqual(server.last('/v2/forecast')?.body?.series.sizes, [28]);
    await nixtla.forecast({ timeseries, horizon: 1, confidenceLevels: [0.9] });
    assert.deepEqual(server.last('/v2/forecast')?.body?.series.sizes, [3 * 28 + 7]);
    await nixtla.forecast({ timeseries, horizon: 1, finetuneSteps: 3 });
    assert.deepEqual(server.last('/v2/forecast')?.body?.series.sizes, [140]);
    assert.equal(server.count('/model_params'), 1);
    assert.deepEqual(nixtla.stats(), {
      requests: 4,
      inputTokens: 28 + 91 + 140,
      outputTokens: 3,
      finetuneTokens: 0,
      localAnswers: 0,
    });
  });

  test('a request above a mebibyte is compressed', async () => {
    // Values of many digits, so that few points are enough.
    const timeseries = Array.from({ length: 80_000 }, (_, k) => ({
      timestamp: k * 3_600_000,
      value: k * 1.234567e-20,
    }));
    const { predictions } = await client({ restrictInput: false }).forecast({ timeseries, horizon: 1 });
    const { headers, body } = server.last('/v2/forecast')!;
    assert.equal(headers['content-encoding'], 'zstd');
    assert.deepEqual(body?.series.sizes, [80_000]);
    assert.equal(predictions[0]?.timestamp, new Date(80_000 * 3_600_000).toISOString());
  });

  test('anomalies are scored in half-widths, and points the service did not look at are none', async () => {
    const values = weeks(3);
    values[17]! += 9.9;
    const { anomalies, modelInfo } = await client().detectAnomalies({ timeseries: dailyPoints(values) });
    assert.equal(modelInfo.source, 'service');
    assert.equal(anomalies.length, 21);
    assert.deepEqual(
      anomalies.flatMap(({ isAnomaly }, index) => (isAnomaly ? [index] : [])),
      [17],
    );
    assert.ok(Math.abs(anomalies[17]!.score - 9.9 / 2.475) < 1e-4);
    assert.deepEqual(anomalies[3], { timestamp: '2024-01-04', value: values[3], score: 0, isAnomaly: false });
  });

  test('a cross validation puts forecasts beside what happened', async () => {
    const input = { timeseries: dailyPoints(weeks(4)), horizon: 7, windows: 2 };
    const { forecasts } = await client().crossValidate(input);
    assert.equal(forecasts.length, 14);
    assert.deepEqual([forecasts[0]?.cutoff, forecasts[0]?.timestamp], ['2024-01-14', '2024-01-15']);
    assert.deepEqual([forecasts[7]?.cutoff, forecasts[13]?.timestamp], ['2024-01-21', '2024-01-28']);
    for (const { value, actual } of forecasts) assert.equal(value, actual);
  });

  test('online anomalies judge the last points', async () => {
    const values = weeks(3);
    values[20]! += 30;
    const { anomalies } = await client().onlineAnomalies({
      timeseries: dailyPoints(values),
      horizon: 1,
      detectionSize: 4,
    });
    assert.deepEqual(
      anomalies.map(({ isAnomaly }) => isAnomaly),
      values.map((_, index) => index === 20),
    );
    assert.equal(server.last('/v2/online_anomaly_detection')?.body?.['threshold_method'], 'univariate');
  });

  test('a model is made, listed and deleted', async () => {
    const nixtla = client();
    const { finetunedModelId } = await nixtla.finetune({ timeseries: dailyPoints(weeks(2)), outputModelId: 'mine' });
    assert.equal(finetunedModelId, 'mine');
    assert.deepEqual(
      (await nixtla.finetunedModels()).map(({ id }) => id),
      ['mine'],
    );
    assert.equal(await nixtla.deleteFinetunedModel('mine'), true);
    assert.equal(await nixtla.deleteFinetunedModel('mine'), false);
    await assert.rejects(nixtla.deleteFinetunedModel('../usage'), { code: 'ERR_INVALID_ARG_VALUE' });
    const { minute, month } = await nixtla.usage();
    assert.ok(minute && month);
  });

  test('a list and a usage that are neither are answers that cannot be read', async () => {
    const nixtla = client({ maxRetries: 0 });
    const unreadable = { kind: 'protocol', delivery: 'answered', message: /cannot be read/ };
    for (const value of [null, 5, {}, { finetuned_models: null }, { finetuned_models: [5] }]) {
      server.planMisbehaviour({ kind: 'json', value }, 1, /finetuned_models/);
      await assert.rejects(nixtla.finetunedModels(), { ...unreadable, operation: 'finetunedModels' });
    }
    for (const value of [null, 5, 'text', []]) {
      server.planMisbehaviour({ kind: 'json', value }, 1, /usage/);
      await assert.rejects(nixtla.usage(), { ...unreadable, operation: 'usage' });
    }
  });
});

describe('jobs', () => {
  test('a job is submitted, asked after, and answers like the call', async () => {
    const nixtla = client();
    server.jobs.nextStatuses = ['pending', 'running', 'succeeded'];
    const job = await nixtla.submit('forecast', request);
    assert.equal(await job.status(), 'pending');
    const { predictions } = await job.result();
    assert.deepEqual(predictions, (await nixtla.forecast(request)).predictions);
    assert.equal(await job.cancel(), false, 'there is nothing to cancel any more');
  });

  test('anomaly detection as a job is the online algorithm', async () => {
    server.jobs.nextStatuses = ['succeeded'];
    const job = await client().submit('onlineAnomalies', {
      timeseries: dailyPoints(weeks(2)),
      horizon: 1,
      detectionSize: 2,
    });
    assert.equal((await job.result()).anomalies.length, 14);
    assert.equal(server.count('/v2/anomaly_detection/async'), 1);
  });

  test('a job that fails, is cancelled or outlasts its time rejects', async () => {
    const nixtla = client();
    server.jobs.nextStatuses = ['failed'];
    const failed = await rejectionOf((await nixtla.submit('forecast', request)).result());
    assert.deepEqual([failed.kind, failed.code], ['rejected', 'ERR_MOORLINE_JOB_FAILED']);
    assert.equal((failed.cause as Error).message, 'the series is too strange');

    server.jobs.nextStatuses = ['running'];
    const cancelled = await nixtla.submit('forecast', request);
    assert.equal(await cancelled.cancel(), true);
    assert.equal((await rejectionOf(cancelled.result())).code, 'ERR_MOORLINE_JOB_CANCELLED');

    server.jobs.nextStatuses = ['simmering'];
    const slow = await nixtla.submit('forecast', request);
    const late = await rejectionOf(slow.result({ timeoutMs: 30 }));
    assert.equal(late.kind, 'timeout');
    assert.match(late.message, /was still simmering/);
    assert.equal(await slow.status(), 'cancelled');
  });

  test('aborting the wait leaves the job alone', async () => {
    server.jobs.nextStatuses = ['running'];
    const job = await client().submit('forecast', request);
    const controller = new AbortController();
    const wait = job.result({ signal: controller.signal });
    await eventually(() => server.count(`/v2/forecast/jobs/${job.id}`) === 1);
    controller.abort();
    await assert.rejects(wait, { name: 'AbortError' });
    assert.equal(await job.status(), 'running');
  });

  test('a submission that may have been accepted is not repeated', async () => {
    const nixtla = client({ timeout: 100 });
    server.planMisbehaviour({ kind: 'silence' });
    assert.equal((await rejectionOf(nixtla.submit('forecast', request))).kind, 'timeout');
    assert.equal(server.count('/v2/forecast/async'), 1);
    server.planMisbehaviour({ kind: 'html', status: 503 });
    await rejectionOf(nixtla.submit('forecast', request));
    assert.equal(server.count('/v2/forecast/async'), 2);
    server.planMisbehaviour({ kind: 'too-many', retryAfterMs: 5 });
    await nixtla.submit('forecast', request);
    assert.equal(server.count('/v2/forecast/async'), 4);
  });
});

describe('what is refused before anything is sent', () => {
  const point = (timestamp: unknown, value: unknown) => ({ timestamp, value }) as NixtlaPoint;
  const first = point('2024-01-01', 1);
  for (const [name, timeseries, message] of [
    ['a gap', [first, point('2024-01-03', 2)], /^request\.timeseries\[1\]\.timestamp does not match the frequency 'D'/],
    [
      'a repeated time',
      [first, point('2024-01-01', 2)],
      /^request\.timeseries\[1\]\.timestamp repeats the timestamp of/,
    ],
    ['a time nobody can read', [first, point('soon', 2)], /^request\.timeseries\[1\]\.timestamp must be an ISO 8601/],
    ['an invalid Date', [first, point(new Date(NaN), 2)], /^request\.timeseries\[1\]\.timestamp is an invalid Date/],
    ['NaN', [first, point('2024-01-02', NaN)], /^request\.timeseries\[1\]\.value must be a finite number, got NaN/],
    ['null', [first, point('2024-01-02', null)], /^request\.timeseries\[1\]\.value must be a finite number, got null/],
    ['a number as text', [first, point('2024-01-02', '2')], /^request\.timeseries\[1\]\.value .* got a string/],
    ['no point at all', [], /^request\.timeseries must have at least one point/],
  ] as const) {
    test(name, async () => {
      const input = { timeseries: [...timeseries], horizon: 1, frequency: 'D' };
      await assert.rejects(client().forecast(input), (error: Error & { code?: string }) => {
        assert.match(error.message, message);
        assert.match(error.code ?? '', /^ERR_(INVALID_ARG|OUT_OF)/);
        return true;
      });
      assert.equal(server.received.length, 0);
    });
  }

  test('percentages instead of levels, and options nobody knows', async () => {
    await assert.rejects(client().forecast({ ...request, confidenceLevels: [95] }), {
      name: 'RangeError',
      message: 'request.confidenceLevels[0] must be greater than 0 and less than 1, got 95',
    });
    const typo = { ...request, confidenceLevel: [0.9] } as NixtlaForecastRequest;
    await assert.rejects(client().forecast(typo), /did you mean 'confidenceLevels'/);
    assert.throws(() => client({ maxRetries: -1 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => new NixtlaClient({ retries: 3 } as NixtlaClientConfig), /config\.retries is not a known/);
  });

  test('rows of a database, in any order, are points', async () => {
    const rows = [
      { timestamp: 1_704_153_600_000n, value: 2n },
      { timestamp: 1_704_067_200_000n, value: 1n },
    ];
    const { predictions } = await client().forecast({ timeseries: rows, horizon: 1 });
    assert.deepEqual(server.last('/v2/forecast')?.body?.series.y, [1, 2]);
    assert.equal(predictions[0]?.timestamp, '2024-01-03T00:00:00.000Z');
  });
});

describe("fallback: 'local'", () => {
  const local = { fallback: 'local' } as const;
  const weekRequest = { timeseries: dailyPoints(weeks(6)), horizon: 7, confidenceLevels: [0.9] };

  test('answers without a key, without asking anybody', async () => {
    const { predictions, modelInfo } = await client({ ...local, apiKey: undefined }).forecast(weekRequest);
    assert.deepEqual([modelInfo?.source, modelInfo?.fallbackReason], ['local', 'auth']);
    assert.equal(predictions.length, 7);
    for (const [index, { value, intervals }] of predictions.entries()) {
      assert.ok(Math.abs(value - weeks(1)[index]!) < 0.5, `${value} on day ${index}`);
      assert.ok(intervals!['0.9']!.lower <= value && value <= intervals!['0.9']!.upper);
    }
    assert.equal(server.received.length, 0);
  });

  test('answers while the service is down and while the breaker is open', async () => {
    const nixtla = client({ ...local, circuitBreakerThreshold: 1 });
    server.planMisbehaviour({ kind: 'html', status: 503 }, 4);
    assert.equal((await nixtla.forecast(weekRequest)).modelInfo?.fallbackReason, 'rejected');
    assert.equal((await nixtla.forecast(weekRequest)).modelInfo?.fallbackReason, 'circuit-open');
    assert.equal(nixtla.stats().localAnswers, 2);
    nixtla.resetCircuitBreaker();
    assert.equal((await nixtla.forecast(weekRequest)).modelInfo?.source, 'service');
  });

  test("does not hide the caller's mistakes", async () => {
    const error = await rejectionOf(client({ ...local, apiKey: 'wrong' }).forecast(weekRequest));
    assert.equal(error.kind, 'auth');
  });

  test('finds anomalies with the same score', async () => {
    const values = weeks(8).map((value, k) => value + Math.sin(k * 12.9898) * 0.3);
    values[30]! += 12;
    const { anomalies, modelInfo } = await client({ ...local, apiKey: undefined }).detectAnomalies({
      timeseries: dailyPoints(values),
    });
    assert.equal(modelInfo.source, 'local');
    assert.ok(anomalies[30]!.isAnomaly && anomalies[30]!.score > 1);
    for (const { score, isAnomaly, value, expected, lower, upper } of anomalies) {
      assert.equal(isAnomaly, score > 1);
      const half = value > expected! ? upper! - expected! : expected! - lower!;
      assert.ok(Math.abs(score - Math.abs(value - expected!) / half) < 1e-6);
    }
    assert.ok(anomalies.filter(({ isAnomaly }) => isAnomaly).length <= 5);
  });

  test('forecasts the last year of airline passengers within four percent', async () => {
    const file = readFileSync(join(root, 'examples', 'data', 'airpassengers.csv'), 'utf8');
    const rows = file.split('\n').filter((line) => /^\d/.test(line));
    const points = rows
      .map((row) => row.split(','))
      .map(([timestamp, value]) => ({ timestamp: timestamp!, value: +value! }));
    const { predictions, modelInfo } = await client({ ...local, apiKey: undefined }).forecast({
      timeseries: points.slice(0, 132),
      horizon: 12,
      frequency: '1mo',
    });
    assert.equal(modelInfo?.model, 'MSTL+AutoETS(BoxCox)');
    const errors = predictions.map(({ value, timestamp }, index) => {
      const actual = points[132 + index]!;
      assert.equal(timestamp, actual.timestamp);
      return Math.abs(value - actual.value) / actual.value;
    });
    assert.ok(errors.reduce((sum, error) => sum + error) / 12 <= 0.04);
  });
});

describe('TLS', () => {
  let authority: Authority;
  before(() => {
    authority = new Authority();
  });
  after(() => authority.remove());

  /** The outcome of a forecast with these TLS options, on a server with a certificate for these names. */
  async function tlsForecastOutcome(
    tls: NixtlaClientConfig['tls'],
    names: string[],
    requireClientCertificate = false,
  ): Promise<string> {
    const secure = await NixtlaServer.start({
      ...authority.issue(names),
      ...(requireClientCertificate && {
        ca: authority.cert,
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion: 'TLSv1.2',
      }),
    });
    try {
      const nixtla = new NixtlaClient({ apiKey: secure.key, baseUrl: secure.url, baseDelayMs: 1, tls });
      return await nixtla.forecast(request).then(
        () => 'answered',
        (error: MoorlineError) => `${error.kind} ${error.code} ${error.delivery} after ${error.attempts}`,
      );
    } finally {
      await secure.close();
    }
  }

  test('a certificate is checked, against the authorities that are given', async () => {
    const own = ['IP:127.0.0.1'];
    assert.equal(await tlsForecastOutcome(undefined, own), 'tls UNABLE_TO_GET_ISSUER_CERT_LOCALLY none after 1');
    assert.equal(await tlsForecastOutcome({ ca: authority.cert }, own), 'answered');
    assert.equal(await tlsForecastOutcome({ ca: [authority.file] }, own), 'answered');
    assert.equal(await tlsForecastOutcome({ ca: Buffer.from(authority.cert), minVersion: 'TLSv1.3' }, own), 'answered');
  });

  test('the name is checked too, unless another name or nothing is to be checked', async () => {
    const other = ['DNS:forecasts.internal'];
    assert.equal(
      await tlsForecastOutcome({ ca: authority.cert }, other),
      'tls ERR_TLS_CERT_ALTNAME_INVALID none after 1',
    );
    assert.equal(await tlsForecastOutcome({ ca: authority.cert, serverName: 'forecasts.internal' }, other), 'answered');
    assert.equal(await tlsForecastOutcome({ rejectUnauthorized: false }, other), 'answered');
  });

  test('a client shows its certificate where the server asks for one', async () => {
    const own = ['IP:127.0.0.1'];
    const identity = authority.issue(['DNS:client'], 'clientAuth');
    assert.equal(await tlsForecastOutcome({ ca: authority.cert, ...identity }, own, true), 'answered');
    assert.match(
      await tlsForecastOutcome({ ca: authority.cert }, own, true),
      /^tls ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE none/,
    );
    assert.throws(() => client({ tls: { cert: identity.cert } }), /config\.tls\.key is required/);
  });

  test('the authorities of NODE_EXTRA_CA_CERTS are trusted', async () => {
    const secure = await NixtlaServer.start(authority.issue(['IP:127.0.0.1']));
    const program = `
      const { NixtlaClient } = require('moorline');
      const client = new NixtlaClient({ apiKey: '${secure.key}', baseUrl: '${secure.url}' });
      client.healthCheck().then(console.log);`;
    const child = spawn(process.execPath, ['-e', program], {
      cwd: root,
      env: { ...process.env, NODE_EXTRA_CA_CERTS: authority.file },
      timeout: 20_000,
    });
    let shown = '';
    child.stdout.on('data', (chunk) => (shown += String(chunk)));
    await once(child, 'close');
    await secure.close();
    assert.equal(shown, 'true\n');
  });
});

describe('lifecycle of a client', () => {
  test('without a key or a fallback every call rejects and nothing is sent', async () => {
    const keyless = client({ apiKey: undefined });
    const error = await rejectionOf(keyless.forecast(request));
    assert.deepEqual([error.kind, error.delivery], ['auth', 'none']);
    assert.equal(await keyless.healthCheck(), false);
    assert.equal(server.received.length, 0);
  });

  test('the shared client needs a key, unless it may fall back', () => {
    assert.throws(() => getNixtlaClient(), { message: 'NIXTLA_API_KEY environment variable is required' });
    assert.ok(getNixtlaClient({ fallback: 'local' }) instanceof NixtlaClient);
    resetNixtlaClient();
    process.env['NIXTLA_API_KEY'] = 'from the environment'.replaceAll(' ', '-');
    const shared = getNixtlaClient();
    assert.equal(getNixtlaClient(), shared);
    resetNixtlaClient();
    assert.notEqual(getNixtlaClient(), shared);
  });

  test('the key of the environment is used', async () => {
    process.env['NIXTLA_API_KEY'] = server.key;
    const { predictions } = await getNixtlaClient({ baseUrl: server.url }).forecast(request);
    assert.equal(predictions.length, 2);
  });

  test('the key is shown nowhere', async () => {
    const secret = 'sk-do-not-print';
    const nixtla = client({ apiKey: secret, baseUrl: server.url });
    const error = await rejectionOf(nixtla.forecast(request));
    const shown = [inspect(nixtla, { depth: 9, showHidden: true }), inspect(error), JSON.stringify(error)].join('\n');
    assert.ok(!shown.includes(secret), shown);
  });

  test('health and errors are emitted', async () => {
    const nixtla = client({ apiKey: 'wrong' });
    const emitted: string[] = [];
    nixtla.on('health', ({ healthy }: MoorlineEvent) => emitted.push(`health ${String(healthy)}`));
    nixtla.on('error', ({ error }: MoorlineEvent) => emitted.push(`error ${(error as MoorlineError).code}`));
    await nixtla.healthCheck();
    await rejectionOf(nixtla.forecast(request));
    assert.deepEqual(emitted, ['health false', 'error A12']);
  });

  test('an error has the stack of its caller', async () => {
    async function whoAsked() {
      return await client({ apiKey: undefined }).forecast(request);
    }
    assert.match((await rejectionOf(whoAsked())).stack ?? '', /whoAsked/);
  });

  test('an idle client does not keep the process alive', () => {
    const program = `
      const { NixtlaClient } = require('moorline');
      const client = new NixtlaClient({ apiKey: '${server.key}', baseUrl: 'http://127.0.0.1:9', maxRetries: 0 });
      client.on('state', () => {});
      client.forecast({ timeseries: [{ timestamp: 0, value: 1 }], horizon: 1, frequency: 'D' }).catch((e) => console.log(e.code));`;
    const { status, stdout } = spawnSync(process.execPath, ['-e', program], {
      cwd: root,
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.deepEqual([status, stdout.trim()], [0, 'ECONNREFUSED']);
  });
});
