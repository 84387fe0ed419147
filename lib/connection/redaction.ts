import { inspect } from 'node:util';

import type { NamedConnectionConfig } from './config';

const HIDDEN = '[redacted]';
/** Headers that never hold a credential; every other one may. */
const HARMLESS = /^(accept(-.*)?|cache-control|content-type|user-agent)$/i;

/**
 * Makes a configuration show no credentials where it is printed or becomes JSON. Copies of it (`{ ...config }`) are
 * ordinary objects.
 */
export function redacted<Config extends NamedConnectionConfig>(config: Config): Config {
  const show = () => shown(config);
  return Object.defineProperties(config, { toJSON: { value: show }, [inspect.custom]: { value: show } });
}

function shown(config: NamedConnectionConfig): Record<string, unknown> {
  const headers = Object.entries(config.customHeaders);
  const hide = (values: object) => Object.fromEntries(Object.keys(values).map((key) => [key, HIDDEN]));
  return {
    ...config,
    url: shownUrl(config.url),
    fallbackUrl: shownUrl(config.fallbackUrl),
    proxy: shownUrl(config.proxy),
    customHeaders: Object.fromEntries(headers.map(([name, value]) => [name, HARMLESS.test(name) ? value : HIDDEN])),
    customOptions: hide(config.customOptions),
    tls: config.tls && { ...config.tls, ...hide(secretsOf(config.tls)) },
  };
}

/** Of TLS settings, what may hold a private key. */
function secretsOf({ key }: NonNullable<NamedConnectionConfig['tls']>): object {
  return key === undefined ? {} : { key };
}

/** @internal A URL without user, password, query and fragment. */
export function shownUrl(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return url;
  const { protocol, host, pathname } = new URL(url);
  return host ? `${protocol}//${host}${pathname}` : url;
}
