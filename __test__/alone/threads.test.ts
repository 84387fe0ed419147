// Worker threads come and go, with the addon loaded and with work in flight.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { TursoPool } from 'moorline';

import { eventually } from '../support/eventually';
import { mainEntry } from '../support/paths';

/** Runs a statement, reports that, and stays in the state that `workerData` names. */
const script = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { TursoPool } = require(workerData.mainEntry);
  const pool = new TursoPool({ url: ':memory:', poolSize: 2, connectionTimeoutMs: 60_000 });
  async function main() {
    await pool.withConnection((client) => client.execute('SELECT 1'));
    if (workerData.state === 'working') {
      const spin = 'WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n';
      for (let n = 0; n < 100; n++) pool.withConnection((client) => client.execute(spin)).catch(() => {});
    }
    if (workerData.state === 'drained') await pool.drain();
    parentPort.postMessage(pool.getStats());
  }
  main();`;

interface Stats {
  inUse: number;
  waiting: number;
}

/** Starts a worker; both promises are there before either can happen. */
function start(state: 'idle' | 'drained' | 'working') {
  const worker = new Worker(script, { eval: true, workerData: { mainEntry, state } });
  const reported = once(worker, 'message').then(([stats]) => stats as Stats);
  const exited = once(worker, 'exit').then(([code]) => code as number);
  return { worker, reported, exited };
}

/** Says when it is in the middle of statements that run on its own thread, and never stops. */
const inlineScript = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { TursoPool } = require(workerData.mainEntry);
  const pool = new TursoPool({ url: workerData.url, connectionTimeoutMs: 60_000 });
  async function main() {
    for (let n = 0; ; n++) {
      await pool.execute('UPDATE t SET n = n + 1, a = randomblob(2000) WHERE id = ?', [n % 50]);
      await pool.execute('SELECT a FROM t WHERE id = ?', [n % 50]);
      if (n === 20) parentPort.postMessage('works');
    }
  }
  main();`;

/** How many threads run connections, in this whole process. */
function connectionThreads(): number {
  const names = readdirSync('/proc/self/task').map((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8'));
  return names.filter((name) => name.startsWith('moorline-libsql')).length;
}

describe('threads', () => {
  test('fifty workers load and unload the addon', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 50; round++) {
      const { reported, exited } = start(round % 2 ? 'idle' : 'drained');
      await reported;
      assert.equal(await exited, 0);
    }
    await eventually(() => connectionThreads() === 0);
  });

  test('fifty workers end with statements and waiters in flight', { timeout: 60_000 }, async () => {
    for (let round = 0; round < 50; round++) {
      const { worker, reported } = start('working');
      const stats = await reported;
      assert.ok(stats.inUse > 0 || stats.waiting > 0, 'there was something to lose');
      await worker.terminate();
    }
    // Nothing waits for these statements any more, so their threads must end.
    await eventually(() => connectionThreads() === 0);
  });

  test('eight at once, while the main thread works on', { timeout: 60_000 }, async () => {
    await using pool = new TursoPool({ url: ':memory:' });
    let ended = false;
    const workers = Array.from({ length: 8 }, async (_, n) => {
      const { worker, reported, exited } = start(n % 2 ? 'working' : 'idle');
      await reported;
      await (n % 2 ? worker.terminate() : exited);
    });
    const work = (async () => {
      while (!ended) await pool.withConnection((client) => client.execute('SELECT 1'));
    })();
    await Promise.all(workers).finally(() => (ended = true));
    await work;
  });

  test('idle connections have no thread, and get one again', async () => {
    const pools = Array.from({ length: 20 }, () => new TursoPool({ url: ':memory:' }));
    for (let round = 0; round < 2; round++) {
      await Promise.all(pools.map((pool) => pool.executeMultiple('CREATE TABLE IF NOT EXISTS t (a); SELECT a FROM t')));
      assert.ok(connectionThreads() > 0);
      await eventually(() => connectionThreads() === 0);
      assert.ok(pools.every((pool) => pool.getStats().available === 1));
    }
    await Promise.all(pools.map((pool) => pool.drain()));
  });

  test('thirty workers end in the middle of statements on their own threads', { timeout: 120_000 }, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-threads-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const url = `file:${directory}/shared.db`;
    await using pool = new TursoPool({ url });
    await pool.executeMultiple(`CREATE TABLE t (id INTEGER PRIMARY KEY, n, a);
      INSERT INTO t WITH RECURSIVE i (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i WHERE n < 49) SELECT n, 0, NULL FROM i`);
    let ended = false;
    const work = (async () => {
      while (!ended) {
        await pool.execute('UPDATE t SET n = n + 1 WHERE id = 1');
        await pool.execute('SELECT sum(n) FROM t');
      }
    })();
    const lives = Array.from({ length: 30 }, (_, n) => n);
    const live = async () => {
      while (lives.pop() !== undefined) {
        const worker = new Worker(inlineScript, { eval: true, workerData: { mainEntry, url } });
        await once(worker, 'message');
        await worker.terminate();
      }
    };
    await Promise.all([live(), live(), live()]).finally(() => (ended = true));
    await work;
    assert.deepEqual((await pool.execute('PRAGMA integrity_check')).rows, [{ integrity_check: 'ok' }]);
  });
});
