export { CircuitBreakerError, MoorlineError, RetryError } from './error';
export type { Delivery, ErrorFields, ErrorKind } from './error';
export type { CallOptions } from './call';
export type { EventMap, EventName, MoorlineEvent } from './events';
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
export { LibsqlBatchError, LibsqlError } from './libsql-error';
export { PooledClient, Transaction } from './libsql-client';
export type { BatchStatement, QueryOptions, TransactionMode } from './libsql-client';
export { setLogger } from './logger';
export type { Logger, LogLevel, LogRecord } from './logger';
export type { InArgs, InStatement, IntMode, InValue, ResultSet, Row, Value } from './result-set';
export { getTursoPool, resetTursoPool, TursoPool } from './turso';
export type { TursoPoolConfig, TursoPoolStats } from './turso';
