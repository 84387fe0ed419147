// Errors of what took too long: each ends with the option that bounds it, and has it in `detail.limit`.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, describe, test, type TestContext } from 'node:test';

import {
  type BaseConnection,
  type ConnectionConfig,
  ConnectionPool,
  HTTPConnection,
  MoorlineError,
  NixtlaClient,
  Policy,
  SSEConnection,
  TursoPool,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, EventRecorder, socketServer } from '../support/connections';
import { FaultProxy } from '../support/fault-proxy';
import { type RunningServer, startServer } from '../support/http';
import { peersMissing } from '../support/peers';

/** Checks that `thrown` names `limit`. */
function names(limit: string, thrown: unknown): void {
  assert.ok(thrown instanceof MoorlineError, String(thrown));
  assert.equal(thrown.code, 'ETIMEDOUT');
  assert.ok(thrown.message.endsWith(` (${limit})`), thrown.message);
  assert.equal(thrown.detail?.limit, limit);
}

async function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => assert.fail('it did not reject'),
    (error: unknown) => error,
  );
}

/** The error of a `connect()` that fails. */
async function unopened(connection: BaseConnection): Promise<unknown> {
  const recorder = new EventRecorder(connection);
  assert.equal(await connection.connect(), false);
  return recorder.of('error').at(-1)?.data.error;
}

