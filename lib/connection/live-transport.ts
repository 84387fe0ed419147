import type { MoorlineError } from '../runtime/error';

/** What is open while a lasting connection is: one socket, or one stream. */
export interface LiveTransport {
  /** Stops and goes on reading, so that the other side waits. */
  pause(): void;
  resume(): void;
  /** Whether it keeps the process alive. */
  keep(alive: boolean): void;
  /** Closes it for good; nothing is told of it any more. */
  close(): Promise<void>;
}

/** What hears a {@link LiveTransport}. */
export interface TransportListener<Message> {
  /** Messages came. */
  arrived(messages: readonly Message[]): void;
  /** It ended by itself. */
  lost(error: MoorlineError, end: LineEnd): void;
}

/** How a {@link LiveTransport} ended that nobody here closed. */
export interface LineEnd {
  /** It should not be opened again. */
  final: boolean;
  /** The server brought it to its proper end: nothing is missing. */
  finished: boolean;
}
