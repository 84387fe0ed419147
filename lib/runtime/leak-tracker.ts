/** The stack of a borrower, which V8 adds to the object. */
interface CapturedStack {
  name: string;
  message: string;
  stack?: string;
}

/**
 * The stacks of borrowers, by lease, so that a leak can be reported with its borrower's stack.
 *
 * A stack costs several times the whole rest of a loan, so at most one a millisecond is taken, which is all of
 * them unless thousands are borrowed a second. When a leak comes to light whose borrower was not seen, all are
 * taken from then on: a leak that matters happens again.
 */
export class LeakTracker {
  readonly #stacks = new Map<number, CapturedStack>();
  #lastMs = 0;
  #capturesAll = false;

  /** Captures the stack above `caller`, if one is taken this time. Must be called before anything is awaited. */
  capture(caller: (...args: never) => unknown): CapturedStack | undefined {
    const now = Date.now();
    if (now === this.#lastMs && !this.#capturesAll) return undefined;
    this.#lastMs = now;
    const captured: CapturedStack = { name: 'Lease', message: 'the connection was borrowed here' };
    Error.captureStackTrace(captured, caller);
    return captured;
  }

  /** Records the stack of the borrower of `lease`. */
  set(lease: number, captured: CapturedStack | undefined): void {
    if (captured) this.#stacks.set(lease, captured);
  }

  /** `lease` was given back. */
  delete(lease: number): void {
    this.#stacks.delete(lease);
  }

  /** Nothing is borrowed any more. */
  clear(): void {
    this.#stacks.clear();
  }

  /** The stack of the borrower of a leaked lease. */
  stackOf(lease: number): string {
    const captured = this.#stacks.get(lease);
    if (!captured) this.#capturesAll = true;
    return (
      readStack(captured) ?? 'not captured: stacks are sampled under high load; from now on every stack is captured'
    );
  }
}

/** The environment variables that say whether leaks are reported by default; a worker may have its own. */
export function deployment(): { ENVIRONMENT: string | undefined; NODE_ENV: string | undefined } {
  const { ENVIRONMENT, NODE_ENV } = process.env;
  return { ENVIRONMENT, NODE_ENV };
}

/** V8 writes it when it is first read, through `Error.prepareStackTrace`, which may be a user's. */
function readStack(captured: CapturedStack | undefined): string | undefined {
  try {
    return captured?.stack;
  } catch {
    return undefined;
  }
}
