// What every connection does around its transport: state, events, figures, checks; and connections of the user's own.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  BaseConnection,
  ConnectionHealth,
  ConnectionManager,
  ConnectionState,
  setLogger,
  type ConnectionEvent,
} from 'moorline';

import { SLACK_MS } from '../contract/contract';
import { closeAfter, EventRecorder, captureLogs } from '../support/connections';
import { eventually } from '../support/eventually';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** What a caller without types writes. */
class Hooks extends BaseConnection {
  hooks: Record<string, (...args: any[]) => any>;

  constructor(hooks: Hooks['hooks'] = {}, config = {}) {
    super({ monitoring: false, ...config });
    this.hooks = hooks;
  }

  protected override async connectImpl() {
    return this.hooks['connect']?.() ?? true;
  }

  protected override async disconnectImpl() {
    return this.hooks['disconnect']?.() ?? true;
  }

  protected override async healthCheckImpl(...args: [number, AbortSignal]) {
    return this.hooks['healthCheck'] ? this.hooks['healthCheck'](...args) : super.healthCheckImpl(...args);
  }

  protected async sendImpl(data: unknown) {
    return this.hooks['send']?.(data) ?? true;
  }

  protected async receiveImpl() {
    return this.hooks['receive']?.() ?? null;
  }
}

const explode = () => {
  throw new Error('out of order');
};

