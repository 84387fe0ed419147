// The URL of a request: its path below that of the connection, and its query.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runInNewContext } from 'node:vm';

import { HTTPConnection, setLogger } from 'moorline';

import { closeAfter } from '../support/connections';
import { type RunningServer, serve } from '../support/http';

let server: RunningServer;
before(async () => {
  setLogger({});
  server = await serve((request, response) => response.end(request.url));
});
after(() => {
  setLogger(undefined);
  return server.close();
});

function connect(t: { after(undo: () => unknown): void }, base = '') {
  return closeAfter(t as never, new HTTPConnection({ url: server.url + base, monitoring: false }));
}

describe('query', () => {
  const date = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  const iso = '2026-01-02T03%3A04%3A05.006Z';

  test('may be an object, pairs, a Map, URLSearchParams or text', async (t) => {
    const connection = connect(t);
    for (const [query, sent] of [
      [{ a: 1, b: [true, 2n, null, 'x y'], c: undefined, d: null }, 'a=1&b=true&b=2&b=x+y'],
      [{ at: date }, `at=${iso}`],
      [new URLSearchParams('a=1&b=2&a=3'), 'a=1&b=2&a=3'],
      [new Map<string, unknown>([['a', [1, date]]]), `a=1&a=${iso}`],
      [new Map([['a', '1']]).entries(), 'a=1'],
      [
        [
          ['a', '1'],
          ['a', 2],
        ],
        'a=1&a=2',
      ],
      [runInNewContext('({ a: [1, 2] })'), 'a=1&a=2'],
      ['a=1&b=%20+', 'a=1&b=%20+'],
      ['?a=1', 'a=1'],
      ['a=#1', 'a=%231'],
      [{}, ''],
      ['', ''],
      ['?', ''],
      [[], ''],
    ] as const) {
      const text = (await connection.request({ url: '/u', query: query as never })).text();
      assert.equal(text, sent ? `/u?${sent}` : '/u');
    }
    assert.equal((await connection.request({ url: '/u?z=0', query: 'a=1' })).text(), '/u?z=0&a=1');
  });

  test('of any other type is refused by its path, and the error does not show the value', async (t) => {
    const connection = connect(t);
    for (const [query, message] of [
      [{ a: { x: 1 } }, /^request\.query\.a must be .*, got an instance of Object$/],
      [{ a: [1, { x: 1 }] }, /^request\.query\.a must be /],
      [{ a: () => 1 }, /^request\.query\.a must be .*, got a function$/],
      [{ a: Symbol('secret') }, /^request\.query\.a must be .*, got a symbol$/],
      [{ a: new Date(NaN) }, /^request\.query\.a must be /],
      [new Map([['a', new Map()]]), /^request\.query\[0\] must be .*, got an instance of Map$/],
      [[['a', '1'], ['b']], /^request\.query\[1\] must be a pair of a key and a value, got an instance of Array$/],
      [['secret'], /^request\.query\[0\] must be a pair of a key and a value, got a string$/],
      [[[1, 2]], /^request\.query\[0\] must be /],
      [7, /^request\.query must be an object, pairs or text, got a number$/],
      [null, /^request\.query must be an object, pairs or text, got null$/],
      [new Date(), /^request\.query must be an object, pairs or text, got an instance of Date$/],
      [
        new (class Query {
          a = 1;
        })(),
        /^request\.query must be an object, pairs or text, got an instance of Query$/,
      ],
    ] as const) {
      const call = connection.request({ url: '/u', query: query as never });
      await assert.rejects(call, { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message });
    }
  });
});

describe('a path', () => {
  test('stands below the path of its connection and beside its query, without a fragment', async (t) => {
    for (const [base, request, sent] of [
      ['/v1', { url: '/u#part' }, '/v1/u'],
      ['/v1', { url: '/u?a=b#part' }, '/v1/u?a=b'],
      ['/v1', { url: '#part' }, '/v1'],
      ['/v1', { url: '/u#part?a=b', query: { c: 1 } }, '/v1/u?c=1'],
      ['/v1/', { url: 'u' }, '/v1/u'],
      ['/v1?key=k', {}, '/v1?key=k'],
      ['/v1?key=k', { url: '' }, '/v1?key=k'],
      ['/v1?key=k', { url: '/u' }, '/v1/u?key=k'],
      ['/v1?key=k', { query: { page: 2 } }, '/v1?key=k&page=2'],
      ['/v1?key=k', { url: '/u', query: { page: 2 } }, '/v1/u?key=k&page=2'],
      ['/v1?key=k', { url: '/u?page=2' }, '/v1/u?key=k&page=2'],
      ['/v1?key=k#frag', { url: '/u?page=2', query: 'x' }, '/v1/u?key=k&page=2&x'],
      ['/v1?key=k', { url: '?page=2' }, '/v1?key=k&page=2'],
      ['/v1?key=k', { url: '?' }, '/v1?key=k'],
      ['/v1', { url: '/a?b=c?d' }, '/v1/a?b=c?d'],
      ['/v1', { url: '/./a/../b' }, '/v1/b'],
      ['/v1', { url: '//other.example/x' }, '/v1//other.example/x'],
      ['', { url: '/../../a' }, '/a'],
      ['/a%2fb', { url: '/c%2Fd' }, '/a%2fb/c%2Fd'],
      ['/v1', { url: '/..a/b..' }, '/v1/..a/b..'],
    ] as const) {
      assert.equal((await connect(t, base).request(request)).text(), sent, `${base} ${JSON.stringify(request)}`);
    }
    const absolute = { url: new URL(`${server.url}/other?x#part`) };
    assert.equal((await connect(t, '/v1?key=k').request(absolute)).text(), '/other?x');
  });

  for (const url of [
    '../43/orders',
    '/../43/orders',
    '%2e%2e/43/orders',
    '.%2e/43',
    '%2E./43',
    '..\\43',
    './../43',
    'x/../../43',
    'x/..\\..\\43',
    '..',
    '../421',
    '.\t./43',
    '..%2f43',
    '%2e%2e%2F43',
    'x%2f..%5c..%2f43',
  ]) {
    test(`${JSON.stringify(url)} does not lead out of the connection's path`, async (t) => {
      const connection = connect(t, '/v1/tenants/42');
      const message = /^request\.url must stay within the connection's path/;
      await assert.rejects(connection.request({ url }), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message });
      assert.equal(await connection.send({ method: 'GET', url }), null);
    });
  }

  test('that is no text is refused', async (t) => {
    for (const url of [7, null, {}, ['/u'], Symbol('x')]) {
      const call = connect(t).request({ url: url as never });
      await assert.rejects(call, {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: /^request\.url must be /,
      });
    }
  });
});
