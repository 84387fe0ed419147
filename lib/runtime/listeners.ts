import { log } from './logger';
import { invalidType } from './argument-error';
import { messageOf, stackOf } from './error-message';
import { isThenable } from './shape';

/** The object that the handlers belong to, as the log names it. */
export interface HandlerOwner {
  id: string;
  /** The name of the connection. */
  name?: string;
}

/** Event handlers of the user's. What one of them throws, or rejects with, is logged, and the others are still called. */
export class Handlers<Args extends unknown[]> {
  /** Made with the first one. */
  #handlers: Map<symbol, (...args: Args) => unknown> | undefined;
  readonly #owner: HandlerOwner;

  constructor(owner: HandlerOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#handlers ? this.#handlers.size : 0;
  }

  /** Adds one, and gives the function that takes it off again. The same function may be added twice. */
  add(handler: (...args: Args) => unknown): () => void {
    checkHandler(handler);
    const key = Symbol('handler');
    const handlers = (this.#handlers ??= new Map());
    handlers.set(key, handler);
    return () => {
      handlers.delete(key);
    };
  }

  /** Calls all of them. */
  emit(...args: Args): void {
    if (!this.#handlers) return;
    for (const handler of this.#handlers.values()) callHandler(this.#owner, handler, ...args);
  }
}

/** Refuses what cannot be called. */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== 'function') throw invalidType('handler', 'a function', handler);
}

/**
 * Calls a handler of `owner` with `args`; whether it ended without an error, which its promise says later. The error is logged: a
 * unhandled rejection could end the process.
 */
export function callHandler<Args extends unknown[]>(
  owner: HandlerOwner,
  handler: (...args: Args) => unknown,
  ...args: Args
): boolean | Promise<boolean> {
  try {
    const answer = handler(...args);
    // Of any realm and any library.
    return isThenable(answer) ? awaitHandler(owner, answer) : true;
  } catch (error) {
    logFailure(owner, error);
    return false;
  }
}

/** Waits for what a handler returned; whether that was fulfilled. */
export async function awaitHandler(owner: HandlerOwner, answer: PromiseLike<unknown>): Promise<boolean> {
  try {
    await answer;
    return true;
  } catch (error) {
    logFailure(owner, error);
    return false;
  }
}

/** Logs what a handler threw. */
export function logFailure({ id, name }: HandlerOwner, error: unknown): void {
  log('warn', 'connection.handler-failed', id, () => ({
    ...(name !== undefined && { connection: name }),
    error: messageOf(error),
    stack: stackOf(error),
  }));
}
