// The caller's signals. What looks like an AbortSignal may be somebody's own, whose members throw.

/** What an abort of one signal ends. */
class Waiting {
  readonly acts = new Set<() => void>();
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  readonly ring = (): void => {
    forget(this.#signal, this);
    // One of them may take another off.
    for (const act of [...this.acts]) if (this.acts.delete(act)) act();
  };
}

const waiting = new WeakMap<AbortSignal, Waiting>();

function forget(signal: AbortSignal, ended: Waiting): void {
  if (waiting.get(signal) === ended) waiting.delete(signal);
}

/**
 * Calls `act` when `signal` is aborted. Gives the function that prevents it, which never throws.
 *
 * A signal has one listener however many calls it may end: taking a listener off is a search through all of them, and
 * many look like a leak to Node.
 *
 * @param act a function of this call alone, which must not throw.
 */
export function onAbort(signal: AbortSignal, act: () => void): () => void {
  const known = waiting.get(signal);
  const group = known ?? new Waiting(signal);
  if (!known) {
    signal.addEventListener('abort', group.ring, { once: true });
    waiting.set(signal, group);
  }
  group.acts.add(act);
  return () => {
    if (!group.acts.delete(act) || group.acts.size > 0) return;
    forget(signal, group);
    try {
      signal.removeEventListener('abort', group.ring);
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
