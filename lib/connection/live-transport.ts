import type { MoorlineError } from '../runtime/error';

/** The open transport of a persistent connection: one socket, or one stream. */
export interface LiveTransport {
  /** Stops and goes on reading, so that the other side waits. */
  pause(): void;
  resume(): void;
  /** Whether it keeps the process alive. */
  keep(alive: boolean): void;
  /** Closes it for good; nothing is told of it any more. */
  close(): Promise<void>;
}

/** The listener of a {@link LiveTransport}. */
export interface TransportListener<Message> {
  /** Called with messages that came. */
  arrived(messages: readonly Message[]): void;
  /** Called when it ended by itself. */
  lost(error: MoorlineError, end: LineEnd): void;
}

/** The end of a {@link LiveTransport} that was not closed here. */
export interface LineEnd {
  /** Whether it should not be opened again. */
  final: boolean;
  /** The server brought it to its proper end: nothing is missing. */
  finished: boolean;
}
