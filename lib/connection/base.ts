import { CircuitBreakerError, closedFailure, MoorlineError } from '../runtime/error';
import { performance } from '../runtime/node';
import type { RunnerOptions } from '../resilience/runner';
import { invalidType, numberMistake } from '../runtime/argument-error';
import { readableError } from '../runtime/error-message';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { isAborted, Lifetime, type Abortable } from '../runtime/abort';
import { wrapOverrides, isOpen, isOverridden } from './overrides';
import type { CallRecord } from './call-record';
import { recoveryRunner, ConnectionPolicies } from './policies';
import { resolveConfig, type ConnectionConfig } from './config/config';
import { failedCheck, timeoutFailure, failureMessage } from './error';
import { ObservableConnection } from './observable';
import { PeriodicCheck } from '../health/periodic-check';
import { SingleFlight } from '../runtime/single-flight';
import { ConnectionState, type ConnectionType, type ConnectionHealthCheck } from './model';
import { sleep, withTimeout } from '../runtime/timers';

/** Options of `connect`. */
export interface ConnectOptions {
  /** Whether a failed attempt is retried, at most `retryCount` times and with growing delays. Default: false. */
  retry?: boolean | undefined;
}

const CONNECT_OPTIONS: KnownOptions<ConnectOptions> = { retry: true };

/** A call that has begun, and the lifetime in which it did. */
interface BegunCall {
  lifetime: Lifetime;
  callRecord: CallRecord;
}

/**
 * The base class of all connections: state, health, events, metrics, a circuit breaker, a rate limit and retries. When an
 * operation fails, its method does not reject: it returns `false` or `null`, and an event carries the error.
 *
 * For a connection of your own, implement `sendImpl` and `receiveImpl`, and where needed override `connectImpl`,
 * `disconnectImpl`, `healthCheckImpl` and `isConnected`; they may throw. `connect`, `disconnect` and `healthCheck` can be
 * overridden, too.
 *
 * @example
 * ```ts
 * import { BaseConnection } from 'moorline';
 * class Clock extends BaseConnection {
 *   protected sendImpl = async () => false;
 *   protected receiveImpl = async () => 'noon';
 * }
 * const clock = new Clock({ name: 'clock' });
 * if (await clock.connect()) console.log(await clock.receive()); // noon
 * await clock.disconnect();
 * ```
 */
