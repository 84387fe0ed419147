export { BaseConnection } from './base';
export type { ConnectOptions } from './base';
export { ConnectionConfigManager } from './config';
export { HTTPConnection } from './http';
export type { ConnectionRequest } from './http';
export type { MessageOptions } from './persistent';
export type { ConnectionEventOptions } from './observable';
export type { MessageHandlerOptions } from './message-handlers';
export { ConnectionManager } from './manager';
export type { ConnectionStatistics } from './manager';
export { SSEConnection } from './sse';
export { WebSocketConnection } from './websocket';
export type {
  ConnectionConfig,
  ConnectionTls,
  CustomHeaders,
  NamedConnectionConfig,
  ResolvedConnectionConfig,
} from './config';
export { ConnectionMetricsTracker } from './metrics';
export type { ConnectionFigures, ConnectionMetricsSummary } from './metrics';
export { HealthChecker } from './health-checker';
export { ConnectionSecurity } from './security';
export type { ConnectionSecurityInfo } from './security';
export { ConnectionPool } from './pool/pool';
export type { PoolConfig, PoolFactory, PoolStats } from './pool/pool';
export { HTTPConnectionPool, SSEConnectionPool, WebSocketConnectionPool } from './pool/typed';
export { ExponentialBackoffRetry, JitterRetry, LinearBackoffRetry, RetryStrategy } from './retry';
export { ConnectionHealth, ConnectionState, ConnectionType, RecoveryStrategy, SecurityLevel } from './model';
export type { ConnectionErrorFacts, ConnectionEvent, ConnectionEventData, ConnectionEventType } from './event';
export type {
  ConnectionHealthCheck,
  ConnectionInfo,
  ConnectionMetrics,
  ConnectionStatus,
  RetryContext,
  SecurityContext,
} from './model';
