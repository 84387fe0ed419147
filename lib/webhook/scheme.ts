/** The schemes moorline knows by name; `generic` is `t=…,v1=…`, `sha256=…` or raw hex in `X-Webhook-Signature`. */
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

/** A scheme of your own. */
export interface WebhookSchemeDescription {
  /** What results call it. */
  name: string;
  /** The header with the signature. */
  header: string;
  /** What is signed: `{body}`, `{timestamp}`, `{id}`, `{method}` and `{url}` stand for themselves. `{body}` must be there. */
  content: string;
  /** What stands before the signature in its header. Default nothing. */
  prefix?: string | undefined;
  /** Where the header has named fields, one of them the timestamp. Default separator `,`, names `t` and `v1`. */
  fields?:
    { separator?: string | undefined; timestamp?: string | undefined; signature?: string | undefined } | undefined;
  /** HMAC with `sha256` (default) or `sha1`, or `ed25519`. */
  algorithm?: 'sha256' | 'sha1' | 'ed25519' | undefined;
  /** How the signature is written. Default `hex`. */
  encoding?: 'hex' | 'base64' | undefined;
  /** How the secret is written. Default `text`. */
  keyEncoding?: 'text' | 'base64' | 'hex' | undefined;
  /** The header with the timestamp, where it has one of its own. */
  timestampHeader?: string | undefined;
  /** Default `s`. */
  timestampUnit?: 's' | 'ms' | undefined;
  /** The header with the delivery's id. */
  idHeader?: string | undefined;
}
