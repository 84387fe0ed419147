import { outOfRange } from './invalid';
import { checkOptions } from './known-options';
import { native, type Handle } from './native';
import type { WebhookReplayStore as NativeStore } from '../dist/native';

/**
 * Where accepted requests are remembered. It answers at once; for a store behind a network, verify without one
 * and deduplicate by the result's `id`.
 */
export interface WebhookReplayStore {
  /** Remembers `key` for `ttlMs` and answers whether it is new; `false` means a replay. */
  remember(key: string, ttlMs: number): boolean;
}

/**
 * Remembers accepted requests in this process, so that a captured one is not accepted again.
 *
 * What counts as the same request is its signature: a sender's retry with a new timestamp passes, a retry of a
 * scheme without timestamps (GitHub, Shopify) does not until 24 hours later. Where such a request could not be
 * processed, {@link forget} its `replayKey` so that the retry is accepted.
 */
export class MemoryReplayStore implements WebhookReplayStore {
  readonly #store: Handle<NativeStore>;

  /** @param capacity How many requests are remembered at most; the one that expires first makes room. Default 100 000. */
  constructor(options: { capacity?: number | undefined } = {}) {
    checkOptions('options', options, { capacity: true });
    const { capacity = 100_000 } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw outOfRange('options.capacity', 'a whole number ≥ 1', capacity);
    }
    this.#store = native.webhookReplayCreate(capacity);
  }

  remember(key: string, ttlMs: number): boolean {
    return native.webhookReplayRemember(this.#store, key, ttlMs, Date.now());
  }

  /** Forgets a request, by its result's `replayKey`. */
  forget(key: string): void {
    native.webhookReplayForget(this.#store, key);
  }
}
