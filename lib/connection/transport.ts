import { transportLimits, type ResolvedConnectionConfig } from './config';

/** What a transport is told of TLS, proxies, security, times and sizes. What each level means is decided in the addon. */
export function transportOptions(config: Readonly<ResolvedConnectionConfig>): Record<string, unknown> {
  const { tls, proxy, securityLevel, encryption, customSecurityOptions } = config;
  const { allowedHosts } = customSecurityOptions;
  return { tls, proxy, securityLevel, encryption, allowedHosts, ...transportLimits(config) };
}
