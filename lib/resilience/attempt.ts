import type { Deadlines, TimedTask } from './deadlines';
import { abortReason, clearTimeout, makeAbortController } from '../runtime/node';
import { isThenable } from '../runtime/shape';
import { isAborted, onAbort, reasonOf, type Abortable } from '../runtime/abort';
import { startTimer } from '../runtime/timers';

/** The argument of a function that runs under a policy. */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Aborted when the attempt takes too long or the call is aborted. Pass it on to the functions that you call. */
  readonly signal: AbortSignal;
}

/** The two signals that may end one call: the caller's, and the lifetime of the object that makes the call. */
export class LinkedSignal {
  /** Ends what the call waits for at the moment. */
  interrupt: ((reason: unknown) => void) | undefined;
  readonly #first: Abortable;
  readonly #second: Abortable | undefined;
  readonly #removeFirstListener: () => void;
  readonly #removeSecondListener: (() => void) | undefined;

  constructor(first: Abortable, second?: Abortable) {
    this.#first = first;
    this.#second = second;
    const interrupt = () => this.interrupt?.(this.reason);
    this.#removeFirstListener = onAbort(first, interrupt);
    this.#removeSecondListener = second && onAbort(second, () => interrupt());
  }

  /** Whether one of them is aborted. */
  get aborted(): boolean {
    return isAborted(this.#first) || this.#second?.aborted === true;
  }

  /** The reason of the one that is. */
  get reason(): unknown {
    return reasonOf(this.#second?.aborted && !isAborted(this.#first) ? this.#second : this.#first);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  /** The call is over. */
  stop(): void {
    this.#removeFirstListener();
    this.#removeSecondListener?.();
  }
}

/** What an attempt fails with at its deadline. */
export const TIMED_OUT = Symbol('timed out');

/** One attempt while it runs. It may end twice (its answer comes after its deadline); the first end counts. */
export class RunningAttempt implements Attempt, TimedTask {
  readonly attempt: number;
  due = 0;
  previous: TimedTask | undefined = undefined;
  next: TimedTask | undefined = undefined;
  #isOver = false;
  #deadlines: Deadlines | undefined = undefined;
  #onFailure: ((thrown: unknown) => void) | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  /** Why it was given up, for a signal that is made only afterwards. */
  #failure: { reason: unknown } | undefined = undefined;

  constructor(attempt: number) {
    this.attempt = attempt;
  }

  /** Made only for those who ask: an `AbortController` costs more than all the rest. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = makeAbortController();
      if (this.#failure) this.#controller.abort(this.#failure.reason);
    }
    return this.#controller.signal;
  }

  /** Runs `work` and tells how it ends. */
  start<T>(
    work: (attempt: Attempt) => T | PromiseLike<T>,
    onSuccess: (value: T) => void,
    onFailure: (thrown: unknown) => void,
  ): void {
    this.#onFailure = onFailure;
    let answer: T | PromiseLike<T>;
    try {
      answer = work(this);
      // Reading `then`, and calling it, runs the user's code as well.
      if (isThenable(answer)) {
        (answer as PromiseLike<T>).then(onSuccess, onFailure);
        return;
      }
    } catch (thrown) {
      return onFailure(thrown);
    }
    onSuccess(answer as T);
  }

  /** The same as a promise: at most for `ms`, unless that is -1, and until the abort. */
  async run<T>(work: (attempt: Attempt) => T | PromiseLike<T>, ms: number, linkedSignal?: LinkedSignal): Promise<T> {
    linkedSignal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        if (linkedSignal) linkedSignal.interrupt = (reason) => this.fail(reason);
        if (ms >= 0) timer = startTimer(() => this.expire(), ms);
        this.start(work, resolve, reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** From now on it is late after the time of `deadlines`. */
  addDeadline(deadlines: Deadlines): void {
    if (this.#isOver) return;
    this.#deadlines = deadlines;
    try {
      deadlines.add(this);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Takes note of its end; false when it had ended before. */
  markEnded(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#deadlines?.remove(this);
    return true;
  }

  expire(): void {
    this.#fail(TIMED_OUT, abortReason('The attempt timed out', 'TimeoutError'));
  }

  fail(error: unknown): void {
    this.#fail(error, error);
  }

  #fail(thrown: unknown, reason: unknown): void {
    this.#failure = { reason };
    this.#onFailure?.(thrown);
    this.#controller?.abort(reason);
  }
}
