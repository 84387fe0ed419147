import { isDeepStrictEqual } from 'node:util';

import { crypto } from '../runtime/node';
import { log } from '../runtime/logger';
import { type WebhookVerificationConfig, WebhookVerifier } from './verifier';

type SharedConfig = Omit<WebhookVerificationConfig, 'secret'>;

/** The most verifiers that are cached; the oldest is evicted. */
const MAX_SHARED = 1000;
/** The random HMAC key of the cache's keys, so that these do not reveal the secrets. */
let cacheKey: Buffer | undefined;
const shared = new Map<string, { verifier: WebhookVerifier; config: SharedConfig | undefined; warned: boolean }>();

/**
 * Returns the shared verifier for `secret` in this JavaScript environment. The first call for a secret creates it with
 * `config`; a different `config` later is ignored, with one warning in the log.
 */
export function getWebhookVerifier(
  secret: string | readonly string[] | undefined,
  config?: SharedConfig,
): WebhookVerifier {
  const secrets: readonly unknown[] = Array.isArray(secret) ? secret : [secret];
  // What is not a list of secrets is refused by the constructor.
  if (secrets.length > MAX_SHARED || !secrets.every((one) => typeof one === 'string')) {
    return new WebhookVerifier({ ...config, secret });
  }
  const { createHmac, randomBytes } = crypto();
  const digest = createHmac('sha256', (cacheKey ??= randomBytes(32)))
    .update(JSON.stringify(secrets))
    .digest('base64');
  let entry = shared.get(digest);
  if (!entry) {
    entry = { verifier: new WebhookVerifier({ ...config, secret }), config, warned: false };
    const [oldest] = shared.keys();
    if (shared.size >= MAX_SHARED && oldest !== undefined) shared.delete(oldest);
    shared.set(digest, entry);
  } else if (config !== undefined && !entry.warned && !isDeepStrictEqual(config, entry.config)) {
    entry.warned = true;
    log('warn', 'webhook.options-ignored', 'webhook', () => ({
      reason:
        'a shared verifier of this secret already exists; its options stay in force until resetWebhookVerifiers()',
    }));
  }
  return entry.verifier;
}

/** Removes all shared verifiers. */
export function resetWebhookVerifiers(): void {
  shared.clear();
}
