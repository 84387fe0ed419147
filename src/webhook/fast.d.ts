export declare function webhookVerify(
  verifier: Handle<WebhookVerifier>,
  payload: unknown,
  signature: string,
  nowMs: number,
  tags?: Uint8Array,
): number | true | string | undefined;
export declare function webhookVerifyRequest(
  verifier: Handle<WebhookVerifier>,
  payload: unknown,
  signature: string | undefined,
  said: string,
  nowMs: number,
  tags?: Uint8Array,
  checksReplay?: boolean,
): string | undefined;
