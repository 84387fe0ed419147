// Answers of a libSQL server that no server should give, and what it says when it says no.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';

import { type LibsqlError, Policy, setLogger, TursoPool } from 'moorline';

import { type RunningServer, serve } from '../support/http';

const TOKEN = 'hunter2';
const NULL = { type: 'null' };

const executed = (cols: unknown[] = [], rows: unknown[] = []) => ({
  type: 'ok',
  response: { type: 'execute', result: { cols, rows, affected_row_count: 0, last_insert_rowid: null } },
});
const answer = (result: unknown, more: object = {}) =>
  JSON.stringify({
    baton: null,
    base_url: null,
    results: [result, { type: 'ok', response: { type: 'get_autocommit', is_autocommit: false } }],
    ...more,
  });

let running: RunningServer[] = [];
let pools: TursoPool[] = [];

/** A server that answers everything alike, and the requests that came. */
async function up(respond: (response: ServerResponse) => void) {
  const requests: IncomingMessage[] = [];
  const server = await serve((request, response) => {
    requests.push(request);
    request.resume().on('end', () => respond(response));
  });
  running.push(server);
  return { ...server, requests };
}

function open(url: string, authToken = TOKEN) {
  const pool = new TursoPool({ url, authToken });
  pools.push(pool);
  return pool;
}

const rejectionOf = (call: Promise<unknown>): Promise<LibsqlError> =>
  call.then(
    () => assert.fail('it did not fail'),
    (error: LibsqlError) => error,
  );

beforeEach(() => setLogger({}));
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.drain(0)));
  await Promise.all(running.splice(0).map((server) => server.close()));
  setLogger(undefined);
});

describe('a server that moves a stream', () => {
  const moving = (base: string, baton: string | null = 'b') =>
    up((response) => response.end(answer(executed(), { baton, base_url: base })));

  test('to another port, path or user of another server gets neither token nor SQL there', async () => {
    const other = await up((response) => response.end(answer(executed())));
    for (const base of [other.url, `${other.url}/elsewhere`, other.url.replace('//', '//me:pw@')]) {
      const pool = open((await moving(base)).url);
      const error = await rejectionOf(pool.transaction('write'));
      assert.deepEqual(
        [error.kind, error.code, error.delivery, error.retryable],
        ['protocol', 'HRANA_PROTO_ERROR', 'answered', false],
      );
      assert.ok(error.message.includes(other.url) && !error.message.includes('pw'), error.message);
    }
    assert.equal(other.requests.length, 0);
  });

  test('to what is no URL of a server is refused, and shows nothing of it', async () => {
    for (const base of ['file:///etc/passwd', 'data:,x', '/v3', '', 'http://me:pw/x@h']) {
      const error = await rejectionOf(open((await moving(base)).url).transaction('write'));
      assert.deepEqual([error.kind, error.delivery], ['protocol', 'answered'], base);
      assert.doesNotMatch(inspect(error), /pw/);
    }
  });

  test('to another path of itself is followed', async () => {
    const server = await up((response) => response.end(answer(executed(), { baton: 'b', base_url: `${url}/there/` })));
    const { url } = server;
    const transaction = await open(url).transaction('write');
    // What it answers is no batch.
    assert.equal((await rejectionOf(transaction.execute('SELECT 1'))).code, 'HRANA_PROTO_ERROR');
    assert.deepEqual(
      server.requests.map((request) => request.url),
      ['/v3/pipeline', '/there/v3/pipeline'],
    );
    transaction.close();
  });

  test('says so in vain where there is nothing to continue', async () => {
    await open((await moving('http://127.0.0.1:1', null)).url).execute('SELECT 1');
  });
});

