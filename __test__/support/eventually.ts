import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits until `holds` does, asking every few milliseconds; rejects with what it last said when `deadlineMs` pass.
 * A thrown error counts as "not yet".
 */
export async function eventually<T>(holds: () => T | Promise<T>, deadlineMs = 5000): Promise<NonNullable<T>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await holds();
      if (value) return value;
      last = new Error(`still ${String(value)}: ${holds.toString()}`);
    } catch (error) {
      last = error;
    }
    if (performance.now() >= deadline) throw last;
    await sleep(5);
  }
}
