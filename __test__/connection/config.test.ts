// Options of connections: arguments, environment, defaults; what is refused, and what is never shown.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';

import {
  ConnectionConfigManager,
  ConnectionHealth,
  ConnectionState,
  ConnectionType,
  RecoveryStrategy,
  SecurityLevel,
  WebSocketConnection,
  type ConnectionConfig,
} from 'moorline';

import { load } from '../support/native';

const { resolveConfig, requireUrl } =
  load<typeof import('../../lib/connection/config/config')>('connection/config/config');

const DEFAULTS = {
  name: 'http',
  connectionType: 'http',
  url: undefined,
  timeout: 30_000,
  retryCount: 3,
  retryDelay: 1000,
  backoffMultiplier: 2,
  maxConnections: 10,
  keepAlive: 60_000,
  compression: true,
  encryption: undefined,
  securityLevel: 'basic',
  healthCheckInterval: 30_000,
  healthCheckTimeout: 5000,
  autoReconnect: true,
  autoRetry: true,
  circuitBreaker: true,
  circuitBreakerThreshold: 5,
  circuitBreakerTimeout: 60_000,
  rateLimit: false,
  rateLimitRequests: 100,
  rateLimitWindow: 60_000,
  auditLogging: true,
  monitoring: true,
  recoveryStrategy: 'reconnect_backoff',
  fallbackUrl: undefined,
  customHeaders: {},
  customOptions: {},
  customSecurityOptions: {},
  debug: false,
  logLevel: 'info',
  tls: undefined,
  proxy: undefined,
  tunnel: undefined,
};

/** Variable suffix → its text, the option it sets, and that option's value. */
const VARIABLES: [suffix: string, text: string, option: keyof ConnectionConfig, value: unknown][] = [
  ['TIMEOUT', '5000', 'timeout', 5000],
  ['RETRY_COUNT', '4', 'retryCount', 4],
  ['RETRY_DELAY', '250', 'retryDelay', 250],
  ['BACKOFF_MULTIPLIER', '1.5', 'backoffMultiplier', 1.5],
  ['KEEP_ALIVE', '30000', 'keepAlive', 30_000],
  ['COMPRESSION', 'false', 'compression', false],
  ['ENCRYPTION', 'true', 'encryption', true],
  ['SECURITY_LEVEL', 'enhanced', 'securityLevel', 'enhanced'],
  ['HEALTH_CHECK_INTERVAL', 'Infinity', 'healthCheckInterval', Infinity],
  ['HEALTH_CHECK_TIMEOUT', '700', 'healthCheckTimeout', 700],
  ['AUTO_RECONNECT', '0', 'autoReconnect', false],
  ['AUTO_RETRY', 'FALSE', 'autoRetry', false],
  ['CIRCUIT_BREAKER', 'false', 'circuitBreaker', false],
  ['CIRCUIT_BREAKER_THRESHOLD', '9', 'circuitBreakerThreshold', 9],
  ['CIRCUIT_BREAKER_TIMEOUT', '1234', 'circuitBreakerTimeout', 1234],
  ['RATE_LIMIT', '1', 'rateLimit', true],
  ['RATE_LIMIT_REQUESTS', '7', 'rateLimitRequests', 7],
  ['RATE_LIMIT_WINDOW', '900', 'rateLimitWindow', 900],
  ['AUDIT_LOGGING', 'false', 'auditLogging', false],
  ['MONITORING', 'false', 'monitoring', false],
  ['FALLBACK_URL', 'https://second.example', 'fallbackUrl', 'https://second.example'],
];

describe('types', () => {
  test('enums contain expected values', () => {
    assert.deepEqual(Object.values(ConnectionState), [
      ...['disconnected', 'connecting', 'connected', 'disconnecting', 'error', 'degraded'],
    ]);
    assert.deepEqual(Object.values(ConnectionType), [
      ...['internet', 'backend', 'authentication', 'service', 'realtime', 'filesystem'],
      ...['http', 'websocket', 'sse', 'database', 'external'],
    ]);
    assert.deepEqual(Object.values(ConnectionHealth), ['healthy', 'degraded', 'unhealthy', 'unknown']);
    assert.deepEqual(Object.values(SecurityLevel), ['none', 'basic', 'enhanced', 'maximum']);
    assert.deepEqual(Object.values(RecoveryStrategy), [
      ...['none', 'reconnect', 'reconnect_backoff', 'fallback', 'graceful_degradation'],
    ]);
    for (const words of [ConnectionState, ConnectionType, ConnectionHealth, SecurityLevel, RecoveryStrategy]) {
      assert.ok(Object.isFrozen(words));
      for (const [key, word] of Object.entries(words)) assert.equal(key, word.toUpperCase());
    }
  });
});

