import type { Abortable } from '../runtime/abort';
import { call, type CallOptions } from '../runtime/native-call';
import { closedFailure, failure, toMoorlineError, MoorlineError } from '../runtime/error';
import { makeAbortController } from '../runtime/node';
import { invalidTypeRedacted } from '../runtime/argument-error';
import type { NixtlaTls } from '../runtime/tls';
import {
  type ResolvedConnectionConfig,
  type ConnectionTracker,
  native,
  type Handle,
  type Policy,
  type Socket,
  type PolicySocket,
  type SocketReader,
} from '../runtime/native';

/** How a WebSocket ended. */
export interface SocketCloseEvent {
  /**
   * The close code: the server's, or the one that we sent when the server broke the protocol. 1005 when its close frame
   * had none, 1006 when there was no close frame.
   */
  code: number;
  /** The server's reason; empty when it gave none. */
  reason: string;
  /** Whether both sides sent a close frame. */
  wasClean: boolean;
  /** Why it ended, when neither side closed it. */
  error?: MoorlineError;
}

/** permessage-deflate (RFC 7692). */
export interface SocketCompression {
  /** Ask the server to compress each message by itself. Default `false`. */
  serverNoContextTakeover?: boolean | undefined;
  /** Compress each message by itself: less memory, larger messages. Default `false`. */
  clientNoContextTakeover?: boolean | undefined;
  /** The server's largest window, as a power of two from 8 to 15. Default: its own choice. */
  serverMaxWindowBits?: number | undefined;
  /** Our largest window, as a power of two from 8 to 15. Default: 15, or what the server wants. */
  clientMaxWindowBits?: number | undefined;
  /** Smaller messages are sent as they are, in bytes. Default 1024. */
  thresholdBytes?: number | undefined;
}

/** The options of a {@link SocketTransport}. */
export interface SocketOptions {
  /** `ws://` or `wss://`; `http://` and `https://` mean the same. User and password become a basic authorization. */
  url: string;
  /** Sub-protocols, most wanted first. A server that chooses none of them is refused. Default: none. */
  protocols?: string | string[] | undefined;
  /** Headers of the handshake. Default: none. */
  headers?: Record<string, string | string[]> | undefined;
  /** Whether permessage-deflate is offered. Default `false`. */
  compression?: boolean | SocketCompression | undefined;
  /** TLS, as for {@link NixtlaClient}. */
  tls?: NixtlaTls | undefined;
  /** `environment` for the proxies of the environment, or a URL (`http:`, `https:`, `socks5:`, `socks5h:`). Default: none. */
  proxy?: string | undefined;
  /** Refuse, after resolution, every address that is not on the public internet. Default `false`. */
  publicAddressesOnly?: boolean | undefined;
  /** Names, addresses and networks that `publicAddressesOnly` excepts. Default: none. */
  allowedHosts?: string[] | undefined;
  /** How long connecting may take, the handshake included. Default 10 000. */
  connectTimeoutMs?: number | undefined;
  /** The largest message that is taken, after decompression; a larger one ends the connection with 1009. Default 16 MiB. */
  maxMessageBytes?: number | undefined;
  /** The time between two pings; `Infinity` for none. Default 25 000. */
  pingIntervalMs?: number | undefined;
  /** How long after a ping nothing at all may come before the connection counts as lost. Default 10 000. */
  pingTimeoutMs?: number | undefined;
  /** The longest time of the closing handshake. Default 5000. */
  closeTimeoutMs?: number | undefined;
  /** The longest time until a message is written, waiting for room included; `Infinity` for no limit. Default 30 000. */
  sendTimeoutMs?: number | undefined;
  /** The most messages that wait to be written; more wait in `send`. Default 1000. */
  sendQueueMessages?: number | undefined;
  /** The most bytes that wait to be written; more wait in `send`. Default 1 MiB. */
  sendQueueBytes?: number | undefined;
  /** The most received bytes that wait for JavaScript; then the server is made to wait. Default 1 MiB. */
  receiveQueueBytes?: number | undefined;
}

/** Bounds of one `send` or `ping`. */
export interface SocketCallOptions extends CallOptions {
  /** In place of `sendTimeoutMs`, or of a ping's 5000. */
  timeoutMs?: number | undefined;
}

/** The callbacks of a {@link SocketTransport}. */
export interface SocketListener {
  /** All messages that came since the last time, in order: text as strings, binary as `Buffer`s. */
  onMessages(messages: (string | Buffer)[]): void;
  /** Where {@link SocketTransport.setJoinsJson} asks for it: so many objects and arrays of JSON, as the text of one array. */
  onJsonList?(text: string, count: number): void;
  /** An open connection has ended: once for each, after its last message. */
  onClose(closed: SocketCloseEvent): void;
  /** The number of pings that came, and were answered. */
  onPing?(count: number): void;
}

/** A batch as src/websocket/encode.rs encodes it. */
type NativeBatch =
  | undefined
  | string
  | (string | Buffer)[]
  | [text: string, count: number]
  | [(string | Buffer | number)[], Buffer, number, [number, string, boolean, string | undefined] | undefined];

