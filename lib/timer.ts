import { setTimeout } from './globals';

/** The longest that a timer of Node's can wait; it takes anything longer as a millisecond. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls `ring` after `ms`, however long that is; never after `Infinity`. */
export function startTimer(ring: () => void, ms: number): NodeJS.Timeout {
  if (!(ms > LONGEST_TIMER_MS)) return setTimeout(ring, ms);
  // In turns of one length, so that it stays one timer, which can be stopped and let go.
  let turns = Math.ceil(ms / LONGEST_TIMER_MS);
  const turn = () => {
    turns -= 1;
    if (turns > 0) timer.refresh();
    else ring();
  };
  const timer = setTimeout(turn, turns === Infinity ? LONGEST_TIMER_MS : ms / turns);
  return timer;
}
