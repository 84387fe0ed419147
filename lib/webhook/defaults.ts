import { native } from '../runtime/native';

/** The defaults of receiving webhooks and of remembering them, as the addon has them; times in milliseconds. */
export const DEFAULTS = JSON.parse(native.webhookDefaults()) as Readonly<
  Record<'limitBytes' | 'timeoutMs' | 'duplicateStatus' | 'claimMs' | 'replayStoreTimeoutMs' | 'capacity', number>
>;
