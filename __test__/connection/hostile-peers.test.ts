// WebSocket connections to servers that break the protocol, and messages that cannot be sent.
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { runInNewContext } from 'node:vm';

import { type ConnectionConfig, MoorlineError, WebSocketConnection } from 'moorline';

import { closeAfter, EventRecorder, socketServer } from '../support/connections';
import { peersMissing } from '../support/peers';

describe('a WebSocketConnection', { skip: peersMissing() }, () => {
  async function open(t: TestContext, config: ConnectionConfig = {}) {
    const server = await socketServer();
    t.after(() => server.close());
    const options = { url: server.url, monitoring: false, autoReconnect: false, compression: false, ...config };
    const connection = closeAfter(t, new WebSocketConnection(options));
    const recorder = new EventRecorder(connection);
    assert.equal(await connection.connect(), true);
    return { connection, recorder, server };
  }

  /** The error with which the connection is lost after its server has written `bytes`. */
  async function errorAfter(t: TestContext, bytes: number[]): Promise<MoorlineError> {
    const { connection, recorder, server } = await open(t);
    server.sockets[0]._socket.write(Buffer.from(bytes));
    const { data } = await recorder.until('connection_lost');
    assert.equal(await connection.isConnected(), false);
    assert.equal(recorder.count('connection_lost'), 1);
    assert.ok(data.error instanceof MoorlineError);
    return data.error;
  }

  const closeFrame = (code: number, ...reason: number[]) => [0x88, 2 + reason.length, code >> 8, code & 255, ...reason];

  for (const [what, bytes, code, closeCode] of [
    ['garbage', Array<number>(16).fill(0xff), 'WS_ERR_INVALID_OPCODE', 1002],
    ['a masked frame', [0x81, 0x81, 1, 2, 3, 4, 5], 'WS_ERR_UNEXPECTED_MASK', 1002],
    ['a ping in fragments', [0x09, 1, 0x61], 'WS_ERR_EXPECTED_FIN', 1002],
    ['a long ping', [0x89, 126, 0, 126], 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 1002],
    ['a continuation of nothing', [0x80, 0], 'WS_ERR_INVALID_OPCODE', 1002],
    ['a message inside of another', [0x01, 1, 0x61, 0x81, 1, 0x61], 'WS_ERR_INVALID_OPCODE', 1002],
    ['text that is none', [0x81, 1, 0xff], 'WS_ERR_INVALID_UTF8', 1007],
    ['half a close code', [0x88, 1, 3], 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 1002],
    ['a reason that is no text', closeFrame(1000, 0xff), 'WS_ERR_INVALID_UTF8', 1007],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(
      (illegal) => [`the close code ${illegal}`, closeFrame(illegal), 'WS_ERR_INVALID_CLOSE_CODE', 1002] as const,
    ),
  ] as const) {
    test(`is lost by ${what}, with a code that names it`, async (t) => {
      const error = await errorAfter(t, [...bytes]);
      assert.deepEqual([error.kind, error.code, error.detail?.closeCode], ['protocol', code, closeCode]);
    });
  }

  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999]) {
    test(`reports the close code ${code} of its server`, async (t) => {
      const error = await errorAfter(t, closeFrame(code, 0x62, 0x79, 0x65));
      assert.deepEqual([error.kind, error.detail?.closeCode, error.detail?.reason], ['disconnected', code, 'bye']);
    });
  }

  test('refuses values that cannot be sent, and stays open', async (t) => {
    const { connection, recorder, server } = await open(t, { circuitBreakerThreshold: 1 });
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const unreadable = { toJSON: () => assert.fail('unreadable') };
    const values = [undefined, Symbol('x'), () => 1, 1n, cyclic, revoked.proxy, unreadable, new ReadableStream()];
    for (const value of values) assert.equal(await connection.send(value), false);
    assert.equal(recorder.count('error'), values.length);
    for (const { data, message } of recorder.of('error')) {
      assert.equal(data.context, 'send');
      assert.ok(message);
    }
    assert.deepEqual([recorder.count('circuit_breaker_opened'), connection.getMetrics().requestCount], [0, 0]);
    const unusual: [value: unknown, received: unknown][] = [
      ['\u{d800}', { text: '\u{fffd}' }],
      [NaN, null],
      [runInNewContext('({ a: [1] })'), { a: [1] }],
      [new DataView(new ArrayBuffer(1)), Buffer.from([0])],
      [new Uint8Array(), Buffer.alloc(0)],
      [new Date(0), new Date(0).toISOString()],
    ];
    for (const [value, received] of unusual) {
      assert.equal(await connection.send(value), true);
      assert.deepEqual(await connection.receive(), received);
    }
    assert.equal(server.sockets.length, 1);
  });

  test('sends and receives a message of 16 MiB and no larger one', async (t) => {
    const { connection, recorder } = await open(t);
    const largest = 'x'.repeat(16 * 2 ** 20);
    assert.equal(await connection.send(largest), true);
    assert.equal((await connection.receive()).text.length, largest.length);
    assert.equal(await connection.send(`${largest}x`), true);
    const { data } = await recorder.until('connection_lost');
    assert.equal((data.error as MoorlineError).code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
  });
});
