// Handlers of the user's that fail: nothing else is disturbed, and the process goes on.
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { runInNewContext } from 'node:vm';

import { SSEConnection, type SSEEvent } from 'moorline';

import { closeAfter, eventServer, captureLogs } from '../../support/connections';
import { eventually } from '../../support/eventually';

/** Ways to fail; what is thrown may be of any kind. */
const FAILURES: [name: string, fail: () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error('no');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no'))],
  ['rejects with nothing', () => Promise.reject()],
  ['rejects with a promise of another realm', () => runInNewContext('Promise.reject(new Error("no"))')],
  [
    'gives a thenable that rejects',
    () => ({ then: (_: unknown, reject: (error: Error) => void) => reject(Error('no')) }),
  ],
  [
    'gives a thenable whose then throws',
    () => ({
      then() {
        throw new Error('no');
      },
    }),
  ],
  [
    'gives an object whose then cannot be read',
    () =>
      Object.defineProperty({}, 'then', {
        get() {
          throw new Error('no');
        },
      }),
  ],
];

describe('a handler that', () => {
  for (const [name, fail] of FAILURES) {
    test(`${name} is logged, and stops nothing`, async (t) => {
      const written = captureLogs(t);
      const server = await eventServer();
      t.after(() => server.close());
      const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false }));
      const unhandled: unknown[] = [];
      const onUnhandled = (error: unknown) => unhandled.push(error);
      process.on('unhandledRejection', onUnhandled).on('uncaughtException', onUnhandled);
      t.after(() => process.off('unhandledRejection', onUnhandled).off('uncaughtException', onUnhandled));
      const others: string[] = [];
      connection.onEvent(fail);
      connection.onStateChange(fail);
      connection.onMessage(fail);
      connection.onMessage(({ data }: SSEEvent) => others.push(data));
      assert.equal(await connection.connect(), true);
      server.send('data: 1\n\ndata: 2\n\n');
      await eventually(() => others.length === 2);
      await eventually(() => written.filter(({ event }) => event === 'connection.handler-failed').length > 4);
      assert.deepEqual([others, unhandled], [['1', '2'], []]);
    });
  }
});

describe('the handlers of onMessage', () => {
  /** A connection whose handlers end when the test says so. */
  async function opened(t: TestContext) {
    const server = await eventServer();
    t.after(() => server.close());
    const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false }));
    assert.equal(await connection.connect(), true);
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const handler = ({ data }: SSEEvent) => {
      begun.push(data);
      return new Promise<void>((resolve) => ends.push(resolve));
    };
    const send = (...data: unknown[]) => server.send(data.map((one) => `data: ${String(one)}\n\n`).join(''));
    return { connection, server, begun, ends, handler, send };
  }

  test('are given one message after the other', async (t) => {
    const { connection, begun, ends, handler, send } = await opened(t);
    const others: string[] = [];
    connection.onMessage(handler);
    connection.onMessage(({ data }) => others.push(data));
    send(1, 2, 3);
    await eventually(() => others.length === 3);
    assert.deepEqual(begun, ['1'], 'the second waits until the first was handled; another handler does not');
    ends[0]!();
    await eventually(() => begun.length === 2);
    ends[1]!();
    await eventually(() => begun.length === 3);
    assert.deepEqual(begun, ['1', '2', '3']);
  });

  test('are given as many at once as concurrency says', async (t) => {
    const { connection, begun, ends, handler, send } = await opened(t);
    const others: string[] = [];
    connection.onMessage(handler, { concurrency: 2 });
    connection.onMessage(({ data }) => others.push(data));
    send(1, 2, 3, 4);
    await eventually(() => others.length === 4);
    assert.deepEqual(begun, ['1', '2']);
    ends[1]!();
    await eventually(() => begun.length === 3);
    assert.deepEqual(begun, ['1', '2', '3']);
  });

  test('get what had come after disconnect(), too; one that was taken off gets nothing more', async (t) => {
    const { connection, begun, ends, handler, send } = await opened(t);
    const others: string[] = [];
    const gone: string[] = [];
    connection.onMessage(handler);
    const remove = connection.onMessage(({ data }) => {
      gone.push(data);
      return new Promise(() => undefined);
    });
    connection.onMessage(({ data }) => others.push(data));
    send(1, 2);
    await eventually(() => others.length === 2);
    remove();
    await connection.disconnect();
    ends[0]!();
    await eventually(() => begun.length === 2);
    assert.deepEqual([begun, gone], [['1', '2'], ['1']]);
  });

  test('that do not keep up make the server wait', async (t) => {
    const { connection, server, begun, ends, handler } = await opened(t);
    connection.onMessage(handler);
    const stream = server.streams[0]!;
    const batch = `data: ${'x'.repeat(1000)}\n\n`.repeat(100);
    // Far more than the queues and the buffers of the system hold.
    let written = 0;
    const full = () => {
      while (written < 1000 && stream.write(batch)) written += 1;
      return stream.writableNeedDrain;
    };
    let polls = 0;
    let before = -1;
    await eventually(() => {
      polls = full() && stream.writableLength === before ? polls + 1 : 0;
      before = stream.writableLength;
      return polls >= 20;
    }, 20_000);
    assert.ok(written < 1000, `all ${written} batches went out`);
    // It goes on where the handler does.
    const drained = new Promise<void>((resolve) => void stream.once('drain', resolve));
    let going = true;
    t.after(() => (going = false));
    const handle = () => {
      for (const end of ends.splice(0)) end();
      if (going) setImmediate(handle);
    };
    handle();
    await drained;
    assert.ok(begun.length > 0);
  });

  test('a concurrency that is none is refused', async (t) => {
    const { connection, handler } = await opened(t);
    for (const concurrency of [0, 1.5, NaN]) {
      assert.throws(() => connection.onMessage(handler, { concurrency }), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: `options.concurrency must be a whole number ≥ 1, or Infinity, got ${concurrency}`,
      });
    }
    assert.throws(() => connection.onMessage(handler, { parallel: 2 } as object), /options\.parallel is not a known/);
  });
});

test('what a handler threw is logged with its stack', async (t) => {
  const written = captureLogs(t);
  const server = await eventServer();
  t.after(() => server.close());
  const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false }));
  connection.onMessage(function faulty() {
    throw new Error('no');
  });
  await connection.connect();
  server.send('data: 1\n\n');
  await eventually(() => written.some(({ event }) => event === 'connection.handler-failed'));
  const { data } = written.find(({ event }) => event === 'connection.handler-failed')!;
  assert.equal(data['error'], 'no');
  assert.match(String(data['stack']), /Error: no\n\s+at faulty .*message-handlers\.test/);
});
