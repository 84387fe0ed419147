// Policy and CircuitBreaker: what a function under a policy sees, and what its caller gets.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';

import {
  CircuitBreaker,
  CircuitBreakerError,
  metricsText,
  MoorlineError,
  Policy,
  RetryError,
  setLogger,
  type LogRecord,
  type MoorlineEvent,
} from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { dist } from '../support/paths';

const never = () => new Promise<never>(() => undefined);
const fail = (message = 'no') => Promise.reject(new Error(message));

/** Retries at once. */
const IMMEDIATE_RETRY = { baseDelayMs: 0, maxRetries: 2 };

let names = 0;
/** A breaker is known by its name in the whole process, so each test takes its own. */
const uniqueName = () => `test-${++names}`;

/** A promise that its caller settles. */
function deferred() {
  let end!: (value: string) => void;
  const promise = new Promise<string>((resolve) => (end = resolve));
  return { promise, end };
}

describe('Policy', () => {
  test('gives what the function gives, and hands it attempt and signal', async () => {
    const policy = new Policy();
    const seen = await policy.run(({ attempt, signal }) => ({ attempt, aborted: signal.aborted }));
    assert.deepEqual(seen, { attempt: 1, aborted: false });
    assert.equal(await policy.run(async () => 'later'), 'later');
  });

  test('nothing but the timeouts applies unasked', async () => {
    let attempts = 0;
    const policy = new Policy();
    await assert.rejects(
      policy.run(() => (attempts++, fail())),
      /^Error: no$/,
    );
    assert.equal(attempts, 1);
    assert.deepEqual(policy.options(), {
      timeoutMs: 30_000,
      attemptTimeoutMs: 10_000,
      retry: false,
      breaker: false,
      rateLimit: false,
      bulkhead: false,
    });
    assert.equal(policy.breaker(), undefined);
  });

  test('a synchronous throw is a failed attempt like any other', async () => {
    const policy = new Policy({ retry: IMMEDIATE_RETRY });
    const value = await policy.run(({ attempt }) => {
      if (attempt < 3) throw new Error('no');
      return attempt;
    });
    assert.equal(value, 3);
  });

  test('exhausted retries reject with the last error itself', async () => {
    const errors = [new Error('first'), new Error('second'), new Error('third')];
    const policy = new Policy({ retry: IMMEDIATE_RETRY });
    await assert.rejects(
      policy.run(({ attempt }) => Promise.reject(errors[attempt - 1])),
      (error) => error === errors[2],
    );
  });

  test('an error that is not retryable is not repeated', async () => {
    const count = async (policy: Policy, error: unknown) => {
      let attempts = 0;
      await assert.rejects(policy.run(() => (attempts++, Promise.reject(error))));
      return attempts;
    };
    const usual = new Policy({ retry: IMMEDIATE_RETRY });
    assert.equal(await count(usual, new Error('x')), 3);
    assert.equal(await count(usual, new DOMException('stop', 'AbortError')), 1);
    const fields = { code: 'X', service: 's', operation: 'o', delivery: 'unknown', attempts: 1 } as const;
    assert.equal(await count(usual, new MoorlineError('x', { ...fields, kind: 'rejected', retryable: false })), 1);
    assert.equal(await count(usual, new MoorlineError('x', { ...fields, kind: 'timeout', retryable: true })), 3);
    const picky = new Policy({
      retry: { ...IMMEDIATE_RETRY, retryableExceptions: [TypeError, (error) => error === 'odd', 'timeout'] },
    });
    assert.equal(await count(picky, new TypeError('x')), 3);
    assert.equal(await count(picky, 'odd'), 3);
    assert.equal(await count(picky, new MoorlineError('x', { ...fields, kind: 'timeout', retryable: false })), 3);
    assert.equal(await count(picky, new RangeError('x')), 1);
  });

  test('waits between attempts as long as it says in its retry event', async () => {
    const policy = new Policy({ retry: { maxRetries: 2, baseDelayMs: 20, jitter: false } });
    const delays: unknown[] = [];
    policy.on('retry', ({ attempt, delayMs, error }) => delays.push([attempt, delayMs, (error as Error).message]));
    const started = performance.now();
    await assert.rejects(policy.run(() => fail()));
    assert.ok(performance.now() - started >= 59);
    assert.deepEqual(delays, [
      [1, 20, 'no'],
      [2, 40, 'no'],
    ]);
  });

  test("an error's retryAfterMs is honoured, and one beyond the maximum fails at once", async () => {
    const policy = new Policy({ retry: { ...IMMEDIATE_RETRY, baseDelayMs: 60_000, maxRetryAfterMs: 100 } });
    const delays: unknown[] = [];
    policy.on('retry', ({ delayMs }) => delays.push(delayMs));
    const rejectWithRetryAfter = (retryAfterMs: number) =>
      Promise.reject(Object.assign(new Error('busy'), { retryAfterMs }));
    assert.equal(await policy.run(({ attempt }) => (attempt === 1 ? rejectWithRetryAfter(5) : 'done')), 'done');
    await assert.rejects(
      policy.run(() => rejectWithRetryAfter(101)),
      /busy/,
    );
    assert.deepEqual(delays, [5]);
  });

  test('an attempt that takes too long is ended, its signal aborted, and it is repeated', async () => {
    const policy = new Policy({ name: 'slow', attemptTimeoutMs: 20, retry: { ...IMMEDIATE_RETRY, maxRetries: 1 } });
    const signals: AbortSignal[] = [];
    const timeouts: unknown[] = [];
    policy.on('timeout', ({ attempt }) => timeouts.push(attempt));
    async function theCaller() {
      await policy.run(({ signal }) => (signals.push(signal), never()));
    }
    await assert.rejects(theCaller(), (error: unknown) => {
      assert.ok(error instanceof MoorlineError);
      const { kind, code, service, operation, delivery, retryable, attempts } = error;
      assert.deepEqual([kind, code, service, operation], ['timeout', 'ETIMEDOUT', 'resilience', 'slow']);
      assert.deepEqual([delivery, retryable, attempts], ['unknown', true, 2]);
      assert.match(error.stack ?? '', /theCaller/);
      return true;
    });
    assert.deepEqual(timeouts, [1, 2]);
    assert.equal(signals.length, 2);
    for (const signal of signals) assert.equal((signal.reason as Error).name, 'TimeoutError');
  });

  test('the total timeout bounds attempts, delays and waiting together', async () => {
    const policy = new Policy({ timeoutMs: 60, retry: { maxRetries: 100, baseDelayMs: 10, jitter: false } });
    const started = performance.now();
    await assert.rejects(policy.run(() => fail()));
    await assert.rejects(policy.run(never), { kind: 'timeout' });
    assert.ok(performance.now() - started < 1000);
  });

  test('Infinity turns a timeout off', async () => {
    const policy = new Policy({ timeoutMs: Infinity, attemptTimeoutMs: Infinity });
    assert.equal(policy.options()['timeoutMs'], Infinity);
    assert.equal(policy.options()['attemptTimeoutMs'], Infinity);
    assert.equal(await policy.run(async () => 1), 1);
  });

  test('many deadlines each end their own call', async () => {
    const policy = new Policy({ attemptTimeoutMs: 40 });
    const calls = Array.from({ length: 500 }, (_, n) => (n % 2 ? policy.run(async () => n) : policy.run(never)));
    const settled = await Promise.allSettled(calls);
    settled.forEach((outcome, n) => assert.equal(outcome.status, n % 2 ? 'fulfilled' : 'rejected'));
  });
});

