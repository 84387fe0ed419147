// Headers of callers (`customHeaders`): how every connection sends them, and functions that return them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  type ConnectionConfig,
  ConnectionConfigManager,
  HTTPConnection,
  setLogger,
  SSEConnection,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, eventServer, EventRecorder, socketServer } from '../support/connections';
import { serveRaw, serve } from '../support/http';
import { peersMissing } from '../support/peers';

const REFUSAL = 'HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

const CONNECTIONS = [
  { scheme: 'http', create: (config: ConnectionConfig) => new HTTPConnection(config) },
  { scheme: 'http', create: (config: ConnectionConfig) => new SSEConnection(config) },
  { scheme: 'ws', create: (config: ConnectionConfig) => new WebSocketConnection(config) },
];

before(() => setLogger({}));
after(() => setLogger(undefined));

for (const { scheme, create } of CONNECTIONS) {
  describe(create({ url: `${scheme}://h` }).constructor.name, () => {
    /** Sends a header; returns its values as the server received them, byte for byte, and the error of the connection. */
    async function sendHeader(t: Parameters<typeof closeAfter>[0], value: string) {
      const heads: string[] = [];
      const server = await serveRaw((socket, head) => {
        heads.push(head);
        socket.end(REFUSAL);
      });
      t.after(() => server.close());
      const url = server.url.replace('http', scheme);
      const customHeaders = { 'X-Name': value };
      const connection = closeAfter(t, create({ url, customHeaders, retryCount: 0, monitoring: false }));
      const recorder = new EventRecorder(connection);
      let error: unknown;
      if (connection instanceof HTTPConnection) await connection.request({}).catch((thrown) => (error = thrown));
      else assert.equal(await connection.connect(), false);
      error ??= recorder.of('error').at(-1)?.data?.['error'];
      return { values: heads.map((head) => /x-name: ?(.*)\r/i.exec(head)?.[1]), error: error as Error };
    }

    test('customHeaders are Latin-1, a byte for each character', async (t) => {
      assert.deepEqual((await sendHeader(t, 'café')).values, ['café']);
    });

    test('customHeaders with a character beyond Latin-1 are refused before anything is sent', async (t) => {
      const { values, error } = await sendHeader(t, '日本');
      assert.deepEqual(values, []);
      assert.ok(error instanceof TypeError, String(error));
      assert.match(error.message, /headers\.x-name contains a character outside Latin-1/i);
    });
  });
}

describe('customHeaders as a function', () => {
  const TOKEN = 'hunter2';

  test('HTTPConnection calls it for each attempt, and awaits it', async (t) => {
    const seen: unknown[] = [];
    const server = await serve((request, response) => {
      seen.push(request.headers['authorization']);
      response.writeHead(seen.length === 1 ? 503 : 200).end();
    });
    t.after(() => server.close());
    let token = 0;
    const customHeaders = async () => ({ Authorization: `Bearer ${++token}` });
    const connection = closeAfter(
      t,
      new HTTPConnection({ url: server.url, customHeaders, retryDelay: 1, monitoring: false }),
    );
    assert.equal((await connection.request({})).status, 200);
    await connection.request({ headers: { authorization: 'own' } });
    assert.deepEqual(seen, ['Bearer 1', 'Bearer 2', 'own']);
    assert.equal((await connection.healthCheck()).isHealthy, true);
    assert.equal(seen.at(-1), 'Bearer 4');
  });

  test('SSEConnection and WebSocketConnection call it for each connect', { skip: peersMissing() }, async (t) => {
    const [events, sockets] = [await eventServer(), await socketServer()];
    t.after(() => Promise.all([events.close(), sockets.close()]));
    const config = { monitoring: false, retryDelay: 1 };
    let token = 0;
    const customHeaders = () => ({ authorization: `Bearer ${++token}` });
    const stream = closeAfter(t, new SSEConnection({ ...config, url: events.url, customHeaders }));
    const recorder = new EventRecorder(stream);
    await stream.connect();
    events.streams[0]?.end();
    await recorder.until('reconnected');
    const tokens = events.requests.map(({ headers }) => headers['authorization']);
    assert.deepEqual(tokens, ['Bearer 1', 'Bearer 2']);
    const socket = closeAfter(t, new WebSocketConnection({ ...config, url: sockets.url, customHeaders }));
    assert.equal(await socket.connect(), true);
    assert.equal(sockets.handshakes[0]?.headers['authorization'], 'Bearer 3');
    assert.equal(socket.getStatus().isAuthenticated, true);
  });

  test('its error rejects the call, and does not count for the breaker', async (t) => {
    const refused = new Error('no token');
    const customHeaders = () => Promise.reject(refused);
    const config = { monitoring: false, circuitBreakerThreshold: 1, customHeaders };
    const connection = closeAfter(t, new HTTPConnection({ url: 'http://127.0.0.1:9', ...config }));
    for (let n = 0; n < 3; n++) await assert.rejects(connection.request({}), (error) => error === refused);
    const stream = closeAfter(t, new SSEConnection({ url: 'http://127.0.0.1:9', ...config }));
    const recorder = new EventRecorder(stream);
    assert.equal(await stream.connect(), false);
    assert.equal(recorder.of('connection_failed')[0]?.data.error, refused);
  });

  test('its result is validated, and the error shows no value', async (t) => {
    for (const result of [undefined, 'x', [['a', TOKEN]], { a: [TOKEN] }]) {
      const customHeaders = (() => result) as () => never;
      const connection = closeAfter(
        t,
        new HTTPConnection({ url: 'http://127.0.0.1:9', customHeaders, monitoring: false }),
      );
      const error = (await connection.request({}).catch((thrown: unknown) => thrown)) as NodeJS.ErrnoException;
      assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_TYPE']);
      assert.match(error.message, /customHeaders/);
      assert.ok(!error.message.includes(TOKEN));
    }
  });

  test('one that never settles ends with timeout, disconnect() and the caller’s signal', async (t) => {
    let receivedSignal: AbortSignal | undefined;
    const customHeaders = ({ signal }: { signal: AbortSignal }) => {
      receivedSignal = signal;
      return new Promise<never>(() => undefined);
    };
    const make = (timeout: number) =>
      closeAfter(
        t,
        new HTTPConnection({ url: 'http://127.0.0.1:9', timeout, customHeaders, monitoring: false, retryCount: 0 }),
      );
    await assert.rejects(make(20).request({}), {
      name: 'MoorlineError',
      kind: 'timeout',
      code: 'ETIMEDOUT',
      message: 'customHeaders did not return within 20 ms (timeout)',
    });
    assert.equal(receivedSignal?.aborted, true);
    const closed = make(60_000);
    const waiting = closed.request({});
    await closed.disconnect();
    await assert.rejects(waiting, { kind: 'closed' });
    const reason = new Error('enough');
    const controller = new AbortController();
    const aborted = make(60_000).request({}, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(aborted, (error) => error === reason);
  });

  test('stays in configurations by name and in copies', () => {
    const customHeaders = () => ({ authorization: TOKEN });
    const manager = new ConnectionConfigManager({});
    manager.set('http', { customHeaders });
    assert.equal(manager.get('http').customHeaders, customHeaders);
    const { config } = new SSEConnection({ ...manager.get('http'), connectionType: 'sse', url: 'http://h' });
    assert.equal(config.customHeaders, customHeaders);
  });
});
