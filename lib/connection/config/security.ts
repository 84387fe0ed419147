import { invalidValue } from '../../runtime/argument-error';
import { native } from '../../runtime/native';
import { SecurityLevel } from '../model';

/** What a {@link SecurityLevel} means. */
export interface ConnectionSecurityInfo {
  securityLevel: SecurityLevel;
  /** Whether the server's certificate is checked. */
  certificateValidation: boolean;
  /** Where plain text may go: `loopback` is this machine. */
  plainText: 'anywhere' | 'loopback' | 'nowhere';
  /** The oldest TLS that is spoken. */
  minTlsVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Whether a redirect from https to http is refused. */
  httpsOnlyRedirects: boolean;
  /** Whether only the public internet, and `customSecurityOptions.allowedHosts`, can be reached. */
  publicAddressesOnly: boolean;
}

/** What a security level means, and the headers that tell a server who is calling. */
export class ConnectionSecurity {
  readonly #info: ConnectionSecurityInfo;

  /** @param level Default `basic`. */
  constructor(level: SecurityLevel = SecurityLevel.BASIC) {
    this.#info = JSON.parse(native.connectionSecurity({ level })) as ConnectionSecurityInfo;
  }

  /**
   * `Authorization: Bearer …` for a token, `X-API-Key` for a key; a `null` or missing one gives no header.
   *
   * @throws TypeError for one that cannot stand in a header. It is not shown.
   */
  createAuthorizationHeaders(token?: string | null, apiKey?: string | null): Record<string, string> {
    return {
      ...(token && { Authorization: `Bearer ${checked('token', token)}` }),
      ...(apiKey && { 'X-API-Key': checked('apiKey', apiKey) }),
    };
  }

  /** What the level means. */
  getSecurityInfo(): ConnectionSecurityInfo {
    return { ...this.#info };
  }
}

/** A line break in a secret would be another header. */
function checked(path: string, secret: string): string {
  if (typeof secret === 'string' && !/[^\t\x20-\x7e\x80-\xff]/.test(secret)) return secret;
  throw invalidValue(`${path} must be a string that can stand in a header`);
}
