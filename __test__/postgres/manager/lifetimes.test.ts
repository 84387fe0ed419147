// What managers do to the process they are in: it ends by itself, threads come and go, and what nobody holds is collected.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { PostgresConnectionManager, setLogger } from 'moorline';

import { eventually } from '../../support/eventually';
import { mainEntry } from '../../support/paths';
import { Postgres, skipWithoutPostgres } from '../../support/postgres';
import { runScript } from '../../support/script';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('lifetimes of managers', { skip: skipWithoutPostgres(), timeout: 120_000 }, () => {
  let server: Postgres;
  const config = () => ({ ...server.config, tunnel: false, connectionTimeoutMillis: 10_000 }) as const;
  const processes = () =>
    Number(server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'moorline'"));

  before(async () => {
    setLogger({});
    server = await Postgres.start({ settings: { max_connections: 100 } });
  });
  after(async () => {
    setLogger(undefined);
    await server?.stop();
  });

  test('one that checks its health, has a fallback in use, or is borrowed from, lets the process end', async () => {
    const { code, stdout, stderr } = await runScript(
      `const { PostgresConnectionManager, setLogger } = require(${JSON.stringify(mainEntry)});
      const config = ${JSON.stringify(config())};
      setLogger({});
      async function main() {
        const manager = new PostgresConnectionManager({ ...config, healthCheckIntervalMs: 20, leakAfterMs: 10 });
        await manager.healthCheck();
        await manager.connect();
        const doubled = new PostgresConnectionManager({ ...config, port: 1, fallback: manager });
        const { rows } = await doubled.query('SELECT 1 AS one');
        console.log(rows[0].one);
      }
      main();`,
      [],
      20_000,
    );
    assert.deepEqual([code, stdout], [0, '1\n'], stderr);
    await eventually(() => processes() === 0);
  });

  test('workers that end in the middle of statements and transactions leave nothing on the server', async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { PostgresConnectionManager, setLogger } = require(workerData.mainEntry);
      setLogger({});
      const manager = new PostgresConnectionManager({ ...workerData.config, max: 3, healthCheckIntervalMs: 10 });
      async function main() {
        await manager.query('SELECT 1');
        parentPort.postMessage('works');
        if (workerData.ends) return manager.shutdown();
        manager.withTransaction((client) => client.query('SELECT pg_sleep(60)')).catch(() => undefined);
        for (;;) await manager.query('SELECT 1');
      }
      main();`;
    const live = async (ends: boolean) => {
      const worker = new Worker(script, { eval: true, workerData: { mainEntry, config: config(), ends } });
      const exited = once(worker, 'exit');
      await once(worker, 'message');
      if (!ends) await worker.terminate();
      await exited;
    };
    for (let round = 0; round < 4; round++) await Promise.all([live(true), live(false), live(false)]);
    await eventually(() => processes() === 0);
  });

  test('one that nobody holds is collected, and its connections are closed', async () => {
    let collected = 0;
    const registry = new FinalizationRegistry(() => (collected += 1));
    const use = async () => {
      const manager: PostgresConnectionManager = new PostgresConnectionManager({
        ...config(),
        healthCheckIntervalMs: 20,
      });
      manager.on('healthCheck', () => manager.stats());
      await manager.query('SELECT 1');
      registry.register(manager, undefined);
    };
    await use();
    await use();
    await eventually(() => {
      collect();
      return collected === 2;
    }, 20_000);
    await eventually(() => processes() === 0);
  });

  test('thirty have no thread of their own, and leave no open file', async () => {
    const countOf = (directory: string) => readdirSync(`/proc/self/${directory}`).length;
    const live = async () => {
      const managers = Array.from({ length: 30 }, () => new PostgresConnectionManager(config()));
      await Promise.all(managers.map((manager) => manager.query('SELECT 1')));
      const during = { threads: countOf('task'), files: countOf('fd') };
      await Promise.all(managers.map((manager) => manager.shutdown()));
      return during;
    };
    await live();
    const before = { threads: countOf('task'), files: countOf('fd') };
    const during = await live();
    assert.ok(during.threads < before.threads + 15, `${during.threads} threads, ${before.threads} before`);
    assert.ok(during.files >= before.files + 30);
    await eventually(() => countOf('fd') <= before.files, 20_000);
  });
});
