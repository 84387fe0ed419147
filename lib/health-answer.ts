import { inspect } from 'node:util';

import { log } from './logger';
import { messageOf } from './message';

/**
 * Says how something is doing. What it returns, or resolves with, is judged:
 *
 * - an object with `healthy`, `isHealthy` or `status` by those, the worst of them counting (`status` is a word
 *   such as `'degraded'`, a boolean or an HTTP status code); its `error` and `metadata` are kept with the result;
 * - something with a `healthCheck()` of its own, such as a pool or a connection, by what that says;
 * - anything else by being truthy, as the `'PONG'` of Redis is.
 *
 * An error is a result too: unhealthy. The signal is aborted when the check has timed out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;

/** What a checker said, in the terms the addon judges. */
export interface Answer {
  status?: unknown;
  healthy?: boolean;
  error?: string;
  metadata?: string;
}

/** Asks a checker and puts its answer into the addon's terms. Never rejects. */
export async function ask(checker: HealthCheckFunction, signal: AbortSignal, name: string): Promise<Answer> {
  try {
    let said = await checker({ signal });
    if (isObject(said) && typeof said['healthCheck'] === 'function') said = await said['healthCheck']({ signal });
    return isObject(said) ? describe(said, name) : plain(said);
  } catch (error) {
    return { healthy: false, error: messageOf(error) };
  }
}

function plain(said: unknown): Answer {
  if (said === undefined) return { healthy: false, error: 'The checker returned nothing' };
  return { healthy: Boolean(said) };
}

/** An object that says nothing of the three is there, and therefore healthy. */
function describe(said: Record<string, unknown>, name: string): Answer {
  const { healthy, isHealthy, status, error, metadata } = said;
  const flags = [healthy, isHealthy].filter(isSaid);
  return {
    ...(isSaid(status) && { status: isObject(status) ? inspect(status, { depth: 0 }) : status }),
    ...((flags.length > 0 || !isSaid(status)) && { healthy: flags.every(Boolean) }),
    ...(isSaid(error) && error !== null && { error: messageOf(error) }),
    ...(isObject(metadata) && serialized(metadata, name)),
  };
}

/** A method of that name says nothing: a connection may well have an `isHealthy()`. */
function isSaid(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What cannot be kept must not spoil the result. */
function serialized(metadata: object, name: string): { metadata?: string } {
  try {
    return { metadata: JSON.stringify(metadata) };
  } catch (error) {
    log('warn', 'health.metadata-dropped', name, () => ({ name, reason: messageOf(error) }));
    return {};
  }
}
