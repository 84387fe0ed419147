import { log } from '../logger';
import { invalidType } from '../invalid';
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
    if (typeof handler !== 'function') throw invalidType('handler', 'a function', handler);
    const key = Symbol('handler');
    this.#handlers.set(key, handler);
    return () => {
      this.#handlers.delete(key);
    };
  }

  /** Tells all of them; whether each took it without an error, which a promise of theirs says later. */
  tell(...heard: Heard): boolean | Promise<boolean> {
    let taken = true;
    let answers: Promise<boolean>[] | undefined;
    for (const handler of this.#handlers.values()) {
      try {
        const answer = handler(...heard);
        // Of any realm and any library: one that nobody looks after could end the process.
        if (isThenable(answer)) (answers ??= []).push(this.#settled(answer));
      } catch (error) {
        taken = false;
        this.#complain(error);
      }
    }
    if (!answers) return taken;
    return Promise.all(answers).then((all) => taken && all.every(Boolean));
  }

  async #settled(answer: PromiseLike<unknown>): Promise<boolean> {
    try {
      await answer;
      return true;
    } catch (error) {
      this.#complain(error);
      return false;
    }
  }

  #complain(error: unknown): void {
    log('warn', 'connection.handler-failed', this.#owner, () => ({ error: messageOf(error) }));
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
