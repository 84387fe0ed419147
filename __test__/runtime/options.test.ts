// Every call understands all that it is given, or refuses it by name.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import {
  CircuitBreaker,
  ConnectionManager,
  ConnectionPool,
  ExponentialBackoffRetry,
  getHealthMonitor,
  HealthChecker,
  HealthMonitor,
  HTTPConnection,
  HTTPConnectionPool,
  MemoryReplayStore,
  NixtlaClient,
  Policy,
  receiveWebhook,
  resetHealthMonitor,
  setLogger,
  SSEConnection,
  TursoPool,
  WebhookVerifier,
  WebSocketConnection,
  webhookMiddleware,
} from 'moorline';
import { createClient } from 'moorline/libsql';

import { closeAfter, EventRecorder } from '../support/connections';
import { serve } from '../support/http';
import { HttpFixture } from '../support/http-fixture';

const fixture = new HttpFixture();
setLogger({});
after(() => setLogger(undefined));

const url = 'http://127.0.0.1:9';
const quiet = { url, monitoring: false };
const work = () => Promise.resolve(1);
const ONE = 'select 1';

/** Calls of the package, by what is given to them. */
const CALLS: Record<string, (given: never) => unknown> = {
  'HTTPConnection.request': (given) => new HTTPConnection(quiet).request({}, given),
  'HTTPConnection.request, its request': (given) => new HTTPConnection(quiet).request(given),
  'new HTTPConnection': (given) => new HTTPConnection(given),
  'WebSocketConnection.receive': (given) => new WebSocketConnection({ ...quiet, url: 'ws://h' }).receive(given),
  'SSEConnection.receive': (given) => new SSEConnection(quiet).receive(given),
  'new SSEConnection, its cursor': (given) => {
    const cursor = { url: ':memory:', name: 'a', ...(given as object) };
    return new SSEConnection({ ...quiet, customOptions: { cursor } });
  },
  'HTTPConnection, in its customOptions': (given) => new HTTPConnection({ ...quiet, customOptions: given }),
  'WebSocketConnection, in its customOptions': (given) =>
    new WebSocketConnection({ ...quiet, url: 'ws://h', customOptions: given }),
  'SSEConnection, in its customOptions': (given) => new SSEConnection({ ...quiet, customOptions: given }),
  'connection.emitEvent': (given) => new HTTPConnection(quiet).emitEvent('own', given),
  'new ConnectionManager': (given) => new ConnectionManager(given),
  'new ConnectionPool': (given) => new ConnectionPool(given, work),
  'new ConnectionPool, its connections': (given) => new ConnectionPool({}, work, given),
  'new HTTPConnectionPool, its connections': (given) => new HTTPConnectionPool({}, given),
  'ConnectionPool.acquire': (given) => new ConnectionPool({}, work).acquire(1, given),
  'ConnectionPool.use': (given) => new ConnectionPool({}, work).use(work, given),
  'retry.execute': (given) => new ExponentialBackoffRetry().execute(work, given),
  'new HealthChecker': (given) => new HealthChecker(given),
  'new HealthMonitor': (given) => new HealthMonitor(given),
  'HealthMonitor.register': (given) => new HealthMonitor().register('a', work, given),
  getHealthMonitor: (given) => (resetHealthMonitor(), getHealthMonitor(given)),
  'new Policy': (given) => new Policy(given),
  'Policy.run': (given) => new Policy().run(work, given),
  'new CircuitBreaker': (given) => new CircuitBreaker('options of a test', given),
  'CircuitBreaker.run': (given) => new CircuitBreaker('options of a test').run(work, given),
  'CircuitBreaker.open': (given) => new CircuitBreaker('options of a test').open(given),
  'new WebhookVerifier': (given) => new WebhookVerifier({ secret: 's', ...(given as object) }),
  'WebhookVerifier.challenge': (given) => verifier().challenge({ headers: {}, body: '', ...(given as object) }),
  'WebhookVerifier.signRequest': (given) => verifier().signRequest({ body: '', ...(given as object) }),
  'new MemoryReplayStore': (given) => new MemoryReplayStore(given),
  receiveWebhook: (given) => receiveWebhook(verifier(), new Request(url, { method: 'POST' }) as never, given),
  webhookMiddleware: (given) => webhookMiddleware(verifier(), given),
  'new NixtlaClient': (given) => new NixtlaClient(given),
  'NixtlaClient.forecast': (given) => nixtla().forecast({ timeseries: [], horizon: 1 }, given),
  'NixtlaClient.usage': (given) => nixtla().usage(given),
  'NixtlaClient.submit': (given) => nixtla().submit('forecast', { timeseries: [], horizon: 1 }, given),
  'new TursoPool': (given) => new TursoPool({ url: ':memory:', ...(given as object) }),
  'TursoPool.getConnection': (given) => turso((pool) => pool.getConnection(given)),
  'TursoPool.withConnection': (given) => turso((pool) => pool.withConnection(work, given)),
  'TursoPool.execute': (given) => turso((pool) => pool.execute(ONE, [], given)),
  'TursoPool.execute, its statement': (given) => turso((pool) => pool.execute({ sql: ONE, ...(given as object) })),
  'TursoPool.batch': (given) => turso((pool) => pool.batch([ONE], 'read', given)),
  'TursoPool.batch, its statement': (given) => turso((pool) => pool.batch([{ sql: ONE, ...(given as object) }])),
  'TursoPool.migrate': (given) => turso((pool) => pool.migrate([ONE], given)),
  'TursoPool.executeMultiple': (given) => turso((pool) => pool.executeMultiple(ONE, given)),
  'TursoPool.transaction': (given) => turso((pool) => pool.transaction('read', given)),
  'PooledClient.transaction': (given) =>
    turso((pool) => pool.withConnection((client) => client.transaction('read', given))),
  'Transaction.execute': (given) => turso((pool) => transact(pool, (open) => open.execute(ONE, [], given))),
  'Transaction.batch': (given) => turso((pool) => transact(pool, (open) => open.batch([ONE], given))),
  createClient: (given) => createClient({ url: ':memory:', ...(given as object) }),
  'Client.execute': (given) => client((opened) => opened.execute(ONE, [], given)),
  'Client.transaction': (given) => client((opened) => opened.transaction('read', given)),
};

