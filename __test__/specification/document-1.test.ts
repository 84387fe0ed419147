// Every code block of document 1, compiled as its reader would compile it, and run against real servers.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, before, describe, mock, test } from 'node:test';

import {
  type BaseConnection,
  ConnectionConfigManager,
  HTTPResponse,
  SecurityLevel,
  setLogger,
  type WebSocketConnection,
} from 'moorline';

import { type EventServer, eventServer, EventRecorder, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve } from '../support/http';
import { peersMissing } from '../support/peers';
import { compile, type Snippet } from './compile';
import { document1 } from './edits';
import { type Block, codeBlocks, specificationDocument } from './extract';

let http: RunningServer;
let sockets: SocketServer;
let events: EventServer;
let snippets: Map<number, Snippet>;
let requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = [];
/** How the HTTP server answers; by default with JSON, and once with 503 to what is flaky. */
let status = 200;

const blocks = codeBlocks(specificationDocument(1));
const block = (number: number): Block => blocks[number - 1]!;

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let body = '';
  for await (const piece of request) body += String(piece);
  const { method = '', url = '', headers } = request;
  const before = requests.filter((one) => one.url === url).length;
  requests.push({ method, url, headers, body });
  response.statusCode = url === '/flaky' && before === 0 ? 503 : status;
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ url }));
}

before(async () => {
  setLogger({});
  http = await serve((request, response) => void answer(request, response));
  sockets = await socketServer();
  events = await eventServer();
  process.env['VITE_WEBSOCKET_URL'] = sockets.url;
  const places = { httpUrl: http.url, webSocketUrl: sockets.url, sseUrl: events.url };
  snippets = compile(
    1,
    blocks.filter(({ language }) => language === 'typescript'),
    document1(places),
  );
});

after(async () => {
  delete process.env['VITE_WEBSOCKET_URL'];
  setLogger(undefined);
  await Promise.all([http.close(), sockets.close(), events.close()]);
});

/** What the block exposes, and the arguments of everything it printed. */
async function run(number: number) {
  requests = [];
  status = 200;
  const snippet = snippets.get(number);
  assert.ok(snippet);
  assert.equal(snippet.diagnostics, '', snippet.source);
  const printed: unknown[][] = [];
  const print = (...args: unknown[]) => void printed.push(args);
  for (const method of ['log', 'warn', 'error'] as const) mock.method(console, method, print);
  const exposed = await snippet.load().catch((error: unknown) => {
    mock.restoreAll();
    throw error;
  });
  return { exposed, printed };
}

/** The same, for blocks that print later; the console is given back when `look` ends. */
async function watch(number: number, look: (ran: Awaited<ReturnType<typeof run>>) => Promise<unknown>) {
  try {
    await look(await run(number));
  } finally {
    mock.restoreAll();
  }
}

const close = (...connections: BaseConnection[]) => Promise.all(connections.map((one) => one.disconnect()));