describe('aborting', () => {
  const reason = new Error('enough');

  /** Begins `run`, aborts once `when` resolves, and gives the milliseconds until the call rejected with the reason. */
  async function abortLatency(run: (signal: AbortSignal) => Promise<unknown>, when: () => Promise<unknown>) {
    const controller = new AbortController();
    const pending = run(controller.signal);
    await when();
    const started = performance.now();
    controller.abort(reason);
    await assert.rejects(pending, (error) => error === reason);
    return performance.now() - started;
  }

  test('during back-off rejects at once with the reason and leaves no timer', async () => {
    const policy = new Policy({ timeoutMs: Infinity, retry: { baseDelayMs: 60_000, maxRetries: 1, jitter: false } });
    const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length;
    const before = timers();
    const retrying = once(policy, 'retry');
    const ms = await abortLatency(
      (signal) => policy.run(() => fail(), { signal }),
      () => retrying,
    );
    assert.ok(ms < SLACK_MS, `${ms} ms`);
    assert.equal(timers(), before);
  });

  test('during an attempt aborts its signal and counts nothing', async () => {
    const policy = new Policy({ name: uniqueName(), breaker: { failMax: 1 } });
    let seen: AbortSignal | undefined;
    const work = ({ signal }: { signal: AbortSignal }) => ((seen = signal), never());
    await abortLatency(
      (signal) => policy.run(work, { signal }),
      async () => undefined,
    );
    assert.equal(seen?.reason, reason);
    assert.equal(policy.breaker()?.state, 'closed');
    assert.equal(policy.breaker()?.totalRequests, 0);
  });

  test('while queued leaves the queue to the next', async () => {
    const policy = new Policy({ bulkhead: { maxConcurrent: 1, maxQueue: 2 } });
    const first = deferred();
    const running = policy.run(() => first.promise);
    let last: Promise<string> | undefined;
    await abortLatency(
      (signal) => policy.run(() => 'second', { signal }),
      async () => void (last = policy.run(() => 'third')),
    );
    first.end('first');
    assert.deepEqual(await Promise.all([running, last]), ['first', 'third']);
  });

  test('by the function itself, or by a retry listener, is no different', async () => {
    const policy = new Policy({ retry: { baseDelayMs: 60_000, maxRetries: 1, jitter: false } });
    const inside = new AbortController();
    const failing = () => (inside.abort(reason), fail());
    await assert.rejects(policy.run(failing, { signal: inside.signal }), (error) => error === reason);
    const listening = new AbortController();
    policy.once('retry', () => listening.abort(reason));
    const retried = policy.run(() => fail(), { signal: listening.signal });
    await assert.rejects(retried, (error) => error === reason);
  });

  test('before the call starts nothing', async () => {
    let ran = false;
    const policy = new Policy();
    await assert.rejects(
      policy.run(() => (ran = true), { signal: AbortSignal.abort(reason) }),
      (error) => error === reason,
    );
    assert.equal(ran, false);
  });

  test('a signal that outlives its calls keeps no listener of them', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => (
      listeners++,
      addEventListener.apply(signal, args)
    );
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => (
      listeners--,
      removeEventListener.apply(signal, args)
    );
    const policy = new Policy({ retry: IMMEDIATE_RETRY });
    await policy.run(() => 1, { signal });
    await assert.rejects(policy.run(() => fail(), { signal }));
    assert.equal(listeners, 0);
  });
});

