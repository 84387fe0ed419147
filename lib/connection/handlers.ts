import { log } from '../logger';
import { invalidType } from '../invalid';
import { messageOf } from '../message';
import { onRejection } from '../rejection';

/** Functions that hear something. What one of them throws, or rejects with, disturbs nobody: it is logged. */
export class Handlers<Heard extends unknown[]> {
  readonly #handlers = new Map<symbol, (...heard: Heard) => unknown>();
  readonly #owner: string;

  constructor(owner: string) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#handlers.size;
  }

  /** Adds one, and gives the function that takes it off again. The same function may be added twice. */
  add(handler: (...heard: Heard) => unknown): () => void {
    if (typeof handler !== 'function') throw invalidType('handler', 'a function', handler);
    const key = Symbol('handler');
    this.#handlers.set(key, handler);
    return () => {
      this.#handlers.delete(key);
    };
  }

  tell(...heard: Heard): void {
    for (const handler of this.#handlers.values()) {
      try {
        onRejection(handler(...heard), (error) => this.#complain(error));
      } catch (error) {
        this.#complain(error);
      }
    }
  }

  #complain(error: unknown): void {
    log('warn', 'connection.handler-failed', this.#owner, () => ({ error: messageOf(error) }));
  }
}
