// From connect to disconnect: what is under way when a connection is closed, and which state it ends in.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';

import {
  BaseConnection,
  CircuitBreaker,
  type ConnectionConfig,
  ConnectionManager,
  ConnectionPool,
  HTTPConnection,
  RecoveryStrategy,
  setLogger,
} from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { closeAfter, EventRecorder } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { serve } from '../support/http';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** A promise that its caller settles. */
function deferred<T>(): { done: Promise<T>; settle: (value: T) => void } {
  let settle!: (value: T) => void;
  return { done: new Promise<T>((resolve) => (settle = resolve)), settle };
}

/** A connection to nothing, whose hooks do as told. */
class Puppet extends BaseConnection {
  connects = 0;
  disconnects = 0;
  opens: () => unknown = () => true;
  closes: () => unknown = () => true;
  comes: () => unknown = () => null;
  well: (signal: AbortSignal) => unknown = () => true;

  constructor(config: ConnectionConfig = {}) {
    super({ monitoring: false, retryDelay: 1, ...config });
  }

  protected override async connectImpl() {
    this.connects += 1;
    return (await this.opens()) as boolean;
  }

  protected override async disconnectImpl() {
    this.disconnects += 1;
    return (await this.closes()) as boolean;
  }

  protected override async healthCheckImpl(_: number, signal: AbortSignal) {
    return (await this.well(signal)) as boolean;
  }

  protected async sendImpl() {
    return true;
  }

  protected async receiveImpl() {
    return this.comes();
  }
}

/** That it takes no longer than a moment. */
async function promptly<T>(work: Promise<T>): Promise<T> {
  const started = performance.now();
  const value = await work;
  const elapsed = performance.now() - started;
  assert.ok(elapsed < SLACK_MS, `${elapsed} ms`);
  return value;
}

describe('connect and disconnect at once', () => {
  test('a connect during a disconnect opens it when that is over', async (t) => {
    const connection = closeAfter(t, new Puppet());
    await connection.connect();
    const close = deferred<boolean>();
    connection.closes = () => close.done;
    const recorder = new EventRecorder(connection);
    const disconnecting = connection.disconnect();
    const connecting = connection.connect();
    await setImmediate();
    assert.equal(connection.connects, 1, 'what is being closed is closed first');
    close.settle(true);
    assert.deepEqual(await Promise.all([disconnecting, connecting]), [true, true]);
    assert.equal(await connection.isConnected(), true);
    assert.deepEqual(recorder.states, ['disconnecting', 'disconnected', 'connecting', 'connected']);
  });

  test('a connect after a disconnect that ended another one is one of its own', async (t) => {
    const connection = closeAfter(t, new Puppet());
    const first = deferred<boolean>();
    connection.opens = () => first.done;
    const connecting = connection.connect();
    const disconnecting = connection.disconnect();
    connection.opens = () => true;
    assert.deepEqual(await Promise.all([disconnecting, connection.connect()]), [true, true]);
    first.settle(true);
    assert.equal(await connecting, false);
    assert.equal(await connection.isConnected(), true, 'the last word counts');
  });

  test('two disconnects close once, and tell it once', async () => {
    const connection = new Puppet();
    await connection.connect();
    let closes = 0;
    connection.on('close', () => (closes += 1));
    assert.deepEqual(await Promise.all([connection.disconnect(), connection.disconnect()]), [true, true]);
    assert.deepEqual([connection.disconnects, closes], [1, 1]);
    connection.opens = () => false;
    await connection.connect();
    await connection.disconnect();
    assert.equal(closes, 1, 'what was never open does not close');
  });

  test('who is told that it is open may close it: then it is checked no more', async (t) => {
    const config = { monitoring: true, healthCheckInterval: 5 };
    let checks = 0;
    const connection = closeAfter(t, new Puppet(config));
    connection.well = () => (checks += 1) > 0;
    connection.onStateChange((state) => state === 'connected' && connection.disconnect());
    assert.equal(await connection.connect(), false);
    const other = closeAfter(t, new Puppet(config));
    let others = 0;
    other.well = () => (others += 1) > 0;
    await other.connect();
    await eventually(() => others >= 3);
    assert.equal(checks, 0);
    assert.equal(connection.getStatus().state, 'disconnected');
  });

  test('reconnect does not open again what was closed in its pause', async () => {
    const connection = new Puppet({ retryDelay: 60_000 });
    await connection.connect();
    const reconnecting = connection.reconnect();
    await eventually(() => connection.getStatus().state === 'disconnected');
    await connection.disconnect();
    assert.equal(await promptly(reconnecting), false);
    assert.equal(connection.connects, 1);
  });

  test('a hook that does not open it in time has failed, and what it opens later is closed', async (t) => {
    const connection = closeAfter(t, new Puppet({ timeout: 20 }));
    const recorder = new EventRecorder(connection);
    const open = deferred<boolean>();
    connection.opens = () => open.done;
    assert.equal(await connection.connect(), false);
    assert.equal(recorder.count('connection_failed'), 1);
    open.settle(true);
    await eventually(() => connection.disconnects === 1);
    assert.equal(await connection.isConnected(), false);
  });

  test('timeout: Infinity is no limit of anything', async (t) => {
    const connection = closeAfter(t, new Puppet({ timeout: Infinity, rateLimit: true }));
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.send('x'), true);
  });
});

