import type { KeyObject } from 'node:crypto';
import { types } from 'node:util';

import { outOfRange, wrongType } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { messageOf } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import { onRejection } from '../runtime/shape';
import { verifyWith, keysOf } from './large-body';
import { headersText, partsOf } from './request';
import type { WebhookVerifier as NativeVerifier } from '../../dist/native';
import type { WebhookReplayStore } from './replay-store';
import type { WebhookScheme, WebhookSchemeDescription } from './scheme';

/** Options of a {@link WebhookVerifier}. */
export interface WebhookVerificationConfig {
  /** The shared secret (a public key for Ed25519), or several while they are rotated, newest first. Must not be empty. */
  secret: string | readonly string[] | undefined;
  /**
   * How old a signed timestamp may be, in milliseconds. Default 300 000 (Linear 60 000, Paddle 5000); `Infinity`: any age,
   * which is refused beside a `replayStore`, as that would have to remember for ever.
   */
  maxAgeMs?: number | undefined;
  /** How far ahead a signed timestamp may be, in milliseconds. Default 60 000 (Paddle 5000). */
  toleranceMs?: number | undefined;
  /** The scheme or schemes that are accepted. Default: whichever the request carries. Name it where you know it. */
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  /**
   * The public URL of the endpoint as the sender calls it, for Twilio, Square and HubSpot, which sign it. The path and
   * query of a request are tried on its origin, too, so that one verifier serves several endpoints.
   */
  url?: string | undefined;
  /** The store by which a request that was accepted before is a duplicate. See {@link MemoryReplayStore}. */
  replayStore?: WebhookReplayStore | undefined;
}

/** The parts of a signature header. */
export interface WebhookSignatureHeader {
  /** Seconds since the epoch; the current time where the header has none. */
  timestamp: number;
  /** In lower-case hex. */
  signature: string;
  /** `v1` or `sha256`; absent for a raw signature. */
  version?: string;
}

/** What {@link WebhookVerifier.verify} found out. */
export interface VerificationResult {
  valid: boolean;
  /** Why it is not: `Invalid signature format`, `Webhook too old (…)`, `Webhook timestamp is in the future`, `Signature mismatch` or `Verification error: …`. */
  reason?: string;
  /** The request is genuine, but was accepted before: the `replayStore` knows it. `valid` is false. */
  duplicate?: true;
  /** The signed timestamp in seconds, where there is one. */
  timestamp?: number;
  /** What the `replayStore` remembers of it. */
  replayKey?: string;
}

/** What {@link WebhookVerifier.verifyRequest} found out. */
export interface RequestVerificationResult extends VerificationResult {
  /** The scheme it was judged by; `undefined` when the request carries none. */
  scheme: string | undefined;
  /** The delivery's id, where the scheme has one; deduplicate by it. Only Standard Webhooks signs it. */
  id?: string;
  /** Which secret matched, by its position: retire the old one when it is no longer seen. */
  secretIndex?: number;
}

/** Headers as Node, Express or Fetch give them; names in any case. */
export type WebhookHeaders =
  Iterable<readonly [string, string]> | { readonly [name: string]: string | readonly string[] | number | undefined };

/** A request as it came in. */
export interface WebhookRequest {
  headers: WebhookHeaders;
  /** The raw body, as bytes or as the text that came over the wire. */
  body: string | Uint8Array;
  /** Default `POST`. */
  method?: string | undefined;
  /**
   * The URL as the sender called it, or its path and query as a server sees them. The verifier's `url` then has the
   * origin, and counts itself where a proxy cuts off a part of the path or escapes the query differently.
   */
  url?: string | undefined;
  /** Milliseconds since the epoch. Default `Date.now()`. */
  now?: number | undefined;
}

/** What to sign with {@link WebhookVerifier.signRequest}. */
export interface WebhookSigning {
  body: string | Uint8Array;
  /** The delivery's id, where the scheme signs one. */
  id?: string | undefined;
  /** Default `POST`. */
  method?: string | undefined;
  /** Default the verifier's `url`. */
  url?: string | undefined;
  /** Seconds since the epoch. Default now. */
  timestamp?: number | undefined;
}

const SIGNING: KnownOptions<WebhookSigning> = { body: true, id: true, method: true, url: true, timestamp: true };

const RAW_BODY =
  "give it the raw body: in Express use express.raw({ type: '*/*' }) in place of express.json() on this route, " +
  'elsewhere receiveWebhook(verifier, request) before any body parser';

function invalid(reason: string): VerificationResult {
  return { valid: false, reason };
}

function verificationError(error: unknown): VerificationResult {
  return invalid(`Verification error: ${messageOf(error)}`);
}

