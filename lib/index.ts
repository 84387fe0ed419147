export { CircuitBreakerError, MoorlineError, RetryError } from './error';
export type { Delivery, ErrorFields, ErrorKind } from './error';
export type { CallOptions } from './call';
export type { EventMap, EventName, MoorlineEvent } from './events';
export { setLogger } from './logger';
export type { Logger, LogLevel, LogRecord } from './logger';
