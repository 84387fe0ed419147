// A connection whose recovery is given up: its state, the reason, and how its iteration ends.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { type ConnectionConfig, setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import {
  type EventServer,
  eventServer,
  ConnectionFactory,
  captureLogs,
  type SocketServer,
  socketServer,
} from '../../support/connections';
import { eventually } from '../../support/eventually';
import { peersMissing } from '../../support/peers';
import { freePort } from '../../support/ports';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** Iterates to the end; returns the messages, and the error if the iteration rejects. */
async function read(connection: SSEConnection | WebSocketConnection) {
  const messages: unknown[] = [];
  try {
    for await (const message of connection) messages.push(message);
    return { messages };
  } catch (error) {
    return { messages, error: error as Error & { kind: string; code: string } };
  }
}

describe('an SSEConnection that is given up', () => {
  let server: EventServer;
  let refuse: (request: IncomingMessage, response: ServerResponse) => boolean;
  beforeEach(async () => {
    refuse = () => false;
    server = await eventServer((request, response) => refuse(request, response));
  });
  afterEach(async () => {
    await factory.close();
    await server.close();
  });
  const factory = new ConnectionFactory(
    (config: ConnectionConfig) => new SSEConnection({ url: server.url, monitoring: false, retryDelay: 1, ...config }),
  );

  for (const [status, kind] of [
    [204, undefined],
    [401, 'auth'],
    [404, 'rejected'],
  ] as const) {
    test(`by status ${status} is disconnected, with the reason; iterating ${kind ? 'rejects' : 'ends'}`, async () => {
      const { connection, recorder } = await factory.open();
      const reading = read(connection);
      refuse = (_, response) => (response.writeHead(status).end(), true);
      server.streams[0]?.end();
      const { error } = await reading;
      assert.equal(error?.kind, kind);
      const state = recorder.of('state_changed').at(-1);
      assert.equal(state?.data.new_state, 'disconnected');
      assert.match(String(state?.data.reason), new RegExp(String(status)));
      assert.equal(state?.message, state?.data.reason);
      assert.match(connection.getStatus().lastError ?? '', new RegExp(String(status)));
      assert.equal(connection.getStatus().state, 'disconnected');
    });
  }

  test('after the last attempt rejects the loop with its error', async () => {
    const { connection } = await factory.open({ recoveryStrategy: 'reconnect' });
    const reading = read(connection);
    refuse = (_, response) => (response.writeHead(503).end(), true);
    server.streams[0]?.end();
    assert.equal((await reading).error?.kind, 'rejected');
  });

  test('with autoReconnect off: the end of the server is the end, a lost connection an error', async () => {
    const { connection } = await factory.open({ autoReconnect: false });
    const ended = read(connection);
    server.streams[0]?.end();
    assert.equal((await ended).error, undefined);
    assert.equal(await connection.connect(), true);
    const lost = read(connection);
    await eventually(() => server.streams.length === 1);
    server.streams[0]?.destroy();
    assert.equal((await lost).error?.kind, 'disconnected');
  });

  test('messages that arrived before can be read; then the loop rejects', async () => {
    const { connection, recorder } = await factory.open({ autoReconnect: false });
    server.send('data: 1\n\n');
    server.streams[0]?.write('data: 2\n\n', () => server.streams[0]?.destroy());
    await recorder.until('connection_lost');
    const { messages, error } = await read(connection);
    assert.deepEqual([messages.length, error?.kind], [2, 'disconnected']);
  });

  test('a first connect() that failed is what iterating rejects with', async () => {
    const { connection } = factory.make({ url: `http://127.0.0.1:${await freePort()}` });
    assert.equal(await connection.connect(), false);
    assert.equal((await read(connection)).error?.code, 'ECONNREFUSED');
  });
});

describe('a WebSocketConnection that is given up', { skip: peersMissing() }, () => {
  let server: SocketServer;
  before(async () => (server = await socketServer()));
  after(() => server.close());
  const factory = new ConnectionFactory(
    (config: ConnectionConfig) => new WebSocketConnection({ url: server.url, monitoring: false, ...config }),
  );
  afterEach(() => factory.close());

  for (const [code, kind, autoReconnect] of [
    [1000, undefined, true],
    [1005, undefined, false],
    [1001, 'disconnected', false],
    [1008, 'disconnected', true],
  ] as const) {
    test(`by close code ${code}: iterating ${kind ? 'rejects' : 'ends'}`, async () => {
      const { connection, recorder } = await factory.open({ autoReconnect });
      const reading = read(connection);
      // The socket of the test before may still be open.
      const socket = server.sockets.at(-1);
      if (code === 1005) socket.close();
      else socket.close(code, 'enough');
      assert.equal((await reading).error?.kind, kind);
      assert.match(recorder.of('state_changed').at(-1)?.data.reason ?? '', new RegExp(`: ${code}`));
    });
  }
});

describe('auditLogging of a failure', () => {
  test('has the reason in words and as a code', async (t) => {
    const written = captureLogs(t);
    const connection = new SSEConnection({ url: `http://127.0.0.1:${await freePort()}`, monitoring: false });
    await connection.connect();
    const [{ data } = { data: {} as Record<string, unknown> }] = written.filter(
      ({ event }) => event === 'connection.audit',
    );
    assert.deepEqual([data['action'], data['outcome'], data['code']], ['connect', 'failure', 'ECONNREFUSED']);
    assert.match(String(data['reason']), /could not connect to 127\.0\.0\.1/);
  });
});
