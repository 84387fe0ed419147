import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';

/** What of `@opentelemetry/api` is used here. */
interface OpenTelemetry {
  context: { active(): unknown };
  propagation: { inject(context: unknown, carrier: Record<string, string>): void };
}

let api: OpenTelemetry | null | undefined;

/** The headers that carry the caller's trace (`traceparent`, …), where `@opentelemetry/api` is installed. */
export function traceHeaders(): Record<string, string> | undefined {
  if (api === undefined) {
    try {
      api = require('@opentelemetry/api') as OpenTelemetry;
    } catch {
      api = null;
    }
  }
  if (!api) return undefined;
  const carrier: Record<string, string> = {};
  try {
    api.propagation.inject(api.context.active(), carrier);
  } catch (error) {
    // A call is worth more than its trace.
    log('warn', 'connection.trace-failed', 'connection', () => ({ error: messageOf(error) }));
  }
  return carrier;
}
