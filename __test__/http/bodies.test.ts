// What a request's body is made of: its length where that is known, a second reading where that is possible, and a
// refusal where nothing sensible could be sent.
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { Readable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';

import { HTTPConnection, setLogger } from 'moorline';

import { Authority } from '../support/certificates';
import { closeAfter } from '../support/connections';
import { serve, startServer } from '../support/http';
import { HttpFixture } from '../support/http-fixture';
import { peer, peersMissing } from '../support/peers';

const fixture = new HttpFixture();
setLogger({});
after(() => setLogger(undefined));

/** A server that tells how each request came, and redirects those to `/307`, `/308` and `/303` first. */
const startEchoServer = () =>
  serve(async (request, response) => {
    const pieces: Buffer[] = [];
    const redirect = /^\/(30\d)/.exec(request.url ?? '')?.[1];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      // Broken off on purpose.
      return;
    }
    if (redirect) return void response.writeHead(Number(redirect), { location: '/end' }).end();
    response.setHeader('content-type', 'application/json');
    const { method, headers } = request;
    const body = Buffer.concat(pieces).toString('latin1');
    response.end(JSON.stringify({ method, body, headers }));
  });

const form = () => {
  const made = new FormData();
  made.set('a', 'b\nc');
  made.append('quo"te\r\n', '');
  made.set('file', new Blob(['hello'], { type: 'text/css' }), 'n"ame.txt');
  made.append('empty', new Blob([]));
  return made;
};
/** More than one piece of a stream, and more than a socket takes at once. */
const LARGE = Buffer.alloc(3 << 20, 'x').toString();

describe('a body whose length is known', () => {
  const bodies: [string, () => unknown, string | undefined][] = [
    ['a Blob', () => new Blob(['hello']), 'hello'],
    ['a File', () => new File(['hello'], 'n.txt'), 'hello'],
    ['an empty Blob', () => new Blob([]), ''],
    ['a large Blob', () => new Blob([LARGE]), LARGE],
    ['a form', form, undefined],
    ['a form of text', () => Object.assign(new FormData()), undefined],
    ['a form with a large file', () => (form().append('large', new Blob([LARGE])), form()), undefined],
  ];

  for (const [name, make, arrived] of bodies) {
    test(`${name} is sent with its length, and again by 307 and 308`, async () => {
      const server = await fixture.autoClose(startEchoServer());
      const transport = fixture.open();
      for (const path of ['/', '/307', '/308']) {
        const { data } = await transport.request({ method: 'PUT', url: server.url + path, body: make() });
        assert.equal(data.method, 'PUT');
        assert.equal(data.headers['content-length'], String(data.body.length), path);
        assert.equal(data.headers['transfer-encoding'], undefined);
        if (arrived !== undefined) assert.equal(data.body, arrived);
      }
      const lost = await transport.request({ method: 'PUT', url: `${server.url}/303`, body: make() });
      assert.deepEqual([lost.data.method, lost.data.body], ['GET', '']);
      assert.equal(server.acceptedConnections(), 1, 'each was sent to its end');
    });
  }

  test('has it over HTTP/2 as well', async () => {
    const authority = new Authority();
    fixture.undoAfter(() => authority.remove());
    const server = createSecureServer(authority.issue(['IP:127.0.0.1']));
    server.on('stream', (stream, { 'content-length': length }) => {
      stream.resume().on('end', () => (stream.respond({ ':status': 200 }), stream.end(String(length))));
    });
    const { url } = await fixture.autoClose(startServer(server));
    const transport = fixture.open({ tls: { ca: authority.cert } });
    assert.equal((await transport.request({ url, body: new Blob([LARGE]) })).text(), String(LARGE.length));
    assert.match((await transport.request({ url, body: form() })).text(), /^\d+$/);
  });

  test('is repeated with the request', async (t) => {
    let turn = 0;
    const bodies: string[] = [];
    const server = await fixture.autoClose(
      serve(async (request, response) => {
        let body = '';
        for await (const piece of request) body += String(piece);
        bodies.push(body);
        response.writeHead(turn++ === 0 ? 503 : 200).end();
      }),
    );
    const connection = closeAfter(t, new HTTPConnection({ url: server.url, monitoring: false, retryDelay: 1 }));
    const response = await connection.request({ method: 'PUT', url: '/', body: new Blob(['hello']) });
    assert.deepEqual([response.status, bodies], [200, ['hello', 'hello']]);
  });

  test('is read by a server that counts bytes as the form it was', async () => {
    const server = await fixture.autoClose(startEchoServer());
    const { data } = await fixture.open().request({ url: server.url, body: form() });
    const bytes = Buffer.from(data.body, 'latin1');
    const read = await new Response(bytes, { headers: { 'content-type': data.headers['content-type'] } }).formData();
    assert.deepEqual([...read.keys()], ['a', 'quo"te\r\n', 'file', 'empty']);
    assert.deepEqual([read.get('a'), read.get('quo"te\r\n')], ['b\r\nc', '']);
    const file = read.get('file') as File;
    assert.deepEqual([file.name, file.type, await file.text()], ['n"ame.txt', 'text/css', 'hello']);
    assert.equal((read.get('empty') as File).size, 0);
  });

  test('that gets no answer leaves nothing that waits', async () => {
    const server = await fixture.autoClose(serve((request) => request.socket.destroy()));
    const transport = fixture.open();
    for (const body of [new Blob([LARGE]), form()]) {
      await assert.rejects(transport.request({ url: server.url, body }), { kind: 'disconnected' });
    }
    const aborted = AbortSignal.abort(new Error('no more'));
    await assert.rejects(transport.request({ url: server.url, body: form() }, { signal: aborted }), /no more/);
    await assert.rejects(transport.request({ url: 'nowhere', body: form() }), { name: 'TypeError' });
  });
});

