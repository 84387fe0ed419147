export * from '../connection';
export * from '../health';
export * from '../http';
export * from '../libsql';
export * from '../nixtla';
export * from '../postgres';
export * from '../resilience';
export * from '../sse';
export * from '../ssh';
export * from '../webhook';
export { CircuitBreakerError, MoorlineError, RetryError } from '../runtime/error';
export type { Delivery, ErrorDetail, ErrorFields, ErrorKind } from '../runtime/error';
export type { CallOptions } from '../runtime/native-call';
export type { EventFacts, EventMap, EventName, MoorlineEvent } from '../runtime/emitter';
export type { ErrorMatcher } from '../runtime/error-matcher';
export * from '../metrics';
export type { NixtlaTls } from '../runtime/tls';
export { setLogger } from '../runtime/logger';
export type { Logger, LogLevel, LogRecord } from '../runtime/logger';

// The default import of Node.js is the whole module. Compilers and bundlers take this property instead, where a module
// was made of an ES module; no typing names it, as what they derive is the whole module, too.
Object.defineProperty(module.exports, 'default', { value: module.exports });
