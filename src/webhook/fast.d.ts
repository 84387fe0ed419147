export declare function webhookVerify(
  verifier: Handle<WebhookVerifier>,
  payload: unknown,
  signature: string,
  nowMs: number,
  externalMacs?: Uint8Array,
): number | true | string | undefined;
export declare function webhookVerifyRequest(
  verifier: Handle<WebhookVerifier>,
  payload: unknown,
  signature: string | undefined,
  head: string,
  nowMs: number,
  externalMacs?: Uint8Array,
  checksReplay?: boolean,
): string | undefined;
