// What is shown of URLs, headers and answers: never a credential, however odd the URL is.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  BaseConnection,
  type ConnectionConfig,
  HTTPConnection,
  NixtlaClient,
  setLogger,
  SSEConnection,
  TursoPool,
  WebhookVerifier,
  WebSocketConnection,
} from 'moorline';

import { closeAfter, captureLogs } from '../support/connections';
import { type RunningServer, serve } from '../support/http';

const SECRET = 'hunter2';

afterEach(() => setLogger(undefined));

describe('a URL that no connection can use', () => {
  const kinds = [
    ['http', HTTPConnection],
    ['ws', WebSocketConnection],
    ['http', SSEConnection],
  ] as const;
  for (const [scheme, Kind] of kinds) {
    test(`is refused by ${Kind.name}, without being shown`, () => {
      for (const rest of [`user:${SECRET}/x@127.0.0.1:1/`, `h:99999/?key=${SECRET}`, `[::1/?key=${SECRET}`]) {
        const url = `${scheme}://${rest}`;
        const given = [{ url }, { url: `${scheme}://127.0.0.1:1`, fallbackUrl: url }];
        for (const config of given) {
          assert.throws(
            () => new Kind(config),
            (error: NodeJS.ErrnoException) => {
              assert.ok(error instanceof TypeError && error.code === 'ERR_INVALID_ARG_VALUE', inspect(error));
              assert.match(error.message, /^options\.(url|fallbackUrl) must be a URL/);
              assert.doesNotMatch(inspect(error), /hunter2/);
              return true;
            },
          );
        }
      }
    });
  }

  test('of one request is an error that does not show it', async (t) => {
    const connection = closeAfter(
      t,
      new HTTPConnection({ url: 'http://127.0.0.1:1', monitoring: false, retryCount: 0 }),
    );
    const events: unknown[] = [];
    connection.onEvent((event) => events.push(event));
    const url = `http://user:${SECRET}/x@127.0.0.1/`;
    const error = await connection.request({ url }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof TypeError);
    assert.doesNotMatch(inspect([error, events], { depth: 8 }), /hunter2/);
  });
});

describe('connections of one’s own', () => {
  class Own extends BaseConnection {
    protected async sendImpl(): Promise<void> {}
    protected async receiveImpl(): Promise<void> {}
  }

  test('show of any URL no user, no password and no query', async (t) => {
    const written = captureLogs(t);
    const shown = [
      [`file:///db?authToken=${SECRET}`, 'file:///db'],
      [`unix:///run/s?token=${SECRET}`, 'unix:///run/s'],
      [`foo://user:${SECRET}@/x`, 'foo:…'],
      [`foo://user:${SECRET}/x@h`, 'foo:…'],
      [`redis://:${SECRET}@127.0.0.1:1/0`, 'redis://127.0.0.1:1/0'],
    ];
    for (const [url, expected] of shown) {
      const connection = closeAfter(t, new Own({ url, monitoring: false }));
      const events: unknown[] = [];
      connection.onEvent((event) => events.push(event));
      await connection.connect();
      const { config } = JSON.parse(JSON.stringify(connection.getStatus())) as { config: ConnectionConfig };
      assert.equal(config.url, expected);
      for (const thing of [connection, connection.getStatus(), events, written]) {
        assert.doesNotMatch(inspect(thing, { depth: 8 }), /hunter2/);
      }
    }
    assert.equal(written.length, shown.length, 'each connect has its record');
  });

  test('show `environment` as their proxy, and of a proxy’s URL no password', () => {
    const proxyOf = (proxy: string) => {
      const text = JSON.stringify(new Own({ proxy, monitoring: false }).config);
      return (JSON.parse(text) as ConnectionConfig).proxy;
    };
    assert.equal(proxyOf('environment'), 'environment');
    assert.equal(proxyOf(`socks5://me:${SECRET}@h:1`), 'socks5://h:1');
  });
});

