// What console.log shows of connections and of what holds them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  CircuitBreaker,
  ConnectionManager,
  ConnectionPool,
  HealthChecker,
  HTTPConnection,
  NixtlaClient,
  Policy,
  setLogger,
  SSEConnection,
  TursoPool,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, eventServer } from '../support/connections';
import { eventually } from '../support/eventually';

before(() => setLogger({}));
after(() => setLogger(undefined));

const SECRET = 'hunter2';

describe('a printed connection', () => {
  for (const [Type, scheme] of [
    [HTTPConnection, 'http'],
    [SSEConnection, 'http'],
    [WebSocketConnection, 'ws'],
  ] as const) {
    test(`shows what it is, where it leads and how it is: ${Type.name}`, () => {
      const url = `${scheme}://me:${SECRET}@h.example/path?key=${SECRET}`;
      const connection = new Type({ url, name: 'feed', customHeaders: { authorization: SECRET }, monitoring: false });
      connection.on('state', () => undefined);
      const shown = inspect(connection);
      assert.match(shown, new RegExp(`^${Type.name} \\{`));
      for (const part of [
        "name: 'feed'",
        `url: '${scheme}://h.example/path'`,
        "state: 'disconnected'",
        "health: 'unknown'",
      ]) {
        assert.ok(shown.includes(part), shown);
      }
      assert.doesNotMatch(shown, new RegExp(`${SECRET}|_events|#|config`));
    });
  }

  test('shows its counts and its last error', async (t) => {
    const server = await eventServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false, autoReconnect: false }));
    await connection.connect();
    server.send('data: 1\n\ndata: 2\n\n');
    await eventually(() => inspect(connection).includes('queued: 2'));
    server.streams[0]?.destroy();
    await eventually(() => /state: 'disconnected'.*lastError: '/s.test(inspect(connection)));
  });
});

test('what holds connections, and what guards calls, shows its figures and not its insides', () => {
  const manager = new ConnectionManager();
  manager.addConnection(new HTTPConnection({ url: 'http://h', monitoring: false }), 'apis');
  const pool = new ConnectionPool({}, () => ({}));
  const database = new TursoPool({ url: ':memory:' });
  const forecasts = new NixtlaClient({ fallback: 'local' });
  const shown = [
    manager,
    pool,
    database,
    forecasts,
    new Policy(),
    new CircuitBreaker('printed'),
    new HealthChecker(),
  ].map((one) => inspect(one));
  assert.match(shown[0]!, /^ConnectionManager \{\s+totalConnections: 1,[^]*apis: 1/);
  assert.match(shown[1]!, /^ConnectionPool \{\s+poolSize: 0,/);
  assert.match(shown[2]!, /^TursoPool \{\s+url: ':memory:'/);
  assert.match(shown[3]!, /^NixtlaClient \{\s+circuitBreaker: \{/);
  for (const one of shown) assert.doesNotMatch(one, /_events|kCapture/);
});
