// Every promise settles, whatever JavaScript does to itself and whatever the system refuses.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { MoorlineError } from 'moorline';

import { eventually } from '../support/eventually';
import { call, native } from '../support/native';
import { dist, mainEntry } from '../support/paths';

interface ChildOutput {
  lines: string[];
  stderr: string;
}

/** Runs `body` with `M`, the package, in a process of its own that `launcher` starts; it has to come to its end. */
function runInChild(body: string, launcher: string[] = []): ChildOutput {
  const script = `
    process.on('unhandledRejection', (reason) => console.log('unhandled', reason));
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const M = require(${JSON.stringify(mainEntry)}); M.setLogger({});
    (async () => { ${body} })().catch((error) => console.log('threw', error.message)).finally(() => setImmediate(process.exit, 0));`;
  const [command, ...args] = [...launcher, process.execPath, '-e', script];
  const { status, signal, stdout, stderr } = spawnSync(command!, args, {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stdout + stderr);
  return { lines: stdout.split('\n').filter(Boolean), stderr };
}

describe('bridge: settlement', () => {
  test('an array reaches JavaScript whole where somebody gave Array.prototype a setter that throws', async () => {
    const { lines } = runInChild(`
      const { native } = require(${JSON.stringify(join(dist, 'runtime', 'native.js'))});
      const pool = native.libsqlOpen({ url: ':memory:' }, 'pool', undefined, () => {});
      const many = Array.from({ length: 5000 }, () => ({ sql: 'SELECT 1' }));
      await native.libsqlExecute(pool, undefined, 'SELECT 1');
      for (const index of [0, 1, 4999]) {
        Object.defineProperty(Array.prototype, index, { configurable: true, set() { throw new Error('polluted'); }, get() {} });
      }
      const calls = {
        blob: native.libsqlExecute(pool, undefined, "SELECT x'01'"),
        text: native.libsqlExecute(pool, undefined, 'SELECT 1'),
        many: native.libsqlBatch(pool, undefined, many, 'write'),
        last: native.libsqlExecute(pool, undefined, 'SELECT 2'),
      };
      const values = {};
      let settled = 0;
      await new Promise((resolve) => {
        for (const name in calls) {
          const settle = (value) => { values[name] = value; if (++settled === 4) resolve(); };
          calls[name].then(settle, settle);
        }
      });
      for (const index of [0, 1, 4999]) delete Array.prototype[index];
      const describeValue = (value) => (Array.isArray(value) ? Object.keys(value).length : typeof value);
      console.log(Object.entries(values).map(([name, value]) => name + ' ' + describeValue(value)).sort().join());`);
    // What Node itself does in the meantime with arrays of its own is not ours.
    const ours = lines.filter((line) => !line.startsWith('uncaught'));
    assert.deepEqual(ours, ['blob 2,last string,many 5000,text string']);
  });

  test('what is thrown while a value is made rejects its own promise, and the others settle', async () => {
    const outcomes = await Promise.allSettled([
      native.testPromise(1, 0),
      native.testThrowing('mine'),
      native.testPromise(2, 0),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as Error).message)),
      [1, 'mine', 2],
    );
  });

  test('text that no JavaScript string can hold rejects with that reason', async () => {
    const [long, short] = await Promise.allSettled([
      call(() => native.testText(540_000_000)),
      call(() => native.testText(5)),
    ]);
    assert.equal(short.status, 'fulfilled');
    assert.ok(long.status === 'rejected' && long.reason instanceof MoorlineError);
    assert.equal(long.reason.code, 'ERR_STRING_TOO_LONG');
    assert.match(long.reason.message, /^a text of 540000000 bytes is longer than a JavaScript string can be$/);
  });

  test('calls of a listener that are dropped are logged', async () => {
    const { lines } = runInChild(`
      const warnings = []; M.setLogger({ warn: (record) => warnings.push(record.event + ' ' + record.data.reason) });
      const { native } = require(${JSON.stringify(join(dist, 'runtime', 'native.js'))});
      let received = 0;
      const done = native.testCallback(() => received++, 5000);
      const busyUntil = performance.now() + 500;
      while (performance.now() < busyUntil);
      const dropped = await done;
      await new Promise(setImmediate);
      console.log(received + dropped, dropped > 0, warnings.length > 0 && warnings.every((line) =>
        /^moorline.calls-lost \\d+ calls were dropped because the JavaScript thread did not keep up$/.test(line)));`);
    assert.deepEqual(lines, ['5000 true true']);
  });

  test('an argument that cannot become JavaScript is logged, and the next one comes', async () => {
    const { lines } = runInChild(`
      const warnings = []; M.setLogger({ warn: (record) => warnings.push(record.data.reason) });
      const { native } = require(${JSON.stringify(join(dist, 'runtime', 'native.js'))});
      const received = [];
      await native.testLongCallback((text) => received.push(text), 540_000_000);
      console.log(received.join(), warnings.join());`);
    assert.deepEqual(lines, ['short a text of 540000000 bytes is longer than a JavaScript string can be']);
  });

  test('an object is closed however many calls wait for the JavaScript thread', async () => {
    const closed: number[] = [];
    const onRequest = (told: string) => {
      const { request, requestId, objectId } = JSON.parse(told) as {
        request?: string;
        requestId?: number;
        objectId?: number;
      };
      if (request === 'create') native.objectPoolAnswer(pool, objectId!);
      if (request === 'close') {
        closed.push(objectId!);
        if (requestId !== undefined) native.objectPoolAnswer(pool, requestId);
      }
    };
    const count = 1500;
    const config = native.objectPoolConfig({ acquireTimeout: 30, releaseTimeout: 0.2 }, count, undefined);
    const pool = native.objectPoolOpen(config, onRequest);
    const taken = await Promise.all(Array.from({ length: count }, () => native.objectPoolAcquire(pool, undefined)));
    const stopped = native.objectPoolStop(pool);
    // The pool gives up waiting for them and closes all of them while this thread is busy.
    const busyUntil = performance.now() + 1500;
    while (performance.now() < busyUntil);
    await stopped;
    await eventually(() => closed.length === taken.length);
    assert.deepEqual(new Set(closed), new Set(taken));
  });
});
