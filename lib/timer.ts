/** The longest that a timer of Node's can wait; it takes anything longer as a millisecond. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Calls `ring` after `ms`, at the latest after the longest time that a timer can wait. */
export function startTimer(ring: () => void, ms: number): NodeJS.Timeout {
  return setTimeout(ring, Math.min(ms, LONGEST_TIMER_MS));
}
