// What connections write down: auditLogging, debug and logLevel; and that no credential is in it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { createServer } from 'node:https';
import { after, before, describe, test, type TestContext } from 'node:test';

import { type ConnectionConfig, HTTPConnection, SSEConnection, WebSocketConnection } from 'moorline';

import { Authority } from '../support/certificates';
import { closeAfter, captureLogs, type SocketServer, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { type RunningServer, serve, startServer } from '../support/http';
import { peersMissing } from '../support/peers';
import { freePort } from '../support/ports';
import { mainEntry } from '../support/paths';

const SECRET = 'hunter2-very-secret';

let server: RunningServer;
let status = 200;

before(async () => {
  server = await serve((_, response) => response.writeHead(status).end());
});
after(() => server.close());

function connect(t: TestContext, config: ConnectionConfig = {}) {
  const url = `http://user:${SECRET}@127.0.0.1:${server.port}/path?token=${SECRET}`;
  const customHeaders = { 'X-API-Key': SECRET };
  const given = { name: 'api', url, customHeaders, monitoring: false, retryCount: 0, ...config };
  return closeAfter(t, new HTTPConnection(given));
}

describe('auditLogging', () => {
  test('one record for each connect, disconnect and refusal: who, where, outcome', async (t) => {
    const written = captureLogs(t);
    const connection = connect(t);
    await connection.connect();
    await connection.send({ secret: SECRET });
    status = 401;
    await connection.send({ secret: SECRET });
    status = 200;
    await connection.disconnect();
    await connection.disconnect();
    const audits = written.filter(({ event }) => event === 'connection.audit');
    assert.deepEqual(
      audits.map(({ level, data }) => [level, data['action'], data['outcome']]),
      [
        ['info', 'connect', 'success'],
        ['warn', 'authentication', 'failure'],
        ['info', 'disconnect', 'success'],
      ],
    );
    for (const { correlationId, data } of audits) {
      assert.equal(correlationId, connection.connectionId);
      assert.deepEqual([data['connection'], data['connectionType']], ['api', 'http']);
      assert.equal(data['url'], `http://127.0.0.1:${server.port}/path`);
    }
    assert.ok(!JSON.stringify(written).includes(SECRET));
  });

  test('what the security level forbids, with its reason, on every transport', async (t) => {
    const written = captureLogs(t);
    const url = `http://127.0.0.1:${server.port}`;
    const given = { url, securityLevel: 'maximum', monitoring: false } as const;
    await closeAfter(t, new HTTPConnection(given)).send('x');
    await closeAfter(t, new SSEConnection(given)).connect();
    await closeAfter(t, new WebSocketConnection({ ...given, url: `wss://127.0.0.1:${server.port}` })).connect();
    const refused = written.filter(({ data }) => data['action'] === 'security');
    assert.deepEqual(
      refused.map(({ level, event, data }) => [level, event, data['connectionType'], data['outcome'], data['code']]),
      [
        ['warn', 'connection.audit', 'http', 'failure', 'ERR_MOORLINE_PLAIN_TEXT_REFUSED'],
        ['warn', 'connection.audit', 'sse', 'failure', 'ERR_MOORLINE_PLAIN_TEXT_REFUSED'],
        ['warn', 'connection.audit', 'websocket', 'failure', 'ERR_MOORLINE_ADDRESS_REFUSED'],
      ],
    );
  });

  test('a certificate that nobody vouches for', async (t) => {
    const written = captureLogs(t);
    const authority = new Authority();
    const secure = await startServer(createServer(authority.issue(['IP:127.0.0.1'])));
    t.after(() => (authority.remove(), secure.close()));
    await closeAfter(t, new HTTPConnection({ url: secure.url, monitoring: false })).send('x');
    assert.deepEqual(
      written.map(({ level, data }) => [level, data['action'], data['code']]),
      [['warn', 'security', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']],
    );
  });

  test('a connect that failed', { skip: peersMissing() }, async (t) => {
    const written = captureLogs(t);
    const url = `ws://127.0.0.1:${await freePort()}`;
    await closeAfter(t, new WebSocketConnection({ url, monitoring: false })).connect();
    const [audit] = written.filter(({ event }) => event === 'connection.audit');
    assert.deepEqual([audit?.level, audit?.data['action'], audit?.data['outcome']], ['warn', 'connect', 'failure']);
  });

  test('false: none', async (t) => {
    const written = captureLogs(t);
    const connection = connect(t, { auditLogging: false });
    await connection.connect();
    status = 401;
    await connection.send('x');
    status = 200;
    await connection.disconnect();
    assert.deepEqual(written, []);
  });
});

describe('debug', () => {
  test('every event is written, with its level, and no credential', async (t) => {
    const written = captureLogs(t);
    const connection = connect(t, { debug: true, auditLogging: false });
    await connection.connect();
    await connection.send({ secret: SECRET });
    status = 401;
    await connection.send({ url: '', method: 'GET', headers: { authorization: SECRET } });
    status = 200;
    connection.emitEvent('mine', { severity: 'warning', message: 'look' });
    const levels = new Map(written.map(({ event, level }) => [event, level]));
    assert.equal(levels.get('connection.state_changed'), 'debug');
    assert.equal(levels.get('connection.authentication_failed'), 'error');
    assert.equal(levels.get('connection.mine'), 'warn');
    assert.ok(written.every(({ correlationId }) => correlationId === connection.connectionId));
    assert.ok(!JSON.stringify(written).includes(SECRET));
  });

  test('without it nothing is', async (t) => {
    const written = captureLogs(t);
    const connection = connect(t, { auditLogging: false });
    await connection.connect();
    connection.emitEvent('mine', { severity: 'error' });
    assert.deepEqual(written, []);
  });

  /** What a process of its own writes to stderr, where nobody has set a logger. */
  async function stderrOf(config: ConnectionConfig, environment: Record<string, string>): Promise<string[]> {
    const entry = JSON.stringify(mainEntry);
    const script = `
      const { HTTPConnection } = require(${entry});
      const connection = new HTTPConnection(${JSON.stringify({ url: 'http://127.0.0.1:9', monitoring: false, ...config })});
      connection.connect().then(() => {
        connection.emitEvent('warned', { severity: 'warning' });
        return connection.disconnect();
      });`;
    const { LOG_LEVEL: _, ...inherited } = process.env;
    const child = spawn(process.execPath, ['-e', script], { env: { ...inherited, ...environment } });
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    await once(child, 'close');
    const lines = text.split('\n').filter(Boolean);
    return lines.map((line) => (JSON.parse(line) as { event: string }).event);
  }

  test('logLevel is the least severe that is written, to stderr', async () => {
    const debugged = await stderrOf({ debug: true }, {});
    assert.ok(debugged.includes('connection.state_changed') && debugged.includes('connection.warned'));
    assert.deepEqual(await stderrOf({ debug: true, logLevel: 'warn' }, {}), ['connection.warned']);
    assert.deepEqual(await stderrOf({}, {}), []);
    assert.deepEqual(await stderrOf({ debug: true }, { LOG_LEVEL: 'off' }), []);
    assert.deepEqual(await stderrOf({}, { LOG_LEVEL: 'info' }), ['connection.audit', 'connection.audit']);
  });
});

describe('what is shown of a connection', { skip: peersMissing() }, () => {
  let sockets: SocketServer;
  before(async () => (sockets = await socketServer()));
  after(() => sockets.close());

  test('no status, event, error or print has a credential in it', async (t) => {
    const { inspect } = await import('node:util');
    const written = captureLogs(t);
    const url = `ws://user:${SECRET}@127.0.0.1:${sockets.port}/?token=${SECRET}`;
    const given = { url, customHeaders: { Authorization: `Bearer ${SECRET}` }, debug: true, monitoring: false };
    const connection = closeAfter(
      t,
      new WebSocketConnection({ ...given, fallbackUrl: `ws://u:${SECRET}@127.0.0.1:9` }),
    );
    const events: unknown[] = [];
    connection.onEvent((event) => events.push(event));
    await connection.connect();
    sockets.sockets[0].terminate();
    await eventually(() => events.length > 5);
    for (const thing of [connection, connection.getStatus(), connection.config, events, written]) {
      assert.ok(!inspect(thing, { depth: 8 }).includes(SECRET), inspect(thing));
    }
    assert.ok(!JSON.stringify([connection.getStatus(), events, written]).includes(SECRET));
    assert.equal(
      Object(connection.config.customHeaders)['Authorization'],
      `Bearer ${SECRET}`,
      'the value itself is whole',
    );
    assert.equal(connection.getStatus().isAuthenticated, true);
  });
});
