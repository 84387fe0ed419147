export { CircuitBreakerError, MoorlineError, RetryError } from './error';
export type { Delivery, ErrorDetail, ErrorFields, ErrorKind } from './error';
export type { CallOptions } from './call';
export type { EventFacts, EventMap, EventName, MoorlineEvent } from './events';
export {
  checkAllHealth,
  checkHealth,
  getHealthMonitor,
  HealthMonitor,
  registerHealthCheck,
  resetHealthMonitor,
} from './health';
export type { HealthCheckOptions, HealthCheckResult, HealthReport, HealthStats, HealthStatus } from './health';
export type { HealthCheckFunction } from './health-answer';
export { BaseConnection } from './connection/base';
export type { ConnectOptions } from './connection/base';
export { ConnectionConfigManager } from './connection/config';
export { HTTPConnection } from './connection/http';
export type { ConnectionRequest } from './connection/http';
export type { MessageOptions } from './connection/inbox';
export type { ConnectionEventOptions } from './connection/life';
export type { MessageHandlerOptions } from './connection/message-handlers';
export { ConnectionManager } from './connection/manager';
export type { ConnectionStatistics } from './connection/manager';
export { SSEConnection } from './connection/sse';
export { WebSocketConnection } from './connection/websocket';
export { SSEEvent } from './sse-events';
export { HTTPResponse } from './http-response';
export type {
  ConnectionConfig,
  ConnectionTls,
  CustomHeaders,
  NamedConnectionConfig,
  ResolvedConnectionConfig,
} from './connection/config';
export { ConnectionMetricsTracker } from './connection/metrics';
export type { ConnectionFigures, ConnectionMetricsSummary } from './connection/metrics';
export { HealthChecker } from './connection/health-checker';
export { ConnectionSecurity } from './connection/security';
export type { ConnectionSecurityInfo } from './connection/security';
export { ConnectionPool } from './connection/pool';
export type { PoolConfig, PoolFactory, PoolStats } from './connection/pool';
export { HTTPConnectionPool, SSEConnectionPool, WebSocketConnectionPool } from './connection/pools';
export { ExponentialBackoffRetry, JitterRetry, LinearBackoffRetry, RetryStrategy } from './connection/retry';
export { ConnectionHealth, ConnectionState, ConnectionType, RecoveryStrategy, SecurityLevel } from './connection/state';
export type {
  ConnectionErrorFacts,
  ConnectionEvent,
  ConnectionEventData,
  ConnectionEventType,
} from './connection/event';
export type {
  ConnectionHealthCheck,
  ConnectionInfo,
  ConnectionMetrics,
  ConnectionStatus,
  RetryContext,
  SecurityContext,
} from './connection/state';
export { CircuitBreaker, CircuitState } from './breaker';
export type { BreakerOptions, CircuitBreakerOptions, CircuitSnapshot } from './breaker';
export type { Clock } from './clock';
export type { Guarded } from './guard';
export type { ErrorMatcher } from './match';
export { metricsText } from './metrics';
export { Policy } from './policy';
export type { BulkheadOptions, PolicyOptions, RateLimitOptions, RetryOptions } from './policy';
export type { Attempt } from './running';
export { LibsqlBatchError, LibsqlError } from './libsql-error';
export { PooledClient } from './libsql-client';
export type { BatchStatement, QueryOptions, Transaction, TransactionMode } from './libsql-client';
export { setLogger } from './logger';
export type { Logger, LogLevel, LogRecord } from './logger';
export { getNixtlaClient, NixtlaClient, resetNixtlaClient } from './nixtla';
export type {
  CircuitBreakerState,
  NixtlaCallOptions,
  NixtlaClientConfig,
  NixtlaPaths,
  NixtlaStats,
  NixtlaTls,
} from './nixtla';
export { NixtlaJob } from './nixtla-job';
export type {
  NixtlaAnomaly,
  NixtlaAnomalyRequest,
  NixtlaAnomalyResponse,
  NixtlaCrossValidationRequest,
  NixtlaCrossValidationResponse,
  NixtlaFinetunedModel,
  NixtlaFinetuneRequest,
  NixtlaFinetuneResponse,
  NixtlaForecastRequest,
  NixtlaForecastResponse,
  NixtlaInterval,
  NixtlaJobs,
  NixtlaModelInfo,
  NixtlaOnlineAnomalyRequest,
  NixtlaPoint,
  NixtlaPrediction,
  NixtlaSeriesRequest,
  NixtlaUsage,
} from './nixtla-requests';
export type { InArgs, InStatement, IntMode, InValue, ResultSet, Row, Value } from './result-set';
export { getTursoPool, resetTursoPool, TursoPool } from './turso';
export type { TursoPoolConfig, TursoPoolStats } from './turso';
export { parseWebhookSignature, signWebhookPayload, verifyWebhookSignature, WebhookVerifier } from './webhook';
export type {
  RequestVerificationResult,
  VerificationResult,
  WebhookHeaders,
  WebhookRequest,
  WebhookSignatureHeader,
  WebhookSigning,
  WebhookVerificationConfig,
} from './webhook';
export { webhookMiddleware } from './webhook-middleware';
export type { VerifiedRequest } from './webhook-middleware';
export { receiveWebhook } from './webhook-receive';
export type { FetchRequest, ReceiveAndHandleOptions, ReceivedWebhook, ReceiveOptions } from './webhook-receive';
export { MemoryReplayStore } from './webhook-replay';
export type { WebhookReplayStore } from './webhook-replay';
export type { WebhookScheme, WebhookSchemeDescription } from './webhook-scheme';
export { getWebhookVerifier, resetWebhookVerifiers } from './webhook-shared';

// The default import of Node.js is the whole module. Compilers and bundlers take this property instead, where a module
// was made of an ES module; no typing names it, as what they derive is the whole module, too.
Object.defineProperty(exports, 'default', { value: exports });
