import type { ConnectionHealth, ConnectionHealthCheck, ConnectionState } from './model';

/** An error, and where it came from. */
export interface ConnectionErrorFacts {
  /** What was thrown. */
  error: unknown;
  /** The verb that failed, or `connection` where it ended by itself. */
  context: string;
  /** The name of the error's class. */
  error_type: string;
}

/**
 * What the events of a connection carry in `data`, by `eventType`. Events of your own are declared beside them:
 * `declare module 'moorline' { interface ConnectionEventData { moored: { berth: number } } }`.
 */
export interface ConnectionEventData {
  state_changed: { old_state: ConnectionState; new_state: ConnectionState; reason?: string };
  health_changed: { old_health: ConnectionHealth; new_health: ConnectionHealth };
  connection_failed: ConnectionErrorFacts;
  connection_lost: ConnectionErrorFacts;
  /** `status` where an answer said so, else the error. */
  authentication_failed: Partial<ConnectionErrorFacts> & { status?: number };
  reconnected: undefined;
  /** `attempt` is the one that failed, `delay_ms` the pause before the next. */
  retry: { attempt: number; delay_ms: number; reason: string };
  health_check_failed: { result: ConnectionHealthCheck };
  circuit_breaker_opened: { breaker: string };
  circuit_breaker_closed: { breaker: string };
  /** `retry_at`: when it lets a call through again, in milliseconds since the epoch. */
  circuit_breaker_refused: { context: string; breaker: string; retry_at?: number };
  rate_limited: { context: string };
  fallback_activated: { url: string | undefined };
  fallback_restored: { url: string | undefined };
  error: ConnectionErrorFacts;
  /** Milliseconds, percent, and requests a second. */
  metrics: { response_time: number; request_time: number; success: boolean; error_rate: number; throughput: number };
}

/** The types of {@link ConnectionEvent}. */
export type ConnectionEventType = keyof ConnectionEventData;

/** Something that happened to a connection: `eventType` says what, and what is in `data`. */
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

/** The facts of `open`, `close`, `state`, …, which a connection emits. */
export type ConnectionFacts = {
  state: { from: ConnectionState; to: ConnectionState; reason?: string };
  health: { from: ConnectionHealth; to: ConnectionHealth };
  retry: { delayMs: number; attempt: number; error: unknown; reason: string };
  error: { error: unknown; context: string };
};
