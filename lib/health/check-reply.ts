import { inspect } from 'node:util';

import { log } from '../runtime/logger';
import { isError, messageOf, messageWithCauses } from '../runtime/error-message';
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
interface ValueStatus {
  statuses?: unknown[];
  healthy?: boolean;
  error?: string;
}

/** A checker's answer, in the terms of the addon. */
export interface CheckReply extends ValueStatus {
  /** The statuses of its members, where it has none itself. */
  members?: MemberStatus[];
  metadata?: string;
}

interface MemberStatus extends ValueStatus {
  /** The path of the member. */
  path: string;
}

/** Members of answers that say whether it is well, and by which status. */
const FLAG_KEYS = ['healthy', 'isHealthy', 'ok', 'success'] as const;
const STATUS_KEYS = ['status', 'statusCode'] as const;
/** How deep, and at how many members, an answer is searched: it may hold anything. */
const MAX_DEPTH = 3;
const MAX_MEMBERS = 1000;
/** How many of the errors that an object lists are shown. */
const MAX_ERRORS = 3;

/** Asks a checker and puts its answer into the addon's terms. Never rejects. */
export async function runChecker(checker: HealthCheckFunction, signal: AbortSignal, name: string): Promise<CheckReply> {
  try {
    let value = await checker({ signal });
    if (isObject(value) && typeof value['healthCheck'] === 'function') value = await value['healthCheck']({ signal });
    value = await awaitMembers(value);
    const metadata = isObject(value) && !isError(value) ? value['metadata'] : undefined;
    return { ...toReply(value), ...(isObject(metadata) && serializeMetadata(metadata, name)) };
  } catch (error) {
    return { healthy: false, error: messageWithCauses(error) };
  }
}

/** Whether the answer of a health check says that it works. */
export async function isUp(value: unknown): Promise<boolean> {
  return native.healthIsUp(toReply(await awaitMembers(value)));
}

