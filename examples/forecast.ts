// Forecasts a series from a CSV file with the columns `timestamp,value`: with Nixtla if NIXTLA_API_KEY is set,
// otherwise with a local model.
//
//   npm install moorline
//   npx tsx forecast.ts series.csv MS 12
//
// Without a file it reads data/airpassengers.csv beside this program.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { NixtlaClient, type NixtlaPoint } from 'moorline';

/** The directory of this program; `process.argv[1]` works in ES modules and in CommonJS. */
const programDirectory = dirname(process.argv[1] ?? '');
const [file = join(programDirectory, 'data', 'airpassengers.csv'), frequency = 'MS', horizon = '12'] =
  process.argv.slice(2);

/** The points of a file, without comment lines (`#`) and the header line. */
function readPoints(): NixtlaPoint[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  const rows = lines.filter((line) => line && !line.startsWith('#')).slice(1);
  return rows.map((row) => {
    const [timestamp = '', value] = row.split(',');
    return { timestamp, value: Number(value) };
  });
}

async function main(): Promise<void> {
  const client = new NixtlaClient({ fallback: 'local' });
  const { predictions, modelInfo } = await client.forecast({
    timeseries: readPoints(),
    frequency,
    horizon: Number(horizon),
    confidenceLevels: [0.9],
  });
  for (const { timestamp, value, intervals } of predictions) {
    const range = intervals?.['0.9'];
    const intervalText = range ? ` (90 %: ${range.lower.toFixed(1)} to ${range.upper.toFixed(1)})` : '';
    console.log(`${timestamp}  ${value.toFixed(1)}${intervalText}`);
  }
  console.log(`by ${modelInfo?.model ?? 'the model'}, ${modelInfo?.source ?? 'service'}`);
}

void main();