describe('a connection of the user’s own, by hooks', () => {
  test('goes through the states, and tells of each', async (t) => {
    const connection = closeAfter(t, new Hooks());
    const recorder = new EventRecorder(connection);
    const states: unknown[] = [];
    connection.onStateChange((state, before) => states.push([before, state]));
    assert.equal(await connection.isConnected(), false);
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.connect(), true, 'connected already');
    assert.equal(await connection.isConnected(), true);
    assert.equal(await connection.disconnect(), true);
    assert.equal(await connection.disconnect(), true, 'idempotent');
    const { CONNECTING, CONNECTED, DISCONNECTING, DISCONNECTED } = ConnectionState;
    assert.deepEqual(recorder.states, [CONNECTING, CONNECTED, DISCONNECTING, DISCONNECTED]);
    assert.deepEqual(states[0], [DISCONNECTED, CONNECTING]);
    assert.equal(states.length, 4);
    assert.equal(await connection.send('late'), true, 'a hook decides for itself whether it needs to be open');
    assert.equal(await connection.receive(), null);
  });

  test('no verb rejects, whatever its hook does', async (t) => {
    const hooks = { connect: explode, disconnect: explode, healthCheck: explode, send: explode, receive: explode };
    const connection = closeAfter(t, new Hooks({ ...hooks, connect: () => true }));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    assert.equal(await connection.send('x'), false);
    assert.equal(await connection.receive(), null);
    const { isHealthy, errorMessage } = await connection.healthCheck();
    assert.deepEqual([isHealthy, errorMessage], [false, 'out of order']);
    assert.equal(await connection.disconnect(), false);
    assert.equal(connection.getStatus().state, ConnectionState.DISCONNECTED);
    connection.hooks['connect'] = explode;
    assert.equal(await connection.connect(), false);
    assert.equal(connection.getStatus().state, ConnectionState.ERROR);

    const errors = recorder.of('error');
    assert.deepEqual(
      errors.map(({ severity, message, data }) => [severity, message, data?.['context'], data?.['error_type']]),
      ['send', 'receive', 'disconnect', 'connect'].map((context) => ['error', 'out of order', context, 'Error']),
    );
    assert.ok(errors.every(({ data }) => data?.['error'] instanceof Error));
    assert.equal(recorder.count('connection_failed'), 1);
    assert.equal(recorder.count('health_check_failed'), 1);
    assert.equal(connection.getStatus().lastError, 'out of order');
    assert.equal(connection.getStatus().errorCount, 4);
  });

  test('an error of no class at all is one, too', async (t) => {
    const connection = closeAfter(t, new Hooks({ send: () => Promise.reject('just text') }));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    assert.equal(await connection.send('x'), false);
    assert.equal((await recorder.until('error')).message, 'just text');
  });

  test('a connect that answers false has failed', async (t) => {
    const connection = closeAfter(t, new Hooks({ connect: () => false }));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), false);
    const { severity, message } = await recorder.until('connection_failed');
    assert.deepEqual([severity, message], ['error', 'The connection was refused']);
  });

  test('connects once for all who ask meanwhile', async (t) => {
    let connects = 0;
    const connection = closeAfter(t, new Hooks({ connect: () => (connects += 1) > 0 }));
    assert.deepEqual(await Promise.all([connection.connect(), connection.connect()]), [true, true]);
    assert.equal(connects, 1);
  });

  test('a disconnect during a connect counts', async (t) => {
    let opened!: (answer: boolean) => void;
    const connection = closeAfter(t, new Hooks({ connect: () => new Promise((resolve) => (opened = resolve)) }));
    const connecting = connection.connect();
    assert.equal(await connection.disconnect(), true);
    opened(true);
    assert.equal(await connecting, false);
    assert.equal(connection.getStatus().state, ConnectionState.DISCONNECTED);
  });

  test('reconnect closes, waits for retryDelay and opens', async (t) => {
    const connection = closeAfter(t, new Hooks({}, { retryDelay: 40 }));
    await connection.connect();
    const recorder = new EventRecorder(connection);
    const started = performance.now();
    assert.equal(await connection.reconnect(), true);
    assert.ok(performance.now() - started >= 39);
    assert.deepEqual(recorder.states, ['disconnecting', 'disconnected', 'connecting', 'connected']);
  });

  test('false from send is no error, and does not count for the breaker', async (t) => {
    const connection = closeAfter(t, new Hooks({ send: () => false }, { circuitBreakerThreshold: 1 }));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    for (let n = 0; n < 3; n++) assert.equal(await connection.send('x'), false);
    assert.deepEqual([recorder.count('error'), recorder.count('circuit_breaker_opened')], [0, 0]);
    const { requestCount, errorCount, errorRate, uptime } = connection.getMetrics();
    assert.deepEqual([requestCount, errorCount, errorRate, uptime], [3, 3, 100, 0]);
  });

  test('a failed probe opens the breaker anew', async (t) => {
    const config = { circuitBreakerThreshold: 1, circuitBreakerTimeout: 30 };
    const connection = closeAfter(t, new Hooks({ send: explode }, config));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    await connection.send('x');
    await recorder.until('circuit_breaker_opened', 1);
    await eventually(async () => (await connection.send('x')) === false && recorder.count('error') === 2);
    await recorder.until('circuit_breaker_opened', 2);
    assert.equal(recorder.count('circuit_breaker_closed'), 0);
    const opened = await recorder.until('circuit_breaker_opened');
    assert.equal(opened.severity, 'warning');
  });

  test('without a breaker nothing is held back', async (t) => {
    const connection = closeAfter(
      t,
      new Hooks({ send: explode }, { circuitBreaker: false, circuitBreakerThreshold: 1 }),
    );
    const recorder = new EventRecorder(connection);
    for (let n = 0; n < 3; n++) await connection.send('x');
    assert.deepEqual([recorder.count('error'), recorder.count('circuit_breaker_opened')], [3, 0]);
  });

  test('an operation takes no longer than timeout', async (t) => {
    const connection = closeAfter(t, new Hooks({ send: () => new Promise(() => undefined) }, { timeout: 40 }));
    const recorder = new EventRecorder(connection);
    const started = performance.now();
    assert.equal(await connection.send('x'), false);
    assert.ok(performance.now() - started < 40 + SLACK_MS);
    assert.match((await recorder.until('error')).message ?? '', /40 ?ms/);
  });

  test('a health check takes no longer than it is given', async (t) => {
    let given: unknown;
    let aborted = false;
    const healthCheck = (ms: number, signal: AbortSignal) => {
      given = ms;
      signal.addEventListener('abort', () => (aborted = true));
      return new Promise(() => undefined);
    };
    const connection = closeAfter(t, new Hooks({ healthCheck }));
    const started = performance.now();
    const result = await connection.healthCheck(30);
    assert.ok(performance.now() - started < 30 + SLACK_MS);
    assert.ok(result.responseTime >= 29);
    assert.deepEqual([given, aborted, result.isHealthy], [30, true, false]);
    assert.equal(result.errorMessage, 'Health check timed out after 30ms (timeoutMs)');
  });

  test('a health check that a disconnect cuts off says nothing about the health', async (t) => {
    let fail!: (error: Error) => void;
    const connection = closeAfter(t, new Hooks({ healthCheck: () => new Promise((_, reject) => (fail = reject)) }));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    const checking = connection.healthCheck();
    await connection.disconnect();
    fail(new Error('closed'));
    assert.equal((await checking).isHealthy, false);
    assert.equal(connection.getStatus().health, ConnectionHealth.UNKNOWN);
    assert.equal(recorder.count('health_check_failed'), 0);
  });

  test('tells each change of health once, and each failed check', async (t) => {
    let answer: unknown = true;
    const connection = closeAfter(t, new Hooks({ healthCheck: () => answer }));
    const recorder = new EventRecorder(connection);
    const changes: unknown[] = [];
    connection.onHealthChange((health, before) => changes.push([before, health]));
    await connection.healthCheck();
    await connection.healthCheck();
    answer = { isHealthy: false, lag: 7 };
    const { details } = await connection.healthCheck();
    assert.deepEqual(details, answer);
    await connection.healthCheck();
    const { UNKNOWN, HEALTHY, UNHEALTHY } = ConnectionHealth;
    assert.deepEqual(changes, [
      [UNKNOWN, HEALTHY],
      [HEALTHY, UNHEALTHY],
    ]);
    assert.deepEqual(
      recorder.of('health_changed').map(({ data }) => data),
      [
        { old_health: UNKNOWN, new_health: HEALTHY },
        { old_health: HEALTHY, new_health: UNHEALTHY },
      ],
    );
    assert.equal(recorder.count('health_check_failed'), 2);
    assert.equal((await recorder.until('health_check_failed')).severity, 'error');
    assert.ok(connection.getStatus().lastHealthCheck! <= Date.now());
  });

  test('tells its figures with every call, unless monitoring is off', async (t) => {
    const [watched, unwatched] = [true, false].map((monitoring) => closeAfter(t, new Hooks({}, { monitoring })));
    const [recorder, unheard] = [new EventRecorder(watched!), new EventRecorder(unwatched!)];
    for (const connection of [watched!, unwatched!]) {
      await connection.connect();
      await connection.send('x');
    }
    const { data } = await recorder.until('metrics');
    const facts = ['response_time', 'request_time', 'success', 'error_rate', 'throughput'];
    assert.deepEqual(Object.keys(data!), facts);
    assert.deepEqual([data?.['success'], data?.['error_rate'], unheard.count('metrics')], [true, 0, 0]);
    assert.equal(unwatched!.getMetrics().requestCount, 1, 'they are counted all the same');
  });

  test('checks itself every healthCheckInterval while it is open, unless monitoring is off', async (t) => {
    const checks = { watched: 0, unwatched: 0 };
    const config = { healthCheckInterval: 10 };
    const watched = closeAfter(t, new Hooks({ healthCheck: () => ++checks.watched }, { ...config, monitoring: true }));
    const unwatched = closeAfter(t, new Hooks({ healthCheck: () => ++checks.unwatched }, config));
    await watched.connect();
    await unwatched.connect();
    await eventually(() => checks.watched >= 5);
    assert.equal(checks.unwatched, 0);
    await watched.disconnect();
    const { watched: before } = checks;
    const other = closeAfter(t, new Hooks({ healthCheck: () => ++checks.unwatched }, { ...config, monitoring: true }));
    await other.connect();
    await eventually(() => checks.unwatched >= 5);
    assert.ok(checks.watched <= before + 1);
  });

  test('is what it says it is: an abstract class wants sendImpl and receiveImpl', async (t) => {
    // @ts-expect-error: as in JavaScript, where nothing stops it.
    class Nothing extends BaseConnection {}
    const connection = closeAfter(t, new (Nothing as unknown as new (config: object) => BaseConnection)({}));
    await connection.connect();
    assert.equal(await connection.send('x'), false);
    assert.equal(await connection.receive(), null);
  });
});

