import { native } from './native';

/**
 * What moorline counts, as Prometheus text (format 0.0.4), ready to be the answer of a `/metrics` route: the state,
 * successes, failures, refusals and changes of state of every circuit breaker of the process; requests, how long they
 * took and states of every connection with `monitoring`, by its name and type.
 */
export function metricsText(): string {
  return native.metricsText();
}
