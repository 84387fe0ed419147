import { MoorlineError, type ErrorKind } from './error';

type ErrorClass = abstract new (...args: never[]) => Error;

/** Which errors are meant: those of a class, those a predicate says yes to, or moorline's of one kind. */
export type ErrorMatcher = ErrorClass | ((error: unknown) => boolean) | ErrorKind;

/** Whether an error is one of those meant. */
export function matches(matchers: readonly ErrorMatcher[], error: unknown): boolean {
  return matchers.some((matcher) => {
    if (typeof matcher === 'string') return error instanceof MoorlineError && error.kind === matcher;
    if (isErrorClass(matcher)) return error instanceof matcher;
    return matcher(error);
  });
}

function isErrorClass(matcher: Exclude<ErrorMatcher, string>): matcher is ErrorClass {
  return matcher === Error || matcher.prototype instanceof Error;
}
