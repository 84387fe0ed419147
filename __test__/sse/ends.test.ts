// How event streams end: by the server, by us, with the process; and that nothing is left of them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';

import { eventually } from '../support/eventually';
import { serveRaw, serve } from '../support/http';
import { EventStreamTransport, record, fixture, stream } from '../support/sse';
import { dist } from '../support/paths';

/** How much later than its deadline a call may end: more where the machine is shared. */
const SLACK_MS = process.env['CI'] ? 1000 : 100;

const { open, autoClose } = fixture();

describe('the process', () => {
  /** Runs a script in a process of its own, against `url`; what it printed, and whether it ended by itself. */
  async function run(url: string, script: string): Promise<string> {
    const prelude = `
      const { EventStreamTransport } = require(${JSON.stringify(join(dist, 'sse', 'transport.js'))});
      const say = (line) => process.stdout.write(line + ' ');
      const transport = new EventStreamTransport({ url: ${JSON.stringify(url)} }, {
        onEvents(events) { for (const { data } of events) { say(data); if (data === 'last') transport.unref(); } },
        onClose() {},
      });`;
    const child = execFile(process.execPath, ['-e', `${prelude}\n${script}`], { timeout: 10_000 });
    let output = '';
    child.stdout!.on('data', (text: string) => (output += text));
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    assert.deepEqual([code, signal], [0, null], output);
    return output.trim();
  }

  test('is not kept alive by an open stream, but by a pending connect and by ref', async () => {
    const server = await autoClose(
      serve(async (_, response) => {
        await sleep(300);
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        await sleep(300);
        response.write('data: last\n\n');
      }),
    );
    assert.equal(await run(server.url, `transport.connect().then(() => say('open'));`), 'open');
    assert.equal(
      await run(server.url, `transport.connect().then(() => (say('open'), transport.ref(), transport.ref()));`),
      'open last',
    );
  });
});

test('a worker that is terminated leaves no connection', async () => {
  const server = await autoClose(stream((response) => response.write('data: 1\n\n')));
  const script = `
    const { EventStreamTransport } = require(${JSON.stringify(join(dist, 'sse', 'transport.js'))});
    const { parentPort } = require('node:worker_threads');
    const onEvents = () => parentPort.postMessage('heard');
    const transport = new EventStreamTransport({ url: ${JSON.stringify(server.url)} }, { onEvents, onClose() {} });
    transport.connect().then(() => transport.ref());`;
  const worker = new Worker(script, { eval: true });
  await once(worker, 'message');
  assert.equal(server.openConnections(), 1);
  await worker.terminate();
  await eventually(() => server.openConnections() === 0);
});

describe('memory', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  test('what has ended, or was closed, is forgotten', async () => {
    const server = await autoClose(
      stream((response, { url }) => {
        response.write('data: 1\n\n');
        if (url === '/ends') response.end();
      }),
    );
    async function used(path: string): Promise<WeakRef<object>> {
      const client = record({ url: server.url + path });
      await client.transport.connect();
      await eventually(() => client.events.length === 1);
      if (path === '/closed') client.transport.close();
      await client.closed();
      return new WeakRef(client.transport);
    }
    for (const path of ['/ends', '/closed']) {
      const gone = await used(path);
      await eventually(() => (collect(), gone.deref() === undefined));
    }
  });
});

describe('the end', () => {
  test('the server ends it: everything that came first, no error', async () => {
    const server = await autoClose(stream((response) => response.end('id: 3\ndata: bye\n\nid: 4\ndata: unfinished')));
    const client = open({ url: server.url });
    await client.transport.connect();
    assert.deepEqual(await client.closed(), { isFinal: false });
    assert.deepEqual([client.events.length, client.transport.lastEventId], [1, '3']);
  });

  test('a connection that breaks says so, and may be made again', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    const server = await autoClose(
      serveRaw((socket) => {
        socket.write(`${head}b\r\ndata: one\n\n\r\n`, () => socket.resetAndDestroy());
      }),
    );
    const client = open({ url: server.url });
    await client.transport.connect();
    const { isFinal, error } = await client.closed();
    assert.deepEqual([isFinal, error?.kind, error?.retryable], [false, 'disconnected', true]);
    assert.deepEqual([error?.operation, error?.delivery], ['receive', 'answered']);
  });

  test('what is no chunk is a broken protocol, and stops', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    const server = await autoClose(serveRaw((socket) => void socket.write(`${head}nonsense\r\n`)));
    const client = open({ url: server.url });
    await client.transport.connect();
    const { isFinal, error } = await client.closed();
    assert.deepEqual([isFinal, error?.kind, error?.retryable], [true, 'protocol', false]);
  });

  test('close ends it at once, also while it is heard, and once', async () => {
    const server = await autoClose(stream((response) => response.write('data: 1\n\ndata: 2\n\n')));
    const client = open({ url: server.url });
    await client.transport.connect();
    await eventually(() => client.events.length > 0);
    client.transport.close();
    client.transport.close();
    assert.deepEqual(client.closes, [{ isFinal: true }]);
    assert.equal(client.transport.isOpen, false);
    await eventually(() => server.openConnections() === 0);
    await client.transport.connect();
    await eventually(() => client.events.length === 4);
    client.transport.close();
    assert.equal(client.closes.length, 2);
  });

  test('an abort of connect rejects with its reason and leaves nothing open', async () => {
    const server = await autoClose(serve(() => undefined));
    const client = open({ url: server.url });
    const reason = new Error('enough');
    const abort = new AbortController();
    const connecting = client.transport.connect(abort.signal);
    await eventually(() => server.openConnections() === 1);
    const began = performance.now();
    abort.abort(reason);
    await assert.rejects(connecting, (error: unknown) => error === reason);
    assert.ok(performance.now() - began < SLACK_MS);
    await eventually(() => server.openConnections() === 0);
    await assert.rejects(client.transport.connect(abort.signal), (error: unknown) => error === reason);
    assert.equal(server.acceptedConnections(), 1);
    const closing = client.transport.connect();
    client.transport.close();
    await assert.rejects(closing, { name: 'AbortError' });
    assert.deepEqual(client.closes, [], 'it was never open');
  });

  test('two connects are one', async () => {
    const server = await autoClose(stream((response) => response.write('data: 1\n\n')));
    const client = open({ url: server.url });
    await Promise.all([client.transport.connect(), client.transport.connect()]);
    await client.transport.connect();
    assert.equal(server.acceptedConnections(), 1);
  });

  test('a listener that throws is an uncaught exception, and the stream goes on', async () => {
    let response!: ServerResponse;
    const server = await autoClose(stream((it) => (response = it)));
    const thrown: unknown[] = [];
    const seen: string[] = [];
    const transport = new EventStreamTransport(
      { url: server.url },
      {
        onEvents(events) {
          seen.push(...events.map(({ data }) => data));
          if (seen.length === 1) throw new Error('mine');
        },
        onClose: () => undefined,
      },
    );
    const listeners = process.rawListeners('uncaughtException') as NodeJS.UncaughtExceptionListener[];
    process.removeAllListeners('uncaughtException').once('uncaughtException', (error) => thrown.push(error));
    try {
      await transport.connect();
      response.write('data: 1\n\n');
      await eventually(() => thrown.length === 1);
      response.write('data: 2\n\n');
      await eventually(() => seen.length === 2);
    } finally {
      transport.close();
      process.removeAllListeners('uncaughtException');
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });
});
