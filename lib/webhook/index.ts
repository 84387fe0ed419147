export { parseWebhookSignature, signWebhookPayload, verifyWebhookSignature, WebhookVerifier } from './verifier';
export type {
  RequestVerificationResult,
  VerificationResult,
  WebhookSignatureHeader,
  WebhookSigning,
  WebhookVerificationConfig,
} from './verifier';
export type { WebhookHeaders, WebhookRequest } from './request';
export { webhookMiddleware } from './middleware';
export type { VerifiedRequest } from './middleware';
export { receiveWebhook } from './receive';
export type { FetchRequest, ReceiveAndHandleOptions, ReceivedWebhook, ReceiveOptions } from './receive';
export { MemoryReplayStore } from './replay-store';
export type { WebhookReplayStore } from './replay-store';
export type { WebhookScheme, WebhookSchemeDescription } from './scheme';
export { getWebhookVerifier, resetWebhookVerifiers } from './shared';
