import type { MoorlineError } from '../runtime/error';

/** The open transport of a persistent connection: one socket, or one stream. */
export interface LiveTransport {
  /** Stops and goes on reading, so that the other side waits. */
  pause(): void;
  resume(): void;
  /** Whether it keeps the process alive. */
  setKeepAlive(alive: boolean): void;
  /** Closes it for good; nothing is told of it any more. */
  close(): Promise<void>;
}

/** The listener of a {@link LiveTransport}. */
export interface TransportListener<Message> {
  /** Called with messages that came. */
  onMessages(messages: readonly Message[]): void;
  /** Called when it ended by itself. */
  onLost(error: MoorlineError, end: TransportEnd): void;
}

/** The end of a {@link LiveTransport} that was not closed here. */
export interface TransportEnd {
  /** Whether it should not be opened again. */
  isFinal: boolean;
  /** The server brought it to its proper end: nothing is missing. */
  isFinished: boolean;
}
