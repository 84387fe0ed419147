import type { Abortable } from '../runtime/abort';
import { call } from '../runtime/native-call';
import { failureFields, MoorlineError } from '../runtime/error';
import { Buffer } from '../runtime/node';
import { log } from '../runtime/logger';
import {
  checkId,
  EventStreamTransport,
  type EventStreamEnd,
  type EventStreamListener,
  SSEEvent,
} from '../sse/transport';
import { withoutLogin } from '../http/url';
import { EventStreamCursor, type EventStreamCursorOptions } from '../sse/cursor';
import { Acknowledgements } from '../sse/acknowledgements';
import { checkCustomOptions, handleOf, requireUrl, type ConnectionConfig } from './config/config';
import { commonHeaders } from './config/headers';
import type { MessageOptions } from './messages/message-queue';
import { PersistentConnection } from './persistent';
import type { LiveTransport, TransportListener } from './live-transport';
import { ConnectionType } from './model';

/** The open event stream of a connection. */
class LiveStream implements LiveTransport, EventStreamListener {
  stream!: EventStreamTransport;
  isTaken = false;
  loss: MoorlineError | undefined = undefined;
  /** The position from which it brings events again, until the first one has come. */
  replaysFrom: string | undefined;
  readonly #connection: object;
  readonly #listener: TransportListener<SSEEvent>;

  constructor(connection: object, listener: TransportListener<SSEEvent>, replaysFrom: string | undefined) {
    this.#connection = connection;
    this.#listener = listener;
    this.replaysFrom = replaysFrom;
  }

  onEvents(events: SSEEvent[]): void {
    this.#listener.onMessages(this.#connection, this, events);
  }

  onClose(end: EventStreamEnd): void {
    const { isFinal, error } = end;
    this.#listener.onLost(this.#connection, this, toError(end, this.stream.retryMs), { isFinal, isNormal: !error });
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  setHasHandlers(): void {}

  setReferenced(referenced: boolean): void {
    if (referenced) this.stream.ref();
    else this.stream.unref();
  }

  async close(): Promise<void> {
    this.stream.close();
  }
}

/** A cursor, and what decides where it stands. */
interface Progress {
  cursor: EventStreamCursor;
  acknowledgements: Acknowledgements;
  /** Given out by `receive`, and not known to be handled. */
  received: SSEEvent[];
}

/**
 * A connection to a stream of server-sent events, which is opened again when it is lost: it continues after the last event
 * that was received (`Last-Event-ID`), and not before the delay of the server's `retry:` is over.
 *
 * `receive` returns one {@link SSEEvent} after the other. Nothing can be sent.
 *
 * `customOptions.cursor`, `{ url: 'file:cursors.db', name: 'orders' }`, stores the id of the last event that was handled
 * together with all events before it, in a libSQL database: a new process continues there. Every event is handled at least
 * once. An event counts as handled when `for await` asks for the next one, when the promises of all `onMessage` handlers are
 * fulfilled, when `receive` is called again, or when `event.ack()` is called. After a handler that fails, or a loop that is
 * left early, the cursor stays where it is: further events are still received, and all events after that position are
 * received again by the next connection or process.
 *
 * `customOptions.lastEventId` is a position of your own: the first connection continues after it, and ignores the cursor.
 *
 * @example
 * ```ts
 * import { SSEConnection } from 'moorline';
 *
 * const stream = new SSEConnection({ url: 'https://api.example.com/events' });
 * await stream.connect();
 * for await (const event of stream) {
 *   console.log(event.type, event.data); // message {"id":7,"name":"Ada"}
 *   break;
 * }
 * await stream.disconnect();
 * ```
 */
export class SSEConnection extends PersistentConnection<SSEEvent> {
  readonly #progress: Progress | undefined;
  readonly #position: string | undefined;
  #isClosed = false;

  /** @throws TypeError `SSE connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.SSE);
    requireUrl(this.config, 'SSE');
    checkCustomOptions(this, SSEConnection, ConnectionType.SSE);
    const { cursor, lastEventId } = this.config.customOptions;
    if (lastEventId !== undefined) this.#position = checkId(lastEventId, 'options.customOptions.lastEventId');
    if (cursor !== undefined) this.#progress = this.#trackProgress(cursor as EventStreamCursorOptions);
  }

  /** The id of the event after which the next connection continues; empty when there was none. */
  get lastEventId(): string {
    const { retryFrom } = this.#progress?.acknowledgements ?? {};
    return retryFrom ?? (this.lastTransport as LiveStream | undefined)?.stream.lastEventId ?? this.#position ?? '';
  }

  /** The URL of the stream that is, or was last, open: after redirects, without user and password; empty before the first. */
  get url(): string {
    return withoutLogin((this.lastTransport as LiveStream | undefined)?.stream.url ?? '');
  }

  /**
   * Returns the next event, or `null` when the connection has ended, ends first, or nothing arrives in time. With a cursor
   * it marks the events that `receive` returned before as handled.
   */
  override receive(options?: MessageOptions): Promise<SSEEvent | null> {
    return this.#progress ? this.#receive(this.#progress, options) : super.receive(options);
  }

