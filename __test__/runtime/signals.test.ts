// The caller's signals: one listener each, none left behind, and objects that only look like a signal do no harm.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { createServer } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';

import { ConnectionPool, HTTPConnection, Policy, setLogger, TursoPool } from 'moorline';

import { eventually } from '../support/eventually';
import { freePort, listen } from '../support/ports';
import { runScript } from '../support/script';

/** Many calls at once under one signal, each with a way to end them. */
const MANY = 40;

describe('many calls under one signal', () => {
  test('look like no leak to Node, and leave no listener behind', async () => {
    const { stdout, stderr, code } = await runScript(`
      const { getEventListeners } = require('node:events'), net = require('node:net');
      const { HTTPConnection, Policy, TursoPool, setLogger } = require('moorline');
      setLogger({});
      const server = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + server.address().port;
        const http = new HTTPConnection({ url, autoRetry: false, healthCheckInterval: Infinity });
        const pool = new TursoPool({ url: ':memory:' }), policy = new Policy();
        const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
        const ways = {
          http: (signal) => http.request({}, { signal }),
          sql: (signal) => pool.execute('SELECT 1', [], { signal }),
          policy: (signal) => policy.run(pause, { signal }),
        };
        for (const [way, call] of Object.entries(ways)) {
          const controller = new AbortController(), { signal } = controller;
          const calls = Array.from({ length: ${MANY} }, () => call(signal).catch(() => {}));
          const during = getEventListeners(signal, 'abort').length;
          if (way === 'http') controller.abort();
          await Promise.all(calls);
          console.log(way, during <= 1, getEventListeners(signal, 'abort').length);
        }
        // Each with a signal of its own: then the connection's own is the one that they share.
        const own = Array.from({ length: ${MANY} }, () => http.request({}, { signal: new AbortController().signal }).catch(() => {}));
        await http.disconnect();
        await Promise.all(own);
        await pool.drain();
        server.close();
        process.exit();
      });`);
    const expected = ['http', 'sql', 'policy'].map((way) => `${way} true 0\n`).join('');
    assert.deepEqual({ stdout, stderr, code }, { stdout: expected, stderr: '', code: 0 });
  });

  test('are all ended by it, and those that are over are not', async () => {
    const policy = new Policy({ bulkhead: false });
    const controller = new AbortController();
    const { signal } = controller;
    const over = await policy.run(() => 'over', { signal });
    const calls = Array.from({ length: MANY }, () => policy.run(() => new Promise(() => undefined), { signal }));
    const reason = new Error('enough');
    controller.abort(reason);
    const outcomes = await Promise.allSettled(calls);
    assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason === reason));
    assert.deepEqual([over, getEventListeners(signal, 'abort').length], ['over', 0]);
  });

  test('do not take longer to end the more there are', async () => {
    const policy = new Policy({ bulkhead: false, timeoutMs: Infinity, attemptTimeoutMs: Infinity });
    const { signal } = new AbortController();
    const settle: (() => void)[] = [];
    const work = () => new Promise<void>((resolve) => settle.push(resolve));
    const calls = Array.from({ length: 20_000 }, () => policy.run(work, { signal }));
    await eventually(() => settle.length === calls.length, 20_000);
    // From the back: a search from the front would look at all of them for each.
    for (const end of settle.reverse()) end();
    const started = performance.now();
    await Promise.all(calls);
    assert.ok(performance.now() - started < 5000);
  });

  test('look like no leak when they are repeated under no signal at all', async () => {
    const { stdout, stderr, code } = await runScript(`
      const http = require('node:http');
      const { HTTPConnection, Policy, setLogger } = require('moorline');
      setLogger({});
      let asked = 0;
      const server = http.createServer((request, response) => {
        asked += 1;
        response.writeHead(asked <= ${MANY} ? 503 : 200).end();
      }).listen(0, '127.0.0.1', async () => {
        const url = 'http://127.0.0.1:' + server.address().port;
        const limits = { maxConnections: ${MANY}, retryDelay: 400, circuitBreaker: false, monitoring: false };
        const connection = new HTTPConnection({ url, ...limits });
        const calls = Array.from({ length: ${MANY} }, () => connection.request({}));
        const answers = await Promise.all(calls);
        const policy = new Policy({ retry: { baseDelayMs: 400, budget: false } });
        let failures = 0;
        const work = async () => {
          if (failures++ < ${MANY}) throw new Error('not yet');
          return 200;
        };
        const values = await Promise.all(Array.from({ length: ${MANY} }, () => policy.run(work)));
        console.log(new Set(answers.map(({ status }) => status)), new Set(values));
        await connection.disconnect();
        server.close();
        server.closeAllConnections();
      });`);
    assert.deepEqual({ stdout, stderr, code }, { stdout: 'Set(1) { 200 } Set(1) { 200 }\n', stderr: '', code: 0 });
  });
});

