// Connections: the cases of their specification by their names.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import * as moorline from 'moorline';
import {
  BaseConnection,
  ConnectionHealth,
  ConnectionManager,
  ConnectionState,
  HTTPConnection,
  RecoveryStrategy,
  setLogger,
  SSEConnection,
  WebSocketConnection,
  WebSocketConnectionPool,
} from 'moorline';

import { closeAfter, eventServer, EventRecorder, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** A connection to nothing but itself. */
class Memory extends BaseConnection {
  readonly held: unknown[] = [];
  calls = 0;
  failing = false;

  protected async sendImpl(data: unknown): Promise<boolean> {
    this.calls += 1;
    if (this.failing) throw new Error('out of order');
    this.held.push(data);
    return true;
  }

  protected async receiveImpl(): Promise<unknown> {
    this.calls += 1;
    if (this.failing) throw new Error('out of order');
    return this.held.shift() ?? null;
  }
}

describe('BaseConnection', () => {
  test('reports initial status and updates metrics on send/receive', async (t) => {
    const connection = closeAfter(t, new Memory({ name: 'memory' }));
    const { state, health, metrics, isActive, errorCount } = connection.getStatus();
    assert.deepEqual([state, health, isActive, errorCount], ['disconnected', 'unknown', false, 0]);
    assert.deepEqual([metrics.totalRequests, metrics.errorRate, metrics.availability], [0, 0, 100]);

    assert.equal(await connection.connect(), true);
    assert.equal(await connection.send({ hello: 'world' }), true);
    assert.deepEqual(await connection.receive(), { hello: 'world' });

    const after = connection.getStatus();
    assert.deepEqual([after.state, after.isActive], ['connected', true]);
    assert.deepEqual([after.metrics.totalRequests, after.metrics.successCount], [2, 2]);
    assert.equal(connection.getMetrics().requestCount, 2);
  });

  test('opens circuit breaker on failures and blocks subsequent send/receive until timeout', async (t) => {
    const connection = closeAfter(t, new Memory({ circuitBreakerThreshold: 2, circuitBreakerTimeout: 1000 }));
    const recorder = new EventRecorder(connection);
    await connection.connect();
    connection.failing = true;
    assert.equal(await connection.send('one'), false);
    assert.equal(await connection.send('two'), false);
    await recorder.until('circuit_breaker_opened');

    const { calls } = connection;
    const { requestCount } = connection.getMetrics();
    connection.failing = false;
    assert.equal(await connection.send('three'), false);
    assert.equal(await connection.receive(), null);
    assert.equal(connection.calls, calls, 'nothing got through');
    assert.equal(connection.getMetrics().requestCount, requestCount, 'what is refused is not counted');

    await eventually(() => connection.send('four'));
    assert.equal(await connection.receive(), 'four');
    await recorder.until('circuit_breaker_closed');
    assert.equal(recorder.count('circuit_breaker_opened'), 1);
  });
});

describe('HTTPConnection', () => {
  test('connects, sends POST JSON and receives JSON', async (t) => {
    const posted: unknown[] = [];
    const server = await serve(async (request, response) => {
      if (request.method === 'POST') {
        let body = '';
        for await (const piece of request) body += String(piece);
        posted.push([request.headers['content-type'], JSON.parse(body)]);
      }
      response.setHeader('content-type', 'application/json').end('{"ok":true}');
    });
    t.after(() => server.close());
    const connection = closeAfter(t, new HTTPConnection({ url: server.url }));
    assert.equal(await connection.connect(), true);
    assert.equal(await connection.send({ hello: 'world' }), true);
    assert.deepEqual(posted, [['application/json', { hello: 'world' }]]);
    assert.deepEqual(await connection.receive(), { ok: true });
  });

  test('healthCheck marks unhealthy on error', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const connection = closeAfter(t, new HTTPConnection({ url }));
    const result = await connection.healthCheck();
    assert.equal(result.isHealthy, false);
    assert.match(result.errorMessage ?? '', /refused/i);
    assert.equal(connection.getStatus().health, ConnectionHealth.UNHEALTHY);
  });
});

describe('index barrel', () => {
  test('exports expected symbols', () => {
    const classes = [
      ...['BaseConnection', 'HTTPConnection', 'WebSocketConnection', 'SSEConnection', 'ConnectionManager'],
      ...['ConnectionConfigManager', 'ConnectionMetricsTracker', 'HealthChecker', 'ConnectionSecurity'],
      ...[
        'RetryStrategy',
        'ExponentialBackoffRetry',
        'LinearBackoffRetry',
        'JitterRetry',
        'ConnectionPool',
        'WebSocketConnectionPool',
      ],
    ];
    const enumerations = ['ConnectionState', 'ConnectionType', 'ConnectionHealth', 'SecurityLevel', 'RecoveryStrategy'];
    const exported: Record<string, unknown> = { ...moorline };
    for (const name of classes) assert.equal(typeof exported[name], 'function', name);
    for (const name of enumerations) assert.ok(Object.isFrozen(exported[name]), name);
  });
});

