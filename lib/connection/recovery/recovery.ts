import type { BaseConnection } from '../base';
import { makeAbortController } from '../../runtime/node';
import { onAbort } from '../../runtime/abort';
import { recoveryRunner } from '../policies';
import { ConnectionHealth, RecoveryStrategy } from '../model';

/** Brings an unhealthy connection back, in one of several ways, until somebody closes it or `signal` is aborted. */
export class Recovery {
  readonly #connection: BaseConnection;
  readonly #strategy: RecoveryStrategy;
  readonly #signal: AbortSignal | undefined;

  /** @param signal given where nobody waits for it: its pauses do not keep the process alive then. */
  constructor(connection: BaseConnection, strategy: RecoveryStrategy, signal?: AbortSignal) {
    this.#connection = connection;
    this.#strategy = strategy;
    this.#signal = signal;
  }

  /** Whether the connection works again. Never rejects. */
  async run(): Promise<boolean> {
    try {
      return await this.#bringBack();
    } catch {
      return false;
    }
  }

  async #bringBack(): Promise<boolean> {
    const connection = this.#connection;
    switch (this.#strategy) {
      case RecoveryStrategy.RECONNECT:
        return connection.restart();
      case RecoveryStrategy.RECONNECT_BACKOFF:
        return this.#repeatedly();
      case RecoveryStrategy.FALLBACK:
        return connection.restart(() => connection.fallBack('the connection is unhealthy'));
      case RecoveryStrategy.GRACEFUL_DEGRADATION:
        connection.setHealth(ConnectionHealth.DEGRADED);
        return true;
      default:
        return false;
    }
  }

  /** `retryCount` times, with growing delays between them. */
  async #repeatedly(): Promise<boolean> {
    const connection = this.#connection;
    const ended = makeAbortController();
    const end = () => ended.abort();
    const guard = recoveryRunner('recovery', connection.config, {
      background: this.#signal !== undefined,
      until: () => ended.signal,
    });
    // The life that the last attempt began, and that somebody else may end.
    let deafen: (() => void) | undefined;
    try {
      return await guard.run(async () => {
        deafen?.();
        const restarted = connection.restart();
        deafen = onAbort(connection.lifetime, () => end());
        if (!(await restarted)) throw new Error('The connection could not be opened');
        return true;
      }, this.#signal);
    } finally {
      deafen?.();
    }
  }
}