describe('bulkhead and rate limit', () => {
  test('no more than the maximum run, the rest in order, and beyond the queue calls are refused', async () => {
    const policy = new Policy({ name: 'narrow', bulkhead: { maxConcurrent: 2, maxQueue: 3 } });
    const works = Array.from({ length: 5 }, deferred);
    const started: number[] = [];
    const calls = works.map(({ promise }, n) => policy.run(() => (started.push(n), promise)));
    await assert.rejects(
      policy.run(() => 'too much'),
      { kind: 'overloaded', delivery: 'none', attempts: 0, operation: 'narrow' },
    );
    assert.deepEqual(started, [0, 1]);
    for (const [n, { end }] of works.entries()) {
      end(`${n}`);
      assert.equal(await calls[n], `${n}`);
    }
    assert.deepEqual(started, [0, 1, 2, 3, 4]);
  });

  test('a call does not wait in the queue past its timeout', async () => {
    const policy = new Policy({ timeoutMs: 30, bulkhead: { maxConcurrent: 1 } });
    const started = performance.now();
    const calls = [policy.run(never), policy.run(never), policy.run(never)];
    for (const call of calls) call.catch(() => undefined);
    for (const call of calls) await assert.rejects(call, { kind: 'timeout' });
    assert.ok(performance.now() - started < 1000);
  });

  test('attempts beyond the rate wait for their turn', async () => {
    const policy = new Policy({ rateLimit: { max: 2, windowMs: 100 } });
    const started = performance.now();
    await Promise.all([1, 2, 3, 4].map((n) => policy.run(() => n)));
    // Two at once, then one every 50 ms.
    assert.ok(performance.now() - started >= 99);
  });

  test('a wait that would be too long is refused with the time to come back', async () => {
    const policy = new Policy({ rateLimit: { perSecond: 0.1, maxWaitMs: 10 } });
    assert.equal(await policy.run(() => 1), 1);
    await assert.rejects(
      policy.run(() => 2),
      (error: unknown) => {
        assert.ok(error instanceof MoorlineError);
        assert.equal(error.kind, 'rate-limited');
        assert.ok(error.retryAfterMs !== undefined && error.retryAfterMs > 9_000);
        return true;
      },
    );
  });
});

