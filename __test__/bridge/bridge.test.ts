// The bridge between JavaScript and the addon, by the addon's own test functions.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';

import { MoorlineError } from 'moorline';

import { call, native } from '../support/native';
import { dist } from '../support/paths';

/** Runs `script` in a process of its own. */
function runScript(script: string, timeout = 20_000) {
  return spawnSync(process.execPath, ['-e', script], { cwd: dist, encoding: 'utf8', timeout });
}

describe('bridge', () => {
  test('a promise settles with its value', async () => {
    assert.equal(await call(() => native.testPromise(42, 0)), 42);
  });

  test('thousands in flight all settle, each with its own value', async () => {
    const numbers = Array.from({ length: 10_000 }, (_, n) => n);
    assert.deepEqual(await Promise.all(numbers.map((n) => native.testPromise(n, n % 7))), numbers);
  });

  test('a panic rejects with kind internal and every field set', async () => {
    await assert.rejects(
      call(() => native.testPanic()),
      (error: unknown) => {
        assert.ok(error instanceof MoorlineError);
        assert.equal(error.kind, 'internal');
        assert.equal(error.code, 'ERR_MOORLINE_INTERNAL');
        assert.equal(error.delivery, 'unknown');
        assert.equal(error.retryable, false);
        assert.equal(error.attempts, 1);
        assert.equal(error.service, 'moorline');
        return true;
      },
    );
    assert.equal(await native.testPromise(1, 0), 1, 'the runtime goes on');
  });

  test('an error carries the stack of its caller', async () => {
    async function theCaller() {
      await call(() => native.testPanic());
    }
    await assert.rejects(theCaller(), (error: Error) => /theCaller/.test(error.stack ?? ''));
  });

  test('an abort rejects at once with the reason and leaves no listener', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const pending = call((cancel) => native.testPromise(1, 60_000, cancel), controller.signal);
    setTimeout(() => controller.abort(reason), 5);
    const started = performance.now();
    await assert.rejects(pending, (error) => error === reason);
    assert.ok(performance.now() - started < 1000);
    await assert.rejects(
      call((cancel) => native.testPromise(1, 0, cancel), controller.signal),
      (error) => error === reason,
      'a signal that is already aborted starts nothing',
    );
  });

  test('a callback is called in order from another thread, and a flood beyond the bound is dropped and counted', async () => {
    const seen: number[] = [];
    const dropped = await native.testCallback((index) => seen.push(index), 5000);
    assert.equal(seen.length + dropped, 5000);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
  });

  test('work in flight keeps the process alive, and nothing else does', () => {
    const result = runScript(
      `const { native } = require('./runtime/native.js');
       native.testPromise(7, 200).then((n) => console.log('settled', n));`,
    );
    assert.equal(result.status, 0);
    assert.match(result.stdout, /settled 7/);
  });

  test('fifty worker threads load and unload the addon, some with calls in flight', { timeout: 60_000 }, async () => {
    const script = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { native } = require(workerData.native);
      for (let n = 0; n < 500; n++) native.testPromise(n, workerData.delayMs).catch(() => {});
      native.testPromise(1, 0).then(() => parentPort.postMessage('ready'));`;
    for (let round = 0; round < 50; round++) {
      // Every second worker is terminated with 500 calls in flight, the others end by themselves.
      const delayMs = round % 2 ? 60_000 : 1;
      const worker = new Worker(script, {
        eval: true,
        workerData: { native: join(dist, 'runtime', 'native.js'), delayMs },
      });
      // The exit may come with the message: both are awaited from the start.
      const [exited, ready] = [once(worker, 'exit'), once(worker, 'message')];
      await ready;
      if (round % 2) await worker.terminate();
      else await exited;
    }
    assert.equal(await native.testPromise(1, 0), 1);
  });
});
