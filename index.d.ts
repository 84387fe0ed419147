// The public contract of moorline, folded from lib/ by `npm run build`. Review it; do not edit it.

import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { ReadableStream as ReadableStream$1 } from 'node:stream/web';

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
export type Delivery = 'none' | 'unknown' | 'answered';
export interface ErrorFields {
  kind: ErrorKind;
  code: string;
  service: string;
  operation: string;
  delivery: Delivery;
  retryable: boolean;
  attempts: number;
  retryAfterMs?: number;
  detail?: Record<string, unknown>;
}
export declare class MoorlineError extends Error implements ErrorFields {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly service: string;
  readonly operation: string;
  readonly delivery: Delivery;
  readonly retryable: boolean;
  readonly attempts: number;
  readonly retryAfterMs?: number;
  readonly detail?: Record<string, unknown>;
  constructor(message: string, fields: ErrorFields, options?: ErrorOptions);
  toJSON(): ErrorFields & {
    name: string;
    message: string;
    cause?: string;
  };
}
export declare class CircuitBreakerError extends MoorlineError {
  readonly breaker: string;
  readonly retryAt: Date;
  constructor(message: string, fields: ErrorFields, breaker: string, retryAt: Date);
}
export declare class RetryError extends MoorlineError {
  readonly lastException: unknown;
  constructor(message: string, fields: ErrorFields, lastException: unknown);
}
export interface CallOptions {
  signal?: AbortSignal | undefined;
}
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
export interface MoorlineEvent {
  timestamp: number;
  service: string;
  name: string;
  [fact: string]: unknown;
}
export type EventMap = {
  [event in EventName]: [event: MoorlineEvent];
};
declare class Emitter extends EventEmitter<EventMap> {
  #private;
  constructor(service: string, name: string);
}
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;
export type HealthStatus = 'healthy' | 'degraded' | 'unhealthy';
export interface HealthCheckOptions {
  critical?: boolean | undefined;
  timeoutMs?: number | undefined;
  intervalMs?: number | undefined;
  initialDelayMs?: number | undefined;
  degradedAboveMs?: number | undefined;
  fall?: number | undefined;
  rise?: number | undefined;
  historyCapacity?: number | undefined;
}
export interface HealthCheckResult {
  name: string;
  status: HealthStatus;
  healthy: boolean;
  timestamp: Date;
  latencyMs: number;
  error?: string;
  metadata?: Record<string, unknown>;
}
export interface HealthReport {
  status: HealthStatus;
  timestamp: Date;
  durationMs: number;
  checks: HealthCheckResult[];
  summary: {
    total: number;
    healthy: number;
    degraded: number;
    unhealthy: number;
  };
}
export interface HealthStats {
  name: string;
  totalChecks: number;
  successRate: number;
  avgLatencyMs: number;
  p50LatencyMs: number;
  p95LatencyMs: number;
  p99LatencyMs: number;
  consecutiveFailures: number;
  uptimeRatio: number;
  lastCheck?: Date;
  lastChange?: Date;
}
export declare class HealthMonitor extends Emitter {
  #private;
  constructor(defaults?: HealthCheckOptions);
  register(name: string, checker: HealthCheckFunction, options?: boolean | HealthCheckOptions): void;
  unregister(name: string): boolean;
  clear(): void;
  listCheckers(): string[];
  check(name: string): Promise<HealthCheckResult>;
  checkAll(): Promise<HealthReport>;
  getLastCheck(name: string): HealthCheckResult | undefined;
  getLastChecks(): HealthCheckResult[];
  getHistory(name?: string): HealthCheckResult[];
  getStats(name: string): HealthStats;
  options(): Required<HealthCheckOptions>;
  options(name: string): Required<HealthCheckOptions> | undefined;
  start(): void;
  stop(): void;
  [Symbol.dispose](): void;
}
export declare function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor;
export declare function resetHealthMonitor(): void;
export declare function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void;
export declare function checkAllHealth(): Promise<HealthReport>;
export declare function checkHealth(name: string): Promise<HealthCheckResult>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export interface LogRecord {
  timestamp: string;
  correlationId: string;
  level: LogLevel;
  event: string;
  data: Record<string, unknown>;
}
export type Logger = {
  [level in LogLevel]?: ((record: LogRecord) => void) | undefined;
};
export declare function setLogger(next: Logger | undefined): void;
export declare const ConnectionState: Readonly<{
  readonly DISCONNECTED: 'disconnected';
  readonly CONNECTING: 'connecting';
  readonly CONNECTED: 'connected';
  readonly DISCONNECTING: 'disconnecting';
  readonly ERROR: 'error';
  readonly DEGRADED: 'degraded';
}>;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
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
export type ConnectionType = (typeof ConnectionType)[keyof typeof ConnectionType];
export declare const ConnectionHealth: Readonly<{
  readonly HEALTHY: 'healthy';
  readonly DEGRADED: 'degraded';
  readonly UNHEALTHY: 'unhealthy';
  readonly UNKNOWN: 'unknown';
}>;
export type ConnectionHealth = (typeof ConnectionHealth)[keyof typeof ConnectionHealth];
export declare const SecurityLevel: Readonly<{
  readonly NONE: 'none';
  readonly BASIC: 'basic';
  readonly ENHANCED: 'enhanced';
  readonly MAXIMUM: 'maximum';
}>;
export type SecurityLevel = (typeof SecurityLevel)[keyof typeof SecurityLevel];
export declare const RecoveryStrategy: Readonly<{
  readonly NONE: 'none';
  readonly RECONNECT: 'reconnect';
  readonly RECONNECT_BACKOFF: 'reconnect_backoff';
  readonly FALLBACK: 'fallback';
  readonly GRACEFUL_DEGRADATION: 'graceful_degradation';
}>;
export type RecoveryStrategy = (typeof RecoveryStrategy)[keyof typeof RecoveryStrategy];
export interface ConnectionMetrics {
  responseTime: number;
  throughput: number;
  latency: number;
  bandwidth: number;
  errorRate: number;
  availability: number;
  successCount: number;
  errorCount: number;
  totalRequests: number;
  lastRequestTime?: number;
  lastResponseTime?: number;
}
export interface ConnectionStatus {
  connectionId: string;
  name: string;
  connectionType: ConnectionType;
  state: ConnectionState;
  health: ConnectionHealth;
  config: ResolvedConnectionConfig;
  metrics: ConnectionMetrics;
  lastHealthCheck?: number;
  lastError?: string;
  errorCount: number;
  consecutiveErrors: number;
  createdAt: number;
  updatedAt: number;
  isActive: boolean;
  isSecure: boolean;
  isAuthenticated: boolean;
}
export interface ConnectionEvent {
  eventId: string;
  connectionId: string;
  eventType: string;
  timestamp: number;
  data?: Record<string, unknown>;
  severity?: 'info' | 'warning' | 'error';
  message?: string;
}
export interface ConnectionHealthCheck {
  connectionId: string;
  timestamp: number;
  isHealthy: boolean;
  responseTime: number;
  errorMessage?: string;
  details?: Record<string, unknown>;
}
export interface RetryContext {
  attempt: number;
  maxAttempts: number;
  delay: number;
  backoffMultiplier: number;
  lastError?: Error;
  startTime: number;
}
export interface SecurityContext {
  authenticationToken?: string;
  authorizationHeaders?: Record<string, string>;
  encryptionEnabled?: boolean;
  certificateValidation?: boolean;
  customSecurityOptions?: Record<string, unknown>;
}
export interface ConnectionInfo {
  totalConnections: number;
  activeConnections: number;
  healthyConnections: number;
  degradedConnections: number;
  unhealthyConnections: number;
  errorConnections: number;
  averageResponseTime: number;
  totalRequests: number;
  totalErrors: number;
  overallHealth: ConnectionHealth;
  lastUpdated: number;
}
export interface ConnectionTls {
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  serverName?: string | undefined;
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  rejectUnauthorized?: boolean | undefined;
}
export interface ConnectionConfig {
  name?: string | undefined;
  connectionType?: ConnectionType | undefined;
  url?: string | undefined;
  timeout?: number | undefined;
  retryCount?: number | undefined;
  retryDelay?: number | undefined;
  backoffMultiplier?: number | undefined;
  maxConnections?: number | undefined;
  keepAlive?: number | undefined;
  compression?: boolean | undefined;
  encryption?: boolean | undefined;
  securityLevel?: SecurityLevel | undefined;
  healthCheckInterval?: number | undefined;
  healthCheckTimeout?: number | undefined;
  autoReconnect?: boolean | undefined;
  autoRetry?: boolean | undefined;
  circuitBreaker?: boolean | undefined;
  circuitBreakerThreshold?: number | undefined;
  circuitBreakerTimeout?: number | undefined;
  rateLimit?: boolean | undefined;
  rateLimitRequests?: number | undefined;
  rateLimitWindow?: number | undefined;
  auditLogging?: boolean | undefined;
  monitoring?: boolean | undefined;
  recoveryStrategy?: RecoveryStrategy | undefined;
  fallbackUrl?: string | undefined;
  customHeaders?: Readonly<Record<string, string>> | undefined;
  customOptions?: Readonly<Record<string, unknown>> | undefined;
  customSecurityOptions?:
    | {
        readonly allowedHosts?: readonly string[] | undefined;
      }
    | undefined;
  debug?: boolean | undefined;
  logLevel?: LogLevel | undefined;
  tls?: ConnectionTls | undefined;
  proxy?: string | undefined;
}
type Unset = 'name' | 'connectionType' | 'url' | 'fallbackUrl' | 'encryption' | 'tls' | 'proxy';
export type ResolvedConnectionConfig = Required<{
  [Key in Exclude<keyof ConnectionConfig, Unset>]: Exclude<ConnectionConfig[Key], undefined>;
}> & {
  [Key in Exclude<Unset, 'name' | 'connectionType'>]: ConnectionConfig[Key];
} & {
  name: string;
  connectionType: ConnectionType;
};
export type NamedConnectionConfig = Omit<ResolvedConnectionConfig, 'connectionType'> & {
  connectionType: ConnectionType | undefined;
};
type Environment = Readonly<Record<string, unknown>>;
export declare class ConnectionConfigManager {
  #private;
  constructor(env?: Environment);
  get(name: string): NamedConnectionConfig;
  set(name: string, config: ConnectionConfig): void;
  listNames(): string[];
}
export interface ConnectionFigures {
  requestCount: number;
  errorCount: number;
  errorRate: number;
  averageResponseTime: number;
  throughput: number;
  uptime: number;
}
export interface ConnectionMetricsSummary extends ConnectionFigures {
  successCount: number;
  consecutiveErrors: number;
  errorBreakdown: Record<string, number>;
  lastRequestTime?: string;
  lastResponseTime?: string;
}
export declare class ConnectionMetricsTracker {
  #private;
  constructor(windowSize?: number);
  record(responseTimeMs: number, success: boolean, errorType?: string, bytes?: number): void;
  averageResponseTime(): number;
  errorRate(): number;
  throughput(windowSeconds?: number): number;
  uptime(): number;
  metrics(): ConnectionFigures;
  summary(): ConnectionMetricsSummary;
}
export interface ConnectionEventOptions {
  data?: Record<string, unknown> | undefined;
  severity?: 'info' | 'warning' | 'error' | undefined;
  message?: string | undefined;
}
declare abstract class ConnectionLife extends Emitter {
  #private;
  readonly connectionId: string;
  readonly config: Readonly<ResolvedConnectionConfig>;
  getStatus(): ConnectionStatus;
  getMetrics(): ConnectionFigures;
  onEvent(handler: (event: ConnectionEvent) => unknown): () => void;
  onStateChange(handler: (state: ConnectionState, before: ConnectionState) => unknown): () => void;
  onHealthChange(handler: (health: ConnectionHealth, before: ConnectionHealth) => unknown): () => void;
  emitEvent(eventType: string, { data, severity, message }?: ConnectionEventOptions): void;
}
export declare abstract class BaseConnection extends ConnectionLife {
  #private;
  constructor(config: ConnectionConfig, type?: ConnectionType);
  connect(): Promise<boolean>;
  disconnect(): Promise<boolean>;
  reconnect(): Promise<boolean>;
  isConnected(): Promise<boolean>;
  send(data: unknown): Promise<any>;
  receive(): Promise<any>;
  healthCheck(timeoutMs?: number): Promise<ConnectionHealthCheck>;
  protected connectImpl(): Promise<boolean>;
  protected disconnectImpl(): Promise<boolean>;
  protected abstract sendImpl(data: unknown): Promise<unknown>;
  protected abstract receiveImpl(): Promise<unknown>;
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean | Record<string, unknown>>;
}
type HeadersInit =
  Record<string, string | number | readonly string[] | undefined> | Iterable<readonly [string, string]>;
