import { invalidValue } from '../../runtime/argument-error';
import { native } from '../../runtime/native';
import { SecurityLevel } from '../model';

/** The requirements of a {@link SecurityLevel}. */
export interface ConnectionSecurityInfo {
  securityLevel: SecurityLevel;
  /** Whether the server's certificate is checked. */
  certificateValidation: boolean;
  /** Where unencrypted connections are allowed; `loopback` is this machine. */
  plainText: 'anywhere' | 'loopback' | 'nowhere';
  /** The oldest TLS version that is accepted. */
  minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Whether a redirect from https to http is refused. */
  httpsOnlyRedirects: boolean;
  /** Whether only the public internet, and `customSecurityOptions.allowedHosts`, can be reached. */
  publicAddressesOnly: boolean;
}

/**
 * The requirements of a security level, and the headers for authentication.
 *
 * @example
 * ```ts
 * import { ConnectionSecurity, HTTPConnection } from 'moorline';
 *
 * const customHeaders = new ConnectionSecurity('enhanced').createAuthorizationHeaders('token');
 * const service = new HTTPConnection({ url: 'https://api.example.com', customHeaders });
 * console.log((await service.request({ url: '/orders' })).status); // 200
 * await service.disconnect();
 * ```
 */
export class ConnectionSecurity {
  readonly #info: ConnectionSecurityInfo;

  /**
   * @param level the security level. Default: `basic`.
   * @throws TypeError for an unknown level.
   */
  constructor(level: SecurityLevel = SecurityLevel.BASIC) {
    this.#info = JSON.parse(native.connectionSecurity({ level })) as ConnectionSecurityInfo;
  }

  /**
   * Returns `Authorization: Bearer …` for a token and `X-API-Key` for a key; a value that is `null` or missing adds no
   * header.
   *
   * @throws TypeError for a value that is not valid in a header; the message does not contain it.
   */
  createAuthorizationHeaders(token?: string | null, apiKey?: string | null): Record<string, string> {
    return {
      ...(token && { Authorization: `Bearer ${checkSecret('token', token)}` }),
      ...(apiKey && { 'X-API-Key': checkSecret('apiKey', apiKey) }),
    };
  }

  /** Returns the requirements of the level. */
  getSecurityInfo(): ConnectionSecurityInfo {
    return { ...this.#info };
  }
}

/** A line break in a secret would be another header. */
function checkSecret(path: string, secret: string): string {
  if (typeof secret === 'string' && !/[^\t\x20-\x7e\x80-\xff]/.test(secret)) return secret;
  throw invalidValue(`${path} must be a string without characters that are not allowed in a header`);
}
