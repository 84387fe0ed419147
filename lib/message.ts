import { inspect } from 'node:util';

/**
 * What a thrown value says, whatever it is: asking it may throw again. Connection errors of Node come as an AggregateError
 * without a message, but with a code.
 */
export function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 0 });
    return String(thrown.message || (thrown as NodeJS.ErrnoException).code || thrown.name);
  } catch {
    return 'an error that says nothing of itself';
  }
}
