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
import { CALL_OPTIONS, type CallOptions } from '../runtime/native-call';
import { checkClock, callerClock, type Clock } from './clock';
import { Emitter } from '../runtime/emitter';
import { PolicyRunner, type Guarded } from './runner';
import { invalidTypeRedacted } from '../runtime/argument-error';
import { readMatchers, type ErrorMatcher } from '../runtime/error-matcher';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import { isObject } from '../runtime/shape';
import type { Policy as NativePolicy } from '../../dist/native';

/** Options of retries: how many, and after which delays. */
export interface RetryOptions {
  /** The maximum number of attempts after the first. Default: 2. */
  maxRetries?: number | undefined;
  /** The delay before the first retry, in milliseconds. Default: 200. */
  baseDelayMs?: number | undefined;
  /** The maximum delay before jitter is applied, in milliseconds. Default: 20 000. */
  maxDelayMs?: number | undefined;
  /** The growth of the delay. Default: `exponential`. */
  backoff?: 'exponential' | 'linear' | 'fixed' | undefined;
  /** With `exponential`: the factor from one retry to the next. Default: 2. */
  exponentialBase?: number | undefined;
  /** With `linear`: the time that each retry adds, in milliseconds. Default: `baseDelayMs`. */
  incrementMs?: number | undefined;
  /** The random variation. `full`: from 0 to the delay; a number: ± this fraction of the delay; `true`: ± 10 %. Default: `full`. */
  jitter?: boolean | number | 'full' | undefined;
  /** The maximum `retryAfterMs` of an error that is waited for, in milliseconds; for a larger one the call fails at once. Default: 60 000. */
  maxRetryAfterMs?: number | undefined;
  /**
   * The limit of retries: a fraction of the calls plus a number per second, so that retries do not multiply the load of a
   * failing service. Default: 0.2 and 10 over 10 000 ms; `false` for no such limit.
   */
  budget?: boolean | { ratio?: number; reservePerSecond?: number; ttlMs?: number } | undefined;
  /**
   * The errors that are retried: classes, predicates, or kinds of {@link MoorlineError}. Default: every error but
   * an abort; for a {@link MoorlineError} its `retryable` decides.
   */
  retryableExceptions?: readonly ErrorMatcher[] | undefined;
}

/**
 * Options of a rate limit: at most `perSecond` attempts in any second, or `max` in any period of `windowMs`. A rate that
 * is not a whole number is kept by even spacing. The limit applies to the start of attempts: they wait for their turn in
 * order, and hold their place in the bulkhead, if there is one, while they wait.
 */
export interface RateLimitOptions {
  /** The maximum number of attempts per second. */
  perSecond?: number | undefined;
  /** The maximum number of attempts per `windowMs`. */
  max?: number | undefined;
  /** With `max`: the length of the period, in milliseconds. Default: 1000. */
  windowMs?: number | undefined;
  /**
   * The size of a token bucket: the number of attempts that may start at once after a pause; the rate refills it. A window
   * may then have up to `burst` attempts more than the rate. Default: no bucket, and no window sees more than it may.
   */
  burst?: number | undefined;
  /** The maximum number of waiting attempts; with a bulkhead at most `maxConcurrent` get here. Default: 1000. */
  maxQueue?: number | undefined;
  /** The maximum wait of an attempt, in milliseconds. Default: 30 000. */
  maxWaitMs?: number | undefined;
}

/** Options of a bulkhead: how many attempts run at once. */
export interface BulkheadOptions {
  /** The maximum number of attempts that run or wait for the rate limit. Default: 64. */
  maxConcurrent?: number | undefined;
  /** The maximum number of attempts in the queue, which is first in, first out. Default: 256. */
  maxQueue?: number | undefined;
}

/**
 * Options of a {@link Policy}. Only the two timeouts are on by default; every other part is off until it is given: as an
 * object, or as `true` for its defaults, except a rate limit, which has none.
 */
export interface PolicyOptions {
  /** The name in errors, events and metrics. Policies with a breaker and the same name share that breaker. */
  name?: string | undefined;
  /** The time limit of a call with its retries and waits, in milliseconds. Default: 30 000; `Infinity` turns it off. */
  timeoutMs?: number | undefined;
  /** The time limit of one attempt, in milliseconds. Default: 10 000; `Infinity` turns it off. */
  attemptTimeoutMs?: number | undefined;
  /** Retries of failed attempts. */
  retry?: boolean | RetryOptions | undefined;
  /** The circuit breaker. `counts`: whether it counts each attempt (the default), or each call with all its retries. */
  breaker?: boolean | (BreakerOptions & { counts?: 'attempts' | 'calls' | undefined }) | undefined;
  /** The rate limit of attempts. */
  rateLimit?: false | RateLimitOptions | undefined;
  /** The limit of concurrent attempts. */
  bulkhead?: boolean | BulkheadOptions | undefined;
  /**
   * The clock; `Date` for tests with fake timers. A clock that throws, or returns an invalid time, ends the call with a
   * `TypeError` or `RangeError`, which is not counted. Default: the clock of the process.
   */
  clock?: Clock | undefined;
}

/** The data of the events of a policy. */
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
 *
 * @example
 * ```ts
 * import { Policy } from 'moorline';
 *
 * const policy = new Policy({ attemptTimeoutMs: 2000, retry: { maxRetries: 3 }, breaker: true });
 * policy.on('retry', ({ attempt, delayMs }) => console.error(`attempt ${attempt} failed, next in ${delayMs} ms`));
 * const answer = await policy.run(async ({ signal }) => {
 *   const response = await fetch('https://api.example.com', { signal });
 *   return response.json();
 * });
 * console.log(answer); // { id: 7, name: 'Ada' }
 * ```
 */
export class Policy extends Emitter<PolicyFacts> {
  /** The name. */
  readonly name: string;
  readonly #policy: Handle<NativePolicy>;
  readonly #runner: PolicyRunner;
  readonly #options: Record<string, unknown>;

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(options: PolicyOptions = {}) {
    const { data, rules, clock } = split(options);
    const policy = native.policyCreate(data);
    const description = describe(policy);
    super('resilience', description.name);
    this.name = description.name;
    this.#policy = policy;
    this.#options = description.options;
    this.#runner = new PolicyRunner(policy, description.attemptTimeoutMs, {
      ...rules,
      clock: callerClock(policy, clock),
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
   * Runs `fn` under the policy, with `{ attempt, signal }` as its argument. Pass the signal on, so that an attempt that
   * takes too long really ends. Returns the result of `fn`. Rejects with the error of the last attempt, or, when no
   * attempt could be made, with a {@link MoorlineError} that states the reason.
   *
   * Aborting `signal` rejects at once with its reason, also between two attempts.
   */
  run<T>(fn: Guarded<T>, options?: CallOptions): Promise<T> {
    checkOptions('options', options, CALL_OPTIONS);
    return this.#runner.run(fn, options?.signal);
  }

  /** Returns a snapshot of the breaker, if the policy has one. */
  breaker(): CircuitSnapshot | undefined {
    const snapshot = JSON.parse(native.breakerSnapshot(this.#policy)) as Parameters<typeof withDates>[0] | null;
    return snapshot ? withDates(snapshot) : undefined;
  }

  /** Returns the options in force, with every default. A part that is off is `false`. */
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
  if (!isObject(options as unknown)) throw invalidTypeRedacted('options', 'an object', options);
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