describe('a connection of the user’s own, by its verbs', () => {
  class Verbs extends BaseConnection {
    open = false;
    failing = false;
    override async connect() {
      if (this.failing) throw new Error('no way');
      return (this.open = true);
    }
    override async disconnect() {
      this.open = false;
      return true;
    }
    override async isConnected() {
      return this.open;
    }
    override async healthCheck() {
      const isHealthy = this.open;
      return { connectionId: this.connectionId, timestamp: Date.now(), isHealthy, responseTime: 0 };
    }
    protected async sendImpl() {
      return this.open;
    }
    protected async receiveImpl() {
      return 'message';
    }
  }

  test('has state, health, events and manager around it', async () => {
    const connection = new Verbs({ monitoring: false });
    const recorder = new EventRecorder(connection);
    const manager = new ConnectionManager();
    manager.addConnection(connection);
    assert.deepEqual(await manager.connectAll(), { [connection.connectionId]: true });
    assert.equal(connection.getStatus().state, ConnectionState.CONNECTED);
    assert.equal(await connection.send('x'), true);
    assert.equal(await connection.receive(), 'message');
    await manager.healthCheckAll();
    assert.equal(connection.getStatus().health, ConnectionHealth.HEALTHY);
    await manager.disconnectAll();
    assert.equal(await connection.isConnected(), false);
    assert.deepEqual(recorder.states.at(0), ConnectionState.CONNECTING);
    assert.deepEqual(recorder.states.at(-1), ConnectionState.DISCONNECTED);
    assert.equal(recorder.count('health_changed'), 1);
    await manager.healthCheckAll('default');
    assert.equal(recorder.count('health_check_failed'), 1);
  });

  test('never rejects', async () => {
    const connection = new Verbs({ monitoring: false });
    const recorder = new EventRecorder(connection);
    connection.failing = true;
    assert.equal(await connection.connect(), false);
    assert.equal(recorder.count('connection_failed'), 1);
    assert.equal(connection.getStatus().state, ConnectionState.ERROR);
  });
});

