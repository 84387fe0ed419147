import type { Deadlines, Timed } from './deadlines';

/** What a function under a policy is handed. */
export interface Attempt {
  /** The number of the attempt, from 1. */
  readonly attempt: number;
  /** Aborted when the attempt has taken too long, or the caller gave up. Pass it on to whatever you call. */
  readonly signal: AbortSignal;
}

/** The caller's signal during one call. */
export class Abort {
  /** Ends what the call waits for at the moment. */
  interrupt: ((reason: unknown) => void) | undefined;
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.interrupt?.(this.#signal.reason);

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** The call is over. */
  stop(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

/** One attempt while it runs. */
export class Running implements Attempt, Timed {
  /** What an attempt rejects with at its deadline. */
  static readonly LATE = Symbol('late');

  readonly attempt: number;
  due = 0;
  before: Timed | undefined = undefined;
  after: Timed | undefined = undefined;
  #deadlines: Deadlines | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reject: ((reason: unknown) => void) | undefined;
  #controller: AbortController | undefined;

  constructor(attempt: number) {
    this.attempt = attempt;
  }

  /** Made only for those who ask: an `AbortController` costs more than all the rest. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Runs `work`, at most until its deadline (of `deadlines`, else after `ms` unless that is -1) or the abort. */
  settle<T>(
    work: (attempt: Attempt) => T | PromiseLike<T>,
    deadlines: Deadlines | undefined,
    ms: number,
    abort: Abort | undefined,
  ): T | PromiseLike<T> {
    if (ms < 0 && !abort) return work(this);
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (abort) abort.interrupt = (reason) => this.#end(reason, reason);
      const answer = work(this);
      if (!isThenable(answer)) return resolve(answer);
      answer.then(resolve, reject);
      if (deadlines) {
        this.#deadlines = deadlines;
        deadlines.add(this);
      } else if (ms >= 0) {
        this.#timer = setTimeout(() => this.expire(), ms);
      }
    });
  }

  /** The attempt is over: its deadline is taken back. */
  stop(): void {
    this.#deadlines?.remove(this);
    if (this.#timer) clearTimeout(this.#timer);
  }

  expire(): void {
    this.#end(Running.LATE, new DOMException('The attempt has taken too long', 'TimeoutError'));
  }

  #end(rejection: unknown, reason: unknown): void {
    this.#reject?.(rejection);
    this.#controller?.abort(reason);
  }
}

function isThenable<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  return typeof (answer as PromiseLike<T> | null | undefined)?.then === 'function';
}
