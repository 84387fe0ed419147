import type { BaseConnection } from './base';
import { bringingBack } from './calls';
import { ConnectionHealth, RecoveryStrategy } from './state';

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
    const connection = this.#connection;
    switch (this.#strategy) {
      case RecoveryStrategy.RECONNECT:
        return connection.restart();
      case RecoveryStrategy.RECONNECT_BACKOFF:
        return this.#repeatedly().catch(() => false);
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
    const ended = new AbortController();
    const end = () => ended.abort();
    const guard = bringingBack('recovery', connection.config, {
      background: this.#signal !== undefined,
      until: () => ended.signal,
    });
    // The one that the last attempt began, and that somebody else may end.
    let life: AbortSignal | undefined;
    try {
      return await guard.run(async () => {
        life?.removeEventListener('abort', end);
        const restarted = connection.restart();
        life = connection.life;
        life.addEventListener('abort', end, { once: true });
        if (!(await restarted)) throw new Error('The connection could not be opened');
        return true;
      }, this.#signal);
    } finally {
      life?.removeEventListener('abort', end);
    }
  }
}
