// The retry events of a connection: one for each attempt of a request or a connect that it repeats.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { HTTPConnection, MoorlineError, SSEConnection } from 'moorline';

import { closeAfter, EventRecorder, captureLogs } from '../../support/connections';
import { type RunningServer, serve } from '../../support/http';
import { freePort } from '../../support/ports';

let server: RunningServer;
/** How many of the next requests are answered with 503. */
let failures = 0;
before(async () => {
  server = await serve((request, response) => {
    request.resume();
    failures -= 1;
    if (failures >= 0) response.writeHead(503).end();
    else response.end('{}');
  });
});
after(() => server.close());

const CONFIG = { retryCount: 3, retryDelay: 1 };

describe('a retry is emitted', () => {
  const verbs: Record<string, (connection: HTTPConnection) => Promise<unknown>> = {
    request: (connection) => connection.request({ url: '/' }),
    send: (connection) => connection.send({ method: 'PUT', url: '/', body: {} }),
    receive: (connection) => connection.receive(),
  };
  for (const [verb, call] of Object.entries(verbs)) {
    test(`for ${verb} that was answered with 503, with the attempt, the pause and the reason`, async (t) => {
      const connection = closeAfter(t, new HTTPConnection({ ...CONFIG, url: server.url }));
      await connection.connect();
      const recorder = new EventRecorder(connection);
      const emitted: { attempt: number; delayMs: number; reason: string; error: unknown }[] = [];
      connection.on('retry', (event) => emitted.push(event));
      failures = 2;
      assert.ok(await call(connection));
      const retries = recorder.of('retry');
      assert.deepEqual(
        retries.map(({ data, severity }) => [data.attempt, severity]),
        [
          [1, 'warning'],
          [2, 'warning'],
        ],
      );
      for (const { data, message } of retries) {
        assert.match(data.reason, /503/);
        assert.equal(message, data.reason);
        assert.ok(data.delay_ms >= 0 && data.delay_ms <= 4, `${data.delay_ms} ms`);
      }
      assert.deepEqual(
        emitted.map(({ attempt, delayMs, reason }) => ({ attempt, delay_ms: delayMs, reason })),
        retries.map(({ data }) => data),
      );
      for (const { error } of emitted) assert.ok(error instanceof MoorlineError && error.detail?.['status'] === 503);
      assert.equal(recorder.count('error'), 0, 'what succeeded in the end is no error');
    });
  }

  test('for a refused connection, and not for a request that must not be repeated', async (t) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const connection = closeAfter(t, new HTTPConnection({ ...CONFIG, url, retryCount: 1 }));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.send('a'), false);
    assert.deepEqual(
      recorder.of('retry').map(({ data }) => [data.attempt, /ECONNREFUSED/.test(data.reason)]),
      [[1, true]],
    );
    const post = closeAfter(t, new HTTPConnection({ ...CONFIG, url: server.url }));
    const postRecorder = new EventRecorder(post);
    failures = 1;
    const { status } = await post.request({ method: 'POST', url: '/' });
    assert.deepEqual([status, postRecorder.count('retry')], [503, 0]);
  });

  test('for a connect with { retry: true }', async (t) => {
    captureLogs(t);
    const url = `http://127.0.0.1:${await freePort()}`;
    const connection = closeAfter(t, new SSEConnection({ ...CONFIG, url, retryCount: 2 }));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect({ retry: true }), false);
    assert.deepEqual(
      recorder.of('retry').map(({ data }) => data.attempt),
      [1, 2],
    );
  });
});