describe('events', () => {
  test('a handler that throws or rejects disturbs nobody, and is logged', async (t) => {
    const written = captureLogs(t);
    const connection = new Hooks();
    connection.onEvent(explode);
    connection.onEvent(async () => explode());
    const recorder = new EventRecorder(connection);
    connection.emitEvent('mine');
    assert.equal(recorder.count('mine'), 1);
    await eventually(() => written.filter(({ event }) => event === 'connection.handler-failed').length === 2);
  });

  test('emitEvent tells an event of one’s own, and what is added to hear can be taken off', () => {
    const connection = new Hooks();
    const events: ConnectionEvent[] = [];
    const off = connection.onEvent((event) => events.push(event));
    connection.emitEvent('custom_event', { data: { userId: 123, action: 'login' }, severity: 'info' });
    connection.emitEvent('bare');
    off();
    connection.emitEvent('unheard');
    assert.deepEqual(
      events.map(({ eventType, severity, data, message }) => [eventType, severity, data, message]),
      [
        ['custom_event', 'info', { userId: 123, action: 'login' }, undefined],
        ['bare', 'info', undefined, undefined],
      ],
    );
    assert.equal(new Set(events.map(({ eventId }) => eventId)).size, 2);
    assert.throws(() => connection.onEvent('x' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  test('a handler may take itself off, or add another, while it is told', () => {
    const connection = new Hooks();
    const calls: string[] = [];
    const off = connection.onEvent(() => {
      calls.push('once');
      off();
      connection.onEvent(() => calls.push('later'));
    });
    connection.emitEvent('one');
    const first = calls.length;
    connection.emitEvent('two');
    assert.equal(calls.filter((word) => word === 'once').length, 1);
    assert.ok(first <= 2 && calls.includes('later'));
  });
});