/** What admits and counts the messages of a connection. */
export interface SocketCallContext {
  policy: Handle<Policy>;
  tracker: Handle<ConnectionTracker>;
}

/** Messages below this size that are sent in one turn of the event loop are written, and fail, together. */
const SMALL_BYTES = 16 * 1024;

/**
 * One WebSocket to a server, which can be connected again after it has ended. It retries nothing and keeps no message
 * for later: that is the business of what uses it.
 *
 * An open one does not keep the process alive; a pending promise of it does, and `ref()`.
 *
 * @internal
 */
export class SocketTransport {
  readonly #client;
  readonly #listener: SocketListener;
  readonly #callContext: SocketCallContext | undefined;
  readonly #reader: Handle<SocketReader> | undefined;
  #policySocket: Handle<PolicySocket> | undefined;
  #socket: Handle<Socket> | undefined;
  #connecting: { done: Promise<void>; controller: AbortController } | undefined;
  #closing: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #open = false;
  /** Why nothing can be sent. */
  #error: MoorlineError | undefined;
  #paused = false;
  #isReferenced = false;
  #protocol = '';
  #extensions = '';

  /**
   * Options that cannot be are refused at once. Nothing is reached before `connect`.
   *
   * @param connection gives the options that are not among `options`.
   * @param callContext admits what {@link trySendCall} sends, and counts that and all that comes.
   */
  constructor(
    options: SocketOptions,
    listener: SocketListener,
    connection?: Handle<ResolvedConnectionConfig>,
    callContext?: SocketCallContext,
  ) {
    this.#client = native.websocketClient(options, connection);
    this.#listener = listener;
    this.#callContext = callContext;
    this.#reader = callContext && native.websocketReader(callContext.tracker);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** The sub-protocol that the server chose, or an empty string. */
  get protocol(): string {
    return this.#protocol;
  }

  /** The negotiated extensions, or an empty string. */
  get extensions(): string {
    return this.#extensions;
  }

  /** Resolves when it is open. A call during a connect waits for the same one, a call during a close for its end. */
  connect(signal?: Abortable): Promise<void> {
    if (this.#closing) return this.#closing.then(() => this.connect(signal));
    if (this.#open) return Promise.resolve();
    if (this.#connecting) return this.#connecting.done;
    const controller = makeAbortController();
    const done = this.#connect(controller, signal).finally(() => (this.#connecting = undefined));
    this.#connecting = { done, controller };
    return done;
  }

  /**
   * Resolves when the message is written to the socket, which may mean waiting for room. Messages are written in the
   * order of the calls.
   */
  send(data: string | Uint8Array, options?: SocketCallOptions): Promise<void> {
    const socket = this.#socket;
    const isText = typeof data === 'string';
    if (!socket) return Promise.reject(this.#notOpenError('send'));
    if (!isText && !ArrayBuffer.isView(data)) {
      return Promise.reject(invalidTypeRedacted('data', 'a string or bytes', data));
    }
    const small = !options && data.length < SMALL_BYTES;
    if (small && native.websocketPush(socket, data, isText)) return (this.#flushing ??= this.#flush(socket));
    const { timeoutMs, signal } = options ?? {};
    return call((cancel) => native.websocketSend(socket, data, timeoutMs, cancel), signal);
  }

  /**
   * Sends a message as a call of its connection, if that can be done at once: its number, else -1. When `flushing` resolves,
   * the call is over; when it rejects, the call goes on by its number.
   */
  trySendCall(data: string | Uint8Array): number {
    if (!this.#socket || !this.#callContext || data.length >= SMALL_BYTES) return -1;
    this.#policySocket ??= native.websocketPolicySocket(
      this.#socket,
      this.#callContext.policy,
      this.#callContext.tracker,
    );
    const id = native.websocketPushCall(this.#policySocket, data, typeof data === 'string');
    if (id >= 0) this.#flushing ??= this.#flush(this.#socket);
    return id;
  }

  /** The writing of what was pushed in this turn of the event loop. */
  get flushing(): Promise<void> | undefined {
    return this.#flushing;
  }

  /** Sets whether objects and arrays of JSON that come together are given to `onJsonList`. */
  setJoinsJson(joinsJson: boolean): void {
    if (this.#reader) native.websocketSetJoinsJson(this.#reader, joinsJson);
  }

  /** Sends a ping; the milliseconds until its answer. */
  ping({ timeoutMs, signal }: SocketCallOptions = {}): Promise<number> {
    const socket = this.#socket;
    if (!socket) return Promise.reject(this.#notOpenError('ping'));
    return call((cancel) => native.websocketPing(socket, timeoutMs, cancel), signal);
  }

  /** From now on no message is given out, and when `receiveQueueBytes` are full the server has to wait. */
  pause(): void {
    this.#paused = true;
    if (this.#socket) native.websocketPause(this.#socket);
  }

  /** Delivers messages again. */
  resume(): void {
    this.#paused = false;
    if (this.#socket) native.websocketResume(this.#socket);
  }

  /** Keeps the process alive while it is open, for a caller that waits for a message. */
  ref(): void {
    if (!this.#isReferenced && this.#open) native.websocketKeepProcessAlive((this.#isReferenced = true));
  }

  /** Undoes `ref`. */
  unref(): void {
    if (this.#isReferenced) native.websocketKeepProcessAlive((this.#isReferenced = false));
  }

  /**
   * Closes: what was sent before is written, then the close frame. Resolves when it is over, however that was, and at
   * most after `closeTimeoutMs`. A paused transport is resumed; a connect is given up. `code` is 1000 or from 3000 to
   * 4999, `reason` at most 123 bytes.
   */
  close(code = 1000, reason = ''): Promise<void> {
    this.#connecting?.controller.abort(closedError('connect'));
    const socket = this.#socket;
    if (!socket || !this.#open) return Promise.resolve();
    if (this.#closing) return this.#closing;
    const closing = this.#close(socket, code, reason).finally(() => (this.#closing = undefined));
    return (this.#closing = closing);
  }

  /** Ends it at once, without a close frame. */
  terminate(): void {
    this.#connecting?.controller.abort(closedError('connect'));
    if (!this.#socket) return;
    this.resume();
    native.websocketTerminate(this.#socket);
  }

  async #connect(controller: AbortController, signal?: Abortable): Promise<void> {
    signal?.throwIfAborted();
    const onAbort = () => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const [socket, protocol, extensions = ''] = await call(
        (cancel) => native.websocketConnect(this.#client, this.#makeReceiver(), cancel, this.#reader),
        controller.signal,
        toMoorlineError,
        ([late]) => native.websocketTerminate(late),
      );
      if (controller.signal.aborted) {
        // It was closed after the connection had succeeded, and before that was known here.
        native.websocketTerminate(socket);
        throw controller.signal.reason;
      }
      this.#socket = socket;
      this.#policySocket = undefined;
      this.#error = undefined;
      this.#protocol = protocol;
      this.#extensions = extensions;
      this.#open = true;
      // Until now it was paused, so that nothing could come before it was known to be open.
      if (!this.#paused) native.websocketResume(socket);
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** One for all messages of this turn of the event loop: they are written together. */
  async #flush(socket: Handle<Socket>): Promise<void> {
    await undefined;
    this.#flushing = undefined;
    const policySocket = this.#policySocket;
    if (policySocket) {
      if (!native.websocketFlushCalls(policySocket)) await call(() => native.websocketCallsWritten(policySocket));
    } else if (!native.websocketFlush(socket)) await call(() => native.websocketWritten(socket));
  }

  async #close(socket: Handle<Socket>, code: number, reason: string): Promise<void> {
    const closed = native.websocketClose(socket, code, reason);
    this.resume();
    await call(() => closed);
  }

  /** The addon keeps it, and with it all that is in its scope. */
  #makeReceiver(): (batch: unknown) => void {
    return (batch) => this.#onBatch(batch as NativeBatch);
  }

  #onBatch(batch: NativeBatch): void {
    if (batch === undefined) return;
    if (typeof batch === 'string') return this.#listener.onMessages([batch]);
    if (isJsonList(batch)) return this.#listener.onJsonList?.(...batch);
    if (!isMixedBatch(batch)) return this.#listener.onMessages(batch);
    const [messages, bytes, pings, closed] = batch;
    try {
      if (pings > 0) this.#listener.onPing?.(pings);
      if (messages.length > 0) this.#listener.onMessages(unpack(messages, bytes));
    } finally {
      if (closed) this.#end(...closed);
    }
  }

  #end(code: number, reason: string, wasClean: boolean, record?: string): void {
    this.unref();
    this.#open = false;
    // Native code holds the listener, and the listener this object: without the handle nothing holds native code.
    this.#socket = undefined;
    const error = record === undefined ? undefined : (toMoorlineError(record) as MoorlineError);
    this.#error = error;
    this.#listener.onClose({ code, reason, wasClean, ...(error && { error }) });
  }

  /** The failure of a call that needs an open socket: the reason for which it ended, when it was lost. */
  #notOpenError(operation: string): MoorlineError {
    if (!this.#error) return closedError(operation);
    const { kind, code, message } = this.#error;
    // The call was not begun. Only a lost connection may be open again for the next one.
    const idempotent = kind === 'disconnected';
    return failure(kind, message, { code, service: 'websocket', operation, delivery: 'none', idempotent });
  }
}

function closedError(operation: string): MoorlineError {
  return closedFailure('the WebSocket is not open', { service: 'websocket', operation });
}

function isJsonList(batch: Exclude<NativeBatch, undefined | string>): batch is [text: string, count: number] {
  return typeof batch[1] === 'number';
}

function isMixedBatch(
  batch: Exclude<NativeBatch, undefined | string | [string, number]>,
): batch is Extract<NativeBatch, [unknown, Buffer, number, unknown]> {
  return Array.isArray(batch[0]);
}

/** Puts small binary messages, which came as their lengths, in their places. */
function unpack(messages: (string | Buffer | number)[], bytes: Buffer): (string | Buffer)[] {
  let offset = 0;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index]!;
    if (typeof message === 'number') messages[index] = bytes.subarray(offset, (offset += message));
  }
  return messages as (string | Buffer)[];
}
