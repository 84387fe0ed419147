import { inspect, type InspectOptions } from 'node:util';

import { describe } from '../../resilience/breaker';
import { CALL, type CallOptions } from '../../runtime/native-call';
import { PolicyRunner, type Guarded } from '../../resilience/runner';
import { checkOptions } from '../../runtime/known-options';
import { isError, messageOf } from '../../runtime/error-message';
import { native } from '../../runtime/native';

/** How to repeat what fails. Extend it for one of your own. */
export abstract class RetryStrategy {
  /**
   * Runs `fn` until it succeeds or was tried often enough, and gives what it gives. Rejects with the error of the last
   * attempt itself; what is thrown and is no `Error` becomes the `cause` of one.
   */
  abstract execute<T>(fn: () => Promise<T>): Promise<T>;
}

/** A strategy whose attempts and waits the addon counts. */
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
   * Runs `fn` until it succeeds or was tried `maxAttempts` times, and gives what it gives. Between `n` attempts are
   * `n - 1` waits, or what an error's `retryAfterMs` asks for, up to a minute.
   *
   * Rejects with the error of the last attempt itself; what is thrown and is no `Error` becomes the `cause` of one. An
   * abort, and a {@link MoorlineError} that is not `retryable`, are not repeated. Aborting `signal` rejects at once
   * with its reason, also during a wait.
   */
  override async execute<T>(fn: Guarded<T>, options: CallOptions = {}): Promise<T> {
    checkOptions('options', options, CALL);
    const { signal } = options;
    try {
      return await this.#runner.run(fn, signal);
    } catch (thrown) {
      if (isError(thrown) || (signal?.aborted && thrown === signal.reason)) throw thrown;
      throw new Error(messageOf(thrown), { cause: thrown });
    }
  }

  /** The options in force; times in milliseconds. */
  options(): Record<string, unknown> {
    const { maxRetries, maxDelayMs: _, budget: __, ...rest } = this.#options;
    return { maxAttempts: Number(maxRetries) + 1, ...rest };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.options(), options)}`;
  }
}

/** Waits longer and longer: `new ExponentialBackoffRetry(5, 1, 2)` makes 5 attempts, with 1, 2, 4 and 8 s between them. */
export class ExponentialBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait, in **seconds**. Default 1.
   * @param multiplier from one wait to the next. Default 2.
   */
  constructor(maxAttempts?: number, baseDelay?: number, multiplier?: number) {
    super('exponential', { maxAttempts, baseDelay, multiplier });
  }
}

/** Waits a little longer each time: `new LinearBackoffRetry(3, 1, 2)` makes 3 attempts, with 1 and 3 s between them. */
export class LinearBackoffRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait, in **seconds**. Default 1.
   * @param increment what each wait adds, in **seconds**. Default 1.
   */
  constructor(maxAttempts?: number, baseDelay?: number, increment?: number) {
    super('linear', { maxAttempts, baseDelay, increment });
  }
}

/**
 * Doubles the wait each time and spreads it, so that many clients do not come back at the same moment:
 * `new JitterRetry(4, 1, 0.5)` makes 4 attempts, with 1, 2 and 4 s ± 50 % between them.
 */
export class JitterRetry extends CountedRetry {
  /**
   * @param maxAttempts attempts in all. Default 3.
   * @param baseDelay the first wait before it is spread, in **seconds**. Default 1.
   * @param jitterFactor how far it is spread up and down, 0 to 1. Default 0.1.
   */
  constructor(maxAttempts?: number, baseDelay?: number, jitterFactor?: number) {
    super('jitter', { maxAttempts, baseDelay, jitterFactor });
  }
}
