import { toMoorlineError } from './error';
import type { KnownOptions } from './known-options';
import { native, type Cancel, type Handle } from './native';
import { isReasonOf, onAbort, reasonOf, type Abortable } from './abort';

/**
 * Options of `run` of {@link Policy} and {@link CircuitBreaker} and of the methods of {@link TursoPool} that borrow a connection;
 * `QueryOptions` and `NixtlaCallOptions` add a time limit.
 */
export interface CallOptions {
  /** A signal that cancels the call: an abort rejects it with the signal's reason and releases its resources. */
  signal?: AbortSignal | undefined;
}

/** @internal */
export const CALL_OPTIONS: KnownOptions<CallOptions> = { signal: true };

/**
 * Makes one native call: a failure becomes an error with the caller's stack, and an aborted signal rejects
 * at once with its reason while the native side is told to stop. When the native side had already succeeded,
 * `undo` gets the value that is dropped.
 */
export async function call<T>(
  start: (cancel: Handle<Cancel> | undefined) => Promise<T>,
  signal?: Abortable,
  toError: (rejection: unknown) => unknown = toMoorlineError,
  undo?: (late: T) => void,
): Promise<T> {
  try {
    if (!signal) return await start(undefined);
    return await abortable(start, signal, undo);
  } catch (error) {
    // A reason is the caller's own, whatever it looks like.
    throw isReasonOf(error, signal) ? error : toError(error);
  }
}

/**
 * A listener for the addon, which calls `listener` with `owner` for as long as that lives.
 *
 * The addon holds the listener, so nothing strong may lead from it to the owner, or both stay for ever: not even `listener`
 * may be made where the owner is `this`.
 */
export function weakListener<Owner extends object, Args extends unknown[]>(
  owner: Owner,
  listener: (owner: Owner, ...args: Args) => void,
): (...args: Args) => void {
  const reference = new WeakRef(owner);
  return (...args) => {
    const target = reference.deref();
    if (target) listener(target, ...args);
  };
}

async function abortable<T>(
  start: (cancel: Handle<Cancel> | undefined) => Promise<T>,
  signal: Abortable,
  undo?: (late: T) => void,
): Promise<T> {
  signal.throwIfAborted();
  const cancel = native.cancelCreate();
  let removeAbortListener!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    removeAbortListener = onAbort(signal, () => {
      native.cancelFire(cancel);
      reject(reasonOf(signal));
    });
  });
  let work: Promise<T> | undefined;
  try {
    work = start(cancel);
    return await Promise.race([work, aborted]);
  } catch (error) {
    // A success that comes too late is undone, and a failure ignored.
    work?.then(undo).catch(() => undefined);
    throw error;
  } finally {
    removeAbortListener();
  }
}
