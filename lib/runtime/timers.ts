import { clearTimeout, makeAbortController, setTimeout } from './node';
import { isAborted, onAbort, reasonOf, type Abortable } from './abort';

/** Node's maximum timer delay; larger values fire after 1 ms. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The last moment that a `Date` can tell, in milliseconds since the epoch. */
export const LAST_DATE_MS = 8.64e15;

/** Calls `callback` after `ms`, which may exceed Node's maximum; never after `Infinity`. */
export function startTimer(callback: () => void, ms: number): NodeJS.Timeout {
  if (!(ms > LONGEST_TIMER_MS)) return setTimeout(callback, ms);
  // In several rounds of one timer, so that the caller can clear and unref it.
  let turns = Math.ceil(ms / LONGEST_TIMER_MS);
  const turn = () => {
    turns -= 1;
    if (turns > 0) timer.refresh();
    else callback();
  };
  const timer = setTimeout(turn, turns === Infinity ? LONGEST_TIMER_MS : ms / turns);
  return timer;
}

/** Calls `callback` after `ms`; `Infinity` is never. Returns the function that cancels it. */
export function setLongTimeout(ms: number, callback: () => void, { keepsAlive = true } = {}): () => void {
  if (ms === Infinity) return () => undefined;
  const timer = startTimer(callback, ms);
  if (!keepsAlive) timer.unref();
  return () => clearTimeout(timer);
}

/**
 * Runs `work` repeatedly, `ms` after the end of the run before, without keeping the process alive. Returns the function
 * that ends it. `onError` must not throw.
 */
export function repeat(ms: number, work: () => Promise<void>, onError: (error: unknown) => void): () => void {
  let ended = false;
  let stop = () => {};
  const runOnce = () => {
    work()
      .catch(onError)
      .finally(() => !ended && schedule());
  };
  const schedule = () => {
    stop = setLongTimeout(ms, runOnce, { keepsAlive: false });
  };
  schedule();
  return () => {
    ended = true;
    stop();
  };
}

/** Keeps the process alive while nothing else does. */
export class KeepAlive {
  #timer: NodeJS.Timeout | undefined;

  set(alive: boolean): void {
    if (alive === (this.#timer !== undefined)) return;
    if (!alive) clearInterval(this.#timer);
    this.#timer = alive ? setInterval(() => undefined, LONGEST_TIMER_MS) : undefined;
  }
}

/** Sleeps; an abort wakes it. */
export function sleep(ms: number, signal: Abortable): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      stop();
      removeAbortListener();
      resolve();
    };
    const stop = setLongTimeout(ms, end);
    const removeAbortListener = onAbort(signal, end);
  });
}

/**
 * Returns the result of `work` if it comes within `ms`. Else rejects with `timeoutError`, or with the reason of one of
 * `signals` that was aborted before. Both abort the signal that `work` gets.
 */
export async function withTimeout<T>(
  ms: number,
  signals: readonly Abortable[],
  work: (signal: AbortSignal) => T | PromiseLike<T>,
  timeoutError?: () => Error,
): Promise<T> {
  for (const outer of signals) if (isAborted(outer)) throw reasonOf(outer);
  const controller = makeAbortController();
  let cleanUp = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      const end = (reason: unknown) => {
        reject(reason);
        controller.abort(reason);
      };
      const stop = timeoutError ? setLongTimeout(ms, () => end(timeoutError())) : () => undefined;
      const removeAbortListener = signals.map((outer) => onAbort(outer, () => end(reasonOf(outer))));
      cleanUp = () => {
        stop();
        for (const remove of removeAbortListener) remove();
      };
      Promise.resolve(work(controller.signal)).then(resolve, reject);
    });
  } finally {
    cleanUp();
  }
}
