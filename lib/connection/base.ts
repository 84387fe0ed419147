import { CircuitBreaker, type BreakerOptions } from '../breaker';
import { CircuitBreakerError, MoorlineError } from '../error';
import type { Guarded } from '../guard';
import { Policy, type PolicyOptions } from '../policy';
import { resolveConfig, type ConnectionConfig, type ResolvedConnectionConfig } from './config';
import { failureOf } from './failures';
import { ConnectionLife } from './life';
import { PeriodicCheck } from './periodic';
import { ConnectionState, ConnectionType, type ConnectionHealthCheck } from './state';

/** The cap of a retry's delay. */
const MAX_DELAY_MS = 30_000;

/**
 * What all connections have in common: state, health, events, figures, a circuit breaker, a rate limit and retries.
 * The verbs never reject: they give `false` or `null`, and an event carries the error.
 *
 * A connection of your own extends it with `sendImpl` and `receiveImpl`, and where it has more to do `connectImpl`,
 * `disconnectImpl`, `healthCheckImpl` and `isConnected`. They may throw. Overriding `connect`, `disconnect` or
 * `healthCheck` themselves works as well.
 */
export abstract class BaseConnection extends ConnectionLife {
  readonly #policy: Policy;
  /** The policy's breaker; its policy bounds attempts, which waiting for a message must not be. */
  readonly #breaker: CircuitBreaker | undefined;
  readonly #check: PeriodicCheck;
  #connecting: Promise<boolean> | undefined;
  /** How often it was told to close: a check that was under way then says nothing. */
  #closings = 0;

  /** @throws TypeError, RangeError for an option that is unknown, of the wrong type or out of range. */
  constructor(config: ConnectionConfig, type?: ConnectionType) {
    super(resolveConfig(config, type ?? config.connectionType ?? ConnectionType.EXTERNAL));
    const { healthCheckInterval, healthCheckTimeout } = this.config;
    this.#check = new PeriodicCheck(this.connectionId, healthCheckInterval, healthCheckTimeout + 1000);
    const breaker = breakerOptions(this.config);
    // Without a name of its own, so that its breaker goes with it: named ones stay for as long as the process.
    this.#policy = new Policy(policyOptions(this.config, breaker, this.hasTransport));
    if (breaker) {
      this.#breaker = new CircuitBreaker(this.#policy.name, breaker);
      this.#breaker.on('state', ({ to }) => this.#breakerIs(String(to)));
    }
    this.#adopt();
  }

  /** Opens it. True when it is open; false, with an event, when that failed. */
  async connect(): Promise<boolean> {
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #connect(): Promise<boolean> {
    if (this.state === ConnectionState.CONNECTED && (await this.isConnected())) return true;
    this.enter(ConnectionState.CONNECTING);
    try {
      if (!(await this.connectImpl())) throw new Error('The connection was refused');
    } catch (error) {
      // A disconnect that came meanwhile counts, and is why it failed.
      if (this.state !== ConnectionState.CONNECTING) return false;
      // An attempt that was refused is none: who answers each failure with another attempt is held up here.
      if (error instanceof CircuitBreakerError) this.enter(ConnectionState.ERROR);
      else this.connectFailed(error);
      return false;
    }
    if (this.state !== ConnectionState.CONNECTING) return false;
    this.connected();
    return true;
  }

  /** Closes it. What waits for a message gets `null`; doing it twice does no harm. */
  async disconnect(): Promise<boolean> {
    this.#check.stop();
    this.#closings += 1;
    const open = this.state !== ConnectionState.DISCONNECTED;
    if (open) this.enter(ConnectionState.DISCONNECTING);
    let closed: boolean;
    try {
      closed = await this.disconnectImpl();
    } catch (error) {
      this.failed(error, 'disconnect');
      closed = false;
    }
    if (open) {
      this.enter(ConnectionState.DISCONNECTED);
      this.closed();
      this.journal.audit('disconnect', closed ? 'success' : 'failure');
    }
    return closed;
  }

  /** Closes it, waits for `retryDelay`, and opens it again. */
  async reconnect(): Promise<boolean> {
    await this.disconnect();
    await new Promise((resolve) => setTimeout(resolve, this.config.retryDelay));
    return this.connect();
  }

