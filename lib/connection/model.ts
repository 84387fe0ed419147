/** The states of a connection. In `degraded` it can be used, but has a problem. */
export const ConnectionState = Object.freeze({
  DISCONNECTED: 'disconnected',
  CONNECTING: 'connecting',
  CONNECTED: 'connected',
  DISCONNECTING: 'disconnecting',
  ERROR: 'error',
  DEGRADED: 'degraded',
} as const);
/** The states of a connection. In `degraded` it can be used, but has a problem. */
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** The types of a connection. `http`, `websocket` and `sse` name its protocol; the others are for your own use. */
export const ConnectionType = Object.freeze({
  INTERNET: 'internet',
  BACKEND: 'backend',
  AUTHENTICATION: 'authentication',
  SERVICE: 'service',
  REALTIME: 'realtime',
  FILESYSTEM: 'filesystem',
  HTTP: 'http',
  WEBSOCKET: 'websocket',
  SSE: 'sse',
  DATABASE: 'database',
  EXTERNAL: 'external',
} as const);
/** The types of a connection. `http`, `websocket` and `sse` name its protocol; the others are for your own use. */
export type ConnectionType = (typeof ConnectionType)[keyof typeof ConnectionType];

/** The health of a connection; `unknown` until the first health check. */
export const ConnectionHealth = Object.freeze({
  HEALTHY: 'healthy',
  DEGRADED: 'degraded',
  UNHEALTHY: 'unhealthy',
  UNKNOWN: 'unknown',
} as const);
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
export const SecurityLevel = Object.freeze({
  NONE: 'none',
  BASIC: 'basic',
  ENHANCED: 'enhanced',
  MAXIMUM: 'maximum',
} as const);
/** The security requirements of a connection. */
export type SecurityLevel = (typeof SecurityLevel)[keyof typeof SecurityLevel];

/** The actions of a manager for an unhealthy connection. */
export const RecoveryStrategy = Object.freeze({
  NONE: 'none',
  RECONNECT: 'reconnect',
  RECONNECT_BACKOFF: 'reconnect_backoff',
  FALLBACK: 'fallback',
  GRACEFUL_DEGRADATION: 'graceful_degradation',
} as const);
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
