import { MoorlineError } from '../error';
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
  #line: Line | undefined;
  #opening: AbortController | undefined;
  /** Wakes the iterators that wait for a connection. */
  readonly #changed = new Set<() => void>();

  constructor(config: ConnectionConfig, type: ConnectionType) {
    super(config, type);
    this.#inbox = new Inbox(QUEUED_MESSAGES, {
      full: () => this.#line?.pause(),
      room: () => this.#line?.resume(),
      waiting: (waiting) => this.#line?.keep(waiting),
    });
    this.#onMessage = new Handlers(this.connectionId);
    const { retryDelay, backoffMultiplier, recoveryStrategy } = this.config;
    this.#reconnection = new Reconnection({
      retryDelay,
      backoffMultiplier,
      ...(recoveryStrategy === RecoveryStrategy.RECONNECT && { attempts: 1 }),
      open: (failures, signal) => this.#reopen(failures, signal),
      onPause: ({ delayMs }) => this.tell('retry', () => ({ delayMs })),
    });
    const probe = (url: string) => this.#probe(url);
    this.#fallback = new Fallback(this.connectionId, this.config, probe, (event, options) =>
      this.emitEvent(event, options),
    );
  }

  override async isConnected(): Promise<boolean> {
    return this.#line !== undefined;
  }

  /** The next message; `null` when the connection has ended, or ends first, or nothing comes in time. */
  override async receive(options?: MessageOptions): Promise<any> {
    const ready = this.#inbox.poll();
    if (ready !== undefined) return this.parse(ready);
    if (!this.#line || this.isRefusing) return null;
    const message = await this.#inbox.take(options);
    return message === null ? null : this.parse(message);
  }

  /** Hears every message from now on, instead of `receive`. Gives the function that ends that. */
  onMessage(handler: (message: Parsed) => unknown): () => void {
    return this.#onMessage.add(handler);
  }

  /** The messages one after the other, through losses and reconnections, until `disconnect` or until it gives up. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Parsed, void, undefined> {
    for (;;) {
      const message = await this.receive();
      if (message !== null) yield message as Parsed;
      else if (this.#line) continue;
      else if (!this.#reconnection.running) return;
      else await this.#change();
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

  /** @internal */
  override fallBack(reason: string): void {
    this.#fallback.activate(reason);
  }

  /** @internal Opens one at `url`; it tells `arrived` and `lost` from then on. */
  protected abstract open(url: string, signal: AbortSignal): Promise<Line>;

  /** @internal What `receive` gives for a message. */
  protected abstract parse(message: Message): Parsed;

  protected override async connectImpl(): Promise<boolean> {
    if (this.#line) return true;
    this.#reconnection.stop();
    const opening = (this.#opening = new AbortController());
    const open = () => this.open(this.#fallback.url, opening.signal);
    let line: Line;
    try {
      line = await (this.#fallback.available ? this.run(open) : this.watched(open));
    } catch (error) {
      if (!this.#fallback.available || opening.signal.aborted) throw error;
      this.#fallback.activate(String(error));
      line = await open();
    }
    if (opening.signal.aborted) {
      await line.close();
      return false;
    }
    this.#line = line;
    return true;
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#reconnection.stop();
    this.#fallback.stop();
    this.#opening?.abort();
    const line = this.#line;
    this.#line = undefined;
    await line?.close();
    this.#end();
    return true;
  }

  protected override async healthCheckImpl(_timeoutMs: number, _signal: AbortSignal): Promise<boolean> {
    if (await this.isConnected()) return true;
    // A second way to open it would be in the way of the first.
    return !this.#reconnection.running && this.connect();
  }

  /** @internal Messages came. */
  protected arrived(messages: readonly Message[]): void {
    if (this.#onMessage.size === 0) return this.#inbox.put(messages);
    for (const message of messages) this.#onMessage.tell(this.parse(message));
  }

  /** @internal The line ended by itself. `final` says that it should not be opened again. */
  protected lost(error: MoorlineError, final: boolean): void {
    this.#line = undefined;
    this.closed();
    this.failed(error, 'connection');
    const strategy = this.config.recoveryStrategy;
    const degrades = strategy === RecoveryStrategy.GRACEFUL_DEGRADATION;
    if (degrades) this.setHealth(ConnectionHealth.DEGRADED);
    if (final || degrades || !this.config.autoReconnect || strategy === RecoveryStrategy.NONE) {
      this.enter(ConnectionState.DISCONNECTED);
      this.#reconnection.stop();
    } else {
      this.enter(ConnectionState.ERROR);
      if (strategy === RecoveryStrategy.FALLBACK) this.#fallback.activate(error.message);
      void this.#recover(error);
    }
    this.#end();
  }

  async #recover(error: MoorlineError): Promise<void> {
    try {
      await this.#reconnection.recover(error);
    } catch {
      // Every attempt was told of; it has given up.
      this.#wake();
    }
  }

  async #reopen(failures: number, signal: AbortSignal): Promise<void> {
    if (failures >= this.config.retryCount && this.#fallback.available) {
      this.#fallback.activate(`${failures} attempts to reconnect failed`);
    }
    this.enter(ConnectionState.CONNECTING);
    try {
      const line = await this.open(this.#fallback.url, signal);
      if (signal.aborted) return void (await line.close());
      this.#line = line;
    } catch (error) {
      if (!signal.aborted) this.connectFailed(error);
      throw error;
    }
    this.connected();
    this.emitEvent('reconnected');
    this.#wake();
  }

  /** Whether `url` can be reached again; the new line takes the place of the one to the other address. */
  async #probe(url: string): Promise<boolean> {
    const line = await this.open(url, AbortSignal.timeout(this.config.healthCheckTimeout)).catch(() => undefined);
    if (!line) return false;
    const before = this.#line;
    this.#line = line;
    await before?.close();
    return true;
  }

  #end(): void {
    this.#inbox.end();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#changed) wake();
    this.#changed.clear();
  }
}