/** Why a payload that is neither text nor bytes cannot be verified, and which middleware to change. */
function notRawBody(payload: unknown): VerificationResult {
  const what =
    payload === undefined || payload === null
      ? `the payload is ${payload}, so no body was read`
      : `the payload is ${typeof payload === 'object' ? 'an object that was parsed already' : `a ${typeof payload}`}`;
  return invalid(`Verification error: ${what}; ${RAW_BODY}`);
}

function isRaw(payload: unknown): payload is string | Uint8Array {
  return typeof payload === 'string' || ArrayBuffer.isView(payload) || types.isArrayBuffer(payload);
}

function checkTimestamp(path: string, timestamp: number | undefined): number {
  if (timestamp === undefined) return Math.floor(Date.now() / 1000);
  if (Number.isInteger(timestamp) && timestamp >= 0 && timestamp < 1e12) return timestamp;
  throw outOfRange(path, 'whole seconds since the epoch', timestamp);
}

/** The time at which a request is verified. */
function checkNow(now = Date.now()): number {
  if (Number.isFinite(now)) return now;
  throw outOfRange('request.now', 'milliseconds since the epoch', now);
}

/** @internal The result of a verification, and for how long the same request could be accepted again. */
export type Verification = RequestVerificationResult & { replayableForMs?: number };

/** @internal The store of a verifier; none of one that is not ours. */
export let storeOf: (verifier: WebhookVerifier) => WebhookReplayStore | undefined;

/** @internal Verifies a request as `verifyRequest` does, but does not ask the store. */
export let verifyWithoutStore: (verifier: WebhookVerifier, request: WebhookRequest) => Verification;

/**
 * Verifies and signs webhooks, over the raw bytes, in constant time, under one or several secrets.
 *
 * It answers on the calling thread.
 */
export class WebhookVerifier {
  readonly #verifier: Handle<NativeVerifier>;
  readonly #keys: KeyObject[];
  readonly #store: WebhookReplayStore | undefined;
  #headerNames: ReadonlySet<string> | undefined;
  readonly #url: string | undefined;

