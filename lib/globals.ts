// Globals of Node.js, for a `vm` context that has not all of them: what a timer or the addon calls must not fail for that.
import * as timers from 'node:timers';
import * as util from 'node:util';

import { performanceHooks, webStreams } from './builtins';

export { Buffer } from 'node:buffer';
export { URL, URLSearchParams } from 'node:url';
export { TextDecoder } from 'node:util';

// These are looked up at each call, as the fake timers of a test replace them.

export const performance = {
  now: (): number => (globalThis.performance ?? performanceHooks().performance).now(),
};

export const setTimeout = (ring: () => void, ms: number): NodeJS.Timeout =>
  (globalThis.setTimeout ?? timers.setTimeout)(ring, ms);

export const clearTimeout = (timer: NodeJS.Timeout | undefined): void =>
  (globalThis.clearTimeout ?? timers.clearTimeout)(timer);

export const queueMicrotask = (task: () => void): void => (globalThis.queueMicrotask ?? process.nextTick)(task);

export const readableStream = (): typeof ReadableStream => globalThis.ReadableStream ?? webStreams().ReadableStream;

export function makeAbortController(): AbortController {
  return typeof AbortController === 'function' ? new AbortController() : util.transferableAbortController();
}

const CODES = { AbortError: 20, TimeoutError: 23 };

/** The reason of an abort: a `DOMException` as Node's own signals have, or an error with its members. */
export function abortReason(message: string, name: keyof typeof CODES): Error {
  if (typeof DOMException === 'function') return new DOMException(message, name);
  return Object.assign(new Error(message), { name, code: CODES[name] });
}
