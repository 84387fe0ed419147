import { inspect } from 'node:util';

import { log } from './logger';
import { isError, messageOf, reasonOf } from './message';
import { native } from './native';
import { isObject, isPlainObject } from './shape';

/**
 * Says how something is doing. What it returns, or resolves with, is judged:
 *
 * - something with a `healthCheck()` of its own, such as a pool or a connection, by what that says;
 * - an error, and a promise's result that was `rejected`, is unhealthy, with its message and its causes;
 * - an object with `healthy`, `isHealthy`, `ok`, `success`, `status` or `statusCode` by those, the worst of them counting
 *   (a status is a word such as `'degraded'`, a boolean or an HTTP status code); one with none of them, but with an `error`,
 *   is unhealthy. Its `error` and `metadata` are kept with the result;
 * - a list or a plain object that says none of that by its members, the worst of them counting: `Promise.allSettled`,
 *   `{ db: { status: 'down' } }`;
 * - anything else by being truthy, as the `'PONG'` of Redis is.
 *
 * What it throws is unhealthy. The signal is aborted when the check has timed out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;

/** What a value says of itself, in the terms the addon judges. */
interface Said {
  statuses?: unknown[];
  healthy?: boolean;
  error?: string;
}

/** What a checker said, in the terms the addon judges. */
export interface Answer extends Said {
  /** What its members say, where it says nothing itself. */
  parts?: Part[];
  metadata?: string;
}

interface Part extends Said {
  /** The path of the member. */
  at: string;
}

/** Members of answers that say whether it is well, and by which status. */
const FLAGS = ['healthy', 'isHealthy', 'ok', 'success'] as const;
const STATUSES = ['status', 'statusCode'] as const;
/** Members are looked for so deep, and so many: an answer may hold anything. */
const DEEPEST = 3;
const MOST_MEMBERS = 1000;

/** Asks a checker and puts its answer into the addon's terms. Never rejects. */
export async function ask(checker: HealthCheckFunction, signal: AbortSignal, name: string): Promise<Answer> {
  try {
    let said = await checker({ signal });
    if (isObject(said) && typeof said['healthCheck'] === 'function') said = await said['healthCheck']({ signal });
    const metadata = isObject(said) && !isError(said) ? said['metadata'] : undefined;
    return { ...answerOf(said), ...(isObject(metadata) && serialized(metadata, name)) };
  } catch (error) {
    return { healthy: false, error: reasonOf(error) };
  }
}

/** Whether what a health check gave says that it still works. */
export function isWell(said: unknown): boolean {
  return native.healthIsUp(answerOf(said));
}

function answerOf(given: unknown): Answer {
  if (given === undefined) return { healthy: false, error: 'The checker returned nothing' };
  const said = settled(given);
  const own = read(said);
  if (own) return own;
  const parts = isCollection(said) ? partsOf(said) : [];
  // An object that says nothing is there, and therefore healthy.
  return parts.length > 0 ? { parts } : { healthy: Boolean(said) };
}

/** What a value says of itself, if it says anything. */
function read(said: unknown): Said | undefined {
  if (isError(said)) return { healthy: false, error: reasonOf(said) };
  if (!isObject(said)) return undefined;
  if (said['status'] === 'rejected' && 'reason' in said) return { healthy: false, error: reasonOf(said['reason']) };
  const statuses = STATUSES.map((name) => said[name]).filter(isSaid);
  // `ok` of an HTTP answer is false for what was not modified.
  const isAnswer = statuses.some((status) => typeof status === 'number');
  const flags = FLAGS.filter((name) => !(isAnswer && name === 'ok')).map((name) => said[name]);
  const told = flags.filter(isSaid);
  const error = reasonIn(said);
  if (told.length + statuses.length === 0) return error === undefined ? undefined : { healthy: false, error };
  return {
    ...(statuses.length > 0 && { statuses: statuses.map(shown) }),
    ...(told.length > 0 && { healthy: told.every(Boolean) }),
    ...(error !== undefined && { error }),
  };
}

/** What the members of a list or a plain object say, those that say anything. */
function partsOf(said: object): Part[] {
  const parts: Part[] = [];
  let members = 0;
  const look = (value: object, path: string, depth: number): void => {
    for (const [key, member] of Object.entries(value)) {
      if ((members += 1) > MOST_MEMBERS) return;
      const at = path + key;
      const result = settled(member);
      const own = result === false && Array.isArray(value) ? { healthy: false } : read(result);
      if (own) parts.push({ at, ...own });
      else if (depth < DEEPEST && isCollection(result)) look(result, `${at}.`, depth + 1);
    }
  };
  look(said, '', 1);
  return parts;
}

/** The value of a fulfilled promise where it is a result of `Promise.allSettled`: one without a value has done its work. */
function settled(said: unknown): unknown {
  if (!isObject(said) || said['status'] !== 'fulfilled' || !('value' in said)) return said;
  return said['value'] === undefined ? true : said['value'];
}

/** What an object says went wrong. `error: null`, `false`, `''` and `{}` are the usual ways to say nothing. */
function reasonIn({ error, errors, errorMessage }: Record<string, unknown>): string | undefined {
  if (says(error)) return messageIn(error);
  if (Array.isArray(errors) && errors.length > 0) return errors.slice(0, DEEPEST).map(messageIn).join('; ');
  return typeof errorMessage === 'string' && errorMessage !== '' ? errorMessage : undefined;
}

function says(error: unknown): boolean {
  if (!isSaid(error) || !error) return false;
  return !isCollection(error) || Object.keys(error).length > 0;
}

/** What an error says, or the record of one that is no `Error`. */
function messageIn(error: unknown): string {
  if (!isError(error) && isObject(error) && typeof error['message'] === 'string') return error['message'];
  return reasonOf(error);
}

/** A method of that name says nothing: a connection may well have an `isHealthy()`. */
function isSaid(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function';
}

function shown(status: unknown): unknown {
  return isObject(status) ? inspect(status, { depth: 0 }) : status;
}

/** A list, or a plain object of whatever realm: what else there is keeps its members to itself. */
function isCollection(value: unknown): value is object {
  return Array.isArray(value) || isPlainObject(value);
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
