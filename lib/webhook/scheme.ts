/** The built-in signature schemes. `generic` is `t=…,v1=…`, `sha256=…` or raw hex in `X-Webhook-Signature`. */
export type WebhookScheme =
  | 'stripe'
  | 'github'
  | 'github-sha1'
  | 'standard'
  | 'standard-ed25519'
  | 'slack'
  | 'shopify'
  | 'hubspot-v1'
  | 'hubspot-v2'
  | 'hubspot-v3'
  | 'twilio'
  | 'linear'
  | 'paddle'
  | 'zoom'
  | 'square'
  | 'discord'
  | 'salesforce-data-cloud'
  | 'salesforce-ens'
  | 'generic';

/** The description of a custom signature scheme. */
export interface WebhookSchemeDescription {
  /** The name of the scheme, which results contain as `scheme`. */
  name: string;
  /** The name of the header with the signature. */
  header: string;
  /** A template of the signed text: `{body}` (required), `{timestamp}`, `{id}`, `{method}` and `{url}` are replaced by their values. */
  content: string;
  /** The text before the signature in its header. Default: none. */
  prefix?: string | undefined;
  /** For a header with named fields, one of them the timestamp: the separator (default: `,`) and the names (default: `t` and `v1`). */
  fields?:
    { separator?: string | undefined; timestamp?: string | undefined; signature?: string | undefined } | undefined;
  /** The algorithm: HMAC with `sha256` or `sha1`, or `ed25519`. Default: `sha256`. */
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  /** The encoding of the signature. Default: `hex`. */
  encoding?: 'hex' | 'base64' | undefined;
  /** The encoding of the secret. Default: `text`. */
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  /** The name of the header with the timestamp, where it has its own header. */
  timestampHeader?: string | undefined;
  /** The unit of the timestamp: seconds or milliseconds. Default: `s`. */
  timestampUnit?: 's' | 'ms' | undefined;
  /** The name of the header with the id of the delivery. */
  idHeader?: string | undefined;
}
