import { inspect } from 'node:util';

import { native } from '../../runtime/native';

/** The members of a configuration that may hold credentials. */
interface ConfidentialConfig {
  url?: string | undefined;
  fallbackUrl?: string | undefined;
  proxy?: string | undefined;
  customHeaders: Record<string, string> | ((...given: never) => unknown);
  customOptions: object;
  tls?: { key?: unknown } | undefined;
}

const REDACTED = '[redacted]';

/**
 * Makes a configuration show no credentials where it is printed or becomes JSON. Copies of it (`{ ...config }`) are
 * ordinary objects.
 */
export function withRedaction<Config extends ConfidentialConfig>(config: Config): Config {
  return Object.defineProperties(config, { toJSON: { value: show }, [inspect.custom]: { value: show } });
}

function show(this: ConfidentialConfig): Record<string, unknown> {
  return redactedCopy(this);
}

function redactedCopy(config: ConfidentialConfig): Record<string, unknown> {
  const { customHeaders } = config;
  const headers = Object.entries(customHeaders).map(([name, value]) => [
    name,
    native.isHarmlessHeader(name) ? value : REDACTED,
  ]);
  const redactAll = (values: object) => Object.fromEntries(Object.keys(values).map((key) => [key, REDACTED]));
  return {
    ...config,
    url: redactUrl(config.url),
    fallbackUrl: redactUrl(config.fallbackUrl),
    proxy: config.proxy === 'environment' ? config.proxy : redactUrl(config.proxy),
    customHeaders: typeof customHeaders === 'function' ? customHeaders : Object.fromEntries(headers),
    customOptions: redactAll(config.customOptions),
    tls: config.tls && { ...config.tls, ...redactAll(secretsOf(config.tls)) },
  };
}

/** Of TLS settings, what may hold a private key. */
function secretsOf({ key }: NonNullable<ConfidentialConfig['tls']>): object {
  return key === undefined ? {} : { key };
}

/** @internal A URL without user, password, query and fragment; of what is no URL only the scheme. */
export function redactUrl(url: string | undefined): string | undefined {
  return url === undefined ? undefined : native.redactUrl(url);
}
