/** The longest that a timer of Node's can wait; it takes anything longer as a millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls `ring` after a time; `Infinity` is never. Gives the function that prevents it. */
export function after(ms: number, ring: () => void): () => void {
  if (ms === Infinity) return () => undefined;
  const timer = setTimeout(ring, Math.min(ms, LONGEST_TIMER_MS));
  return () => clearTimeout(timer);
}

/** Sleeps; an abort wakes it. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const stop = after(ms, end);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** What `ask` gives within `ms`, unless `life` ends first: then its reason. The signal of `ask` is aborted by both. */
export async function within<T>(
  ms: number,
  life: AbortSignal,
  ask: (signal: AbortSignal) => T | PromiseLike<T>,
  late = `The connection was not open within ${ms} ms`,
): Promise<T> {
  life.throwIfAborted();
  const controller = new AbortController();
  let settle = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      const end = (reason: unknown) => {
        reject(reason);
        controller.abort(reason);
      };
      const ended = () => end(life.reason);
      const stop = after(ms, () => end(new Error(late)));
      settle = () => {
        stop();
        life.removeEventListener('abort', ended);
      };
      life.addEventListener('abort', ended, { once: true });
      Promise.resolve(ask(controller.signal)).then(resolve, reject);
    });
  } finally {
    settle();
  }
}
