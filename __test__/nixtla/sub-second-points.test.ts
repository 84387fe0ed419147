// Points closer together than a second, or at fractions of one.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { NixtlaClient, setLogger, type NixtlaPoint } from 'moorline';

import { NixtlaServer } from './server/server';

const START = Date.UTC(2024, 0, 1);

/** Twenty points, `stepMs` apart. */
function points(
  stepMs: number,
  toTimestamp: (ms: number) => NixtlaPoint['timestamp'] = (ms) => new Date(ms),
): NixtlaPoint[] {
  return Array.from({ length: 20 }, (_, k) => ({ timestamp: toTimestamp(START + k * stepMs), value: k }));
}

describe('a forecast', () => {
  const client = new NixtlaClient({ apiKey: '', fallback: 'local' });
  before(() => setLogger({}));
  after(() => setLogger(undefined));

  for (const [stepMs, frequency, next, afterNext] of [
    [100, '100ms', '00:00:02.000Z', '00:00:02.100Z'],
    [1, 'ms', '00:00:00.020Z', '00:00:00.021Z'],
    [1500, '1500ms', '00:00:30.000Z', '00:00:31.500Z'],
    [2500, '2500ms', '00:00:50.000Z', '00:00:52.500Z'],
    [0.25, '250us', '00:00:00.005Z', '00:00:00.00525Z'],
    [1_000_001, '1000001ms', '05:33:20.020Z', '05:50:00.021Z'],
  ] as const) {
    test(`of points ${stepMs} ms apart goes on at that distance`, async () => {
      // A Date has whole milliseconds; a number need not.
      const timeseries = points(stepMs, stepMs < 1 ? (ms) => ms : undefined);
      for (const options of [{}, { frequency }]) {
        const { predictions, modelInfo } = await client.forecast({ timeseries, horizon: 2, ...options });
        assert.equal(modelInfo?.frequency, frequency);
        const times = predictions.map(({ timestamp }) => timestamp);
        assert.deepEqual(times, [`2024-01-01T${next}`, `2024-01-01T${afterNext}`]);
      }
    });
  }

  test('shows a fraction of a second that no earlier point had', async () => {
    const timeseries = ['00:00:00.5', '00:00:01.0'].map((time, value) => ({ timestamp: `2024-01-01 ${time}`, value }));
    const { predictions } = await client.forecast({ timeseries, horizon: 2, frequency: '500ms' });
    assert.deepEqual(
      predictions.map(({ timestamp }) => timestamp),
      ['2024-01-01 00:00:01.5', '2024-01-01 00:00:02.0'],
    );
  });

  test('takes the names that pandas has for fractions of a second', async () => {
    for (const [written, read] of [
      ['L', 'ms'],
      ['1U', 'us'],
      ['10N', '10ns'],
    ]) {
      const request = { timeseries: points(1).slice(0, 1), horizon: 1, frequency: written! };
      assert.equal((await client.forecast(request)).modelInfo?.frequency, read);
    }
  });

  test('of points that are not regular names the first that is not', async () => {
    const timeseries = points(100);
    timeseries[7] = { timestamp: new Date(START + 701), value: 7 };
    await assert.rejects(client.forecast({ timeseries, horizon: 1 }), {
      name: 'TypeError',
      message:
        "request.timeseries[7].timestamp does not match the frequency '100ms': " +
        'expected 2024-01-01T00:00:00.7, got 2024-01-01T00:00:00.701Z',
    });
  });
});

test('the service is asked with the fraction, and by its default model', async () => {
  const server = await NixtlaServer.start();
  try {
    const client = new NixtlaClient({ apiKey: server.key, baseUrl: server.url });
    await client.forecast({ timeseries: points(1500).slice(1), horizon: 1 });
    const { body } = server.last('/v2/forecast')!;
    assert.deepEqual([body?.freq, body?.series.start_datetime], ['1500ms', ['2024-01-01T00:00:01.5']]);
    assert.equal((body as { model?: string }).model, 'timegpt-2.1');
  } finally {
    await server.close();
  }
});
