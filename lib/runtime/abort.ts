// The caller's abort signals. An object that looks like an AbortSignal may have members that throw.

/** The callbacks of one signal, behind one event listener. */
class AbortListeners {
  readonly callbacks = new Set<() => void>();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  readonly dispatch = (): void => {
    forget(this.#signal, this);
    // A callback may remove another one.
    for (const callback of [...this.callbacks]) if (this.callbacks.delete(callback)) callback();
  };
}

const listenersBySignal = new WeakMap<AbortSignal, AbortListeners>();

function forget(signal: AbortSignal, listeners: AbortListeners): void {
  if (listenersBySignal.get(signal) === listeners) listenersBySignal.delete(signal);
}

/**
 * Calls `act` when `signal` is aborted. Gives the function that prevents it, which never throws.
 *
 * A signal has one listener however many calls it may end: taking a listener off is a search through all of them, and
 * many look like a leak to Node.
 *
 * @param callback a function of this call alone, which must not throw.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const known = listenersBySignal.get(signal);
  const listeners = known ?? new AbortListeners(signal);
  if (!known) {
    signal.addEventListener('abort', listeners.dispatch, { once: true });
    listenersBySignal.set(signal, listeners);
  }
  listeners.callbacks.add(callback);
  return () => {
    if (!listeners.callbacks.delete(callback) || listeners.callbacks.size > 0) return;
    forget(signal, listeners);
    try {
      signal.removeEventListener('abort', listeners.dispatch);
    } catch {
      // The call is over, and what it gives must not be lost for this.
    }
  };
}

/** Whether it is aborted; one that cannot be read is not. */
export function isAborted(signal: AbortSignal | undefined): boolean {
  try {
    return signal?.aborted === true;
  } catch {
    return false;
  }
}

/** Why it was aborted. */
export function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}

/** Whether `error` is why `signal` was aborted: the caller's own then, whatever it looks like. */
export function isReasonOf(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal !== undefined && isAborted(signal) && error === reasonOf(signal);
}
