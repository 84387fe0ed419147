import { invalidType, outOfRange } from '../../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../../runtime/known-options';
import { awaitHandler, callHandler, checkHandler, type HandlerOwner, logFailure } from '../../runtime/listeners';
import { isThenable } from '../../runtime/shape';
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

/** What the handlers of a connection have in common. */
interface HandlerContext {
  owner: HandlerOwner;
  /** The most messages that should wait for a handler. */
  limit: number;
  onFullChange: () => void;
}

/** One handler, and the messages that wait for it. */
class HandlerQueue<Message> {
  /** Whether no more messages should come. */
  isFull = false;
  protected readonly context: HandlerContext;
  readonly #handler: (message: Message) => unknown;
  readonly #concurrency: number;
  #waiting: QueuedMessage<Message>[] = [];
  #running = 0;

  constructor(context: HandlerContext, handler: (message: Message) => unknown, concurrency: number) {
    this.context = context;
    this.#handler = handler;
    this.#concurrency = concurrency;
  }

  handle(message: Message): boolean | Promise<boolean> {
    if (this.#running >= this.#concurrency || this.#waiting.length > 0) return this.#wait(message);
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

  /** Calls the handler; whether it succeeded. */
  protected call(message: Message): boolean | Promise<boolean> {
    try {
      const handler = this.#handler;
      const answer = handler(message);
      return isThenable(answer) ? awaitHandler(this.context.owner, answer) : true;
    } catch (error) {
      logFailure(this.context.owner, error);
      return false;
    }
  }

  #wait(message: Message): Promise<boolean> {
    return new Promise((settle) => {
      this.#waiting.push({ message, settle });
      if (!this.isFull && this.#waiting.length >= this.context.limit) this.#setFull(true);
    });
  }

  #callHandler(message: Message): boolean | Promise<boolean> {
    this.#running += 1;
    const succeeded = this.call(message);
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
      if (this.isFull && this.#waiting.length * 2 <= this.context.limit) this.#setFull(false);
      waiting.settle(this.#callHandler(waiting.message));
    }
  }

  #setFull(full: boolean): void {
    if (this.isFull === full) return;
    this.isFull = full;
    this.context.onFullChange();
  }
}

/** Several handlers that are one: all that its source gives when a message comes. */
class GroupQueue<Message> extends HandlerQueue<Message> {
  readonly #source: ListenerSource<Message>;

  constructor(context: HandlerContext, source: ListenerSource<Message>) {
    super(context, source, 1);
    this.#source = source;
  }

  protected override call(message: Message): boolean | Promise<boolean> {
    return allSucceeded(this.#source().map((listener) => callHandler(this.context.owner, listener, message)));
  }
}

/**
 * The handlers of `onMessage`. Each gets the messages in order, by default one after the other: the next when the promise
 * that it gave for the last is settled. What waits for a handler is bounded by what dispatches the messages: `onFullChange` says
 * that `isFull` did.
 */
export class MessageHandlers<Message> {
  readonly #context: HandlerContext;
  /** Made with the first one. */
  #queues: Set<HandlerQueue<Message>> | undefined;
  /** The queue, where there is one. */
  #singleQueue: HandlerQueue<Message> | undefined;
  #size = 0;

  constructor(owner: HandlerOwner, limit: number, onFullChange: () => void) {
    this.#context = { owner, limit, onFullChange };
  }

  get size(): number {
    return this.#size;
  }

  /** Whether no more messages should come. */
  get isFull(): boolean {
    for (const queue of this.#queues ?? []) if (queue.isFull) return true;
    return false;
  }

  /** Adds one, and gives the function that takes it off again: what waits for it is dropped. */
  add(handler: (message: Message) => unknown, options: MessageHandlerOptions = {}): () => void {
    checkHandler(handler);
    checkOptions('options', options, OPTIONS);
    return this.#add(new HandlerQueue(this.#context, handler, concurrencyOf(options)));
  }

  /** Adds all that `listeners` gives when a message comes, as if they were one. */
  addGroup(listeners: ListenerSource<Message>): () => void {
    return this.#add(new GroupQueue(this.#context, listeners));
  }

  #add(queue: HandlerQueue<Message>): () => void {
    const queues = (this.#queues ??= new Set());
    queues.add(queue);
    this.#update(queues);
    return () => {
      if (!queues.delete(queue)) return;
      this.#update(queues);
      queue.drop();
    };
  }

  #update(queues: Set<HandlerQueue<Message>>): void {
    this.#size = queues.size;
    const [first] = queues;
    this.#singleQueue = queues.size === 1 ? first : undefined;
  }

  /** Calls all handlers with a message. Returns whether none failed, or a promise of that. */
  dispatch(message: Message): boolean | Promise<boolean> {
    if (this.#singleQueue) return this.#singleQueue.handle(message);
    const results: (boolean | Promise<boolean>)[] = [];
    // A handler may remove another one.
    for (const queue of this.#queues ?? []) results.push(queue.handle(message));
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
