export {
  checkAllHealth,
  checkHealth,
  getHealthMonitor,
  HealthMonitor,
  registerHealthCheck,
  resetHealthMonitor,
} from './monitor';
export type { HealthCheckOptions, HealthCheckResult, HealthReport, HealthStats, HealthStatus } from './monitor';
export type { HealthCheckFunction } from './check-reply';
