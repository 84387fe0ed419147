import { clearTimeout, makeAbortController } from '../../runtime/node';
import type { PolicyRunner } from '../../resilience/runner';
import { onAbort } from '../../runtime/abort';
import { startTimer } from '../../runtime/timers';
import { recoveryRunner } from '../policies';
import type { ResolvedConnectionConfig } from '../config/config';
import { DEFAULTS } from '../config/defaults';
import { shouldReconnect } from '../error';

export interface ReconnectionOptions {
  /** Opens the connection once; `failures` is how many attempts in a row have failed. Rejects when it cannot. */
  open: (failures: number, signal: AbortSignal) => Promise<void>;
  /** Before each pause. */
  onPause?: (facts: { attempt: number; delayMs: number; error: unknown }) => void;
}

/**
 * Brings a lost connection back, with growing delays and full jitter from the addon's retry. A connection that is
 * lost again within `stableAfterMs` continues the same series of delays: one that flaps must not be opened in a loop.
 */
export class Reconnection {
  readonly #open: ReconnectionOptions['open'];
  readonly #runner: PolicyRunner;
  #stopController: AbortController | undefined;
  #onLoss: ((error: unknown) => void) | undefined;

  constructor(config: Readonly<ResolvedConnectionConfig>, { open, onPause }: ReconnectionOptions) {
    this.#open = open;
    this.#runner = recoveryRunner('reconnection', config, {
      background: true,
      retryableExceptions: [shouldReconnect],
      onRetry: ({ attempt, delayMs, error }) => onPause?.({ attempt, delayMs, error }),
    });
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
    await this.#open(failures, signal);
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