/** What looks like a signal, and does not let go. */
function clinging(members: object = {}): AbortSignal {
  const signal = {
    aborted: false,
    reason: undefined,
    throwIfAborted: () => undefined,
    addEventListener: () => undefined,
    removeEventListener: () => {
      throw new Error('it does not let go');
    },
    ...members,
  };
  return signal as unknown as AbortSignal;
}

describe('what only looks like a signal', () => {
  test('and throws when a listener is taken off costs no connection', async () => {
    const pool = new TursoPool({ url: ':memory:', poolSize: 1 });
    try {
      for (let time = 0; time < 2; time++) {
        const waiting = pool.getConnection({ signal: clinging() });
        const client = await waiting;
        assert.equal(pool.getStats().inUse, 1);
        const next = pool.getConnection({ signal: clinging() });
        pool.releaseConnection(client);
        pool.releaseConnection(await next);
        assert.equal(pool.getStats().inUse, 0);
      }
    } finally {
      await pool.drain();
    }
  });

  test('and throws when a listener is taken off loses no value', async () => {
    assert.equal(await new Policy().run(async () => 'value', { signal: clinging() }), 'value');
    const pool = new ConnectionPool({ maxSize: 1 }, () => ({}));
    try {
      assert.ok(await pool.acquire(1, { signal: clinging() }));
      assert.equal(await pool.acquire(0.02, { signal: clinging() }), null);
    } finally {
      await pool.stop();
    }
  });

  test('and throws when it is asked keeps no place', async () => {
    const policy = new Policy({ retry: false, bulkhead: { maxConcurrent: 1, maxQueue: 0 } });
    const signal = clinging();
    const failed = policy.run(
      async () => {
        Object.defineProperty(signal, 'aborted', {
          get() {
            throw new Error('it does not say');
          },
        });
        throw new Error('the work');
      },
      { signal },
    );
    await assert.rejects(failed, { message: 'the work' });
    assert.equal(await policy.run(() => 'free'), 'free');
  });
});

describe('a reason', () => {
  const server = createServer((socket) => socket.on('error', () => undefined));
  let port: number;

  before(async () => {
    port = await listen(server);
    setLogger({});
  });
  after(() => {
    setLogger(undefined);
    server.close();
  });
  let connection: HTTPConnection | undefined;
  afterEach(() => connection?.disconnect());

  for (const reason of ['stop', '{"kind":"closed","code":"X","message":"made up"}', 7, undefined]) {
    test(`such as ${reason} comes out as it is while the other address is in use`, async () => {
      connection = new HTTPConnection({
        url: `http://127.0.0.1:${await freePort()}/`,
        fallbackUrl: `http://127.0.0.1:${port}/`,
        retryCount: 0,
        healthCheckInterval: Infinity,
        timeout: 500,
      });
      // Nobody listens at the first address, and the other one does not answer.
      await assert.rejects(connection.request({ method: 'GET' }));
      const controller = new AbortController();
      const call = connection.request({ method: 'GET' }, { signal: controller.signal });
      setImmediate(() => controller.abort(reason));
      const [outcome] = await Promise.allSettled([call]);
      assert.equal(outcome.status, 'rejected');
      assert.equal((outcome as PromiseRejectedResult).reason, controller.signal.reason);
    });
  }
});
