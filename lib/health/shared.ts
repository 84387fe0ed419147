import { singleton } from '../runtime/singleton';
import type { HealthCheckFunction } from './answer';
import { HealthMonitor, type HealthCheckOptions, type HealthCheckResult, type HealthReport } from './monitor';

const shared = singleton('health', (defaults?: HealthCheckOptions) => new HealthMonitor(defaults));

/**
 * Returns the shared monitor of this JavaScript environment.
 *
 * @param defaults The default options of its checks. They count at the first call, which creates the monitor.
 */
export function getHealthMonitor(defaults?: HealthCheckOptions): HealthMonitor {
  return shared.get(defaults);
}

/** Stops and removes the shared monitor; the next use of it creates another. */
export function resetHealthMonitor(): void {
  shared.reset()?.stop();
}

/** Registers a check with the shared monitor, as {@link HealthMonitor.register} does. */
export function registerHealthCheck(
  name: string,
  checker: HealthCheckFunction,
  options?: boolean | HealthCheckOptions,
): void {
  shared.get().register(name, checker, options);
}

/** Runs all checks of the shared monitor and returns the report, as {@link HealthMonitor.checkAll} does. */
export function checkAllHealth(): Promise<HealthReport> {
  return shared.get().checkAll();
}

/** Runs one check of the shared monitor and returns its result, as {@link HealthMonitor.check} does. */
export function checkHealth(name: string): Promise<HealthCheckResult> {
  return shared.get().check(name);
}
