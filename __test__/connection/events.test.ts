// The events that users are told to handle, each caused by a real server, on each connection, once per occurrence.
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { after, before, describe, test, type TestContext } from 'node:test';

import {
  type BaseConnection,
  type ConnectionConfig,
  ConnectionManager,
  HTTPConnection,
  type MoorlineError,
  setLogger,
  SSEConnection,
  WebSocketConnection,
} from 'moorline';

import { Authority } from '../support/certificates';
import { closeAfter, eventServer, EventRecorder, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/fault-proxy';
import { type RunningServer, serve, startServer } from '../support/http';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';

const LIFECYCLE = [
  ...['connection_failed', 'authentication_failed', 'connection_lost', 'health_check_failed'],
  ...['circuit_breaker_opened', 'circuit_breaker_closed', 'reconnected', 'rate_limited'],
];
/** How severe each is. */
const SEVERITY: Record<string, string> = {
  circuit_breaker_opened: 'warning',
  circuit_breaker_closed: 'info',
  rate_limited: 'warning',
  reconnected: 'info',
};

/** A connection, and how it is brought to do something. */
interface ConnectionCase {
  name: string;
  scheme: string;
  make(config: ConnectionConfig): BaseConnection;
  /** A server that works. */
  serve(): Promise<RunningServer>;
  /** Makes it reach for its server. */
  reach(connection: BaseConnection): Promise<unknown>;
  /** Waits for something that never comes. */
  stall(connection: BaseConnection): Promise<unknown>;
  skip: string | false;
}

/** Begins a response that never ends. */
function beginResponse(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': '100000' }).write('x');
  responsesBegun += 1;
}

/** How many responses were begun. */
let responsesBegun = 0;

const connectionCases: ConnectionCase[] = [
  {
    name: 'HTTPConnection',
    scheme: 'http',
    make: (config) => new HTTPConnection(config),
    serve: () => serve((request, response) => (request.url === '/half' ? beginResponse(response) : response.end())),
    reach: (connection) => connection.send({ url: '', method: 'GET' }),
    stall: (connection) => connection.send({ method: 'GET', url: '/half' }),
    skip: false,
  },
  {
    name: 'WebSocketConnection',
    scheme: 'ws',
    make: (config) => new WebSocketConnection(config),
    serve: () => socketServer(),
    reach: (connection) => connection.connect(),
    stall: (connection) => connection.receive(),
    skip: peersMissing(),
  },
  {
    name: 'SSEConnection',
    scheme: 'http',
    make: (config) => new SSEConnection(config),
    serve: () => eventServer(),
    reach: (connection) => connection.connect(),
    stall: (connection) => connection.receive(),
    skip: false,
  },
];

before(() => setLogger({}));
after(() => setLogger(undefined));

for (const connectionCase of connectionCases) {
  describe(`lifecycle events: ${connectionCase.name}`, { skip: connectionCase.skip }, () => {
    function make(t: TestContext, port: number, config: ConnectionConfig = {}) {
      const url = `${connectionCase.scheme}://127.0.0.1:${port}`;
      const quick = { url, monitoring: false, retryCount: 0, retryDelay: 1, ...config };
      const connection = closeAfter(t, connectionCase.make(quick));
      return { connection, recorder: new EventRecorder(connection) };
    }

    /** What was told of the lifecycle; each has its severity, and its error where it is one. */
    function lifecycleEvents(recorder: EventRecorder): string[] {
      const events = recorder.events.filter(({ eventType }) => LIFECYCLE.includes(eventType));
      for (const { eventType, severity } of events) assert.equal(severity, SEVERITY[eventType] ?? 'error', eventType);
      return events.map(({ eventType }) => eventType);
    }

    test('connection_failed: nobody is there', async (t) => {
      const { connection, recorder } = make(t, await freePort());
      assert.ok(!(await connectionCase.reach(connection)));
      assert.deepEqual(lifecycleEvents(recorder), ['connection_failed']);
      const { message, data } = recorder.of('connection_failed')[0]!;
      assert.match(message!, /refused/i);
      assert.equal((data?.['error'] as MoorlineError).code, 'ECONNREFUSED');
    });

    for (const status of [401, 403]) {
      test(`authentication_failed: ${status}, and no connection_failed`, async (t) => {
        const server = await serve((_, response) => response.writeHead(status).end());
        t.after(() => server.close());
        const { connection, recorder } = make(t, server.port);
        await connectionCase.reach(connection);
        assert.deepEqual(lifecycleEvents(recorder), ['authentication_failed']);
        assert.match(recorder.of('authentication_failed')[0]!.message!, new RegExp(`${status}`));
        assert.equal(connection.getStatus().isAuthenticated, false);
      });
    }

    test('authentication_failed: a TLS server that wants a certificate of us', async (t) => {
      const authority = new Authority();
      t.after(() => authority.remove());
      const tls = { ...authority.issue(['IP:127.0.0.1']), ca: authority.cert, requestCert: true };
      const server = await startServer(createSecureServer({ ...tls, rejectUnauthorized: true }, (_, res) => res.end()));
      t.after(() => server.close());
      const url = `${connectionCase.scheme}s://127.0.0.1:${server.port}`;
      const { connection, recorder } = make(t, 0, { url, tls: { ca: authority.cert } });
      assert.ok(!(await connectionCase.reach(connection)));
      assert.deepEqual(lifecycleEvents(recorder), ['authentication_failed']);
    });

    test('connection_lost: it was open', async (t) => {
      const server = await connectionCase.serve();
      t.after(() => server.close());
      const proxy = await FaultProxy.start(server.port);
      t.after(() => proxy.close());
      const { connection, recorder } = make(t, proxy.port, { autoReconnect: false });
      assert.equal(await connection.connect(), true);
      const before = responsesBegun;
      const stalled = connectionCase.stall(connection);
      await eventually(() =>
        connectionCase.name === 'HTTPConnection' ? responsesBegun > before : server.openConnections() > 0,
      );
      proxy.cut();
      await recorder.until('connection_lost');
      assert.equal(await stalled, null);
      assert.deepEqual(lifecycleEvents(recorder), ['connection_lost']);
    });

    test('health_check_failed: each time', async (t) => {
      const { connection, recorder } = make(t, await freePort());
      assert.equal((await connection.healthCheck()).isHealthy, false);
      assert.equal((await connection.healthCheck()).isHealthy, false);
      assert.equal(recorder.count('health_check_failed'), 2);
      assert.equal(recorder.count('health_changed'), 1);
      assert.deepEqual([...new Set(lifecycleEvents(recorder))].at(-1), 'health_check_failed');
    });

    test('circuit_breaker_opened, circuit_breaker_closed: a server that is away for a while', async (t) => {
      const server = await connectionCase.serve();
      t.after(() => server.close());
      const proxy = await FaultProxy.start(server.port);
      t.after(() => proxy.close());
      await proxy.refuse();
      const config = { circuitBreakerThreshold: 3, circuitBreakerTimeout: 100, timeout: 1000 };
      const { connection, recorder } = make(t, proxy.port, config);
      for (let n = 0; n < 3; n++) assert.ok(!(await connectionCase.reach(connection)));
      await recorder.until('circuit_breaker_opened');
      assert.ok(!(await connectionCase.reach(connection)), 'refused at once');
      assert.equal(recorder.count('connection_failed'), 3);
      assert.equal(proxy.accepted, 0);
      await proxy.accept();
      await eventually(() => connectionCase.reach(connection));
      await recorder.until('circuit_breaker_closed');
      assert.deepEqual([recorder.count('circuit_breaker_opened'), recorder.count('circuit_breaker_closed')], [1, 1]);
    });
  });
}

test('a manager hears them all, by type', async (t) => {
  const manager = new ConnectionManager();
  const connection = closeAfter(t, new HTTPConnection({ url: `http://127.0.0.1:${await freePort()}`, retryCount: 0 }));
  manager.addConnection(connection);
  const types: string[] = [];
  const ids = new Set<string>();
  manager.addGlobalHandler((type, event) => types.push(type) && ids.add(event.connectionId));
  const off = manager.addEventHandler(() => undefined);
  off();
  await connection.send({ url: '', method: 'GET' });
  assert.ok(types.includes('connection_failed') && types.includes('error') && types.includes('metrics'));
  assert.deepEqual([...ids], [connection.connectionId]);
  assert.equal(manager.removeConnection(connection.connectionId), true);
  assert.equal(manager.removeConnection(connection.connectionId), false);
  const { length } = types;
  connection.emitEvent('unheard');
  assert.equal(types.length, length);
});
