import type { Abortable } from '../runtime/abort';
import { call } from '../runtime/native-call';
import { toMoorlineError, type MoorlineError } from '../runtime/error';
import { abortReason, makeAbortController } from '../runtime/node';
import { bodyOf } from '../http/body';
import { headerLines, type HeadersInit } from '../http/headers';
import { invalidType, invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import {
  type ResolvedConnectionConfig,
  type ConnectionTracker,
  type EventStream,
  type Handle,
  native,
} from '../runtime/native';
import { readEvents, SSEEvent, type StreamState } from './event';

export { EventStreamCursor, type EventStreamCursorOptions } from './cursor';
export { Acknowledgements } from './acknowledgements';
export { SSEEvent } from './event';

/** @internal How a stream ended. */
export interface EventStreamEnd {
  /** Connecting again would not help: it was closed here, or what came cannot be read. */
  isFinal: boolean;
  /** Why it ended, when neither the server ended it nor `close()`. */
  error?: MoorlineError;
}

/** @internal The listener of an {@link EventStreamTransport}. */
export interface EventStreamListener {
  /** Events, in the order in which they came. */
  onEvents(events: SSEEvent[]): void;
  /** It was open and is so no longer. Once for each connection, after its last event. */
  onClose(closed: EventStreamEnd): void;
}

/** @internal What an {@link EventStreamTransport} is made from. */
export interface EventStreamOptions {
  url: string | URL;
  /** Default `GET`, or `POST` with a body. */
  method?: string | undefined;
  /** Theirs win over `accept`, `cache-control` and `accept-encoding`, which are ours. */
  headers?: HeadersInit | undefined;
  /** A string or bytes as they are, anything else as JSON. */
  body?: unknown;
  /** The event after which the first connection goes on. Default: from wherever the server begins. */
  lastEventId?: string | undefined;
  /** How long making a connection may take: name, TCP, proxy and TLS. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** How long `connect` may take, redirects and the head of the answer included. Default 30 000; `Infinity` for ever. */
  timeoutMs?: number | undefined;
  /** How long nothing at all may come, comments included. Default 60 000; `Infinity` for ever. */
  idleTimeoutMs?: number | undefined;
  /** Redirects followed at most. Default 5. */
  maxRedirects?: number | undefined;
  /** The longest event that is taken; a longer one ends the stream. Default 1 MiB. */
  maxEventBytes?: number | undefined;
  /** So many bytes of events may wait for JavaScript; then the server is made to wait. Default 1 MiB. */
  receiveQueueBytes?: number | undefined;
  /** Offer HTTP/2 to servers. Default true. */
  http2?: boolean | undefined;
  /** Refuse redirects from https to http. Default false. */
  httpsOnlyRedirects?: boolean | undefined;
  /** Refuse addresses that are not on the public internet, after resolution. Default false. */
  publicAddressesOnly?: boolean | undefined;
  /** Names, addresses and networks that are reached nevertheless. */
  allowedHosts?: string[] | undefined;
  /** `'environment'`, or the URL of an HTTP or SOCKS5 proxy. Default: none. */
  proxy?: string | undefined;
  /** `{ ca, cert, key, serverName, minVersion, rejectUnauthorized }`; files are read again when they change. */
  tls?: Record<string, unknown> | undefined;
}

/** One connection, from its connect to its end. */
interface Connection {
  stream?: Handle<EventStream> | undefined;
  isEnded?: boolean;
}

/**
 * One stream of server-sent events, which can be connected again after it has ended, and then goes on after the last
 * event that was handed out. It retries nothing: that is the business of what uses it, by `retryMs` and the errors.
 *
 * An open one does not keep the process alive; a pending `connect` does, and `ref()`.
 *
 * @internal
 */
export class EventStreamTransport {
  readonly #client;
  readonly #listener: EventStreamListener;
  readonly #tracker: Handle<ConnectionTracker> | undefined;
  readonly #state: StreamState;
  #url: string;
  #connection: Connection | undefined;
  #connecting: { done: Promise<void>; controller: AbortController } | undefined;
  #paused = false;
  #isReferenced = false;

  /**
   * Options that cannot be are refused at once. Nothing is reached before `connect`.
   *
   * @param connection gives the options that are not among `options`.
   * @param tracker counts the events.
   */
  constructor(
    options: EventStreamOptions,
    listener: EventStreamListener,
    connection?: Handle<ResolvedConnectionConfig>,
    tracker?: Handle<ConnectionTracker>,
  ) {
    const { url, method, headers, body, lastEventId = '', ...rest } = options;
    const content = bodyOf(body, 'options.body');
    // It is sent again with each connection.
    if (content.source) throw invalidTypeRedacted('options.body', 'text, bytes or a JSON value', body);
    this.#url = typeof url === 'object' ? String(url) : url;
    this.#client = native.sseClient(
      {
        ...rest,
        url: this.#url,
        method: method ?? (body === undefined || body === null ? 'GET' : 'POST'),
        headers: headerLines(headers, content.type).slice(1),
        body: content.body,
      },
      connection,
    );
    this.#listener = listener;
    this.#tracker = tracker;
    this.#state = { lastEventId: checkId(lastEventId, 'options.lastEventId'), retryMs: undefined };
  }

  get isOpen(): boolean {
    return this.#connection?.stream !== undefined;
  }

  /** Where the stream that was opened last comes from, after redirects; before the first what it was made from. */
  get url(): string {
    return this.#url;
  }

  /** The id after which the next connection goes on; empty when there was none. */
  get lastEventId(): string {
    return this.#state.lastEventId;
  }

  /** How long the server wants us to wait before a reconnect, if it has ever said so. */
  get retryMs(): number | undefined {
    return this.#state.retryMs;
  }

  /**
   * Resolves when the server has begun a stream: status 200 and its content type. Rejects with its answer otherwise
   * (`detail.status`, `retryAfterMs`); `retryable` says whether another attempt can succeed. A call during a connect
   * waits for the same one.
   */
  connect(signal?: Abortable): Promise<void> {
    if (this.isOpen) return Promise.resolve();
    if (this.#connecting) return this.#connecting.done;
    const controller = makeAbortController();
    const done = this.#connect(controller, signal).finally(() => (this.#connecting = undefined));
    this.#connecting = { done, controller };
    return done;
  }

  /** From now on no event is given out, and when `receiveQueueBytes` are full the server has to wait. */
  pause(): void {
    this.#paused = true;
    if (this.#connection?.stream) native.ssePause(this.#connection.stream);
  }

  /** Resumes the delivery of events. */
  resume(): void {
    this.#paused = false;
    if (this.#connection?.stream) native.sseResume(this.#connection.stream);
  }

  /** Keeps the process alive while it is open. */
  ref(): void {
    if (!this.#isReferenced && this.isOpen) native.sseKeepProcessAlive((this.#isReferenced = true));
  }

  /** Undoes `ref`. */
  unref(): void {
    if (this.#isReferenced) native.sseKeepProcessAlive((this.#isReferenced = false));
  }

  /**
   * Ends the connection at once, with `onClose`; gives up a connect. Events that were not handed out are dropped, and a
   * new connection asks for them again.
   */
  close(): void {
    this.#connecting?.controller.abort(abortReason('The event stream was closed', 'AbortError'));
    const connection = this.#connection;
    if (!connection?.stream) return;
    native.sseClose(connection.stream);
    this.#end(connection, { isFinal: true });
  }

  async #connect(controller: AbortController, signal?: Abortable): Promise<void> {
    signal?.throwIfAborted();
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const connection: Connection = {};
    try {
      const stream = await call(
        (cancel) => {
          const onBatch = this.#makeReceiver(connection);
          return native.sseConnect(this.#client, this.#state.lastEventId, onBatch, cancel, this.#tracker);
        },
        controller.signal,
        toMoorlineError,
        (stream) => native.sseClose(stream),
      );
      if (controller.signal.aborted) {
        // It was closed after the stream had been promised, and before that was known here.
        native.sseClose(stream);
        throw controller.signal.reason;
      }
      connection.stream = stream;
      this.#url = native.sseUrl(stream) ?? this.#url;
      this.#connection = connection;
      // Until now it was paused, so that nothing could come before it was known to be open.
      if (!this.#paused) native.sseResume(stream);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** The addon keeps it, and with it all that is in its scope. */
  #makeReceiver(connection: Connection): (batch: NativeBatch) => void {
    return (batch) => this.#onBatch(connection, batch);
  }

  #onBatch(connection: Connection, batch: NativeBatch): void {
    // A wake-up that was sent before the end.
    if (batch === undefined || connection.isEnded) return;
    const [text, closed] = batch;
    const events: SSEEvent[] = [];
    readEvents(text, this.#state, events);
    try {
      if (events.length > 0) this.#listener.onEvents(events);
    } finally {
      // The listener may have closed it.
      if (closed && !connection.isEnded) {
        const [isFinal, failure] = closed;
        const error = failure === undefined ? undefined : (toMoorlineError(failure) as MoorlineError);
        this.#end(connection, { isFinal, ...(error && { error }) });
      }
    }
  }

  #end(connection: Connection, closed: EventStreamEnd): void {
    connection.isEnded = true;
    // The stream holds what it tells, and that holds the connection.
    connection.stream = undefined;
    this.#connection = undefined;
    this.unref();
    this.#listener.onClose(closed);
  }
}

/** The events that the addon hands over at a wake-up, and the end of the stream. */
type NativeBatch = [text: string, closed: [isFinal: boolean, failure: string | undefined] | undefined] | undefined;

/** @internal Refuses an id that cannot be sent in a header. */
export function checkId(id: unknown, path: string): string {
  if (typeof id !== 'string') throw invalidType(path, 'a string', id);
  if (native.sseIdSendable(id)) return id;
  throw invalidValue(`${path} must contain no control characters and at most 4096 bytes`);
}
