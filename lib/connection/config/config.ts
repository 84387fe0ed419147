import { inspect, type InspectOptions } from 'node:util';

import type { LogLevel } from '../../runtime/logger';
import { invalidType, invalidValue } from '../../runtime/argument-error';
import { type ResolvedConnectionConfig as NativeConnectionConfig, native, type Handle } from '../../runtime/native';
import { isObject, isPlainObject } from '../../runtime/shape';
import { type SSHTunnel, withTunnel } from '../../ssh/tunnel';
import { withRedaction } from './redaction';
import { ConnectionType, type RecoveryStrategy, type SecurityLevel } from '../model';

/** TLS settings of a connection. Files are read again when they change. */
export interface ConnectionTls {
  /** The trusted certificate authorities instead of the system's, each as PEM text, its bytes or the path of a file. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** The client's certificate chain, as PEM text, its bytes or the path of a file. */
  cert?: string | Uint8Array | undefined;
  /** The private key of `cert`, as PEM text, its bytes or the path of a file. */
  key?: string | Uint8Array | undefined;
  /** The name that the server's certificate must be valid for, instead of the host of the URL. */
  serverName?: string | undefined;
  /** The oldest TLS version that is accepted. Default: `TLSv1.2`, at the security level `maximum` `TLSv1.3`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Whether the server's certificate is checked. Default: true, at the security level `none` false; `false` requires that level. */
  rejectUnauthorized?: boolean | undefined;
}

/**
 * Headers of a connection, or a function that returns them, called for each request and handshake. Its `signal` is aborted
 * when it takes too long.
 */
export type CustomHeaders =
  | Readonly<Record<string, string>>
  | ((facts: {
      signal: AbortSignal;
    }) => Readonly<Record<string, string>> | PromiseLike<Readonly<Record<string, string>>>);

/**
 * Options of a connection. All times are in milliseconds.
 *
 * An option that is not given is read from the environment: from `VITE_HTTP_TIMEOUT` (or `WEBSOCKET`, `SSE`, `DATABASE`,
 * `EXTERNAL`) for connections of that type, then from `VITE_CONNECTION_TIMEOUT` for all. A variable with an invalid value
 * causes an error that names it.
 */
