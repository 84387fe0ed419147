import { inspect, type InspectOptions } from 'node:util';

import type { LogLevel } from '../../runtime/logger';
import { invalidType, invalidValue } from '../../runtime/argument-error';
import { type ConnectionOptions, native, type Handle } from '../../runtime/native';
import { isObject, isPlainObject } from '../../runtime/shape';
import { withRedaction } from './redaction';
import { ConnectionType, type RecoveryStrategy, type SecurityLevel } from '../model';

/** TLS settings of a connection. Files are read again when they change. */
export interface ConnectionTls {
  /** Trusted authorities instead of the system's, as PEM text, its bytes or the path of a file. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** The client's certificate chain, as PEM text, its bytes or a path. */
  cert?: string | Uint8Array | undefined;
  /** Its private key, as PEM text, its bytes or a path. */
  key?: string | Uint8Array | undefined;
  /** The name that the server's certificate must be valid for, instead of the host of the URL. */
  serverName?: string | undefined;
  /** Default `TLSv1.2`, at the security level `maximum` `TLSv1.3`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Whether the server's certificate is checked. Default true, at the security level `none` false; `false` needs that level. */
  rejectUnauthorized?: boolean | undefined;
}

/** Headers of a connection, or what gives them anew for each request and handshake. `signal` says that it takes too long. */
export type CustomHeaders =
  | Readonly<Record<string, string>>
  | ((facts: {
      signal: AbortSignal;
    }) => Readonly<Record<string, string>> | PromiseLike<Readonly<Record<string, string>>>);

/**
 * Options of a connection. All times are in milliseconds.
 *
 * What is not given comes from the environment: `VITE_HTTP_TIMEOUT` (or `WEBSOCKET`, `SSE`, `DATABASE`, `EXTERNAL`)
 * for connections of that type, then `VITE_CONNECTION_TIMEOUT` for all. A variable that cannot be read is an error
 * that names it.
 */
