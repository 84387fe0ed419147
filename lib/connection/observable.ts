import { inspect, type InspectOptions } from 'node:util';

import { crypto } from '../runtime/node';
import { toMoorlineError, type CircuitBreakerError, type MoorlineError } from '../runtime/error';
import { Emitter } from '../runtime/emitter';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { readableError } from '../runtime/error-message';
import { native, type Handle } from '../runtime/native';
import type { CallRecord } from './call-record';
import type { ResolvedConnectionConfig } from './config/config';
import type { ConnectionEvent, ConnectionFacts } from './event';
import { toError, eventFor } from './error';
import { type HandlerOwner, Handlers } from '../runtime/listeners';
import { AuditLog } from './audit-log';
import { ConnectionMetricsTracker, type ConnectionFigures } from './metrics';
import { redactUrl } from './config/redaction';
import { ConnectionHealth, ConnectionState, type ConnectionHealthCheck } from './model';
import type { ConnectionStatus } from './status';
import type { ConnectionTracker } from '../../dist/native';

/** Options of `emitEvent`: the content of an event. */
export interface ConnectionEventOptions {
  data?: Record<string, unknown> | undefined;
  /** Default: `info`. */
  severity?: 'info' | 'warning' | 'error' | undefined;
  message?: string | undefined;
}

const EVENT_OPTIONS: KnownOptions<ConnectionEventOptions> = { data: true, severity: true, message: true };

/** The state, health, events and metrics of a connection. */
export abstract class ObservableConnection extends Emitter<ConnectionFacts> {
  /** The id of the connection, a UUID. */
  readonly connectionId: string = crypto().randomUUID();
  /** The options in force. */
  readonly config: Readonly<ResolvedConnectionConfig>;
  /** @internal */
  protected readonly connectionLog: AuditLog;
  /** @internal The owner of handlers, as the log names it. */
  protected readonly handlerOwner: HandlerOwner;
  readonly #metricsTracker = new ConnectionMetricsTracker();
  readonly #onEvent: Handlers<[event: ConnectionEvent]>;
  readonly #onState: Handlers<[state: ConnectionState, before: ConnectionState]>;
  readonly #onHealth: Handlers<[health: ConnectionHealth, before: ConnectionHealth]>;
  #recordedChecks: WeakSet<ConnectionHealthCheck> | undefined;
  readonly #createdAt = Date.now();
  #updatedAt = this.#createdAt;
  #state: ConnectionState = ConnectionState.DISCONNECTED;
  #health: ConnectionHealth = ConnectionHealth.UNKNOWN;
  #lastHealthCheck: number | undefined;
  #lastError: string | undefined;
  #errorCount = 0;
  #consecutiveErrors = 0;
  #authenticated = false;
  #isOpen = false;

  /** @internal */
  constructor(config: ResolvedConnectionConfig) {
    super(config.connectionType, config.name);
    this.config = Object.freeze(config);
    this.connectionLog = new AuditLog(this.connectionId, config);
    if (config.monitoring) this.#metricsTracker.register(config.name, config.connectionType);
    this.handlerOwner = { id: this.connectionId, name: config.name };
    this.#onEvent = new Handlers(this.handlerOwner);
    this.#onState = new Handlers(this.handlerOwner);
    this.#onHealth = new Handlers(this.handlerOwner);
  }