describe('ConnectionManager', () => {
  test('adds, connects, checks health, and collects statistics', async (t) => {
    const server = await serve((_, response) => response.end());
    t.after(() => server.close());
    // Without checks of their own.
    const config = { url: server.url, monitoring: false };
    const first = closeAfter(t, new HTTPConnection(config));
    const second = closeAfter(t, new HTTPConnection(config));
    const manager = new ConnectionManager();
    manager.addConnection(first, 'api');
    manager.addConnection(second);
    manager.addConnection(second, 'api');

    assert.deepEqual(await manager.connectAll(), { [first.connectionId]: true, [second.connectionId]: true });
    const results = await manager.healthCheckAll('api');
    assert.deepEqual(Object.keys(results), [first.connectionId]);
    assert.equal(results[first.connectionId]?.isHealthy, true);

    await first.send({ hello: 'world' });
    const stats = manager.getStatistics();
    assert.deepEqual(
      [stats.totalConnections, stats.activeConnections, stats.healthyConnections, stats.errorConnections],
      [2, 2, 1, 1],
    );
    assert.deepEqual([stats.totalRequests, stats.totalErrors, stats.errorRate], [1, 0, 0]);
    assert.deepEqual(stats.groups, { api: 1, default: 1 });
    assert.ok(stats.totalEventsProcessed > 0);
  });

  test('attempts recovery for unhealthy connections using strategy overrides', async (t) => {
    const connection = closeAfter(t, new Memory({ recoveryStrategy: RecoveryStrategy.NONE }));
    let isHealthy = false;
    Object.assign(connection, { healthCheckImpl: async () => isHealthy });
    await connection.connect();
    const recorder = new EventRecorder(connection);
    const manager = new ConnectionManager();
    manager.addConnection(connection);

    await manager.healthCheckAll();
    assert.deepEqual(recorder.states, [], 'its own strategy is to do nothing');

    manager.setRecoveryStrategy(connection.connectionId, RecoveryStrategy.RECONNECT);
    const results = await manager.healthCheckAll();
    assert.equal(results[connection.connectionId]?.isHealthy, false);
    assert.deepEqual(recorder.states, ['disconnecting', 'disconnected', 'connecting', 'connected']);

    manager.setRecoveryStrategy(connection.connectionId, RecoveryStrategy.GRACEFUL_DEGRADATION);
    await manager.healthCheckAll();
    assert.equal(connection.getStatus().health, ConnectionHealth.DEGRADED);
    assert.equal(manager.getStatistics().degradedConnections, 1);

    isHealthy = true;
    await manager.healthCheckAll();
    assert.equal(manager.getInfo().overallHealth, ConnectionHealth.HEALTHY);
  });
});

describe('SSEConnection', () => {
  test('connects and receives one message', async (t) => {
    const server = await eventServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new SSEConnection({ url: server.url }));
    assert.equal(await connection.connect(), true);
    server.send('data: {"hello":"world"}\n\n');
    const event = await connection.receive();
    assert.equal(event?.data, '{"hello":"world"}');
    assert.deepEqual(event?.json(), { hello: 'world' });
    assert.equal(await connection.send('anything'), false);
  });
});

describe('WebSocketConnection', { skip: peersMissing() }, () => {
  test('connects, sends and receives a message', async (t) => {
    const server = await socketServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new WebSocketConnection({ url: server.url }));
    assert.equal(await connection.connect(), true);
    assert.equal(connection.getStatus().state, ConnectionState.CONNECTED);
    assert.equal(await connection.send({ type: 'ping' }), true);
    assert.deepEqual(await connection.receive(), { type: 'ping' });
  });
});

describe('WebSocketConnectionPool', { skip: peersMissing() }, () => {
  test('creates connections through factory and acquires one', async (t) => {
    const server = await socketServer();
    t.after(() => server.close());
    const pool = new WebSocketConnectionPool(
      { maxSize: 2, minSize: 1, maxIdleTime: 60, acquireTimeout: 5 },
      { url: server.url },
    );
    await pool.start();
    const connection = await pool.acquire();
    assert.ok(connection instanceof WebSocketConnection);
    assert.equal(connection.getStatus().state, ConnectionState.CONNECTED);
    assert.equal(await connection.send('x'), true);
    assert.equal(await pool.release(connection), true);
    assert.equal(await pool.release(connection), false);
    await pool.stop();
    assert.equal(await connection.isConnected(), false);
  });
});
