import { native } from '../../runtime/native';

/** The defaults of what runs here, as the addon has them; times in milliseconds. */
export const DEFAULTS = JSON.parse(native.connectionDefaults()) as Readonly<
  Record<'queuedMessages' | 'stableAfterMs' | 'healthCheckIntervalMs' | 'concurrency', number>
>;
