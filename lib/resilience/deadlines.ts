import { performance } from '../runtime/node';
import { startTimer } from '../runtime/timers';

/** Something that has until a moment to be done. */
export interface Timed {
  /** @internal When it has to be done, on the clock of its deadlines. */
  due: number;
  /** @internal Its neighbours while it waits. */
  before: Timed | undefined;
  after: Timed | undefined;
  /** It is late. */
  expire(): void;
  /** It cannot be told whether it is late, for that reason. */
  fail(error: unknown): void;
}

/**
 * Deadlines of one length, and one Node timer for the nearest of them: setting and clearing a timer per call
 * would cost more than the rest of the call.
 *
 * All have the same length, so the order in which they begin is the order in which they end.
 */
export class Deadlines {
  readonly #ms: number;
  readonly #now: () => number;
  #first: Timed | undefined;
  #last: Timed | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param now tells the time, or throws. */
  constructor(ms: number, now: () => number = () => performance.now()) {
    this.#ms = ms;
    this.#now = now;
  }

  add(timed: Timed): void {
    timed.due = this.#now() + this.#ms;
    timed.before = this.#last;
    if (this.#last) {
      this.#last.after = timed;
    } else {
      this.#first = timed;
      // The process stays alive while something waits, and only then.
      if (this.#timer) this.#timer.ref();
      else this.#timer = startTimer(this.#ring, this.#ms);
    }
    this.#last = timed;
  }

  /** Takes one out that was added and is done. */
  remove(timed: Timed): void {
    const { before, after } = timed;
    if (before) before.after = after;
    else if (this.#first === timed) this.#first = after;
    else return;
    if (after) after.before = before;
    else this.#last = before;
    timed.before = timed.after = undefined;
    // The timer is left to ring for nothing: stopping it costs as much as starting the next.
    if (!this.#first) this.#timer?.unref();
  }

  readonly #ring = () => {
    this.#timer = undefined;
    let now: number;
    try {
      now = this.#now();
    } catch (error) {
      return this.#fail(error);
    }
    while (this.#first && this.#first.due <= now) {
      const late = this.#first;
      this.remove(late);
      late.expire();
    }
    // Those that expired may have begun others, and with them the timer.
    if (this.#first && !this.#timer) this.#timer = startTimer(this.#ring, this.#first.due - now);
  };

  /** Ends the wait of all that wait now; what they do then may begin others. */
  #fail(error: unknown): void {
    const all: Timed[] = [];
    for (let timed = this.#first; timed; timed = this.#first) {
      this.remove(timed);
      all.push(timed);
    }
    for (const timed of all) timed.fail(error);
  }
}
