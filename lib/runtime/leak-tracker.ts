/** Where something was borrowed; an object that V8 gives a `stack`. */
interface Place {
  name: string;
  message: string;
  stack?: string;
}

/**
 * Remembers where leases were borrowed, so that a leak can be told with its borrower's stack.
 *
 * A stack costs several times the whole rest of a loan, so at most one a millisecond is taken, which is all of
 * them unless thousands are borrowed a second. When a leak comes to light whose borrower was not seen, all are
 * taken from then on: a leak that matters happens again.
 */
export class LeakTracker {
  readonly #places = new Map<number, Place>();
  #lastMs = 0;
  #all = false;

  /** The place where `entry` was called, if it is taken this time. To be called before anything is awaited. */
  capture(entry: (...args: never) => unknown): Place | undefined {
    const now = Date.now();
    if (now === this.#lastMs && !this.#all) return undefined;
    this.#lastMs = now;
    const place: Place = { name: 'Lease', message: 'the connection was borrowed here' };
    Error.captureStackTrace(place, entry);
    return place;
  }

  /** From now on `lease` belongs to whoever was at `place`. */
  set(lease: number, place: Place | undefined): void {
    if (place) this.#places.set(lease, place);
  }

  /** `lease` was given back. */
  delete(lease: number): void {
    this.#places.delete(lease);
  }

  /** Nothing is borrowed any more. */
  clear(): void {
    this.#places.clear();
  }

  /** The stack of the borrower of a leaked lease. */
  stackOf(lease: number): string {
    const place = this.#places.get(lease);
    if (!place) this.#all = true;
    return stackIn(place) ?? 'not taken this time: thousands are borrowed a second; from now on every one is';
  }
}

/** The environment variables that say whether leaks are reported by default; a worker may have its own. */
export function deployment(): { ENVIRONMENT: string | undefined; NODE_ENV: string | undefined } {
  const { ENVIRONMENT, NODE_ENV } = process.env;
  return { ENVIRONMENT, NODE_ENV };
}

/** V8 writes it when it is first read, through `Error.prepareStackTrace`, which may be a user's. */
function stackIn(place: Place | undefined): string | undefined {
  try {
    return place?.stack;
  } catch {
    return undefined;
  }
}