describe('the URL of an answer', () => {
  let server: RunningServer;
  beforeEach(async () => (server = await serve((_, response) => response.end('not json'))));
  afterEach(() => server.close());

  test('has no user and no password, and printed no query', async (t) => {
    const url = server.url.replace('//', `//me:${SECRET}@`);
    const connection = closeAfter(t, new HTTPConnection({ url, monitoring: false }));
    const answer = await connection.request({ url: '/x', query: { page: '2@' } });
    assert.equal(answer.url, `${server.url}/x?page=2%40`);
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), { status: 200, url: `${server.url}/x` });
    assert.equal(inspect(answer).replace(/\s+/g, ' '), `HTTPResponse { status: 200, url: '${server.url}/x' }`);
    assert.throws(() => answer.json(), { kind: 'protocol' });
    const keyed = await connection.request({ url: `/x?key=${SECRET}` });
    assert.doesNotMatch(inspect([keyed, JSON.stringify(keyed)], { depth: 8 }), /hunter2/);
  });
});

describe('the URL of a libSQL server', () => {
  test('with a user or a password is refused, however it is written', () => {
    const named = /^options\.url has a user name or a password/;
    const hostless = /^options\.url has no host after '\/\/'$/;
    for (const [rest, reason] of [
      ['//u:hunter2@h', named],
      ['//hunter2@h', named],
      ['/u:hunter2@h/', hostless],
      ['u:hunter2@h/', hostless],
      ['\\\\u:hunter2@h\\', hostless],
    ] as const) {
      assert.throws(
        () => new TursoPool({ url: `https:${rest}` }),
        (error: NodeJS.ErrnoException) => {
          assert.equal(error.code, 'URL_INVALID', rest);
          assert.match(error.message, reason);
          assert.doesNotMatch(inspect(error), /hunter2/);
          return true;
        },
      );
    }
  });

  test('is shown without its token, in logs, too', async (t) => {
    const written = captureLogs(t);
    const pool = new TursoPool({ url: `https://127.0.0.1:1/?authToken=${SECRET}` });
    t.after(() => pool.drain(0));
    pool.releaseConnection({} as never);
    assert.match(inspect(pool), /url: 'https:\/\/127\.0\.0\.1:1\/'/);
    assert.equal(written.length, 1);
    assert.doesNotMatch(inspect([pool, written], { depth: 8 }), /hunter2/);
  });
});

describe('a server whose certificate is not checked', () => {
  test('is warned of when the connection or the client is made', (t) => {
    const url = `https://me:${SECRET}@127.0.0.1:1/?key=${SECRET}`;
    const config = { name: 'lax', url, monitoring: false, securityLevel: 'none' } as const;
    const written = captureLogs(t);
    closeAfter(t, new HTTPConnection(config));
    assert.deepEqual(
      written.map(({ level, event, data }) => ({ level, event, data })),
      [
        {
          level: 'warn',
          event: 'connection.certificates-unchecked',
          data: { connection: 'lax', connectionType: 'http', url: 'https://127.0.0.1:1/' },
        },
      ],
    );
    closeAfter(t, new HTTPConnection({ ...config, tls: { rejectUnauthorized: true } }));
    closeAfter(t, new HTTPConnection({ ...config, securityLevel: 'basic' }));
    new NixtlaClient({ apiKey: 'k' });
    assert.equal(written.length, 1, 'no warning where they are checked');
    new NixtlaClient({ apiKey: 'k', tls: { rejectUnauthorized: false } });
    assert.equal(written[1]?.event, 'nixtla.certificates-unchecked');
  });
});

test('a verifier that is printed shows nothing of its URL', () => {
  const verifier = new WebhookVerifier({ secret: 's', scheme: 'twilio', url: 'https://me:hunter2@h/?key=hunter2' });
  assert.doesNotMatch(inspect(verifier) + JSON.stringify(verifier), /hunter2/);
  assert.equal(verifier.url, 'https://me:hunter2@h/?key=hunter2');
});
