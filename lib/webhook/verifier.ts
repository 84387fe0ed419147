import type { KeyObject } from 'node:crypto';
import { types } from 'node:util';

import { outOfRange, invalidTypeRedacted } from '../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { messageOf } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import { onRejection } from '../runtime/shape';
import { verifyWith, keysOf } from './large-body';
import { headersText, partsOf, type WebhookRequest } from './request';
import type { WebhookVerifier as NativeVerifier } from '../../dist/native';
import type { WebhookReplayStore } from './replay-store';
import type { WebhookScheme, WebhookSchemeDescription } from './scheme';

/** Options of a {@link WebhookVerifier}. */
export interface WebhookVerificationConfig {
  /** The shared secret (the public key for Ed25519), or several during a rotation, newest first. Must not be empty. */
  secret: string | readonly string[] | undefined;
  /**
   * How old a signed timestamp may be, in milliseconds. Default: 300 000 (Linear 60 000, Paddle 5000); `Infinity`: any age,
   * which is refused beside a `replayStore`, as that would have to remember for ever.
   */
  maxAgeMs?: number | undefined;
  /** How far ahead a signed timestamp may be, in milliseconds. Default: 60 000 (Paddle 5000). */
  toleranceMs?: number | undefined;
  /** The scheme or schemes that are accepted. Default: whichever the request carries. Name it where you know it. */
  scheme?: WebhookScheme | WebhookSchemeDescription | readonly (WebhookScheme | WebhookSchemeDescription)[] | undefined;
  /**
   * The public URL of the endpoint as the sender calls it, for Twilio, Square and HubSpot, which sign it. The path and
   * query of a request are also tried with its origin, so one verifier can serve several endpoints.
   */
  url?: string | undefined;
  /** The store of accepted requests, for the detection of duplicates. See {@link MemoryReplayStore}. */
  replayStore?: WebhookReplayStore | undefined;
}

/** The parts of a signature header. */
export interface WebhookSignatureHeader {
  /** The timestamp in seconds since the epoch; the current time where the header has none. */
  timestamp: number;
  /** The signature in lower-case hex. */
  signature: string;
  /** The version: `v1` or `sha256`; absent for a raw signature. */
  version?: string;
}

/** The result of {@link WebhookVerifier.verify}. */
export interface VerificationResult {
  /** Whether the signature is valid and the request was not accepted before. */
  valid: boolean;
  /** The reason if it is not valid: `Invalid signature format`, `Webhook too old (…)`, `Webhook timestamp is in the future`, `Signature mismatch` or `Verification error: …`. */
  reason?: string;
  /** Whether the request is genuine but was accepted before, as the `replayStore` tells; `valid` is false then. */
  duplicate?: true;
  /** The signed timestamp in seconds since the epoch, where there is one. */
  timestamp?: number;
  /** The key of the request in the `replayStore`. */
  replayKey?: string;
}

/** The result of {@link WebhookVerifier.verifyRequest}. */
export interface RequestVerificationResult extends VerificationResult {
  /** The scheme that was applied; `undefined` if the request has no signature of a known scheme. */
  scheme: string | undefined;
  /** The id of the delivery, where the scheme has one, for deduplication. Only Standard Webhooks signs it. */
  id?: string;
  /** The index of the secret that matched. Remove the old secret when its index no longer occurs. */
  secretIndex?: number;
}

/** The argument of {@link WebhookVerifier.signRequest}. */
export interface WebhookSigning {
  /** The raw body. */
  body: string | Uint8Array;
  /** The id of the delivery, where the scheme signs one. */
  id?: string | undefined;
  /** The method. Default: `POST`. */
  method?: string | undefined;
  /** The URL. Default: the verifier's `url`. */
  url?: string | undefined;
  /** The timestamp in seconds since the epoch. Default: now. */
  timestamp?: number | undefined;
}

const SIGNING_OPTIONS: KnownOptions<WebhookSigning> = {
  body: true,
  id: true,
  method: true,
  url: true,
  timestamp: true,
};

