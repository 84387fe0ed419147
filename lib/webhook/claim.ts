import { log } from '../runtime/logger';
import { messageOf } from '../runtime/error-message';
import type { WebhookReplayStore } from './replay-store';

/** @internal The right to handle a request, while no copy of it is handled by anybody else. Neither method rejects. */
export interface Claim {
  /** Remembers the request: it was handled. */
  keep(): Promise<void>;
  /** Lets another copy of the request be handled. */
  release(): Promise<void>;
}

/** @internal What is known of a copy that must not be handled. */
export type Duplicate = 'handled' | 'pending';

/**
 * @internal Claims a request in a replay store. A claim lapses after `claimMs`, in case the process ends while it
 * handles the request. Without `claimMs`, and in a store that cannot forget, the request is remembered at once.
 */
export async function claim(
  store: WebhookReplayStore,
  key: string,
  ttlMs: number,
  claimMs: number | undefined,
): Promise<Claim | Duplicate> {
  const remember = async (what: string, ms: number) => answered('remember', await store.remember(what, ms));
  const has = async (what: string) => answered('has', await store.has!(what));
  const forget = async (what: string) => void (await store.forget?.(what));
  if (claimMs === undefined || typeof store.has !== 'function' || typeof store.forget !== 'function') {
    if (!(await remember(key, ttlMs))) return 'handled';
    return { keep: async () => undefined, release: async () => void (await logged(forget(key))) };
  }
  const handling = `${key}:handling`;
  const lapsesAt = performance.now() + claimMs;
  if (!(await remember(handling, claimMs))) return (await has(key)) ? 'handled' : 'pending';
  const release = async () => {
    // A claim that has lapsed may be somebody else's by now.
    if (performance.now() < lapsesAt) await logged(forget(handling));
  };
  try {
    // Only now, as an earlier copy may have been remembered since it was looked for.
    if (await has(key)) {
      await release();
      return 'handled';
    }
  } catch (error) {
    await release();
    throw error;
  }
  const keep = async () => {
    if (await logged(remember(key, ttlMs))) await release();
  };
  return { keep, release };
}

function answered(method: string, answer: unknown): boolean {
  if (typeof answer === 'boolean') return answer;
  throw new Error(`replayStore.${method} must answer true or false`);
}

/** Whether the store did as it was asked. The request is handled by now, or is not, whatever becomes of this. */
async function logged(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    log('error', 'webhook.replay-store-failed', 'webhook', () => ({ error: messageOf(error) }));
    return false;
  }
}