describe('ConnectionConfigManager', () => {
  test('creates default config and allows get/set', () => {
    const manager = new ConnectionConfigManager({});
    const { connectionType, ...rest } = manager.get('anything');
    const { connectionType: _, ...defaults } = DEFAULTS;
    assert.equal(connectionType, undefined);
    assert.deepEqual({ ...rest }, { ...defaults, name: 'anything' });
    assert.deepEqual({ ...manager.get('http') }, DEFAULTS);
    manager.set('api', { url: 'https://api.example.com', timeout: 10 });
    assert.deepEqual(manager.listNames(), ['api']);
    assert.equal(manager.get('api').name, 'api');
    assert.equal(manager.get('api').timeout, 10);
    assert.equal(manager.get('api').retryCount, 3);
  });

  test('keepAlive of a WebSocket is 25 s, by whatever way it is made, unless it is given', () => {
    assert.equal(new WebSocketConnection({ url: 'ws://h' }).config.keepAlive, 25_000);
    assert.equal(new ConnectionConfigManager({}).get('websocket').keepAlive, 25_000);
    assert.equal(new WebSocketConnection({ url: 'ws://h', keepAlive: 60_000 }).config.keepAlive, 60_000);
    assert.equal(new ConnectionConfigManager({ VITE_CONNECTION_KEEP_ALIVE: '9' }).get('websocket').keepAlive, 9);
    for (const type of ['http', 'sse', 'external'] as const) {
      assert.equal(new ConnectionConfigManager({}).get(type).keepAlive, 60_000, type);
    }
  });

  test('get("http") reads VITE_HTTP_URL, and each protocol its own', () => {
    const manager = new ConnectionConfigManager({
      VITE_HTTP_URL: 'https://api.example.com',
      VITE_WEBSOCKET_URL: 'wss://api.example.com/ws',
      VITE_SSE_URL: 'https://api.example.com/events',
      VITE_DATABASE_URL: 'libsql://db.example.com',
      VITE_EXTERNAL_URL: 'https://other.example',
    });
    assert.equal(manager.get('http').url, 'https://api.example.com');
    assert.equal(manager.get('websocket').url, 'wss://api.example.com/ws');
    assert.equal(manager.get('sse').url, 'https://api.example.com/events');
    assert.equal(manager.get('database').url, 'libsql://db.example.com');
    assert.equal(manager.get('external').url, 'https://other.example');
    assert.equal(manager.get('something').url, undefined);
    assert.deepEqual(manager.listNames(), ['http', 'websocket', 'sse', 'database', 'external']);
  });

  test('a copy is handed out: changing it changes nothing', () => {
    const manager = new ConnectionConfigManager({});
    manager.set('api', { customHeaders: { 'X-A': '1' } });
    const copy = manager.get('api');
    copy.timeout = 1;
    (copy.customHeaders as Record<string, string>)['X-A'] = '2';
    assert.equal(manager.get('api').timeout, 30_000);
    assert.deepEqual(manager.get('api').customHeaders, { 'X-A': '1' });
  });

  test('what it gives can be given again', () => {
    const manager = new ConnectionConfigManager({ VITE_CONNECTION_HEALTH_CHECK_INTERVAL: 'Infinity' });
    const first = manager.get('http');
    manager.set('again', { ...first, url: 'https://api.example.com' });
    assert.deepEqual({ ...manager.get('again') }, { ...first, name: 'again', url: 'https://api.example.com' });
  });
});

