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
export { CircuitBreaker, CircuitState } from './breaker';
export type { BreakerOptions, CircuitSnapshot } from './breaker';
export type { Guarded } from './guard';
export type { ErrorMatcher } from './match';
export { Policy } from './policy';
export type { BulkheadOptions, PolicyOptions, RateLimitOptions, RetryOptions } from './policy';
export type { Attempt } from './running';
export { setLogger } from './logger';
export type { Logger, LogLevel, LogRecord } from './logger';
