// Messages that a WebSocket connection cannot send: each is false, and its reason is reported.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { type ConnectionConfig, MoorlineError, WebSocketConnection } from 'moorline';

import { closeAfter, EventRecorder, socketServer } from '../../support/connections';
import { FaultProxy } from '../../support/fault-proxy';
import { peersMissing } from '../../support/peers';

describe('a message that is sent while nothing is open', { skip: peersMissing() }, () => {
  const quick: ConnectionConfig = { monitoring: false, circuitBreakerThreshold: 1, recoveryStrategy: 'none' };

  /** Sends on `connection`, and gives the error that the one event of it carries. */
  async function sendExpectingError(connection: WebSocketConnection): Promise<MoorlineError> {
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.send({ lost: true }), false);
    assert.deepEqual(
      recorder.events.map(({ eventType }) => eventType),
      ['error'],
    );
    const [{ data, message } = assert.fail()] = recorder.of('error');
    assert.equal(data.context, 'send');
    const { error } = data;
    assert.ok(error instanceof MoorlineError);
    assert.deepEqual(
      [error.kind, error.code, error.service, error.operation, error.delivery, error.retryable],
      ['closed', 'ERR_MOORLINE_CLOSED', 'websocket', 'send', 'none', false],
    );
    assert.deepEqual([message, connection.getStatus().lastError], [error.message, error.message]);
    assert.equal(connection.getMetrics().errorCount, 1);
    return error;
  }

  test('names connect(), where that was not called', async (t) => {
    const connection = closeAfter(t, new WebSocketConnection({ ...quick, url: 'ws://127.0.0.1:1' }));
    const { message, cause } = await sendExpectingError(connection);
    assert.equal(message, 'the connection was never opened: call connect() before send');
    assert.equal(cause, undefined);
  });

  test('has the loss as its cause, and opens no breaker', async (t) => {
    const server = await socketServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new WebSocketConnection({ ...quick, url: server.url }));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    server.sockets[0].close(4001, 'moved');
    await recorder.until('connection_lost');
    const { message, cause } = await sendExpectingError(connection);
    assert.equal(message, 'the connection is not open (state disconnected)');
    assert.equal((cause as MoorlineError).detail?.closeCode, 4001);
    // A breaker that a message could open would refuse this.
    assert.equal(await connection.connect(), true);
  });

  test('says so after disconnect()', async (t) => {
    const server = await socketServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new WebSocketConnection({ ...quick, url: server.url }));
    assert.equal(await connection.connect(), true);
    await connection.disconnect();
    const { message, cause } = await sendExpectingError(connection);
    assert.deepEqual([message, cause], ['the connection is not open (state disconnected)', undefined]);
  });
});

test('a receive that the circuit breaker refuses is reported', { skip: peersMissing() }, async (t) => {
  const server = await socketServer();
  const proxy = await FaultProxy.start(server.port);
  const connection = new WebSocketConnection({
    url: `ws://127.0.0.1:${proxy.port}`,
    ...{ monitoring: false, compression: false, timeout: 200, circuitBreakerThreshold: 1 },
  });
  t.after(async () => {
    await connection.disconnect();
    await proxy.close();
    await server.close();
  });
  assert.equal(await connection.connect(), true);
  const recorder = new EventRecorder(connection);
  proxy.set({ kind: 'black-hole' });
  assert.equal(await connection.send('x'.repeat(20_000_000)), false);
  await recorder.until('circuit_breaker_opened');
  assert.equal(await connection.receive(), null);
  assert.equal(recorder.of('circuit_breaker_refused').at(-1)?.data.context, 'receive');
});
