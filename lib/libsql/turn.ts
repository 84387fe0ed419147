import { performance, setImmediate } from '../runtime/node';

/** The time in a turn of the event loop in which statements are answered within their calls, in milliseconds. */
const TURN_MS = 1;

/** The time of the first such answer in this turn. */
let since: number | undefined;
let next: Promise<void> | undefined;
let begin: (() => void) | undefined;

/** Records a statement that was answered within its call. */
export function recordAnswer(): void {
  if (since !== undefined) return;
  since = performance.now();
  setImmediate(beginTurn);
}

function beginTurn(): void {
  since = undefined;
  const resolve = begin;
  next = begin = undefined;
  resolve?.();
}

/**
 * Returns a promise of the next turn once this one has used up its time. What awaits an answer that is there already goes on
 * without a turn of the event loop, so that nothing else would ever run; calls that wait go on in their order.
 */
export function nextTurn(): Promise<void> | undefined {
  if (since === undefined || performance.now() - since < TURN_MS) return undefined;
  return (next ??= new Promise<void>((resolve) => (begin = resolve)));
}
