import type { MoorlineError } from '../runtime/error';
import { messageOf } from '../runtime/error-message';
import { BaseConnection, type ConnectOptions } from './base';
import type { ConnectionConfig } from './config/config';
import { DEFAULTS } from './config/defaults';
import { isFinished, notOpenFailure } from './error';
import { Fallback } from './recovery/fallback';
import { checkMessageOptions, MessageQueue, type MessageOptions } from './messages/message-queue';
import type { LiveTransport, LineEnd, TransportListener } from './live-transport';
import { hearListeners, type HeardEvent, type Listener } from './messages/message-listeners';
import { MessageHandlers, type MessageHandlerOptions } from './messages/message-handlers';
import { Reconnection } from './recovery/reconnection';
import { KeepAlive } from '../runtime/timers';
import { ConnectionHealth, ConnectionState, RecoveryStrategy, type ConnectionType } from './model';

/** The events of a persistent connection; a listener of `message` is called like a handler of `onMessage`. */
export interface PersistentConnection<Message, Parsed> {
  on<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  addListener<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  prependListener<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  once<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  prependOnceListener<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  off<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
  removeListener<Name>(event: Name | HeardEvent, listener: Listener<Name, Parsed>): this;
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
  readonly #inbox: MessageQueue<Message>;
  readonly #onMessage: MessageHandlers<Parsed>;
  readonly #reconnection: Reconnection;
  readonly #fallback: Fallback;
  /** The one that is open. What any other tells is not heard. */
  #line: LiveTransport | undefined;
  #last: LiveTransport | undefined;
  /** Wakes the iterators that wait for a connection. */
  readonly #changed = new Set<() => void>();
  /** The reason why nothing is open and nothing will be: the error that iterating ends with, if it is one. */
  #end: 'unopened' | 'finished' | { error: unknown } = 'unopened';
  #isReferenced = true;
  /** Keeps the process alive while no line can. */
  readonly #alive = new KeepAlive();

  constructor(config: ConnectionConfig, type: ConnectionType) {
    super(config, type);
    const [regulate, waiting] = [() => this.#regulate(), () => this.#hold()];
    this.#inbox = new MessageQueue(DEFAULTS.queuedMessages, { full: regulate, room: regulate, waiting });
    this.#onMessage = new MessageHandlers(this.handlerOwner, DEFAULTS.queuedMessages, regulate);
    this.#reconnection = new Reconnection(this.config, {
      open: (failures, signal) => this.#reopen(failures, signal),
      onPause: (facts) => this.retrying(facts),
    });
    hearListeners(this, (listeners) => this.#subscribe(this.#onMessage.addGroup(listeners)));
    const probe = (url: string, signal: AbortSignal) => this.#probe(url, signal);
    this.#fallback = new Fallback(this.connectionId, this.config, probe, this.emitEvent.bind(this));
  }

  override async isConnected(): Promise<boolean> {
    return this.#line !== undefined;
  }

