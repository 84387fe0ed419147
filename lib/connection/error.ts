import { closedFailure, failure, failureRecord, MoorlineError, type FailureRecord } from '../runtime/error';
import { performance } from '../runtime/node';
import type { HTTPResponse } from '../http/response';
import { isError, messageOf, readableError, messageWithCauses } from '../runtime/error-message';
import { native } from '../runtime/native';
import type { ConnectionHealthCheck } from './model';

/** The event that an error is, beside `error`. `context` is the verb, or `connection` where it ended by itself. */
export function eventFor(error: unknown, context: string): string | null {
  return native.connectionErrorEvent(...kindAndStatus(error), context);
}

/** Whether the other side could not be reached at all, or its breaker is open: another address may serve. */
export function isUnreachable(error: unknown): boolean {
  return native.connectionIsUnreachable(...kindAndStatus(error));
}

/** Whether another attempt to reconnect may end otherwise: refused credentials stay refused. */
export function shouldReconnect(error: unknown): boolean {
  return native.connectionShouldReconnect(...kindAndStatus(error));
}

function kindAndStatus(error: unknown): [kind: string | undefined, status: number | undefined] {
  if (!(error instanceof MoorlineError)) return [undefined, undefined];
  const status = error.detail?.['status'];
  return [error.kind, typeof status === 'number' ? status : undefined];
}

/** Anything thrown, as an error whose name and message can be read. */
export function toError(thrown: unknown): Error {
  const readable = readableError(thrown);
  return isError(readable) ? readable : new Error(messageOf(readable));
}

/** The message of a failure, with its causes where it is not ours: only they give the reason of a `fetch failed`. */
export function failureMessage(thrown: unknown): string {
  return thrown instanceof MoorlineError ? thrown.message : messageWithCauses(thrown);
}

/** The result of a check that was begun at `startedAt` and gave none. */
export function failedCheck(connectionId: string, startedAt: number, errorMessage: string): ConnectionHealthCheck {
  const responseTime = performance.now() - startedAt;
  return { connectionId, timestamp: Date.now(), isHealthy: false, responseTime, errorMessage };
}

/** The failure of `operation` while no connection is open; without a `state` there never was one. */
export function notOpenFailure(
  state: string | undefined,
  service: string,
  operation: string,
  cause: unknown,
): MoorlineError {
  const message =
    state === undefined
      ? `the connection was never opened: call connect() before ${operation}`
      : `the connection is not open (state ${state})`;
  return closedFailure(message, { service, operation, attempts: 0 }, cause);
}

/** The failure of a wait that was over after `ms`, the value of `option`. */
export function timeoutFailure(option: string, ms: number, service: string, operation: string): MoorlineError {
  const problem = operation === 'connect' ? 'the connection was not open' : `${operation} did not return`;
  return failure('timeout', `${problem} within ${ms} ms (${option})`, {
    service,
    operation,
    // Until it is open nothing was asked for that a repeat could do twice.
    idempotent: true,
    ...(operation !== 'connect' && { delivery: 'none' }),
    detail: { limit: option },
  });
}

/** Whether a server said that there is nothing more to come. */
export function isFinished(error: unknown): boolean {
  return error instanceof MoorlineError && error.code === 'ERR_MOORLINE_STREAM_STOPPED';
}

/** An answer that counts as a failure; it is still what the caller gets at the end. */
export class StatusError extends MoorlineError {
  readonly response: HTTPResponse;

  private constructor({ message, ...fields }: FailureRecord, response: HTTPResponse) {
    super(message, fields);
    this.response = response;
  }

  /** Whether it says that the service is unwell, as a circuit breaker has it. */
  get blamesService(): boolean {
    return native.policyWeight(this.kind, this.delivery, this.response.status) > 0;
  }

  /** Throws one where the answer counts as a failure; `isReplayable` says whether the request may be sent twice. */
  static check(response: HTTPResponse, isReplayable: boolean): void {
    const { 'retry-after': after, 'retry-after-ms': afterMs } = response.headers as Record<string, string | undefined>;
    const record = failureRecord(native.httpResponseFailure(response.status, isReplayable, after, afterMs));
    if (record) throw new StatusError(record, response);
  }
}
