import { invalidValue, numberMistake, invalidTypeRedacted } from '../runtime/argument-error';
import { messageOf } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import { onRejection } from '../runtime/shape';
import { LAST_DATE_MS } from '../runtime/timers';
import type { Policy as NativePolicy } from '../../dist/native';

/**
 * A clock in milliseconds, such as `Date` or `performance`. It is meant for tests with fake timers, which the native
 * addon does not see.
 */
export interface Clock {
  now(): number;
}

const PATH = 'the result of options.clock.now()';
const RANGE = `from 0 to ${LAST_DATE_MS}`;
const isInRange = (ms: number) => ms >= 0 && ms <= LAST_DATE_MS;

/** A clock of the caller's, whose time is given to the addon. */
export class CallerClock {
  readonly #policy: Handle<NativePolicy>;
  readonly #clock: Clock;
  readonly #startedAt: number;
  /** The errors of readings that failed. */
  readonly #errors = new WeakSet();

  constructor(policy: Handle<NativePolicy>, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#startedAt = this.now();
    this.sync();
  }

  /** @throws TypeError, RangeError when the clock throws, or gives what is no time. */
  now(): number {
    try {
      return readClock(this.#clock);
    } catch (error) {
      this.#errors.add(error as Error);
      throw error;
    }
  }

  sync(): void {
    native.policySetTime(this.#policy, this.now() - this.#startedAt);
  }

  /** Whether an error is of a reading that failed, and so of no attempt. */
  isClockError(error: unknown): boolean {
    return this.#errors.has(error as Error);
  }
}

function readClock(clock: Clock): number {
  let given: unknown;
  try {
    given = clock.now();
  } catch (thrown) {
    throw Object.assign(invalidValue(`options.clock.now() threw: ${messageOf(thrown)}`), { cause: thrown });
  }
  const mistake = numberMistake(PATH, given, isInRange, RANGE);
  if (!mistake) return given as number;
  onRejection(given, () => undefined);
  throw mistake;
}

/** @internal The caller's clock of a policy, if it has one. */
export function callerClock(policy: Handle<NativePolicy>, clock: Clock | undefined): CallerClock | undefined {
  return clock && new CallerClock(policy, clock);
}

/** @internal */
export function checkClock(clock: unknown): void {
  if (clock === undefined || typeof (clock as Partial<Clock> | null)?.now === 'function') return;
  throw invalidTypeRedacted('options.clock', 'an object with now()', clock);
}