export abstract class BaseConnection extends ObservableConnection {
  /** @internal */
  protected readonly connectionPolicies: ConnectionPolicies;
  readonly #check: PeriodicCheck;
  readonly #opening = new SingleFlight<boolean>();
  readonly #closing = new SingleFlight<boolean>();
  /** Ended by the next `disconnect`, which ends all calls that are waiting. */
  #lifetime = new Lifetime();

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: ConnectionConfig, type?: ConnectionType) {
    super(resolveConfig(config, type));
    const { healthCheckInterval, healthCheckTimeout } = this.config;
    this.#check = new PeriodicCheck(this.connectionId, healthCheckInterval, healthCheckTimeout + 1000);
    this.connectionPolicies = new ConnectionPolicies(this.config, this.hasTransport, () => ({
      lifetime: () => this.lifetime,
      onRetry: (facts) => this.reportRetry(facts),
    }));
    this.connectionPolicies.onBreakerState(this, BaseConnection.#onBreakerState);
    if (this.hasTransport) this.connectionLog.warnUncheckedCertificates();
    wrapOverrides(this, BaseConnection.prototype, {
      connect: (implementation) => this.#opening.run(() => this.#open(implementation)),
      disconnect: (implementation) => this.#endLifetime(implementation),
      healthCheck: (implementation) => this.#runAndRecordCheck(implementation),
    });
  }

  /**
   * Opens the connection. Returns true when it is open, or false, with an event, when that failed. `{ retry: true }`
   * repeats an attempt that may succeed later, with `retryCount`, `retryDelay` and `backoffMultiplier`.
   */
  async connect(options: ConnectOptions = {}): Promise<boolean> {
    checkOptions('options', options, CONNECT_OPTIONS);
    const { retry = false } = options;
    if (typeof retry !== 'boolean') throw invalidType('options.retry', 'a boolean', retry);
    const openOnce = () => this.connectImpl({ retry });
    // A transport of ours tells its own failures from the breaker's, and repeats by itself.
    const repeats = retry && !this.hasTransport;
    const open = () => this.#open(openOnce, repeats);
    return this.#isCalledByOverride('connect') ? open() : this.#opening.run(open);
  }

  /** Closes the connection. A `receive` that waits returns `null`. A second call has no effect. */
  async disconnect(): Promise<boolean> {
    const implementation = () => this.disconnectImpl();
    return this.#isCalledByOverride('disconnect') ? this.#close(implementation) : this.#endLifetime(implementation);
  }

  /** Closes the connection, waits for `retryDelay`, and opens it again. Returns false when it is closed meanwhile. */
  async reconnect(): Promise<boolean> {
    return this.restart(() => sleep(this.config.retryDelay, this.lifetime));
  }

  /** @internal Closes it, and opens it again after `between`, unless it is closed meanwhile. */
  async restart(between?: () => unknown): Promise<boolean> {
    const closing = this.disconnect();
    const { lifetime } = this;
    await closing;
    if (!lifetime.aborted) await between?.();
    return !lifetime.aborted && this.connect();
  }

  /** Returns whether the connection can be used now. */
  async isConnected(): Promise<boolean> {
    return this.isUsable;
  }

  /** Sends `data`. Returns false when it could not be sent, was refused, or the circuit breaker is open. */
  async send(data: unknown): Promise<any> {
    const send = (callRecord: CallRecord) => {
      callRecord.bytes = this.messageBytes(data);
      return this.connectionPolicies.run(() => callRecord.runAttempt(() => this.sendImpl(data)));
    };
    return this.recordOutcome('send', send, false);
  }

  /** Returns the next message, or `null` when there will be none. */
  async receive(): Promise<any> {
    const { lifetime } = this;
    if (!(await isOpen(this)) || lifetime.aborted) return null;
    // It may wait for as long as nothing comes, but not longer than the connection.
    const next = () => withTimeout(Infinity, [lifetime], () => this.receiveImpl());
    return this.recordOutcome('receive', () => this.connectionPolicies.runUnderBreaker(next, lifetime), null);
  }

  /** Checks whether the connection works, within `timeoutMs` (default: `healthCheckTimeout`). Never rejects. */
  async healthCheck(timeoutMs: number = this.config.healthCheckTimeout): Promise<ConnectionHealthCheck> {
    const mistake = numberMistake('timeoutMs', timeoutMs, (ms) => ms >= 1, '≥ 1');
    // The caller's mistake says nothing about the connection.
    if (mistake) return failedCheck(this.connectionId, performance.now(), mistake.message);
    return this.#runAndRecordCheck(() => this.#runCheck(timeoutMs));
  }

  /** Opens the connection; false or an error means that it could not be opened. */
  protected async connectImpl(_options?: ConnectOptions): Promise<boolean> {
    return true;
  }

  /** Closes the connection. */
  protected async disconnectImpl(): Promise<boolean> {
    return true;
  }

  /** Sends `data`; false means that it was not sent, an error counts as a failure of the connection. */
  protected abstract sendImpl(data: unknown): Promise<unknown>;

  /** Returns the next message. */
  protected abstract receiveImpl(): Promise<unknown>;

  /** Returns whether the connection works; an object adds details, and means no with `isHealthy: false`. */
  protected async healthCheckImpl(
    _timeoutMs: number,
    _signal: AbortSignal,
  ): Promise<boolean | Record<string, unknown>> {
    return this.isConnected();
  }

  /**
   * @internal Whether it speaks through a transport of ours, which keeps to `timeout` itself and knows what was written
   * when it was over. What fails there is a `MoorlineError`; everything else is the caller's mistake.
   */
  protected get hasTransport(): boolean {
    return false;
  }

  /** @internal Ends with the next `disconnect`; until then it is the same one. */
  get lifetime(): Lifetime {
    return this.#lifetime;
  }

  /** @internal The bytes of a message, where that is known. */
  protected messageBytes(_message: unknown): number | undefined {
    return undefined;
  }

  /** @internal Records the outcome of `call`; returns `valueOnFailure` instead of an error. */
  protected async recordOutcome<T, F>(
    context: string,
    call: (callRecord: CallRecord) => Promise<T>,
    valueOnFailure: F,
    signal?: Abortable,
    { lifetime, callRecord }: BegunCall = { lifetime: this.lifetime, callRecord: this.beginCall() },
  ): Promise<T | F> {
    try {
      const value = await call(callRecord);
      this.record(callRecord, value !== false && !callRecord.isServiceFailure);
      return value;
    } catch (thrown) {
      const error = readableError(thrown);
      // A call that was refused, or given up, says nothing about the other side.
      if (isAborted(signal) || (lifetime.aborted && error === lifetime.reason)) return valueOnFailure;
      if (error instanceof CircuitBreakerError) {
        this.reportBreakerRefusal(error, context);
        return valueOnFailure;
      }
      if (error instanceof MoorlineError && error.kind === 'rate-limited' && error.service === 'resilience') {
        this.emitEvent('rate_limited', { severity: 'warning', message: error.message, data: { context } });
        return valueOnFailure;
      }
      // The caller's mistake says nothing about the other side.
      if (!this.hasTransport || error instanceof MoorlineError) this.record(callRecord, false, error);
      this.reportFailure(error, context);
      return valueOnFailure;
    }
  }

  /** @internal Repeats what opens it until that succeeds, `retryCount` times at most; `lifetime` ends it. */
  protected openWithRetries<T>(open: () => Promise<T>, lifetime: Lifetime): Promise<T> {
    const options: RunnerOptions = { onRetry: (facts) => this.reportRetry(facts) };
    return recoveryRunner('connect', this.config, options).run(open, lifetime);
  }

  /** @internal Goes over to `fallbackUrl`, where there is one and the connection knows how. */
  fallBack(_reason: string): void {}

  /** @internal Called when it is open. */
  protected markConnected(): void {
    const { lifetime } = this;
    this.markOpened();
    // A listener of the event may have closed it.
    if (this.config.monitoring && !lifetime.aborted) this.#check.start(() => this.healthCheck());
  }

  /** @internal Called when it is open no more. */
  protected override markClosed(): void {
    this.#check.stop();
    super.markClosed();
  }

  /** @internal An attempt to open it failed. */
  protected reportConnectFailure(error: unknown): void {
    this.enter(ConnectionState.ERROR, error);
    this.connectionLog.audit('connect', 'failure', error);
    this.reportFailure(error, 'connect');
  }

  /** Opens it by `implementation`, unless it is disconnected meanwhile. */
  async #open(implementation: () => unknown, repeats = false): Promise<boolean> {
    const { lifetime } = this;
    if (this.#closing.running) await this.#closing.running;
    if (this.state === ConnectionState.CONNECTED && (await isOpen(this))) return !lifetime.aborted;
    if (lifetime.aborted) return false;
    this.enter(ConnectionState.CONNECTING);
    try {
      const openOnce = () => this.#openOnce(implementation, lifetime);
      await (repeats ? this.openWithRetries(openOnce, lifetime) : openOnce());
    } catch (thrown) {
      const error = readableError(thrown);
      // An override may have called the base's method, which reported it.
      if (lifetime.aborted || this.state !== ConnectionState.CONNECTING) return false;
      if (!(error instanceof CircuitBreakerError)) this.reportConnectFailure(error);
      else {
        // A refused attempt does not count as one; it only holds up a caller that connects again after each failure.
        this.enter(ConnectionState.ERROR, error);
        this.connectionLog.audit('connect', 'failure', error);
        this.reportBreakerRefusal(error, 'connect');
      }
      return false;
    }
    if (lifetime.aborted) return false;
    if (this.state === ConnectionState.CONNECTING) this.markConnected();
    return !lifetime.aborted;
  }

  /** Opens it, or throws. */
  async #openOnce(implementation: () => unknown, lifetime: Lifetime): Promise<void> {
    // A listener of the event may have closed it.
    lifetime.throwIfAborted();
    const opened = this.hasTransport ? await implementation() : await this.#openWithTimeout(implementation, lifetime);
    if (!opened) throw new Error('The connection was refused');
  }

  /** Returns the answer of `implementation` in time; closes what it opens too late. */
  async #openWithTimeout(implementation: () => unknown, lifetime: Lifetime): Promise<unknown> {
    let isWaiting = true;
    const open = async () => {
      const opened = await implementation();
      const isUnwanted = this.state === ConnectionState.DISCONNECTED || this.state === ConnectionState.ERROR;
      if (opened && !isWaiting && isUnwanted) await this.disconnectImpl();
      return opened;
    };
    try {
      const { timeout, connectionType } = this.config;
      return await withTimeout(timeout, [lifetime], open, () =>
        timeoutFailure('timeout', timeout, connectionType, 'connect'),
      );
    } finally {
      isWaiting = false;
    }
  }

  /** Ends the current lifetime, begins another, and closes what was open. */
  #endLifetime(implementation: () => unknown): Promise<boolean> {
    this.#check.stop();
    this.#opening.forget();
    const previous = this.#lifetime;
    this.#lifetime = new Lifetime();
    const fields = { service: this.config.connectionType, operation: 'disconnect', delivery: 'unknown' } as const;
    previous.abort(closedFailure('the connection was closed', fields));
    return this.#closing.run(() => this.#close(implementation));
  }

  async #close(implementation: () => unknown): Promise<boolean> {
    const open = this.state !== ConnectionState.DISCONNECTED;
    if (open) this.enter(ConnectionState.DISCONNECTING);
    let closed = false;
    let problem: unknown;
    try {
      closed = Boolean(await implementation());
    } catch (error) {
      problem = error;
      this.reportFailure(error, 'disconnect');
    }
    // An override may have called the base's method, which reported it.
    if (open && this.state === ConnectionState.DISCONNECTING) {
      this.enter(ConnectionState.DISCONNECTED);
      this.markClosed();
      this.connectionLog.audit('disconnect', closed ? 'success' : 'failure', problem);
    }
    if (this.state === ConnectionState.DISCONNECTED) this.markRetired();
    return closed;
  }

  async #runCheck(timeoutMs: number): Promise<ConnectionHealthCheck> {
    const startedAt = performance.now();
    let answer: boolean | Record<string, unknown> = false;
    let errorMessage = 'The connection is not healthy';
    try {
      const option = timeoutMs === this.config.healthCheckTimeout ? 'healthCheckTimeout' : 'timeoutMs';
      const timeoutError = () => new Error(`Health check timed out after ${timeoutMs}ms (${option})`);
      const check = (signal: AbortSignal) => this.healthCheckImpl(timeoutMs, signal);
      answer = await withTimeout(timeoutMs, [this.lifetime], check, timeoutError);
    } catch (error) {
      errorMessage = failureMessage(error);
    }
    const details = typeof answer === 'object' ? answer : undefined;
    const isHealthy = details ? details['isHealthy'] !== false : answer === true;
    return {
      connectionId: this.connectionId,
      timestamp: Date.now(),
      isHealthy,
      responseTime: performance.now() - startedAt,
      ...(!isHealthy && { errorMessage }),
      ...(details && { details }),
    };
  }

  /** Runs a check and records it, unless the connection was closed while it was under way. */
  async #runAndRecordCheck(check: () => unknown): Promise<ConnectionHealthCheck> {
    const { lifetime } = this;
    const startedAt = performance.now();
    const recordFailedCheck = (errorMessage: string) => {
      const result = failedCheck(this.connectionId, startedAt, errorMessage);
      if (!lifetime.aborted) this.recordCheck(result);
      return result;
    };
    try {
      const result: unknown = await check();
      if (typeof result !== 'object' || result === null)
        return recordFailedCheck('The health check returned no result');
      if (!lifetime.aborted) this.recordCheck(result as ConnectionHealthCheck);
      return result as ConnectionHealthCheck;
    } catch (error) {
      return recordFailedCheck(failureMessage(error));
    }
  }

  /** Whether the verb was overridden, so that only the override calls ours. */
  #isCalledByOverride(verb: 'connect' | 'disconnect'): boolean {
    return isOverridden(this, BaseConnection.prototype, verb);
  }

  static #onBreakerState(connection: BaseConnection, state: string, breaker: string): void {
    const data = { breaker };
    if (state === 'open') connection.emitEvent('circuit_breaker_opened', { severity: 'warning', data });
    if (state === 'closed') connection.emitEvent('circuit_breaker_closed', { severity: 'info', data });
  }
}