describe('what took too long names its option', () => {
  /** Takes every connection and never says anything. */
  let silent: RunningServer;
  before(async () => {
    silent = await startServer(createServer(), 'http');
  });
  after(() => silent.close());

  const quick: ConnectionConfig = { monitoring: false, retryCount: 0, timeout: 30 };

  test('a pool of connections', async (t) => {
    const pool = new ConnectionPool({ maxSize: 1, minSize: 1, acquireTimeout: 0.02 }, () => ({}));
    t.after(() => pool.stop());
    await pool.start();
    await pool.use(async () => {
      names('acquireTimeout', await rejection(pool.use(() => 1)));
      names('timeoutSeconds', await rejection(pool.use(() => 1, { timeoutSeconds: 0.02 })));
    });
  });

  test('a pool whose connections take too long to be made', async (t) => {
    const never = () => new Promise<never>(() => undefined);
    const pool = new ConnectionPool({ maxSize: 1, acquireTimeout: 1, connectTimeout: 0.02 }, never);
    t.after(() => pool.stop());
    const error = (await rejection(pool.use(() => 1))) as MoorlineError;
    names('acquireTimeout', error);
    assert.match((error.cause as Error).message, / \(connectTimeout\)$/);
  });

  test('a pool whose connections take too long to be closed', async (t) => {
    const disconnect = () => new Promise<never>(() => undefined);
    const pool = new ConnectionPool({ maxSize: 1, releaseTimeout: 0.02 }, () => ({ disconnect }));
    t.after(() => pool.stop());
    const emitted = new Promise<unknown>((resolve) => pool.on('error', ({ error }) => resolve(error)));
    await pool.use(() => 1);
    await pool.stop();
    const error = await emitted;
    assert.match(String((error as Error).message ?? error), / \(releaseTimeout\)$/);
  });

  test('a database: a connection of its pool, and a statement', async (t) => {
    const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c';
    const options = { url: ':memory:', poolSize: 1, connectionTimeoutMs: 20, queryTimeoutMs: 30 };
    const pool = new TursoPool(options);
    t.after(() => pool.drain(0));
    const lease = await pool.getConnection();
    names('connectionTimeoutMs', await rejection(pool.getConnection()));
    pool.releaseConnection(lease);
    names('queryTimeoutMs', await rejection(pool.execute(endless)));
    names('timeoutMs', await rejection(pool.execute(endless, [], { timeoutMs: 20 })));
  });

  test('a request of Nixtla, and one call as a whole', async () => {
    const client = new NixtlaClient({ apiKey: 'key', baseUrl: silent.url, timeout: 30, maxRetries: 0 });
    const timeseries = [1, 2, 3].map((value) => ({ timestamp: `2024-01-0${value}`, value }));
    const forecast = (options?: { timeoutMs: number }) => client.forecast({ timeseries, horizon: 1 }, options);
    names('timeout', await rejection(forecast()));
    names('timeoutMs', await rejection(forecast({ timeoutMs: 10 })));
  });

  test('a policy', async () => {
    const never = () => new Promise<never>(() => undefined);
    names('attemptTimeoutMs', await rejection(new Policy({ attemptTimeoutMs: 20, retry: false }).run(never)));
    names('timeoutMs', await rejection(new Policy({ timeoutMs: 20 }).run(never)));
  });

  test('a request of a connection, and its phases', async (t) => {
    const request = (config: ConnectionConfig, own: object = {}) =>
      rejection(closeAfter(t, new HTTPConnection({ ...quick, url: silent.url, ...config })).request(own));
    names('timeout', await request({}));
    names('headersTimeoutMs', await request({ timeout: 10_000, headersTimeoutMs: 20 }));
    names('timeoutMs', await request({ timeout: 10_000 }, { timeoutMs: 20 }));
    names('attemptTimeoutMs', await request({ timeout: 10_000 }, { attemptTimeoutMs: 20 }));
  });

  test('connecting over TLS that never answers', async (t) => {
    const url = silent.url.replace('http:', 'https:');
    names('timeout', await rejection(closeAfter(t, new HTTPConnection({ ...quick, url })).request({})));
    names('timeout', await unopened(closeAfter(t, new SSEConnection({ ...quick, url }))));
    names('timeout', await unopened(closeAfter(t, new WebSocketConnection({ ...quick, url }))));
  });

  test('an event stream and a WebSocket that are not opened', async (t) => {
    names('timeout', await unopened(closeAfter(t, new SSEConnection({ ...quick, url: silent.url }))));
    names('timeout', await unopened(closeAfter(t, new WebSocketConnection({ ...quick, url: silent.url }))));
  });

  test('headers that are asked for', async (t) => {
    const customHeaders = () => new Promise<never>(() => undefined);
    names('timeout', await unopened(closeAfter(t, new SSEConnection({ ...quick, url: silent.url, customHeaders }))));
  });

  test('health checks', async (t) => {
    const checked = async (connection: BaseConnection, timeoutMs?: number) =>
      (await closeAfter(t, connection).healthCheck(timeoutMs)).errorMessage ?? '';
    const http = () => new HTTPConnection({ ...quick, url: silent.url, healthCheckTimeout: 30 });
    assert.match(await checked(http()), / \(healthCheckTimeout\)$/);
    assert.match(await checked(http(), 20), / \(timeoutMs\)$/);
  });

  test('a message that is not written, a ping that is not answered', { skip: peersMissing() }, async (t) => {
    const { connection, recorder, proxy } = await blackHoled(t, { keepAlive: Infinity, healthCheckTimeout: 50 });
    assert.match((await connection.healthCheck()).errorMessage ?? '', / \(healthCheckTimeout\)$/);
    assert.match((await connection.healthCheck(20)).errorMessage ?? '', / \(timeoutMs\)$/);
    assert.equal(await connection.send('x'.repeat(20_000_000)), false);
    names('timeout', recorder.of('error').at(-1)?.data.error);
    proxy.set({ kind: 'none' });
  });

  test('a server that says nothing after a ping', { skip: peersMissing() }, async (t) => {
    const { recorder } = await blackHoled(t, { keepAlive: 20, healthCheckTimeout: 50, autoReconnect: false });
    names('healthCheckTimeout', (await recorder.until('connection_lost')).data.error);
  });

  /** An open WebSocket whose server is gone. */
  async function blackHoled(t: TestContext, config: ConnectionConfig) {
    const server = await socketServer();
    const proxy = await FaultProxy.start(server.port);
    const url = `ws://127.0.0.1:${proxy.port}`;
    const connection = new WebSocketConnection({ ...quick, url, timeout: 500, compression: false, ...config });
    t.after(async () => {
      await connection.disconnect();
      await proxy.close();
      await server.close();
    });
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    proxy.set({ kind: 'black-hole' });
    return { connection, recorder, proxy };
  }
});
