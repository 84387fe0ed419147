import { outOfRange } from '../runtime/argument-error';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import { DEFAULTS } from './defaults';
import type { WebhookReplayStore as NativeStore } from '../../dist/native';

/**
 * Where accepted requests are remembered: in this process, or in a database that several processes share.
 *
 * With all three methods a request is remembered once its handler has succeeded, and only one of several copies that
 * arrive at the same time is handled; with `remember` alone it is remembered before it is handled.
 *
 * {@link WebhookVerifier.verify} and {@link WebhookVerifier.verifyRequest} do not wait: a store that gives promises is
 * for {@link receiveWebhook} and {@link webhookMiddleware}.
 */
export interface WebhookReplayStore {
  /**
   * Remembers `key` for `ttlMs`, a finite number, and tells whether it is new, in one step: of several calls for one key at the same time
   * one is told `true`.
   */
  remember(key: string, ttlMs: number): boolean | PromiseLike<boolean>;
  /** Whether `key` is remembered. */
  has?(key: string): boolean | PromiseLike<boolean>;
  /** Forgets `key`. */
  forget?(key: string): unknown;
}

/**
 * Remembers accepted requests in this process, so that a captured one is not accepted again.
 *
 * What counts as the same request is its signed content: a sender's retry with a new timestamp passes, a retry of a
 * scheme without timestamps (GitHub, Shopify) does not until 24 hours later, or `maxAgeMs` where that is longer.
 */
export class MemoryReplayStore implements WebhookReplayStore {
  readonly #store: Handle<NativeStore>;

  /** @param capacity How many requests are remembered at most; the one that expires first makes room. Default 100 000. */
  constructor(options: { capacity?: number | undefined } = {}) {
    checkOptions('options', options, { capacity: true });
    const { capacity = DEFAULTS.capacity } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw outOfRange('options.capacity', 'a whole number ≥ 1', capacity);
    }
    this.#store = native.webhookReplayCreate(capacity);
  }

  /** Remembers a request for `ttlMs`, and tells whether it is new. */
  remember(key: string, ttlMs: number): boolean {
    return native.webhookReplayRemember(this.#store, key, ttlMs, Date.now());
  }

  has(key: string): boolean {
    return native.webhookReplayHas(this.#store, key, Date.now());
  }

  /** Forgets a request, by its result's `replayKey`. */
  forget(key: string): void {
    native.webhookReplayForget(this.#store, key);
  }
}
