// The WebSocket transport against `ws`: messages, the handshake, closing, limits.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import { Authority } from './support/certificates';
import { eventually } from './support/eventually';
import { freePort } from './support/servers';
import { peer, peersMissing } from './support/peers';
import { Ears, failure, type SocketOptions } from './support/websocket';

const skip = peersMissing();

describe('SocketTransport', { skip }, () => {
  const authority = new Authority();
  const http = createServer();
  const https = createSecureServer(authority.issue(['IP:127.0.0.1']));
  let port = 0;
  let securePort = 0;
  /** What the server does with a new connection; by default it echoes. */
  let serve: (socket: any, request: IncomingMessage) => void;
  let serverOptions: Record<string, unknown> = {};
  let refuse: ((socket: Socket) => void) | undefined;
  let open: Ears[] = [];

  before(async () => {
    const { WebSocketServer } = await peer('ws');
    const accept = (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (refuse) return refuse(socket);
      const server = new WebSocketServer({ noServer: true, maxPayload: 0, ...serverOptions });
      server.handleUpgrade(request, socket, head, (client: any) => {
        client.on('error', () => undefined);
        serve(client, request);
      });
    };
    for (const server of [http, https]) {
      server.on('upgrade', accept);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    port = (http.address() as AddressInfo).port;
    securePort = (https.address() as AddressInfo).port;
  });
  after(() => {
    http.close().closeAllConnections();
    https.close().closeAllConnections();
    authority.remove();
  });
  afterEach(() => {
    for (const ears of open) ears.transport.terminate();
    open = [];
    serve = echo;
    serverOptions = {};
    refuse = undefined;
  });

  const echo = (socket: any) => {
    socket.on('message', (data: Buffer, binary: boolean) => socket.send(data, { binary }));
  };
  serve = echo;

  function create(options: Partial<SocketOptions> = {}): Ears {
    const ears = new Ears({ url: `ws://127.0.0.1:${port}/`, ...options });
    open.push(ears);
    return ears;
  }
  async function connect(options?: Partial<SocketOptions>): Promise<Ears> {
    const ears = create(options);
    await ears.connect();
    return ears;
  }

  const everything = ['', 'text', 'ü€😀 \u0000', 'x'.repeat(70_000), Buffer.alloc(0), Buffer.from([0, 255, 7])];

  for (const compression of [false, true, { serverNoContextTakeover: true, clientNoContextTakeover: true }]) {
    for (const secure of [false, true]) {
      const name = `compression ${JSON.stringify(compression)}, ${secure ? 'TLS' : 'plain'}`;
      test(`text and binary of every size come back as they went: ${name}`, async () => {
        serverOptions = { perMessageDeflate: { threshold: 0 } };
        const ears = await connect({
          compression: compression && { thresholdBytes: 0, ...(compression === true ? {} : compression) },
          ...(secure && { url: `wss://127.0.0.1:${securePort}/`, tls: { ca: authority.cert } }),
        });
        assert.equal(ears.transport.extensions.includes('permessage-deflate'), compression !== false);
        assert.equal(ears.transport.extensions.includes('server_no_context'), typeof compression === 'object');
        const sent = [...everything, Buffer.alloc(3 << 20, 'abc'), 'y'.repeat(2 << 20), ...everything];
        for (const data of sent) await ears.transport.send(data);
        await ears.hear(sent.length);
        assert.deepEqual(ears.messages, sent);
        await ears.transport.close();
        assert.equal(ears.closed[0]?.wasClean, true);
      });
    }
  }

  for (const [asked, agreed] of [
    [{ clientMaxWindowBits: 9 }, 'client_max_window_bits=9'],
    [{ serverMaxWindowBits: 9 }, 'server_max_window_bits=9'],
    [{ clientNoContextTakeover: true }, 'client_no_context_takeover'],
  ] as const) {
    test(`compression with ${agreed}`, async () => {
      serverOptions = { perMessageDeflate: { threshold: 0 } };
      const ears = await connect({ compression: { thresholdBytes: 0, ...asked } });
      assert.ok(ears.transport.extensions.includes(agreed), ears.transport.extensions);
      const text = Array.from({ length: 3000 }, (_, index) => `${index * index}`).join(' ');
      for (let round = 0; round < 3; round++) await ears.transport.send(text);
      await ears.hear(3);
      assert.deepEqual(ears.messages, [text, text, text]);
    });
  }

  test('headers, credentials and sub-protocols reach the server, and its choice comes back', async () => {
    let seen: IncomingMessage | undefined;
    serve = (_, request) => (seen = request);
    const url = `ws://me:p%40ss@127.0.0.1:${port}/path?query=1`;
    const ears = await connect({ url, protocols: ['v2', 'v1'], headers: { 'X-One': '1', 'X-Two': ['a', 'b'] } });
    assert.equal(ears.transport.protocol, 'v2');
    assert.equal(seen?.url, '/path?query=1');
    assert.equal(seen.headers['x-one'], '1');
    assert.equal(seen.headers['x-two'], 'a, b');
    assert.equal(seen.headers.authorization, `Basic ${Buffer.from('me:p@ss').toString('base64')}`);
  });

  test('many messages arrive in order, in few batches', async () => {
    const ears = await connect();
    const texts = Array.from({ length: 20_000 }, (_, index) => `message ${index}`);
    await Promise.all(texts.map((text) => ears.transport.send(text)));
    await ears.hear(texts.length);
    assert.deepEqual(ears.messages, texts);
    assert.ok(ears.batches < texts.length / 4, `${ears.batches} batches`);
  });

  test('messages with limits of their own keep their places', async () => {
    const ears = await connect();
    const { signal } = new AbortController();
    const texts = Array.from({ length: 300 }, (_, index) => `${index}`);
    const options = [undefined, { timeoutMs: 5000 }, { signal }];
    await Promise.all(texts.map((text, index) => ears.transport.send(text, options[index % 3])));
    await ears.hear(texts.length);
    assert.deepEqual(ears.messages, texts);
  });

  test('what the server sends with its handshake is not lost', async () => {
    serve = (socket) => {
      socket.send('early');
      socket.ping();
      socket.close(4000, 'enough');
    };
    const ears = await connect();
    await ears.end();
    assert.deepEqual(ears.messages, ['early']);
    assert.equal(ears.pings, 1);
    assert.deepEqual(ears.closed, [{ code: 4000, reason: 'enough', wasClean: true }]);
  });

  test('two hundred sockets at once', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => connect()));
    await Promise.all(all.map((ears, index) => ears.transport.send(`to ${index}`)));
    await Promise.all(all.map((ears) => ears.hear(1)));
    all.forEach((ears, index) => assert.deepEqual(ears.messages, [`to ${index}`]));
    await Promise.all(all.map((ears) => ears.transport.close()));
    assert.ok(all.every((ears) => ears.closed.length === 1 && ears.closed[0]!.wasClean));
  });

  describe('closing', () => {
    test('our code and reason reach the server, behind what was sent', async () => {
      const heard: unknown[] = [];
      serve = (socket) => {
        socket.on('message', (data: Buffer) => heard.push(data.toString()));
        socket.on('close', (code: number, reason: Buffer) => heard.push(code, reason.toString()));
      };
      const ears = await connect();
      void ears.transport.send('last');
      await ears.transport.close(3001, 'bye');
      assert.deepEqual(
        ears.closed,
        [{ code: 3001, reason: '', wasClean: true }].map((it) => ({ ...it, reason: ears.closed[0]!.reason })),
      );
      await eventually(() => heard.length === 3);
      assert.deepEqual(heard, ['last', 3001, 'bye']);
    });

    test('a close frame without a code is 1005, and 1001 is the servers own business', async () => {
      serve = (socket, request) => (request.url === '/none' ? socket.close() : socket.close(1001));
      const none = await connect({ url: `ws://127.0.0.1:${port}/none` });
      await none.end();
      const going = await connect();
      await going.end();
      assert.deepEqual([none.closed[0]!.code, going.closed[0]!.code], [1005, 1001]);
      assert.ok(none.closed[0]!.wasClean && going.closed[0]!.wasClean);
    });

    test('twice is quiet, afterwards every call is refused, and it can connect again', async () => {
      const ears = await connect();
      await Promise.all([ears.transport.close(), ears.transport.close()]);
      await ears.transport.close();
      assert.equal(ears.closed.length, 1);
      for (const call of [
        ears.transport.send('x'),
        ears.transport.ping(),
        ears.transport.send('x', { timeoutMs: 9 }),
      ]) {
        const error = await failure(call);
        assert.deepEqual([error.kind, error.delivery], ['closed', 'none']);
      }
      await ears.connect();
      await ears.transport.send('again');
      await ears.hear(1);
      assert.deepEqual(ears.messages, ['again']);
    });

    test('a server that does not answer is left after closeTimeoutMs', async () => {
      serve = (socket) => socket.pause();
      const ears = await connect({ closeTimeoutMs: 200 });
      const started = performance.now();
      await ears.transport.close();
      const took = performance.now() - started;
      assert.ok(took >= 190 && took < 300 + slack, `${took} ms`);
      assert.equal(ears.closed[0]!.code, 1006);
      assert.equal(ears.closed[0]!.error?.kind, 'timeout');
    });

    test('a code or a reason that cannot be sent is refused', async () => {
      const ears = await connect();
      for (const [code, reason] of [
        [999, ''],
        [1006, ''],
        [1001, ''],
        [5000, ''],
        [3000.5, ''],
        [3000, 'x'.repeat(124)],
      ] as const) {
        await assert.rejects(ears.transport.close(code, reason), RangeError);
      }
      await ears.transport.close();
    });
  });

  describe('the handshake', () => {
    const answer = (status: string, ...headers: string[]) => {
      refuse = (socket) => socket.end(`HTTP/1.1 ${[status, 'Content-Length: 0', ...headers].join('\r\n')}\r\n\r\n`);
    };

    for (const [status, kind, retryable] of [
      ['401 Unauthorized', 'auth', false],
      ['403 Forbidden', 'auth', false],
      ['407 Proxy Authentication Required', 'auth', false],
      ['404 Not Found', 'rejected', false],
      ['200 OK', 'rejected', false],
      ['503 Service Unavailable', 'rejected', true],
    ] as const) {
      test(`refused with ${status}`, async () => {
        answer(status, 'Retry-After: 3');
        const error = await failure(create().connect());
        assert.deepEqual([error.kind, error.retryable, error.delivery], [kind, retryable, 'none']);
        assert.equal(error.detail?.['status'], Number.parseInt(status));
        assert.equal(error.retryAfterMs, 3000);
        assert.equal(error.operation, 'connect');
      });
    }

    test('a redirect is not followed, and its query not shown', async () => {
      answer('302 Found', 'Location: ws://elsewhere.example/?token=hunter2');
      const error = await failure(create().connect());
      assert.equal(error.detail?.['location'], 'ws://elsewhere.example/');
      assert.ok(!JSON.stringify(error).includes('hunter2'));
    });

    test('an answer that is none is a breach of the protocol', async () => {
      for (const wrong of [
        '101 Switching Protocols',
        '101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x',
      ]) {
        answer(wrong);
        const error = await failure(create().connect());
        assert.equal(error.kind, 'protocol', wrong);
      }
    });

    test('a server that chooses no sub-protocol is refused', async () => {
      serverOptions = { handleProtocols: () => false };
      const error = await failure(create({ protocols: 'v1' }).connect());
      assert.equal(error.kind, 'protocol');
    });

    test('a server that says nothing is left after connectTimeoutMs', async () => {
      refuse = () => undefined;
      const started = performance.now();
      const error = await failure(create({ connectTimeoutMs: 200 }).connect());
      const took = performance.now() - started;
      assert.ok(took >= 190 && took < 300 + slack, `${took} ms`);
      assert.deepEqual([error.kind, error.code, error.delivery], ['timeout', 'ETIMEDOUT', 'none']);
    });

    test('a server that hangs up, and one that is not there', async () => {
      refuse = (socket) => socket.destroy();
      assert.equal((await failure(create().connect())).kind, 'connect');
      const nobody = await failure(create({ url: `ws://127.0.0.1:${await freePort()}/` }).connect());
      assert.deepEqual([nobody.kind, nobody.code], ['connect', 'ECONNREFUSED']);
    });

    test('a certificate nobody vouches for', async () => {
      const error = await failure(create({ url: `wss://127.0.0.1:${securePort}/` }).connect());
      assert.deepEqual([error.kind, error.delivery], ['tls', 'none']);
    });

    test('is given up with the reason of the signal, and by close', async () => {
      refuse = () => undefined;
      const controller = new AbortController();
      const ears = create();
      const aborted = ears.transport.connect(controller.signal);
      const reason = new Error('enough');
      controller.abort(reason);
      await assert.rejects(aborted, (error) => error === reason);
      const given = failure(ears.transport.connect());
      await ears.transport.close();
      assert.equal((await given).kind, 'closed');
      assert.equal(ears.closed.length, 0);
    });
  });

  describe('limits', () => {
    test('a message larger than maxMessageBytes ends the connection with 1009', async () => {
      serverOptions = { perMessageDeflate: { threshold: 0 } };
      for (const compression of [false, true]) {
        let told: number | undefined;
        serve = (socket) => {
          socket.on('close', (code: number) => (told = code));
          socket.send('x'.repeat(1000));
          socket.send('x'.repeat(1001));
        };
        const ears = await connect({ compression, maxMessageBytes: 1000 });
        await ears.end();
        assert.deepEqual(ears.messages, ['x'.repeat(1000)]);
        assert.equal(ears.closed[0]!.code, 1009);
        assert.equal(ears.closed[0]!.error?.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
        await eventually(() => told === 1009);
      }
    });

    test('a slow reader makes the server wait, and loses nothing', async () => {
      const total = 64;
      let server: any;
      serve = (socket) => {
        server = socket;
        for (let index = 0; index < total; index++) socket.send(Buffer.alloc(1 << 20, index));
      };
      const ears = create({ receiveQueueBytes: 1 << 20 });
      ears.transport.pause();
      await ears.connect();
      const before = await settled(() => server.bufferedAmount);
      assert.ok(before > 40 << 20, `${before} bytes wait at the server`);
      assert.equal(ears.messages.length, 0);
      ears.transport.resume();
      await ears.hear(total);
      ears.messages.forEach((message, index) => assert.equal((message as Buffer)[0], index));
    });

    test('a server that does not read makes send wait, until its time is up', async () => {
      let server: any;
      serve = (socket) => (server = socket).pause();
      const ears = await connect({ sendQueueBytes: 1 << 20, sendTimeoutMs: 300 });
      const chunk = Buffer.alloc(1 << 20, 1);
      const sent = Array.from({ length: 40 }, () =>
        ears.transport.send(chunk).then(
          () => undefined,
          (error) => error,
        ),
      );
      const errors = (await Promise.all(sent)).filter((error) => error !== undefined);
      assert.ok(errors.length > 10, `${errors.length} errors`);
      assert.ok(
        errors.every((error) => error.kind === 'timeout'),
        String(errors),
      );
      assert.equal(errors.at(-1).delivery, 'none');
      let heard = 0;
      server.on('message', () => (heard += 1));
      server.resume();
      // What was given up while it waited never arrives; the rest does, whole.
      const begun = 40 - errors.filter((error) => error.delivery === 'none').length;
      await ears.transport.send('then');
      await eventually(() => heard === begun + 1);
    });

    test('a waiting message can be given up', async () => {
      serve = (socket) => socket.pause();
      const ears = await connect({ sendQueueBytes: 1 << 20 });
      const first = Array.from({ length: 20 }, () => ears.transport.send(Buffer.alloc(1 << 20)).catch(() => undefined));
      const controller = new AbortController();
      const given = ears.transport.send('x', { signal: controller.signal });
      controller.abort(new Error('enough'));
      await assert.rejects(given, /enough/);
      ears.transport.terminate();
      await Promise.all(first);
    });
  });

  test('a breach of the protocol ends the connection, after what came before was answered', async () => {
    const heard: string[] = [];
    let told: number | undefined;
    serve = (socket) => {
      socket.on('message', (data: Buffer) => heard.push(data.toString()));
      socket.on('close', (code: number) => (told = code));
      socket._socket.write(Buffer.from([0x81, 2, 0x68, 0x69, 0x83, 0]));
    };
    const ears = await connect();
    ears.onMessage = (message) => void ears.transport.send(message);
    await ears.end();
    assert.deepEqual(ears.closed[0]?.error?.code, 'WS_ERR_INVALID_OPCODE');
    assert.deepEqual([ears.closed[0]?.error?.kind, ears.closed[0]?.code], ['protocol', 1002]);
    await eventually(() => told === 1002);
    assert.deepEqual(heard, ['hi']);
  });

  test('pings are sent, answered and measured', async () => {
    let pings = 0;
    serve = (socket) => {
      socket.on('ping', () => (pings += 1));
      socket.ping();
    };
    const ears = await connect({ pingIntervalMs: 20, pingTimeoutMs: 2000 });
    await eventually(() => pings >= 3 && ears.pings === 1);
    assert.ok((await ears.transport.ping()) < 2000);
    assert.equal(ears.closed.length, 0);
  });

  test('an open socket keeps no process alive; ref does, until it ends', async () => {
    serve = (socket, request) => {
      if (request.url === '/ends') setTimeout(() => socket.close(1000), 100);
    };
    const run = (path: string, ref: boolean) => {
      const program = `
        const { SocketTransport } = require(${JSON.stringify(join(__dirname, '..', 'dist', 'websocket.js'))});
        const listener = { onMessages() {}, onClose: ({ code }) => console.log('closed', code) };
        const transport = new SocketTransport({ url: 'ws://127.0.0.1:${port}${path}' }, listener);
        transport.connect().then(() => ${ref} && transport.ref());`;
      return promisify(execFile)(process.execPath, ['-e', program], { timeout: 10_000 });
    };
    assert.equal((await run('/stays', false)).stdout, '');
    assert.equal((await run('/ends', true)).stdout, 'closed 1000\n');
  });

  test('a worker that ends takes its sockets along', async () => {
    let [opened, closed] = [0, 0];
    serve = (socket) => {
      opened += 1;
      socket.on('close', () => (closed += 1));
    };
    const program = `
      const { SocketTransport } = require(${JSON.stringify(join(__dirname, '..', 'dist', 'websocket.js'))});
      const transport = new SocketTransport({ url: 'ws://127.0.0.1:${port}/' }, { onMessages() {}, onClose() {} });
      transport.connect().then(() => transport.ref());`;
    const worker = new Worker(program, { eval: true });
    await eventually(() => opened === 1);
    await worker.terminate();
    await eventually(() => closed === 1);
  });

  test('options that cannot be are refused at once, by path', () => {
    assert.throws(() => create({ url: 'ftp://x' }), { name: 'TypeError', message: /^options\.url / });
    assert.throws(() => create({ pingInterval: 1 } as never), /did you mean 'pingIntervalMs'/);
    assert.throws(() => create({ maxMessageBytes: 0 }), RangeError);
  });
});

const slack = process.env['CI'] ? 1000 : 100;

/** A number, when it has stopped changing. */
async function settled(value: () => number): Promise<number> {
  let [last, same] = [-1, 0];
  await eventually(() => {
    same = value() === last ? same + 1 : 0;
    last = value();
    return same >= 20;
  });
  return last;
}