  /** Returns a snapshot of the connection; credentials in it are redacted. */
  getStatus(): ConnectionStatus {
    const { connectionType, name } = this.config;
    return {
      connectionId: this.connectionId,
      name,
      connectionType,
      state: this.#state,
      health: this.#health,
      config: this.config,
      metrics: this.#metricsTracker.status().metrics,
      ...(this.#lastHealthCheck !== undefined && { lastHealthCheck: this.#lastHealthCheck }),
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
      errorCount: this.#errorCount,
      consecutiveErrors: this.#consecutiveErrors,
      createdAt: this.#createdAt,
      updatedAt: this.#updatedAt,
      isActive: this.isUsable,
      isSecure: /^(https|wss):/i.test(this.config.url ?? ''),
      isAuthenticated: this.#authenticated,
    };
  }

  /** Returns the main metrics of the connection. */
  getMetrics(): ConnectionFigures {
    return this.#metricsTracker.metrics();
  }

  /**
   * Subscribes to every event, returns a function that unsubscribes. An error that a handler throws is logged, and has no
   * other effect.
   */
  onEvent(handler: (event: ConnectionEvent) => unknown): () => void {
    return this.#onEvent.add(handler);
  }

  /** Subscribes to every change of the state, returns a function that unsubscribes. */
  onStateChange(handler: (state: ConnectionState, before: ConnectionState) => unknown): () => void {
    return this.#onState.add(handler);
  }

  /** Subscribes to every change of the health, returns a function that unsubscribes. */
  onHealthChange(handler: (health: ConnectionHealth, before: ConnectionHealth) => unknown): () => void {
    return this.#onHealth.add(handler);
  }

  /** Emits an event, also one of your own, to the handlers of `onEvent`. */
  emitEvent(eventType: string, options: ConnectionEventOptions = {}): void {
    checkOptions('options', options, EVENT_OPTIONS);
    const { data, severity = 'info', message } = options;
    const event = {
      eventId: crypto().randomUUID(),
      connectionId: this.connectionId,
      eventType,
      timestamp: Date.now(),
      ...(data && { data }),
      severity,
      ...(message !== undefined && { message }),
    } as ConnectionEvent;
    this.connectionLog.logEvent(event);
    this.#onEvent.emit(event);
  }

  /** @internal The object that is printed in its place: nothing of its insides, and no credential. */
  protected get printable(): object {
    const { name, url } = this.config;
    const { totalRequests, errorCount } = this.#metricsTracker.status().metrics;
    return {
      name,
      ...(url !== undefined && { url: redactUrl(url) }),
      state: this.#state,
      health: this.#health,
      requests: totalRequests,
      errors: errorCount,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
    };
  }

  /** @internal */
  [inspect.custom](_depth: number, options: InspectOptions): string {
    return `${this.constructor.name} ${inspect(this.printable, options)}`;
  }

  /** @internal The state now. */
  protected get state(): ConnectionState {
    return this.#state;
  }

  /** @internal Whether it can be used. */
  protected get isUsable(): boolean {
    return this.#state === ConnectionState.CONNECTED || this.#state === ConnectionState.DEGRADED;
  }

  /** @internal Called when it is open. */
  protected markOpened(): void {
    this.#authenticated = this.connectionLog.hasCredentials;
    this.#consecutiveErrors = 0;
    this.#isOpen = true;
    this.enter(ConnectionState.CONNECTED);
    this.publish('open');
    this.connectionLog.audit('connect', 'success');
  }

  /** @internal Something failed: tells `error`, and what else it means. */
  protected reportFailure(thrown: unknown, context: string): void {
    const error = readableError(thrown);
    const failure = toError(error);
    this.#errorCount += 1;
    this.#consecutiveErrors += 1;
    this.#lastError = failure.message;
    this.#updatedAt = Date.now();
    const data = { error, context, error_type: failure.name };
    this.emitEvent('error', { severity: 'error', message: failure.message, data });
    if (this.listenerCount('error') > 0) this.publish('error', () => ({ error, context }));
    this.connectionLog.auditSecurityError(error);
    const eventType = eventFor(error, context);
    if (!eventType) return;
    if (eventType === 'authentication_failed') {
      this.#authenticated = false;
      this.connectionLog.audit('authentication', 'failure', error);
    }
    this.emitEvent(eventType, { severity: 'error', message: failure.message, data });
  }

  /** @internal An attempt failed, and another one follows after a pause. */
  protected reportRetry({ attempt, delayMs, error }: Omit<ConnectionFacts['retry'], 'reason'>): void {
    const reason = toError(error).message;
    const data = { attempt, delay_ms: delayMs, reason };
    this.emitEvent('retry', { severity: 'warning', message: reason, data });
    this.publish('retry', () => ({ attempt, delayMs, error, reason }));
  }

  /** @internal The circuit breaker let a call go no further. */
  protected reportBreakerRefusal(
    { message, breaker, retryAfterMs, retryAt }: CircuitBreakerError,
    context: string,
  ): void {
    const isKnown = retryAfterMs !== undefined;
    this.#lastError = message;
    this.#updatedAt = Date.now();
    const data = { context, breaker, ...(isKnown && { retry_at: retryAt.getTime() }) };
    this.emitEvent('circuit_breaker_refused', { severity: 'warning', message, data });
  }

  /** @internal An answer said that we are not who we should be. */
  protected reportUnauthorized(status: number): void {
    this.#authenticated = false;
    const error = toMoorlineError(native.httpRejection(status)) as MoorlineError;
    this.connectionLog.audit('authentication', 'failure', error);
    this.emitEvent('authentication_failed', { severity: 'error', message: error.message, data: { status } });
  }

  /** @internal The connection is not open any more, if it was. */
  protected markClosed(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.publish('close');
  }

  /** @internal Changes the state; `error` is why, where it was an error. */
  protected enter(state: ConnectionState, error?: unknown): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    this.#metricsTracker.enter(state);
    this.#updatedAt = Date.now();
    const reason = error === undefined ? undefined : toError(error).message;
    const data = { old_state: before, new_state: state, ...(reason !== undefined && { reason }) };
    this.emitEvent('state_changed', { data, message: reason });
    this.publish('state', () => ({ from: before, to: state, ...(reason !== undefined && { reason }) }));
    this.#onState.emit(state, before);
  }

