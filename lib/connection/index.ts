export { BaseConnection } from './base';
export type { ConnectOptions } from './base';
export { ConnectionConfigManager } from './config/config';
export { HTTPConnection } from './http';
export type { ConnectionRequest } from './http';
export type { MessageOptions } from './messages/message-queue';
export type { ConnectionEventOptions } from './observable';
export type { MessageHandlerOptions } from './messages/message-handlers';
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
} from './config/config';
export { ConnectionMetricsTracker } from './metrics';
export type { ConnectionFigures, ConnectionMetricsSummary } from './metrics';
export { HealthChecker } from './health-checker';
export { ConnectionSecurity } from './config/security';
export type { ConnectionSecurityInfo } from './config/security';
export { ConnectionPool } from './pool/pool';
export type { PoolConfig, PoolFactory, PoolStats } from './pool/pool';
export { HTTPConnectionPool, SSEConnectionPool, WebSocketConnectionPool } from './pool/typed';
export { ExponentialBackoffRetry, JitterRetry, LinearBackoffRetry, RetryStrategy } from './recovery/retry';
export { ConnectionHealth, ConnectionState, ConnectionType, RecoveryStrategy, SecurityLevel } from './model';
export type { ConnectionErrorFacts, ConnectionEvent, ConnectionEventData, ConnectionEventType } from './event';
export type { ConnectionHealthCheck, ConnectionInfo, ConnectionMetrics, RetryContext, SecurityContext } from './model';
export type { ConnectionStatus } from './status';
