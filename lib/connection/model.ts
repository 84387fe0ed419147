/** Where a connection is in its life. `degraded` works, with a complaint. */
export const ConnectionState = Object.freeze({
  DISCONNECTED: 'disconnected',
  CONNECTING: 'connecting',
  CONNECTED: 'connected',
  DISCONNECTING: 'disconnecting',
  ERROR: 'error',
  DEGRADED: 'degraded',
} as const);
/** Where a connection is in its life. `degraded` works, with a complaint. */
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

/** What a connection is for. `http`, `websocket` and `sse` are how it speaks; the others are yours to give. */
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
/** What a connection is for. `http`, `websocket` and `sse` are how it speaks; the others are yours to give. */
export type ConnectionType = (typeof ConnectionType)[keyof typeof ConnectionType];

/** How a connection is doing; `unknown` until it was first checked. */
export const ConnectionHealth = Object.freeze({
  HEALTHY: 'healthy',
  DEGRADED: 'degraded',
  UNHEALTHY: 'unhealthy',
  UNKNOWN: 'unknown',
} as const);
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
export const SecurityLevel = Object.freeze({
  NONE: 'none',
  BASIC: 'basic',
  ENHANCED: 'enhanced',
  MAXIMUM: 'maximum',
} as const);
/** What a connection insists on. */
export type SecurityLevel = (typeof SecurityLevel)[keyof typeof SecurityLevel];

/** What a manager does about an unhealthy connection. */
export const RecoveryStrategy = Object.freeze({
  NONE: 'none',
  RECONNECT: 'reconnect',
  RECONNECT_BACKOFF: 'reconnect_backoff',
  FALLBACK: 'fallback',
  GRACEFUL_DEGRADATION: 'graceful_degradation',
} as const);
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
