// The WebSocket transport against `ws`: messages of every size and number, compression, limits.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { eventually } from '../support/eventually';
import { peersMissing } from '../support/peers';
import { SocketFixture } from '../support/socket-fixture';

describe('SocketTransport', { skip: peersMissing() }, () => {
  const fixture = new SocketFixture();

  const everything = ['', 'text', 'ü€😀 \u0000', 'x'.repeat(70_000), Buffer.alloc(0), Buffer.from([0, 255, 7])];

  for (const compression of [false, true, { serverNoContextTakeover: true, clientNoContextTakeover: true }]) {
    for (const secure of [false, true]) {
      const name = `compression ${JSON.stringify(compression)}, ${secure ? 'TLS' : 'plain'}`;
      test(`text and binary of every size come back as they went: ${name}`, async () => {
        fixture.serverOptions = { perMessageDeflate: { threshold: 0 } };
        const client = await fixture.connect({
          compression: compression && { thresholdBytes: 0, ...(compression === true ? {} : compression) },
          ...(secure && { url: `wss://127.0.0.1:${fixture.securePort}/`, tls: { ca: fixture.authority.cert } }),
        });
        assert.equal(client.transport.extensions.includes('permessage-deflate'), compression !== false);
        assert.equal(client.transport.extensions.includes('server_no_context'), typeof compression === 'object');
        const sent = [...everything, Buffer.alloc(3 << 20, 'abc'), 'y'.repeat(2 << 20), ...everything];
        for (const data of sent) await client.transport.send(data);
        await client.receive(sent.length);
        assert.deepEqual(client.messages, sent);
        await client.transport.close();
        assert.equal(client.closed[0]?.wasClean, true);
      });
    }
  }

  for (const [options, agreed] of [
    [{ clientMaxWindowBits: 9 }, 'client_max_window_bits=9'],
    [{ serverMaxWindowBits: 9 }, 'server_max_window_bits=9'],
    [{ clientNoContextTakeover: true }, 'client_no_context_takeover'],
  ] as const) {
    test(`compression with ${agreed}`, async () => {
      fixture.serverOptions = { perMessageDeflate: { threshold: 0 } };
      const client = await fixture.connect({ compression: { thresholdBytes: 0, ...options } });
      assert.ok(client.transport.extensions.includes(agreed), client.transport.extensions);
      const text = Array.from({ length: 3000 }, (_, index) => `${index * index}`).join(' ');
      for (let round = 0; round < 3; round++) await client.transport.send(text);
      await client.receive(3);
      assert.deepEqual(client.messages, [text, text, text]);
    });
  }

  test('many messages arrive in order, in few batches', async () => {
    const client = await fixture.connect();
    const texts = Array.from({ length: 20_000 }, (_, index) => `message ${index}`);
    await Promise.all(texts.map((text) => client.transport.send(text)));
    await client.receive(texts.length);
    assert.deepEqual(client.messages, texts);
    assert.ok(client.batches < texts.length / 4, `${client.batches} batches`);
  });

  test('messages with limits of their own keep their places', async () => {
    const client = await fixture.connect();
    const { signal } = new AbortController();
    const texts = Array.from({ length: 300 }, (_, index) => `${index}`);
    const options = [undefined, { timeoutMs: 5000 }, { signal }];
    await Promise.all(texts.map((text, index) => client.transport.send(text, options[index % 3])));
    await client.receive(texts.length);
    assert.deepEqual(client.messages, texts);
  });

  test('two hundred sockets at once', async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => fixture.connect()));
    await Promise.all(all.map((client, index) => client.transport.send(`to ${index}`)));
    await Promise.all(all.map((client) => client.receive(1)));
    all.forEach((client, index) => assert.deepEqual(client.messages, [`to ${index}`]));
    await Promise.all(all.map((client) => client.transport.close()));
    assert.ok(all.every((client) => client.closed.length === 1 && client.closed[0]!.wasClean));
  });

  describe('limits', () => {
    test('a message larger than maxMessageBytes ends the connection with 1009', async () => {
      fixture.serverOptions = { perMessageDeflate: { threshold: 0 } };
      for (const compression of [false, true]) {
        let closeCode: number | undefined;
        fixture.serve = (socket) => {
          socket.on('close', (code: number) => (closeCode = code));
          socket.send('x'.repeat(1000));
          socket.send('x'.repeat(1001));
        };
        const client = await fixture.connect({ compression, maxMessageBytes: 1000 });
        await client.end();
        assert.deepEqual(client.messages, ['x'.repeat(1000)]);
        assert.equal(client.closed[0]!.code, 1009);
        assert.equal(client.closed[0]!.error?.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
        await eventually(() => closeCode === 1009);
      }
    });

    test('a slow reader makes the server wait, and loses nothing', async () => {
      const total = 64;
      let server: any;
      fixture.serve = (socket) => {
        server = socket;
        for (let index = 0; index < total; index++) socket.send(Buffer.alloc(1 << 20, index));
      };
      const client = fixture.create({ receiveQueueBytes: 1 << 20 });
      client.transport.pause();
      await client.connect();
      const before = await settled(() => server.bufferedAmount);
      assert.ok(before > 40 << 20, `${before} bytes wait at the server`);
      assert.equal(client.messages.length, 0);
      client.transport.resume();
      await client.receive(total);
      client.messages.forEach((message, index) => assert.equal((message as Buffer)[0], index));
    });

    test('a server that does not read makes send wait, until its time is up', async () => {
      let server: any;
      fixture.serve = (socket) => (server = socket).pause();
      const client = await fixture.connect({ sendQueueBytes: 1 << 20, sendTimeoutMs: 300 });
      const chunk = Buffer.alloc(1 << 20, 1);
      const sent = Array.from({ length: 40 }, () =>
        client.transport.send(chunk).then(
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
      let received = 0;
      server.on('message', () => (received += 1));
      server.resume();
      // What was given up while it waited never arrives; the rest does, whole.
      const begun = 40 - errors.filter((error) => error.delivery === 'none').length;
      await client.transport.send('then');
      await eventually(() => received === begun + 1);
    });

    test('a waiting message can be given up', async () => {
      fixture.serve = (socket) => socket.pause();
      const client = await fixture.connect({ sendQueueBytes: 1 << 20 });
      const first = Array.from({ length: 20 }, () =>
        client.transport.send(Buffer.alloc(1 << 20)).catch(() => undefined),
      );
      const controller = new AbortController();
      const given = client.transport.send('x', { signal: controller.signal });
      controller.abort(new Error('enough'));
      await assert.rejects(given, /enough/);
      client.transport.terminate();
      await Promise.all(first);
    });
  });

  test('pings are sent, answered and measured', async () => {
    let pings = 0;
    fixture.serve = (socket) => {
      socket.on('ping', () => (pings += 1));
      socket.ping();
    };
    const client = await fixture.connect({ pingIntervalMs: 20, pingTimeoutMs: 2000 });
    await eventually(() => pings >= 3 && client.pings === 1);
    assert.ok((await client.transport.ping()) < 2000);
    assert.equal(client.closed.length, 0);
  });

  test('options that cannot be are refused at once, by path', () => {
    assert.throws(() => fixture.create({ url: 'ftp://x' }), { name: 'TypeError', message: /^options\.url / });
    assert.throws(() => fixture.create({ pingInterval: 1 } as never), /did you mean 'pingIntervalMs'/);
    assert.throws(() => fixture.create({ maxMessageBytes: 0 }), RangeError);
  });
});

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
