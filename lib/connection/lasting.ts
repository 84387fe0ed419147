import type { MoorlineError } from '../error';
import { checkOptions, type KnownOptions } from '../known-options';
import { messageOf } from '../message';
import { BaseConnection } from './base';
import type { ConnectionConfig } from './config';
import { Fallback } from './fallback';
import { Handlers } from './handlers';
import { Inbox } from './inbox';
import { Reconnection } from './reconnection';
import { ConnectionHealth, ConnectionState, RecoveryStrategy, type ConnectionType } from './state';

/** So many messages may wait to be received; then the other side is made to wait. */
const QUEUED_MESSAGES = 1000;

/** Bounds of one `receive`. */
export interface MessageOptions {
  /** Gives `null` when it is aborted. */
  signal?: AbortSignal | undefined;
  /** Gives `null` after this time. Default: waits until something comes or the connection ends. */
  timeoutMs?: number | undefined;
}

const MESSAGE: KnownOptions<MessageOptions> = { signal: true, timeoutMs: true };

/** What is open while a lasting connection is: one socket, or one stream. */
export interface Line {
  /** Stops and goes on reading, so that the other side waits. */
  pause(): void;
  resume(): void;
  /** Whether it keeps the process alive. */
  keep(alive: boolean): void;
  /** Closes it for good; nothing is told of it any more. */
  close(): Promise<void>;
}

/** What hears a {@link Line}. */
export interface LineListener<Message> {
  /** Messages came. */
  arrived(messages: readonly Message[]): void;
  /** It ended by itself. `final` says that it should not be opened again. */
  lost(error: MoorlineError, final: boolean): void;
}

/**
 * A connection that stays open and brings messages by itself. It is brought back when it is lost, with growing delays and
 * full jitter, and goes over to `fallbackUrl` where `url` cannot be reached.
 *
 * Messages wait in order until they are received; a thousand of them make the other side wait.
 */
