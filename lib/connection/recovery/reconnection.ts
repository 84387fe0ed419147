import { clearTimeout, makeAbortController } from '../../runtime/node';
import type { PolicyRunner } from '../../resilience/runner';
import { onAbort } from '../../runtime/abort';
import { startTimer } from '../../runtime/timers';
import { recoveryRunner } from '../policies';
import type { ResolvedConnectionConfig } from '../config/config';
import { DEFAULTS } from '../config/defaults';
import { shouldReconnect } from '../error';

/** A failed attempt, and the pause before the next one. */
export interface PauseFacts {
  attempt: number;
  delayMs: number;
  error: unknown;
}

/** What a {@link Reconnection} does with its owner, a connection. */
export interface ReconnectionHooks<Owner> {
  /** Opens the connection once; `failures` is how many attempts in a row have failed. Rejects when it cannot. */
  open: (owner: Owner, failures: number, signal: AbortSignal) => Promise<void>;
  /** Called before each pause. */
  onPause: (owner: Owner, facts: PauseFacts) => void;
}

/**
 * Brings a lost connection back, with growing delays and full jitter from the addon's retry. A connection that is
 * lost again within `stableAfterMs` continues the same series of delays: one that flaps must not be opened in a loop.
 */
export class Reconnection<Owner extends { readonly config: Readonly<ResolvedConnectionConfig> }> {
  readonly #owner: Owner;
  readonly #hooks: ReconnectionHooks<Owner>;
  /** Made with the first loss. */
  #runner: PolicyRunner | undefined;
  #stopController: AbortController | undefined;
  #onLoss: ((error: unknown) => void) | undefined;

  constructor(owner: Owner, hooks: ReconnectionHooks<Owner>) {
    this.#owner = owner;
    this.#hooks = hooks;
  }

  /** Whether it is at work. */
  get running(): boolean {
    return this.#stopController !== undefined;
  }

  /**
   * The connection was lost: brings it back. Resolves when it is stable again, or was stopped;
   * rejects with the last error when it gives up. A loss while it is at work is another failed attempt.
   */
  async recover(loss: unknown): Promise<void> {
    if (this.#onLoss) return this.#onLoss(loss);
    if (this.#stopController) return;
    const stop = (this.#stopController = makeAbortController());
    this.#runner ??= recoveryRunner('reconnection', this.#owner.config, {
      background: true,
      retryableExceptions: [shouldReconnect],
      onRetry: ({ attempt, delayMs, error }) => this.#hooks.onPause(this.#owner, { attempt, delayMs, error }),
    });
    try {
      await this.#runner.run(({ attempt }) => {
        // The attempt before the first was the connection that is lost now.
        if (attempt === 1) throw loss;
        return this.#openAndStay(attempt - 2, stop.signal);
      }, stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      if (this.#stopController === stop) this.#stopController = undefined;
    }
  }

  /** Ends it: no further attempt is made. */
  stop(): void {
    this.#stopController?.abort();
    this.#stopController = undefined;
    this.#onLoss = undefined;
  }

  async #openAndStay(failures: number, signal: AbortSignal): Promise<void> {
    await this.#hooks.open(this.#owner, failures, signal);
    // A listener of the event may have stopped it.
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const timer = startTimer(() => end(resolve), DEFAULTS.stableAfterMs).unref();
      const onLoss = (error: unknown) => end(() => reject(error));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        removeAbortListener();
        if (this.#onLoss === onLoss) this.#onLoss = undefined;
        settle();
      };
      this.#onLoss = onLoss;
      const removeAbortListener = onAbort(signal, () => end(resolve));
    });
  }
}
