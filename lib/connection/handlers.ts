import { log } from '../logger';
import { messageOf } from '../message';

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
    if (typeof handler !== 'function') {
      throw Object.assign(new TypeError(`handler must be a function, got ${typeof handler}`), {
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    const key = Symbol('handler');
    this.#handlers.set(key, handler);
    return () => void this.#handlers.delete(key);
  }

  tell(...heard: Heard): void {
    for (const handler of this.#handlers.values()) {
      try {
        const answer = handler(...heard);
        if (answer instanceof Promise) answer.catch((error: unknown) => this.#complain(error));
      } catch (error) {
        this.#complain(error);
      }
    }
  }

  #complain(error: unknown): void {
    log('warn', 'connection.handler-failed', this.#owner, () => ({ error: messageOf(error) }));
  }
}
