import { types } from 'node:util';

// What a value looks like, of whatever realm.

/** Whether it is an object or a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** Whether it is an object without a class. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || (Object.getPrototypeOf(prototype) === null && !Array.isArray(value));
}

/** Whether it can be waited for, of whatever library. Reading `then` runs the user's code, which may throw. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}

/**
 * Hears of the rejection of what a function of the user's gave, where that is a promise: nobody waits for it, and a
 * rejection that nobody hears of ends the process. `heard` must not throw.
 */
export function onRejection(given: unknown, callback: (error: unknown) => void): void {
  try {
    if (!isThenable(given)) return;
  } catch (error) {
    return callback(error);
  }
  // In a promise of our own: `catch` of somebody else's may be anything.
  new Promise((resolve) => resolve(given)).catch(callback);
}

/** @internal Bytes of any kind and realm as Node's addons take them; those that other threads may change are copied. */
export function asBytes(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    const bytes = value instanceof Uint8Array ? value : new Uint8Array(buffer, byteOffset, byteLength);
    return types.isSharedArrayBuffer(buffer) ? new Uint8Array(bytes) : bytes;
  }
  if (types.isSharedArrayBuffer(value)) return new Uint8Array(new Uint8Array(value));
  return types.isArrayBuffer(value) ? new Uint8Array(value) : undefined;
}
