// A programmer's mistakes, as Node reports them.

/**
 * A value of the wrong type. Of text and objects only the kind is shown: in a wrong place there may be a secret, such as
 * a URL with a password.
 */
export function invalidType(path: string, expected: string, given: unknown): TypeError {
  const received = typeof given === 'number' || typeof given === 'boolean' ? String(given) : describeType(given);
  const error = new TypeError(`${path} must be ${expected}, got ${received}`);
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** The same where a number, too, may be a secret: only its kind is shown. */
export function invalidTypeRedacted(path: string, expected: string, given: unknown): TypeError {
  return Object.assign(new TypeError(`${path} must be ${expected}, got ${describeType(given)}`), {
    code: 'ERR_INVALID_ARG_TYPE',
  });
}

function describeType(value: unknown): string {
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

/** A number outside its range. */
export function outOfRange(path: string, expected: string, given: unknown): RangeError {
  const error = new RangeError(`${path} must be ${expected}, got ${String(given)}`);
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}

/** The mistake where a number is expected: another type, or a number that is not in its range. */
export function numberMistake(
  path: string,
  given: unknown,
  isInRange: (number: number) => boolean,
  expected: string,
): Error | undefined {
  if (typeof given !== 'number') return invalidTypeRedacted(path, 'a number', given);
  return isInRange(given) ? undefined : outOfRange(path, expected, given);
}
