import { dress } from './error';
import { native, type Cancel, type Handle } from './native';

/** What every asynchronous method accepts. */
export interface CallOptions {
  /** Aborting it rejects the call with the signal's reason and frees what the call holds. */
  signal?: AbortSignal | undefined;
}

/**
 * Makes one native call: a failure becomes an error with the caller's stack, and an aborted signal rejects
 * at once with its reason while the native side is told to stop.
 */
export async function call<T>(
  start: (cancel: Handle<Cancel> | undefined) => Promise<T>,
  signal?: AbortSignal,
  toError: (rejection: unknown) => unknown = dress,
): Promise<T> {
  try {
    if (!signal) return await start(undefined);
    return await abortable(start, signal);
  } catch (error) {
    throw toError(error);
  }
}

async function abortable<T>(
  start: (cancel: Handle<Cancel> | undefined) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const cancel = native.cancelCreate();
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => {
      native.cancelFire(cancel);
      reject(signal.reason);
    };
  });
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const work = start(cancel);
    // Its own failure arrives after the abort and has nobody left to hear it.
    work.catch(() => undefined);
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
