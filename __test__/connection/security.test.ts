// Security levels: what each means, for all transports, one test per cell.
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  ConnectionSecurity,
  HTTPConnection,
  SecurityLevel,
  SSEConnection,
  WebSocketConnection,
  type ConnectionConfig,
} from 'moorline';

import type * as Config from '../../lib/connection/config/config';
import { Authority } from '../support/certificates';
import { HttpTransport, type RunningServer, serve, startServer } from '../support/http';
import { load } from '../support/native';

/** The options are those of the typings, whose classes are others to the compiler. */
const { resolveConfig } = load<{
  resolveConfig(given: ConnectionConfig, type: 'http' | 'websocket' | 'sse'): ReturnType<typeof Config.resolveConfig>;
}>('connection/config/config');
const { handleOf } = load<typeof Config>('connection/config/config');
const { EventStreamTransport } = load<typeof import('../../lib/sse/transport')>('sse/transport');
const { SocketTransport } = load<typeof import('../../lib/websocket/transport')>('websocket/transport');

describe('ConnectionSecurity', () => {
  test('creates headers and reports security info', () => {
    const security = new ConnectionSecurity();
    assert.deepEqual(security.createAuthorizationHeaders('token', 'api-key'), {
      Authorization: 'Bearer token',
      'X-API-Key': 'api-key',
    });
    assert.deepEqual(security.createAuthorizationHeaders('bearer-token'), { Authorization: 'Bearer bearer-token' });
    assert.deepEqual(security.createAuthorizationHeaders(null, 'api-key'), { 'X-API-Key': 'api-key' });
    assert.deepEqual(security.createAuthorizationHeaders(), {});
    assert.equal(security.getSecurityInfo().securityLevel, 'basic');
  });

  test('tells what each level means', () => {
    const info = (level: SecurityLevel) => {
      const info = new ConnectionSecurity(level).getSecurityInfo();
      assert.equal(info.securityLevel, level);
      const { certificateValidation, plainText, minTlsVersion, httpsOnlyRedirects, publicAddressesOnly } = info;
      return [certificateValidation, plainText, minTlsVersion, httpsOnlyRedirects, publicAddressesOnly];
    };
    assert.deepEqual(info('none'), [false, 'anywhere', 'TLSv1.2', false, false]);
    assert.deepEqual(info('basic'), [true, 'anywhere', 'TLSv1.2', false, false]);
    assert.deepEqual(info('enhanced'), [true, 'loopback', 'TLSv1.2', true, false]);
    assert.deepEqual(info('maximum'), [true, 'nowhere', 'TLSv1.3', true, true]);
    assert.throws(() => new ConnectionSecurity('high' as never), /^TypeError: level must be 'none' or 'basic' or/);
  });

  test('a secret that would be another header is refused, and not shown', () => {
    const security = new ConnectionSecurity();
    for (const bad of ['hunter2\r\nX-Admin: 1', 'hunter2\0', 'hunter2\n']) {
      assert.throws(
        () => security.createAuthorizationHeaders(bad),
        (error: Error) => /^token must be/.test(error.message) && !inspect(error).includes('hunter2'),
      );
      assert.throws(() => security.createAuthorizationHeaders(null, bad), /^TypeError: apiKey must be/);
    }
  });
});

