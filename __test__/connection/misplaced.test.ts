// Options of connections in the wrong place, and the words that other libraries have for them: what is refused says what
// to write instead.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { type ConnectionConfig, HTTPConnection, SSEConnection, WebSocketConnection } from 'moorline';
import { createClient } from 'moorline/libsql';
import { root } from '../support/paths';

const make = {
  http: (given: object) => new HTTPConnection({ url: 'http://h', ...given }),
  websocket: (given: object) => new WebSocketConnection({ url: 'ws://h', ...given }),
  sse: (given: object) => new SSEConnection({ url: 'http://h', ...given }),
};
type Kind = keyof typeof make;

/** What a refusal says. */
function refused(create: () => unknown): string {
  try {
    create();
  } catch (error) {
    assert.ok(error instanceof TypeError, String(error));
    assert.equal((error as NodeJS.ErrnoException).code, 'ERR_INVALID_ARG_VALUE');
    return error.message;
  }
  assert.fail('nothing was refused');
}

describe('an option in the wrong place', () => {
  const OWNERS: [option: string, owner: Kind, value: unknown][] = [
    ['protocols', 'websocket', ['v1']],
    ['parse', 'websocket', false],
    ['cursor', 'sse', { url: ':memory:', name: 'x' }],
    ['lastEventId', 'sse', '7'],
  ];
  for (const [option, owner, value] of OWNERS) {
    test(`${option} belongs into customOptions`, () => {
      const hint = `options.${option} is not a known option; did you mean 'customOptions.${option}'?`;
      assert.equal(
        refused(() => make[owner]({ [option]: value })),
        hint,
      );
      for (const other of ['http', 'websocket', 'sse'] as const) {
        if (other === owner) continue;
        const belongs = `applies only to customOptions of connections of type '${owner}'`;
        assert.equal(
          refused(() => make[other]({ [option]: value })),
          `options.${option} ${belongs}`,
        );
        const customOptions = { [option]: value };
        assert.equal(
          refused(() => make[other]({ customOptions })),
          `options.customOptions.${option} ${belongs}`,
        );
      }
    });
  }

  test('a misspelt one has the same hint', () => {
    const message = "options.subprotocols is not a known option; did you mean 'customOptions.protocols'?";
    assert.equal(
      refused(() => make.websocket({ subprotocols: [] })),
      message,
    );
  });

  for (const kind of ['http', 'websocket', 'sse'] as const) {
    test(`options in the customOptions of ${kind} belong beside them`, () => {
      const meant: [given: string, option: keyof ConnectionConfig][] = [
        ['timeout', 'timeout'],
        ['customHeaders', 'customHeaders'],
        ['maxMessageBytes', 'maxMessageBytes'],
        ['headersTimeoutMs', 'headersTimeoutMs'],
        ['headers', 'customHeaders'],
        ['retryCnt', 'retryCount'],
        ['perMessageDeflate', 'compression'],
      ];
      for (const [given, option] of meant) {
        assert.equal(
          refused(() => make[kind]({ customOptions: { [given]: 1 } })),
          `options.customOptions.${given} is not a known option; did you mean 'options.${option}'?`,
        );
      }
    });
  }
});

describe("another library's word", () => {
  const migration = readFileSync(join(root, 'docs', 'migration.md'), 'utf8');
  /** Word → what is meant; a word without has a row of docs/migration.md. */
  const WORDS: Record<string, [kind: Kind, words: Record<string, string | undefined>]> = {
    ws: [
      'websocket',
      {
        ...{ perMessageDeflate: 'compression', handshakeTimeout: 'timeout', maxPayload: 'maxMessageBytes' },
        ...{ headers: 'customHeaders', origin: 'customHeaders', agent: 'tls', followRedirects: 'maxRedirects' },
        ...{ rejectUnauthorized: 'tls', protocol: 'customOptions.protocols', auth: 'customHeaders' },
        ...{ skipUTF8Validation: undefined, autoPong: undefined, generateMask: undefined, finishRequest: undefined },
        ...{ allowSynchronousEvents: undefined, protocolVersion: undefined, createConnection: undefined },
      },
    ],
    eventsource: [
      'sse',
      {
        ...{ withCredentials: 'customHeaders', https: 'tls', headers: 'customHeaders', rejectUnauthorized: 'tls' },
        ...{ fetch: undefined },
      },
    ],
    undici: [
      'http',
      {
        ...{ bodyTimeout: 'bodyTimeoutMs', headersTimeout: 'headersTimeoutMs', connections: 'maxConnections' },
        ...{ keepAliveTimeout: 'keepAlive', keepAliveMaxTimeout: 'keepAlive', connectTimeout: 'timeout' },
        ...{ maxResponseSize: 'maxResponseBytes', dispatcher: 'proxy', pipelining: undefined, allowH2: undefined },
        ...{ interceptors: undefined, maxRequestsPerClient: undefined, strictContentLength: undefined },
      },
    ],
    'axios and got': [
      'http',
      {
        ...{ baseURL: 'url', prefixUrl: 'url', maxContentLength: 'maxResponseBytes', headers: 'customHeaders' },
        ...{ httpAgent: 'proxy', httpsAgent: 'tls', auth: 'customHeaders', withCredentials: 'customHeaders' },
        ...{ retry: 'retryCount', followRedirect: 'maxRedirects', decompress: 'compression', https: 'tls' },
        ...{ maxBodyLength: undefined, validateStatus: undefined, throwHttpErrors: undefined, hooks: undefined },
        ...{ transformRequest: undefined, paramsSerializer: undefined },
      },
    ],
  };
  for (const [library, [kind, words]] of Object.entries(WORDS)) {
    for (const [word, meant] of Object.entries(words)) {
      test(`${library}: ${word} ${meant ? `is answered with ${meant}` : 'has its row'}`, () => {
        const message = refused(() => make[kind]({ [word]: true }));
        if (meant) assert.equal(message, `options.${word} is not a known option; did you mean '${meant}'?`);
        else {
          assert.equal(message, `options.${word} is not a known option`);
          assert.ok(migration.includes(`\`${word}\``), 'not in docs/migration.md');
        }
      });
    }
  }

  test('@libsql/client: replicas and encryption are refused by name, with the reason', () => {
    for (const word of ['syncUrl', 'syncInterval', 'readYourWrites', 'offline', 'encryptionKey', 'fetch']) {
      assert.throws(
        () => createClient({ url: ':memory:', [word]: 'x' } as never),
        ({ message }: Error) => {
          assert.match(message, new RegExp(`'?${word}'?`));
          assert.ok(migration.includes(`\`${word}\``), `${word} is not in docs/migration.md`);
          return true;
        },
      );
    }
  });
});