const verifier = () => new WebhookVerifier({ secret: 's' });
const nixtla = () => new NixtlaClient({ fallback: 'local' });
async function turso(use: (pool: TursoPool) => unknown) {
  const pool = new TursoPool({ url: ':memory:' });
  try {
    await use(pool);
  } finally {
    await pool.drain();
  }
}
async function transact(pool: TursoPool, use: (open: Awaited<ReturnType<TursoPool['transaction']>>) => unknown) {
  const open = await pool.transaction('read');
  try {
    await use(open);
  } finally {
    open.close();
  }
}
async function client(use: (client: ReturnType<typeof createClient>) => unknown) {
  const opened = createClient({ url: ':memory:' });
  try {
    await use(opened);
  } finally {
    opened.close();
  }
}

/** What a call throws, at once or later. */
async function thrown(call: () => unknown): Promise<Error & { code?: string }> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

describe('a key that a call does not know', () => {
  for (const [name, call] of Object.entries(CALLS)) {
    test(`is refused by ${name}`, async () => {
      const error = await thrown(() => call({ unheardOf: 1 } as never));
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_VALUE'], error.message);
      assert.match(error.message, /(^|\.)unheardOf is not a known option$/);
    });
  }

  test('is not repeated, nor compared, where it is long', async () => {
    const started = performance.now();
    for (const [name, call] of Object.entries(CALLS)) {
      const { message } = await thrown(() => call({ ['x'.repeat(200_000)]: 1 } as never));
      assert.ok(message.length < 300 && message.includes('is not a known option'), `${name}: ${message.length}`);
    }
    const scheme = 'x'.repeat(1_000_000);
    const { message } = await thrown(() => new WebhookVerifier({ secret: 's', scheme: scheme as never }));
    assert.ok(message.length < 1000, String(message.length));
    assert.ok(performance.now() - started < 20_000);
  });

  test("of a subclass' own is its own business", () => {
    class Own extends SSEConnection {}
    assert.equal(new Own({ ...quiet, customOptions: { unheardOf: 1 } }).getStatus().state, 'disconnected');
  });

  test('is in a result where a call never throws', async () => {
    const result = verifier().verifyRequest({ headers: {}, body: '', unheardOf: 1 } as never);
    assert.deepEqual(result, {
      valid: false,
      reason: 'Verification error: request.unheardOf is not a known option',
      scheme: undefined,
    });
  });

  test('does not matter in a request that a server made', () => {
    class Incoming {
      readonly headers = {};
      readonly body = '';
      readonly socket = {};
    }
    assert.doesNotMatch(verifier().verifyRequest(new Incoming()).reason ?? '', /is not a known option/);
  });

  test('does not matter when it is undefined', async () => {
    await new Policy().run(work, { unheardOf: undefined } as never);
    await turso((pool) => pool.execute(ONE, [], { timeoutMs: undefined, unheardOf: undefined } as never));
  });

  test('is asked of an object only', async () => {
    const calls: Record<string, () => unknown> = {
      'new HTTPConnection': () => new HTTPConnection(null as never),
      'new WebSocketConnection': () => new WebSocketConnection(undefined as never),
      'new Policy': () => new Policy(null as never),
      'new CircuitBreaker': () => new CircuitBreaker('options of a test', null as never),
    };
    for (const [name, call] of Object.entries(calls)) {
      const { code, message } = await thrown(call);
      assert.equal(code, 'ERR_INVALID_ARG_TYPE', name);
      assert.match(message, /^options must be an object, got /, name);
    }
  });

  test('ends no transaction', async () => {
    await turso(async (pool) => {
      await pool.execute('create table t (a)');
      const open = await pool.transaction();
      await open.execute('insert into t values (1)');
      await assert.rejects(open.commit({ unheardOf: 1 } as never), TypeError);
      await assert.rejects(open.rollback({ unheardOf: 1 } as never), TypeError);
      assert.equal(open.closed, false);
      await open.commit();
      assert.equal((await pool.execute('select count(*) from t')).rows[0]?.[0], 1);
    });
  });
});