describe('security levels', () => {
  const authority = new Authority();
  const loopback = ['IP:127.0.0.1', 'DNS:localhost'];
  const leaf = authority.issue(loopback);
  let plain: RunningServer;
  let newest: RunningServer;
  let older: RunningServer;
  let downgrading: RunningServer;
  const running: RunningServer[] = [];
  const up = async (server: Promise<RunningServer>) => (running.push(await server), await server);

  before(async () => {
    plain = await up(serve((_, response) => response.end('plain')));
    newest = await up(startServer(createServer(leaf, (_, response) => response.end('secure'))));
    const old = { ...leaf, maxVersion: 'TLSv1.2' } as const;
    older = await up(startServer(createServer(old, (_, response) => response.end('older'))));
    const lead = createServer(leaf, (_, response) => response.writeHead(302, { location: plain.url }).end());
    downgrading = await up(startServer(lead));
  });
  after(async () => {
    for (const server of running) await server.close();
    authority.remove();
  });

  /** What a request comes to at a level: its text, or the code it is refused with. */
  async function get(url: string, level: SecurityLevel, more: ConnectionConfig = {}): Promise<string> {
    const config = resolveConfig({ securityLevel: level, ...more }, 'http');
    const transport = new HttpTransport({}, undefined, handleOf(config));
    try {
      return (await transport.request({ url })).text();
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      transport.close();
    }
  }
  const trusting = { tls: { ca: authority.cert } };
  const near = { ...trusting, customSecurityOptions: { allowedHosts: ['127.0.0.1'] } };
  const PLAIN = 'ERR_MOORLINE_PLAIN_TEXT_REFUSED';
  const ADDRESS = 'ERR_MOORLINE_ADDRESS_REFUSED';
  const UNKNOWN = 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
  const DOWNGRADE = 'ERR_INSECURE_REDIRECT';
  const ALERT = 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION';

  const far = 'http://192.0.2.1/';
  const CELLS: [what: string, url: () => string, config: ConnectionConfig, results: Record<SecurityLevel, string>][] = [
    [
      'a certificate that nobody vouches for',
      () => newest.url,
      { customSecurityOptions: near.customSecurityOptions },
      { none: 'secure', basic: UNKNOWN, enhanced: UNKNOWN, maximum: UNKNOWN },
    ],
    [
      'plain text to this machine',
      () => plain.url,
      near,
      { none: 'plain', basic: 'plain', enhanced: 'plain', maximum: PLAIN },
    ],
    ['TLS 1.2', () => older.url, near, { none: 'older', basic: 'older', enhanced: 'older', maximum: ALERT }],
    ['TLS 1.3', () => newest.url, near, { none: 'secure', basic: 'secure', enhanced: 'secure', maximum: 'secure' }],
    [
      'a redirect from https to http',
      () => downgrading.url,
      near,
      { none: 'plain', basic: 'plain', enhanced: DOWNGRADE, maximum: DOWNGRADE },
    ],
    [
      'an address off the public internet',
      () => newest.url,
      trusting,
      { none: 'secure', basic: 'secure', enhanced: 'secure', maximum: ADDRESS },
    ],
  ];
  for (const [what, url, config, results] of CELLS) {
    for (const [level, result] of Object.entries(results) as [SecurityLevel, string][]) {
      test(`${level}: ${what} gives ${result}`, async () => {
        assert.equal(await get(url(), level, config), result);
      });
    }
  }

  test('plain text beyond this machine is refused before anything is sent, from enhanced on', async () => {
    assert.equal(await get(far, 'enhanced'), PLAIN);
    assert.equal(await get(far, 'maximum'), PLAIN);
  });

  test('encryption: true refuses plain text except to this machine; unset, the URL decides', async () => {
    assert.equal(await get(plain.url, 'basic', { encryption: true }), 'plain');
    assert.equal(await get(far, 'none', { encryption: true }), PLAIN);
    assert.equal(await get(plain.url, 'basic'), 'plain');
    // What the caller turns off here does not soften the level.
    assert.equal(await get(far, 'enhanced', { encryption: false }), PLAIN);
  });

  test('a WebSocket keeps to the same table', async () => {
    const code = async (url: string, level: SecurityLevel, more: ConnectionConfig = {}) => {
      const config = resolveConfig({ securityLevel: level, ...more }, 'websocket');
      const silent = { onMessages: () => undefined, onClose: () => undefined };
      const socket = new SocketTransport({ url }, silent, handleOf(config));
      return socket.connect().then(
        () => assert.fail('no server here speaks WebSocket'),
        (error: { code: string }) => error.code,
      );
    };
    const ws = (server: RunningServer) => server.url.replace(/^http/, 'ws');
    assert.equal(await code('ws://192.0.2.1', 'enhanced'), PLAIN);
    assert.equal(await code(ws(plain), 'maximum', near), PLAIN);
    assert.equal(await code(ws(newest), 'basic'), UNKNOWN);
    assert.equal(await code(ws(newest), 'maximum', trusting), ADDRESS);
    assert.equal(await code(ws(older), 'maximum', near), ALERT);
    // It gets through to a server that speaks HTTP alone.
    for (const [server, level] of [[plain, 'enhanced'] as const, [newest, 'none'] as const]) {
      assert.doesNotMatch(await code(ws(server), level), /REFUSED|UNABLE|SSL/);
    }
  });

  test('an event stream keeps to the same table', async () => {
    const code = async (url: string, level: SecurityLevel, more: ConnectionConfig = {}) => {
      const config = resolveConfig({ securityLevel: level, ...more }, 'sse');
      const silent = { onEvents: () => undefined, onClose: () => undefined };
      const stream = new EventStreamTransport({ url }, silent, handleOf(config));
      return stream.connect().then(
        () => assert.fail('no server here has events'),
        (error: { code: string }) => error.code,
      );
    };
    assert.equal(await code(far, 'enhanced'), PLAIN);
    assert.equal(await code(plain.url, 'maximum', near), PLAIN);
    assert.equal(await code(newest.url, 'basic'), UNKNOWN);
    assert.equal(await code(newest.url, 'maximum', trusting), ADDRESS);
    assert.equal(await code(older.url, 'maximum', near), ALERT);
    assert.equal(await code(downgrading.url, 'enhanced', near), DOWNGRADE);
    // It gets through to a server that has no events.
    for (const [server, level] of [[plain, 'enhanced'] as const, [newest, 'none'] as const]) {
      assert.equal(await code(server.url, level), 'ERR_MOORLINE_CONTENT_TYPE');
    }
  });

  test('what is weaker than the level is refused when the connection is made', () => {
    for (const Connection of [HTTPConnection, WebSocketConnection, SSEConnection]) {
      const make = (securityLevel: SecurityLevel, tls: ConnectionConfig['tls']) => () =>
        void new Connection({ url: 'https://127.0.0.1', securityLevel, tls });
      for (const level of ['basic', 'enhanced', 'maximum'] as const) {
        const message =
          `options.tls.rejectUnauthorized is too weak for securityLevel '${level}', ` +
          'which requires certificates to be checked';
        assert.throws(make(level, { rejectUnauthorized: false }), { name: 'TypeError', message });
      }
      assert.throws(
        make('maximum', { minVersion: 'TLSv1.2' }),
        /minVersion is too weak for securityLevel 'maximum', which requires TLSv1.3/,
      );
      make('none', { rejectUnauthorized: false })();
      make('none', { rejectUnauthorized: true })();
      make('enhanced', { minVersion: 'TLSv1.3' })();
    }
  });
});
