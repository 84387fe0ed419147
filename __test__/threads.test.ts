// Worker threads come and go, with the addon loaded and with work in flight.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { TursoPool } from 'moorline';

const face = join(__dirname, '..', 'dist', 'index.js');

/** Works once, says so, and then does what it is told to be found at. */
const script = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { TursoPool } = require(workerData.face);
  const pool = new TursoPool({ url: ':memory:', poolSize: 2, connectionTimeoutMs: 60_000 });
  async function main() {
    await pool.withConnection((client) => client.execute('SELECT 1'));
    if (workerData.found === 'working') {
      const spin = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n';
      for (let n = 0; n < 100; n++) pool.withConnection((client) => client.execute(spin)).catch(() => {});
    }
    if (workerData.found === 'drained') await pool.drain();
    parentPort.postMessage(pool.getStats());
  }
  main();`;

const start = (found: string) => new Worker(script, { eval: true, workerData: { face, found } });

describe('threads', () => {
  test('fifty workers load and unload the addon', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 50; round++) {
      const worker = start(['idle', 'drained'][round % 2] ?? '');
      const [code] = (await once(worker, 'exit')) as [number];
      assert.equal(code, 0);
    }
  });

  test('fifty workers end with statements and waiters in flight', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 50; round++) {
      const worker = start('working');
      const [stats] = (await once(worker, 'message')) as [{ inUse: number; waiting: number }];
      assert.ok(stats.inUse > 0 || stats.waiting > 0, 'there was something to lose');
      await worker.terminate();
    }
  });

  test('eight workers at once, while the main thread works, and it still works after them', async () => {
    const pool = new TursoPool({ url: ':memory:' });
    const workers = Array.from({ length: 8 }, (_, n) => start(n % 2 ? 'working' : 'idle'));
    const ended = workers.map(async (worker, n) => {
      await once(worker, 'message');
      await (n % 2 ? worker.terminate() : once(worker, 'exit'));
    });
    let working = true;
    const work = (async () => {
      while (working) await pool.withConnection((client) => client.execute('SELECT 1'));
    })();
    await Promise.all(ended);
    working = false;
    await work;
    await pool.drain();
  });
});