describe('document 1: reynard-connection', { skip: peersMissing() }, () => {
  test('Installation: one package by its name', () => {
    assert.equal(block(1).code.trim(), 'npm install reynard-connection');
  });

  test('Basic HTTP Connection', () =>
    watch(2, async ({ exposed }) => {
      assert.ok(exposed['response'] instanceof HTTPResponse);
      assert.deepEqual(exposed['response'].data, { url: '/users' });
      assert.deepEqual([exposed['httpConn'].config.timeout, exposed['httpConn'].config.url], [5000, http.url]);
      await close(exposed['httpConn']);
    }));

  test('WebSocket Connection', () =>
    watch(3, async ({ exposed }) => {
      assert.deepEqual(exposed['message'], { type: 'ping' });
      assert.deepEqual(exposed['manager'].getConnectionsByGroup('realtime'), [exposed['wsConn']]);
      await exposed['manager'].stop();
      await close(exposed['wsConn']);
    }));

  test('Environment Variables', () => {
    const lines = block(5)
      .code.split('\n')
      .filter((line) => line.includes('='));
    const env = Object.fromEntries(lines.map((line) => line.split('=') as [string, string]));
    const manager = new ConnectionConfigManager(env);
    const config = manager.get('http');
    assert.equal(config.url, 'https://api.example.com');
    assert.equal(manager.get('websocket').url, 'wss://api.example.com/ws');
    assert.equal(manager.get('sse').url, 'https://api.example.com/events');
    assert.deepEqual(
      [config.timeout, config.retryCount, config.retryDelay, config.backoffMultiplier, config.maxConnections],
      [5000, 3, 1000, 2, 10],
    );
    assert.deepEqual(
      [config.keepAlive, config.compression, config.encryption, config.securityLevel, config.healthCheckInterval],
      [30_000, true, true, SecurityLevel.ENHANCED, 30_000],
    );
    assert.deepEqual(
      [config.autoReconnect, config.circuitBreaker, config.circuitBreakerThreshold, config.circuitBreakerTimeout],
      [true, true, 5, 60_000],
    );
  });

  test('Custom Configuration', () =>
    watch(6, async ({ exposed }) => {
      const manager = new ConnectionConfigManager({});
      manager.set('api', exposed['customConfig']);
      const { customSecurityOptions: _, ...read } = manager.get('api');
      assert.deepEqual({ ...read, ...exposed['customConfig'] }, read, 'every option is known and kept');
      assert.equal(read.securityLevel, SecurityLevel.MAXIMUM);
    }));

  test('HTTPConnection', () =>
    watch(7, async ({ exposed, printed }) => {
      const sent = requests.find(({ method }) => method === 'POST');
      assert.deepEqual([sent?.url, sent?.body], ['/api/data', '{"data":"test"}']);
      assert.equal(sent?.headers['content-type'], 'application/json');
      assert.equal(exposed['response'].status, 200);
      assert.deepEqual(printed, [[true]]);
      await close(exposed['httpConn']);
    }));

  test('WebSocketConnection', () =>
    watch(8, async ({ exposed }) => {
      assert.deepEqual(exposed['message'], { type: 'message', data: 'hello' });
      assert.equal(exposed['isConnected'], true);
      await close(exposed['wsConn']);
    }));

  test('SSEConnection', async () => {
    // The block waits for an event, so that there has to be one once it is connected.
    const sending = eventually(() => events.streams.length > 0).then(() => events.send('data: news\n\n'));
    await watch(9, async ({ exposed, printed }) => {
      assert.equal(exposed['event'].data, 'news');
      assert.deepEqual(printed, [['news']]);
      await close(exposed['sseConn']);
    });
    await sending;
  });

  test('ConnectionManager', () =>
    watch(10, async ({ exposed, printed }) => {
      assert.deepEqual(printed, [[2, 2]]);
      assert.equal(await exposed['wsConn'].isConnected(), false, 'disconnectAll was the last');
      await close(exposed['httpConn'], exposed['wsConn']);
    }));

  test('Connection Pooling', () =>
    watch(4, async ({ exposed }) => {
      const { pool, conn } = exposed;
      assert.equal(await pool.release(conn), false, 'the block has given it back');
      assert.equal(await pool.acquire(), conn);
      assert.deepEqual(await conn.receive(), { type: 'data', payload: 'test' });
      await pool.stop();
      assert.equal(await conn.isConnected(), false);
    }));

  test('Connection Management: Connection Pooling', () =>
    watch(11, async ({ exposed }) => {
      const { pool, wsPool, conn } = exposed;
      assert.deepEqual(await conn.receive(), { type: 'data', payload: 'test' });
      await wsPool.start();
      const other = await wsPool.acquire();
      assert.equal(await other.isConnected(), true);
      await Promise.all([pool.stop(), wsPool.stop()]);
      await eventually(() => sockets.sockets.length === 0);
    }));

  test('Best practice 4: Connection Pooling', () =>
    watch(26, async ({ exposed }) => {
      assert.deepEqual(await exposed['conn'].receive(), { type: 'data', payload: 'test' });
      assert.equal(await exposed['pool'].release(exposed['conn']), false);
      await exposed['pool'].stop();
    }));

  for (const [number, title] of [
    [12, 'Exponential Backoff'],
    [13, 'Linear Backoff'],
    [14, 'Jitter Retry'],
  ] as const) {
    test(title, () =>
      watch(number, async ({ exposed }) => {
        if (number === 12) {
          assert.deepEqual(exposed['result'], { url: '/flaky' });
          assert.equal(requests.length, 2);
        } else assert.deepEqual([exposed['result'], exposed['attempts']], ['done', 2]);
      }),
    );
  }

  test('Health Checks', () =>
    watch(15, async ({ exposed, printed }) => {
      const { isHealthy, responseTime, errorMessage } = printed[0]![0] as Record<string, unknown>;
      assert.deepEqual([isHealthy, errorMessage], [true, undefined]);
      assert.ok(Number(responseTime) > 0);
      assert.equal(exposed['checks'][0].isHealthy, true);
    }));

  test('Health Events', () =>
    watch(16, async ({ exposed, printed }) => {
      status = 503;
      await exposed['connection'].healthCheck();
      assert.deepEqual(printed[0], ['Connection is unhealthy, attempting recovery...']);
      assert.equal(printed[1]?.[0], 'Health check failed:');
    }));

  test('Security Levels', () =>
    watch(17, async ({ exposed }) => {
      assert.deepEqual(exposed['headers'], { Authorization: 'Bearer token', 'X-API-Key': 'api-key' });
      assert.equal(exposed['config'].securityLevel, SecurityLevel.MAXIMUM);
    }));

  test('Authentication', () =>
    watch(18, async ({ exposed }) => {
      assert.deepEqual(exposed['authHeaders'], { Authorization: 'Bearer bearer-token' });
      assert.deepEqual(exposed['apiHeaders'], { 'X-API-Key': 'api-key' });
      assert.equal(exposed['customHeaders']['X-Client-ID'], 'client-id');
    }));

  test('Connection Metrics', () =>
    watch(19, async ({ printed }) => {
      const keys = ['requestCount', 'errorCount', 'errorRate', 'averageResponseTime', 'throughput', 'uptime'];
      assert.deepEqual(Object.keys(printed[0]![0] as object), keys);
      for (const value of Object.values(printed[0]![0] as object)) assert.equal(typeof value, 'number');
      assert.equal((printed[1]![0] as { totalConnections: number }).totalConnections, 0);
    }));

  test('Event Tracking', () =>
    watch(20, async ({ exposed, printed }) => {
      exposed['connection'].emitEvent('custom_event', { data: { userId: 123 } });
      assert.equal(printed.length, 1, 'the handler was added after the first');
      assert.equal(printed[0]![0], 'Event: custom_event');
    }));

  test('Connection Errors', () =>
    watch(21, async ({ exposed, printed }) => {
      const { connection, refreshed } = exposed;
      const recorder = new EventRecorder(connection);
      await connection.connect();
      status = 401;
      await connection.send({ url: '', method: 'GET' });
      assert.equal(refreshed.length, 1);
      assert.deepEqual(printed[0], ['Connection error:', 'the server responded with status 401']);
      connection.emitEvent('connection_failed', { severity: 'error' });
      assert.equal(recorder.count('authentication_failed'), 1);
      assert.equal(await connection.isConnected(), true);
      await close(connection);
    }));

  test('Circuit Breaker', () =>
    watch(22, async ({ exposed, printed }) => {
      const { connection } = exposed;
      status = 500;
      await connection.send({ url: '', method: 'GET' });
      await eventually(() => printed.length === 1);
      status = 200;
      await eventually(() => connection.send({ url: '', method: 'GET' }));
      await eventually(() => printed.length === 2);
      assert.deepEqual(printed, [
        ['Circuit breaker opened, requests will be rejected'],
        ['Circuit breaker closed, requests will be allowed'],
      ]);
    }));

  test('Best practice 1: Connection Lifecycle', () =>
    watch(23, async ({ exposed }) => {
      assert.equal(exposed['connection'].getStatus().state, 'disconnected');
    }));

  test('Best practice 2: Error Handling', () =>
    watch(24, async ({ exposed, printed }) => {
      const connection = exposed['connection'] as WebSocketConnection;
      assert.equal(await connection.connect(), true);
      sockets.sockets.at(-1).terminate();
      await eventually(() => exposed['switched'].length === 1);
      assert.equal(printed[0]?.[0], 'Connection error:');
    }));

  test('Best practice 3: Health Monitoring', () => {
    let check!: () => Promise<void>;
    const every = mock.method(globalThis, 'setInterval', (callback: typeof check) => void (check = callback));
    return watch(25, async ({ printed }) => {
      assert.deepEqual(every.mock.calls.at(-1)?.arguments[1], 30_000);
      await check();
      assert.equal(printed.length, 0);
      status = 503;
      await check();
      assert.equal(printed[0]?.[0], 'Connection unhealthy, response time:');
      assert.ok(Number(printed[0]?.[1]) > 0);
    });
  });

  test('Debug Mode', () =>
    watch(27, async ({ exposed, printed }) => {
      assert.deepEqual([exposed['config'].debug, exposed['config'].logLevel], [true, 'debug']);
      await exposed['connection'].connect();
      assert.ok(printed.length > 0 && printed.every(([first]) => first === 'Connection event:'));
      await close(exposed['connection']);
    }));
});