describe('the environment', () => {
  for (const [suffix, text, option, value] of VARIABLES) {
    test(`VITE_CONNECTION_${suffix} sets ${option}, a protocol's own and an argument win`, () => {
      const shared = { [`VITE_CONNECTION_${suffix}`]: text };
      assert.equal(new ConnectionConfigManager(shared).get('http')[option], value);
      assert.equal(new ConnectionConfigManager(shared).get('other')[option], value);
      const own = { ...shared, [`VITE_SSE_${suffix}`]: text, [`VITE_CONNECTION_${suffix}`]: '' };
      assert.equal(new ConnectionConfigManager(own).get('sse')[option], value);
      assert.notEqual(new ConnectionConfigManager(own).get('http')[option], value);
      const manager = new ConnectionConfigManager(shared);
      manager.set('mine', { [option]: DEFAULTS[option as keyof typeof DEFAULTS] });
      const unset = option === 'encryption' || option === 'fallbackUrl';
      assert.equal(manager.get('mine')[option], unset ? value : DEFAULTS[option as keyof typeof DEFAULTS]);
    });
  }

  test('the number of connections has a suffix of its own for a protocol', () => {
    const manager = new ConnectionConfigManager({
      VITE_CONNECTION_MAX_POOL_SIZE: '20',
      VITE_HTTP_MAX_CONNECTIONS: '30',
    });
    assert.equal(manager.get('http').maxConnections, 30);
    assert.equal(manager.get('sse').maxConnections, 20);
  });

  test('a security level is understood in either case', () => {
    for (const level of ['maximum', 'MAXIMUM']) {
      const manager = new ConnectionConfigManager({ VITE_CONNECTION_SECURITY_LEVEL: level });
      assert.equal(manager.get('http').securityLevel, SecurityLevel.MAXIMUM);
    }
  });

  test('a variable that cannot be read is an error naming it, and get never is', () => {
    const bad: [Record<string, string>, RegExp][] = [
      [{ VITE_CONNECTION_TIMEOUT: '5s' }, /^TypeError: VITE_CONNECTION_TIMEOUT must be a number, got '5s'$/],
      [{ VITE_CONNECTION_TIMEOUT: '0' }, /^RangeError: VITE_CONNECTION_TIMEOUT must be ≥ 1, got 0$/],
      [{ VITE_HTTP_RETRY_COUNT: '1.5' }, /^RangeError: VITE_HTTP_RETRY_COUNT must be a whole number/],
      [{ VITE_SSE_AUTO_RETRY: 'maybe' }, /^TypeError: VITE_SSE_AUTO_RETRY must be true or false/],
      [{ VITE_CONNECTION_SECURITY_LEVEL: 'high' }, /^TypeError: VITE_CONNECTION_SECURITY_LEVEL must be 'none' or/],
      [{ VITE_HTTP_URL: 'wss://x:secret@y' }, /^TypeError: VITE_HTTP_URL must be a URL that begins with http:/],
    ];
    for (const [env, message] of bad) {
      assert.throws(
        () => new ConnectionConfigManager(env),
        (error) => message.test(String(error)) && !String(error).includes('secret'),
      );
    }
  });

  test('values of an import.meta.env that are no texts do no harm', () => {
    const manager = new ConnectionConfigManager({ DEV: true, MODE: 'test', VITE_HTTP_TIMEOUT: '5' });
    assert.equal(manager.get('http').timeout, 5);
  });
});

