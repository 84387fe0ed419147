import { outOfRange } from '../runtime/argument-error';
import { checkOptions } from '../runtime/known-options';
import { native, type Handle } from '../runtime/native';
import { DEFAULTS } from './defaults';
import type { WebhookReplayStore as NativeStore } from '../../dist/native';

/**
 * A store of accepted requests: in this process, or in a database that several processes share.
 *
 * A request is added to a store with all three methods after its handler has succeeded, and only one of several copies that
 * arrive at the same time is handled. It is added to a store with `remember` alone before it is handled.
 *
 * {@link WebhookVerifier.verify} and {@link WebhookVerifier.verifyRequest} are synchronous. A store that returns promises
 * works only with {@link receiveWebhook} and {@link webhookMiddleware}.
 */
export interface WebhookReplayStore {
  /**
   * Adds `key` for `ttlMs` milliseconds, a finite number, and returns whether it is new. This must be atomic: of several calls
   * for one key at the same time exactly one returns `true`.
   */
  remember(key: string, ttlMs: number): boolean | PromiseLike<boolean>;
  /** Returns whether `key` is in the store. */
  has?(key: string): boolean | PromiseLike<boolean>;
  /** Removes `key`. */
  forget?(key: string): unknown;
}

/**
 * A store of accepted requests in the memory of this process, so that a captured request is not accepted again.
 *
 * Two requests are the same if their signed contents are equal. A retry with a new timestamp is therefore accepted. Under a
 * scheme without timestamps (GitHub, Shopify) a retry is refused for 24 hours, or for `maxAgeMs` where that is longer.
 *
 * @example
 * ```ts
 * import { MemoryReplayStore, WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret', replayStore: new MemoryReplayStore() });
 * const body = '{"event":"paid"}';
 * const headers = verifier.signRequest({ body });
 * console.log(verifier.verifyRequest({ headers, body }).valid); // true
 * console.log(verifier.verifyRequest({ headers, body }).duplicate); // true
 * ```
 */
export class MemoryReplayStore implements WebhookReplayStore {
  readonly #store: Handle<NativeStore>;

  /**
   * @param options `capacity`: the largest number of requests in the store; a further one replaces the one that expires first.
   * Default: 100 000.
   * @throws RangeError for a capacity that is not a whole number of at least 1.
   */
  constructor(options: { capacity?: number | undefined } = {}) {
    checkOptions('options', options, { capacity: true });
    const { capacity = DEFAULTS.capacity } = options;
    if (!Number.isInteger(capacity) || capacity < 1) {
      throw outOfRange('options.capacity', 'a whole number ≥ 1', capacity);
    }
    this.#store = native.webhookReplayCreate(capacity);
  }

  /** Adds a request for `ttlMs` milliseconds and returns whether it is new. */
  remember(key: string, ttlMs: number): boolean {
    return native.webhookReplayRemember(this.#store, key, ttlMs, Date.now());
  }

  /** Returns whether a request is in the store. */
  has(key: string): boolean {
    return native.webhookReplayHas(this.#store, key, Date.now());
  }

  /** Removes a request, by the `replayKey` of its result. */
  forget(key: string): void {
    native.webhookReplayForget(this.#store, key);
  }
}
