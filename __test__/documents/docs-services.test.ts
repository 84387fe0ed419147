// The code of docs/services compiles under `tsc --strict` and does what its page says.
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { MemoryReplayStore, resetHealthMonitor, TursoPool, WebhookVerifier, type WebhookReplayStore } from 'moorline';

import { compilePage } from '../specification/page';
import { socketServer } from '../support/connections';
import { eventually } from '../support/eventually';
import { serve } from '../support/http';
import { NixtlaServer } from '../nixtla/server/server';
import { peer, peersMissing } from '../support/peers';
import { listen } from '../support/ports';
import { skipWithoutSqld, startSqld } from '../support/servers';
import { skipWithoutSshd, Sshd } from '../support/sshd';

const LOCAL_SETTING = 'host, port, path or secret';

/** A server that answers every request with a little JSON; the function returns its URL once the tests run. */
function serveJson(): () => string {
  const server = createServer((_, response) => response.end('{"total":7}'));
  before(() => listen(server));
  after(() => server.close());
  return () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('docs/services/resilience.md', () => {
  const url = serveJson();

  test('its code does what it says', async () => {
    const [policy, breaker, limits] = compilePage('docs/services/resilience.md', [
      { prelude: `const url = '${url()}';`, exposes: ['invoice'] },
      {
        prelude: 'const index = { search: async (_: string): Promise<string[]> => { throw new Error(); } };',
        exposes: ['search'],
      },
      {
        prelude: 'const ids = [1, 2, 3]; const fetchContact = async (id: number) => id * 2;',
        exposes: ['contacts'],
      },
    ]);
    assert.deepEqual((await policy!.load())['invoice'], { total: 7 });
    const { search } = (await breaker!.load()) as { search: (text: string) => Promise<string[]> };
    for (let n = 0; n < 5; n++) await assert.rejects(search('x'));
    assert.deepEqual(await search('x'), []);
    assert.deepEqual((await limits!.load())['contacts'], [2, 4, 6]);
  });
});

describe('docs/services/libsql.md', () => {
  const directory = mkdtempSync(join(tmpdir(), 'moorline-docs-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('its code does what it says', async () => {
    const url = `file:${join(directory, 'app.db')}`;
    const fileUrl = { reason: LOCAL_SETTING, from: 'file:app.db', to: url } as const;
    const remoteUrl = { reason: LOCAL_SETTING, from: 'libsql://my-database.turso.io', to: url } as const;
    const [snippet, typed] = compilePage('docs/services/libsql.md', [
      { replace: [fileUrl], exposes: ['names', 'transaction'] },
      { replace: [remoteUrl], exposes: ['database', 'findUser'] },
    ]);
    const { names, transaction } = await snippet!.load();
    assert.deepEqual(names, ['Ada']);
    assert.equal(transaction.closed, true);
    await using pool = new TursoPool({ url });
    assert.deepEqual((await pool.execute('SELECT * FROM users')).rows, [], 'the transaction was committed');
    await pool.execute("INSERT INTO users VALUES (7, 'Grace')");
    const { database, findUser } = (await typed!.load()) as {
      database: TursoPool;
      findUser(id: number): Promise<{ id: number; name: string }>;
    };
    assert.deepEqual(await findUser(7), { id: 7, name: 'Grace' });
    await database.drain();
  });
});

describe('docs/services/nixtla.md', () => {
  let service: NixtlaServer;
  before(async () => (service = await NixtlaServer.start()));
  after(() => service.close());

  test('its code does what it says', async () => {
    const [snippet] = compilePage('docs/services/nixtla.md', [
      {
        replace: [
          {
            reason: LOCAL_SETTING,
            from: 'apiKey: process.env.NIXTLA_API_KEY',
            to: `apiKey: '${service.key}', baseUrl: '${service.url}'`,
          },
        ],
        exposes: ['predictions', 'modelInfo'],
      },
    ]);
    const { predictions, modelInfo } = await snippet!.load();
    assert.equal(predictions.length, 24);
    assert.equal(predictions[0].timestamp, '2024-01-01T02:00:00Z');
    assert.deepEqual(Object.keys(predictions[0].intervals), ['0.8', '0.95']);
    assert.equal(modelInfo.source, 'service');
  });
});

describe('docs/services/health.md', () => {
  const url = serveJson();

  test('its code does what it says', async () => {
    const [snippet, endpoint] = compilePage('docs/services/health.md', [
      {
        replace: [{ reason: LOCAL_SETTING, from: 'https://payments.example.com', to: url() }],
        prelude: `
          const pool = { healthCheck: async () => true };
          const redis = { ping: async (): Promise<string> => { throw new Error('connection refused'); } };`,
        exposes: ['report'],
      },
      {
        replace: [{ reason: LOCAL_SETTING, from: 'server.listen(3000);', to: "server.listen(0, '127.0.0.1');" }],
        scope: 'run(pool: { healthCheck(): Promise<boolean> }, redis: { ping(): Promise<string> })',
        exposes: ['server'],
      },
    ]);
    await assertHealthEndpoint(await endpoint!.load());
    const { report } = await snippet!.load();
    assert.deepEqual(
      report.checks.map(({ name, status }: { name: string; status: string }) => [name, status]),
      [
        ['database', 'healthy'],
        ['payments', 'healthy'],
        ['cache', 'unhealthy'],
      ],
    );
    assert.equal(report.status, 'degraded');
  });

  /** The page's server answers 200 while the service works, and 503 while it does not. */
  async function assertHealthEndpoint(endpoint: Record<string, any>): Promise<void> {
    let isUp = true;
    const ping = async (): Promise<string> => {
      throw new Error('connection refused');
    };
    const { server } = await endpoint['run']({ healthCheck: async () => isUp }, { ping });
    try {
      if (!server.listening) await once(server as EventEmitter, 'listening');
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const ask = async () => {
        const answer = await fetch(`${base}/health?full`);
        const { status, checks } = (await answer.json()) as {
          status: string;
          checks: { name: string; status: string }[];
        };
        return [answer.status, status, ...checks.map(({ name, status }) => `${name} ${status}`)];
      };
      assert.deepEqual(await ask(), [200, 'degraded', 'database healthy', 'cache unhealthy']);
      isUp = false;
      assert.deepEqual(await ask(), [503, 'unhealthy', 'database unhealthy', 'cache unhealthy']);
      assert.equal((await fetch(`${base}/other`)).status, 404);
      assert.equal((await fetch(`${base}/health`, { method: 'POST' })).status, 404);
    } finally {
      resetHealthMonitor();
      server.closeAllConnections();
      server.close();
    }
  }
});

describe('docs/services/webhook.md', { skip: peersMissing() }, () => {
  const secret = 'a secret';
  const rawBody = '{"event":"paid"}';
  const signer = new WebhookVerifier({ secret });

  /** The blocks, as functions whose parameters are their free names. */
  function compileBlocks() {
    const types = `
      import type { IncomingMessage } from 'node:http';
      import type { FetchRequest } from 'moorline';`;
    const imports = `${types} import { WebhookVerifier } from 'moorline';`;
    return compilePage('docs/services/webhook.md', [
      {
        replace: [{ reason: LOCAL_SETTING, from: 'process.env.WEBHOOK_SECRET', to: `'${secret}'` }],
        prelude: types,
        scope: 'run(request: { headers: Record<string, string> }, rawBody: string, payload: string)',
        exposes: ['result', 'signature'],
      },
      {
        prelude: imports,
        scope: 'run(verifier: WebhookVerifier, request: IncomingMessage, rawBody: string)',
        exposes: ['result'],
      },
      {
        replace: [{ reason: LOCAL_SETTING, from: 'server.listen(3000);', to: "server.listen(0, '127.0.0.1');" }],
        prelude: imports,
        scope: 'run(verifier: WebhookVerifier, save: (id: string | undefined, event: unknown) => Promise<void>)',
        exposes: ['server'],
      },
      {
        prelude: imports,
        scope: 'run(verifier: WebhookVerifier, request: FetchRequest, app: any)',
        exposes: ['valid', 'reason', 'status', 'body', 'challenge'],
      },
      { prelude: imports, scope: 'run(secret: string)', exposes: ['verifier'] },
      { prelude: imports, scope: 'run(secret: string)', exposes: ['verifier', 'replayStore'] },
      {
        replace: [{ reason: LOCAL_SETTING, from: 'file:app.db', to: ':memory:' }],
        exposes: ['pool', 'replayStore'],
      },
      {
        prelude: `interface Redis {
          set(key: string, value: string, unit: 'PX', ttlMs: number, only: 'NX'): Promise<'OK' | null>;
          exists(key: string): Promise<number>;
          del(key: string): Promise<number>;
        }`,
        scope: 'run(redis: Redis)',
        exposes: ['replayStore'],
      },
    ]);
  }

  test('its code does what it says', async () => {
    const snippets = await Promise.all(compileBlocks().map((snippet) => snippet.load()));
    const [first, whole, served, received, own, replays, libsql, redis] = snippets;
    const headers = signer.signRequest({ body: rawBody });

    const { result, signature } = await first!['run']({ headers }, rawBody, rawBody);
    assert.equal(result.valid, true);
    assert.match(signature, /^t=\d+,v1=[0-9a-f]{64}$/);

    await assertNodeServer(served!, headers);

    const verified = await whole!['run'](signer, { headers, url: '/' } as unknown as IncomingMessage, rawBody);
    assert.deepEqual(
      [verified.result.valid, verified.result.scheme, verified.result.secretIndex],
      [true, 'generic', 0],
    );

    const { default: express } = await peer('express');
    const app = express();
    const request = new Request('http://127.0.0.1/', { method: 'POST', body: rawBody, headers });
    const { valid, status, body } = await received!['run'](signer, request, app);
    assert.deepEqual([valid, status, body.toString()], [true, 200, rawBody]);
    await assertExpressMiddleware(app, headers);

    const { verifier } = await own!['run'](secret);
    const signed = verifier.signRequest({ body: rawBody });
    assert.deepEqual(Object.keys(signed).sort(), ['x-acme-signature', 'x-acme-time']);
    assert.equal(verifier.verifyRequest({ headers: signed, body: rawBody }).scheme, 'acme');

    const replayBlock = await replays!['run'](secret);
    assert.ok(replayBlock.replayStore instanceof MemoryReplayStore);
    assert.equal(replayBlock.verifier.verifyRequest({ headers, body: rawBody }).valid, true);
    assert.equal(replayBlock.verifier.verifyRequest({ headers, body: rawBody }).valid, false);

    await using pool = libsql!['pool'];
    assert.ok(pool instanceof TursoPool);
    await assertReplayStore(libsql!['replayStore']);
    await assertReplayStore((await redis!['run'](redisLike())).replayStore);
  });

  /** The page's server handles what is genuine, once, and says so of the copy. */
  async function assertNodeServer(served: Record<string, any>, headers: Record<string, string>): Promise<void> {
    const saved: unknown[] = [];
    const verifier = new WebhookVerifier({ secret, replayStore: new MemoryReplayStore() });
    const { server } = await served['run'](verifier, async (_: unknown, event: unknown) => saved.push(event));
    try {
      if (!server.listening) await once(server as EventEmitter, 'listening');
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      const post = (body: string) => fetch(url, { method: 'POST', body, headers });
      assert.deepEqual(await (await post(rawBody)).json(), {});
      assert.deepEqual(await (await post(rawBody)).json(), { duplicate: true });
      assert.equal((await post(`${rawBody} `)).status, 401);
      assert.deepEqual(saved, [JSON.parse(rawBody)]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }

  /** The three commands of Redis that the page's store needs. */
  function redisLike() {
    const expiry = new Map<string, number>();
    const has = (key: string) => (expiry.get(key) ?? 0) > performance.now();
    return {
      set: async (key: string, _value: string, _unit: 'PX', ttlMs: number, _only: 'NX') => {
        if (has(key)) return null;
        expiry.set(key, performance.now() + ttlMs);
        return 'OK' as const;
      },
      exists: async (key: string) => Number(has(key)),
      del: async (key: string) => Number(expiry.delete(key)),
    };
  }

  /** A store of the page does what the interface says. */
  async function assertReplayStore(store: Required<WebhookReplayStore>): Promise<void> {
    const results = await Promise.all([store.remember('a', 60_000), store.remember('a', 60_000)]);
    assert.deepEqual([...results].sort(), [false, true]);
    assert.deepEqual([await store.has('a'), await store.has('b')], [true, false]);
    await store.forget('a');
    assert.equal(await store.has('a'), false);
    assert.equal(await store.remember('a', 1), true);
    await eventually(async () => !(await store.has('a')));
    assert.equal(await store.remember('a', 60_000), true);
  }

  /** The page's middleware lets through what is genuine, with its raw body, and answers 401 to the rest. */
  async function assertExpressMiddleware(app: any, headers: Record<string, string>): Promise<void> {
    app.post('/webhooks', (request: any, response: any) =>
      response.json([request.body.toString(), request.webhook.valid]),
    );
    const server = createServer(app);
    const url = `http://127.0.0.1:${await listen(server)}/webhooks`;
    try {
      const genuine = await fetch(url, { method: 'POST', body: rawBody, headers });
      assert.deepEqual(await genuine.json(), [rawBody, true]);
      assert.equal((await fetch(url, { method: 'POST', body: `${rawBody} `, headers })).status, 401);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  }
});

describe('docs/services/http.md', () => {
  test('its code does what it says', async () => {
    const received: string[] = [];
    const server = await serve((request, response) => {
      received.push(`${request.method} ${request.url} ${request.headers['x-api-key']}`);
      request.resume().on('end', () => response.end('[{"name":"Ada"}]'));
      response.setHeader('content-type', 'application/json');
    });
    after(() => server.close());
    const [snippet] = compilePage('docs/services/http.md', [
      {
        replace: [{ reason: LOCAL_SETTING, from: 'https://api.example.com/v1', to: `${server.url}/v1` }],
        prelude: "const key = 'k';",
        exposes: ['users', 'created', 'delivered'],
      },
    ]);
    const { users, created, delivered } = await snippet!.load();
    assert.deepEqual([users, created.status, delivered], [[{ name: 'Ada' }], 200, true]);
    assert.deepEqual(received, ['GET /v1/users?page=2 k', 'POST /v1/users k', 'POST /v1 k']);
  });
});

describe('docs/services/websocket.md', { skip: peersMissing() }, () => {
  test('its code does what it says', async () => {
    const received: string[] = [];
    const server = await socketServer((socket) =>
      socket.on('message', (data: Buffer) => {
        received.push(String(data));
        // The first connection is lost.
        if (received.length === 1) return socket.terminate();
        for (const id of [1, 2]) socket.send(JSON.stringify({ id, last: id === 2 }));
      }),
    );
    after(() => server.close());
    const [snippet] = compilePage('docs/services/websocket.md', [
      {
        replace: [{ reason: LOCAL_SETTING, from: 'wss://api.example.com/ws', to: server.url }],
        prelude:
          "const authorization = 'Bearer x'; const handled: unknown[] = []; const handle = async (order: unknown) => handled.push(order);",
        exposes: ['orders', 'handled'],
      },
    ]);
    const { orders, handled } = await snippet!.load();
    assert.deepEqual(received, Array(2).fill('{"subscribe":"orders"}'));
    assert.deepEqual(
      handled.map(({ id }: { id: number }) => id),
      [1, 2],
    );
    assert.equal(await orders.isConnected(), false);
    assert.equal(server.handshakes[0]?.headers.authorization, 'Bearer x');
  });
});

describe('docs/services/sse.md', () => {
  test('its code does what it says', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'moorline-docs-'));
    const lastEventIds: unknown[] = [];
    const server = await serve(({ headers }, response) => {
      lastEventIds.push(headers['last-event-id']);
      // Two streams, and then no more.
      if (lastEventIds.length === 3) return void response.writeHead(204).end();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`retry: 1\nid: ${lastEventIds.length}\nevent: order\ndata: {"n":${lastEventIds.length}}\n\n`);
    });
    after(() => (rmSync(directory, { recursive: true, force: true }), server.close()));
    const [snippet] = compilePage('docs/services/sse.md', [
      {
        replace: [
          { reason: LOCAL_SETTING, from: 'https://api.example.com/events', to: server.url },
          { reason: LOCAL_SETTING, from: 'file:cursors.db', to: `file:${join(directory, 'cursors.db')}` },
        ],
        prelude:
          "const authorization = 'Bearer x'; const handled: unknown[] = []; const handle = async (order: unknown) => handled.push(order);",
        exposes: ['feed', 'handled'],
      },
    ]);
    const { feed, handled } = await snippet!.load();
    assert.deepEqual(handled, [{ n: 1 }, { n: 2 }]);
    assert.deepEqual(lastEventIds, [undefined, '1', '2']);
    await feed.disconnect();
  });
});

