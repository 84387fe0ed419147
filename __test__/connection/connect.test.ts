// The first connect(): repeated where that is asked for, and refused by a breaker that says until when.
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';

import { BaseConnection, type ConnectionConfig, type MoorlineError, setLogger, SSEConnection } from 'moorline';

import { closeAfter, eventServer, EventRecorder } from '../support/connections';
import { eventually } from '../support/eventually';
import { freePort } from '../support/ports';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** A server that refuses the first `refusals` streams. */
async function refusing(t: TestContext, refusals: number, status = 503) {
  const server = await eventServer((_, response) => {
    const refused = server.requests.length <= refusals;
    if (refused) response.writeHead(status).end();
    return refused;
  });
  t.after(() => server.close());
  return server;
}

function connect(t: TestContext, config: ConnectionConfig) {
  const connection = closeAfter(t, new SSEConnection({ monitoring: false, retryDelay: 1, ...config }));
  return { connection, recorder: new EventRecorder(connection) };
}

describe('connect({ retry: true })', () => {
  test('repeats what fails, and is true when it is open', async (t) => {
    const server = await refusing(t, 2);
    const { connection, recorder } = connect(t, { url: server.url });
    const retries: number[] = [];
    connection.on('retry', ({ attempt }) => retries.push(attempt));
    assert.equal(await connection.connect({ retry: true }), true);
    assert.deepEqual([server.requests.length, retries, recorder.count('connection_failed')], [3, [1, 2], 0]);
  });

  test('gives up after retryCount more attempts, as one failure', async (t) => {
    const server = await refusing(t, 100);
    const { connection, recorder } = connect(t, { url: server.url, retryCount: 2, circuitBreakerThreshold: 2 });
    assert.equal(await connection.connect({ retry: true }), false);
    assert.equal(server.requests.length, 3);
    assert.deepEqual([recorder.count('connection_failed'), recorder.count('circuit_breaker_opened')], [1, 0]);
  });

  test('does not repeat what will not pass, and nothing without it', async (t) => {
    const server = await refusing(t, 100, 401);
    assert.equal(await connect(t, { url: server.url }).connection.connect({ retry: true }), false);
    assert.equal(server.requests.length, 1);
    const busy = await refusing(t, 100);
    assert.equal(await connect(t, { url: busy.url }).connection.connect(), false);
    assert.equal(busy.requests.length, 1);
  });

  test('disconnect() ends it', async (t) => {
    const server = await refusing(t, 100);
    const { connection } = connect(t, { url: server.url, retryDelay: 600_000 });
    const connecting = connection.connect({ retry: true });
    await eventually(() => server.requests.length === 1);
    await connection.disconnect();
    assert.equal(await connecting, false);
  });

  test('repeats connectImpl of a class of one’s own', async (t) => {
    let attempts = 0;
    class Own extends BaseConnection {
      protected override async connectImpl(): Promise<boolean> {
        if (++attempts === 1) throw new Error('not yet');
        return attempts > 2;
      }
      protected override async sendImpl(): Promise<unknown> {
        return true;
      }
      protected override async receiveImpl(): Promise<unknown> {
        return null;
      }
    }
    const connection = closeAfter(t, new Own({ monitoring: false, retryDelay: 1 }));
    assert.equal(await connection.connect({ retry: true }), true);
    assert.equal(attempts, 3);
  });

  test('another option, or another type, is refused by its name', async (t) => {
    const { connection } = connect(t, { url: 'http://127.0.0.1:9' });
    await assert.rejects(connection.connect({ retries: 3 } as object), {
      name: 'TypeError',
      message: /options\.retries/,
    });
    await assert.rejects(connection.connect({ retry: 3 as unknown as boolean }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'options.retry must be a boolean, got 3',
    });
  });
});

test('a breaker that refuses says so, and until when', async (t) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { connection, recorder } = connect(t, { url, circuitBreakerThreshold: 1, circuitBreakerTimeout: 60_000 });
  assert.equal(await connection.connect(), false);
  assert.equal(await connection.connect(), false);
  const { data, message } = await recorder.until('circuit_breaker_refused');
  assert.equal(data.context, 'connect');
  const left = (data.retry_at ?? 0) - Date.now();
  assert.ok(left > 0 && left <= 60_000, String(left));
  const [, leftMs] = /^Circuit breaker '(?:.+)' is open; next attempt in (\d+) ms$/.exec(message ?? '') ?? [];
  assert.ok(Number(leftMs) > 0 && Number(leftMs) <= 60_000, message);
  assert.equal(connection.getStatus().lastError, message);
  assert.equal(recorder.count('connection_failed'), 1);
  const iterated = connection[Symbol.asyncIterator]().next();
  await assert.rejects(iterated, (error: MoorlineError) => error.kind === 'circuit-open' && error.retryAfterMs! > 0);
});
