import { invalidType, outOfRange } from '../../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../../runtime/known-options';
import { callHandler, checkHandler, type HandlerOwner } from '../../runtime/listeners';
import type { ListenerSource } from './message-listeners';

/** Options of `onMessage`. */
export interface MessageHandlerOptions {
  /** The number of messages that are handled at once; further ones wait in order. Default: 1; `Infinity`: no limit. */
  concurrency?: number | undefined;
}

const OPTIONS: KnownOptions<MessageHandlerOptions> = { concurrency: true };

/** A message that waits for its handler; `settle` gets whether the handler succeeded. */
interface QueuedMessage<Message> {
  message: Message;
  settle: (succeeded: boolean | Promise<boolean>) => void;
}

/** One handler, and the messages that wait for it. */
class HandlerQueue<Message> {
  /** Whether no more messages should come. */
  isFull = false;
  readonly #call: (message: Message) => boolean | Promise<boolean>;
  readonly #concurrency: number;
  readonly #limit: number;
  readonly #onFullChange: () => void;
  #waiting: QueuedMessage<Message>[] = [];
  #running = 0;

  constructor(
    call: (message: Message) => boolean | Promise<boolean>,
    bounds: { concurrency: number; limit: number },
    onFullChange: () => void,
  ) {
    this.#call = call;
    this.#concurrency = bounds.concurrency;
    this.#limit = bounds.limit;
    this.#onFullChange = onFullChange;
  }

  handle(message: Message): boolean | Promise<boolean> {
    if (this.#running >= this.#concurrency || this.#waiting.length > 0) {
      return new Promise((settle) => {
        this.#waiting.push({ message, settle });
        if (!this.isFull && this.#waiting.length >= this.#limit) this.#setFull(true);
      });
    }
    const succeeded = this.#callHandler(message);
    // A message may have come while the handler ran.
    if (this.#waiting.length > 0 && typeof succeeded === 'boolean') this.#callWaiting();
    return succeeded;
  }

  /** Drops what waits: the handler was taken off. */
  drop(): void {
    for (const { settle } of this.#waiting.splice(0)) settle(false);
    this.#setFull(false);
  }

  #callHandler(message: Message): boolean | Promise<boolean> {
    this.#running += 1;
    const succeeded = this.#call(message);
    if (typeof succeeded !== 'boolean') return this.#finish(succeeded);
    this.#running -= 1;
    return succeeded;
  }

  async #finish(succeeded: Promise<boolean>): Promise<boolean> {
    const all = await succeeded;
    this.#running -= 1;
    this.#callWaiting();
    return all;
  }

  #callWaiting(): void {
    while (this.#running < this.#concurrency) {
      const waiting = this.#waiting.shift();
      if (!waiting) return;
      if (this.isFull && this.#waiting.length * 2 <= this.#limit) this.#setFull(false);
      waiting.settle(this.#callHandler(waiting.message));
    }
  }

  #setFull(full: boolean): void {
    if (this.isFull === full) return;
    this.isFull = full;
    this.#onFullChange();
  }
}

/**
 * The handlers of `onMessage`. Each gets the messages in order, by default one after the other: the next when the promise
 * that it gave for the last is settled. What waits for a handler is bounded by what dispatches the messages: `onFullChange` says
 * that `isFull` did.
 */
export class MessageHandlers<Message> {
  readonly #owner: HandlerOwner;
  readonly #limit: number;
  readonly #onFullChange: () => void;
  readonly #queues = new Set<HandlerQueue<Message>>();
  /** The queue, where there is one. */
  #singleQueue: HandlerQueue<Message> | undefined;

  constructor(owner: HandlerOwner, limit: number, onFullChange: () => void) {
    this.#owner = owner;
    this.#limit = limit;
    this.#onFullChange = onFullChange;
  }

  get size(): number {
    return this.#queues.size;
  }

  /** Whether no more messages should come. */
  get isFull(): boolean {
    for (const queue of this.#queues) if (queue.isFull) return true;
    return false;
  }

  /** Adds one, and gives the function that takes it off again: what waits for it is dropped. */
  add(handler: (message: Message) => unknown, options: MessageHandlerOptions = {}): () => void {
    checkHandler(handler);
    checkOptions('options', options, OPTIONS);
    return this.#add((message) => callHandler(this.#owner, handler, message), concurrencyOf(options));
  }

  /** Adds all that `listeners` gives when a message comes, as if they were one. */
  addGroup(listeners: ListenerSource<Message>): () => void {
    return this.#add((message) => {
      return allSucceeded(listeners().map((listener) => callHandler(this.#owner, listener, message)));
    }, 1);
  }

  #add(call: (message: Message) => boolean | Promise<boolean>, concurrency: number): () => void {
    const queue = new HandlerQueue<Message>(call, { concurrency, limit: this.#limit }, () => this.#onFullChange());
    this.#queues.add(queue);
    this.#updateSingleQueue();
    return () => {
      if (!this.#queues.delete(queue)) return;
      this.#updateSingleQueue();
      queue.drop();
    };
  }

  #updateSingleQueue(): void {
    const [first] = this.#queues;
    this.#singleQueue = this.#queues.size === 1 ? first : undefined;
  }

  /** Calls all handlers with a message. Returns whether none failed, or a promise of that. */
  dispatch(message: Message): boolean | Promise<boolean> {
    if (this.#singleQueue) return this.#singleQueue.handle(message);
    const results: (boolean | Promise<boolean>)[] = [];
    // A handler may remove another one.
    for (const queue of this.#queues) results.push(queue.handle(message));
    return allSucceeded(results);
  }
}

function allSucceeded(results: readonly (boolean | Promise<boolean>)[]): boolean | Promise<boolean> {
  if (results.every((answer) => typeof answer === 'boolean')) return results.every(Boolean);
  return Promise.all(results).then((all) => all.every(Boolean));
}

function concurrencyOf({ concurrency = 1 }: MessageHandlerOptions): number {
  if (typeof concurrency !== 'number') throw invalidType('options.concurrency', 'a number', concurrency);
  if (concurrency === Infinity || (Number.isInteger(concurrency) && concurrency >= 1)) return concurrency;
  throw outOfRange('options.concurrency', 'a whole number ≥ 1, or Infinity', concurrency);
}
