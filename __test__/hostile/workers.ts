// Worker threads that are ended in the middle of calls of every kind: `workers.ts <seed> <ms>`.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { Worker } from 'node:worker_threads';

import { TursoPool } from 'moorline';

import { eventually } from '../support/eventually';
import { peer } from '../support/peers';
import { listen } from '../support/ports';
import { pick, seededRandom } from './random';
import { mainEntry } from '../support/paths';

const [seed = 1, durationMs = 5000] = process.argv.slice(2, 4).map(Number);
const random = seededRandom(seed);

/** What a worker begins, and is ended in. None of it comes to its end by itself. */
const WORK = {
  statement: `for (let n = 0; n < 20; n++) ignoreRejection(turso.execute(spin));`,
  quick: `for (let n = 0; n < 200; n++) ignoreRejection(turso.execute('SELECT ' + n));`,
  batch: `ignoreRejection(turso.batch(Array.from({ length: 1000 }, () => spin)));`,
  transaction: `ignoreRejection(turso.transaction('write').then((tx) => tx.execute(spin)));`,
  borrow: `ignoreRejection(turso.withConnection(() => new Promise(() => {}), { signal: new AbortController().signal }));`,
  request: `for (let n = 0; n < 20; n++) ignoreRejection(new M.HTTPConnection({ url }).request({ path: 'never' }));`,
  body: `ignoreRejection(new M.HTTPConnection({ url }).request({ path: 'drip', stream: true }).then(async (r) => { for await (const _ of r.stream); }));`,
  upload: `ignoreRejection(new M.HTTPConnection({ url }).request({ method: 'POST', path: 'never', body: (async function* () { for (;;) yield Buffer.alloc(1000); })() }));`,
  events: `const sse = new M.SSEConnection({ url: url + 'events' }); ignoreRejection(sse.connect().then(async () => { for (;;) await sse.receive(); }));`,
  socket: `const ws = new M.WebSocketConnection({ url: url.replace('http', 'ws') }); ignoreRejection(ws.connect().then(async () => { for (;;) { await ws.send('x'.repeat(100)); await ws.receive(); } }));`,
  service: `ignoreRejection(new M.NixtlaClient({ apiKey: 'k', baseUrl: url + 'never', timeout: 60_000 }).usage());`,
  model: `for (let n = 0; n < 8; n++) ignoreRejection(new M.NixtlaClient({ fallback: 'local' }).forecast({ timeseries, horizon: 5 }));`,
  objects: `const pool = new M.ConnectionPool({ maxSize: 3 }, async () => ({})); ignoreRejection(pool.start().then(() => Promise.all(Array.from({ length: 50 }, () => pool.acquire()))));`,
  checks: `const monitor = new M.HealthMonitor({ intervalMs: 1 }); monitor.register('a', () => new Promise(() => {})); monitor.start(); ignoreRejection(monitor.checkAll());`,
  policy: `const policy = new M.Policy({ name: 'w', bulkhead: { maxConcurrent: 1 } }); for (let n = 0; n < 50; n++) ignoreRejection(policy.run(() => new Promise(() => {})));`,
  webhook: `const verifier = new M.WebhookVerifier({ secret: 's' }); setInterval(() => verifier.verify(Buffer.alloc(100_000), 't=1,v1=00'), 0);`,
};

const script = `
  const { parentPort, workerData } = require('node:worker_threads');
  const M = require(workerData.mainEntry);
  M.setLogger({});
  const ignoreRejection = (promise) => promise.catch(() => {});
  const { url } = workerData;
  const spin = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n';
  const turso = new M.TursoPool({ url: ':memory:', poolSize: 2 });
  const timeseries = Array.from({ length: 20_000 }, (_, n) => ({ timestamp: n * 86_400_000, value: n % 7 }));
  const work = ${JSON.stringify(WORK)};
  for (const name of workerData.begins) eval('{' + work[name] + '}');
  parentPort.postMessage('ready');
  setInterval(() => {}, 1000);`;

/** Answers nothing, drips, streams events, or echoes. */
async function serve() {
  const { WebSocketServer } = await peer('ws');
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    if (request.url === '/never') return;
    const events = request.url === '/events';
    response.writeHead(200, { 'content-type': events ? 'text/event-stream' : 'text/plain' });
    const drip = setInterval(() => response.write(events ? 'data: x\n\n' : 'x'.repeat(1000)), 1);
    response.on('close', () => clearInterval(drip));
  });
  new WebSocketServer({ server }).on('connection', (socket: any) => {
    socket.on('error', () => undefined).on('message', (data: Buffer) => socket.send(data));
  });
  return `http://127.0.0.1:${await listen(server)}/`;
}

async function main(): Promise<void> {
  const url = await serve();
  const names = Object.keys(WORK) as (keyof typeof WORK)[];
  const until = performance.now() + durationMs;
  let ended = 0;
  while (performance.now() < until) {
    const several = Array.from({ length: 3 }, async () => {
      const begins = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(names, random));
      const worker = new Worker(script, { eval: true, workerData: { mainEntry, url, begins }, stderr: true });
      const failed = once(worker, 'error').then(([error]) =>
        assert.fail(`seed ${seed}, ${begins.join()}: ${String(error)}`),
      );
      const afterMs = random() * 20;
      await Promise.race([once(worker, 'message'), failed]);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await worker.terminate();
      ended += 1;
    });
    await Promise.all(several);
  }
  // The main thread works as before.
  const pool = new TursoPool({ url: ':memory:' });
  await eventually(async () => (await pool.execute('SELECT 1 AS n')).rows[0]?.['n'] === 1, 30_000);
  await pool.drain();
  writeSync(1, `${ended} workers\n`);
  process.exit(0);
}

const fail = (error: unknown): never => {
  writeSync(1, `seed ${seed}: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
};
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
void main();
