import { CircuitBreakerError, closedFailure, MoorlineError } from '../runtime/error';
import { makeAbortController, performance } from '../runtime/node';
import type { Guarded, GuardRules } from '../resilience/runner';
import { invalidType, numberMistake } from '../runtime/argument-error';
import { readable } from '../runtime/error-message';
import { checkOptions, type KnownOptions } from '../runtime/known-options';
import { isAborted } from '../runtime/abort';
import { wrapOverrides, isOpen, isOverridden } from './overrides';
import type { Attempts } from './recovery/attempts';
import { recoveryRunner, ConnectionPolicies } from './policies';
import { resolveConfig, type ConnectionConfig } from './config/config';
import { failedCheck, lateFailure, reasonFor } from './error';
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

const CONNECT: KnownOptions<ConnectOptions> = { retry: true };

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
 *
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
  readonly #calls: ConnectionPolicies;
  readonly #check: PeriodicCheck;
  readonly #opening = new SingleFlight<boolean>();
  readonly #closing = new SingleFlight<boolean>();
  /** Ends with the next `disconnect`, and with it all that was begun and waits for something. */
  #life = makeAbortController();

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: ConnectionConfig, type?: ConnectionType) {
    super(resolveConfig(config, type));
    const { healthCheckInterval, healthCheckTimeout } = this.config;
    this.#check = new PeriodicCheck(this.connectionId, healthCheckInterval, healthCheckTimeout + 1000);
    this.#calls = new ConnectionPolicies(this.config, this.hasTransport, {
      until: () => this.lifetime,
      onRetry: (facts) => this.retrying(facts),
    });
    this.#calls.watch(this, BaseConnection.#breakerIs);
    if (this.hasTransport) this.journal.begun();
    wrapOverrides(this, BaseConnection.prototype, {
      connect: (own) => this.#opening.run(() => this.#open(own)),
      disconnect: (own) => this.#end(own),
      healthCheck: (own) => this.#judged(own),
    });
  }

  /**
   * Opens the connection. Returns true when it is open, or false, with an event, when that failed. `{ retry: true }`
   * repeats an attempt that may succeed later, with `retryCount`, `retryDelay` and `backoffMultiplier`.
   */
  async connect(options: ConnectOptions = {}): Promise<boolean> {
    checkOptions('options', options, CONNECT);
    const { retry = false } = options;
    if (typeof retry !== 'boolean') throw invalidType('options.retry', 'a boolean', retry);
    const once = () => this.connectImpl({ retry });
    // A transport of ours tells its own failures from the breaker's, and repeats by itself.
    const repeats = retry && !this.hasTransport;
    const open = () => this.#open(once, repeats);
    return this.#isCalledByOverride('connect') ? open() : this.#opening.run(open);
  }

  /** Closes the connection. A `receive` that waits returns `null`. A second call has no effect. */
  async disconnect(): Promise<boolean> {
    const own = () => this.disconnectImpl();
    return this.#isCalledByOverride('disconnect') ? this.#close(own) : this.#end(own);
  }

  /** Closes the connection, waits for `retryDelay`, and opens it again. Returns false when it is closed meanwhile. */
  async reconnect(): Promise<boolean> {
    return this.restart(() => sleep(this.config.retryDelay, this.lifetime));
  }

  /** @internal Closes it, and opens it again after `between`, unless somebody closes it meanwhile. */
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
    const send = (attempts: Attempts) => {
      attempts.bytes = this.messageBytes(data);
      return this.run(() => attempts.time(() => this.sendImpl(data)));
    };
    return this.recordOutcome('send', send, false);
  }

  /** Returns the next message, or `null` when there will be none. */
  async receive(): Promise<any> {
    const { lifetime } = this;
    if (!(await isOpen(this)) || lifetime.aborted) return null;
    // It may wait for as long as nothing comes, but not longer than the connection.
    const next = () => withTimeout(Infinity, [lifetime], () => this.receiveImpl());
    return this.recordOutcome('receive', () => this.runUnderBreaker(next, lifetime), null);
  }

  /** Checks whether the connection works, within `timeoutMs` (default: `healthCheckTimeout`). Never rejects. */
  async healthCheck(timeoutMs: number = this.config.healthCheckTimeout): Promise<ConnectionHealthCheck> {
    const mistake = timeMistake(timeoutMs);
    // The caller's mistake says nothing about the connection.
    if (mistake) return failedCheck(this.connectionId, performance.now(), mistake.message);
    return this.#judged(() => this.#examine(timeoutMs));
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
  get lifetime(): AbortSignal {
    return this.#life.signal;
  }

  /** @internal Whether the circuit breaker lets nothing through. */
  protected get isRefusing(): boolean {
    return this.#calls.isRefusing;
  }

  /** @internal The bytes of a message, where that is known. */
  protected messageBytes(_message: unknown): number | undefined {
    return undefined;
  }

  /** @internal Records the outcome of `call`; returns `failed` instead of an error. */
  protected async recordOutcome<T, F>(
    context: string,
    call: (attempts: Attempts) => Promise<T>,
    failed: F,
    signal?: AbortSignal,
  ): Promise<T | F> {
    const { lifetime } = this;
    const attempts = this.beginCall();
    try {
      const value = await call(attempts);
      this.record(attempts, value !== false && !attempts.isUnhappy);
      return value;
    } catch (thrown) {
      const error = readable(thrown);
      // A call that was refused, or given up, says nothing about the other side.
      if (isAborted(signal) || (lifetime.aborted && error === lifetime.reason)) return failed;
      if (error instanceof CircuitBreakerError) {
        this.heldBack(error, context);
        return failed;
      }
      if (error instanceof MoorlineError && error.kind === 'rate-limited' && error.service === 'resilience') {
        this.emitEvent('rate_limited', { severity: 'warning', message: error.message, data: { context } });
        return failed;
      }
      // The caller's mistake says nothing about the other side.
      if (!this.hasTransport || error instanceof MoorlineError) this.record(attempts, false, error);
      this.failed(error, context);
      return failed;
    }
  }

  /** @internal Runs `work` under the policy. */
  protected run<T>(work: Guarded<T>, signal?: AbortSignal, timeoutMs?: number): Promise<T> {
    return this.#calls.run(work, signal, timeoutMs);
  }

  /** @internal Runs `work` under the circuit breaker alone: once, and for as long as it takes. */
  protected runUnderBreaker<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return this.#calls.runUnderBreaker(work, signal);
  }

  /** @internal Repeats what opens it until that succeeds, `retryCount` times at most; `life` ends it. */
  protected repeated<T>(open: () => Promise<T>, life: AbortSignal): Promise<T> {
    const rules: GuardRules = { onRetry: (facts) => this.retrying(facts) };
    return recoveryRunner('connect', this.config, rules).run(open, life);
  }

  /** @internal Goes over to `fallbackUrl`, where there is one and the connection knows how. */
  fallBack(_reason: string): void {}

  /** @internal Called when it is open. */
  protected connected(): void {
    const { lifetime } = this;
    this.opened();
    // Who heard of it may have closed it.
    if (this.config.monitoring && !lifetime.aborted) this.#check.start(() => this.healthCheck());
  }

  /** @internal Called when it is open no more. */
  protected override closed(): void {
    this.#check.stop();
    super.closed();
  }

  /** @internal An attempt to open it failed. */
  protected connectFailed(error: unknown): void {
    this.enter(ConnectionState.ERROR, error);
    this.journal.audit('connect', 'failure', error);
    this.failed(error, 'connect');
  }

  /** Opens it by `own`; a `disconnect` that comes meanwhile counts. */
  async #open(own: () => unknown, repeats = false): Promise<boolean> {
    const { lifetime } = this;
    if (this.#closing.running) await this.#closing.running;
    if (this.state === ConnectionState.CONNECTED && (await isOpen(this))) return !lifetime.aborted;
    if (lifetime.aborted) return false;
    this.enter(ConnectionState.CONNECTING);
    try {
      const once = () => this.#opened(own, lifetime);
      await (repeats ? this.repeated(once, lifetime) : once());
    } catch (thrown) {
      const error = readable(thrown);
      // An override may have called ours, which told of it.
      if (lifetime.aborted || this.state !== ConnectionState.CONNECTING) return false;
      if (!(error instanceof CircuitBreakerError)) this.connectFailed(error);
      else {
        // An attempt that was refused is none: who answers each failure with another attempt is held up here.
        this.enter(ConnectionState.ERROR, error);
        this.journal.audit('connect', 'failure', error);
        this.heldBack(error, 'connect');
      }
      return false;
    }
    if (lifetime.aborted) return false;
    if (this.state === ConnectionState.CONNECTING) this.connected();
    return !lifetime.aborted;
  }

  /** Opens it, or throws. */
  async #opened(own: () => unknown, life: AbortSignal): Promise<void> {
    // Who heard of it may have closed it.
    life.throwIfAborted();
    const opened = this.hasTransport ? await own() : await this.#bounded(own, life);
    if (!opened) throw new Error('The connection was refused');
  }

  /** Returns the answer of `own` in time; closes what it opens too late. */
  async #bounded(own: () => unknown, life: AbortSignal): Promise<unknown> {
    let waiting = true;
    const open = async () => {
      const opened = await own();
      const unwanted = this.state === ConnectionState.DISCONNECTED || this.state === ConnectionState.ERROR;
      if (opened && !waiting && unwanted) await this.disconnectImpl();
      return opened;
    };
    try {
      const { timeout, connectionType } = this.config;
      return await withTimeout(timeout, [life], open, () => lateFailure('timeout', timeout, connectionType, 'connect'));
    } finally {
      waiting = false;
    }
  }

  /** Begins another life, and closes what was open in the one before. */
  #end(own: () => unknown): Promise<boolean> {
    this.#check.stop();
    this.#opening.forget();
    const before = this.#life;
    this.#life = makeAbortController();
    const fields = { service: this.config.connectionType, operation: 'disconnect', delivery: 'unknown' } as const;
    before.abort(closedFailure('the connection was closed', fields));
    return this.#closing.run(() => this.#close(own));
  }

  async #close(own: () => unknown): Promise<boolean> {
    const open = this.state !== ConnectionState.DISCONNECTED;
    if (open) this.enter(ConnectionState.DISCONNECTING);
    let closed = false;
    let problem: unknown;
    try {
      closed = Boolean(await own());
    } catch (error) {
      problem = error;
      this.failed(error, 'disconnect');
    }
    // An override may have called ours, which told of it.
    if (open && this.state === ConnectionState.DISCONNECTING) {
      this.enter(ConnectionState.DISCONNECTED);
      this.closed();
      this.journal.audit('disconnect', closed ? 'success' : 'failure', problem);
    }
    if (this.state === ConnectionState.DISCONNECTED) this.retire();
    return closed;
  }

  async #examine(timeoutMs: number): Promise<ConnectionHealthCheck> {
    const started = performance.now();
    let answer: boolean | Record<string, unknown> = false;
    let errorMessage = 'The connection is not healthy';
    try {
      const option = timeoutMs === this.config.healthCheckTimeout ? 'healthCheckTimeout' : 'timeoutMs';
      const late = () => new Error(`Health check timed out after ${timeoutMs}ms (${option})`);
      answer = await withTimeout(timeoutMs, [this.lifetime], (signal) => this.healthCheckImpl(timeoutMs, signal), late);
    } catch (error) {
      errorMessage = reasonFor(error);
    }
    const details = typeof answer === 'object' ? answer : undefined;
    const isHealthy = details ? details['isHealthy'] !== false : answer === true;
    return {
      connectionId: this.connectionId,
      timestamp: Date.now(),
      isHealthy,
      responseTime: performance.now() - started,
      ...(!isHealthy && { errorMessage }),
      ...(details && { details }),
    };
  }

  /** Records a check, unless the connection was closed while it was under way. */
  async #judged(check: () => unknown): Promise<ConnectionHealthCheck> {
    const { lifetime } = this;
    const started = performance.now();
    const failed = (errorMessage: string) => {
      const result = failedCheck(this.connectionId, started, errorMessage);
      if (!lifetime.aborted) this.recordCheck(result);
      return result;
    };
    try {
      const result: unknown = await check();
      if (typeof result !== 'object' || result === null) return failed('The health check gave no result');
      if (!lifetime.aborted) this.recordCheck(result as ConnectionHealthCheck);
      return result as ConnectionHealthCheck;
    } catch (error) {
      return failed(reasonFor(error));
    }
  }

  /** Whether the verb was overridden, so that only the override calls ours. */
  #isCalledByOverride(verb: 'connect' | 'disconnect'): boolean {
    return isOverridden(this, BaseConnection.prototype, verb);
  }

  static #breakerIs(connection: BaseConnection, state: string, breaker: string): void {
    const data = { breaker };
    if (state === 'open') connection.emitEvent('circuit_breaker_opened', { severity: 'warning', data });
    if (state === 'closed') connection.emitEvent('circuit_breaker_closed', { severity: 'info', data });
  }
}

function timeMistake(given: unknown): Error | undefined {
  return numberMistake('timeoutMs', given, (ms) => ms >= 1, '≥ 1');
}