describe('overridden verbs', () => {
  class Own extends Puppet {
    override async connect(): Promise<boolean> {
      this.connects += 1;
      await setImmediate();
      return true;
    }

    override async disconnect(): Promise<boolean> {
      throw new Error('will not');
    }

    override async healthCheck(): Promise<never> {
      throw new Error('do not ask');
    }
  }

  test('connect runs once for all who ask meanwhile', async () => {
    const connection = new Own();
    assert.deepEqual(await Promise.all([connection.connect(), connection.connect()]), [true, true]);
    assert.equal(connection.connects, 1);
  });

  test('none rejects, also not to a manager', async () => {
    const connection = new Own();
    const recorder = new EventRecorder(connection);
    await connection.connect();
    const manager = new ConnectionManager();
    manager.addConnection(connection);
    manager.setRecoveryStrategy(connection.connectionId, RecoveryStrategy.NONE);
    const result = (await manager.healthCheckAll())[connection.connectionId];
    assert.deepEqual([result?.isHealthy, result?.errorMessage], [false, 'do not ask']);
    assert.equal(recorder.count('health_check_failed'), 1);
    assert.equal(await connection.disconnect(), false);
    assert.deepEqual(recorder.states, ['connecting', 'connected', 'disconnecting', 'disconnected']);
  });

  test('may call ours: then each thing is told once', async () => {
    class Further extends Puppet {
      steps: string[] = [];

      override async connect(): Promise<boolean> {
        const open = await super.connect();
        this.steps.push('in');
        return open;
      }

      override async disconnect(): Promise<boolean> {
        this.steps.push('out');
        return super.disconnect();
      }
    }
    const connection = new Further();
    const recorder = new EventRecorder(connection);
    const emitted: string[] = [];
    for (const event of ['open', 'close'] as const) connection.on(event, () => emitted.push(event));
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.reconnect(), true);
    assert.equal(await connection.disconnect(), true);
    assert.deepEqual(emitted, ['open', 'close', 'open', 'close']);
    assert.deepEqual(connection.steps, ['in', 'out', 'in', 'out']);
    assert.deepEqual([connection.connects, connection.disconnects, recorder.count('error')], [2, 2, 0]);
  });
});

