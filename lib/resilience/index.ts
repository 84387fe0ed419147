export { CircuitBreaker, CircuitState } from './breaker';
export type { BreakerOptions, CircuitBreakerOptions, CircuitSnapshot } from './breaker';
export type { Clock } from './clock';
export type { Guarded } from './runner';
export { Policy } from './policy';
export type { BulkheadOptions, PolicyOptions, RateLimitOptions, RetryOptions } from './policy';
export type { Attempt } from './attempt';
