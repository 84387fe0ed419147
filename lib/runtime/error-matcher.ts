import { ERROR_KINDS, MoorlineError, type ErrorKind } from './error';
import { invalidType, invalidValue } from './argument-error';
import { isError } from './error-message';
import { onRejection } from './shape';

type ErrorClass = abstract new (...args: never[]) => Error;

/** A condition on errors: a class, a predicate, or a kind of {@link MoorlineError}. */
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;

/** Whether an error is one of those meant. */
export function matches(matchers: readonly ErrorMatcher[], error: unknown): boolean {
  return matchers.some((matcher) => {
    if (typeof matcher === 'string') return error instanceof MoorlineError && error.kind === matcher;
    if (isErrorClass(matcher)) return error instanceof matcher;
    return toBoolean(matcher(error));
  });
}

/** What a predicate said. A promise would always be a yes. */
function toBoolean(given: unknown): boolean {
  if (typeof given !== 'object' || given === null || !('then' in given)) return Boolean(given);
  onRejection(given, () => undefined);
  throw invalidType('the result of an error predicate', 'true or false', given);
}

function isErrorClass(matcher: Exclude<ErrorMatcher, string>): matcher is ErrorClass {
  return matcher === Error || isError(matcher.prototype);
}

/** Takes a list of matchers from an options object; what is none throws. */
export function readMatchers(path: string, given: unknown): readonly ErrorMatcher[] | undefined {
  if (given === undefined) return undefined;
  const isMatcher = (one: unknown) => typeof one === 'function' || typeof one === 'string';
  if (!Array.isArray(given) || !given.every(isMatcher)) {
    throw invalidType(path, 'an array of error classes, predicates and error kinds', given);
  }
  for (const kind of given.filter((one) => typeof one === 'string')) {
    if (ERROR_KINDS.includes(kind as ErrorKind)) continue;
    throw invalidValue(`${path} has '${kind}', which is not an error kind; the kinds are ${ERROR_KINDS.join(', ')}`);
  }
  return given as ErrorMatcher[];
}
