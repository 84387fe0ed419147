// The event loop beside a database that is busy, locked and so large that none of it is in memory.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient } from 'moorline/libsql';

import { coldFile, measureBusyDatabase, STALL_LIMIT_MS } from '../../support/busy-database';

/** 1 GB. */
const ROWS = 250_000;

/** Measures one file, and prints the longest stall. */
export async function soakColdDatabase(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-cold-'));
  try {
    const url = await coldFile(join(directory, 'cold.db'), ROWS);
    const { longest, refused } = await measureBusyDatabase(createClient, url, ROWS);
    const holds = longest < STALL_LIMIT_MS && refused === 0;
    if (!holds) process.exitCode = 1;
    console.log('| libsql | longest stall in ms | allowed | refused statements | holds |\n|---|---|---|---|---|');
    console.log(`| 1 GB, cold | ${longest.toFixed(1)} | ${STALL_LIMIT_MS} | ${refused} | ${holds ? 'yes' : 'NO'} |`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