describe('docs/services/connections.md', { skip: peersMissing() }, () => {
  const url = serveJson();

  test('its code does what it says', async () => {
    const { WebSocketServer } = await peer('ws');
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    after(() => sockets.close());
    await once(sockets, 'listening');
    const received: string[] = [];
    sockets.on('connection', (socket: EventEmitter) => socket.on('message', (data) => received.push(String(data))));
    const [first, tokens, pools, retries] = compilePage('docs/services/connections.md', [
      { replace: [{ reason: LOCAL_SETTING, from: 'https://api.example.com', to: url() }], exposes: ['api'] },
      { prelude: "const freshToken = async (_: AbortSignal) => 't';", exposes: ['feed'] },
      {
        replace: [
          { reason: LOCAL_SETTING, from: 'wss://api.example.com/ws', to: `ws://127.0.0.1:${sockets.address().port}` },
        ],
        exposes: ['pool'],
      },
      { replace: [{ reason: LOCAL_SETTING, from: 'https://api.example.com/users', to: url() }], exposes: ['users'] },
    ]);
    const { api } = await first!.load();
    assert.equal(api.config.timeout, 5000);
    assert.equal(api.getMetrics().requestCount, 1);
    await api.disconnect();
    assert.equal(typeof (await tokens!.load())['feed'].config.customHeaders, 'function');
    const { pool } = await pools!.load();
    assert.equal(pool.stats().totalConnections, 0);
    await eventually(() => received.length === 2);
    assert.deepEqual(received, ['{"type":"data","payload":"test"}', 'the same, and it cannot be forgotten']);
    assert.deepEqual((await retries!.load())['users'], { total: 7 });
  });
});

