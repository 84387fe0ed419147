// Arguments that cannot be converted are refused with Node's error codes, and never end the process.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import {
  BaseConnection,
  CircuitBreaker,
  ConnectionConfigManager,
  ConnectionMetricsTracker,
  ConnectionPool,
  HealthChecker,
  HealthMonitor,
  HTTPConnection,
  MemoryReplayStore,
  NixtlaClient,
  NixtlaJob,
  Policy,
  TursoPool,
  WebhookVerifier,
  checkHealth,
  registerHealthCheck,
} from 'moorline';

import { native } from '../support/native';
import { mainEntry, testsDirectory } from '../support/paths';

/** Runs `body` with `M`, the package, in a process of its own; what it printed, a line for each. */
function runInChild(body: string, binary = process.execPath): string[] {
  const script = `const M = require(${JSON.stringify(mainEntry)}); (async () => { ${body} })().then(() => process.exit(0));`;
  const { status, signal, stdout, stderr } = spawnSync(binary, ['-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  assert.deepEqual({ status, signal }, { status: 0, signal: null }, stderr);
  return stdout.split('\n').filter(Boolean);
}

/** Calls that take a value of the caller, by its path in messages; `A` is the value. */
const CALLS: Record<string, string> = {
  'statement.args': "new M.TursoPool({ url: ':memory:' }).execute('SELECT 1', A)",
  statements: "new M.TursoPool({ url: ':memory:' }).batch(A)",
  'options.url': 'new M.TursoPool({ url: A })',
  'options.name': 'new M.Policy({ name: A })',
  'request.timeseries': "new M.NixtlaClient({ apiKey: 'k' }).forecast({ timeseries: A, horizon: 1 })",
  'options.intervalMs': 'new M.HealthMonitor({ intervalMs: A })',
  'options.maxSize': 'new M.ConnectionPool({ maxSize: A }, () => ({}))',
  'options.secret': 'new M.WebhookVerifier({ secret: A })',
};

const outcomesOfCalls = (expression: string) =>
  runInChild(
    `const A = ${expression}; const calls = { ${Object.entries(CALLS)
      .map(([path, call]) => `${JSON.stringify(path)}: async () => ${call}`)
      .join(', ')} };
for (const [path, call] of Object.entries(calls)) {
       await call().then(() => console.log('accepted ' + path), (e) => console.log(e.name + ' ' + e.code + ' ' + e.message));
     }`,
  );

const day = 86_400_000;

describe('bridge: arguments', () => {
  for (const length of [2 ** 32 - 1, 5e8]) {
    test(`an array that says it has ${length} elements is refused by its path`, () => {
      const expected = Object.keys(CALLS).map(
        (path) =>
          `RangeError ERR_OUT_OF_RANGE ${path} must be at most 1000000 elements long, got an array of ${length}`,
      );
      assert.deepEqual(outcomesOfCalls(`new Array(${length})`), expected);
    });
  }

  test('verify never throws, whatever the secret is', () => {
    const verifier = new WebhookVerifier({ secret: 's' });
    const hostile: unknown[] = [
      new Array(2 ** 32 - 1),
      new Proxy([], { get: () => assert.fail('asked') }),
      Object.defineProperty({}, 'a', { enumerable: true, get: () => assert.fail('asked') }),
      Symbol('a'),
      2n ** 40_000n,
    ];
    for (const secret of hostile) assert.equal(verifier.verify('a', 'b', secret as string).valid, false);
  });

  test('the limit is of the whole value, not of each array in it', () => {
    const rows = Array.from({ length: 5 }, () => new Array<number>(900_000).fill(1));
    const expected = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /^options\.a\[4\] must be at most 4/ };
    assert.throws(() => new Policy({ a: rows } as object), expected);
    const text = 'x'.repeat(2 ** 28);
    const bytes = {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /^options\.a\[3\] must be at most \d+ bytes/,
    };
    assert.throws(() => new Policy({ a: [text, text, text, text, 'x'] } as object), bytes);
  });

  test('two gigabytes of bytes, more than a million keys and deep nesting are refused', () => {
    const [bytes] = outcomesOfCalls('new Uint8Array(2 ** 31)').slice(-1);
    assert.match(bytes ?? '', /^RangeError ERR_OUT_OF_RANGE options\.secret must be at most \d+ bytes in total/);
    const keys = Object.fromEntries(Array.from({ length: 1_000_001 }, (_, n) => [`k${n}`, n]));
    assert.throws(() => new MemoryReplayStore().forget(keys as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => new HealthMonitor({ intervalMs: keys as never }), {
      name: 'RangeError',
      message: 'options.intervalMs must be at most 1000000 members long, got an object of 1000001',
    });
    const cycle: Record<string, unknown> = {};
    cycle['again'] = cycle;
    assert.throws(() => new Policy(cycle as object), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /^options\.again.* must be nested at most 16 levels deep/,
    });
  });

  test('what has a length but is no array is read as the object it is', () => {
    assert.throws(
      () => new Policy({ length: 2 ** 32 - 1 } as object),
      /^TypeError: options\.length is not a known option/,
    );
    const map = new Map([['maxSize', 1]]);
    assert.doesNotThrow(() => new Policy(map as object), 'a Map has no members of its own');
  });

  test('the exception of a getter passes through', async () => {
    const own = new Error('mine');
    const throwing = Object.defineProperty([], 0, {
      enumerable: true,
      get: () => {
        throw own;
      },
    });
    const pool = new TursoPool({ url: ':memory:' });
    await assert.rejects(pool.execute('SELECT ?', throwing), (error) => error === own);
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    assert.throws(() => new Policy(proxy), TypeError);
    assert.equal((await pool.execute('SELECT 1 AS n')).rows[0]!['n'], 1);
    await pool.drain();
  });

  test('an array that its own getter changes is read as it is found', async () => {
    const args: unknown[] = [1, 2, 3];
    Object.defineProperty(args, 0, { enumerable: true, get: () => ((args.length = 1), 7) });
    const pool = new TursoPool({ url: ':memory:' });
    await assert.rejects(pool.execute('SELECT ?, ?, ?', args as []), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_TYPE',
      message: /^statement\.args\[1\] /,
    });
    await pool.drain();
  });

  test('a bigint of any size is refused at once', () => {
    assert.throws(() => new Policy({ maxAttempts: 2n ** 4_000_000n } as object), { code: 'ERR_INVALID_ARG_VALUE' });
  });

  test('a series of a hundred thousand points and a batch of as many statements go through', async () => {
    const pool = new TursoPool({ url: ':memory:', poolSize: 1 });
    await pool.execute('CREATE TABLE t (a, b)');
    const statements = Array.from({ length: 100_000 }, (_, n) => ({
      sql: 'INSERT INTO t VALUES (?, ?)',
      args: [n, 'b'],
    }));
    assert.equal((await pool.batch(statements, 'write', { timeoutMs: 120_000 })).length, 100_000);
    const wide = new Array<null>(32_766).fill(null);
    const marks = wide.map(() => '?').join();
    await pool.execute(`SELECT 1 WHERE 1 IN (${marks})`, wide);
    await assert.rejects(pool.execute(`SELECT 1 WHERE 1 IN (${marks})`, [...wide, null]), {
      name: 'RangeError',
      message: 'statement.args must be at most 32766 arguments, got 32767',
    });
    await pool.drain();
    const client = new NixtlaClient({ fallback: 'local' });
    const timeseries = Array.from({ length: 100_000 }, (_, n) => ({ timestamp: n * day, value: n % 7 }));
    const answer = await client.forecast({ timeseries, horizon: 2 });
    assert.equal(answer.modelInfo?.source, 'local');
  });

  test('a value of a wrong type is a TypeError that names the argument', async () => {
    const [store, monitor, checker] = [new MemoryReplayStore(), new HealthMonitor(), new HealthChecker()];
    const client = new NixtlaClient({ apiKey: 'k', baseUrl: 'http://127.0.0.1:1' });
    const request = {};
    const calls: Record<string, [argument: string, call: (wrong: never) => unknown]> = {
      'MemoryReplayStore.remember': ['key', (wrong) => store.remember(wrong, 1)],
      'MemoryReplayStore.remember, of the time': ['ttlMs', () => store.remember('k', {} as number)],
      'MemoryReplayStore.forget': ['key', (wrong) => store.forget(wrong)],
      'HealthMonitor.register': ['name', (wrong) => monitor.register(wrong, () => true)],
      'HealthMonitor.unregister': ['name', (wrong) => monitor.unregister(wrong)],
      'HealthMonitor.check': ['name', (wrong) => monitor.check(wrong)],
      'HealthMonitor.getLastCheck': ['name', (wrong) => monitor.getLastCheck(wrong)],
      'HealthMonitor.getHistory': ['name', (wrong) => monitor.getHistory(wrong)],
      'HealthMonitor.getStats': ['name', (wrong) => monitor.getStats(wrong)],
      'HealthMonitor.options': ['name', (wrong) => monitor.options(wrong)],
      'HealthChecker.add': ['name', (wrong) => checker.add(wrong, () => true)],
      'HealthChecker.remove': ['name', (wrong) => checker.remove(wrong)],
      'HealthChecker.check': ['name', (wrong) => checker.check(wrong)],
      'HealthChecker.lastResult': ['name', (wrong) => checker.lastResult(wrong)],
      'ConnectionMetricsTracker.throughput': [
        'windowSeconds',
        (wrong) => new ConnectionMetricsTracker().throughput(wrong),
      ],
      'NixtlaClient.submit': ['operation', (wrong) => client.submit(wrong, request as never)],
      'NixtlaClient.deleteFinetunedModel': ['id', (wrong) => client.deleteFinetunedModel(wrong)],
      CircuitBreaker: ['name', (wrong) => new CircuitBreaker(wrong)],
      checkHealth: ['name', (wrong) => checkHealth(wrong)],
      registerHealthCheck: ['name', (wrong) => registerHealthCheck(wrong, () => true)],
    };
    for (const [name, [argument, call]] of Object.entries(calls)) {
      for (const wrong of [null, 1n, Symbol('x'), {}, [], () => 1]) {
        const expected = {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_TYPE',
          message: new RegExp(`^${argument} must be a `),
        };
        await assert.rejects(async () => call(wrong as never), expected, `${name} of ${typeof wrong}`);
      }
    }
  });

  test('a value of another addon is no handle', () => {
    const foreign = native.testForeign() as never;
    const Job = NixtlaJob as new (job: unknown) => unknown;
    assert.throws(() => new Job(foreign), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => new Job('job'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(native.policyAdmit(foreign), undefined);
    assert.throws(() => native.healthNames(foreign), { code: 'ERR_INVALID_ARG_TYPE' });
    const monitor = native.healthCreate(undefined);
    assert.equal(native.policyAdmit(monitor as never), undefined, 'a handle of another type');
    assert.deepEqual(native.healthNames(monitor), []);
  });

  test('bytes are all of the bytes of any view', async () => {
    const buffer = new ArrayBuffer(16);
    new Uint8Array(buffer).set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    const kinds: (new (buffer: ArrayBuffer, offset: number) => ArrayBufferView)[] = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
      DataView,
      ...('Float16Array' in globalThis
        ? [(globalThis as unknown as Record<string, typeof Int16Array>)['Float16Array']!]
        : []),
    ];
    const verifier = new WebhookVerifier({ secret: 's' });
    const pool = new TursoPool({ url: ':memory:' });
    for (const kind of kinds) {
      const view = new kind(buffer, 8);
      const rest = Buffer.from(buffer, 8);
      const { rows } = await pool.execute('SELECT ? AS b', [view as never]);
      assert.deepEqual(Buffer.from(rows[0]!['b'] as ArrayBuffer), rest, kind.name);
      const signed = createHmac('sha256', 's').update('1.').update(rest).digest('hex');
      assert.equal(verifier.sign(view as never, 1), `t=1,v1=${signed}`, kind.name);
    }
    await pool.drain();
  });

  const skipNode24 = `${process.platform} ${process.arch}` !== 'linux x64' && 'npm has Node.js 24 for linux x64 only';
  test('a Float16Array is all of its bytes, where there are such', { skip: skipNode24 }, () => {
    const script = `
      const v = new M.WebhookVerifier({ secret: 's' }), half = new Float16Array([1, 2, 3, 4]);
      const { rows } = await new M.TursoPool({ url: ':memory:' }).execute('SELECT length(?) AS n', [half]);
      console.log(rows[0].n, v.sign(half, 1) === v.sign(Buffer.from(half.buffer), 1));`;
    const binary = join(testsDirectory, 'runtimes', 'node_modules', 'node-24', 'bin', 'node');
    assert.deepEqual(runInChild(script, binary), ['8 true']);
  });

  test('options of connections are refused in the same way', () => {
    const huge = new Array<never>(2 ** 32 - 1);
    const expected = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    assert.throws(() => new HTTPConnection({ url: 'http://h/', name: huge as never }), expected);
    assert.throws(() => new ConnectionConfigManager().set('x', { url: 'http://h/', name: huge as never }), expected);
    assert.throws(() => new ConnectionPool({ maxSize: huge as never }, async () => ({}) as BaseConnection), expected);
  });
});