export interface ConnectionConfig {
  /** The name in events and logs. Default: its type. */
  name?: string | undefined;
  /** The type of the connection. Default: the type of its class. */
  connectionType?: ConnectionType | undefined;
  /** The URL of the service. Default: `VITE_HTTP_URL`, `VITE_WEBSOCKET_URL` or `VITE_SSE_URL`. */
  url?: string | undefined;
  /** The time limit of connecting, and of each attempt of an operation. Default: 30 000; `Infinity`: no limit. */
  timeout?: number | undefined;
  /** The maximum number of attempts after the first. Default: 3. */
  retryCount?: number | undefined;
  /** The delay before the first retry. Default: 1000. */
  retryDelay?: number | undefined;
  /** The factor from one delay to the next. Default: 2. */
  backoffMultiplier?: number | undefined;
  /** HTTP: the maximum number of concurrent requests; a pool: the maximum number of connections. Default: 10. */
  maxConnections?: number | undefined;
  /**
   * HTTP: the time that an unused socket is kept; WebSocket: the interval of pings; SSE: the maximum time without data. Default:
   * 60 000, of a WebSocket 25 000.
   */
  keepAlive?: number | undefined;
  /** Whether compression is offered. Default: true. */
  compression?: boolean | undefined;
  /** `true` refuses unencrypted connections except to this machine. Default: the URL and `securityLevel` decide. */
  encryption?: boolean | undefined;
  /** The security requirements of the connection. Default: `basic`. */
  securityLevel?: SecurityLevel | undefined;
  /** The interval of the health checks of the connection. Default: 30 000; `Infinity`: none. */
  healthCheckInterval?: number | undefined;
  /** The time limit of a health check, and of the response to a ping of `keepAlive`. Default: 5000. */
  healthCheckTimeout?: number | undefined;
  /** Whether a lost connection is opened again. Default: true. */
  autoReconnect?: boolean | undefined;
  /** Whether a failed operation is retried where that is safe. Default: true. */
  autoRetry?: boolean | undefined;
  /** Whether a circuit breaker refuses operations for some time after repeated failures. Default: true. */
  circuitBreaker?: boolean | undefined;
  /** The number of consecutive failures that opens the circuit breaker. Default: 5. */
  circuitBreakerThreshold?: number | undefined;
  /** The time that the circuit breaker stays open. Default: 60 000. */
  circuitBreakerTimeout?: number | undefined;
  /** Whether the rate of sends is limited. Default: false. */
  rateLimit?: boolean | undefined;
  /** With `rateLimit`: the maximum number of sends in any `rateLimitWindow`. Default: 100. */
  rateLimitRequests?: number | undefined;
  /** With `rateLimit`: the length of the window. Default: 60 000. */
  rateLimitWindow?: number | undefined;
  /** Whether connects, disconnects, refused logins and violations of the security level are logged with name, URL and outcome. Default: true. */
  auditLogging?: boolean | undefined;
  /** `false`: no `metrics` events, no row in `metricsText()` and no periodic health checks. Default: true. */
  monitoring?: boolean | undefined;
  /** The action when the connection is lost, or when a manager finds it unhealthy. Default: `reconnect_backoff`. */
  recoveryStrategy?: RecoveryStrategy | undefined;
  /** Used when `url` failed `retryCount` times or its circuit breaker is open. Default: none. */
  fallbackUrl?: string | undefined;
  /** HTTP: the time limit from the last byte sent to the headers of the response. Default: 30 000, or a longer `timeout`. */
  headersTimeoutMs?: number | undefined;
  /** HTTP: the time limit between two chunks of a body, sent or received. Default: 30 000, or a longer `timeout`. */
  bodyTimeoutMs?: number | undefined;
  /** HTTP: the maximum number of redirects; 0 returns the redirect itself. Default: 5. */
  maxRedirects?: number | undefined;
  /** HTTP: the largest body as received from the network. Default: 64 MiB, when it is streamed `Infinity`. */
  maxResponseBytes?: number | undefined;
  /** HTTP: the largest body after decompression. Default: 256 MiB, when it is streamed `Infinity`. */
  maxDecompressedBytes?: number | undefined;
  /** SSE: the largest event; a larger one ends the connection, without a reconnection. Default: 1 MiB. */
  maxEventBytes?: number | undefined;
  /** WebSocket: the largest message; a larger one ends the connection, without a reconnection. Default: 16 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * The headers of each request or handshake: an object, or a function that returns one each time, for a token that changes.
   * It may return a promise, which must settle within `timeout`. Default: none.
   */
  customHeaders?: CustomHeaders | undefined;
  /**
   * `protocols`, `parse` and `text` of a WebSocket, `cursor` and `lastEventId` of an SSE connection, and options of your own subclasses.
   * Default: nothing.
   */
  customOptions?: Readonly<Record<string, unknown>> | undefined;
  /** The names, addresses and networks (`10.1.0.0/16`) that are allowed in spite of the level `maximum`. Default: none. */
  customSecurityOptions?: { readonly allowedHosts?: readonly string[] | undefined } | undefined;
  /** Whether every event is logged. Default: false. */
  debug?: boolean | undefined;
  /** With `debug`: the lowest level of the events that are logged. Default: `debug`; without `debug` it has no effect and is `info`. */
  logLevel?: LogLevel | undefined;
  /** TLS settings. Default: certificates are checked against the system's authorities. */
  tls?: ConnectionTls | undefined;
  /** `'environment'`, or the URL of an HTTP or SOCKS5 proxy. Default: none. */
  proxy?: string | undefined;
  /**
   * The tunnel through which the service is reached, as its SSH server sees it: the server resolves the name, and no address is
   * refused. TLS is spoken with the service itself. Excludes `proxy`. Default: none.
   */
  tunnel?: SSHTunnel | undefined;
}

/** Options that only the transport reads: their defaults are not known here. */
const TRANSPORT_OPTIONS = [
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'maxRedirects',
  'maxResponseBytes',
  'maxDecompressedBytes',
  'maxEventBytes',
  'maxMessageBytes',
] as const;
type TransportOption = (typeof TRANSPORT_OPTIONS)[number];

/** The keys that have no default. */
type Unset =
  'name' | 'connectionType' | 'url' | 'fallbackUrl' | 'encryption' | 'tls' | 'proxy' | 'tunnel' | TransportOption;