type ResponseHeaders = Record<string, string> & {
  'set-cookie'?: string[];
};
declare class BodyStream implements AsyncIterableIterator<Uint8Array> {
  #private;
  next(): Promise<IteratorResult<Uint8Array>>;
  return(): Promise<IteratorResult<Uint8Array>>;
  cancel(): void;
  toReadableStream(): ReadableStream$1<Uint8Array>;
  [Symbol.asyncIterator](): this;
}
export declare class HTTPResponse {
  #private;
  readonly status: number;
  readonly url: string;
  get ok(): boolean;
  get statusText(): string;
  get headers(): ResponseHeaders;
  get data(): any;
  text(): string;
  json(): any;
  bytes(): Uint8Array;
  get stream(): BodyStream;
}
interface HttpCallSettings {
  timeoutMs?: number | undefined;
  headersTimeoutMs?: number | undefined;
  bodyTimeoutMs?: number | undefined;
  maxRedirects?: number | undefined;
  maxResponseBytes?: number | undefined;
  maxDecompressedBytes?: number | undefined;
  decompress?: boolean | undefined;
}
interface HttpRequest {
  method?: string | undefined;
  url: string | URL;
  headers?: HeadersInit | undefined;
  query?: Record<string, QueryValue | readonly QueryValue[]> | undefined;
  body?: unknown;
  stream?: boolean | undefined;
  settings?: HttpCallSettings | undefined;
}
type QueryValue = string | number | boolean | bigint | null | undefined;
export interface ConnectionRequest extends Omit<HttpRequest, 'url' | 'settings'> {
  url?: string | URL | undefined;
  timeoutMs?: number | undefined;
}
export declare class HTTPConnection extends BaseConnection {
  #private;
  constructor(config: ConnectionConfig);
  send(
    request: ConnectionRequest & {
      method: string;
    },
  ): Promise<HTTPResponse | null>;
  send(data: unknown): Promise<boolean>;
  request(request: ConnectionRequest, options?: CallOptions): Promise<HTTPResponse>;
  receive(): Promise<any>;
  protected receiveImpl(): Promise<unknown>;
  protected sendImpl(data: unknown): Promise<unknown>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>>;
}
export interface MessageOptions {
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
}
declare abstract class LastingConnection<Message, Parsed = Message>
  extends BaseConnection
  implements AsyncIterable<Parsed>
{
  #private;
  constructor(config: ConnectionConfig, type: ConnectionType);
  isConnected(): Promise<boolean>;
  receive(options?: MessageOptions): Promise<any>;
  onMessage(handler: (message: Parsed) => unknown): () => void;
  [Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined>;
  protected connectImpl(): Promise<boolean>;
  protected disconnectImpl(): Promise<boolean>;
  protected healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean>;
}
export interface ConnectionStatistics extends ConnectionInfo {
  uptimeMs: number;
  startTime?: number;
  totalEventsProcessed: number;
  groups: Record<string, number>;
  errorRate: number;
}
export declare class ConnectionManager {
  #private;
  constructor({ healthCheckIntervalMs }?: { healthCheckIntervalMs?: number });
  addConnection(connection: BaseConnection, group?: string): void;
  removeConnection(connectionId: string): boolean;
  getConnection(connectionId: string): BaseConnection | undefined;
  getConnectionsByType(type: ConnectionType): BaseConnection[];
  getConnectionsByGroup(group: string): BaseConnection[];
  getConnectionsByState(state: ConnectionState): BaseConnection[];
  getConnectionsByHealth(health: ConnectionHealth): BaseConnection[];
  start(): Promise<void>;
  stop(): Promise<void>;
  connectAll(group?: string): Promise<Record<string, boolean>>;
  disconnectAll(group?: string): Promise<Record<string, boolean>>;
  healthCheckAll(group?: string): Promise<Record<string, ConnectionHealthCheck>>;
  addEventHandler(handler: (event: ConnectionEvent) => unknown): () => void;
  addGlobalHandler(handler: (type: string, event: ConnectionEvent) => unknown): () => void;
  setRecoveryStrategy(connectionId: string, strategy: RecoveryStrategy): void;
  getInfo(): ConnectionInfo;
  getStatistics(): ConnectionStatistics;
}
export declare class SSEEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
  readonly retry?: number;
  json(): any;
}
export declare class SSEConnection extends LastingConnection<SSEEvent> {
  #private;
  constructor(config: ConnectionConfig);
  get lastEventId(): string;
  send(_data?: unknown): Promise<boolean>;
  protected sendImpl(): Promise<boolean>;
  protected receiveImpl(): Promise<unknown>;
  protected parse(event: SSEEvent): SSEEvent;
  protected disconnectImpl(): Promise<boolean>;
}
export declare class WebSocketConnection extends LastingConnection<string | Buffer, any> {
  constructor(config: ConnectionConfig);
  get protocol(): string;
  send(data: unknown): Promise<boolean>;
  protected sendImpl(message: unknown): Promise<boolean>;
  protected receiveImpl(): Promise<unknown>;
  protected parse(message: string | Buffer): unknown;
  protected healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
}
export declare class HealthChecker {
  #private;
  constructor(options?: HealthCheckOptions);
  static result(
    connectionId: string,
    isHealthy: boolean,
    responseTime: number,
    errorMessage?: string,
    details?: Record<string, unknown>,
  ): ConnectionHealthCheck;
  start(): void;
  stop(): void;
  add(id: string, check: HealthCheckFunction): void;
  remove(id: string): boolean;
  check(id: string): Promise<ConnectionHealthCheck>;
  lastResult(id: string): ConnectionHealthCheck | undefined;
}
export interface ConnectionSecurityInfo {
  securityLevel: SecurityLevel;
  certificateValidation: boolean;
  plainText: 'anywhere' | 'loopback' | 'nowhere';
  minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  httpsOnlyRedirects: boolean;
  publicAddressesOnly: boolean;
}
export declare class ConnectionSecurity {
  #private;
  constructor(level?: SecurityLevel);
  createAuthorizationHeaders(token?: string | null, apiKey?: string | null): Record<string, string>;
  getSecurityInfo(): ConnectionSecurityInfo;
}
export interface PoolConfig {
  maxSize?: number | undefined;
  minSize?: number | undefined;
  maxIdleTime?: number | undefined;
  acquireTimeout?: number | undefined;
  releaseTimeout?: number | undefined;
  healthCheckInterval?: number | undefined;
  cleanupInterval?: number | undefined;
  connectTimeout?: number | undefined;
  maxLifetime?: number | undefined;
  leakAfter?: number | undefined;
}
export type PoolFactory<T> = (config: ConnectionConfig) => T | null | undefined | PromiseLike<T | null | undefined>;
export interface PoolStats {
  poolSize: number;
  inUse: number;
  totalConnections: number;
  maxSize: number;
  minSize: number;
  available: number;
  utilization: number;
  waiting: number;
}
export declare class ConnectionPool<T> extends Emitter {
  #private;
  constructor(config: PoolConfig, factory: PoolFactory<T>, connectionConfig?: ConnectionConfig);
  start(): Promise<void>;
  acquire(timeoutSeconds?: number, options?: CallOptions): Promise<T | null>;
  release(connection: T): Promise<boolean>;
  use<R>(
    fn: (connection: T) => R | PromiseLike<R>,
    options?: CallOptions & {
      timeoutSeconds?: number | undefined;
    },
  ): Promise<R>;
  stop(): Promise<void>;
  stats(): PoolStats;
  options(): Record<string, unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}