  /** @internal Called when it was closed: `metricsText()` shows it in no state, until it is opened again. */
  protected markRetired(): void {
    this.#metricsTracker.enter(undefined);
  }

  /** @internal Sets its health. */
  setHealth(health: ConnectionHealth): void {
    const before = this.#health;
    if (health === before) return;
    this.#health = health;
    this.#updatedAt = Date.now();
    this.emitEvent('health_changed', { data: { old_health: before, new_health: health } });
    this.publish('health', () => ({ from: before, to: health }));
    this.#onHealth.emit(health, before);
  }

  /** @internal Records a health check. */
  protected recordCheck(result: ConnectionHealthCheck): void {
    const recordedChecks = (this.#recordedChecks ??= new WeakSet());
    if (recordedChecks.has(result)) return;
    recordedChecks.add(result);
    this.#lastHealthCheck = result.timestamp;
    this.setHealth(result.isHealthy ? ConnectionHealth.HEALTHY : ConnectionHealth.UNHEALTHY);
    if (result.isHealthy) return;
    this.emitEvent('health_check_failed', { severity: 'error', message: result.errorMessage, data: { result } });
  }

  /** @internal A call begins, or has begun at `startedAt`. */
  protected beginCall(startedAt?: number): CallRecord {
    return this.#metricsTracker.begin(startedAt);
  }

  /** @internal The metrics, for calls that the addon counts by itself. */
  protected get connectionTracker(): Handle<ConnectionTracker> {
    return this.#metricsTracker.handle;
  }

  /** @internal Records a call that has ended. */
  protected record(callRecord: CallRecord, success: boolean, error?: unknown): void {
    const { tookMs, attemptMs } = callRecord.endCall(success, error === undefined ? undefined : toError(error).name);
    this.reportOutcome(success, tookMs, attemptMs);
  }

  /** @internal Whether anybody is told of calls that end. */
  protected get isObserved(): boolean {
    return this.config.monitoring && this.#onEvent.size > 0;
  }

  /** @internal A call that was counted has ended; nobody is told where its times are not known. */
  protected reportOutcome(success: boolean, tookMs: number | undefined, attemptMs = tookMs): void {
    if (success) this.#consecutiveErrors = 0;
    if (tookMs === undefined || !this.isObserved) return;
    const { errorRate, throughput } = this.#metricsTracker.metrics();
    this.emitEvent('metrics', {
      data: { response_time: attemptMs, request_time: tookMs, success, error_rate: errorRate, throughput },
    });
  }
}
