import { inspect, type InspectOptions } from 'node:util';

import { describe } from '../../resilience/breaker';
import { CALL_OPTIONS, type CallOptions } from '../../runtime/native-call';
import { PolicyRunner, type Guarded } from '../../resilience/runner';
import { checkOptions } from '../../runtime/known-options';
import { isError, messageOf } from '../../runtime/error-message';
import { native } from '../../runtime/native';

/**
 * A strategy for retries. Extend it for one of your own.
 *
 * @example
 * ```ts
 * import { RetryStrategy } from 'moorline';
 *
 * class Once extends RetryStrategy {
 *   async execute<T>(fn: () => Promise<T>): Promise<T> {
 *     return fn().catch(() => fn());
 *   }
 * }
 * const response = await new Once().execute(() => fetch('https://api.example.com'));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export abstract class RetryStrategy {
  /**
   * Runs `fn` until it succeeds or the attempts are used up, and returns its result. Rejects with the error of the last
   * attempt; a thrown value that is not an `Error` becomes the `cause` of one.
   */
  abstract execute<T>(fn: () => Promise<T>): Promise<T>;
}

/** A strategy with a maximum number of attempts. */
abstract class CountedRetry extends RetryStrategy {
  readonly #runner: PolicyRunner;
  readonly #options: Record<string, unknown>;

  constructor(kind: 'exponential' | 'linear' | 'jitter', given: Record<string, unknown>) {
    super();
    const policy = native.retryCreate(kind, given);
    const { options } = describe(policy);
    this.#options = options['retry'] as Record<string, unknown>;
    this.#runner = new PolicyRunner(policy, null, {});
  }

  /**
   * Runs `fn` until it succeeds or has failed `maxAttempts` times, and returns its result. Between `n` attempts are `n - 1`
   * waits; an error with `retryAfterMs` sets the next wait, up to a minute.
   *
   * Rejects with the error of the last attempt; a thrown value that is not an `Error` becomes the `cause` of one. An abort,
   * and a {@link MoorlineError} that is not `retryable`, are not retried. Aborting `signal` rejects at once with its
   * reason, also during a wait.
   */
  override async execute<T>(fn: Guarded<T>, options: CallOptions = {}): Promise<T> {
    checkOptions('options', options, CALL_OPTIONS);
    const { signal } = options;
    try {
      return await this.#runner.run(fn, signal);
    } catch (thrown) {
      if (isError(thrown) || (signal?.aborted && thrown === signal.reason)) throw thrown;
      throw new Error(messageOf(thrown), { cause: thrown });
    }
  }

  /** Returns the options in force; times are in milliseconds. */
  options(): Record<string, unknown> {
    const { maxRetries, maxDelayMs: _, budget: __, ...rest } = this.#options;
    return { maxAttempts: Number(maxRetries) + 1, ...rest };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.options(), options)}`;
  }
}

/**
 * Retries with exponentially growing waits: `new ExponentialBackoffRetry(5, 1, 2)` makes 5 attempts, with 1, 2, 4 and 8 s
 * between them.
 *
 * @example
 * ```ts
 * import { ExponentialBackoffRetry } from 'moorline';
 *
 * const retry = new ExponentialBackoffRetry(5, 1, 2);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export class ExponentialBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, in **seconds**. Default: 1.
   * @param multiplier the factor from one wait to the next. Default: 2.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, multiplier?: number) {
    super('exponential', { maxAttempts, baseDelay, multiplier });
  }
}

/**
 * Retries with linearly growing waits: `new LinearBackoffRetry(3, 1, 2)` makes 3 attempts, with 1 and 3 s between them.
 *
 * @example
 * ```ts
 * import { LinearBackoffRetry } from 'moorline';
 *
 * const retry = new LinearBackoffRetry(3, 1, 2);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export class LinearBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, in **seconds**. Default: 1.
   * @param increment the time that each wait adds, in **seconds**. Default: 1.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, increment?: number) {
    super('linear', { maxAttempts, baseDelay, increment });
  }
}

/**
 * Retries with waits that double each time and vary at random, so that many clients do not retry at the same moment:
 * `new JitterRetry(4, 1, 0.5)` makes 4 attempts, with 1, 2 and 4 s ± 50 % between them.
 *
 * @example
 * ```ts
 * import { JitterRetry } from 'moorline';
 *
 * const retry = new JitterRetry(4, 1, 0.5);
 * const response = await retry.execute(({ signal }) => fetch('https://api.example.com', { signal }));
 * console.log(await response.json()); // { id: 7, name: 'Ada' }
 * ```
 */
export class JitterRetry extends CountedRetry {
  /**
   * @param maxAttempts the maximum number of attempts. Default: 3.
   * @param baseDelay the first wait, without the variation, in **seconds**. Default: 1.
   * @param jitterFactor the largest variation of a wait, up and down, as a fraction from 0 to 1. Default: 0.1.
   * @throws TypeError, RangeError for an argument of another type or out of range.
   */
  constructor(maxAttempts?: number, baseDelay?: number, jitterFactor?: number) {
    super('jitter', { maxAttempts, baseDelay, jitterFactor });
  }
}