  /** Returns the next message, or `null` when the connection has ended, ends first, or nothing arrives in time. */
  override async receive(options?: MessageOptions): Promise<Parsed | null> {
    checkMessageOptions(options);
    const ready = this.#inbox.poll();
    if (ready !== undefined) return this.parse(ready);
    if (!this.#line) return null;
    if (this.isRefusing) return this.recordOutcome('receive', () => this.runUnderBreaker(async () => null), null);
    const message = await this.#inbox.take(options);
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
    this.#regulate();
    this.#hold();
    return () => {
      remove();
      this.#regulate();
      this.#hold();
    };
  }

  /** Lets the process exit although a `receive`, a loop or a subscription waits for messages. */
  unref(): this {
    this.#isReferenced = false;
    this.#hold();
    return this;
  }

  /** Undoes `unref`: a `receive`, a loop or a subscription that waits for messages keeps the process alive. */
  ref(): this {
    this.#isReferenced = true;
    this.#hold();
    return this;
  }

  /**
   * Iterates over the messages, through losses and reconnections. The loop ends with `disconnect`, and when the server
   * ends the connection properly; it rejects with the reason when the connection was never opened, or is given up.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined> {
    for (;;) {
      const message = this.#inbox.poll() ?? (await this.#next());
      if (message === null) return;
      yield this.parse(message);
    }
  }

  /** The next message of this connection or one that comes after it; `null` when it has come to its end. */
  async #next(): Promise<Message | null> {
    for (;;) {
      const message = this.#line ? await this.#inbox.take() : null;
      if (message !== null) return message;
      if (this.#line) continue;
      if (!this.#isComing) return this.#ended();
      await new Promise<void>((resolve) => {
        this.#changed.add(resolve);
        this.#hold();
      });
    }
  }

  /** Whether a line that is not open is on its way. */
  get #isComing(): boolean {
    return this.#reconnection.running || this.state === ConnectionState.CONNECTING;
  }

  #ended(): null {
    if (this.#end === 'finished') return null;
    if (this.#end !== 'unopened') throw this.#end.error;
    throw this.notOpen('receive');
  }

  /** @internal The error of `operation` while nothing is open; its cause is why not, where that was an error. */
  protected notOpen(operation: string): MoorlineError {
    const isNew = this.#end === 'unopened' && !this.#isComing;
    const why = typeof this.#end === 'object' ? this.#end.error : undefined;
    return notOpenFailure(isNew ? undefined : this.state, this.config.connectionType, operation, why);
  }

  /** Keeps the process alive while a message may come that somebody waits for. */
  #hold(): void {
    const isHeard = this.#isReferenced && this.#onMessage.size > 0;
    this.#line?.keep(isHeard || (this.#isReferenced && this.#inbox.hasWaiters));
    const isExpected = isHeard || (this.#isReferenced && this.#changed.size > 0);
    this.#alive.set(isExpected && !this.#line && this.#isComing);
  }

  /** @internal */
  protected override get hasTransport(): boolean {
    return true;
  }

  /** @internal */
  protected override get shown(): object {
    return { ...super.shown, queued: this.#inbox.size };
  }

  /** @internal The open transport, if there is one. */
  protected get line(): LiveTransport | undefined {
    return this.#line;
  }

  /** @internal The transport that is open, or was open last. */
  protected get last(): LiveTransport | undefined {
    return this.#last;
  }

  /** @internal */
  override fallBack(reason: string): void {
    this.#fallback.activate(reason);
  }

  /** @internal Opens one at `url`, which tells `listener` of itself from then on. */
  protected abstract open(
    url: string,
    signal: AbortSignal,
    listener: TransportListener<Message>,
  ): Promise<LiveTransport>;

  /** @internal The value that `receive` returns for a message. */
  protected abstract parse(message: Message): Parsed;

  /** @internal */
  protected abstract override messageBytes(message: unknown): number;

  /** @internal Messages came, and nobody has them yet. */
  protected arrived(_messages: readonly Message[]): void {}

  /** @internal The handlers of `onMessage` have a message; `taken` says whether each took it without an error. */
  protected handled(_message: Message, _taken: boolean | Promise<boolean>): void {}

  /** Rejects: a class that sends overrides it. */
  protected override async sendImpl(_data: unknown): Promise<unknown> {
    throw this.notOpen('send');
  }

  protected override async receiveImpl(): Promise<unknown> {
    throw this.notOpen('receive');
  }

  protected override async connectImpl({ retry }: ConnectOptions = {}): Promise<boolean> {
    if (this.#line) return true;
    const { lifetime } = this;
    // Two ways to open it would be in each other's way.
    const goesOn = this.#reconnection.running;
    this.#reconnection.stop();
    const open = () => this.#open(this.#fallback.url, lifetime);
    const repeat = () => (retry ? this.repeated(open, lifetime) : open());
    try {
      await (this.#fallback.available ? this.run(open) : this.runUnderBreaker(repeat));
    } catch (error) {
      if (await this.#openFallback(error, lifetime)) return true;
      if (!lifetime.aborted) this.#end = { error };
      if (goesOn && !lifetime.aborted) this.#recover(error).catch(() => undefined);
      else this.#fallback.reset();
      throw error;
    }
    return true;
  }

  /** Goes over to the other address, if there is one and `life` goes on. */
  async #openFallback(error: unknown, life: AbortSignal): Promise<boolean> {
    if (life.aborted || !this.#fallback.available) return false;
    this.#fallback.activate(messageOf(error));
    try {
      await this.#open(this.#fallback.url, life);
      return true;
    } catch (error) {
      if (!life.aborted) this.failed(error, 'fallback');
      return false;
    }
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#reconnection.stop();
    this.#fallback.reset();
    const line = this.#line;
    this.#line = undefined;
    this.#end = 'finished';
    this.#inbox.end();
    this.#hold();
    await line?.close();
    return true;
  }

  protected override async healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean> {
    if (await this.isConnected()) return true;
    // A second way to open it would be in the way of the first.
    return !this.#reconnection.running && this.connect();
  }

  /** @internal */
  protected override enter(state: ConnectionState, error?: unknown): void {
    super.enter(state, error);
    this.#wake();
  }

  #arrived(messages: readonly Message[]): void {
    const bytes = messages.reduce((sum, message) => sum + this.messageBytes(message), 0);
    this.countReceived(messages.length, bytes);
    this.arrived(messages);
    for (let index = 0; index < messages.length; index++) {
      const message = messages[index]!;
      // A handler may have been taken off, also by what heard the message before.
      if (this.#onMessage.size === 0) return this.#inbox.put(messages.slice(index));
      this.handled(message, this.#dispatch(message));
    }
  }

  /** Hands a message to the handlers of `onMessage`; whether each took it without an error. */
  #dispatch(message: Message): boolean | Promise<boolean> {
    try {
      return this.#onMessage.dispatch(this.parse(message));
    } catch (error) {
      // A subclass may parse in its own way.
      this.failed(error, 'message');
      return false;
    }
  }

  /** The line ended by itself. Whoever hears of it may close the connection: then it stays closed. */
  #lost(error: MoorlineError, { final, finished }: LineEnd): void {
    const { lifetime } = this;
    this.#line = undefined;
    this.#end = finished ? 'finished' : { error };
    this.#inbox.end();
    this.closed();
    this.failed(error, 'connection');
    if (lifetime.aborted) return;
    const strategy = this.config.recoveryStrategy;
    const degrades = strategy === RecoveryStrategy.GRACEFUL_DEGRADATION;
    if (degrades) this.setHealth(ConnectionHealth.DEGRADED);
    const stays = final || degrades || !this.config.autoReconnect || strategy === RecoveryStrategy.NONE;
    if (stays) this.#reconnection.stop();
    if (!lifetime.aborted) this.enter(stays ? ConnectionState.DISCONNECTED : ConnectionState.ERROR, error);
    if (stays || lifetime.aborted) return;
    if (strategy === RecoveryStrategy.FALLBACK) this.#fallback.activate(error.message);
    if (!lifetime.aborted) this.#recover(error).catch(() => undefined);
  }

  /** Brings it back, or gives it up. Never rejects. */
  async #recover(loss: unknown): Promise<void> {
    const recovering = this.#reconnection.recover(loss);
    this.#hold();
    try {
      await recovering;
    } catch (error) {
      // Every attempt was told of.
      this.#fallback.reset();
      this.#end = isFinished(error) ? 'finished' : { error };
      this.enter(ConnectionState.DISCONNECTED, error);
    }
    this.#wake();
  }

  async #reopen(failures: number, signal: AbortSignal): Promise<void> {
    if (failures >= this.config.retryCount && this.#fallback.available) {
      this.#fallback.activate(`${failures} attempts to reconnect failed`);
    }
    this.enter(ConnectionState.CONNECTING);
    try {
      await this.#open(this.#fallback.url, signal);
    } catch (error) {
      if (!signal.aborted) this.connectFailed(error);
      throw error;
    }
    this.connected();
    if (!signal.aborted) this.emitEvent('reconnected');
  }

  /** Opens one and takes it into use, unless it is not wanted any more. */
  async #open(url: string, signal: AbortSignal, isWanted = () => true): Promise<LiveTransport | undefined> {
    let line: LiveTransport | undefined;
    let loss: MoorlineError | undefined;
    line = await this.open(url, signal, {
      arrived: (messages) => {
        if (!line || line === this.#line) this.#arrived(messages);
      },
      lost: (error, final) => {
        if (!line) loss = error;
        else if (line === this.#line) this.#lost(error, final);
      },
    });
    if (loss) throw loss;
    if (signal.aborted || !isWanted()) {
      void line.close().catch(() => undefined);
      signal.throwIfAborted();
      return undefined;
    }
    const before = this.#line;
    this.#line = this.#last = line;
    this.#regulate();
    this.#hold();
    void before?.close().catch(() => undefined);
    // The other address may have been found meanwhile.
    if (url === this.config.fallbackUrl) this.#fallback.activate('the connection leads there');
    return line;
  }

  /** Whether `url` can be reached again; the new line takes the place of the one to the other address. */
  async #probe(url: string, signal: AbortSignal): Promise<boolean> {
    // One that is being brought back will go there by itself.
    await this.#open(url, signal, () => this.#line !== undefined);
    return true;
  }

  /** Makes the other side wait while nobody takes what has come. */
  #regulate(): void {
    const isFull = this.#onMessage.size === 0 ? this.#inbox.isFull : this.#onMessage.isFull;
    if (isFull) this.#line?.pause();
    else this.#line?.resume();
  }

  #wake(): void {
    for (const wake of this.#changed) wake();
    this.#changed.clear();
    this.#hold();
  }
}