const RAW_BODY =
  "pass the raw body: in Express use express.raw({ type: '*/*' }) in place of express.json() on this route, " +
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
      : `the payload is ${typeof payload === 'object' ? 'an already parsed object' : `a ${typeof payload}`}`;
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
 * Verifies and signs webhooks over their raw bytes, in constant time, with one or several secrets. All methods are
 * synchronous.
 *
 * @example
 * ```ts
 * import { WebhookVerifier } from 'moorline';
 *
 * const verifier = new WebhookVerifier({ secret: 'a secret', scheme: 'github' });
 * const signature = verifier.sign('{"event":"paid"}');
 * console.log(verifier.verify('{"event":"paid"}', signature).valid); // true
 * ```
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

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: WebhookVerificationConfig) {
    if (typeof config !== 'object' || config === null) throw invalidTypeRedacted('options', 'a plain object', config);
    const { replayStore, ...options } = config;
    if (replayStore !== undefined && typeof replayStore?.remember !== 'function') {
      throw invalidTypeRedacted('options.replayStore', 'a store with remember()', replayStore);
    }
    this.#verifier = native.webhookCreate(options, replayStore !== undefined);
    this.#keys = keysOf(options.secret);
    this.#store = replayStore;
    this.#url = options.url;
  }

  /** The public URL of the endpoint, where it was given. */
  get url(): string | undefined {
    return this.#url;
  }

  /**
   * Returns whether `signature` is a valid signature of `payload`. Never throws.
   *
   * @param payload The raw body. A parsed object is refused, and `reason` names the middleware to change.
   * @param signature The value of the signature header, `undefined` if the request has none.
   * @param secret The secret or secrets of this call, in place of those of the verifier.
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
      const answer = verifyWith(this.#keys, payload, (body, externalMacs) =>
        native.webhookVerify(this.#verifier, body, text, now, externalMacs),
      );
      if (typeof answer === 'number') return { valid: true, timestamp: answer };
      if (answer === true) return { valid: true };
      return answer === undefined ? notRawBody(payload) : invalid(answer);
    } catch (error) {
      return verificationError(error);
    }
  }

  /**
   * Verifies a whole request, with the signature, timestamp and id from its headers, and returns the result. Never throws.
   *
   * @example
   * ```ts
   * import { WebhookVerifier } from 'moorline';
   *
   * const verifier = new WebhookVerifier({ secret: 'a secret' });
   * const body = '{"event":"paid"}';
   * const headers = verifier.signRequest({ body });
   * const { valid, scheme } = verifier.verifyRequest({ headers, body });
   * console.log(valid, scheme); // true generic
   * ```
   */
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
   * Returns the JSON to answer with status 200 to a provider that verifies the ownership of this endpoint: Zoom's
   * `endpoint.url_validation`, Slack's `url_verification`, Discord's PING. Returns `undefined` for every other request and
   * for one that is not genuine.
   */
  challenge(request: WebhookRequest): Record<string, unknown> | undefined {
    const parts = partsOf(request);
    const [headers, now] = [this.#relevantHeaders(parts), checkNow(parts.now)];
    if (!isRaw(parts.body)) return undefined;
    const answer = native.webhookChallenge(this.#verifier, parts.body, headers, now);
    return answer ? (JSON.parse(answer) as Record<string, unknown>) : undefined;
  }

  /**
   * Signs `payload` and returns the value of the signature header: `t=…,v1=…` unless the verifier has another scheme.
   *
   * @param timestamp The timestamp in seconds since the epoch. Default: now.
   */
  sign(payload: string | Uint8Array, timestamp?: number): string {
    return this.#sign({ body: payload }, checkTimestamp('timestamp', timestamp))[0]![1];
  }

  /** Signs a request and returns all headers that the verifier's scheme requires. */
  signRequest(signing: WebhookSigning): Record<string, string> {
    if (signing === undefined) throw invalidTypeRedacted('signing', 'a plain object', signing);
    checkOptions('signing', signing, SIGNING_OPTIONS);
    if (!isRaw(signing.body)) throw invalidTypeRedacted('signing.body', 'a string or bytes', signing.body);
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
    const answer = verifyWith(keys, payload, (body, externalMacs) =>
      native.webhookVerifyRequest(verifier, body, signature, headers, now, externalMacs, this.#store !== undefined),
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
    return { ...result, ...invalid('Verification error: replayStore.remember must return true or false') };
  }

  #relevantHeaders(parts: WebhookRequest): string {
    this.#headerNames ??= new Set(native.webhookHeaderNames(this.#verifier));
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

/**
 * Returns whether `signature` is a valid signature of `payload`, with `secret` and the default options.
 *
 * @throws TypeError, RangeError for a secret that is empty or not valid.
 */
export function verifyWebhookSignature(
  payload: string | Uint8Array,
  signature: string | readonly string[] | undefined,
  secret: string | readonly string[] | undefined,
): boolean {
  return new WebhookVerifier({ secret }).verify(payload, signature).valid;
}

/** Signs `payload` and returns the value of the header `X-Webhook-Signature`: `t=<seconds>,v1=<hex>`. */
export function signWebhookPayload(
  payload: string | Uint8Array,
  secret: string | readonly string[] | undefined,
  timestamp?: number,
): string {
  return new WebhookVerifier({ secret }).sign(payload, timestamp);
}

/** Parses `t=…,v1=…`, `sha256=…` or a raw hex signature, without verification. Returns `null` for any other text. */
export function parseWebhookSignature(header: string | undefined): WebhookSignatureHeader | null {
  const parsed = typeof header === 'string' ? native.webhookParseSignature(header, Date.now()) : null;
  return parsed ? (JSON.parse(parsed) as WebhookSignatureHeader) : null;
}
