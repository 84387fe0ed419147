import type { ConnectionHealth, ConnectionHealthCheck, ConnectionState } from './model';

/** An error and its origin. */
export interface ConnectionErrorFacts {
  /** The value that was thrown. */
  error: unknown;
  /** The method that failed, or `connection` where the connection was lost. */
  context: string;
  /** The name of the error's class. */
  error_type: string;
}

/**
 * The `data` of the events of a connection, by `eventType`. Declare events of your own by extending this interface:
 * `declare module 'moorline' { interface ConnectionEventData { moored: { berth: number } } }`.
 */
export interface ConnectionEventData {
  state_changed: { old_state: ConnectionState; new_state: ConnectionState; reason?: string };
  health_changed: { old_health: ConnectionHealth; new_health: ConnectionHealth };
  connection_failed: ConnectionErrorFacts;
  connection_lost: ConnectionErrorFacts;
  /** The `status`, where a response refused the credentials; otherwise the error. */
  authentication_failed: Partial<ConnectionErrorFacts> & { status?: number };
  reconnected: undefined;
  /** `attempt` is the one that failed, `delay_ms` the delay before the next, in milliseconds. */
  retry: { attempt: number; delay_ms: number; reason: string };
  health_check_failed: { result: ConnectionHealthCheck };
  circuit_breaker_opened: { breaker: string };
  circuit_breaker_closed: { breaker: string };
  /** `retry_at` is the time from which the breaker admits a call again, in milliseconds since the epoch. */
  circuit_breaker_refused: { context: string; breaker: string; retry_at?: number };
  rate_limited: { context: string };
  fallback_activated: { url: string | undefined };
  fallback_restored: { url: string | undefined };
  error: ConnectionErrorFacts;
  /** Times in milliseconds, `error_rate` in percent, `throughput` in requests per second. */
  metrics: { response_time: number; request_time: number; success: boolean; error_rate: number; throughput: number };
}

/** The types of a {@link ConnectionEvent}. */
export type ConnectionEventType = keyof ConnectionEventData;

/** An event of a connection; `eventType` names it and determines the type of `data`. */
export type ConnectionEvent<Type extends ConnectionEventType = ConnectionEventType> = {
  [Each in Type]: {
    eventId: string;
    connectionId: string;
    eventType: Each;
    /** Milliseconds since the epoch. */
    timestamp: number;
    severity?: 'info' | 'warning' | 'error';
    message?: string;
  } & (undefined extends ConnectionEventData[Each]
    ? { data?: ConnectionEventData[Each] }
    : { data: ConnectionEventData[Each] });
}[Type];

/** The data of the events that a connection emits, by name. */
export type ConnectionFacts = {
  state: { from: ConnectionState; to: ConnectionState; reason?: string };
  health: { from: ConnectionHealth; to: ConnectionHealth };
  retry: { delayMs: number; attempt: number; error: unknown; reason: string };
  error: { error: unknown; context: string };
};
