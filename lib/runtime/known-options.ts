import { invalidType, invalidValue, invalidTypeRedacted } from './argument-error';
import { native } from './native';
import { isPlainObject } from './shape';

/** The keys of options, each of them: the compiler holds it to their type. */
export type KnownOptions<Options> = Readonly<Record<keyof Options, true>>;

/**
 * @internal Refuses options that are not a plain object, or have an unknown key. `hints` tells of keys
 * that other libraries have what to do here instead; a key that has another name here is named without.
 */
export function checkOptions<Options extends object>(
  path: string,
  given: Options | undefined,
  known: KnownOptions<Options>,
  hints: Readonly<Record<string, string>> = {},
): void {
  if (given === undefined) return;
  if (!isPlainObject(given)) throw invalidTypeRedacted(path, 'a plain object', given);
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key) || given[key] === undefined) continue;
    if (Object.hasOwn(hints, key)) throw invalidValue(`${path}.${key} is not a known option; ${hints[key]}`);
    native.rejectUnknownOption(`${path}.${key}`, key, Object.keys(known));
  }
  const { signal } = given;
  if (signal !== undefined && Object.hasOwn(known, 'signal') && !isSignal(signal)) {
    throw invalidType(`${path}.signal`, 'an AbortSignal', signal);
  }
}

function isSignal(value: unknown): value is AbortSignal {
  const signal = value as Partial<AbortSignal> | null;
  return typeof signal?.aborted === 'boolean' && typeof signal.addEventListener === 'function';
}