  /** Whether it can be used now. */
  async isConnected(): Promise<boolean> {
    return this.isUsable;
  }

  /** Sends `data`. False when it could not be sent, was refused, or the circuit breaker is open. */
  async send(data: unknown): Promise<any> {
    return this.guarded('send', () => this.run(() => this.sendImpl(data)), false);
  }

  /** The next message; `null` when there is none to come. */
  async receive(): Promise<any> {
    if (this.isRefusing || !(await this.isConnected())) return null;
    // It may wait for as long as nothing comes.
    return this.guarded('receive', () => this.watched(() => this.receiveImpl()), null);
  }

  /** Asks whether it works, for at most `timeoutMs` (default `healthCheckTimeout`). Never rejects. */
  async healthCheck(timeoutMs: number = this.config.healthCheckTimeout): Promise<ConnectionHealthCheck> {
    const closings = this.#closings;
    const started = performance.now();
    let answer: boolean | Record<string, unknown>;
    let errorMessage: string | undefined;
    try {
      answer = await within(timeoutMs, (signal) => this.healthCheckImpl(timeoutMs, signal));
    } catch (error) {
      answer = false;
      errorMessage = failureOf(error).message;
    }
    const details = typeof answer === 'object' ? answer : undefined;
    const isHealthy = details ? details['isHealthy'] !== false : answer === true;
    const result: ConnectionHealthCheck = {
      connectionId: this.connectionId,
      timestamp: Date.now(),
      isHealthy,
      responseTime: performance.now() - started,
      ...(!isHealthy && { errorMessage: errorMessage ?? 'The connection is not healthy' }),
      ...(details && { details }),
    };
    if (closings === this.#closings) this.judge(result);
    return result;
  }

  /** Opens it; false or an error means that it could not be opened. */
  protected async connectImpl(): Promise<boolean> {
    return true;
  }

  /** Closes it. */
  protected async disconnectImpl(): Promise<boolean> {
    return true;
  }

  /** Sends `data`; false means that it was not sent, an error counts against the connection. */
  protected abstract sendImpl(data: unknown): Promise<unknown>;

  /** The next message. */
  protected abstract receiveImpl(): Promise<unknown>;

  /** Whether it works; an object adds details, and its `isHealthy: false` says no. */
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

  /** @internal Whether the circuit breaker lets nothing through. */
  protected get isRefusing(): boolean {
    return this.#breaker?.state === 'open';
  }

  /** @internal Takes note of how `call` ends; gives `failed` instead of an error. */
  protected async guarded<T, F>(
    context: string,
    call: () => Promise<T>,
    failed: F,
    signal?: AbortSignal,
  ): Promise<T | F> {
    const started = performance.now();
    try {
      const value = await call();
      this.record(started, value !== false);
      return value;
    } catch (error) {
      // A call that was refused, or given up, says nothing about the other side.
      if (error instanceof CircuitBreakerError || signal?.aborted) return failed;
      if (error instanceof MoorlineError && error.kind === 'rate-limited' && error.service === 'resilience') {
        this.emitEvent('rate_limited', { severity: 'warning', message: error.message, data: { context } });
        return failed;
      }
      this.record(started, false, error);
      this.failed(error, context);
      return failed;
    }
  }

  /** @internal Runs `work` under the policy. */
  protected run<T>(work: Guarded<T>, signal?: AbortSignal): Promise<T> {
    return this.#policy.run(work, { signal });
  }

  /** @internal Runs `work` under the circuit breaker alone: once, and for as long as it takes. */
  protected async watched<T>(work: () => Promise<T>): Promise<T> {
    return this.#breaker ? this.#breaker.run(work) : work();
  }

  /** @internal Goes over to `fallbackUrl`, where there is one and the connection knows how. */
  fallBack(_reason: string): void {}

  /** @internal It is open. */
  protected connected(): void {
    this.opened();
    if (this.config.monitoring) this.#check.start(() => this.healthCheck());
  }

  /** @internal It is open no more. */
  protected override closed(): void {
    this.#check.stop();
    super.closed();
  }

  /** @internal An attempt to open it failed. */
  protected connectFailed(error: unknown): void {
    this.enter(ConnectionState.ERROR);
    this.journal.audit('connect', 'failure');
    this.failed(error, 'connect');
  }

  #breakerIs(state: string): void {
    if (state === 'open') this.emitEvent('circuit_breaker_opened', { severity: 'warning' });
    if (state === 'closed') this.emitEvent('circuit_breaker_closed', { severity: 'info' });
  }

