import type { ResolvedConnectionConfig } from './config';

/** What a transport is told of TLS, proxies and the addresses it may reach. */
export function transportOptions({ tls, proxy }: Readonly<ResolvedConnectionConfig>): Record<string, unknown> {
  return { ...(tls && { tls }), ...(proxy !== undefined && { proxy }) };
}
