/** TLS settings. */
export interface NixtlaTls {
  /** The authorities that are trusted, instead of the system's and those of `NODE_EXTRA_CA_CERTS`. */
  ca?: string | Uint8Array | (string | Uint8Array)[] | undefined;
  /** The client's certificate chain; `key` belongs to it. */
  cert?: string | Uint8Array | undefined;
  key?: string | Uint8Array | undefined;
  /** The name the certificate must be valid for. Default: the URL's host. */
  serverName?: string | undefined;
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** `false` accepts any certificate. Default true. */
  rejectUnauthorized?: boolean | undefined;
}