describe('docs/services/ssh.md', { skip: skipWithoutSshd() || skipWithoutSqld() }, () => {
  test('its code does what it says', async (t) => {
    const [sshd, sqld] = await Promise.all([Sshd.start(), startSqld()]);
    const server = await serve((_, response) => response.end('[7]'));
    t.after(() => Promise.all([sshd.stop(), sqld.stop(), server.close()]));
    const { sshPort, sshUsername, sshKeyPath, hostKeyFingerprint } = sshd.config;
    const login = JSON.stringify({ sshPort, hostKeyFingerprint }).slice(1, -1);
    const place = (from: string, to: string) => ({ reason: LOCAL_SETTING, from, to }) as const;
    const there = [
      place("'bastion.example.com',", `'127.0.0.1', ${login},`),
      place("'deploy'", `'${sshUsername}'`),
      place('~/.ssh/id_ed25519', sshKeyPath),
    ];
    const [first, credentials, jump, local, events] = compilePage('docs/services/ssh.md', [
      {
        replace: [
          ...there,
          place('http://orders.internal', server.url),
          place('http://libsql.internal:8080', sqld.url),
        ],
        exposes: ['tunnel', 'orders', 'rows'],
      },
      {
        prelude: 'const readSecret = async (name: string) => name;',
        exposes: ['byKey', 'byKeyText', 'byAgent', 'byPassword', 'byAnswers'],
      },
      { exposes: ['tunnel'] },
      {
        replace: [
          ...there,
          place("'postgres.internal', //", "'127.0.0.1', //"),
          place('remotePort: 5432', `remotePort: ${server.port}`),
        ],
        exposes: ['tunnel', 'connectionString'],
      },
      {
        prelude: "import type { SSHTunnel } from 'moorline';",
        scope:
          'run(tunnel: SSHTunnel, alert: (text: string) => void, console: { [name: string]: (text: string) => void })',
      },
    ]);
    const { tunnel, orders, rows } = await first!.load();
    assert.deepEqual([orders.status, orders.json(), rows], [200, [7], [{ one: 1 }]]);
    assert.equal(tunnel.isConnectedToTunnel(), false);
    assert.ok(tunnel.stats().receivedBytes > 0);

    const { SSH_AUTH_SOCK: agent } = process.env;
    process.env['SSH_AUTH_SOCK'] ??= '/run/agent';
    t.after(() => void (agent ?? delete process.env['SSH_AUTH_SOCK']));
    const { byKeyText, byAgent, byAnswers } = await credentials!.load();
    assert.deepEqual(
      [byKeyText.options().privateKey, byAgent.options().agent, byAnswers.options().keyboardInteractive],
      ['[redacted]', process.env['SSH_AUTH_SOCK'], '[redacted]'],
    );
    assert.equal((await jump!.load())['tunnel'].options().jumpHosts[0].sshHost, 'gate.example.com');

    const { tunnel: port, connectionString } = await local!.load();
    assert.deepEqual(await (await fetch(connectionString.replace('postgres://app@', 'http://'))).json(), [7]);
    const said: string[] = [];
    const say = (text: string) => void said.push(text);
    await (await events!.load())['run'](port, say, { error: say, warn: say });
    sshd.cutSessions();
    await eventually(() => said.length === 3, 20_000);
    assert.match(said[0]!, /^the tunnel was lost: ECONNRESET /);
    assert.deepEqual(said[1], 'attempt 1 in 0 ms');
    assert.match(said[2]!, /^connected again after \d/);
    await port.disconnect();
  });
});
