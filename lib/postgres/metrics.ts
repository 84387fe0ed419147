import { type Counter, type Gauge, type Histogram, seriesMetric } from '../metrics/metric';
import { type Handle, native, type PostgresPool } from '../runtime/native';

/** The metrics of a {@link PostgresConnectionManager}; {@link metricsText} shows them with its name as their label `pool`. */
export interface PostgresMetrics {
  /** `moorline_postgres_connections_active`: borrowed connections. */
  readonly activeConnections: Gauge;
  /** `moorline_postgres_connection_errors_total`: connections that could not be had, or were lost. */
  readonly connectionErrors: Counter;
  /** `moorline_postgres_health_check_failures_total`: health checks that failed. */
  readonly healthCheckFailures: Counter;
  /** `moorline_postgres_connection_acquisition_seconds`: times until borrowers had a connection. */
  readonly connectionAcquisitionTime: Histogram;
  /** `moorline_postgres_connection_lifetime_seconds`: times for which connections were open. */
  readonly connectionLifetime: Histogram;
}

/** The metrics of a pool that are written to from here. */
interface PoolMetrics {
  metrics: PostgresMetrics;
  /** Events that are missing in the connection log. */
  logDropped: Counter;
}

/** Returns the metrics of a pool. With `monitoring: false` they have the same methods, and are not shown. */
export function poolMetrics(pool: Handle<PostgresPool>): PoolMetrics {
  const [active, errors, failures, acquisition, lifetime, dropped] = native.postgresSeries(pool);
  return {
    metrics: {
      activeConnections: seriesMetric('gauge', 'activeConnections', active!),
      connectionErrors: seriesMetric('counter', 'connectionErrors', errors!),
      healthCheckFailures: seriesMetric('counter', 'healthCheckFailures', failures!),
      connectionAcquisitionTime: seriesMetric('histogram', 'connectionAcquisitionTime', acquisition!),
      connectionLifetime: seriesMetric('histogram', 'connectionLifetime', lifetime!),
    },
    logDropped: seriesMetric('counter', 'logDropped', dropped!),
  };
}
