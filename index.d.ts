/// <reference types="node" />
// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import * as WebStreams from 'node:stream/web';
import { ReadableStream as ReadableStream$1 } from 'node:stream/web';
import { URL as URL$1, URLSearchParams as URLSearchParams$1 } from 'node:url';

/** The levels of a {@link Logger}, the least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** One structured log record. `data` never contains a secret. */
export interface LogRecord {
  /** The time, as ISO 8601. */
  timestamp: string;
  /** An id that all records of one call or one object share. */
  correlationId: string;
  /** The level. */
  level: LogLevel;
  /** The name of the event, in the form `service.event`. */
  event: string;
  /** The facts of the event. */
  data: Record<string, unknown>;
}
/** A receiver of moorline's log records: a function for each level. A level without a function is not logged. */
export type Logger = {
  [level in LogLevel]?: ((record: LogRecord) => void) | undefined;
};
/**
 * Sends moorline's log records to a logger; `{}` discards them. `undefined` restores the default: JSON lines on stderr, from
 * the level of the environment variable `LOG_LEVEL` up, else from `warn`. An error that the logger throws or rejects with
 * does not affect the logged operation; the first one is reported on stderr.
 *
 * @example
 * ```ts
 * import { setLogger, TursoPool } from 'moorline';
 *
 * setLogger({ warn: ({ event }) => console.log(event) }); // libsql.release-refused
 * const pool = new TursoPool({ url: ':memory:' });
 * const client = await pool.getConnection();
 * client.close();
 * client.close();
 * await pool.drain();
 * ```
 *
 * @throws TypeError if the logger is not an object.
 */
export declare function setLogger(next: Logger | undefined): void;
/** The names of the events that the objects of moorline emit. */
export type EventName =
  | 'open'
  | 'close'
  | 'acquire'
  | 'release'
  | 'create'
  | 'destroy'
  | 'timeout'
  | 'leak'
  | 'retry'
  | 'state'
  | 'health'
  | 'drain'
  | 'error';
/** The fields of every event, beside its own facts. */
export interface MoorlineEvent {
  /** The time, in milliseconds since the epoch. */
  timestamp: number;
  /** The service of the object, such as `libsql`. */
  service: string;
  /** The name of the object, or of the part of it that the event is about. */
  name: string;
  [fact: string]: unknown;
}
/** The facts of the events of a class, by the name of the event; an event without an entry has none of its own. */
export type EventFacts = {
  [event in EventName]?: object;
};
/**
 * The event map of an object, for `EventEmitter`: the argument of each event is a {@link MoorlineEvent} with the facts that
 * `Facts` has for it.
 */
export type EventMap<Facts extends EventFacts = EventFacts> = {
  [event in EventName]: [event: MoorlineEvent & (event extends keyof Facts ? Facts[event] : unknown)];
};
declare class Emitter<Facts extends EventFacts = EventFacts> extends EventEmitter<EventMap<Facts>> {
  #private;
  constructor(service: string, name: string);
}
/** The kind of a failure, for programs to branch on. A closed set. */
export type ErrorKind =
  | 'closed'
  | 'circuit-open'
  | 'rate-limited'
  | 'overloaded'
  | 'pool-timeout'
  | 'timeout'
  | 'connect'
  | 'tls'
  | 'auth'
  | 'disconnected'
  | 'rejected'
  | 'protocol'
  | 'signature'
  | 'connector'
  | 'internal';
/**
 * The progress of an operation that failed: `none` if provably nothing reached the server, `answered` if a response began,
 * else `unknown`.
 */
export type Delivery = 'none' | 'unknown' | 'answered';
/** Details of a {@link MoorlineError}: these, where they are known, and others. */
export interface ErrorDetail {
  /** The HTTP status of the response that refused the operation. */
  status?: number;
  /** For a refused WebSocket: the headers of the response by name. The value of a header that may contain a credential is `[redacted]`. */
  headers?: Record<string, string>;
  /** For a refused WebSocket: the beginning of the response body, on one line, without the credentials that were sent. */
  body?: string;
  /** For a refused WebSocket: the target of the redirect, without its query. */
  location?: string;
  /** The option whose time limit was reached. */
  limit?: string;
  /** The phase that the call was in. */
  phase?: string;
  /** The close code of a WebSocket. */
  closeCode?: number;
  /** The reason in the close frame of a WebSocket. */
  reason?: string;
  [fact: string]: unknown;
}
/** The fields of a {@link MoorlineError}. */
export interface ErrorFields {
  kind: ErrorKind;
  /** What the usual client of the service gives (`ECONNREFUSED`, `SQLITE_CONSTRAINT`), else `ERR_MOORLINE_…`. */
  code: string;
  service: string;
  operation: string;
  delivery: Delivery;
  /** Whether a repeat may succeed and does no harm. */
  retryable: boolean;
  /** How many attempts were made in all; 0 for a call that was refused before its first. */
  attempts: number;
  /** How long the server or the breaker asks to wait, in milliseconds. */
  retryAfterMs?: number;
  /** Further facts: an HTTP status, the elapsed time. */
  detail?: Record<string, unknown>;
}
/**
 * Every operational failure of moorline: one class, told apart by `kind` and `code`.
 *
 * Programmer's mistakes are not operational: they are a `TypeError` or `RangeError`, which constructors and
 * synchronous methods throw at once and asynchronous methods reject with; only `run` of a policy or a breaker throws it,
 * when it is given no function.
 *
 * @example
 * ```ts
 * import { MoorlineError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * await pool.drain();
 * try {
 *   await pool.execute('SELECT 1');
 * } catch (error) {
 *   if (error instanceof MoorlineError) console.log(error.kind, error.retryable); // closed false
 * }
 * ```
 */
export declare class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: ErrorDetail;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  /** Returns all fields as a plain object, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
/**
 * A circuit breaker refused the call; `kind` is `circuit-open`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, CircuitBreakerError } from 'moorline';
 *
 * const breaker = new CircuitBreaker('payments', { failMax: 1 });
 * await breaker.run(() => Promise.reject(new Error('down'))).catch(() => undefined);
 * try {
 *   await breaker.run(() => fetch('https://api.example.com/payments'));
 * } catch (error) {
 *   if (error instanceof CircuitBreakerError) console.log(error.breaker, error.kind); // payments circuit-open
 * }
 * ```
 */
export declare class CircuitBreakerError extends MoorlineError {
  /** The name of the breaker. */
  readonly breaker: string;
  /** The time at which the breaker admits the next probe. */
  readonly retryAt: Date;
  constructor(message: string, fields: ErrorFields, breaker: string, retryAt: Date);
}
/**
 * Every attempt failed. For retry loops of your own: moorline rejects with the last attempt's error itself. A circuit
 * breaker counts it as its `attempts`.
 *
 * @example
 * ```ts
 * import { RetryError } from 'moorline';
 *
 * const fields = { code: 'EJOB', service: 'jobs', operation: 'run', delivery: 'unknown', retryable: false } as const;
 * const cause = new Error('no worker');
 * const error = new RetryError('all attempts failed', { ...fields, kind: 'rejected', attempts: 3 }, cause);
 * console.log(error.attempts, error.lastException === cause); // 3 true
 * ```
 */
export declare class RetryError extends MoorlineError {
  /** The error of the last attempt. */
  readonly lastException: unknown;
  constructor(message: string, fields: ErrorFields, lastException: unknown);
}
/** The server that a credential is asked for. */
export interface CredentialRequest {
  /** Its host. */
  host: string;
  /** The name of the user. */
  username: string;
}
/** A function that gives a secret, called before each attempt to connect. */
export type SecretFunction = (request: CredentialRequest) => string | Uint8Array | PromiseLike<string | Uint8Array>;
/** A question of a server. */
export interface SSHPrompt {
  /** Its text. */
  prompt: string;
  /** Whether the answer may be shown while it is typed. */
  echo: boolean;
}
/** What a server says with its questions. */
export interface SSHPromptRequest extends CredentialRequest {
  /** The title; may be empty. */
  name: string;
  /** What is said before the questions; may be empty. */
  instruction: string;
}
/** A function that answers a server's questions: an answer for each, in their order. */
export type PromptFunction = (
  prompts: SSHPrompt[],
  request: SSHPromptRequest,
) => readonly (string | Uint8Array)[] | PromiseLike<readonly (string | Uint8Array)[]>;
/** A server on the way, or at the end of it: how it is reached, how the user logs in, how its host key is verified. */
export interface SSHHostConfig {
  /** The host. */
  sshHost: string;
  /** The port. Default: 22. */
  sshPort?: number | undefined;
  /** The name of the user. */
  sshUsername: string;
  /** The file of the private key; `~` is the home directory. It is read again when it has changed. */
  sshKeyPath?: string | undefined;
  /** The private key itself, instead of `sshKeyPath`. */
  privateKey?: string | Uint8Array | undefined;
  /** The passphrase of the private key, or a function that gives it. */
  passphrase?: string | Uint8Array | SecretFunction | undefined;
  /** The certificate of the user: its text, or the path of its file. Default: the file `<sshKeyPath>-cert.pub`, if there is one. */
  certificate?: string | undefined;
  /** The socket of an agent, or `true` for that of `SSH_AUTH_SOCK`. Default: none. */
  agent?: string | boolean | undefined;
  /** The password, or a function that gives it. */
  password?: string | Uint8Array | SecretFunction | undefined;
  /** A function that answers the server's questions. */
  keyboardInteractive?: PromptFunction | undefined;
  /** The files that name the keys of hosts. Default: `~/.ssh/known_hosts` and the system's. */
  knownHosts?: string | readonly string[] | undefined;
  /** The fingerprint of the host's key, as `ssh-keygen -lf` prints it (`SHA256:…`), or several, instead of `knownHosts`. */
  hostKeyFingerprint?: string | readonly string[] | undefined;
  /** `'insecure'` accepts any host, with a warning in the log. Default: `'strict'`. */
  hostKeyVerification?: 'strict' | 'insecure' | undefined;
}
/** Options of an {@link SSHTunnel}. All times are in milliseconds. One credential at least is needed. */
export interface TunnelConfig extends SSHHostConfig {
  /** The servers that are gone through, in their order, each with its own user, credentials and host key. Default: none. */
  jumpHosts?: readonly SSHHostConfig[] | undefined;
  /** The host that `localPort` leads to, as the server sees it; needs `remotePort`. Default: `localhost`. */
  remoteHost?: string | undefined;
  /** The port that `localPort` leads to. */
  remotePort?: number | undefined;
  /** The Unix socket that `localPort` leads to, as the server sees it, instead of `remoteHost` and `remotePort`. */
  remoteSocketPath?: string | undefined;
  /** A port of 127.0.0.1 that leads to the remote host; 0 picks one. It is closed while the tunnel is. Default: none. */
  localPort?: number | undefined;
  /** The attempts to connect again after a loss. Default: that of the profile, else 3. */
  maxRetries?: number | undefined;
  /** The delay before the second attempt; it doubles with each, with jitter. Default: that of the profile, else 1000. */
  retryDelay?: number | undefined;
  /** The interval of the checks, which measure a round trip; `Infinity`: none. Default: 30 000. */
  healthCheckInterval?: number | undefined;
  /** The interval of keep-alives. Default: 15 000. */
  keepAliveIntervalMs?: number | undefined;
  /** The keep-alives without an answer after which a session is lost. Default: 3. */
  keepAliveCount?: number | undefined;
  /** The time limit of an attempt to connect, over all hosts. Default: 20 000. */
  connectTimeoutMs?: number | undefined;
  /** The maximum number of channels in one session. Default: that of the profile, else 10. */
  maxPoolSize?: number | undefined;
  /** The maximum number of sessions. Default: 10. */
  maxSessions?: number | undefined;
  /**
   * The profile of {@link postgresProfiles} whose numbers are the defaults; `false`: none. Default: `production` where the
   * environment variable `ENVIRONMENT`, else `NODE_ENV`, says so, else `development`.
   */
  profile?: 'development' | 'production' | false | undefined;
}
/** Options of `SSHTunnel.initializeFromEnv`; what is given here comes before the environment. */
export interface TunnelEnvironmentOptions extends Partial<TunnelConfig> {
  /** The file that gives the variables that are not set. Default: the nearest `.env.local`. */
  envFile?: string | undefined;
}
/** The options of a host in force. Secrets, and the functions that give them, are `[redacted]`. */
export interface ResolvedSSHHostConfig {
  sshHost: string;
  sshPort: number;
  sshUsername: string;
  sshKeyPath?: string;
  privateKey?: string;
  passphrase?: string;
  certificate?: string;
  agent?: string;
  password?: string;
  keyboardInteractive?: string;
  knownHosts?: string[];
  hostKeyFingerprint?: string[];
  hostKeyVerification: 'strict' | 'insecure';
}
/** The options of a tunnel in force. */
export interface ResolvedTunnelConfig extends ResolvedSSHHostConfig {
  jumpHosts: ResolvedSSHHostConfig[];
  remoteHost?: string;
  remotePort?: number;
  remoteSocketPath?: string;
  localPort?: number;
  maxRetries: number;
  retryDelay: number;
  healthCheckInterval: number;
  keepAliveIntervalMs: number;
  keepAliveCount: number;
  connectTimeoutMs: number;
  maxPoolSize: number;
  maxSessions: number;
}
/** The states of a tunnel, as its `state` events name them. */
export type TunnelState = 'disconnected' | 'connected' | 'reconnecting';
/** The figures of a tunnel. */
export interface TunnelStats {
  /** Open sessions. */
  sessions: number;
  /** Sessions that are being opened. */
  openingSessions: number;
  /** Open channels, one for each socket. */
  channels: number;
  /** Channels that the server was asked for and has not answered about. */
  openingChannels: number;
  /** Callers that wait for a session, or for room in one. */
  waiting: number;
  /** Bytes received, with all that the protocol adds. */
  receivedBytes: number;
  /** Bytes sent. */
  sentBytes: number;
  /** Losses after which the tunnel was connected again. */
  reconnects: number;
  /** The last round trip to the server that was measured, in milliseconds. */
  roundTripMs?: number;
}
/** The facts of the events of an {@link SSHTunnel}. */
export interface TunnelFacts {
  /** After a loss: the attempts that it took to connect again, and how long the tunnel was down. */
  open: {
    attempts?: number;
    downMs?: number;
  };
  close: object;
  /** A session was lost while others are open. */
  destroy: {
    openSessions: number;
    error: MoorlineError;
  };
  retry: {
    attempt: number;
    delayMs: number;
  };
  state: {
    from: TunnelState;
    to: TunnelState;
  };
  health: {
    healthy: boolean;
    roundTripMs?: number;
    error?: MoorlineError;
  };
}
/** The arguments of the events of an {@link SSHTunnel}: its own, and any that its users emit on it. */
export interface TunnelEvents {
  open: [event: MoorlineEvent & TunnelFacts['open']];
  close: [event: MoorlineEvent];
  destroy: [event: MoorlineEvent & TunnelFacts['destroy']];
  retry: [event: MoorlineEvent & TunnelFacts['retry']];
  state: [event: MoorlineEvent & TunnelFacts['state']];
  health: [event: MoorlineEvent & TunnelFacts['health']];
  error: [error: MoorlineError];
  maxRetriesExceeded: [];
  [name: string | symbol]: any[];
}
/**
 * A tunnel through an SSH server, which connections of this package go through by their option `tunnel`, each in a channel of
 * its own. No port is opened, unless `localPort` is given for other clients.
 *
 * The host key is verified before anything is sent. A lost session is replaced: at once, then with growing delays, `maxRetries` times;
 * after that, whenever somebody needs the tunnel. An idle tunnel does not keep the process alive.
 *
 * Emits `open`, `close`, `retry` before each attempt to connect again, `state`, `health` for each check, `destroy` when one of
 * several sessions was lost, `maxRetriesExceeded`, and `error` with the error itself when the tunnel is lost, or refused when it
 * connects again. An `error` without a listener is not thrown. Any other event may be emitted on it.
 *
 * @example
 * ```ts
 * import { HTTPConnection, SSHTunnel } from 'moorline';
 *
 * const tunnel = new SSHTunnel({ sshHost: 'bastion.example.com', sshUsername: 'deploy', sshKeyPath: '~/.ssh/id_ed25519' });
 * await tunnel.connect();
 * const service = new HTTPConnection({ url: 'https://api.example.com', tunnel });
 * console.log((await service.request({ url: '/orders' })).status); // 200
 * await service.disconnect();
 * await tunnel.disconnect();
 * ```
 */
export declare class SSHTunnel extends EventEmitter<TunnelEvents> {
  #private;
  /**
   * Opens nothing yet.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: TunnelConfig);
  /**
   * Returns the shared tunnel of this JavaScript environment, which the first call creates with `config`; that of later calls is
   * ignored.
   */
  static initializeInstance(config: TunnelConfig): SSHTunnel;
  /**
   * Returns the shared tunnel; if there is none, it is created by the environment variables `SSH_HOST`, `SSH_USER`, `SSH_KEY_PATH`
   * and others, and by a file that gives those that are not set: the nearest `.env.local` in the working directory or above it, up to the
   * nearest package.json.
   *
   * @throws TypeError `Missing required environment variables: …`, `SSH key file not found at path: …`
   */
  static initializeFromEnv(options?: TunnelEnvironmentOptions): SSHTunnel;
  /**
   * Returns the shared tunnel.
   *
   * @throws TypeError `SSHTunnel not initialized. …` if there is none.
   */
  static getInstance(): SSHTunnel;
  /** Forgets the shared tunnel. If it is connected, it is closed in the background. */
  static resetInstance(): void;
  /**
   * Connects. Does nothing if the tunnel is connected, and waits for an attempt that is under way.
   *
   * @throws MoorlineError of kind `auth` when the host or the user was refused, `connect` or `timeout` when there was no connection;
   * TypeError for a key file that is missing or has no key.
   */
  connect(): Promise<void>;
  /** Closes all sessions, channels and the local port. `connect` opens the tunnel again. */
  disconnect(): Promise<void>;
  /** Whether a session is open. */
  isConnectedToTunnel(): boolean;
  /** Measures a round trip to the server; whether it answered. Never rejects. */
  healthCheck(): Promise<boolean>;
  /** Returns the figures of the tunnel. */
  stats(): TunnelStats;
  /** The local port, while it is open. */
  get localPort(): number | undefined;
  /** Returns the options in force. Secrets are `[redacted]`. */
  options(): ResolvedTunnelConfig;
  /** The same as `disconnect`. */
  [Symbol.asyncDispose](): Promise<void>;
  /** The options in force, for JSON. Secrets are `[redacted]`. */
  toJSON(): ResolvedTunnelConfig;
}
/** The states of a connection. In `degraded` it can be used, but has a problem. */
export declare const ConnectionState: Readonly<{
  readonly DISCONNECTED: 'disconnected';
  readonly CONNECTING: 'connecting';
  readonly CONNECTED: 'connected';
  readonly DISCONNECTING: 'disconnecting';
  readonly ERROR: 'error';
  readonly DEGRADED: 'degraded';
}>;
/** The states of a connection. In `degraded` it can be used, but has a problem. */
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
/** The types of a connection. `http`, `websocket` and `sse` name its protocol; the others are for your own use. */
export declare const ConnectionType: Readonly<{
  readonly INTERNET: 'internet';
  readonly BACKEND: 'backend';
  readonly AUTHENTICATION: 'authentication';
  readonly SERVICE: 'service';
  readonly REALTIME: 'realtime';
  readonly FILESYSTEM: 'filesystem';
  readonly HTTP: 'http';
  readonly WEBSOCKET: 'websocket';
  readonly SSE: 'sse';
  readonly DATABASE: 'database';
  readonly EXTERNAL: 'external';
}>;
/** The types of a connection. `http`, `websocket` and `sse` name its protocol; the others are for your own use. */
export type ConnectionType = (typeof ConnectionType)[keyof typeof ConnectionType];
/** The health of a connection; `unknown` until the first health check. */
export declare const ConnectionHealth: Readonly<{
  readonly HEALTHY: 'healthy';
  readonly DEGRADED: 'degraded';
  readonly UNHEALTHY: 'unhealthy';
  readonly UNKNOWN: 'unknown';
}>;
/** The health of a connection; `unknown` until the first health check. */
export type ConnectionHealth = (typeof ConnectionHealth)[keyof typeof ConnectionHealth];
/**
 * The security requirements of a connection. Each level includes the requirements of the levels before it:
 *
 * - `none`: no requirements; certificates are not checked;
 * - `basic`: certificates are checked, plain text is allowed;
 * - `enhanced`: TLS 1.2 or newer except to this machine, and redirects from https to http are refused;
 * - `maximum`: TLS 1.3 always, and only addresses on the public internet, except those in
 *   `customSecurityOptions.allowedHosts`.
 */