export declare class WebSocketConnectionPool extends ConnectionPool<WebSocketConnection> {
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
export declare class HTTPConnectionPool extends ConnectionPool<HTTPConnection> {
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
export declare class SSEConnectionPool extends ConnectionPool<SSEConnection> {
  constructor(config: PoolConfig, connectionConfig: ConnectionConfig);
}
type ErrorClass = abstract new (...args: never[]) => Error;
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;
export interface Attempt {
  readonly attempt: number;
  readonly signal: AbortSignal;
}
export type Guarded<T> = (attempt: Attempt) => T | PromiseLike<T>;
export declare abstract class RetryStrategy {
  abstract execute<T>(fn: () => Promise<T>): Promise<T>;
}
declare abstract class CountedRetry extends RetryStrategy {
  #private;
  constructor(kind: 'exponential' | 'linear' | 'jitter', given: Record<string, unknown>);
  execute<T>(fn: Guarded<T>, { signal }?: CallOptions): Promise<T>;
  options(): Record<string, unknown>;
}
export declare class ExponentialBackoffRetry extends CountedRetry {
  constructor(maxAttempts?: number, baseDelay?: number, multiplier?: number);
}
export declare class LinearBackoffRetry extends CountedRetry {
  constructor(maxAttempts?: number, baseDelay?: number, increment?: number);
}
export declare class JitterRetry extends CountedRetry {
  constructor(maxAttempts?: number, baseDelay?: number, jitterFactor?: number);
}
export declare const CircuitState: Readonly<{
  readonly CLOSED: 'closed';
  readonly OPEN: 'open';
  readonly HALF_OPEN: 'half-open';
}>;
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];
export interface CircuitSnapshot {
  name: string;
  state: CircuitState;
  failures: number;
  successes: number;
  lastFailureTime?: Date;
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  totalRefused: number;
  stateChanges: number;
}
export interface BreakerOptions {
  failMax?: number | undefined;
  failureRatio?: number | undefined;
  minCalls?: number | undefined;
  windowMs?: number | undefined;
  resetTimeoutMs?: number | undefined;
  maxResetTimeoutMs?: number | undefined;
  successThreshold?: number | undefined;
  halfOpenMaxCalls?: number | undefined;
  probeTimeoutMs?: number | undefined;
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  failureWeight?: ((error: unknown) => number) | undefined;
}
export declare class CircuitBreaker extends Emitter {
  #private;
  readonly name: string;
  constructor(name: string, options?: BreakerOptions);
  static all(): CircuitSnapshot[];
  run<T>(fn: Guarded<T>, { signal }?: CallOptions): Promise<T>;
  get state(): CircuitState;
  snapshot(): CircuitSnapshot;
  options(): Record<string, unknown>;
  open({ hold }?: { hold?: boolean }): void;
  halfOpen(): void;
  close(): void;
  reset(): void;
}
export declare function metricsText(): string;
export interface RetryOptions {
  maxRetries?: number | undefined;
  baseDelayMs?: number | undefined;
  maxDelayMs?: number | undefined;
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  exponentialBase?: number | undefined;
  incrementMs?: number | undefined;
  jitter?: boolean | number | 'full' | undefined;
  maxRetryAfterMs?: number | undefined;
  budget?:
    | boolean
    | {
        ratio?: number;
        reservePerSecond?: number;
        ttlMs?: number;
      }
    | undefined;
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}
export interface RateLimitOptions {
  perSecond?: number | undefined;
  max?: number | undefined;
  windowMs?: number | undefined;
  burst?: number | undefined;
  maxQueue?: number | undefined;
  maxWaitMs?: number | undefined;
}
export interface BulkheadOptions {
  maxConcurrent?: number | undefined;
  maxQueue?: number | undefined;
}
export interface PolicyOptions {
  name?: string | undefined;
  timeoutMs?: number | undefined;
  attemptTimeoutMs?: number | undefined;
  retry?: boolean | RetryOptions | undefined;
  breaker?:
    | boolean
    | (BreakerOptions & {
        counts?: 'attempts' | 'calls' | undefined;
      })
    | undefined;
  rateLimit?: false | RateLimitOptions | undefined;
  bulkhead?: boolean | BulkheadOptions | undefined;
}
export declare class Policy extends Emitter {
  #private;
  readonly name: string;
  constructor(options?: PolicyOptions);
  run<T>(fn: Guarded<T>, { signal }?: CallOptions): Promise<T>;
  breaker(): CircuitSnapshot | undefined;
  options(): Record<string, unknown>;
}
export declare class LibsqlError extends MoorlineError {
  readonly extendedCode?: string;
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
export declare class LibsqlBatchError extends LibsqlError {
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
export type Value = null | string | number | bigint | ArrayBuffer;
export type InValue = Value | boolean | Uint8Array | Date;
export type InArgs = Array<InValue> | Record<string, InValue>;
export type InStatement =
  | {
      sql: string;
      args?: InArgs;
    }
  | string;
export type IntMode = 'number' | 'bigint' | 'string';
export interface Row {
  readonly length: number;
  [index: number]: any;
  [name: string]: any;
}
export interface ResultSet {
  columns: string[];
  columnTypes: string[];
  rows: Row[];
  rowsAffected: number;
  lastInsertRowid: bigint | undefined;
  toJSON(): unknown;
}
export type TransactionMode = 'write' | 'read' | 'deferred';
export interface QueryOptions extends CallOptions {
  timeoutMs?: number | undefined;
}
export type BatchStatement = InStatement | [sql: string, args?: InArgs];
export interface Transaction {
  readonly closed: boolean;
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  batch(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  commit(options?: QueryOptions): Promise<void>;
  rollback(options?: QueryOptions): Promise<void>;
  close(): void;
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}
export declare class PooledClient {
  #private;
  readonly connectionId: number;
  readonly protocol: string;
  get closed(): boolean;
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  batch(statements: BatchStatement[], mode?: TransactionMode, options?: QueryOptions): Promise<ResultSet[]>;
  migrate(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  sync(): Promise<never>;
  close(): void;
  [Symbol.dispose](): void;
}
export declare class NixtlaJob<Answer> {
  #private;
  readonly id: string;
  status(options?: NixtlaCallOptions): Promise<string>;
  result(options?: NixtlaCallOptions): Promise<Answer>;
  cancel(options?: NixtlaCallOptions): Promise<boolean>;
}
export interface NixtlaPoint {
  id?: string | number | undefined;
  timestamp: Value | Date;
  value: Value;
}
export interface NixtlaSeriesRequest {
  timeseries: readonly NixtlaPoint[];
  frequency?: string | undefined;
  model?: string | undefined;
  finetunedModelId?: string | undefined;
  finetuneSteps?: number | undefined;
  finetuneDepth?: number | undefined;
  finetuneLoss?: 'default' | 'mae' | 'mse' | 'rmse' | 'mape' | 'smape' | 'poisson' | undefined;
}
export interface NixtlaForecastRequest extends NixtlaSeriesRequest {
  horizon: number;
  confidenceLevels?: readonly number[] | undefined;
}
export interface NixtlaCrossValidationRequest extends NixtlaForecastRequest {
  windows?: number | undefined;
  stepSize?: number | undefined;
  refit?: boolean | undefined;
}
export interface NixtlaAnomalyRequest extends NixtlaSeriesRequest {
  level?: number | undefined;
}
export interface NixtlaOnlineAnomalyRequest extends NixtlaAnomalyRequest {
  horizon: number;
  detectionSize: number;
  thresholdMethod?: 'univariate' | 'multivariate' | undefined;
  stepSize?: number | undefined;
  refit?: boolean | undefined;
}
export interface NixtlaFinetuneRequest extends NixtlaSeriesRequest {
  outputModelId?: string | undefined;
}
export interface NixtlaModelInfo {
  source: 'service' | 'local';
  model: string;
  frequency: string;
  requests: number;
  inputTokens?: number;
  outputTokens?: number;
  finetuneTokens?: number;
  fallbackReason?: string;
}
export interface NixtlaInterval {
  lower: number;
  upper: number;
}
export interface NixtlaPrediction {
  id?: string;
  timestamp: string;
  value: number;
  intervals?: Record<string, NixtlaInterval>;
}
export interface NixtlaForecastResponse {
  predictions: NixtlaPrediction[];
  modelInfo?: NixtlaModelInfo;
}
export interface NixtlaCrossValidationResponse {
  forecasts: (NixtlaPrediction & {
    cutoff: string;
    actual: number;
  })[];
  modelInfo: NixtlaModelInfo;
}
export interface NixtlaAnomaly {
  id?: string;
  timestamp: string;
  value: number;
  score: number;
  isAnomaly: boolean;
  expected?: number;
  lower?: number;
  upper?: number;
}
export interface NixtlaAnomalyResponse {
  anomalies: NixtlaAnomaly[];
  modelInfo: NixtlaModelInfo;
}
export interface NixtlaFinetuneResponse {
  finetunedModelId: string;
  modelInfo: NixtlaModelInfo;
}
export interface NixtlaJobs {
  forecast: [NixtlaForecastRequest, NixtlaForecastResponse];
  crossValidate: [NixtlaCrossValidationRequest, NixtlaCrossValidationResponse];
  onlineAnomalies: [NixtlaOnlineAnomalyRequest, NixtlaAnomalyResponse];
  finetune: [NixtlaFinetuneRequest, NixtlaFinetuneResponse];
}
export interface NixtlaFinetunedModel {
  id: string;
  [fact: string]: unknown;
}
export interface NixtlaUsage {
  minute?: Record<string, number>;
  month?: Record<string, number>;
  [fact: string]: unknown;
}
export interface NixtlaClientConfig {
  apiKey?: string | undefined;
  baseUrl?: string | undefined;
  timeout?: number | undefined;
  maxRetries?: number | undefined;
  baseDelayMs?: number | undefined;
  circuitBreakerThreshold?: number | undefined;
  circuitBreakerResetMs?: number | undefined;
  fallback?: 'local' | undefined;
  model?: string | undefined;
  restrictInput?: boolean | undefined;
  modelParamsTtlMs?: number | undefined;
  connectTimeoutMs?: number | undefined;
  paths?: NixtlaPaths | undefined;
  tls?: NixtlaTls | undefined;
  proxy?: string | undefined;
}
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
export interface NixtlaTls {
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  serverName?: string | undefined;
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  rejectUnauthorized?: boolean | undefined;
}
export interface NixtlaCallOptions extends CallOptions {
  timeoutMs?: number | undefined;
}
export interface CircuitBreakerState {
  state: 'closed' | 'open' | 'half-open';
  failures: number;
  lastFailureTime?: Date;
  nextAttemptTime?: Date;
}
export interface NixtlaStats {
  requests: number;
  inputTokens: number;
  outputTokens: number;
  finetuneTokens: number;
  localAnswers: number;
}
export declare class NixtlaClient extends Emitter {
  #private;
  constructor(config?: NixtlaClientConfig);
  forecast(request: NixtlaForecastRequest, options?: NixtlaCallOptions): Promise<NixtlaForecastResponse>;
  detectAnomalies(request: NixtlaAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  onlineAnomalies(request: NixtlaOnlineAnomalyRequest, options?: NixtlaCallOptions): Promise<NixtlaAnomalyResponse>;
  crossValidate(
    request: NixtlaCrossValidationRequest,
    options?: NixtlaCallOptions,
  ): Promise<NixtlaCrossValidationResponse>;
  finetune(request: NixtlaFinetuneRequest, options?: NixtlaCallOptions): Promise<NixtlaFinetuneResponse>;
  submit<Operation extends keyof NixtlaJobs>(
    operation: Operation,
    request: NixtlaJobs[Operation][0],
    options?: NixtlaCallOptions,
  ): Promise<NixtlaJob<NixtlaJobs[Operation][1]>>;
  finetunedModels(options?: NixtlaCallOptions): Promise<NixtlaFinetunedModel[]>;
  deleteFinetunedModel(id: string, options?: NixtlaCallOptions): Promise<boolean>;
  usage(options?: NixtlaCallOptions): Promise<NixtlaUsage>;
  healthCheck(): Promise<boolean>;
  getCircuitBreakerState(): CircuitBreakerState;
  resetCircuitBreaker(): void;
  stats(): NixtlaStats;
}
export declare function getNixtlaClient(config?: NixtlaClientConfig): NixtlaClient;
export declare function resetNixtlaClient(): void;
export interface TursoPoolConfig {
  url: string;
  authToken?: string | undefined;
  tls?: boolean | undefined;
  poolSize?: number | undefined;
  min?: number | undefined;
  maxIdle?: number | undefined;
  connectionTimeoutMs?: number | undefined;
  connectTimeoutMs?: number | undefined;
  queryTimeoutMs?: number | undefined;
  busyTimeoutMs?: number | undefined;
  idleTimeoutMs?: number | undefined;
  maxLifetimeMs?: number | undefined;
  validateAfterMs?: number | undefined;
  validateTimeoutMs?: number | undefined;
  closeTimeoutMs?: number | undefined;
  maxWaiters?: number | undefined;
  leakAfterMs?: number | undefined;
  intMode?: IntMode | undefined;
}
export interface TursoPoolStats {
  total: number;
  inUse: number;
  available: number;
  waiting: number;
}
export declare class TursoPool extends Emitter {
  #private;
  constructor(config: TursoPoolConfig);
  get protocol(): string;
  getConnection(options?: CallOptions): Promise<PooledClient>;
  releaseConnection(client: PooledClient): void;
  withConnection<T>(use: (client: PooledClient) => T | Promise<T>, options?: CallOptions): Promise<T>;
  execute(statement: InStatement, args?: InArgs, options?: QueryOptions): Promise<ResultSet>;
  batch(statements: BatchStatement[], mode?: TransactionMode, options?: QueryOptions): Promise<ResultSet[]>;
  migrate(statements: BatchStatement[], options?: QueryOptions): Promise<ResultSet[]>;
  executeMultiple(sql: string, options?: QueryOptions): Promise<void>;
  transaction(mode?: TransactionMode, options?: QueryOptions): Promise<Transaction>;
  healthCheck(): Promise<boolean>;
  getStats(): TursoPoolStats;
  drain(timeoutMs?: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
export declare function getTursoPool(config?: TursoPoolConfig): TursoPool;
export declare function resetTursoPool(): Promise<void>;
export interface WebhookReplayStore {
  remember(key: string, ttlMs: number): boolean;
}
export declare class MemoryReplayStore implements WebhookReplayStore {
  #private;
  constructor({ capacity }?: { capacity?: number | undefined });
  remember(key: string, ttlMs: number): boolean;
  forget(key: string): void;
}
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
export interface WebhookSchemeDescription {
  name: string;
  header: string;
  content: string;
  prefix?: string | undefined;
  fields?:
    | {
        separator?: string | undefined;
        timestamp?: string | undefined;
        signature?: string | undefined;
      }
    | undefined;
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  encoding?: 'hex' | 'base64' | undefined;
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  timestampHeader?: string | undefined;
  timestampUnit?: 's' | 'ms' | undefined;
  idHeader?: string | undefined;
}
export interface WebhookVerificationConfig {
  secret: string | readonly string[] | undefined;
  maxAgeMs?: number | undefined;
  toleranceMs?: number | undefined;
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  url?: string | undefined;
  replayStore?: WebhookReplayStore | undefined;
}
export interface WebhookSignatureHeader {
  timestamp: number;
  signature: string;
  version?: string;
}
export interface VerificationResult {
  valid: boolean;
  reason?: string;
  timestamp?: number;
  replayKey?: string;
}
export interface RequestVerificationResult extends VerificationResult {
  scheme: string | undefined;
  id?: string;
  secretIndex?: number;
}
export type WebhookHeaders =
  | Iterable<readonly [string, string]>
  | {
      readonly [name: string]: string | readonly string[] | number | undefined;
    };
export interface WebhookRequest {
  headers: WebhookHeaders;
  body: string | Uint8Array;
  method?: string | undefined;
  url?: string | undefined;
  now?: number | undefined;
}
export interface WebhookSigning {
  body: string | Uint8Array;
  id?: string | undefined;
  method?: string | undefined;
  url?: string | undefined;
  timestamp?: number | undefined;
}
export declare class WebhookVerifier {
  #private;
  readonly url: string | undefined;
  constructor(config: WebhookVerificationConfig);
  verify(
    payload: string | Uint8Array,
    signature: string | readonly string[] | undefined,
    secret?: string | readonly string[],
  ): VerificationResult;
  verifyRequest(request: WebhookRequest): RequestVerificationResult;
  challenge(request: WebhookRequest): Record<string, unknown> | undefined;
  sign(payload: string | Uint8Array, timestamp?: number): string;
  signRequest(signing: WebhookSigning): Record<string, string>;
}
export declare function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean;
export declare function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string;
export declare function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null;
type SharedConfig = Omit<WebhookVerificationConfig, 'secret'>;
export declare function getWebhookVerifier(
  secret: string | readonly string[] | undefined,
  config?: SharedConfig,
): WebhookVerifier;
export declare function resetWebhookVerifiers(): void;
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Iterable<[string, string]>;
  readonly body: AsyncIterable<Uint8Array> | null;
  readonly bodyUsed: boolean;
}
export interface ReceiveOptions {
  limitBytes?: number | undefined;
  timeoutMs?: number | undefined;
}
export interface ReceivedWebhook extends RequestVerificationResult {
  body: Buffer;
  status: number;
  challenge?: Record<string, unknown>;
}
export declare function receiveWebhook(
  verifier: WebhookVerifier,
  request: IncomingMessage | FetchRequest,
  options?: ReceiveOptions,
): Promise<ReceivedWebhook>;
export interface VerifiedRequest extends IncomingMessage {
  webhook?: ReceivedWebhook;
  rawBody?: Buffer;
}
export declare function webhookMiddleware(
  verifier: WebhookVerifier,
  options?: ReceiveOptions,
): (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;

export {};
