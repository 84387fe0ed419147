import { Deadlines } from './deadlines';
import { toMoorlineError, MoorlineError, RetryError } from '../runtime/error';
import { clearTimeout, queueMicrotask } from '../runtime/node';
import { invalidType, outOfRange } from '../runtime/argument-error';
import type { CallerClock } from './clock';
import { matches, type ErrorMatcher } from '../runtime/error-matcher';
import type { Abortable } from '../runtime/abort';
import { native, type Handle } from '../runtime/native';
import { isError, readableError } from '../runtime/error-message';
import { LinkedSignal, TIMED_OUT, RunningAttempt, type Attempt } from './attempt';
import { onRejection } from '../runtime/shape';
import { startTimer } from '../runtime/timers';
import type { Policy as NativePolicy } from '../../dist/native';

/** A function that runs under a policy. */
export type Guarded<T> = (attempt: Attempt) => T | PromiseLike<T>;

/** The part of a policy that is JavaScript: which errors count, and its callbacks. */
export interface RunnerOptions {
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  failureWeight?: ((error: unknown) => number) | undefined;
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
  onRetry?: (facts: { attempt: number; delayMs: number; error: unknown }) => void;
  onTimeout?: (facts: { attempt: number; afterMs: number }) => void;
  /** Whether an attempt has a timeout of its own, whose error says what it was doing. */
  hasOwnTimeout?: boolean;
  /** What users call the time limit of an attempt, where that is not a policy's own option. */
  timeoutOptionName?: string;
  /** Whether these calls run in the background: their pauses do not keep the process alive. */
  background?: boolean;
  /** The caller's clock, where the addon does not use its own. */
  clock?: CallerClock | undefined;
  /** Returns the signal that ends the pauses and the waiting of a call that begins now, and all attempts but the first. */
  lifetime?: () => Abortable;
}

/** The answer of the addon to a call that is not admitted at once: refused, delayed or queued. */
type NotAdmitted = { refused: string } | { id: number; waitMs: number } | { id: number; queueMs: number | null };

/**
 * The loop around a function: asks the addon before each attempt, reports after it, and sleeps in between for as
 * long as the addon says. It computes no delay and counts nothing, and values never leave JavaScript.
 */
export class PolicyRunner {
  readonly #policy: Handle<NativePolicy>;
  readonly #options: RunnerOptions;
  readonly #clock: CallerClock | undefined;
  /** How long a first attempt may take that had not to wait. */
  readonly #attemptTimeoutMs: number;
  readonly #deadlines: Deadlines | undefined;
  /** Calls in the bulkhead's queue, by number; made with the first, as is the next. */
  #queued: Map<number, () => void> | undefined;
  /** Calls that wait for the rate limit, by number. */
  #limited: Map<number, () => void> | undefined;
  #isWakeScheduled = false;

  constructor(policy: Handle<NativePolicy>, attemptTimeoutMs: number | null, options: RunnerOptions) {
    this.#policy = policy;
    this.#options = options;
    this.#attemptTimeoutMs = attemptTimeoutMs ?? Infinity;
    const { clock } = options;
    this.#clock = clock;
    this.#deadlines =
      attemptTimeoutMs === null ? undefined : new Deadlines(attemptTimeoutMs, clock && (() => clock.now()));
  }

  /**
   * Runs `work` until it succeeds, cannot be repeated or is refused; rejects with the last error. No attempt begins after
   * `timeoutMs`, and nothing is waited for until then.
   */
  run<T>(work: Guarded<T>, signal?: Abortable, timeoutMs?: number): Promise<T> {
    if (typeof work !== 'function') throw invalidType('fn', 'a function', work);
    const lifetime = this.#options.lifetime?.();
    if (signal)
      return this.#runWithSignals(signal, lifetime, (linkedSignal) => this.#begin(work, linkedSignal, timeoutMs));
    let id: number;
    try {
      id = this.#admit(undefined, timeoutMs);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.runAdmitted(work, id, lifetime);
  }

  /**
   * Runs a call whose number, below 0 where it was not admitted, the addon has given; `lifetime` ends its pauses and its
   * waiting, and all attempts but the first.
   */
  runAdmitted<T>(work: Guarded<T>, id: number, lifetime: Abortable | undefined): Promise<T> {
    if (id < 0)
      return this.#runWithSignals(lifetime, undefined, (linkedSignal) =>
        this.#runAttempts(work, id, 1, undefined, linkedSignal),
      );
    // The usual case, a first attempt that may go and succeeds, makes nothing that it does not need.
    return new Promise((resolve, reject) => {
      const first = new RunningAttempt(1);
      const onSuccess = (value: T) => {
        if (!first.markEnded()) return;
        try {
          this.#succeed(id);
        } catch (error) {
          return reject(error);
        }
        resolve(value);
      };
      const onFailure = (thrown: unknown) => {
        if (!first.markEnded()) return;
        this.#runWithSignals(lifetime, undefined, (linkedSignal) =>
          this.#retryAfterFirst(work, id, thrown, linkedSignal),
        ).then(resolve, reject);
      };
      first.start(work, onSuccess, onFailure);
      if (this.#deadlines) first.addDeadline(this.#deadlines);
    });
  }