describe('what waits when a connection is closed', () => {
  test('a receive gets null, and tells no error', async () => {
    for (const circuitBreaker of [true, false]) {
      const connection = new Puppet({ circuitBreaker });
      await connection.connect();
      const recorder = new EventRecorder(connection);
      connection.comes = () => new Promise(() => undefined);
      const waiting = connection.receive();
      await connection.disconnect();
      assert.equal(await promptly(waiting), null);
      assert.equal(recorder.count('error'), 0);
    }
  });

  test('a health check is aborted, says so at once, and changes nothing', async () => {
    const connection = new Puppet();
    await connection.connect();
    const recorder = new EventRecorder(connection);
    let checkSignal: AbortSignal | undefined;
    connection.well = (signal) => new Promise(() => (checkSignal = signal));
    const checking = connection.healthCheck();
    await connection.disconnect();
    const { isHealthy, errorMessage } = await promptly(checking);
    assert.deepEqual([isHealthy, errorMessage], [false, 'the connection was closed']);
    assert.equal(checkSignal?.aborted, true);
    assert.equal(recorder.count('health_check_failed') + recorder.count('health_changed'), 0);
  });

  test('a send that waits for its turn, or to be repeated, is over', async (t) => {
    let requests = 0;
    const server = await serve((_, response) => {
      requests += 1;
      response.writeHead(503, { 'retry-after': '50' }).end();
    });
    t.after(() => server.close());
    const limit = { timeout: 600_000, rateLimit: true, rateLimitRequests: 1, rateLimitWindow: 60_000 };
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, ...limit }));
    const recorder = new EventRecorder(connection);
    const again = connection.send({ url: '', method: 'GET' });
    const turn = connection.send({ url: '', method: 'POST' });
    const request = assert.rejects(connection.request({}), { kind: 'closed', code: 'ERR_MOORLINE_CLOSED' });
    await eventually(() => requests === 1);
    await connection.disconnect();
    assert.deepEqual(await promptly(Promise.all([again, turn])), [null, null]);
    await request;
    assert.equal(recorder.count('rate_limited'), 0);
    assert.equal(requests, 1);
  });

  test('a recovery does not open again what somebody closes', async () => {
    const connection = new Puppet({ retryDelay: 60_000, retryCount: 5 });
    connection.well = () => false;
    connection.opens = () => false;
    const manager = new ConnectionManager();
    manager.addConnection(connection);
    const checking = manager.healthCheckAll();
    await eventually(() => connection.connects === 1 && connection.getStatus().state === 'error');
    await connection.disconnect();
    await promptly(checking);
    assert.equal(connection.connects, 1);
    assert.equal(connection.getStatus().state, 'disconnected');
  });

  test('two rounds of a manager do not recover the same connection at once', async () => {
    const connection = new Puppet();
    connection.well = () => false;
    const open = deferred<boolean>();
    connection.opens = () => open.done;
    const manager = new ConnectionManager();
    manager.addConnection(connection);
    const rounds = [manager.healthCheckAll(), manager.healthCheckAll()];
    await eventually(() => connection.connects === 1);
    await setImmediate();
    open.settle(true);
    await Promise.all(rounds);
    assert.deepEqual([connection.connects, connection.disconnects], [1, 1]);
  });
});

describe('the periodic check', () => {
  test('comes for the first time after one interval', async (t) => {
    const methods: unknown[] = [];
    const server = await serve((request, response) => {
      methods.push(request.method);
      response.end();
    });
    t.after(() => server.close());
    const later = closeAfter(t, new HTTPConnection({ url: server.url, healthCheckInterval: 60_000 }));
    const soon = closeAfter(t, new HTTPConnection({ url: server.url, healthCheckInterval: 100 }));
    const started = performance.now();
    await Promise.all([later.connect(), soon.connect()]);
    await eventually(() => methods.length > 0);
    assert.ok(performance.now() - started >= 95, 'not at once');
    assert.deepEqual(methods, ['HEAD'], 'the other still waits');
    await later.send({ url: '', method: 'GET' });
    assert.equal(later.getStatus().lastHealthCheck, undefined);
  });

  test('holds nothing of a connection that is closed while it runs', async (t) => {
    let checks = 0;
    const server = await serve(() => (checks += 1));
    t.after(() => server.close());
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const config = { monitoring: true, healthCheckInterval: 1, healthCheckTimeout: 60_000 };
    const puppet = new Puppet(config);
    puppet.well = () => new Promise(() => (checks += 1));
    for (const connection of [new HTTPConnection({ url: server.url, ...config }), puppet]) {
      checks = 0;
      const recorder = new EventRecorder(connection);
      const before = timers();
      await connection.connect();
      await eventually(() => checks === 1);
      await connection.disconnect();
      await eventually(() => server.openConnections() === 0);
      await eventually(() => timers() <= before);
      assert.equal(recorder.count('health_check_failed'), 0);
    }
  });

  test('healthCheckTimeout: Infinity waits for the answer', async (t) => {
    const connection = closeAfter(t, new Puppet({ healthCheckTimeout: Infinity }));
    await connection.connect();
    connection.well = () => new Promise((resolve) => setTimeout(resolve, 20, true));
    assert.equal((await connection.healthCheck()).isHealthy, true);
  });
});

