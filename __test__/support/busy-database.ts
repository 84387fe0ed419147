// A database that is busy, locked and cold, and the longest stall of the event loop beside it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

import { createClient } from 'moorline/libsql';

/** The longest stall that is allowed, in milliseconds. */
export const STALL_LIMIT_MS = process.env['CI'] === '1' ? 20 : 5;
/** How long another connection holds the write lock. */
export const LOCK_MS = 2_000;
const INTERVAL_MS = 1;
const HEAVY_QUERIES = 100;

/** Milliseconds for which this thread could run and no processor was free; 0 where the system does not tell. */
function processorWaitMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** A span of time in milliseconds. */
type Span = readonly [from: number, to: number];

/** The time that two spans share. */
const overlapMs = (one: Span, other: Span) => Math.max(0, Math.min(one[1], other[1]) - Math.max(one[0], other[0]));

/** Measures the stalls of the event loop, without the time that the system gave to others and what V8 took for its garbage. */
function watchLoop(): () => Promise<number> {
  const stalls: { span: Span; lasted: number }[] = [];
  const collections: Span[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) collections.push([startTime, startTime + duration]);
  });
  observer.observe({ entryTypes: ['gc'] });
  let [at, waited] = [performance.now(), processorWaitMs()];
  const sample = () => {
    const [now, nowWaited] = [performance.now(), processorWaitMs()];
    stalls.push({ span: [at, now], lasted: now - at - (nowWaited - waited) - INTERVAL_MS });
    [at, waited] = [now, nowWaited];
  };
  const timer = setInterval(sample, INTERVAL_MS);
  return async () => {
    sample();
    clearInterval(timer);
    // The observer is told in a later turn.
    await new Promise(setImmediate);
    for (const { startTime, duration } of observer.takeRecords()) collections.push([startTime, startTime + duration]);
    observer.disconnect();
    const collectionMs = (span: Span) => collections.reduce((sum, collection) => sum + overlapMs(span, collection), 0);
    return stalls.reduce((longest, { span, lasted }) => Math.max(longest, lasted - collectionMs(span)), 0);
  };
}

/** The URL of a file with so many `rows` of 4 KB of which no page is in memory. */
export async function coldFile(file: string, rows: number): Promise<string> {
  const filler = createClient({ url: `file:${file}`, queryTimeoutMs: 600_000 });
  await filler.executeMultiple(`CREATE TABLE cold (id INTEGER PRIMARY KEY, a BLOB); CREATE TABLE quick (id INTEGER PRIMARY KEY, n);
    INSERT INTO cold WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ${rows}) SELECT n, randomblob(4000) FROM i;
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

export type ClientFactory = typeof createClient;

/**
 * Runs statements of all kinds on one file, at first while another connection holds the write lock. Returns the longest stall in
 * milliseconds, and how many statements did not get the lock. One implementation does it all: two copies of SQLite in a process
 * do not see each other's locks.
 */
export async function measureBusyDatabase(
  create: ClientFactory,
  url: string,
  rows: number,
): Promise<{ longest: number; refused: number }> {
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
  const runHeavyQueries = async () => {
    const sql = 'WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?) SELECT count(*) FROM i';
    for (let query = 0; query < HEAVY_QUERIES; query++) {
      await execute(sql, query % 10 ? 200_000 : 3);
    }
  };
  const runQuickStatements = async () => {
    for (let round = 0; round < 2_000; round++) {
      const id = 1 + ((round * 7919) % rows);
      await execute('SELECT n FROM quick WHERE id = ?', 1 + (id % 1000));
      await execute('SELECT length(a) AS length, id FROM cold WHERE id = ?', id);
      await execute('UPDATE quick SET n = n + 1 WHERE id = ?', 1 + (id % 1000));
    }
  };
  await Promise.all([released, runHeavyQueries(), runQuickStatements()]);
  const longest = await stop();
  client.close();
  holder.close();
  return { longest, refused };
}