  static {
    storeOf = (verifier) => (#store in verifier ? verifier.#store : undefined);
    verifyWithoutStore = (verifier, request) => verifier.#verifyRequest(request);
  }

  constructor(config: WebhookVerificationConfig) {
    if (typeof config !== 'object' || config === null) throw wrongType('options', 'a plain object', config);
    const { replayStore, ...options } = config;
    if (replayStore !== undefined && typeof replayStore?.remember !== 'function') {
      throw wrongType('options.replayStore', 'a store with remember()', replayStore);
    }
    this.#verifier = native.webhookCreate(options, replayStore !== undefined);
    this.#keys = keysOf(options.secret);
    this.#store = replayStore;
    this.#url = options.url;
  }

  /** The endpoint's public URL, where it was given. */
  get url(): string | undefined {
    return this.#url;
  }

  /**
   * Whether `signature` is one of `payload`. Never throws.
   *
   * @param payload The raw body. A parsed object is refused, with the middleware to change in `reason`.
   * @param signature The value of the signature's header, `undefined` when the request has none.
   * @param secret Another secret, or several, for this call.
   */
  verify(
    payload: string | Uint8Array,
    signature: string | readonly string[] | undefined,
    secret?: string | readonly string[],
  ): VerificationResult {
    try {
      const text = typeof signature === 'string' ? signature : singleSignature(signature);
      if (typeof text !== 'string') return text;
      if (secret !== undefined) {
        const verifier = native.webhookWithSecrets(this.#verifier, secret);
        const verification = this.#verify(verifier, keysOf(secret), payload, text, '', Date.now());
        return withoutRequestFields(this.#checkReplay(verification));
      }
      if (this.#store) {
        return withoutRequestFields(
          this.#checkReplay(this.#verify(this.#verifier, this.#keys, payload, text, '', Date.now())),
        );
      }
      const now = Date.now();
      const answer = verifyWith(this.#keys, payload, (body, tags) =>
        native.webhookVerify(this.#verifier, body, text, now, tags),
      );
      if (typeof answer === 'number') return { valid: true, timestamp: answer };
      if (answer === true) return { valid: true };
      return answer === undefined ? notRawBody(payload) : invalid(answer);
    } catch (error) {
      return verificationError(error);
    }
  }

  /** Judges a whole request: finds its signature, timestamp and id in the headers. Never throws. */
  verifyRequest(request: WebhookRequest): RequestVerificationResult {
    try {
      return this.#checkReplay(this.#verifyRequest(request));
    } catch (error) {
      return { ...verificationError(error), scheme: undefined };
    }
  }

  #verifyRequest(request: WebhookRequest): Verification {
    try {
      const parts = partsOf(request);
      const headers = this.#relevantHeaders(parts);
      return this.#verify(this.#verifier, this.#keys, parts.body, undefined, headers, checkNow(parts.now));
    } catch (error) {
      return { ...verificationError(error), scheme: undefined };
    }
  }

  /**
   * What to answer, as JSON with status 200, a provider that checks who owns this endpoint: Zoom's
   * `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. `undefined` for every other request
   * and for one that is not genuine.
   */
  challenge(request: WebhookRequest): Record<string, unknown> | undefined {
    const parts = partsOf(request);
    const [headers, now] = [this.#relevantHeaders(parts), checkNow(parts.now)];
    if (!isRaw(parts.body)) return undefined;
    const answer = native.webhookChallenge(this.#verifier, parts.body, headers, now);
    return answer ? (JSON.parse(answer) as Record<string, unknown>) : undefined;
  }

  /**
   * The value of the signature's header for `payload`: `t=…,v1=…` unless the verifier has another scheme.
   *
   * @param timestamp Seconds since the epoch. Default now.
   */
  sign(payload: string | Uint8Array, timestamp?: number): string {
    return this.#sign({ body: payload }, checkTimestamp('timestamp', timestamp))[0]![1];
  }

  /** All headers that a signed request carries under the verifier's scheme. */
  signRequest(signing: WebhookSigning): Record<string, string> {
    if (signing === undefined) throw wrongType('signing', 'a plain object', signing);
    checkOptions('signing', signing, SIGNING);
    if (!isRaw(signing.body)) throw wrongType('signing.body', 'a string or bytes', signing.body);
    return Object.fromEntries(this.#sign(signing, checkTimestamp('signing.timestamp', signing.timestamp)));
  }

  #sign({ body, id, method, url }: WebhookSigning, atSeconds: number): [name: string, value: string][] {
    const answer = native.webhookSign(this.#verifier, body, atSeconds * 1000, id, method, url);
    return JSON.parse(answer) as [string, string][];
  }

  #verify(
    verifier: Handle<NativeVerifier>,
    keys: KeyObject[],
    payload: string | Uint8Array,
    signature: string | undefined,
    headers: string,
    now: number,
  ): Verification {
    const answer = verifyWith(keys, payload, (body, tags) =>
      native.webhookVerifyRequest(verifier, body, signature, headers, now, tags, this.#store !== undefined),
    );
    if (answer === undefined) return { ...notRawBody(payload), scheme: undefined };
    return Object.assign({ scheme: undefined }, JSON.parse(answer) as RequestVerificationResult);
  }

  /** Asks the replay store, where there is one, about a genuine request. */
  #checkReplay(verification: Verification): RequestVerificationResult {
    const { replayKey, replayableForMs = 0, ...result } = verification;
    if (!this.#store || replayKey === undefined) return result;
    const isNew: unknown = this.#store.remember(replayKey, replayableForMs);
    if (isNew === true) return { ...result, replayKey };
    onRejection(isNew, () => undefined);
    if (isNew === false) return asDuplicate(result, 'this request was accepted before');
    return { ...result, ...invalid('Verification error: replayStore.remember must answer true or false') };
  }

  #relevantHeaders(parts: WebhookRequest): string {
    this.#headerNames ??= new Set(native.webhookHeaders(this.#verifier));
    return headersText(parts, this.#headerNames);
  }
}

function singleSignature(signature: unknown): string | VerificationResult {
  if (Array.isArray(signature) && signature.length === 1 && typeof signature[0] === 'string') return signature[0];
  if (signature === undefined || signature === null) return invalid('Verification error: the signature is missing');
  if (Array.isArray(signature)) {
    return invalid(`Verification error: there are ${signature.length} signature headers, one is expected`);
  }
  return invalid(`Verification error: the signature must be a string, got ${typeof signature}`);
}

/** @internal The result of a genuine request that must not be handled again. */
export function asDuplicate(result: RequestVerificationResult, reason: string): RequestVerificationResult {
  return { ...result, ...invalid(`Verification error: ${reason}`), duplicate: true };
}

/** The result of a signature alone, without what only whole requests have. */
function withoutRequestFields({
  scheme: _,
  id: __,
  secretIndex: ___,
  ...result
}: RequestVerificationResult): VerificationResult {
  return result;
}

/** Whether `signature` is one of `payload` under `secret`, with the default options. An empty secret throws. */
export function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean {
  return new WebhookVerifier({ secret }).verify(payload, signature).valid;
}

/** Signs `payload`: `t=<seconds>,v1=<hex>`, for the header `X-Webhook-Signature`. */
export function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string {
  return new WebhookVerifier({ secret }).sign(payload, timestamp);
}

/** Takes `t=…,v1=…`, `sha256=…` or a raw hex signature apart; `null` for anything else. Verifies nothing. */
export function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null {
  const parsed = typeof header === 'string' ? native.webhookParse(header, Date.now()) : null;
  return parsed ? (JSON.parse(parsed) as WebhookSignatureHeader) : null;
}
