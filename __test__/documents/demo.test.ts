// The demo, run as a user does, but for the place of its files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createClient } from 'moorline/libsql';
import { root } from '../support/paths';

const output = mkdtempSync(join(tmpdir(), 'moorline-demo-'));
after(() => rmSync(output, { recursive: true, force: true }));

test('the pipeline stores, forecasts, announces and reports, and leaves nothing running', async () => {
  const { NIXTLA_API_KEY: _, ...env } = process.env;
  const args = ['--import', 'tsx', 'examples/pipeline.ts', output];
  const run = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env, timeout: 60_000 });
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stderr, '');
  const error = /mean absolute error ([\d.]+) %/.exec(run.stdout)?.[1];
  assert.ok(Number(error) <= 4, `the held-back year is missed by ${error} %`);
  assert.match(run.stdout, /Webhook +200 verified/);
  assert.match(run.stdout, /Health +healthy; database: healthy .*webhook receiver: healthy/);

  const client = createClient({ url: `file:${join(output, 'pipeline.db')}` });
  const { rows } = await client.execute('SELECT count(lower) AS months, min(source) AS source FROM forecasts');
  assert.deepEqual({ ...rows[0] }, { months: 12, source: 'local' });
  client.close();

  const page = readFileSync(join(output, 'pipeline.html'), 'utf8');
  assert.match(page, /<polyline class="forecast"/);
  assert.doesNotMatch(page, /NaN|undefined|src=|href=/);
});
