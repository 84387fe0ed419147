// The demo, run as a user does, but for the place of its files: as a copy in a project of either module system, started
// from another directory.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createClient } from 'moorline/libsql';
import { root } from '../support/paths';

const directory = join(root, 'target', `demo-${process.pid}`);
after(() => rmSync(directory, { recursive: true, force: true }));

for (const type of ['commonjs', 'module']) {
  test(`the pipeline stores, forecasts, announces and reports, and leaves nothing running, in a project of type ${type}`, async () => {
    const [project, output] = [join(directory, type), join(directory, `${type}-output`)];
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    mkdirSync(output);
    cpSync(join(root, 'examples'), project, { recursive: true });
    writeFileSync(join(project, 'package.json'), JSON.stringify({ type }));
    symlinkSync(root, join(project, 'node_modules', 'moorline'), 'junction');

    const { NIXTLA_API_KEY: _, ...env } = process.env;
    const args = [join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs'), join(project, 'pipeline.ts')];
    const run = spawnSync(process.execPath, args, { cwd: output, encoding: 'utf8', env, timeout: 60_000 });
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
}
