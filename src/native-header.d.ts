/** A native object; only functions of this module can look into it. */
export interface Handle<T> {
  readonly __native: T;
}
export interface Cancel {
  readonly __cancel: unique symbol;
}
export declare function testNoop(number: number): number;
export declare function testPanicByHand(): never;

export interface WebhookVerifier {
  readonly __webhookVerifier: unique symbol;
}
export interface WebhookReplayStore {
  readonly __webhookReplayStore: unique symbol;
}
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
  remembered?: boolean,
): string | undefined;
/** A single value of a user's; native code refuses one of another type. */
export type Argument<T> = T;
/** An argument that native code takes over whole and judges itself. */
export type RawArgument = unknown;
export interface HealthMonitor {
  readonly __healthMonitor: unique symbol;
}
export interface Policy {
  readonly __policy: unique symbol;
}
export declare function policyAdmit(policy: Handle<Policy>, id?: number, timeoutMs?: number): number;
export declare function policySucceed(policy: Handle<Policy>, id: number): void;
export declare function policyFail(
  policy: Handle<Policy>,
  id: number,
  weight: number,
  retryable: boolean,
  retryAfterMs: number,
): number;
export declare function policyCancel(policy: Handle<Policy>, id: number): void;
export declare function policyTurn(policy: Handle<Policy>): number;
export declare function policyRefuses(policy: Handle<Policy>): boolean;
export interface LibsqlPool {
  readonly __libsqlPool: unique symbol;
}
export declare function libsqlTake(pool: Handle<LibsqlPool>): number | undefined;
export declare function libsqlRelease(pool: Handle<LibsqlPool>, lease: number): boolean;
export interface NixtlaClient {
  readonly __nixtlaClient: unique symbol;
}
export interface NixtlaJob {
  readonly __nixtlaJob: unique symbol;
}
export interface HttpEngine {
  readonly __httpEngine: unique symbol;
}
export interface HttpCallOptions {
  readonly __httpCallOptions: unique symbol;
}
export interface HttpBodyQueue {
  readonly __httpBodyQueue: unique symbol;
}
export interface HttpBodyReader {
  readonly __httpBodyReader: unique symbol;
}
export declare function httpRequest(
  engine: Handle<HttpEngine>,
  head: string,
  body?: string | Uint8Array | Handle<HttpBodyQueue>,
  options?: Handle<HttpCallOptions>,
  cancel?: Handle<Cancel>,
  streamed?: boolean,
): Promise<string | [head: string, body: Uint8Array | Handle<HttpBodyReader>]>;
export interface WebSocketClient {
  readonly __webSocketClient: unique symbol;
}
export interface Socket {
  readonly __socket: unique symbol;
}
export declare function websocketPush(socket: Handle<Socket>, data: string | Uint8Array, text: boolean): boolean;
export declare function websocketFlush(socket: Handle<Socket>): boolean;
export declare function websocketResume(socket: Handle<Socket>): void;
export declare function websocketPause(socket: Handle<Socket>): void;
export declare function websocketTerminate(socket: Handle<Socket>): void;
export declare function websocketKeep(keep: boolean): void;
export interface ConnectionOptions {
  readonly __connectionOptions: unique symbol;
}
export interface ConnectionTracker {
  readonly __connectionTracker: unique symbol;
}
export declare function connectionRecord(
  tracker: Handle<ConnectionTracker>,
  tookMs: number,
  ok: boolean,
  errorType?: string,
  bytes?: number,
  attemptMs?: number,
  status?: number,
): void;
export declare function connectionAttempt(tracker: Handle<ConnectionTracker>, tookMs: number, status?: number): void;
export declare function connectionReceived(tracker: Handle<ConnectionTracker>, messages: number, bytes: number): void;
export interface EventStreamClient {
  readonly __eventStreamClient: unique symbol;
}
export interface EventStream {
  readonly __eventStream: unique symbol;
}
export interface ConnectionPoolConfig {
  readonly __connectionPoolConfig: unique symbol;
}
export interface ObjectPool {
  readonly __objectPool: unique symbol;
}
export declare function objectPoolTake(pool: Handle<ObjectPool>): number | undefined;
export declare function objectPoolRelease(pool: Handle<ObjectPool>, object: number, usable: boolean): boolean;
export interface EventStreamCursor {
  readonly __eventStreamCursor: unique symbol;
}
export declare function sseKeep(keep: boolean): void;