describe('options', () => {
  test('timeout: 30 means 30 ms', () => {
    assert.equal(resolveConfig({ timeout: 30 }, 'http').timeout, 30);
  });

  test('undefined means absent', () => {
    assert.deepEqual({ ...resolveConfig({ timeout: undefined, tls: undefined }, 'http') }, DEFAULTS);
  });

  test('name and type come from the class, unless they are given', () => {
    assert.equal(resolveConfig({}, 'sse').name, 'sse');
    const given = resolveConfig({ name: 'prices', connectionType: 'realtime' }, 'sse');
    assert.deepEqual([given.name, given.connectionType], ['prices', 'realtime']);
  });

  test('a connection without a URL is refused by name', () => {
    assert.throws(() => requireUrl(resolveConfig({}, 'http'), 'HTTP'), /^TypeError: HTTP connection requires a URL$/);
    assert.throws(() => requireUrl(resolveConfig({ url: '' }, 'http'), 'HTTP'), /requires a URL/);
    assert.equal(requireUrl(resolveConfig({ url: 'http://a' }, 'http'), 'HTTP'), 'http://a');
  });

  test('debug raises the level of what is logged', () => {
    assert.equal(resolveConfig({ debug: true }, 'http').logLevel, 'debug');
    assert.equal(resolveConfig({ debug: true, logLevel: 'warn' }, 'http').logLevel, 'warn');
  });

  test('what cannot be right is refused with its path and the reason', () => {
    const bad: [object, RegExp][] = [
      [{ timeOut: 5 }, /^TypeError: options.timeOut is not a known option; did you mean 'timeout'\?$/],
      [
        { circuitBreakerEnabled: true },
        /^TypeError: options.circuitBreakerEnabled is not a known option; use circuitBreaker$/,
      ],
      [{ timeout: '5000' }, /^TypeError: options.timeout must be a number, got a string$/],
      [{ timeout: NaN }, /^RangeError: options.timeout must be/],
      [{ retryCount: -1 }, /^RangeError: options.retryCount must be/],
      [{ backoffMultiplier: 0.5 }, /^RangeError: options.backoffMultiplier must be/],
      [{ compression: 'yes' }, /^TypeError: options.compression must be a boolean/],
      [{ securityLevel: 'MAXIMUM' }, /^TypeError: options.securityLevel must be 'none' or/],
      [{ connectionType: 'ftp' }, /^TypeError: options.connectionType must be/],
      [{ url: 'wss://x' }, /^TypeError: options.url must be a URL that begins with http:\/\/ or https:\/\/$/],
      [{ url: 'example.com' }, /^TypeError: options.url must be a URL that begins with/],
      [{ customHeaders: { 'X A': '1' } }, /^TypeError: options.customHeaders.X A is not a valid header name$/],
      [{ customHeaders: { 'X-A': 'a\r\nB: c' } }, /^TypeError: options.customHeaders.X-A contains a line break/],
      [{ customHeaders: { 'X-A': 1 } }, /^TypeError: options.customHeaders.X-A must be a string, got a number$/],
      [
        { customSecurityOptions: { allowedHost: [] } },
        /allowedHost is not a known option; did you mean 'allowedHosts'/,
      ],
      [{ customSecurityOptions: { allowedHosts: [1] } }, /allowedHosts\[0\] must be a host, got a number$/],
      [{ tls: true }, /^TypeError: options.tls must be an object/],
      [{ proxy: 1 }, /^TypeError: options.proxy must be a string/],
      [{ proxy: 'ftp://me:hunter2@proxy' }, /^TypeError: options.proxy must be 'environment' or an http:/],
      [{ tls: { serverNam: 'x' } }, /^TypeError: options.tls.serverNam is not a known option/],
    ];
    for (const [options, message] of bad) {
      assert.throws(
        () => resolveConfig(options as never, 'http'),
        (error) => message.test(String(error)),
      );
      const manager = new ConnectionConfigManager({});
      assert.throws(
        () => manager.set('http', options as ConnectionConfig),
        (error) => message.test(String(error)),
      );
    }
  });

  test('functions and the caller’s own data stay what they are', () => {
    const customOptions = { transform: () => 1, nested: { deep: new Map() } };
    assert.deepEqual(resolveConfig({ customOptions }, 'http').customOptions, customOptions);
  });

  test('printed and as JSON it shows no credentials; a copy is an ordinary object', () => {
    const config = resolveConfig(
      {
        url: 'https://user:hunter2@api.example.com/v1?token=hunter2',
        proxy: 'http://me:hunter2@proxy.example',
        customHeaders: { Authorization: 'Bearer hunter2', 'X-API-Key': 'hunter2', 'User-Agent': 'MyApp/1.0' },
        customOptions: { password: 'hunter2' },
        tls: { cert: 'a.pem', key: 'hunter2', serverName: 'other' },
      },
      'http',
    );
    for (const text of [inspect(config, { depth: 9 }), JSON.stringify(config), inspect([config], { depth: 9 })]) {
      assert.doesNotMatch(text, /hunter2/);
      assert.match(text, /api\.example\.com\/v1/);
      assert.match(text, /MyApp\/1\.0/);
    }
    assert.match({ ...config }.url ?? '', /hunter2/);
    assert.equal(Object(config.customHeaders)['Authorization'], 'Bearer hunter2');
    const manager = new ConnectionConfigManager({ VITE_HTTP_URL: 'https://user:hunter2@api.example.com' });
    assert.doesNotMatch(inspect(manager, { depth: 9 }), /hunter2/);
    assert.doesNotMatch(JSON.stringify(manager.get('http')), /hunter2/);
  });
});
