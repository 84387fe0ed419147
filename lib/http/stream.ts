import type { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';

import { toMoorlineError } from '../runtime/error';
import { Buffer, readableStream } from '../runtime/node';
import { type BodySource, type StreamedBody } from './body';
import { invalidTypeRedacted } from '../runtime/argument-error';
import { asBytes } from '../runtime/shape';
import { type Handle, type HttpBodyWriter, type HttpBodyReader, native } from '../runtime/native';
import { isAborted, onAbort } from '../runtime/abort';

/** @internal The upload of a request's body. */
export interface BodyUpload {
  /** What the caller's stream threw, if it did. */
  failure(): { error: unknown } | undefined;
  /** Takes no more chunks. */
  stop(): void;
}

/** @internal Writes the chunks of `source` to a request, as fast as the server takes them. */
export function upload(source: BodySource, writer: Handle<HttpBodyWriter>): BodyUpload {
  let sourceError: { error: unknown } | undefined;
  let stopped = false;
  /** The stream that is being read. */
  let chunks: StreamedBody | undefined;
  async function writeOnce(): Promise<void> {
    let complete = false;
    let iterator: AsyncIterator<string | Uint8Array> | undefined;
    try {
      chunks = source.open();
      iterator = chunks[Symbol.asyncIterator]();
      for (;;) {
        const next = await iterator.next();
        if (next.done || stopped) {
          complete = next.done === true;
          break;
        }
        if (!(await native.httpBodyWrite(writer, bytesOf(next.value)))) break;
      }
    } catch (error) {
      // What a stream throws because it was destroyed is not its own.
      if (!stopped) sourceError = { error };
      chunks = undefined;
    }
    if (complete) chunks = undefined;
    native.httpBodyEnd(writer, complete);
    if (chunks) await iterator?.return?.();
  }
  async function writeAll(): Promise<void> {
    if (!source.repeatable) return writeOnce();
    // Once, and again for each redirect that wants the same body.
    while (await native.httpBodyWaitUntilWanted(writer)) await writeOnce();
  }
  // What a source throws while it is closed is ignored.
  void writeAll().catch(() => undefined);
  return {
    failure: () => sourceError,
    stop() {
      stopped = true;
      native.httpBodyEnd(writer, false);
      // While a chunk is awaited only this reaches a stream of Node's.
      (chunks as Partial<Readable> | undefined)?.destroy?.();
    },
  };
}

function bytesOf(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  const bytes = asBytes(chunk);
  if (bytes) return bytes;
  throw invalidTypeRedacted('a piece of request.body', 'bytes or a string', chunk);
}

/** The body of a streamed response. It can be read once, chunk by chunk, on demand. */
export class BodyStream implements AsyncIterableIterator<Uint8Array> {
  readonly #reader: Handle<HttpBodyReader>;
  readonly #signal: AbortSignal | undefined;
  readonly #upload: BodyUpload | undefined;
  readonly #removeAbortListener: (() => void) | undefined;
  #ended = false;

  /** @internal */
  constructor(reader: Handle<HttpBodyReader>, signal?: AbortSignal, bodyUpload?: BodyUpload) {
    this.#reader = reader;
    this.#upload = bodyUpload;
    this.#signal = signal;
    this.#removeAbortListener = signal && onAbort(signal, () => this.cancel());
    if (isAborted(signal)) this.cancel();
  }

  /** Returns the next chunk. */
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
      throw this.#upload?.failure()?.error ?? toMoorlineError(rejection);
    }
    this.#end();
    return { done: true, value: undefined };
  }

  /** Stops reading, as leaving a `for await` loop does. */
  async return(): Promise<IteratorResult<Uint8Array>> {
    this.cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Stops reading; a connection with an unread body is closed. */
  cancel(): void {
    // First of all, so that a read that is under way ends quietly.
    native.httpBodyCancel(this.#reader);
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#upload?.stop();
    this.#removeAbortListener?.();
  }

  /** Returns the body as a web stream. */
  toReadableStream(): ReadableStream<Uint8Array> {
    const WebStream = readableStream();
    return new WebStream<Uint8Array>(
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