describe('rows that cannot be', () => {
  const two = [{ name: 'user' }, { name: 'balance' }];
  const of = async (body: string | Buffer, headers: Record<string, string> = {}) => {
    const server = await up((response) => response.writeHead(200, headers).end(body));
    return open(server.url).execute('SELECT * FROM t');
  };
  const integer = (value: number) => ({ type: 'integer', value: String(value) });

  test('are refused when their width is not that of the columns', async () => {
    for (const [cols, rows] of [
      [two, [[integer(1)], [integer(2), integer(700)], [integer(3), integer(5)]]],
      [
        two,
        [
          [NULL, NULL],
          [NULL, NULL, NULL],
        ],
      ],
      [two, [[NULL], [NULL]]],
      [two, [[]]],
      [[], [[]]],
      [[], [[NULL]]],
    ] as const) {
      const error = await rejectionOf(of(answer(executed([...cols], [...rows]))));
      assert.deepEqual([error.kind, error.delivery], ['protocol', 'answered'], JSON.stringify(rows));
    }
    const fitting = await of(answer(executed(two, [[integer(1), NULL]])));
    assert.deepEqual([fitting.rows[0]!['user'], fitting.rows[0]!['balance']], [1, null]);
  });

  test('are refused when they are many and empty, for little memory', async () => {
    const [head, tail] = answer(executed([], ['here'])).split('"here"');
    const packed = gzipSync(`${head}${'[],'.repeat(10_000_000)}[]${tail}`);
    assert.ok(packed.length < 100_000);
    const before = process.memoryUsage().rss;
    const error = await rejectionOf(of(packed, { 'content-encoding': 'gzip' }));
    assert.equal(error.kind, 'protocol');
    // Unpacked it is 30 MB; as rows it was some 400 MB.
    assert.ok(process.memoryUsage().rss - before < 200 << 20, `${process.memoryUsage().rss - before}`);
  });

  test('are refused when all of them together are too many', async () => {
    const [head, tail] = answer({ type: 'ok', response: { type: 'x', list: ['here'] } }).split('"here"');
    const packed = gzipSync(`${head}${'0,'.repeat(34_000_000)}0${tail}`);
    const error = await rejectionOf(of(packed, { 'content-encoding': 'gzip' }));
    assert.equal(error.kind, 'protocol');
    assert.match((error.cause as Error).message, /elements/);
  });
});

describe('a server that says no', () => {
  const refusing = (status: number, headers: Record<string, string>, body = '') =>
    up((response) => response.writeHead(status, headers).end(body));

  for (const status of [429, 503]) {
    test(`with ${status} is asked again when it says, and its words are told`, async () => {
      const headers = { 'retry-after': '1', 'content-type': 'text/plain' };
      const server = await refusing(status, headers, `limit reached for ${TOKEN}\n`);
      const pool = open(server.url);
      const waits: unknown[] = [];
      const retry = { maxRetries: 1, baseDelayMs: 1, jitter: false, budget: false } as const;
      const policy = new Policy({ retry });
      policy.on('retry', ({ delayMs }) => waits.push(delayMs));
      const error = (await rejectionOf(policy.run(() => pool.execute('SELECT 1')))) as LibsqlError;
      assert.deepEqual([error.retryAfterMs, error.retryable, error.attempts], [1000, true, 2]);
      assert.match(error.message, new RegExp(`responded with status ${status} .*: limit reached for \\[redacted\\]$`));
      assert.deepEqual([waits, server.requests.length], [[1000], 2]);
    });
  }

  test('in another form is understood, too, and never without end', async () => {
    for (const [body, message] of [
      ['{"message":"slow down"}', /responded with status 500 Internal Server Error: slow down$/],
      ['{"error":"no such db"}', /: no such db$/],
      ['<html>busy</html>', /responded with status 500 Internal Server Error$/],
      ['x'.repeat(1 << 20), /responded with status 500 Internal Server Error$/],
      ['x'.repeat(10_000), /: x{500}…$/],
    ] as const) {
      const error = await rejectionOf(open((await refusing(500, {}, body)).url).execute('SELECT 1'));
      assert.match(error.message, message);
      assert.deepEqual([error.kind, error.delivery, error.detail?.['status']], ['rejected', 'answered', 500]);
    }
  });
});

test('a token with a line break at its end is sent without it', async () => {
  const server = await up((response) => response.end(answer(executed())));
  await open(server.url, `${TOKEN}\n`).execute('SELECT 1');
  assert.equal(server.requests[0]?.headers.authorization, `Bearer ${TOKEN}`);
  assert.throws(() => open(server.url, `${TOKEN}\nx`), { name: 'TypeError', message: /^options\.authToken must/ });
});
