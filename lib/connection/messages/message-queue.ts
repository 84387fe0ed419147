import { invalidType, outOfRange } from '../../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../../runtime/known-options';
import { isAborted, onAbort } from '../../runtime/abort';
import { setLongTimeout } from '../../runtime/timers';

/** Options of `receive`. */
export interface MessageOptions {
  /** Ends the wait with `null` when it is aborted. */
  signal?: AbortSignal | undefined;
  /** Ends the wait with `null` after this time, in milliseconds. Default: until a message arrives or the connection ends. */
  timeoutMs?: number | undefined;
}

const MESSAGE_OPTIONS: KnownOptions<MessageOptions> = { signal: true, timeoutMs: true };

/** Refuses bounds of a `receive` that are none. */
export function checkMessageOptions(options: MessageOptions | undefined): void {
  checkOptions('options', options, MESSAGE_OPTIONS);
  const timeoutMs: unknown = options?.timeoutMs;
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs !== 'number') throw invalidType('options.timeoutMs', 'a number', timeoutMs);
  if (!(timeoutMs >= 0)) throw outOfRange('options.timeoutMs', '≥ 0', timeoutMs);
}

/** A `take` that waits for a message. */
interface Waiter<T> {
  resolve(message: T | null): void;
}

/**
 * The received messages of one connection, in order. Its producer bounds it: `onFullChange` is called when no more messages
 * should come, and when there is room again; `onWaitingChange` with the first `take` that waits, and after the last one.
 */
export class MessageQueue<T> {
  readonly #limit: number;
  readonly #onFullChange: () => void;
  readonly #onWaitingChange: () => void;
  /** Made with the first one. */
  #waiters: Set<Waiter<T>> | undefined;
  #messages: T[] = [];
  #taken = 0;
  #full = false;

  constructor(limit: number, onFullChange: () => void, onWaitingChange: () => void) {
    this.#limit = limit;
    this.#onFullChange = onFullChange;
    this.#onWaitingChange = onWaitingChange;
  }

  /** Whether no more should come. */
  get isFull(): boolean {
    return this.#full;
  }

  /** Whether a `take` waits for a message. */
  get hasWaiters(): boolean {
    return this.#waiters !== undefined && this.#waiters.size > 0;
  }

  get size(): number {
    return this.#messages.length - this.#taken;
  }

  put(messages: readonly T[]): void {
    let index = 0;
    while (this.hasWaiters && index < messages.length) {
      const [waiter] = this.#waiters!;
      this.#settle(waiter!, messages[index++]!);
    }
    this.#append(index === 0 ? messages : messages.slice(index));
    if (!this.#full && this.size >= this.#limit) {
      this.#full = true;
      this.#onFullChange();
    }
  }

  /** The next message if there is one already. */
  poll(): T | undefined {
    if (this.#taken === this.#messages.length) return undefined;
    const message = this.#messages[this.#taken]!;
    this.#messages[this.#taken++] = undefined as T;
    if (this.#taken > 64 && this.#taken === this.#messages.length) {
      this.#messages = [];
      this.#taken = 0;
    }
    if (this.#full && this.size * 2 <= this.#limit) {
      this.#full = false;
      this.#onFullChange();
    }
    return message;
  }

  #append(messages: readonly T[]): void {
    if (this.#taken > 64 && this.#taken * 2 > this.#messages.length) {
      this.#messages = this.#messages.slice(this.#taken);
      this.#taken = 0;
    }
    for (let index = 0; index < messages.length; index++) this.#messages.push(messages[index]!);
  }

  /** The next message, or `null` when the connection ends first, nothing comes in time, or `signal` is aborted. */
  take({
    signal,
    timeoutMs,
  }: { signal?: AbortSignal | undefined; timeoutMs?: number | undefined } = {}): Promise<T | null> {
    const ready = this.poll();
    if (ready !== undefined) return Promise.resolve(ready);
    if (isAborted(signal)) return Promise.resolve(null);
    return new Promise<T | null>((resolve) => {
      const removeAbortListener = signal && onAbort(signal, () => this.#settle(waiter, null));
      const stop = setLongTimeout(timeoutMs ?? Infinity, () => this.#settle(waiter, null));
      const waiter: Waiter<T> = {
        resolve: (message) => {
          stop();
          removeAbortListener?.();
          resolve(message);
        },
      };
      const waiters = (this.#waiters ??= new Set());
      waiters.add(waiter);
      if (waiters.size === 1) this.#onWaitingChange();
    });
  }

  /** Ends every wait with `null`. Messages that came before can still be taken. */
  end(): void {
    for (const waiter of [...(this.#waiters ?? [])]) this.#settle(waiter, null);
  }

  #settle(waiter: Waiter<T>, message: T | null): void {
    if (!this.#waiters?.delete(waiter)) return;
    if (this.#waiters.size === 0) this.#onWaitingChange();
    waiter.resolve(message);
  }
}
