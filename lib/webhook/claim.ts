import { failure, type MoorlineError } from '../runtime/error';
import { performance } from '../runtime/node';
import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';
import { setLongTimeout } from '../runtime/timers';
import type { WebhookReplayStore } from './replay-store';

/** @internal The exclusive right to handle a request and its copies. Neither method rejects. */
export interface Claim {
  /** Remembers the request: it was handled. */
  confirm(): Promise<void>;
  /** Lets another copy of the request be handled. */
  release(): Promise<void>;
}

/** @internal The state of a copy that must not be handled. */
export type Duplicate = 'handled' | 'pending';

/** @internal Time limits of a claim, in milliseconds. */
export interface ClaimTimes {
  /** How long the store remembers a request that was handled. */
  ttlMs: number;
  /** When a claim lapses, in case the process ends while it handles the request. Without it none is made. */
  claimMs: number | undefined;
  /** How long the store may take for each answer. */
  timeoutMs: number;
}

const NOT_FORGOTTEN =
  'replayStore.remember resolved after the timeout: without replayStore.forget the webhook stays remembered, although it was not handled';

/**
 * @internal Claims a request in a replay store. Without `claimMs`, and in a store that cannot forget, the request is
 * remembered at once. Rejects where the store fails or does not answer; what it then remembers too late is forgotten.
 */
export async function claim(
  store: WebhookReplayStore,
  key: string,
  { ttlMs, claimMs, timeoutMs }: ClaimTimes,
): Promise<Claim | Duplicate> {
  const canForget = typeof store.forget === 'function';
  const has = async (storeKey: string) =>
    checkBoolean('has', await awaitAnswer('has', store.has!(storeKey), timeoutMs));
  const forget = async (storeKey: string) => awaitAnswer('forget', store.forget?.(storeKey), timeoutMs);
  const remember = async (storeKey: string, ms: number, onLate?: (isNew: unknown) => void) =>
    checkBoolean('remember', await awaitAnswer('remember', store.remember(storeKey, ms), timeoutMs, onLate));
  /** Remembers a request that is to be handled. If the store answers too late it is not handled, and is forgotten. */
  const acquire = (storeKey: string, ms: number) => {
    const lapsesAt = performance.now() + ms;
    return remember(storeKey, ms, (isNew) => {
      if (isNew !== true || performance.now() >= lapsesAt) return;
      const forgotten = canForget ? forget(storeKey) : Promise.reject(new Error(NOT_FORGOTTEN));
      void completeOrLog(forgotten).catch(() => undefined);
    });
  };
  if (claimMs === undefined || typeof store.has !== 'function' || !canForget) {
    if (!(await acquire(key, ttlMs))) return 'handled';
    return { confirm: async () => undefined, release: async () => void (await completeOrLog(forget(key))) };
  }
  const claimKey = `${key}:handling`;
  const lapsesAt = performance.now() + claimMs;
  if (!(await acquire(claimKey, claimMs))) return (await has(key)) ? 'handled' : 'pending';
  const release = async () => {
    // A claim that has lapsed may have another owner by now.
    if (performance.now() < lapsesAt) await completeOrLog(forget(claimKey));
  };
  try {
    // Only now, as an earlier copy may have been remembered since it was looked for.
    if (await has(key)) {
      await release();
      return 'handled';
    }
  } catch (error) {
    await release();
    throw error;
  }
  const confirm = async () => {
    if (await completeOrLog(remember(key, ttlMs))) await release();
  };
  return { confirm, release };
}

function checkBoolean(method: string, answer: unknown): boolean {
  if (typeof answer === 'boolean') return answer;
  throw new Error(`replayStore.${method} must return true or false`);
}

/** The store's answer within its time; `onLate` is called with an answer that comes after it. */
async function awaitAnswer(
  method: string,
  given: unknown,
  timeoutMs: number,
  onLate?: (value: unknown) => void,
): Promise<unknown> {
  // A store in this process has answered, and needs no timer.
  if (typeof given === 'boolean' || given === undefined) return given;
  return new Promise((resolve, reject) => {
    let isLate = false;
    const stop = setLongTimeout(timeoutMs, () => {
      isLate = true;
      reject(timeoutFailure(method, timeoutMs));
    });
    Promise.resolve(given).then(
      (value) => {
        stop();
        if (isLate) onLate?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}

function timeoutFailure(method: string, timeoutMs: number): MoorlineError {
  const message = `replayStore.${method} did not answer within ${timeoutMs}ms`;
  // The sender's repeat is handled: what the store remembers too late is forgotten.
  return failure('timeout', message, { service: 'webhook', operation: method, idempotent: true });
}

/** Whether the store's operation succeeded; its failure is only logged, as it does not change how the request is answered. */
async function completeOrLog(operation: Promise<unknown>): Promise<boolean> {
  try {
    await operation;
    return true;
  } catch (error) {
    log('error', 'webhook.replay-store-failed', 'webhook', () => ({ error: messageOf(error) }));
    return false;
  }
}