describe('CircuitBreaker', () => {
  test('opens after failures in a row and refuses without calling', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 2, resetTimeoutMs: 60_000 });
    const before = Date.now();
    await assert.rejects(breaker.run(() => fail()));
    assert.equal(breaker.state, 'closed');
    await assert.rejects(breaker.run(() => fail()));
    assert.equal(breaker.state, 'open');
    let called = false;
    await assert.rejects(
      breaker.run(() => (called = true)),
      (error: unknown) => {
        assert.ok(error instanceof CircuitBreakerError);
        assert.equal(error.kind, 'circuit-open');
        const { retryAfterMs, message } = error;
        assert.equal(message, `Circuit breaker '${breaker.name}' is open; next attempt in ${retryAfterMs} ms`);
        assert.equal(error.breaker, breaker.name);
        assert.ok(Math.abs(error.retryAt.getTime() - before - 60_000) < 1000);
        return true;
      },
    );
    assert.equal(called, false);
    const snapshot = breaker.snapshot();
    assert.equal(snapshot.totalRefused, 1);
    assert.ok(snapshot.lastFailureTime && Math.abs(snapshot.lastFailureTime.getTime() - before) < 1000);
    assert.equal(snapshot.nextAttemptTime?.getTime(), snapshot.lastFailureTime.getTime() + 60_000);
  });

  test('after the reset time probes pass, never more than allowed, and successes close it', async () => {
    const breaker = new CircuitBreaker(uniqueName(), {
      failMax: 1,
      resetTimeoutMs: 20,
      halfOpenMaxCalls: 2,
      successThreshold: 2,
    });
    await assert.rejects(breaker.run(() => fail()));
    const probes = [deferred(), deferred()];
    const started = performance.now();
    let first: Promise<string> | undefined;
    while (!first) {
      // Refused until the reset time has passed.
      const attempt = breaker.run(() => probes[0]!.promise);
      const refused = await Promise.race([attempt.then(undefined, () => true), new Promise((r) => setTimeout(r, 5))]);
      if (!refused) first = attempt;
      assert.ok(performance.now() - started < 5000);
    }
    const second = breaker.run(() => probes[1]!.promise);
    assert.equal(breaker.state, 'half-open');
    await assert.rejects(
      breaker.run(() => 'third'),
      { kind: 'circuit-open' },
    );
    probes.forEach(({ end }) => end('fine'));
    await Promise.all([first, second]);
    assert.equal(breaker.state, 'closed');
  });

  test('excluded errors are neither success nor failure', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 1, excludedExceptions: [TypeError, 'auth'] });
    await assert.rejects(breaker.run(() => Promise.reject(new TypeError('mine'))));
    assert.equal(breaker.state, 'closed');
    assert.equal(breaker.snapshot().totalRequests, 0);
    await assert.rejects(breaker.run(() => fail()));
    assert.equal(breaker.state, 'open');
  });

  test('a RetryError counts as its attempts, and failureWeight decides otherwise', async () => {
    const fields = {
      kind: 'rejected',
      code: 'X',
      service: 's',
      operation: 'o',
      delivery: 'unknown',
      retryable: false,
    } as const;
    const exhausted = new RetryError('all failed', { ...fields, attempts: 2 }, undefined);
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 2 });
    await assert.rejects(breaker.run(() => Promise.reject(exhausted)));
    assert.equal(breaker.state, 'open');
    const weighing = new CircuitBreaker(uniqueName(), { failMax: 10, failureWeight: () => 4 });
    await assert.rejects(weighing.run(() => fail()));
    assert.equal(weighing.snapshot().failures, 4);
  });

  test('answers that do not blame the service do not count', async () => {
    const answer = (status: number) =>
      new MoorlineError('no', {
        kind: 'rejected',
        code: 'X',
        service: 's',
        operation: 'o',
        delivery: 'answered',
        retryable: false,
        attempts: 1,
        detail: { status },
      });
    const breaker = new CircuitBreaker(uniqueName());
    for (const status of [400, 404, 408, 429, 500]) {
      await assert.rejects(breaker.run(() => Promise.reject(answer(status))));
    }
    assert.equal(breaker.snapshot().failures, 3);
  });

  test('a ratio within a window opens it instead of failures in a row', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { failureRatio: 0.5, minCalls: 4 });
    await breaker.run(() => 1);
    await assert.rejects(breaker.run(() => fail()));
    await assert.rejects(breaker.run(() => fail()));
    assert.equal(breaker.state, 'closed');
    await breaker.run(() => 1);
    assert.equal(breaker.state, 'closed', 'a success opens nothing');
    await assert.rejects(breaker.run(() => fail()));
    assert.equal(breaker.state, 'open');
  });

  test('tells each change of state to listeners and on diagnostics_channel', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 1 });
    const published: unknown[] = [];
    const listen = (message: unknown) => {
      const event = message as MoorlineEvent;
      if (event.name === breaker.name) published.push(event['to']);
    };
    subscribe('moorline:resilience:state', listen);
    const emitted: unknown[] = [];
    const closed = new Promise<void>((resolve) =>
      breaker.on('state', ({ from, to, service }) => {
        emitted.push([service, from, to]);
        if (to === 'closed') resolve();
      }),
    );
    breaker.open();
    breaker.halfOpen();
    breaker.close();
    const alive = setTimeout(() => assert.fail('not told'), 5000);
    await closed;
    clearTimeout(alive);
    unsubscribe('moorline:resilience:state', listen);
    assert.deepEqual(emitted, [
      ['resilience', 'closed', 'open'],
      ['resilience', 'open', 'half-open'],
      ['resilience', 'half-open', 'closed'],
    ]);
    assert.deepEqual(published, ['open', 'half-open', 'closed']);
  });

  test('is counted in the Prometheus text', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 1 });
    await breaker.run(() => 1);
    await assert.rejects(breaker.run(() => fail()));
    const lines = metricsText().split('\n');
    const metricLine = (metric: string, more = '') =>
      lines.find((line) => line.startsWith(`moorline_circuit_breaker_${metric}{breaker="${breaker.name}"${more}}`));
    assert.match(metricLine('successes_total') ?? '', / 1$/);
    assert.match(metricLine('failures_total') ?? '', / 1$/);
    assert.match(metricLine('state', ',state="open"') ?? '', / 1$/);
    assert.match(metricLine('state', ',state="closed"') ?? '', / 0$/);
  });

  test('can be held open and reset by hand', async () => {
    const breaker = new CircuitBreaker(uniqueName(), { resetTimeoutMs: 1 });
    breaker.open({ hold: true });
    assert.equal(breaker.snapshot().nextAttemptTime, undefined);
    await assert.rejects(
      breaker.run(() => 1),
      { kind: 'circuit-open' },
    );
    breaker.reset();
    assert.equal(await breaker.run(() => 1), 1);
  });

  test('calls take no time limit and the values pass unchanged', async () => {
    const breaker = new CircuitBreaker(uniqueName());
    const value = { any: 'thing' };
    assert.equal(await breaker.run(() => value), value);
    assert.equal(await breaker.run(async () => undefined), undefined);
  });
});

