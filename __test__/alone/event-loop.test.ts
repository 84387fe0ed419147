// The longest stall of the event loop while a database is busy, locked and cold: quick statements run on its thread, and
// nothing that waits does.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { createClient } from 'moorline/libsql';

import { type ClientFactory, coldFile, LOCK_MS, measureBusyDatabase, STALL_LIMIT_MS } from '../support/busy-database';
import { skipWithoutSqld } from '../support/servers';
import { testsDirectory } from '../support/paths';

/** 64 MB. */
const ROWS = 16_000;
const directory = mkdtempSync(join(tmpdir(), 'moorline-loop-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const cold = (name: string) => coldFile(join(directory, `${name}.db`), ROWS);

describe('the event loop beside a local database', { skip: skipWithoutSqld() }, () => {
  test(`stalls for less than ${STALL_LIMIT_MS} ms`, async () => {
    const { longest, refused } = await measureBusyDatabase(createClient, await cold('ours'), ROWS);
    assert.equal(refused, 0);
    assert.ok(longest < STALL_LIMIT_MS, `it stalled for ${longest} ms`);
  });

  test('stalls for seconds with @libsql/client', async () => {
    const load = createRequire(join(testsDirectory, 'servers', 'package.json'));
    const { createClient: createTheirs } = load('@libsql/client') as { createClient: ClientFactory };
    const { longest } = await measureBusyDatabase(createTheirs, await cold('theirs'), ROWS);
    assert.ok(longest > LOCK_MS / 2, `it stalled for ${longest} ms`);
  });
});