describe('a body of another realm or package', () => {
  test('is sent as what it is', async () => {
    const server = await fixture.autoClose(startEchoServer());
    const transport = fixture.open();
    const shared = new Uint8Array(new SharedArrayBuffer(2));
    shared.set([104, 105]);
    const table: [string, unknown, string][] = [
      ['an ArrayBuffer of another realm', runInNewContext('new Uint8Array([104, 105]).buffer'), 'hi'],
      ['bytes of another realm', runInNewContext('new Uint16Array([0x6968])'), 'hi'],
      ['a SharedArrayBuffer', shared.buffer, 'hi'],
      ['bytes in a SharedArrayBuffer', shared, 'hi'],
      ['a Buffer of a SharedArrayBuffer', Buffer.from(shared.buffer), 'hi'],
      ['a DataView', new DataView(shared.slice().buffer), 'hi'],
      ['a list of another realm', runInNewContext('[1, 2]'), '[1,2]'],
      [
        'a generator',
        (function* () {
          yield 'h';
          yield Buffer.from('i');
        })(),
        'hi',
      ],
      ['an iterator', ['h', 'i'].values(), 'hi'],
      ['a stream with pieces of many kinds', Readable.from(['h', runInNewContext('new Uint8Array([105])')]), 'hi'],
      ['what writes itself as JSON', new URL('http://h/'), '"http://h/"'],
      [
        'an instance of a class',
        new (class Order {
          id = 1;
        })(),
        '{"id":1}',
      ],
    ];
    for (const [name, body, arrived] of table) {
      assert.equal((await transport.request({ url: server.url, body })).data.body, arrived, name);
    }
  });

  test('form-data and the FormData of undici are forms', { skip: peersMissing() }, async () => {
    const server = await fixture.autoClose(startEchoServer());
    const transport = fixture.open();
    const [FormDataPackage, undici] = [(await peer('form-data')).default, await peer('undici')];
    const asStream = () => {
      const made = new FormDataPackage();
      made.append('a', '1');
      made.append('file', Buffer.from('hello'), 'n.txt');
      return made;
    };
    const fromUndici = new undici.FormData();
    fromUndici.set('a', '1');
    fromUndici.set('file', new Blob(['hello']), 'n.txt');
    const [first, second] = [asStream(), asStream()];
    for (const [name, body, headers] of [
      ['form-data', first, undefined],
      ['form-data with its headers', second, second.getHeaders()],
      ['undici', fromUndici, undefined],
    ] as const) {
      const { data } = await transport.request({ url: server.url, body, headers });
      assert.equal(data.headers['content-length'], String(data.body.length), name);
      const type = data.headers['content-type'];
      const read = await new Response(data.body, { headers: { 'content-type': type } }).formData();
      assert.deepEqual([read.get('a'), await (read.get('file') as File).text()], ['1', 'hello'], name);
    }
    const absent = new FormDataPackage();
    absent.append('file', createReadStream(`${__filename}.absent`));
    await assert.rejects(transport.request({ url: server.url, body: absent }), { code: 'ENOENT' });
    const streamed = new FormDataPackage();
    streamed.append('file', createReadStream(__filename));
    const { data } = await transport.request({ url: server.url, body: streamed });
    assert.equal(data.headers['transfer-encoding'], 'chunked');
    assert.match(data.body, /a body of another realm or package/);
  });
});

