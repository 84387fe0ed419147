/** TLS options of a {@link NixtlaClient}. */
export interface NixtlaTls {
  /** The certificate authorities to trust, in place of those of the system and of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  /** The certificate chain of the client; requires `key`. */
  cert?: string | Uint8Array | undefined;
  /** The private key of `cert`. */
  key?: string | Uint8Array | undefined;
  /** The host name that the server's certificate must be valid for. Default: the URL's host. */
  serverName?: string | undefined;
  /** The lowest version of TLS that is accepted. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `false` accepts any certificate. Default: true. */
  rejectUnauthorized?: boolean | undefined;
}
