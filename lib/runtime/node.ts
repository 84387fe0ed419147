// Modules of Node.js that are loaded when they are first needed, as together they would cost as much as this package; and
// its globals, for a `vm` context that has not all of them: what a timer or the addon calls must not fail for that.
import type * as Crypto from 'node:crypto';
import type * as Http from 'node:http';
import type * as PerformanceHooks from 'node:perf_hooks';
import type * as Stream from 'node:stream';
import type * as WebStreams from 'node:stream/web';
import * as timers from 'node:timers';
import * as util from 'node:util';

export { Buffer } from 'node:buffer';
export { URL, URLSearchParams } from 'node:url';
export { TextDecoder } from 'node:util';

export const crypto = (): typeof Crypto => require('node:crypto') as typeof Crypto;

export const http = (): typeof Http => require('node:http') as typeof Http;

export const stream = (): typeof Stream => require('node:stream') as typeof Stream;

export const webStreams = (): typeof WebStreams => require('node:stream/web') as typeof WebStreams;

export const performanceHooks = (): typeof PerformanceHooks => require('node:perf_hooks') as typeof PerformanceHooks;

// These are looked up at each call, as the fake timers of a test replace them.

export const performance = {
  now: (): number => (globalThis.performance ?? performanceHooks().performance).now(),
};

export const setTimeout = (callback: () => void, ms: number): NodeJS.Timeout =>
  (globalThis.setTimeout ?? timers.setTimeout)(callback, ms);

export const clearTimeout = (timer: NodeJS.Timeout | undefined): void =>
  (globalThis.clearTimeout ?? timers.clearTimeout)(timer);

// Real under fake timers, too: what is announced by it is the event loop itself.
export const setImmediate = timers.setImmediate;

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