  /**
   * Iterates over the events, through losses and reconnections. The loop ends with `disconnect`, with status 204, and when
   * the server ends the stream and it is not opened again; it rejects with the reason when the connection was never opened,
   * or is given up.
   */
  override [Symbol.asyncIterator](): AsyncGenerator<SSEEvent, void, undefined> {
    const events = super[Symbol.asyncIterator]();
    return this.#progress ? acknowledgeEach(events) : events;
  }

  /** Always returns false, without an error: only the server sends events. */
  override async send(_data?: unknown): Promise<boolean> {
    return false;
  }

  /** @internal */
  protected override messageBytes(event: SSEEvent): number {
    return Buffer.byteLength(event.data);
  }

  protected override parse(event: SSEEvent): SSEEvent {
    return event;
  }

  /** @internal */
  protected override onReceived(events: readonly SSEEvent[]): void {
    if (!this.#progress) return;
    const { acknowledgements } = this.#progress;
    const liveTransport = this.liveTransport as LiveStream | undefined;
    if (liveTransport?.replaysFrom !== undefined) acknowledgements.restart(liveTransport.replaysFrom);
    if (liveTransport) liveTransport.replaysFrom = undefined;
    for (const event of events) SSEEvent.track(event, acknowledgements.add(event.lastEventId));
  }

  /** @internal */
  protected override onHandled(event: SSEEvent, succeeded: boolean | Promise<boolean>): void {
    if (!this.#progress) return;
    const acknowledge = (isHandled: boolean) => settle(event, isHandled);
    if (typeof succeeded === 'object') succeeded.then(acknowledge, () => acknowledge(false));
    else acknowledge(succeeded);
  }

  protected override async disconnectImpl(): Promise<boolean> {
    this.#isClosed = true;
    const closed = await super.disconnectImpl();
    await this.#progress?.cursor.flush();
    return closed;
  }

  /** @internal */
  protected override async open(
    url: string,
    signal: Abortable,
    listener: TransportListener<SSEEvent>,
  ): Promise<LiveStream> {
    this.#isClosed = false;
    const headers = await commonHeaders(this.config, [signal]);
    const lastEventId = await this.#resumeFrom(signal);
    const { acknowledgements } = this.#progress ?? {};
    const isReplay = acknowledgements?.retryFrom !== undefined;
    if (!this.lastTransport) acknowledgements?.restart(lastEventId);
    const live = new LiveStream(this, listener, isReplay ? lastEventId : undefined);
    live.stream = new EventStreamTransport(
      { url, headers, lastEventId },
      live,
      handleOf(this.config),
      this.connectionTracker,
    );
    await live.stream.connect(signal);
    return live;
  }

  #trackProgress(options: EventStreamCursorOptions): Progress {
    const cursor = new EventStreamCursor(options, (error) => this.#reportCursorError(error));
    const acknowledgements = new Acknowledgements((position) => {
      cursor.keep(position);
      // After `disconnect` nothing else writes it.
      if (this.#isClosed) void cursor.flush().catch((error: MoorlineError) => this.#reportCursorError(error));
    });
    return { cursor, acknowledgements, received: [] };
  }

  #reportCursorError(error: MoorlineError): void {
    this.reportFailure(error, 'cursor');
    log('warn', 'sse.cursor-failed', this.connectionId, () => ({ code: error.code, error: error.message }));
  }

  async #receive({ received }: Progress, options?: MessageOptions): Promise<SSEEvent | null> {
    for (const event of received.splice(0)) event.ack();
    const event = await super.receive(options);
    if (event) received.push(event);
    return event;
  }

  /** The position at which the next stream goes on: the first one at the caller's own position, else where the cursor stands. */
  async #resumeFrom(signal: Abortable): Promise<string> {
    if (this.lastTransport || this.#position !== undefined || !this.#progress) return this.lastEventId;
    const { cursor } = this.#progress;
    return call(() => cursor.load(), signal);
  }
}

/** Passes events on; each was handled when the next one is asked for. */
async function* acknowledgeEach(
  events: AsyncGenerator<SSEEvent, void, undefined>,
): AsyncGenerator<SSEEvent, void, undefined> {
  let pending: SSEEvent | undefined;
  try {
    for await (pending of events) {
      yield pending;
      pending.ack();
      pending = undefined;
    }
  } finally {
    // The loop was left before the event was handled.
    if (pending) SSEEvent.fail(pending);
  }
}

function settle(event: SSEEvent, succeeded: boolean): void {
  if (succeeded) event.ack();
  else SSEEvent.fail(event);
}

/** The error of a stream that ended, with the delay that the server asks for. */
function toError({ error }: EventStreamEnd, retryMs: number | undefined): MoorlineError {
  const message = error?.message ?? 'the server ended the event stream';
  const fields = failureFields(error?.kind ?? 'disconnected', {
    service: 'sse',
    operation: 'receive',
    idempotent: true,
    ...(error && { code: error.code, delivery: error.delivery, retryable: error.retryable }),
    ...(retryMs !== undefined && { retryAfterMs: retryMs }),
    ...(error?.detail && { detail: error.detail }),
  });
  return new MoorlineError(message, fields, { cause: error });
}