describe('the circuit breaker of a connection', () => {
  test('has its name, and is told by it', async (t) => {
    const name = 'orders of the named test';
    const connection = closeAfter(t, new Puppet({ name, circuitBreakerThreshold: 1 }));
    const recorder = new EventRecorder(connection);
    const named = () => CircuitBreaker.all().filter((breaker) => breaker.name.startsWith(name));
    assert.deepEqual(
      named().map(({ state }) => state),
      ['closed'],
    );
    await connection.connect();
    connection.comes = () => Promise.reject(new Error('broken'));
    assert.equal(await connection.receive(), null);
    const { data } = await recorder.until('circuit_breaker_opened');
    assert.deepEqual(
      named().map(({ name, state }) => [name, state]),
      [[data?.['breaker'], 'open']],
    );
  });

  test('lets a receive through again after its time, where nobody sends', async (t) => {
    const connection = closeAfter(t, new Puppet({ circuitBreakerThreshold: 1, circuitBreakerTimeout: 500 }));
    await connection.connect();
    connection.comes = () => Promise.reject(new Error('broken'));
    assert.equal(await connection.receive(), null);
    connection.comes = () => 'mended';
    assert.equal(await connection.receive(), null, 'refused');
    await eventually(async () => (await connection.receive()) === 'mended');
  });
});

describe('a pool', () => {
  test('that is started while it stops begins anew when that is over', async (t) => {
    const made: Puppet[] = [];
    const make = (config: ConnectionConfig) => made[made.push(new Puppet(config)) - 1]!;
    const pool = new ConnectionPool<Puppet>({ minSize: 2, maxSize: 3 }, make, { monitoring: false });
    t.after(() => pool.stop());
    await pool.start();
    const stopping = pool.stop();
    await Promise.all([stopping, pool.start()]);
    assert.equal(pool.stats().poolSize, 2);
    assert.equal(made.length, 4);
    assert.deepEqual(await Promise.all(made.slice(0, 2).map((one) => one.isConnected())), [false, false]);
    assert.equal(await pool.use((connection) => connection.isConnected()), true);
  });
});

describe('fallbackUrl: HTTPConnection', () => {
  test('an answer of the other address is one, whatever its status', async (t) => {
    const second = await serve((_, response) => response.writeHead(500).end('second'));
    const proxy = await FaultProxy.start(second.port);
    t.after(() => Promise.all([proxy.close(), second.close()]));
    await proxy.refuse();
    const config = { url: `http://127.0.0.1:${proxy.port}`, fallbackUrl: second.url, retryCount: 0, monitoring: false };
    const connection = closeAfter(t, new HTTPConnection(config));
    assert.equal((await connection.send({ url: '', method: 'GET' }))?.text(), 'second');
  });

  test('a body that can be read only once is never sent a second time', async (t) => {
    const bodies: string[] = [];
    const second = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      bodies.push(body);
      response.end();
    });
    const proxy = await FaultProxy.start(second.port);
    t.after(() => Promise.all([proxy.close(), second.close()]));
    await proxy.refuse();
    const config = { url: `http://127.0.0.1:${proxy.port}`, fallbackUrl: second.url, retryDelay: 1, monitoring: false };
    const connection = closeAfter(t, new HTTPConnection(config));
    async function* pieces() {
      yield 'one ';
      yield 'two';
    }
    assert.equal(await connection.send({ url: '', method: 'PUT', body: pieces() }), null);
    assert.equal((await connection.send({ url: '', method: 'PUT', body: 'whole' }))?.status, 200);
    assert.deepEqual(bodies, ['whole']);
  });

  test('is left by disconnect: the next request tries the first address first', async (t) => {
    const [first, second] = [await serve((_, res) => res.end('first')), await serve((_, res) => res.end('second'))];
    const proxy = await FaultProxy.start(first.port);
    t.after(() => Promise.all([proxy.close(), first.close(), second.close()]));
    await proxy.refuse();
    const urls = { url: `http://127.0.0.1:${proxy.port}`, fallbackUrl: second.url };
    const connection = closeAfter(t, new HTTPConnection({ ...urls, retryCount: 0, monitoring: false }));
    const ask = async () => (await connection.send({ url: '', method: 'GET' }))?.text();
    assert.equal(await ask(), 'second');
    await proxy.accept();
    assert.equal(await ask(), 'second', 'until a check finds the first again');
    await connection.disconnect();
    assert.equal(await ask(), 'first');
  });
});