describe('names', () => {
  let warnings: LogRecord[];
  beforeEach(() => {
    warnings = [];
    setLogger({ warn: (record) => warnings.push(record) });
  });
  afterEach(() => setLogger(undefined));

  test('the first options for a name win, and other ones warn once', () => {
    const shared = uniqueName();
    const first = new CircuitBreaker(shared, { failMax: 2 });
    new CircuitBreaker(shared, { failMax: 2 });
    assert.equal(warnings.length, 0);
    const second = new CircuitBreaker(shared, { failMax: 9 });
    new CircuitBreaker(shared, { failMax: 10 });
    assert.deepEqual(
      warnings.map(({ event }) => event),
      ['resilience.options-ignored'],
    );
    first.open();
    assert.equal(second.state, 'open');
    assert.equal(CircuitBreaker.all().find((snapshot) => snapshot.name === shared)?.state, 'open');
  });

  test('worker threads share a breaker', async () => {
    const breaker = new CircuitBreaker(uniqueName());
    const script = `
      const { CircuitBreaker } = require(${JSON.stringify(join(dist, 'entries', 'index.js'))});
      new CircuitBreaker(${JSON.stringify(breaker.name)}).open();`;
    const change = once(breaker, 'state');
    const worker = new Worker(script, { eval: true });
    await once(worker, 'exit');
    assert.equal(breaker.state, 'open');
    const [event] = (await change) as [MoorlineEvent];
    assert.equal(event['to'], 'open');
  });
});

