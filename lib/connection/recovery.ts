import { Guard } from '../guard';
import { native } from '../native';
import type { BaseConnection } from './base';
import { ConnectionHealth, RecoveryStrategy } from './state';

const MAX_DELAY_MS = 30_000;

/** Brings an unhealthy connection back, in one of several ways. */
export class Recovery {
  readonly #connection: BaseConnection;
  readonly #strategy: RecoveryStrategy;
  readonly #background: boolean;

  /** @param background nobody waits for it: its pauses do not keep the process alive. */
  constructor(connection: BaseConnection, strategy: RecoveryStrategy, background: boolean) {
    this.#connection = connection;
    this.#strategy = strategy;
    this.#background = background;
  }

  /** Whether the connection works again. Never rejects. */
  async run(): Promise<boolean> {
    switch (this.#strategy) {
      case RecoveryStrategy.RECONNECT:
        return this.#reopen();
      case RecoveryStrategy.RECONNECT_BACKOFF:
        return this.#repeatedly();
      case RecoveryStrategy.FALLBACK:
        this.#connection.fallBack('the connection is unhealthy');
        return this.#reopen();
      case RecoveryStrategy.GRACEFUL_DEGRADATION:
        this.#connection.setHealth(ConnectionHealth.DEGRADED);
        return true;
      default:
        return false;
    }
  }

  async #reopen(): Promise<boolean> {
    await this.#connection.disconnect();
    return this.#connection.connect();
  }

  /** `retryCount` times, with growing delays between them. */
  async #repeatedly(): Promise<boolean> {
    const { retryCount, retryDelay, backoffMultiplier } = this.#connection.config;
    const retry = {
      maxRetries: Math.max(retryCount - 1, 0),
      baseDelayMs: retryDelay,
      maxDelayMs: Math.max(MAX_DELAY_MS, retryDelay),
      exponentialBase: backoffMultiplier,
      jitter: false,
      budget: false,
    };
    const policy = native.policyCreate({ timeoutMs: Infinity, attemptTimeoutMs: Infinity, retry });
    const guard = new Guard(policy, null, { background: this.#background });
    const attempt = async () => {
      if (!(await this.#reopen())) throw new Error('The connection could not be opened');
      return true;
    };
    return guard.run(attempt).catch(() => false);
  }
}
