import { native } from '../runtime/native';

/**
 * Returns the metrics of this process as Prometheus text (format 0.0.4), the response of a `/metrics` route: requests,
 * attempts, messages and states of connections with `monitoring`, connections of pools, health checks, policies and circuit
 * breakers. docs/metrics.md lists every metric.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { metricsText } from 'moorline';
 *
 * const server = createServer((_, response) => {
 *   response.setHeader('content-type', 'text/plain; version=0.0.4').end(metricsText());
 * });
 * ```
 */
export function metricsText(): string {
  return native.metricsText();
}
