import type { MoorlineError } from '../runtime/error';
import { messageOf } from '../runtime/error-message';
import { BaseConnection, type ConnectOptions } from './base';
import type { ConnectionConfig } from './config/config';
import { DEFAULTS } from './config/defaults';
import { isFinished, notOpenFailure } from './error';
import { Fallback } from './recovery/fallback';
import { checkMessageOptions, MessageQueue, type MessageOptions } from './messages/message-queue';
import type { LiveTransport, TransportEnd, TransportListener } from './live-transport';
import { MessageIterator } from './messages/message-iterator';
import { listenerWatcher, type MessageEventName, type Listener } from './messages/message-listeners';
import { MessageHandlers, type MessageHandlerOptions } from './messages/message-handlers';
import { Reconnection, type PauseFacts } from './recovery/reconnection';
import type { Abortable } from '../runtime/abort';
import { KeepAlive } from '../runtime/timers';
import { ConnectionHealth, ConnectionState, RecoveryStrategy, type ConnectionType } from './model';

type AnyConnection = PersistentConnection<any, any>;

/** The events of a persistent connection; a listener of `message` is called like a handler of `onMessage`. */
export interface PersistentConnection<Message, Parsed> {
  on<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  addListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  prependListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  once<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  prependOnceListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  off<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
  removeListener<Name>(event: Name | MessageEventName, listener: Listener<Name, Parsed>): this;
}

/**
 * A connection that stays open and receives messages. When it is lost it is opened again, with growing delays and full
 * jitter, and at `fallbackUrl` where `url` cannot be reached.
 *
 * Messages are queued in order until they are received; when a thousand are queued, the server has to wait.
 */
