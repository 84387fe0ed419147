import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

import { dress } from './error';
import { type Handle, type HttpBodyQueue, type HttpBodyReader, native } from './native';
import { isAborted, onAbort } from './signals';

/** A body that comes piece by piece. */
export type StreamedBody = AsyncIterable<string | Uint8Array>;

/** @internal What is feeding a request. */
export interface Feeding {
  /** What the caller's stream threw, if it did. */
  failure(): { error: unknown } | undefined;
  /** Takes no more pieces. */
  stop(): void;
}

/** @internal Feeds a request with the pieces of `source`, as fast as the server takes them. */
export function pump(source: StreamedBody, queue: Handle<HttpBodyQueue>): Feeding {
  const iterator = source[Symbol.asyncIterator]();
  let failed: { error: unknown } | undefined;
  let [stopped, over] = [false, false];
  async function feed(): Promise<void> {
    let complete = false;
    try {
      for (;;) {
        const next = await iterator.next();
        if (next.done || stopped) {
          complete = next.done === true;
          break;
        }
        if (!(await native.httpBodyWrite(queue, bytesOf(next.value)))) break;
      }
    } catch (error) {
      // What a stream throws because it was destroyed is not its own.
      if (!stopped) failed = { error };
      over = true;
    }
    over ||= complete;
    native.httpBodyEnd(queue, complete);
    if (!over) await iterator.return?.();
  }
  // A source that throws while it is closed has nobody left to hear it.
  void feed().catch(() => undefined);
  return {
    failure: () => failed,
    stop() {
      stopped = true;
      native.httpBodyEnd(queue, false);
      // While a piece is awaited only this reaches a stream of Node's.
      if (!over) (source as Partial<Readable>).destroy?.();
    },
  };
}

function bytesOf(piece: unknown): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  if (piece instanceof Uint8Array) return piece;
  if (piece instanceof ArrayBuffer) return new Uint8Array(piece);
  throw new TypeError(`a piece of request.body must be bytes or a string, got ${typeof piece}`);
}

/** A body on its way in. It is read once, piece by piece, as fast as it is asked for. */
export class BodyStream implements AsyncIterableIterator<Uint8Array> {
  readonly #reader: Handle<HttpBodyReader>;
  readonly #signal: AbortSignal | undefined;
  readonly #feeding: Feeding | undefined;
  readonly #deafen: (() => void) | undefined;
  #ended = false;

  /** @internal */
  constructor(reader: Handle<HttpBodyReader>, signal?: AbortSignal, feeding?: Feeding) {
    this.#reader = reader;
    this.#feeding = feeding;
    this.#signal = signal;
    this.#deafen = signal && onAbort(signal, () => this.cancel());
    if (isAborted(signal)) this.cancel();
  }

  /** The next piece. */
  async next(): Promise<IteratorResult<Uint8Array>> {
    this.#signal?.throwIfAborted();
    if (this.#ended) return { done: true, value: undefined };
    try {
      const value = await native.httpBodyRead(this.#reader);
      this.#signal?.throwIfAborted();
      if (value !== undefined) return { done: false, value };
    } catch (rejection) {
      this.#end();
      this.#signal?.throwIfAborted();
      throw this.#feeding?.failure()?.error ?? dress(rejection);
    }
    this.#end();
    return { done: true, value: undefined };
  }

  /** Reads no further. */
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Reads no further; a connection with a body left on it is closed. */
  cancel(): void {
    // First of all, so that a read that is under way ends quietly.
    native.httpBodyCancel(this.#reader);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#feeding?.stop();
    this.#deafen?.();
  }

  /** The same as a web stream. */
  toReadableStream(): ReadableStream<Uint8Array> {
    return new globalThis.ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { done, value } = await this.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: () => this.cancel(),
      },
      { highWaterMark: 0 },
    );
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
