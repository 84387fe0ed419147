/// <reference types="node" />
// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import * as WebStreams from 'node:stream/web';
import { ReadableStream as ReadableStream$1 } from 'node:stream/web';
import { URL as URL$1, URLSearchParams as URLSearchParams$1 } from 'node:url';

/** The levels of {@link Logger}, least severe first. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** One structured record. `data` never contains a secret. */
export interface LogRecord {
  /** ISO 8601. */
  timestamp: string;
  /** The same for all records of one call or one object. */
  correlationId: string;
  level: LogLevel;
  /** What happened, as `service.event`. */
  event: string;
  data: Record<string, unknown>;
}
/** Where moorline's log records go. A missing level is not logged. */
export type Logger = {
  [level in LogLevel]?: ((record: LogRecord) => void) | undefined;
};
/**
 * Sends moorline's log records elsewhere: to your own logger, or nowhere with `{}`. `undefined` restores the
 * default: JSON lines on stderr from `warn` up, or from `LOG_LEVEL`. What a logger throws, or rejects with, disturbs
 * nobody; the first time it is told on stderr.
 *
 * @throws TypeError when it is no object.
 */
export declare function setLogger(next: Logger | undefined): void;
/** Where a connection is in its life. `degraded` works, with a complaint. */
export declare const ConnectionState: Readonly<{
  readonly DISCONNECTED: 'disconnected';
  readonly CONNECTING: 'connecting';
  readonly CONNECTED: 'connected';
  readonly DISCONNECTING: 'disconnecting';
  readonly ERROR: 'error';
  readonly DEGRADED: 'degraded';
}>;
/** Where a connection is in its life. `degraded` works, with a complaint. */
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
/** What a connection is for. `http`, `websocket` and `sse` are how it speaks; the others are yours to give. */
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
/** What a connection is for. `http`, `websocket` and `sse` are how it speaks; the others are yours to give. */
export type ConnectionType = (typeof ConnectionType)[keyof typeof ConnectionType];
/** How a connection is doing; `unknown` until it was first checked. */
export declare const ConnectionHealth: Readonly<{
  readonly HEALTHY: 'healthy';
  readonly DEGRADED: 'degraded';
  readonly UNHEALTHY: 'unhealthy';
  readonly UNKNOWN: 'unknown';
}>;
/** How a connection is doing; `unknown` until it was first checked. */
export type ConnectionHealth = (typeof ConnectionHealth)[keyof typeof ConnectionHealth];
/**
 * What a connection insists on. Each level includes the ones before it, but for `none`:
 *
 * - `none`: anything; not even certificates are checked;
 * - `basic`: certificates are checked, plain text is allowed;
 * - `enhanced`: TLS 1.2 or newer except to this machine, and redirects stay on https;
 * - `maximum`: TLS 1.3 always, and only addresses on the public internet unless
 *   `customSecurityOptions.allowedHosts` names them.
 */
export declare const SecurityLevel: Readonly<{
  readonly NONE: 'none';
  readonly BASIC: 'basic';
  readonly ENHANCED: 'enhanced';
  readonly MAXIMUM: 'maximum';
}>;
/** What a connection insists on. */
export type SecurityLevel = (typeof SecurityLevel)[keyof typeof SecurityLevel];
/** What a manager does about an unhealthy connection. */
export declare const RecoveryStrategy: Readonly<{
  readonly NONE: 'none';
  readonly RECONNECT: 'reconnect';
  readonly RECONNECT_BACKOFF: 'reconnect_backoff';
  readonly FALLBACK: 'fallback';
  readonly GRACEFUL_DEGRADATION: 'graceful_degradation';
}>;
/** What a manager does about an unhealthy connection. */
export type RecoveryStrategy = (typeof RecoveryStrategy)[keyof typeof RecoveryStrategy];
/** The figures in a {@link ConnectionStatus}. */
export interface ConnectionMetrics {
  /** Mean over the last attempts, in milliseconds. */
  responseTime: number;
  /** Mean over the last requests with all their attempts and the waiting between them, in milliseconds. */
  requestTime: number;
  /** Requests a second, over the last minute. */
  throughput: number;
  /** Of the last attempt, in milliseconds. */
  latency: number;
  /** Bytes a second of the messages of a WebSocket or event stream, in both directions, over the last minute; 0 for HTTP. */
  bandwidth: number;
  /** Percent of the last requests that failed. */
  errorRate: number;
  /** Percent of the last requests that succeeded; 100 before the first. */
  availability: number;
  successCount: number;
  errorCount: number;
  totalRequests: number;
  /** A request that was repeated made several attempts. */
  totalAttempts: number;
  /** When the last request began, in milliseconds since the epoch. */
  lastRequestTime?: number;
  /** When the last request ended, in milliseconds since the epoch. */
  lastResponseTime?: number;
}
/** What a health check of a connection found. */
export interface ConnectionHealthCheck {
  connectionId: string;
  /** Milliseconds since the epoch. */
  timestamp: number;
  isHealthy: boolean;
  /** Milliseconds. */
  responseTime: number;
  /** Why it is not healthy. */
  errorMessage?: string;
  details?: Record<string, unknown>;
}
/** Where a {@link RetryStrategy} stands. */
export interface RetryContext {
  /** The attempt that failed last, from 1. */
  attempt: number;
  /** Attempts in all. */
  maxAttempts: number;
  /** Until the next attempt, in **seconds**. */
  delay: number;
  backoffMultiplier: number;
  lastError?: Error;
  /** Milliseconds since the epoch. */
  startTime: number;
}
/** How a connection proves who it is and what it insists on. */
export interface SecurityContext {
  authenticationToken?: string;
  authorizationHeaders?: Record<string, string>;
  encryptionEnabled?: boolean;
  certificateValidation?: boolean;
  customSecurityOptions?: Record<string, unknown>;
}
/** What a set of connections adds up to. */
export interface ConnectionInfo {
  totalConnections: number;
  activeConnections: number;
  healthyConnections: number;
  degradedConnections: number;
  unhealthyConnections: number;
  /** Those whose health is not known: nothing has checked them yet. */
  errorConnections: number;
  /** Milliseconds. */
  averageResponseTime: number;
  totalRequests: number;
  totalErrors: number;
  /** The worst of those whose health is known; `unknown` while none is. */
  overallHealth: ConnectionHealth;
  /** Milliseconds since the epoch. */
  lastUpdated: number;
}
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
  customSecurityOptions?:
    | {
        readonly allowedHosts?: readonly string[] | undefined;
      }
    | undefined;
  /** Whether every event is logged, too. Default false. */
  debug?: boolean | undefined;
  /** With `debug`: the least severe events that are logged. Default `debug`; without, it says nothing and is `info`. */
  logLevel?: LogLevel | undefined;
  /** TLS settings. Default: certificates are checked against the system's authorities. */
  tls?: ConnectionTls | undefined;
  /** `'environment'`, or the URL of an HTTP or SOCKS5 proxy. Default: none. */
  proxy?: string | undefined;
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
type Unset = 'name' | 'connectionType' | 'url' | 'fallbackUrl' | 'encryption' | 'tls' | 'proxy' | TransportOption;
/** Every option, as it is in force. Printed and as JSON it shows no credentials. */
export type ResolvedConnectionConfig = Required<{
  [Key in Exclude<keyof ConnectionConfig, Unset>]: Exclude<ConnectionConfig[Key], undefined>;
}> & {
  [Key in Exclude<Unset, 'name' | 'connectionType'>]: ConnectionConfig[Key];
} & {
  name: string;
  connectionType: ConnectionType;
};
/** A configuration by name. `connectionType` is unset where only the class that gets it can tell. */
export type NamedConnectionConfig = Omit<ResolvedConnectionConfig, 'connectionType'> & {
  connectionType: ConnectionType | undefined;
};
type Environment = Readonly<Record<string, unknown>>;
/**
 * Configurations by name, on top of an environment: `process.env`, or `import.meta.env` in a Vite application.
 *
 * `http`, `websocket`, `sse`, `database` and `external` are what the environment says of them
 * (`VITE_HTTP_URL`, `VITE_HTTP_TIMEOUT`, …); every other name that was not `set` gives what it says of all
 * (`VITE_CONNECTION_TIMEOUT`, …).
 */
export declare class ConnectionConfigManager {
  #private;
  /** @throws TypeError, RangeError for a variable that cannot be read, naming it. */
  constructor(env?: Environment);
  /** The configuration of that name, complete; a copy, which may be changed. Never undefined. */
  get(name: string): NamedConnectionConfig;
  /**
   * Gives a name a configuration; what it leaves out comes from the environment and the defaults.
   *
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  set(name: string, config: ConnectionConfig): void;
  /** The names that were `set`, and the protocols that the environment says something of. */
  listNames(): string[];
}
/** The words every object with a life uses for what happens to it. */
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
/** What every event carries, beside its own facts. */
export interface MoorlineEvent {
  /** Milliseconds since the epoch. */
  timestamp: number;
  service: string;
  name: string;
  [fact: string]: unknown;
}
/** What the events of a class carry, by name; an event that is not among them carries nothing of its own. */
export type EventFacts = {
  [event in EventName]?: object;
};
/**
 * The events of an object, as for `EventEmitter`: every word carries a {@link MoorlineEvent}, and what `Facts` says of it.
 */
export type EventMap<Facts extends EventFacts = EventFacts> = {
  [event in EventName]: [event: MoorlineEvent & (event extends keyof Facts ? Facts[event] : unknown)];
};
declare class Emitter<Facts extends EventFacts = EventFacts> extends EventEmitter<EventMap<Facts>> {
  #private;
  constructor(service: string, name: string);
}
/** An error, and where it came from. */
export interface ConnectionErrorFacts {
  /** What was thrown. */
  error: unknown;
  /** The verb that failed, or `connection` where it ended by itself. */
  context: string;
  /** The name of the error's class. */
  error_type: string;
}
/**
 * What the events of a connection carry in `data`, by `eventType`. Events of your own are declared beside them:
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
  /** `status` where an answer said so, else the error. */
  authentication_failed: Partial<ConnectionErrorFacts> & {
    status?: number;
  };
  reconnected: undefined;
  /** `attempt` is the one that failed, `delay_ms` the pause before the next. */
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
  /** `retry_at`: when it lets a call through again, in milliseconds since the epoch. */
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
  /** Milliseconds, percent, and requests a second. */
  metrics: {
    response_time: number;
    request_time: number;
    success: boolean;
    error_rate: number;
    throughput: number;
  };
}
/** The types of {@link ConnectionEvent}. */
export type ConnectionEventType = keyof ConnectionEventData;
/** Something that happened to a connection: `eventType` says what, and what is in `data`. */
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
/** What {@link ConnectionMetricsTracker.metrics} and a connection's `getMetrics` give. */
export interface ConnectionFigures {
  /** Requests since the beginning. */
  requestCount: number;
  /** Of which failed. */
  errorCount: number;
  /** Percent of the last requests that failed. */
  errorRate: number;
  /** Mean over the last attempts, in milliseconds. */
  averageResponseTime: number;
  /** Requests a second, over the last 60 seconds. */
  throughput: number;
  /** Percent of the last requests that succeeded; 100 before the first. */
  uptime: number;
}
/** Everything a {@link ConnectionMetricsTracker} knows. */
export interface ConnectionMetricsSummary extends ConnectionFigures {
  successCount: number;
  /** Attempts since the beginning: a request that was repeated made several. */
  attemptCount: number;
  /** Mean over the last requests with all their attempts and the waiting between them, in milliseconds. */
  averageRequestTime: number;
  /** Failures since the last success. */
  consecutiveErrors: number;
  /** Failures by type; those without one are `other`. */
  errorBreakdown: Record<string, number>;
  /** When the last request began, ISO 8601. */
  lastRequestTime?: string;
  /** When the last request ended, ISO 8601. */
  lastResponseTime?: string;
}
/**
 * Keeps the figures of a connection: means and rates over the last requests, counts since the beginning.
 */
