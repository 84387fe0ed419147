import type { Abortable, Lifetime } from '../runtime/abort';
import { MoorlineError } from '../runtime/error';
import { Buffer, performance } from '../runtime/node';
import { bodyOf } from '../http/body';
import { headerPairs } from '../http/headers';
import { invalidType, invalidValue, invalidTypeRedacted } from '../runtime/argument-error';
import { native } from '../runtime/native';
import { SocketTransport } from '../websocket/transport';
import { markBuiltIn } from './overrides';
import { checkCustomOptions, handleOf, requireUrl, type ConnectionConfig } from './config/config';
import { commonHeaders } from './config/headers';
import { PersistentConnection } from './persistent';
import { LiveSocket } from './live-socket';
import type { TransportListener } from './live-transport';
import { mayBeJson } from './messages/json';
import type { CallRecord } from './call-record';
import { ConnectionType } from './model';

/** A message whose first attempt the addon has made in vain. */
interface UnsentMessage {
  /** The number of its call. */
  id: number;
  error: unknown;
  lifetime: Lifetime;
  startedAt: number | undefined;
}

/**
 * A WebSocket connection to a server, which is opened again when it is lost.
 *
 * `send` sends text and bytes unchanged, and any other value as JSON. `receive` returns parsed JSON, other text as
 * `{ text }` and binary messages as a `Buffer`; with `customOptions: { text: 'raw' }` (default: `'json'`), or
 * `{ parse: false }`, all text is returned unchanged. A native thread sends a ping every `keepAlive` milliseconds and answers
 * those of the server, so a busy event loop does not make the server close the connection.
 *
 * `Message` is the type of the received messages; it is not checked.
 *
 * @example
 * ```ts
 * import { WebSocketConnection } from 'moorline';
 *
 * const socket = new WebSocketConnection<{ hello: string }>({ url: 'wss://api.example.com' });
 * socket.onMessage(async (message) => {
 *   console.log(message.hello); // world
 *   await socket.disconnect();
 * });
 * if (await socket.connect()) await socket.send({ hello: 'world' });
 * ```
 */
export class WebSocketConnection<Message = any> extends PersistentConnection<string | Buffer, Message> {
  readonly #parses: boolean;
  /** Whether messages wait for a rate limit. */
  readonly #isLimited: boolean;
  #closeFrame: [code?: number, reason?: string] = [];
  #closeCalls = 0;

  /** @throws TypeError `WebSocket connection requires a URL` without a URL; TypeError, RangeError for an invalid option. */
  constructor(config: ConnectionConfig) {
    super(config, ConnectionType.WEBSOCKET);
    requireUrl(this.config, 'WebSocket');
    checkCustomOptions(this, WebSocketConnection, ConnectionType.WEBSOCKET);
    this.#parses = readsJson(this.config.customOptions);
    this.#isLimited = this.config.rateLimit;
  }

  /** The sub-protocol that the server selected, or an empty string. */
  get protocol(): string {
    return (this.lastTransport as LiveSocket | undefined)?.socket.protocol ?? '';
  }

