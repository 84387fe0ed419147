import { inspect, types } from 'node:util';

const UNREADABLE = 'an error without a message';

/**
 * Whether it is an error, of whatever realm: in a `vm` context, as in Jest, those of Node's own modules and signals are not
 * of the context's classes.
 */
export function isError(thrown: unknown): thrown is Error {
  if (thrown instanceof Error || types.isNativeError(thrown)) return true;
  return Object.prototype.toString.call(thrown) === '[object DOMException]';
}

/**
 * Returns the thrown value, or an error in its place when it cannot be read: a revoked proxy, a getter that throws.
 */
export function readableError(thrown: unknown): unknown {
  try {
    if (isError(thrown)) void [thrown.message, thrown.name];
    return thrown;
  } catch {
    return new Error(UNREADABLE);
  }
}

/**
 * Returns the message of any thrown value; never throws, though reading the value may. Node's connection errors are an
 * AggregateError without a message, but with a code.
 */
export function messageOf(thrown: unknown): string {
  try {
    if (isError(thrown)) return String(thrown.message || (thrown as NodeJS.ErrnoException).code || thrown.name);
    return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 0 });
  } catch {
    return UNREADABLE;
  }
}

/** Returns the stack of a thrown value, if it has one; never throws. */
export function stackOf(thrown: unknown): string | undefined {
  try {
    const { stack } = thrown as Error;
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}
/** The number of causes, and of members of an AggregateError, that a reason names. */
const MAX_CAUSES = 4;

/** Returns the message with those of its causes: `fetch failed: connect ECONNREFUSED 127.0.0.1:9`. */
export function messageWithCauses(thrown: unknown): string {
  const messages: string[] = [];
  let error = thrown;
  for (let depth = 0; depth <= MAX_CAUSES && (depth === 0 || error !== undefined); depth++) {
    const message = messageOf(error);
    // Many repeat what their cause says.
    if (!messages.some((before) => before.includes(message))) messages.push(message);
    const { cause, errors } = causesOf(error);
    if (errors.length > 0) messages.push(errors.slice(0, MAX_CAUSES).map(messageOf).join('; '));
    error = cause;
  }
  return messages.join(': ');
}

function causesOf(error: unknown): { cause: unknown; errors: readonly unknown[] } {
  try {
    const { cause, errors } = error as { cause?: unknown; errors?: unknown };
    return { cause: cause ?? undefined, errors: Array.isArray(errors) ? errors : [] };
  } catch {
    return { cause: undefined, errors: [] };
  }
}