  /** State, health and events also for a class that overrides the verbs themselves. */
  #adopt(): void {
    const base = BaseConnection.prototype;
    if (this.connect !== base.connect) {
      this.#wrap('connect', async (own) => {
        this.enter(ConnectionState.CONNECTING);
        try {
          if (!(await own())) throw new Error('The connection was refused');
        } catch (error) {
          if (this.state === ConnectionState.CONNECTING) this.connectFailed(error);
          return false;
        }
        if (this.state === ConnectionState.CONNECTING) this.connected();
        return true;
      });
    }
    if (this.disconnect !== base.disconnect) {
      this.#wrap('disconnect', async (own) => {
        this.#check.stop();
        this.#closings += 1;
        const closed = await own().catch((error: unknown) => (this.failed(error, 'disconnect'), false));
        this.enter(ConnectionState.DISCONNECTED);
        return closed;
      });
    }
    if (this.healthCheck !== base.healthCheck) {
      this.#wrap('healthCheck', async (own) => {
        const result = await own();
        this.judge(result);
        return result;
      });
    }
  }

  #wrap<V extends 'connect' | 'disconnect' | 'healthCheck'>(
    verb: V,
    around: (own: () => ReturnType<BaseConnection[V]>) => ReturnType<BaseConnection[V]>,
  ): void {
    const own = this[verb] as (...args: unknown[]) => ReturnType<BaseConnection[V]>;
    const value = (...args: unknown[]) => around(() => own.apply(this, args));
    Object.defineProperty(this, verb, { value, writable: true, configurable: true });
  }
}

/** The policy of a connection: `retryCount` more attempts after the first, one breaker around calls. */
function policyOptions(
  config: Readonly<ResolvedConnectionConfig>,
  breaker: BreakerOptions | false,
  hasTransport: boolean,
): PolicyOptions {
  const excludedExceptions = hasTransport ? [isMistake] : undefined;
  return {
    timeoutMs: Infinity,
    attemptTimeoutMs: hasTransport ? Infinity : config.timeout,
    retry: config.autoRetry &&
      config.retryCount > 0 && {
        maxRetries: config.retryCount,
        baseDelayMs: config.retryDelay,
        maxDelayMs: Math.max(MAX_DELAY_MS, config.retryDelay),
        exponentialBase: config.backoffMultiplier,
        budget: false,
        retryableExceptions: [isRepeatable],
      },
    breaker: breaker && { ...breaker, counts: 'calls', excludedExceptions },
    rateLimit: config.rateLimit && {
      max: config.rateLimitRequests,
      windowMs: config.rateLimitWindow,
      maxWaitMs: config.timeout,
    },
  };
}

/** An error of somebody else's says nothing of whether a repeat would be safe, nor does an attempt that was cut off. */
function isRepeatable(error: unknown): boolean {
  if (!(error instanceof MoorlineError) || !error.retryable) return false;
  return error.service !== 'resilience' || error.delivery === 'none';
}

/** Of what a transport throws: a value that cannot be sent, which says nothing about the other side. */
function isMistake(error: unknown): boolean {
  return !(error instanceof MoorlineError);
}

function breakerOptions(config: Readonly<ResolvedConnectionConfig>): BreakerOptions | false {
  return (
    config.circuitBreaker && {
      failMax: config.circuitBreakerThreshold,
      resetTimeoutMs: config.circuitBreakerTimeout,
      probeTimeoutMs: config.timeout,
    }
  );
}

/** Runs `ask` for at most `ms`. */
async function within<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`Health check timed out after ${ms}ms`));
        controller.abort();
      }, ms);
      ask(controller.signal).then(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
  }
}