export declare const SecurityLevel: Readonly<{
  readonly NONE: 'none';
  readonly BASIC: 'basic';
  readonly ENHANCED: 'enhanced';
  readonly MAXIMUM: 'maximum';
}>;
/** The security requirements of a connection. */
export type SecurityLevel = (typeof SecurityLevel)[keyof typeof SecurityLevel];
/** The actions of a manager for an unhealthy connection. */
export declare const RecoveryStrategy: Readonly<{
  readonly NONE: 'none';
  readonly RECONNECT: 'reconnect';
  readonly RECONNECT_BACKOFF: 'reconnect_backoff';
  readonly FALLBACK: 'fallback';
  readonly GRACEFUL_DEGRADATION: 'graceful_degradation';
}>;
/** The actions of a manager for an unhealthy connection. */
export type RecoveryStrategy = (typeof RecoveryStrategy)[keyof typeof RecoveryStrategy];
/** The metrics in a {@link ConnectionStatus}. */
export interface ConnectionMetrics {
  /** The mean response time of the last attempts, in milliseconds. */
  responseTime: number;
  /** The mean duration of the last requests with all their attempts and the waits between them, in milliseconds. */
  requestTime: number;
  /** Requests per second, over the last minute. */
  throughput: number;
  /** The response time of the last attempt, in milliseconds. */
  latency: number;
  /** Bytes per second of WebSocket messages or events, in both directions, over the last minute; 0 for HTTP. */
  bandwidth: number;
  /** The percentage of the last requests that failed. */
  errorRate: number;
  /** The percentage of the last requests that succeeded; 100 before the first. */
  availability: number;
  successCount: number;
  errorCount: number;
  totalRequests: number;
  /** All attempts; a request that was retried has several. */
  totalAttempts: number;
  /** The start of the last request, in milliseconds since the epoch. */
  lastRequestTime?: number;
  /** The end of the last request, in milliseconds since the epoch. */
  lastResponseTime?: number;
}
/** The result of a health check of a connection. */
export interface ConnectionHealthCheck {
  connectionId: string;
  /** Milliseconds since the epoch. */
  timestamp: number;
  isHealthy: boolean;
  /** The duration of the check, in milliseconds. */
  responseTime: number;
  /** The reason why the connection is not healthy. */
  errorMessage?: string;
  details?: Record<string, unknown>;
}
/** The progress of a {@link RetryStrategy}. */
export interface RetryContext {
  /** The attempt that failed last, from 1. */
  attempt: number;
  /** The maximum number of attempts. */
  maxAttempts: number;
  /** The delay before the next attempt, in **seconds**. */
  delay: number;
  backoffMultiplier: number;
  lastError?: Error;
  /** Milliseconds since the epoch. */
  startTime: number;
}
/** The credentials and the security requirements of a connection. */
export interface SecurityContext {
  authenticationToken?: string;
  authorizationHeaders?: Record<string, string>;
  encryptionEnabled?: boolean;
  certificateValidation?: boolean;
  customSecurityOptions?: Record<string, unknown>;
}
/** Totals over a set of connections. */
export interface ConnectionInfo {
  totalConnections: number;
  activeConnections: number;
  healthyConnections: number;
  degradedConnections: number;
  unhealthyConnections: number;
  /** Connections whose health is unknown, because they were not checked yet. */
  errorConnections: number;
  /** The mean response time, in milliseconds. */
  averageResponseTime: number;
  totalRequests: number;
  totalErrors: number;
  /** The worst known health of the connections; `unknown` while none is known. */
  overallHealth: ConnectionHealth;
  /** Milliseconds since the epoch. */
  lastUpdated: number;
}
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
  customSecurityOptions?:
    | {
        readonly allowedHosts?: readonly string[] | undefined;
      }
    | undefined;
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
declare const TRANSPORT_OPTIONS: readonly [
  'headersTimeoutMs',
  'bodyTimeoutMs',
  'maxRedirects',
  'maxResponseBytes',
  'maxDecompressedBytes',
  'maxEventBytes',
  'maxMessageBytes',
];
type TransportOption = (typeof TRANSPORT_OPTIONS)[number];
type Unset =
  'name' | 'connectionType' | 'url' | 'fallbackUrl' | 'encryption' | 'tls' | 'proxy' | 'tunnel' | TransportOption;
/** The options in force, with every default. Printed or converted to JSON, they show no credentials. */
export type ResolvedConnectionConfig = Required<{
  [Key in Exclude<keyof ConnectionConfig, Unset>]: Exclude<ConnectionConfig[Key], undefined>;
}> & {
  [Key in Exclude<Unset, 'name' | 'connectionType'>]: ConnectionConfig[Key];
} & {
  name: string;
  connectionType: ConnectionType;
};
/** A configuration by name. `connectionType` is `undefined` where the class of the connection determines it. */
export type NamedConnectionConfig = Omit<ResolvedConnectionConfig, 'connectionType'> & {
  connectionType: ConnectionType | undefined;
};
type Environment = Readonly<Record<string, unknown>>;
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
export declare class ConnectionConfigManager {
  #private;
  /** @throws TypeError, RangeError for a variable with an invalid value; the message names the variable. */
  constructor(env?: Environment);
  /** Returns the complete configuration of a name, as a copy that may be changed. Never returns `undefined`. */
  get(name: string): NamedConnectionConfig;
  /**
   * Sets the configuration of a name. Options left out are taken from the environment and the defaults.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  set(name: string, config: ConnectionConfig): void;
  /** Returns the names that were `set`, and the types for which the environment has variables. */
  listNames(): string[];
}
/** An error and its origin. */
export interface ConnectionErrorFacts {
  /** The value that was thrown. */
  error: unknown;
  /** The method that failed, or `connection` where the connection was lost. */
  context: string;
  /** The name of the error's class. */
  error_type: string;
}
/**
 * The `data` of the events of a connection, by `eventType`. Declare events of your own by extending this interface:
 * `declare module 'moorline' { interface ConnectionEventData { moored: { berth: number } } }`.
 */
export interface ConnectionEventData {
  state_changed: {
    old_state: ConnectionState;
    new_state: ConnectionState;
    reason?: string;
  };
  health_changed: {
    old_health: ConnectionHealth;
    new_health: ConnectionHealth;
  };
  connection_failed: ConnectionErrorFacts;
  connection_lost: ConnectionErrorFacts;
  /** The `status`, where a response refused the credentials; otherwise the error. */
  authentication_failed: Partial<ConnectionErrorFacts> & {
    status?: number;
  };
  reconnected: undefined;
  /** `attempt` is the one that failed, `delay_ms` the delay before the next, in milliseconds. */
  retry: {
    attempt: number;
    delay_ms: number;
    reason: string;
  };
  health_check_failed: {
    result: ConnectionHealthCheck;
  };
  circuit_breaker_opened: {
    breaker: string;
  };
  circuit_breaker_closed: {
    breaker: string;
  };
  /** `retry_at` is the time from which the breaker admits a call again, in milliseconds since the epoch. */
  circuit_breaker_refused: {
    context: string;
    breaker: string;
    retry_at?: number;
  };
  rate_limited: {
    context: string;
  };
  fallback_activated: {
    url: string | undefined;
  };
  fallback_restored: {
    url: string | undefined;
  };
  error: ConnectionErrorFacts;
  /** Times in milliseconds, `error_rate` in percent, `throughput` in requests per second. */
  metrics: {
    response_time: number;
    request_time: number;
    success: boolean;
    error_rate: number;
    throughput: number;
  };
}
/** The types of a {@link ConnectionEvent}. */
export type ConnectionEventType = keyof ConnectionEventData;
/** An event of a connection; `eventType` names it and determines the type of `data`. */
export type ConnectionEvent<Type extends ConnectionEventType = ConnectionEventType> = {
  [Each in Type]: {
    eventId: string;
    connectionId: string;
    eventType: Each;
    /** Milliseconds since the epoch. */
    timestamp: number;
    severity?: 'info' | 'warning' | 'error';
    message?: string;
  } & (undefined extends ConnectionEventData[Each]
    ? {
        data?: ConnectionEventData[Each];
      }
    : {
        data: ConnectionEventData[Each];
      });
}[Type];
type ConnectionFacts = {
  state: {
    from: ConnectionState;
    to: ConnectionState;
    reason?: string;
  };
  health: {
    from: ConnectionHealth;
    to: ConnectionHealth;
  };
  retry: {
    delayMs: number;
    attempt: number;
    error: unknown;
    reason: string;
  };
  error: {
    error: unknown;
    context: string;
  };
};
/** The main metrics of a connection, as {@link ConnectionMetricsTracker.metrics} and `getMetrics` return them. */
export interface ConnectionFigures {
  /** All requests so far. */
  requestCount: number;
  /** All failed requests so far. */
  errorCount: number;
  /** The percentage of the last requests that failed. */
  errorRate: number;
  /** The mean response time of the last attempts, in milliseconds. */
  averageResponseTime: number;
  /** Requests per second, over the last 60 seconds. */
  throughput: number;
  /** The percentage of the last requests that succeeded; 100 before the first. */
  uptime: number;
}
/** All metrics of a {@link ConnectionMetricsTracker}. */
export interface ConnectionMetricsSummary extends ConnectionFigures {
  successCount: number;
  /** All attempts so far; a request that was retried has several. */
  attemptCount: number;
  /** The mean duration of the last requests with all their attempts and the waits between them, in milliseconds. */
  averageRequestTime: number;
  /** Failures since the last success. */
  consecutiveErrors: number;
  /** The number of failures by type; failures without a type are `other`. */
  errorBreakdown: Record<string, number>;
  /** The start of the last request, as ISO 8601. */
  lastRequestTime?: string;
  /** The end of the last request, as ISO 8601. */
  lastResponseTime?: string;
}
/**
 * Collects the metrics of a connection: means and rates over the last requests, and counts of all requests.
 *
 * @example
 * ```ts
 * import { ConnectionMetricsTracker } from 'moorline';
 *
 * const tracker = new ConnectionMetricsTracker();
 * tracker.record(12, true);
 * tracker.record(48, false, 'timeout');
 * console.log(tracker.errorRate()); // 50
 * console.log(tracker.summary().errorBreakdown); // { timeout: 1 }
 * ```
 */
export declare class ConnectionMetricsTracker {
  #private;
  /**
   * @param windowSize the number of requests that means and rates cover, 1 to 100 000.
   * @throws TypeError, RangeError for another value.
   */
  constructor(windowSize?: number);
  /**
   * Records a request that has just ended, as one with a single attempt.
   *
   * @param responseTimeMs the duration in milliseconds, 0 to 8 640 000 000 000 000 (the range of a `Date`).
   * @param success whether the request succeeded.
   * @param errorType the type of the failure; types after the first 100 count as `other`, a longer name is cut to 200 characters.
   * @param bytes the bytes that were sent and received, 0 to `Number.MAX_SAFE_INTEGER`.
   * @throws TypeError, RangeError for an argument of another type or out of range; nothing is recorded then.
   */
  record(responseTimeMs: number, success: boolean, errorType?: string, bytes?: number): void;
  /** Returns the mean response time of the last attempts, in milliseconds. */
  averageResponseTime(): number;
  /** Returns the percentage of the last requests that failed. */
  errorRate(): number;
  /** Returns the requests per second, over the last `windowSeconds` (1 to 300; default: 60). */
  throughput(windowSeconds?: number): number;
  /** Returns the percentage of the last requests that succeeded; 100 before the first. */
  uptime(): number;
  /** Returns the metrics that `getMetrics` of a connection returns. */
  metrics(): ConnectionFigures;
  /** Returns all metrics. */
  summary(): ConnectionMetricsSummary;
}
/** A snapshot of a connection. Times are in milliseconds since the epoch. */
export interface ConnectionStatus {
  connectionId: string;
  name: string;
  connectionType: ConnectionType;
  state: ConnectionState;
  health: ConnectionHealth;
  config: ResolvedConnectionConfig;
  metrics: ConnectionMetrics;
  lastHealthCheck?: number;
  /** The message of the last error. */
  lastError?: string;
  errorCount: number;
  /** Errors since the last success. */
  consecutiveErrors: number;
  createdAt: number;
  updatedAt: number;
  isActive: boolean;
  isSecure: boolean;
  isAuthenticated: boolean;
}
/** Options of `emitEvent`: the content of an event. */
export interface ConnectionEventOptions {
  data?: Record<string, unknown> | undefined;
  /** Default: `info`. */
  severity?: 'info' | 'warning' | 'error' | undefined;
  message?: string | undefined;
}
declare abstract class ObservableConnection extends Emitter<ConnectionFacts> {
  #private;
  /** The id of the connection, a UUID. */
  readonly connectionId: string;
  /** The options in force. */
  readonly config: Readonly<ResolvedConnectionConfig>;
  /** Returns a snapshot of the connection; credentials in it are redacted. */
  getStatus(): ConnectionStatus;
  /** Returns the main metrics of the connection. */
  getMetrics(): ConnectionFigures;
  /**
   * Subscribes to every event, returns a function that unsubscribes. An error that a handler throws is logged, and has no
   * other effect.
   */
  onEvent(handler: (event: ConnectionEvent) => unknown): () => void;
  /** Subscribes to every change of the state, returns a function that unsubscribes. */
  onStateChange(handler: (state: ConnectionState, before: ConnectionState) => unknown): () => void;
  /** Subscribes to every change of the health, returns a function that unsubscribes. */
  onHealthChange(handler: (health: ConnectionHealth, before: ConnectionHealth) => unknown): () => void;
  /** Emits an event, also one of your own, to the handlers of `onEvent`. */
  emitEvent(eventType: string, options?: ConnectionEventOptions): void;
}
/** Options of `connect`. */
export interface ConnectOptions {
  /** Whether a failed attempt is retried, at most `retryCount` times and with growing delays. Default: false. */
  retry?: boolean | undefined;
}
/**
 * The base class of all connections: state, health, events, metrics, a circuit breaker, a rate limit and retries. When an
 * operation fails, its method does not reject: it returns `false` or `null`, and an event carries the error.
 *
 * For a connection of your own, implement `sendImpl` and `receiveImpl`, and where needed override `connectImpl`,
 * `disconnectImpl`, `healthCheckImpl` and `isConnected`; they may throw. `connect`, `disconnect` and `healthCheck` can be
 * overridden, too.
 *
 * @example
 * ```ts
 * import { BaseConnection } from 'moorline';
 * class Clock extends BaseConnection {
 *   protected sendImpl = async () => false;
 *   protected receiveImpl = async () => 'noon';
 * }
 * const clock = new Clock({ name: 'clock' });
 * if (await clock.connect()) console.log(await clock.receive()); // noon
 * await clock.disconnect();
 * ```
 */
export declare abstract class BaseConnection extends ObservableConnection {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: ConnectionConfig, type?: ConnectionType);
  /**
   * Opens the connection. Returns true when it is open, or false, with an event, when that failed. `{ retry: true }`
   * repeats an attempt that may succeed later, with `retryCount`, `retryDelay` and `backoffMultiplier`.
   */
  connect(options?: ConnectOptions): Promise<boolean>;
  /** Closes the connection. A `receive` that waits returns `null`. A second call has no effect. */
  disconnect(): Promise<boolean>;
  /** Closes the connection, waits for `retryDelay`, and opens it again. Returns false when it is closed meanwhile. */
  reconnect(): Promise<boolean>;
  /** Returns whether the connection can be used now. */
  isConnected(): Promise<boolean>;
  /** Sends `data`. Returns false when it could not be sent, was refused, or the circuit breaker is open. */
  send(data: unknown): Promise<any>;
  /** Returns the next message, or `null` when there will be none. */
  receive(): Promise<any>;
  /** Checks whether the connection works, within `timeoutMs` (default: `healthCheckTimeout`). Never rejects. */
  healthCheck(timeoutMs?: number): Promise<ConnectionHealthCheck>;
  /** Opens the connection; false or an error means that it could not be opened. */
  protected connectImpl(_options?: ConnectOptions): Promise<boolean>;
  /** Closes the connection. */
  protected disconnectImpl(): Promise<boolean>;
  /** Sends `data`; false means that it was not sent, an error counts as a failure of the connection. */
  protected abstract sendImpl(data: unknown): Promise<unknown>;
  /** Returns the next message. */
  protected abstract receiveImpl(): Promise<unknown>;
  /** Returns whether the connection works; an object adds details, and means no with `isHealthy: false`. */
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean | Record<string, unknown>>;
}
/**
 * Options of `run` of {@link Policy} and {@link CircuitBreaker} and of the methods of {@link TursoPool} that borrow a connection;
 * `QueryOptions` and `NixtlaCallOptions` add a time limit.
 */
export interface CallOptions {
  /** A signal that cancels the call: an abort rejects it with the signal's reason and releases its resources. */
  signal?: AbortSignal | undefined;
}
type HeadersInit =
  Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]>;
type ResponseHeaders = Record<string, string> & {
  'set-cookie'?: string[];
};
declare class BodyStream implements AsyncIterableIterator<Uint8Array> {
  #private;
  /** Returns the next chunk. */
  next(): Promise<IteratorResult<Uint8Array>>;
  /** Stops reading, as leaving a `for await` loop does. */
  return(): Promise<IteratorResult<Uint8Array>>;
  /** Stops reading; a connection with an unread body is closed. */
  cancel(): void;
  /** Returns the body as a web stream. */
  toReadableStream(): ReadableStream$1<Uint8Array>;
  [Symbol.asyncIterator](): this;
}
/**
 * The response to an HTTP request, whatever its status. Headers and body are parsed when they are first read. Printed or
 * converted to JSON, it shows its status and its URL without the query.
 *
 * @example
 * ```ts
 * import { HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com' });
 * const response = await service.request({ url: '/orders' });
 * console.log(response.status, response.headers['content-type']); // 200 application/json
 * console.log(response.json<{ name: string }>().name); // Ada
 * await service.disconnect();
 * ```
 */
export declare class HTTPResponse {
  #private;
  /** The status code. */
  readonly status: number;
  /** The URL of the response, after redirects, without user and password. */
  get url(): string;
  /** Whether the status is between 200 and 299. */
  get ok(): boolean;
  /** The standard reason phrase of the status. */
  get statusText(): string;
  /** The headers, with names in lower case; the values of a repeated one are joined with a comma, `set-cookie` is a list. */
  get headers(): ResponseHeaders;
  /**
   * The body: parsed when its content type is JSON (`application/json`, `text/json`, `…+json`; `undefined` when it is
   * empty or blank), otherwise text.
   *
   * @throws MoorlineError when the content type is JSON and the body is not.
   */
  get data(): any;
  /** Returns the body as text, decoded with the charset of its content type, else UTF-8. */
  text(): string;
  /**
   * Returns the body parsed as JSON, whatever its content type. The type `T` is not checked.
   *
   * @throws MoorlineError when the body is not JSON.
   */
  json<T = any>(): T;
  /** Returns the bytes of the body. */
  bytes(): Uint8Array;
  /**
   * The body of a streamed response: an async iterable of chunks, which are read from the network on demand. A body that
   * is not read to its end must be closed, by leaving the loop or with `cancel()`.
   */
  get stream(): BodyStream;
  /** Returns the status and the URL without the query. */
  toJSON(): {
    status: number;
    url: string;
  };
}
type QueryValue = string | number | boolean | bigint | Date | null | undefined;
type QueryInit =
  | string
  | Iterable<readonly [string, QueryValue | readonly QueryValue[]]>
  | Readonly<Record<string, QueryValue | readonly QueryValue[]>>;
interface HttpCallSettings {
  /** The time limit of the call, until its body is read, or until its headers for a streamed response. Default: 30 000. */
  timeoutMs?: number | undefined;
  /** The part of `timeoutMs` that earlier attempts have used. Default: 0. */
  spentMs?: number | undefined;
  /** The time limit of this attempt alone. Default: `Infinity`. */
  attemptTimeoutMs?: number | undefined;
  /** The time limit from the last byte sent to the headers of the response. Default: 30 000, or a longer `timeoutMs`. */
  headersTimeoutMs?: number | undefined;
  /** The time limit between two chunks of a body, sent or received. Default: 30 000, or a longer `timeoutMs`. */
  bodyTimeoutMs?: number | undefined;
  /** The maximum number of redirects; 0 returns the redirect itself. Default: 5. */
  maxRedirects?: number | undefined;
  /** The largest body as received from the network. Default: 64 MiB, for a streamed response `Infinity`. */
  maxResponseBytes?: number | undefined;
  /** The largest body after decompression. Default: 256 MiB, for a streamed response `Infinity`. */
  maxDecompressedBytes?: number | undefined;
  /** Whether gzip, br, zstd and deflate are offered and decompressed. Default: true. */
  decompress?: boolean | undefined;
}
interface HttpRequest {
  /** The method. Default: `GET`, or `POST` with a body. */
  method?: string | undefined;
  url: string | URL;
  /** The headers of the request. */
  headers?: HeadersInit | undefined;
  /**
   * The query, which is added to that of the URL: an object, pairs, a `URLSearchParams`, a `Map`, or text, which is used
   * unchanged. An array repeats the key, `undefined` and `null` are left out, a `Date` is written as ISO 8601.
   */
  query?: QueryInit | undefined;
  /**
   * The body: text and bytes are sent unchanged, a stream, iterator, async iterable or `Blob` in chunks,
   * `URLSearchParams` and `FormData` as a form, any other plain value as JSON.
   */
  body?: unknown;
  /** Whether the response is returned as soon as its headers are received, with the body in `stream`. Default: false. */
  stream?: boolean | undefined;
  settings?: HttpCallSettings | undefined;
}
/** A request; its `url` is appended to that of the connection. */
export interface ConnectionRequest extends Omit<HttpRequest, 'url' | 'settings'> {
  /**
   * A path below the connection's URL, or an absolute URL. For another origin only those `customHeaders` are sent that
   * cannot contain credentials.
   */
  url?: string | URL$1 | undefined;
  /**
   * The time limit of the call with all its attempts and the waits between them, until its body is read, or until its
   * headers for a streamed response. Default: only each attempt is limited.
   */
  timeoutMs?: number | undefined;
  /** The time limit of one attempt, instead of the connection's `timeout`. */
  attemptTimeoutMs?: number | undefined;
  /** Overrides the option of the connection. */
  headersTimeoutMs?: number | undefined;
  /** Overrides the option of the connection. */
  bodyTimeoutMs?: number | undefined;
  /** Overrides the option of the connection: the maximum number of redirects; 0 returns the redirect itself. */
  maxRedirects?: number | undefined;
  /** Overrides the option of the connection. */
  maxResponseBytes?: number | undefined;
  /** Overrides the option of the connection. */
  maxDecompressedBytes?: number | undefined;
}
type RequestMethod = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS' | 'TRACE';
type SentRequest<Method> = ConnectionRequest & {
  method: Method;
  url: string | URL$1;
};
type NoRequest<Data> = Data extends {
  method: string;
  url: string | URL$1;
}
  ? SentRequest<string>
  : Data;
