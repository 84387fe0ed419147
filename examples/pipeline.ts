// The main use case, from a stored series to an announced forecast: `npm run demo`.
//
// Stores a monthly series in a libSQL file and reads it back; forecasts the last year from the years before (with
// Nixtla if NIXTLA_API_KEY is set, otherwise with the local model); compares the forecast with the actual values,
// stores it, and announces it with a signed webhook that a local server verifies. Ends with a health report, and leaves
// nothing running.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

import {
  HealthMonitor,
  NixtlaClient,
  type NixtlaForecastResponse,
  receiveWebhook,
  type Row,
  TursoPool,
  WebhookVerifier,
} from 'moorline';

import { type Chart, chartHtml, chartText } from './chart.js';

const HOLDOUT_MONTHS = 12;
/** The directory of this program; `process.argv[1]` works in ES modules and in CommonJS. */
const programDirectory = dirname(process.argv[1] ?? '');
const output = process.argv[2] ?? process.cwd();
const databaseFile = join(output, 'pipeline.db');
const htmlFile = join(output, 'pipeline.html');

const pool = new TursoPool({ url: `file:${databaseFile}`, poolSize: 3 });
const nixtla = new NixtlaClient({ fallback: 'local' });
const verifier = new WebhookVerifier({ secret: 'whsec_a-secret-of-this-demo-only' });
const monitor = new HealthMonitor();

/** The included series: comment lines with its source, then `timestamp,value`. */
function readSeries(): { source: string; points: [timestamp: string, value: number][] } {
  const lines = readFileSync(join(programDirectory, 'data', 'airpassengers.csv'), 'utf8')
    .trim()
    .split('\n');
  const source = lines.filter((line) => line.startsWith('#')).map((line) => line.slice(2));
  const rows = lines.filter((line) => !line.startsWith('#')).slice(1);
  return {
    source: source.join(' '),
    points: rows.map((row) => {
      const [timestamp, value] = row.split(',') as [string, string];
      return [timestamp, Number(value)];
    }),
  };
}

async function storeSeries(points: [string, number][]): Promise<void> {
  await pool.executeMultiple(`
    CREATE TABLE passengers (timestamp TEXT PRIMARY KEY, value REAL NOT NULL);
    CREATE TABLE forecasts (timestamp TEXT PRIMARY KEY, value REAL NOT NULL, lower REAL, upper REAL, source TEXT);`);
  await pool.batch(
    points.map((point) => ['INSERT INTO passengers VALUES (?, ?)', point]),
    'write',
  );
}

async function readStoredSeries(): Promise<Row[]> {
  return pool.withConnection(
    async (client) => (await client.execute('SELECT timestamp, value FROM passengers ORDER BY timestamp')).rows,
  );
}

async function storeForecast(forecast: NixtlaForecastResponse): Promise<void> {
  const transaction = await pool.transaction('write');
  try {
    for (const { timestamp, value, intervals } of forecast.predictions) {
      const { lower, upper } = intervals?.['0.95'] ?? { lower: null, upper: null };
      const source = forecast.modelInfo?.source ?? 'nixtla';
      await transaction.execute({
        sql: 'INSERT INTO forecasts VALUES (:timestamp, :value, :lower, :upper, :source)',
        args: { timestamp, value, lower, upper, source },
      });
    }
    await transaction.commit();
  } finally {
    transaction.close();
  }
}

function meanAbsolutePercentageError(forecast: NixtlaForecastResponse, actual: Row[]): number {
  const errors = forecast.predictions.map(({ value }, index) => Math.abs(value / Number(actual[index]!['value']) - 1));
  return (100 * errors.reduce((sum, error) => sum + error, 0)) / errors.length;
}

/** Sends `event` as a signed webhook to a local server, which responds with the result of its verification. */
async function announce(event: object): Promise<{ status: number; answer: string }> {
  const server = createServer((request, response) => {
    void receiveWebhook(verifier, request).then(({ valid, reason }) => {
      response.statusCode = valid ? 200 : 401;
      response.end(valid ? 'verified' : reason);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const body = JSON.stringify(event);
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/forecasts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-webhook-signature': verifier.sign(body) },
      body,
    });
    return { status: response.status, answer: await response.text() };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function main(): Promise<void> {
  for (const suffix of ['', '-wal', '-shm']) rmSync(databaseFile + suffix, { force: true });
  const { source, points } = readSeries();
  console.log(`Series     ${source}`);

  await storeSeries(points);
  const rows = await readStoredSeries();
  const [train, actual] = [rows.slice(0, -HOLDOUT_MONTHS), rows.slice(-HOLDOUT_MONTHS)];
  console.log(`Stored     ${rows.length} months in ${databaseFile}, ${HOLDOUT_MONTHS} of them held back`);

  const forecast = await nixtla.forecast({
    timeseries: train.map(({ timestamp, value }) => ({ timestamp, value })),
    horizon: HOLDOUT_MONTHS,
    frequency: 'MS',
    confidenceLevels: [0.8, 0.95],
  });
  const error = meanAbsolutePercentageError(forecast, actual);
  const modelName = `${forecast.modelInfo?.model ?? 'model'}, ${forecast.modelInfo?.source ?? 'nixtla'}`;
  console.log(`Forecast   ${HOLDOUT_MONTHS} months by ${modelName}: mean absolute error ${error.toFixed(2)} %`);

  await storeForecast(forecast);
  const chart: Chart = { title: 'Airline passengers, in thousands', source, modelName, error, rows, forecast };
  console.log(`\n${chartText(chart)}\n`);
  writeFileSync(htmlFile, chartHtml(chart));
  console.log(`Page       ${htmlFile}`);

  const { status, answer } = await announce({ type: 'forecast.stored', months: HOLDOUT_MONTHS, errorPercent: error });
  console.log(`Webhook    ${status} ${answer}`);

  monitor.register('database', () => pool.healthCheck());
  monitor.register('webhook receiver', () => status === 200);
  // Not critical, because the local model replaces it: without the service, the report is only degraded.
  if (process.env['NIXTLA_API_KEY'])
    monitor.register('nixtla service', () => nixtla.healthCheck(), { critical: false });
  const report = await monitor.checkAll();
  const checks = report.checks.map((check) => `${check.name}: ${check.status} (${check.latencyMs.toFixed(1)} ms)`);
  console.log(`Health     ${report.status}; ${checks.join(', ')}`);
  await pool.drain();
  if (status !== 200 || report.status === 'unhealthy') process.exitCode = 1;
}

void main();
