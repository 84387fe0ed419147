import { CircuitBreakerError, MoorlineError } from '../error';

/** What an error means for a connection, beside `error` itself. */
export type Meaning = 'authentication_failed' | 'connection_failed' | 'connection_lost';

const REFUSED_STATUS = new Set([401, 403, 407]);

/** Which event an error is told by. `context` is the verb it came from, or `connection` where it ended by itself. */
export function classify(error: unknown, context: string): Meaning | undefined {
  // It was open, and is so no longer.
  if (context === 'connection') return 'connection_lost';
  if (context === 'connection') return 'connection_lost';
  if (error instanceof MoorlineError) {
    if (error.kind === 'auth' || REFUSED_STATUS.has(Number(error.detail?.['status']))) return 'authentication_failed';
    if (error.kind === 'connect' || error.kind === 'tls') return 'connection_failed';
    if (error.kind === 'disconnected' && context !== 'connect') return 'connection_lost';
  }
  return context === 'connect' ? 'connection_failed' : undefined;
}

/** Anything thrown, as an error to read name and message of. */
export function failureOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Whether the other side could not be reached at all, or its breaker is open: another address may serve. */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof CircuitBreakerError) return true;
  if (!(error instanceof MoorlineError)) return false;
  const status = Number(error.detail?.['status']);
  return ['connect', 'tls', 'timeout', 'disconnected', 'circuit-open'].includes(error.kind) || status >= 500;
}
