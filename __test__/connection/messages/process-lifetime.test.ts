// When a connection with listeners keeps the process alive, and when the process may exit.
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';

import { setLogger, SSEConnection, WebSocketConnection } from 'moorline';

import { closeAfter, type EventServer, eventServer, type SocketServer, socketServer } from '../../support/connections';
import { eventually } from '../../support/eventually';
import { peersMissing } from '../../support/peers';
import { runScript } from '../../support/script';

before(() => setLogger({}));
after(() => setLogger(undefined));

/** Runs `body` with a `connection` in a process of its own; resolves with its exit code and output. */
function runProgram(kind: string, url: string, body: string) {
  return runScript(`
    const { ${kind}, setLogger } = require('./dist/entries/index.js');
    setLogger({});
    const connection = new ${kind}({ url: ${JSON.stringify(url)}, monitoring: false, retryDelay: 1 });
    const print = (text) => process.stdout.write(text + '\\n');
    (async () => { ${body} })();`);
}

async function openServer(t: TestContext): Promise<EventServer> {
  const server = await eventServer();
  t.after(() => server.close());
  return server;
}

describe('a program that only listens to an SSEConnection', () => {
  const listen = `
    connection.onMessage(({ data }) => {
      print(data);
      if (data === 'last') void connection.disconnect();
    });
    await connection.connect();`;

  test('goes on until it disconnects, also during a reconnect', async (t) => {
    const server = await openServer(t);
    const result = runProgram('SSEConnection', server.url, listen);
    await eventually(() => server.streams.length === 1, 20_000);
    server.send('retry: 300\ndata: first\n\n');
    server.streams[0]?.end();
    await eventually(() => server.requests.length === 2 && server.streams.length === 1, 20_000);
    server.send('data: last\n\n');
    const { code, stdout, stderr } = await result;
    assert.deepEqual([code, stdout], [0, 'first\nlast\n'], stderr);
  });

  test('exits when reconnecting is given up', async (t) => {
    let refuses = false;
    const server = await eventServer((_, response) => refuses && !!response.writeHead(204).end());
    t.after(() => server.close());
    const result = runProgram('SSEConnection', server.url, listen);
    await eventually(() => server.streams.length === 1, 20_000);
    refuses = true;
    server.streams[0]?.end();
    const { code, signal, stderr } = await result;
    assert.deepEqual([code, signal], [0, null], stderr);
  });

  for (const [condition, body] of [
    ['unref() was called', `${listen} connection.unref();`],
    ['unref() was called before connect()', `connection.unref(); ${listen}`],
    ['its handler was removed', `connection.onMessage(print)(); await connection.connect();`],
    ['it was never opened', `connection.onMessage(print);`],
  ] as const) {
    test(`exits when ${condition}`, async (t) => {
      const server = await openServer(t);
      const { code, signal, stdout, stderr } = await runProgram('SSEConnection', server.url, body);
      assert.deepEqual([code, signal, stdout], [0, null, ''], stderr);
    });
  }

  test('goes on when ref() is called after unref()', async (t) => {
    const server = await openServer(t);
    const result = runProgram('SSEConnection', server.url, `${listen} connection.unref(); connection.ref();`);
    await eventually(() => server.streams.length === 1, 20_000);
    server.send('data: last\n\n');
    const { code, stdout, stderr } = await result;
    assert.deepEqual([code, stdout], [0, 'last\n'], stderr);
  });
});

describe('a program that only listens to a WebSocketConnection', { skip: peersMissing() }, () => {
  test('goes on until it disconnects', async (t) => {
    const server: SocketServer = await socketServer();
    t.after(() => server.close());
    const body = `
      connection.onMessage(({ text }) => { print(text); void connection.disconnect(); });
      await connection.connect();`;
    const result = runProgram('WebSocketConnection', server.url, body);
    await eventually(() => server.sockets.length === 1, 20_000);
    server.sockets[0].send('hello');
    const { code, stdout, stderr } = await result;
    assert.deepEqual([code, stdout], [0, 'hello\n'], stderr);
  });
});

describe('iterating a connection that was never opened', () => {
  for (const make of [
    () => new SSEConnection({ url: 'http://127.0.0.1:9', monitoring: false }),
    () => new WebSocketConnection({ url: 'ws://127.0.0.1:9', monitoring: false }),
  ]) {
    test(`says that connect() comes first: ${make().constructor.name}`, async (t) => {
      const next = closeAfter(t, make())[Symbol.asyncIterator]().next();
      await assert.rejects(next, { code: 'ERR_MOORLINE_CLOSED', kind: 'closed', message: /call connect\(\) before/ });
    });
  }

  test('ends at once after disconnect()', async (t) => {
    const connection = closeAfter(t, new SSEConnection({ url: 'http://127.0.0.1:9', monitoring: false }));
    await connection.disconnect();
    assert.deepEqual(await connection[Symbol.asyncIterator]().next(), { done: true, value: undefined });
  });

  test('waits for a connect() that is under way', async (t) => {
    const server = await openServer(t);
    const connection = closeAfter(t, new SSEConnection({ url: server.url, monitoring: false }));
    const connecting = connection.connect();
    const next = connection[Symbol.asyncIterator]().next();
    await connecting;
    server.send('data: here\n\n');
    assert.equal((await next).value?.data, 'here');
  });
});
