import { inspect, type InspectOptions } from 'node:util';

import { CALL_OPTIONS, type CallOptions, weakListener } from '../runtime/native-call';
import { checkClock, callerClock, type Clock, type CallerClock } from './clock';
import { Emitter } from '../runtime/emitter';
import { PolicyRunner, type Guarded } from './runner';
import { log } from '../runtime/logger';
import { invalidType, invalidTypeRedacted } from '../runtime/argument-error';
import { readMatchers, type ErrorMatcher } from '../runtime/error-matcher';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import type { Policy as NativePolicy } from '../../dist/native';

/** The states of a circuit breaker. */
export const CircuitState = Object.freeze({ CLOSED: 'closed', OPEN: 'open', HALF_OPEN: 'half-open' } as const);
/** The states of a circuit breaker. */
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];

/** A snapshot of a circuit breaker. */
export interface CircuitSnapshot {
  name: string;
  /** Stays `open` after `nextAttemptTime` until the next call. */
  state: CircuitState;
  /** The failures that count towards opening; while it is open, those that opened it. */
  failures: number;
  /** The successful probes so far; 0 unless half-open. */
  successes: number;
  /** The time of the last failure that counted. */
  lastFailureTime?: Date;
  /** The time from which an open breaker admits a probe. */
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  /** The refused calls; they do not count as requests. */
  totalRefused: number;
  stateChanges: number;
}

/** Options of a circuit breaker: when it opens, for how long, and when it closes. */
export interface BreakerOptions {
  /** The number of consecutive failures that opens the breaker. Default: 5. */
  failMax?: number | undefined;
  /** The fraction of failed calls (0 to 1) within `windowMs` that opens the breaker, instead of `failMax`. Default: 0.5 once asked for. */
  failureRatio?: number | undefined;
  /** With `failureRatio`: the minimum number of calls in the window. Default: 10. */
  minCalls?: number | undefined;
  /** With `failureRatio`: the length of the window, in milliseconds. Default: 30 000. */
  windowMs?: number | undefined;
  /** The time that the breaker stays open before it admits probes, in milliseconds. Default: 60 000. */
  resetTimeoutMs?: number | undefined;
  /** The limit of the open time, in milliseconds, which each failed probe doubles. Default: the open time stays the same. */
  maxResetTimeoutMs?: number | undefined;
  /** The number of probes that must succeed before the breaker closes. Default: 1. */
  successThreshold?: number | undefined;
  /** The number of probes that may run at once. Default: 3. */
  halfOpenMaxCalls?: number | undefined;
  /**
   * The time limit of a probe, in milliseconds; a probe that takes longer counts as failed, so that a lost one does not keep
   * the breaker half-open. Default: 30 000.
   */
  probeTimeoutMs?: number | undefined;
  /** Errors that count neither as success nor as failure: classes, predicates, or kinds of {@link MoorlineError}. */
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  /**
   * Returns the number of failures that an error counts for, an integer or `Infinity`; 0 is neither success nor failure. Default: 1; 0 for aborts, for refusals
   * by moorline and for answers that do not blame the service (a 4xx except 408 and 429); the number of its
   * attempts for a {@link RetryError}.
   */
  failureWeight?: ((error: unknown) => number) | undefined;
}

/** Options of a {@link CircuitBreaker}. */
export interface CircuitBreakerOptions extends BreakerOptions {
  /**
   * The clock; `Date` for tests with fake timers. A clock that throws, or returns an invalid time, ends the call with a
   * `TypeError` or `RangeError`, which is not counted. Default: the clock of the process. Breakers with
   * the same name should have the same clock.
   */
  clock?: Clock | undefined;
}

/** A breaker as the addon describes it: dates as numbers, absent ones as null. */
type NativeSnapshot = Omit<CircuitSnapshot, 'lastFailureTime' | 'nextAttemptTime'> & {
  lastFailureTime: number | null;
  nextAttemptTime: number | null;
};

/** @internal */
export function withDates({ lastFailureTime, nextAttemptTime, ...rest }: NativeSnapshot): CircuitSnapshot {
  return {
    ...rest,
    ...(lastFailureTime !== null && { lastFailureTime: new Date(lastFailureTime) }),
    ...(nextAttemptTime !== null && { nextAttemptTime: new Date(nextAttemptTime) }),
  };
}

/** @internal What the addon says of a policy; a limit that is off comes as null. */
export function describe(policy: Handle<NativePolicy>) {
  return JSON.parse(native.policyDescribe(policy)) as {
    name: string;
    options: Record<string, unknown>;
    optionsDiffer: boolean;
    attemptTimeoutMs: number | null;
  };
}

/** @internal Functions and error classes stay here; the rest is for the addon to judge. */
export function splitBreaker(path: string, options: BreakerOptions) {
  if (typeof options !== 'object' || options === null) throw invalidTypeRedacted(path, 'an object', options);
  const { excludedExceptions, failureWeight, ...data } = options;
  if (failureWeight !== undefined && typeof failureWeight !== 'function') {
    throw invalidType(`${path}.failureWeight`, 'a function', failureWeight);
  }
  const excluded = readMatchers(`${path}.excludedExceptions`, excludedExceptions);
  return { data, rules: { excludedExceptions: excluded, failureWeight } };
}