export abstract class LastingConnection<Message, Parsed = Message>
  extends BaseConnection
  implements AsyncIterable<Parsed>
{
  readonly #inbox: Inbox<Message>;
  readonly #onMessage: Handlers<[message: Parsed]>;
  readonly #reconnection: Reconnection;
  readonly #fallback: Fallback;
  /** The one that is open. What any other tells is not heard. */
  #line: Line | undefined;
  #last: Line | undefined;
  /** Wakes the iterators that wait for a connection. */
  readonly #changed = new Set<() => void>();

  constructor(config: ConnectionConfig, type: ConnectionType) {
    super(config, type);
    this.#inbox = new Inbox(QUEUED_MESSAGES, {
      full: () => this.#regulate(),
      room: () => this.#regulate(),
      waiting: (waiting) => this.#line?.keep(waiting),
    });
    this.#onMessage = new Handlers(this.connectionId);
    this.#reconnection = new Reconnection(this.config, {
      open: (failures, signal) => this.#reopen(failures, signal),
      onPause: ({ delayMs }) => this.tell('retry', () => ({ delayMs })),
    });
    const probe = (url: string, signal: AbortSignal) => this.#probe(url, signal);
    this.#fallback = new Fallback(this.connectionId, this.config, probe, (event, options) =>
      this.emitEvent(event, options),
    );
  }

  override async isConnected(): Promise<boolean> {
    return this.#line !== undefined;
  }

  /** The next message; `null` when the connection has ended, or ends first, or nothing comes in time. */
  override async receive(options?: MessageOptions): Promise<any> {
    checkOptions('options', options, MESSAGE);
    const ready = this.#inbox.poll();
    if (ready !== undefined) return this.parse(ready);
    if (!this.#line || this.isRefusing) return null;
    const message = await this.#inbox.take(options);
    return message === null ? null : this.parse(message);
  }

  /** Hears every message from now on, instead of `receive`. Gives the function that ends that. */
  onMessage(handler: (message: Parsed) => unknown): () => void {
    const remove = this.#onMessage.add(handler);
    this.#regulate();
    return () => {
      remove();
      this.#regulate();
    };
  }

  /** The messages one after the other, through losses and reconnections, until `disconnect` or until it gives up. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined> {
    for (;;) {
      const message = this.#inbox.poll() ?? (await this.#next());
      if (message === null) return;
      yield this.parse(message);
    }
  }

  /** The next message of this connection or one that comes after it; `null` when none will. */
  async #next(): Promise<Message | null> {
    for (;;) {
      const message = this.#line ? await this.#inbox.take() : null;
      if (message !== null) return message;
      if (this.#line) continue;
      if (!this.#reconnection.running && this.state !== ConnectionState.CONNECTING) return null;
      await this.#change();
    }
  }

  /** Waits for the next change, for somebody who waits: that keeps the process alive. */
  async #change(): Promise<void> {
    const alive = setInterval(() => undefined, 2 ** 30);
    try {
      await new Promise<void>((resolve) => this.#changed.add(resolve));
    } finally {
      clearInterval(alive);
    }
  }

  /** @internal */
  protected override get hasTransport(): boolean {
    return true;
  }

  /** @internal What is open, if anything is. */
  protected get line(): Line | undefined {
    return this.#line;
  }

  /** @internal What is open, or was open last. */
  protected get last(): Line | undefined {
    return this.#last;
  }

  /** @internal */
  override fallBack(reason: string): void {
    this.#fallback.activate(reason);
  }

  /** @internal Opens one at `url`, which tells `listener` of itself from then on. */
  protected abstract open(url: string, signal: AbortSignal, listener: LineListener<Message>): Promise<Line>;

  /** @internal What `receive` gives for a message. */
  protected abstract parse(message: Message): Parsed;

  /** @internal Messages came, and nobody has them yet. */
  protected arrived(_messages: readonly Message[]): void {}

  /** @internal The handlers of `onMessage` have a message; `taken` says whether each took it without an error. */
  protected handled(_message: Message, _taken: boolean | Promise<boolean>): void {}

  protected override async connectImpl(): Promise<boolean> {
    if (this.#line) return true;
    const { life } = this;
    // Two ways to open it would be in each other's way.
    const goesOn = this.#reconnection.running;
    this.#reconnection.stop();
    const open = () => this.#open(this.#fallback.url, life);
    try {
      await (this.#fallback.available ? this.run(open) : this.watched(open));
    } catch (error) {
      if (await this.#openFallback(error, life)) return true;
      if (goesOn && !life.aborted) this.#recover(error).catch(() => undefined);
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
    this.#inbox.end();
    await line?.close();
    return true;
  }

  protected override async healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean> {
    if (await this.isConnected()) return true;
    // A second way to open it would be in the way of the first.
    return !this.#reconnection.running && this.connect();
  }

  /** @internal */
  protected override enter(state: ConnectionState): void {
    super.enter(state);
    this.#wake();
  }

  #arrived(messages: readonly Message[]): void {
    this.countReceived(
      messages.length,
      messages.reduce((bytes, message) => bytes + (this.messageBytes(message) ?? 0), 0),
    );
    this.arrived(messages);
    if (this.#onMessage.size === 0) return this.#inbox.put(messages);
    for (const message of messages) this.handled(message, this.#tell(message));
  }

  /** Hands a message to the handlers of `onMessage`; whether each took it without an error. */
  #tell(message: Message): boolean | Promise<boolean> {
    try {
      return this.#onMessage.tell(this.parse(message));
    } catch (error) {
      // A subclass may parse in its own way.
      this.failed(error, 'message');
      return false;
    }
  }

  /** The line ended by itself. Whoever hears of it may close the connection: then it stays closed. */
  #lost(error: MoorlineError, final: boolean): void {
    const { life } = this;
    this.#line = undefined;
    this.#inbox.end();
    this.closed();
    this.failed(error, 'connection');
    if (life.aborted) return;
    const strategy = this.config.recoveryStrategy;
    const degrades = strategy === RecoveryStrategy.GRACEFUL_DEGRADATION;
    if (degrades) this.setHealth(ConnectionHealth.DEGRADED);
    const stays = final || degrades || !this.config.autoReconnect || strategy === RecoveryStrategy.NONE;
    if (stays) this.#reconnection.stop();
    if (!life.aborted) this.enter(stays ? ConnectionState.DISCONNECTED : ConnectionState.ERROR);
    if (stays || life.aborted) return;
    if (strategy === RecoveryStrategy.FALLBACK) this.#fallback.activate(error.message);
    if (!life.aborted) this.#recover(error).catch(() => undefined);
  }

  async #recover(error: unknown): Promise<void> {
    try {
      await this.#reconnection.recover(error);
    } catch {
      // Every attempt was told of; it has given up.
      this.#fallback.reset();
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
  async #open(url: string, signal: AbortSignal, isWanted = () => true): Promise<Line | undefined> {
    let line: Line | undefined;
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
    if (this.#inbox.isAwaited) line.keep(true);
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
    if (this.#inbox.isFull && this.#onMessage.size === 0) this.#line?.pause();
    else this.#line?.resume();
  }

  #wake(): void {
    for (const wake of this.#changed) wake();
    this.#changed.clear();
  }
}
