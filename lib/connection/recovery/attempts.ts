import { performance } from '../../runtime/node';
import { native, type Handle } from '../../runtime/native';
import type { ConnectionTracker } from '../../../dist/native';

/** The attempts of one call. */
export class Attempts {
  /** The bytes of the message that the call sends. */
  bytes: number | undefined;
  /** Whether the last answer says that the service is unwell. */
  isUnhappy = false;
  readonly #tracker: Handle<ConnectionTracker>;
  readonly #started = performance.now();
  /** When the attempt under way began. */
  #began: number | undefined;
  /** The duration of the last one, which is counted with its call. */
  #tookMs: number | undefined;
  #status: number | undefined;
  #count = 0;

  constructor(tracker: Handle<ConnectionTracker>) {
    this.#tracker = tracker;
  }

  /** Begins an attempt. One that was answered before was not the last. */
  begin(): void {
    if (this.#tookMs !== undefined) native.connectionAttempt(this.#tracker, this.#tookMs, this.#status);
    this.#tookMs = this.#status = undefined;
    this.#began = performance.now();
    this.#count += 1;
  }

  /** Records that the attempt was answered. */
  answered(status: number): void {
    if (this.#began !== undefined) this.#tookMs = performance.now() - this.#began;
    this.#began = undefined;
    this.#status = status;
  }

  /** Records that the attempt failed; one that was given up, or could not be sent, does not count. */
  failed(counts = true): void {
    if (this.#began === undefined) return;
    if (counts) native.connectionAttempt(this.#tracker, performance.now() - this.#began);
    this.#began = undefined;
  }

  /** Runs `work` as one attempt. */
  time<T>(work: () => Promise<T>): Promise<T> {
    this.begin();
    const began = this.#began;
    const failed = () => {
      // One that was cut off may fail when its call is long over.
      if (this.#began === began) this.failed();
    };
    try {
      const running = work();
      Promise.resolve(running).then(undefined, failed);
      return running;
    } catch (error) {
      failed();
      throw error;
    }
  }

  /** The call has ended: counts it, and the last of its attempts. Gives the milliseconds that both took. */
  end(success: boolean, errorType: string | undefined): { tookMs: number; attemptMs: number } {
    const now = performance.now();
    const tookMs = now - this.#started;
    if (this.#began !== undefined) this.#tookMs = now - this.#began;
    // A call that does without attempts is one.
    if (this.#count === 0) this.#tookMs = tookMs;
    this.#began = undefined;
    const sent = success ? this.bytes : undefined;
    native.connectionRecord(this.#tracker, tookMs, success, errorType, sent, this.#tookMs, this.#status);
    return { tookMs, attemptMs: this.#tookMs ?? tookMs };
  }
}
