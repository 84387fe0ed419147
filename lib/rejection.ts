import { isThenable } from './shape';

/**
 * Hears of the rejection of what a function of the user's gave, where that is a promise: nobody waits for it, and a
 * rejection that nobody hears of ends the process. `heard` must not throw.
 */
export function onRejection(given: unknown, heard: (error: unknown) => void): void {
  try {
    if (!isThenable(given)) return;
  } catch (error) {
    return heard(error);
  }
  // In a promise of our own: `catch` of somebody else's may be anything.
  new Promise((resolve) => resolve(given)).catch(heard);
}