/** Returns an answer with the outcomes of the promises among its members. All are awaited together, so that no rejection is unhandled. */
async function awaitMembers(value: unknown): Promise<unknown> {
  const waiting: Promise<void>[] = [];
  let members = 0;
  const visit = (value: unknown, depth: number): unknown => {
    if (depth > MAX_DEPTH || !isCollection(value)) return value;
    let copy: Record<string, unknown> | undefined;
    for (const [key, member] of Object.entries(value)) {
      if ((members += 1) > MAX_MEMBERS) break;
      const isWaiting = isPromise(member);
      const replaced = isWaiting ? undefined : visit(member, depth + 1);
      if (replaced === member) continue;
      const target = (copy ??= (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>);
      if (!isWaiting) target[key] = replaced;
      else waiting.push(outcomeOf(member).then((outcome) => void (target[key] = outcome)));
    }
    return copy ?? value;
  };
  const answer = visit(value, 1);
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

function toReply(given: unknown): CheckReply {
  if (given === undefined) return { healthy: false, error: 'The checker returned nothing' };
  const value = unwrapFulfilled(given);
  const status = statusOf(value);
  if (status) return status;
  const members = isCollection(value) ? memberStatusesOf(value) : [];
  if (members.length > 0) return { members };
  // An object that says nothing is there, and therefore healthy; so is a text, unless it is a word that says otherwise.
  return { healthy: Boolean(value), ...(typeof value === 'string' && { statuses: [value] }) };
}

/** Reads the status of a value, if it has one. */
function statusOf(value: unknown): ValueStatus | undefined {
  if (isError(value)) return { healthy: false, error: messageWithCauses(value) };
  if (!isObject(value)) return undefined;
  if (value['status'] === 'rejected' && 'reason' in value)
    return { healthy: false, error: messageWithCauses(value['reason']) };
  const statuses = STATUS_KEYS.map((name) => unwrapSettled(value[name])).filter(isPresent);
  // `ok` of an HTTP response is false for what was not modified.
  const isHttpResponse = statuses.some((status) => typeof status === 'number');
  const flags = FLAG_KEYS.filter((name) => !(isHttpResponse && name === 'ok') && isPresent(value[name]));
  const flagValues = flags.map((name) => flagOf(name, unwrapSettled(value[name])));
  const error = errorMessageIn(value) ?? flagValues.find((flag) => typeof flag === 'string');
  if (flagValues.length + statuses.length === 0) return error === undefined ? undefined : { healthy: false, error };
  return {
    ...(statuses.length > 0 && { statuses: statuses.map(toPrintable) }),
    ...(flagValues.length > 0 && { healthy: flagValues.every((flag) => flag === true) }),
    ...(typeof error === 'string' && { error }),
  };
}

/** Whether a flag says yes, or what is wrong with it: only a boolean does, and the 0 and 1 of a database. */
function flagOf(name: string, value: unknown): boolean | string {
  if (typeof value === 'boolean') return value;
  if (value === 0 || value === 1) return value === 1;
  // The members of a class are not waited for.
  onRejection(value, () => undefined);
  return isError(value)
    ? messageWithCauses(value)
    : `${name} must be true or false, got ${inspect(value, { depth: 0 })}`;
}

/** The value or the reason of a settled promise in the place of a flag or a status. */
function unwrapSettled(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (value['status'] === 'fulfilled') return value['value'] ?? null;
  return value['status'] === 'rejected' ? (value['reason'] ?? null) : value;
}

/** The statuses of the members of a list or a plain object that have one. */
function memberStatusesOf(value: object): MemberStatus[] {
  const found: MemberStatus[] = [];
  let members = 0;
  const visit = (value: object, path: string, depth: number): void => {
    for (const [key, member] of Object.entries(value)) {
      if ((members += 1) > MAX_MEMBERS) return;
      const memberPath = path + key;
      const result = unwrapFulfilled(member);
      const status = result === false && Array.isArray(value) ? { healthy: false } : statusOf(result);
      if (status) found.push({ path: memberPath, ...status });
      else if (depth < MAX_DEPTH && isCollection(result)) visit(result, `${memberPath}.`, depth + 1);
    }
  };
  visit(value, '', 1);
  return found;
}

/** The value of a fulfilled promise where it is a result of `Promise.allSettled`: one without a value has done its work. */
function unwrapFulfilled(value: unknown): unknown {
  if (!isObject(value) || value['status'] !== 'fulfilled' || !('value' in value)) return value;
  return value['value'] === undefined ? true : value['value'];
}

/** The error that an object names. `error: null`, `false`, `''` and `{}` are the usual ways to say nothing. */
function errorMessageIn({ error, errors, errorMessage }: Record<string, unknown>): string | undefined {
  if (isErrorGiven(error)) return messageIn(error);
  if (Array.isArray(errors) && errors.length > 0) return errors.slice(0, MAX_ERRORS).map(messageIn).join('; ');
  return typeof errorMessage === 'string' && errorMessage !== '' ? errorMessage : undefined;
}

function isErrorGiven(error: unknown): boolean {
  if (!isPresent(error) || !error) return false;
  return !isCollection(error) || Object.keys(error).length > 0;
}

/** The message of an error, or of the record of one that is no `Error`. */
function messageIn(error: unknown): string {
  if (!isError(error) && isObject(error) && typeof error['message'] === 'string') return error['message'];
  return messageWithCauses(error);
}

/** Whether a member counts: a method of that name does not, as a connection may have an `isHealthy()`. */
function isPresent(value: unknown): boolean {
  return value !== undefined && typeof value !== 'function';
}

function toPrintable(status: unknown): unknown {
  return isObject(status) ? inspect(status, { depth: 0 }) : status;
}

/** A list, or a plain object of whatever realm: what else there is keeps its members to itself. */
function isCollection(value: unknown): value is object {
  return Array.isArray(value) || isPlainObject(value);
}

/** Metadata as JSON; what cannot be JSON is dropped, so that it does not spoil the result. */
function serializeMetadata(metadata: object, name: string): { metadata?: string } {
  try {
    return { metadata: JSON.stringify(metadata) };
  } catch (error) {
    log('warn', 'health.metadata-dropped', name, () => ({ name, reason: messageOf(error) }));
    return {};
  }
}