describe('another library’s word', () => {
  const request = (given: object) => thrown(() => new HTTPConnection(quiet).request(given));

  for (const [given, message] of [
    [{ json: { a: 1 } }, "request.json is not a known option; did you mean 'body'?"],
    [{ data: { a: 1 } }, "request.data is not a known option; did you mean 'body'?"],
    [{ form: { a: 1 } }, "request.form is not a known option; did you mean 'body'?"],
    [{ params: { a: 1 } }, "request.params is not a known option; did you mean 'query'?"],
    [{ searchParams: {} }, "request.searchParams is not a known option; did you mean 'query'?"],
    [{ path: '/x' }, "request.path is not a known option; did you mean 'url'?"],
    [{ baseURL: 'http://h' }, "request.baseURL is not a known option; did you mean 'url'?"],
    [{ header: {} }, "request.header is not a known option; did you mean 'headers'?"],
    [{ timeout: 1 }, "request.timeout is not a known option; did you mean 'timeoutMs'?"],
    [{ redirect: 'manual' }, "request.redirect is not a known option; did you mean 'maxRedirects'?"],
    [{ responseType: 'stream' }, "request.responseType is not a known option; did you mean 'stream'?"],
    [{ signal: AbortSignal.abort() }, /^request\.signal is not a known option; pass it in the second argument/],
    [{ retries: 2 }, /^request\.retries is not a known option; .* retryCount$/],
    [{ toString: 1 }, 'request.toString is not a known option'],
  ] as const) {
    test(`is answered with ours: ${Object.keys(given)[0]}`, async () => {
      const error = await request(given);
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_VALUE']);
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
    });
  }

  test('is answered with ours where options are read in the addon, too', async () => {
    for (const [call, message] of [
      [
        () => new HTTPConnection({ baseURL: url } as never),
        "options.baseURL is not a known option; did you mean 'url'?",
      ],
      [
        () => new HTTPConnection({ ...quiet, headers: {} } as never),
        "options.headers is not a known option; did you mean 'customHeaders'?",
      ],
      [
        () => new Policy({ retry: { retries: 1 } } as never),
        "options.retry.retries is not a known option; did you mean 'maxRetries'?",
      ],
      [
        () => turso((pool) => pool.execute({ sql: 'select ?', arguments: [1] } as never)),
        "statement.arguments is not a known option; did you mean 'args'?",
      ],
      [
        () => turso((pool) => pool.batch([{ sql: 'select ?', params: [1] } as never])),
        "statements[0].params is not a known option; did you mean 'args'?",
      ],
    ] as const) {
      assert.equal((await thrown(call)).message, message);
    }
  });
});

