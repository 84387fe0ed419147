export { HealthMonitor } from './monitor';
export type { HealthCheckOptions, HealthCheckResult, HealthReport, HealthStats, HealthStatus } from './monitor';
export type { HealthCheckFunction } from './answer';
export { checkAllHealth, checkHealth, getHealthMonitor, registerHealthCheck, resetHealthMonitor } from './shared';