/** The options in force, with every default. Printed or converted to JSON, they show no credentials. */
export type ResolvedConnectionConfig = Required<{
  [Key in Exclude<keyof ConnectionConfig, Unset>]: Exclude<ConnectionConfig[Key], undefined>;
}> & { [Key in Exclude<Unset, 'name' | 'connectionType'>]: ConnectionConfig[Key] } & {
  name: string;
  connectionType: ConnectionType;
};

/** A configuration by name. `connectionType` is `undefined` where the class of the connection determines it. */
export type NamedConnectionConfig = Omit<ResolvedConnectionConfig, 'connectionType'> & {
  connectionType: ConnectionType | undefined;
};

type Environment = Readonly<Record<string, unknown>>;

/** The options that the addon holds, by those in force here. */
const handles = new WeakMap<object, Handle<NativeConnectionConfig>>();

/** @internal The options that {@link resolveConfig} gave, as the addon holds them: policies and transports are made from them. */
export function handleOf(config: Readonly<ResolvedConnectionConfig>): Handle<NativeConnectionConfig> {
  return handles.get(config)!;
}

/**
 * @internal The options in force of a connection of `type` (that of the options, else `external`): what is given, then the
 * environment, then the defaults. Each option is read once.
 * @throws TypeError, RangeError for an option or a variable that is unknown, of the wrong type or out of range.
 */
export function resolveConfig(given: ConnectionConfig, type?: ConnectionType): ResolvedConnectionConfig {
  const typeOf = (declared: ConnectionType | undefined) => {
    const chosen: ConnectionType = type ?? declared ?? ConnectionType.EXTERNAL;
    if (typeof chosen !== 'string') throw invalidType('type', 'a string', chosen);
    return chosen;
  };
  return resolve(given, variablesOf(process.env), typeOf) as ResolvedConnectionConfig;
}

/**
 * @internal Refuses a key of `customOptions` that is not read: a subclass may have some of its own, the class of this
 * package, `builtInClass`, which speaks `type`, has not.
 */
export function checkCustomOptions(
  connection: { constructor: unknown; config: Readonly<ResolvedConnectionConfig> },
  builtInClass: unknown,
  type: ConnectionType,
): void {
  if (connection.constructor !== builtInClass) return;
  const { customOptions } = connection.config;
  const given = Object.keys(customOptions).filter((key) => customOptions[key] !== undefined);
  if (given.length === 0) return;
  native.connectionCheckCustomOptions(given, type, [...Object.keys(connection.config), ...TRANSPORT_OPTIONS]);
}

/** @internal The URL that a connection cannot do without; `service` is what its kind is called. */
export function requireUrl({ url }: ResolvedConnectionConfig, service: string): string {
  if (url !== undefined) return url;
  throw invalidValue(`${service} connection requires a URL`);
}

function resolve(
  given: ConnectionConfig,
  variables: Record<string, string>,
  typeOf: (declared: ConnectionType | undefined) => ConnectionType,
  nameOverride?: string,
): NamedConnectionConfig {
  checkObject('options', given);
  // A copy, whose members can be read again; those that are inherited are found behind it.
  const ownOptions = Object.setPrototypeOf({ ...given }, given) as ConnectionConfig;
  const { name, connectionType, tls, proxy, tunnel, customOptions, customHeaders, customSecurityOptions, ...rest } =
    ownOptions;
  const type = typeOf(connectionType);
  for (const [key, value] of Object.entries({ tls, customOptions })) {
    if (value !== undefined) checkObject(`options.${key}`, value);
  }
  if (proxy !== undefined && typeof proxy !== 'string') throw invalidType('options.proxy', 'a string', proxy);
  const headers = copy(customHeaders);
  const security = copy(customSecurityOptions);
  const data = withTunnel({ ...rest, name, connectionType, tls, proxy, tunnel, customSecurityOptions: security });
  // What only other code reads stays here: functions, data of the user's own.
  const handle = native.connectionReadOptions(
    typeof headers === 'function' ? data : { ...data, customHeaders: headers },
    variables,
    type,
  );
  const inForce = JSON.parse(native.connectionEncodeOptions(handle)) as Record<string, unknown>;
  // JSON has no Infinity: a limit that is off crosses as null.
  for (const key of Object.keys(inForce)) inForce[key] ??= Infinity;
  const config = withRedaction({
    url: undefined,
    connectionType: undefined,
    encryption: undefined,
    fallbackUrl: undefined,
    ...inForce,
    ...transportLimits(rest),
    name: nameOverride ?? name ?? type,
    customHeaders: typeof headers === 'function' ? headers : { ...headers },
    customOptions: { ...customOptions },
    customSecurityOptions: { ...security },
    tls,
    proxy,
    tunnel,
  } as unknown as NamedConnectionConfig);
  handles.set(config, handle);
  return config;
}

