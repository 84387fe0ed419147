import { performance } from '../runtime/node';
import { startTimer } from '../runtime/timers';

/** A task with a deadline, and its place in the list of {@link Deadlines}. */
export interface TimedTask {
  /** @internal When it has to be done, on the clock of its deadlines. */
  due: number;
  /** @internal Its neighbours while it waits. */
  previous: TimedTask | undefined;
  next: TimedTask | undefined;
  /** Called at its deadline. */
  expire(): void;
  /** Called when the clock failed, so that its deadline is unknown. */
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
  #first: TimedTask | undefined;
  #last: TimedTask | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param now tells the time, or throws. */
  constructor(ms: number, now: () => number = () => performance.now()) {
    this.#ms = ms;
    this.#now = now;
  }

  add(task: TimedTask): void {
    task.due = this.#now() + this.#ms;
    task.previous = this.#last;
    if (this.#last) {
      this.#last.next = task;
    } else {
      this.#first = task;
      // The process stays alive while something waits, and only then.
      if (this.#timer) this.#timer.ref();
      else this.#timer = startTimer(this.#onTimer, this.#ms);
    }
    this.#last = task;
  }

  /** Takes one out that was added and is done. */
  remove(task: TimedTask): void {
    const { previous, next } = task;
    if (previous) previous.next = next;
    else if (this.#first === task) this.#first = next;
    else return;
    if (next) next.previous = previous;
    else this.#last = previous;
    task.previous = task.next = undefined;
    // The timer goes on: stopping it costs as much as starting the next.
    if (!this.#first) this.#timer?.unref();
  }

  readonly #onTimer = () => {
    this.#timer = undefined;
    let now: number;
    try {
      now = this.#now();
    } catch (error) {
      return this.#failAll(error);
    }
    while (this.#first && this.#first.due <= now) {
      const expired = this.#first;
      this.remove(expired);
      expired.expire();
    }
    // Those that expired may have begun others, and with them the timer.
    if (this.#first && !this.#timer) this.#timer = startTimer(this.#onTimer, this.#first.due - now);
  };

  /** Ends the wait of all that wait now; what they do then may begin others. */
  #failAll(error: unknown): void {
    const all: TimedTask[] = [];
    for (let task = this.#first; task; task = this.#first) {
      this.remove(task);
      all.push(task);
    }
    for (const task of all) task.fail(error);
  }
}
