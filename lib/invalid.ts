// A programmer's mistakes, as Node reports them.
import { inspect } from 'node:util';

/** A value of the wrong type. */
export function invalidType(path: string, expected: string, given: unknown): TypeError {
  const error = new TypeError(`${path} must be ${expected}, got ${inspect(given, { depth: 0 })}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** A value of the right type that cannot be taken, for the reason that `message` gives. */
export function invalidValue(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
}

/** A number outside its range, or none. */
export function outOfRange(path: string, expected: string, given: unknown): RangeError {
  const error = new RangeError(`${path} must be ${expected}, got ${String(given)}`);
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}