  /**
   * Closes the connection. A `receive` that waits returns `null`; messages that arrived before can still be received. The
   * close frame carries `code` (1000, or 3000 to 4999; default: 1000) and `reason` (at most 123 bytes; default: none).
   *
   * @throws TypeError, RangeError for a code or a reason that cannot be sent; the connection stays open.
   */
  override async disconnect(code = 1000, reason = ''): Promise<boolean> {
    native.websocketCheckClose(code, reason);
    // A listener of the state may call `disconnect` again.
    if (this.#closeCalls++ === 0) this.#closeFrame = [code, reason];
    try {
      return await super.disconnect();
    } finally {
      if (--this.#closeCalls === 0) this.#closeFrame = [];
    }
  }

  /**
   * Sends a message. Returns true when it is written to the socket, which may include waiting for room, or false when it
   * was not; an event carries the reason, which is an `error` of kind `closed` when the connection is not open.
   */
  override async send(data: unknown): Promise<boolean> {
    let message: string | Uint8Array;
    try {
      message = encode(data);
    } catch (error) {
      // The caller's mistake, which says nothing about the other side.
      this.reportFailure(error, 'send');
      return false;
    }
    const socket = (this.liveTransport as LiveSocket | undefined)?.socket;
    // What a subclass has overridden is called.
    const isOwn = this.sendImpl === WebSocketConnection.prototype.sendImpl;
    const id = isOwn && !this.#isLimited ? (socket?.trySendCall(message) ?? -1) : -1;
    if (id < 0) return super.send(message) as Promise<boolean>;
    const { lifetime } = this;
    const startedAt = this.isObserved ? performance.now() : undefined;
    try {
      await socket!.flushing;
    } catch (error) {
      return this.#goOn(message, { id, error, lifetime, startedAt });
    }
    const tookMs = startedAt === undefined ? undefined : performance.now() - startedAt;
    this.reportOutcome(true, tookMs);
    return true;
  }

  /** Goes on with a message that was not written. */
  #goOn(message: string | Uint8Array, { id, error, lifetime, startedAt }: UnsentMessage): Promise<boolean> {
    let isFirst = true;
    const sendOnce = () => {
      if (!isFirst) return this.sendImpl(message);
      isFirst = false;
      return Promise.reject(error);
    };
    const send = (callRecord: CallRecord) => {
      callRecord.bytes = this.messageBytes(message);
      return this.connectionPolicies.runAdmitted(() => callRecord.runAttempt(sendOnce), id, lifetime);
    };
    return this.recordOutcome('send', send, false, undefined, { lifetime, callRecord: this.beginCall(startedAt) });
  }

  protected override async sendImpl(message: unknown): Promise<boolean> {
    const socket = (this.liveTransport as LiveSocket | undefined)?.socket;
    if (!socket?.isOpen) throw this.notOpen('send');
    await socket.send(message as string | Uint8Array);
    return true;
  }

  /** @internal */
  protected override messageBytes(message: string | Uint8Array): number {
    return typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength;
  }

  protected override parse(message: string | Buffer): Message {
    // What it is, the caller says.
    const parsed = (value: unknown) => value as Message;
    if (typeof message !== 'string' || !this.#parses) return parsed(message);
    if (mayBeJson(message)) {
      try {
        return parsed(JSON.parse(message));
      } catch {
        // It only began like JSON.
      }
    }
    return parsed({ text: message });
  }

  protected override async healthCheckImpl(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const socket = (this.liveTransport as LiveSocket | undefined)?.socket;
    if (!socket?.isOpen) return super.healthCheckImpl(timeoutMs, signal);
    try {
      await socket.ping({ timeoutMs, signal });
    } catch (error) {
      // The pong would be queued behind messages that are not taken: that says nothing about the server.
      if (!(error instanceof MoorlineError && error.code === 'ERR_MOORLINE_RECEIVE_QUEUE_FULL')) throw error;
    }
    return true;
  }

  /** @internal */
  protected override async open(
    url: string,
    signal: Abortable,
    listener: TransportListener<string | Buffer>,
  ): Promise<LiveSocket> {
    const headers = await commonHeaders(this.config, [signal]);
    const protocols = this.config.customOptions['protocols'] as string[] | undefined;
    const live = new LiveSocket(this, listener);
    live.socket = new SocketTransport(
      { url, headers: Object.fromEntries(headerPairs(headers)), protocols },
      live,
      handleOf(this.config),
      { policy: this.connectionPolicies.handle, tracker: this.connectionTracker },
    );
    await live.socket.connect(signal);
    return live;
  }

  /** @internal Whether text is parsed as JSON, and nobody has another idea of it. */
  get parsesJson(): boolean {
    return this.#parses && this.parse === WebSocketConnection.prototype.parse;
  }

  /** @internal Code and reason of the close frame of the running `disconnect`. */
  get closeFrame(): [code?: number, reason?: string] {
    return this.#closeFrame;
  }
}

markBuiltIn(WebSocketConnection.prototype.disconnect);

/** Whether text is parsed, as `parse` and `text` say. */
function readsJson({ parse, text }: Readonly<Record<string, unknown>>): boolean {
  if (parse !== undefined && typeof parse !== 'boolean') {
    throw invalidType('options.customOptions.parse', 'a boolean', parse);
  }
  if (text === undefined) return parse ?? true;
  if (text !== 'raw' && text !== 'json')
    throw invalidTypeRedacted('options.customOptions.text', "'json' or 'raw'", text);
  if (parse !== undefined) throw invalidValue('options.customOptions.text cannot be combined with parse');
  return text === 'json';
}

function encode(data: unknown): string | Uint8Array {
  if (data === null) return 'null';
  const { body, source } = bodyOf(data, 'data');
  // A message is sent whole.
  if (body === undefined || source) throw invalidTypeRedacted('data', 'text, bytes or a JSON value', data);
  return body;
}
