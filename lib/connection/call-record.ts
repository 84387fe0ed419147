import { performance } from '../runtime/node';
import { native, type Handle } from '../runtime/native';
import type { ConnectionTracker } from '../../dist/native';

/** The record of one call: its attempts, and what it gave in the end. */
export class CallRecord {
  /** The bytes of the message that the call sends. */
  bytes: number | undefined;
  /** Whether the last answer says that the service is unwell. */
  isServiceFailure = false;
  readonly #tracker: Handle<ConnectionTracker>;
  readonly #startedAt: number;
  /** When the attempt under way began. */
  #attemptStartedAt: number | undefined;
  /** The duration of the last one, which is counted with its call. */
  #attemptMs: number | undefined;
  #status: number | undefined;
  #count = 0;

  constructor(tracker: Handle<ConnectionTracker>, startedAt = performance.now()) {
    this.#tracker = tracker;
    this.#startedAt = startedAt;
  }

  /** Begins an attempt. One that was answered before was not the last. */
  beginAttempt(startedAt = performance.now()): void {
    if (this.#attemptMs !== undefined) native.connectionRecordAttempt(this.#tracker, this.#attemptMs, this.#status);
    this.#attemptMs = this.#status = undefined;
    this.#attemptStartedAt = startedAt;
    this.#count += 1;
  }

  /** Records that the attempt was answered. */
  recordResponse(status: number): void {
    if (this.#attemptStartedAt !== undefined) this.#attemptMs = performance.now() - this.#attemptStartedAt;
    this.#attemptStartedAt = undefined;
    this.#status = status;
  }

  /** Records that the attempt failed; one that was given up, or could not be sent, does not count. */
  recordFailure(counts = true): void {
    if (this.#attemptStartedAt === undefined) return;
    if (counts) native.connectionRecordAttempt(this.#tracker, performance.now() - this.#attemptStartedAt);
    this.#attemptStartedAt = undefined;
  }

  /** Runs `work` as one attempt. */
  runAttempt<T>(work: () => Promise<T>): Promise<T> {
    this.beginAttempt();
    const startedAt = this.#attemptStartedAt;
    const recordFailure = () => {
      // One that was cut off may fail when its call is long over.
      if (this.#attemptStartedAt === startedAt) this.recordFailure();
    };
    try {
      const running = work();
      Promise.resolve(running).then(undefined, recordFailure);
      return running;
    } catch (error) {
      recordFailure();
      throw error;
    }
  }

  /** The call has ended: counts it, and the last of its attempts. Gives the milliseconds that both took. */
  endCall(success: boolean, errorType: string | undefined): { tookMs: number; attemptMs: number } {
    const now = performance.now();
    const tookMs = now - this.#startedAt;
    if (this.#attemptStartedAt !== undefined) this.#attemptMs = now - this.#attemptStartedAt;
    // A call that does without attempts is one.
    if (this.#count === 0) this.#attemptMs = tookMs;
    this.#attemptStartedAt = undefined;
    const sent = success ? this.bytes : undefined;
    native.connectionRecordRequest(this.#tracker, tookMs, success, errorType, sent, this.#attemptMs, this.#status);
    return { tookMs, attemptMs: this.#attemptMs ?? tookMs };
  }
}