  /** Runs `call`, which the signals end, if there are any. */
  async #runWithSignals<T>(
    signal: Abortable | undefined,
    lifetime: Abortable | undefined,
    call: (linkedSignal: LinkedSignal | undefined) => Promise<T>,
  ): Promise<T> {
    // Awaited, or the caller would not be on the stack of errors.
    if (!signal) return await call(undefined);
    const linkedSignal = new LinkedSignal(signal, lifetime);
    try {
      return await call(linkedSignal);
    } finally {
      linkedSignal.stop();
    }
  }

  async #begin<T>(work: Guarded<T>, linkedSignal: LinkedSignal | undefined, timeoutMs: number | undefined): Promise<T> {
    linkedSignal?.throwIfAborted();
    return await this.#runAttempts(work, this.#admit(undefined, timeoutMs), 1, undefined, linkedSignal);
  }

  /** Goes on after a first attempt that failed. */
  async #retryAfterFirst<T>(
    work: Guarded<T>,
    id: number,
    thrown: unknown,
    linkedSignal: LinkedSignal | undefined,
  ): Promise<T> {
    // From here on the caller is on the stack of errors, which it is not in a timer.
    await undefined;
    const error = this.#toAttemptError(thrown, 1, this.#attemptTimeoutMs);
    return this.#runAttempts(work, await this.#waitForRetry(id, 1, error, linkedSignal), 2, error, linkedSignal);
  }

  /** All attempts from the given one on; `last` is what the one before failed with. */
  async #runAttempts<T>(
    work: Guarded<T>,
    id: number,
    number: number,
    last?: unknown,
    linkedSignal?: LinkedSignal,
  ): Promise<T> {
    for (; ; number++) {
      if (id < 0) id = await this.#waitForAdmission(linkedSignal, last);
      this.#syncClock(id);
      const ms = this.#options.hasOwnTimeout ? -1 : native.policyAttemptTimeoutMs(this.#policy, id);
      let value: T;
      try {
        value = await new RunningAttempt(number).run(work, ms, linkedSignal);
      } catch (thrown) {
        if (linkedSignal?.aborted) {
          this.#cancel(id);
          throw linkedSignal.reason;
        }
        last = this.#toAttemptError(thrown, number, ms);
        id = await this.#waitForRetry(id, number, last, linkedSignal);
        continue;
      }
      this.#succeed(id);
      return value;
    }
  }

  /** After a failed attempt: sleeps until the next, and gives the call's number. */
  async #waitForRetry(id: number, attempt: number, error: unknown, linkedSignal?: LinkedSignal): Promise<number> {
    const delayMs = this.#fail(id, error);
    if (delayMs < 0) throw error;
    try {
      this.#options.onRetry?.({ attempt, delayMs, error });
      await sleep(delayMs, linkedSignal, this.#options.background);
    } catch (reason) {
      this.#cancel(id);
      throw reason;
    }
    const admitted = this.#admit(id);
    // Why it is not admitted is read before anything is awaited: the next call replaces it.
    return admitted < 0 ? this.#waitForAdmission(linkedSignal, error) : admitted;
  }

  /** Waits until a call is admitted; throws when it is refused: `last`, if there was an attempt. */
  async #waitForAdmission(linkedSignal: LinkedSignal | undefined, last: unknown): Promise<number> {
    let isLimited = false;
    try {
      for (;;) {
        const answer = JSON.parse(native.policyNotAdmitted(this.#policy)) as NotAdmitted;
        if ('refused' in answer) {
          // It may have held a place in the bulkhead when it was.
          this.#wakeQueued();
          throw last ?? toMoorlineError(answer.refused);
        }
        isLimited = 'waitMs' in answer;
        try {
          if ('waitMs' in answer) {
            await this.#waitForTurn((this.#limited ??= new Map()), answer.id, answer.waitMs, linkedSignal);
          } else {
            await this.#waitForTurn((this.#queued ??= new Map()), answer.id, answer.queueMs, linkedSignal);
          }
        } catch (reason) {
          this.#cancel(answer.id);
          throw reason;
        }
        const id = this.#admit(answer.id);
        if (id >= 0) return id;
      }
    } catch (reason) {
      if (isLimited) this.#wakeLimited();
      throw reason;
    }
  }

  /** Waits for the bulkhead or for the rate limit, for `atMostMs`. */
  async #waitForTurn(
    waiting: Map<number, () => void>,
    id: number,
    atMostMs: number | null,
    linkedSignal: LinkedSignal | undefined,
  ): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        linkedSignal?.throwIfAborted();
        waiting.set(id, resolve);
        if (atMostMs !== null) timer = startTimer(resolve, atMostMs);
        if (linkedSignal) linkedSignal.interrupt = reject;
      });
    } finally {
      clearTimeout(timer);
      waiting.delete(id);
    }
  }

  /** Wakes the queued calls whose turn has come. */
  #wakeQueued(): void {
    for (let id = native.policyDequeue(this.#policy); id >= 0; id = native.policyDequeue(this.#policy)) {
      this.#queued?.get(id)?.();
    }
  }

  /** Lets those who wait for the rate limit ask anew: a turn before theirs may be free. Once for all that end at a moment. */
  #wakeLimited(): void {
    if (!this.#limited?.size || this.#isWakeScheduled) return;
    this.#isWakeScheduled = true;
    queueMicrotask(() => {
      this.#isWakeScheduled = false;
      for (const wake of this.#limited?.values() ?? []) wake();
    });
  }

  /** The number of a call that may go, or -1. Without `id` a call begins, which is over after `timeoutMs`. */
  #admit(id?: number, timeoutMs?: number): number {
    this.#syncClock(id);
    if (timeoutMs !== undefined) return native.policyAdmit(this.#policy, id, timeoutMs);
    return id === undefined ? native.policyAdmit(this.#policy) : native.policyAdmit(this.#policy, id);
  }

  /** Sets the time of the addon from the caller's clock, if there is one. A clock that fails ends the call. */
  #syncClock(id: number | undefined): void {
    try {
      this.#clock?.sync();
    } catch (error) {
      if (id !== undefined) this.#cancel(id);
      throw error;
    }
  }

  #succeed(id: number): void {
    this.#syncClock(id);
    native.policySucceed(this.#policy, id);
    if (this.#queued?.size) this.#wakeQueued();
  }

  /** Cancels the call, which needs no time of the caller's clock. */
  #cancel(id: number): void {
    native.policyCancel(this.#policy, id);
    this.#wakeQueued();
  }

  /** Reports a failed attempt; gives the delay before the next, or -1. */
  #fail(id: number, error: unknown): number {
    let waitMs = -1;
    let delayMs: number;
    try {
      // An error of the clock says nothing about the attempt.
      if (this.#clock?.isClockError(error)) throw error;
      const retryAfterMs = (error as { retryAfterMs?: unknown } | null | undefined)?.retryAfterMs;
      if (typeof retryAfterMs === 'number') waitMs = retryAfterMs;
      this.#clock?.sync();
      const [weight, retryable] = [this.#weightOf(error), this.#isRetryable(error)];
      delayMs = native.policyFail(this.#policy, id, weight, retryable, waitMs);
    } catch (thrown) {
      // The user's own rule, error or clock failed: the call is over, and gives back what it holds.
      this.#cancel(id);
      throw thrown;
    }
    this.#wakeQueued();
    return delayMs;
  }

  #weightOf(error: unknown): number {
    const { excludedExceptions, failureWeight } = this.#options;
    if (excludedExceptions && matches(excludedExceptions, error)) return 0;
    if (failureWeight) return checkWeight(failureWeight(error));
    if (error instanceof RetryError) return error.attempts;
    if (!(error instanceof MoorlineError)) return isAbort(error) ? 0 : 1;
    const status = error.detail?.['status'];
    return native.policyWeight(error.kind, error.delivery, typeof status === 'number' ? status : undefined);
  }

  #isRetryable(error: unknown): boolean {
    const { retryableExceptions } = this.#options;
    if (retryableExceptions) return matches(retryableExceptions, error);
    return error instanceof MoorlineError ? error.retryable : !isAbort(error);
  }

  /** The error of an attempt, made here, where the caller's stack is. */
  #toAttemptError(thrown: unknown, attempt: number, afterMs: number): unknown {
    let error = thrown;
    if (thrown === TIMED_OUT) {
      error = toMoorlineError(native.policyTimedOut(this.#policy, afterMs, this.#options.timeoutOptionName));
      this.#options.onTimeout?.({ attempt, afterMs });
    }
    // One that its maker has frozen stays as it is, as does one that cannot be read.
    const read = readableError(error);
    if (read instanceof MoorlineError && read.attempts < attempt) Reflect.set(read, 'attempts', attempt);
    return error;
  }
}

/** Refuses a weight of an error that is none. */
function checkWeight(given: unknown): number {
  if (typeof given === 'number') {
    if (given === Infinity || (Number.isInteger(given) && given >= 0)) return given;
    throw outOfRange('the result of failureWeight', 'a whole number ≥ 0, or Infinity', given);
  }
  onRejection(given, () => undefined);
  throw invalidType('the result of failureWeight', 'a number', given);
}

/** Whether a call was aborted: that says nothing about the service, and is not retried. */
function isAbort(error: unknown): boolean {
  return isError(error) && error.name === 'AbortError';
}

/** Sleeps; an abort ends it at once and stops the timer. */
function sleep(ms: number, linkedSignal: LinkedSignal | undefined, background = false): Promise<void> {
  return new Promise((resolve, reject) => {
    linkedSignal?.throwIfAborted();
    const timer = startTimer(resolve, ms);
    if (background) timer.unref();
    if (!linkedSignal) return;
    linkedSignal.interrupt = (reason) => {
      clearTimeout(timer);
      reject(reason);
    };
  });
}