export interface ConnectionConfig {
  /** What it is called in events and logs. Default: its type. */
  name?: string | undefined;
  /** What it is for. Default: the type of its class. */
  connectionType?: ConnectionType | undefined;
  /** Where it leads. Default: `VITE_HTTP_URL`, `VITE_WEBSOCKET_URL` or `VITE_SSE_URL`. */
  url?: string | undefined;
  /** How long connecting, or one attempt of an operation, may take. Default 30 000; `Infinity`: no limit. */
  timeout?: number | undefined;
  /** Attempts after the first. Default 3. */
  retryCount?: number | undefined;
  /** The wait before the first retry. Default 1000. */
  retryDelay?: number | undefined;
  /** From one wait to the next. Default 2. */
  backoffMultiplier?: number | undefined;
  /** HTTP: requests at once; a pool: connections at most. Default 10. */
  maxConnections?: number | undefined;
  /**
   * HTTP: how long an unused socket is kept; WebSocket: the time between two pings; SSE: how long nothing may come. Default
   * 60 000, of a WebSocket 25 000.
   */
  keepAlive?: number | undefined;
  /** Whether compressed transfer is offered. Default true. */
  compression?: boolean | undefined;
  /** `true` refuses plain text except to this machine. Default: the URL and `securityLevel` decide. */
  encryption?: boolean | undefined;
  /** What the connection insists on. Default `basic`. */
  securityLevel?: SecurityLevel | undefined;
  /** Time between two health checks of its own. Default 30 000; `Infinity`: none. */
  healthCheckInterval?: number | undefined;
  /** How long a health check may take, and the answer to a ping of `keepAlive`. Default 5000. */
  healthCheckTimeout?: number | undefined;
  /** Whether a connection that was lost is opened again. Default true. */
  autoReconnect?: boolean | undefined;
  /** Whether a failed operation that can be repeated is. Default true. */
  autoRetry?: boolean | undefined;
  /** Whether a connection that keeps failing is left alone for a while. Default true. */
  circuitBreaker?: boolean | undefined;
  /** Failures in a row that open the circuit breaker. Default 5. */
  circuitBreakerThreshold?: number | undefined;
  /** How long it stays open. Default 60 000. */
  circuitBreakerTimeout?: number | undefined;
  /** Whether sends wait for their turn. Default false. */
  rateLimit?: boolean | undefined;
  /** With `rateLimit`: sends in any stretch of `rateLimitWindow`, at most. Default 100. */
  rateLimitRequests?: number | undefined;
  /** With `rateLimit`: how long a window is. Default 60 000. */
  rateLimitWindow?: number | undefined;
  /** Whether connects, disconnects, refused logins and what the level forbids are logged: who, where, outcome. Default true. */
  auditLogging?: boolean | undefined;
  /** `false`: no `metrics` events, no row in `metricsText()` and no health checks of its own. Default true. */
  monitoring?: boolean | undefined;
  /** What is done about it when it is lost, or a manager finds it unhealthy. Default `reconnect_backoff`. */
  recoveryStrategy?: RecoveryStrategy | undefined;
  /** Used when `url` failed `retryCount` times or its circuit breaker is open. Default: none. */
  fallbackUrl?: string | undefined;
  /** HTTP: from the last byte sent to the head of the answer. Default: 30 000, or a longer `timeout`. */
  headersTimeoutMs?: number | undefined;
  /** HTTP: between two pieces of a body, sent or received. Default: 30 000, or a longer `timeout`. */
  bodyTimeoutMs?: number | undefined;
  /** HTTP: redirects followed at most; 0 answers with the redirect itself. Default 5. */
  maxRedirects?: number | undefined;
  /** HTTP: the largest body as it comes from the network. Default 64 MiB, when it is streamed `Infinity`. */
  maxResponseBytes?: number | undefined;
  /** HTTP: the largest body when unpacked. Default 256 MiB, when it is streamed `Infinity`. */
  maxDecompressedBytes?: number | undefined;
  /** SSE: the largest event; a larger one ends the connection for good. Default 1 MiB. */
  maxEventBytes?: number | undefined;
  /** WebSocket: the largest message; a larger one ends the connection for good. Default 16 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * Sent with each request or handshake: an object, or a function that gives one each time, for a token that changes. It may
   * give a promise, within `timeout`. Default: none.
   */
  customHeaders?: CustomHeaders | undefined;
  /**
   * `protocols` and `parse` of a WebSocket, `cursor` and `lastEventId` of an SSE connection, and what your own subclasses want.
   * Default: nothing.
   */
  customOptions?: Readonly<Record<string, unknown>> | undefined;
  /** Names, addresses and networks (`10.1.0.0/16`) that the level `maximum` may reach nevertheless. Default: none. */
  customSecurityOptions?: { readonly allowedHosts?: readonly string[] | undefined } | undefined;
  /** Whether every event is logged, too. Default false. */
  debug?: boolean | undefined;
  /** With `debug`: the least severe events that are logged. Default `debug`; without, it says nothing and is `info`. */
  logLevel?: LogLevel | undefined;
  /** TLS settings. Default: certificates are checked against the system's authorities. */
  tls?: ConnectionTls | undefined;
  /** `'environment'`, or the URL of an HTTP or SOCKS5 proxy. Default: none. */
  proxy?: string | undefined;
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

/** The keys that stay unset when nobody says anything. */
type Unset = 'name' | 'connectionType' | 'url' | 'fallbackUrl' | 'encryption' | 'tls' | 'proxy' | TransportOption;

/** Every option, as it is in force. Printed and as JSON it shows no credentials. */
export type ResolvedConnectionConfig = Required<{
  [Key in Exclude<keyof ConnectionConfig, Unset>]: Exclude<ConnectionConfig[Key], undefined>;
}> & { [Key in Exclude<Unset, 'name' | 'connectionType'>]: ConnectionConfig[Key] } & {
  name: string;
  connectionType: ConnectionType;
};

/** A configuration by name. `connectionType` is unset where only the class that gets it can tell. */
export type NamedConnectionConfig = Omit<ResolvedConnectionConfig, 'connectionType'> & {
  connectionType: ConnectionType | undefined;
};

type Environment = Readonly<Record<string, unknown>>;

/** The options that the addon holds, by those in force here. */
const handles = new WeakMap<object, Handle<ConnectionOptions>>();

/** @internal The options that {@link resolveConfig} gave, as the addon holds them: policies and transports are made from them. */
export function handleOf(config: Readonly<ResolvedConnectionConfig>): Handle<ConnectionOptions> {
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
 * package, `own`, which speaks `kind`, has not.
 */
export function checkCustomOptions(
  connection: { constructor: unknown; config: Readonly<ResolvedConnectionConfig> },
  own: unknown,
  kind: ConnectionType,
): void {
  if (connection.constructor !== own) return;
  const { customOptions } = connection.config;
  const given = Object.keys(customOptions).filter((key) => customOptions[key] !== undefined);
  if (given.length === 0) return;
  native.connectionCustomOptions(given, kind, [...Object.keys(connection.config), ...TRANSPORT_OPTIONS]);
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
  named?: string,
): NamedConnectionConfig {
  checkObject('options', given);
  // A copy, whose members can be read again; those that are inherited are found behind it.
  const own = Object.setPrototypeOf({ ...given }, given) as ConnectionConfig;
  const { name, connectionType, tls, proxy, customOptions, customHeaders, customSecurityOptions, ...rest } = own;
  const type = typeOf(connectionType);
  for (const [key, value] of Object.entries({ tls, customOptions })) {
    if (value !== undefined) checkObject(`options.${key}`, value);
  }
  if (proxy !== undefined && typeof proxy !== 'string') throw invalidType('options.proxy', 'a string', proxy);
  const headers = copy(customHeaders);
  const security = copy(customSecurityOptions);
  const data = { ...rest, name, connectionType, tls, proxy, customSecurityOptions: security };
  // What only other code reads stays here: functions, data of the user's own.
  const handle = native.connectionOpen(
    typeof headers === 'function' ? data : { ...data, customHeaders: headers },
    variables,
    type,
  );
  // JSON has no Infinity: a limit that is off crosses as null.
  const inForce = JSON.parse(native.connectionDescribe(handle), (_, value: unknown) => value ?? Infinity) as object;
  const config = withRedaction({
    url: undefined,
    connectionType: undefined,
    encryption: undefined,
    fallbackUrl: undefined,
    ...inForce,
    ...transportLimits(rest),
    name: named ?? name ?? type,
    customHeaders: typeof headers === 'function' ? headers : { ...headers },
    customOptions: { ...customOptions },
    customSecurityOptions: { ...security },
    tls,
    proxy,
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
  const texts = Object.entries(environment).filter(([name, value]) => name.startsWith('VITE_') && value !== undefined);
  return Object.fromEntries(texts.map(([name, value]) => [name, String(value)]));
}

function checkObject(path: string, value: unknown): void {
  if (!isObject(value) || Array.isArray(value)) throw invalidType(path, 'an object', value);
}

/**
 * Configurations by name, on top of an environment: `process.env`, or `import.meta.env` in a Vite application.
 *
 * `http`, `websocket`, `sse`, `database` and `external` are what the environment says of them
 * (`VITE_HTTP_URL`, `VITE_HTTP_TIMEOUT`, …); every other name that was not `set` gives what it says of all
 * (`VITE_CONNECTION_TIMEOUT`, …).
 */
export class ConnectionConfigManager {
  readonly #variables: Record<string, string>;
  readonly #configs = new Map<string, NamedConnectionConfig>();
  readonly #configuredNames: readonly string[];

  /** @throws TypeError, RangeError for a variable that cannot be read, naming it. */
  constructor(env: Environment = process.env) {
    this.#variables = variablesOf(env);
    this.#configuredNames = native.connectionConfigured(this.#variables);
    // A bad variable is an error here, so that `get` never is.
    for (const name of ['default', ...this.#configuredNames]) this.get(name);
  }

  /** The configuration of that name, complete; a copy, which may be changed. Never undefined. */
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
   * Gives a name a configuration; what it leaves out comes from the environment and the defaults.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  set(name: string, config: ConnectionConfig): void {
    if (typeof name !== 'string') throw invalidType('name', 'a string', name);
    const typeOf = (declared: ConnectionType | undefined) => declared ?? (name as ConnectionType);
    this.#configs.set(name, resolve(config, this.#variables, typeOf, name));
  }

  /** The names that were `set`, and the protocols that the environment says something of. */
  listNames(): string[] {
    return [...new Set([...this.#configuredNames, ...this.#configs.keys()])];
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const named = Object.fromEntries(this.listNames().map((name) => [name, this.get(name)]));
    return `ConnectionConfigManager ${inspect(named, options)}`;
  }
}
