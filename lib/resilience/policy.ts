import { inspect, type InspectOptions } from 'node:util';

import {
  describe,
  withDates,
  splitBreaker,
  warnOfOtherOptions,
  onStateChange,
  type BreakerOptions,
  type CircuitSnapshot,
  type StateChange,
  type StateFacts,
} from './breaker';
import { CALL, type CallOptions } from '../runtime/native-call';
import { checkClock, callerClock, type Clock } from './clock';
import { Emitter } from '../runtime/emitter';
import { PolicyRunner, type Guarded } from './runner';
import { wrongType } from '../runtime/argument-error';
import { readMatchers, type ErrorMatcher } from '../runtime/error-matcher';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import { isObject } from '../runtime/shape';
import type { Policy as NativePolicy } from '../../dist/native';

/** How often to repeat, and after how long. */
export interface RetryOptions {
  /** Extra attempts after the first. Default 2. */
  maxRetries?: number | undefined;
  /** The delay before the first retry. Default 200. */
  baseDelayMs?: number | undefined;
  /** The cap of the delay, before jitter. Default 20 000. */
  maxDelayMs?: number | undefined;
  /** How the delay grows. Default `exponential`. */
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  /** With `exponential`: the factor from one retry to the next. Default 2. */
  exponentialBase?: number | undefined;
  /** With `linear`: what each retry adds. Default `baseDelayMs`. */
  incrementMs?: number | undefined;
  /** `full`: anything from 0 to the delay; a fraction: ± that much of it; `true`: ± 10 %. Default `full`. */
  jitter?: boolean | number | 'full' | undefined;
  /** An error's `retryAfterMs` is honoured up to this; beyond it the call fails at once. Default 60 000. */
  maxRetryAfterMs?: number | undefined;
  /**
   * Retries are limited to a share of the calls, and some per second: they must not multiply the load of a service
   * that is down. Default 0.2 and 10 over 10 000 ms; `false` for no such limit.
   */
  budget?: boolean | { ratio?: number; reservePerSecond?: number; ttlMs?: number } | undefined;
  /**
   * Errors that are worth a repeat: classes, predicates, or kinds of {@link MoorlineError}. Default: every error but
   * an abort; a {@link MoorlineError} says itself (`retryable`).
   */
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}

/**
 * How often to run: at most `perSecond` in any second, or `max` in any stretch of `windowMs`; a rate that is no whole
 * number is kept by running evenly spaced. Attempts wait for their turn in order, and hold their place in the bulkhead, if
 * there is one, while they do: it is the beginnings of attempts that are bounded.
 */
export interface RateLimitOptions {
  perSecond?: number | undefined;
  max?: number | undefined;
  /** With `max`. Default 1000. */
  windowMs?: number | undefined;
  /**
   * Makes it a token bucket: so many may run at once after a pause, then one at a time as the rate gives back. A window may
   * then see `burst` more than the rate says. Default: no bucket, and no window sees more than it may.
   */
  burst?: number | undefined;
  /** How many may wait; with a bulkhead no more come so far than it has places. Default 1000. */
  maxQueue?: number | undefined;
  /** How long one may wait for its turn. Default 30 000. */
  maxWaitMs?: number | undefined;
}

/** How many at once. */
export interface BulkheadOptions {
  /** Attempts that may run, or wait for the rate limit, at once. Default 64. */
  maxConcurrent?: number | undefined;
  /** Attempts that may wait for a place, first come, first served. Default 256. */
  maxQueue?: number | undefined;
}

/**
 * The parts of a {@link Policy}. Only the two timeouts apply unasked; every other part is off until it is given: as
 * an object, or `true` for its defaults, which a rate limit has not.
 */
export interface PolicyOptions {
  /** Names it in errors, events and metrics. Policies with a breaker and the same name share that breaker. */
  name?: string | undefined;
  /** How long a call may take in all, with its retries and waiting. Default 30 000; `Infinity` turns it off. */
  timeoutMs?: number | undefined;
  /** How long one attempt may take. Default 10 000; `Infinity` turns it off. */
  attemptTimeoutMs?: number | undefined;
  retry?: boolean | RetryOptions | undefined;
  /** `counts`: whether each attempt is a success or failure (default), or a call with all its retries. */
  breaker?: boolean | (BreakerOptions & { counts?: 'attempts' | 'calls' | undefined }) | undefined;
  rateLimit?: false | RateLimitOptions | undefined;
  bulkhead?: boolean | BulkheadOptions | undefined;
  /**
   * The clock, for tests with fake timers: `Date`. One that throws or gives what is no time ends the call that asks it with
   * a `TypeError` or `RangeError`, which counts for nothing. Default: the clock of the process.
   */
  clock?: Clock | undefined;
}

