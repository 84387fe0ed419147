import type { BaseConnection } from '../base';
import { makeAbortController } from '../../runtime/node';
import { onAbort } from '../../runtime/abort';
import { recoveryRunner } from '../policies';
import { ConnectionHealth, RecoveryStrategy } from '../model';

/** Brings an unhealthy connection back, in one of several ways, until it is closed or `signal` is aborted. */
export class Recovery {
  readonly #connection: BaseConnection;
  readonly #strategy: RecoveryStrategy;
  readonly #signal: AbortSignal | undefined;

  /** @param signal marks a background recovery, whose pauses do not keep the process alive. */
  constructor(connection: BaseConnection, strategy: RecoveryStrategy, signal?: AbortSignal) {
    this.#connection = connection;
    this.#strategy = strategy;
    this.#signal = signal;
  }

  /** Whether the connection works again. Never rejects. */
  async run(): Promise<boolean> {
    try {
      return await this.#recover();
    } catch {
      return false;
    }
  }

  async #recover(): Promise<boolean> {
    const connection = this.#connection;
    switch (this.#strategy) {
      case RecoveryStrategy.RECONNECT:
        return connection.restart();
      case RecoveryStrategy.RECONNECT_BACKOFF:
        return this.#reconnectWithBackoff();
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
  async #reconnectWithBackoff(): Promise<boolean> {
    const connection = this.#connection;
    const endController = makeAbortController();
    const end = () => endController.abort();
    const runner = recoveryRunner('recovery', connection.config, {
      background: this.#signal !== undefined,
      lifetime: () => endController.signal,
    });
    // The lifetime that the last attempt began may be ended by a `disconnect`.
    let removeAbortListener: (() => void) | undefined;
    try {
      return await runner.run(async () => {
        removeAbortListener?.();
        const restart = connection.restart();
        removeAbortListener = onAbort(connection.lifetime, () => end());
        if (!(await restart)) throw new Error('The connection could not be opened');
        return true;
      }, this.#signal);
    } finally {
      removeAbortListener?.();
    }
  }
}
