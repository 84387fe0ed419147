// A programmer's mistakes, as Node reports them.
import { inspect } from 'node:util';

/** A value of the wrong type. */
export function invalidType(path: string, expected: string, given: unknown): TypeError {
  const error = new TypeError(`${path} must be ${expected}, got ${inspect(given, { depth: 0 })}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** The same, for a value that may be long, or a secret: only its kind is told. */
export function wrongType(path: string, expected: string, given: unknown): TypeError {
  return Object.assign(new TypeError(`${path} must be ${expected}, got ${kindOf(given)}`), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  const { constructor } = value;
  return typeof constructor === 'function' && constructor.name ? `an instance of ${constructor.name}` : 'an object';
}

/** A value of the right type that cannot be taken, for the reason that `message` gives. */
export function invalidValue(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_VALUE' });
}

/** A call that cannot be answered, for the reason that `message` gives. */
export function invalidState(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_STATE' });
}

/** A number outside its range, or none. */
export function outOfRange(path: string, expected: string, given: unknown): RangeError {
  const error = new RangeError(`${path} must be ${expected}, got ${String(given)}`);
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}