const warned = new Set<string>();

/** @internal Warns once that a breaker of this name keeps the options it was first given. */
export function warnOfOtherOptions(name: string): void {
  if (warned.has(name)) return;
  warned.add(name);
  log('warn', 'resilience.options-ignored', name, () => ({
    breaker: name,
    reason: 'a circuit breaker of this name already exists; its options stay in force',
  }));
}

/** The data of the event `state` of a circuit breaker. */
export interface StateFacts {
  from: CircuitState;
  to: CircuitState;
}

/** @internal A change of a breaker's state. */
export interface StateChange {
  from: string;
  to: string;
  timestamp: number;
}

/**
 * @internal Calls `listener` at each change of the breaker's state, for as long as `owner` lives.
 *
 * The addon holds the listener, so nothing strong may lead from it to the owner, or both stay for ever: not even
 * `listener` may be made where the owner is `this`.
 */
export function onStateChange<Owner extends object>(
  policy: Handle<NativePolicy>,
  owner: Owner,
  listener: (owner: Owner, change: StateChange) => void,
): void {
  const onChange = (target: Owner, [from, to, timestamp]: [from: string, to: string, timestamp: number]) =>
    listener(target, { from, to, timestamp });
  native.breakerWatch(policy, weakListener(owner, onChange));
}

/**
 * A circuit breaker around functions: after repeated failures it refuses calls for some time instead of waiting for a
 * service that does not respond, and then tests the service with a few probes.
 *
 * Breakers with the same name are one breaker in the whole process: all worker threads share its state, and the options
 * given first apply. Emits `state` with `{ from, to }`.
 *
 * @example
 * ```ts
 * import { CircuitBreaker, CircuitBreakerError } from 'moorline';
 *
 * const breaker = new CircuitBreaker('orders', { failMax: 3, resetTimeoutMs: 10_000 });
 * try {
 *   console.log(await breaker.run(async () => (await fetch('https://api.example.com')).json())); // { id: 7, name: 'Ada' }
 * } catch (error) {
 *   if (!(error instanceof CircuitBreakerError)) throw error;
 *   console.error(`refused, next attempt at ${error.retryAt.toISOString()}`);
 * }
 * ```
 */
export class CircuitBreaker extends Emitter<{ state: StateFacts }> {
  /** The name. */
  readonly name: string;
  readonly #policy: Handle<NativePolicy>;
  readonly #runner: PolicyRunner;
  readonly #clock: CallerClock | undefined;
  readonly #options: Record<string, unknown>;

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(name: string, options: CircuitBreakerOptions = {}) {
    if (typeof options !== 'object' || options === null) throw invalidTypeRedacted('options', 'an object', options);
    const { clock, ...rest } = options;
    checkClock(clock);
    const { rules, data } = splitBreaker('options', rest);
    const policy = native.breakerCreate(name, data);
    const description = describe(policy);
    super('resilience', description.name);
    this.name = description.name;
    this.#policy = policy;
    this.#clock = callerClock(policy, clock);
    this.#runner = new PolicyRunner(policy, null, { ...rules, clock: this.#clock });
    this.#options = description.options['breaker'] as Record<string, unknown>;
    if (description.optionsDiffer) warnOfOtherOptions(this.name);
    onStateChange(policy, this, CircuitBreaker.#onStateChange);
  }

  static #onStateChange(breaker: CircuitBreaker, change: StateChange): void {
    breaker.publish('state', () => ({ ...change }));
  }

  /** Returns a snapshot of every breaker of the process, including those of moorline's own services. */
  static all(): CircuitSnapshot[] {
    return (JSON.parse(native.breakerSnapshots()) as NativeSnapshot[]).map(withDates);
  }

  /**
   * Runs `fn` unless the breaker is open, and counts its outcome. Returns the result of `fn`; its errors pass through
   * unchanged.
   *
   * @throws CircuitBreakerError when the breaker refuses the call.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T> {
    checkOptions('options', options, CALL_OPTIONS);
    return this.#runner.run(fn, options?.signal);
  }

  /** The current state. */
  get state(): CircuitState {
    return this.snapshot().state;
  }

  /** Returns the state with its counters. */
  snapshot(): CircuitSnapshot {
    return withDates(JSON.parse(native.breakerSnapshot(this.#policy)) as NativeSnapshot);
  }

  /** Returns the options in force. */
  options(): Record<string, unknown> {
    return { ...this.#options };
  }

  /** Opens the breaker, as if it had failed too often. With `hold` it stays open until `halfOpen`, `close` or `reset`. */
  open(options: { hold?: boolean | undefined } = {}): void {
    checkOptions('options', options, { hold: true });
    this.#force(options.hold ? 'isolate' : 'open');
  }

  /** Makes the breaker half-open: it admits probes at once. */
  halfOpen(): void {
    this.#force('half-open');
  }

  /** Closes the breaker and clears its failures. */
  close(): void {
    this.#force('close');
  }

  /** Closes the breaker and clears its failures and the time of the last one. */
  reset(): void {
    this.#force('reset');
  }

  #force(to: string): void {
    this.#clock?.sync();
    native.breakerForce(this.#policy, to);
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `CircuitBreaker ${inspect({ ...this.snapshot(), options: this.#options }, options)}`;
  }
}
