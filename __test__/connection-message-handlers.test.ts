// Handlers of the user's that fail: nothing else is disturbed, and the process goes on.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';

import { SSEConnection, type SSEEvent } from 'moorline';

import { closing, eventServer, records } from './support/connections';
import { eventually } from './support/eventually';

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
      const written = records(t);
      const server = await eventServer();
      t.after(() => server.close());
      const connection = closing(t, new SSEConnection({ url: server.url, monitoring: false }));
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