describe('options', () => {
  test('mistakes throw at once, naming the path', () => {
    const cases: [() => unknown, typeof TypeError | typeof RangeError, string][] = [
      [() => new Policy({ timeoutMs: 0 }), RangeError, 'options.timeoutMs must be ≥ 1, got 0'],
      [() => new Policy({ retry: { maxRetries: 1.5 } }), RangeError, 'options.retry.maxRetries must be a whole number'],
      [() => new Policy({ retry: 3 as never }), TypeError, 'options.retry must be an object, got a number'],
      [
        () => new Policy({ breaker: { resetTimeout: 5 } as never }),
        TypeError,
        "options.breaker.resetTimeout is not a known option; did you mean 'resetTimeoutMs'?",
      ],
      [
        () => new Policy({ retry: { retryableExceptions: Error as never } }),
        TypeError,
        'options.retry.retryableExceptions must be an array of error classes',
      ],
      [() => new CircuitBreaker('x', { failureWeight: 2 as never }), TypeError, 'options.failureWeight must be a'],
      [() => new Policy().run('work' as never), TypeError, 'fn must be a function, got a string'],
      [
        () => new CircuitBreaker('x', { failMax: 0 }),
        RangeError,
        'options.failMax must be between 1 and 4294967295, got 0',
      ],
    ];
    for (const [make, type, message] of cases) {
      assert.throws(make, (error: Error) => error instanceof type && error.message.startsWith(message), message);
    }
  });

  test('inspect shows options and state', () => {
    const breaker = new CircuitBreaker(uniqueName(), { failMax: 7 });
    assert.match(inspect(breaker), /failMax: 7/);
    assert.match(inspect(new Policy({ name: 'shown' })), /Policy \{\s+name: 'shown'/);
  });
});

describe('the process', () => {
  const run = (script: string) =>
    spawnSync(process.execPath, ['--expose-gc', '-e', script], { cwd: dist, encoding: 'utf8', timeout: 20_000 });

  test('ends while a policy is idle, long before its timeouts', () => {
    const started = performance.now();
    const { status, stdout } = run(`
      const { Policy } = require('./entries/index.js');
      const policy = new Policy({ retry: true, breaker: true });
      policy.on('state', () => {});
      policy.run(async () => 1).then((n) => console.log('ran', n));`);
    assert.equal(status, 0);
    assert.match(stdout, /ran 1/);
    assert.ok(performance.now() - started < 8000);
  });

  test('forgets policies that nobody holds, with their breakers and listeners', () => {
    const { stdout } = run(`
      const { CircuitBreaker, Policy } = require('./entries/index.js');
      for (let n = 0; n < 100; n++) new Policy({ breaker: true, retry: true }).on('state', () => {});
      const made = CircuitBreaker.all().length;
      const deadline = Date.now() + 10_000;
      (function collect() {
        global.gc();
        const left = CircuitBreaker.all().length;
        if (left > 5 && Date.now() < deadline) setImmediate(collect);
        else console.log(made, left <= 5);
      })();`);
    assert.match(stdout, /^100 true/);
  });

  test('stays alive for the timeout of an attempt that nothing else keeps alive', () => {
    const { stdout } = run(`
      const { Policy } = require('./entries/index.js');
      new Policy({ attemptTimeoutMs: 50 }).run(() => new Promise(() => {})).catch((e) => console.log(e.kind));`);
    assert.match(stdout, /timeout/);
  });
});

describe('rules of the user', () => {
  test('a predicate that throws ends the call with its own error, and the call releases its permit', async () => {
    const mine = new TypeError('no response to read');
    const policy = new Policy({
      retry: {
        ...IMMEDIATE_RETRY,
        retryableExceptions: [
          () => {
            throw mine;
          },
        ],
      },
      bulkhead: { maxConcurrent: 1, maxQueue: 0 },
    });
    for (let round = 0; round < 3; round++) {
      await assert.rejects(
        policy.run(() => fail()),
        (error) => error === mine,
      );
    }
    assert.equal(await policy.run(() => Promise.resolve('room')), 'room');
  });

  test('an answer or an error that throws when it is looked at ends the call, and releases its permit', async () => {
    const mine = new TypeError('not yours to read');
    const thrower = (key: string) =>
      Object.defineProperty(new Error('strange'), key, {
        get() {
          throw mine;
        },
      });
    const policy = new Policy({ retry: IMMEDIATE_RETRY, bulkhead: { maxConcurrent: 1, maxQueue: 0 } });
    const isMine = (error: unknown) => error === mine;
    const calls: Record<string, () => unknown> = {
      'a getter': () => thrower('then'),
      'a then that throws': () => ({
        then() {
          throw mine;
        },
      }),
      'an error': () => {
        throw thrower('retryAfterMs');
      },
    };
    for (const [name, call] of Object.entries(calls)) {
      await assert.rejects(policy.run(call), isMine, name);
      assert.equal(await policy.run(() => 'room'), 'room', name);
    }
    const fields = { kind: 'connect', code: 'ECONNREFUSED', service: 'mine', operation: 'call' } as const;
    const frozen = Object.freeze(
      new MoorlineError('no', { ...fields, delivery: 'none', retryable: true, attempts: 0 }),
    );
    await assert.rejects(
      policy.run(() => Promise.reject(frozen)),
      (error) => error === frozen,
    );
  });

  test('a probe of a worker that is terminated is given back', async () => {
    const name = `worker-probe-${process.pid}`;
    const options = { failMax: 1, resetTimeoutMs: 1, halfOpenMaxCalls: 1, probeTimeoutMs: 60_000 };
    const breaker = new CircuitBreaker(name, options);
    await assert.rejects(breaker.run(() => fail()));
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads');
       const { CircuitBreaker } = require(${JSON.stringify(join(dist, 'entries', 'index.js'))});
       const breaker = new CircuitBreaker(${JSON.stringify(name)}, ${JSON.stringify(options)});
       const probe = () => breaker.run(() => {
         parentPort.postMessage('probing');
         return new Promise(() => setInterval(() => {}, 1000));
       }).catch(() => setTimeout(probe, 5));
       probe();`,
      { eval: true },
    );
    await once(worker, 'message');
    await assert.rejects(
      breaker.run(() => 'refused'),
      CircuitBreakerError,
    );
    await worker.terminate();
    assert.equal(await breaker.run(() => 'probed'), 'probed');
  });

  test('a signal that is first asked for after the deadline is aborted already', async () => {
    const policy = new Policy({ attemptTimeoutMs: 20 });
    let attemptSignal: AbortSignal | undefined;
    let end!: () => void;
    const over = new Promise<void>((resolve) => (end = resolve));
    const running = policy.run(async (attempt) => {
      await over;
      attemptSignal = attempt.signal;
    });
    await assert.rejects(running, { kind: 'timeout' });
    end();
    await new Promise(setImmediate);
    assert.equal(attemptSignal?.aborted, true);
  });

  test('a misspelt error kind is refused', () => {
    assert.throws(() => new Policy({ retry: { retryableExceptions: ['conect' as never] } }), {
      name: 'TypeError',
      message: /has 'conect', which is not an error kind; the kinds are closed, circuit-open/,
    });
  });
});
