import { type Counter, type Gauge, type Histogram, seriesMetric } from '../metrics/metric';
import { type Handle, native, type PostgresPool } from '../runtime/native';

/** The metrics of a {@link PostgresConnectionManager}, which {@link metricsText} shows under its name. */
export interface ConnectionMetrics {
  /** Borrowed connections: `moorline_postgres_connections_active`. */
  readonly activeConnections: Gauge;
  /** Connections that could not be had, and those that were lost: `moorline_postgres_connection_errors_total`. */
  readonly connectionErrors: Counter;
  /** Health checks after which recovery failed, too: `moorline_postgres_health_check_failures_total`. */
  readonly healthCheckFailures: Counter;
  /** The seconds until a connection was had: `moorline_postgres_connection_acquisition_seconds`. */
  readonly connectionAcquisitionTime: Histogram;
  /** The seconds for which connections were open: `moorline_postgres_connection_lifetime_seconds`. */
  readonly connectionLifetime: Histogram;
}

/** The metrics of a pool. Those that `monitoring: false` turns off count, and are not shown. */
export function connectionMetrics(pool: Handle<PostgresPool>): ConnectionMetrics {
  const series = native.postgresSeries(pool);
  return {
    activeConnections: seriesMetric('gauge', series[0]!),
    connectionErrors: seriesMetric('counter', series[1]!),
    healthCheckFailures: seriesMetric('counter', series[2]!),
    connectionAcquisitionTime: seriesMetric('histogram', series[3]!),
    connectionLifetime: seriesMetric('histogram', series[4]!),
  };
}