/** The times and sizes that only a transport reads, as they were given. */
function transportLimits(given: ConnectionConfig): Partial<Record<TransportOption, number>> {
  const limits = TRANSPORT_OPTIONS.filter((key) => given[key] !== undefined);
  return Object.fromEntries(limits.map((key) => [key, given[key]]));
}

/** A plain object anew, so that its members are read once; anything else as it is. */
function copy<T>(value: T): T {
  return isPlainObject(value) ? { ...value } : value;
}

/** Of an environment, what could concern us. */
function variablesOf(environment: Environment): Record<string, string> {
  checkObject('env', environment);
  // The value of a variable costs more than its name.
  const names = Object.keys(environment).filter((name) => name.startsWith('VITE_'));
  const variables = names.map((name) => [name, environment[name]] as const).filter(([, value]) => value !== undefined);
  return Object.fromEntries(variables.map(([name, value]) => [name, String(value)]));
}

function checkObject(path: string, value: unknown): void {
  if (!isObject(value) || Array.isArray(value)) throw invalidType(path, 'an object', value);
}

/**
 * Configurations by name, based on environment variables: `process.env`, or `import.meta.env` in a Vite application.
 *
 * `http`, `websocket`, `sse`, `database` and `external` use the variables of that type (`VITE_HTTP_URL`,
 * `VITE_HTTP_TIMEOUT`, …); every other name that was not `set` uses those for all connections
 * (`VITE_CONNECTION_TIMEOUT`, …).
 *
 * @example
 * ```ts
 * import { ConnectionConfigManager, HTTPConnection } from 'moorline';
 *
 * const configs = new ConnectionConfigManager({ VITE_HTTP_URL: 'https://api.example.com' });
 * const service = new HTTPConnection(configs.get('http'));
 * console.log((await service.request({ url: '/orders' })).status); // 200
 * await service.disconnect();
 * ```
 */
export class ConnectionConfigManager {
  readonly #variables: Record<string, string>;
  readonly #configs = new Map<string, NamedConnectionConfig>();
  readonly #configuredNames: readonly string[];

  /** @throws TypeError, RangeError for a variable with an invalid value; the message names the variable. */
  constructor(env: Environment = process.env) {
    this.#variables = variablesOf(env);
    this.#configuredNames = native.connectionConfiguredTypes(this.#variables);
    // A bad variable is an error here, so that `get` never is.
    for (const name of ['default', ...this.#configuredNames]) this.get(name);
  }

  /** Returns the complete configuration of a name, as a copy that may be changed. Never returns `undefined`. */
  get(name: string): NamedConnectionConfig {
    if (typeof name !== 'string') throw invalidType('name', 'a string', name);
    const set = this.#configs.get(name);
    if (!set) return resolve({}, this.#variables, () => name as ConnectionType, name);
    return withRedaction({
      ...set,
      customHeaders: copy(set.customHeaders),
      customOptions: { ...set.customOptions },
      customSecurityOptions: { ...set.customSecurityOptions },
    });
  }

  /**
   * Sets the configuration of a name. Options left out are taken from the environment and the defaults.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  set(name: string, config: ConnectionConfig): void {
    if (typeof name !== 'string') throw invalidType('name', 'a string', name);
    const typeOf = (declared: ConnectionType | undefined) => declared ?? (name as ConnectionType);
    this.#configs.set(name, resolve(config, this.#variables, typeOf, name));
  }

  /** Returns the names that were `set`, and the types for which the environment has variables. */
  listNames(): string[] {
    return [...new Set([...this.#configuredNames, ...this.#configs.keys()])];
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const configsByName = Object.fromEntries(this.listNames().map((name) => [name, this.get(name)]));
    return `ConnectionConfigManager ${inspect(configsByName, options)}`;
  }
}
