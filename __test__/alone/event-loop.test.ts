// The longest stop of the event loop while a database is busy, locked and cold: quick statements run on its thread, and
// nothing that waits does.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { createClient } from 'moorline/libsql';

import { skipWithoutSqld } from '../support/servers';
import { tests } from '../support/paths';

const LIMIT_MS = process.env['CI'] === '1' ? 20 : 5;
const INTERVAL_MS = 1;
const LOCK_MS = 2_000;
const HEAVY_QUERIES = 100;
const ROWS = 16_000;
const directory = mkdtempSync(join(tmpdir(), 'moorline-loop-'));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Milliseconds for which this thread could run and no processor was free; 0 where the system does not tell. */
function waitedForProcessorMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** A span of time in milliseconds. */
type Span = readonly [from: number, to: number];

/** The time that two spans share. */
const shared = (one: Span, other: Span) => Math.max(0, Math.min(one[1], other[1]) - Math.max(one[0], other[0]));

/** Measures the stops of the event loop, without the time that the system gave to others and what V8 took for its garbage. */
function watchLoop(): () => Promise<number> {
  const stops: { span: Span; lasted: number }[] = [];
  const collections: Span[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) collections.push([startTime, startTime + duration]);
  });
  observer.observe({ entryTypes: ['gc'] });
  let [at, waited] = [performance.now(), waitedForProcessorMs()];
  const look = () => {
    const [now, nowWaited] = [performance.now(), waitedForProcessorMs()];
    stops.push({ span: [at, now], lasted: now - at - (nowWaited - waited) - INTERVAL_MS });
    [at, waited] = [now, nowWaited];
  };
  const timer = setInterval(look, INTERVAL_MS);
  return async () => {
    look();
    clearInterval(timer);
    // The observer is told in a later turn.
    await new Promise(setImmediate);
    for (const { startTime, duration } of observer.takeRecords()) collections.push([startTime, startTime + duration]);
    observer.disconnect();
    const collected = (span: Span) => collections.reduce((sum, collection) => sum + shared(span, collection), 0);
    return stops.reduce((longest, { span, lasted }) => Math.max(longest, lasted - collected(span)), 0);
  };
}

/** A file of 64 MB of which no page is in memory. */
async function coldFile(name: string): Promise<string> {
  const file = join(directory, `${name}.db`);
  const filler = createClient({ url: `file:${file}` });
  await filler.executeMultiple(`CREATE TABLE cold (id INTEGER PRIMARY KEY, a BLOB); CREATE TABLE quick (id INTEGER PRIMARY KEY, n);
    INSERT INTO cold WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ${ROWS}) SELECT n, randomblob(4000) FROM i;
    INSERT INTO quick SELECT id, 0 FROM cold LIMIT 1000; PRAGMA wal_checkpoint(TRUNCATE)`);
  filler.close();
  for (const args of [
    [`of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync'],
    [`if=${file}`, 'iflag=nocache'],
  ]) {
    spawnSync('dd', [...args, 'count=0']);
  }
  return `file:${file}`;
}

type Create = typeof createClient;

/**
 * Runs statements of all kinds on one file, at first while another connection holds the write lock. Returns the longest stop in
 * milliseconds, and how many statements did not get the lock. One implementation does it all: two copies of SQLite in a process
 * do not see each other's locks.
 */
async function run(create: Create, url: string): Promise<{ longest: number; refused: number }> {
  const holder = create({ url });
  const lock = await holder.transaction('write');
  await lock.execute('UPDATE quick SET n = n + 1 WHERE id = 1');
  const client = create({ url });
  await client.execute(`PRAGMA busy_timeout = ${LOCK_MS + 1_000}`);
  let refused = 0;
  const execute = async (sql: string, arg: number) => {
    await client.execute({ sql, args: [arg] }).catch(({ code }: { code: string }) => {
      assert.equal(code, 'SQLITE_BUSY');
      refused++;
    });
  };
  const stop = watchLoop();
  const released = sleep(LOCK_MS).then(() => lock.commit());
  const heavy = async () => {
    const sql = 'WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?) SELECT count(*) FROM i';
    for (let query = 0; query < HEAVY_QUERIES; query++) {
      await execute(sql, query % 10 ? 200_000 : 3);
    }
  };
  const quick = async () => {
    for (let round = 0; round < 2_000; round++) {
      const id = 1 + ((round * 7919) % ROWS);
      await execute('SELECT n FROM quick WHERE id = ?', 1 + (id % 1000));
      await execute('SELECT length(a) AS length, id FROM cold WHERE id = ?', id);
      await execute('UPDATE quick SET n = n + 1 WHERE id = ?', 1 + (id % 1000));
    }
  };
  await Promise.all([released, heavy(), quick()]);
  const longest = await stop();
  client.close();
  holder.close();
  return { longest, refused };
}

describe('the event loop beside a local database', { skip: skipWithoutSqld() }, () => {
  test(`stands for less than ${LIMIT_MS} ms`, async () => {
    const { longest, refused } = await run(createClient, await coldFile('ours'));
    assert.equal(refused, 0);
    assert.ok(longest < LIMIT_MS, `it stood for ${longest} ms`);
  });

  test('stands for seconds with @libsql/client', async () => {
    const load = createRequire(join(tests, 'servers', 'package.json'));
    const { createClient: createTheirs } = load('@libsql/client') as { createClient: Create };
    const { longest } = await run(createTheirs, await coldFile('theirs'));
    assert.ok(longest > LOCK_MS / 2, `it stood for ${longest} ms`);
  });
});
