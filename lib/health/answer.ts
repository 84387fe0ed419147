import { inspect } from 'node:util';

import { log } from '../runtime/logger';
import { isError, messageOf, reasonOf } from '../runtime/error-message';
import { native } from '../runtime/native';
import { isObject, isPlainObject, isThenable, onRejection } from '../runtime/shape';

/**
 * A checker: a function whose return value tells the health of a dependency. The value may be a promise, and promises among
 * its members are awaited:
 *
 * - an object with a `healthCheck()` method, such as a pool or a connection: its return value counts;
 * - an error, and a `rejected` result of `Promise.allSettled`: unhealthy, with the messages of the error and its causes;
 * - an object with `healthy`, `isHealthy`, `ok`, `success`, `status` or `statusCode`: the worst of them counts. A status is a
 *   word such as `'degraded'`, a boolean or an HTTP status code; the others are booleans, or 0 and 1, and any other value is
 *   unhealthy. An object with none of them but with an `error` is unhealthy. Its `error` and `metadata` are kept with the
 *   result;
 * - an array or a plain object with none of these: its worst member counts, as of `Promise.allSettled` or
 *   `{ db: { status: 'down' } }`;
 * - a string that is such a word: that status; any other value is healthy if it is truthy, such as the `'PONG'` of Redis.
 *
 * A checker that throws is unhealthy. The signal is aborted when the check times out.
 */
export type HealthCheckFunction = (options: { signal: AbortSignal }) => unknown;

/** The status of one value, in the terms of the addon. */
interface Said {
  statuses?: unknown[];
  healthy?: boolean;
  error?: string;
}

/** A checker's answer, in the terms of the addon. */
export interface Answer extends Said {
  /** The statuses of its members, where it has none itself. */
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
    said = await awaited(said);
    const metadata = isObject(said) && !isError(said) ? said['metadata'] : undefined;
    return { ...answerOf(said), ...(isObject(metadata) && serialized(metadata, name)) };
  } catch (error) {
    return { healthy: false, error: reasonOf(error) };
  }
}

/** Whether what a health check gave says that it still works. */
export async function isWell(said: unknown): Promise<boolean> {
  return native.healthIsUp(answerOf(await awaited(said)));
}

/** An answer with what became of the promises among its members. They are waited for together: none rejects unheard. */
async function awaited(said: unknown): Promise<unknown> {
  const waiting: Promise<void>[] = [];
  let members = 0;
  const look = (value: unknown, depth: number): unknown => {
    if (depth > DEEPEST || !isCollection(value)) return value;
    let copy: Record<string, unknown> | undefined;
    for (const [key, member] of Object.entries(value)) {
      if ((members += 1) > MOST_MEMBERS) break;
      const waits = isPromise(member);
      const known = waits ? undefined : look(member, depth + 1);
      if (known === member) continue;
      const changed = (copy ??= (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>);
      if (!waits) changed[key] = known;
      else waiting.push(outcomeOf(member).then((outcome) => void (changed[key] = outcome)));
    }
    return copy ?? value;
  };
  const answer = look(said, 1);
  await Promise.all(waiting);
  return answer;
}

/** The outcome of a promise, in the terms of `Promise.allSettled`. */
function outcomeOf(promise: PromiseLike<unknown>): Promise<PromiseSettledResult<unknown>> {
  return Promise.allSettled([promise]).then(([outcome]) => outcome);
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  try {
    return isObject(value) && isThenable(value);
  } catch {
    return false;
  }
}

function answerOf(given: unknown): Answer {
  if (given === undefined) return { healthy: false, error: 'The checker returned nothing' };
  const said = settled(given);
  const own = read(said);
  if (own) return own;
  const parts = isCollection(said) ? partsOf(said) : [];
  if (parts.length > 0) return { parts };
  // An object that says nothing is there, and therefore healthy; so is a text, unless it is a word that says otherwise.
  return { healthy: Boolean(said), ...(typeof said === 'string' && { statuses: [said] }) };
}

/** Reads the status of a value, if it has one. */
function read(said: unknown): Said | undefined {
  if (isError(said)) return { healthy: false, error: reasonOf(said) };
  if (!isObject(said)) return undefined;
  if (said['status'] === 'rejected' && 'reason' in said) return { healthy: false, error: reasonOf(said['reason']) };
  const statuses = STATUSES.map((name) => valueIn(said[name])).filter(isSaid);
  // `ok` of an HTTP answer is false for what was not modified.
  const isAnswer = statuses.some((status) => typeof status === 'number');
  const flags = FLAGS.filter((name) => !(isAnswer && name === 'ok') && isSaid(said[name]));
  const told = flags.map((name) => flagOf(name, valueIn(said[name])));
  const error = reasonIn(said) ?? told.find((flag) => typeof flag === 'string');
  if (told.length + statuses.length === 0) return error === undefined ? undefined : { healthy: false, error };
  return {
    ...(statuses.length > 0 && { statuses: statuses.map(shown) }),
    ...(told.length > 0 && { healthy: told.every((flag) => flag === true) }),
    ...(typeof error === 'string' && { error }),
  };
}

/** Whether a flag says yes, or what is wrong with it: only a boolean does, and the 0 and 1 of a database. */
function flagOf(name: string, value: unknown): boolean | string {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  // The members of a class are not waited for.
  onRejection(value, () => undefined);
  return isError(value) ? reasonOf(value) : `${name} must be true or false, got ${inspect(value, { depth: 0 })}`;
}

/** The value or the reason of a settled promise in the place of a flag or a status. */
function valueIn(said: unknown): unknown {
  if (!isObject(said)) return said;
  if (said['status'] === 'fulfilled') return said['value'] ?? null;
  return said['status'] === 'rejected' ? (said['reason'] ?? null) : said;
}

/** The statuses of the members of a list or a plain object that have one. */
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

/** The error that an object names. `error: null`, `false`, `''` and `{}` are the usual ways to say nothing. */
function reasonIn({ error, errors, errorMessage }: Record<string, unknown>): string | undefined {
  if (says(error)) return messageIn(error);
  if (Array.isArray(errors) && errors.length > 0) return errors.slice(0, DEEPEST).map(messageIn).join('; ');
  return typeof errorMessage === 'string' && errorMessage !== '' ? errorMessage : undefined;
}

function says(error: unknown): boolean {
  if (!isSaid(error) || !error) return false;
  return !isCollection(error) || Object.keys(error).length > 0;
}

/** The message of an error, or of the record of one that is no `Error`. */
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

/** Metadata as JSON; what cannot be JSON is dropped, so that it does not spoil the result. */
function serialized(metadata: object, name: string): { metadata?: string } {
  try {
    return { metadata: JSON.stringify(metadata) };
  } catch (error) {
    log('warn', 'health.metadata-dropped', name, () => ({ name, reason: messageOf(error) }));
    return {};
  }
}
