import { wrongType } from '../runtime/argument-error';
import { native, type Handle } from '../runtime/native';
import type { Policy as NativePolicy } from '../../dist/native';

/**
 * A clock, in milliseconds: `Date` and `performance` are two. For tests with fake timers, which the addon does not
 * see.
 */
export interface Clock {
  now(): number;
}

/** Tells the addon what time it is by a clock of the caller's. */
export class Told {
  readonly #policy: Handle<NativePolicy>;
  readonly #clock: Clock;
  readonly #began: number;

  constructor(policy: Handle<NativePolicy>, clock: Clock) {
    this.#policy = policy;
    this.#clock = clock;
    this.#began = clock.now();
    this.tell();
  }

  now(): number {
    return this.#clock.now();
  }

  tell(): void {
    native.policySetTime(this.#policy, this.now() - this.#began);
  }
}

/** @internal What tells a policy the time, if that is not the addon's own business. */
export function toldBy(policy: Handle<NativePolicy>, clock: Clock | undefined): Told | undefined {
  return clock && new Told(policy, clock);
}

/** @internal */
export function checkClock(clock: unknown): void {
  if (clock === undefined || typeof (clock as Partial<Clock> | null)?.now === 'function') return;
  throw wrongType('options.clock', 'an object with now()', clock);
}