export declare class ConnectionMetricsTracker {
  #private;
  /** @param windowSize how many requests means and rates cover, 1 to 100 000. */
  constructor(windowSize?: number);
  /**
   * Counts a request that has just ended, as one with one attempt.
   *
   * @param responseTimeMs how long it took, 0 to 8 640 000 000 000 000 (what a `Date` spans).
   * @param success whether it succeeded.
   * @param errorType what kind of failure it was; 100 kinds are told apart, by 200 characters.
   * @param bytes how much it moved in both directions, 0 to `Number.MAX_SAFE_INTEGER`.
   * @throws TypeError, RangeError for an argument of another type or out of range: then nothing is counted.
   */
  record(responseTimeMs: number, success: boolean, errorType?: string, bytes?: number): void;
  /** Mean over the last attempts, in milliseconds. */
  averageResponseTime(): number;
  /** Percent of the last requests that failed. */
  errorRate(): number;
  /** Requests a second, over the last `windowSeconds` (1 to 300, default 60). */
  throughput(windowSeconds?: number): number;
  /** Percent of the last requests that succeeded; 100 before the first. */
  uptime(): number;
  /** The figures that a connection's `getMetrics` gives. */
  metrics(): ConnectionFigures;
  /** Everything it knows. */
  summary(): ConnectionMetricsSummary;
}
/** What a connection looks like at one moment. Times are milliseconds since the epoch. */
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
/** What an event may carry. */
export interface ConnectionEventOptions {
  data?: Record<string, unknown> | undefined;
  /** Default `info`. */
  severity?: 'info' | 'warning' | 'error' | undefined;
  message?: string | undefined;
}
declare abstract class ObservableConnection extends Emitter<ConnectionFacts> {
  #private;
  /** A UUID. */
  readonly connectionId: string;
  /** The options in force. */
  readonly config: Readonly<ResolvedConnectionConfig>;
  /** A snapshot; credentials in it are redacted. */
  getStatus(): ConnectionStatus;
  /** Its figures. */
  getMetrics(): ConnectionFigures;
  /** Hears every event; gives the function that ends that. What a handler throws is logged, and disturbs nobody. */
  onEvent(handler: (event: ConnectionEvent) => unknown): () => void;
  /** Hears every change of the state. */
  onStateChange(handler: (state: ConnectionState, before: ConnectionState) => unknown): () => void;
  /** Hears every change of the health. */
  onHealthChange(handler: (health: ConnectionHealth, before: ConnectionHealth) => unknown): () => void;
  /** Tells an event of your own, or of the connection. */
  emitEvent(eventType: string, options?: ConnectionEventOptions): void;
}
/** How a connection is opened. */
export interface ConnectOptions {
  /** Whether a failed attempt is repeated, `retryCount` times at most and with growing delays. Default false. */
  retry?: boolean | undefined;
}
/**
 * What all connections have in common: state, health, events, figures, a circuit breaker, a rate limit and retries.
 * The verbs never reject: they give `false` or `null`, and an event carries the error.
 *
 * A connection of your own extends it with `sendImpl` and `receiveImpl`, and where it has more to do `connectImpl`,
 * `disconnectImpl`, `healthCheckImpl` and `isConnected`. They may throw. Overriding `connect`, `disconnect` or
 * `healthCheck` themselves works as well.
 */
export declare abstract class BaseConnection extends ObservableConnection {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: ConnectionConfig, type?: ConnectionType);
  /**
   * Opens it. True when it is open; false, with an event, when that failed. `{ retry: true }` repeats what fails and may
   * succeed later, as `retryCount`, `retryDelay` and `backoffMultiplier` say.
   */
  connect(options?: ConnectOptions): Promise<boolean>;
  /** Closes it. What waits for a message gets `null`; doing it twice does no harm. */
  disconnect(): Promise<boolean>;
  /** Closes it, waits for `retryDelay`, and opens it again; false when it is closed meanwhile. */
  reconnect(): Promise<boolean>;
  /** Whether it can be used now. */
  isConnected(): Promise<boolean>;
  /** Sends `data`. False when it could not be sent, was refused, or the circuit breaker is open. */
  send(data: unknown): Promise<any>;
  /** The next message; `null` when there is none to come. */
  receive(): Promise<any>;
  /** Asks whether it works, for at most `timeoutMs` (default `healthCheckTimeout`). Never rejects. */
  healthCheck(timeoutMs?: number): Promise<ConnectionHealthCheck>;
  /** Opens it; false or an error means that it could not be opened. */
  protected connectImpl(_options?: ConnectOptions): Promise<boolean>;
  /** Closes it. */
  protected disconnectImpl(): Promise<boolean>;
  /** Sends `data`; false means that it was not sent, an error counts against the connection. */
  protected abstract sendImpl(data: unknown): Promise<unknown>;
  /** The next message. */
  protected abstract receiveImpl(): Promise<unknown>;
  /** Whether it works; an object adds details, and its `isHealthy: false` says no. */
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean | Record<string, unknown>>;
}
/**
 * What `run` of {@link Policy} and {@link CircuitBreaker} and the borrowing methods of {@link TursoPool} accept, and,
 * with a time limit, everything that takes `QueryOptions` or `NixtlaCallOptions`.
 */
export interface CallOptions {
  /** Aborting it rejects the call with the signal's reason and frees what the call holds. */
  signal?: AbortSignal | undefined;
}
type HeadersInit =
  Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]>;
type ResponseHeaders = Record<string, string> & {
  'set-cookie'?: string[];
};
declare class BodyStream implements AsyncIterableIterator<Uint8Array> {
  #private;
  /** The next piece. */
  next(): Promise<IteratorResult<Uint8Array>>;
  /** Reads no further. */
  return(): Promise<IteratorResult<Uint8Array>>;
  /** Reads no further; a connection with a body left on it is closed. */
  cancel(): void;
  /** The same as a web stream. */
  toReadableStream(): ReadableStream$1<Uint8Array>;
  [Symbol.asyncIterator](): this;
}
/**
 * An answer to an HTTP request, whatever its status. Headers and body are parsed when they are asked for. Printed and as
 * JSON it shows its status and its URL without the query.
 */
