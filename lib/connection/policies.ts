import { describe, onStateChange } from '../resilience/breaker';
import { MoorlineError } from '../runtime/error';
import { PolicyRunner, type Guarded, type RunnerOptions } from '../resilience/runner';
import type { Abortable } from '../runtime/abort';
import { native, type Handle } from '../runtime/native';
import type { Policy as NativePolicy } from '../../dist/native';
import { handleOf, type ResolvedConnectionConfig } from './config/config';

/** `lifetime` gives the signal that ends the waits of calls that begin now. */
type PolicyHooks = Required<Pick<RunnerOptions, 'lifetime' | 'onRetry'>>;

/** The policies of the calls of one connection: retries, a rate limit and a circuit breaker. */
export class ConnectionPolicies {
  readonly #policy: Handle<NativePolicy>;
  readonly #hasTransport: boolean;
  readonly #hooks: () => PolicyHooks;
  /** Made for the first call that needs it. */
  #runner: PolicyRunner | undefined;

  /**
   * @param hasTransport it speaks through a transport of ours, which keeps to `timeout` itself and knows what was
   * written when it was over. What fails there is a `MoorlineError`; everything else is the caller's mistake.
   * @param hooks are asked for with the first call.
   */
  constructor(config: Readonly<ResolvedConnectionConfig>, hasTransport: boolean, hooks: () => PolicyHooks) {
    this.#policy = policyOf(hasTransport ? 'transport' : 'custom', config);
    this.#hasTransport = hasTransport;
    this.#hooks = hooks;
  }

  /** The policy, for calls that the addon admits by itself. */
  get handle(): Handle<NativePolicy> {
    return this.#policy;
  }

  /** Whether the circuit breaker lets nothing through. */
  get isRefusing(): boolean {
    return native.policyRefuses(this.#policy);
  }

  /** Runs `work` under the whole policy, with all its attempts and waits for `timeoutMs` at most. */
  run<T>(work: Guarded<T>, signal?: Abortable, timeoutMs?: number): Promise<T> {
    return this.#ownRunner.run(work, signal, timeoutMs);
  }

  /** Runs a call that the addon was asked for already; `id` is its number, below 0 where it was not admitted. */
  runAdmitted<T>(work: Guarded<T>, id: number, lifetime: Abortable): Promise<T> {
    return this.#ownRunner.runAdmitted(work, id, lifetime);
  }

  /**
   * Runs `work` under the circuit breaker alone: once, and for as long as it takes. The policy bounds attempts, which waiting
   * for a message must not be.
   */
  async runUnderBreaker<T>(work: () => Promise<T>, signal?: Abortable): Promise<T> {
    const breaker = native.policyBreaker(this.#policy);
    return breaker ? new PolicyRunner(breaker, null, {}).run(work, signal) : work();
  }

  /** Calls `listener` with `owner` at each change of the circuit breaker's state, for as long as `owner` lives. */
  onBreakerState<Owner extends object>(
    owner: Owner,
    listener: (owner: Owner, state: string, breaker: string) => void,
  ): void {
    if (!native.policyBreaker(this.#policy)) return;
    const { name } = describe(this.#policy);
    onStateChange(this.#policy, owner, (target, { to }) => listener(target, to, name));
  }

  get #ownRunner(): PolicyRunner {
    return (this.#runner ??= new PolicyRunner(this.#policy, describe(this.#policy).attemptTimeoutMs, {
      retryableExceptions: [isRepeatable],
      excludedExceptions: this.#hasTransport ? [isCallerMistake] : undefined,
      hasOwnTimeout: this.#hasTransport,
      timeoutOptionName: 'timeout',
      ...this.#hooks(),
    }));
  }
}

/** One of the policies of a connection; each is decided in the addon. */
function policyOf(
  purpose: 'transport' | 'custom' | 'connect' | 'reconnection' | 'recovery',
  config: Readonly<ResolvedConnectionConfig>,
): Handle<NativePolicy> {
  return native.connectionPolicy(purpose, handleOf(config));
}

/** The runner that opens a connection, or brings it back: attempts with pauses between them. */
export function recoveryRunner(
  purpose: 'connect' | 'reconnection' | 'recovery',
  config: Readonly<ResolvedConnectionConfig>,
  options: RunnerOptions,
): PolicyRunner {
  return new PolicyRunner(policyOf(purpose, config), null, options);
}

/** Whether a repeat is safe. An error of another library does not say so, nor does an attempt that was cut off. */
function isRepeatable(error: unknown): boolean {
  if (!(error instanceof MoorlineError) || !error.retryable) return false;
  return error.service !== 'resilience' || error.delivery === 'none';
}

/** Whether a transport threw for a value that cannot be sent, which says nothing about the other side. */
function isCallerMistake(error: unknown): boolean {
  return !(error instanceof MoorlineError);
}