/**
 * An HTTP client for one service: it reuses sockets, and retries requests that are safe to repeat.
 *
 * `connect` only marks the connection as ready. `send` takes a request, which is a value with an HTTP method in `method` and
 * a `url`, and returns the {@link HTTPResponse} whatever its status, or `null` when there was no response. Any other value is
 * sent with POST, and `send` returns whether the status was between 200 and 299. `request` rejects instead.
 *
 * @example
 * ```ts
 * import { HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com', timeout: 5000, retryCount: 2 });
 * await service.connect();
 * console.log(await service.send({ order: 7 })); // true
 * console.log(await service.receive()); // { id: 7, name: 'Ada' }
 * await service.disconnect();
 * ```
 */
export declare class HTTPConnection extends BaseConnection {
  #private;
  /** @throws TypeError `HTTP connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig);
  send(request: SentRequest<RequestMethod | Lowercase<RequestMethod>>): Promise<HTTPResponse | null>;
  send(request: SentRequest<string>): Promise<HTTPResponse | boolean | null>;
  send<Data>(data: NoRequest<Data>): Promise<boolean>;
  /**
   * Sends a request and returns the response, whatever its status. Aborting `signal` rejects with its reason.
   *
   * @throws MoorlineError when there was no response: its `detail` holds the `phase`, and whether anything was written.
   *
   * @example
   * ```ts
   * import { HTTPConnection } from 'moorline';
   *
   * const service = new HTTPConnection({ url: 'https://api.example.com' });
   * const response = await service.request({ method: 'POST', url: '/orders', body: { id: 7 } });
   * console.log(response.status, response.data); // 200 { id: 7, name: 'Ada' }
   * await service.disconnect();
   * ```
   */
  request(request: ConnectionRequest, options?: CallOptions): Promise<HTTPResponse>;
  /**
   * Requests the connection's URL with GET and returns the body: parsed JSON, other text as `{ text }`, or `null` when there
   * was no response. JSON that cannot be parsed is returned as text, with an `error` event.
   */
  receive(): Promise<any>;
  protected receiveImpl(): Promise<unknown>;
  /** Not used: this class overrides `send`. */
  protected sendImpl(data: unknown): Promise<unknown>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(_timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>>;
}
/** Options of `receive`. */
export interface MessageOptions {
  /** Ends the wait with `null` when it is aborted. */
  signal?: AbortSignal | undefined;
  /** Ends the wait with `null` after this time, in milliseconds. Default: until a message arrives or the connection ends. */
  timeoutMs?: number | undefined;
}
type MessageEventName = EventName | 'message';
type Listener<Name, Message> = Name extends EventName
  ? EventMap<ConnectionFacts>[Name] extends unknown[]
    ? (...args: EventMap<ConnectionFacts>[Name]) => void
    : never
  : Name extends 'message'
    ? (message: Message) => unknown
    : never;
/** Options of `onMessage`. */
export interface MessageHandlerOptions {
  /** The number of messages that are handled at once; further ones wait in order. Default: 1; `Infinity`: no limit. */
  concurrency?: number | undefined;
}
/** The statistics of a {@link ConnectionManager}. */
export interface ConnectionStatistics extends ConnectionInfo {
  /** The time since `start`, in milliseconds; 0 before. */
  uptimeMs: number;
  /** The time of `start`, in milliseconds since the epoch. */
  startTime?: number;
  totalEventsProcessed: number;
  /** The number of connections by group. */
  groups: Record<string, number>;
  /** The percentage of all requests that failed. */
  errorRate: number;
}
/**
 * A set of connections, in groups, which are opened, checked and recovered together. `stop` leaves them open.
 *
 * @example
 * ```ts
 * import { ConnectionManager, HTTPConnection, WebSocketConnection } from 'moorline';
 *
 * const manager = new ConnectionManager();
 * manager.addConnection(new HTTPConnection({ url: 'https://api.example.com' }), 'orders');
 * manager.addConnection(new WebSocketConnection({ url: 'wss://api.example.com' }), 'orders');
 * await manager.connectAll('orders');
 * console.log(manager.getInfo().activeConnections); // 2
 * await manager.disconnectAll();
 * ```
 */
export declare class ConnectionManager {
  #private;
  /**
   * @param options `healthCheckIntervalMs`: the time between two rounds of health checks after `start`, in milliseconds.
   * Default: 30 000; `Infinity`: none.
   * @throws TypeError for an unknown option, RangeError for an invalid interval.
   */
  constructor(options?: { healthCheckIntervalMs?: number | undefined });
  /** Adds a connection to a group. A connection that was added before stays in its group. */
  addConnection(connection: BaseConnection, group?: string): void;
  /** Removes a connection and leaves it open. Returns false when it was not found. */
  removeConnection(connectionId: string): boolean;
  /** Returns the connection with this id, if there is one. */
  getConnection(connectionId: string): BaseConnection | undefined;
  /** Returns the connections of this type. */
  getConnectionsByType(type: ConnectionType): BaseConnection[];
  /** Returns the connections of this group. */
  getConnectionsByGroup(group: string): BaseConnection[];
  /** Returns the connections in this state. */
  getConnectionsByState(state: ConnectionState): BaseConnection[];
  /** Returns the connections with this health. */
  getConnectionsByHealth(health: ConnectionHealth): BaseConnection[];
  /** Starts periodic health checks of all connections, and recovers unhealthy ones. A second call has no effect. */
  start(): Promise<void>;
  /** Stops the periodic health checks. The connections stay open. */
  stop(): Promise<void>;
  /** Opens all connections, or those of one group. Returns whether each was opened, by id. */
  connectAll(group?: string): Promise<Record<string, boolean>>;
  /** Closes all connections, or those of one group. Returns whether each was closed, by id. */
  disconnectAll(group?: string): Promise<Record<string, boolean>>;
  /** Checks all connections, or those of one group, and recovers unhealthy ones. Returns the results of the checks, by id. */
  healthCheckAll(group?: string): Promise<Record<string, ConnectionHealthCheck>>;
  /** Subscribes to every event of every connection, returns a function that unsubscribes. */
  addEventHandler(handler: (event: ConnectionEvent) => unknown): () => void;
  /** Subscribes like `addEventHandler`, with the type of the event as the first argument. */
  addGlobalHandler(handler: (type: string, event: ConnectionEvent) => unknown): () => void;
  /**
   * Sets the action for a connection when it is unhealthy, instead of its own `recoveryStrategy`.
   *
   * @throws TypeError for an unknown strategy.
   */
  setRecoveryStrategy(connectionId: string, strategy: RecoveryStrategy): void;
  /** Returns totals over all connections. */
  getInfo(): ConnectionInfo;
  /** Returns totals over all connections, and the statistics of the manager. */
  getStatistics(): ConnectionStatistics;
}
/**
 * A server-sent event.
 *
 * @example
 * ```ts
 * import { SSEConnection } from 'moorline';
 *
 * const stream = new SSEConnection({ url: 'https://api.example.com/events' });
 * await stream.connect();
 * const event = await stream.receive();
 * console.log(event?.type, event?.lastEventId, event?.data); // message 1 {"id":7,"name":"Ada"}
 * await stream.disconnect();
 * ```
 */
export declare class SSEEvent {
  #private;
  /** The type; `message` where the server names none. */
  readonly type: string;
  /** The data; several lines are joined with `\n`. */
  readonly data: string;
  /** The id of this event, or of the last one that had an id; empty when none had. */
  readonly lastEventId: string;
  /** The delay before a reconnection that the server asks for with this event, in milliseconds. */
  readonly retry?: number;
  /**
   * Marks the event as handled, so that a durable cursor may move past it. Without this call it is marked when `receive`
   * is called again, when `for await` asks for the next event, or when the handlers of `onMessage` are done.
   */
  ack(): void;
  /**
   * Returns the data parsed as JSON. The type `T` is not checked.
   *
   * @throws MoorlineError when the data is not JSON.
   */
  json<T = any>(): T;
}
interface PersistentConnection<Message, Parsed> {
  on<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  addListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  prependListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  once<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  prependOnceListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  off<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  removeListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
}
declare abstract class PersistentConnection<Message, Parsed = Message>
  extends BaseConnection
  implements AsyncIterable<Parsed>
{
  #private;
  constructor(config: ConnectionConfig, type: ConnectionType);
  isConnected(): Promise<boolean>;
  /** Returns the next message, or `null` when the connection has ended, ends first, or nothing arrives in time. */
  receive(options?: MessageOptions): Promise<Parsed | null>;
  /**
   * Subscribes to every message from now on, instead of `receive`; returns a function that unsubscribes. The handler gets a
   * message when the promise that it returned for the one before is settled, or sooner with `concurrency`.
   *
   * A subscription keeps the process alive while the connection is open or being reopened, unless `unref` was called.
   */
  onMessage(handler: (message: Parsed) => unknown, options?: MessageHandlerOptions): () => void;
  /** Lets the process exit although a `receive`, a loop or a subscription waits for messages. */
  unref(): this;
  /** Undoes `unref`: a `receive`, a loop or a subscription that waits for messages keeps the process alive. */
  ref(): this;
  /**
   * Iterates over the messages, through losses and reconnections. The loop ends with `disconnect`, and when the server
   * ends the connection properly; it rejects with the reason when the connection was never opened, or is given up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined>;
  /** Rejects: a class that sends overrides it. */
  protected sendImpl(_data: unknown): Promise<unknown>;
  protected receiveImpl(): Promise<unknown>;
  protected connectImpl({ retry }?: ConnectOptions): Promise<boolean>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean>;
}
/**
 * A connection to a stream of server-sent events, which is opened again when it is lost: it continues after the last event
 * that was received (`Last-Event-ID`), and not before the delay of the server's `retry:` is over.
 *
 * `receive` returns one {@link SSEEvent} after the other. Nothing can be sent.
 *
 * `customOptions.cursor`, `{ url: 'file:cursors.db', name: 'orders' }`, stores the id of the last event that was handled
 * together with all events before it, in a libSQL database: a new process continues there. Every event is handled at least
 * once. An event counts as handled when `for await` asks for the next one, when the promises of all `onMessage` handlers are
 * fulfilled, when `receive` is called again, or when `event.ack()` is called. After a handler that fails, or a loop that is
 * left early, the cursor stays where it is: further events are still received, and all events after that position are
 * received again by the next connection or process.
 *
 * `customOptions.lastEventId` is a position of your own: the first connection continues after it, and ignores the cursor.
 *
 * @example
 * ```ts
 * import { SSEConnection } from 'moorline';
 *
 * const stream = new SSEConnection({ url: 'https://api.example.com/events' });
 * await stream.connect();
 * for await (const event of stream) {
 *   console.log(event.type, event.data); // message {"id":7,"name":"Ada"}
 *   break;
 * }
 * await stream.disconnect();
 * ```
 */
export declare class SSEConnection extends PersistentConnection<SSEEvent> {
  #private;
  /** @throws TypeError `SSE connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig);
  /** The id of the event after which the next connection continues; empty when there was none. */
  get lastEventId(): string;
  /** The URL of the stream that is, or was last, open: after redirects, without user and password; empty before the first. */
  get url(): string;
  /**
   * Returns the next event, or `null` when the connection has ended, ends first, or nothing arrives in time. With a cursor
   * it marks the events that `receive` returned before as handled.
   */
  receive(options?: MessageOptions): Promise<SSEEvent | null>;
  /**
   * Iterates over the events, through losses and reconnections. The loop ends with `disconnect`, with status 204, and when
   * the server ends the stream and it is not opened again; it rejects with the reason when the connection was never opened,
   * or is given up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<SSEEvent, void, undefined>;
  /** Always returns false, without an error: only the server sends events. */
  send(_data?: unknown): Promise<boolean>;
  protected parse(event: SSEEvent): SSEEvent;
  protected disconnectImpl(): Promise<boolean>;
}
/**
 * A WebSocket connection to a server, which is opened again when it is lost.
 *
 * `send` sends text and bytes unchanged, and any other value as JSON. `receive` returns parsed JSON, other text as
 * `{ text }` and binary messages as a `Buffer`; with `customOptions: { text: 'raw' }` (default: `'json'`), or
 * `{ parse: false }`, all text is returned unchanged. A native thread sends a ping every `keepAlive` milliseconds and answers
 * those of the server, so a busy event loop does not make the server close the connection.
 *
 * `Message` is the type of the received messages; it is not checked.
 *
 * @example
 * ```ts
 * import { WebSocketConnection } from 'moorline';
 *
 * const socket = new WebSocketConnection<{ hello: string }>({ url: 'wss://api.example.com' });
 * socket.onMessage(async (message) => {
 *   console.log(message.hello); // world
 *   await socket.disconnect();
 * });
 * if (await socket.connect()) await socket.send({ hello: 'world' });
 * ```
 */
export declare class WebSocketConnection<Message = any> extends PersistentConnection<string | Buffer, Message> {
  #private;
  /** @throws TypeError `WebSocket connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig);
  /** The sub-protocol that the server selected, or an empty string. */
  get protocol(): string;
  /**
   * Closes the connection. A `receive` that waits returns `null`; messages that arrived before can still be received. The
   * close frame carries `code` (1000, or 3000 to 4999; default: 1000) and `reason` (at most 123 bytes; default: none).
   *
   * @throws TypeError, RangeError for a code or a reason that cannot be sent; the connection stays open.
   */
  disconnect(code?: number, reason?: string): Promise<boolean>;
  /**
   * Sends a message. Returns true when it is written to the socket, which may include waiting for room, or false when it
   * was not; an event carries the reason, which is an `error` of kind `closed` when the connection is not open.
   */
  send(data: unknown): Promise<boolean>;
  protected sendImpl(message: unknown): Promise<boolean>;
  protected parse(message: string | Buffer): Message;
  protected healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}
/**
 * A checker: a function whose return value tells the health of a dependency. The value may be a promise, and promises among
 * its members are awaited:
 *
 * - an object with a `healthCheck()` method, such as a pool or a connection: its return value counts;
 * - an error, and a `rejected` result of `Promise.allSettled`: unhealthy, with the messages of the error and its causes;
 * - an object with `healthy`, `isHealthy`, `ok`, `success`, `status` or `statusCode`: the worst of them counts. A status is a
 *   word such as `'degraded'`, a boolean or an HTTP status code; the others are booleans, or 0 and 1, and any other value is
 *   unhealthy. An object with none of them but with an `error` is unhealthy. Its `error` and `metadata` are kept with the
 *   result;
 * - an array or a plain object with none of these: its worst member counts, as of `Promise.allSettled` or
 *   `{ db: { status: 'down' } }`;
 * - a string that is such a word: that status; any other value is healthy if it is truthy, such as the `'PONG'` of Redis.
 *
 * A checker that throws is unhealthy. The signal is aborted when the check times out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;
/** The status of a check or of a report. `degraded`: working, with a problem. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
/** Options of one check; the options of a monitor are the defaults of its checks. */
export interface HealthCheckOptions {
  /** Whether its failure makes the whole `unhealthy`; otherwise the whole is only `degraded`. Default: true. */
  critical?: boolean | undefined;
  /** How long the checker may take; then it is unhealthy and its signal is aborted. Default: 5000. */
  timeoutMs?: number | undefined;
  /** After {@link HealthMonitor.start}: time from one run to the next, ±10 %. Default: 30 000; `Infinity`: never. */
  intervalMs?: number | undefined;
  /** After {@link HealthMonitor.register}: time to the first periodic run. Default: 0; at once. */
  initialDelayMs?: number | undefined;
  /** A healthy answer that took longer is `degraded`. Default: `Infinity`. */
  degradedAboveMs?: number | undefined;
  /** Failures in a row that make a check unhealthy. Default: 1; 3 is usual for a probe that flaps. */
  fall?: number | undefined;
  /** Successes in a row that bring an unhealthy check back. Default: 1; 2 is usual for a probe that flaps. */
  rise?: number | undefined;
  /** How many results are kept for this name. Default: 100. */
  historyCapacity?: number | undefined;
}
/** The result of one run of a check. */
export interface HealthCheckResult {
  name: string;
  /** The status of the check after this run. With `fall` or `rise` above 1 it changes only after several runs. */
  status: HealthStatus;
  /** Whether the status is not `unhealthy`. */
  healthy: boolean;
  /** The time at which the run ended. */
  timestamp: Date;
  latencyMs: number;
  /** The reason of the failure, where it is known. */
  error?: string;
  /** The `metadata` that the checker returned, after serialization as JSON. */
  metadata?: Record<string, unknown>;
}
/** The last result of every check that has run, with an overall status. */
export interface HealthReport {
  /** `unhealthy` if a critical check is unhealthy, `degraded` if any check is not healthy, else `healthy`. */
  status: HealthStatus;
  timestamp: Date;
  /** The duration of all checks, which run in parallel, in milliseconds. */
  durationMs: number;
  /** The results, in the order of registration. */
  checks: HealthCheckResult[];
  summary: {
    total: number;
    healthy: number;
    degraded: number;
    unhealthy: number;
  };
}
/** Statistics of the history of one check. Without a history the numbers are zero. */
export interface HealthStats {
  name: string;
  /** The number of results since the check was registered. */
  totalChecks: number;
  /** The share of the kept results that were not unhealthy, 0 to 1. */
  successRate: number;
  avgLatencyMs: number;
  p50LatencyMs: number;
  p95LatencyMs: number;
  p99LatencyMs: number;
  consecutiveFailures: number;
  /** The share of the observed time, 0 to 1, in which the status was not unhealthy. */
  uptimeRatio: number;
  /** The time of the last result. */
  lastCheck?: Date;
  /** The time of the last change of the status. */
  lastChange?: Date;
}
type HealthFacts = {
  health: Omit<HealthCheckResult, 'timestamp'>;
  state: {
    from: HealthStatus | 'unknown';
    to: HealthStatus;
  };
  error: {
    error: string;
  };
};
/**
 * Monitors the health of the dependencies of a service. Named checks run in parallel, each with a timeout, on demand or
 * (after {@link start}) periodically.
 *
 * Emits `health` for each result, `state` for each change of a check's status, `error` for each run that failed with an error.
 */
export declare class HealthMonitor extends Emitter<HealthFacts> {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(defaults?: HealthCheckOptions);
  /**
   * Registers a check. One of the same name is replaced and a warning logged: its history is kept, its last result is not.
   *
   * @example
   * ```ts
   * import { HealthMonitor } from 'moorline';
   * const monitor = new HealthMonitor();
   * monitor.register('database', () => true);
   * monitor.register('cache', () => ({ status: 'down' }), { critical: false });
   * console.log((await monitor.checkAll()).status); // degraded
   * ```
   * @param options `false` is short for `{ critical: false }`: the service works without this dependency.
   */
  register(name: string, checker: HealthCheckFunction, options?: boolean | HealthCheckOptions): void;
  /** Removes a check and its history. Returns whether it was registered. */
  unregister(name: string): boolean;
  /** Removes all checks and their history. */
  clear(): void;
  /** Returns the names of the checks, in the order of registration. */
  listCheckers(): string[];
  /**
   * Runs one check and returns its result; if it is running already, that of the current run. An unhealthy answer, an error
   * and a timeout are results, too.
   * @throws TypeError for a name that is not registered.
   */
  check(name: string): Promise<HealthCheckResult>;
  /** Runs all checks in parallel and returns a report. Never rejects, and takes no longer than the longest timeout. */
  checkAll(): Promise<HealthReport>;
  /** Returns the last result of a check, `undefined` if it has not run since it was registered. */
  getLastCheck(name: string): HealthCheckResult | undefined;
  /** Returns the last results of all checks that have run, in the order of registration. */
  getLastChecks(): HealthCheckResult[];
  /** Returns the kept results of one check, or of all checks, oldest first. */
  getHistory(name?: string): HealthCheckResult[];
  /** Returns statistics of the history of one check; without a history the numbers are zero. */
  getStats(name: string): HealthStats;
  /** Returns the options of a check with their defaults, `undefined` for an unknown name; without a name those of the monitor. */
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  /**
   * Starts the periodic runs: each check runs `initialDelayMs` after its registration and then every `intervalMs`, until
   * `stop`. The timer does not keep the process alive; it does keep the monitor from being garbage-collected.
   */
  start(): void;
  /** Stops the periodic runs; runs in progress are completed. In `metricsText()` the checks have no status until the next run. */
  stop(): void;
  /** The same as `stop`. */
  [Symbol.dispose](): void;
}
/** Returns the shared monitor of this JavaScript environment. The first call creates it with `defaults`. */
export declare function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor;
/** Stops and removes the shared monitor; the next use of it creates another. */
export declare function resetHealthMonitor(): void;
/** Registers a check with the shared monitor, as {@link HealthMonitor.register} does. */
export declare function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void;
/** Runs all checks of the shared monitor and returns the report, as {@link HealthMonitor.checkAll} does. */
export declare function checkAllHealth(): Promise<HealthReport>;
/** Runs one check of the shared monitor and returns its result, as {@link HealthMonitor.check} does. */
export declare function checkHealth(name: string): Promise<HealthCheckResult>;
/**
 * Runs health checks by id with a {@link HealthMonitor}: by default every 30 seconds, and for at most 5 seconds each.
 *
 * @example
 * ```ts
 * import { HealthChecker, HTTPConnection } from 'moorline';
 *
 * const service = new HTTPConnection({ url: 'https://api.example.com' });
 * const checker = new HealthChecker();
 * checker.add('orders', () => service.healthCheck());
 * console.log((await checker.check('orders')).isHealthy); // true
 * await service.disconnect();
 * ```
 */
export declare class HealthChecker {
  #private;
  /** @param options the defaults of all checks. */
  constructor(options?: HealthCheckOptions);
  /**
   * Returns the result of a check in the form that connections use.
   *
   * @param responseTime the duration of the check, in milliseconds.
   * @throws TypeError, RangeError for `isHealthy` of another type, and for `responseTime` of another type or out of range.
   */
  static result(
    connectionId: string,
    isHealthy: boolean,
    responseTime: number,
    errorMessage?: string,
    details?: Record<string, unknown>,
  ): ConnectionHealthCheck;
  /** Starts to run every check: at once, then periodically. Does not keep the process alive. */
  start(): void;
  /** Stops the periodic runs; those in progress are completed. */
  stop(): void;
  /**
   * Adds a check: a function that returns a {@link ConnectionHealthCheck}, or any result that {@link HealthMonitor}
   * accepts. Its `signal` is aborted when it takes too long.
   */
  add(id: string, check: HealthCheckFunction): void;
  /** Removes a check. Returns whether it existed. */
  remove(id: string): boolean;
  /** Runs a check now and returns its result. Rejects only when there is no check with that id. */
  check(id: string): Promise<ConnectionHealthCheck>;
  /** Returns the last result of a check, if it has run. */
  lastResult(id: string): ConnectionHealthCheck | undefined;
}
/** The requirements of a {@link SecurityLevel}. */
export interface ConnectionSecurityInfo {
  securityLevel: SecurityLevel;
  /** Whether the server's certificate is checked. */
  certificateValidation: boolean;
  /** Where unencrypted connections are allowed; `loopback` is this machine. */
  plainText: 'anywhere' | 'loopback' | 'nowhere';
  /** The oldest TLS version that is accepted. */
  minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Whether a redirect from https to http is refused. */
  httpsOnlyRedirects: boolean;
  /** Whether only the public internet, and `customSecurityOptions.allowedHosts`, can be reached. */
  publicAddressesOnly: boolean;
}
/**
 * The requirements of a security level, and the headers for authentication.
 *
 * @example
 * ```ts
 * import { ConnectionSecurity, HTTPConnection } from 'moorline';
 *
 * const customHeaders = new ConnectionSecurity('enhanced').createAuthorizationHeaders('token');
 * const service = new HTTPConnection({ url: 'https://api.example.com', customHeaders });
 * console.log((await service.request({ url: '/orders' })).status); // 200
 * await service.disconnect();
 * ```
 */
export declare class ConnectionSecurity {
  #private;
  /**
   * @param level the security level. Default: `basic`.
   * @throws TypeError for an unknown level.
   */
  constructor(level?: SecurityLevel);
  /**
   * Returns `Authorization: Bearer …` for a token and `X-API-Key` for a key; a value that is `null` or missing adds no
   * header.
   *
   * @throws TypeError for a value that is not valid in a header; the message does not contain it.
   */
  createAuthorizationHeaders(token?: string | null, apiKey?: string | null): Record<string, string>;
  /** Returns the requirements of the level. */
  getSecurityInfo(): ConnectionSecurityInfo;
}
type PoolFacts<T> = {
  acquire: {
    connection: T;
  };
  release: {
    connection: T;
  };
  create: {
    connection: T;
  };
  destroy: {
    connection: T;
  };
  timeout: {
    error: MoorlineError;
  };
  leak: {
    connection: T;
    heldMs: number;
    stack: string;
  };
  error: {
    error: unknown;
  };
};
/** Options of a {@link ConnectionPool}. All times are in **seconds**; `Infinity` turns a limit off. */
export interface PoolConfig {
  /** The maximum number of connections. Default: the connections' `maxConnections`, which is 10. */
  maxSize?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  minSize?: number | undefined;
  /** The time that a free connection is kept. Default: 300 s. */
  maxIdleTime?: number | undefined;
  /** The time limit of `acquire`, including the creation of a connection. Default: 10 s. */
  acquireTimeout?: number | undefined;
  /** The time limit for checking a connection, and for closing one that was released. Default: 5 s. */
  releaseTimeout?: number | undefined;
  /** The interval of the health checks of free connections. Default: 60 s. */
  healthCheckInterval?: number | undefined;
  /** The interval at which free connections that are no longer open are removed. Default: 120 s. */
  cleanupInterval?: number | undefined;
  /** The time limit for creating a connection. Default: 30 s. */
  connectTimeout?: number | undefined;
  /** The maximum number of connections that are created at once. Default: 4. */
  maxConnecting?: number | undefined;
  /** The maximum age of a connection, ±25 %; a borrowed connection is not closed for its age. Default: 1800 s. */
  maxLifetime?: number | undefined;
  /**
   * The time after which a borrowed connection is reported, with the stack of the borrower. Default: 30 s, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfter?: number | undefined;
}
/** Creates a connection for a pool; no value, or an error, means that it could not be created. */
export type PoolFactory<T> = (config: ConnectionConfig) => T | null | undefined | PromiseLike<T | null | undefined>;
/** The state of a {@link ConnectionPool}. */
export interface PoolStats {
  /** Free connections. */
  poolSize: number;
  /** Connections that are borrowed, or are being created for a borrower. */
  inUse: number;
  /** All connections, including those being created or closed; never more than `maxSize`. */
  totalConnections: number;
  maxSize: number;
  minSize: number;
  /** The connections that can still be borrowed without waiting for a release. */
  available: number;
  /** The percentage of `maxSize` in use. */
  utilization: number;
  /** The calls that wait for a connection. */
  waiting: number;
}
/**
 * A pool of reusable connections, which your factory creates. An object with `connect()` is connected before it is lent,
 * one with `disconnect()` is disconnected when the pool removes it.
 *
 * Waiting calls are served in order, there are never more than `maxSize` connections, and an idle pool does not keep the
 * process alive. A connection that was free for some time is checked with `healthCheck()`, else `isConnected()`, before it is
 * lent. Emits `acquire`, `release`, `create`, `destroy`, `timeout`, `leak`, `drain`, `close` and `error`, the last for errors
 * outside of any call.
 *
 * @example
 * ```ts
 * import { ConnectionPool, HTTPConnection } from 'moorline';
 *
 * const factory = () => new HTTPConnection({ url: 'https://api.example.com' });
 * const pool = new ConnectionPool({ maxSize: 2 }, factory);
 * console.log(await pool.use((connection) => connection.receive())); // { id: 7, name: 'Ada' }
 * await pool.stop();
 * ```
 */
export declare class ConnectionPool<T> extends Emitter<PoolFacts<T>> {
  #private;
  /**
   * Opens no connection yet.
   *
   * @param factory creates a connection from `connectionConfig`, or from the environment variables for all connections.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, factory: PoolFactory<T>, connectionConfig?: ConnectionConfig);
  /**
   * Opens `minSize` connections and starts to check the free ones. Resolves when they are open, or when one could not be
   * created: that emits `error`, and is tried again. Can be called again after `stop`.
   */
  start(): Promise<void>;
  /**
   * Borrows a connection: a free one, a new one below `maxSize`, else the next that is released. When one cannot be created,
   * this is tried again until the time is over. Returns `null`, and does not reject, when the time is over, the pool was
   * stopped or `signal` is aborted.
   *
   * @param timeoutSeconds the time limit, in **seconds**. Default: `acquireTimeout`.
   */
  acquire(timeoutSeconds?: number, options?: CallOptions): Promise<T | null>;
  /** Releases a connection. Returns false, without effect, for one that is not borrowed from this pool. */
  release(connection: T): Promise<boolean>;
  /**
   * Runs `fn` with a borrowed connection, which is released in any case. Returns the result of `fn`; its errors pass through
   * unchanged. Aborting `signal` rejects with its reason.
   *
   * @throws MoorlineError of kind `pool-timeout` when none was available in time, `closed` when the pool was stopped.
   */
  use<R>(
    fn: (connection: T) => R | PromiseLike<R>,
    options?: CallOptions & {
      timeoutSeconds?: number | undefined;
    },
  ): Promise<R>;
  /** Disconnects all connections, including borrowed ones; an `acquire` that waits returns `null`. */
  stop(): Promise<void>;
  /** Returns the number of connections in each state, and the limits. */
  stats(): PoolStats;
  /** Returns the options in force, with every default; times are in milliseconds. */
  options(): Record<string, unknown>;
  /** Calls `stop`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * A pool of open WebSocket connections to one server.
 *
 * @example
 * ```ts
 * import { WebSocketConnectionPool } from 'moorline';
 *
 * const pool = new WebSocketConnectionPool({ maxSize: 2 }, { url: 'wss://api.example.com' });
 * console.log(await pool.use((socket) => socket.send({ hello: 'world' }))); // true
 * await pool.stop();
 * ```
 */
export declare class WebSocketConnectionPool extends ConnectionPool<WebSocketConnection> {
  /**
   * @param connectionConfig options of each connection; `maxConnections` is the default of `maxSize`.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/**
 * A pool of {@link HTTPConnection}s, each with its own circuit breaker, rate limit and sockets. One connection already
 * serves many requests at once: use a pool only to separate them.
 *
 * @example
 * ```ts
 * import { HTTPConnectionPool } from 'moorline';
 *
 * const pool = new HTTPConnectionPool({ maxSize: 2 }, { url: 'https://api.example.com' });
 * const response = await pool.use((service) => service.request({ url: '/orders' }));
 * console.log(response.status); // 200
 * await pool.stop();
 * ```
 */
export declare class HTTPConnectionPool extends ConnectionPool<HTTPConnection> {
  /** Takes the same arguments as {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/**
 * A pool of open event streams from one server.
 *
 * @example
 * ```ts
 * import { SSEConnectionPool } from 'moorline';
 *
 * const pool = new SSEConnectionPool({ maxSize: 2 }, { url: 'https://api.example.com/events' });
 * console.log((await pool.use((stream) => stream.receive()))?.data); // {"id":7,"name":"Ada"}
 * await pool.stop();
 * ```
 */
export declare class SSEConnectionPool extends ConnectionPool<SSEConnection> {
  /** Takes the same arguments as {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/**
 * A clock in milliseconds, such as `Date` or `performance`. It is meant for tests with fake timers, which the native
 * addon does not see.
 */
export interface Clock {
  now(): number;
}
type ErrorClass = abstract new (...args: never[]) => Error;
/** A condition on errors: a class, a predicate, or a kind of {@link MoorlineError}. */
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;
/** The argument of a function that runs under a policy. */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Aborted when the attempt takes too long or the call is aborted. Pass it on to the functions that you call. */
  readonly signal: AbortSignal;
}
/** A function that runs under a policy. */
export type Guarded<T> = (attempt: Attempt) => T | PromiseLike<T>;
/**
 * A strategy for retries. Extend it for one of your own.
 *
 * @example
 * ```ts
 * import { RetryStrategy } from 'moorline';
 *
 * class Once extends RetryStrategy {
 *   async execute<T>(fn: () => Promise<T>): Promise<T> {
 *     return fn().catch(() => fn());
 *   }
 * }
 * const response = await new Once().execute(() => fetch('https://api.example.com'));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export declare abstract class RetryStrategy {
  /**
   * Runs `fn` until it succeeds or the attempts are used up, and returns its result. Rejects with the error of the last
   * attempt; a thrown value that is not an `Error` becomes the `cause` of one.
   */
  abstract execute<T>(fn: () => Promise<T>): Promise<T>;
}
declare abstract class CountedRetry extends RetryStrategy {
  #private;
  constructor(kind: 'exponential' | 'linear' | 'jitter', given: Record<string, unknown>);
  /**
   * Runs `fn` until it succeeds or has failed `maxAttempts` times, and returns its result. Between `n` attempts are `n - 1`
   * waits; an error with `retryAfterMs` sets the next wait, up to a minute.
   *
   * Rejects with the error of the last attempt; a thrown value that is not an `Error` becomes the `cause` of one. An abort,
   * and a {@link MoorlineError} that is not `retryable`, are not retried. Aborting `signal` rejects at once with its
   * reason, also during a wait.
   */
  execute<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** Returns the options in force; times are in milliseconds. */
  options(): Record<string, unknown>;
}
/**
 * Retries with exponentially growing waits: `new ExponentialBackoffRetry(5, 1, 2)` makes 5 attempts, with 1, 2, 4 and 8 s
 * between them.
 *
 * @example
 * ```ts
 * import { ExponentialBackoffRetry } from 'moorline';
 *
 * const retry = new ExponentialBackoffRetry(5, 1, 2);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export declare class ExponentialBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, in **seconds**. Default: 1.
   * @param multiplier the factor from one wait to the next. Default: 2.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, multiplier?: number);
}
/**
 * Retries with linearly growing waits: `new LinearBackoffRetry(3, 1, 2)` makes 3 attempts, with 1 and 3 s between them.
 *
 * @example
 * ```ts
 * import { LinearBackoffRetry } from 'moorline';
 *
 * const retry = new LinearBackoffRetry(3, 1, 2);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export declare class LinearBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, in **seconds**. Default: 1.
   * @param increment the time that each wait adds, in **seconds**. Default: 1.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, increment?: number);
}
/**
 * Retries with waits that double each time and vary at random, so that many clients do not retry at the same moment:
 * `new JitterRetry(4, 1, 0.5)` makes 4 attempts, with 1, 2 and 4 s ± 50 % between them.
 *
 * @example
 * ```ts
 * import { JitterRetry } from 'moorline';
 *
 * const retry = new JitterRetry(4, 1, 0.5);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export declare class JitterRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, without the variation, in **seconds**. Default: 1.
   * @param jitterFactor the largest variation of a wait, up and down, as a fraction from 0 to 1. Default: 0.1.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, jitterFactor?: number);
}
/**
 * A failure of a libSQL operation, with the codes `@libsql/client` gives it.
 *
 * @example
 * ```ts
 * import { LibsqlError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * await pool.execute('CREATE TABLE users (id INTEGER PRIMARY KEY)');
 * await pool.execute('INSERT INTO users VALUES (1)');
 * try {
 *   await pool.execute('INSERT INTO users VALUES (1)');
 * } catch (error) {
 *   if (error instanceof LibsqlError) console.log(error.extendedCode); // SQLITE_CONSTRAINT_PRIMARYKEY
 * }
 * ```
 */
export declare class LibsqlError extends MoorlineError {
  /** The extended result code of SQLite, such as `SQLITE_CONSTRAINT_PRIMARYKEY`. */
  readonly extendedCode?: string;
  /** The numeric result code of SQLite that {@link extendedCode} names. */
  readonly rawCode?: number;
  constructor(
    message: string,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
/**
 * A failure of one statement of a batch.
 *
 * @example
 * ```ts
 * import { LibsqlBatchError, TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * try {
 *   await pool.batch(['CREATE TABLE users (id)', 'INSERT INTO missing VALUES (1)']);
 * } catch (error) {
 *   if (error instanceof LibsqlBatchError) console.log(error.statementIndex); // 1
 * }
 * ```
 */
export declare class LibsqlBatchError extends LibsqlError {
  /** The index in the batch of the statement that failed, from 0. */
  readonly statementIndex: number;
  constructor(
    message: string,
    statementIndex: number,
    code: string,
    extendedCode?: string,
    rawCode?: number,
    cause?: Error,
    fields?: Partial<ErrorFields>,
  );
}
/** A value of a row. */
export type Value = null | string | number | bigint | ArrayBuffer;
/** A value that can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;
/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = readonly InValue[] | Readonly<Record<string, InValue>>;
/** A statement: SQL text, or SQL text with its arguments. */
export type InStatement =
  | {
      readonly sql: string;
      readonly args?: InArgs | undefined;
    }
  | string;
/** The JavaScript type that SQLite integers are converted to. */
export type IntMode = 'number' | 'bigint' | 'string';
/**
 * One row, a plain object. Its enumerable properties are the columns by name. The values by index and `length` are
 * properties that are read-only and not enumerable; setting a column does not change the value at its index.
 */
export interface Row {
  /** The number of columns. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
/** The result of one statement. `T` is the type of its rows, as in `execute<User>(…)`; it is not checked at run time. */
export interface ResultSet<T = Row> {
  /** The names of the columns. */
  columns: string[];
  /** The types of the columns as declared in the schema; an empty string where there is none. */
  columnTypes: string[];
  /** The rows, empty for a statement that returns none. */
  rows: T[];
  /** The number of rows that an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last row that was inserted; `undefined` for a statement that inserts nothing. */
  lastInsertRowid: bigint | undefined;
  /** Returns the result for `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}
/**
 * The mode of a transaction: `write` waits for the write lock when it begins (`BEGIN IMMEDIATE`), `read` takes none,
 * `deferred` takes the lock at its first write and may then fail.
 */
export type TransactionMode = 'write' | 'read' | 'deferred';
/** Options of one call. */
export interface QueryOptions extends CallOptions {
  /** The time limit of this call in milliseconds, in place of the pool's `queryTimeoutMs`; `Infinity` for none. */
  timeoutMs?: number | undefined;
}
/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];
/**
 * An interactive transaction. End it by `commit`, by `rollback`, or by `close`, which rolls back what was not committed;
 * `await using` rolls back, too.
 */
export interface Transaction {
  /**
   * Whether the transaction has ended. A statement that ended it, such as `COMMIT` or `INSERT OR ROLLBACK`, counts for a
   * file and for memory; a server is not asked.
   */
  readonly closed: boolean;
  /** Runs one statement in the transaction and returns its result. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs the statements in order and returns a result for each. The first failure ends the batch but not the transaction. */
  batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Runs a script: several statements without arguments, separated by semicolons. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Commits all changes and ends the transaction. */
  commit(options?: QueryOptions): Promise<void>;
  /** Rolls back all changes and ends the transaction. Does nothing after its end. */
  rollback(options?: QueryOptions): Promise<void>;
  /** Ends the transaction and rolls back what was not committed, without waiting for it. Does nothing after its end. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
  /** The same as `rollback`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * A connection that was borrowed from a pool. All its statements run on the same connection, one at a time. After its release
 * every call rejects with an error of kind `closed`.
 *
 * @example
 * ```ts
 * import { TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:' });
 * const client = await pool.getConnection();
 * try {
 *   const { rows } = await client.execute('SELECT ? AS answer', [42]);
 *   console.log(rows); // [ { answer: 42 } ]
 * } finally {
 *   client.close();
 * }
 * await pool.drain();
 * ```
 */
export declare class PooledClient {
  #private;
  /** The number of the connection in its pool: equal numbers are the same connection. */
  readonly connectionId: number;
  /** The protocol: `file` for files and memory, `http` for servers. */
  readonly protocol: string;
  /** Whether the connection was released. */
  get closed(): boolean;
  /** Runs one statement and returns its result. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /**
   * Runs the statements in one transaction, all or none, and returns a result for each.
   *
   * @param mode Default: `deferred`.
   */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** Runs the statements as `batch` does, with foreign keys switched off during it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /**
   * Begins an interactive transaction on this connection and returns it.
   *
   * @param mode Default: `write`.
   */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Runs a script: several statements without arguments, separated by semicolons. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Always rejects: this build has no embedded replicas, so there is nothing to synchronize. */
  sync(): Promise<never>;
  /** Returns the connection to its pool, as `releaseConnection` does. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
}
/** Options of a {@link TursoPool}. Every wait has a time limit, which `Infinity` switches off. */
export interface TursoPoolConfig {
  /**
   * The URL of the database: `file:path`, `:memory:` (one database for all connections of the pool), or a server:
   * `libsql://`, `https://`, `http://`. The URL of a server may contain `?authToken=` and `?tls=0`.
   */
  url: string;
  /** The access token of a remote database. */
  authToken?: string | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default: true. */
  tls?: boolean | undefined;
  /** Connections at most, opened as they are needed. Default: 5. */
  poolSize?: number | undefined;
  /** Connections kept open at least. Default: 0. */
  min?: number | undefined;
  /** Free connections kept at most. Default: `poolSize`. */
  maxIdle?: number | undefined;
  /** How long `getConnection` waits for a free connection, in milliseconds. Default: 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long opening one connection may take. Default: 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take; its connection is then discarded. Default: 30 000. */
  queryTimeoutMs?: number | undefined;
  /**
   * How long a statement waits for another connection's lock on a file or on memory; never for a transaction that is open
   * on memory. Default: 5000.
   */
  busyTimeoutMs?: number | undefined;
  /**
   * How long a statement on a file or on memory may run on the thread of its caller, in milliseconds: one that was quick before,
   * and that waits for nothing. After this time it is interrupted, undone, and run on another thread. `0`: never.
   * Default: 0.5.
   */
  inlineMs?: number | undefined;
  /** How long a free connection is kept. Default: 300 000. */
  idleTimeoutMs?: number | undefined;
  /** How long a connection lives, ±25 %; it is never taken from a borrower for its age. Default: 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /**
   * From how much idle time on a connection is checked before it is lent. Default: `Infinity`; a lower value changes
   * nothing here, as there is nothing to ask: a file is there or not, and a server's stream is judged by its age when
   * it is used, and outside a transaction replaced unseen.
   */
  validateAfterMs?: number | undefined;
  /** How long that check may take. Default: 5000. */
  validateTimeoutMs?: number | undefined;
  /** How long closing a connection may take before it is cut. Default: 5000. */
  closeTimeoutMs?: number | undefined;
  /** Borrowers that may wait at once; one more is refused with kind `overloaded`. Default: 10 000. */
  maxWaiters?: number | undefined;
  /**
   * A connection held longer than this is reported with the borrower's stack. Default: 30 000, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfterMs?: number | undefined;
  /** How SQLite integers reach JavaScript. Default: `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
  /** The tunnel through which the database of a server is reached, as its SSH server sees it. Default: none. */
  tunnel?: SSHTunnel | undefined;
}
/** The numbers of connections of a pool. */
export interface TursoPoolStats {
  /** Connections that are open or being opened. */
  total: number;
  /** Connections that are borrowed. */
  inUse: number;
  /** Connections that are free. */
  available: number;
  /** Callers that wait for a connection. */
  waiting: number;
}
type TursoFacts = {
  acquire: {
    connectionId: number;
  };
  release: {
    connectionId: number;
  };
  create: {
    connectionId: number;
    durationMs: number;
  };
  destroy: {
    connectionId: number;
  };
  timeout: {
    afterMs: number;
  };
  leak: {
    connectionId: number;
    heldMs: number;
    stack: string;
  };
  health: {
    healthy: boolean;
  };
  error: {
    kind: ErrorKind;
    code: string;
    message: string;
  };
};
/**
 * A pool of libSQL connections to a file, to memory or to a server.
 *
 * `getConnection` borrows a connection until `releaseConnection`, `withConnection` for the time of a function; `execute`,
 * `batch` and the other methods that run statements borrow one for a single call. Waiting callers are served in order, at
 * most `poolSize` connections are open, and an idle pool does not keep the process alive.
 *
 * Every failure is a `LibsqlError` with the code that `@libsql/client` uses (`SQLITE_CONSTRAINT`, …).
 *
 * Emits `create` and `destroy` for connections, `acquire`, `release`, `timeout` and `leak` for borrowing, `health` for
 * each health check, `error` for a failure in the background, `drain` and `close` for the end of the pool.
 *
 * @example
 * ```ts
 * import { TursoPool } from 'moorline';
 *
 * const pool = new TursoPool({ url: ':memory:', poolSize: 2 });
 * await pool.batch(['CREATE TABLE users (name TEXT)', { sql: 'INSERT INTO users VALUES (?)', args: ['Ada'] }]);
 * const { rows } = await pool.execute('SELECT name FROM users');
 * console.log(rows); // [ { name: 'Ada' } ]
 * await pool.drain();
 * ```
 */
export declare class TursoPool extends Emitter<TursoFacts> {
  #private;
  /**
   * Creates the pool without connecting.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: TursoPoolConfig);
  /** The protocol: `file` for files and memory, `http` for servers. */
  get protocol(): string;
  /**
   * Borrows a connection and returns it: a free one, a new one while fewer than `poolSize` are open, else the next that is
   * released.
   *
   * @throws LibsqlError `Connection timeout after <n>ms (connectionTimeoutMs)` (kind `pool-timeout`), and after `drain`
   * `Pool is shutting down` (kind `closed`).
   */
  getConnection(options?: CallOptions): Promise<PooledClient>;
  /**
   * Returns a connection to the pool. A client of another pool, or one that was released before, is ignored with a warning
   * in the log.
   */
  releaseConnection(client: PooledClient): void;
  /**
   * Borrows a connection, calls `use` with it, releases it in any case, and returns the result of `use`. An error of `use`
   * is passed on unchanged.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * const rows = await pool.withConnection(async (client) => {
   *   await client.execute('CREATE TABLE users (name TEXT)');
   *   await client.execute('INSERT INTO users VALUES (?)', ['Ada']);
   *   return (await client.execute('SELECT name FROM users')).rows;
   * });
   * console.log(rows); // [ { name: 'Ada' } ]
   * await pool.drain();
   * ```
   */
  withConnection<T>(use: (client: PooledClient) => T | Promise<T>, options?: CallOptions): Promise<T>;
  /**
   * Runs one statement on a connection that is borrowed for it, and returns its result.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * const { rows } = await pool.execute<{ sum: number }>('SELECT :a + :b AS sum', { a: 1, b: 2 });
   * console.log(rows[0]?.sum); // 3
   * await pool.drain();
   * ```
   */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /**
   * Runs the statements in one transaction, all or none, and returns a result for each.
   *
   * @param mode Default: `deferred`.
   */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** Runs the statements as `batch` does, with foreign keys switched off during it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Runs a script: several statements without arguments, separated by semicolons. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /**
   * Begins an interactive transaction on a connection that is borrowed until the transaction ends, and returns it.
   *
   * @example
   * ```ts
   * import { TursoPool } from 'moorline';
   *
   * const pool = new TursoPool({ url: ':memory:' });
   * await pool.execute('CREATE TABLE users (name TEXT)');
   * const transaction = await pool.transaction();
   * try {
   *   await transaction.execute('INSERT INTO users VALUES (?)', ['Ada']);
   *   await transaction.commit();
   * } finally {
   *   transaction.close(); // Rolls back after an error, and does nothing after the commit.
   * }
   * await pool.drain();
   * ```
   *
   * @param mode Default: `write`.
   */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Returns whether a connection can be borrowed and `SELECT 1` succeeds on it. Never rejects. */
  healthCheck(): Promise<boolean>;
  /** Returns the numbers of connections. */
  getStats(): TursoPoolStats;
  /**
   * Shuts the pool down: new and waiting callers are refused with `Pool is shutting down`, borrowed connections may finish
   * their work. Resolves when all are closed.
   *
   * @param timeoutMs After this time connections that are still borrowed are closed, with a warning in the log. Default: 30 000.
   */
  drain(timeoutMs?: number): Promise<void>;
  /** The same as `drain`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * Returns the shared pool of this JavaScript environment. The first call creates it with `config`. Without `config` it reads
 * the environment variables `INTENTVISION_DB_URL` (default: `file:db/intentvision.db`) and `INTENTVISION_DB_AUTH_TOKEN`, and
 * its errors name them.
 */
export declare function getTursoPool(config?: TursoPoolConfig): TursoPool;
/** Drains the shared pool; the next `getTursoPool` creates another. */
export declare function resetTursoPool(): Promise<void>;
/** The states of a circuit breaker. */
export declare const CircuitState: Readonly<{
  readonly CLOSED: 'closed';
  readonly OPEN: 'open';
  readonly HALF_OPEN: 'half-open';
}>;
/** The states of a circuit breaker. */
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];
/** A snapshot of a circuit breaker. */
export interface CircuitSnapshot {
  name: string;
  /** Stays `open` after `nextAttemptTime` until the next call. */
  state: CircuitState;
  /** The failures that count towards opening; while it is open, those that opened it. */
  failures: number;
  /** The successful probes so far; 0 unless half-open. */
  successes: number;
  /** The time of the last failure that counted. */
  lastFailureTime?: Date;
  /** The time from which an open breaker admits a probe. */
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  /** The refused calls; they do not count as requests. */
  totalRefused: number;
  stateChanges: number;
}
/** Options of a circuit breaker: when it opens, for how long, and when it closes. */
export interface BreakerOptions {
  /** The number of consecutive failures that opens the breaker. Default: 5. */
  failMax?: number | undefined;
  /** The fraction of failed calls (0 to 1) within `windowMs` that opens the breaker, instead of `failMax`. Default: 0.5 once asked for. */
  failureRatio?: number | undefined;
  /** With `failureRatio`: the minimum number of calls in the window. Default: 10. */
  minCalls?: number | undefined;
  /** With `failureRatio`: the length of the window, in milliseconds. Default: 30 000. */
  windowMs?: number | undefined;
  /** The time that the breaker stays open before it admits probes, in milliseconds. Default: 60 000. */
  resetTimeoutMs?: number | undefined;
  /** The limit of the open time, in milliseconds, which each failed probe doubles. Default: the open time stays the same. */
  maxResetTimeoutMs?: number | undefined;
  /** The number of probes that must succeed before the breaker closes. Default: 1. */
  successThreshold?: number | undefined;
  /** The number of probes that may run at once. Default: 3. */
  halfOpenMaxCalls?: number | undefined;
  /**
   * The time limit of a probe, in milliseconds; a probe that takes longer counts as failed, so that a lost one does not keep
   * the breaker half-open. Default: 30 000.
   */
  probeTimeoutMs?: number | undefined;
  /** Errors that count neither as success nor as failure: classes, predicates, or kinds of {@link MoorlineError}. */
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  /**
   * Returns the number of failures that an error counts for, an integer or `Infinity`; 0 is neither success nor failure. Default: 1; 0 for aborts, for refusals
   * by moorline and for answers that do not blame the service (a 4xx except 408 and 429); the number of its
   * attempts for a {@link RetryError}.
   */
  failureWeight?: ((error: unknown) => number) | undefined;
}
/** Options of a {@link CircuitBreaker}. */
export interface CircuitBreakerOptions extends BreakerOptions {
  /**
   * The clock; `Date` for tests with fake timers. A clock that throws, or returns an invalid time, ends the call with a
   * `TypeError` or `RangeError`, which is not counted. Default: the clock of the process. Breakers with
   * the same name should have the same clock.
   */
  clock?: Clock | undefined;
}
interface StateFacts {
  from: CircuitState;
  to: CircuitState;
}
/**
 * A circuit breaker around functions: after repeated failures it refuses calls for some time instead of waiting for a
 * service that does not respond, and then tests the service with a few probes.
 *
 * Breakers with the same name are one breaker in the whole process: all worker threads share its state, and the options
 * given first apply. Emits `state` with `{ from, to }`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, CircuitBreakerError } from 'moorline';
 *
 * const breaker = new CircuitBreaker('orders', { failMax: 3, resetTimeoutMs: 10_000 });
 * try {
 *   console.log(await breaker.run(async () => (await fetch('https://api.example.com')).json())); // { id: 7, name: 'Ada' }
 * } catch (error) {
 *   if (!(error instanceof CircuitBreakerError)) throw error;
 *   console.error(`refused, next attempt at ${error.retryAt.toISOString()}`);
 * }
 * ```
 */
export declare class CircuitBreaker extends Emitter<{
  state: StateFacts;
}> {
  #private;
  /** The name. */
  readonly name: string;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(name: string, options?: CircuitBreakerOptions);
  /** Returns a snapshot of every breaker of the process, including those of moorline's own services. */
  static all(): CircuitSnapshot[];
  /**
   * Runs `fn` unless the breaker is open, and counts its outcome. Returns the result of `fn`; its errors pass through
   * unchanged.
   *
   * @throws CircuitBreakerError when the breaker refuses the call.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** The current state. */
  get state(): CircuitState;
  /** Returns the state with its counters. */
  snapshot(): CircuitSnapshot;
  /** Returns the options in force. */
  options(): Record<string, unknown>;
  /** Opens the breaker, as if it had failed too often. With `hold` it stays open until `halfOpen`, `close` or `reset`. */
  open(options?: { hold?: boolean | undefined }): void;
  /** Makes the breaker half-open: it admits probes at once. */
  halfOpen(): void;
  /** Closes the breaker and clears its failures. */
  close(): void;
  /** Closes the breaker and clears its failures and the time of the last one. */
  reset(): void;
}
/** Options of every method of a job, and of every asynchronous method of {@link NixtlaClient} except `healthCheck`. */
export interface NixtlaCallOptions extends CallOptions {
  /** How long the whole call may take, with its retries. Default: as long as its attempts do. */
  timeoutMs?: number | undefined;
}
/**
 * A request that the service processes asynchronously; returned by `NixtlaClient.submit`.
 *
 * @example
 * ```ts
 * import { NixtlaClient } from 'moorline';
 *
 * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY });
 * const timeseries = [100, 105, 103].map((value, day) => ({ timestamp: Date.UTC(2024, 0, 1 + day), value }));
 * const job = await client.submit('forecast', { timeseries, horizon: 2 });
 * const { predictions } = await job.result();
 * console.log(predictions.length); // 2
 * ```
 */
export declare class NixtlaJob<Answer> {
  #private;
  /** The id that the service gave the job. */
  readonly id: string;
  /** Returns the status that the service reports: `pending`, `running`, `succeeded`, `failed` or `cancelled`. */
  status(options?: NixtlaCallOptions): Promise<string>;
  /**
   * Waits for the response and returns it. The service is polled every 0.5 s at first and every 15 s later.
   *
   * After `timeoutMs` (default: one hour) the job is cancelled and the call rejects with kind `timeout`. Aborting `signal`
   * ends only the wait; the job continues.
   */
  result(options?: NixtlaCallOptions): Promise<Answer>;
  /** Cancels the job. Returns `false` if the job had already ended. */
  cancel(options?: NixtlaCallOptions): Promise<boolean>;
}
/** One point of a time series. */
export interface NixtlaPoint {
  /** The id of the series, where a request has several; then every point must have one. */
  id?: string | number | undefined;
  /** The time: an ISO 8601 string (UTC if it has no offset), a `Date`, or milliseconds since 1970. */
  timestamp: Value | Date;
  /** The value, a finite number. */
  value: Value;
}
/** The fields of every request. They are all checked before anything is sent. */
export interface NixtlaSeriesRequest {
  /** The points, in any order. Each series must be regular, without gaps and repeated times. */
  timeseries: readonly NixtlaPoint[];
  /**
   * The time between two points: `1h`, `15min`, `D`, `B`, `W`, `MS`, `QS`, … (the names of pandas, and common short forms).
   * Default: inferred from the timestamps.
   */
  frequency?: string | undefined;
  /** The model. Default: the `model` of the client. */
  model?: string | undefined;
  /** The id of a model that `finetune` made. */
  finetunedModelId?: string | undefined;
  /** The number of fine-tuning steps. Default: 0, in `finetune` 10. */
  finetuneSteps?: number | undefined;
  /** The number of layers that are tuned, 1 to 5. Default: 1. */
  finetuneDepth?: number | undefined;
  /** The loss function of fine-tuning. Default: `default`. */
  finetuneLoss?: 'default' | 'mae' | 'mse' | 'rmse' | 'mape' | 'smape' | 'poisson' | undefined;
}
/** The request of `forecast`. */
export interface NixtlaForecastRequest extends NixtlaSeriesRequest {
  /** The number of points to forecast. */
  horizon: number;
  /** The confidence levels of the intervals to return, between 0 and 1. */
  confidenceLevels?: readonly number[] | undefined;
}
/** The request of `crossValidate`. */
export interface NixtlaCrossValidationRequest extends NixtlaForecastRequest {
  /** The number of windows. Default: 1. */
  windows?: number | undefined;
  /** The number of points between two windows. Default: `horizon`. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned again in each window. Default: true. */
  refit?: boolean | undefined;
}
/** The request of `detectAnomalies`. */
export interface NixtlaAnomalyRequest extends NixtlaSeriesRequest {
  /** The confidence level, between 0 and 1; a point outside its interval is an anomaly. Default: 0.99. */
  level?: number | undefined;
}
/** The request of `onlineAnomalies`. */
export interface NixtlaOnlineAnomalyRequest extends NixtlaAnomalyRequest {
  /** The horizon of each forecast, in points. */
  horizon: number;
  /** The number of last points of each series that are checked. */
  detectionSize: number;
  /** The threshold: of each series alone, or of all series together. Default: `univariate`. */
  thresholdMethod?: 'univariate' | 'multivariate' | undefined;
  /** The number of points between two forecasts. Default: the service's choice. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned again at each step. Default: false. */
  refit?: boolean | undefined;
}
/** The request of `finetune`. */
export interface NixtlaFinetuneRequest extends NixtlaSeriesRequest {
  /** The id of the new model: 1 to 36 letters, digits, `-` or `_`. Default: the service's choice. */
  outputModelId?: string | undefined;
}
/** Facts about how a response was made. */
export interface NixtlaModelInfo {
  /** The source of the response: the service or the local model. */
  source: 'service' | 'local';
  /** The name of the model. */
  model: string;
  /** The frequency, in the spelling of the service. */
  frequency: string;
  /** The number of HTTP requests, with retries. */
  requests: number;
  /** Input tokens, as counted by the service. */
  inputTokens?: number;
  /** Output tokens, as counted by the service. */
  outputTokens?: number;
  /** Tokens of fine-tuning, as counted by the service. */
  finetuneTokens?: number;
  /** The reason why the local model was used: `auth` without a key, `circuit-open`, or the kind of the last failure. */
  fallbackReason?: string;
}
/** The interval of one confidence level. */
export interface NixtlaInterval {
  lower: number;
  upper: number;
}
/** A forecast point. */
export interface NixtlaPrediction {
  /** The id of its series, where the request has ids. */
  id?: string;
  /** The time in the format of the request; ISO 8601 in UTC for a `Date` or a number. */
  timestamp: string;
  value: number;
  /** The intervals by confidence level, as written in the request: `intervals['0.95']`. */
  intervals?: Record<string, NixtlaInterval>;
}
/** The response of `forecast`. */
export interface NixtlaForecastResponse {
  /** The forecast points, series by series, each in the order of time. */
  predictions: NixtlaPrediction[];
  modelInfo?: NixtlaModelInfo;
}
/** The response of `crossValidate`: past values with their forecasts. */
export interface NixtlaCrossValidationResponse {
  forecasts: (NixtlaPrediction & {
    /** The time of the last point that the forecast was made from. */
    cutoff: string;
    /** The value that was measured. */
    actual: number;
  })[];
  modelInfo: NixtlaModelInfo;
}
/** A point of the request, with the result of the anomaly detection. */
export interface NixtlaAnomaly {
  id?: string;
  timestamp: string;
  value: number;
  /** The distance from the expected value in half-widths of the interval: above 1 for an anomaly, 0 for a point that was not checked. */
  score: number;
  /** Whether the point is outside the interval. */
  isAnomaly: boolean;
  /** The expected value; absent for a point that was not checked, as the service checks only the last part of a series. */
  expected?: number;
  /** The lower end of the interval, present as `expected` is. */
  lower?: number;
  /** The upper end of the interval, present as `expected` is. */
  upper?: number;
}
/** The response of `detectAnomalies` and `onlineAnomalies`: a result for every point of the request. */
export interface NixtlaAnomalyResponse {
  anomalies: NixtlaAnomaly[];
  modelInfo: NixtlaModelInfo;
}
/** The response of `finetune`. */
export interface NixtlaFinetuneResponse {
  /** The id of the new model, for later requests. */
  finetunedModelId: string;
  modelInfo: NixtlaModelInfo;
}
/** The operations that `submit` accepts: the request and the response of each. */
export interface NixtlaJobs {
  forecast: [NixtlaForecastRequest, NixtlaForecastResponse];
  crossValidate: [NixtlaCrossValidationRequest, NixtlaCrossValidationResponse];
  onlineAnomalies: [NixtlaOnlineAnomalyRequest, NixtlaAnomalyResponse];
  finetune: [NixtlaFinetuneRequest, NixtlaFinetuneResponse];
}
/** A fine-tuned model of the account, as described by the service. */
export interface NixtlaFinetunedModel {
  id: string;
  [fact: string]: unknown;
}
/** The numbers of used and allowed requests, as reported by the service. */
export interface NixtlaUsage {
  minute?: Record<string, number>;
  month?: Record<string, number>;
  [fact: string]: unknown;
}
/** TLS options of a {@link NixtlaClient}. */
export interface NixtlaTls {
  /** The certificate authorities to trust, in place of those of the system and of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  /** The certificate chain of the client; requires `key`. */
  cert?: string | Uint8Array | undefined;
  /** The private key of `cert`. */
  key?: string | Uint8Array | undefined;
  /** The host name that the server's certificate must be valid for. Default: the URL's host. */
  serverName?: string | undefined;
  /** The lowest version of TLS that is accepted. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `false` accepts any certificate. Default: true. */
  rejectUnauthorized?: boolean | undefined;
}
/** Options of a {@link NixtlaClient}. */
export interface NixtlaClientConfig {
  /** The key, sent as `Authorization: Bearer …`. Default: `NIXTLA_API_KEY`. Without one every call rejects. */
  apiKey?: string | undefined;
  /** Default: `NIXTLA_BASE_URL`, else `https://api.nixtla.io`. */
  baseUrl?: string | undefined;
  /** How long one attempt may take, in milliseconds. Default: 30 000. */
  timeout?: number | undefined;
  /** Attempts after the first. Default: 3. */
  maxRetries?: number | undefined;
  /** The wait before the first retry; it doubles with each, ±10 %, up to a minute. Default: 1000. */
  baseDelayMs?: number | undefined;
  /** Failed calls (each with all its retries) that open the circuit breaker. Default: 5. */
  circuitBreakerThreshold?: number | undefined;
  /** How long it stays open. Default: 30 000. */
  circuitBreakerResetMs?: number | undefined;
  /**
   * `'local'` uses a local model for forecasts and anomalies when there is no key, the circuit breaker is open, or the
   * service is down. `modelInfo.source` of a response tells which was used.
   */
  fallback?: 'local' | undefined;
  /** The model of requests that name none. Default: `timegpt-2.1`. */
  model?: string | undefined;
  /** Sends only as many points as the model reads, as the vendor's client does. Default: true. */
  restrictInput?: boolean | undefined;
  /** How long that number is cached, for each model. Default: 3 600 000. */
  modelParamsTtlMs?: number | undefined;
  /** How long connecting may take. Default: 10 000. */
  connectTimeoutMs?: number | undefined;
  /** The paths of the endpoints, where they differ from those of the service. */
  paths?: NixtlaPaths | undefined;
  /** TLS options. Certificates and keys are PEM text, its bytes, or the path of a PEM file. */
  tls?: NixtlaTls | undefined;
  /** `'environment'` (`HTTPS_PROXY`, …) or a proxy's URL. Default: none. */
  proxy?: string | undefined;
}
/** The paths of the endpoints, relative to the base URL; each begins with a slash. */
export interface NixtlaPaths {
  forecast?: string | undefined;
  crossValidation?: string | undefined;
  anomalyDetection?: string | undefined;
  onlineAnomalyDetection?: string | undefined;
  finetune?: string | undefined;
  finetunedModels?: string | undefined;
  validateApiKey?: string | undefined;
  usage?: string | undefined;
  modelParams?: string | undefined;
  jobs?: string | undefined;
}
/** A snapshot of the circuit breaker. After `nextAttemptTime` its state is still `open` until the next call. */
export interface CircuitBreakerState {
  state: 'closed' | 'open' | 'half-open';
  /** The number of failed calls since the last success. */
  failures: number;
  /** The time of the last failure. */
  lastFailureTime?: Date;
  /** The time from which an open breaker admits a call. */
  nextAttemptTime?: Date;
}
/** The usage of a client since it was created. */
export interface NixtlaStats {
  /** The number of HTTP requests of every kind, with retries. */
  requests: number;
  /** Input tokens, as counted by the service. */
  inputTokens: number;
  /** Output tokens, as counted by the service. */
  outputTokens: number;
  /** Tokens of fine-tuning, as counted by the service. */
  finetuneTokens: number;
  /** The number of calls for which the local model was used. */
  localAnswers: number;
}
type NixtlaFacts = {
  state: {
    from: CircuitState;
    to: CircuitState;
  };
  health: {
    healthy: boolean;
  };
  error: {
    error: unknown;
  };
};
/**
 * A client of Nixtla's TimeGPT: forecasts, anomaly detection, cross validation, fine-tuning.
 *
 * Temporary failures (a lost connection, a timeout, status 408, 429, 5xx) are retried, not before the time that the service
 * asks for; calls that still fail open a circuit breaker. Errors of the caller are neither retried nor counted. Points that
 * are irregular or not finite are refused before anything is sent, with a `TypeError` or `RangeError` that names the first.
 *
 * Emits `state` for each change of the circuit breaker, `health` for each health check, `error` for each failed call.
 *
 * @example
 * ```ts
 * import { NixtlaClient } from 'moorline';
 *
 * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY, fallback: 'local' });
 * console.log(client.getCircuitBreakerState().state); // closed
 * ```
 */
export declare class NixtlaClient extends Emitter<NixtlaFacts> {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config?: NixtlaClientConfig);
  /**
   * Returns a forecast of the next `horizon` points of each series.
   *
   * @example
   * ```ts
   * import { NixtlaClient } from 'moorline';
   *
   * const client = new NixtlaClient({ apiKey: process.env.NIXTLA_API_KEY });
   * const timeseries = [100, 105, 103].map((value, day) => ({ timestamp: Date.UTC(2024, 0, 1 + day), value }));
   * const { predictions } = await client.forecast({ timeseries, horizon: 2, frequency: 'D' });
   * console.log(predictions[0]?.timestamp); // 2024-01-04T00:00:00.000Z
   * ```
   */
  forecast(request: NixtlaForecastRequest, options?: NixtlaCallOptions): Promise<NixtlaForecastResponse>;
  /** Returns which points of each series are anomalies; the service checks only the last part of a series. */
  detectAnomalies(request: NixtlaAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Returns which of the last `detectionSize` points of each series are anomalies, by forecasts made only from earlier points. */
  onlineAnomalies(request: NixtlaOnlineAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Returns forecasts of past points together with their actual values. */
  crossValidate(
    request: NixtlaCrossValidationRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaCrossValidationResponse>;
  /** Creates a model that is tuned to the series, and returns its id. Retried only if the service provably has not begun. */
  finetune(request: NixtlaFinetuneRequest, options?: NixtlaCallOptions): Promise<NixtlaFinetuneResponse>;
  /**
   * Submits a request that the service processes asynchronously, for work that takes longer than one HTTP request may, and
   * returns the job. Retried only if the service provably has not accepted it.
   */
  submit<Operation extends keyof NixtlaJobs>(
    operation: Operation,
    request: NixtlaJobs[Operation][0],
    options?: NixtlaCallOptions,
  ): Promise<NixtlaJob<NixtlaJobs[Operation][1]>>;
  /** Returns the fine-tuned models of the account. */
  finetunedModels(options?: NixtlaCallOptions): Promise<NixtlaFinetunedModel[]>;
  /** Deletes a fine-tuned model. Returns `false` if there is no such model. */
  deleteFinetunedModel(id: string, options?: NixtlaCallOptions): Promise<boolean>;
  /** Returns the numbers of used and allowed requests per minute and per month. */
  usage(options?: NixtlaCallOptions): Promise<NixtlaUsage>;
  /** Returns whether the service answers within 5 s and accepts the key. Bypasses the circuit breaker. Never rejects. */
  healthCheck(): Promise<boolean>;
  /** Returns a snapshot of the circuit breaker. */
  getCircuitBreakerState(): CircuitBreakerState;
  /** Closes the circuit breaker and resets its failure count. */
  resetCircuitBreaker(): void;
  /** Returns the usage of this client since it was created. */
  stats(): NixtlaStats;
}
/**
 * Returns the shared client of this JavaScript environment. The first call creates it with `config`.
 *
 * @throws Error `NIXTLA_API_KEY environment variable is required` if there is neither a key nor a fallback.
 */
export declare function getNixtlaClient(config?: NixtlaClientConfig): NixtlaClient;
/** Removes the shared client; the next `getNixtlaClient` creates another. */
export declare function resetNixtlaClient(): void;
/** The format of a column's values. */
export type TypeFormat = 'text' | 'binary';
/** Reads the text of a value, or its bytes in the binary format; NULL is null without it. */
export type TypeParser<T = any, Value = string> = (value: Value) => T;
/** What has a parser for each type, as `types` of `pg` has. */
export interface TypeParsers {
  /** The parser of a type, by its number. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
}
/**
 * Parsers by the number of their type, with the interface that `types` of `pg` has.
 *
 * @example
 * ```ts
 * import { pgTypes, PostgresConnectionManager, TypeRegistry } from 'moorline';
 *
 * // As `pg` reads them, but numbers of type `numeric` as numbers.
 * const types = new TypeRegistry([], pgTypes);
 * types.setTypeParser(types.builtins.NUMERIC, Number);
 * await using manager = new PostgresConnectionManager({
 *   connectionString: 'postgres://app:secret@localhost/orders',
 *   tunnel: false,
 *   types,
 * });
 * const { rows } = await manager.query('SELECT 1.5 AS price');
 * console.log(rows[0].price + 1); // 2.5
 * ```
 */
export declare class TypeRegistry implements TypeParsers {
  #private;
  /** The numbers of types by their names. */
  readonly builtins: {
    readonly BOOL: 16;
    readonly BYTEA: 17;
    readonly CHAR: 18;
    readonly INT8: 20;
    readonly INT2: 21;
    readonly INT4: 23;
    readonly REGPROC: 24;
    readonly TEXT: 25;
    readonly OID: 26;
    readonly TID: 27;
    readonly XID: 28;
    readonly CID: 29;
    readonly JSON: 114;
    readonly XML: 142;
    readonly PG_NODE_TREE: 194;
    readonly SMGR: 210;
    readonly PATH: 602;
    readonly POLYGON: 604;
    readonly CIDR: 650;
    readonly FLOAT4: 700;
    readonly FLOAT8: 701;
    readonly ABSTIME: 702;
    readonly RELTIME: 703;
    readonly TINTERVAL: 704;
    readonly CIRCLE: 718;
    readonly MACADDR8: 774;
    readonly MONEY: 790;
    readonly MACADDR: 829;
    readonly INET: 869;
    readonly ACLITEM: 1033;
    readonly BPCHAR: 1042;
    readonly VARCHAR: 1043;
    readonly DATE: 1082;
    readonly TIME: 1083;
    readonly TIMESTAMP: 1114;
    readonly TIMESTAMPTZ: 1184;
    readonly INTERVAL: 1186;
    readonly TIMETZ: 1266;
    readonly BIT: 1560;
    readonly VARBIT: 1562;
    readonly NUMERIC: 1700;
    readonly REFCURSOR: 1790;
    readonly REGPROCEDURE: 2202;
    readonly REGOPER: 2203;
    readonly REGOPERATOR: 2204;
    readonly REGCLASS: 2205;
    readonly REGTYPE: 2206;
    readonly UUID: 2950;
    readonly TXID_SNAPSHOT: 2970;
    readonly PG_LSN: 3220;
    readonly PG_NDISTINCT: 3361;
    readonly PG_DEPENDENCIES: 3402;
    readonly TSVECTOR: 3614;
    readonly TSQUERY: 3615;
    readonly GTSVECTOR: 3642;
    readonly REGCONFIG: 3734;
    readonly REGDICTIONARY: 3769;
    readonly JSONB: 3802;
    readonly REGNAMESPACE: 4089;
    readonly REGROLE: 4096;
  };
  /** Reads texts of arrays. */
  readonly arrayParser: {
    create<T = string>(
      text: string,
      parse?: (element: string) => T,
    ): {
      parse(): unknown[];
    };
  };
  /** What it has no parser for, `base` has; without it the text is the value. */
  constructor(parsers?: Iterable<readonly [number, TypeParser]>, base?: TypeParsers);
  /** Sets the parser of a type for values in the text format, which all are but those of binary cursors. */
  setTypeParser(oid: number, parser: TypeParser): void;
  /** Sets the parser of a type for values in the text format. */
  setTypeParser(oid: number, format: 'text', parser: TypeParser): void;
  /** Sets the parser of a type for values in the binary format. */
  setTypeParser(oid: number, format: 'binary', parser: TypeParser<any, Buffer>): void;
  /** The parser of a type; of one without it, what gives the text, or the bytes. */
  getTypeParser(oid: number, format?: TypeFormat): TypeParser<any, any>;
}
/** A column of a result, as the server describes it. */
export interface FieldDef {
  /** The name. */
  readonly name: string;
  /** The number of the table that it is of; 0 for none. */
  readonly tableID: number;
  /** The number of the column in it; 0 for none. */
  readonly columnID: number;
  /** The number of its type. */
  readonly dataTypeID: number;
  /** The size of the type in bytes; negative for one that varies. */
  readonly dataTypeSize: number;
  /** The modifier of the type, such as the length of a varchar; -1 for none. */
  readonly dataTypeModifier: number;
  /** The format of the values. */
  readonly format: 'text' | 'binary';
}
/** The result of one statement. `R` is the type of its rows; it is not checked at run time. */
export interface QueryResult<R = any> {
  /** The first word of what the server says the statement was, such as `SELECT`; null for an empty text. */
  command: string | null;
  /** The number of rows that it returned or changed; null for one that does neither. */
  rowCount: number | null;
  /** The number of the row that an INSERT made, of servers before PostgreSQL 12; else 0 for an INSERT, and null. */
  oid: number | null;
  /** The rows, empty for a statement that returns none. */
  rows: R[];
  /** The columns. */
  fields: FieldDef[];
}
/** Whether a row is an object by its columns' names, of which the last counts where they repeat, or an array. */
export type RowMode = 'object' | 'array';
/** The values that `pg` gives. Setting a parser here changes all results that are read by it. */
declare const types: TypeRegistry;
/** The same, but for dates and timestamps as text, and int8 as bigint. */
export declare const plainTypes: TypeRegistry;
/** What reads results: a ready-made set by its name, or one of your own. */
export type TypesOption = 'pg' | 'plain' | TypeParsers;
/** A statement with its options. */
export interface QueryConfig {
  /** The text; without `values` it may be several statements. */
  text: string;
  /** The values of `$1`, `$2`, … */
  values?: readonly unknown[] | undefined;
  /**
   * The name under which it is parsed once on each connection; it stands for one text as long as a client is borrowed. Names of others
   * mean nothing to it.
   */
  name?: string | undefined;
  /** `'array'` gives rows as arrays. Default: `'object'`. */
  rowMode?: RowMode | undefined;
  /** How values of the result are read, in place of the pool's. */
  types?: TypesOption | undefined;
  /** A signal that cancels the statement, also on the server. */
  signal?: AbortSignal | undefined;
  /** The time limit in milliseconds, in place of `queryTimeoutMs`. */
  timeoutMs?: number | undefined;
}
/** How much a transaction sees of others. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';
/** Options of `withTransaction`. */
export interface TransactionOptions {
  /** The isolation level. Default: that of the server, which is `read committed` as it comes. */
  isolation?: IsolationLevel | undefined;
  /** Whether writes are refused. Default: that of the server. */
  readOnly?: boolean | undefined;
  /** For `serializable` and `readOnly`: waits at its beginning for a moment from which it cannot fail. */
  deferrable?: boolean | undefined;
  /**
   * How often the function is called again after a serialization failure (`40001`) or a deadlock (`40P01`), which undid everything.
   * Default: 0.
   */
  retry?: number | undefined;
}
/** The state of a client's transaction: in none, in one, in one that failed and has to be rolled back. */
export type TransactionStatus = 'I' | 'T' | 'E';
interface PostgresNotice {
  /** `WARNING`, `NOTICE`, `DEBUG`, `INFO` or `LOG`. */
  severity?: string;
  /** The SQLSTATE. */
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  where?: string;
  schema?: string;
  table?: string;
  column?: string;
  dataType?: string;
  constraint?: string;
  file?: string;
  line?: string;
  routine?: string;
}
interface PostgresNotification {
  /** The number of the server process that has sent it. */
  processId: number;
  /** The channel. */
  channel: string;
  /** Its text; may be empty. */
  payload: string;
}
interface PostgresParameterStatus {
  parameterName: string;
  parameterValue: string;
}
interface PostgresClientEvents {
  notice: [notice: PostgresNotice];
  notification: [notification: PostgresNotification];
  parameterStatus: [parameter: PostgresParameterStatus];
  [name: string | symbol]: any[];
}
type Listener$1 = (...args: any[]) => void;
/**
 * A connection that is borrowed from a pool, until it is released. The pool removes what its borrower leaves on it before anybody else
 * gets it: an open transaction, settings, `LISTEN`, advisory locks, temporary tables.
 *
 * Emits `notice`, `notification` and `parameterStatus`, also while no statement runs. None is dropped: while they come faster than they
 * are handled, the connection is not read.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager } from 'moorline';
 *
 * await using manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * const client = await manager.connect({ readOnly: true, statementTimeoutMs: 1000 });
 * try {
 *   const { rows } = await client.query('SHOW default_transaction_read_only');
 *   console.log(rows[0].default_transaction_read_only); // on
 * } finally {
 *   client.release();
 * }
 * ```
 */
export declare class PostgresClient extends EventEmitter<PostgresClientEvents> {
  #private;
  /** The number of the server process. */
  readonly processID: number;
  /** The number of the connection in its pool, by which events name it. */
  readonly connectionId: number;
  on(event: string | symbol, listener: Listener$1): this;
  addListener(event: string | symbol, listener: Listener$1): this;
  prependListener(event: string | symbol, listener: Listener$1): this;
  /** The state of the transaction after the last answer; undefined after the release. */
  get transactionStatus(): TransactionStatus | undefined;
  /**
   * Runs a statement, or several in one text without values. Statements are sent as they are called, without waiting for the results of
   * those before, and run in that order.
   *
   * @throws PostgresError
   */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>>;
  /**
   * Runs `work` in a transaction, which is committed when it returns and rolled back when it throws; in a transaction that this began, in
   * a savepoint of it.
   */
  withTransaction<T>(work: (client: this) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T>;
  /** Gives the connection back; with an argument it is closed. Called again, it does nothing. */
  release(destroy?: boolean | Error): void;
  /** The same as `release`. */
  [Symbol.dispose](): void;
}
/** The outcome of a health check. */
export interface PostgresHealthCheck {
  /** Whether the database answers. */
  healthy: boolean;
  /** Whether the tunnel is connected; absent without one. */
  tunnel?: boolean;
  /** Whether the database answers; false where the tunnel is not connected. */
  database: boolean;
  /** Why it is not healthy. */
  error?: Error;
}
/** The arguments of the events of a {@link PostgresConnectionManager}: its own, and any that its users emit on it. */
export interface PostgresEvents {
  healthCheck: [health: PostgresHealthCheck];
  healthCheckFailed: [error: Error];
  fallback_activated: [
    event: MoorlineEvent & {
      error: Error;
    },
  ];
  fallback_restored: [
    event: MoorlineEvent & {
      downMs: number;
    },
  ];
  create: [
    event: MoorlineEvent & {
      connectionId: number;
      durationMs: number;
    },
  ];
  destroy: [
    event: MoorlineEvent & {
      connectionId: number;
    },
  ];
  acquire: [
    event: MoorlineEvent & {
      connectionId: number;
      processID: number;
    },
  ];
  release: [
    event: MoorlineEvent & {
      connectionId: number;
      processID: number;
    },
  ];
  timeout: [
    event: MoorlineEvent & {
      afterMs: number;
    },
  ];
  leak: [
    event: MoorlineEvent & {
      connectionId: number;
      heldMs: number;
      stack: string;
    },
  ];
  health: [event: MoorlineEvent & PostgresHealthCheck];
  drain: [event: MoorlineEvent];
  close: [event: MoorlineEvent];
  error: [error: MoorlineError];
  [name: string | symbol]: any[];
}
/** Values of labels by their names. A label that is not given is empty. */
export type MetricLabels = Readonly<Record<string, string | number>>;
/** One series of a {@link Counter}. */
export interface CounterSeries {
  /** Adds 1, or a number that is not negative. */
  inc(value?: number): void;
}
/** One series of a {@link Gauge}. */
export interface GaugeSeries {
  /** Adds 1, or a number. */
  inc(value?: number): void;
  /** Subtracts 1, or a number. */
  dec(value?: number): void;
  /** Replaces the value. */
  set(value: number): void;
  /** Returns a function that sets the value to the seconds since, and returns them. */
  startTimer(): () => number;
}
/** One series of a {@link Histogram}. */
export interface HistogramSeries {
  /** Counts a value. */
  observe(value: number): void;
  /** Returns a function that counts the seconds since, and returns them. */
  startTimer(): () => number;
}
/** A number that only grows, by the values of its labels. */
export interface Counter extends CounterSeries {
  inc(value?: number): void;
  inc(labels: MetricLabels, value?: number): void;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): CounterSeries;
  labels(...values: (string | number)[]): CounterSeries;
}
/** A number that goes up and down, by the values of its labels. */
export interface Gauge extends GaugeSeries {
  inc(value?: number): void;
  inc(labels: MetricLabels, value?: number): void;
  dec(value?: number): void;
  dec(labels: MetricLabels, value?: number): void;
  set(value: number): void;
  set(labels: MetricLabels, value: number): void;
  /** Returns a function that sets the value to the seconds since, and returns them; labels may be added then. */
  startTimer(labels?: MetricLabels): (labels?: MetricLabels) => number;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): GaugeSeries;
  labels(...values: (string | number)[]): GaugeSeries;
}
/** Counts of values by range, and their sum, by the values of its labels. */
export interface Histogram extends HistogramSeries {
  observe(value: number): void;
  observe(labels: MetricLabels, value: number): void;
  /** Returns a function that counts the seconds since, and returns them; labels may be added then. */
  startTimer(labels?: MetricLabels): (labels?: MetricLabels) => number;
  /** Returns the series with these values: by name, or in the order of the labels. */
  labels(labels: MetricLabels): HistogramSeries;
  labels(...values: (string | number)[]): HistogramSeries;
}
/**
 * Returns the counter of this name in the metrics of the process, which {@link metricsText} shows, with `_total` at the end of
 * its name. Called again with the same labels, it counts in the same series.
 *
 * @throws TypeError for a name that Prometheus does not allow, that begins with `moorline_`, or that is another metric's.
 *
 * @example
 * ```ts
 * import { counter, metricsText } from 'moorline';
 *
 * const orders = counter('orders', 'Orders that were taken.', ['country']);
 * orders.inc({ country: 'NO' });
 * orders.labels('SE').inc(2);
 * console.log(metricsText().includes('orders_total{country="SE"} 2')); // true
 * ```
 */
export declare function counter(name: string, help: string, labels?: readonly string[]): Counter;
/**
 * Returns the gauge of this name in the metrics of the process, which {@link metricsText} shows until the process ends.
 *
 * @throws TypeError as `counter`.
 *
 * @example
 * ```ts
 * import { gauge } from 'moorline';
 *
 * const waiting = gauge('orders_waiting', 'Orders that wait for their parcel.');
 * waiting.set(3);
 * waiting.dec();
 * ```
 */
export declare function gauge(name: string, help: string, labels?: readonly string[]): Gauge;
/**
 * Returns the histogram of this name in the metrics of the process, which {@link metricsText} shows. `buckets` are the upper bounds
 * of its ranges, ascending. Default: 0.005 to 10, for seconds.
 *
 * @throws TypeError as `counter`, and for buckets that do not ascend.
 *
 * @example
 * ```ts
 * import { histogram } from 'moorline';
 *
 * const seconds = histogram('parcel_seconds', 'Time to pack a parcel.', ['size']);
 * const end = seconds.startTimer({ size: 'small' });
 * console.log(end() < 10); // true
 * ```
 */
export declare function histogram(
  name: string,
  help: string,
  labels?: readonly string[],
  buckets?: readonly number[],
): Histogram;
/** The metrics of a {@link PostgresConnectionManager}; {@link metricsText} shows them with its name as their label `pool`. */
export interface PostgresMetrics {
  /** `moorline_postgres_connections_active`: borrowed connections. */
  readonly activeConnections: Gauge;
  /** `moorline_postgres_connection_errors_total`: connections that could not be had, or were lost. */
  readonly connectionErrors: Counter;
  /** `moorline_postgres_health_check_failures_total`: health checks that failed. */
  readonly healthCheckFailures: Counter;
  /** `moorline_postgres_connection_acquisition_seconds`: times until borrowers had a connection. */
  readonly connectionAcquisitionTime: Histogram;
  /** `moorline_postgres_connection_lifetime_seconds`: times for which connections were open. */
  readonly connectionLifetime: Histogram;
}
/** Options of retries: how many, and after which delays. */
export interface RetryOptions {
  /** The maximum number of attempts after the first. Default: 2. */
  maxRetries?: number | undefined;
  /** The delay before the first retry, in milliseconds. Default: 200. */
  baseDelayMs?: number | undefined;
  /** The maximum delay before jitter is applied, in milliseconds. Default: 20 000. */
  maxDelayMs?: number | undefined;
  /** The growth of the delay. Default: `exponential`. */
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  /** With `exponential`: the factor from one retry to the next. Default: 2. */
  exponentialBase?: number | undefined;
  /** With `linear`: the time that each retry adds, in milliseconds. Default: `baseDelayMs`. */
  incrementMs?: number | undefined;
  /** The random variation. `full`: from 0 to the delay; a number: ± this fraction of the delay; `true`: ± 10 %. Default: `full`. */
  jitter?: boolean | number | 'full' | undefined;
  /** The maximum `retryAfterMs` of an error that is waited for, in milliseconds; for a larger one the call fails at once. Default: 60 000. */
  maxRetryAfterMs?: number | undefined;
  /**
   * The limit of retries: a fraction of the calls plus a number per second, so that retries do not multiply the load of a
   * failing service. Default: 0.2 and 10 over 10 000 ms; `false` for no such limit.
   */
  budget?:
    | boolean
    | {
        ratio?: number;
        reservePerSecond?: number;
        ttlMs?: number;
      }
    | undefined;
  /**
   * The errors that are retried: classes, predicates, or kinds of {@link MoorlineError}. Default: every error but
   * an abort; for a {@link MoorlineError} its `retryable` decides.
   */
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}
/**
 * Options of a rate limit: at most `perSecond` attempts in any second, or `max` in any period of `windowMs`. A rate that
 * is not a whole number is kept by even spacing. The limit applies to the start of attempts: they wait for their turn in
 * order, and hold their place in the bulkhead, if there is one, while they wait.
 */
export interface RateLimitOptions {
  /** The maximum number of attempts per second. */
  perSecond?: number | undefined;
  /** The maximum number of attempts per `windowMs`. */
  max?: number | undefined;
  /** With `max`: the length of the period, in milliseconds. Default: 1000. */
  windowMs?: number | undefined;
  /**
   * The size of a token bucket: the number of attempts that may start at once after a pause; the rate refills it. A window
   * may then have up to `burst` attempts more than the rate. Default: no bucket, and no window sees more than it may.
   */
  burst?: number | undefined;
  /** The maximum number of waiting attempts; with a bulkhead at most `maxConcurrent` get here. Default: 1000. */
  maxQueue?: number | undefined;
  /** The maximum wait of an attempt, in milliseconds. Default: 30 000. */
  maxWaitMs?: number | undefined;
}
/** Options of a bulkhead: how many attempts run at once. */
export interface BulkheadOptions {
  /** The maximum number of attempts that run or wait for the rate limit. Default: 64. */
  maxConcurrent?: number | undefined;
  /** The maximum number of attempts in the queue, which is first in, first out. Default: 256. */
  maxQueue?: number | undefined;
}
/**
 * Options of a {@link Policy}. Only the two timeouts are on by default; every other part is off until it is given: as an
 * object, or as `true` for its defaults, except a rate limit, which has none.
 */
export interface PolicyOptions {
  /** The name in errors, events and metrics. Policies with a breaker and the same name share that breaker. */
  name?: string | undefined;
  /** The time limit of a call with its retries and waits, in milliseconds. Default: 30 000; `Infinity` turns it off. */
  timeoutMs?: number | undefined;
  /** The time limit of one attempt, in milliseconds. Default: 10 000; `Infinity` turns it off. */
  attemptTimeoutMs?: number | undefined;
  /** Retries of failed attempts. */
  retry?: boolean | RetryOptions | undefined;
  /** The circuit breaker. `counts`: whether it counts each attempt (the default), or each call with all its retries. */
  breaker?:
    | boolean
    | (BreakerOptions & {
        counts?: 'attempts' | 'calls' | undefined;
      })
    | undefined;
  /** The rate limit of attempts. */
  rateLimit?: false | RateLimitOptions | undefined;
  /** The limit of concurrent attempts. */
  bulkhead?: boolean | BulkheadOptions | undefined;
  /**
   * The clock; `Date` for tests with fake timers. A clock that throws, or returns an invalid time, ends the call with a
   * `TypeError` or `RangeError`, which is not counted. Default: the clock of the process.
   */
  clock?: Clock | undefined;
}
type PolicyFacts = {
  retry: {
    attempt: number;
    delayMs: number;
    error: unknown;
  };
  timeout: {
    attempt: number;
    afterMs: number;
  };
  state: StateFacts;
};
/**
 * Retry, circuit breaker, rate limit, bulkhead and timeouts around your functions, in one fixed order:
 *
 * total timeout ⊃ [breaker that counts calls] ⊃ retry ⊃ ( bulkhead → rate limit → [breaker that counts attempts] →
 * attempt timeout → your function )
 *
 * Emits `retry` with `{ attempt, delayMs, error }`, `timeout` with `{ attempt, afterMs }` and, with a breaker,
 * `state` with `{ from, to }`.
 *
 * @example
 * ```ts
 * import { Policy } from 'moorline';
 *
 * const policy = new Policy({ attemptTimeoutMs: 2000, retry: { maxRetries: 3 }, breaker: true });
 * policy.on('retry', ({ attempt, delayMs }) => console.error(`attempt ${attempt} failed, next in ${delayMs} ms`));
 * const answer = await policy.run(async ({ signal }) => {
 *   const response = await fetch('https://api.example.com', { signal });
 *   return response.json();
 * });
 * console.log(answer); // { id: 7, name: 'Ada' }
 * ```
 */
export declare class Policy extends Emitter<PolicyFacts> {
  #private;
  /** The name. */
  readonly name: string;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(options?: PolicyOptions);
  /**
   * Runs `fn` under the policy, with `{ attempt, signal }` as its argument. Pass the signal on, so that an attempt that
   * takes too long really ends. Returns the result of `fn`. Rejects with the error of the last attempt, or, when no
   * attempt could be made, with a {@link MoorlineError} that states the reason.
   *
   * Aborting `signal` rejects at once with its reason, also between two attempts.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** Returns a snapshot of the breaker, if the policy has one. */
  breaker(): CircuitSnapshot | undefined;
  /** Returns the options in force, with every default. A part that is off is `false`. */
  options(): Record<string, unknown>;
}
/** The sizes and times of a Postgres pool and its tunnel, in milliseconds. */
export interface PostgresProfiles {
  readonly development: {
    readonly maxConnections: 20;
    readonly idleTimeout: 30000;
    readonly connectionTimeout: 2000;
    readonly healthCheckInterval: 60000;
    readonly sshTunnel: {
      readonly maxPoolSize: 10;
      readonly maxRetries: 3;
      readonly retryDelay: 1000;
    };
  };
  readonly production: {
    readonly maxConnections: 100;
    readonly idleTimeout: 30000;
    readonly connectionTimeout: 3000;
    readonly healthCheckInterval: 30000;
    readonly sshTunnel: {
      readonly maxPoolSize: 20;
      readonly maxRetries: 5;
      readonly retryDelay: 2000;
    };
  };
}
/**
 * The two profiles: the defaults of an {@link SSHTunnel} are those of its `sshTunnel` in the profile of the deployment, or in the one
 * that its option `profile` names.
 */
export declare const postgresProfiles: PostgresProfiles;
interface PasswordTarget {
  /** The host, or the directory of the socket. */
  host: string;
  /** The port. */
  port: number;
  /** The database. */
  database: string;
  /** The user. */
  user: string;
}
type PasswordFunction = (target: PasswordTarget) => string | Uint8Array | PromiseLike<string | Uint8Array>;
type SSLMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
interface PostgresTLSOptions extends NixtlaTls {
  /** The same as `serverName`, as Node calls it. */
  servername?: string | undefined;
}
type TargetSessionAttrs = 'any' | 'read-write' | 'read-only' | 'primary' | 'standby' | 'prefer-standby';
interface PostgresConnectionOptions {
  /**
   * A connection string as libpq reads it: `postgres://…`, `postgresql://…`, or `key=value …`. Options come before what it says, and
   * that before the environment variables `PGHOST`, `PGUSER`, `PGPASSFILE` and the others of libpq.
   */
  connectionString?: string | undefined;
  /**
   * The host of the server, or the directory of its Unix socket; several with commas between them are tried in turn. Default:
   * `localhost`; through a tunnel, its `remoteHost`, which loopback with the tunnel's `localPort` stands for, too.
   */
  host?: string | undefined;
  /** The IP address that is dialled, in place of the host's own; the certificate is still that of `host`. */
  hostaddr?: string | undefined;
  /** The port of the server, or several, as many as there are hosts. Default: 5432; through a tunnel, its `remotePort`. */
  port?: number | string | undefined;
  /** The user. Default: that of the system. */
  user?: string | undefined;
  /** The password, or a function that gives it. Default: that of the password file. */
  password?: string | Uint8Array | PasswordFunction | undefined;
  /** The password file, as libpq reads it. Default: `~/.pgpass`; on Windows `%APPDATA%\postgresql\pgpass.conf`. */
  passfile?: string | undefined;
  /** The database. Default: that of the user's name. */
  database?: string | undefined;
  /** The name under which the server shows the connections. Default: `moorline`. */
  applicationName?: string | undefined;
  /** Settings of each session, as on the command line of a server: `-c statement_timeout=5s`. */
  options?: string | undefined;
  /** Whether the password may be sent in plain text, or as an MD5 hash, without TLS. Default: false. */
  allowPlainPassword?: boolean | undefined;
  /** Whether TLS is spoken and certificates are checked, a mode, or an object with certificates, which are checked. */
  ssl?: boolean | SSLMode | PostgresTLSOptions | undefined;
  /** How much TLS is wanted. Default: `verify-full`; on this machine and through a tunnel, `prefer`. */
  sslmode?: SSLMode | undefined;
  /** Whether TLS is spoken at once (`direct`), without asking for it. Default: `postgres`. */
  sslnegotiation?: 'postgres' | 'direct' | undefined;
  /** The file of the authorities that are trusted, or `system`. Default: those of the system. */
  sslrootcert?: string | undefined;
  /** The file of the certificate of the user; needs `sslkey`. */
  sslcert?: string | undefined;
  /** The file of its private key. */
  sslkey?: string | undefined;
  /** The oldest version of TLS that is spoken: `TLSv1.2` or `TLSv1.3`. Default: `TLSv1.2`. */
  sslMinProtocolVersion?: string | undefined;
  /** Whether the login is bound to the TLS session below it. Default: `prefer`. */
  channelBinding?: 'disable' | 'prefer' | 'require' | undefined;
  /** Which of several servers is wanted. Default: `any`. */
  targetSessionAttrs?: TargetSessionAttrs | undefined;
  /** Whether servers are tried in an order of chance (`random`). Default: `disable`. */
  loadBalanceHosts?: 'disable' | 'random' | undefined;
  /** Whether the system asks a silent server whether it is still there. Default: true. */
  keepAlive?: boolean | undefined;
  /** The time of silence before it is asked; `Infinity`: as the system has it. Default: 30 000. */
  keepAliveInitialDelayMillis?: number | undefined;
  /** The time between two such questions; `Infinity`: as the system has it. Default: 10 000. */
  keepAliveIntervalMs?: number | undefined;
  /** The questions without an answer after which the connection is lost; `Infinity`: as the system has it. Default: 3. */
  keepAliveCount?: number | undefined;
  /** How long what was sent may go without an acknowledgement, on Linux; `Infinity`: as the system has it. Default: 60 000. */
  tcpUserTimeoutMs?: number | undefined;
  /** The tunnel to the server; `false`: none. Default: the shared tunnel of {@link SSHTunnel.getInstance}. */
  tunnel?: SSHTunnel | false | undefined;
}
interface PostgresBreakerOptions extends Omit<BreakerOptions, 'excludedExceptions' | 'failureWeight'> {
  /** Whether each attempt is counted, or a call with all its retries. Default: `attempts`. */
  counts?: 'attempts' | 'calls' | undefined;
}
/** Options of a {@link PostgresConnectionManager}. Times are in milliseconds; `Infinity` turns a limit off. */
export interface PostgresPoolConfig extends PostgresConnectionOptions {
  /** The maximum number of connections. Default: that of the profile, else 20. */
  max?: number | undefined;
  /** The minimum number of connections that are kept open. Default: 0. */
  min?: number | undefined;
  /** The maximum number of free connections. Default: `max`. */
  maxIdle?: number | undefined;
  /** The maximum number of connections that are opened at once. Default: 4. */
  maxConnecting?: number | undefined;
  /** The maximum number of calls that wait for a connection; further ones are rejected with kind `overloaded`. Default: 10 000. */
  maxWaiters?: number | undefined;
  /** The time that a free connection is kept. Default: 30 000. */
  idleTimeoutMillis?: number | undefined;
  /** The time limit for waiting for a connection, and for connecting. Default: that of the profile, else 2000. */
  connectionTimeoutMillis?: number | undefined;
  /** The maximum age of a connection, ±25 %; a borrowed connection is not closed for its age. Default: 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /** The time after which a borrowed connection is reported. Default: 30 000, in production `Infinity`. */
  leakAfterMs?: number | undefined;
  /** The time limit for removing what a borrower has left on a connection; then it is replaced. Default: 5000. */
  recycleTimeoutMs?: number | undefined;
  /** The time limit of a statement. Default: 30 000. */
  queryTimeoutMs?: number | undefined;
  /**
   * `'unnamed'` sends a statement with a name as one without, and uses no state of a session, as behind a pooler that gives each
   * transaction another session. Default: `'named'`, until a statement shows that it is so.
   */
  statementMode?: 'named' | 'unnamed' | undefined;
  /**
   * Repeats what has not reached the server and may succeed later: `connect()`, and `query()` of the pool while there is no connection.
   * Default: false; `true` for the defaults of a {@link Policy}.
   */
  retry?: boolean | Omit<RetryOptions, 'retryableExceptions'> | undefined;
  /** A circuit breaker around the same calls, listed as `postgres-1` and so on. Default: false; `true` for the defaults. */
  breaker?: boolean | PostgresBreakerOptions | undefined;
  /**
   * The time after which a server that answers nothing, not even the system's keep-alive, counts as gone; `Infinity`: as the system
   * has it. Through a tunnel, its own keep-alive counts. Default: 60 000.
   */
  keepAliveTimeoutMs?: number | undefined;
  /** The interval of the health checks; `Infinity`: none. Default: that of the profile, else 60 000. */
  healthCheckIntervalMs?: number | undefined;
  /** `false` opens a connection for each borrower, and closes it when it is released. Default: true. */
  pooling?: boolean | undefined;
  /** `false` turns metrics, the records in the log and the connection log off. Default: true. */
  monitoring?: boolean | undefined;
  /** Whether what happens to connections is written to the table `connection_logs`. Default: false. */
  connectionLog?: boolean | undefined;
  /** The time for which rows of `connection_logs` are kept. Default: 2 592 000 000, which are 30 days. */
  connectionLogRetentionMs?: number | undefined;
  /** How values of results are read. Default: as `pg` reads them. */
  types?: TypesOption | undefined;
  /** The profile of {@link postgresProfiles} whose numbers are the defaults; `false`: none. Default: by the deployment. */
  profile?: 'development' | 'production' | false | undefined;
}
/** The options of a manager in force. A secret is not among them. */
export interface ResolvedPostgresPoolConfig {
  host: string;
  port: string;
  user: string;
  database: string;
  applicationName: string;
  sslmode: string;
  max: number;
  min: number;
  maxIdle: number;
  maxConnecting: number;
  maxWaiters: number;
  idleTimeoutMillis: number;
  connectionTimeoutMillis: number;
  maxLifetimeMs: number;
  leakAfterMs: number;
  recycleTimeoutMs: number;
  keepAliveTimeoutMs: number;
  queryTimeoutMs: number;
  healthCheckIntervalMs: number;
  pooling: boolean;
  monitoring: boolean;
  connectionLog: boolean;
  connectionLogRetentionMs: number;
}
/** Settings of a connection, from when it is handed out until it is released. Names are sent as quoted identifiers. */
export interface PostgresConnectOptions extends CallOptions {
  /** The role whose rights count: `SET ROLE`. */
  role?: string | undefined;
  /** Whether transactions are read-only unless they say otherwise. */
  readOnly?: boolean | undefined;
  /** The time limit that the server sets to each statement, in milliseconds; `Infinity`: none. */
  statementTimeoutMs?: number | undefined;
  /** The schema, or the schemas in their order, in which names without a schema are looked up. */
  searchPath?: string | readonly string[] | undefined;
  /** The time limit for waiting, connecting and setting, in milliseconds. Default: `connectionTimeoutMillis`. */
  timeoutMs?: number | undefined;
}
/** The pool of a {@link PostgresConnectionManager}, for its subclasses. */
export interface PostgresPool extends EventEmitter {
  /** Borrows a connection. */
  connect(settings?: PostgresConnectOptions): Promise<PostgresClient>;
  /** Runs a statement on a connection that is borrowed for it. */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>>;
  /** Ends the pool: borrowers may finish, for `timeoutMs` at most. True when none had to be cut off. */
  end(timeoutMs?: number): Promise<boolean>;
  /** All connections. */
  readonly totalCount: number;
  /** Free connections. */
  readonly idleCount: number;
  /** Calls that wait for one. */
  readonly waitingCount: number;
}
/** Options of a {@link PostgresConnectionManager}. */
export interface PostgresManagerConfig extends PostgresPoolConfig {
  /** The manager that is used while the tunnel or all hosts are down, or its options. Default: none. */
  fallback?: PostgresConnectionManager | PostgresManagerConfig | undefined;
}
/** The numbers of connections of a {@link PostgresConnectionManager}. */
export interface PostgresStats {
  /** Connections that are open or being opened. */
  total: number;
  /** Connections that are borrowed. */
  inUse: number;
  /** Connections that are free. */
  available: number;
  /** Callers that wait for a connection. */
  waiting: number;
}
/**
 * A pool of connections to PostgreSQL, direct or through an {@link SSHTunnel}, which heals by itself.
 *
 * `query` runs a statement, `withClient` lends a connection to a function, `withTransaction` does so in a transaction; `connect`
 * lends one until its `release`. Nothing that a borrower leaves on a connection is found by the next one. An idle manager does not
 * keep the process alive.
 *
 * Emits `healthCheck` after each check, `healthCheckFailed` with the error when recovery failed, too, `fallback_activated` and
 * `fallback_restored`; `create`, `destroy`, `acquire`, `release`, `timeout`, `leak`, `drain`, `health` and `close`; and `error` with the
 * error itself, which is not thrown without a listener. Any other event may be emitted on it.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager } from 'moorline';
 *
 * const manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * const { rows } = await manager.query('SELECT $1::int + 1 AS n', [41]);
 * console.log(rows); // [ { n: 42 } ]
 * await manager.shutdown();
 * ```
 */
export declare class PostgresConnectionManager extends EventEmitter<PostgresEvents> {
  #private;
  /** The metrics of its connections, to which you may write, too. `monitoring: false` shows none of them. */
  readonly metrics: PostgresMetrics;
  /** The pool. */
  protected readonly pool: PostgresPool;
  /**
   * Opens nothing yet.
   *
   * @param config options, or a connection string.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range; `SSHTunnel not initialized. …`
   * where no `tunnel` is given and there is no shared one.
   */
  constructor(config?: PostgresManagerConfig | string);
  /**
   * Borrows a connection until its `release`: a free one, a new one while fewer than `max` are open, else the next that is released.
   *
   * @throws PostgresError of kind `pool-timeout` when there is none in time, `connect`, `timeout` or `auth` when there was no
   * connection, `closed` after `shutdown`.
   */
  connect(settings?: PostgresConnectOptions): Promise<PostgresClient>;
  /**
   * Runs a statement, or several in one text without values, on a connection that is borrowed for it.
   *
   * @throws PostgresError
   */
  query<Row = any>(query: string | QueryConfig, values?: readonly unknown[]): Promise<QueryResult<Row>>;
  /** Borrows a connection, calls `work` with it, releases it in any case, and returns the result of `work`. */
  withClient<T>(work: (client: PostgresClient) => T | PromiseLike<T>, settings?: PostgresConnectOptions): Promise<T>;
  /**
   * Calls `work` in a transaction, commits it, and returns the result of `work`. When `work` throws, it is rolled back.
   * `client.withTransaction` of the client that `work` gets is a savepoint in it.
   *
   * With `retry`, `work` is called again after a serialization failure or a deadlock. A commit whose answer is lost rejects with
   * `delivery: 'unknown'`, and is not repeated.
   *
   * @throws PostgresError
   */
  withTransaction<T>(work: (client: PostgresClient) => T | PromiseLike<T>, options?: TransactionOptions): Promise<T>;
  /**
   * Connects the tunnel if it is not connected, and asks the database with `SELECT 1`; joins a check that is under way. Never rejects.
   * It makes a manager a check of {@link HealthMonitor}.
   */
  healthCheck(): Promise<PostgresHealthCheck>;
  /**
   * Creates the table `connection_logs` and the function `log_connection_event`, where they are not there. With `connectionLog: true`
   * what happens to connections is written to the table.
   *
   * @throws PostgresError for a role that may not create them.
   */
  installConnectionLog(): Promise<void>;
  /** Returns the numbers of connections. */
  stats(): PostgresStats;
  /** Returns the options in force, without secrets. */
  options(): ResolvedPostgresPoolConfig;
  /**
   * Ends the manager: new and waiting callers are refused with kind `closed`, and what runs may end. What still runs after `timeoutMs` is
   * cancelled on the server, and its connection is cut. The tunnel stays connected. It can be called again.
   *
   * @param timeoutMs Default: 5000.
   */
  shutdown(timeoutMs?: number): Promise<void>;
  /** The same as `shutdown`. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * The tunnel.
   *
   * @throws TypeError where there is none, as `tunnel` is `false`.
   */
  protected get tunnel(): SSHTunnel;
  /** Waits until no connection is borrowed. */
  protected waitForQueries(signal?: AbortSignal): Promise<void>;
  /** Cancels on the server what still runs, and cuts all connections. Nothing can be borrowed after it. */
  protected forceCleanup(): Promise<void>;
}
/**
 * A failure of an operation on PostgreSQL. `code` is the SQLSTATE of an error of the server, whose fields have the names that `pg`
 * gives them; the text that `pg` calls `detail` is `serverDetail`.
 *
 * @example
 * ```ts
 * import { PostgresConnectionManager, PostgresError } from 'moorline';
 *
 * await using manager = new PostgresConnectionManager({ connectionString: 'postgres://app:secret@localhost/orders', tunnel: false });
 * try {
 *   await manager.query('SELECT * FROM nowhere');
 * } catch (error) {
 *   if (error instanceof PostgresError) console.log(error.code, error.kind); // 42P01 rejected
 * }
 * ```
 */
export declare class PostgresError extends MoorlineError {
  /** `ERROR`, `FATAL` or `PANIC`. */
  readonly severity?: string;
  /** What the server says in more words. */
  readonly serverDetail?: string;
  /** What the server suggests. */
  readonly hint?: string;
  /** The position in the text, in characters from 1. */
  readonly position?: string;
  /** The position in `internalQuery`. */
  readonly internalPosition?: string;
  /** The statement that the server generated itself. */
  readonly internalQuery?: string;
  /** The context, such as the call stack of functions. */
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly dataType?: string;
  readonly constraint?: string;
  /** The place in the source of the server. */
  readonly file?: string;
  readonly line?: string;
  readonly routine?: string;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
}
/** The names of the events in the log records of a {@link PostgresConnectionManager}. */
export type PostgresLogEvent = 'connection_acquired' | 'connection_released' | 'health_check' | 'connection_error';
/** The facts of a {@link PostgresLogRecord}. */
export interface PostgresLogData {
  /** The number of the server process. */
  connectionId?: string;
  /** The number of connections of the pool. */
  poolSize?: number;
  /** The message of the error. */
  error?: string;
}
/** A log record of a {@link PostgresConnectionManager}, as the logger of {@link setLogger} receives it. */
export interface PostgresLogRecord {
  /** The time, as ISO 8601. */
  timestamp: string;
  /** An id that the records of one borrower share. */
  correlationId: string;
  /** The level. */
  level: LogLevel;
  /** The name of the event. */
  event: PostgresLogEvent;
  /** The facts of the event. */
  data: PostgresLogData;
}
/**
 * An interval: the parts that are not 0. Those of a time are all negative where it is.
 *
 * @example
 * ```ts
 * import { PostgresInterval } from 'moorline';
 *
 * const interval = new PostgresInterval('1 mon 02:30:00');
 * console.log(interval.toISOString()); // P0Y1M0DT2H30M0S
 * ```
 */
export declare class PostgresInterval {
  #private;
  /** Years. */
  years?: number;
  /** Months. */
  months?: number;
  /** Days. */
  days?: number;
  /** Hours. */
  hours?: number;
  /** Minutes. */
  minutes?: number;
  /** Seconds. */
  seconds?: number;
  /** Milliseconds, with microseconds as their fraction. */
  milliseconds?: number;
  /** The interval of a text in style `postgres`; of any other an empty one. */
  constructor(text?: string);
  /** The text by which PostgreSQL gets it as a parameter. */
  toPostgres(): string;
  /** It in the format of ISO 8601. */
  toISO(): string;
  /** The same as {@link toISO}. */
  toISOString(): string;
}
/** A value as it is sent: NULL, in the text format, or in the binary format. */
export type PreparedValue = null | string | Uint8Array;
/** What gives the value that is sent for it. It gets what encodes a value as text, bytes or null. */
export interface ToPostgres {
  /** The value in its place. */
  toPostgres(prepareValue: (value: unknown) => PreparedValue): unknown;
}
/** Headers in the form of Node.js, Express or Fetch. Names are not case-sensitive. */
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | {
      readonly [name: string]: string | readonly string[] | number | undefined;
    };
/** A received request. */
export interface WebhookRequest {
  /** The headers. */
  headers: WebhookHeaders;
  /** The raw body, as bytes or as text, exactly as it was received. */
  body: string | Uint8Array;
  /** The method. Default: `POST`. */
  method?: string | undefined;
  /**
   * The URL that the sender called, or its path and query. The verifier's `url` then supplies the origin; it is also tried
   * itself, for a proxy that removes a part of the path or escapes the query differently.
   */
  url?: string | undefined;
  /** The current time in milliseconds since the epoch. Default: `Date.now()`. */
  now?: number | undefined;
}
/**
 * A store of accepted requests: in this process, or in a database that several processes share.
 *
 * A request is added to a store with all three methods after its handler has succeeded, and only one of several copies that
 * arrive at the same time is handled. It is added to a store with `remember` alone before it is handled.
 *
 * {@link WebhookVerifier.verify} and {@link WebhookVerifier.verifyRequest} are synchronous. A store that returns promises
 * works only with {@link receiveWebhook} and {@link webhookMiddleware}.
 */
export interface WebhookReplayStore {
  /**
   * Adds `key` for `ttlMs` milliseconds, a finite number, and returns whether it is new. This must be atomic: of several calls
   * for one key at the same time exactly one returns `true`.
   */
  remember(key: string, ttlMs: number): boolean | PromiseLike<boolean>;
  /** Returns whether `key` is in the store. */
  has?(key: string): boolean | PromiseLike<boolean>;
  /** Removes `key`. */
  forget?(key: string): unknown;
}
/**
 * A store of accepted requests in the memory of this process, so that a captured request is not accepted again.
 *
 * Two requests are the same if their signed contents are equal. A retry with a new timestamp is therefore accepted. Under a
 * scheme without timestamps (GitHub, Shopify) a retry is refused for 24 hours, or for `maxAgeMs` where that is longer.
 *
 * @example
 * ```ts
 * import { MemoryReplayStore, WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret', replayStore: new MemoryReplayStore() });
 * const body = '{"event":"paid"}';
 * const headers = verifier.signRequest({ body });
 * console.log(verifier.verifyRequest({ headers, body }).valid); // true
 * console.log(verifier.verifyRequest({ headers, body }).duplicate); // true
 * ```
 */
export declare class MemoryReplayStore implements WebhookReplayStore {
  #private;
  /**
   * @param options `capacity`: the largest number of requests in the store; a further one replaces the one that expires first.
   * Default: 100 000.
   * @throws RangeError for a capacity that is not a whole number of at least 1.
   */
  constructor(options?: { capacity?: number | undefined });
  /** Adds a request for `ttlMs` milliseconds and returns whether it is new. */
  remember(key: string, ttlMs: number): boolean;
  /** Returns whether a request is in the store. */
  has(key: string): boolean;
  /** Removes a request, by the `replayKey` of its result. */
  forget(key: string): void;
}
/** The built-in signature schemes. `generic` is `t=…,v1=…`, `sha256=…` or raw hex in `X-Webhook-Signature`. */
export type WebhookScheme =
  | 'stripe'
  | 'github'
  | 'github-sha1'
  | 'standard'
  | 'standard-ed25519'
  | 'slack'
  | 'shopify'
  | 'hubspot-v1'
  | 'hubspot-v2'
  | 'hubspot-v3'
  | 'twilio'
  | 'linear'
  | 'paddle'
  | 'zoom'
  | 'square'
  | 'discord'
  | 'salesforce-data-cloud'
  | 'salesforce-ens'
  | 'generic';
/** The description of a custom signature scheme. */
export interface WebhookSchemeDescription {
  /** The name of the scheme, which results contain as `scheme`. */
  name: string;
  /** The name of the header with the signature. */
  header: string;
  /** A template of the signed text: `{body}` (required), `{timestamp}`, `{id}`, `{method}` and `{url}` are replaced by their values. */
  content: string;
  /** The text before the signature in its header. Default: none. */
  prefix?: string | undefined;
  /** For a header with named fields, one of them the timestamp: the separator (default: `,`) and the names (default: `t` and `v1`). */
  fields?:
    | {
        separator?: string | undefined;
        timestamp?: string | undefined;
        signature?: string | undefined;
      }
    | undefined;
  /** The algorithm: HMAC with `sha256` or `sha1`, or `ed25519`. Default: `sha256`. */
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  /** The encoding of the signature. Default: `hex`. */
  encoding?: 'hex' | 'base64' | undefined;
  /** The encoding of the secret. Default: `text`. */
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  /** The name of the header with the timestamp, where it has its own header. */
  timestampHeader?: string | undefined;
  /** The unit of the timestamp: seconds or milliseconds. Default: `s`. */
  timestampUnit?: 's' | 'ms' | undefined;
  /** The name of the header with the id of the delivery. */
  idHeader?: string | undefined;
}
/** Options of a {@link WebhookVerifier}. */
export interface WebhookVerificationConfig {
  /** The shared secret (the public key for Ed25519), or several during a rotation, newest first. Must not be empty. */
  secret: string | readonly string[] | undefined;
  /**
   * How old a signed timestamp may be, in milliseconds. Default: 300 000 (Linear 60 000, Paddle 5000); `Infinity`: any age,
   * which is refused beside a `replayStore`, as that would have to remember for ever.
   */
  maxAgeMs?: number | undefined;
  /** How far ahead a signed timestamp may be, in milliseconds. Default: 60 000 (Paddle 5000). */
  toleranceMs?: number | undefined;
  /** The scheme or schemes that are accepted. Default: whichever the request carries. Name it where you know it. */
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  /**
   * The public URL of the endpoint as the sender calls it, for Twilio, Square and HubSpot, which sign it. The path and
   * query of a request are also tried with its origin, so one verifier can serve several endpoints.
   */
  url?: string | undefined;
  /** The store of accepted requests, for the detection of duplicates. See {@link MemoryReplayStore}. */
  replayStore?: WebhookReplayStore | undefined;
}
/** The parts of a signature header. */
export interface WebhookSignatureHeader {
  /** The timestamp in seconds since the epoch; the current time where the header has none. */
  timestamp: number;
  /** The signature in lower-case hex. */
  signature: string;
  /** The version: `v1` or `sha256`; absent for a raw signature. */
  version?: string;
}
/** The result of {@link WebhookVerifier.verify}. */
export interface VerificationResult {
  /** Whether the signature is valid and the request was not accepted before. */
  valid: boolean;
  /** The reason if it is not valid: `Invalid signature format`, `Webhook too old (…)`, `Webhook timestamp is in the future`, `Signature mismatch` or `Verification error: …`. */
  reason?: string;
  /** Whether the request is genuine but was accepted before, as the `replayStore` tells; `valid` is false then. */
  duplicate?: true;
  /** The signed timestamp in seconds since the epoch, where there is one. */
  timestamp?: number;
  /** The key of the request in the `replayStore`. */
  replayKey?: string;
}
/** The result of {@link WebhookVerifier.verifyRequest}. */
export interface RequestVerificationResult extends VerificationResult {
  /** The scheme that was applied; `undefined` if the request has no signature of a known scheme. */
  scheme: string | undefined;
  /** The id of the delivery, where the scheme has one, for deduplication. Only Standard Webhooks signs it. */
  id?: string;
  /** The index of the secret that matched. Remove the old secret when its index no longer occurs. */
  secretIndex?: number;
}
/** The argument of {@link WebhookVerifier.signRequest}. */
export interface WebhookSigning {
  /** The raw body. */
  body: string | Uint8Array;
  /** The id of the delivery, where the scheme signs one. */
  id?: string | undefined;
  /** The method. Default: `POST`. */
  method?: string | undefined;
  /** The URL. Default: the verifier's `url`. */
  url?: string | undefined;
  /** The timestamp in seconds since the epoch. Default: now. */
  timestamp?: number | undefined;
}
/**
 * Verifies and signs webhooks over their raw bytes, in constant time, with one or several secrets. All methods are
 * synchronous.
 *
 * @example
 * ```ts
 * import { WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret', scheme: 'github' });
 * const signature = verifier.sign('{"event":"paid"}');
 * console.log(verifier.verify('{"event":"paid"}', signature).valid); // true
 * ```
 */
export declare class WebhookVerifier {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: WebhookVerificationConfig);
  /** The public URL of the endpoint, where it was given. */
  get url(): string | undefined;
  /**
   * Returns whether `signature` is a valid signature of `payload`. Never throws.
   *
   * @param payload The raw body. A parsed object is refused, and `reason` names the middleware to change.
   * @param signature The value of the signature header, `undefined` if the request has none.
   * @param secret The secret or secrets of this call, in place of those of the verifier.
   */
  verify(
    payload: string | Uint8Array,
    signature: string | readonly string[] | undefined,
    secret?: string | readonly string[],
  ): VerificationResult;
  /**
   * Verifies a whole request, with the signature, timestamp and id from its headers, and returns the result. Never throws.
   *
   * @example
   * ```ts
   * import { WebhookVerifier } from 'moorline';
   *
   * const verifier = new WebhookVerifier({ secret: 'a secret' });
   * const body = '{"event":"paid"}';
   * const headers = verifier.signRequest({ body });
   * const { valid, scheme } = verifier.verifyRequest({ headers, body });
   * console.log(valid, scheme); // true generic
   * ```
   */
  verifyRequest(request: WebhookRequest): RequestVerificationResult;
  /**
   * Returns the JSON to answer with status 200 to a provider that verifies the ownership of this endpoint: Zoom's
   * `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. Returns `undefined` for every other request and
   * for one that is not genuine.
   */
  challenge(request: WebhookRequest): Record<string, unknown> | undefined;
  /**
   * Signs `payload` and returns the value of the signature header: `t=…,v1=…` unless the verifier has another scheme.
   *
   * @param timestamp The timestamp in seconds since the epoch. Default: now.
   */
  sign(payload: string | Uint8Array, timestamp?: number): string;
  /** Signs a request and returns all headers that the verifier's scheme requires. */
  signRequest(signing: WebhookSigning): Record<string, string>;
}
/**
 * Returns whether `signature` is a valid signature of `payload`, with `secret` and the default options.
 *
 * @throws TypeError, RangeError for a secret that is empty or not valid.
 */
export declare function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean;
/** Signs `payload` and returns the value of the header `X-Webhook-Signature`: `t=<seconds>,v1=<hex>`. */
export declare function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string;
/** Parses `t=…,v1=…`, `sha256=…` or a raw hex signature, without verification. Returns `null` for any other text. */
export declare function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null;
/** A Fetch `Request`, as used by Hono, Next and edge runtimes. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}
/** Options of {@link webhookMiddleware} and of {@link receiveWebhook}. */
export interface ReceiveOptions {
  /** The largest body that is read, in bytes. Default: 10 MiB. */
  limitBytes?: number | undefined;
  /** How long the whole body may take to arrive, in milliseconds. Default: 10 000; `Infinity`: as long as it likes. */
  timeoutMs?: number | undefined;
  /**
   * The URL that the sender signed, where a proxy turns it into another path or query. Default: what the request says, on
   * the origin of the verifier's `url`, or that `url` itself.
   */
  url?: string | undefined;
  /** The status for a request that was handled before, by the verifier's `replayStore`. Default: 200. */
  duplicateStatus?: number | undefined;
  /**
   * How long a request that is being handled is kept from being handled a second time, in case the process ends before it
   * is done, in milliseconds. Default: 300 000.
   */
  claimMs?: number | undefined;
  /**
   * How long the verifier's `replayStore` may take for each answer, in milliseconds; then the request is answered with 503,
   * and the sender asks again. Default: 5000; `Infinity`: as long as it likes.
   */
  replayStoreTimeoutMs?: number | undefined;
}
/** Options of {@link receiveWebhook}. */
export interface ReceiveAndHandleOptions extends ReceiveOptions {
  /**
   * Handles a genuine webhook that was not handled before. When it has succeeded the verifier's `replayStore` remembers the
   * webhook; what it throws or rejects with is logged and stands in `error`, and the sender's retry is handled.
   * Default: the webhook is remembered at once, and handling it is up to the caller.
   */
  handle?: ((webhook: ReceivedWebhook) => unknown) | undefined;
}
/** A received webhook: the result of the verification, and the raw body. */
export interface ReceivedWebhook extends RequestVerificationResult {
  /** The raw body, not parsed. */
  body: Buffer;
  /**
   * The HTTP status to answer with: 200 for a genuine webhook and for a duplicate of one that was handled, 409 for a duplicate
   * of one that is being handled, 413 for a body above the limit, 500 if a body parser ran before or the handler failed, 503
   * if the replay store failed or did not answer in time, else 401.
   */
  status: number;
  /** The JSON to answer with, where the provider only verifies the ownership of the endpoint. */
  challenge?: Record<string, unknown>;
  /** The error of `handle` or of the replay store; its code is `ETIMEDOUT` if the store did not answer in time. */
  error?: unknown;
}
/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, verifies it, calls `handle` once for a genuine
 * webhook, and returns the result. `valid` is false for a request that is forged, too large, too slow or incomplete; neither
 * such a request nor an error of `handle` rejects the promise.
 *
 * Call it before any body parser. The body that `express.raw()` read, or a `rawBody`, is used as it is.
 *
 * @example
 * ```ts
 * import { receiveWebhook, WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret' });
 * const body = '{"event":"paid"}';
 * const headers = verifier.signRequest({ body });
 * const request = new Request('https://shop.example.com/webhook', { method: 'POST', headers, body });
 * const { valid, status } = await receiveWebhook(verifier, request, {
 *   handle: (webhook) => console.log(JSON.parse(webhook.body.toString())), // { event: 'paid' }
 * });
 * console.log(valid, status); // true 200
 * ```
 *
 * @throws TypeError, RangeError for a verifier, a request or an option that is not valid.
 */
export declare function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options?: ReceiveAndHandleOptions,
): Promise<ReceivedWebhook>;
/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result of the verification, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}
declare global {
  namespace Express {
    interface Request {
      /** The result of the verification by moorline's `webhookMiddleware`, with the raw body. */
      webhook?: ReceivedWebhook;
    }
  }
}
/**
 * Returns middleware for Express, Connect and `node:http`. It calls `next` for a genuine webhook, with the raw body as
 * `request.body` and `request.rawBody` and the result as `request.webhook`. It answers challenges and duplicates itself, and
 * all other requests with status 413 (too large), 500 (a body parser ran before), 503 (the replay store failed or did not
 * answer) or 401. Mount it before any body parser.
 *
 * A webhook that was answered with a status from 200 to 299 is added to the `replayStore` of the verifier. A webhook that was
 * answered otherwise, or whose handler threw or rejected, is handled again when the sender repeats it.
 *
 * `next` is called once, without an argument, and only for a genuine webhook. An error that it throws or rejects with is
 * logged and answered with 500; frameworks catch such errors themselves. A request that was answered elsewhere in the meantime
 * is not answered again.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { webhookMiddleware, WebhookVerifier } from 'moorline';
 *
 * const verify = webhookMiddleware(new WebhookVerifier({ secret: 'a secret', scheme: 'github' }));
 * const server = createServer((request, response) => {
 *   verify(request, response, () => response.end('{}'));
 * });
 * ```
 *
 * @throws TypeError, RangeError for a verifier or an option that is not valid.
 */
export declare function webhookMiddleware(
  verifier: WebhookVerifier,
  options?: ReceiveOptions,
): (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;
type SharedConfig = Omit<WebhookVerificationConfig, 'secret'>;
/**
 * Returns the shared verifier for `secret` in this JavaScript environment. The first call for a secret creates it with
 * `config`; a different `config` later is ignored, with one warning in the log.
 */
export declare function getWebhookVerifier(
  secret: string | readonly string[] | undefined,
  config?: SharedConfig,
): WebhookVerifier;
/** Removes all shared verifiers. */
export declare function resetWebhookVerifiers(): void;
/**
 * Returns the metrics of this process as Prometheus text (format 0.0.4), the response of a `/metrics` route: requests,
 * attempts, messages and states of connections with `monitoring`, connections of pools, health checks, policies and circuit
 * breakers. docs/metrics.md lists every metric.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { metricsText } from 'moorline';
 *
 * const server = createServer((_, response) => {
 *   response.setHeader('content-type', 'text/plain; version=0.0.4').end(metricsText());
 * });
 * ```
 */
export declare function metricsText(): string;

export { types as pgTypes };

export {};
