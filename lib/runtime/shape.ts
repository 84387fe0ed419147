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
 * Calls `callback` when the value that a user's function returned is a promise that rejects: it is not awaited, and an
 * unhandled rejection ends the process. `callback` must not throw.
 */
export function onRejection(given: unknown, callback: (error: unknown) => void): void {
  try {
    if (!isThenable(given)) return;
  } catch (error) {
    return callback(error);
  }
  // In a promise of our own: the `catch` of another library's may be anything.
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
