// An argument that is in the wrong place may be a secret, such as a URL with a password where options belong: the error
// tells its kind, never what it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';

import {
  ConnectionPool,
  HealthMonitor,
  HTTPConnection,
  JitterRetry,
  NixtlaClient,
  Policy,
  setLogger,
  SSEConnection,
  TursoPool,
  WebhookVerifier,
  WebSocketConnection,
} from 'moorline';
import { createClient } from 'moorline/libsql';

const SECRET = 'hunter2';
const url = `https://user:${SECRET}@127.0.0.1/?token=${SECRET}`;
const http = 'http://127.0.0.1:9';

const CALLS: Record<string, (wrong: any) => unknown> = {
  'options of an HTTPConnection': (wrong) => new HTTPConnection(wrong),
  'options of a WebSocketConnection': (wrong) => new WebSocketConnection(wrong),
  'options of an SSEConnection': (wrong) => new SSEConnection(wrong),
  'tls of a connection': (tls) => new HTTPConnection({ url: http, tls }),
  'customOptions of a connection': (customOptions) => new SSEConnection({ url: http, customOptions }),
  'a cursor': (cursor) => new SSEConnection({ url: http, customOptions: { cursor } }),
  'a handler of messages': (wrong) => new SSEConnection({ url: http }).onMessage(wrong),
  'a factory': (wrong) => new ConnectionPool({}, wrong),
  'the use of a pool': (wrong) => new ConnectionPool({}, () => ({})).use(wrong),
  'options of a TursoPool': (wrong) => new TursoPool(wrong),
  'a statement of a TursoPool': (wrong) => new TursoPool({ url: ':memory:' }).execute('SELECT 1', wrong),
  'options of a client': (wrong) => createClient(wrong),
  'options of a NixtlaClient': (wrong) => new NixtlaClient(wrong),
  'options of a WebhookVerifier': (wrong) => new WebhookVerifier(wrong),
  'a checker': (wrong) => new HealthMonitor().register('check', wrong),
  'a logger': (wrong) => setLogger(wrong),
  'options of a Policy': (wrong) => new Policy(wrong),
  'the work of a Policy': (wrong) => new Policy().run(wrong),
  'the work of a retry': (wrong) => new JitterRetry(1, 1, 0).execute(wrong),
  'a signal': (signal) => new Policy().run(() => 1, { signal }),
};

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name}: an error about another value does not show it`, async () => {
    // An object with members that could be options is refused, if at all, for their names.
    for (const wrong of [url, [url], Object.assign(() => undefined, { url }), Symbol(url)]) {
      const error = await Promise.resolve()
        .then(() => call(wrong))
        .catch((thrown: unknown) => thrown);
      assert.doesNotMatch(inspect(error, { depth: 8 }), /hunter2/);
      if (typeof wrong === 'string') assert.ok(error instanceof TypeError, inspect(error));
    }
  });
}

test('a URL object, where text belongs, is told as such', () => {
  const proxy = new URL(url) as never;
  assert.throws(() => new HTTPConnection({ url: http, proxy }), {
    message: 'options.proxy must be a string, got an instance of URL',
  });
});