describe('a body that somebody has read, or reads', () => {
  const web = () => new Response('payload').body!;
  const drain = async (body: AsyncIterable<unknown>) => {
    for await (const _ of body);
    return body;
  };
  const bodies: Record<string, () => unknown> = {
    'a stream of the web': () => drain(web()),
    'a stream of the web that was given up': cancelStream,
    'a stream of the web that has a reader': () => {
      const body = web();
      body.getReader();
      return body;
    },
    'a stream of Node': () => drain(Readable.from(['a', 'b'])),
    'the rest of a stream of Node': async () => {
      const body = Readable.from(['a', 'b']);
      await body.iterator({ destroyOnReturn: false }).next();
      return body;
    },
  };
  async function cancelStream() {
    const body = web();
    await body.cancel();
    return body;
  }
  for (const [name, make] of Object.entries(bodies)) {
    test(`${name} is refused, and nothing is sent`, async () => {
      const server = await fixture.autoClose(startEchoServer());
      const body = await make();
      await assert.rejects(fixture.open().request({ url: server.url, body }), {
        name: 'TypeError',
        message: 'request.body was already read, or is locked by another reader',
      });
      assert.equal(server.acceptedConnections(), 0);
    });
  }
});

describe('a body that nobody could read', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  for (const [name, body, message] of [
    ['Map', new Map([['a', 1]]), /^request\.body must be .*, got an instance of Map$/],
    ['Set', new Set([1]), /an instance of Set$/],
    ['Headers', new Headers({ a: 'b' }), /an instance of Headers$/],
    ['Request', new Request('http://h/', { method: 'POST', body: 'x' }), /an instance of Request$/],
    ['Response', new Response('x'), /an instance of Response$/],
    ['Promise', Promise.resolve('x'), /an instance of Promise$/],
    ['Error', new TypeError('secret'), /an instance of TypeError$/],
    ['RegExp', /x/, /an instance of RegExp$/],
    ['function', () => 1, /got a function$/],
    ['symbol', Symbol('x'), /got a symbol$/],
    ['bigint', 1n, /^request\.body /],
    ['an object with a bigint', { a: 1n }, /^request\.body cannot be serialized as JSON$/],
    ['a circle', circle, /^request\.body cannot be serialized as JSON$/],
  ] as const) {
    test(`${name} is refused by name, and nothing is sent`, async () => {
      const server = await fixture.autoClose(startEchoServer());
      const call = fixture.open().request({ url: server.url, body });
      await assert.rejects(call, (error: TypeError & { code: string }) => {
        assert.ok(error instanceof TypeError && error.code.startsWith('ERR_INVALID_ARG_'));
        assert.match(error.message, message);
        return true;
      });
      assert.equal(server.acceptedConnections(), 0);
    });
  }
});
