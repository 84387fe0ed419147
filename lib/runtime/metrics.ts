import { native } from './native';

/**
 * What moorline counts in this process, as Prometheus text (format 0.0.4), ready to be the answer of a `/metrics` route:
 * requests, attempts, messages and states of connections with `monitoring`, connections of pools, health checks, policies and
 * circuit breakers. docs/metrics.md lists every metric.
 */
export function metricsText(): string {
  return native.metricsText();
}
