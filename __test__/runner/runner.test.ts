// The runner of the test files: nothing that goes wrong in one of them hides what the others say.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { root } from '../support/paths';

const scripts = join(root, 'scripts', 'test');
const url = (name: string) => JSON.stringify(pathToFileURL(join(scripts, name)).href);

interface Total {
  passed: number;
  skipped: number;
  failed: string[];
  missing: string[];
}

/** Runs files of `runner/` as `npm test` does: the totals, and what was printed. */
async function run(names: string[], timeoutMs = 60_000): Promise<{ total: Total; printed: string }> {
  const files = names.map((name) => `__test__/runner/${name}.ts`);
  const script = `
    import { runFiles } from ${url('runner.mjs')};
    const total = { passed: 0, skipped: 0, failed: [], missing: [] };
    await runFiles(${JSON.stringify(files)}, { concurrency: 2, timeoutMs: ${timeoutMs} }, total);
    console.log(JSON.stringify(total));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 0, printed);
  return { total: JSON.parse(printed.trim().split('\n').at(-1)!) as Total, printed };
}

describe('a run', { concurrency: 2 }, () => {
  test('goes on after a failure, and tells what failed by its file and name', async () => {
    const { total, printed } = await run(['fails', 'leaves', 'lacks']);
    assert.deepEqual(total.failed.toSorted(), [
      '__test__/runner/fails.ts: fails',
      '__test__/runner/leaves.ts: its process ended in leaves',
    ]);
    assert.equal(total.passed, 2);
    assert.match(printed, /as it must/);
  });

  test('notes what this machine lacks, and skips the tests that need it', async () => {
    const { total } = await run(['lacks']);
    assert.deepEqual(total, {
      passed: 1,
      skipped: 1,
      failed: [],
      missing: ['__test__/runner/lacks.ts: a server: nobody has it'],
    });
  });

  test('says what a file that is not over in time waits for, and ends all that it started', async () => {
    const { total, printed } = await run(['hangs', 'fails'], 20_000);
    assert.deepEqual(total.failed.toSorted(), [
      '__test__/runner/fails.ts: fails',
      '__test__/runner/hangs.ts: not over after 20000 ms in a suite, waits for an answer',
    ]);
    const [, port, pid] = printed.match(/^port (\d+), process (\d+)$/m)!;
    assert.match(printed, new RegExp(`^  tcp, .*to 127\\.0\\.0\\.1:${port}$`, 'm'));
    assert.match(printed, new RegExp(`^  process, process ${pid}$`, 'm'));
    const connecting = once(connect(Number(port), '127.0.0.1'), 'connect');
    await assert.rejects(connecting, { code: 'ECONNREFUSED' }, 'the process that it started is still there');
  });

  test('ends a file whose thread is blocked, and names the test', async () => {
    const { total, printed } = await run(['blocks'], 20_000);
    assert.deepEqual(total.failed, ['__test__/runner/blocks.ts: not over after 20000 ms in holds the thread']);
    assert.match(printed, /its JavaScript thread is busy or blocked/);
  });
});

describe('the summary', async () => {
  const { summarize } = await import(pathToFileURL(join(scripts, 'outcome.mjs')).href);
  const total = { passed: 7, skipped: 2, failed: ['a.ts: fails'], missing: ['b.ts: a server', 'b.ts: a server'] };

  test('counts what was missing as failed where it is required, and lists it by name', () => {
    const { lines, failures } = summarize(total, true);
    assert.equal(failures, 2);
    assert.ok(lines.includes('  b.ts: a server') && lines.includes('  a.ts: fails'));
    assert.equal(lines.at(-1), '7 passed, 2 failed');
  });

  test('names what was missing where it is not required', () => {
    const { lines, failures } = summarize(total, false);
    assert.equal(failures, 1);
    assert.ok(lines.includes('  b.ts: a server'));
    assert.equal(lines.at(-1), '7 passed, 1 failed');
  });
});
