import { failure } from '../runtime/error';
import type { Acknowledgement } from './acknowledgements';
import { LONGEST_TIMER_MS } from '../runtime/timers';

/**
 * A server-sent event.
 *
 * @example
 * ```ts
 * import { SSEConnection } from 'moorline';
 *
 * const stream = new SSEConnection({ url: 'https://api.example.com/events' });
 * await stream.connect();
 * const event = await stream.receive();
 * console.log(event?.type, event?.lastEventId, event?.data); // message 1 {"id":7,"name":"Ada"}
 * await stream.disconnect();
 * ```
 */
export class SSEEvent {
  /** The type; `message` where the server names none. */
  readonly type: string;
  /** The data; several lines are joined with `\n`. */
  readonly data: string;
  /** The id of this event, or of the last one that had an id; empty when none had. */
  readonly lastEventId: string;
  /** The delay before a reconnection that the server asks for with this event, in milliseconds. */
  readonly retry?: number;
  #acknowledgement: Acknowledgement | undefined;

  /** @internal */
  constructor(type: string, data: string, lastEventId: string, retry: number | undefined) {
    this.type = type;
    this.data = data;
    this.lastEventId = lastEventId;
    if (retry !== undefined) this.retry = retry;
  }

  /**
   * Marks the event as handled, so that a durable cursor may move past it. Without this call it is marked when `receive`
   * is called again, when `for await` asks for the next event, or when the handlers of `onMessage` are done.
   */
  ack(): void {
    this.#acknowledgement?.ack();
  }

  /** @internal The event is one of those whose handling is followed. */
  static track(event: SSEEvent, acknowledgement: Acknowledgement): void {
    event.#acknowledgement = acknowledgement;
  }

  /** @internal The event was not handled. */
  static fail(event: SSEEvent): void {
    event.#acknowledgement?.fail();
  }

  /**
   * Returns the data parsed as JSON. The type `T` is not checked.
   *
   * @throws MoorlineError when the data is not JSON.
   */
  json<T = any>(): T {
    try {
      return JSON.parse(this.data) as T;
    } catch (cause) {
      const init = { service: 'sse', operation: 'json', delivery: 'answered' } as const;
      throw failure('protocol', `the data of a server-sent event of type ${this.type} is not JSON`, init, cause);
    }
  }
}

/** @internal The position and the retry time that a stream has announced so far. */
export interface StreamState {
  lastEventId: string;
  retryMs: number | undefined;
}

const NUL = '\0';

/** @internal Reads a text as src/sse/encode.rs writes it; what it says about the stream goes to `state`. */
export function readEvents(text: string, state: StreamState, events: SSEEvent[]): void {
  for (let start = 0; start < text.length;) {
    const middle = text.indexOf('\r', start);
    const end = text.indexOf('\r', middle + 1);
    const data = text.slice(middle + 1, end);
    if (middle === start) events.push(new SSEEvent('message', data, state.lastEventId, undefined));
    else readEventWithFields(text.slice(start, middle), data, state, events);
    start = end + 1;
  }
}

function readEventWithFields(meta: string, data: string, state: StreamState, events: SSEEvent[]): void {
  const line = meta.indexOf('\n');
  const id = line === -1 ? meta : meta.slice(0, line);
  if (id !== '') state.lastEventId = id === NUL ? '' : id;
  if (line === -1) {
    events.push(new SSEEvent('message', data, state.lastEventId, undefined));
    return;
  }
  const [type = '', retryText = ''] = meta.slice(line + 1).split('\n');
  const retry = /\d/.test(retryText) ? Math.min(Number.parseInt(retryText, 10), LONGEST_TIMER_MS) : undefined;
  if (retry !== undefined) state.retryMs = retry;
  if (!retryText.endsWith('!')) events.push(new SSEEvent(type || 'message', data, state.lastEventId, retry));
}