export abstract class PersistentConnection<Message, Parsed = Message>
  extends BaseConnection
  implements AsyncIterable<Parsed>
{
  readonly #queue: MessageQueue<Message>;
  readonly #onMessage: MessageHandlers<Parsed>;
  readonly #reconnection: Reconnection<PersistentConnection<Message, Parsed>>;
  readonly #fallback: Fallback<PersistentConnection<Message, Parsed>>;
  /** The open transport. Calls of any other one are ignored. */
  #liveTransport: LiveTransport | undefined;
  #lastTransport: LiveTransport | undefined;
  /** Wakes the iterators that wait for a connection. */
  #wakeIterators: Set<() => void> | undefined;
  /** The reason why nothing is open and nothing will be: the error that iterating ends with, if it is one. */
  #endReason: 'unopened' | 'finished' | { error: unknown } = 'unopened';
  #isReferenced = true;
  /** Keeps the process alive while no transport can. */
  readonly #keepAlive = new KeepAlive();

  constructor(config: ConnectionConfig, type: ConnectionType) {
    super(config, type);
    const onFullChange = () => this.#applyBackpressure();
    this.#queue = new MessageQueue(DEFAULTS.queuedMessages, onFullChange, () => this.#updateKeepAlive());
    this.#onMessage = new MessageHandlers(this.handlerOwner, DEFAULTS.queuedMessages, onFullChange);
    this.#reconnection = new Reconnection(this as PersistentConnection<Message, Parsed>, PersistentConnection.#hooks);
    this.#fallback = new Fallback(this as PersistentConnection<Message, Parsed>, PersistentConnection.#hooks.probe);
    PersistentConnection.#watchListeners(this);
  }

  /** What others do with a connection: made once, not for each of them. */
  static readonly #hooks = {
    open: (connection: AnyConnection, failures: number, signal: AbortSignal) => connection.#reopen(failures, signal),
    onPause: (connection: AnyConnection, facts: PauseFacts) => connection.reportRetry(facts),
    probe: (connection: AnyConnection, url: string, signal: AbortSignal) => connection.#probe(url, signal),
  };
  static readonly #listener: TransportListener<any> = {
    onMessages: (connection: AnyConnection, ...received) => connection.#receive(...received),
    onParsed: (connection: AnyConnection, ...received) => connection.#receiveParsed(...received),
    onLost(connection: AnyConnection, transport, error, end) {
      if (!transport.isTaken) transport.loss = error;
      else if (transport === connection.#liveTransport) connection.#onLost(error, end);
    },
  };
  static readonly #watchListeners = listenerWatcher((connection: AnyConnection, listeners) =>
    connection.#subscribe(connection.#onMessage.addGroup(listeners)),
  );

  override async isConnected(): Promise<boolean> {
    return this.#liveTransport !== undefined;
  }

  /** Returns the next message, or `null` when the connection has ended, ends first, or nothing arrives in time. */
  override async receive(options?: MessageOptions): Promise<Parsed | null> {
    checkMessageOptions(options);
    const ready = this.#queue.poll();
    if (ready !== undefined) return this.parse(ready);
    if (!this.#liveTransport) return null;
    const refuse = () => this.connectionPolicies.runUnderBreaker(async () => null);
    if (this.connectionPolicies.isRefusing) return this.recordOutcome('receive', refuse, null);
    const message = await this.#queue.take(options);
    return message === null ? null : this.parse(message);
  }

  /**
   * Subscribes to every message from now on, instead of `receive`; returns a function that unsubscribes. The handler gets a
   * message when the promise that it returned for the one before is settled, or sooner with `concurrency`.
   *
   * A subscription keeps the process alive while the connection is open or being reopened, unless `unref` was called.
   */
  onMessage(handler: (message: Parsed) => unknown, options?: MessageHandlerOptions): () => void {
    return this.#subscribe(this.#onMessage.add(handler, options));
  }

  /** Registers a handler that `remove` takes off again. */
  #subscribe(remove: () => void): () => void {
    this.#applyBackpressure();
    this.#updateKeepAlive();
    return () => {
      remove();
      this.#applyBackpressure();
      this.#updateKeepAlive();
    };
  }

  /** Lets the process exit although a `receive`, a loop or a subscription waits for messages. */
  unref(): this {
    this.#isReferenced = false;
    this.#updateKeepAlive();
    return this;
  }

  /** Undoes `unref`: a `receive`, a loop or a subscription that waits for messages keeps the process alive. */
  ref(): this {
    this.#isReferenced = true;
    this.#updateKeepAlive();
    return this;
  }

  /**
   * Iterates over the messages, through losses and reconnections. The loop ends with `disconnect`, and when the server
   * ends the connection properly; it rejects with the reason when the connection was never opened, or is given up.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined> {
    const [poll, next] = [() => this.#queue.poll(), () => this.#next()];
    return new MessageIterator(poll, next, (message) => this.parse(message));
  }

  /** The next message of this connection or one that comes after it; `null` when it has come to its end. */
  async #next(): Promise<Message | null> {
    for (;;) {
      const message = this.#liveTransport ? await this.#queue.take() : null;
      if (message !== null) return message;
      if (this.#liveTransport) continue;
      if (!this.#isOpening && this.#endReason === 'finished') return null;
      if (!this.#isOpening) throw typeof this.#endReason === 'object' ? this.#endReason.error : this.notOpen('receive');
      await new Promise<void>((resolve) => {
        (this.#wakeIterators ??= new Set()).add(resolve);
        this.#updateKeepAlive();
      });
    }
  }

  /** Whether a transport is being opened. */
  get #isOpening(): boolean {
    return this.#reconnection.running || this.state === ConnectionState.CONNECTING;
  }

  /** @internal The error of `operation` while nothing is open; its cause is why not, where that was an error. */
  protected notOpen(operation: string): MoorlineError {
    const isNew = this.#endReason === 'unopened' && !this.#isOpening;
    const cause = typeof this.#endReason === 'object' ? this.#endReason.error : undefined;
    return notOpenFailure(isNew ? undefined : this.state, this.config.connectionType, operation, cause);
  }

  /** Keeps the process alive while a message is waited for and may still come. */
  #updateKeepAlive(): void {
    const hasHandlers = this.#isReferenced && this.#onMessage.size > 0;
    this.#liveTransport?.setReferenced(hasHandlers || (this.#isReferenced && this.#queue.hasWaiters));
    const isNeeded = hasHandlers || (this.#isReferenced && Boolean(this.#wakeIterators?.size));
    this.#keepAlive.set(isNeeded && !this.#liveTransport && this.#isOpening);
  }

  /** @internal */
  protected override get hasTransport(): boolean {
    return true;
  }

  /** @internal */
  protected override get printable(): object {
    return { ...super.printable, queued: this.#queue.size };
  }

  /** @internal The open transport, if there is one. */
  protected get liveTransport(): LiveTransport | undefined {
    return this.#liveTransport;
  }

  /** @internal The transport that is open, or was open last. */
  protected get lastTransport(): LiveTransport | undefined {
    return this.#lastTransport;
  }

  /** @internal */
  override fallBack(reason: string): void {
    this.#fallback.activate(reason);
  }

  /** @internal Opens a transport to `url`, which calls `listener` from then on. */
  protected abstract open(url: string, signal: Abortable, listener: TransportListener<Message>): Promise<LiveTransport>;

  /** @internal The value that `receive` returns for a message. */
  protected abstract parse(message: Message): Parsed;

  /** @internal */
  protected abstract override messageBytes(message: unknown): number;

  /** @internal Called with messages before any handler gets them. */
  protected onReceived(_messages: readonly Message[]): void {}

  /** @internal Called when the handlers of `onMessage` were given a message; `succeeded`: none of them failed. */
  protected onHandled(_message: Message, _succeeded: boolean | Promise<boolean>): void {}

  /** Rejects: a class that sends overrides it. */
  protected override async sendImpl(_data: unknown): Promise<unknown> {
    throw this.notOpen('send');
  }

  protected override async receiveImpl(): Promise<unknown> {
    throw this.notOpen('receive');
  }

  protected override async connectImpl({ retry }: ConnectOptions = {}): Promise<boolean> {
    if (this.#liveTransport) return true;
    const { lifetime, connectionPolicies: policies } = this;
    // A reconnection and a connect must not open it at the same time.
    const wasReconnecting = this.#reconnection.running;
    this.#reconnection.stop();
    const open = () => this.#open(this.#fallback.currentUrl, lifetime);
    const openByOptions = () => (retry ? this.openWithRetries(open, lifetime) : open());
    try {
      await (this.#fallback.available ? policies.run(open) : policies.runUnderBreaker(openByOptions));
    } catch (error) {
      if (await this.#openFallback(error, lifetime)) return true;
      if (!lifetime.aborted) this.#endReason = { error };
      if (wasReconnecting && !lifetime.aborted) this.#recover(error).catch(() => undefined);
      else this.#fallback.reset();
      throw error;
    }
    return true;
  }

  /** Goes over to the other address, if there is one and `lifetime` goes on. */
  async #openFallback(error: unknown, lifetime: Abortable): Promise<boolean> {
    if (lifetime.aborted || !this.#fallback.available) return false;
    this.#fallback.activate(messageOf(error));
    try {
      await this.#open(this.#fallback.currentUrl, lifetime);
      return true;
    } catch (error) {
      if (!lifetime.aborted) this.reportFailure(error, 'fallback');
      return false;
    }
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#reconnection.stop();
    this.#fallback.reset();
    const liveTransport = this.#liveTransport;
    this.#liveTransport = undefined;
    this.#endReason = 'finished';
    this.#queue.end();
    this.#updateKeepAlive();
    await liveTransport?.close();
    return true;
  }

  protected override async healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean> {
    if (await this.isConnected()) return true;
    // A reconnection and a connect must not open it at the same time.
    return !this.#reconnection.running && this.connect();
  }

  /** @internal */
  protected override enter(state: ConnectionState, error?: unknown): void {
    super.enter(state, error);
    this.#wakeAll();
  }

  #receive(transport: LiveTransport, messages: readonly Message[]): void {
    if (transport.isTaken && transport !== this.#liveTransport) return;
    this.onReceived(messages);
    for (let index = 0; index < messages.length; index++) {
      // A handler may have been removed, also by the message before.
      if (this.#onMessage.size === 0) return this.#queue.put(index === 0 ? messages : messages.slice(index));
      let succeeded: boolean | Promise<boolean> = false;
      try {
        succeeded = this.#onMessage.dispatch(this.parse(messages[index]!));
      } catch (error) {
        // A subclass may parse in its own way.
        this.reportFailure(error, 'message');
      }
      this.onHandled(messages[index]!, succeeded);
    }
  }

  #receiveParsed(transport: LiveTransport, values: readonly unknown[], messages: () => readonly Message[]): void {
    if (transport.isTaken && transport !== this.#liveTransport) return;
    for (let index = 0; index < values.length; index++) {
      if (this.#onMessage.size === 0) return this.#queue.put(messages().slice(index));
      this.#onMessage.dispatch(values[index] as Parsed);
    }
  }

  /** The transport ended by itself. A listener of that may close the connection, which then stays closed. */
  #onLost(error: MoorlineError, { isFinal, isNormal }: TransportEnd): void {
    const { lifetime } = this;
    this.#liveTransport = undefined;
    this.#endReason = isNormal ? 'finished' : { error };
    this.#queue.end();
    this.markClosed();
    this.reportFailure(error, 'connection');
    if (lifetime.aborted) return;
    const strategy = this.config.recoveryStrategy;
    const degrades = strategy === RecoveryStrategy.GRACEFUL_DEGRADATION;
    if (degrades) this.setHealth(ConnectionHealth.DEGRADED);
    const staysClosed = isFinal || degrades || !this.config.autoReconnect || strategy === RecoveryStrategy.NONE;
    if (staysClosed) this.#reconnection.stop();
    if (!lifetime.aborted) this.enter(staysClosed ? ConnectionState.DISCONNECTED : ConnectionState.ERROR, error);
    if (staysClosed || lifetime.aborted) return;
    if (strategy === RecoveryStrategy.FALLBACK) this.#fallback.activate(error.message);
    if (!lifetime.aborted) this.#recover(error).catch(() => undefined);
  }

  /** Brings it back, or gives it up. Never rejects. */
  async #recover(loss: unknown): Promise<void> {
    const recovering = this.#reconnection.recover(loss);
    this.#updateKeepAlive();
    try {
      await recovering;
    } catch (error) {
      // Every attempt was reported already.
      this.#fallback.reset();
      this.#endReason = isFinished(error) ? 'finished' : { error };
      this.enter(ConnectionState.DISCONNECTED, error);
    }
    this.#wakeAll();
  }

  async #reopen(failures: number, signal: AbortSignal): Promise<void> {
    if (failures >= this.config.retryCount && this.#fallback.available) {
      this.#fallback.activate(`${failures} attempts to reconnect failed`);
    }
    this.enter(ConnectionState.CONNECTING);
    try {
      await this.#open(this.#fallback.currentUrl, signal);
    } catch (error) {
      if (!signal.aborted) this.reportConnectFailure(error);
      throw error;
    }
    this.markConnected();
    if (!signal.aborted) this.emitEvent('reconnected');
  }

  /** Opens one and takes it into use, unless it is not wanted any more. */
  async #open(url: string, signal: Abortable, isWanted = () => true): Promise<LiveTransport | undefined> {
    const liveTransport = await this.open(url, signal, PersistentConnection.#listener);
    liveTransport.isTaken = true;
    if (liveTransport.loss) throw liveTransport.loss;
    if (signal.aborted || !isWanted()) {
      void liveTransport.close().catch(() => undefined);
      signal.throwIfAborted();
      return undefined;
    }
    const previous = this.#liveTransport;
    this.#liveTransport = this.#lastTransport = liveTransport;
    this.#applyBackpressure();
    this.#updateKeepAlive();
    void previous?.close().catch(() => undefined);
    // A probe may have gone back to the first address meanwhile.
    if (url === this.config.fallbackUrl) this.#fallback.activate('the connection now uses fallbackUrl');
    return liveTransport;
  }

  /** Whether `url` can be reached again; the new transport takes the place of the one to the other address. */
  async #probe(url: string, signal: AbortSignal): Promise<boolean> {
    // A reconnection that is under way tries it by itself.
    await this.#open(url, signal, () => this.#liveTransport !== undefined);
    return true;
  }

  /** Pauses the transport while received messages are not taken. */
  #applyBackpressure(): void {
    const isFull = this.#onMessage.size === 0 ? this.#queue.isFull : this.#onMessage.isFull;
    this.#liveTransport?.setHasHandlers(this.#onMessage.size > 0);
    if (isFull) this.#liveTransport?.pause();
    else this.#liveTransport?.resume();
  }

  #wakeAll(): void {
    for (const wake of this.#wakeIterators ?? []) wake();
    this.#wakeIterators = undefined;
    this.#updateKeepAlive();
  }
}
