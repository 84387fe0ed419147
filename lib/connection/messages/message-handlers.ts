import { invalidType, outOfRange } from '../../runtime/argument-error';
import { checkOptions, type KnownOptions } from '../../runtime/known-options';
import { call, checkHandler, type HandlerOwner } from '../../runtime/listeners';
import type { Listeners } from './message-listeners';

/** Options of `onMessage`. */
export interface MessageHandlerOptions {
  /** The number of messages that are handled at once; further ones wait in order. Default: 1; `Infinity`: no limit. */
  concurrency?: number | undefined;
}

const OPTIONS: KnownOptions<MessageHandlerOptions> = { concurrency: true };

/** A message that waits for its handler. */
interface Waiting<Message> {
  message: Message;
  settle: (taken: boolean | Promise<boolean>) => void;
}

/** One handler, and the messages that wait for it. */
class Queue<Message> {
  /** Whether no more messages should come. */
  isFull = false;
  readonly #call: (message: Message) => boolean | Promise<boolean>;
  readonly #concurrency: number;
  readonly #limit: number;
  readonly #changed: () => void;
  #waiting: Waiting<Message>[] = [];
  #running = 0;

  constructor(
    call: (message: Message) => boolean | Promise<boolean>,
    bounds: { concurrency: number; limit: number },
    changed: () => void,
  ) {
    this.#call = call;
    this.#concurrency = bounds.concurrency;
    this.#limit = bounds.limit;
    this.#changed = changed;
  }

  put(message: Message): boolean | Promise<boolean> {
    if (this.#running >= this.#concurrency || this.#waiting.length > 0) {
      return new Promise((settle) => {
        this.#waiting.push({ message, settle });
        if (!this.isFull && this.#waiting.length >= this.#limit) this.#fill(true);
      });
    }
    const taken = this.#begin(message);
    // A message may have come while the handler ran.
    if (typeof taken === 'boolean') this.#next();
    return taken;
  }

  /** Drops what waits: the handler was taken off. */
  drop(): void {
    for (const { settle } of this.#waiting.splice(0)) settle(false);
    this.#fill(false);
  }

  #begin(message: Message): boolean | Promise<boolean> {
    this.#running += 1;
    const taken = this.#call(message);
    if (typeof taken !== 'boolean') return this.#ended(taken);
    this.#running -= 1;
    return taken;
  }

  async #ended(taken: Promise<boolean>): Promise<boolean> {
    const all = await taken;
    this.#running -= 1;
    this.#next();
    return all;
  }

  #next(): void {
    while (this.#running < this.#concurrency) {
      const waiting = this.#waiting.shift();
      if (!waiting) return;
      if (this.isFull && this.#waiting.length * 2 <= this.#limit) this.#fill(false);
      waiting.settle(this.#begin(waiting.message));
    }
  }

  #fill(full: boolean): void {
    if (this.isFull === full) return;
    this.isFull = full;
    this.#changed();
  }
}

/**
 * The handlers of `onMessage`. Each gets the messages in order, by default one after the other: the next when the promise
 * that it gave for the last is settled. What waits for a handler is bounded by what dispatches the messages: `changed` says
 * that `isFull` did.
 */
export class MessageHandlers<Message> {
  readonly #owner: HandlerOwner;
  readonly #limit: number;
  readonly #changed: () => void;
  readonly #queues = new Set<Queue<Message>>();

  constructor(owner: HandlerOwner, limit: number, changed: () => void) {
    this.#owner = owner;
    this.#limit = limit;
    this.#changed = changed;
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
    return this.#add((message) => call(this.#owner, () => handler(message)), concurrencyOf(options));
  }

  /** Adds all that `listeners` gives when a message comes, as if they were one. */
  addGroup(listeners: Listeners<Message>): () => void {
    return this.#add((message) => {
      return allTaken(listeners().map((listener) => call(this.#owner, () => listener(message))));
    }, 1);
  }

  #add(call: (message: Message) => boolean | Promise<boolean>, concurrency: number): () => void {
    const queue = new Queue<Message>(call, { concurrency, limit: this.#limit }, () => this.#changed());
    this.#queues.add(queue);
    return () => {
      if (this.#queues.delete(queue)) queue.drop();
    };
  }

  /** Calls all handlers with a message. Returns whether none failed, or a promise of that. */
  dispatch(message: Message): boolean | Promise<boolean> {
    const answers: (boolean | Promise<boolean>)[] = [];
    // One of them may take another off.
    for (const queue of this.#queues) answers.push(queue.put(message));
    return answers.length === 1 ? answers[0]! : allTaken(answers);
  }
}

function allTaken(answers: readonly (boolean | Promise<boolean>)[]): boolean | Promise<boolean> {
  if (answers.every((answer) => typeof answer === 'boolean')) return answers.every(Boolean);
  return Promise.all(answers).then((all) => all.every(Boolean));
}

function concurrencyOf({ concurrency = 1 }: MessageHandlerOptions): number {
  if (typeof concurrency !== 'number') throw invalidType('options.concurrency', 'a number', concurrency);
  if (concurrency === Infinity || (Number.isInteger(concurrency) && concurrency >= 1)) return concurrency;
  throw outOfRange('options.concurrency', 'a whole number from 1 on, or Infinity', concurrency);
}
