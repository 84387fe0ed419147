// Text messages of a WebSocket: which are JSON, those that come together, and text that is asked for as it is.
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';

import { type ConnectionConfig, setLogger, WebSocketConnection } from 'moorline';

import { closeAfter, socketServer } from '../../support/connections';
import { eventually } from '../../support/eventually';
import { peersMissing } from '../../support/peers';

before(() => setLogger({}));
after(() => setLogger(undefined));

const skip = peersMissing();

/** What `JSON.parse` decides, however it is found out. */
function expected(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return { text };
  }
}

/** A connection to a server that sends all texts in one piece. */
async function receiveFrom(t: TestContext, texts: readonly string[], config: ConnectionConfig = {}) {
  const server = await socketServer((socket) =>
    socket.on('message', () => {
      socket._socket.cork();
      for (const text of texts) socket.send(text);
      socket._socket.uncork();
    }),
  );
  t.after(() => server.close());
  return closeAfter(t, new WebSocketConnection({ url: server.url, monitoring: false, compression: false, ...config }));
}

const TEXTS = [
  ...[
    '',
    ' ',
    '{}',
    '[]',
    ' {"a":1} ',
    '\t[1]\n',
    '{"a":"}"}',
    '[{"id":1},[]]',
    '{a}',
    '{"a"',
    '{"a":1}}',
    '{} {}',
    '{},{}',
  ],
  ...[
    '[1',
    '2]',
    '[1]]',
    '[INFO] ready [ok]',
    '[12:30] up [1]',
    '[1,2',
    '[true]',
    '[truth]',
    '[null,1]',
    '["]"]',
    '[ ]',
    '{ }',
  ],
  ...[
    '"a"',
    '"',
    '""',
    '"a" and "b"',
    '"\\""',
    '"\\"',
    '"a\nb"',
    'true',
    'false',
    'null',
    'truth',
    ' true ',
    'nul',
    'True',
  ],
  ...[
    '0',
    '-0',
    '01',
    '1.5',
    '1.',
    '.5',
    '1e5',
    '1e',
    '-',
    '+1',
    '12:30',
    '1 2',
    ' 7 ',
    'NaN',
    'Infinity',
    '\uFEFF{}',
    '\u00A0{}',
  ],
  ...['plain', 'ä{}', '{"ä":"€"}', '{"__proto__":1}', '[\u2028]', `{"long":"${'x'.repeat(2000)}"}`],
];

test('a text is what JSON.parse makes of it, else { text }, alone and among others', { skip }, async (t) => {
  for (const texts of [
    TEXTS,
    TEXTS.filter((text) => /^[[{]/.test(text)),
    ['{"a":1}', '[2]', '{"b":[3]}'],
    ['{}', '{x}'],
  ]) {
    const connection = await receiveFrom(t, texts);
    const received: unknown[] = [];
    connection.onMessage((message) => void received.push(message));
    await connection.connect();
    for (const rounds of [1, 2, 3]) {
      await connection.send('more');
      await eventually(() => received.length >= texts.length * rounds);
      assert.deepEqual(received.slice(texts.length * (rounds - 1)), texts.map(expected));
    }
  }
});

test('messages that a handler leaves behind are received as if there had been none', { skip }, async (t) => {
  const texts = Array.from({ length: 20 }, (_, id) => `{"id":${id},"list":["]",{}]}`);
  const connection = await receiveFrom(t, texts);
  const handled: unknown[] = [];
  const remove = connection.onMessage((message) => {
    if (handled.push(message) === 5) remove();
  });
  await connection.connect();
  await connection.send('more');
  await eventually(() => handled.length === 5);
  const rest: unknown[] = [];
  for await (const message of connection) if (rest.push(message) === 15) break;
  assert.deepEqual([...handled, ...rest], texts.map(expected));
});

test('a subclass that parses in its own way is given every message', { skip }, async (t) => {
  const texts = ['{"id":1}', '{"id":2}', '{"id":3}'];
  const { config } = await receiveFrom(t, texts);
  class Shouting extends WebSocketConnection<string> {
    protected override parse(message: string | Buffer): string {
      return String(message).toUpperCase();
    }
  }
  const connection = closeAfter(t, new Shouting({ url: config.url, monitoring: false }));
  const received: string[] = [];
  connection.onMessage((message) => void received.push(message));
  await connection.connect();
  await connection.send('more');
  await eventually(() => received.length === 3);
  assert.deepEqual(received, ['{"ID":1}', '{"ID":2}', '{"ID":3}']);
});

test("customOptions.text 'raw' gives every text as the string it is", { skip }, async (t) => {
  const texts = ['{"id":9007199254740993}', '{}', 'no JSON', '"text"', '12'];
  for (const subscribes of [true, false]) {
    const connection = await receiveFrom(t, texts, { customOptions: { text: 'raw' } });
    const received: unknown[] = [];
    if (subscribes) connection.onMessage((message) => void received.push(message));
    await connection.connect();
    await connection.send('more');
    if (!subscribes) for await (const message of connection) if (received.push(message) === texts.length) break;
    await eventually(() => received.length === texts.length);
    assert.deepEqual(received, texts);
  }
});

test('customOptions.text is json or raw, and says the same as parse only once', () => {
  const make = (customOptions: Record<string, unknown>) => () =>
    new WebSocketConnection({ url: 'ws://127.0.0.1:1', monitoring: false, customOptions });
  make({ text: 'json' })();
  assert.throws(make({ text: 'text' }), {
    name: 'TypeError',
    message: /options\.customOptions\.text must be 'json' or 'raw'/,
  });
  assert.throws(make({ text: 'raw', parse: true }), {
    message: 'options.customOptions.text cannot be combined with parse',
  });
});

test('messages and their bytes are counted as they come and go', { skip }, async (t) => {
  const connection = await receiveFrom(t, ['{"a":1}', '{"b":"ä"}', 'plain'], {
    name: 'counted-texts',
    monitoring: true,
  });
  const { metricsText } = await import('moorline');
  const received: unknown[] = [];
  connection.onMessage((message) => void received.push(message));
  await connection.connect();
  const sent = await Promise.all([connection.send('more'), connection.send('ä')]);
  assert.deepEqual(sent, [true, true]);
  await eventually(() => received.length === 6);
  const value = (metric: string, direction: string) =>
    Number(
      new RegExp(
        `^${metric}\\{connection="counted-texts",type="websocket",direction="${direction}"\\} (\\d+)$`,
        'm',
      ).exec(metricsText())?.[1],
    );
  assert.equal(value('moorline_connection_messages_total', 'received'), 6);
  assert.equal(value('moorline_connection_bytes_total', 'received'), 2 * (7 + 10 + 5));
  assert.equal(value('moorline_connection_messages_total', 'sent'), 2);
  assert.equal(value('moorline_connection_bytes_total', 'sent'), 4 + 2);
  const { requestCount, errorCount } = connection.getMetrics();
  assert.deepEqual([requestCount, errorCount], [2, 0]);
});