/** What the events of a policy carry. */
type PolicyFacts = {
  retry: { attempt: number; delayMs: number; error: unknown };
  timeout: { attempt: number; afterMs: number };
  state: StateFacts;
};

/**
 * Retry, circuit breaker, rate limit, bulkhead and timeouts around your functions, in one fixed order:
 *
 * total timeout ⊃ [breaker that counts calls] ⊃ retry ⊃ ( bulkhead → rate limit → [breaker that counts attempts] →
 * attempt timeout → your function )
 *
 * Emits `retry` with `{ attempt, delayMs, error }`, `timeout` with `{ attempt, afterMs }` and, with a breaker,
 * `state` with `{ from, to }`.
 */
export class Policy extends Emitter<PolicyFacts> {
  /** Its name. */
  readonly name: string;
  readonly #policy: Handle<NativePolicy>;
  readonly #runner: PolicyRunner;
  readonly #options: Record<string, unknown>;

  constructor(options: PolicyOptions = {}) {
    const { data, rules, clock } = split(options);
    const policy = native.policyCreate(data);
    const description = describe(policy);
    super('resilience', description.name);
    this.name = description.name;
    this.#policy = policy;
    this.#options = description.options;
    this.#runner = new PolicyRunner(policy, description.attemptMs, {
      ...rules,
      time: callerClock(policy, clock),
      onRetry: (facts) => this.publish('retry', () => facts),
      onTimeout: (facts) => this.publish('timeout', () => facts),
    });
    if (description.optionsDiffer) warnOfOtherOptions(this.name);
    if (description.options['breaker']) onStateChange(policy, this, Policy.#onStateChange);
  }

  static #onStateChange(policy: Policy, change: StateChange): void {
    policy.publish('state', () => ({ ...change }));
  }

  /**
   * Runs `fn` under the policy. It is handed `{ attempt, signal }`; pass the signal on, so that an attempt that has
   * taken too long really ends. Gives what `fn` gives; rejects with the error of the last attempt, or, when no
   * attempt could be made, with a {@link MoorlineError} that says why.
   *
   * Aborting `signal` rejects at once with its reason, also between two attempts.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T> {
    checkOptions('options', options, CALL);
    return this.#runner.run(fn, options?.signal);
  }

  /** The state of its breaker, if it has one. */
  breaker(): CircuitSnapshot | undefined {
    const snapshot = JSON.parse(native.breakerSnapshot(this.#policy)) as Parameters<typeof withDates>[0] | null;
    return snapshot ? withDates(snapshot) : undefined;
  }

  /** The options in force, with every default. A part that is off is `false`. */
  options(): Record<string, unknown> {
    const { timeoutMs, attemptTimeoutMs, ...parts } = JSON.parse(JSON.stringify(this.#options)) as Record<
      string,
      unknown
    >;
    // JSON has no Infinity: a limit that is off crosses as null.
    return { timeoutMs: timeoutMs ?? Infinity, attemptTimeoutMs: attemptTimeoutMs ?? Infinity, ...parts };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    const breaker = this.breaker();
    return `Policy ${inspect({ name: this.name, options: this.options(), ...(breaker && { breaker }) }, options)}`;
  }
}

/** Functions and error classes stay here; the rest is for the addon to judge. */
function split(options: PolicyOptions) {
  if (!isObject(options as unknown)) throw wrongType('options', 'an object', options);
  const { retry, breaker, clock, ...data } = options;
  checkClock(clock);
  const { retryableExceptions, ...retryData } = isObject(retry) ? retry : {};
  const breakerParts = splitBreaker('options.breaker', isObject(breaker) ? breaker : {});
  return {
    clock,
    rules: {
      ...breakerParts.rules,
      retryableExceptions: readMatchers('options.retry.retryableExceptions', retryableExceptions),
    },
    data: {
      ...data,
      retry: isObject(retry) ? retryData : retry,
      breaker: isObject(breaker) ? breakerParts.data : breaker,
    },
  };
}