describe('what is no plain object', () => {
  for (const [name, given] of Object.entries({
    'a path': '/path?token=secret',
    'a URL': new URL('http://h/?token=secret'),
    'a Request': new Request('http://h/', { method: 'POST', body: 'x' }),
    'an array': ['/path'],
    null: null,
    undefined,
    'a Map': new Map([['url', '/path']]),
  })) {
    test(`is no request: ${name}`, async () => {
      const error = await thrown(() => new HTTPConnection(quiet).request(given as never));
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_TYPE']);
      assert.match(error.message, /^request must be a plain object, got /);
      assert.doesNotMatch(error.message, /secret/);
    });
  }

  test('is no options: a signal, or its controller', async () => {
    const controller = new AbortController();
    for (const call of ['TursoPool.execute', 'Policy.run', 'ConnectionPool.acquire', 'HTTPConnection.request']) {
      for (const given of [controller, controller.signal]) {
        const error = await thrown(() => CALLS[call]?.(given as never));
        assert.match(error.message, /^options must be a plain object, got an instance of Abort/, call);
      }
      const error = await thrown(() => CALLS[call]?.({ signal: controller } as never));
      assert.match(error.message, /^options\.signal must be an AbortSignal, got /, call);
    }
  });

  test('arguments beside an object that has its own are refused', async () => {
    const statement = { sql: 'select ?', args: [1] };
    const message = /sql must be a string, got an object$/;
    await turso(async (pool) => {
      await assert.rejects(pool.execute(statement, [2]), { name: 'TypeError', message });
      await transact(pool, (open) => assert.rejects(open.execute(statement, [2]), { name: 'TypeError', message }));
      assert.equal((await pool.execute(statement)).rows[0]?.[0], 1);
      await transact(pool, async (open) => assert.equal((await open.execute(statement)).rows[0]?.[0], 1));
      await transact(pool, async (open) => assert.equal((await open.execute('select ?', [3])).rows[0]?.[0], 3));
    });
  });
});

test('send gives null, and an event that names the key', async (t) => {
  let requests = 0;
  const server = await fixture.autoClose(
    serve((_, response) => {
      requests += 1;
      response.end();
    }),
  );
  const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false }));
  const recorder = new EventRecorder(connection);
  assert.equal(await connection.send({ method: 'POST', url: '/', json: { a: 1 } } as never), null);
  assert.match(recorder.of('error')[0]?.message ?? '', /^request\.json is not a known option/);
  assert.equal(requests, 0);
});

test('a health check says what its time must be', async () => {
  const { isHealthy, errorMessage } = await new HTTPConnection(quiet).healthCheck({ timeout: 1 } as never);
  assert.deepEqual([isHealthy, errorMessage], [false, 'timeoutMs must be a number, got an instance of Object']);
});

test('a store, a strategy and a setting that do nothing are refused', () => {
  const store = { has: () => true } as never;
  assert.throws(
    () => new WebhookVerifier({ secret: 's', replayStore: store }),
    /^TypeError: options\.replayStore must be /,
  );
  const manager = new ConnectionManager();
  const strategy = 'reconect' as never;
  assert.throws(
    () => manager.setRecoveryStrategy('id', strategy),
    /^TypeError: strategy must be one of none, reconnect, /,
  );
});
