import { inspect, type InspectOptions } from 'node:util';

import { CALL, type CallOptions, weakListener } from '../runtime/native-call';
import { checkClock, callerClock, type Clock, type CallerClock } from './clock';
import { Emitter } from '../runtime/emitter';
import { PolicyRunner, type Guarded } from './runner';
import { log } from '../runtime/logger';
import { invalidType, wrongType } from '../runtime/argument-error';
import { readMatchers, type ErrorMatcher } from '../runtime/error-matcher';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import type { Policy as NativePolicy } from '../../dist/native';

/** The states of a circuit breaker. */
export const CircuitState = Object.freeze({ CLOSED: 'closed', OPEN: 'open', HALF_OPEN: 'half-open' } as const);
/** The states of a circuit breaker. */
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];

/** What a breaker looks like at one moment. */
export interface CircuitSnapshot {
  name: string;
  /** Stays `open` past `nextAttemptTime` until a call asks. */
  state: CircuitState;
  /** Failures that count towards opening; when open, those that opened it. */
  failures: number;
  /** Probes that succeeded so far; 0 unless half-open. */
  successes: number;
  /** The last failure that counted. */
  lastFailureTime?: Date;
  /** When an open breaker lets a probe through. */
  nextAttemptTime?: Date;
  totalRequests: number;
  totalSuccesses: number;
  totalFailures: number;
  /** Calls that were refused; they are no requests. */
  totalRefused: number;
  stateChanges: number;
}

/** When a breaker opens, for how long, and what closes it. */
export interface BreakerOptions {
  /** Failures in a row that open it. Default 5. */
  failMax?: number | undefined;
  /** Share of failed calls (0 to 1) within `windowMs` that opens it, instead of `failMax`. Default 0.5 once asked for. */
  failureRatio?: number | undefined;
  /** With a ratio: fewer calls than this in the window decide nothing. Default 10. */
  minCalls?: number | undefined;
  /** With a ratio: how long a call counts. Default 30 000. */
  windowMs?: number | undefined;
  /** How long it stays open before it lets probes through. Default 60 000. */
  resetTimeoutMs?: number | undefined;
  /** Each failed probe doubles the open time up to this. Default: the open time stays the same. */
  maxResetTimeoutMs?: number | undefined;
  /** Probes that must succeed before it closes. Default 1. */
  successThreshold?: number | undefined;
  /** Probes that may run at once. Default 3. */
  halfOpenMaxCalls?: number | undefined;
  /** A probe that takes longer counts as failed, so that a lost one cannot keep it half-open. Default 30 000. */
  probeTimeoutMs?: number | undefined;
  /** Errors that are neither success nor failure: classes, predicates, or kinds of {@link MoorlineError}. */
  excludedExceptions?: readonly ErrorMatcher[] | undefined;
  /**
   * As how many failures an error counts, a whole number or `Infinity`; 0 is neither success nor failure. Default: 1; 0 for aborts, for refusals
   * by moorline and for answers that do not blame the service (a 4xx except 408 and 429); the number of its
   * attempts for a {@link RetryError}.
   */
  failureWeight?: ((error: unknown) => number) | undefined;
}

/** Options of a {@link CircuitBreaker} of its own. */
export interface CircuitBreakerOptions extends BreakerOptions {
  /**
   * The clock, for tests with fake timers: `Date`. One that throws or gives what is no time ends the call that asks it with
   * a `TypeError` or `RangeError`, which counts for nothing. Default: the clock of the process. Breakers of one name should
   * have one clock.
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
    attemptMs: number | null;
  };
}

/** @internal Functions and error classes stay here; the rest is for the addon to judge. */
export function splitBreaker(path: string, options: BreakerOptions) {
  if (typeof options !== 'object' || options === null) throw wrongType(path, 'an object', options);
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
    reason: 'a circuit breaker of this name exists already; its first options stay in force',
  }));
}

/** What `state` of a breaker carries. */
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
 * A circuit breaker around functions: after a few failures it refuses calls for a while instead of waiting for
 * what does not answer, and then finds out with a few probes.
 *
 * Breakers of one name are one breaker, in the whole process: all worker threads share its state, and the options
 * given first win. Emits `state` with `{ from, to }`.
 */
export class CircuitBreaker extends Emitter<{ state: StateFacts }> {
  /** Its name. */
  readonly name: string;
  readonly #policy: Handle<NativePolicy>;
  readonly #runner: PolicyRunner;
  readonly #time: CallerClock | undefined;
  readonly #options: Record<string, unknown>;

  constructor(name: string, options: CircuitBreakerOptions = {}) {
    if (typeof options !== 'object' || options === null) throw wrongType('options', 'an object', options);
    const { clock, ...rest } = options;
    checkClock(clock);
    const { rules, data } = splitBreaker('options', rest);
    const policy = native.breakerCreate(name, data);
    const description = describe(policy);
    super('resilience', description.name);
    this.name = description.name;
    this.#policy = policy;
    this.#time = callerClock(policy, clock);
    this.#runner = new PolicyRunner(policy, null, { ...rules, time: this.#time });
    this.#options = description.options['breaker'] as Record<string, unknown>;
    if (description.optionsDiffer) warnOfOtherOptions(this.name);
    onStateChange(policy, this, CircuitBreaker.#onStateChange);
  }

  static #onStateChange(breaker: CircuitBreaker, change: StateChange): void {
    breaker.publish('state', () => ({ ...change }));
  }

  /** The state of every breaker of the process, those of moorline's own services included. */
  static all(): CircuitSnapshot[] {
    return (JSON.parse(native.breakerSnapshots()) as NativeSnapshot[]).map(withDates);
  }

  /**
   * Runs `fn` unless the breaker is open, and counts how it ends. Its value and its error come out unchanged; a
   * refused call rejects with {@link CircuitBreakerError}.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T> {
    checkOptions('options', options, CALL);
    return this.#runner.run(fn, options?.signal);
  }

  /** The state now. */
  get state(): CircuitState {
    return this.snapshot().state;
  }

  /** The state with its counters. */
  snapshot(): CircuitSnapshot {
    return withDates(JSON.parse(native.breakerSnapshot(this.#policy)) as NativeSnapshot);
  }

  /** The options in force. */
  options(): Record<string, unknown> {
    return { ...this.#options };
  }

  /** Opens it, as if it had failed too often. With `hold` it stays open until somebody closes it. */
  open(options: { hold?: boolean | undefined } = {}): void {
    checkOptions('options', options, { hold: true });
    this.#force(options.hold ? 'isolate' : 'open');
  }

  /** Lets probes through at once. */
  halfOpen(): void {
    this.#force('half-open');
  }

  /** Closes it and forgets the failures. */
  close(): void {
    this.#force('close');
  }

  /** Closes it and forgets also when it last failed. */
  reset(): void {
    this.#force('reset');
  }

  #force(to: string): void {
    this.#time?.sync();
    native.breakerForce(this.#policy, to);
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `CircuitBreaker ${inspect({ ...this.snapshot(), options: this.#options }, options)}`;
  }
}