export declare class HTTPResponse {
  #private;
  /** The status code. */
  readonly status: number;
  /** The URL it came from, after redirects, without user and password. */
  get url(): string;
  /** Whether the status is between 200 and 299. */
  get ok(): boolean;
  /** The usual words for the status. */
  get statusText(): string;
  /** The headers by name in lower case; a repeated one is joined with a comma, `set-cookie` is a list. */
  get headers(): ResponseHeaders;
  /**
   * The body: parsed when its type is JSON (`application/json`, `text/json`, `…+json`; `undefined` when it is empty or
   * blank), else as text. Throws when it is no JSON.
   */
  get data(): any;
  /** The body as text, by the charset it names, else UTF-8. */
  text(): string;
  /** The body parsed as JSON, whatever it says it is. Throws when it is none. Nobody checks that it is a `T`. */
  json<T = any>(): T;
  /** The body's bytes. */
  bytes(): Uint8Array;
  /**
   * The body of a streamed answer, piece by piece: an async iterable, read as fast as it is asked. What is not read to its
   * end must be closed, by leaving the loop or with `cancel()`.
   */
  get stream(): BodyStream;
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
  /** The whole call until its body is read, or its head when it is streamed. Default 30 000. */
  timeoutMs?: number | undefined;
  /** What attempts before this one have taken of `timeoutMs`. Default 0. */
  spentMs?: number | undefined;
  /** The same for this attempt alone. Default `Infinity`. */
  attemptTimeoutMs?: number | undefined;
  /** From the last byte sent to the head of the answer. Default 30 000, or a longer `timeoutMs`. */
  headersTimeoutMs?: number | undefined;
  /** Between two pieces of a body, sent or received. Default 30 000, or a longer `timeoutMs`. */
  bodyTimeoutMs?: number | undefined;
  /** Redirects followed at most. Default 5; 0 answers with the redirect itself. */
  maxRedirects?: number | undefined;
  /** Of a body as it comes from the network. Default 64 MiB, when it is streamed `Infinity`. */
  maxResponseBytes?: number | undefined;
  /** Of a body when unpacked. Default 256 MiB, when it is streamed `Infinity`. */
  maxDecompressedBytes?: number | undefined;
  /** Ask for and unpack gzip, br, zstd and deflate. Default true. */
  decompress?: boolean | undefined;
}
interface HttpRequest {
  /** Default `GET`, or `POST` with a body. */
  method?: string | undefined;
  url: string | URL;
  headers?: HeadersInit | undefined;
  /**
   * Added to the URL's own: an object, pairs, a `URLSearchParams`, a `Map`, or text as it is. Arrays repeat the key,
   * `undefined` and `null` are left out, a `Date` is written in ISO.
   */
  query?: QueryInit | undefined;
  /**
   * A string or bytes as they are, a stream, iterator, async iterable or `Blob` piece by piece, `URLSearchParams` and
   * `FormData` as a form, any other plain value as JSON.
   */
  body?: unknown;
  /** Hands the answer over when its head is there, with the body in `stream`. */
  stream?: boolean | undefined;
  settings?: HttpCallSettings | undefined;
}
/** A request; its `url` is appended to that of the connection. */
export interface ConnectionRequest extends Omit<HttpRequest, 'url' | 'settings'> {
  /** A path below the connection's URL, or an absolute URL: another origin gets only harmless ones of `customHeaders`. */
  url?: string | URL$1 | undefined;
  /**
   * How long the call may take in all, with its attempts and the waits between them, until its body is read, or its head
   * when it is streamed. Default: no limit but that of each attempt.
   */
  timeoutMs?: number | undefined;
  /** How long one attempt may take, in place of the connection's `timeout`. */
  attemptTimeoutMs?: number | undefined;
  /** In place of the connection's. */
  headersTimeoutMs?: number | undefined;
  /** In place of the connection's. */
  bodyTimeoutMs?: number | undefined;
  /** Redirects followed at most, in place of the connection's. 0 answers with the redirect itself. */
  maxRedirects?: number | undefined;
  /** In place of the connection's. */
  maxResponseBytes?: number | undefined;
  /** In place of the connection's. */
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
 * An HTTP service: requests over connections that are kept, with retries where a repeat is safe.
 *
 * `connect` only marks it as ready. `send` takes either a request, a value with an HTTP method in `method` and a `url`, and
 * gives the {@link HTTPResponse} whatever its status, or `null` when no answer came; or any other value, which is POSTed,
 * and gives whether the status was between 200 and 299. `request` is the form that rejects.
 */
export declare class HTTPConnection extends BaseConnection {
  #private;
  /** @throws TypeError `HTTP connection requires a URL`; TypeError, RangeError for another option. */
  constructor(config: ConnectionConfig);
  send(request: SentRequest<RequestMethod | Lowercase<RequestMethod>>): Promise<HTTPResponse | null>;
  send(request: SentRequest<string>): Promise<HTTPResponse | boolean | null>;
  send<Data>(data: NoRequest<Data>): Promise<boolean>;
  /**
   * Sends a request and gives the answer, whatever its status.
   *
   * Rejects with a {@link MoorlineError} when there was none: its `detail` tells the `phase`, and whether anything was
   * written. Aborting `signal` rejects with its reason.
   */
  request(request: ConnectionRequest, options?: CallOptions): Promise<HTTPResponse>;
  /**
   * The answer to a GET of the connection's URL: JSON parsed, other text as `{ text }`; `null` when there was none. JSON
   * that cannot be parsed is text, with an `error` event.
   */
  receive(): Promise<any>;
  protected receiveImpl(): Promise<unknown>;
  /** Never called: `send` is written anew. */
  protected sendImpl(data: unknown): Promise<unknown>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(_timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>>;
}
/** Bounds of one `receive`. */
export interface MessageOptions {
  /** Gives `null` when it is aborted. */
  signal?: AbortSignal | undefined;
  /** Gives `null` after this time. Default: waits until something comes or the connection ends. */
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
/** How a handler of `onMessage` is called. */
export interface MessageHandlerOptions {
  /** Messages that it may be at work on at once; further ones wait, in order. Default 1; `Infinity`: no limit. */
  concurrency?: number | undefined;
}
/** What a {@link ConnectionManager} has counted. */
export interface ConnectionStatistics extends ConnectionInfo {
  /** Since `start`, in milliseconds; 0 before. */
  uptimeMs: number;
  /** When it was started, in milliseconds since the epoch. */
  startTime?: number;
  totalEventsProcessed: number;
  /** How many connections each group has. */
  groups: Record<string, number>;
  /** Percent of all requests that failed. */
  errorRate: number;
}
/** Connections in groups: opened, checked and recovered together. `stop` leaves them open. */
export declare class ConnectionManager {
  #private;
  /**
   * @param options `healthCheckIntervalMs`: between two rounds of checks after `start`. Default 30 000; `Infinity`: none.
   * @throws RangeError for an interval that is none.
   */
  constructor(options?: { healthCheckIntervalMs?: number | undefined });
  /** Adds a connection. One that is here already stays where it is. */
  addConnection(connection: BaseConnection, group?: string): void;
  /** Forgets a connection, and leaves it open. False when it was not here. */
  removeConnection(connectionId: string): boolean;
  getConnection(connectionId: string): BaseConnection | undefined;
  getConnectionsByType(type: ConnectionType): BaseConnection[];
  getConnectionsByGroup(group: string): BaseConnection[];
  getConnectionsByState(state: ConnectionState): BaseConnection[];
  getConnectionsByHealth(health: ConnectionHealth): BaseConnection[];
  /** Checks all connections every now and then, and recovers the unhealthy ones. A second time does nothing. */
  start(): Promise<void>;
  /** Ends the checks. The connections stay open. */
  stop(): Promise<void>;
  /** Opens all connections, or those of one group; by id, whether that worked. */
  connectAll(group?: string): Promise<Record<string, boolean>>;
  /** Closes all connections, or those of one group; by id, whether that worked. */
  disconnectAll(group?: string): Promise<Record<string, boolean>>;
  /** Checks all connections, or those of one group, and recovers the unhealthy ones before it answers. */
  healthCheckAll(group?: string): Promise<Record<string, ConnectionHealthCheck>>;
  /** Hears every event of every connection. Gives the function that ends that. */
  addEventHandler(handler: (event: ConnectionEvent) => unknown): () => void;
  /** The same, with the event's type first. */
  addGlobalHandler(handler: (type: string, event: ConnectionEvent) => unknown): () => void;
  /** What to do about a connection when it is unhealthy, in place of its own `recoveryStrategy`. */
  setRecoveryStrategy(connectionId: string, strategy: RecoveryStrategy): void;
  /** What the connections add up to. */
  getInfo(): ConnectionInfo;
  /** What the connections add up to, and what the manager has counted. */
  getStatistics(): ConnectionStatistics;
}
/** What went wrong: the field to branch on. A closed set. */
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
 * How far the operation got: `none` when provably nothing reached the server, `answered` when a response
 * began, `unknown` in between.
 */
export type Delivery = 'none' | 'unknown' | 'answered';
/** Further facts of a {@link MoorlineError}: these, where they are known, and others. */
export interface ErrorDetail {
  /** The status of the answer that said no. */
  status?: number;
  /** Of a refused WebSocket: the headers of the answer by name. One that may carry a credential is `[redacted]`. */
  headers?: Record<string, string>;
  /** Of a refused WebSocket: how the answer's body begins, on one line, without what we sent to log in. */
  body?: string;
  /** Of a refused WebSocket: where the server sends us, without the query. */
  location?: string;
  /** The option whose time was over. */
  limit?: string;
  /** How far the call had come. */
  phase?: string;
  /** The close code of a WebSocket. */
  closeCode?: number;
  /** The reason in its close frame. */
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
  /** All fields as plain JSON, for structured logs. */
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
/** A circuit breaker refused the call; `kind` is `circuit-open`. */
export declare class CircuitBreakerError extends MoorlineError {
  /** The breaker's name. */
  readonly breaker: string;
  /** When the breaker admits a probe again. */
  readonly retryAt: Date;
  constructor(message: string, fields: ErrorFields, breaker: string, retryAt: Date);
}
/**
 * Every attempt failed. For retry loops of your own: moorline rejects with the last attempt's error itself. A circuit
 * breaker counts it as its `attempts`.
 */
export declare class RetryError extends MoorlineError {
  /** What the last attempt threw. */
  readonly lastException: unknown;
  constructor(message: string, fields: ErrorFields, lastException: unknown);
}
/** A server-sent event. */
export declare class SSEEvent {
  #private;
  /** Its type: `message` where the server names none. */
  readonly type: string;
  /** Its data; several lines are joined with `\n`. */
  readonly data: string;
  /** The id of this event, or of the last one that had an id; empty when none had. */
  readonly lastEventId: string;
  /** How long the server wants us to wait before a reconnect, in milliseconds, where it says so with this event. */
  readonly retry?: number;
  /**
   * Says that the event was handled, so that a durable cursor may move past it. Without it `receive` says so when it is
   * called again, `for await` when it asks for the next event, and `onMessage` when its handlers are done.
   */
  ack(): void;
  /** The data parsed as JSON. Throws when it is none. Nobody checks that it is a `T`. */
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
  /** The next message; `null` when the connection has ended, or ends first, or nothing comes in time. */
  receive(options?: MessageOptions): Promise<Parsed | null>;
  /**
   * Subscribes to every message from now on, instead of `receive`: one after the other, each when the promise that `handler` gave for
   * the one before is settled, unless `concurrency` says otherwise. Returns the function that ends the subscription.
   *
   * It keeps the process alive while the connection is open, or is being brought back, unless `unref` was called.
   */
  onMessage(handler: (message: Parsed) => unknown, options?: MessageHandlerOptions): () => void;
  /** Lets the process end although messages are waited for or heard. */
  unref(): this;
  /** Undoes `unref`: who waits for a message, or hears them, keeps the process alive. */
  ref(): this;
  /**
   * The messages one after the other, through losses and reconnections. It ends with `disconnect`, and when the server has
   * brought the connection to its end; it rejects with the reason when the connection was never opened, or is given up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined>;
  /** Both refuse: a class that sends has its own, and `receive` takes from the queue. */
  protected sendImpl(_data: unknown): Promise<unknown>;
  protected receiveImpl(): Promise<unknown>;
  protected connectImpl({ retry }?: ConnectOptions): Promise<boolean>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean>;
}
/**
 * A stream of server-sent events, brought back when it is lost: the next one goes on after the last event that came
 * (`Last-Event-ID`), and not before the server's own `retry:` has passed.
 *
 * `receive` gives one {@link SSEEvent} after the other. Nothing can be sent.
 *
 * `customOptions.cursor`, `{ url: 'file:cursors.db', name: 'orders' }`, keeps the id of the last event that was handled, with
 * all before it, in a libSQL database: a new process goes on there. Every event is handled at least once. It was handled
 * when `for await` asks for the next one, when the promises of all `onMessage` handlers are fulfilled, when `receive` is
 * called again, or when `event.ack()` is called. A handler that fails, and a loop that is left, hold the cursor where it is:
 * events go on coming, and those from there on come again with the next connection or process.
 *
 * `customOptions.lastEventId` is a position of your own: the first connection goes on after it, whatever a cursor says.
 */
export declare class SSEConnection extends PersistentConnection<SSEEvent> {
  #private;
  /** @throws TypeError `SSE connection requires a URL`; TypeError, RangeError for another option. */
  constructor(config: ConnectionConfig);
  /** The id after which the next connection goes on; empty when there was none. */
  get lastEventId(): string;
  /** Where the stream that is open, or was last, comes from: after redirects, without user and password; empty before. */
  get url(): string;
  /**
   * The next event; `null` when the connection has ended, or ends first, or nothing comes in time. With a cursor it says
   * that the events which `receive` gave before were handled.
   */
  receive(options?: MessageOptions): Promise<SSEEvent | null>;
  /**
   * The events one after the other, through losses and reconnections. It ends with `disconnect`, with status 204, and where
   * the server's end of the stream is not followed by another; it rejects with the reason when the connection was never
   * opened, or is given up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<SSEEvent, void, undefined>;
  /** Always false: events come from the server only. That is no error. */
  send(_data?: unknown): Promise<boolean>;
  protected parse(event: SSEEvent): SSEEvent;
  protected disconnectImpl(): Promise<boolean>;
}
/**
 * A WebSocket to a server, brought back when it is lost.
 *
 * `send` takes text and bytes as they are and anything else as JSON; `receive` gives JSON parsed, other text as
 * `{ text }` and binary messages as a `Buffer`; with `customOptions: { parse: false }` all text is given as it came. Pings are
 * sent every `keepAlive` milliseconds, and answered, by a native
 * thread: a busy event loop does not make the other side give up.
 *
 * `Message` is what the caller says of the messages: nothing checks that they are.
 */
export declare class WebSocketConnection<Message = any> extends PersistentConnection<string | Buffer, Message> {
  #private;
  /** @throws TypeError `WebSocket connection requires a URL`; TypeError, RangeError for another option. */
  constructor(config: ConnectionConfig);
  /** The sub-protocol that the server chose, or an empty string. */
  get protocol(): string;
  /**
   * Closes it. What waits for a message gets `null`; what had come before can still be received. The server is told `code`
   * (1000, or from 3000 to 4999; default 1000) and `reason` (at most 123 bytes; default none).
   *
   * Rejects, and leaves it open, for a code or a reason that cannot be sent.
   */
  disconnect(code?: number, reason?: string): Promise<boolean>;
  /**
   * Sends a message: true when it is written to the socket, which may mean waiting for room. False when it was not, with an
   * event that carries the reason; where nothing is open that is an `error` of kind `closed`.
   */
  send(data: unknown): Promise<boolean>;
  protected sendImpl(message: unknown): Promise<boolean>;
  protected parse(message: string | Buffer): Message;
  protected healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}
/**
 * Says how something is doing. What it returns, or resolves with, is judged, and so are the promises among the members
 * of that:
 *
 * - something with a `healthCheck()` of its own, such as a pool or a connection, by what that says;
 * - an error, and a promise's result that was `rejected`, is unhealthy, with its message and its causes;
 * - an object with `healthy`, `isHealthy`, `ok`, `success`, `status` or `statusCode` by those, the worst of them counting
 *   (a status is a word such as `'degraded'`, a boolean or an HTTP status code; the others are booleans, or 0 and 1, and
 *   anything else there is unhealthy); one with none of them, but with an `error`, is unhealthy. Its `error` and
 *   `metadata` are kept with the result;
 * - a list or a plain object that says none of that by its members, the worst of them counting: `Promise.allSettled`,
 *   `{ db: { status: 'down' } }`;
 * - a text that is such a word by that, and anything else by being truthy, as the `'PONG'` of Redis is.
 *
 * What it throws is unhealthy. The signal is aborted when the check has timed out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;
/** How a check, or the whole, is doing. `degraded` works, with a complaint. */
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
/** Options of one check; given to a monitor, they are the defaults of its checks. */
export interface HealthCheckOptions {
  /** Whether its failure makes the whole `unhealthy`; otherwise the whole is only `degraded`. Default true. */
  critical?: boolean | undefined;
  /** How long the checker may take; then it is unhealthy and its signal is aborted. Default 5000. */
  timeoutMs?: number | undefined;
  /** After {@link HealthMonitor.start}: time from one run to the next, ±10 %. Default 30 000; `Infinity`: never. */
  intervalMs?: number | undefined;
  /** After {@link HealthMonitor.register}: time to the first periodic run. Default 0: at once. */
  initialDelayMs?: number | undefined;
  /** A healthy answer that took longer is `degraded`. Default `Infinity`. */
  degradedAboveMs?: number | undefined;
  /** Failures in a row that make a check unhealthy. Default 1; 3 is usual for a probe that flaps. */
  fall?: number | undefined;
  /** Successes in a row that bring an unhealthy check back. Default 1; 2 is usual for a probe that flaps. */
  rise?: number | undefined;
  /** How many results are kept for this name. Default 100. */
  historyCapacity?: number | undefined;
}
/** The result of one run of a checker. */
export interface HealthCheckResult {
  name: string;
  /** The status of the check after this run: with `fall` or `rise` above 1 it may lag behind the run. */
  status: HealthStatus;
  /** Whether it still does its work: true unless `unhealthy`. */
  healthy: boolean;
  /** When the run ended. */
  timestamp: Date;
  latencyMs: number;
  /** Why the run failed, where that is known. */
  error?: string;
  /** The checker's own `metadata`, as JSON keeps it. */
  metadata?: Record<string, unknown>;
}
/** The last result of every check that has run, and what they add up to. */
export interface HealthReport {
  /** A critical check that is unhealthy makes it `unhealthy`, any other complaint `degraded`. */
  status: HealthStatus;
  timestamp: Date;
  /** How long the checks took together; they run in parallel. */
  durationMs: number;
  /** In the order of registration. */
  checks: HealthCheckResult[];
  summary: {
    total: number;
    healthy: number;
    degraded: number;
    unhealthy: number;
  };
}
/** Figures over the history of one name. Without history they are zero, never absent. */
export interface HealthStats {
  name: string;
  /** Results since the name was registered. */
  totalChecks: number;
  /** Share of the kept results that were not unhealthy, 0 to 1. */
  successRate: number;
  avgLatencyMs: number;
  p50LatencyMs: number;
  p95LatencyMs: number;
  p99LatencyMs: number;
  consecutiveFailures: number;
  /** Share of the observed time, 0 to 1, in which the status was not unhealthy. */
  uptimeRatio: number;
  /** When the last result came. */
  lastCheck?: Date;
  /** When the status last changed. */
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
 * Watches the health of what a service depends on: checkers by name, run in parallel, each with a timeout, on
 * demand or (after {@link start}) periodically.
 *
 * Emits `health` for every result, `state` when a check's status changes, `error` when a checker threw or
 * timed out.
 */
export declare class HealthMonitor extends Emitter<HealthFacts> {
  #private;
  /** @param defaults What checks are told that say nothing else. */
  constructor(defaults?: HealthCheckOptions);
  /**
   * Registers a checker. One of the same name is replaced, with a warning: its last result is forgotten, its
   * history stays.
   *
   * @param options `false` or `{ critical: false }` for what the service can do without.
   */
  register(name: string, checker: HealthCheckFunction, options?: boolean | HealthCheckOptions): void;
  /** Forgets a checker and its history. Returns whether it was registered. */
  unregister(name: string): boolean;
  /** Forgets all checkers and their history. */
  clear(): void;
  /** The registered names, in the order of registration. */
  listCheckers(): string[];
  /**
   * Runs one checker; while it runs already, waits for that run. An unhealthy answer, an error and a timeout
   * are results: only an unknown name rejects.
   */
  check(name: string): Promise<HealthCheckResult>;
  /** Runs all checkers in parallel. Never rejects, and takes no longer than the longest timeout. */
  checkAll(): Promise<HealthReport>;
  /** The last result of a check, if it has run since it was registered. */
  getLastCheck(name: string): HealthCheckResult | undefined;
  /** The last results of all checks that have run, in the order of registration. */
  getLastChecks(): HealthCheckResult[];
  /** The kept results of one name, or of all names, oldest first. */
  getHistory(name?: string): HealthCheckResult[];
  /** Figures over the history of one name: zeros when there is none. */
  getStats(name: string): HealthStats;
  /** The options in force for a check, or the defaults of the monitor; `undefined` for an unknown name. */
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  /**
   * From now on runs every check when it is due: `initialDelayMs` after it was registered, which is at once unless that
   * is given, then every `intervalMs`. Does not keep the process alive, but goes on, and keeps the monitor, until `stop`.
   */
  start(): void;
  /**
   * Ends the periodic runs; those in progress come to their end. In `metricsText()` its checks are in no status then, until
   * they run again.
   */
  stop(): void;
  /** Stops the monitor. */
  [Symbol.dispose](): void;
}
/** The shared monitor of this JavaScript environment; `defaults` count at the first call. */
export declare function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor;
/** Stops and forgets the shared monitor. */
export declare function resetHealthMonitor(): void;
/** {@link HealthMonitor.register} on the shared monitor. */
export declare function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void;
/** {@link HealthMonitor.checkAll} on the shared monitor. */
export declare function checkAllHealth(): Promise<HealthReport>;
/** {@link HealthMonitor.check} on the shared monitor. */
export declare function checkHealth(name: string): Promise<HealthCheckResult>;
/** Runs health checks by id, every 30 seconds and for at most 5, on the same monitor as everything else's health. */
export declare class HealthChecker {
  #private;
  /** @param options what the checks are told that say nothing else. */
  constructor(options?: HealthCheckOptions);
  /**
   * The result of a check, as connections have it.
   *
   * @param responseTime in milliseconds.
   */
  static result(
    connectionId: string,
    isHealthy: boolean,
    responseTime: number,
    errorMessage?: string,
    details?: Record<string, unknown>,
  ): ConnectionHealthCheck;
  /** From now on runs every check when it is due: at once, then periodically. Does not keep the process alive. */
  start(): void;
  /** Ends the periodic runs; those in progress come to their end. */
  stop(): void;
  /**
   * Adds a check: a function that gives a {@link ConnectionHealthCheck}, or whatever {@link HealthMonitor} takes. The
   * signal it is handed is aborted when it has taken too long.
   */
  add(id: string, check: HealthCheckFunction): void;
  /** Removes a check. Returns whether it was there. */
  remove(id: string): boolean;
  /** Runs a check now. Rejects only when there is none of that id. */
  check(id: string): Promise<ConnectionHealthCheck>;
  /** The last result of a check, if it has run. */
  lastResult(id: string): ConnectionHealthCheck | undefined;
}
/** What a {@link SecurityLevel} means. */
export interface ConnectionSecurityInfo {
  securityLevel: SecurityLevel;
  /** Whether the server's certificate is checked. */
  certificateValidation: boolean;
  /** Where plain text may go: `loopback` is this machine. */
  plainText: 'anywhere' | 'loopback' | 'nowhere';
  /** The oldest TLS that is spoken. */
  minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Whether a redirect from https to http is refused. */
  httpsOnlyRedirects: boolean;
  /** Whether only the public internet, and `customSecurityOptions.allowedHosts`, can be reached. */
  publicAddressesOnly: boolean;
}
/** What a security level means, and the headers that tell a server who is calling. */
export declare class ConnectionSecurity {
  #private;
  /** @param level Default `basic`. */
  constructor(level?: SecurityLevel);
  /**
   * `Authorization: Bearer …` for a token, `X-API-Key` for a key; a `null` or missing one gives no header.
   *
   * @throws TypeError for one that cannot stand in a header. It is not shown.
   */
  createAuthorizationHeaders(token?: string | null, apiKey?: string | null): Record<string, string>;
  /** What the level means. */
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
  /** Connections at most. Default: the connections' `maxConnections`, which is 10. */
  maxSize?: number | undefined;
  /** Connections kept open at least. Default 0. */
  minSize?: number | undefined;
  /** How long a free connection is kept. Default 300 s. */
  maxIdleTime?: number | undefined;
  /** How long `acquire` waits, making a connection included. Default 10 s. */
  acquireTimeout?: number | undefined;
  /** How long checking a connection, or closing one that was given back, may take. Default 5 s. */
  releaseTimeout?: number | undefined;
  /** Time between two health checks of the free connections. Default 60 s. */
  healthCheckInterval?: number | undefined;
  /** Time between two rounds that remove free connections which are no longer open. Default 120 s. */
  cleanupInterval?: number | undefined;
  /** How long making a connection may take. Default 30 s. */
  connectTimeout?: number | undefined;
  /** How long a connection lives, ±25 %; it is never taken from a borrower for its age. Default 1800 s. */
  maxLifetime?: number | undefined;
  /**
   * A connection held longer than this is reported with the borrower's stack. Default 30 s, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfter?: number | undefined;
}
/** Makes a connection for a pool; nothing, or an error, means that it could not. */
export type PoolFactory<T> = (config: ConnectionConfig) => T | null | undefined | PromiseLike<T | null | undefined>;
/** What a {@link ConnectionPool} has. */
export interface PoolStats {
  /** Free connections. */
  poolSize: number;
  /** Connections somebody holds, or that are being made for somebody. */
  inUse: number;
  /** Connections there are, being made and being closed included; never above `maxSize`. */
  totalConnections: number;
  maxSize: number;
  minSize: number;
  /** How many more can be had without waiting for somebody. */
  available: number;
  /** Percent of `maxSize` in use. */
  utilization: number;
  /** Borrowers in the queue. */
  waiting: number;
}
/**
 * Lends connections that are used again: yours, made by a factory. What has a `connect()` is connected before it is
 * lent, and what has a `disconnect()` is disconnected when the pool lets go of it.
 *
 * Waiters are served in order, there are never more than `maxSize` connections, and an idle pool does not keep the
 * process alive. A connection that was free for a while is asked whether it is well (`healthCheck()`, else
 * `isConnected()`) before it is lent.
 *
 * Emits `acquire`, `release`, `create`, `destroy`, `timeout`, `leak`, `drain`, `close` and, for what nobody waits for,
 * `error`.
 */
export declare class ConnectionPool<T> extends Emitter<PoolFacts<T>> {
  #private;
  /**
   * Nothing is connected yet.
   *
   * @param factory makes a connection from `connectionConfig`, or from what the environment says of all connections.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, factory: PoolFactory<T>, connectionConfig?: ConnectionConfig);
  /**
   * Opens `minSize` connections and begins to check the free ones. Ready when they are there, or when one could not
   * be made: that is an `error` event, and it is tried again. Can be called again after `stop`.
   */
  start(): Promise<void>;
  /**
   * Borrows a connection: a free one, a new one below `maxSize`, else the next that is given back. When none can be
   * made it is tried again until the time is over.
   *
   * @param timeoutSeconds how long to wait, in **seconds**. Default `acquireTimeout`.
   * @returns `null` when the time is over, the pool was stopped or `signal` aborted; never rejects for these.
   */
  acquire(timeoutSeconds?: number, options?: CallOptions): Promise<T | null>;
  /**
   * Gives a connection back. False for one that was not borrowed here, or was given back before: then nothing
   * happens.
   */
  release(connection: T): Promise<boolean>;
  /**
   * Lends a connection to `fn` and takes it back in any case. Gives what `fn` gives, and what it throws passes through
   * unchanged; rejects with a {@link MoorlineError} of kind `pool-timeout` when none could be had in time, `closed`
   * when the pool was stopped. Aborting `signal` rejects with its reason.
   */
  use<R>(
    fn: (connection: T) => R | PromiseLike<R>,
    options?: CallOptions & {
      timeoutSeconds?: number | undefined;
    },
  ): Promise<R>;
  /** Disconnects everything, what is borrowed included, and gives `null` to those who wait. */
  stop(): Promise<void>;
  /** What it has. */
  stats(): PoolStats;
  /** The options in force, with every default; times in milliseconds. */
  options(): Record<string, unknown>;
  /** As `stop`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/** A pool of open WebSockets to one server. */
export declare class WebSocketConnectionPool extends ConnectionPool<WebSocketConnection> {
  /**
   * @param connectionConfig of each of them; `maxConnections` is how many there may be where `config` has no `maxSize`.
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range.
   */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/**
 * A pool of {@link HTTPConnection}s, each with a breaker, a rate limit and sockets of its own. One connection serves many
 * requests at once already: this is for those who want to keep them apart.
 */
export declare class HTTPConnectionPool extends ConnectionPool<HTTPConnection> {
  /** As {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/** A pool of open event streams from one server. */
export declare class SSEConnectionPool extends ConnectionPool<SSEConnection> {
  /** As {@link WebSocketConnectionPool}. */
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
/**
 * A clock, in milliseconds: `Date` and `performance` are two. For tests with fake timers, which the addon does not
 * see.
 */
export interface Clock {
  now(): number;
}
type ErrorClass = abstract new (...args: never[]) => Error;
/** Which errors are meant: those of a class, those a predicate says yes to, or moorline's of one kind. */
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;
/** What a function under a policy is handed. */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Aborted when the attempt has taken too long, or the caller gave up. Pass it on to whatever you call. */
  readonly signal: AbortSignal;
}
/** A function under a policy. */
export type Guarded<T> = (attempt: Attempt) => T | PromiseLike<T>;
/** How to repeat what fails. Extend it for one of your own. */
export declare abstract class RetryStrategy {
  /**
   * Runs `fn` until it succeeds or was tried often enough, and gives what it gives. Rejects with the error of the last
   * attempt itself; what is thrown and is no `Error` becomes the `cause` of one.
   */
  abstract execute<T>(fn: () => Promise<T>): Promise<T>;
}
declare abstract class CountedRetry extends RetryStrategy {
  #private;
  constructor(kind: 'exponential' | 'linear' | 'jitter', given: Record<string, unknown>);
  /**
   * Runs `fn` until it succeeds or was tried `maxAttempts` times, and gives what it gives. Between `n` attempts are
   * `n - 1` waits, or what an error's `retryAfterMs` asks for, up to a minute.
   *
   * Rejects with the error of the last attempt itself; what is thrown and is no `Error` becomes the `cause` of one. An
   * abort, and a {@link MoorlineError} that is not `retryable`, are not repeated. Aborting `signal` rejects at once
   * with its reason, also during a wait.
   */
  execute<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** The options in force; times in milliseconds. */
  options(): Record<string, unknown>;
}
/** Waits longer and longer: `new ExponentialBackoffRetry(5, 1, 2)` makes 5 attempts, with 1, 2, 4 and 8 s between them. */
export declare class ExponentialBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait, in **seconds**. Default 1.
   * @param multiplier from one wait to the next. Default 2.
   */
  constructor(maxAttempts?: number, baseDelay?: number, multiplier?: number);
}
/** Waits a little longer each time: `new LinearBackoffRetry(3, 1, 2)` makes 3 attempts, with 1 and 3 s between them. */
export declare class LinearBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait, in **seconds**. Default 1.
   * @param increment what each wait adds, in **seconds**. Default 1.
   */
  constructor(maxAttempts?: number, baseDelay?: number, increment?: number);
}
/**
 * Doubles the wait each time and spreads it, so that many clients do not come back at the same moment:
 * `new JitterRetry(4, 1, 0.5)` makes 4 attempts, with 1, 2 and 4 s ± 50 % between them.
 */
export declare class JitterRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait before it is spread, in **seconds**. Default 1.
   * @param jitterFactor how far it is spread up and down, 0 to 1. Default 0.1.
   */
  constructor(maxAttempts?: number, baseDelay?: number, jitterFactor?: number);
}
/** A failure of a libSQL operation, with the codes `@libsql/client` gives it. */
export declare class LibsqlError extends MoorlineError {
  /** SQLite's extended code, such as `SQLITE_CONSTRAINT_PRIMARYKEY`. */
  readonly extendedCode?: string;
  /** SQLite's own number for {@link extendedCode}. */
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
/** A failure of one statement of a batch. */
export declare class LibsqlBatchError extends LibsqlError {
  /** The index of the statement, from 0. */
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
/** What can be passed as an argument of a statement. */
export type InValue = Value | boolean | Uint8Array | Date;
/** Arguments by position (`?`) or by name (`:name`, `@name`, `$name`). */
export type InArgs = readonly InValue[] | Readonly<Record<string, InValue>>;
/** SQL text, or SQL text with its arguments. */
export type InStatement =
  | {
      readonly sql: string;
      readonly args?: InArgs | undefined;
    }
  | string;
/** How SQLite integers reach JavaScript. */
export type IntMode = 'number' | 'bigint' | 'string';
/**
 * One row, a plain object: its enumerable members are the columns by name. The values by index, and `length`, are members
 * that are not enumerable and cannot be set; an index keeps its value when a column is set.
 */
export interface Row {
  /** How many columns it has. */
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
/** The result of one statement. `T` is what you say of its rows, as in `execute<User>(…)`; nothing checks it. */
export interface ResultSet<T = Row> {
  /** The names of the columns. */
  columns: string[];
  /** Their types as declared in the schema; empty where there is none. */
  columnTypes: string[];
  rows: T[];
  /** How many rows an INSERT, UPDATE or DELETE changed. */
  rowsAffected: number;
  /** The ROWID of the last row it inserted; undefined for statements that insert nothing. */
  lastInsertRowid: bigint | undefined;
  /** For `JSON.stringify`: rows as arrays, bigints as strings, blobs as base64. */
  toJSON(): unknown;
}
/**
 * How a transaction begins: `write` waits for the write lock at once (`BEGIN IMMEDIATE`), `read` takes none,
 * `deferred` takes it at its first write and may then fail.
 */
export type TransactionMode = 'write' | 'read' | 'deferred';
/** Bounds of one call. */
export interface QueryOptions extends CallOptions {
  /** In place of the pool's `queryTimeoutMs`; `Infinity` for none. */
  timeoutMs?: number | undefined;
}
/** A statement of a batch: SQL, `{ sql, args }` or `[sql, args]`. */
export type BatchStatement = InStatement | readonly [sql: string, args?: InArgs];
/**
 * An interactive transaction. It must be ended: by `commit`, by `rollback`, or by `close`, which rolls back
 * what was not committed. `await using` does the last.
 */
export interface Transaction {
  /**
   * Whether it has ended: also when a statement such as `COMMIT` or `INSERT OR ROLLBACK` has ended it, but for a
   * server's, which is not asked.
   */
  readonly closed: boolean;
  /** Runs one statement in the transaction. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs statements in order; the first failure stops the batch but not the transaction. */
  batch<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Makes all changes permanent and ends the transaction. */
  commit(options?: QueryOptions): Promise<void>;
  /** Undoes all changes and ends the transaction; after its end it does nothing. */
  rollback(options?: QueryOptions): Promise<void>;
  /** Ends the transaction, rolling back what was not committed. Does nothing after its end. */
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * One connection of a pool, from `getConnection` to its release. All its statements run on the same
 * connection, one at a time; after the release every call is refused with kind `closed`.
 */
export declare class PooledClient {
  #private;
  /** Which of the pool's connections this is: equal numbers, equal connection. */
  readonly connectionId: number;
  /** `file` for files and memory, `http` for servers. */
  readonly protocol: string;
  /** Whether it was released. */
  get closed(): boolean;
  /** Runs one statement. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs statements in a transaction of their own: all of them, or none. The default mode is `deferred`. */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** As `batch`, with foreign keys off around it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Begins an interactive transaction on this connection. The default mode is `write`. */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Embedded replicas are not in this build, so there is nothing to synchronize: always rejects. */
  sync(): Promise<never>;
  /** Gives the connection back to its pool, as `releaseConnection` does. */
  close(): void;
  [Symbol.dispose](): void;
}
/** Options of a {@link TursoPool}. Every wait is finite unless `Infinity` turns its limit off. */
export interface TursoPoolConfig {
  /**
   * `file:path`, `:memory:` (one database for all connections of the pool), or a server: `libsql://`,
   * `https://`, `http://`. `?authToken=` and `?tls=0` are read from a server's URL.
   */
  url: string;
  /** The token of a remote database. */
  authToken?: string | undefined;
  /** For `libsql:` URLs: `false` speaks plain HTTP. Default true. */
  tls?: boolean | undefined;
  /** Connections at most, opened as they are needed. Default 5. */
  poolSize?: number | undefined;
  /** Connections kept open at least. Default 0. */
  min?: number | undefined;
  /** Free connections kept at most. Default `poolSize`. */
  maxIdle?: number | undefined;
  /** How long `getConnection` waits for a free connection, in milliseconds. Default 10 000. */
  connectionTimeoutMs?: number | undefined;
  /** How long opening one connection may take. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long one statement, batch or transaction step may take; its connection is then discarded. Default 30 000. */
  queryTimeoutMs?: number | undefined;
  /**
   * How long a statement waits for another connection's lock on a file or on memory; never for a transaction that is open
   * on memory. Default 5000.
   */
  busyTimeoutMs?: number | undefined;
  /** How long a free connection is kept. Default 300 000. */
  idleTimeoutMs?: number | undefined;
  /** How long a connection lives, ±25 %; it is never taken from a borrower for its age. Default 1 800 000. */
  maxLifetimeMs?: number | undefined;
  /**
   * From how much idle time on a connection is checked before it is lent. Default `Infinity`; a lower value changes
   * nothing here, as there is nothing to ask: a file is there or not, and a server's stream is judged by its age when
   * it is used, and outside a transaction replaced unseen.
   */
  validateAfterMs?: number | undefined;
  /** How long that check may take. Default 5000. */
  validateTimeoutMs?: number | undefined;
  /** How long closing a connection may take before it is cut. Default 5000. */
  closeTimeoutMs?: number | undefined;
  /** Borrowers that may wait at once; one more is refused with kind `overloaded`. Default 10 000. */
  maxWaiters?: number | undefined;
  /**
   * A connection held longer than this is reported with the borrower's stack. Default 30 000, in production
   * (`ENVIRONMENT`, else `NODE_ENV`) `Infinity`.
   */
  leakAfterMs?: number | undefined;
  /** How SQLite integers reach JavaScript. Default `number`, which refuses one it cannot represent. */
  intMode?: IntMode | undefined;
}
/** How many connections a pool has. */
export interface TursoPoolStats {
  /** Open or being opened. */
  total: number;
  /** Lent to somebody. */
  inUse: number;
  /** Free. */
  available: number;
  /** Borrowers in the queue. */
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
 * Connections are lent by `getConnection` (give them back with `releaseConnection`) or for the time of a
 * function by `withConnection`; `execute`, `batch` and the other verbs borrow one for a single call. Waiters
 * are served in order, never more than `poolSize` connections are open, and an idle pool does not keep the
 * process alive.
 *
 * Every failure is a `LibsqlError` with the code `@libsql/client` gives (`SQLITE_CONSTRAINT`, …).
 */
export declare class TursoPool extends Emitter<TursoFacts> {
  #private;
  /**
   * @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. Nothing
   * is connected yet.
   */
  constructor(config: TursoPoolConfig);
  /** `file` for files and memory, `http` for servers. */
  get protocol(): string;
  /**
   * Borrows a connection: a free one at once, a new one below `poolSize`, else the next that is given back.
   *
   * Rejects with `Connection timeout after <n>ms (connectionTimeoutMs)` (kind `pool-timeout`) and, after `drain`, with
   * `Pool is shutting down` (kind `closed`).
   */
  getConnection(options?: CallOptions): Promise<PooledClient>;
  /**
   * Gives a connection back. A client of another pool, or one that was given back before, changes nothing:
   * a warning is logged.
   */
  releaseConnection(client: PooledClient): void;
  /** Lends a connection to `use` and takes it back in any case. What `use` throws passes through unchanged. */
  withConnection<T>(use: (client: PooledClient) => T | Promise<T>, options?: CallOptions): Promise<T>;
  /** Runs one statement on a connection borrowed for it. */
  execute<T = Row>(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet<T>>;
  /** Runs statements in one transaction: all of them, or none. The default mode is `deferred`. */
  batch<T = Row>(
    statements: readonly BatchStatement[],
    mode?: TransactionMode,
    options?: QueryOptions,
  ): Promise<ResultSet<T>[]>;
  /** As `batch`, with foreign keys off around it. */
  migrate<T = Row>(statements: readonly BatchStatement[], options?: QueryOptions): Promise<ResultSet<T>[]>;
  /** Runs a script of several statements without arguments. */
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  /** Begins an interactive transaction on a connection that it gives back at its end. The default mode is `write`. */
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  /** Whether a connection can be had and answers `SELECT 1`. Never rejects. */
  healthCheck(): Promise<boolean>;
  /** How many connections there are. */
  getStats(): TursoPoolStats;
  /**
   * Ends the pool: new and waiting borrowers are refused with `Pool is shutting down`, current ones may
   * finish. After `timeoutMs` (default 30 000) what is still borrowed is closed with a warning.
   */
  drain(timeoutMs?: number): Promise<void>;
  /** As `drain`. */
  [Symbol.asyncDispose](): Promise<void>;
}
/**
 * The pool of this JavaScript environment. The first call decides its configuration. Without one it reads the variables
 * of the module whose API this is, `INTENTVISION_DB_URL` (default `file:db/intentvision.db`) and
 * `INTENTVISION_DB_AUTH_TOKEN`, and its errors name them.
 */
export declare function getTursoPool(config?: TursoPoolConfig): TursoPool;
/** Drains that pool and forgets it. */
export declare function resetTursoPool(): Promise<void>;
/** The states of a circuit breaker. */
export declare const CircuitState: Readonly<{
  readonly CLOSED: 'closed';
  readonly OPEN: 'open';
  readonly HALF_OPEN: 'half-open';
}>;
/** The states of a circuit breaker. */
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];
/** What a breaker looks like at one moment. */
export interface CircuitSnapshot {
  name: string;
  /** Stays `open` past `nextAttemptTime` until a call asks. */
  state: CircuitState;
  /** Failures that count towards opening; when open, those that opened it. */
  failures: number;
  /** Probes that succeeded so far; 0 unless half-open. */
  successes: number;
  /** The last failure that counted. */
  lastFailureTime?: Date;
  /** When an open breaker lets a probe through. */
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  /** Calls that were refused; they are no requests. */
  totalRefused: number;
  stateChanges: number;
}
/** When a breaker opens, for how long, and what closes it. */
export interface BreakerOptions {
  /** Failures in a row that open it. Default 5. */
  failMax?: number | undefined;
  /** Share of failed calls (0 to 1) within `windowMs` that opens it, instead of `failMax`. Default 0.5 once asked for. */
  failureRatio?: number | undefined;
  /** With a ratio: fewer calls than this in the window decide nothing. Default 10. */
  minCalls?: number | undefined;
  /** With a ratio: how long a call counts. Default 30 000. */
  windowMs?: number | undefined;
  /** How long it stays open before it lets probes through. Default 60 000. */
  resetTimeoutMs?: number | undefined;
  /** Each failed probe doubles the open time up to this. Default: the open time stays the same. */
  maxResetTimeoutMs?: number | undefined;
  /** Probes that must succeed before it closes. Default 1. */
  successThreshold?: number | undefined;
  /** Probes that may run at once. Default 3. */
  halfOpenMaxCalls?: number | undefined;
  /** A probe that takes longer counts as failed, so that a lost one cannot keep it half-open. Default 30 000. */
  probeTimeoutMs?: number | undefined;
  /** Errors that are neither success nor failure: classes, predicates, or kinds of {@link MoorlineError}. */
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  /**
   * As how many failures an error counts, a whole number or `Infinity`; 0 is neither success nor failure. Default: 1; 0 for aborts, for refusals
   * by moorline and for answers that do not blame the service (a 4xx except 408 and 429); the number of its
   * attempts for a {@link RetryError}.
   */
  failureWeight?: ((error: unknown) => number) | undefined;
}
/** Options of a {@link CircuitBreaker} of its own. */
export interface CircuitBreakerOptions extends BreakerOptions {
  /**
   * The clock, for tests with fake timers: `Date`. One that throws or gives what is no time ends the call that asks it with
   * a `TypeError` or `RangeError`, which counts for nothing. Default: the clock of the process. Breakers of one name should
   * have one clock.
   */
  clock?: Clock | undefined;
}
interface StateFacts {
  from: CircuitState;
  to: CircuitState;
}
/**
 * A circuit breaker around functions: after a few failures it refuses calls for a while instead of waiting for
 * what does not answer, and then finds out with a few probes.
 *
 * Breakers of one name are one breaker, in the whole process: all worker threads share its state, and the options
 * given first win. Emits `state` with `{ from, to }`.
 */
export declare class CircuitBreaker extends Emitter<{
  state: StateFacts;
}> {
  #private;
  /** Its name. */
  readonly name: string;
  constructor(name: string, options?: CircuitBreakerOptions);
  /** The state of every breaker of the process, those of moorline's own services included. */
  static all(): CircuitSnapshot[];
  /**
   * Runs `fn` unless the breaker is open, and counts how it ends. Its value and its error come out unchanged; a
   * refused call rejects with {@link CircuitBreakerError}.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** The state now. */
  get state(): CircuitState;
  /** The state with its counters. */
  snapshot(): CircuitSnapshot;
  /** The options in force. */
  options(): Record<string, unknown>;
  /** Opens it, as if it had failed too often. With `hold` it stays open until somebody closes it. */
  open(options?: { hold?: boolean | undefined }): void;
  /** Lets probes through at once. */
  halfOpen(): void;
  /** Closes it and forgets the failures. */
  close(): void;
  /** Closes it and forgets also when it last failed. */
  reset(): void;
}
/** What every asynchronous method of {@link NixtlaClient} but `healthCheck`, and every method of a job, accepts. */
export interface NixtlaCallOptions extends CallOptions {
  /** How long the whole call may take, with its retries. Default: as long as its attempts do. */
  timeoutMs?: number | undefined;
}
/** A request the service works on by itself; made by `NixtlaClient.submit`. */
export declare class NixtlaJob<Answer> {
  #private;
  /** The service's name for it. */
  readonly id: string;
  /** What the service says of it: `pending`, `running`, `succeeded`, `failed` or `cancelled`. */
  status(options?: NixtlaCallOptions): Promise<string>;
  /**
   * Waits for the answer, asking after it every half second at first and every 15 s in the end.
   *
   * After `timeoutMs` (default an hour) the job is cancelled and the call rejects with kind `timeout`. Aborting
   * `signal` only ends the wait: the job goes on.
   */
  result(options?: NixtlaCallOptions): Promise<Answer>;
  /** Cancels it. Resolves with false when there is nothing to cancel any more. */
  cancel(options?: NixtlaCallOptions): Promise<boolean>;
}
/** One measurement. */
export interface NixtlaPoint {
  /** Which series it belongs to, where there are several; then every point has one. */
  id?: string | number | undefined;
  /** An ISO 8601 string (without an offset: UTC), a `Date`, or milliseconds since 1970. */
  timestamp: Value | Date;
  /** A finite number. */
  value: Value;
}
/** What every request has. It is checked whole before anything is sent. */
export interface NixtlaSeriesRequest {
  /** The points, in any order. Each series must be regular: no gaps, no repeated times. */
  timeseries: readonly NixtlaPoint[];
  /**
   * How far apart the points are: `1h`, `15min`, `D`, `B`, `W`, `MS`, `QS`, … (pandas' names, and the shorter ones
   * people write). Inferred from the spacing when it is left out.
   */
  frequency?: string | undefined;
  /** The model; default: the client's. */
  model?: string | undefined;
  /** A model that was made with `finetune`. */
  finetunedModelId?: string | undefined;
  /** Steps of fine-tuning. Default 0, in `finetune` 10. */
  finetuneSteps?: number | undefined;
  /** How many layers are tuned, 1 to 5. Default 1. */
  finetuneDepth?: number | undefined;
  /** What fine-tuning minimises. Default `default`. */
  finetuneLoss?: 'default' | 'mae' | 'mse' | 'rmse' | 'mape' | 'smape' | 'poisson' | undefined;
}
/** Asks for a forecast. */
export interface NixtlaForecastRequest extends NixtlaSeriesRequest {
  /** How many points ahead. */
  horizon: number;
  /** Levels of the intervals that are wanted, between 0 and 1. */
  confidenceLevels?: readonly number[] | undefined;
}
/** Asks how past values would have been forecast. */
export interface NixtlaCrossValidationRequest extends NixtlaForecastRequest {
  /** How many windows. Default 1. */
  windows?: number | undefined;
  /** How many points lie between two windows. Default `horizon`. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned anew in each window. Default true. */
  refit?: boolean | undefined;
}
/** Asks which points are not where they were to be expected. */
export interface NixtlaAnomalyRequest extends NixtlaSeriesRequest {
  /** The confidence level of the interval an anomaly lies outside of, between 0 and 1. Default 0.99. */
  level?: number | undefined;
}
/** Asks which of the last points are not where they were to be expected before they were known. */
export interface NixtlaOnlineAnomalyRequest extends NixtlaAnomalyRequest {
  /** How many points ahead each point is forecast. */
  horizon: number;
  /** How many of the last points are judged. */
  detectionSize: number;
  /** Whether each series is judged alone or all together. Default `univariate`. */
  thresholdMethod?: 'univariate' | 'multivariate' | undefined;
  /** How many points lie between two forecasts. Default: the service's choice. */
  stepSize?: number | undefined;
  /** Whether the model is fine-tuned anew at each step. Default false. */
  refit?: boolean | undefined;
}
/** Asks for a fine-tuned model. */
export interface NixtlaFinetuneRequest extends NixtlaSeriesRequest {
  /** The new model's name: 1 to 36 letters, digits, `-` or `_`. Default: the service's choice. */
  outputModelId?: string | undefined;
}
/** How an answer came about. */
export interface NixtlaModelInfo {
  /** The service, or the local model that stood in for it. */
  source: 'service' | 'local';
  model: string;
  /** The frequency in the service's spelling. */
  frequency: string;
  /** HTTP requests this took, retries included. */
  requests: number;
  /** Tokens, as the service counts them. */
  inputTokens?: number;
  outputTokens?: number;
  finetuneTokens?: number;
  /** Why the local model answered: `auth` without a key, `circuit-open`, or the kind of the last failure. */
  fallbackReason?: string;
}
/** The bounds of a level. */
export interface NixtlaInterval {
  lower: number;
  upper: number;
}
/** A predicted point. */
export interface NixtlaPrediction {
  id?: string;
  /** Written as in the request; ISO 8601 in UTC for a `Date` or a number. */
  timestamp: string;
  value: number;
  /** By level, as it was asked for: `intervals['0.95']`. */
  intervals?: Record<string, NixtlaInterval>;
}
/** A forecast. */
export interface NixtlaForecastResponse {
  /** Series after series, each in the order of time. */
  predictions: NixtlaPrediction[];
  modelInfo?: NixtlaModelInfo;
}
/** Past values beside their forecasts. */
export interface NixtlaCrossValidationResponse {
  forecasts: (NixtlaPrediction & {
    /** The last time that the forecast knew. */
    cutoff: string;
    actual: number;
  })[];
  modelInfo: NixtlaModelInfo;
}
/** A judged point. */
export interface NixtlaAnomaly {
  id?: string;
  timestamp: string;
  value: number;
  /** The distance from the expected value in half-widths of the interval: above 1 is an anomaly. 0: not judged. */
  score: number;
  isAnomaly: boolean;
  /** Absent where the point was not judged: the service looks at the last part of a series only. */
  expected?: number;
  lower?: number;
  upper?: number;
}
/** Every point of the request, judged. */
export interface NixtlaAnomalyResponse {
  anomalies: NixtlaAnomaly[];
  modelInfo: NixtlaModelInfo;
}
/** A new model. */
export interface NixtlaFinetuneResponse {
  finetunedModelId: string;
  modelInfo: NixtlaModelInfo;
}
/** What can be handed over as a job: request and answer by the method's name. */
export interface NixtlaJobs {
  forecast: [NixtlaForecastRequest, NixtlaForecastResponse];
  crossValidate: [NixtlaCrossValidationRequest, NixtlaCrossValidationResponse];
  onlineAnomalies: [NixtlaOnlineAnomalyRequest, NixtlaAnomalyResponse];
  finetune: [NixtlaFinetuneRequest, NixtlaFinetuneResponse];
}
/** A fine-tuned model of the account, as the service describes it. */
export interface NixtlaFinetunedModel {
  id: string;
  [fact: string]: unknown;
}
/** Requests used and allowed, as the service says. */
export interface NixtlaUsage {
  minute?: Record<string, number>;
  month?: Record<string, number>;
  [fact: string]: unknown;
}
/** TLS settings. */
export interface NixtlaTls {
  /** The authorities that are trusted, instead of the system's and those of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  /** The client's certificate chain; `key` belongs to it. */
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  /** The name the certificate must be valid for. Default: the URL's host. */
  serverName?: string | undefined;
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `false` accepts any certificate. Default true. */
  rejectUnauthorized?: boolean | undefined;
}
/** Options of a {@link NixtlaClient}. */
export interface NixtlaClientConfig {
  /** The key, sent as `Authorization: Bearer …`. Default: `NIXTLA_API_KEY`. Without one every call rejects. */
  apiKey?: string | undefined;
  /** Default: `NIXTLA_BASE_URL`, else `https://api.nixtla.io`. */
  baseUrl?: string | undefined;
  /** How long one attempt may take, in milliseconds. Default 30 000. */
  timeout?: number | undefined;
  /** Attempts after the first. Default 3. */
  maxRetries?: number | undefined;
  /** The wait before the first retry; it doubles with each, ±10 %, up to a minute. Default 1000. */
  baseDelayMs?: number | undefined;
  /** Failed calls (each with all its retries) that open the circuit breaker. Default 5. */
  circuitBreakerThreshold?: number | undefined;
  /** How long it stays open. Default 30 000. */
  circuitBreakerResetMs?: number | undefined;
  /**
   * `'local'`: forecasts and anomalies come from a local model where there is no key, the breaker is open, or the
   * service is down. Answers say so in `modelInfo.source`.
   */
  fallback?: 'local' | undefined;
  /** The model of requests that name none. Default `timegpt-2.1`. */
  model?: string | undefined;
  /** Sends only as many points as the model looks at, as the vendor's client does. Default true. */
  restrictInput?: boolean | undefined;
  /** How long is remembered how many that are. Default 3 600 000. */
  modelParamsTtlMs?: number | undefined;
  /** How long connecting may take. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** Where the endpoints are, if not where the service has them. */
  paths?: NixtlaPaths | undefined;
  /** TLS settings; PEM text, its bytes, or the path of a PEM file. */
  tls?: NixtlaTls | undefined;
  /** `'environment'` (`HTTPS_PROXY`, …) or a proxy's URL. Default: none. */
  proxy?: string | undefined;
}
/** The endpoints, relative to the base URL; each begins with a slash. */
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
/** The circuit breaker at one moment. It says `open` until a call asks, even past `nextAttemptTime`. */
export interface CircuitBreakerState {
  state: 'closed' | 'open' | 'half-open';
  /** Failed calls since the last success. */
  failures: number;
  lastFailureTime?: Date;
  /** When an open breaker lets a call through. */
  nextAttemptTime?: Date;
}
/** What a client has used so far. */
export interface NixtlaStats {
  /** HTTP requests of every kind, retries included. */
  requests: number;
  inputTokens: number;
  outputTokens: number;
  finetuneTokens: number;
  /** Calls that the local model answered. */
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
 * A client of Nixtla's TimeGPT: forecasts, anomalies, cross validation, fine-tuning.
 *
 * What passes (a lost connection, a timeout, 408, 429, 5xx) is retried, as late as the service asks; calls that
 * still fail open a circuit breaker. Mistakes of the caller are neither retried nor counted. Points that are
 * irregular or not finite are refused with a `TypeError` or `RangeError` that names the first of them, before
 * anything is sent.
 *
 * Emits `state` when the breaker changes, `health` for each health check, `error` for each call that failed.
 */
export declare class NixtlaClient extends Emitter<NixtlaFacts> {
  #private;
  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config?: NixtlaClientConfig);
  /** Forecasts the next `horizon` points of each series. */
  forecast(request: NixtlaForecastRequest, options?: NixtlaCallOptions): Promise<NixtlaForecastResponse>;
  /** Judges the points of each series; the service looks at the last part of it. */
  detectAnomalies(request: NixtlaAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Judges the last `detectionSize` points of each series by forecasts made before they were known. */
  onlineAnomalies(request: NixtlaOnlineAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  /** Forecasts the past, to compare with what happened. */
  crossValidate(
    request: NixtlaCrossValidationRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaCrossValidationResponse>;
  /** Makes a model that is tuned to the series. Repeated only where the service provably has not begun. */
  finetune(request: NixtlaFinetuneRequest, options?: NixtlaCallOptions): Promise<NixtlaFinetuneResponse>;
  /**
   * Hands a request over for the service to work on by itself, for what takes longer than a request may.
   * Repeated only where the service provably has not accepted it.
   */
  submit<Operation extends keyof NixtlaJobs>(
    operation: Operation,
    request: NixtlaJobs[Operation][0],
    options?: NixtlaCallOptions,
  ): Promise<NixtlaJob<NixtlaJobs[Operation][1]>>;
  /** The fine-tuned models of the account. */
  finetunedModels(options?: NixtlaCallOptions): Promise<NixtlaFinetunedModel[]>;
  /** Deletes a fine-tuned model. Resolves with false when there is no such model. */
  deleteFinetunedModel(id: string, options?: NixtlaCallOptions): Promise<boolean>;
  /** Requests used and allowed per minute and month. */
  usage(options?: NixtlaCallOptions): Promise<NixtlaUsage>;
  /** Whether the service answers within 5 s and accepts the key. Passes the breaker by; never rejects. */
  healthCheck(): Promise<boolean>;
  /** The circuit breaker now. */
  getCircuitBreakerState(): CircuitBreakerState;
  /** Closes the circuit breaker and forgets its failures. */
  resetCircuitBreaker(): void;
  /** What this client has used so far. */
  stats(): NixtlaStats;
}
/**
 * The client of this JavaScript environment. The first call decides its configuration.
 *
 * @throws Error `NIXTLA_API_KEY environment variable is required` where there is neither a key nor a fallback.
 */
export declare function getNixtlaClient(config?: NixtlaClientConfig): NixtlaClient;
/** Forgets that client. */
export declare function resetNixtlaClient(): void;
/** How often to repeat, and after how long. */
export interface RetryOptions {
  /** Extra attempts after the first. Default 2. */
  maxRetries?: number | undefined;
  /** The delay before the first retry. Default 200. */
  baseDelayMs?: number | undefined;
  /** The cap of the delay, before jitter. Default 20 000. */
  maxDelayMs?: number | undefined;
  /** How the delay grows. Default `exponential`. */
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  /** With `exponential`: the factor from one retry to the next. Default 2. */
  exponentialBase?: number | undefined;
  /** With `linear`: what each retry adds. Default `baseDelayMs`. */
  incrementMs?: number | undefined;
  /** `full`: anything from 0 to the delay; a fraction: ± that much of it; `true`: ± 10 %. Default `full`. */
  jitter?: boolean | number | 'full' | undefined;
  /** An error's `retryAfterMs` is honoured up to this; beyond it the call fails at once. Default 60 000. */
  maxRetryAfterMs?: number | undefined;
  /**
   * Retries are limited to a share of the calls, and some per second: they must not multiply the load of a service
   * that is down. Default 0.2 and 10 over 10 000 ms; `false` for no such limit.
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
   * Errors that are worth a repeat: classes, predicates, or kinds of {@link MoorlineError}. Default: every error but
   * an abort; a {@link MoorlineError} says itself (`retryable`).
   */
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}
/**
 * How often to run: at most `perSecond` in any second, or `max` in any stretch of `windowMs`; a rate that is no whole
 * number is kept by running evenly spaced. Attempts wait for their turn in order, and hold their place in the bulkhead, if
 * there is one, while they do: it is the beginnings of attempts that are bounded.
 */
export interface RateLimitOptions {
  perSecond?: number | undefined;
  max?: number | undefined;
  /** With `max`. Default 1000. */
  windowMs?: number | undefined;
  /**
   * Makes it a token bucket: so many may run at once after a pause, then one at a time as the rate gives back. A window may
   * then see `burst` more than the rate says. Default: no bucket, and no window sees more than it may.
   */
  burst?: number | undefined;
  /** How many may wait; with a bulkhead no more come so far than it has places. Default 1000. */
  maxQueue?: number | undefined;
  /** How long one may wait for its turn. Default 30 000. */
  maxWaitMs?: number | undefined;
}
/** How many at once. */
export interface BulkheadOptions {
  /** Attempts that may run, or wait for the rate limit, at once. Default 64. */
  maxConcurrent?: number | undefined;
  /** Attempts that may wait for a place, first come, first served. Default 256. */
  maxQueue?: number | undefined;
}
/**
 * The parts of a {@link Policy}. Only the two timeouts apply unasked; every other part is off until it is given: as
 * an object, or `true` for its defaults, which a rate limit has not.
 */
export interface PolicyOptions {
  /** Names it in errors, events and metrics. Policies with a breaker and the same name share that breaker. */
  name?: string | undefined;
  /** How long a call may take in all, with its retries and waiting. Default 30 000; `Infinity` turns it off. */
  timeoutMs?: number | undefined;
  /** How long one attempt may take. Default 10 000; `Infinity` turns it off. */
  attemptTimeoutMs?: number | undefined;
  retry?: boolean | RetryOptions | undefined;
  /** `counts`: whether each attempt is a success or failure (default), or a call with all its retries. */
  breaker?:
    | boolean
    | (BreakerOptions & {
        counts?: 'attempts' | 'calls' | undefined;
      })
    | undefined;
  rateLimit?: false | RateLimitOptions | undefined;
  bulkhead?: boolean | BulkheadOptions | undefined;
  /**
   * The clock, for tests with fake timers: `Date`. One that throws or gives what is no time ends the call that asks it with
   * a `TypeError` or `RangeError`, which counts for nothing. Default: the clock of the process.
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
 */
export declare class Policy extends Emitter<PolicyFacts> {
  #private;
  /** Its name. */
  readonly name: string;
  constructor(options?: PolicyOptions);
  /**
   * Runs `fn` under the policy. It is handed `{ attempt, signal }`; pass the signal on, so that an attempt that has
   * taken too long really ends. Gives what `fn` gives; rejects with the error of the last attempt, or, when no
   * attempt could be made, with a {@link MoorlineError} that says why.
   *
   * Aborting `signal` rejects at once with its reason, also between two attempts.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T>;
  /** The state of its breaker, if it has one. */
  breaker(): CircuitSnapshot | undefined;
  /** The options in force, with every default. A part that is off is `false`. */
  options(): Record<string, unknown>;
}
/**
 * Where accepted requests are remembered: in this process, or in a database that several processes share.
 *
 * With all three methods a request is remembered once its handler has succeeded, and only one of several copies that
 * arrive at the same time is handled; with `remember` alone it is remembered before it is handled.
 *
 * {@link WebhookVerifier.verify} and {@link WebhookVerifier.verifyRequest} do not wait: a store that gives promises is
 * for {@link receiveWebhook} and {@link webhookMiddleware}.
 */
export interface WebhookReplayStore {
  /**
   * Remembers `key` for `ttlMs`, a finite number, and tells whether it is new, in one step: of several calls for one key at the same time
   * one is told `true`.
   */
  remember(key: string, ttlMs: number): boolean | PromiseLike<boolean>;
  /** Whether `key` is remembered. */
  has?(key: string): boolean | PromiseLike<boolean>;
  /** Forgets `key`. */
  forget?(key: string): unknown;
}
/**
 * Remembers accepted requests in this process, so that a captured one is not accepted again.
 *
 * What counts as the same request is its signed content: a sender's retry with a new timestamp passes, a retry of a
 * scheme without timestamps (GitHub, Shopify) does not until 24 hours later, or `maxAgeMs` where that is longer.
 */
export declare class MemoryReplayStore implements WebhookReplayStore {
  #private;
  /** @param capacity How many requests are remembered at most; the one that expires first makes room. Default 100 000. */
  constructor(options?: { capacity?: number | undefined });
  /** Remembers a request for `ttlMs`, and tells whether it is new. */
  remember(key: string, ttlMs: number): boolean;
  has(key: string): boolean;
  /** Forgets a request, by its result's `replayKey`. */
  forget(key: string): void;
}
/** The schemes moorline knows by name; `generic` is `t=…,v1=…`, `sha256=…` or raw hex in `X-Webhook-Signature`. */
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
/** A scheme of your own. */
export interface WebhookSchemeDescription {
  /** What results call it. */
  name: string;
  /** The header with the signature. */
  header: string;
  /** What is signed: `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}` stand for themselves. `{body}` must be there. */
  content: string;
  /** What stands before the signature in its header. Default nothing. */
  prefix?: string | undefined;
  /** Where the header has named fields, one of them the timestamp. Default separator `,`, names `t` and `v1`. */
  fields?:
    | {
        separator?: string | undefined;
        timestamp?: string | undefined;
        signature?: string | undefined;
      }
    | undefined;
  /** HMAC with `sha256` (default) or `sha1`, or `ed25519`. */
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  /** How the signature is written. Default `hex`. */
  encoding?: 'hex' | 'base64' | undefined;
  /** How the secret is written. Default `text`. */
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  /** The header with the timestamp, where it has one of its own. */
  timestampHeader?: string | undefined;
  /** Default `s`. */
  timestampUnit?: 's' | 'ms' | undefined;
  /** The header with the delivery's id. */
  idHeader?: string | undefined;
}
/** Options of a {@link WebhookVerifier}. */
export interface WebhookVerificationConfig {
  /** The shared secret (a public key for Ed25519), or several while they are rotated, newest first. Must not be empty. */
  secret: string | readonly string[] | undefined;
  /**
   * How old a signed timestamp may be, in milliseconds. Default 300 000 (Linear 60 000, Paddle 5000); `Infinity`: any age,
   * which is refused beside a `replayStore`, as that would have to remember for ever.
   */
  maxAgeMs?: number | undefined;
  /** How far ahead a signed timestamp may be, in milliseconds. Default 60 000 (Paddle 5000). */
  toleranceMs?: number | undefined;
  /** The scheme or schemes that are accepted. Default: whichever the request carries. Name it where you know it. */
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  /**
   * The public URL of the endpoint as the sender calls it, for Twilio, Square and HubSpot, which sign it. The path and
   * query of a request are tried on its origin, too, so that one verifier serves several endpoints.
   */
  url?: string | undefined;
  /** The store by which a request that was accepted before is a duplicate. See {@link MemoryReplayStore}. */
  replayStore?: WebhookReplayStore | undefined;
}
/** The parts of a signature header. */
export interface WebhookSignatureHeader {
  /** Seconds since the epoch; the current time where the header has none. */
  timestamp: number;
  /** In lower-case hex. */
  signature: string;
  /** `v1` or `sha256`; absent for a raw signature. */
  version?: string;
}
/** What {@link WebhookVerifier.verify} found out. */
export interface VerificationResult {
  valid: boolean;
  /** Why it is not: `Invalid signature format`, `Webhook too old (…)`, `Webhook timestamp is in the future`, `Signature mismatch` or `Verification error: …`. */
  reason?: string;
  /** The request is genuine, but was accepted before: the `replayStore` knows it. `valid` is false. */
  duplicate?: true;
  /** The signed timestamp in seconds, where there is one. */
  timestamp?: number;
  /** What the `replayStore` remembers of it. */
  replayKey?: string;
}
/** What {@link WebhookVerifier.verifyRequest} found out. */
export interface RequestVerificationResult extends VerificationResult {
  /** The scheme it was judged by; `undefined` when the request carries none. */
  scheme: string | undefined;
  /** The delivery's id, where the scheme has one; deduplicate by it. Only Standard Webhooks signs it. */
  id?: string;
  /** Which secret matched, by its position: retire the old one when it is no longer seen. */
  secretIndex?: number;
}
/** Headers as Node, Express or Fetch give them; names in any case. */
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | {
      readonly [name: string]: string | readonly string[] | number | undefined;
    };
/** A request as it came in. */
export interface WebhookRequest {
  headers: WebhookHeaders;
  /** The raw body, as bytes or as the text that came over the wire. */
  body: string | Uint8Array;
  /** Default `POST`. */
  method?: string | undefined;
  /**
   * The URL as the sender called it, or its path and query as a server sees them. The verifier's `url` then has the
   * origin, and counts itself where a proxy cuts off a part of the path or escapes the query differently.
   */
  url?: string | undefined;
  /** Milliseconds since the epoch. Default `Date.now()`. */
  now?: number | undefined;
}
/** What to sign with {@link WebhookVerifier.signRequest}. */
export interface WebhookSigning {
  body: string | Uint8Array;
  /** The delivery's id, where the scheme signs one. */
  id?: string | undefined;
  /** Default `POST`. */
  method?: string | undefined;
  /** Default the verifier's `url`. */
  url?: string | undefined;
  /** Seconds since the epoch. Default now. */
  timestamp?: number | undefined;
}
/**
 * Verifies and signs webhooks, over the raw bytes, in constant time, under one or several secrets.
 *
 * It answers on the calling thread.
 */
export declare class WebhookVerifier {
  #private;
  constructor(config: WebhookVerificationConfig);
  /** The endpoint's public URL, where it was given. */
  get url(): string | undefined;
  /**
   * Whether `signature` is one of `payload`. Never throws.
   *
   * @param payload The raw body. A parsed object is refused, with the middleware to change in `reason`.
   * @param signature The value of the signature's header, `undefined` when the request has none.
   * @param secret Another secret, or several, for this call.
   */
  verify(
    payload: string | Uint8Array,
    signature: string | readonly string[] | undefined,
    secret?: string | readonly string[],
  ): VerificationResult;
  /** Judges a whole request: finds its signature, timestamp and id in the headers. Never throws. */
  verifyRequest(request: WebhookRequest): RequestVerificationResult;
  /**
   * What to answer, as JSON with status 200, a provider that checks who owns this endpoint: Zoom's
   * `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. `undefined` for every other request
   * and for one that is not genuine.
   */
  challenge(request: WebhookRequest): Record<string, unknown> | undefined;
  /**
   * The value of the signature's header for `payload`: `t=…,v1=…` unless the verifier has another scheme.
   *
   * @param timestamp Seconds since the epoch. Default now.
   */
  sign(payload: string | Uint8Array, timestamp?: number): string;
  /** All headers that a signed request carries under the verifier's scheme. */
  signRequest(signing: WebhookSigning): Record<string, string>;
}
/** Whether `signature` is one of `payload` under `secret`, with the default options. An empty secret throws. */
export declare function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean;
/** Signs `payload`: `t=<seconds>,v1=<hex>`, for the header `X-Webhook-Signature`. */
export declare function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string;
/** Takes `t=…,v1=…`, `sha256=…` or a raw hex signature apart; `null` for anything else. Verifies nothing. */
export declare function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null;
/** A Fetch `Request`, as Hono, Next and the edge runtimes give it. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}
/** Options of {@link webhookMiddleware}, and of {@link receiveWebhook}. */
export interface ReceiveOptions {
  /** The largest body that is read, in bytes. Default 10 MiB. */
  limitBytes?: number | undefined;
  /** How long the whole body may take to arrive, in milliseconds. Default 10 000; `Infinity`: as long as it likes. */
  timeoutMs?: number | undefined;
  /**
   * The URL that the sender signed, where a proxy turns it into another path or query. Default: what the request says, on
   * the origin of the verifier's `url`, or that `url` itself.
   */
  url?: string | undefined;
  /** The status for a request that was handled before, by the verifier's `replayStore`. Default 200. */
  duplicateStatus?: number | undefined;
  /**
   * How long a request that is being handled is kept from being handled a second time, in case the process ends before it
   * is done, in milliseconds. Default 300 000.
   */
  claimMs?: number | undefined;
  /**
   * How long the verifier's `replayStore` may take for each answer, in milliseconds; then the request is answered with 503,
   * and the sender asks again. Default 5000; `Infinity`: as long as it likes.
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
/** A received webhook: the result, and the raw body to parse. */
export interface ReceivedWebhook extends RequestVerificationResult {
  body: Buffer;
  /**
   * The HTTP status to answer with: 200 for a genuine webhook and for a duplicate of one that was handled, 409 for a duplicate
   * of one that is being handled, 413 for a body above the limit, 500 behind a body parser and for a handler that
   * failed, 503 for a replay store that failed or did not answer in time, else 401.
   */
  status: number;
  /** What to answer as JSON, where the provider only checks who owns the endpoint. */
  challenge?: Record<string, unknown>;
  /** What `handle` threw or rejected with, or the replay store; `ETIMEDOUT` where that did not answer in time. */
  error?: unknown;
}
/**
 * Reads the raw body of a request of `node:http`, Express, Next or Fetch, verifies it, and lets `handle` do its work once.
 * Never rejects for what the sender did – forging, sending too much, too slowly, or only half of it: then `valid` is
 * false – nor for what the handler did.
 *
 * Call it before any body parser. A body that `express.raw()` kept, or a `rawBody`, is used as it is.
 */
export declare function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options?: ReceiveAndHandleOptions,
): Promise<ReceivedWebhook>;
/** A request that passed {@link webhookMiddleware}. */
export interface VerifiedRequest extends IncomingMessage {
  /** The result, with the raw body. */
  webhook?: ReceivedWebhook;
  /** The raw body. */
  rawBody?: Buffer;
}
declare global {
  namespace Express {
    interface Request {
      /** The result of moorline's `webhookMiddleware`, with the raw body. */
      webhook?: ReceivedWebhook;
    }
  }
}
/**
 * Middleware for Express, Connect and `node:http`: lets genuine webhooks pass, with the raw body as `body` and
 * `rawBody` and the result as `webhook`; answers challenges and duplicates by itself, and to all others 413 (too large), 500
 * (a body parser came first), 503 (the replay store failed or did not answer) or 401. Mount it before any body parser.
 *
 * With a `replayStore` a webhook is remembered when it was answered with a status from 200 to 299. One that was answered
 * otherwise, or whose handler threw or rejected, is handled again when the sender repeats it.
 *
 * `next` is called once, without an argument, and only for a genuine webhook. What it throws, or rejects with, is logged
 * and answered with 500; frameworks catch that themselves. A request that somebody else has answered meanwhile is not answered again.
 *
 * @throws RangeError for an option that is out of range.
 */
export declare function webhookMiddleware(
  verifier: WebhookVerifier,
  options?: ReceiveOptions,
): (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;
type SharedConfig = Omit<WebhookVerificationConfig, 'secret'>;
/**
 * The shared verifier for `secret` in this JavaScript environment. `config` counts when this call makes it; another
 * one later changes nothing, which is warned about once.
 */
export declare function getWebhookVerifier(
  secret: string | readonly string[] | undefined,
  config?: SharedConfig,
): WebhookVerifier;
/** Forgets all shared verifiers. */
export declare function resetWebhookVerifiers(): void;
/**
 * What moorline counts in this process, as Prometheus text (format 0.0.4), ready to be the answer of a `/metrics` route:
 * requests, attempts, messages and states of connections with `monitoring`, connections of pools, health checks, policies and
 * circuit breakers. docs/metrics.md lists every metric.
 */
export declare function metricsText(): string;

export {};
