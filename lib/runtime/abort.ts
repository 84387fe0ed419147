// The caller's abort signals. An object that looks like an AbortSignal may have members that throw.

/** What is used of an `AbortSignal`, so that a {@link Lifetime} can stand in its place. */
export interface Abortable {
  readonly aborted: boolean;
  readonly reason: any;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The time until an object is closed: what an `AbortController` and its signal do, in a tenth of their memory. */
export class Lifetime implements Abortable {
  aborted = false;
  reason: unknown = undefined;
  #listeners: Set<() => void> | undefined = undefined;

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (!this.aborted) (this.#listeners ??= new Set()).add(listener);
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener);
    if (this.#listeners?.size === 0) this.#listeners = undefined;
  }

  /** Ends it, once. */
  abort(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    // A listener may take another one off.
    for (const listener of [...(this.#listeners ?? [])]) if (this.#listeners?.delete(listener)) listener();
  }
}

/** The callbacks of one signal, behind one event listener. */
class AbortListeners {
  readonly callbacks = new Set<() => void>();
  readonly #signal: Abortable;

  constructor(signal: Abortable) {
    this.#signal = signal;
  }

  readonly dispatch = (): void => {
    forget(this.#signal, this);
    // A callback may remove another one.
    for (const callback of [...this.callbacks]) if (this.callbacks.delete(callback)) callback();
  };
}

const listenersBySignal = new WeakMap<Abortable, AbortListeners>();

function forget(signal: Abortable, listeners: AbortListeners): void {
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
export function onAbort(signal: Abortable, callback: () => void): () => void {
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
export function isAborted(signal: Abortable | undefined): boolean {
  try {
    return signal?.aborted === true;
  } catch {
    return false;
  }
}

/** Why it was aborted. */
export function reasonOf(signal: Abortable): unknown {
  try {
    return signal.reason;
  } catch (error) {
    return error;
  }
}

/** Whether `error` is why `signal` was aborted: the caller's own then, whatever it looks like. */
export function isReasonOf(error: unknown, signal: Abortable | undefined): boolean {
  return signal !== undefined && isAborted(signal) && error === reasonOf(signal);
}
